"""The HTTP edge: every refusal is problem+json, and nothing that was sent is ever told back."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx
import msgspec
import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends, Request
from structlog.testing import capture_logs

from chassis.auth import allowed
from chassis.parse import parse
from chassis.web import MAX_BODY_BYTES, PROBLEM, build_app
from contracts.refusal import STATUS, Refusal
from deploy.development_issuer import DevelopmentIssuer

CANARY = "canary9434765919"


class Order(msgspec.Struct, forbid_unknown_fields=True):
    size: Annotated[int, msgspec.Meta(ge=1, le=9)]
    note: Annotated[str, msgspec.Meta(max_length=10)] = ""


def routes() -> APIRouter:
    router = APIRouter(dependencies=[Depends(allowed("operations.read"))])

    @router.post("/orders", status_code=201)
    async def order(request: Request) -> dict[str, int]:
        return {"size": parse(await request.body(), Order).size}

    @router.get("/orders/{order_id}")
    async def get(order_id: UUID, page: int = 1) -> dict[str, int]:
        raise Refusal("not_found", "There is no order of this id.")

    @router.get("/bug")
    async def bug(q: str = "") -> None:
        raise LookupError(q)

    @router.get("/away")
    async def away() -> None:
        raise ConnectionResetError(CANARY)

    return router


async def ready() -> dict[str, bool]:
    return {"all": True}


@pytest_asyncio.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    issuer = DevelopmentIssuer.at(tmp_path)
    app = build_app("Test", [routes()], ready, verifier=issuer.verifier())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=issuer.headers()) as client:
        yield client


def refused(answer: httpx.Response, status: int, code: str) -> Any:
    """The problem, checked for what every problem has and what none may have."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    told = answer.text + str(answer.headers)
    assert CANARY not in told
    assert "Traceback" not in told
    return body


async def test_unknown_address(http: httpx.AsyncClient) -> None:
    body = refused(await http.get("/nowhere"), 404, "not_found")
    assert body["type"].endswith("/not_found")
    assert "instance" not in body  # what was sent in an address is not repeated


async def test_method_not_taken(http: httpx.AsyncClient) -> None:
    refused(await http.delete("/orders"), 405, "method_not_allowed")


async def test_a_refusal_of_a_handler(http: httpx.AsyncClient) -> None:
    body = refused(await http.get(f"/orders/{uuid.uuid4()}"), 404, "not_found")
    assert body["detail"] == "There is no order of this id."


@pytest.mark.parametrize(
    ("sent", "status", "code", "pointer"),
    [
        (b"", 400, "malformed_json", None),
        (b"{", 400, "malformed_json", None),
        (b"\xff\xfe", 400, "malformed_json", None),
        (CANARY.encode(), 400, "malformed_json", None),
        (b'{"size": 1} ' + CANARY.encode(), 400, "malformed_json", None),
        (b"[" * 100_000, 422, "invalid_field", ""),
        (b"[]", 422, "invalid_field", ""),
        (b"{}", 422, "missing_field", "/size"),
        (f'{{"size": "{CANARY}"}}'.encode(), 422, "invalid_field", "/size"),
        (b'{"size": 1.0}', 422, "invalid_field", "/size"),
        (b'{"size": 1.5}', 422, "invalid_field", "/size"),
        (b'{"size": true}', 422, "invalid_field", "/size"),
        (b'{"size": 10}', 422, "invalid_field", "/size"),
        (b'{"size": 1' + b"0" * 400 + b"}", 422, "invalid_field", "/size"),
        (f'{{"size": 1, "note": "{CANARY}"}}'.encode(), 422, "invalid_field", "/note"),
        (f'{{"size": 1, "{CANARY[:6]}": 1}}'.encode(), 422, "unknown_field", f"/{CANARY[:6]}"),
        (f'{{"size": 1, "{CANARY} {CANARY}": 1}}'.encode(), 422, "unknown_field", "/(a name that cannot be shown)"),
    ],
)
async def test_bodies_that_do_not_fit(
    http: httpx.AsyncClient, sent: bytes, status: int, code: str, pointer: str | None
) -> None:
    with capture_logs() as logs:
        answer = await http.post("/orders", content=sent)
    body = refused(answer, status, code)
    assert [fault["pointer"] for fault in body.get("errors", [])] == ([] if pointer is None else [pointer])
    assert CANARY not in str(logs)


async def test_path_and_query_that_do_not_fit(http: httpx.AsyncClient) -> None:
    body = refused(await http.get(f"/orders/{uuid.uuid4()}", params={"page": CANARY}), 422, "invalid_field")
    assert [fault["pointer"] for fault in body["errors"]] == ["/page"]
    answer = await http.get(f"/orders/{CANARY}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    body = answer.json()
    assert CANARY not in str(body["errors"]) + body["detail"]


async def chunks(total: int, size: int = 16_384) -> AsyncIterator[bytes]:
    for _ in range(total // size):
        yield b" " * size
    yield b'{"size": 1}'


async def test_a_body_too_large_is_refused_by_what_it_announces_and_by_what_comes(http: httpx.AsyncClient) -> None:
    most = b" " * (MAX_BODY_BYTES - 11) + b'{"size": 1}'
    assert len(most) == MAX_BODY_BYTES
    assert (await http.post("/orders", content=most)).status_code == 201
    refused(await http.post("/orders", content=b" " + most), 413, "body_too_large")
    assert (await http.post("/orders", content=chunks(MAX_BODY_BYTES - 16_384))).status_code == 201
    refused(await http.post("/orders", content=chunks(MAX_BODY_BYTES)), 413, "body_too_large")
    refused(await http.post("/orders", content=chunks(30_000_000)), 413, "body_too_large")


@pytest.mark.parametrize(
    ("announced", "status", "code"),
    [
        (str(MAX_BODY_BYTES + 1), 413, "body_too_large"),
        ("-1", 400, "malformed_json"),
        ("1e3", 400, "malformed_json"),
        ("many", 400, "malformed_json"),
    ],
)
async def test_a_length_that_is_too_large_or_none_is_refused_unread(
    http: httpx.AsyncClient, announced: str, status: int, code: str
) -> None:
    answer = await http.post("/orders", content=chunks(0), headers={"content-length": announced})
    refused(answer, status, code)


async def test_a_bug_tells_nothing(http: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        answer = await http.get("/bug", params={"q": CANARY})
    refused(answer, 500, "fault")
    assert CANARY not in str(logs)
    assert ("request_failed", "LookupError") in {(line["event"], line.get("fault")) for line in logs}


async def test_a_fault_that_passes_says_try_again(http: httpx.AsyncClient) -> None:
    refused(await http.get("/away"), 503, "unavailable")


async def test_the_correlation_id_is_echoed_or_made(http: httpx.AsyncClient) -> None:
    given = str(uuid.uuid4())
    for path in ("/livez", "/nowhere", "/bug", "/away"):
        answer = await http.get(path, headers={"x-correlation-id": given})
        assert answer.headers["x-correlation-id"] == given
    assert (await http.get("/nowhere", headers={"x-correlation-id": given})).json()["correlation_id"] == given
    made = (await http.get("/livez")).headers["x-correlation-id"]
    assert str(UUID(made)) == made
    for bad in (CANARY, "x" * 4000, given + "\tx"):
        answer = await http.get("/livez", headers={"x-correlation-id": bad})
        echoed = answer.headers["x-correlation-id"]
        assert echoed != bad
        assert str(UUID(echoed)) == echoed


def test_every_code_has_a_status_and_an_unknown_code_is_a_bug() -> None:
    assert set(STATUS.values()) <= {400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 503}
    with pytest.raises(ValueError, match="catalogue"):
        Refusal("something_new", "")
