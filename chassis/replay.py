"""Old events through today's code, in a schema of their own: does it lead to what the service holds (rebuild), and
does it decide as it decided then (shadow)? Nothing is sent and nothing of the service's own schema is changed.

Events run as the inbox remembers them: in the batches and at the moments in which they were first handled, commands in
between. Between a command and an event of the same few milliseconds the order is not known.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import inbox, migrate
from chassis.bus import Bus, Record
from chassis.database import Database
from chassis.relay import outgoing
from chassis.replay_log import copy_log
from chassis.service import Command, Received, Service, SystemClock
from chassis.state_hash import Difference, first_difference, state_hash
from chassis.transaction import Staged, Transaction, Transactions

FIRST_FEW = 20
COLUMNS = """shard, off, event_id, type, topic, subject, correlation_id, causation_id, traceparent, occurred_at, source,
  payload"""
WIDTH = len(COLUMNS.split(","))
EVENTS = """
SELECT o.*, coalesce(p.released_at, i.received_at) AS handled_at, p.id AS parked_id
FROM ({outboxes}) o JOIN inbox i ON i.event_id = o.event_id
LEFT JOIN parked p ON p.event_id = o.event_id AND p.payload_hash = i.payload_hash
WHERE o.topic = ANY(CAST(:topics AS text[])) AND (p.id IS NULL OR p.ended = 'released')
ORDER BY handled_at, parked_id NULLS FIRST, o.occurred_at, o.shard, o.off
"""
TOLD = "SELECT event_id, payload FROM outbox WHERE event_id = ANY(CAST(:ids AS uuid[]))"


class CannotReplay(Exception):
    """What was handled then fails now; the message names the event or command and the fault's kind."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """`tables` are the hashes of what the service holds; `differs` the first row that was not rebuilt the same."""

    service: str
    events: int
    commands: int
    identical: bool
    differs: Difference | None
    tables: dict[str, str]

    @property
    def unchanged(self) -> bool:
        return self.identical


class Change(msgspec.Struct, frozen=True):
    """An event the service told then and tells otherwise now: the top-level fields that differ."""

    event_id: UUID
    type: str
    subject: UUID
    fields: list[str]


class Shadowed(msgspec.Struct, kw_only=True):
    """`changed` events by field; `new`: told now and not then; `gone`: told then and not now. `first` few changes."""

    service: str
    events: int = 0
    same: int = 0
    changed: int = 0
    new: int = 0
    gone: int = 0
    fields: Counter[str] = msgspec.field(default_factory=Counter)
    first: list[Change] = msgspec.field(default_factory=list)

    @property
    def unchanged(self) -> bool:
        return not (self.changed or self.new or self.gone)


@dataclass
class Replay:
    """One service's past. `owner_url` is of a role that owns every schema; `schemas` are of those that publish what
    the service reads. `actor` goes into the audit log."""

    service: Service
    owner_url: str
    schemas: Sequence[str]
    actor: str
    reason: str = ""
    bus: Bus | None = None
    """Where set, old events are read from the log instead of the outboxes, as far as it still holds them."""
    events: int = 0
    commands: int = 0

    @property
    def scratch(self) -> str:
        return f"replay_{self.service.schema}"

    @property
    def log(self) -> str:
        return f"{self.scratch}_log"

    async def rebuild(self) -> Rebuilt:
        """Raises CannotReplay."""
        async with self._schema() as target, self._live() as live:
            async for batch in self._past(live):
                await self._run(target, batch)
            async with target.engine.begin() as rebuilt:
                here, there = (live, self.service.schema), (rebuilt, self.scratch)
                differs = await first_difference(here, there, self.service.derived)
            found = Rebuilt(
                service=self.service.name,
                events=self.events,
                commands=self.commands,
                identical=differs is None,
                differs=differs,
                tables=await state_hash(*here, self.service.derived),
            )
        await self._audit("replay.rebuild", identical=found.identical)
        return found

    async def shadow(self, ignore: frozenset[str] = frozenset()) -> Shadowed:
        """Compare what would be told now with what was told then, but for the fields in `ignore`.

        Raises CannotReplay."""
        found = Shadowed(service=self.service.name)
        told: set[UUID] = set()
        async with self._schema() as target, self._live() as live:
            async for batch in self._past(live):
                staged = await self._run(target, batch)
                told.update(s.event_id for s in staged)
                await self._compare(live, staged, found, ignore)
            then = (await live.execute(text("SELECT event_id FROM outbox"))).scalars()
            found.gone = len(set(then) - told)
        found.events = self.events
        await self._audit("replay.shadow", changed=found.changed, new=found.new, gone=found.gone)
        return found

    @asynccontextmanager
    async def _live(self) -> AsyncIterator[AsyncConnection]:
        """What the service holds at this moment, whatever it does meanwhile."""
        database = _unhurried(self.owner_url, self.service.schema)
        try:
            async with database.engine.connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                await connection.execute(text("SELECT 1"))  # so that the transaction has begun, whoever reads first
                yield connection
        finally:
            await database.close()

    @asynccontextmanager
    async def _schema(self) -> AsyncIterator[Database]:
        """An empty schema with the service's tables, for the time of the block."""
        owner, target = _unhurried(self.owner_url, "public"), _unhurried(self.owner_url, self.scratch)
        empty = replace(self.service, schema=self.scratch)
        try:
            async with owner.engine.begin() as connection:
                await connection.execute(text(f"DROP SCHEMA IF EXISTS {self.scratch} CASCADE"))
                await connection.execute(text(f"CREATE SCHEMA {self.scratch}"))
                await connection.run_sync(migrate.upgrade, empty)
            if self.bus is not None:
                async with owner.engine.begin() as connection:
                    await connection.execute(text(f"DROP SCHEMA IF EXISTS {self.log} CASCADE"))
                    await connection.execute(text(f"CREATE SCHEMA {self.log}"))
                await copy_log(self.bus, self.service.handlers.topics(), owner, self.log)
            yield target
        finally:
            await target.close()
            async with owner.engine.begin() as connection:
                await connection.execute(text(f"DROP SCHEMA IF EXISTS {self.scratch}, {self.log} CASCADE"))
            await owner.close()

    async def _past(self, live: AsyncConnection) -> AsyncIterator["Step"]:
        """Batches of events and single commands, in the order in which they were handled."""
        driver = (await live.get_raw_connection()).driver_connection
        reading = Transaction(driver, "", SystemClock().now())
        commands = await self.service.commands(reading) if self.service.commands else []
        waiting = sorted((Step(c.at, command=c) for c in commands), key=lambda s: s.at)
        async for step in self._batches(live):
            while waiting and waiting[0].at <= step.at:
                yield waiting.pop(0)
            yield step
        for step in waiting:
            yield step

    async def _batches(self, live: AsyncConnection) -> AsyncIterator["Step"]:
        tables = [f"{self.log}.old_event"] if self.bus else [f"{schema}.outbox" for schema in self.schemas]
        outboxes = " UNION ALL ".join(f"SELECT {COLUMNS} FROM {table}" for table in tables)
        sql = text(EVENTS.format(outboxes=outboxes))
        batch: list[Any] = []
        async with live.stream(sql, {"topics": self.service.handlers.topics()}) as rows:
            async for row in rows:
                if batch and _together(row) != _together(batch[0]):
                    yield Step(batch[0].handled_at, rows=batch)
                    batch = []
                batch.append(row)
        if batch:
            yield Step(batch[0].handled_at, rows=batch)

    async def _run(self, target: Database, step: "Step") -> list[Staged]:
        """One step in a transaction of its own. What it would tell is returned and dropped."""
        async with target.begin() as connection:
            tx = Transaction(connection, f"/tributary/{self.service.name}", step.at)
            try:
                if step.command is not None:
                    await step.command.run(tx)
                    self.commands += 1
                else:
                    received = self._received(step.rows)
                    await self.service.handlers.handle(received, tx)
                    self.events += len(received)
            except Exception as fault:
                what = "a command" if step.command else f"event {step.rows[0].event_id} or another of its batch"
                why = type(fault).__name__
                raise CannotReplay(f"{what}, first handled {step.at:%Y-%m-%d %H:%M:%S}, fails now: {why}") from fault
        return tx.staged

    def _received(self, rows: Sequence[Any]) -> list[Received[Any]]:
        """Decoded as the consumer decodes; an event that was sent twice on purpose counts once."""
        found = []
        for row in {row.event_id: row for row in rows}.values():
            out = outgoing(tuple(row)[:WIDTH])
            message = inbox.read(Record(out.topic, 0, row.off, out.key, out.value, out.headers))
            if message.received is None:
                raise ValueError(message.fault)
            found.append(message.received)
        return found

    async def _compare(
        self, live: AsyncConnection, staged: Sequence[Staged], found: Shadowed, ignore: frozenset[str]
    ) -> None:
        ids = [s.event_id for s in staged]
        then = {row.event_id: bytes(row.payload) for row in (await live.execute(text(TOLD), {"ids": ids})).all()}
        for one in staged:
            if one.event_id not in then:
                found.new += 1
                continue
            fields = _differing(then[one.event_id], one.payload, ignore)
            if not fields:
                found.same += 1
                continue
            found.changed += 1
            found.fields.update(fields)
            if len(found.first) < FIRST_FEW:
                found.first.append(Change(one.event_id, one.type, one.subject, fields))

    async def _audit(self, action: str, **detail: int | bool) -> None:
        database = Database(self.owner_url, self.service.schema, pool=1)
        try:
            async with Transactions(database, self.service.name, SystemClock())() as tx:
                detail |= {"events": self.events, "commands": self.commands}
                tx.record(self.actor, action, f"service/{self.service.name}", self.reason, **detail)
        finally:
            await database.close()


@dataclass(frozen=True)
class Step:
    """What one transaction did then: a batch of events, or a command."""

    at: datetime
    rows: Sequence[Any] = ()
    command: Command | None = None


def _together(row: Any) -> tuple[object, ...]:
    """Rows of one batch. What was released ran one by one."""
    return row.handled_at, row.parked_id


def _differing(then: bytes, now: bytes, ignore: frozenset[str]) -> list[str]:
    if then == now:
        return []
    old, new = msgspec.json.decode(then), msgspec.json.decode(now)
    return sorted(name for name in (old.keys() | new.keys()) - ignore if old.get(name) != new.get(name))


def _unhurried(url: str, schema: str) -> Database:
    """A long reading is no sign of a fault here."""
    limits = ("statement_timeout", "transaction_timeout", "idle_in_transaction_session_timeout")
    return Database(url, schema, pool=2, session=dict.fromkeys(limits, "0"))
