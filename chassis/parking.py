"""One person's bad message is parked with a coded reason, that person's later messages wait behind it in order, and
nobody else waits. Release runs them through the same handler, in order."""

import json
from collections.abc import Sequence
from uuid import UUID

import msgspec

from chassis.bus import Record
from chassis.inbox import Message, read
from chassis.transaction import Transaction, columns

PARK = """
INSERT INTO parked (person_ref, event_id, type, topic, partition, record_offset, key, headers, payload, payload_hash,
                    reason, blocks, attempts, first_failed_at)
SELECT g.*, CAST(:now AS timestamptz)
FROM unnest(CAST(:people AS uuid[]), CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:topics AS text[]),
            CAST(:parts AS int[]), CAST(:offsets AS bigint[]), CAST(:keys AS bytea[]), CAST(:headers AS jsonb[]),
            CAST(:payloads AS bytea[]), CAST(:hashes AS bytea[]), CAST(:reasons AS text[]), CAST(:blocks AS boolean[]),
            CAST(:attempts AS int[])) AS g
ON CONFLICT (event_id, payload_hash) DO NOTHING
"""


class Parked(msgspec.Struct, frozen=True):
    """One parked message, its body hidden. `waiting` messages only queue behind the person's blocking one."""

    id: int
    person_ref: UUID
    event_id: UUID
    type: str
    topic: str
    reason: str
    attempts: int
    age_seconds: float
    waiting: bool


async def park(tx: Transaction, messages: Sequence[Message], reason: str = "", *, blocks: bool = True) -> None:
    """Park `messages` in the order given. `reason` '' takes each message's own fault. A message that does not block
    (a conflict) is kept for an operator, and the person's later messages flow."""
    if not messages:
        return
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


BEHIND = "behind_parked"
CONFLICT = "same_id_other_body"

LIST = """
SELECT id, person_ref, event_id, type, topic, reason, attempts,
       CAST(extract(epoch FROM CAST(:now AS timestamptz) - first_failed_at) AS float8) AS age_seconds,
       reason = 'behind_parked' AS waiting
FROM parked WHERE released_at IS NULL ORDER BY id LIMIT :most
"""
OF_PERSON = """
SELECT id, topic, partition, record_offset, key, headers, payload FROM parked
WHERE person_ref = :person AND released_at IS NULL AND blocks ORDER BY id FOR UPDATE
"""
RELEASED = "UPDATE parked SET released_at = CAST(:now AS timestamptz) WHERE id = ANY(CAST(:ids AS bigint[]))"


async def list_parked(tx: Transaction, most: int = 1000) -> list[Parked]:
    found = (await tx.execute(LIST, {"now": tx.now, "most": most})).all()
    return [Parked(**row._mapping) for row in found]


async def take(tx: Transaction, person_ref: UUID) -> list[Message]:
    """The person's parked messages, oldest first, marked released in this transaction."""
    found = (await tx.execute(OF_PERSON, {"person": person_ref})).all()
    await tx.execute(RELEASED, {"ids": [row.id for row in found], "now": tx.now})
    return [read(_record(row)) for row in found]


def _record(row: object) -> Record:
    headers = [(name, bytes.fromhex(value)) for name, value in _list(row.headers)]  # type: ignore[attr-defined]
    return Record(row.topic, row.partition, row.record_offset, bytes(row.key), bytes(row.payload), headers)  # type: ignore[attr-defined]


def _list(headers: object) -> list[list[str]]:
    return json.loads(headers) if isinstance(headers, str) else headers  # type: ignore[return-value]
