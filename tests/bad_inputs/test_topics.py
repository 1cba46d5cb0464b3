"""A thousand bad records on the topics of every service: each is parked with a coded reason, nothing else is stored,
nobody crashes, and the next person's case goes through."""

import json
import random
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from chassis.bus import Outgoing
from contracts.event import EVENTS, Envelope
from deploy.services import all_services
from tests.assessment.forms import filled_in
from tests.bad_inputs.conftest import Target
from tests.bad_inputs.spoiler import MARK
from tests.journeys.house import eventually

pytestmark = pytest.mark.timeout(300)
EXAMPLES = Path(__file__).parents[2] / "contracts" / "examples"
RECORDS = 1000
PEOPLE = [uuid.uuid5(UUID(int=4), str(n)) for n in range(5)]
"""Few: a consumer at which many people fail at once stops itself, and rightly."""
HEADERS = ("ce_id", "ce_type", "ce_subject", "ce_time", "ce_correlationid")
TYPED = ("person_ref", "assessment_ref", "revision", "effective_date", "audience", "stream", "rule_pack", "budget_id")
BAD_HEADERS = (b"", b"\xff\xfe", b"\x00", b"ZQ", b"0" * 64, b"-1", b"\xed\xa0\x80", b"Z" * 3000)
MARKED = {"parked", "inbox", "consumer_fence"}
"""Tables that a bad record may add to."""


REASONS = {"envelope_unreadable", "event_type_unknown", "payload_invalid", "subject_differs", "behind_parked"}


def read_by_somebody() -> list[tuple[str, dict[str, Any], str]]:
    """(topic, a good payload, type) of every example of an event that some service reads."""
    topics = {topic for service in all_services() for topic in service.handlers.topics()}
    found = []
    for path in sorted(EXAMPLES.glob("*/valid-*.json")):
        event, payload = EVENTS[path.parent.name], json.loads(path.read_text())
        topic = event.topic(payload.get("audience", "") if event.addressed else "")
        if topic in topics:
            found.append((topic, payload, event.type))
    return found


GOOD = read_by_somebody()


def spoiled(rng: random.Random, n: int) -> Outgoing:
    """A record wrong in one way: a header, the payload's text, or one of its fields."""
    topic, good, kind = rng.choice(GOOD)
    who = rng.choice(PEOPLE)
    payload = {**good, "person_ref": str(who), "n": n, "mark": f"{MARK}{n}"}
    now = datetime.now(UTC)
    envelope = Envelope(
        id=UUID(int=rng.getrandbits(128)), type=kind, source="/bad", subject=who, time=now, correlation_id=UUID(int=5)
    )
    headers, body = dict(envelope.headers()), json.dumps(payload).encode()
    way = rng.choice(["header", "header", "no header", "somebody else", "text", "field", "missing", "cause"])
    if way == "header":
        headers[rng.choice(HEADERS)] = rng.choice(BAD_HEADERS)
    elif way == "no header":
        del headers[rng.choice(HEADERS)]
    elif way == "somebody else":
        headers["ce_subject"] = str(PEOPLE[(PEOPLE.index(who) + 1) % len(PEOPLE)]).encode()
    elif way == "cause":
        headers["ce_causationid"] = f"{MARK}{n}".encode()
    elif way == "text":
        body = rng.choice(
            [body[: rng.randrange(len(body))], body + b"}", b"\xff" + body, body.decode().encode("utf-16"), b""]
        )
    elif way == "field":
        name = rng.choice([name for name in TYPED if name in payload])
        body = json.dumps({**payload, name: rng.choice([{f"{MARK}{n}": 1}, [f"{MARK}{n}"], 1.5])}).encode()
    else:
        body = json.dumps({name: value for name, value in payload.items() if name != "person_ref"}).encode()
    return Outgoing(topic, str(who).encode(), body + b" " * (n % 7) if way != "text" else body, list(headers.items()))


async def parked(target: Target) -> list[Any]:
    rows = []
    for schema in await target.house.schemas():
        rows += await target.house.ask(f"SELECT reason, type, headers::text AS h, payload FROM {schema}.parked")
    return rows


async def test_each_is_parked_and_nothing_else_happens(
    target: Target, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len({topic for topic, _, _ in GOOD}) >= 10, "every stream, allocation, payments"
    rng, before, started = random.Random(seed), await target.rows(), time.monotonic()
    records = [spoiled(rng, n) for n in range(RECORDS)]
    producer = await target.house.deployment.bus.producer("bad")
    with capture_logs() as logs:
        await producer.send(records)

        async def taken() -> bool:
            readers = [r for r in target.house.deployment.running.values() if r.service.handlers.subscriptions]
            consumers = [r.consuming.consumer for r in readers]
            return all([c is not None and not any((await c.lag()).values()) for c in consumers])

        assert await eventually(taken, 120, 0.2)
    await producer.close()
    held = await parked(target)
    kept = {(bytes(row["payload"]), row["h"]) for row in held}
    asked = {(r.value, json.dumps([[k, v.hex()] for k, v in r.headers])) for r in records}
    missing = [r for r in asked if r[0] not in {body for body, _ in kept}]
    assert missing == [], "every body that came is kept for an operator"
    reasons = Counter(row["reason"] for row in held)
    assert set(reasons) <= {
        "envelope_unreadable",
        "event_type_unknown",
        "payload_invalid",
        "subject_differs",
        "behind_parked",
    }
    after = await target.rows()
    grown = {table for table in after if after[table] != before[table]}
    assert {table.split(".")[1] for table in grown} <= MARKED
    assert MARK not in str(logs) + str([(row["reason"], row["type"]) for row in held]) + "".join(capfd.readouterr())
    target.house.deployment.raise_if_crashed()
    ref = await target.house.finalised(filled_in(assessment_id="AFTER-1"))
    assert (await target.house.complete(ref))["state"] == "PROPOSED"
    with capfd.disabled():
        print(f"\n{RECORDS} records, seed {seed}, {time.monotonic() - started:.1f} s: {dict(reasons)}")
