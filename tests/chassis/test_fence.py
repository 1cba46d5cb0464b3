"""The fence, with the inbox switched off, which would hide it: a woken member's batch must not take effect."""

import asyncio

import pytest

from chassis import inbox
from chassis.bus import Record
from chassis.fence import Fence, Fenced
from chassis.inbox import Message, Sorted
from chassis.service import Received
from chassis.transaction import Transaction
from contracts.payments import AcceptedBudgetRecorded as Told
from tests.chassis.conftest import NewProbe
from tests.chassis.probe import Probe, outgoing, person, record, told


@pytest.fixture(autouse=True)
def no_inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    marked = inbox.mark

    async def everything_is_fresh(tx: Transaction, messages: list[Message], fence: Fence) -> Sorted:
        await marked(tx, messages, fence)
        return Sorted(list(messages), [], [])

    monkeypatch.setattr(inbox, "mark", everything_is_fresh)


async def claim(probe: Probe, one: Record, generation: int = 1) -> None:
    await probe.consuming._claim([one], generation)


ONE = record(outgoing(told(person(1), 1)))


@pytest.mark.parametrize("bus", ["embedded_bus"], indirect=True)
async def test_a_woken_member_writes_nothing(new_probe: NewProbe) -> None:
    frozen, owner = new_probe(), new_probe()
    await claim(frozen, ONE)
    await claim(owner, ONE)
    await owner.take([ONE])
    with pytest.raises(Fenced):
        await frozen.take([ONE])
    assert await owner.effects() == {person(1): [1]}


@pytest.mark.parametrize("bus", ["embedded_bus"], indirect=True)
async def test_a_new_owner_waits_for_the_batch_under_way(new_probe: NewProbe) -> None:
    slow, owner = new_probe(), new_probe()
    working, go_on = asyncio.Event(), asyncio.Event()

    async def pause(batch: list[Received[Told]], tx: Transaction) -> None:
        working.set()
        await go_on.wait()

    slow.hook = pause
    await claim(slow, ONE)
    batch = asyncio.create_task(slow.take([ONE]))
    await working.wait()
    claiming = asyncio.create_task(claim(owner, ONE))
    await asyncio.sleep(0.3)
    assert not claiming.done()
    go_on.set()
    await asyncio.gather(batch, claiming)
    assert await owner.effects() == {person(1): [1]}


@pytest.mark.parametrize("bus", ["embedded_bus"], indirect=True)
async def test_partitions_given_out_anew_are_claimed_anew(new_probe: NewProbe) -> None:
    first, second = new_probe(), new_probe()
    await claim(first, ONE)
    await claim(second, ONE)
    await claim(first, ONE, generation=2)  # the group gave it back
    await first.take([ONE])
    with pytest.raises(Fenced):
        await second.take([ONE])


async def test_a_fenced_member_joins_again_and_goes_on(new_probe: NewProbe) -> None:
    """On both buses: somebody else's claim stops the session, the next one takes its partitions back."""
    probe, other = new_probe(), new_probe()
    producer = await probe.bus.producer("test")
    async with probe.at_work():
        await producer.send([outgoing(told(person(1), 1))])
        await probe.until("SELECT count(*) = 1 FROM effect")
        await other.rows("UPDATE consumer_fence SET owner = 'another' RETURNING 1")
        await producer.send([outgoing(told(person(1), 2))])
        await probe.until("SELECT count(*) >= 2 FROM effect")
    await producer.close()
    assert set((await probe.effects())[person(1)]) == {1, 2}
