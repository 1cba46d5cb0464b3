"""Golden cases through the real streams, with no bus and no database: the events that `ras` is sent."""

import importlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from contracts.assessment import AssessmentFinalised
from contracts.budget import BudgetProposed, FactsSupplied, StreamLate
from contracts.facts import AlignedAssessment, Notice
from contracts.lock import lock
from contracts.streams import StreamDecided
from rulekit.stream import Stream, read_stream
from services.assessment.domain.assessment import finalised
from services.ras.domain.budget import BudgetCase
from services.ras.handlers import as_answer
from streamkit.case import StreamCase

GOLDEN = Path(__file__).parents[1] / "golden" / "cases.jsonl"
AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
CORRELATION = UUID(int=5)
Told = FactsSupplied | BudgetProposed | StreamLate
Arrival = AssessmentFinalised | StreamDecided


@cache
def golden() -> dict[str, AlignedAssessment]:
    """By id and version: `G01`, `G05.2`."""
    found = [msgspec.convert(json.loads(line)["assessment"], AlignedAssessment) for line in GOLDEN.open()]
    return {a.assessment_id + (f".{a.version}" if a.version > 1 else ""): a for a in found}


def changed(name: str, **changes: Any) -> AlignedAssessment:
    """A golden case with top-level answers replaced."""
    return msgspec.convert(msgspec.to_builtins(golden()[name]) | changes, AlignedAssessment)


@cache
def stream(name: str) -> Stream:
    found = lock().named(name)
    assert found is not None
    module = importlib.import_module(found.module)
    return read_stream(found.module, Path(str(module.__file__)).parent)


@dataclass
class Deciders:
    """Every stream that was asked, at work on one assessment. A stream listed in `silent` never answers."""

    assessment: AlignedAssessment
    silent: frozenset[str] = frozenset()
    streams: dict[str, StreamCase] = field(default_factory=dict)

    def __post_init__(self) -> None:
        *copies, self.asked = finalised(self.assessment, lock(), b"pepper")
        assert self.asked.audience == "ras"
        for copy in copies:
            case = StreamCase(copy.assessment_ref, copy.person_ref, CORRELATION)
            case.ask(copy)
            self.streams[copy.audience] = case

    def answers(self, supplied: Iterable[FactsSupplied] = ()) -> list[StreamDecided]:
        """What the streams answer, now that these facts are supplied."""
        for facts in supplied:
            self.streams[facts.audience].supply(facts)
        found = [case.decide(stream(name)) for name, case in self.streams.items() if name not in self.silent]
        return [answer for answer in found if answer is not None]

    def notice(self, name: str, **body: Any) -> list[StreamDecided]:
        self.streams[name].tell(Notice(stream=name, **({"decision": "confirmed", "reference": "N1"} | body)))
        answer = self.streams[name].decide(stream(name))
        return [answer] if answer else []


@dataclass
class Desk:
    """`ras` at work on one assessment, and everything it has told."""

    case: BudgetCase
    told: list[Told] = field(default_factory=list)

    @classmethod
    def open(cls, deciders: Deciders) -> "Desk":
        return cls(BudgetCase(deciders.asked.assessment_ref, deciders.asked.person_ref, CORRELATION))

    def take(self, arrival: Arrival) -> list[FactsSupplied]:
        """Returns the facts it supplies in consequence."""
        if isinstance(arrival, AssessmentFinalised):
            told = self.case.ask(arrival, AT)
        else:
            told = self.case.answer(as_answer(arrival))
        self.told += told
        return [t for t in told if isinstance(t, FactsSupplied)]

    def run(self, deciders: Deciders, arrivals: Sequence[Arrival], pick: Callable[[int], int] = lambda n: 0) -> None:
        """Take `arrivals` in the order `pick` chooses, and each answer that facts lead to whenever it chooses."""
        waiting = list(arrivals)
        while waiting:
            supplied = self.take(waiting.pop(pick(len(waiting))))
            if supplied:
                waiting += [a for a in deciders.answers(supplied) for _ in range(2)]

    @property
    def budgets(self) -> list[BudgetProposed]:
        return [t for t in self.told if isinstance(t, BudgetProposed)]

    @property
    def budget(self) -> BudgetProposed:
        """The newest told."""
        return self.budgets[-1]

    @property
    def late(self) -> list[StreamLate]:
        return [t for t in self.told if isinstance(t, StreamLate)]


def settled(deciders: Deciders) -> Desk:
    """The budget of everything in its plain order."""
    desk = Desk.open(deciders)
    desk.run(deciders, [deciders.asked, *deciders.answers()])
    return desk
