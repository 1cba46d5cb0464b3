"""Assessments as they were given: the one place that knows who a person is."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from chassis.transaction import Transaction, columns
from contracts.facts import AlignedAssessment


class Stored(msgspec.Struct, frozen=True):
    """`edit` counts edits of a draft, for If-Match. `root_id` correlates all that follows once it is final."""

    assessment_ref: UUID
    person_ref: UUID
    council: str
    content_hash: bytes
    body: bytes
    final: bool
    edit: int
    root_id: UUID

    def assessment(self) -> AlignedAssessment:
        return msgspec.json.decode(self.body, type=AlignedAssessment)


ADD = """
INSERT INTO assessment (assessment_ref, council, assessment_id, version, person_ref, content_hash, body, root_id, final,
                        edit, created_at, finalised_at)
SELECT g.*, :final, 1, CAST(:now AS timestamptz), CASE WHEN :final THEN CAST(:now AS timestamptz) END
FROM unnest(CAST(:refs AS uuid[]), CAST(:councils AS text[]), CAST(:ids AS text[]), CAST(:versions AS int[]),
            CAST(:people AS uuid[]), CAST(:hashes AS bytea[]), CAST(:bodies AS bytea[]), CAST(:roots AS uuid[])) AS g
ORDER BY 1 ON CONFLICT (assessment_ref) DO NOTHING RETURNING assessment_ref
"""
GET = """
SELECT assessment_ref, person_ref, council, content_hash, body, final, edit, root_id FROM assessment
WHERE assessment_ref = ANY(CAST(:refs AS uuid[])) ORDER BY assessment_ref FOR UPDATE
"""
EDIT = """
UPDATE assessment SET content_hash = :hash, body = :body, person_ref = :person, edit = edit + 1
WHERE assessment_ref = :ref AND NOT final
"""
FINALISE = """
UPDATE assessment SET final = true, finalised_at = CAST(:now AS timestamptz) WHERE assessment_ref = :ref AND NOT final
"""


async def add(tx: Transaction, new: Sequence[tuple[Stored, AlignedAssessment]], *, final: bool) -> set[UUID]:
    """Keep new assessments; returns the references that were not there before."""
    arrays = columns(
        new,
        lambda n: n[0].assessment_ref,
        lambda n: n[1].council,
        lambda n: n[1].assessment_id,
        lambda n: n[1].version,
        lambda n: n[0].person_ref,
        lambda n: n[0].content_hash,
        lambda n: n[0].body,
        lambda n: n[0].root_id,
    )
    names = ("refs", "councils", "ids", "versions", "people", "hashes", "bodies", "roots")
    values = dict(zip(names, arrays, strict=True)) | {"final": final, "now": tx.now}
    return {row.assessment_ref for row in (await tx.execute(ADD, values)).all()}


async def get(tx: Transaction, refs: Sequence[UUID]) -> dict[UUID, Stored]:
    found = (await tx.execute(GET, {"refs": list(refs)})).all()
    return {row.assessment_ref: _stored(row) for row in found}


def _stored(row: Any) -> Stored:
    return Stored(
        row.assessment_ref,
        row.person_ref,
        row.council,
        bytes(row.content_hash),
        bytes(row.body),
        row.final,
        row.edit,
        row.root_id,
    )


async def edit(tx: Transaction, stored: Stored) -> None:
    values = {
        "ref": stored.assessment_ref,
        "hash": stored.content_hash,
        "body": stored.body,
        "person": stored.person_ref,
    }
    await tx.execute(EDIT, values)


async def finalise(tx: Transaction, ref: UUID) -> None:
    await tx.execute(FINALISE, {"ref": ref, "now": tx.now})
