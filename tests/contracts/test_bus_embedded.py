"""What only the embedded bus promises: leases, epochs, wake-ups, and life after a crash of its database."""

import asyncio
import time
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.bus import BusUnavailable
from chassis.bus_embedded import EmbeddedBus
from deploy.postgres import EmbeddedPostgres
from tests.contracts.bus_help import LEASE, PARTITIONS, numbered, read, read_through, send, send_until_taken, values


async def test_embedded_epoch_fences_a_stale_owner(
    new_embedded: Callable[[], EmbeddedBus], engine: AsyncEngine, schema: str
) -> None:
    bus = new_embedded()
    await bus.create_topics(["t"])
    await send(bus, numbered(20))
    consumer = await bus.consumer("g", ["t"])
    await read(consumer, 20)
    change = "UPDATE {}.log_group SET lease_until = 'infinity', {}"
    async with engine.begin() as connection:  # part 0: another owner; the rest: lost and got back
        await connection.execute(text(change.format(schema, "owner = 'thief' WHERE part = 0")))
        await connection.execute(text(change.format(schema, "epoch = epoch + 1 WHERE part > 0")))
    await consumer.commit()
    async with engine.connect() as connection:
        offsets = await connection.scalars(text(f"SELECT next_off FROM {schema}.log_group"))
        assert set(offsets) == {0}
    assert set(await consumer.lag()) <= {("t", part) for part in range(1, PARTITIONS)}


async def test_embedded_dead_member_is_replaced(new_embedded: Callable[[], EmbeddedBus]) -> None:
    bus = new_embedded()
    await bus.create_topics(["t"])
    await send(bus, numbered(20))
    dead = await bus.consumer("g", ["t"])
    await read(dead, 20)
    assert dead._task is not None  # type: ignore[attr-defined]
    dead._task.cancel()  # type: ignore[attr-defined]
    heir = await new_embedded().consumer("g", ["t"])
    assert not heir.assigned
    assert values(await read(heir, 20, seconds=4 * LEASE)) == list(range(20))
    assert heir.assigned


async def test_embedded_slow_handler_keeps_its_partitions(new_embedded: Callable[[], EmbeddedBus]) -> None:
    bus = new_embedded()
    await bus.create_topics(["t"])
    await send(bus, numbered(20))
    consumer = await bus.consumer("g", ["t"])
    await read(consumer, 20)
    await asyncio.sleep(2 * LEASE)  # the background task renews meanwhile
    await consumer.commit()
    assert sum((await consumer.lag()).values()) == 0


async def test_embedded_send_wakes_at_once(engine: AsyncEngine, schema: str) -> None:
    bus = EmbeddedBus(engine, schema, idle_poll=30)
    await bus.create_topics(["t"])
    consumer = await bus.consumer("g", ["t"])
    waiting = asyncio.create_task(consumer.poll(500, 60))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await send(bus, numbered(1))
    assert len(await waiting) == 1
    assert time.monotonic() - started < 0.5
    await bus.close()


async def test_embedded_sees_records_of_another_process(new_embedded: Callable[[], EmbeddedBus]) -> None:
    mine, other = new_embedded(), new_embedded()
    await mine.create_topics(["t"])
    consumer = await mine.consumer("g", ["t"])
    waiting = asyncio.create_task(consumer.poll(500, 10))
    await asyncio.sleep(1)
    started = time.monotonic()
    await send(other, numbered(1))
    assert len(await waiting) == 1
    assert time.monotonic() - started < 0.4


async def test_embedded_survives_a_restart_of_the_database(
    new_embedded: Callable[[], EmbeddedBus], postgres: EmbeddedPostgres
) -> None:
    bus = new_embedded()
    await bus.create_topics(["t"])
    producer, consumer = await bus.producer("test"), await bus.consumer("g", ["t"])
    await producer.send(numbered(10))
    await read(consumer, 10)
    await consumer.commit()
    postgres.kill()
    try:
        with pytest.raises(BusUnavailable):
            await producer.send(numbered(10))
        started = time.monotonic()
        with pytest.raises(BusUnavailable):
            await consumer.poll(500, 0.3)
        assert time.monotonic() - started < 1.5
        await consumer.commit()
        await asyncio.sleep(LEASE)
    finally:
        postgres.restart()
    await send_until_taken(producer, numbered(10, start=10))
    assert set(values(await read_through(consumer, 10))) == set(range(10, 20))
