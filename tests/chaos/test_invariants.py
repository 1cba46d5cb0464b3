"""Each invariant holds on a small world that is right, and breaks on one that is wrong in the way it is there for."""

import dataclasses
from datetime import date
from typing import Any
from uuid import UUID, uuid5

import msgspec
import pytest

from chassis.audit import chained
from chassis.parking import BEHIND, CONFLICT
from contracts.assessment import AssessmentFinalised
from contracts.event import Event
from contracts.streams import StreamDecided
from deploy.chaos.evidence import Evidence, Injected, Parked, Sent, Told, planted
from deploy.chaos.invariants import INVARIANTS, broken

REF, ROOT, WHO = UUID(int=1), UUID(int=2), UUID(int=3)
STREAM, AUDIENCE = "stream_one", "one"
ASKED = AssessmentFinalised(
    person_ref=WHO,
    assessment_ref=REF,
    audience=AUDIENCE,
    council="council-a",
    rule_pack="pilot-2007",
    effective_date=date(2007, 6, 4),
    facts=msgspec.Raw(b"{}"),
)
RIGHT: tuple[str, dict[str, Any]] = ("PROPOSED", {"weekly_pence": 100})


def decided(revision: int) -> StreamDecided:
    return StreamDecided(
        person_ref=WHO,
        assessment_ref=REF,
        stream=AUDIENCE,
        revision=revision,
        outcome="REFUSED",
        rule_set="r",
        pack_hash="0",
        effective_date=date(2007, 6, 4),
        decision_maker="council",
        lines=(),
        reasons=(),
    )


def told(schema: str, off: int, event: Event, causation: UUID | None = None, audience: str = "") -> Told:
    found = uuid5(ROOT, f"{schema}{off}")
    topic = event.topic(audience)
    return Told(schema, 0, off, found, event.type, topic, WHO, ROOT, causation, msgspec.json.encode(event))


QUESTION = told("assessment", 0, ASKED, audience=AUDIENCE)
ANSWER = told(STREAM, 0, decided(1), QUESTION.id)
CHANGED = told(STREAM, 1, decided(2))
POISON, CONFLICTING = UUID(int=9), (QUESTION.topic, QUESTION.id, b"other")


def sent(one: Told, offset: int) -> Sent:
    return Sent(one.topic, 0, offset, str(one.subject).encode(), one.id)


def right() -> Evidence:
    """One assessment, one stream that answered twice (the second time after a notice), everything read by `ras`."""
    body = '{"action":"x"}'
    return Evidence(
        reads={"assessment": set(), STREAM: {QUESTION.topic}, "ras": {ANSWER.topic}},
        told=[QUESTION, ANSWER, CHANGED],
        sent=[sent(QUESTION, 0), sent(QUESTION, 1), sent(ANSWER, 0), sent(CHANGED, 1), sent(ANSWER, 2)],
        inbox={"assessment": set(), STREAM: {QUESTION.id, POISON}, "ras": {ANSWER.id, CHANGED.id}},
        parked=[
            Parked(STREAM, POISON, b"p", "payload_invalid", False),
            Parked(STREAM, QUESTION.id, b"b", BEHIND, False),
            Parked(STREAM, QUESTION.id, b"other", CONFLICT, False),
        ],
        finals={REF: ROOT},
        budgets=[(REF, *RIGHT)],
        unsent={STREAM: 0},
        lag={AUDIENCE: 0},
        due=0,
        acknowledged={REF},
        right={REF: RIGHT},
        injected=Injected({(QUESTION.topic, POISON)}, {CONFLICTING}, 2),
        chains={STREAM: ([(0, 0, body, chained(b"", body))], [(0, 1, chained(b"", body)), (1, 0, b"")])},
        leaks=[],
    )


def test_a_world_that_is_right() -> None:
    assert broken(right()) == {}


ANOTHER = UUID(int=77)
STRANGER = told("ras", 5, decided(1), ANOTHER)
VIOLATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "an assessment without a budget": ("I1", {"budgets": []}),
    "a budget that waits for ever": ("I1", {"budgets": [(REF, "WAITING", None)]}),
    "a budget of nobody's assessment": ("I1", {"budgets": [(REF, *RIGHT), (ANOTHER, *RIGHT)]}),
    "two budgets": ("I1", {"budgets": [(REF, *RIGHT), (REF, *RIGHT)]}),
    "events not sent": ("I5", {"unsent": {STREAM: 3}}),
    "records not committed": ("I5", {"lag": {AUDIENCE: 1}}),
    "somebody parked": ("I5", {"parked": [Parked(STREAM, POISON, b"p", "x", True)]}),
    "a clock that passed unseen": ("I5", {"due": 1}),
    "an event never handled": ("I6", {"inbox": right().inbox | {"ras": {ANSWER.id}}}),
    "an event out of nowhere": ("I6", {"inbox": right().inbox | {"ras": {ANSWER.id, CHANGED.id, ANOTHER}}}),
    "poison passed over": ("I6", {"parked": right().parked[1:]}),
    "a good message parked": ("I6", {"parked": [*right().parked, Parked("ras", ANSWER.id, b"", "handler_X", False)]}),
    "a conflict in silence": ("I6", {"parked": right().parked[:2]}),
    "a conflict nobody made": ("I6", {"injected": Injected({(QUESTION.topic, POISON)}, set(), 2)}),
    "a revision left out": ("I7", {"told": [QUESTION, ANSWER, told(STREAM, 1, decided(3))]}),
    "the log in another order": (
        "I7",
        {"sent": [sent(QUESTION, 0), sent(QUESTION, 1), sent(CHANGED, 0), sent(ANSWER, 1)]},
    ),
    "an event never on the log": ("I7", {"sent": [sent(QUESTION, 0), sent(QUESTION, 1), sent(ANSWER, 0)]}),
    "a cause nobody told": ("I8", {"told": [*right().told, STRANGER]}),
    "no accepted assessment behind it": ("I8", {"finals": {REF: ANOTHER}}),
    "one id told twice": ("I9", {"told": [*right().told, ANSWER]}),
    "one cause, two effects": ("I9", {"told": [QUESTION, ANSWER, told(STREAM, 1, decided(2), QUESTION.id)]}),
    "nothing came twice": ("I9", {"sent": [sent(QUESTION, 0), sent(ANSWER, 0), sent(CHANGED, 1)]}),
    "a penny too much": ("I10", {"budgets": [(REF, "PROPOSED", {"weekly_pence": 101})]}),
    "an audit entry changed": ("I11", {"chains": {STREAM: ([(0, 0, "{}", b"\0")], [(0, 1, b"\0")])}}),
    "the last audit entry cut off": ("I11", {"chains": {STREAM: ([], right().chains[STREAM][1])}}),
    "acknowledged and lost": ("I12", {"acknowledged": {REF, ANOTHER}}),
    "a name in a log": ("I13", {"leaks": ["log ras.1.log"]}),
}


@pytest.mark.parametrize(("invariant", "change"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_world_that_is_wrong(invariant: str, change: dict[str, Any]) -> None:
    assert invariant in broken(dataclasses.replace(right(), **change))


def test_every_invariant_can_break() -> None:
    assert {invariant for invariant, _ in VIOLATIONS.values()} == set(INVARIANTS)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"asked by quillfeather0123456789ab", True),
        (b"quillfeather01 ... (12 characters truncated)", True),
        (b"quillfeather".hex(), True),
        (b'"nhs_number":"9991234567"', True),
        (b"99912345678", False),
        (b'{"person_ref":"0806c8b6-d411-8124-99cd-c271416d9c00"}', False),
    ],
)
def test_planted_words_are_found(text: bytes | str, found: bool) -> None:
    assert planted(text) is found
