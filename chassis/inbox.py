"""Idempotency: an event is its id and its payload's hash. Same id, same hash: done already, say nothing. Same id,
other hash: a loud conflict, refused. Behind a parked message of the same person, later ones wait in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from chassis import trace
from chassis.bus import Record
from chassis.fence import HELD, NO_FENCE, Fence
from chassis.service import Received
from chassis.transaction import Transaction, columns
from contracts.event import EVENTS, Envelope, payload_hash
from contracts.ids import read_id


class Message(NamedTuple):
    """A record with what could be read of it. `fault` is the coded reason it cannot be handled, or ''."""

    record: Record
    person_ref: UUID
    event_id: UUID
    hash: bytes
    received: Received[Any] | None
    fault: str = ""

    def ids(self) -> dict[str, str]:
        """For a log line: which event, out of what, in whose trace."""
        if self.received is None:
            return {"event_id": str(self.event_id)}
        envelope = self.received.envelope
        return {
            "event_id": str(envelope.id),
            "correlation_id": str(envelope.correlation_id),
            "causation_id": str(envelope.causation_id or ""),
            "traceparent": trace.parse(envelope.traceparent),
        }


def read(record: Record) -> Message:
    """Decode one record. Never raises: what cannot be read carries its fault and is parked."""
    hashed = payload_hash(record.value)
    try:
        envelope = Envelope.parse(dict(record.headers))
    except (KeyError, ValueError, UnicodeDecodeError):
        return Message(record, _key(record), read_id(hashed), hashed, None, "envelope_unreadable")
    kind = EVENTS.get(envelope.type)
    if kind is None:
        return Message(record, envelope.subject, envelope.id, hashed, None, "event_type_unknown")
    try:
        event = kind.decode(record.value)
    except ValueError:  # msgspec's decode and validation errors are ValueErrors
        return Message(record, envelope.subject, envelope.id, hashed, None, "payload_invalid")
    if event.person_ref != envelope.subject:
        return Message(record, envelope.subject, envelope.id, hashed, None, "subject_differs")
    return Message(record, envelope.subject, envelope.id, hashed, Received(event, envelope, record.value))


def _key(record: Record) -> UUID:
    """Whose it is when the envelope cannot say: the partition key, or else its hash."""
    try:
        return read_id(record.key.decode())
    except (ValueError, UnicodeDecodeError):
        return read_id(payload_hash(record.key))


@dataclass(frozen=True, slots=True)
class Sorted:
    """A batch by what is to be done with each message. Repeats with the same body are in none of these."""

    fresh: list[Message]
    behind_parked: list[Message]
    conflicts: list[Message]


MARK = f"""
WITH held AS (
  {HELD}
), ins AS (
  INSERT INTO inbox (event_id, payload_hash)
  SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:hashes AS bytea[])) AS g(id, hash) ORDER BY id
  ON CONFLICT DO NOTHING RETURNING event_id
), waiting AS (
  SELECT person_ref FROM parked
  WHERE released_at IS NULL AND blocks AND person_ref = ANY(CAST(:people AS uuid[])) FOR SHARE
)
SELECT 'fresh' AS what, event_id AS id FROM ins UNION ALL SELECT 'waiting', person_ref FROM waiting
UNION ALL SELECT 'held', NULL FROM held
"""
KNOWN = "SELECT event_id, payload_hash FROM inbox WHERE event_id = ANY(CAST(:ids AS uuid[]))"


async def mark(tx: Transaction, messages: Sequence[Message], fence: Fence = NO_FENCE) -> Sorted:
    """Mark the batch in the inbox and sort it. One statement, a second only where something came again. Raises Fenced,
    and then nothing of it may be committed."""
    first: dict[UUID, Message] = {}
    others = [m for m in messages if first.setdefault(m.event_id, m).hash != m.hash]
    ids, hashes, people = columns(list(first.values()), lambda m: m.event_id, lambda m: m.hash, lambda m: m.person_ref)
    question = fence.question(m.record for m in messages)
    found = (await tx.execute(MARK, {"ids": ids, "hashes": hashes, "people": people, **question})).all()
    fence.answer(question, sum(row.what == "held" for row in found))
    new = {row.id for row in found if row.what == "fresh"}
    waiting = {row.id for row in found if row.what == "waiting"}
    again = [m for m in first.values() if m.event_id not in new]
    true = {m.event_id: m.hash for m in first.values()}
    if again:
        stored = (await tx.execute(KNOWN, {"ids": [m.event_id for m in again]})).all()
        true |= {row.event_id: bytes(row.payload_hash) for row in stored}
    # what is stored says which body is the true one, not which came first in this batch
    conflicts = [m for m in (*others, *again) if true[m.event_id] != m.hash]
    fresh = [m for m in first.values() if m.event_id in new]
    return Sorted(
        fresh=[m for m in fresh if m.person_ref not in waiting],
        behind_parked=[m for m in fresh if m.person_ref in waiting],
        conflicts=conflicts,
    )


async def not_known(tx: Transaction, messages: Sequence[Message]) -> list[Message]:
    """Those whose id was never marked. Marks nothing."""
    stored = (await tx.execute(KNOWN, {"ids": [m.event_id for m in messages]})).all()
    known = {row.event_id for row in stored}
    return [m for m in messages if m.event_id not in known]
