"""Examples of every event: one assessment taken through the real rules, step by step, without a log or a database.

What is valid was decided by the code itself; what is invalid is the same with one field spoilt. An event this chain
does not reach has its examples written by hand, in the same folders.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from contracts.budget import BudgetAccepted, BudgetProposed, FactsSupplied, StreamLate
from contracts.event import Envelope, Event, derived_id
from contracts.facts import AlignedAssessment
from contracts.lock import lock
from contracts.payments import AcceptedBudgetRecorded
from deploy.generate.lock import streams_of
from deploy.generate.schemas import as_json, event_schema
from services.assessment.domain.assessment import finalised
from services.ras.domain.budget import BudgetCase, Told
from services.ras.handlers import as_answer
from streamkit.case import StreamCase

AT = datetime(2007, 6, 4, 9, 30, tzinfo=UTC)
ROOT_ID = UUID("01131f5d-0e80-7000-8000-000000000001")
PEPPER = b"examples only"

MINIMAL: dict[str, Any] = {
    "assessment_id": "example-0",
    "rule_pack": "pilot-2007",
    "effective_date": "2007-06-04",
    "person": {"person_id": "P-0000", "date_of_birth": "1925-03-14", "primary_user_group": "OP"},
}
"""The least a case line may say; its council comes from the command."""

ASSESSMENT: dict[str, Any] = {
    "assessment_id": "example-1",
    "council": "council-a",
    "rule_pack": "pilot-2007",
    "effective_date": "2007-06-04",
    "person": {"person_id": "P-0001", "date_of_birth": "1962-03-09", "primary_user_group": "PD"},
    "personal_care": {"wash": 3, "dress": 3},
    "mobility": {"transfer": 2, "stairs": 3},
    "home": {"shop": 3, "clean": 2},
    "facs": {"personal_care_domestic_unable": {"now": "many"}},
    "support_units": [{"unit": "pa_hour", "quantity": 14, "domain": "D02"}],
    "carers": [{"c_d": {"D04": 0.5}, "lives_with": True}],
    "work": {
        "employment_status": "employed",
        "hours": 16,
        "start_date": "2004-09-06",
        "employer_size": 180,
        "workplace_needs": [{"kind": "support_worker", "hours_per_week": 5, "hourly_rate_pence": 1200}],
    },
    "housing": {
        "vulnerable_as": "disabled",
        "support_need_housing": [{"task": "budgeting"}, {"task": "bills"}],
        "expected_duration": "under_2_years",
        "sp_scheme": {"hours_per_week": 2, "hourly_rate_pence": 1700},
    },
    "equipment": [{"item_code": "bath_lift", "prescribed_standard_price_pence": 21500}],
    "income": [{"type": "earnings", "weekly_pence": 11200}],
    "capital": {"person_pence": 340000},
}
"""A whole assessment as a council sends one, short enough to read."""

NOTICE: dict[str, Any] = {"decision": "changed", "reference": "letter-881", "weekly_pence": 5500}
"""What another body decided about a provisional line; `stream` says whose line."""

Files = dict[str, str]


def files() -> Files:
    """Path under `contracts/examples/` -> JSON text. The first valid example of an event is also spoilt, two ways: a
    person's reference that is none, and the last required field left out (tests spoil the others too)."""
    found: Files = {}
    spoilt: set[str] = set()
    for name, event in story():
        value = json.loads(msgspec.json.encode(event))
        found[f"{event.type}/valid-{name}.json"] = as_json(value)
        if event.type not in spoilt:
            spoilt.add(event.type)
            schema = event_schema(type(event))
            faults = dict(invalid(schema, value))
            for fault in ("wrong-person_ref", f"without-{schema['required'][-1]}"):
                found[f"{event.type}/invalid-{fault}.json"] = as_json(faults[fault])
    return found


def invalid(schema: dict[str, Any], value: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """(what is wrong, the value with that wrong): each required field left out, or of a type that is not its own."""
    for name in schema["required"]:
        kept = {k: v for k, v in value.items() if k != name}
        yield f"without-{name}", kept
        if isinstance(value[name], str) and not {"format", "enum"} & set(schema["properties"][name]):
            yield f"wrong-{name}", {**value, name: 1}
        elif name != "facts":  # decoded later, by the reader, in the reader's own schema
            yield f"wrong-{name}", {**value, name: "wrong"}


def headers(event: Event, source: str) -> dict[str, str]:
    """The headers an example travels with."""
    envelope = Envelope(
        id=derived_id(ROOT_ID, event.type, *event.identity()),
        type=event.type,
        source=f"/tributary/{source}",
        subject=event.person_ref,
        time=AT,
        correlation_id=ROOT_ID,
    )
    return {name: value.decode() for name, value in envelope.headers()}


def story() -> Iterable[tuple[str, Event]]:
    """(name, event) of everything that is told, in a possible order."""
    copies = finalised(msgspec.convert(ASSESSMENT, AlignedAssessment), lock(), PEPPER)
    for each in copies:
        yield each.audience, each
    streams = {s.name: s for s in streams_of()}
    cases = {c.audience: StreamCase(c.assessment_ref, c.person_ref, ROOT_ID, asked=c) for c in copies}
    first = copies[-1]
    budget = BudgetCase(first.assessment_ref, first.person_ref, ROOT_ID)
    told: list[Told] = budget.ask(first, AT)
    waiting = [asked.stream for asked in first.roll_call]
    while waiting:
        name = waiting.pop(0)
        answer = cases[name].decide(streams[name])
        if answer is not None:
            yield f"{name}-{answer.revision}", answer
            told += budget.answer(as_answer(answer))
        for fact in (f for f in told if isinstance(f, FactsSupplied)):
            yield f"{fact.audience}-{fact.revision}", fact
            cases[fact.audience].supply(fact)
            waiting.append(fact.audience)
        told = [t for t in told if isinstance(t, BudgetProposed)]
    told += budget.pass_deadlines(AT + timedelta(days=3650))
    yield from _closing(told)


def _closing(told: list[Told]) -> Iterable[tuple[str, Event]]:
    """The newest budget, the clocks that pass without a notice, and the person's acceptance."""
    newest = next(t for t in reversed(told) if isinstance(t, BudgetProposed) and t.complete)
    yield "complete", newest
    for late in (t for t in told if isinstance(t, StreamLate)):
        yield late.stream, late
    accepted = BudgetAccepted(
        person_ref=newest.person_ref,
        budget_id=newest.budget_id,
        assessment_ref=newest.assessment_ref,
        revision=newest.revision,
        council=newest.council,
        lines=newest.lines,
        totals=newest.totals,
    )
    yield "accepted", accepted
    yield (
        "recorded",
        AcceptedBudgetRecorded(person_ref=newest.person_ref, budget_id=newest.budget_id, revision=newest.revision),
    )
