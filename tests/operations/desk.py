"""The payments service on a database of its own, with messages its handler cannot cope with."""

import asyncio
import tempfile
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from typer.testing import CliRunner, Result

from chassis import inbox
from chassis.bus import Record
from chassis.run import Running, app_of
from chassis.transaction import Transaction
from contracts.budget import BudgetAccepted, Totals
from contracts.event import Envelope, new_id
from deploy.development_issuer import DevelopmentIssuer
from services.payments import store
from tests.conftest import ask_server

CANARY = "canary-7731"
ISSUER = DevelopmentIssuer.at(Path(tempfile.mkdtemp()))
ONE, OTHER, THIRD = (uuid.uuid5(UUID(int=3), name) for name in ("one", "other", "third"))
KEEP = store.record


@dataclass
class Desk:
    """`bad` are revisions that payments' store cannot keep, as a bug there would have it."""

    running: Running
    postgres: Any
    database: str
    patch: pytest.MonkeyPatch
    bad: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        async def record(tx: Transaction, events: list[BudgetAccepted]) -> Any:
            if any(e.revision in self.bad for e in events):
                raise KeyError(CANARY)
            return await KEEP(tx, events)

        self.patch.setattr(store, "record", record)

    async def take(self, who: UUID, *revisions: int, body: bytes = b"") -> None:
        """Messages of one person arrive, in one batch."""
        records = [message(who, revision, body) for revision in revisions]
        await self.running.consuming.process([inbox.read(record) for record in records])

    async def cli(self, *arguments: str) -> Result:
        """`tributary …`, in a thread: it runs an event loop of its own."""
        from tributary.cli import app

        return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))

    async def held(self, who: UUID) -> list[int]:
        """Revisions payments holds of a person, in the order it took them in."""
        sql = f"SELECT revision FROM payments.accepted_budget WHERE person_ref = '{who}' ORDER BY recorded_at, revision"
        return [row["revision"] for row in await self.ask(sql)]

    async def audited(self, action: str) -> list[dict[str, Any]]:
        rows = await self.ask("SELECT body FROM payments.audit ORDER BY shard, off")
        found = [msgspec.json.decode(row["body"]) for row in rows]
        return [entry for entry in found if entry["action"] == action]

    async def ask(self, sql: str) -> list[Any]:
        return await ask_server(self.postgres, sql, self.database)

    def http(self) -> httpx.AsyncClient:
        """An operator at work."""
        transport = httpx.ASGITransport(app_of("Payments", [self.running], ISSUER.verifier()))
        url = "http://desk/operations/payments"
        return httpx.AsyncClient(transport=transport, base_url=url, headers=ISSUER.headers())


def message(who: UUID, revision: int, body: bytes = b"") -> Record:
    now = datetime.now(UTC)
    event = accepted(who, revision)
    envelope = Envelope(
        id=new_id(now), type=event.type, source="/tributary/ras", subject=who, time=now, correlation_id=UUID(int=9)
    )
    value = body or msgspec.json.encode(event)
    return Record(event.topic(), 0, revision, str(who).encode(), value, envelope.headers())


def accepted(who: UUID, revision: int) -> BudgetAccepted:
    totals = Totals(
        weekly_pence=100, one_off_pence=0, yearly_pence=5200, spendable_weekly_pence=100, spendable_one_off_pence=0,
        provisional_weekly_pence=0, provisional_one_off_pence=0, outside_weekly_pence=0, outside_one_off_pence=0,
        contribution_weekly_pence=0, net_weekly_pence=100,
    )  # fmt: skip
    return BudgetAccepted(
        person_ref=who, budget_id=who, assessment_ref=who, revision=revision, council="council-a", lines=(),
        totals=totals,
    )  # fmt: skip
