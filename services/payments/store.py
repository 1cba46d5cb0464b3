"""Accepted budgets as payments holds them: never changed, never lost."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from chassis.transaction import Transaction, columns
from contracts.budget import BudgetAccepted

RECORD = """
INSERT INTO accepted_budget (budget_id, revision, assessment_ref, person_ref, council, weekly_pence, one_off_pence,
                             contribution_pence, body, recorded_at)
SELECT g.*, CAST(:now AS timestamptz)
FROM unnest(CAST(:budgets AS uuid[]), CAST(:revisions AS int[]), CAST(:refs AS uuid[]), CAST(:people AS uuid[]),
            CAST(:councils AS text[]), CAST(:weekly AS bigint[]), CAST(:one_off AS bigint[]), CAST(:pays AS bigint[]),
            CAST(:bodies AS bytea[])) AS g ORDER BY 1, 2
ON CONFLICT (budget_id, revision) DO NOTHING RETURNING budget_id, revision
"""
LATEST = """
SELECT budget_id, revision, council, weekly_pence, one_off_pence, contribution_pence, body FROM accepted_budget
WHERE budget_id = :budget ORDER BY revision DESC LIMIT 1
"""


async def record(tx: Transaction, accepted: Sequence[BudgetAccepted]) -> set[tuple[UUID, int]]:
    """Keep each acceptance; returns those not held before."""
    budgets, revisions, refs, people, councils, weekly, one_off, pays, bodies = columns(
        accepted,
        lambda a: a.budget_id,
        lambda a: a.revision,
        lambda a: a.assessment_ref,
        lambda a: a.person_ref,
        lambda a: a.council,
        lambda a: a.totals.spendable_weekly_pence,
        lambda a: a.totals.spendable_one_off_pence,
        lambda a: a.totals.contribution_weekly_pence or 0,
        msgspec.json.encode,
    )
    values = {
        "budgets": budgets, "revisions": revisions, "refs": refs, "people": people, "councils": councils,
        "weekly": weekly, "one_off": one_off, "pays": pays, "bodies": bodies, "now": tx.now,
    }  # fmt: skip
    return {(row.budget_id, row.revision) for row in (await tx.execute(RECORD, values)).all()}


async def latest(tx: Transaction, budget: UUID) -> Any:
    """The newest acceptance of a budget, or None."""
    return (await tx.execute(LATEST, {"budget": budget})).first()
