"""The log of who did what: nothing in it can be changed, left out, cut off or made again without being found."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from chassis import audit
from chassis.audit_anchor import Anchor, Broken, Heads, Signer, Sound, anchor, verify
from chassis.auth import Caller
from chassis.bus_embedded import EmbeddedBus
from chassis.database import Database
from chassis.run import role_of
from chassis.service import Handlers
from deploy.one_process import service_passwords
from deploy.postgres import EmbeddedPostgres
from tests.chassis.probe import Probe, service_with
from tests.conftest import ask_server, copy_of

OFFICER = Caller("officer-7", frozenset({"b", "a"}), frozenset({"council-a"}))
SUBJECT = str(uuid.UUID(int=7))
SHARD = audit.shard_of(SUBJECT)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(Ed25519PrivateKey.generate(), tmp_path / "anchors.jsonl")


class Log:
    """A probe's audit log; `tamper` does what only the owner of the tables could."""

    def __init__(self, probe: Probe, signer: Signer, tamper: Callable[[str], Awaitable[object]]) -> None:
        self.probe, self.signer, self.tamper = probe, signer, tamper

    async def write(self, *actions: str, subject: str = SUBJECT) -> None:
        async with self.probe.transactions() as tx:
            for action in actions:
                OFFICER.record(tx, action, subject)

    async def anchor(self) -> Anchor:
        with capture_logs():
            async with self.probe.transactions() as tx:
                return await anchor(tx, "probe", self.signer)

    async def verify(self, signer: Signer | None = None, *, elsewhere: bool = False) -> Sound:
        assert self.signer.file is not None
        lines = self.signer.file.read_bytes().splitlines() if elsewhere else []
        written = [msgspec.json.decode(line, type=Anchor) for line in lines]
        return await verify(self.probe.transactions, "probe", (signer or self.signer).key.public_key(), written)


@pytest_asyncio.fixture(scope="module")
async def shared(postgres: EmbeddedPostgres, probe_template: str) -> AsyncIterator[tuple[Probe, str]]:
    """One database for all tests here, and its name: making one takes longer than a test."""
    name = await copy_of(postgres, probe_template)
    url = postgres.url(role_of(service_with(Handlers())), service_passwords(postgres), name)
    database = Database(url, "probe")
    yield Probe(database, EmbeddedBus(database.engine)), name
    await database.close()


@pytest_asyncio.fixture
async def log(shared: tuple[Probe, str], signer: Signer, postgres: EmbeddedPostgres) -> Log:
    """Three entries about one subject and some about others; an anchor; one entry more."""
    probe, name = shared
    log = Log(probe, signer, lambda sql: ask_server(postgres, sql, name))
    await log.tamper("TRUNCATE probe.audit, probe.audit_anchor")
    await log.tamper(
        f"""INSERT INTO probe.audit_head (shard, hash) SELECT generate_series(0, {audit.SHARDS - 1}), '\\x'
            ON CONFLICT (shard) DO UPDATE SET next = 0, hash = ''"""
    )
    await log.write("seen", "finalised", "accepted")
    async with probe.transactions() as tx:
        for n in range(20):
            OFFICER.record(tx, "seen", f"other-{n}")
    await log.anchor()
    await log.write("seen")
    return log


async def test_an_entry_says_who_did_what_with_which_scopes_and_chains_on(log: Log) -> None:
    rows = await log.probe.rows("SELECT body, hash FROM audit WHERE shard = :shard ORDER BY off", shard=SHARD)
    entry = msgspec.json.decode(rows[0].body, type=audit.Entry)
    assert (entry.actor, entry.action, entry.subject) == ("officer-7", "seen", SUBJECT)
    assert entry.detail == {"scopes": "a b"}
    previous = b""
    for row in rows:
        previous = audit.chained(previous, row.body)
        assert bytes(row.hash) == previous


async def test_what_was_not_touched_is_sound_while_others_write(log: Log) -> None:
    assert await log.verify(elsewhere=True) == Sound(24, 1)
    await log.anchor()
    writing = asyncio.gather(*(log.write("seen", "seen", subject=f"more-{n}") for n in range(20)))
    found = [await log.verify(elsewhere=True) for _ in range(5)]
    await writing
    assert {f.anchors for f in found} == {2}
    assert all(24 <= f.entries <= 64 for f in found)
    assert await log.verify() == Sound(64, 2)


async def test_an_entry_and_what_it_is_about_are_kept_together_or_not_at_all(log: Log) -> None:
    async def undone() -> None:
        async with log.probe.transactions() as tx:
            OFFICER.record(tx, "undone", SUBJECT)
            raise LookupError

    with pytest.raises(LookupError):
        await undone()
    assert await log.verify() == Sound(24, 1)


HERE = f"shard = {SHARD} AND off"
CASES = {
    "an entry changed": (
        f"UPDATE probe.audit SET body = replace(body, 'seen', 'gone') WHERE {HERE} = 0",
        "match its hash",
    ),
    "an entry and its hash changed": (
        f"UPDATE probe.audit SET body = 'x', hash = sha256('x') WHERE {HERE} = 0",
        "entry 1 does not match its hash",
    ),
    "an entry missing": (f"DELETE FROM probe.audit WHERE {HERE} = 1", "entry 1 is missing"),
    "the first entry missing": (f"DELETE FROM probe.audit WHERE {HERE} = 0", "entry 0 is missing"),
    "two entries changed places": (
        f"""UPDATE probe.audit a SET body = b.body, hash = b.hash FROM probe.audit b
            WHERE a.shard = {SHARD} AND a.off IN (0, 1) AND b.shard = a.shard AND b.off = 1 - a.off""",
        "entry 0 does not match its hash",
    ),
    "the last entry missing": (f"DELETE FROM probe.audit WHERE {HERE} = 3", "its head is not its last entry"),
    "the head put back": (f"UPDATE probe.audit_head SET next = 2 WHERE shard = {SHARD}", "ends before anchor 1"),
    "a head missing": (f"DELETE FROM probe.audit_head WHERE shard = {SHARD}", f"shard {SHARD}: its head is missing"),
    "an entry after the head": (f"INSERT INTO probe.audit VALUES ({SHARD}, 4, 'x', 'x')", "beyond a head"),
    "an anchor changed": ("UPDATE probe.audit_anchor SET body = replace(body, '20', '21')", "anchor 1 is not signed"),
    "a signature changed": ("UPDATE probe.audit_anchor SET signature = 'x'", "anchor 1 is not signed"),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_was_touched_is_found_and_named(log: Log, case: str) -> None:
    sql, says = CASES[case]
    await log.tamper(sql)
    with pytest.raises(Broken, match=says):
        await log.verify()


async def cut_the_end(log: Log, keep: int) -> None:
    """As somebody would who knows how it works: the entries go, and the head is made to fit."""
    await log.tamper(f"DELETE FROM probe.audit WHERE shard = {SHARD} AND off >= {keep}")
    last = f"(SELECT hash FROM probe.audit WHERE shard = {SHARD} AND off = {keep - 1})"
    await log.tamper(f"UPDATE probe.audit_head SET next = {keep}, hash = {last} WHERE shard = {SHARD}")


async def test_an_end_cut_off_with_its_head_is_caught_by_the_anchor(log: Log) -> None:
    await cut_the_end(log, 2)
    with pytest.raises(Broken, match="ends before anchor 1"):
        await log.verify()


async def test_a_chain_made_again_is_caught_by_the_anchor(log: Log) -> None:
    await cut_the_end(log, 2)
    await log.write("accepted otherwise", "seen", "seen")
    with pytest.raises(Broken, match="entry 2 is not the one anchor 1 signed"):
        await log.verify()


async def test_an_anchor_taken_out_with_the_end_is_caught_by_the_one_written_elsewhere(log: Log) -> None:
    await cut_the_end(log, 2)
    await log.tamper("DELETE FROM probe.audit_anchor")
    assert (await log.verify()).anchors == 0, "the database alone cannot know"
    with pytest.raises(Broken, match="anchor 1 was written elsewhere"):
        await log.verify(elsewhere=True)


async def test_an_anchor_missing_between_two_is_found(log: Log) -> None:
    for _ in range(2):
        await log.anchor()
    await log.tamper("DELETE FROM probe.audit_anchor WHERE n = 2")
    with pytest.raises(Broken, match="anchor 2 does not follow"):
        await log.verify()


async def test_another_key_is_not_believed(log: Log) -> None:
    other = Signer(Ed25519PrivateKey.generate())
    with pytest.raises(Broken, match="anchor 1 is not signed by this key"):
        await log.verify(other)


async def test_anchors_are_written_to_the_log_and_the_file(log: Log) -> None:
    with capture_logs() as lines:
        async with log.probe.transactions() as tx:
            made = await anchor(tx, "probe", log.signer)
    assert [(line["event"], msgspec.convert(line, Anchor)) for line in lines] == [("audit_anchor", made)]
    assert log.signer.file is not None
    assert msgspec.json.decode(log.signer.file.read_bytes().splitlines()[-1], type=Anchor) == made
    assert log.signer.file.stat().st_mode & 0o777 == 0o600
    heads = msgspec.json.decode(made.body, type=Heads)
    assert (heads.n, heads.service, len(heads.heads)) == (2, "probe", audit.SHARDS)


async def test_the_service_itself_can_change_none_of_it(log: Log) -> None:
    for table in ("audit", "audit_anchor"):
        for statement in (f"UPDATE {table} SET body = ''", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(Exception, match="permission denied"):
                await log.probe.rows(statement)
