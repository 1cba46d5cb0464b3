"""Create, edit and finalise assessments over HTTP."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from chassis.auth import Caller, allowed
from chassis.parse import parse
from chassis.service import Deps
from chassis.web import body_of
from contracts.facts import AlignedAssessment
from contracts.facts.person import Consent
from contracts.lock import lock
from contracts.refusal import Refusal
from services.assessment import commands
from services.assessment.domain import assessment as domain
from services.assessment.store import Stored

Reader = Annotated[Caller, Depends(allowed("assessments.read"))]
Writer = Annotated[Caller, Depends(allowed("assessments.write"))]


def router(deps: Deps) -> APIRouter:
    routes = APIRouter(prefix="/assessments", tags=["Aligned assessment"])

    @routes.post("", status_code=201, summary="Create a draft", openapi_extra=body_of(AlignedAssessment))
    async def create_assessment(request: Request, response: Response, caller: Writer) -> dict[str, Any]:
        assessment = parse(await request.body(), AlignedAssessment)
        async with deps.transactions() as tx:
            draft, new = await commands.create(tx, assessment, deps.pepper, caller)
        response.status_code = 201 if new else 200
        response.headers["location"] = f"/assessments/{draft.assessment_ref}"
        return _summary(draft, response)

    @routes.get("/{assessment_ref}", summary="Read an assessment")
    async def get_assessment(assessment_ref: UUID, caller: Reader) -> Response:
        async with deps.transactions() as tx:
            known = await commands.the(tx, assessment_ref, caller)
            caller.record(tx, "assessment_seen", assessment_ref)
        return Response(known.body, media_type="application/json", headers={"etag": f'"{known.edit}"'})

    @routes.put("/{assessment_ref}", summary="Replace a draft", openapi_extra=body_of(AlignedAssessment))
    async def edit_assessment(
        assessment_ref: UUID, request: Request, response: Response, caller: Writer
    ) -> dict[str, Any]:
        changed, expected = parse(await request.body(), AlignedAssessment), _expected(request)
        async with deps.transactions() as tx:
            draft = await commands.edit(tx, assessment_ref, changed, deps.pepper, caller, expected_edit=expected)
        return _summary(draft, response)

    @routes.put(
        "/{assessment_ref}/consents/{stream}",
        summary="Say whether a stream may see the assessment",
        openapi_extra=body_of(Consent),
    )
    async def record_consent(
        assessment_ref: UUID, stream: str, request: Request, response: Response, caller: Writer
    ) -> dict[str, Any]:
        consent = parse(await request.body(), Consent)
        async with deps.transactions() as tx:
            draft = await commands.record_consent(tx, assessment_ref, stream, consent, deps.pepper, caller)
        return _summary(draft, response)

    @routes.post("/{assessment_ref}/finalise", status_code=202, summary="Fix the roll-call and ask every stream")
    async def finalise_assessment(assessment_ref: UUID, caller: Writer) -> dict[str, Any]:
        async with deps.transactions() as tx:
            copy = await commands.finalise(tx, assessment_ref, deps.pepper, caller)
        return _roll_call(assessment_ref, copy.roll_call, copy.not_asked)

    @routes.get("/{assessment_ref}/roll-call", summary="Who is asked, who is not and why")
    async def get_roll_call(assessment_ref: UUID, caller: Reader) -> dict[str, Any]:
        async with deps.transactions() as tx:
            known = await commands.the(tx, assessment_ref, caller)
        return _roll_call(assessment_ref, *domain.roll_call(known.assessment(), lock()))

    return routes


def _summary(draft: Stored, response: Response) -> dict[str, Any]:
    response.headers["etag"] = f'"{draft.edit}"'
    state = "final" if draft.final else "draft"
    return {"assessment_ref": str(draft.assessment_ref), "state": state, "edit": draft.edit}


def _roll_call(ref: UUID, asked: Any, not_asked: Any) -> dict[str, Any]:
    return {
        "assessment_ref": str(ref),
        "asked": msgspec.to_builtins(asked),
        "not_asked": msgspec.to_builtins(not_asked),
    }


def _expected(request: Request) -> int | None:
    """The edit named by If-Match; None where the header is not sent."""
    given = request.headers.get("if-match")
    if given is None or given == "*":
        return None
    tag = given.strip('"')
    if not (tag.isascii() and tag.isdigit() and len(tag) <= 9):
        raise Refusal("edit_conflict", "If-Match takes the ETag this API gave out.")
    return int(tag)
