"""Trace context: taken in strictly, begun where none came, one trace through every hop, and in every log line."""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends
from structlog.testing import capture_logs

from chassis import trace
from chassis.auth import Caller, allowed
from chassis.web import build_app
from contracts.event import new_id
from deploy.development_issuer import DevelopmentIssuer
from tests.chassis.probe import Probe, outgoing, person, record, told

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"
ROOT = UUID("01900000-0000-7000-8000-00000000000a")


@pytest.fixture
def sampled() -> Iterator[None]:
    trace.set_up(sample=1)
    yield
    trace.set_up(sample=0.01)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (GIVEN, GIVEN),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-ff", GIVEN),  # flags nobody defined yet are not passed on
        (f"cc-{TRACE}-{SPAN}-01", GIVEN),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", GIVEN),
        (f"00-{TRACE}-{SPAN}-01-more", ""),
        (f"ff-{TRACE}-{SPAN}-01", ""),
        (f"00-{TRACE.upper()}-{SPAN}-01", ""),
        (f"00-{'0' * 32}-{SPAN}-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        (f"00-{TRACE[1:]}-{SPAN}-01", ""),
        (f"00-{TRACE}-{SPAN}-1", ""),
        (f" {GIVEN}", ""),
        (f"{GIVEN}\n", ""),
        (f"{GIVEN}\x00", ""),
        (f"cc-{TRACE}-{SPAN}-01-{'x' * 5000}", ""),
        ("", ""),
    ],
)
def test_what_is_taken_in(given: str, taken: str) -> None:
    assert trace.parse(given) == taken


def test_an_event_is_a_span_of_the_trace_it_came_in() -> None:
    event_id = new_id(datetime.now(UTC))
    made = trace.child(GIVEN, event_id, ROOT)
    assert made == f"00-{TRACE}-{event_id.hex[16:]}-01"
    assert trace.parse(made) == made


def test_without_one_the_root_begins_one_and_begins_the_same_again() -> None:
    for broken in ("", "00-nonsense", "\x00"):
        first = trace.child(broken, new_id(datetime.now(UTC)), ROOT)
        second = trace.child(broken, new_id(datetime.now(UTC)), ROOT)
        assert first[:35] == second[:35] == f"00-{ROOT.hex}"
        assert first[36:52] != second[36:52]
    assert trace.parse(trace.start(UUID(int=0)))


def test_a_hundredth_is_sampled_and_always_the_same_hundredth() -> None:
    roots = [new_id(datetime.now(UTC)) for _ in range(20_000)]
    chosen = [root for root in roots if trace.is_sampled(trace.start(root))]
    assert 120 < len(chosen) < 280, "expected 200; five standard deviations either way"
    assert chosen == [root for root in roots if trace.is_sampled(trace.start(root))]
    assert not trace.is_sampled("nonsense1")


@pytest_asyncio.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    router = APIRouter()

    @router.get("/current")
    async def current(_: Annotated[Caller, Depends(allowed("operations.read"))]) -> str:
        return trace.current.get()

    async def ready() -> dict[str, bool]:
        return {}

    issuer = DevelopmentIssuer.at(tmp_path)
    transport = httpx.ASGITransport(build_app("Test", [router], ready, verifier=issuer.verifier()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=issuer.headers()) as client:
        yield client


async def test_a_request_goes_on_in_its_callers_trace(http: httpx.AsyncClient) -> None:
    assert (await http.get("/current", headers={"traceparent": GIVEN})).json() == GIVEN
    correlation = str(uuid.uuid4())
    for headers in ([], [("traceparent", "00-canary9434")], [("traceparent", GIVEN), ("traceparent", GIVEN)]):
        answer = await http.get("/current", headers=[*headers, ("x-correlation-id", correlation)])
        assert answer.json()[:35] == f"00-{UUID(correlation).hex}"
        assert "canary9434" not in answer.text + str(answer.headers)
    assert trace.current.get() == "", "no request, no trace"


async def test_log_lines_say_which_event_out_of_what_in_whose_trace(probe: Probe, sampled: None) -> None:
    probe.bad = {(person(2), 1)}
    cause, given = str(ROOT).encode(), GIVEN.encode()
    good, bad = (outgoing(told(person(n), 1), ce_causationid=cause, traceparent=given) for n in (1, 2))
    quiet = outgoing(told(person(4), 1), traceparent=f"00-{TRACE}-{SPAN}-00".encode())
    foul, worse = (outgoing(told(person(n), 1), traceparent=t) for n, t in ((5, b"canary9434-1"), (6, b"\xff\x00-1")))
    probe.bad.add((person(5), 1))
    with capture_logs() as logs:
        await probe.take(map(record, (good, bad, quiet, foul, worse)))
    assert "canary9434" not in str(logs)
    (handled,) = [line for line in logs if line["event"] == "handled"]
    parked, _ = [line for line in logs if line["event"] == "parked"]
    for line, out in ((handled, good), (parked, bad)):
        assert line["event_id"] == dict(out.headers)["ce_id"].decode()
        assert line["correlation_id"] == str(UUID(int=2))
        assert line["causation_id"] == str(ROOT)
        assert line["traceparent"] == GIVEN
