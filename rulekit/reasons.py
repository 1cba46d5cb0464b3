"""A decision and the reasons it carries. `return False` carries none, so rules never return it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from contracts.streams import Evidence, Line, Outcome, RateUsed, Reason, Seen
from rulekit.rates import Rate


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition or calculation, with where it comes from.

    `says` is the rule in a person's words. `citation` names the law or source and the rule book's section.
    """

    id: str
    says: str
    citation: str
    evidence: Evidence


Said = Literal["met", "not_met", "unclear", "calculated", "noted"]


class Reasons:
    """Collects reasons in the order the rules are read."""

    def __init__(self) -> None:
        self._reasons: list[Reason] = []

    def check(self, rule: Rule, holds: bool | None, *rates: Rate, **saw: str | int | bool | None) -> bool:
        """Record a condition. `holds` None is unclear: a fact is missing. Returns whether it is met."""
        outcome: Said = "unclear" if holds is None else "met" if holds else "not_met"
        self._add(rule, outcome, saw, None, rates)
        return holds is True

    def calculate(self, rule: Rule, pence: int, *rates: Rate, **saw: str | int | bool | None) -> int:
        """Record a result in pence, rounded already. Returns it."""
        self._add(rule, "calculated", saw, pence, rates)
        return pence

    def note(self, rule: Rule, *rates: Rate, **saw: str | int | bool | None) -> None:
        self._add(rule, "noted", saw, None, rates)

    def _add(self, rule: Rule, outcome: Said, saw: Seen, pence: int | None, rates: Sequence[Rate]) -> None:
        evidence: Evidence = rule.evidence
        used: tuple[RateUsed, ...] = ()
        if rates:
            used = tuple([r.used for r in rates])
            if "u" in [r.status for r in rates]:
                evidence = "unverified"
        self._reasons.append(Reason(rule.id, rule.says, rule.citation, evidence, outcome, saw, pence, used))

    @property
    def refused(self) -> bool:
        return any(r.outcome == "not_met" for r in self._reasons)

    @property
    def unclear(self) -> bool:
        return any(r.outcome == "unclear" for r in self._reasons)

    def blocked(self) -> Outcome | None:
        """REFUSED where a condition is not met, else UNCLEAR where one is unclear, else None: go on and calculate."""
        return "REFUSED" if self.refused else "UNCLEAR" if self.unclear else None

    def all(self) -> tuple[Reason, ...]:
        return tuple(self._reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What `rules.decide` returns. See `contracts.streams.StreamDecided` for what the fields mean."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    lines: tuple[Line, ...] = ()
    findings: Seen = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    ends_gateway_from: date | None = None
