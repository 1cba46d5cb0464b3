"""Many people failing at once is a deploy bug: the consumer stops, parks nobody, and goes on once that is repaired."""

import pytest
from structlog.testing import capture_logs

from chassis import consume, telemetry
from chassis.breaker import Breaker, ManyFailing
from chassis.bus import Bus, Outgoing
from tests.chassis.conftest import NewProbe
from tests.chassis.probe import TOPIC, Probe, outgoing, person, record, told
from tests.chassis.test_poison import send

PEOPLE = [person(n) for n in range(100)]
EVERY = [outgoing(told(who, n)) for n in (1, 2) for who in PEOPLE]


@pytest.fixture(autouse=True)
def short_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consume, "STOPPED_BEAT_SECONDS", 0.05)


def gauge() -> float:
    return float(telemetry.CONSUMER_STOPPED.labels("probe", "many_failing")._value.get())


@pytest.mark.parametrize("by", ["operator", "itself", "restart"])
async def test_a_bug_in_the_handler_parks_nobody(
    new_probe: NewProbe, bus: Bus, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of the people fail at their second message. Told to, after its pause, or as a new process with the
    repaired handler, it does all, each once and in order."""
    monkeypatch.setattr(consume, "STOPPED_SECONDS", (1.5 if by == "itself" else 600.0, 600.0))
    probe = new_probe()
    probe.bad = {(who, 2) for who in PEOPLE[::4]}
    await send(bus, EVERY)
    with capture_logs() as logs:
        async with probe.at_work():
            await probe.until("SELECT count(*) = 1 FROM consumer_stop")
            assert await probe.parked() == []
            assert not probe.consuming.ready
            assert gauge() == 1
            if by != "restart":
                probe.bad = set()
                if by == "operator":
                    assert (await probe.operating.resume("repaired", park_them=False)).people > 10
                await probe.until("SELECT count(*) = 200 FROM effect")
                await probe.until("SELECT count(*) = 0 FROM consumer_stop")
                assert gauge() == 0
    (stop,) = [line for line in logs if line["event"] == "stopped_many_failing"]
    assert set(stop["reasons"]) == {"handler_Unforeseen"}
    assert stop["people"] == stop["reasons"]["handler_Unforeseen"] > 10
    if by == "restart":
        fixed = new_probe()
        async with fixed.at_work():
            await fixed.until("SELECT count(*) = 200 FROM effect")
    assert await probe.effects() == {who: [1, 2] for who in PEOPLE}
    assert await probe.rows("SELECT 1 FROM parked") == []


async def test_two_in_a_hundred_are_parked_as_ever(new_probe: NewProbe, bus: Bus) -> None:
    probe = new_probe()
    probe.bad = {(PEOPLE[3], 1), (PEOPLE[4], 2)}
    await send(bus, EVERY)
    async with probe.at_work():
        await probe.until("SELECT count(*) = 197 FROM effect")
        await probe.until("SELECT count(*) = 3 FROM parked")
    effects = await probe.effects()
    assert effects == {who: [1, 2] for who in PEOPLE if who not in PEOPLE[3:5]} | {PEOPLE[4]: [1]}
    assert sorted(why for _, why, _ in await probe.parked()) == ["behind_parked", *["handler_Unforeseen"] * 2]


async def test_messages_nobody_can_read_stop_it_too(probe: Probe) -> None:
    bad = [Outgoing(TOPIC, one.key, b"{}", one.headers) for one in EVERY[:30]]
    with pytest.raises(ManyFailing) as stop:
        await probe.take(map(record, bad + EVERY[130:]))
    assert stop.value.reasons == {"payload_invalid": 30}
    assert await probe.rows("SELECT 1 FROM parked UNION ALL SELECT 1 FROM inbox") == []


async def test_an_operator_may_say_that_they_really_are_bad(probe: Probe) -> None:
    bad = [record(Outgoing(TOPIC, one.key, b"{}", one.headers)) for one in EVERY[:30]]
    probe.consuming.breaker.resumed(park_them=True)
    await probe.take(bad)
    assert len(await probe.parked()) == 30
    probe.consuming.breaker.resumed(park_them=False)
    await probe.take(bad)  # they come again: parked already, they are no news


async def test_more_than_fifty_people_in_a_minute(probe: Probe) -> None:
    """One in a batch each time, so that no batch looks bad."""
    many = [person(n) for n in range(1000, 1060)]
    probe.bad = {(who, 1) for who in many}
    for who in many[:50]:
        await probe.take([record(outgoing(told(who, 1)))])
    with pytest.raises(ManyFailing):
        await probe.take([record(outgoing(told(many[50], 1)))])
    assert len(await probe.parked()) == 50


@pytest.mark.parametrize(("failing", "of", "stops"), [(9, 9, False), (10, 50, False), (11, 50, True), (51, 500, True)])
def test_the_limits(failing: int, of: int, stops: bool) -> None:
    messages = [record(outgoing(told(person(n), 1))) for n in range(of)]
    from chassis import inbox

    failed = {person(n): "handler_Bug" for n in range(failing)}
    try:
        Breaker().refuse_many(failed, [inbox.read(m) for m in messages])
    except ManyFailing:
        assert stops
    else:
        assert not stops
