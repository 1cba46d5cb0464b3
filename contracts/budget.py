"""What the allocation service tells: facts other deciders wait for, the budget, and which answers are late."""

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from contracts.event import Event
from contracts.streams import RingFence, Seen, Timing

LineStatus = Literal["AWARDED", "PROVISIONAL", "WAITING", "LATE", "UNCLEAR", "REFUSED", "ENDED"]

BudgetState = Literal["WAITING", "PROPOSED", "NO_BUDGET", "SUPERSEDED"]
"""WAITING: not every stream has answered. NO_BUDGET: the gateway was refused; what else is payable is outside it."""


class FactsSupplied(Event, frozen=True, kw_only=True):
    """Facts that one decision supplies and another waits for, to one reader. A reader never learns who supplied them.

    `revision` rises with every change. Amounts are weekly pence; None means it could not be worked out.
    """

    type: ClassVar[str] = "uk.tributary.facts.supplied.v1"
    addressed: ClassVar[bool] = True

    assessment_ref: UUID
    audience: str
    revision: int
    basis: Literal["indicative", "agreed"]
    facts: dict[str, int | None]

    def identity(self) -> tuple[object, ...]:
        return (self.assessment_ref, self.audience, self.revision)


class BudgetLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an Individual Budget: every pound knows its stream, rule set, ring-fence and who decided it.

    `contribution_pence` is the part of a weekly line the person pays. Only an AWARDED line inside the budget may be
    spent.
    """

    stream: str
    status: LineStatus
    rule_set: str
    revision: int
    ring_fence: RingFence | None = None
    timing: Timing | None = None
    decision_maker: str = ""
    chargeable: bool = False
    weekly_pence: int | None = None
    one_off_pence: int | None = None
    contribution_pence: int = 0
    top_up_pence: int = 0
    in_budget: bool = True
    weeks: int | None = None
    start: date | None = None
    end: date | None = None


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over lines that are in the budget and AWARDED or PROVISIONAL; `spendable_*` over AWARDED alone.

    `yearly_pence` is 52 weeks of each weekly line, or as many weeks as the line is for. `outside_*` are lines tracked
    beside the budget. `net_weekly_pence` is after the person's contribution, None while that cannot be worked out.
    """

    weekly_pence: int
    one_off_pence: int
    yearly_pence: int
    spendable_weekly_pence: int
    spendable_one_off_pence: int
    provisional_weekly_pence: int
    provisional_one_off_pence: int
    outside_weekly_pence: int
    outside_one_off_pence: int
    contribution_weekly_pence: int | None
    net_weekly_pence: int | None


class BudgetProposed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An Individual Budget, or its next revision. The reasons stay with the decisions; the lines name them."""

    type: ClassVar[str] = "uk.tributary.budget.proposed.v1"

    budget_id: UUID
    assessment_ref: UUID
    revision: int
    state: BudgetState
    complete: bool
    council: str
    rule_pack: str
    effective_date: date
    lines: tuple[BudgetLine, ...]
    totals: Totals
    decisions: dict[str, int]
    """Stream -> revision of the decision this budget rests on."""
    warnings: tuple[str, ...] = ()

    def identity(self) -> tuple[object, ...]:
        return (self.budget_id, self.revision)


class BudgetAccepted(Event, frozen=True, kw_only=True):
    """The person has accepted this revision of the budget."""

    type: ClassVar[str] = "uk.tributary.budget.accepted.v1"

    budget_id: UUID
    assessment_ref: UUID
    revision: int
    council: str
    lines: tuple[BudgetLine, ...]
    totals: Totals

    def identity(self) -> tuple[object, ...]:
        return (self.budget_id, self.revision)


class StreamLate(Event, frozen=True, kw_only=True):
    """A stream's clock has passed and its answer, or the notice of the body that decides it, has not come."""

    type: ClassVar[str] = "uk.tributary.stream.late.v1"

    assessment_ref: UUID
    stream: str
    clock_days: int
    waiting_for: Literal["answer", "notice"]
    seen: Seen = {}

    def identity(self) -> tuple[object, ...]:
        return (self.assessment_ref, self.stream, self.waiting_for)
