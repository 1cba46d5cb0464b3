"""Inbox marks, state and outbox rows in one commit. Only the chassis commits; `publish` is the only way out."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from prometheus_client import Histogram

from chassis import audit, telemetry, trace
from chassis.bus import MAX_RECORD_BYTES, RecordTooLarge
from chassis.database import Database
from chassis.service import Clock, Received
from chassis.sql import Rows, fetch
from contracts.event import Event, derived_id

SHARDS = 16
"""Fixed: a person's shard must never change, or their order is lost."""


class Cause(NamedTuple):
    """What made this happen. At the root, `causation_id` is None and `correlation_id` is the new event's own id."""

    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str = ""

    @classmethod
    def of(cls, received: Received[Any]) -> "Cause":
        envelope = received.envelope
        return cls(envelope.correlation_id, envelope.id, envelope.traceparent)


class Staged(NamedTuple):
    """An event waiting for the commit: a row of the outbox."""

    shard: int
    event_id: UUID
    type: str
    topic: str
    subject: UUID
    correlation_id: UUID
    causation_id: UUID | None
    traceparent: str
    payload: bytes


class Transaction:
    """What a handler and a command work with. `now` is UTC and the same for the whole transaction; `connection` is
    asyncpg's, with a transaction begun."""

    def __init__(self, connection: Any, source: str, now: datetime) -> None:
        self.connection, self.source, self.now = connection, source, now
        self.staged: list[Staged] = []
        self.audited: list[audit.Entry] = []
        self.measured: list[tuple[Histogram, float]] = []

    async def execute(self, sql: str, values: Mapping[str, Any] | None = None) -> Rows:
        """One statement with `:named` values. Set-based: arrays and `unnest`, never one call a row."""
        return await fetch(self.connection, sql, values or {})

    def publish(self, event: Event, cause: Cause, audience: str = "", payload: bytes | None = None) -> UUID:
        """Tell a fact, once, when this transaction commits. Returns the event's id, the same on every retry.

        `payload` is the event's JSON, where it is made already. Raises RecordTooLarge: better refused here than stuck
        in the outbox for ever.
        """
        payload = payload or msgspec.json.encode(event)
        if len(payload) > MAX_RECORD_BYTES - 4096:
            raise RecordTooLarge(f"{event.type} is over the largest record the log takes")
        event_id = derived_id(cause.correlation_id, event.type, *event.identity())
        person = event.person_ref
        self.staged.append(
            Staged(
                shard_of(person),
                event_id,
                event.type,
                event.topic(audience),
                person,
                cause.correlation_id,
                cause.causation_id,
                trace.child(cause.traceparent, event_id, cause.correlation_id),
                payload,
            )
        )
        return event_id

    def measure(self, histogram: Histogram, seconds: float) -> None:
        """Observe something (label `service`) once this transaction is committed; what is rolled back never was."""
        self.measured.append((histogram, seconds))

    def record(self, actor: str, action: str, subject: str, reason: str = "", **detail: str | int | bool) -> None:
        """Keep who did or saw what, in this commit. No personal data: `subject` is an opaque reference."""
        at = self.now.isoformat()
        entry = audit.Entry(at=at, actor=actor, action=action, subject=subject, reason=reason, detail=detail)
        self.audited.append(entry)


class Transactions:
    """Opens transactions of one service. `committed` is set after each commit that told something."""

    def __init__(self, database: Database, source: str, clock: Clock) -> None:
        self.database, self.source, self.clock = database, f"/tributary/{source}", clock
        self.name = source
        self.committed = asyncio.Event()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Transaction]:
        started = time.perf_counter()
        async with self.database.begin() as connection:
            tx = Transaction(connection, self.source, self.clock.now())
            yield tx
            await audit.append(tx)
            await append(tx)
        telemetry.TX_SECONDS.labels(self.name).observe(time.perf_counter() - started)
        for histogram, seconds in tx.measured:
            histogram.labels(self.name).observe(seconds)
        if tx.staged:
            self.committed.set()


APPEND = """
WITH x AS (
  SELECT g.*, row_number() OVER (PARTITION BY g.shard ORDER BY g.ord) - 1 AS rn
  FROM unnest(CAST(:shards AS smallint[]), CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:topics AS text[]),
              CAST(:subjects AS uuid[]), CAST(:correlations AS uuid[]), CAST(:causes AS uuid[]),
              CAST(:traces AS text[]), CAST(:payloads AS bytea[]))
       WITH ORDINALITY
       AS g(shard, event_id, type, topic, subject, correlation_id, causation_id, traceparent, payload, ord)
), counted AS (
  SELECT shard, count(*) AS c FROM x GROUP BY shard
), locked AS MATERIALIZED (
  SELECT shard FROM outbox_head WHERE shard IN (SELECT shard FROM counted) ORDER BY shard FOR UPDATE
), heads AS (
  UPDATE outbox_head h SET next = h.next + counted.c FROM counted JOIN locked USING (shard)
  WHERE h.shard = counted.shard RETURNING h.shard, h.next - counted.c AS base
)
INSERT INTO outbox (shard, off, day, event_id, type, topic, subject, correlation_id, causation_id, traceparent,
                    occurred_at, source, payload)
SELECT x.shard, heads.base + x.rn, CAST(CAST(:now AS timestamptz) AS date), x.event_id, x.type, x.topic, x.subject,
       x.correlation_id, x.causation_id, x.traceparent, CAST(:now AS timestamptz), :source, x.payload
FROM x JOIN heads ON heads.shard = x.shard
"""


STAGED = ("shards", "ids", "types", "topics", "subjects", "correlations", "causes", "traces", "payloads")


async def append(tx: Transaction) -> None:
    """Write the staged events. The last statement of the transaction: it locks the shards' heads, in shard order, so
    that offsets are gapless and a shard's order is the order of commits."""
    if not tx.staged:
        return
    arrays = map(list, zip(*tx.staged, strict=True))
    await tx.execute(APPEND, {**dict(zip(STAGED, arrays, strict=True)), "now": tx.now, "source": tx.source})


def shard_of(person_ref: UUID) -> int:
    return person_ref.int % SHARDS


def columns(records: Sequence[Any], *getters: Callable[[Any], Any]) -> list[list[Any]]:
    """Rows to arrays, for `unnest`."""
    return [[get(record) for record in records] for get in getters]
