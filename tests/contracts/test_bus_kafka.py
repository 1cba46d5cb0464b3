"""What only the Kafka bus promises: it outlives its broker and its own clients."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

import pytest

from chassis import bus_kafka_consumer
from chassis.bus import BusUnavailable, Outgoing
from chassis.bus_kafka import KafkaBus
from deploy.kafka import EmbeddedKafka
from tests.contracts.bus_help import (
    eventually,
    numbered,
    read_through,
    send,
    send_until_taken,
    settled,
    values,
)


async def test_kafka_broker_killed_under_sends(new_kafka: Callable[..., KafkaBus], kafka: EmbeddedKafka) -> None:
    bus = new_kafka(send_timeout=2)  # shorter than the outage: the producer is rebuilt in the middle of it
    await bus.create_topics(["t"])
    consumer, producer = await bus.consumer("g", ["t"]), await bus.producer("test")

    async def all_sent() -> None:
        for start in range(0, 200, 10):
            await send_until_taken(producer, numbered(10, start=start))
            await asyncio.sleep(0.02)

    sending = asyncio.create_task(all_sent())
    reading = asyncio.create_task(read_through(consumer, 200, 90))
    await asyncio.sleep(0.2)
    await asyncio.to_thread(kafka.kill)
    await asyncio.to_thread(kafka.restart)
    await sending
    records = await reading
    assert values(records) == list(range(200))
    by_key = defaultdict(list)
    for record in sorted(records, key=lambda r: r.offset):
        by_key[record.key].append(int(record.value))
    assert all(numbers == sorted(numbers) for numbers in by_key.values())

    async def committed() -> bool:
        try:
            await consumer.poll(500, 0.1)
            await consumer.commit()
            return sum((await consumer.lag()).values()) == 0
        except BusUnavailable:
            return False

    await eventually(committed)


async def test_kafka_failed_producer_is_replaced(new_kafka: Callable[..., KafkaBus]) -> None:
    bus = new_kafka(send_timeout=0.5)
    await bus.create_topics(["t"])
    producer = await bus.producer("test")
    failed = producer._inner  # type: ignore[attr-defined]
    with pytest.raises(BusUnavailable):
        await producer.send([Outgoing("no-such-topic", b"", b"")])
    await producer.send(numbered(10))
    assert producer._inner is not failed  # type: ignore[attr-defined]
    assert sum((await bus.end_offsets(["t"])).values()) == 10


async def test_kafka_absent_broker_is_told_in_time() -> None:
    bus = KafkaBus("127.0.0.1:9", start_timeout=0.5)
    started = time.monotonic()
    for call in (
        bus.producer("p"),
        bus.consumer("g", ["t"]),
        bus.create_topics(["t"]),
        bus.end_offsets(["t"]),
    ):
        with pytest.raises(BusUnavailable):
            await call
    assert time.monotonic() - started < 4


async def test_kafka_consumer_that_stands_still_is_rebuilt(
    new_kafka: Callable[..., KafkaBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_kafka_consumer, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(bus_kafka_consumer, "BEHIND_SECONDS", 0.1)
    bus = new_kafka()
    await bus.create_topics(["t"])
    consumer = await bus.consumer("g", ["t"])
    await eventually(lambda: settled([consumer]))
    inner = consumer._inner  # type: ignore[attr-defined]
    inner.pause(*inner.assignment())
    await send(bus, numbered(10))
    assert values(await read_through(consumer, 10)) == list(range(10))
    assert consumer._inner is not inner  # type: ignore[attr-defined]
