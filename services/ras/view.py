"""A budget with everything it rests on: what a person, a finance officer or an ombudsman may ask about it."""

from datetime import date
from uuid import UUID

import msgspec

from contracts.assessment import NotAsked
from contracts.budget import BudgetLine, BudgetState, Totals
from contracts.money import pounds
from contracts.streams import StreamDecided
from rulekit.council import Council
from services.ras.domain.allocation import Allocation
from services.ras.domain.budget import BudgetCase
from services.ras.domain.contribution import Contribution
from services.ras.facts import READS

RING_FENCES = {
    "OUTCOMES": "anything lawful that meets the agreed outcomes",
    "HOUSING_SUPPORT": "housing-related support",
    "PERSONAL_DOMESTIC": "personal care and domestic help",
    "WORK_ONLY": "support at work and getting to work",
    "ITEM": "the equipment prescribed",
    "WORKS": "the adaptation approved",
    "HEALTH_PLAN": "what the health plan says",
    "CARER_OUTCOMES": "what meets the carer's agreed outcomes",
}


class Eligibility(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The gateway's finding: a band against the council's threshold, or the outcomes the person cannot achieve."""

    eligible: bool | None
    stream: str
    rule_set: str
    band: str | None = None
    threshold: str | None = None
    outcomes: tuple[str, ...] = ()
    findings: dict[str, str | int | bool | None] = {}


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The council's amount beside what the person has now, weekly pence."""

    current_weekly_pence: int
    proposed_weekly_pence: int
    gap_pence: int


class Pound(msgspec.Struct, frozen=True, kw_only=True):
    """Where a line's pounds come from and what they may buy, in words."""

    stream: str
    says: str


class BudgetView(msgspec.Struct, frozen=True, kw_only=True):
    budget_id: UUID
    assessment_ref: UUID
    person_ref: UUID
    state: BudgetState
    revision: int
    complete: bool
    council: str
    council_profile: str
    rule_pack: str
    parameter_set: str | None
    effective_date: date
    eligibility: Eligibility | None
    allocation: Allocation | None
    contribution: Contribution | None
    streams: tuple[StreamDecided, ...]
    waiting: tuple[str, ...]
    not_asked: tuple[NotAsked, ...]
    lines: tuple[BudgetLine, ...]
    totals: Totals
    offer: Offer | None
    per_pound: tuple[Pound, ...]
    warnings: tuple[str, ...]


def view(case: BudgetCase, decisions: list[StreamDecided]) -> BudgetView | None:
    """None while the question itself has not arrived."""
    if case.asked is None:
        return None
    asked = case.asked
    budget = case.budget(asked, case.proposed.revision if case.proposed else 0)
    contribution = case.contribution(asked, budget.lines)
    allocation = case.position.allocation if case.position else None
    gateways = {a.stream for a in asked.roll_call if a.gateway}
    return BudgetView(
        budget_id=budget.budget_id,
        assessment_ref=case.assessment_ref,
        person_ref=case.person_ref,
        state=budget.state,
        revision=budget.revision,
        complete=budget.complete,
        council=asked.council,
        council_profile=case.council.profile,
        rule_pack=asked.rule_pack,
        parameter_set=contribution.parameter_set if contribution else None,
        effective_date=asked.effective_date,
        eligibility=next((_eligibility(d) for d in decisions if d.stream in gateways), None),
        allocation=allocation,
        contribution=contribution,
        streams=tuple(decisions),
        waiting=tuple(a.stream for a in asked.roll_call if a.stream not in case.answers),
        not_asked=asked.not_asked,
        lines=budget.lines,
        totals=budget.totals,
        offer=_offer(case, asked.facts),
        per_pound=tuple(explain(line, case.council) for line in budget.lines if _has_money(line)),
        warnings=budget.warnings,
    )


def _eligibility(decided: StreamDecided) -> Eligibility:
    findings = dict(decided.findings)
    outcomes = str(findings.get("outcomes") or "")
    return Eligibility(
        eligible={"AWARDED": True, "REFUSED": False}.get(decided.outcome),
        stream=decided.stream,
        rule_set=decided.rule_set,
        band=_text(findings.get("band")),
        threshold=_text(findings.get("threshold")),
        outcomes=tuple(outcomes.split(",")) if outcomes else (),
        findings=findings,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _offer(case: BudgetCase, raw: msgspec.Raw) -> Offer | None:
    current = msgspec.json.decode(raw, type=READS).person.current_package_weekly_pence
    proposed = case.position.weekly_pence if case.position else None
    if current is None or proposed is None:
        return None
    return Offer(current_weekly_pence=current, proposed_weekly_pence=proposed, gap_pence=proposed - current)


def _has_money(line: BudgetLine) -> bool:
    return bool(line.weekly_pence or line.one_off_pence)


def explain(line: BudgetLine, council: Council) -> Pound:
    """One line in words: how much, from whom, under which rule, for what, and whether it may be spent yet."""
    weekly = line.weekly_pence is not None
    amount = f"{pounds(line.weekly_pence or line.one_off_pence or 0)} {'a week' if weekly else 'once'}"
    buys = RING_FENCES.get(line.ring_fence or "", "what was agreed")
    whose = line.decision_maker if line.decision_maker != "council" else f"the council ({council.title})"
    says = f"{amount}, decided by {whose} under {line.rule_set}, may buy {buys}."
    if line.contribution_pence:
        says += f" You pay {pounds(line.contribution_pence)} a week of it."
    if line.top_up_pence:
        says += f" The dearer choice costs {pounds(line.top_up_pence)} on top, which this money does not pay."
    if not line.in_budget:
        says += " It is tracked beside the Individual Budget and is no part of it."
    return Pound(stream=line.stream, says=says + _status(line))


def _status(line: BudgetLine) -> str:
    if line.status == "PROVISIONAL":
        return " It is provisional: it may not be spent until the body that decides has confirmed it."
    if line.status == "ENDED":
        return f" It ends on {line.end}." if line.end else " It has ended."
    return ""
