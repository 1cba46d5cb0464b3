"""Outbox to topic: every committed row at least once, in order, whatever is killed or repeated."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import pytest

from chassis.bus import Bus, BusUnavailable, Outgoing, Producer, Record
from chassis.transaction import Cause
from contracts.payments import AcceptedBudgetRecorded as Told
from tests.chassis.conftest import NewProbe
from tests.chassis.probe import TOPIC, Probe, person, told

PEOPLE = [person(n) for n in range(12)]


async def tell(probe: Probe, revisions: range) -> None:
    for revision in revisions:
        async with probe.transactions() as tx:
            for who in PEOPLE:
                tx.publish(told(who, revision), Cause(UUID(int=3)))


async def everything(bus: Bus, n: int, group: str = "reader", seconds: float = 30) -> list[Record]:
    """Poll until `n` records came, and a little longer for any that should not be there."""
    consumer = await bus.consumer(group, [TOPIC])
    found: list[Record] = []
    limit = time.monotonic() + seconds
    while len(found) < n:
        assert time.monotonic() < limit, f"{len(found)} of {n} records came"
        found += await consumer.poll(500, 0.2)
    found += await consumer.poll(500, 0.3)
    await consumer.close()
    return found


def first_sight(records: Sequence[Record]) -> dict[UUID, list[int]]:
    """Person -> revisions in the order a consumer that drops repeats sees them."""
    found: dict[UUID, list[int]] = defaultdict(list)
    seen: set[bytes] = set()
    for record in records:
        event_id = dict(record.headers)["ce_id"]
        if event_id not in seen:
            seen.add(event_id)
            event = Told.decode(record.value)
            found[event.person_ref].append(event.revision)
    return found


class Faulty(Producer):
    """The real producer on a bad day: `before` it sends nothing, `after` it sends and the receipt is lost."""

    def __init__(self, real: Producer, faults: list[str]) -> None:
        self.real, self.faults = real, faults

    async def send(self, batch: Sequence[Outgoing]) -> None:
        fault = self.faults.pop(0) if self.faults else ""
        if fault != "before":
            await self.real.send(batch)
        if fault:
            raise BusUnavailable(fault)

    async def close(self) -> None:
        await self.real.close()


async def send_all(probe: Probe, producer: Producer) -> None:
    while await probe.relay.send_pending(producer):
        pass


async def test_every_committed_row_is_sent_once_and_in_order(new_probe: NewProbe, bus: Bus) -> None:
    probe = new_probe()
    await tell(probe, range(1, 41))
    producer = await bus.producer("test")
    await send_all(probe, producer)
    await tell(probe, range(41, 51))
    await send_all(probe, producer)
    records = await everything(bus, 50 * len(PEOPLE))
    assert len(records) == 50 * len(PEOPLE)
    assert first_sight(records) == {who: list(range(1, 51)) for who in PEOPLE}


@pytest.mark.parametrize("fault", ["before", "after"])
async def test_a_send_that_fails_is_sent_again(new_probe: NewProbe, bus: Bus, fault: str) -> None:
    """The cursor moves only once every record has its receipt: nothing is lost, and a repeat is all that may come."""
    probe = new_probe()
    await tell(probe, range(1, 6))
    producer = Faulty(await bus.producer("test"), [fault, fault])
    for _ in range(2):
        with pytest.raises(BusUnavailable):
            await probe.relay.send_pending(producer)
    (cursor,) = await probe.rows("SELECT sum(pos) AS sent FROM outbox_cursor")
    assert cursor.sent == 0
    await send_all(probe, producer)
    times = 3 if fault == "after" else 1
    records = await everything(bus, 5 * len(PEOPLE) * times)
    assert len(records) == 5 * len(PEOPLE) * times
    assert first_sight(records) == {who: [1, 2, 3, 4, 5] for who in PEOPLE}


async def test_two_relays_at_once_only_repeat(new_probe: NewProbe, bus: Bus) -> None:
    """One is frozen beyond its lease, another takes over, the first wakes up: order and completeness hold."""
    one, other = new_probe(), new_probe()
    await tell(one, range(1, 6))
    producer = await bus.producer("test")
    asleep, awake = asyncio.Event(), asyncio.Event()

    class Frozen(Producer):
        async def send(self, batch: Sequence[Outgoing]) -> None:
            asleep.set()
            await awake.wait()
            await producer.send(batch)

        async def close(self) -> None: ...

    frozen = asyncio.create_task(one.relay.send_pending(Frozen()))
    await asleep.wait()
    assert await other.relay.send_pending(producer) == 0  # the lease is not its own yet
    await one.rows("UPDATE outbox_cursor SET lease_until = now() - interval '1 second' RETURNING shard")
    other.relay._leased_until = 0.0
    await send_all(other, producer)
    await tell(other, range(6, 11))
    await send_all(other, producer)
    awake.set()
    await frozen
    (cursor,) = await one.rows("SELECT sum(pos) AS sent FROM outbox_cursor")
    assert cursor.sent == 10 * len(PEOPLE), "the first relay moved the cursor of shards it no longer owns"
    records = await everything(bus, 15 * len(PEOPLE))
    assert len(records) == 15 * len(PEOPLE)
    assert first_sight(records) == {who: list(range(1, 11)) for who in PEOPLE}


async def test_a_lease_of_another_process_is_respected_and_given_back(new_probe: NewProbe, bus: Bus) -> None:
    one, other = new_probe(), new_probe()
    await tell(one, range(1, 3))
    producer = await bus.producer("test")
    await send_all(one, producer)
    await tell(one, range(3, 4))
    assert await other.relay.send_pending(producer) == 0
    await one.relay.stop()
    other.relay._leased_until = 0.0
    assert await other.relay.send_pending(producer) == len(PEOPLE)


async def test_the_running_relay_is_woken_by_a_commit(new_probe: NewProbe, bus: Bus) -> None:
    probe = new_probe()
    running = asyncio.create_task(probe.relay.run())
    try:
        await tell(probe, range(1, 4))
        records = await everything(bus, 3 * len(PEOPLE))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert first_sight(records) == {who: [1, 2, 3] for who in PEOPLE}


async def test_a_record_carries_its_envelope(new_probe: NewProbe, bus: Bus) -> None:
    """CloudEvents binary mode: ce_ headers, the cause, the trace, and the payload untouched."""
    probe, cause = new_probe(), Cause(UUID(int=3), UUID(int=4), f"00-{1:032x}-{2:016x}-01")
    async with probe.transactions() as tx:
        event_id = tx.publish(told(PEOPLE[0], 1), cause)
    await send_all(probe, await bus.producer("test"))
    (record,) = await everything(bus, 1)
    headers = dict(record.headers)
    assert record.key == str(PEOPLE[0]).encode() == headers["ce_subject"] == headers["ce_partitionkey"]
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_id"] == str(event_id).encode()
    assert headers["ce_type"] == b"uk.tributary.payments.budget-recorded.v1"
    assert headers["ce_source"] == b"/tributary/probe"
    assert headers["ce_correlationid"] == str(UUID(int=3)).encode()
    assert headers["ce_causationid"] == str(UUID(int=4)).encode()
    own_span = f"{event_id.int % 2**64:016x}"
    assert headers["traceparent"].decode() == f"00-{1:032x}-{own_span}-01"
    assert Told.decode(record.value) == told(PEOPLE[0], 1)
