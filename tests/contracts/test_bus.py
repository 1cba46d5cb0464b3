"""The contract of the bus port, on both adapters: PostgreSQL 18 and Apache Kafka, both real."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence

import pytest
import pytest_asyncio

from chassis.bus import MAX_RECORD_BYTES, Bus, BusUnavailable, Consumer, Outgoing, Record, RecordTooLarge
from chassis.bus_records import partition_of
from tests.contracts.bus_help import PARTITIONS, NewBus, eventually, numbered, read, read_through, send, settled, values


@pytest.fixture(params=["new_embedded", "new_kafka"])
def new_bus(request: pytest.FixtureRequest) -> NewBus:
    """Makes buses on one log, each as another process would have it."""
    make: NewBus = request.getfixturevalue(request.param)
    return make


@pytest_asyncio.fixture
async def bus(new_bus: NewBus) -> Bus:
    made = new_bus()
    await made.create_topics(["t", "u"])
    return made


async def test_order_per_key_without_gaps(bus: Bus) -> None:
    producer = await bus.producer("test")
    for start in range(0, 300, 60):
        await producer.send(numbered(60, start=start))
    records = await read(await bus.consumer("g", ["t"]), 300)

    by_key, by_part = defaultdict(list), defaultdict(list)
    for record in records:
        by_key[record.key].append(int(record.value))
        by_part[record.partition].append(record.offset)
        assert record.topic == "t"
        assert record.partition == partition_of(record.key, PARTITIONS)
    assert by_key == {b"key-%d" % k: list(range(k, 300, 20)) for k in range(20)}
    assert all(offsets == list(range(len(offsets))) for offsets in by_part.values())


async def test_senders_at_once_lose_nothing(bus: Bus) -> None:
    async def sender(n: int) -> None:
        producer = await bus.producer(f"test-{n}")
        for start in range(0, 100, 20):
            batch = [
                *numbered(20, topic="t", start=1000 * n + start),
                *numbered(20, topic="u", start=1000 * n),
            ]
            await producer.send(batch if n % 2 else batch[::-1])

    await asyncio.gather(*(sender(n) for n in range(8)))
    records = await read(await bus.consumer("g", ["t", "u"]), 1600)
    assert values([r for r in records if r.topic == "t"]) == [1000 * n + i for n in range(8) for i in range(100)]
    assert len(records) == 1600
    assert sum((await bus.end_offsets(["t", "u"])).values()) == 1600


async def test_dropped_without_commit_all_come_again(bus: Bus) -> None:
    await send(bus, numbered(50))
    for _ in range(2):
        consumer = await bus.consumer("g", ["t"])
        assert values(await read(consumer, 50)) == list(range(50))
        await consumer.close()


async def test_commit_survives_a_restart(bus: Bus, new_bus: NewBus) -> None:
    await send(bus, numbered(50))
    consumer = await bus.consumer("g", ["t"])
    await read(consumer, 50)
    await consumer.commit()
    await send(bus, numbered(30, start=50))
    await bus.close()

    again = await new_bus().consumer("g", ["t"])
    assert values(await read(again, 30)) == list(range(50, 80))
    assert await again.poll(500, 0.3) == []


async def test_groups_do_not_disturb_each_other(bus: Bus) -> None:
    await send(bus, numbered(20))
    for group in ("g", "h"):
        consumer = await bus.consumer(group, ["t"])
        assert len(await read(consumer, 20)) == 20
        await consumer.commit()


async def test_commit_is_never_ahead_of_poll(bus: Bus) -> None:
    await send(bus, numbered(50))
    consumer = await bus.consumer("g", ["t"])
    await consumer.commit()
    seen: list[Record] = []
    while len(seen) < 10:
        got = await consumer.poll(10 - len(seen), 1)
        assert len(got) <= 10 - len(seen)
        seen += got
    await consumer.commit()
    await consumer.close()

    rest = await read(await bus.consumer("g", ["t"]), 40)
    assert values([*seen, *rest]) == list(range(50))


async def test_the_same_batch_sent_twice_comes_twice(bus: Bus) -> None:
    for _ in range(2):
        await send(bus, numbered(5))
    assert values(await read(await bus.consumer("g", ["t"]), 10)) == sorted([*range(5)] * 2)


async def test_lag_is_exact(bus: Bus) -> None:
    await send(bus, numbered(50))
    consumer = await bus.consumer("g", ["t"])
    records = await read(consumer, 50)
    ends = {("t", part): sum(record.partition == part for record in records) for part in range(PARTITIONS)}
    assert await consumer.lag() == await bus.end_offsets(["t"]) == ends

    await consumer.commit()
    assert await consumer.lag() == dict.fromkeys(ends, 0)
    await send(bus, [Outgoing("t", records[0].key, b"50")])
    assert await consumer.lag() == dict.fromkeys(ends, 0) | {("t", records[0].partition): 1}


@pytest.mark.parametrize("part", ["key", "value", "header"])
async def test_oversize_is_refused_before_anything_is_sent(bus: Bus, part: str) -> None:
    big = b"x" * MAX_RECORD_BYTES
    fits = Outgoing("t", b"k", big[1:-3], [("n", b"h")])
    over = {
        "key": Outgoing("t", big, b"v"),
        "value": Outgoing("t", b"k", big),
        "header": Outgoing("t", b"k", big[2:], [("n", b"h")]),
    }
    producer = await bus.producer("test")
    with pytest.raises(RecordTooLarge):
        await producer.send([*numbered(3), over[part], *numbered(3)])
    assert sum((await bus.end_offsets(["t"])).values()) == 0

    await producer.send([*numbered(2), fits, *numbered(2, start=2)])
    records = await read(await bus.consumer("g", ["t"]), 5)
    assert max(len(record.value) for record in records) == MAX_RECORD_BYTES - 4


async def test_bytes_come_back_exactly(bus: Bus) -> None:
    headers = [
        ("all", bytes(range(256))),
        ("empty", b""),
        ("not-utf-8", b"\xff\xfe\x00\x80"),
        ("twice", b"1"),
        ("twice", b"2"),
        ("name é 漢", "é漢\N{PILE OF POO}".encode()),
        ("", b"no name"),
        ("quotes", b'"\\{}[]:%s'),
    ]
    batch = [
        Outgoing("t", b"\x00\xff", bytes(range(256)), headers),
        Outgoing("t", b"\x00\xff", b"", [("", b"")]),
        Outgoing("t", b"", b"empty key"),
    ]
    await send(bus, batch)
    records = await read(await bus.consumer("g", ["t"]), 3)
    got = {(record.key, record.value, tuple(record.headers)) for record in records}
    assert got == {(record.key, record.value, tuple(record.headers)) for record in batch}


async def test_five_thousand_at_once(bus: Bus) -> None:
    started = time.monotonic()
    await send(bus, [Outgoing("t", b"%d" % i, b"%d" % i + b" " * 600) for i in range(5000)])
    consumer = await bus.consumer("g", ["t"])
    assert values(await read(consumer, 5000)) == list(range(5000))
    assert time.monotonic() - started < 10


async def test_topics(bus: Bus) -> None:
    assert await bus.missing_topics(["t", "v", "u", "w"]) == ["v", "w"]
    await bus.create_topics(["t", "v"])
    assert await bus.missing_topics(["t", "v", "u", "w"]) == ["w"]
    assert await bus.end_offsets(["t", "v"]) == {(t, p): 0 for t in ("t", "v") for p in range(PARTITIONS)}
    with pytest.raises(BusUnavailable, match="w"):
        await bus.consumer("g", ["t", "w"])


async def test_poll_waits_and_is_woken(bus: Bus) -> None:
    producer = await bus.producer("test")
    consumer = await bus.consumer("g", ["t"])
    await eventually(lambda: settled([consumer]))
    started = time.monotonic()
    assert await consumer.poll(500, 0.5) == []
    assert 0.4 < time.monotonic() - started < 1

    waiting = asyncio.create_task(consumer.poll(500, 10))
    await asyncio.sleep(0.3)
    started = time.monotonic()
    await producer.send(numbered(1))
    assert len(await waiting) == 1
    assert time.monotonic() - started < 0.5


async def read_together(consumers: Sequence[Consumer], n: int) -> list[list[Record]]:
    got: list[list[Record]] = [[] for _ in consumers]

    async def enough() -> bool:
        for records, consumer in zip(got, consumers, strict=True):
            records += await consumer.poll(500, 0.05)
        return sum(map(len, got)) >= n

    await eventually(enough)
    return got


async def test_two_members_share_and_one_takes_over(bus: Bus, new_bus: NewBus) -> None:
    first, second = await bus.consumer("g", ["t"]), await new_bus().consumer("g", ["t"])
    await eventually(lambda: settled([first, second]))
    await send(bus, numbered(100))
    mine, others = await read_together([first, second], 100)
    assert mine
    assert others
    assert {r.partition for r in mine}.isdisjoint(r.partition for r in others)
    assert values([*mine, *others]) == list(range(100))

    await first.commit()
    await second.commit()
    await first.close()
    await send(bus, numbered(100, start=100))
    # twice, perhaps, what came and was not committed before the second one got the partitions of the first
    assert values(await read_through(second, 100)) == list(range(100, 200))
    await eventually(lambda: settled([second]))


async def test_partitions_taken_cannot_be_committed_back(bus: Bus, new_bus: NewBus) -> None:
    await send(bus, numbered(60))
    old = await bus.consumer("g", ["t"])
    await read(old, 60)
    new = await new_bus().consumer("g", ["t"])
    taken: list[Record] = []

    async def some_taken() -> bool:
        await old.poll(500, 0.05)
        taken.extend(await new.poll(500, 0.05))
        return bool(taken)

    await eventually(some_taken)
    await old.commit()  # returned the very same records, but owns them no more

    async def rest_committed() -> bool:  # what was lost does not hinder the rest
        await old.poll(500, 0.05)
        await old.commit()
        lag = await old.lag()
        return bool(lag) and not any(lag.values())

    await eventually(rest_committed)
    await old.close()
    await new.close()

    parts = {record.partition for record in taken}
    assert parts != set(range(PARTITIONS))
    again = await read(await bus.consumer("g", ["t"]), len(taken))
    missing = {(r.partition, r.offset) for r in taken} - {(r.partition, r.offset) for r in again}
    assert not missing
