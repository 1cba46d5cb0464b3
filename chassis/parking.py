"""One person's bad message is parked with a coded reason, that person's later messages wait behind it in order, and
nobody else waits. `chassis.release` is what an operator does about it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from chassis.bus import Record
from chassis.inbox import Message, read
from chassis.transaction import Transaction, columns
from contracts.event import SOURCE_PREFIX

# a message sent once more on purpose (redriven) that fails again is parked again, in its old place
PARK = """
INSERT INTO parked AS p (person_ref, event_id, type, topic, partition, record_offset, key, headers, payload,
                         payload_hash, reason, blocks, attempts, first_failed_at)
SELECT g.*, CAST(:now AS timestamptz)
FROM unnest(CAST(:people AS uuid[]), CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:topics AS text[]),
            CAST(:parts AS int[]), CAST(:offsets AS bigint[]), CAST(:keys AS bytea[]), CAST(:headers AS jsonb[]),
            CAST(:payloads AS bytea[]), CAST(:hashes AS bytea[]), CAST(:reasons AS text[]), CAST(:blocks AS boolean[]),
            CAST(:attempts AS int[])) AS g
ON CONFLICT (event_id, payload_hash) DO UPDATE
SET reason = excluded.reason, blocks = excluded.blocks, attempts = p.attempts + excluded.attempts, released_at = NULL,
    ended = NULL, last_tried_at = CAST(:now AS timestamptz)
WHERE p.ended = 'redriven'
"""
BEHIND = "behind_parked"
CONFLICT = "same_id_other_body"
HANDLER = "handler_"
MOST = 1000


async def park(tx: Transaction, messages: Sequence[Message], reason: str = "", *, blocks: bool = True) -> None:
    """Park `messages` in the order given. `reason` '' takes each message's own fault. A message that does not block
    (a conflict) is kept for an operator, and the person's later messages flow."""
    if not messages:
        return
    messages = list({(m.event_id, m.hash): m for m in reversed(messages)}.values())[::-1]
    people, ids, types, topics, parts, offsets, keys, headers, payloads, hashes = columns(
        messages,
        lambda m: m.person_ref,
        lambda m: m.event_id,
        lambda m: m.received.envelope.type if m.received else "",
        lambda m: m.record.topic,
        lambda m: m.record.partition,
        lambda m: m.record.offset,
        lambda m: m.record.key,
        lambda m: json.dumps([[k, v.hex()] for k, v in m.record.headers]),
        lambda m: m.record.value,
        lambda m: m.hash,
    )
    await tx.execute(
        PARK,
        {
            "people": people, "ids": ids, "types": types, "topics": topics, "parts": parts, "offsets": offsets,
            "keys": keys, "headers": headers, "payloads": payloads, "hashes": hashes,
            "reasons": [reason or m.fault for m in messages], "blocks": [blocks] * len(messages),
            "attempts": [0 if reason == BEHIND else 1 for m in messages], "now": tx.now,
        },
    )  # fmt: skip


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """One parked message, its body hidden. `waiting` messages only queue behind `blocked_by`; `behind` counts those
    that wait behind this one. `owner` must act: a service's team, or 'operator'. Times are UTC, ages in seconds."""

    id: int
    person_ref: UUID
    event_id: UUID
    type: str
    topic: str
    partition: int
    record_offset: int
    reason: str
    owner: str
    attempts: int
    age_seconds: float
    waiting: bool
    blocked_by: int | None
    behind: int
    first_failed_at: datetime
    last_tried_at: datetime | None
    ended: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages to list. Nothing set: all that are parked still. `ids` also finds those that ended."""

    ids: tuple[int, ...] = ()
    person: UUID | None = None
    reason: str = ""
    most: int = MOST


LIST = """
SELECT p.id, p.person_ref, p.event_id, p.type, p.topic, p.partition, p.record_offset, p.reason, p.attempts,
       p.first_failed_at, p.last_tried_at, p.ended, p.headers, head.id AS head, head.reason AS head_reason,
       head.headers AS head_headers,
       CAST(extract(epoch FROM CAST(:now AS timestamptz) - p.first_failed_at) AS float8) AS age_seconds,
       CASE WHEN head.id = p.id THEN (SELECT count(*) - 1 FROM parked w
         WHERE w.person_ref = p.person_ref AND w.released_at IS NULL AND w.blocks) ELSE 0 END AS behind
FROM parked p LEFT JOIN LATERAL (
  SELECT h.id, h.reason, h.headers FROM parked h
  WHERE h.person_ref = p.person_ref AND h.released_at IS NULL AND h.blocks ORDER BY h.id LIMIT 1
) head ON p.blocks AND p.released_at IS NULL
WHERE (p.id = ANY(CAST(:ids AS bigint[])) OR (cardinality(CAST(:ids AS bigint[])) = 0 AND p.released_at IS NULL))
  AND (CAST(:person AS uuid) IS NULL OR p.person_ref = :person) AND (CAST(:reason AS text) = '' OR p.reason = :reason)
ORDER BY p.id LIMIT :most
"""


async def list_parked(tx: Transaction, wanted: Wanted | None = None) -> list[Parked]:
    """In the order they were parked."""
    wanted = wanted or Wanted()
    values = {"ids": list(wanted.ids), "person": wanted.person, "reason": wanted.reason}
    found = (await tx.execute(LIST, {**values, "now": tx.now, "most": wanted.most})).all()
    here = tx.source.removeprefix(SOURCE_PREFIX)
    return [_parked(row, here) for row in found]


def _parked(row: Any, here: str) -> Parked:
    waiting = row.head is not None and row.head != row.id
    reason, headers = (row.head_reason, row.head_headers) if waiting else (row.reason, row.headers)
    given = {name: getattr(row, name) for name in Parked.__struct_fields__ if hasattr(row, name)}
    blocked_by = row.head if waiting else None
    return Parked(**given, owner=_owner(reason, headers, here), waiting=waiting, blocked_by=blocked_by)


def _owner(reason: str, headers: object, here: str) -> str:
    """Who must act: who runs the handler, who sent what cannot be read, or an operator where nobody else can."""
    if reason.startswith(HANDLER) or reason == BEHIND:
        return here
    if reason == CONFLICT:
        return "operator"
    source = next((bytes.fromhex(value) for name, value in _list(headers) if name == "ce_source"), b"")
    # what cannot be read may hold anything: only what looks like one of our names is shown
    found = re.fullmatch(SOURCE_PREFIX + "([a-z_]{1,40})", source.decode("latin-1"))
    return found[1] if found else "operator"


LOCK_PERSON = """
SELECT id FROM parked WHERE person_ref = :person AND released_at IS NULL AND blocks ORDER BY id FOR UPDATE
"""
OF_PERSON = """
SELECT id, topic, partition, record_offset, key, headers, payload FROM parked
WHERE person_ref = :person AND released_at IS NULL AND blocks ORDER BY id
"""
END = """
UPDATE parked SET released_at = CAST(:now AS timestamptz), ended = :how
WHERE id = ANY(CAST(:ids AS bigint[])) AND released_at IS NULL RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that blocks or waits, `id` its row."""

    id: int
    message: Message


async def take(tx: Transaction, person_ref: UUID, how: str = "released") -> list[Taken]:
    """The person's parked messages, oldest first, marked as ended in this transaction. Until it commits, a message
    that arrives for the person waits (`inbox.MARK` asks for the same rows), so it can neither overtake nor be lost."""
    # twice: a message that was being parked while we waited for the locks shows only to a second statement
    await tx.execute(LOCK_PERSON, {"person": person_ref})
    found = (await tx.execute(OF_PERSON, {"person": person_ref})).all()
    await tx.execute(END, {"ids": [row.id for row in found], "now": tx.now, "how": how})
    return [Taken(row.id, read(record_of(row))) for row in found]


def record_of(row: Any) -> Record:
    headers = [(name, bytes.fromhex(value)) for name, value in _list(row.headers)]
    return Record(row.topic, row.partition, row.record_offset, bytes(row.key), bytes(row.payload), headers)


def _list(headers: object) -> list[list[str]]:
    return json.loads(headers) if isinstance(headers, str) else headers  # type: ignore[return-value]
