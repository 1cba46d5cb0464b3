"""Who did or saw what: an append-only log, its entries chained by hash per shard, in the commit of what was done."""

import getpass
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from chassis.transaction import Transaction

SHARDS = 16

HEADS = (
    "SELECT shard, next, hash FROM audit_head WHERE shard = ANY(CAST(:shards AS smallint[])) ORDER BY shard FOR UPDATE"
)
APPEND = """
WITH entry AS (
  INSERT INTO audit (shard, off, body, hash)
  SELECT * FROM unnest(CAST(:shards AS smallint[]), CAST(:offs AS bigint[]), CAST(:bodies AS text[]),
                       CAST(:hashes AS bytea[]))
  RETURNING shard, off, hash
), last AS (
  SELECT DISTINCT ON (shard) shard, off, hash FROM entry ORDER BY shard, off DESC
)
UPDATE audit_head h SET next = last.off + 1, hash = last.hash FROM last WHERE h.shard = last.shard
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """`actor` is the caller's name, never a person with care needs; `subject` an opaque reference; `at` UTC."""

    at: str
    actor: str
    action: str
    subject: str
    reason: str = ""
    detail: dict[str, str | int | bool] = {}


def canonical(entry: Entry) -> str:
    """What is stored and hashed, byte for byte."""
    return msgspec.json.encode(entry, order="sorted").decode()


def chained(previous: bytes, body: str) -> bytes:
    return hashlib.sha256(previous + body.encode()).digest()


def shard_of(subject: str) -> int:
    return hashlib.sha256(subject.encode()).digest()[0] % SHARDS


def operator() -> str:
    """Who works at this terminal."""
    return f"cli:{getpass.getuser()}"


async def append(tx: "Transaction") -> None:
    """Write what the transaction recorded. Before the outbox: heads are locked in one order everywhere."""
    if not tx.audited:
        return
    rows = [(shard_of(entry.subject), canonical(entry)) for entry in tx.audited]
    heads: dict[int, tuple[int, bytes]] = {
        row.shard: (row.next, bytes(row.hash))
        for row in (await tx.execute(HEADS, {"shards": sorted({shard for shard, _ in rows})})).all()
    }
    found: list[tuple[int, int, str, bytes]] = []
    for shard, body in rows:
        off, previous = heads[shard]
        heads[shard] = (off + 1, chained(previous, body))
        found.append((shard, off, body, heads[shard][1]))
    values: dict[str, Any] = dict(
        zip(("shards", "offs", "bodies", "hashes"), map(list, zip(*found, strict=True)), strict=True)
    )
    await tx.execute(APPEND, values)
