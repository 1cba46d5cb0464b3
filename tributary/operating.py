"""A deployment as an operator reaches it: by its settings (`TRIBUTARY_…`), or by the folder `tributary allocate --data`
keeps, whose database is started for the time of the command."""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import audit
from chassis.bus import BusUnavailable
from chassis.database import Database
from chassis.release import Operating
from chassis.run import role_of
from chassis.service import Service, SystemClock
from chassis.settings import Settings, explained, secret
from chassis.transaction import Transactions
from contracts.refusal import STATUS, Refusal
from deploy.child import DeployError
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.postgres_folder import open_folder
from deploy.prepare import engine_for, password_file, prepare_database
from deploy.services import all_services
from tributary.run import CANNOT_NOW, NOT_UNDERSTOOD

OWNER = "postgres"
EMBEDDED_DATABASE = "tributary"


class OperatorSettings(Settings):
    """The owner of every schema has a password of its own; only a replay needs it."""

    database_owner_password: SecretStr = SecretStr("")
    database_owner_password_file: Path | None = None

    def owner_url(self) -> str:
        given = secret(self.database_owner_password_file) or self.database_owner_password.get_secret_value()
        return self.database_url(OWNER, given)


@dataclass
class Reached:
    """`owner_url` is of the role that owns every schema; `actor` is who works at this terminal."""

    services: dict[str, Service]
    operating: dict[str, Operating]
    owner_url: str
    actor: str

    def of(self, service: str) -> Operating:
        """Raises Refusal not_found."""
        if service not in self.operating:
            raise Refusal("not_found", f"There is no such service. There are: {', '.join(self.operating)}.")
        return self.operating[service]

    def service(self, name: str) -> Service:
        """Raises Refusal not_found."""
        self.of(name)
        return self.services[name]

    def some(self, service: str) -> dict[str, Operating]:
        """That one, or all where none is named."""
        return {service: self.of(service)} if service else self.operating

    def owner(self) -> AsyncEngine:
        """For what no service's own role may do. The caller disposes of it."""
        return engine_for(self.owner_url)


@asynccontextmanager
async def reach(data: Path | None) -> AsyncIterator[Reached]:
    """Raises DeployError."""
    services, actor = all_services(), audit.operator()
    with contextlib.ExitStack() as stack:
        if data is None:
            settings = OperatorSettings()
            urls = {s.name: settings.database_url(role_of(s), _password(s)) for s in services}
            owner_url = settings.owner_url()
        else:
            postgres = stack.enter_context(kept(data))
            owner_url = postgres.url(postgres.superuser, postgres.password, EMBEDDED_DATABASE)
            password = service_passwords(postgres)
            urls = {s.name: postgres.url(role_of(s), password, EMBEDDED_DATABASE) for s in services}
            await _prepare(owner_url, services, password)
        databases = {s.name: Database(urls[s.name], s.schema, pool=1) for s in services}
        try:
            found = {s.name: _operating(s, databases[s.name], actor) for s in services}
            yield Reached({s.name: s for s in services}, found, owner_url, actor)
        finally:
            await asyncio.gather(*(database.close() for database in databases.values()))


def _password(service: Service) -> str:
    """The service's own secret where it is mounted; '' takes TRIBUTARY_DATABASE_PASSWORD."""
    path = password_file(service)
    return secret(path) or "" if path.exists() else ""


def kept(data: Path) -> EmbeddedPostgres:
    """The database that `tributary allocate --data` left there, started; none is made. Raises DeployError."""
    if not data.is_dir() or not open_folder(data).data.exists():
        raise DeployError(f"--data: {data} holds no database: name the folder given to tributary allocate --data")
    return EmbeddedPostgres.start(data)


async def _prepare(owner_url: str, services: list[Service], password: str) -> None:
    owner = engine_for(owner_url)
    try:
        await prepare_database(owner, services, lambda _: password)
    finally:
        await owner.dispose()


def _operating(service: Service, database: Database, actor: str) -> Operating:
    return Operating(service.handlers, database, Transactions(database, service.name, SystemClock()), actor)


DATABASE_FAULTS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError)


def run(work: Callable[[Reached], Awaitable[int]], data: Path | None) -> int:
    """The exit code of `work`, or of what went wrong, said on standard error."""

    async def reached() -> int:
        async with reach(data) as found:
            return await work(found)

    try:
        return asyncio.run(reached())
    except Refusal as refusal:
        print(f"tributary: {refusal.code}: {refusal.detail}", file=sys.stderr)
        return CANNOT_NOW if STATUS[refusal.code] == 503 else NOT_UNDERSTOOD
    except (DeployError, BusUnavailable, *DATABASE_FAULTS, OSError, ValueError) as fault:
        if (found := why(fault)) is None:
            raise
        print(f"tributary: {found[0]}", file=sys.stderr)
        return found[1]


def why(fault: Exception) -> tuple[str, int] | None:
    """What an operator can put right, as one line and the exit code; None: it is a bug."""
    if isinstance(fault, DeployError | BusUnavailable):
        return str(fault), CANNOT_NOW
    if (found := explained(fault)) is not None:
        return found
    kind = type(getattr(fault, "orig", fault)).__name__  # a database's own words may hold what was asked for
    if isinstance(fault, DBAPIError | asyncpg.PostgresError):
        return f"the database did not answer as it should ({kind})", CANNOT_NOW
    if isinstance(fault, (*DATABASE_FAULTS, OSError)):
        where = "start it, set TRIBUTARY_DATABASE_HOST and TRIBUTARY_DATABASE_PORT, or name its folder with --data"
        return f"no database answers ({kind}): {where}", CANNOT_NOW
    return None


def handle(text: str) -> tuple[str, int]:
    """`ras:12` -> service and number. Raises Refusal invalid_field."""
    found = re.fullmatch(r"([a-z_]{1,40}):([0-9]{1,18})", text)
    if not found:
        raise Refusal("invalid_field", "A parked message is named as the list shows it: SERVICE:NUMBER, as ras:12.")
    return found[1], int(found[2])
