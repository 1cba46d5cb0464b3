"""The smallest service there can be: it writes down what it was told. For tests of the chassis alone."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from chassis import inbox
from chassis.bus import Bus, Outgoing, Record
from chassis.bus_records import partition_of
from chassis.consume import Consuming
from chassis.database import Database
from chassis.relay import Relay
from chassis.release import Operating
from chassis.service import Handlers, Received, Service, SystemClock, everybody
from chassis.transaction import Transaction, Transactions
from contracts.event import Envelope, new_id
from contracts.payments import AcceptedBudgetRecorded as Told

TOPIC = Told.topic()
NAMESPACE = UUID(int=1)
Hook = Callable[[list[Received[Told]], Transaction], Awaitable[None]]


class Unforeseen(Exception):
    """What the handler raises for an event it cannot cope with."""


@dataclass
class Probe:
    """One process of the probe service on one database. `bad` are what its handler cannot cope with,
    as (person, revision); `hook` runs first."""

    database: Database
    bus: Bus
    bad: set[tuple[UUID, int]] = field(default_factory=set)
    hook: Hook | None = None
    batches: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        handlers = Handlers()
        handlers.on(Told)(self.write_down)
        self.service = service_with(handlers)
        self.transactions = Transactions(self.database, "probe", SystemClock())
        self.consuming = Consuming("probe", handlers, self.bus, self.transactions)
        self.relay = Relay(self.bus, self.transactions)
        self.operating = Operating(handlers, self.database, self.transactions, "tester")

    async def write_down(self, batch: list[Received[Told]], tx: Transaction) -> None:
        self.batches.append(len(batch))
        if self.hook is not None:
            await self.hook(batch, tx)
        await tx.execute(
            "INSERT INTO effect (person_ref, revision) SELECT * FROM "
            "unnest(CAST(:people AS uuid[]), CAST(:revisions AS int[]))",
            {
                "people": [r.event.person_ref for r in batch],
                "revisions": [r.event.revision for r in batch],
            },
        )
        if self.bad & {(r.event.person_ref, r.event.revision) for r in batch}:
            raise Unforeseen

    async def take(self, records: Iterable[Record]) -> None:
        """Handle records as if the bus had just brought them."""
        await self.consuming.process([inbox.read(record) for record in records])

    async def rows(self, sql: str, **values: Any) -> Sequence[Any]:
        async with self.transactions() as tx:
            return (await tx.execute(sql, values)).all()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """The consumer runs, on the real bus, while the block does."""
        running = asyncio.create_task(self.consuming.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def until(self, sql: str, seconds: float = 60) -> None:
        """Wait until the statement's one value is true."""
        limit = time.monotonic() + seconds
        while not (await self.rows(sql))[0][0]:
            assert time.monotonic() < limit, f"never came true: {sql}"
            await asyncio.sleep(0.02)

    async def effects(self) -> dict[UUID, list[int]]:
        """Person -> revisions, in the order they took effect."""
        found: dict[UUID, list[int]] = {}
        for row in await self.rows("SELECT person_ref, revision FROM effect ORDER BY n"):
            found.setdefault(row.person_ref, []).append(row.revision)
        return found

    async def parked(self) -> list[tuple[UUID, str, bool]]:
        """(person, reason, whether it blocks the person) of what is parked still, in order."""
        sql = "SELECT person_ref, reason, blocks FROM parked WHERE released_at IS NULL ORDER BY id"
        return [(row.person_ref, row.reason, row.blocks) for row in await self.rows(sql)]


def service_with(handlers: Handlers) -> Service:
    return Service(
        name="probe",
        schema="probe",
        title="Probe",
        migrations=Path(__file__).parent / "migrations",
        publishes=((Told, everybody),),
        handlers=handlers,
    )


def person(n: int) -> UUID:
    return uuid.uuid5(NAMESPACE, str(n))


def told(who: UUID, revision: int) -> Told:
    return Told(person_ref=who, budget_id=who, revision=revision)


def outgoing(event: Told, event_id: UUID | None = None, **changed: bytes | None) -> Outgoing:
    """As the relay sends it. `changed` headers replace the right ones; None leaves one out."""
    now = datetime.now(UTC)
    envelope = Envelope(
        id=event_id or new_id(now),
        type=event.type,
        source="/tributary/test",
        subject=event.person_ref,
        time=now,
        correlation_id=UUID(int=2),
    )
    headers: dict[str, bytes | None] = {**dict(envelope.headers()), **changed}
    kept = [(name, value) for name, value in headers.items() if value is not None]
    return Outgoing(TOPIC, str(event.person_ref).encode(), msgspec.json.encode(event), kept)


def record(out: Outgoing, offset: int = 0) -> Record:
    return Record(out.topic, partition_of(out.key, 4), offset, out.key, out.value, out.headers)
