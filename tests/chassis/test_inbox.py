"""An event is its id and its body: told twice it takes effect once, told differently it is refused loudly."""

import asyncio
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from contracts.event import payload_hash
from tests.chassis.conftest import NewProbe
from tests.chassis.probe import Probe, outgoing, person, record, told

ONE, OTHER = person(1), person(2)
ID = UUID("01900000-0000-7000-8000-000000000001")


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "in two batches"])
async def test_the_same_event_twice_takes_effect_once(probe: Probe, at_once: bool) -> None:
    same = record(outgoing(told(ONE, 1), ID))
    again = record(outgoing(told(ONE, 1), ID), offset=7)
    for batch in [[same, again]] if at_once else [[same], [again]]:
        await probe.take(batch)
    assert await probe.effects() == {ONE: [1]}
    assert await probe.parked() == []


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "in two batches"])
async def test_the_same_id_with_another_body_is_refused_loudly_and_holds_up_nobody(probe: Probe, at_once: bool) -> None:
    first, conflict = record(outgoing(told(ONE, 1), ID)), record(outgoing(told(ONE, 99), ID))
    later, elsewhere = record(outgoing(told(ONE, 2))), record(outgoing(told(OTHER, 5)))
    with capture_logs() as logs:
        for batch in [[first, conflict, later, elsewhere]] if at_once else [[first], [conflict], [later, elsewhere]]:
            await probe.take(batch)
        assert await probe.parked() == [(ONE, "same_id_other_body", False)]
        await probe.take([conflict])  # and it is kept once, however often it comes
    assert await probe.effects() == {ONE: [1, 2], OTHER: [5]}
    assert await probe.parked() == [(ONE, "same_id_other_body", False)]
    loud = [line for line in logs if line["event"] == "same_id_other_body"]
    assert {(line["log_level"], line["event_id"]) for line in loud} == {("error", str(ID))}
    (hashes,) = await probe.rows("SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM inbox")
    assert (hashes.n, hashes.ids) == (3, 3)


async def test_the_body_kept_first_is_the_one_that_counts(probe: Probe) -> None:
    """The mark of the first body is not replaced by the conflict: the first body again is still a repeat."""
    first, conflict = record(outgoing(told(ONE, 1), ID)), record(outgoing(told(ONE, 99), ID))
    for one in (first, conflict, first, conflict):
        await probe.take([one])
    assert await probe.effects() == {ONE: [1]}
    assert await probe.parked() == [(ONE, "same_id_other_body", False)]


async def test_a_repeat_that_comes_after_a_conflict_is_a_repeat(probe: Probe) -> None:
    """In one batch: what is stored says which body is the true one, not which of the two came first."""
    first, conflict = record(outgoing(told(ONE, 1), ID)), record(outgoing(told(ONE, 99), ID))
    await probe.take([first])
    await probe.take([conflict, first])
    kept = await probe.rows("SELECT payload_hash FROM parked")
    assert [bytes(row.payload_hash) for row in kept] == [payload_hash(conflict.value)]


async def test_two_processes_with_the_same_records_do_not_do_the_work_twice(new_probe: NewProbe) -> None:
    """After a rebalance the old and the new owner of a partition hold the same records for a while."""
    records = [record(outgoing(told(person(n % 20), n // 20)), offset=n) for n in range(200)]
    one, other = new_probe(), new_probe()
    await asyncio.gather(
        one.take(records), other.take(records), one.take(records[100:]), other.take(records[::-1][:50])
    )
    effects = await one.effects()
    assert {who: sorted(revisions) for who, revisions in effects.items()} == {
        person(n): list(range(10)) for n in range(20)
    }
    assert await one.parked() == []


async def test_a_batch_that_fails_leaves_no_mark(probe: Probe) -> None:
    """Inbox mark and effect are one commit: a mark without its effect would lose the event for ever."""
    probe.bad = {(ONE, 1)}
    await probe.take([record(outgoing(told(ONE, 1), ID)), record(outgoing(told(OTHER, 1)))])
    assert await probe.effects() == {OTHER: [1]}
    marks = await probe.rows("SELECT 1 FROM inbox")
    kept = await probe.rows("SELECT 1 FROM parked")
    assert (len(marks), len(kept)) == (2, 1)
