"""The same work as it is usually written: one message, one session, one commit, one awaited send."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from deploy.bench import hops
from deploy.bench.hops import COMBINER, GROUPS, Peer


async def budgets_a_second(peer: Peer, count: int, progress: Callable[[int], None]) -> float:
    """Put `count` assessments on the topic, then time until the last budget event is there."""
    engine = create_async_engine(peer.database_url.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=16)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    producer = AIOKafkaProducer(bootstrap_servers=peer.bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    consumers = {g: await _consumer(peer, g, hops.read_from(g)) for g in (*GROUPS, COMBINER)}
    budgets = await _consumer(peer, "usual-heard", hops.BUDGETS)
    tasks = [asyncio.create_task(_group(sessions, producer, consumers[g], g)) for g in (*GROUPS, COMBINER)]
    try:
        started = time.monotonic()
        for _ in range(count):
            ref = uuid.uuid4()
            await _send(producer, hops.ASSESSMENTS, ref, "asked", hops.body(hops.ASSESSMENT_BYTES))
        heard: set[bytes] = set()
        while len(heard) < count:
            for records in (await budgets.getmany(timeout_ms=200)).values():
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
        await engine.dispose()


async def _consumer(peer: Peer, group: str, topic: str) -> Any:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=peer.bootstrap, group_id=f"usual-{group}", enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    await consumer.start()
    return consumer


async def _send(producer: Any, topic: str, ref: uuid.UUID, part: str, body: bytes) -> None:
    headers = [("ce_id", hops.event_id(ref, part).bytes), ("ce_part", part.encode()), ("ce_source", b"/peer")]
    await producer.send_and_wait(topic, body, key=ref.bytes, headers=headers)


async def _group(sessions: "async_sessionmaker[AsyncSession]", producer: Any, consumer: Any, group: str) -> None:
    async for record in consumer:
        headers = dict(record.headers)
        ref, part = uuid.UUID(bytes=record.key), headers["ce_part"].decode()
        async with sessions() as session, session.begin():
            await session.execute(text(f"SET LOCAL search_path TO {group}"))
            found = await session.execute(
                text("INSERT INTO inbox VALUES (:id, :hash) ON CONFLICT DO NOTHING RETURNING event_id"),
                {"id": uuid.UUID(bytes=headers["ce_id"]), "hash": hashlib.blake2b(record.value).digest()},
            )
            told = None
            if found.first() is not None:
                told = await _apply(session, group, ref, part, record.value)
        if told is not None:
            await _send(producer, hops.topic_of(group), ref, *told)
        await consumer.commit()


async def _apply(session: AsyncSession, group: str, ref: uuid.UUID, part: str, body: bytes) -> tuple[str, bytes] | None:
    await session.execute(
        text("INSERT INTO state VALUES (:ref, :part, :body)"), {"ref": ref, "part": part, "body": body}
    )
    told = (group, hops.body(hops.DECISION_BYTES))
    if group == COMBINER:
        found = await session.execute(text("SELECT count(*) FROM state WHERE ref = :ref"), {"ref": ref})
        if found.scalar_one() != len(GROUPS):
            return None
        told = ("budget", hops.body(hops.BUDGET_BYTES))
    await session.execute(
        text("INSERT INTO outbox (event_id, ref, part, body) VALUES (:id, :ref, :part, :body)"),
        {"id": hops.event_id(ref, told[0]), "ref": ref, "part": told[0], "body": told[1]},
    )
    return told
