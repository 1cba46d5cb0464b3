"""PostgreSQL's own faults, really made: each passes, takes effect once when it is over, and parks nobody."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest
from structlog.testing import capture_logs

from chassis import database
from chassis.bus import Bus
from chassis.database import Database, is_transient
from chassis.run import role_of
from chassis.service import Handlers, Received
from chassis.transaction import Transaction
from contracts.payments import AcceptedBudgetRecorded as Told
from deploy.chaos.proxy import Proxy
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from tests.chassis.probe import Hook, Probe, outgoing, person, record, service_with, told
from tests.conftest import ask_server

PEOPLE = [person(n) for n in range(12)]
ONCE = {who: [1] for who in PEOPLE}
ROLE = role_of(service_with(Handlers()))


async def take_and_see_retries(probe: Probe) -> list[str]:
    """Handle everybody; what the log called the faults that were tried again."""
    with capture_logs() as logs:
        await asyncio.wait_for(probe.take([record(outgoing(told(who, 1))) for who in PEOPLE]), 30)
    assert await probe.effects() == ONCE
    assert await probe.parked() == []
    return [line["fault"] for line in logs if line["event"] == "batch_retried"]


@asynccontextmanager
async def somebody_else(
    postgres: EmbeddedPostgres, database: str
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(postgres.url(postgres.superuser, postgres.password, database))
    try:
        yield connection
    finally:
        await connection.close()


def first_time_only(work: Callable[[Transaction], Awaitable[None]]) -> Hook:
    times = 0

    async def hook(_: list[Received[Told]], tx: Transaction) -> None:
        nonlocal times
        times += 1
        if times == 1:
            await work(tx)

    return hook


async def test_a_deadlock(probe: Probe, postgres: EmbeddedPostgres, database_name: str) -> None:
    async with somebody_else(postgres, database_name) as other:
        await other.execute("SET deadlock_timeout = '20s'")  # so that it is we who find the deadlock
        await other.execute("BEGIN; SELECT pg_advisory_xact_lock(2)")

        async def cross(tx: Transaction) -> None:
            await tx.execute("SELECT pg_advisory_xact_lock(1)")
            waiting = asyncio.create_task(other.execute("SELECT pg_advisory_xact_lock(1); COMMIT"))
            await asyncio.sleep(0.1)
            try:
                await tx.execute("SELECT pg_advisory_xact_lock(2)")
            finally:
                crossed.append(waiting)

        crossed: list[asyncio.Task[str]] = []
        probe.hook = first_time_only(cross)
        assert await take_and_see_retries(probe) == ["40P01"]
        await asyncio.gather(*crossed)


async def test_a_serialisation_failure(probe: Probe, postgres: EmbeddedPostgres, database_name: str) -> None:
    async with somebody_else(postgres, database_name) as other:
        await other.execute(
            f"ALTER ROLE {ROLE} IN DATABASE {database_name} SET default_transaction_isolation = 'repeatable read'"
        )

        async def overtaken(tx: Transaction) -> None:
            await other.execute("UPDATE probe.outbox_cursor SET owner = 'other' WHERE shard = 0")
            await tx.execute("UPDATE outbox_cursor SET owner = 'me' WHERE shard = 0")

        probe.hook = first_time_only(overtaken)
        assert len(await take_and_see_retries(probe)) == 1


@pytest.mark.parametrize(
    ("setting", "then"),
    [
        ("statement_timeout", "SELECT pg_sleep(5)"),
        ("lock_timeout", "SELECT pg_advisory_xact_lock(7)"),
        ("idle_in_transaction_session_timeout", "SELECT 1"),
    ],
)
async def test_a_time_out(
    probe: Probe, postgres: EmbeddedPostgres, database_name: str, setting: str, then: str
) -> None:
    """A worker that was frozen in its transaction and wakes meets the last."""
    async with somebody_else(postgres, database_name) as other:
        await other.execute("SELECT pg_advisory_lock(7)")

        async def too_long(tx: Transaction) -> None:
            await tx.execute(f"SET LOCAL {setting} = '80ms'")
            await asyncio.sleep(0.3)
            await tx.execute(then)

        probe.hook = first_time_only(too_long)
        assert len(await take_and_see_retries(probe)) == 1


async def test_no_slot_for_a_connection(probe: Probe, postgres: EmbeddedPostgres, database_name: str) -> None:
    await ask_server(postgres, f"ALTER DATABASE {database_name} CONNECTION LIMIT 0")

    async def lift() -> None:
        await asyncio.sleep(0.4)
        await ask_server(postgres, f"ALTER DATABASE {database_name} CONNECTION LIMIT -1")

    lifting = asyncio.create_task(lift())
    assert len(await take_and_see_retries(probe)) >= 2
    await lifting


async def test_no_connection_free_in_our_own_pool(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CONNECT_SECONDS", 0.1)
    async with AsyncExitStack() as held:
        for _ in range(probe.database.most()):
            await held.enter_async_context(probe.database.connection())

        async def give_back() -> None:
            await asyncio.sleep(0.5)
            await held.aclose()

        giving = asyncio.create_task(give_back())
        assert "TimeoutError" in await take_and_see_retries(probe)
        await giving


@asynccontextmanager
async def through_a_proxy(
    postgres: EmbeddedPostgres, database_name: str, bus: Bus
) -> AsyncIterator[tuple[Probe, Proxy]]:
    proxy = Proxy(postgres.port)
    await proxy.start()
    url = postgres.url(ROLE, service_passwords(postgres), database_name).replace(
        f":{postgres.port}/", f":{proxy.port}/"
    )
    database = Database(url, "probe", pool=8)
    try:
        yield Probe(database, bus), proxy
    finally:
        await database.close()
        await proxy.close()


async def test_commits_whose_answer_never_comes(
    postgres: EmbeddedPostgres, database_name: str, embedded_bus: Bus
) -> None:
    """The proxy swallows PostgreSQL's word that it has committed: done again, and done once."""
    async with through_a_proxy(postgres, database_name, embedded_bus) as (probe, proxy):
        for n in range(1, 6):
            before = proxy.counted["commit answers cut"]
            proxy.cut_commits = 1.0
            taking = asyncio.create_task(probe.take([record(outgoing(told(who, n))) for who in PEOPLE]))
            for _ in range(2000):
                if proxy.counted["commit answers cut"] > before:
                    break
                await asyncio.sleep(0.005)
            proxy.heal()
            await asyncio.wait_for(taking, 30)
        assert proxy.counted["commit answers cut"] >= 5
        assert await probe.effects() == {who: list(range(1, 6)) for who in PEOPLE}
        assert await probe.parked() == []


async def test_connections_reset_in_the_middle_of_work(
    postgres: EmbeddedPostgres, database_name: str, embedded_bus: Bus
) -> None:
    async with through_a_proxy(postgres, database_name, embedded_bus) as (probe, proxy):
        times = 0

        async def reset(_: list[Received[Told]], tx: Transaction) -> None:
            nonlocal times
            times += 1
            if times <= 3:
                proxy.reset_all()

        probe.hook = reset
        assert len(await take_and_see_retries(probe)) == 3
        assert proxy.counted["connections reset"] >= 3


def test_what_cannot_pass_is_not_called_passing() -> None:
    assert not is_transient(ValueError())
    assert not is_transient(asyncpg.UniqueViolationError())


async def test_a_fault_does_not_repeat_what_was_to_be_stored(probe: Probe) -> None:
    """Its text goes to logs: the statement may be there, the values may not."""
    with pytest.raises(Exception, match="no_such") as fault:
        await probe.rows("SELECT no_such FROM effect WHERE person_ref = :who", who=PEOPLE[3])
    assert str(PEOPLE[3]) not in str(fault.value)
