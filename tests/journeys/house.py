"""A whole deployment to make journeys through: every service, real PostgreSQL, either bus, and a clock to move."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from chassis.database import Database
from chassis.run import Running, role_of
from chassis.service import Service
from contracts.event import Event
from deploy.kafka import EmbeddedKafka
from deploy.one_process import OneProcess, one_process, service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.services import all_services
from tests.conftest import ask_server
from tests.ras.deciding import golden

Json = dict[str, Any]
PATIENCE = 60.0


class MovableClock:
    """Stands where it is put. One clock for every service of the house."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time

    def pass_days(self, days: float) -> None:
        self.time += timedelta(days=days)


@dataclass
class House:
    """`http` reaches every service's API. `stop` and `start` one service; the others go on."""

    postgres: EmbeddedPostgres
    database: str
    clock: MovableClock
    deployment: OneProcess
    http: httpx.AsyncClient
    names: set[str] = field(default_factory=set)

    async def stop(self, service: str) -> None:
        await self.deployment.running[service].stop()

    def start(self, service: str) -> None:
        (one,) = [s for s in all_services() if s.name == service]
        url = self.postgres.url(role_of(one), service_passwords(self.postgres), self.database)
        running = Running(one, self.deployment.bus, Database(url, one.schema), self.clock, b"pepper")
        self.deployment.running[service] = running
        running.start()

    async def told(self, event: type[Event], ref: str) -> list[Any]:
        """Every event of this type about this assessment that any service has told, oldest first."""
        return [e for e in await self.told_of_all(event) if str(getattr(e, "assessment_ref", "")) == ref]

    async def told_of_all(self, event: type[Event]) -> list[Any]:
        found = []
        for schema in await self.schemas():
            sql = f"SELECT payload FROM {schema}.outbox WHERE type = '{event.type}' ORDER BY occurred_at, off"
            found += [event.decode(bytes(row["payload"])) for row in await self.ask(sql)]
        return found

    async def schemas(self) -> list[str]:
        sql = "SELECT table_schema AS name FROM information_schema.tables WHERE table_name = 'outbox_head' ORDER BY 1"
        return [row["name"] for row in await self.ask(sql)]

    async def parked(self) -> list[tuple[str, str]]:
        found = []
        for schema in await self.schemas():
            rows = await self.ask(f"SELECT reason FROM {schema}.parked WHERE released_at IS NULL")
            found += [(schema, row["reason"]) for row in rows]
        return found

    async def ask(self, sql: str) -> list[Any]:
        return await ask_server(self.postgres, sql, self.database)

    def somebody(self, name: str, **changes: Any) -> Json:
        """A golden case's form with an id and a person of its own."""
        made: Json = msgspec.to_builtins(golden()[name])
        unique = f"{name.split('.')[0]}-{uuid.uuid4().hex[:12]}"
        made |= {"assessment_id": unique, "version": 1, "person": made["person"] | {"person_id": f"p-{unique}"}}
        return made | changes

    async def create(self, form: Json) -> str:
        answer = await self.http.post("/assessments", json=form)
        assert answer.status_code == 201, answer.text
        ref: str = answer.json()["assessment_ref"]
        return ref

    async def finalised(self, form: Json) -> str:
        ref = await self.create(form)
        answer = await self.http.post(f"/assessments/{ref}/finalise")
        assert answer.status_code == 202, answer.text
        return ref

    async def budget(self, ref: str) -> Json | None:
        answer = await self.http.get(f"/assessments/{ref}/budget")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def budget_when(self, ref: str, holds: Callable[[Json], bool], seconds: float = PATIENCE) -> Json:
        """The budget once it is so."""

        async def look() -> Json | None:
            found = await self.budget(ref)
            return found if found is not None and holds(found) else None

        found = await eventually(look, seconds)
        if found is None:
            raise AssertionError(f"never so: {str(await self.budget(ref))[:1500]}; parked: {await self.parked()}")
        return dict(found)

    async def complete(self, ref: str, revision: int = 1) -> Json:
        return await self.budget_when(ref, lambda b: bool(b["complete"] and b["revision"] >= revision))

    async def look_at_deadlines(self) -> None:
        """What the timer of `ras` does every five seconds, now."""
        ras = self.deployment.running["ras"]
        for timer in ras.service.timers:
            async with ras.transactions() as tx:
                await timer.work(tx)

    async def notice(self, ref: str, stream: str, **body: Any) -> httpx.Response:
        sent = {"stream": stream, "decision": "confirmed", "reference": "N1"} | body
        return await self.http.post(f"/streams/{stream}/assessments/{ref}/notices", json=sent)


async def eventually(look: Callable[[], Awaitable[Any]], seconds: float = PATIENCE, pause: float = 0.03) -> Any:
    """What `look` finds as soon as it finds something; None when time is up."""
    limit = time.monotonic() + seconds
    while not (found := await look()):
        if time.monotonic() > limit:
            return None
        await asyncio.sleep(pause)
    return found


def lines_of(budget: Json, stream: str) -> list[Json]:
    return [line for line in budget["lines"] if line["stream"] == stream]


def status_of(budget: Json, stream: str) -> str:
    (status,) = {line["status"] for line in lines_of(budget, stream)}
    return str(status)


@asynccontextmanager
async def open_house(
    postgres: EmbeddedPostgres,
    database: str,
    kafka: EmbeddedKafka | None,
    *,
    prefix: str = "",
    services: Sequence[Service] | None = None,
) -> AsyncIterator[House]:
    clock = MovableClock()
    async with (
        one_process(
            postgres,
            database=database,
            kafka=kafka.bootstrap if kafka else None,
            kafka_prefix=prefix,
            clock=clock,
            services=list(services) if services is not None else None,
            pepper=b"pepper",
        ) as deployment,
        deployment.client("http://house") as http,
    ):
        yield House(postgres, database, clock, deployment, http)
