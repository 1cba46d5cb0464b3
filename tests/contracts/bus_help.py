"""What the tests of the bus share: numbered records, and reading until they are there."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from chassis.bus import Bus, BusUnavailable, Consumer, Outgoing, Producer, Record

PARTITIONS = 4
LEASE = 1.0
NewBus = Callable[[], Bus]


def numbered(n: int, keys: int = 20, topic: str = "t", start: int = 0) -> list[Outgoing]:
    return [Outgoing(topic, b"key-%d" % (i % keys), b"%d" % i) for i in range(start, start + n)]


async def send(bus: Bus, batch: Sequence[Outgoing]) -> None:
    producer = await bus.producer("test")
    await producer.send(batch)
    await producer.close()


async def send_until_taken(producer: Producer, batch: Sequence[Outgoing]) -> None:
    """Send as a relay does: the same again until it is taken. A machine under load needs half a minute for a broker."""

    async def taken() -> bool:
        try:
            await producer.send(batch)
        except BusUnavailable:
            return False
        return True

    await eventually(taken, 90)


async def read(consumer: Consumer, n: int, seconds: float = 20) -> list[Record]:
    """Poll until `n` records came."""
    records: list[Record] = []
    deadline = time.monotonic() + seconds
    while len(records) < n:
        assert time.monotonic() < deadline, f"only {len(records)} of {n} records came"
        records += await consumer.poll(500, 0.2)
    return records


async def read_through(consumer: Consumer, n: int, seconds: float = 30) -> list[Record]:
    """As `read`, for a log that may be away meanwhile; of records with one value the first counts."""
    records: dict[bytes, Record] = {}

    async def enough() -> bool:
        try:
            for record in await consumer.poll(500, 0.2):
                records.setdefault(record.value, record)
        except BusUnavailable:
            return False
        return len(records) >= n

    await eventually(enough, seconds)
    return list(records.values())


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)


async def settled(consumers: Sequence[Consumer]) -> bool:
    """Whether the members own all partitions of "t", each some and none twice. Drops records."""
    for consumer in consumers:
        await consumer.poll(500, 0.02)
        await consumer.commit()
    if not all(consumer.assigned for consumer in consumers):
        return False
    owned = [list(await consumer.lag()) for consumer in consumers]
    return all(owned) and sorted(part for parts in owned for part in parts) == [
        ("t", part) for part in range(PARTITIONS)
    ]


def values(records: Sequence[Record]) -> list[int]:
    return sorted(int(record.value) for record in records)
