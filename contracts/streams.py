"""What every funding stream answers with, whoever runs it: an outcome, its lines and its reasons.

`StreamDecided` is the one answer. A stream that must decide again answers again, one `revision` higher; nothing is
edited. The types here are the whole contract of a stream decider: `AssessmentFinalised` in, `StreamDecided` out.
"""

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from contracts.event import Event

Evidence = Literal["seed", "source", "unverified", "derived", "design", "illustrative"]
"""Rule book §0.1. `unverified` is general knowledge nobody has checked yet: it stays marked through to the receipt."""

RateStatus = Literal["v", "d", "u", "i", "design"]
"""Verified, derived, unverified, illustrative, or an engineering choice (rule book §28)."""

Outcome = Literal["AWARDED", "PROVISIONAL", "REFUSED", "UNCLEAR", "ENDED"]
"""PROVISIONAL is never spendable: it waits for the notice of the body that decides. UNCLEAR waits for a fact."""

RingFence = Literal[
    "OUTCOMES",
    "HOUSING_SUPPORT",
    "PERSONAL_DOMESTIC",
    "WORK_ONLY",
    "ITEM",
    "WORKS",
    "HEALTH_PLAN",
    "CARER_OUTCOMES",
]
"""What a pound may buy (rule book §12.2)."""

Timing = Literal["ADVANCE", "ARREARS", "REIMBURSEMENT", "CAPITAL", "ITEM", "AS_AGREED"]

Seen = dict[str, str | int | bool | None]


class RateUsed(msgspec.Struct, frozen=True):
    """A dated rate a reason rests on. `value` is as printed in its source: pounds, or a plain number."""

    key: str
    value: str
    status: RateStatus
    source: str


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule, its citation, and what it saw. `pence` is the result where the rule calculates one."""

    rule: str
    says: str
    citation: str
    evidence: Evidence
    outcome: Literal["met", "not_met", "unclear", "calculated", "noted"]
    saw: Seen = {}
    pence: int | None = None
    rates: tuple[RateUsed, ...] = ()


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Money of one stream for one purpose: weekly or one-off, never both.

    `chargeable` says whether it counts toward what the person may be asked to pay. `weeks` bounds a weekly line.
    `in_budget` is false for money that is tracked beside the Individual Budget and is no part of it.
    """

    status: Literal["AWARDED", "PROVISIONAL", "REFUSED", "ENDED"]
    ring_fence: RingFence
    timing: Timing
    decision_maker: str
    chargeable: bool
    weekly_pence: int | None = None
    one_off_pence: int | None = None
    in_budget: bool = True
    weeks: int | None = None
    start: date | None = None
    end: date | None = None
    top_up_pence: int = 0


class StreamDecided(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One stream's answer about one assessment.

    `findings` are what others may need by name, and only that (an eligibility band, say). `ends_gateway_from` is the
    date from which this decision ends the gateway stream's line (continuing healthcare takes over all care).
    `facts_revision` is the revision of the supplied facts it was decided on, where it waits for any.
    """

    type: ClassVar[str] = "uk.tributary.stream.decided.v1"

    assessment_ref: UUID
    stream: str
    revision: int
    outcome: Outcome
    rule_set: str
    pack_hash: str
    effective_date: date
    decision_maker: str
    lines: tuple[Line, ...] = ()
    reasons: tuple[Reason, ...] = ()
    findings: Seen = {}
    warnings: tuple[str, ...] = ()
    ends_gateway_from: date | None = None
    facts_revision: int = 0
    notice_reference: str = ""

    def identity(self) -> tuple[object, ...]:
        return (self.assessment_ref, self.stream, self.revision)
