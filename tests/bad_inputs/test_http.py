"""Five thousand bad requests to every kind of command: each refused as a problem with a known code, never repeated, and
nothing of any of them is stored."""

import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from chassis.web import PROBLEM
from contracts.refusal import STATUS
from tests.assessment.forms import filled_in
from tests.bad_inputs.conftest import ASSESSMENT_DATES, ASSESSMENT_REQUIRED, NOTICE, Target
from tests.bad_inputs.spoiler import MARK, Spoiler

pytestmark = pytest.mark.timeout(300)
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)
    query: bytes = b""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Headers
    body: bytes

    @property
    def told(self) -> str:
        return self.body.decode("latin-1") + str(self.headers)


async def call(app: Any, request: Request, authorization: bytes) -> Answer:
    """As a server would, with no client in between that would tidy up."""
    sent: list[Any] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method,
        "path": request.path, "raw_path": b"/", "query_string": request.query, "root_path": "", "scheme": "http",
        "headers": [(b"host", b"test"), (b"authorization", authorization), *request.headers],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return Answer(sent[0]["status"], sent[0]["headers"], b"".join(m.get("body", b"") for m in sent[1:]))


def bodies(target: Target, seed: int) -> Iterator[tuple[Request, str]]:
    """Good addresses, bad bodies."""
    consent = {"status": "not_required", "basis": "public task", "on": "2007-01-05"}
    revision = {"revision": target.budget["revision"]}
    form = filled_in(assessment_id="BAD-1")
    required = (("stream",), ("decision",), ("reference",))
    dates = (("decided_on",), ("effective_from",))
    draft = form | {"assessment_id": "DRAFT-1"}
    notices = f"/streams/ilf/assessments/{target.final}/notices"
    accept = f"/budgets/{target.budget['budget_id']}/accept"
    for how_many, method, path, spoiler in (
        (1900, "POST", "/assessments", Spoiler(seed, form, ASSESSMENT_REQUIRED, ASSESSMENT_DATES)),
        (600, "PUT", f"/assessments/{target.draft}", Spoiler(seed + 4, draft, ASSESSMENT_REQUIRED, ASSESSMENT_DATES)),
        (500, "PUT", f"/assessments/{target.draft}/consents/ilf", Spoiler(seed + 1, consent, (("status",),))),
        (1100, "POST", notices, Spoiler(seed + 2, NOTICE, required, dates)),
        (500, "POST", accept, Spoiler(seed + 3, revision, (("revision",),))),
    ):
        for n in range(how_many):
            body, mark = spoiler.spoil(n)
            yield Request(method, path, body), mark


WRONG = {
    b"content-type": [b"text/plain", b"text/xml", b"multipart/form-data; boundary=x", b"application/json5", b""],
    b"content-encoding": [b"gzip", b"br", b"gzip, identity"],
    b"content-length": [b"-1", b"1e9", b"9" * 5000, b"262145", b"\xb2", b"0x10", b""],
}


def oddities(target: Target, seed: int) -> Iterator[tuple[Request, str]]:
    """Addresses, methods, headers and sizes nobody should send."""
    rng = random.Random(seed)
    good = json.dumps(filled_in(assessment_id="DRAFT-1")).encode()
    for n in range(1000):
        mark = f"{MARK}{n:05d}odd"
        nobody = str(uuid.UUID(int=rng.getrandbits(128)))
        junk = rng.choice([mark, f"{mark}\x00", f"{mark}/../x", "{" + mark + "}", f"é{mark}", mark * 700, f"{mark} --"])
        place = rng.choice(["/assessments/{}", "/budgets/{}", "/streams/ilf/assessments/{}", "/payments/budgets/{}"])
        method = rng.choice(["TRACE", "OPTIONS", "HEAD", "PATCH", "DELETE", mark, "get", ""])
        name = rng.choice([b"content-type", b"content-encoding", b"content-length"])
        tag = rng.choice([b'"\xb2"', b'"999"', b'W/"1"', b"9" * 5000, b'"1","2"', mark.encode(), b'""', b'"-1"'])
        correlation = (b"x-correlation-id", rng.choice([mark.encode(), b"\xff" * 36, b"0" * 36, mark.encode() * 9]))
        yield rng.choice([
            Request("GET", place.format(junk), headers=(correlation,)),
            Request("GET", place.format(nobody), query=f"{mark}={mark}&access_token={mark}".encode()),
            Request(method, place.format(nobody)),
            Request(method, f"/{mark}/{mark}"),
            Request("POST", "/assessments", good, ((name, rng.choice([*WRONG[name], mark.encode()])),)),
            Request("PUT", f"/assessments/{target.draft}", good, ((b"if-match", tag),)),
            Request("PUT", f"/assessments/{target.draft}/consents/{junk}", b'{"status": "given"}'),
            Request("PUT", f"/assessments/{nobody}/consents/ilf", b'{"status": "given"}'),
            Request("POST", f"/streams/social_care/assessments/{target.final}/notices", json.dumps(NOTICE).encode()),
            Request("POST", f"/streams/{mark}/assessments/{target.final}/notices", json.dumps(NOTICE).encode()),
            Request("POST", f"/budgets/{nobody}/accept", b'{"revision": 1}'),
            Request("POST", "/assessments", b" " * 262_144 + good),
        ]), mark  # fmt: skip


def faults_of(answer: Answer, mark: str) -> str:
    """'' for a proper refusal."""
    kinds = [value.decode() for name, value in answer.headers if name == b"content-type"]
    if not 400 <= answer.status < 500 or kinds != [PROBLEM]:
        return f"{answer.status} {kinds}"
    if STATUS.get(json.loads(answer.body)["code"]) != answer.status:
        return "code"
    return "repeated" if mark in answer.told or MARK in answer.told else ""


@pytest.mark.parametrize("kind", [bodies, oddities])
async def test_each_is_refused_and_nothing_is_kept(
    target: Target, seed: int, kind: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    app, before, started = target.house.deployment.app(), await target.rows(), time.monotonic()
    authorization = target.house.deployment.issuer.headers()["authorization"].encode()
    codes: Counter[str] = Counter()
    with capture_logs() as logs:
        for request, mark in kind(target, seed):
            answer = await call(app, request, authorization)
            assert faults_of(answer, mark) == "", (request, answer)
            codes[json.loads(answer.body)["code"]] += 1
    assert [line for line in logs if line["event"] == "request_failed" or MARK in str(line)] == []
    assert await target.rows() == before
    assert MARK not in await target.everything()
    assert MARK not in "".join(capfd.readouterr())
    target.house.deployment.raise_if_crashed()
    with capfd.disabled():
        print(f"\n{codes.total()} {kind.__name__}, seed {seed}, {time.monotonic() - started:.1f} s: {dict(codes)}")


async def test_the_good_one_beside_them_is_taken(target: Target) -> None:
    """The same case, unspoiled: what refused the others was what was wrong with them."""
    http = target.house.http
    assert (await http.post("/assessments", json=filled_in(assessment_id="GOOD-2"))).status_code == 201
    url = f"/assessments/{target.draft}"
    assert (
        await http.put(url, json=filled_in(assessment_id="DRAFT-1"), headers={"if-match": '"1"'})
    ).status_code == 200
    assert (await http.put(f"{url}/consents/ilf", json={"status": "not_required", "basis": "x"})).status_code == 200
    told = await http.post(f"/streams/ilf/assessments/{target.final}/notices", json=NOTICE)
    assert told.status_code == 202, told.text
    await target.house.complete(target.final, 2)
