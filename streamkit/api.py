"""A stream's API: the notice of the body that decides, and the decision as it stands."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from chassis.auth import Caller, allowed
from chassis.parse import parse
from chassis.service import Deps
from chassis.web import body_of
from contracts.facts import Notice
from contracts.kept import json_of
from contracts.refusal import FieldFault, Refusal
from rulekit.notice import DATE_EXPECTED, date_fault
from rulekit.stream import Stream
from streamkit import store
from streamkit.handlers import notify

Reader = Annotated[Caller, Depends(allowed("decisions.read"))]
Notifier = Annotated[Caller, Depends(allowed("notices.write"))]


def router_of(stream: Stream, deps: Deps) -> APIRouter:
    name = stream.name
    router = APIRouter(prefix=f"/streams/{name}", tags=[stream.definition.title])
    if not stream.definition.decides_here:
        _take_notices(router, stream, deps)

    @router.get(
        "/assessments/{assessment_ref}",
        operation_id=f"get_{name}_decision",
        summary="The decision as it stands, with its reasons",
    )
    async def get_decision(assessment_ref: UUID, caller: Reader) -> Response:
        async with deps.transactions() as tx:
            case = (await store.load(tx, [assessment_ref])).get(assessment_ref)
        if case is None or case.decided is None or not caller.may_see(case.council):
            raise Refusal("not_found", "This stream holds no decision about that assessment.")
        return Response(json_of(case, "decided"), media_type="application/json")

    return router


def _take_notices(router: APIRouter, stream: Stream, deps: Deps) -> None:
    """Only where the decision belongs to another body."""
    name = stream.name

    @router.post(
        "/assessments/{assessment_ref}/notices",
        status_code=202,
        operation_id=f"post_{name}_notice",
        summary=f"What {stream.definition.decision_maker} decided",
        openapi_extra=body_of(Notice),
    )
    async def post_notice(assessment_ref: UUID, request: Request, caller: Notifier) -> dict[str, Any]:
        notice = parse(await request.body(), Notice)
        if notice.stream != name:
            fault = FieldFault("/stream", "invalid_field", "This must be the stream the notice is sent to.")
            raise Refusal("invalid_field", "The notice names another stream.", [fault])
        if name_of := date_fault(notice):
            faults = [FieldFault(f"/{name_of}", "invalid_field", DATE_EXPECTED)]
            raise Refusal("invalid_field", DATE_EXPECTED, faults)
        async with deps.transactions() as tx:
            revision = await notify(tx, stream, assessment_ref, notice, caller)
        return {"assessment_ref": str(assessment_ref), "stream": name, "revision": revision}
