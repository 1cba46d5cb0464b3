"""One person's bad message is parked, with that person's later ones behind it in order; nobody else waits."""

import json
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from chassis.bus import Bus, Outgoing
from chassis.parking import list_parked
from tests.chassis.conftest import NewProbe
from tests.chassis.probe import TOPIC, Probe, outgoing, person, record, told

BAD = person(500)
OTHERS = [person(n) for n in range(1001) if n != 500]
CANARY = "canary-9434765919"


async def send(bus: Bus, batch: Sequence[Outgoing]) -> None:
    producer = await bus.producer("test")
    await producer.send(batch)
    await producer.close()


def among(others: list[Outgoing], of_bad: list[Outgoing]) -> list[Outgoing]:
    """The bad person's messages spread evenly among the others'."""
    step, found = len(others) // (len(of_bad) + 1), list(others)
    for n, one in reversed(list(enumerate(of_bad, 1))):
        found.insert(n * step, one)
    return found


async def test_one_poison_message_among_a_thousand(new_probe: NewProbe, bus: Bus) -> None:
    probe = new_probe()
    probe.bad = {(BAD, 2)}
    batch = among([outgoing(told(who, 1)) for who in OTHERS], [outgoing(told(BAD, n)) for n in (1, 2, 3, 4)])
    await send(bus, batch)
    with capture_logs() as logs:
        async with probe.at_work():
            await probe.until("SELECT count(*) = 1001 FROM effect")
            await probe.until("SELECT count(*) = 3 FROM parked")
            await send(bus, [outgoing(told(BAD, 5)), outgoing(told(OTHERS[0], 2))])
            await probe.until("SELECT count(*) = 4 FROM parked")
            await probe.until("SELECT count(*) = 1002 FROM effect")
    effects = await probe.effects()
    assert effects.pop(BAD) == [1]
    assert effects.pop(OTHERS[0]) == [1, 2]
    assert effects == {who: [1] for who in OTHERS[1:]}
    assert await probe.parked() == [
        (BAD, "handler_Unforeseen", True),
        (BAD, "behind_parked", True),
        (BAD, "behind_parked", True),
        (BAD, "behind_parked", True),
    ]
    assert len(probe.batches) < 200, "a bisection asks far less often than once a message"
    assert [line["reason"] for line in logs if line["event"] == "parked"] == ["handler_Unforeseen"]

    probe.bad = set()
    assert (await probe.operating.release(BAD)).released == 4
    assert (await probe.effects())[BAD] == [1, 2, 3, 4, 5]
    assert await probe.parked() == []
    await probe.take([record(outgoing(told(BAD, 6)))])
    assert (await probe.effects())[BAD] == [1, 2, 3, 4, 5, 6]


async def test_a_release_that_fails_changes_nothing(probe: Probe) -> None:
    probe.bad = {(BAD, 1), (BAD, 3)}
    await probe.take([record(outgoing(told(BAD, n))) for n in (1, 2, 3)])
    before = await probe.parked()
    assert before == [(BAD, "handler_Unforeseen", True), (BAD, "behind_parked", True), (BAD, "behind_parked", True)]
    probe.bad = {(BAD, 3)}
    failed = await probe.operating.release(BAD)
    assert (failed.released, failed.reason) == (0, "handler_Unforeseen")
    assert await probe.parked() == [before[0], before[1], (BAD, "handler_Unforeseen", True)], "the third fails now"
    assert await probe.effects() == {}
    probe.bad = set()
    assert (await probe.operating.release(BAD)).released == 3
    assert await probe.effects() == {BAD: [1, 2, 3]}
    assert (await probe.operating.release(BAD)).released == 0


async def test_two_bad_people_in_one_batch_do_not_park_each_other(probe: Probe) -> None:
    probe.bad = {(OTHERS[3], 1), (OTHERS[4], 2)}
    people = OTHERS[:8]
    await probe.take([record(outgoing(told(who, n))) for n in (1, 2, 3) for who in people])
    effects = await probe.effects()
    assert effects == {who: [1, 2, 3] for who in people if who not in OTHERS[3:5]} | {OTHERS[4]: [1]}
    parked = await probe.parked()
    assert [why for who, why, _ in parked if who == OTHERS[3]] == ["handler_Unforeseen"] + ["behind_parked"] * 2
    assert [why for who, why, _ in parked if who == OTHERS[4]] == ["handler_Unforeseen", "behind_parked"]


def unreadable() -> dict[str, Outgoing]:
    """Coded reason (and more, to tell two of a kind apart) -> a message of a person of its own."""
    good = {n: outgoing(told(person(n), 1)) for n in range(1, 12)}

    def with_value(n: int, value: bytes) -> Outgoing:
        return Outgoing(TOPIC, good[n].key, value, good[n].headers)

    wrong_type = json.loads(good[3].value) | {"revision": CANARY}
    return {
        "payload_invalid": with_value(1, b"\xff\x00 " + CANARY.encode()),
        "payload_invalid ": with_value(2, b""),
        "payload_invalid  ": with_value(3, json.dumps(wrong_type).encode()),
        "payload_invalid   ": with_value(4, b"null"),
        "event_type_unknown": outgoing(told(person(5), 1), ce_type=b"uk.tributary.never.heard.v9"),
        "envelope_unreadable": outgoing(told(person(6), 1), ce_id=None),
        "envelope_unreadable ": outgoing(told(person(7), 1), ce_time=b"yesterday"),
        "envelope_unreadable  ": outgoing(told(person(8), 1), ce_subject=CANARY.encode()),
        "envelope_unreadable   ": Outgoing(TOPIC, good[9].key, good[9].value, []),
        "envelope_unreadable    ": outgoing(told(person(10), 1), ce_type=b"\xff\xfe"),
        "subject_differs": outgoing(told(person(11), 1), ce_subject=str(person(999)).encode()),
    }


async def test_what_cannot_be_read_is_parked_with_its_reason_and_the_others_flow(new_probe: NewProbe, bus: Bus) -> None:
    probe, bad = new_probe(), unreadable()
    fine = [outgoing(told(who, 1)) for who in OTHERS[100:160]]
    with capture_logs() as logs:
        await send(bus, among(fine, list(bad.values())))
        async with probe.at_work():
            await probe.until("SELECT count(*) = 60 FROM effect")
            await probe.until(f"SELECT count(*) = {len(bad)} FROM parked")
            await send(bus, [outgoing(told(who, 2)) for who in OTHERS[100:160]])
            await probe.until("SELECT count(*) = 120 FROM effect")
    assert await probe.effects() == {who: [1, 2] for who in OTHERS[100:160]}
    parked = await probe.parked()
    assert sorted(why for _, why, _ in parked) == sorted(why.strip() for why in bad)
    assert {line["reason"] for line in logs if line["event"] == "parked"} == {why.strip() for why in bad}
    assert CANARY not in str(logs)
    bodies = await probe.rows("SELECT payload, headers, key FROM parked")
    kept = {(bytes(row.payload), bytes(row.key)) for row in bodies}
    assert kept == {(one.value, one.key) for one in bad.values()}, "kept exactly as they came"


@pytest.mark.parametrize("at_once", [True, False])
async def test_behind_an_unreadable_message_its_person_waits_and_after_it_all_is_run_in_order(
    probe: Probe, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A type this version does not know yet: once a newer version knows it, the person's messages run in order."""
    new = outgoing(told(BAD, 2), ce_type=b"uk.tributary.payments.budget-recorded.v2")
    batch = [record(one) for one in (outgoing(told(BAD, 1)), new, outgoing(told(BAD, 3)), outgoing(told(OTHERS[0], 1)))]
    for part in [batch] if at_once else [[one] for one in batch]:
        await probe.take(part)
    assert await probe.effects() == {BAD: [1], OTHERS[0]: [1]}
    assert await probe.parked() == [(BAD, "event_type_unknown", True), (BAD, "behind_parked", True)]
    assert (await probe.operating.release(BAD)).reason == "event_type_unknown"
    assert len(await probe.parked()) == 2

    from contracts import event

    monkeypatch.setitem(event.EVENTS, "uk.tributary.payments.budget-recorded.v2", type(told(BAD, 1)))
    assert (await probe.operating.release(BAD)).released == 2
    assert (await probe.effects())[BAD] == [1, 2, 3]


async def test_the_list_of_parked_messages_shows_no_body(probe: Probe) -> None:
    probe.bad = {(BAD, 1)}
    await probe.take([record(outgoing(told(BAD, 1))), record(outgoing(told(BAD, 2)))])
    async with probe.transactions() as tx:
        first, behind = await list_parked(tx)
    assert (first.reason, first.waiting, first.attempts) == ("handler_Unforeseen", False, 1)
    assert (behind.reason, behind.waiting, behind.attempts) == ("behind_parked", True, 0)
    assert first.topic == TOPIC
    assert not {"payload", "headers", "key"} & set(first.__struct_fields__)


async def test_a_released_message_that_comes_again_changes_nothing(probe: Probe) -> None:
    probe.bad = {(BAD, 1)}
    poison = record(outgoing(told(BAD, 1)))
    await probe.take([poison])
    probe.bad = set()
    await probe.take([poison])
    assert await probe.effects() == {}, "parked is parked until released, however often it comes"
    await probe.operating.release(BAD)
    await probe.take([poison])
    assert await probe.effects() == {BAD: [1]}
