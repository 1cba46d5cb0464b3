"""Old events read from the log instead of the outboxes, for a replay: copied to a table of the same columns first, so
that one way of ordering them serves both."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import inbox
from chassis.bus import Bus, BusUnavailable, Consumer, Record
from chassis.database import Database
from chassis.transaction import columns

GROUP = "tributary-replay"
"""It never commits: each time it reads from the start."""
PATIENCE_SECONDS = 60.0
TABLE = """
CREATE TABLE {schema}.old_event (
  shard int, off bigint, event_id uuid, type text, topic text, subject uuid, correlation_id uuid, causation_id uuid,
  traceparent text, occurred_at timestamptz, source text, payload bytea
)
"""
INSERT = """
INSERT INTO {schema}.old_event
SELECT * FROM unnest(CAST(:part AS int[]), CAST(:off AS bigint[]), CAST(:id AS uuid[]), CAST(:type AS text[]),
  CAST(:topic AS text[]), CAST(:subject AS uuid[]), CAST(:correlation AS uuid[]), CAST(:cause AS uuid[]),
  CAST(:trace AS text[]), CAST(:time AS timestamptz[]), CAST(:source AS text[]), CAST(:payload AS bytea[]))
"""
NAMES = ("part", "off", "id", "type", "topic", "subject", "correlation", "cause", "trace", "time", "source", "payload")


async def copy_log(bus: Bus, topics: Sequence[str], owner: Database, schema: str) -> None:
    """Everything the topics hold now, into `schema`.old_event, which is made. Raises BusUnavailable."""
    ends = {part: end for part, end in (await bus.end_offsets(topics)).items() if end}
    async with owner.engine.begin() as connection:
        await connection.execute(text(TABLE.format(schema=schema)))
    consumer = await bus.consumer(GROUP, topics)
    try:
        await _copy(consumer, ends, owner, schema)
    finally:
        await consumer.close()


async def _copy(consumer: Consumer, ends: dict[tuple[str, int], int], owner: Database, schema: str) -> None:
    heard = time.monotonic()
    while ends:
        records = await consumer.poll(500, 0.5)
        if records:
            heard = time.monotonic()
            async with owner.engine.begin() as connection:
                await _keep(connection, schema, records)
        elif time.monotonic() - heard > PATIENCE_SECONDS:
            raise BusUnavailable(f"the log stopped before its end, {len(ends)} partitions missing")
        for record in records:
            if record.offset + 1 >= ends.get((record.topic, record.partition), 0):
                ends.pop((record.topic, record.partition), None)


async def _keep(connection: AsyncConnection, schema: str, records: Sequence[Record]) -> None:
    """What can be read: what cannot was parked and is in no state."""
    found: list[Any] = [m for m in map(inbox.read, records) if m.received is not None]
    arrays = columns(
        found,
        lambda m: m.record.partition,
        lambda m: m.record.offset,
        lambda m: m.event_id,
        lambda m: m.received.envelope.type,
        lambda m: m.record.topic,
        lambda m: m.person_ref,
        lambda m: m.received.envelope.correlation_id,
        lambda m: m.received.envelope.causation_id,
        lambda m: m.received.envelope.traceparent,
        lambda m: m.received.envelope.time,
        lambda m: m.received.envelope.source,
        lambda m: m.record.value,
    )
    await connection.execute(text(INSERT.format(schema=schema)), dict(zip(NAMES, arrays, strict=True)))
