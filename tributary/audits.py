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

from chassis import telemetry
from chassis.audit_anchor import Anchor, Broken, Heads, Signer, verify
from chassis.audit_anchor import anchor as sign_heads
from chassis.database import Database
from chassis.run import role_of
from chassis.service import Service, SystemClock
from chassis.settings import Settings
from chassis.transaction import Transactions
from deploy.child import DeployError
from deploy.keys import kept_key, public_key
from deploy.one_process import AUDIT_KEY, audit_signer, service_passwords
from deploy.services import all_services
from tributary.operating import DATABASE_FAULTS, kept, why

SOUND, BROKEN, NOT_UNDERSTOOD, CANNOT_NOW = 0, 1, 2, 3


@dataclass(frozen=True)
class Place:
    """A database with audit logs in it. `key` None: none is set here. `anchors_setting` is what names `anchors`; ''
    where they lie beside the data, and come with the first anchor."""

    url: Callable[[Service], str]
    key: Path | None
    anchors: Path | None
    anchors_setting: str = ""

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
        with kept(data) as server:
            signer = audit_signer(server.folder.home)
            password = service_passwords(server)
            key = server.folder.home / AUDIT_KEY
            yield Place(lambda s: server.url(role_of(s), password, "tributary"), key, signer.file)
        return
    settings = Settings()
    url, key_file, anchors = settings.database_url, settings.audit_key_file, settings.audit_anchors_file
    yield Place(lambda s: url(role_of(s)), key_file, anchors, "TRIBUTARY_AUDIT_ANCHORS_FILE")


def anchor(names: list[str] | None, data: Path | None) -> int:
    """Returns the exit code."""

    def working(where: Place) -> Work | None:
        return _signing(Signer(kept_key(where.key), where.anchors)) if where.key else None

    return _run(names, data, working)


def check(names: list[str] | None, data: Path | None, key: Path | None, anchors: Path | None) -> int:
    """Returns the exit code."""

    def working(where: Place) -> Work | None:
        file, option = (key, "--key") if key else (where.key, "TRIBUTARY_AUDIT_KEY_FILE")
        return _verifying(_believed(file, option), _elsewhere(where, anchors)) if file else None

    return _run(names, data, working)


def _believed(file: Path, option: str) -> Ed25519PublicKey:
    try:
        return public_key(file)
    except OSError as fault:
        raise DeployError(f"{option}: {file} cannot be read ({fault.strerror}): name the signing key's file") from None
    except ValueError:
        raise DeployError(f"{option}: {file} holds no Ed25519 key in PEM: name the signing key's file") from None


def _elsewhere(where: Place, named: Path | None) -> list[Anchor]:
    """What was written outside the database: where the deployment writes it, and in the file named beside that. A file
    that somebody names must be there: else a log could lose its end, and its anchors, unseen."""
    found = _anchors_in(named, "--anchors") if named else []
    own = where.anchors
    if own is not None and (where.anchors_setting or own.exists()):
        found += _anchors_in(own, where.anchors_setting or "--data")
    return found


def _anchors_in(file: Path, option: str) -> list[Anchor]:
    """One a line, as signed or as logged (`audit_anchor`); empty lines are passed over. Raises DeployError."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as fault:
        raise DeployError(f"{option}: {file} cannot be read ({fault.strerror}): name the file of anchors") from None
    return [_anchor(line, f"{option}: {file}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]


def _anchor(line: bytes, place: str) -> Anchor:
    try:
        found = msgspec.json.decode(line, type=Anchor)
        msgspec.json.decode(found.body, type=Heads)
    except ValueError:
        raise DeployError(f"{place} is no anchor: put it right from where it was copied, or take it out") from None
    return found


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
    except (DeployError, *DATABASE_FAULTS, OSError, ValueError) as fault:
        if (found := why(fault)) is None:
            raise
        return _say(*found)


def _say(what: str, code: int) -> int:
    print(f"tributary: {what}", file=sys.stderr)
    return code


Work = Callable[[Place, Service], Awaitable[str]]


def _signing(signer: Signer) -> Work:
    async def work(where: Place, one: Service) -> str:
        async with where.log(one) as log, log() as tx:
            made = await sign_heads(tx, one.name, signer)
        return f"anchor {msgspec.json.decode(made.body)['n']} signed"

    return work


def _verifying(key: Ed25519PublicKey, elsewhere: Sequence[Anchor]) -> Work:
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
