"""The two real servers that tests run on. Each is started at most once, when a test first asks for it."""

import os
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis.service import Service
from deploy.child import DeployError
from deploy.kafka import EmbeddedKafka, missing_tools
from deploy.kafka.jars import jars
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.prepare import create_database, engine_for, prepare_database
from deploy.services import all_services

REQUIRE_KAFKA = "TRIBUTARY_REQUIRE_KAFKA"
_why_skipped = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """PostgreSQL 18 for the whole session; it survives every fault but a crash of the machine."""
    with EmbeddedPostgres.start(throwaway=True, fast=True) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[EmbeddedKafka]:
    """Apache Kafka for the whole session. Whoever kills or stops it must restart it."""
    need_kafka(request.config)
    with EmbeddedKafka.start() as broker:
        yield broker


def need_kafka(config: pytest.Config) -> None:
    """Skip the test, loudly, where there can be no broker; fail it where there must be one."""
    if problem := _kafka_problem():
        if os.environ.get(REQUIRE_KAFKA) == "1":
            pytest.fail(f"{REQUIRE_KAFKA}=1, but {problem}", pytrace=False)
        config.stash[_why_skipped] = problem
        pytest.skip(problem)


def _kafka_problem() -> str | None:
    """Why there can be no broker on this machine. A broker that is here and does not start is a failure."""
    if problem := missing_tools():
        return problem
    try:
        jars()
    except DeployError as error:
        return str(error).splitlines()[0]
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A skipped test looks like a passed one in a long list, so say it in red."""
    if reason := config.stash.get(_why_skipped, None):
        terminalreporter.write_line("")
        terminalreporter.write_line(f"KAFKA TESTS SKIPPED: {reason} - they did NOT pass", red=True, bold=True)


NewDatabase = Callable[[], Awaitable[str]]


@pytest_asyncio.fixture(scope="session")
async def migrated(postgres: EmbeddedPostgres) -> str:
    """A database with every service's tables in it, to be copied: a copy takes a tenth of a second."""
    return await make_template(postgres, "every_service", all_services())


async def make_template(postgres: EmbeddedPostgres, name: str, services: Sequence[Service]) -> str:
    """Prepare a database for `services` and leave it, so that `CREATE DATABASE … TEMPLATE` may copy it."""
    await create_database(postgres.url(postgres.superuser, postgres.password, "postgres"), name)
    engine = engine_for(postgres.url(postgres.superuser, postgres.password, name))
    password = service_passwords(postgres)
    await prepare_database(engine, services, lambda _: password)
    await engine.dispose()
    return name


async def ask_server(postgres: EmbeddedPostgres, sql: str, database: str = "postgres") -> list[Any]:
    """Rows of one statement, as the superuser, outside any transaction."""
    connection = await asyncpg.connect(postgres.url(postgres.superuser, postgres.password, database))
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


async def everything_stored(postgres: EmbeddedPostgres, database: str) -> dict[str, str]:
    """Table -> all its rows as text, bytes read as text too; of every schema there is."""
    connection = await asyncpg.connect(postgres.url(postgres.superuser, postgres.password, database))
    stored = {}
    try:
        for name in [row["name"] for row in await connection.fetch(TABLES)]:
            cells = [cell for row in await connection.fetch(f"SELECT * FROM {name}") for cell in row.values()]
            stored[name] = "\n".join(c.decode("latin-1") if isinstance(c, bytes) else str(c) for c in cells)
    finally:
        await connection.close()
    return stored


TABLES = """SELECT table_schema || '.' || table_name AS name FROM information_schema.tables
            WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"""


async def copy_of(postgres: EmbeddedPostgres, template: str) -> str:
    name = f"test_{uuid.uuid4().hex}"
    await ask_server(postgres, f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


@pytest_asyncio.fixture(scope="session")
async def new_database(postgres: EmbeddedPostgres, migrated: str) -> NewDatabase:
    """Makes a database of its own, ready for every service."""
    return lambda: copy_of(postgres, migrated)
