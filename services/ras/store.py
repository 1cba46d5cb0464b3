"""Budget cases and the answers they rest on, loaded and saved many at a time."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from chassis.database import Raced
from chassis.transaction import Transaction
from contracts.kept import change_of
from contracts.streams import StreamDecided
from services.ras.domain.answers import Answer
from services.ras.domain.budget import BudgetCase, budget_id

FIELDS = """assessment_ref, person_ref, correlation_id, asked, asked_at, position, supplied_revision, proposed, late,
  superseded, revision, state"""
LOAD = f"""
SELECT {FIELDS} FROM budget_case WHERE assessment_ref = ANY(CAST(:refs AS uuid[])) ORDER BY assessment_ref FOR UPDATE
"""
ANSWERS = "SELECT assessment_ref, stream, answer FROM stream_answer WHERE assessment_ref = ANY(CAST(:refs AS uuid[]))"
DECISIONS = (
    "SELECT assessment_ref, stream, payload FROM stream_answer WHERE assessment_ref = ANY(CAST(:refs AS uuid[]))"
)
DUE = f"""
SELECT {FIELDS} FROM budget_case WHERE next_due <= CAST(:now AS timestamptz) ORDER BY next_due LIMIT :most
FOR UPDATE SKIP LOCKED
"""
OLDEST_OPEN = """
SELECT CAST(extract(epoch FROM clock_timestamp() - min(asked_at)) AS float8)
FROM budget_case WHERE revision = 0 AND NOT superseded
"""
"""Seconds since the oldest assessment was finalised that has no budget yet; NULL when all have one."""
KEEP_ANSWERS = """
INSERT INTO stream_answer (assessment_ref, stream, revision, answer, payload)
SELECT * FROM unnest(CAST(:refs AS uuid[]), CAST(:streams AS text[]), CAST(:revisions AS int[]),
                     CAST(:answers AS bytea[]), CAST(:payloads AS bytea[]))
  AS g(ref, stream, revision, answer, payload) ORDER BY ref, stream
ON CONFLICT (assessment_ref, stream) DO UPDATE
SET revision = excluded.revision, answer = excluded.answer, payload = excluded.payload
WHERE stream_answer.revision < excluded.revision
"""
ARRAYS = """unnest(CAST(:refs AS uuid[]), CAST(:budgets AS uuid[]), CAST(:people AS uuid[]),
  CAST(:correlations AS uuid[]), CAST(:asked AS bytea[]), CAST(:asked_at AS timestamptz[]),
  CAST(:positions AS bytea[]), CAST(:supplied AS int[]),
  CAST(:proposed AS bytea[]), CAST(:late AS text[]), CAST(:superseded AS boolean[]), CAST(:due AS timestamptz[]),
  CAST(:revisions AS int[]), CAST(:states AS text[]))
  AS g(assessment_ref, budget_id, person_ref, correlation_id, asked, asked_at, position, supplied_revision, proposed,
       late, superseded, next_due, revision, state)"""
INSERT = f"""
INSERT INTO budget_case (assessment_ref, budget_id, person_ref, correlation_id, asked, asked_at, position,
                         supplied_revision, proposed, late, superseded, next_due, revision, state)
SELECT * FROM {ARRAYS} ORDER BY g.assessment_ref ON CONFLICT (assessment_ref) DO NOTHING RETURNING 1
"""
UPDATE = f"""
UPDATE budget_case c SET correlation_id = g.correlation_id, asked = coalesce(g.asked, c.asked),
  asked_at = g.asked_at, position = coalesce(g.position, c.position), supplied_revision = g.supplied_revision,
  proposed = coalesce(g.proposed, c.proposed), late = g.late, superseded = g.superseded, next_due = g.next_due,
  revision = g.revision, state = g.state
FROM {ARRAYS} WHERE c.assessment_ref = g.assessment_ref
"""


async def load(tx: Transaction, refs: Iterable[UUID]) -> dict[UUID, BudgetCase]:
    """The cases that exist, locked in a fixed order, with their answers (without the reasons)."""
    wanted = sorted(set(refs))
    return await _with_answers(tx, (await tx.execute(LOAD, {"refs": wanted})).all())


async def due(tx: Transaction, most: int = 500) -> dict[UUID, BudgetCase]:
    """Cases with a clock that has passed, oldest first."""
    return await _with_answers(tx, (await tx.execute(DUE, {"now": tx.now, "most": most})).all())


async def _with_answers(tx: Transaction, rows: Sequence[Any]) -> dict[UUID, BudgetCase]:
    cases = {row.assessment_ref: _case(row) for row in rows}
    if cases:
        for row in (await tx.execute(ANSWERS, {"refs": list(cases)})).all():
            ref, stream, answer = tuple(row)
            cases[ref].answers[stream] = _answer.decode(answer)
    return cases


_answer = msgspec.json.Decoder(Answer)


def _case(row: Any) -> BudgetCase:
    ref, person, correlation, asked, asked_at, position, supplied, proposed, late, superseded, revision, state = row
    return BudgetCase(
        ref,
        person,
        correlation,
        asked=asked,
        asked_at=asked_at,
        position=position,
        supplied_revision=supplied,
        proposed=proposed,
        late=frozenset(late.split()),
        superseded=superseded,
        revision=revision,
        state=state,
    )


async def keep_answers(tx: Transaction, decided: Sequence[tuple[Answer, bytes]]) -> None:
    """Each with its whole payload, reasons included; the highest revision stays."""
    if not decided:
        return
    newest: dict[tuple[UUID, str], tuple[Answer, bytes]] = {}
    for one in decided:
        answer = one[0]
        held = newest.get((answer.assessment_ref, answer.stream))
        if held is None or held[0].revision < answer.revision:
            newest[answer.assessment_ref, answer.stream] = one
    values = {
        "refs": [ref for ref, _ in newest],
        "streams": [stream for _, stream in newest],
        "revisions": [answer.revision for answer, _ in newest.values()],
        "answers": [msgspec.json.encode(answer) for answer, _ in newest.values()],
        "payloads": [payload for _, payload in newest.values()],
    }
    await tx.execute(KEEP_ANSWERS, values)


async def save(tx: Transaction, new: Sequence[BudgetCase], known: Sequence[BudgetCase]) -> None:
    """Insert the new, update the known. Raises Raced where a new case was opened by somebody else meanwhile."""
    if new and len((await tx.execute(INSERT, _values(new))).all()) != len(new):
        raise Raced("a case was opened by another process")
    if changed := [case for case in known if case.changed]:
        await tx.execute(UPDATE, _values(changed))


def _values(cases: Sequence[BudgetCase]) -> dict[str, Any]:
    return {
        "refs": [c.assessment_ref for c in cases],
        "budgets": [budget_id(c.assessment_ref) for c in cases],
        "people": [c.person_ref for c in cases],
        "correlations": [c.correlation_id for c in cases],
        "asked": [change_of(c, "asked") for c in cases],
        "asked_at": [c.asked_at for c in cases],
        "positions": [change_of(c, "position") for c in cases],
        "supplied": [c.supplied_revision for c in cases],
        "proposed": [change_of(c, "proposed") for c in cases],
        "late": [" ".join(sorted(c.late)) for c in cases],
        "superseded": [c.superseded for c in cases],
        "due": [c.next_due() for c in cases],
        "revisions": [c.revision for c in cases],
        "states": [c.state for c in cases],
    }


async def ref_of(tx: Transaction, budget: UUID) -> UUID | None:
    found = await tx.execute("SELECT assessment_ref FROM budget_case WHERE budget_id = :budget", {"budget": budget})
    ref: UUID | None = found.scalar()
    return ref


async def decisions(tx: Transaction, refs: Sequence[UUID]) -> dict[UUID, list[StreamDecided]]:
    """The whole decisions, reasons included, by assessment and in the streams' order."""
    found: dict[UUID, list[StreamDecided]] = {ref: [] for ref in refs}
    for row in (await tx.execute(DECISIONS, {"refs": list(refs)})).all():
        found[row.assessment_ref].append(msgspec.json.decode(row.payload, type=StreamDecided))
    for held in found.values():
        held.sort(key=lambda d: d.stream)
    return found


ACCEPT = """
INSERT INTO acceptance (budget_id, revision, accepted_at) VALUES (:budget, :revision, CAST(:now AS timestamptz))
ON CONFLICT (budget_id, revision) DO NOTHING RETURNING budget_id
"""


async def accept(tx: Transaction, budget: UUID, revision: int) -> bool:
    """Whether this is the first time."""
    values = {"budget": budget, "revision": revision, "now": tx.now}
    return (await tx.execute(ACCEPT, values)).first() is not None
