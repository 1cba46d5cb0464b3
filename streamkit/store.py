"""A stream's cases, loaded and saved many at a time."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from chassis.database import Raced
from chassis.transaction import Transaction, columns
from contracts.event import payload_hash
from contracts.facts import Notice
from contracts.kept import change_of
from streamkit.case import StreamCase

LOAD = """
SELECT assessment_ref, person_ref, correlation_id, asked, supplied, notice, notice_on, decided, revision, outcome
FROM stream_case WHERE assessment_ref = ANY(CAST(:refs AS uuid[])) ORDER BY assessment_ref FOR UPDATE
"""
ARRAYS = """unnest(CAST(:refs AS uuid[]), CAST(:people AS uuid[]), CAST(:correlations AS uuid[]),
  CAST(:asked AS bytea[]), CAST(:supplied AS bytea[]),
  CAST(:notices AS bytea[]), CAST(:notice_on AS int[]), CAST(:decided AS bytea[]),
  CAST(:revisions AS int[]), CAST(:outcomes AS text[]))
  AS g(assessment_ref, person_ref, correlation_id, asked, supplied, notice, notice_on, decided, revision, outcome)"""
INSERT = f"""
INSERT INTO stream_case (assessment_ref, person_ref, correlation_id, asked, supplied, notice, notice_on, decided,
                         revision, outcome, changed_at)
SELECT g.*, CAST(:now AS timestamptz) FROM {ARRAYS} ORDER BY g.assessment_ref
ON CONFLICT (assessment_ref) DO NOTHING RETURNING 1
"""
UPDATE = f"""
UPDATE stream_case c SET asked = coalesce(g.asked, c.asked), supplied = coalesce(g.supplied, c.supplied),
  notice = coalesce(g.notice, c.notice), notice_on = g.notice_on, decided = coalesce(g.decided, c.decided),
  revision = g.revision, outcome = g.outcome, changed_at = CAST(:now AS timestamptz)
FROM {ARRAYS} WHERE c.assessment_ref = g.assessment_ref
"""


async def load(tx: Transaction, refs: Iterable[UUID]) -> dict[UUID, StreamCase]:
    """The cases that exist, locked in a fixed order."""
    found = (await tx.execute(LOAD, {"refs": sorted(set(refs))})).all()
    return {case.assessment_ref: case for case in (StreamCase(*values) for values in map(tuple, found))}


async def save(tx: Transaction, new: Sequence[StreamCase], known: Sequence[StreamCase]) -> None:
    """Insert the new, update the known. Raises Raced where a new case was opened by somebody else meanwhile."""
    if new:
        opened = (await tx.execute(INSERT, _values(tx, new))).all()
        if len(opened) != len(new):
            raise Raced("a case was opened by another process")
    if known:
        await tx.execute(UPDATE, _values(tx, known))


def _values(tx: Transaction, cases: Sequence[StreamCase]) -> dict[str, Any]:
    """Of what is stored as JSON only the changes: the rest stands as it is."""
    return {
        "refs": [c.assessment_ref for c in cases],
        "people": [c.person_ref for c in cases],
        "correlations": [c.correlation_id for c in cases],
        "asked": [change_of(c, "asked") for c in cases],
        "supplied": [change_of(c, "supplied") for c in cases],
        "notices": [change_of(c, "notice") for c in cases],
        "notice_on": [c.notice_on for c in cases],
        "decided": [change_of(c, "decided") for c in cases],
        "revisions": [c.revision for c in cases],
        "outcomes": [c.outcome for c in cases],
        "now": tx.now,
    }


KEEP_NOTICE = """
INSERT INTO notice (assessment_ref, reference, content_hash, received_at, body)
VALUES (:ref, :reference, :hash, CAST(:now AS timestamptz), :body) ON CONFLICT (assessment_ref, reference) DO NOTHING
RETURNING reference
"""
KNOWN_NOTICE = "SELECT content_hash FROM notice WHERE assessment_ref = :ref AND reference = :reference"


async def keep_notice(tx: Transaction, ref: UUID, notice: Notice, content_hash: bytes) -> bytes | None:
    """Keep a notice for ever. Returns None when it is new, else the hash of what was kept under its reference."""
    values = {"ref": ref, "reference": notice.reference, "hash": content_hash}
    body = msgspec.json.encode(notice)
    if (await tx.execute(KEEP_NOTICE, {**values, "now": tx.now, "body": body})).first():
        return None
    known = (await tx.execute(KNOWN_NOTICE, {"ref": ref, "reference": notice.reference})).scalar()
    return bytes(known)


NOTICES = "SELECT assessment_ref, received_at, body FROM notice ORDER BY received_at"


async def notices(tx: Transaction) -> list[tuple[UUID, datetime, Notice]]:
    """Every notice ever kept, with when it came, oldest first."""
    found = (await tx.execute(NOTICES)).all()
    return [(row.assessment_ref, row.received_at, msgspec.json.decode(row.body, type=Notice)) for row in found]


OTHER_CONTENT = """
SELECT n.assessment_ref FROM notice n
JOIN unnest(CAST(:refs AS uuid[]), CAST(:references AS text[]), CAST(:hashes AS bytea[])) AS g(ref, reference, hash)
  ON n.assessment_ref = g.ref AND n.reference = g.reference WHERE n.content_hash <> g.hash
"""


async def kept_otherwise(tx: Transaction, notices: Sequence[tuple[UUID, Notice]]) -> set[UUID]:
    """Assessments for which a notice of the same reference is kept with other content."""
    refs, references, hashes = columns(
        notices, lambda n: n[0], lambda n: n[1].reference, lambda n: payload_hash(msgspec.json.encode(n[1]))
    )
    found = await tx.execute(OTHER_CONTENT, {"refs": refs, "references": references, "hashes": hashes})
    return {row.assessment_ref for row in found.all()}
