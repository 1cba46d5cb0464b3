"""`tributary audit`: sign the heads of the audit log, and walk it for the first break."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy.exc import DBAPIError

from chassis import telemetry
from chassis.audit_anchor import Anchor, Broken, Signer, public_key, verify
from chassis.audit_anchor import anchor as sign_heads
from chassis.database import Database
from chassis.run import role_of
from chassis.service import Service, SystemClock
from chassis.settings import Settings
from chassis.transaction import Transactions
from deploy.child import DeployError
from deploy.keys import kept_key
from deploy.one_process import audit_signer, service_passwords
from deploy.postgres import EmbeddedPostgres
from deploy.services import all_services

SOUND, BROKEN, NOT_UNDERSTOOD, CANNOT_NOW = 0, 1, 2, 3


@dataclass(frozen=True)
class Place:
    """A database with audit logs in it. `signer` None: no key is set here."""

    url: Callable[[Service], str]
    signer: Signer | None
    anchors: Path | None

    @asynccontextmanager
    async def log(self, service: Service) -> AsyncIterator[Transactions]:
        database = Database(self.url(service), service.schema, pool=1)
        try:
            yield Transactions(database, service.name, SystemClock())
        finally:
            await database.close()


@contextlib.contextmanager
def place(data: Path | None) -> Iterator[Place]:
    """The services' own roles are used: reading the log needs no more."""
    if data is not None:
        with EmbeddedPostgres.start(data) as server:
            signer = audit_signer(server.folder.home)
            password = service_passwords(server)
            yield Place(lambda s: server.url(role_of(s), password, "tributary"), signer, signer.file)
        return
    settings = Settings()
    key, anchors = settings.audit_key_file, settings.audit_anchors_file
    yield Place(lambda s: settings.database_url(role_of(s)), Signer(kept_key(key), anchors) if key else None, anchors)


def anchor(names: list[str] | None, data: Path | None) -> int:
    """Returns the exit code."""

    async def work(where: Place, one: Service) -> str:
        assert where.signer is not None
        async with where.log(one) as log, log() as tx:
            made = await sign_heads(tx, one.name, where.signer)
        return f"anchor {msgspec.json.decode(made.body)['n']} signed"

    return _run(names, data, lambda where: work if where.signer else None)


def check(names: list[str] | None, data: Path | None, key: Path | None, anchors: Path | None) -> int:
    """Returns the exit code."""

    def working(where: Place) -> Work | None:
        believed = public_key(key) if key else where.signer.key.public_key() if where.signer else None
        return _verifying(believed, anchors or where.anchors) if believed else None

    return _run(names, data, working)


def _run(names: list[str] | None, data: Path | None, working: "Callable[[Place], Work | None]") -> int:
    telemetry.set_up_logs()
    known = {one.name: one for one in all_services()}
    if names and not set(names) <= known.keys():
        return _say(f"--service: there are {', '.join(known)}", NOT_UNDERSTOOD)
    try:
        with place(data) as where:
            work = working(where)
            if work is None:
                return _say("no key: set TRIBUTARY_AUDIT_KEY_FILE, or, to verify, --key", NOT_UNDERSTOOD)
            return asyncio.run(_each([known[name] for name in names or known], where, work))
    except (DeployError, OSError, ValueError) as fault:
        return _say(str(fault), CANNOT_NOW)
    except DBAPIError as fault:
        return _say(f"the database does not answer as it should ({type(fault.orig).__name__})", CANNOT_NOW)


def _say(what: str, code: int) -> int:
    print(f"tributary: {what}", file=sys.stderr)
    return code


Work = Callable[[Place, Service], Awaitable[str]]


def _verifying(key: Ed25519PublicKey, file: Path | None) -> Work:
    lines = file.read_bytes().splitlines() if file is not None and file.exists() else []
    elsewhere = [msgspec.json.decode(line, type=Anchor) for line in lines]

    async def work(where: Place, one: Service) -> str:
        async with where.log(one) as log:
            found = await verify(log, one.name, key, elsewhere)
        return f"sound: {found.entries} entries, {found.anchors} anchors"

    return work


async def _each(services: Sequence[Service], where: Place, work: Work) -> int:
    code = SOUND
    for one in services:
        try:
            print(f"{one.name}: {await work(where, one)}")
        except Broken as found:
            print(f"{one.name}: BROKEN: {found}")
            code = BROKEN
    return code
