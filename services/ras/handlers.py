"""Allocation, contribution and combination, as answers come in."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from chassis import telemetry
from chassis.service import Handlers, Received
from chassis.transaction import Cause, Transaction
from contracts.assessment import AssessmentFinalised
from contracts.budget import BudgetProposed, FactsSupplied
from contracts.streams import StreamDecided
from services.ras import store
from services.ras.domain.answers import Answer
from services.ras.domain.budget import BudgetCase, Told

handlers = Handlers()
AUDIENCE = "ras"


@handlers.on(AssessmentFinalised, StreamDecided, audience=AUDIENCE)
async def combine(batch: list[Received[Any]], tx: Transaction) -> None:
    """Record every question and every answer; tell facts and budgets as they become due."""
    refs = {r.event.assessment_ref for r in batch}
    superseded: set[UUID] = {r.event.supersedes for r in batch if getattr(r.event, "supersedes", None)}
    cases = await store.load(tx, refs | superseded)
    known = set(cases)
    answers: list[tuple[Answer, bytes]] = []
    news: dict[UUID, list[Answer]] = {}
    causes: dict[UUID, Cause] = {}
    for received in batch:
        event, cause = received.event, Cause.of(received)
        case = _open(cases, event.assessment_ref, event.person_ref, cause)
        if isinstance(event, StreamDecided):
            answer = as_answer(event)
            answers.append((answer, received.payload))
            news.setdefault(event.assessment_ref, []).append(answer)
            causes[event.assessment_ref] = cause
            continue
        case.correlation_id = cause.correlation_id  # its own chain, whoever's message opened the case
        tell(tx, case, case.ask(event, received.envelope.time), cause)
        if event.supersedes is not None:
            # opened even before it arrives: whichever comes first, only one version stays live
            _open(cases, event.supersedes, event.person_ref, cause).supersede()
    for ref, heard in news.items():
        tell(tx, cases[ref], cases[ref].answer(*heard), causes[ref])
    await store.keep_answers(tx, answers)
    await store.save(
        tx,
        new=[c for ref, c in cases.items() if ref not in known],
        known=[c for ref, c in cases.items() if ref in known],
    )


def _open(cases: dict[UUID, BudgetCase], ref: UUID, person_ref: UUID, cause: Cause) -> BudgetCase:
    """Get or open."""
    return cases.setdefault(ref, BudgetCase(ref, person_ref, cause.correlation_id))


def as_answer(event: StreamDecided) -> Answer:
    return Answer(**{name: getattr(event, name) for name in Answer.__struct_fields__})


def tell(tx: Transaction, case: BudgetCase, told: Sequence[Told], cause: Cause) -> None:
    for fact in told:
        if isinstance(fact, BudgetProposed) and fact.revision == 1 and case.asked_at is not None:
            tx.measure(telemetry.BUDGET_AGE, (tx.now - case.asked_at).total_seconds())
        tx.publish(fact, cause, fact.audience if isinstance(fact, FactsSupplied) else "")


async def pass_deadlines(tx: Transaction) -> None:
    """Timer: streams whose clock has passed are late, by an event, and the budget goes on without them."""
    cases: dict[UUID, BudgetCase] = await store.due(tx)
    for case in cases.values():
        tell(tx, case, case.pass_deadlines(tx.now), Cause(case.correlation_id))
    await store.save(tx, [], list(cases.values()))
