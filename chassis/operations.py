"""What an operator may ask of any service over HTTP: its parked messages, and a consumer that stopped itself."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from chassis.auth import Caller, allowed
from chassis.parking import Wanted
from chassis.parse import parse
from chassis.release import Choice, Operating, needed
from chassis.service import Deps, Service
from chassis.web import body_of
from contracts.refusal import FieldFault, Refusal

Reading = Annotated[Caller, Depends(allowed("operations.read"))]
Writing = Annotated[Caller, Depends(allowed("operations.write"))]
Revealing = Annotated[Caller, Depends(allowed("operations.reveal"))]
MessageId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Why = Annotated[str, msgspec.Meta(max_length=500)]


class ReleaseOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Whose messages to release: those of these messages, of these people, with this reason, or `everybody`'s; at
    most `most` people, `rate` of them a second. With `dry_run` it only says what would be done."""

    ids: Annotated[list[Id], msgspec.Meta(max_length=500)] = []
    people: Annotated[list[UUID], msgspec.Meta(max_length=500)] = []
    reason: Annotated[str, msgspec.Meta(max_length=100)] = ""
    everybody: bool = False
    most: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    rate: Annotated[float, msgspec.Meta(ge=1, le=1000)] = 20.0
    dry_run: bool = True
    why: Why = ""


class ReasonGiven(msgspec.Struct, forbid_unknown_fields=True):
    """Kept in the audit log with the caller's name. No personal data, please."""

    reason: Why


class ResumeOrder(msgspec.Struct, forbid_unknown_fields=True):
    """`park_them`: these really are bad messages; park however many there are, for the next ten minutes."""

    reason: Why
    park_them: bool = False


def routers_of(service: Service, deps: Deps) -> list[APIRouter]:
    """The service's own routes, and those that every service has."""
    own = [service.router(deps)] if service.router else []
    return [*own, router_of(service, deps)]


def router_of(service: Service, deps: Deps) -> APIRouter:
    """Every service has these routes, with no code of its own."""
    routes = APIRouter(prefix=f"/operations/{service.name}", tags=["Operations"])

    def operating(caller: Caller) -> Operating:
        return Operating(service.handlers, deps.database, deps.transactions, caller.name)

    _looking(routes, operating)
    _doing(routes, operating)
    return routes


def _looking(routes: APIRouter, operating: Any) -> None:
    @routes.get("/parked", summary="Parked messages, their bodies hidden")
    async def list_parked(
        caller: Reading,
        person: UUID | None = None,
        reason: Annotated[str, Query(max_length=100)] = "",
        most: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Response:
        return _json(await operating(caller).listed(Wanted(person=person, reason=reason, most=most)))

    @routes.get("/parked/{message_id}", summary="One parked message, its body hidden")
    async def show_parked(message_id: MessageId, caller: Reading) -> Response:
        return _json(await operating(caller).shown(message_id))

    @routes.post(
        "/parked/{message_id}/reveal",
        summary="The body of a parked message; who saw it and why is audited",
        openapi_extra=body_of(ReasonGiven),
    )
    async def reveal_parked(message_id: MessageId, request: Request, caller: Revealing) -> Response:
        reason = parse(await request.body(), ReasonGiven).reason
        return _json(await operating(caller).revealed(message_id, reason))

    @routes.get("/consumer", summary="Whether the service's consumer has stopped itself, and why")
    async def consumer(caller: Reading) -> Response:
        return _json({"stopped": await operating(caller).stopped()})


def _doing(routes: APIRouter, operating: Any) -> None:
    @routes.post(
        "/parked/release",
        summary="Run people's parked messages again, in order; a dry run unless told otherwise",
        openapi_extra=body_of(ReleaseOrder),
    )
    async def release_parked(request: Request, caller: Writing) -> Response:
        return _json(await _release(operating(caller), parse(await request.body(), ReleaseOrder)))

    @routes.post(
        "/parked/{message_id}/discard",
        summary="Give a parked message up for good",
        openapi_extra=body_of(ReasonGiven),
    )
    async def discard_parked(message_id: MessageId, request: Request, caller: Writing) -> Response:
        reason = parse(await request.body(), ReasonGiven).reason
        return _json(await operating(caller).discard(message_id, reason))

    @routes.post(
        "/resume",
        status_code=202,
        summary="Let a consumer that stopped itself go on at once",
        openapi_extra=body_of(ResumeOrder),
    )
    async def resume_consumer(request: Request, caller: Writing) -> Response:
        order = parse(await request.body(), ResumeOrder)
        needed(order.reason)
        return _json(await operating(caller).resume(order.reason, park_them=order.park_them), 202)


async def _release(operating: Operating, order: ReleaseOrder) -> dict[str, Any]:
    if not (order.ids or order.people or order.reason or order.everybody):
        detail = "Say whose: ids, people, reason, or everybody."
        raise Refusal("missing_field", detail, [FieldFault("/ids", "missing_field", detail)])
    people = await operating.planned(
        Choice(
            ids=tuple(order.ids),
            people=tuple(order.people),
            reason=order.reason,
            everybody=order.everybody,
            most=order.most,
        )
    )
    if order.dry_run:
        return {"dry_run": True, "would_release": people}
    return {"dry_run": False, "done": [one async for one in operating.release_all(people, order.rate, order.why)]}


def _json(found: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(found), status, media_type="application/json")
