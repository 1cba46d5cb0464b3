"""Outbox → topic: committed rows, in order per shard. After a crash it sends again; consumers drop the repeats."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from typing import Any

from chassis import telemetry
from chassis.bus import Bus, BusUnavailable, Outgoing, Producer
from chassis.database import Backoff, is_transient
from chassis.sql import Rows, fetch
from chassis.transaction import Transactions
from contracts.event import Envelope

LEASE_SECONDS = 5
IDLE_SECONDS = 0.05
MOST_PER_SHARD = 250

TAKE_LEASE = f"""
UPDATE outbox_cursor SET owner = :me, lease_until = clock_timestamp() + interval '{LEASE_SECONDS} seconds'
FROM set_config('synchronous_commit', 'off', true)
WHERE owner = :me OR owner IS NULL OR lease_until < clock_timestamp() RETURNING shard
"""
PENDING = """
WITH sent AS (
  SELECT * FROM unnest(CAST(:shards AS smallint[]), CAST(:positions AS bigint[])) AS g(shard, pos)
), moved AS (
  UPDATE outbox_cursor c SET pos = sent.pos FROM sent, set_config('synchronous_commit', 'off', true)
  WHERE c.shard = sent.shard AND c.owner = :me AND c.pos < sent.pos
)
SELECT o.* FROM outbox_cursor c LEFT JOIN sent ON sent.shard = c.shard CROSS JOIN LATERAL (
  SELECT shard, off, event_id, type, topic, subject, correlation_id, causation_id, traceparent, occurred_at, source,
         payload
  FROM outbox WHERE outbox.shard = c.shard AND outbox.off >= greatest(c.pos, sent.pos) ORDER BY off LIMIT :most
) o WHERE c.owner = :me
"""
"""Asks for the next and moves the cursor past what was sent: in one commit, that need not wait for the disk. To lose
it in a crash only sends again."""
GIVE_UP = "UPDATE outbox_cursor SET owner = NULL WHERE owner = :me"


class Relay:
    """One per process of a service; the shards' leases decide which process sends. A second owner only repeats."""

    def __init__(self, bus: Bus, transactions: Transactions) -> None:
        self.bus, self.transactions = bus, transactions
        self.me = str(uuid.uuid4())
        self.log = telemetry.logger(transactions.source)
        self._leased_until = 0.0
        self._sent: dict[int, int] = {}
        """Where the cursor is to go: shard -> offset of the next record."""

    async def run(self) -> None:
        backoff = Backoff()
        while True:
            producer: Producer | None = None
            try:
                producer = await self.bus.producer(self.transactions.source)
                await self._send_for_ever(producer)
            except BusUnavailable as fault:
                self.log.warning("relay_waits_for_bus", reason=fault.code)
            except Exception as fault:
                if not is_transient(fault):
                    raise
                self.log.warning("relay_waits_for_database", fault=type(fault).__name__)
            finally:
                if producer is not None:
                    await asyncio.shield(producer.close())
            await backoff.wait()

    async def _send_for_ever(self, producer: Producer) -> None:
        idle = IDLE_SECONDS
        while True:
            if await self.send_pending(producer):
                idle = IDLE_SECONDS
                continue
            try:
                await asyncio.wait_for(self.transactions.committed.wait(), idle)
            except TimeoutError:
                idle = min(idle * 1.5, 0.5)

    async def send_pending(self, producer: Producer) -> int:
        """Send what is committed and not sent yet. Returns how many."""
        self.transactions.committed.clear()
        await self._hold_lease()
        pending = await self._next(MOST_PER_SHARD)
        if not pending:
            return 0
        started = time.perf_counter()
        await producer.send([outgoing(row) for row in pending])
        telemetry.RELAY_SECONDS.labels(self.transactions.name).observe(time.perf_counter() - started)
        self._sent = {shard: off + 1 for shard, off, *_ in pending}  # in order, so the last of each shard
        telemetry.SENT.labels(self.transactions.name).inc(len(pending))
        return len(pending)

    async def _next(self, most: int) -> Sequence[Any]:
        """Rows to send, at most so many a shard."""
        sent, self._sent = self._sent, {}
        return (await self._run(PENDING, shards=list(sent), positions=list(sent.values()), most=most)).all()

    async def _hold_lease(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._leased_until:
            return
        await self._run(TAKE_LEASE)
        self._leased_until = now + LEASE_SECONDS / 3

    async def stop(self) -> None:
        """Let another process take over at once, from where this one ends."""
        await self._next(0)
        await self._run(GIVE_UP)

    async def _run(self, sql: str, **values: Any) -> Rows:
        """One statement, committed by itself."""
        async with self.transactions.database.connection() as connection:
            return await fetch(connection, sql, {**values, "me": self.me})


def outgoing(row: Any) -> Outgoing:
    """A row of PENDING as a record: CloudEvents headers, the payload untouched."""
    _, _, event_id, kind, topic, subject, correlation_id, causation_id, traceparent, at, source, payload = row
    envelope = Envelope(
        id=event_id,
        type=kind,
        source=source,
        subject=subject,
        time=at,
        correlation_id=correlation_id,
        causation_id=causation_id,
        traceparent=traceparent,
    )
    return Outgoing(topic, str(subject).encode(), payload, envelope.headers())
