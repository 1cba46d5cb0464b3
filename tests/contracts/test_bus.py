"""The contract of the bus port, on both adapters: PostgreSQL 18 and Apache Kafka, both real."""

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chassis import bus_kafka_consumer
from chassis.bus import MAX_RECORD_BYTES, Bus, BusUnavailable, Consumer, Outgoing, Record, RecordTooLarge
from chassis.bus_embedded import EmbeddedBus
from chassis.bus_kafka import KafkaBus
from chassis.bus_records import partition_of
from deploy.kafka import EmbeddedKafka
from deploy.postgres import EmbeddedPostgres

PARTITIONS = 4
LEASE = 1.0
NewBus = Callable[[], Bus]


@pytest_asyncio.fixture
async def engine(postgres: EmbeddedPostgres) -> AsyncIterator[AsyncEngine]:
    url = make_url(postgres.url(postgres.superuser, postgres.password, "postgres"))
    # The test server commits without waiting for the kernel: a killed one would forget the last commits.
    durable = {"server_settings": {"synchronous_commit": "on"}}
    engine = create_async_engine(url.set(drivername="postgresql+asyncpg"), connect_args=durable)
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture
async def schema(engine: AsyncEngine) -> AsyncIterator[str]:
    name = f"bus_{uuid.uuid4().hex}"
    for _ in range(2):  # installing twice must do no harm
        async with engine.begin() as connection:
            await EmbeddedBus(engine, name).install(connection)
    yield name
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP SCHEMA {name} CASCADE"))


@pytest_asyncio.fixture
async def new_embedded(engine: AsyncEngine, schema: str) -> AsyncIterator[Callable[[], EmbeddedBus]]:
    buses: list[EmbeddedBus] = []

    def make() -> EmbeddedBus:
        buses.append(EmbeddedBus(engine, schema, PARTITIONS, lease=LEASE))
        return buses[-1]

    yield make
    await asyncio.gather(*(bus.close() for bus in buses))


@pytest_asyncio.fixture
async def new_kafka(kafka: EmbeddedKafka) -> AsyncIterator[Callable[[], KafkaBus]]:
    buses: list[KafkaBus] = []
    prefix = f"{uuid.uuid4().hex}."

    def make() -> KafkaBus:
        buses.append(KafkaBus(kafka.bootstrap, partitions=PARTITIONS, prefix=prefix))
        return buses[-1]

    yield make
    await asyncio.gather(*(bus.close() for bus in buses))


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


def numbered(n: int, keys: int = 20, topic: str = "t", start: int = 0) -> list[Outgoing]:
    return [Outgoing(topic, b"key-%d" % (i % keys), b"%d" % i) for i in range(start, start + n)]


async def send(bus: Bus, batch: Sequence[Outgoing]) -> None:
    producer = await bus.producer("test")
    await producer.send(batch)
    await producer.close()


async def read(consumer: Consumer, n: int, seconds: float = 20) -> list[Record]:
    """Poll until `n` records came."""
    records: list[Record] = []
    deadline = time.monotonic() + seconds
    while len(records) < n:
        assert time.monotonic() < deadline, f"only {len(records)} of {n} records came"
        records += await consumer.poll(500, 0.2)
    return records


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)


def values(records: Sequence[Record]) -> list[int]:
    return sorted(int(record.value) for record in records)


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
    await send_until_taken(bus, numbered(10, start=10))
    assert set(values(await read_through(consumer, 10))) == set(range(10, 20))


async def send_until_taken(bus: Bus, batch: Sequence[Outgoing]) -> None:
    producer = await bus.producer("again")

    async def taken() -> bool:
        try:
            await producer.send(batch)
        except BusUnavailable:
            return False
        return True

    await eventually(taken, 30)


async def read_through(consumer: Consumer, n: int, seconds: float = 30) -> list[Record]:
    """As `read`, for a log that may be away meanwhile; counts different values."""
    records: dict[bytes, Record] = {}

    async def enough() -> bool:
        try:
            records.update((record.value, record) for record in await consumer.poll(500, 0.2))
        except BusUnavailable:
            return False
        return len(records) >= n

    await eventually(enough, seconds)
    return list(records.values())


async def test_kafka_broker_killed_under_sends(new_kafka: Callable[[], KafkaBus], kafka: EmbeddedKafka) -> None:
    bus = new_kafka()
    await bus.create_topics(["t"])
    consumer = await bus.consumer("g", ["t"])

    async def all_sent() -> None:
        for start in range(0, 200, 10):
            await send_until_taken(bus, numbered(10, start=start))
            await asyncio.sleep(0.02)

    sending = asyncio.create_task(all_sent())
    reading = asyncio.create_task(read_through(consumer, 200, 60))
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
        await consumer.poll(500, 0.1)
        await consumer.commit()
        return sum((await consumer.lag()).values()) == 0

    await eventually(committed)


async def test_kafka_failed_producer_is_replaced(new_kafka: Callable[[], KafkaBus], kafka: EmbeddedKafka) -> None:
    bus = KafkaBus(kafka.bootstrap, partitions=PARTITIONS, prefix=f"{uuid.uuid4().hex}.", send_timeout=0.5)
    await bus.create_topics(["t"])
    producer = await bus.producer("test")
    failed = producer._inner  # type: ignore[attr-defined]
    with pytest.raises(BusUnavailable):
        await producer.send([Outgoing("no-such-topic", b"", b"")])
    await producer.send(numbered(10))
    assert producer._inner is not failed  # type: ignore[attr-defined]
    assert sum((await bus.end_offsets(["t"])).values()) == 10
    await bus.close()


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
    new_kafka: Callable[[], KafkaBus], monkeypatch: pytest.MonkeyPatch
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
