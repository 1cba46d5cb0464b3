"""The batch ceiling: no rules, asyncpg and `unnest`, one process. What whole budgets a second could be at the most."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from deploy.bench import hops
from deploy.bench.hops import COMBINER, GROUPS, Peer, Told

BATCH = 500
MARK = """
INSERT INTO inbox SELECT * FROM unnest($1::uuid[], $2::bytea[]) ON CONFLICT DO NOTHING RETURNING event_id
"""
STATE = "INSERT INTO state SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[]) ON CONFLICT DO NOTHING"
COUNT = "SELECT ref, count(*) FROM state WHERE ref = ANY($1::uuid[]) GROUP BY ref"
OUT = """
INSERT INTO outbox (event_id, ref, part, body) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[])
"""
PENDING = "SELECT id, event_id, ref, part, body FROM outbox WHERE id > $1 ORDER BY id LIMIT 500"


async def budgets_a_second(peer: Peer, count: int, progress: Callable[[int], None]) -> float:
    """Put `count` assessments on the topic, then time until the last budget event is there."""
    pool = await asyncpg.create_pool(peer.database_url, min_size=4, max_size=20)
    producer = AIOKafkaProducer(
        bootstrap_servers=peer.bootstrap, acks="all", enable_idempotence=True, compression_type="lz4", linger_ms=2,
        max_batch_size=131072,
    )  # fmt: skip
    await producer.start()
    consumers = {g: await _consumer(peer, g, hops.read_from(g)) for g in (*GROUPS, COMBINER)}
    budgets = await _consumer(peer, "ceiling-heard", hops.BUDGETS)
    tasks = [asyncio.create_task(_group(pool, consumers[g], g)) for g in (*GROUPS, COMBINER)]
    tasks += [asyncio.create_task(_relay(pool, producer, g)) for g in (*GROUPS, COMBINER)]
    try:
        started = time.monotonic()
        for first in range(0, count, BATCH):
            told = [_assessment() for _ in range(min(BATCH, count - first))]
            await _send(producer, hops.ASSESSMENTS, told)
        heard: set[bytes] = set()
        while len(heard) < count:
            for records in (await budgets.getmany(timeout_ms=200, max_records=BATCH)).values():
                heard |= {r.key for r in records}
            progress(len(heard))
            for task in tasks:
                if task.done():
                    task.result()
        return count / (time.monotonic() - started)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(budgets.stop(), producer.stop(), *(c.stop() for c in consumers.values()))
        await pool.close()


def _assessment() -> Told:
    ref = uuid.uuid4()
    return Told(hops.event_id(ref, "asked"), ref, "asked", hops.body(hops.ASSESSMENT_BYTES))


async def _consumer(peer: Peer, group: str, topic: str) -> Any:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=peer.bootstrap, group_id=f"ceiling-{group}", enable_auto_commit=False,
        auto_offset_reset="earliest", max_poll_records=BATCH, fetch_max_wait_ms=100,
        partition_assignment_strategy=[StickyPartitionAssignor],
    )  # fmt: skip
    await consumer.start()
    return consumer


async def _send(producer: Any, topic: str, told: Sequence[Told]) -> None:
    receipts = [
        await producer.send(
            topic,
            t.body,
            key=t.ref.bytes,
            headers=[("ce_id", t.event_id.bytes), ("ce_part", t.part.encode()), ("ce_source", b"/peer")],
        )
        for t in told
    ]
    await asyncio.gather(*receipts)


async def _group(pool: "asyncpg.Pool[Any]", consumer: Any, group: str) -> None:
    last = time.monotonic()
    while True:
        polled = await consumer.getmany(timeout_ms=200, max_records=BATCH)
        told = [_told(r) for records in polled.values() for r in records]
        if told:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(f"SET LOCAL search_path TO {group}")
                await _apply(connection, group, told)
        if time.monotonic() - last > 1:
            await consumer.commit()
            last = time.monotonic()


def _told(record: Any) -> Told:
    headers = dict(record.headers)
    return Told(
        uuid.UUID(bytes=headers["ce_id"]), uuid.UUID(bytes=record.key), headers["ce_part"].decode(), record.value
    )


async def _apply(connection: Any, group: str, told: Sequence[Told]) -> None:
    """Inbox, state and outbox of one batch."""
    ids, refs, parts, bodies = (list(column) for column in zip(*told, strict=True))
    hashes = [hashlib.blake2b(b, digest_size=16).digest() for b in bodies]
    new = {row[0] for row in await connection.fetch(MARK, ids, hashes)}
    fresh = [t for t in told if t.event_id in new]
    if not fresh:
        return
    ids, refs, parts, bodies = (list(column) for column in zip(*fresh, strict=True))
    await connection.execute(STATE, refs, parts, bodies)
    if group == COMBINER:
        complete = [r[0] for r in await connection.fetch(COUNT, list(set(refs))) if r[1] == len(GROUPS)]
        out = [Told(hops.event_id(r, "budget"), r, "budget", hops.body(hops.BUDGET_BYTES)) for r in complete]
    else:
        out = [Told(hops.event_id(t.ref, group), t.ref, group, hops.body(hops.DECISION_BYTES)) for t in fresh]
    if out:
        await connection.execute(OUT, *(list(column) for column in zip(*out, strict=True)))


async def _relay(pool: "asyncpg.Pool[Any]", producer: Any, group: str) -> None:
    """Reads by identity: enough where one process writes one transaction at a time."""
    position = 0
    while True:
        rows = await pool.fetch(PENDING.replace("FROM outbox", f"FROM {group}.outbox"), position)
        if not rows:
            await asyncio.sleep(0.02)
            continue
        await _send(producer, hops.topic_of(group), [Told(*row[1:]) for row in rows])
        position = rows[-1][0]
