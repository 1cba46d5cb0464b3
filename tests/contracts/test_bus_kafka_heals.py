"""The Kafka bus gets over what happens to brokers, groups and members, on the real broker."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DeleteGroupsRequest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from chassis.bus import BusUnavailable, Consumer
from chassis.bus_kafka import KafkaBus
from chassis.consume import Consuming
from chassis.service import Handlers
from contracts.payments import AcceptedBudgetRecorded as Told
from deploy.kafka import EmbeddedKafka
from tests.contracts.bus_help import PARTITIONS, eventually, numbered, read, read_through, send, settled, values

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def admin_of(kafka: EmbeddedKafka) -> AsyncIterator[Any]:
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def committed(kafka: EmbeddedKafka, bus: KafkaBus, group: str = "g") -> dict[int, int]:
    """Partition of "t" -> the offset the group has committed."""
    async with admin_of(kafka) as admin:
        found = await admin.list_consumer_group_offsets(bus._prefix + group)
    return {part.partition: at.offset for part, at in found.items()}


async def test_a_member_joins_and_leaves_under_load(new_kafka: Callable[..., KafkaBus], kafka: EmbeddedKafka) -> None:
    bus = new_kafka()
    await bus.create_topics(["t"])
    first, producer = await bus.consumer("g", ["t"]), await bus.producer("test")
    await eventually(lambda: settled([first]))
    seen: set[int] = set()
    stop = asyncio.Event()

    async def load() -> int:
        n = 0
        while not stop.is_set():
            await producer.send(numbered(20, start=n))
            n += 20
            await asyncio.sleep(0.02)
        return n

    async def work(consumer: Consumer, until: asyncio.Event) -> None:
        while not until.is_set():
            records = await consumer.poll(500, 0.05)
            seen.update(int(record.value) for record in records)
            await consumer.commit()

    done, leave = asyncio.Event(), asyncio.Event()
    loading = asyncio.create_task(load())
    mine = asyncio.create_task(work(first, done))
    second = await new_kafka().consumer("g", ["t"])
    others = asyncio.create_task(work(second, leave))

    async def shared() -> bool:
        return all([len(await consumer.lag()) == PARTITIONS // 2 for consumer in (first, second)])

    await eventually(shared)
    leave.set()
    await others
    await second.close()

    async def alone() -> bool:
        return len(await first.lag()) == PARTITIONS

    await eventually(alone)
    stop.set()
    sent = await loading

    async def all_seen() -> bool:
        return seen == set(range(sent)) and sum((await committed(kafka, bus)).values()) == sent

    await eventually(all_seen)
    done.set()
    await mine


async def test_a_frozen_member_does_not_commit_over_the_new_owner(
    new_kafka: Callable[..., KafkaBus], kafka: EmbeddedKafka
) -> None:
    bus = new_kafka()
    await bus.create_topics(["t"])
    await send(bus, numbered(40))
    command = ["-m", "tests.contracts.member", kafka.bootstrap, bus._prefix, "40"]
    pipe = asyncio.subprocess.PIPE
    frozen = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=pipe, stdout=pipe, cwd=ROOT)
    assert frozen.stdin is not None
    assert frozen.stdout is not None
    try:
        assert await asyncio.wait_for(frozen.stdout.readline(), 30) == b"polled\n"
        os.kill(frozen.pid, signal.SIGSTOP)
        owner = await bus.consumer("g", ["t"])
        await send(bus, numbered(40, start=40))
        assert values(await read_through(owner, 80)) == list(range(80))
        await owner.commit()
        before = await committed(kafka, bus)
        assert sum(before.values()) == 80
        frozen.stdin.write(b"go on\n")
        os.kill(frozen.pid, signal.SIGCONT)
        assert await asyncio.wait_for(frozen.stdout.readline(), 30) == b"committed\n"
        assert await committed(kafka, bus) == before, "older offsets over newer ones"
        await owner.close()
        await send(bus, numbered(40, start=80))

        async def it_works_again() -> bool:
            return sum((await committed(kafka, bus)).values()) == 120

        await eventually(it_works_again)
    finally:
        frozen.kill()
        await frozen.wait()


async def test_broker_absent_at_start(new_kafka: Callable[..., KafkaBus], kafka: EmbeddedKafka) -> None:
    bus = new_kafka()
    await bus.create_topics(["t"])
    await asyncio.to_thread(kafka.kill)
    waiting = KafkaBus(kafka.bootstrap, prefix=bus._prefix, start_timeout=90)
    sending = asyncio.create_task(waiting.producer("test"))
    reading = asyncio.create_task(waiting.consumer("g", ["t"]))
    await asyncio.sleep(0.5)
    assert not sending.done(), "it waits for the broker"
    assert not reading.done()
    await asyncio.to_thread(kafka.restart)
    producer, consumer = await sending, await reading
    await producer.send(numbered(10))
    assert values(await read_through(consumer, 10)) == list(range(10))
    await waiting.close()


class Taking(Consuming):
    """Only takes note of what came: the database is not the matter here."""

    def __init__(self, bus: KafkaBus) -> None:
        handlers = Handlers()
        handlers.on(Told)(never)
        super().__init__("probe", handlers, bus, None)  # type: ignore[arg-type]
        self.came = 0

    async def _claim(self, records: Any, generation: object) -> None:
        """No database, no fence."""

    async def process(self, messages: Any) -> None:
        self.came += len(messages)


async def never(batch: Any, tx: Any) -> None:
    raise AssertionError("Taking hands nothing on")


async def test_a_missing_topic_is_told_by_its_code_and_waited_for(new_kafka: Callable[..., KafkaBus]) -> None:
    bus = new_kafka()
    taking = Taking(bus)
    with capture_logs() as logs:
        running = asyncio.create_task(taking.run())

        async def told() -> bool:
            return any(line.get("reason") == "topics_missing" for line in logs)

        await eventually(told)
        assert not taking.ready
        await bus.create_topics([Told.topic()])
        await send(bus, numbered(10, topic=Told.topic()))

        async def came() -> bool:
            return taking.came == 10

        await eventually(came)
        assert taking.ready
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert {line["event"] for line in logs if line["log_level"] == "warning"} >= {"bus_unavailable"}


async def test_a_group_whose_offsets_have_gone_reads_all_again_and_says_so(
    new_kafka: Callable[..., KafkaBus], kafka: EmbeddedKafka
) -> None:
    bus = new_kafka()
    await bus.create_topics(["t"])
    consumer = await bus.consumer("g", ["t"])
    with capture_logs() as logs:
        await eventually(lambda: settled([consumer]))
        await send(bus, numbered(30))
        await read(consumer, 30)
        await consumer.commit()
        await consumer.close()
        again = await bus.consumer("g", ["t"])
        await eventually(lambda: settled([again]))
        await again.close()
    assert logs == [], "a new group on an empty log, and one with offsets, are nothing to tell"

    async with admin_of(kafka) as admin:
        answer = await admin._send_to_controller(DeleteGroupsRequest([bus._prefix + "g"]))
    assert [code for _, code in answer.results] == [0]
    counted = told_of_group()
    with capture_logs() as logs:
        after = await bus.consumer("g", ["t"])
        assert values(await read(after, 30)) == list(range(30)), "nothing is skipped"
    assert [(line["event"], line["service"], line["records"]) for line in logs] == [("group_without_offsets", "g", 30)]
    assert told_of_group() == counted + 1


def told_of_group() -> float:
    return REGISTRY.get_sample_value("tributary_group_without_offsets_total", {"group": "g"}) or 0


async def test_a_producer_whose_numbering_is_broken_is_replaced(new_kafka: Callable[..., KafkaBus]) -> None:
    """The broker's own refusal, OutOfOrderSequenceNumber: no such producer is ever believed again."""
    bus = new_kafka(send_timeout=20)
    await bus.create_topics(["t"])
    producer: Any = await bus.producer("test")
    await producer.send(numbered(20))
    broken = producer._inner
    for part in range(PARTITIONS):  # as if a batch was given up after it got its numbers
        broken._txn_manager.increment_sequence_number(TopicPartition(bus._prefix + "t", part), 5)
    with pytest.raises(BusUnavailable, match="OutOfOrderSequence"):
        await producer.send(numbered(20, start=20))
    await producer.send(numbered(20, start=20))
    assert producer._inner is not broken
    assert values(await read(await bus.consumer("g", ["t"]), 40)) == list(range(40))
