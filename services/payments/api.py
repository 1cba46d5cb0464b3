"""What payments holds of a budget."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from chassis.auth import Caller, allowed
from chassis.service import Deps
from contracts.refusal import Refusal
from services.payments import store

Reader = Annotated[Caller, Depends(allowed("budgets.read"))]


def router(deps: Deps) -> APIRouter:
    routes = APIRouter(prefix="/payments", tags=["Payments"])

    @routes.get("/budgets/{budget_id}", summary="The accepted budget payments holds")
    async def get_accepted_budget(budget_id: UUID, caller: Reader) -> Response:
        async with deps.transactions() as tx:
            found = await store.latest(tx, budget_id)
        if found is None or not caller.may_see(found.council):
            raise Refusal("not_found", "Payments holds no accepted budget of this id.")
        return Response(bytes(found.body), media_type="application/json")

    return routes
