"""Each service's role owns nothing and may do with its own schema's rows what it needs, and with no other's anything.

Tried on the real server with the role's own password, not read off a list of grants."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from chassis.migrate import EVENT_TABLES
from chassis.run import role_of
from chassis.service import Service
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.services import all_services
from tests.conftest import NewDatabase, ask_server

SERVICES = {service.name: service for service in all_services()}
DENIED = asyncpg.InsufficientPrivilegeError


@pytest_asyncio.fixture(scope="module")
async def database(new_database: NewDatabase) -> str:
    return await new_database()


@pytest_asyncio.fixture(params=SERVICES)
async def role(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, database: str
) -> AsyncIterator[tuple[Service, "asyncpg.Connection[asyncpg.Record]"]]:
    service = SERVICES[request.param]
    connection = await asyncpg.connect(postgres.url(role_of(service), service_passwords(postgres), database))
    yield service, connection
    await connection.close()


Role = tuple[Service, "asyncpg.Connection[asyncpg.Record]"]


async def tables(postgres: EmbeddedPostgres, database: str, schema: str) -> list[str]:
    """Partitions too."""
    sql = f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind IN ('r', 'p')"
    return [row["relname"] for row in await ask_server(postgres, sql, database)]


async def refused(connection: "asyncpg.Connection[asyncpg.Record]", *statements: str) -> None:
    for statement in statements:
        with pytest.raises(DENIED):
            await connection.execute(statement)


async def test_no_other_schema_is_open(role: Role, postgres: EmbeddedPostgres, database: str) -> None:
    mine, connection = role
    others = [s.schema for s in SERVICES.values() if s is not mine]
    assert len(others) == len(SERVICES) - 1
    for schema in others:
        names = await tables(postgres, database, schema)
        assert {"inbox", "outbox", "audit"} <= set(names)
        for name in names:
            await refused(
                connection,
                f"SELECT 1 FROM {schema}.{name}",
                f"DELETE FROM {schema}.{name}",
                f"TRUNCATE {schema}.{name}",
                f"ALTER TABLE {schema}.{name} ADD COLUMN mine int",
            )


async def test_event_tables_take_rows_and_keep_them(role: Role, postgres: EmbeddedPostgres, database: str) -> None:
    mine, connection = role
    names = await tables(postgres, database, mine.schema)
    partitions = [name for name in names if name.startswith("outbox_") and name not in {"outbox_head", "outbox_cursor"}]
    assert len(partitions) == 4, "three months and the rest"
    for name in (*EVENT_TABLES, *mine.insert_only):
        column = next(iter(await connection.fetch(f"SELECT * FROM {mine.schema}.{name} LIMIT 0") or ()), None)
        assert column is None, "it may be read, and is empty"
        await refused(connection, f"DELETE FROM {mine.schema}.{name}", f"TRUNCATE {mine.schema}.{name}")
        first = await connection.fetchval(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum = 1", f"{mine.schema}.{name}"
        )
        await refused(connection, f"UPDATE {mine.schema}.{name} SET {first} = NULL")
    for name in partitions:  # the way around the parent
        await refused(connection, f"SELECT 1 FROM {mine.schema}.{name}", f"DELETE FROM {mine.schema}.{name}")
    await refused(
        connection,
        f"DELETE FROM {mine.schema}.audit_head",
        f"UPDATE {mine.schema}.alembic_version SET version_num = '0'",
    )


async def test_it_can_still_do_its_work(role: Role) -> None:
    mine, connection = role
    await connection.execute(f"INSERT INTO {mine.schema}.inbox VALUES (gen_random_uuid(), 'x')")
    await connection.execute(f"INSERT INTO {mine.schema}.audit VALUES (99, 0, 'x', 'x')")
    await connection.execute(f"UPDATE {mine.schema}.outbox_head SET next = next")
    await connection.execute(
        f"INSERT INTO {mine.schema}.outbox SELECT 99, 0, current_date, gen_random_uuid(), 't', 't', gen_random_uuid(),"
        " gen_random_uuid(), NULL, '', now(), 's', 'x'"
    )
    assert await connection.fetchval(f"SELECT count(*) FROM {mine.schema}.outbox") == 1


async def test_it_owns_makes_and_becomes_nothing(role: Role, database: str) -> None:
    mine, connection = role
    await refused(
        connection,
        f"CREATE TABLE {mine.schema}.mine (n int)",
        "CREATE TABLE public.mine (n int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SET ROLE postgres",
        "SELECT * FROM pg_authid",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/hostname')",
        f"DROP TABLE {mine.schema}.inbox",
        f"ALTER TABLE {mine.schema}.audit DISABLE TRIGGER ALL",
    )
    found = await connection.fetchrow("SELECT * FROM pg_roles WHERE rolname = current_user")
    assert found is not None
    rights = {name for name, value in found.items() if name.startswith("rol") and value is True}
    assert rights == {"rolcanlogin", "rolinherit"}
    assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole") == 0
    assert await connection.fetchval("SELECT count(*) FROM pg_auth_members WHERE member = current_user::regrole") == 0
