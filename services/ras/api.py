"""Read a budget, with where every pound comes from, and accept it."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from chassis.auth import Caller, allowed
from chassis.parse import parse
from chassis.service import Deps
from chassis.transaction import Cause, Transaction
from chassis.web import body_of
from contracts.budget import BudgetAccepted
from contracts.refusal import Refusal
from services.ras import store
from services.ras.domain.budget import BudgetCase
from services.ras.view import BudgetView, view


class Acceptance(msgspec.Struct, forbid_unknown_fields=True):
    """The revision the person accepted, so that nobody accepts what they have not seen."""

    revision: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


Reader = Annotated[Caller, Depends(allowed("budgets.read"))]
Accepter = Annotated[Caller, Depends(allowed("budgets.accept"))]


def router(deps: Deps) -> APIRouter:
    routes = APIRouter(tags=["Individual budgets"])

    @routes.get("/budgets/{budget_id}", summary="A budget, with where every pound comes from and may go")
    async def get_budget(budget_id: UUID, caller: Reader) -> Response:
        async with deps.transactions() as tx:
            ref = await store.ref_of(tx, budget_id)
            found = await budget_view(tx, ref, caller) if ref else None
        if found is None:
            raise absent()
        return _as_json(found)

    @routes.get("/assessments/{assessment_ref}/budget", summary="The budget that an assessment led to")
    async def get_budget_of_assessment(assessment_ref: UUID, caller: Reader) -> Response:
        async with deps.transactions() as tx:
            found = await budget_view(tx, assessment_ref, caller)
        if found is None:
            raise Refusal("not_found", "There is no budget for this assessment yet.")
        return _as_json(found)

    @routes.post(
        "/budgets/{budget_id}/accept",
        status_code=202,
        summary="Accept a proposed budget",
        openapi_extra=body_of(Acceptance),
    )
    async def accept_budget(budget_id: UUID, request: Request, caller: Accepter) -> dict[str, Any]:
        revision = parse(await request.body(), Acceptance).revision
        async with deps.transactions() as tx:
            await accept(tx, budget_id, revision, caller)
        return {"budget_id": str(budget_id), "revision": revision, "state": "accepted"}

    return routes


def _as_json(found: BudgetView) -> Response:
    return Response(msgspec.json.encode(found), media_type="application/json", headers={"etag": f'"{found.revision}"'})


def absent() -> Refusal:
    return Refusal("not_found", "There is no budget of this id.")


async def budget_view(tx: Transaction, ref: UUID, caller: Caller) -> BudgetView | None:
    """None while nothing is known of it, and where it is another council's."""
    found = (await budget_views(tx, [ref])).get(ref)
    return found if found is not None and caller.may_see(found.council) else None


async def budget_views(tx: Transaction, refs: list[UUID]) -> dict[UUID, BudgetView]:
    """Many at once, in two statements."""
    cases = await store.load(tx, refs)
    decisions = await store.decisions(tx, list(cases))
    found = {ref: view(case, decisions[ref]) for ref, case in cases.items()}
    return {ref: v for ref, v in found.items() if v is not None}


async def accept(tx: Transaction, budget_id: UUID, revision: int, caller: Caller) -> None:
    """Record the acceptance, once. Raises Refusal: not_found, budget_not_proposed, budget_conflict."""
    ref = await store.ref_of(tx, budget_id)
    if ref is None:
        raise absent()
    case: BudgetCase = (await store.load(tx, [ref]))[ref]
    if not caller.may_see(case.asked.council if case.asked else ""):
        raise absent()
    budget = case.proposed
    # while an answer on changed facts is waited for, what was proposed before no longer holds
    if budget is None or budget.state != "PROPOSED" or not case.is_complete:
        raise Refusal("budget_not_proposed", "There is no proposed budget to accept yet, or no longer.")
    if budget.revision != revision:
        raise Refusal("budget_conflict", "The budget has changed since. Read it again and accept the newest revision.")
    if await store.accept(tx, budget_id, revision):
        caller.record(tx, "budget_accepted", budget_id, revision=revision)
        accepted = BudgetAccepted(
            person_ref=case.person_ref,
            budget_id=budget_id,
            assessment_ref=ref,
            revision=revision,
            council=budget.council,
            lines=budget.lines,
            totals=budget.totals,
        )
        tx.publish(accepted, Cause(case.correlation_id))
