"""Signed heads of the audit log, and the walk that finds the first break.

A chain alone shows that something within it was changed. Its end can still be cut off, or all of it made again by
whoever may write to the database. So the heads are signed from time to time by a key the database does not know, and
written to a second place as well.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chassis import telemetry
from chassis.audit import SHARDS, chained
from chassis.settings import NotSetUp
from chassis.transaction import Transaction, Transactions

EVERY_SECONDS = 3600.0
PAGE = 5000


class Heads(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed: per shard how many entries there are and the last one's hash; `previous` is the hash of the
    anchor before this one, so that anchors are a chain too."""

    service: str
    n: int
    at: str
    previous: str
    heads: dict[str, tuple[int, str]]


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """`body` is `Heads` as JSON, byte for byte what was signed; `signature` is Ed25519, in hexadecimal."""

    body: str
    signature: str


@dataclass(frozen=True)
class Signer:
    """`file` is the second place: append-only by habit, on another machine by choice."""

    key: Ed25519PrivateKey
    file: Path | None = None

    def sign(self, heads: Heads) -> Anchor:
        body = msgspec.json.encode(heads, order="sorted")
        return Anchor(body=body.decode(), signature=self.key.sign(body).hex())

    def write(self, anchor: Anchor) -> None:
        """To the log and, where one is set, to the file. Either line can be verified against as it is."""
        telemetry.logger("audit").info("audit_anchor", body=anchor.body, signature=anchor.signature)
        if self.file is not None:
            descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(msgspec.json.encode(anchor) + b"\n")


HEADS = "SELECT shard, next, hash FROM audit_head ORDER BY shard"
ANCHORS = "SELECT n, body, signature FROM audit_anchor ORDER BY n"
LAST = "SELECT n, body FROM audit_anchor ORDER BY n DESC LIMIT 1"
KEEP = "INSERT INTO audit_anchor (n, body, signature) VALUES (:n, :body, :signature) ON CONFLICT (n) DO NOTHING"


async def anchor(tx: Transaction, service: str, signer: Signer) -> Anchor:
    """Sign the heads as they are committed now. Written out before the commit: what is signed is committed already."""
    last = (await tx.execute(LAST)).first()
    heads = {str(row.shard): (int(row.next), bytes(row.hash).hex()) for row in (await tx.execute(HEADS)).all()}
    n, previous = (last.n + 1, _digest(last.body)) if last else (1, "")
    made = signer.sign(Heads(service=service, n=n, at=tx.now.isoformat(), previous=previous, heads=heads))
    signer.write(made)
    await tx.execute(KEEP, {"n": n, "body": made.body, "signature": bytes.fromhex(made.signature)})
    return made


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Raises NotSetUp where the file holds something else."""
    with suppress(TypeError, ValueError):  # with a password, or no PEM
        if isinstance(found := load_pem_private_key(path.read_bytes(), None), Ed25519PrivateKey):
            return found
    raise NotSetUp(f"{path} holds no Ed25519 private key in PEM (for the audit log: TRIBUTARY_AUDIT_KEY_FILE)")


class Broken(Exception):
    """The log was changed. The message says where, never what an entry says."""


@dataclass(frozen=True)
class Sound:
    """What was walked."""

    entries: int
    anchors: int


async def verify(
    transactions: Transactions, service: str, key: Ed25519PublicKey, elsewhere: Iterable[Anchor] = ()
) -> Sound:
    """Walk every chain from its start. Raises Broken at the first break: an anchor not signed by `key`, missing or cut
    loose, an entry changed, missing or out of place, a head that is not the end, an end before an anchor's."""
    async with transactions() as tx:
        kept = [Anchor(body=r.body, signature=bytes(r.signature).hex()) for r in (await tx.execute(ANCHORS)).all()]
    signed = _anchors(kept, service, key, elsewhere)
    async with transactions() as tx:
        heads = {int(r.shard): (int(r.next), bytes(r.hash)) for r in (await tx.execute(HEADS)).all()}
    if missing := set(range(SHARDS)) - heads.keys():
        raise Broken(f"shard {min(missing)}: its head is missing")
    walked = _Walk(heads, signed)
    place = (-1, -1)
    while page := await _page(transactions, place):
        for shard, off, body, hashed in page:
            walked.step(shard, off, body, hashed)
        place = page[-1][:2]
    walked.end()
    async with transactions() as tx:
        if (await tx.execute(BEYOND)).scalar():
            raise Broken("there are entries beyond a head")
    return Sound(walked.entries, len(signed))


PAGES = """
SELECT shard, off, body, hash FROM audit WHERE (shard, off) > (CAST(:shard AS smallint), CAST(:off AS bigint))
ORDER BY shard, off LIMIT :most
"""
BEYOND = "SELECT count(*) FROM audit a LEFT JOIN audit_head h USING (shard) WHERE a.off >= coalesce(h.next, 0)"


async def _page(transactions: Transactions, after: tuple[int, int]) -> list[tuple[int, int, str, bytes]]:
    """Each page in a transaction of its own: a long one would be ended by the database."""
    async with transactions() as tx:
        rows = (await tx.execute(PAGES, {"shard": after[0], "off": after[1], "most": PAGE})).all()
    return [(row.shard, row.off, row.body, bytes(row.hash)) for row in rows]


def _anchors(
    kept: Sequence[Anchor], service: str, key: Ed25519PublicKey, elsewhere: Iterable[Anchor]
) -> list[tuple[int, Heads]]:
    found: list[tuple[int, Heads]] = []
    previous = ""
    for n, one in enumerate(kept, 1):
        heads = _signed(one, n, key)
        if (heads.service, heads.n, heads.previous) != (service, n, previous):
            raise Broken(f"anchor {n} does not follow the one before it")
        previous = _digest(one.body)
        found.append((n, heads))
    for one in elsewhere:
        n = msgspec.json.decode(one.body, type=Heads).n
        heads = _signed(one, n, key)
        if heads.service == service and (not 0 < n <= len(kept) or kept[n - 1].body != one.body):
            raise Broken(f"anchor {n} was written elsewhere and is not here")
    return found


def _signed(one: Anchor, n: int, key: Ed25519PublicKey) -> Heads:
    try:
        key.verify(bytes.fromhex(one.signature), one.body.encode())
        return msgspec.json.decode(one.body, type=Heads)
    except (InvalidSignature, ValueError):
        raise Broken(f"anchor {n} is not signed by this key") from None


class _Walk:
    """Goes along the chains in order, as far as the heads that were read, and compares each anchored place."""

    def __init__(self, heads: dict[int, tuple[int, bytes]], signed: Sequence[tuple[int, Heads]]) -> None:
        self.heads, self.entries = heads, 0
        self.at: dict[int, tuple[int, bytes]] = {}
        self.due: dict[tuple[int, int], list[tuple[int, str]]] = {}
        for n, anchored in signed:
            for shard, (upto, hashed) in anchored.heads.items():
                self._expect(int(shard), upto, hashed, n)

    def _expect(self, shard: int, upto: int, hashed: str, n: int) -> None:
        if upto > self.heads.get(shard, (0, b""))[0]:
            raise Broken(f"shard {shard} ends before anchor {n}: entries at its end are missing")
        if upto:
            self.due.setdefault((shard, upto), []).append((n, hashed))

    def step(self, shard: int, off: int, body: str, hashed: bytes) -> None:
        expected, previous = self.at.get(shard, (0, b""))
        if expected >= self.heads.get(shard, (0, b""))[0]:
            return  # written since the heads were read
        if off != expected:
            raise Broken(f"shard {shard}: entry {expected} is missing")
        if chained(previous, body) != hashed:
            raise Broken(f"shard {shard}: entry {off} does not match its hash")
        for n, signed in self.due.pop((shard, off + 1), ()):
            if hashed.hex() != signed:
                raise Broken(f"shard {shard}: entry {off} is not the one anchor {n} signed")
        self.at[shard] = (off + 1, hashed)
        self.entries += 1

    def end(self) -> None:
        for shard, head in self.heads.items():
            if self.at.get(shard, (0, b"")) != head:
                raise Broken(f"shard {shard}: its head is not its last entry")
