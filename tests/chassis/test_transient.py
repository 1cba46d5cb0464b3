"""Faults that pass: the same batch is tried again, takes effect once, and nobody is parked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy.exc import InternalError
from structlog.testing import capture_logs

from chassis.bus import Bus, BusUnavailable, Outgoing, Producer
from chassis.database import Raced
from chassis.run import Running
from chassis.service import Received
from chassis.transaction import Transaction
from contracts.payments import AcceptedBudgetRecorded as Told
from deploy.postgres import EmbeddedPostgres
from tests.chassis.conftest import NewProbe
from tests.chassis.probe import Probe, outgoing, person, record, told
from tests.conftest import ask_server

PEOPLE = [person(n) for n in range(40)]
Fault = Callable[[Transaction, EmbeddedPostgres], Awaitable[object]]


async def cut_off(tx: Transaction, postgres: EmbeddedPostgres) -> None:
    pid = (await tx.execute("SELECT pg_backend_pid()")).scalar()
    await ask_server(postgres, f"SELECT pg_terminate_backend({pid}, 5000)")


def said(state: str) -> Fault:
    async def fail(tx: Transaction, _: EmbeddedPostgres) -> None:
        await tx.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$")

    return fail


def raised(fault: Exception) -> Fault:
    async def fail(_: Transaction, __: EmbeddedPostgres) -> None:
        raise fault

    return fail


FAULTS: dict[str, Fault] = {
    "connection terminated": cut_off,
    "serialisation failure": said("40001"),
    "deadlock": said("40P01"),
    "lock time-out": said("55P03"),
    "statement time-out": said("57014"),
    "no connection slots": said("53300"),
    "shutting down": said("57P01"),
    "connection reset": raised(ConnectionResetError()),
    "driver confused": raised(asyncpg.InternalClientError("cannot switch to state 15")),
    "driver confused, past SQLAlchemy": raised(
        InternalError("INSERT", {}, asyncpg.InternalClientError("cannot switch to state 11"))
    ),
    "somebody was first": raised(Raced()),
    "time-out": raised(TimeoutError()),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_that_passes_parks_nobody(probe: Probe, postgres: EmbeddedPostgres, fault: Fault) -> None:
    times = 0

    async def twice(_: list[Received[Told]], tx: Transaction) -> None:
        nonlocal times
        times += 1
        if times <= 2:
            await fault(tx, postgres)

    probe.hook = twice
    with capture_logs() as logs:
        await probe.take([record(outgoing(told(who, n))) for n in (1, 2) for who in PEOPLE])
    assert times == 3
    assert probe.batches == [80, 80, 80], "the whole batch again: a fault that passes is never bisected"
    assert await probe.effects() == {who: [1, 2] for who in PEOPLE}
    assert await probe.parked() == []
    assert [line["event"] for line in logs] == ["batch_retried"] * 2


@pytest.mark.parametrize("state", ["23505", "22P02", "42P01", "P0001"])
async def test_a_fault_that_stays_is_not_retried_for_ever(probe: Probe, postgres: EmbeddedPostgres, state: str) -> None:
    """A constraint, a bad value, a missing table, a raised exception: the same again would fail again."""

    async def always(_: list[Received[Told]], tx: Transaction) -> None:
        await said(state)(tx, postgres)

    probe.hook = always
    await asyncio.wait_for(probe.take([record(outgoing(told(PEOPLE[0], 1)))]), 20)
    ((who, reason, blocks),) = await probe.parked()
    assert (who, blocks) == (PEOPLE[0], True)
    assert reason.startswith("handler_")


async def test_a_connection_cut_in_the_commit_is_an_unknown_outcome(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit arrived and its answer did not: the batch is done again and nothing is doubled."""
    records = [record(outgoing(told(who, 1))) for who in PEOPLE]
    lost = 0
    open_one = type(probe.transactions).__call__

    @asynccontextmanager
    async def losing() -> AsyncIterator[Transaction]:
        nonlocal lost
        async with open_one(probe.transactions) as tx:
            yield tx
        lost += 1
        if lost == 1:
            raise ConnectionResetError

    monkeypatch.setattr(type(probe.transactions), "__call__", lambda _: losing())
    await probe.take(records)
    assert lost == 2
    assert await probe.effects() == {who: [1] for who in PEOPLE}
    assert await probe.parked() == []


async def send(producer: Producer, batch: Sequence[Outgoing]) -> None:
    """As a relay would: the same again until there is a receipt."""
    while True:
        try:
            return await producer.send(batch)
        except BusUnavailable:
            await asyncio.sleep(0.05)


async def test_every_connection_cut_again_and_again_while_the_bus_runs(
    new_probe: NewProbe, bus: Bus, postgres: EmbeddedPostgres, database_name: str
) -> None:
    """Consumer, embedded bus and all: the connections of this database are cut five times mid-work."""
    probe = new_probe()

    async def slowly(_: list[Received[Told]], __: Transaction) -> None:
        await asyncio.sleep(0.05)

    probe.hook = slowly
    producer = await bus.producer("test")
    async with probe.at_work():
        for n in range(1, 6):
            await send(producer, [outgoing(told(who, n)) for who in PEOPLE])
            await asyncio.sleep(0.1)
            await ask_server(
                postgres,
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database_name}'",
            )
        await probe.database.retrying(lambda: probe.until("SELECT count(*) >= 200 FROM effect"))
    assert await probe.effects() == {who: [1, 2, 3, 4, 5] for who in PEOPLE}
    assert await probe.parked() == []


async def test_a_service_stops_although_its_connections_are_cut(
    new_probe: NewProbe, postgres: EmbeddedPostgres, database_name: str
) -> None:
    """A rollback that fails on a dead connection replaces the cancellation; stopping must not wait for ever."""
    probe = new_probe()
    cut = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database_name}'"
    ends = asyncio.Event()

    async def stuck() -> None:
        """Swallows its first cancellation, as a failed rollback does."""
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            await ask_server(postgres, cut)
        try:
            await asyncio.sleep(600)
        finally:
            ends.set()

    running = Running(probe.service, probe.bus, probe.database)
    running.start()
    running._tasks.append(asyncio.create_task(stuck()))
    await asyncio.sleep(0.3)
    await asyncio.wait_for(running.stop(), 20)
    assert ends.is_set()
