"""The HTTP edge: problem+json for every error, a body limit, echoed correlation ids, health. No value that was sent
is ever repeated in an answer."""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from h11 import LocalProtocolError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from chassis import telemetry, trace
from chassis.auth import NOBODY, Challenge, Verifier, scope_of
from chassis.database import is_transient
from contracts.refusal import STATUS, FieldFault, Refusal

MAX_BODY_BYTES = 256 * 1024
PROBLEM = "application/problem+json"
JSON = b"application/json"
CODES_BY_STATUS = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method."),
    400: ("malformed_json", "This is not valid JSON. Send one JSON object in UTF-8."),
    415: ("unsupported_media_type", "Send application/json."),
}


def build_app(
    title: str,
    routers: Iterable[APIRouter],
    ready: Callable[[], Awaitable[dict[str, bool]]],
    alive: Callable[[], bool] = lambda: True,
    verifier: Verifier = NOBODY,
    *,
    described: bool = False,
) -> FastAPI:
    """One FastAPI application that believes `verifier`'s tokens. `described`: it serves its own /openapi.json, which a
    production deployment does not. Interactive pages are off: they would load from outside.

    Raises ValueError where a route asks for no scope.
    """
    described_at = "/openapi.json" if described else None
    app = FastAPI(title=title, version="1", docs_url=None, redoc_url=None, openapi_url=described_at)
    app.state.verifier = verifier
    scopes: dict[str, str] = {}
    for router in routers:
        scopes |= _scopes(router)
        app.include_router(router, responses=PROBLEM_RESPONSES)
    app.include_router(_health(ready, alive))
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(BodyLimit)
    app.add_middleware(CorrelationId)
    _complete_description(app, scopes)
    return app


def _scopes(router: APIRouter) -> dict[str, str]:
    """`GET /path` -> its scope. A route that asks for none is a hole, and stops the start."""
    found: dict[str, str] = {}
    for route in router.routes:
        scope, path = scope_of(route), getattr(route, "path", "")
        if scope is None:
            raise ValueError(f"{path} asks for no scope: give it Depends(allowed(...))")
        found |= {f"{method} {path}": scope for method in getattr(route, "methods", None) or ()}
    return found


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {
        "description": what,
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for code, what in {
        "4XX": "Refused: see `code` and `errors`",
        "5XX": "Not now: nothing was stored",
    }.items()
}


def _health(ready: Callable[[], Awaitable[dict[str, bool]]], alive: Callable[[], bool]) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/livez", summary="Whether this process is alive. A broker or database outage does not fail it.")
    async def livez(response: Response) -> dict[str, str]:
        going = alive()
        response.status_code = 200 if going else 503
        return {"status": "ok" if going else "stuck"}

    @router.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    @router.get("/readyz", summary="Whether migrations are done, topics made and partitions assigned.")
    async def readyz() -> JSONResponse:
        try:
            checks = await asyncio.wait_for(ready(), 5)
        except Exception as fault:  # noqa: BLE001 - readiness reports any fault of what it asks; it has none of its own
            checks = {f"unreachable_{type(fault).__name__}": False}
        return JSONResponse(checks, 200 if all(checks.values()) else 503)

    return router


def problem(refusal: Refusal, request: Request) -> Response:
    body = refusal.as_problem(_template(request), request.scope.get("correlation_id", ""))
    headers = {"www-authenticate": refusal.challenge} if isinstance(refusal, Challenge) else None
    return Response(msgspec.json.encode(body), refusal.status, headers, media_type=PROBLEM)


def _template(request: Request) -> str:
    """The address as documented, `/budgets/{budget_id}`: what was sent in it is not repeated."""
    return str(getattr(request.scope.get("route"), "path", ""))


async def _refused(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, Refusal)
    return problem(fault, request)


async def _invalid(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, RequestValidationError)
    faults = [
        FieldFault("/" + "/".join(str(p) for p in e["loc"][1:]), "invalid_field", "This value is not allowed here.")
        for e in fault.errors()
    ]
    return problem(Refusal("invalid_field", "The request does not fit. See errors.", faults), request)


async def _http(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    code, detail = CODES_BY_STATUS.get(fault.status_code, ("not_found", "This cannot be done here."))
    answer = problem(Refusal(code, detail), request)
    if allow := (fault.headers or {}).get("Allow"):
        answer.headers["allow"] = allow
    return answer


async def _gone(request: Request, _fault: Exception) -> Response:
    """Whoever called hung up in the middle of the body: no fault of ours, and nobody reads the answer."""
    return problem(Refusal("malformed_json", "The body ended early."), request)


async def _failed(request: Request, fault: Exception) -> Response:
    """Answers outside the middleware, so the correlation id is put in here."""
    correlation_id = request.scope.get("correlation_id", "")
    if is_transient(fault):
        answer = problem(Refusal("unavailable", "Not now: try the same request again shortly."), request)
    else:
        telemetry.logger("web").error("request_failed", fault=type(fault).__name__, correlation_id=correlation_id)
        body = {"type": "about:blank", "title": "Fault", "status": 500, "code": "fault"}
        body["correlation_id"] = correlation_id
        answer = Response(msgspec.json.encode(body), 500, media_type=PROBLEM)
    answer.headers["x-correlation-id"] = correlation_id
    return answer


class CorrelationId:
    """Echo X-Correlation-ID, or make one; go on in the caller's trace, or begin one from that id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-correlation-id", b"").decode("latin-1")
        scope["correlation_id"] = given if _is_uuid(given) else str(uuid.uuid4())

        async def echo(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-correlation-id", scope["correlation_id"].encode()))
            # a caller that broke HTTP in mid-request was told so by the server, and nobody listens any more
            with contextlib.suppress(LocalProtocolError):
                await send(message)

        traceparent = _traceparent(scope)
        token = trace.current.set(traceparent)
        try:
            with bound_contextvars(correlation_id=scope["correlation_id"], traceparent=traceparent):
                await self.app(scope, receive, echo)
        finally:
            trace.current.reset(token)


def _traceparent(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == trace.HEADER.encode()]
    known = trace.parse(given[0].decode("latin-1")) if len(given) == 1 else ""
    return known or trace.start(uuid.UUID(scope["correlation_id"]))


def _is_uuid(text: str) -> bool:
    try:
        return len(text) == 36 and bool(uuid.UUID(text))
    except ValueError:
        return False


class _TooLarge(Exception):
    pass


class BodyLimit:
    """Refuse a body that is not JSON by its own account, or over the limit: by its announced length, and by what
    really arrives."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY_BYTES) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._by_headers(dict(scope["headers"]))
        if refusal is not None:
            await problem(refusal, Request(scope))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise _TooLarge
            return message

        try:
            await self.app(scope, counted, send)
        except _TooLarge:
            await problem(self._too_large(), Request(scope))(scope, receive, send)

    def _by_headers(self, headers: dict[bytes, bytes]) -> Refusal | None:
        announced = headers.get(b"content-length", b"0")
        if not announced.isdigit():
            return Refusal("malformed_json", "Content-Length is not a number.")
        if len(announced) > 12 or int(announced) > self.limit:  # a number of thousands of digits is never read
            return self._too_large()
        kind = headers.get(b"content-type", JSON).split(b";")[0].strip().lower()
        if kind != JSON or headers.get(b"content-encoding", b"identity").lower() != b"identity":
            return Refusal(*CODES_BY_STATUS[415])
        return None

    def _too_large(self) -> Refusal:
        return Refusal("body_too_large", f"The body is over {self.limit // 1024} KiB.")


def body_of(kind: type[Any]) -> dict[str, Any]:
    """OpenAPI request body from a msgspec type: the same type that is parsed, its parts under x-components."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}, "x-components": components}


def _complete_description(app: FastAPI, scopes: dict[str, str]) -> None:
    """Serve, and freeze, one valid OpenAPI document: bodies' parts moved under components, what a problem is, and the
    scope each operation asks for."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = plain()
            schemas = described.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = PROBLEM_SCHEMA
            described["components"]["securitySchemes"] = {"token": TOKEN_SCHEME}
            for path, operations in described["paths"].items():
                for method, operation in operations.items():
                    _adopt(schemas, operation.pop("x-components", {}))
                    if scope := scopes.get(f"{method.upper()} {path}"):
                        operation["security"] = [{"token": [scope]}]
            app.openapi_schema = described
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _adopt(schemas: dict[str, Any], parts: dict[str, Any]) -> None:
    for name, part in parts.items():
        if schemas.setdefault(name, part) != part:
            raise ValueError(f"two request bodies mean different things by {name}")


TOKEN_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "OAuth 2 access token after RFC 9068. `scope` names what it is good for; `councils` whose cases it "
    "may see: any other council's answers 404, as one that is not there.",
}
_STRING = {"type": "string"}
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457. `code` is for machines and keeps its meaning; nothing here repeats what was sent.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": _STRING,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": _STRING,
        "code": {"enum": [*STATUS, "fault"]},
        "instance": {"type": "string", "format": "uri-reference"},
        "correlation_id": {"type": "string", "format": "uuid"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": _STRING, "code": _STRING, "detail": _STRING},
                "required": ["pointer", "code", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "code"],
}
