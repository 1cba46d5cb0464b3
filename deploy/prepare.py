"""Make a database and a log ready for every service: roles, schemas, migrations, grants, users, topics. Safe to repeat.

    python -m deploy.prepare

Runs as the database's superuser and the broker's; the services themselves never do.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from chassis import migrate
from chassis.bus import Bus, BusUnavailable
from chassis.bus_embedded import EmbeddedBus
from chassis.run import make_bus, role_of
from chassis.service import Service, all_topics
from chassis.settings import Settings, explained, secret
from deploy.access import TOPIC_ADMIN, TWIN, acls, principal_of, principals, with_twins
from deploy.child import DeployError
from deploy.kafka.grants import granting
from deploy.services import all_services

BUS_SCHEMA = "bus"
SECRETS = Path("/run/secrets")


def engine_for(url: str) -> AsyncEngine:
    return create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=2)


async def create_database(superuser_url: str, name: str) -> None:
    """Create the database where it is absent. `superuser_url` is of the `postgres` database."""
    engine = engine_for(superuser_url).execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
        if found.first() is None:
            await connection.execute(text(f'CREATE DATABASE "{name}"'))
    await engine.dispose()


async def prepare_database(
    engine: AsyncEngine,
    services: Sequence[Service],
    password_of: Callable[[Service], str],
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Roles, schemas, migrations and grants, one service a transaction."""
    async with engine.begin() as connection:
        await connection.execute(text("REVOKE ALL ON SCHEMA public FROM PUBLIC"))
        await EmbeddedBus(engine).install(connection)
    for service in services:
        progress(f"database: {service.schema}")
        async with engine.begin() as connection:
            await _role(connection, role_of(service), password_of(service))
            await connection.run_sync(_schema, service)


async def _role(connection: AsyncConnection, role: str, password: str) -> None:
    found = await connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    verb = "CREATE" if found.first() is None else "ALTER"
    quoted = password.replace("'", "''")
    await connection.exec_driver_sql(f"{verb} ROLE {role} LOGIN NOSUPERUSER PASSWORD '{quoted}'")


def _schema(connection: Connection, service: Service) -> None:
    role = role_of(service)
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {service.schema}"))
    migrate.upgrade(connection, service)
    migrate.make_outbox_months(connection, service.schema, datetime.now(UTC).date())
    migrate.grant(connection, service, role)
    for statement in (
        f"GRANT USAGE ON SCHEMA {BUS_SCHEMA} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {BUS_SCHEMA} TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {BUS_SCHEMA} TO {role}",
    ):
        connection.execute(text(statement))


async def prepare_topics(bus: Bus, services: Sequence[Service]) -> None:
    await bus.create_topics(all_topics(services))


def password_file(service: Service) -> Path:
    """Where a service's password is, in a container; the file is named as the container is."""
    return SECRETS / principal_of(service)


def kafka_password_file(user: str) -> Path:
    """The same for the broker; a twin's is there while a password is changed."""
    return SECRETS / f"kafka-{user}"


def mounted_kafka_password(user: str) -> str | None:
    """Of a user without the deployment's prefix; None for a twin that is not there."""
    path = kafka_password_file(user)
    return None if user.endswith(TWIN) and not path.exists() else secret(path)


async def prepare_broker(
    settings: Settings,
    services: Sequence[Service],
    password_of: Callable[[str], str | None] = mounted_kafka_password,
) -> None:
    """Users and rights, as the super user whom `settings` name, where the broker asks for one at all. Safe to repeat.

    Raises DeployError where the broker refuses, OSError where a password is missing.
    """
    if settings.bus != "kafka" or settings.kafka_security == "PLAINTEXT":
        return
    rights = with_twins(acls(services, settings.kafka_prefix))
    found = {user: password_of(user.removeprefix(settings.kafka_prefix)) for user in principals(rights)}
    async with granting(settings.kafka_bootstrap, settings.kafka_login()) as admin:
        await admin.set_users({user: word for user, word in found.items() if word})
        await admin.set_rights(rights)


def as_topic_admin(settings: Settings) -> Settings:
    """The settings to make topics with, from the super user's."""
    user = settings.kafka_prefix + TOPIC_ADMIN
    return settings.model_copy(update={"kafka_user": user, "kafka_password_file": kafka_password_file(TOPIC_ADMIN)})


DATABASE_ONLY = "--database-only"
"""Where somebody else makes users, rights and topics: Strimzi, of the resources in deploy/k8s."""


async def main(*, broker: bool = True) -> None:
    """Passwords are files under /run/secrets, one a service and server; the superusers' own are named by settings."""
    settings, services = Settings(), all_services()
    admin = settings.model_copy(update={"database_name": "postgres"})
    await create_database(admin.database_url("postgres"), settings.database_name)
    engine = engine_for(settings.database_url("postgres"))
    await prepare_database(
        engine, services, lambda s: secret(password_file(s)) or "", lambda line: print(line, file=sys.stderr)
    )
    if broker:
        await prepare_broker(settings, services)
        bus = await make_bus(as_topic_admin(settings), engine)
        await prepare_topics(bus, services)
        await bus.close()
    await engine.dispose()


def said(fault: Exception) -> tuple[str, int] | None:
    """What went wrong as one line, and the exit code; None: it is a bug."""
    if isinstance(fault, DeployError | BusUnavailable):
        return str(fault), 3
    if isinstance(fault, OSError) and str(fault.filename).startswith(f"{SECRETS}/"):
        return f"{fault.filename} cannot be read ({fault.strerror}): every service's password is a file there", 2
    if (found := explained(fault)) is not None:
        return found
    if isinstance(fault, OSError):  # TimeoutError is one
        where = "TRIBUTARY_DATABASE_HOST and TRIBUTARY_DATABASE_PORT"
        return f"no PostgreSQL answers there: start it, or set {where} ({type(fault).__name__})", 3
    return None


def run(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 2 settings are wrong, 3 it could not be done now."""
    try:
        asyncio.run(main(broker=DATABASE_ONLY not in arguments))
    except Exception as fault:
        if (found := said(fault)) is None:
            raise
        print(f"tributary: {found[0]}", file=sys.stderr)
        return found[1]
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
