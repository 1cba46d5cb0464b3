"""What is seen from outside: readings that are true, labels that are bounded, liveness that an outage does not fail."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from chassis import consume, inbox, progress, telemetry
from chassis.bus import Bus
from chassis.bus_embedded import EmbeddedBus
from chassis.database import Backoff, Database, Raced
from chassis.inbox import Message
from chassis.observe import Sampler
from chassis.progress import Progress
from chassis.run import Running, app_of, role_of
from chassis.service import Handlers, Received
from chassis.transaction import Cause, Transaction
from contracts.payments import AcceptedBudgetRecorded as Told
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import create_database, engine_for, prepare_database
from tests.chassis.conftest import NewProbe
from tests.chassis.probe import TOPIC, Probe, outgoing, person, record, service_with, told
from tests.chassis.test_readiness import readiness, until_ready

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def reading(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"tributary_{name}", labels)


def message(offset: int, seconds_ago: float, partition: int = 0) -> Message:
    out = outgoing(told(person(offset), 1))
    when = (NOW - timedelta(seconds=seconds_ago)).isoformat().encode()
    found = inbox.read(record(type(out)(out.topic, out.key, out.value, [*dict(out.headers, ce_time=when).items()])))
    placed = type(found.record)("t", partition, offset, b"", b"", ())
    return Message(placed, found.person_ref, found.event_id, found.hash, found.received)


def test_the_age_is_that_of_the_next_uncommitted_record() -> None:
    done = Progress()
    done.took([message(0, 300), message(1, 200), message(0, 50, partition=1)])
    done.took([message(2, 100)])

    def ages(first: int, second: int) -> list[float]:
        return list(done.ages({("t", 0): (first, 3), ("t", 1): (second, 1)}, NOW).values())

    assert ages(0, 1) == [300, 0]
    assert ages(2, 0) == [100, 50]
    assert ages(3, 1) == [0, 0]


def test_what_was_never_taken_is_as_old_as_the_first_look_that_saw_it() -> None:
    done, part = Progress(), ("t", 0)
    done.took([message(0, 300)])
    assert done.ages({part: (1, 2)}, NOW)[part] == 0
    assert done.ages({part: (1, 5)}, NOW + timedelta(seconds=40))[part] == 40
    assert done.ages({part: (5, 5)}, NOW + timedelta(seconds=50))[part] == 0
    assert done.ages({part: (5, 6)}, NOW + timedelta(seconds=60))[part] == 0, "another backlog, not the one before"


async def test_lag_is_read_in_records_and_in_seconds(new_probe: NewProbe, bus: Bus) -> None:
    probe, begun, hold = new_probe(), asyncio.Event(), asyncio.Event()

    async def held(_batch: list[Received[Told]], _tx: Transaction) -> None:
        begun.set()
        await hold.wait()

    probe.hook = held
    producer = await bus.producer("test")
    minute_ago = (datetime.now(UTC) - timedelta(seconds=60)).isoformat().encode()
    await producer.send([outgoing(told(person(1), n), ce_time=minute_ago) for n in range(1, 4)])
    sampler = Sampler(probe.service, probe.database, probe.consuming)
    async with probe.at_work():
        await asyncio.wait_for(begun.wait(), 60)
        await sampler.look()
        assert probe.consuming.consumer is not None
        (part,) = [str(p) for (_, p), lag in (await probe.consuming.consumer.lag()).items() if lag]
        labels = {"group": "probe", "topic": TOPIC, "partition": part}
        assert reading("consumer_lag_records", **labels) == 3
        assert reading("consumer_committed_offset", **labels) == 0
        assert 60 <= (reading("consumer_lag_seconds", **labels) or 0) < 90
        poll, done = (reading(f"consumer_last_{n}_timestamp_seconds", group="probe") for n in ("poll", "progress"))
        assert poll is not None
        assert done is not None
        assert time.time() - 30 < done <= poll <= time.time()
        hold.set()
        await probe.until("SELECT count(*) = 3 FROM effect")
        await asyncio.sleep(1.2)  # offsets are committed once a second
        for _ in range(100):
            await sampler.look()
            if not reading("consumer_lag_records", **labels):
                break
            await asyncio.sleep(0.05)
        assert reading("consumer_lag_records", **labels) == reading("consumer_lag_seconds", **labels) == 0
        assert reading("consumer_committed_offset", **labels) == 3
        assert reading("event_e2e_seconds_sum", service="probe")
    await sampler.look()
    assert reading("consumer_lag_records", **labels) is None, "another owner's partition is not ours to speak of"


async def test_outbox_parked_and_pool_are_read(probe: Probe) -> None:
    sampler = Sampler(probe.service, probe.database, probe.consuming)
    await sampler.look()
    assert [reading(n, service="probe") for n in ("outbox_backlog", "outbox_oldest_unpublished_seconds")] == [0, 0]
    assert [reading(n, service="probe") for n in ("parked_keys", "parked_oldest_seconds")] == [0, 0]
    async with probe.transactions() as tx:
        for n in (1, 2):
            tx.publish(told(person(n), 1), Cause(person(n)))
    probe.bad = {(person(7), 1)}
    with capture_logs():
        await probe.take([record(outgoing(told(person(7), 1))), record(outgoing(told(person(7), 2)), 1)])
    await asyncio.sleep(0.05)
    async with probe.database.begin():  # a connection in use, a transaction open
        await asyncio.sleep(0.05)
        await sampler.look()
        assert reading("db_pool_in_use", service="probe") == 1
        assert reading("db_pool_limit", service="probe") == 8
        assert reading("outbox_backlog", service="probe") == 2
        assert 0.05 <= (reading("outbox_oldest_unpublished_seconds", service="probe") or 0) < 30
        assert reading("parked_keys", service="probe") == 1
        assert 0.05 <= (reading("parked_oldest_seconds", service="probe") or 0) < 30


async def test_what_is_rolled_back_is_not_measured(probe: Probe) -> None:
    def counted() -> float:
        return reading("pm_age_seconds_count", service="probe") or 0

    async def rolled_back() -> None:
        async with probe.transactions() as tx:
            tx.measure(telemetry.BUDGET_AGE, 1)
            raise LookupError

    before = counted()
    with pytest.raises(LookupError):
        await rolled_back()
    assert counted() == before
    async with probe.transactions() as tx:
        tx.measure(telemetry.BUDGET_AGE, 1)
    assert counted() == before + 1


async def test_a_retry_is_counted_by_its_reason_and_whether_the_outcome_is_unknown(probe: Probe) -> None:
    faults: list[Exception] = [Raced("a case"), ConnectionResetError("cut")]

    async def faulty(_batch: list[Received[Told]], _tx: Transaction) -> None:
        if faults:
            raise faults.pop(0)

    def counted() -> list[float]:
        reasons = [reading("db_retry_total", service="probe", reason=r) for r in ("Raced", "ConnectionResetError")]
        return [n or 0 for n in (*reasons, reading("db_ambiguous_total", service="probe"))]

    before, probe.hook = counted(), faulty
    with capture_logs():
        await probe.take([record(outgoing(told(person(1), 1)))])
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 1]


async def test_every_metric_is_served_and_no_label_is_an_id(probe: Probe) -> None:
    running = Running(probe.service, probe.bus, probe.database)
    await probe.take([record(outgoing(told(person(9), 1)))])
    await running.sampler.look()
    transport = httpx.ASGITransport(app_of("Probe", [running]))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    served = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert {name.removesuffix("_total") for name in telemetry.METRICS} <= set(served)
    bounded = {"service", "group", "topic", "partition", "reason", "name", "mode", "what", "le"}
    for name, metric in telemetry.METRICS.items():
        family = served[name.removesuffix("_total")]
        assert family.documentation == metric.help
        assert {label for sample in family.samples for label in sample.labels} <= bounded
    assert str(person(9)) not in answer.text


def test_a_boundary_stands_at_every_aim() -> None:
    for metric in telemetry.METRICS.values():
        assert len(metric.buckets) <= 14, metric.name
        assert list(metric.buckets) == sorted(metric.buckets), metric.name
    assert {0.3, 60} <= set(telemetry.METRICS["tributary_pm_age_seconds"].buckets)


async def test_an_outage_fails_readiness_and_not_liveness_and_a_consumer_that_stands_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database and, in it, the log are stopped under a service at work."""
    monkeypatch.setattr(progress, "ALIVE_SECONDS", 2.0)  # and retries no further apart, as 5 s are to 120
    monkeypatch.setattr(consume, "Backoff", lambda: Backoff(most=0.2))
    hold, probe_handlers = asyncio.Event(), Handlers()
    hold.set()

    @probe_handlers.on(Told)
    async def write_down(_batch: list[Received[Told]], _tx: Transaction) -> None:
        await hold.wait()

    service = service_with(probe_handlers)
    with EmbeddedPostgres.start(throwaway=True, fast=True) as server, capture_logs():
        await create_database(server.url(server.superuser, server.password, "postgres"), "outage")
        owner = engine_for(server.url(server.superuser, server.password, "outage"))
        await prepare_database(owner, [service], lambda _: service_passwords(server))
        database = Database(server.url(role_of(service), service_passwords(server), "outage"), service.schema)
        running = Running(service, EmbeddedBus(owner), database)
        await running.bus.create_topics(service.topics())
        running.start()
        try:
            assert (await until_ready(running))[0] == 200
            server.kill()
            limit = time.monotonic() + 3
            while time.monotonic() < limit:
                assert (await readiness(running))[0] == 503  # asks /livez first, and that it says 200
                await asyncio.sleep(0.1)
            server.restart()
            assert (await until_ready(running))[0] == 200
            hold.clear()
            await (await running.bus.producer("test")).send([outgoing(told(person(1), 1))])
            transport = httpx.ASGITransport(app_of("Probe", [running]))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                while (await http.get("/livez")).status_code == 200:
                    assert time.monotonic() < limit + 30
                    await asyncio.sleep(0.1)
        finally:
            hold.set()
            await running.stop()
            await owner.dispose()
