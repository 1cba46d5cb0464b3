"""Disabled Facilities Grant (rule book §10): the tests, and the grant where no contribution is due.
Otherwise the housing authority's notice brings the contribution."""

import dataclasses
from datetime import date

import msgspec

from contracts.facts import Notice
from contracts.streams import Line
from rulekit.notice import apply_notice
from rulekit.rates import Rate
from rulekit.reasons import Decision, Reasons, Rule
from rulekit.stream import Question
from services.funding_streams.dfg.facts import Facts

NEEDED = Rule("DFG-NEEDED", "An adaptation of the home is asked for", "rule book §10.1 test 2", "design")
DISABLED = Rule("DFG-DISABLED", "Somebody disabled lives in the home", "Foundations; rule book §10.1 test 1", "source")
PURPOSE = Rule(
    "DFG-PURPOSE",
    "We know which of the purposes in the law it serves",
    "Shelter; Newcastle-under-Lyme; rule book §10.1 test 2",
    "source",
)
GARDEN = Rule(
    "DFG-GARDEN",
    "Access to the garden counts only if applied for from 22 May 2008; before, its cost must be known apart",
    "SI 2008/1189; rule book §10.1 test 2; that the date of application decides is an engineering choice",
    "source",
)
NECESSARY = Rule(
    "DFG-NECESSARY",
    "It is necessary and appropriate for the person, as social services or an occupational therapist advise",
    "Shelter; rule book §10.1 test 3",
    "source",
)
PRACTICABLE = Rule(
    "DFG-PRACTICABLE",
    "It is reasonable and practicable, given the age and condition of the building",
    "Shelter; rule book §10.1 test 3",
    "source",
)
TENURE = Rule(
    "DFG-TENURE",
    "The home is owned or rented by you or those you live with; a care home's is not",
    "Oldham; Pembrokeshire; rule book §10.1 test 4; 'other' waits until it is known",
    "design",
)
CONSENT = Rule(
    "DFG-CONSENT",
    "Whoever owns the home agrees to the work; an owner who applies agrees",
    "Oldham; Pembrokeshire; rule book §10.1 test 4",
    "source",
)
FIVE_YEARS = Rule(
    "DFG-FIVE-YEARS",
    "The disabled person means to live there as their only or main home for five years after the work",
    "Oldham; Pembrokeshire; rule book §10.1 test 4",
    "source",
)
NOT_STARTED = Rule(
    "DFG-NOT-STARTED",
    "The work has not begun before the grant is approved",
    "Wiltshire; spotidoc; rule book §10.1 test 5",
    "source",
)
COST = Rule("DFG-COST", "We know what the work costs", "rule book §10.2", "source")
UNDER_19 = Rule(
    "DFG-UNDER-19",
    "There is no contribution for anyone under 19",
    "Central Bedfordshire; rule book §10.2",
    "source",
)
PASSPORT = Rule(
    "DFG-PASSPORT",
    "There is no contribution from anyone on one of these benefits",
    "SI 2008/1190 reg 4; Central Bedfordshire; rule book §10.2",
    "source",
)
MEANS_TEST = Rule(
    "DFG-MEANS-TEST",
    "The contribution is known and leaves something to pay; any means test is done by the housing authority",
    "SI 2008/1190; rule book §10.2, §22.4; the notice of the housing authority settles it",
    "source",
)
MAXIMUM = Rule(
    "DFG-MAXIMUM",
    "The work costs more than the most that is paid; the housing authority may add to it if it chooses",
    "Commons Library extract; SI 2008/1189; Shelter; Norwich; rule book §10.2",
    "source",
)
GRANT = Rule(
    "DFG-GRANT",
    "The grant is the cost of the work, up to the most that is paid, less the contribution",
    "South Tyneside; rule book §10.2",
    "source",
)
CHARGE = Rule(
    "DFG-CHARGE",
    "If the home is sold within ten years, up to this much may have to be paid back",
    "Tonbridge; rule book §10.3",
    "source",
)
RESCORE = Rule(
    "DFG-RESCORE",
    "Once the work is done, the needs it helps with are looked at again. The money is no part of the budget",
    "seed 001 §8.3; rule book §10.4",
    "design",
)


def decide(q: Question[Facts]) -> Decision:
    reasons = Reasons()
    work = q.facts.adaptation
    asked = bool(work.adaptation_need or work.fixed_adaptation_cost_pence)
    if not reasons.check(NEEDED, asked, purposes=len(work.adaptation_need)):
        return Decision(outcome="REFUSED", reasons=reasons.all())
    _check_works(reasons, q)
    _check_home(reasons, q)
    contribution = _contribution(reasons, q)
    reasons.check(MEANS_TEST, None if contribution is None else True, contribution_pence=contribution)
    cost = work.fixed_adaptation_cost_pence or 0
    warnings = ("above_dfg_maximum",) if cost > _maximum(q).pence else ()
    if blocked := reasons.blocked():
        return Decision(outcome=blocked, reasons=reasons.all(), warnings=warnings)
    grant = _grant(reasons, q, cost, contribution_pence=contribution or 0)
    reasons.note(RESCORE)
    return Decision(outcome="PROVISIONAL", reasons=reasons.all(), lines=(_line(q, grant),), warnings=warnings)


def on_notice(q: Question[Facts], decision: Decision, notice: Notice) -> Decision:
    """The housing authority's notice. The grant it states stands; else its contribution gives the grant.

    A grant of nothing is a refusal. A grant is never weekly.
    """
    notice = msgspec.structs.replace(notice, weekly_pence=None)
    if notice.decision == "refused":
        return apply_notice(q, decision, notice)
    reasons = Reasons()
    grant = notice.one_off_pence
    cost = q.facts.adaptation.fixed_adaptation_cost_pence
    if grant is None and notice.contribution_pence is not None and cost:
        grant = _grant(reasons, q, cost, contribution_pence=notice.contribution_pence)
    if grant is None:
        return apply_notice(q, decision, notice)
    left = reasons.check(MEANS_TEST, grant > 0, contribution_pence=notice.contribution_pence, grant_pence=grant)
    decision = dataclasses.replace(decision, reasons=decision.reasons + reasons.all())
    if not left:
        return dataclasses.replace(decision, outcome="REFUSED", lines=())
    return apply_notice(q, decision, msgspec.structs.replace(notice, one_off_pence=grant))


def _check_works(reasons: Reasons, q: Question[Facts]) -> None:
    work = q.facts.adaptation
    reasons.check(DISABLED, work.disabled_occupant)
    purposes = set(work.adaptation_need)
    reasons.check(PURPOSE, bool(purposes) or None, purposes=len(purposes))
    if "access_garden" in purposes and _applied_before_change(q):
        reasons.check(GARDEN, False if purposes == {"access_garden"} else None, purposes=len(purposes))
    elif "access_garden" in purposes:
        reasons.check(GARDEN, True, q.rates["changed_on"])
    reasons.check(NECESSARY, work.necessary_and_appropriate)
    reasons.check(PRACTICABLE, work.reasonable_and_practicable)
    reasons.check(NOT_STARTED, not work.work_started)
    cost = work.fixed_adaptation_cost_pence
    reasons.check(COST, bool(cost) or None, cost_pence=cost)


def _check_home(reasons: Reasons, q: Question[Facts]) -> None:
    tenure, work = q.facts.person.tenure, q.facts.adaptation
    reasons.check(TENURE, None if tenure in (None, "other") else tenure != "care_home", tenure=tenure)
    agrees = work.owner_consent
    if agrees is None and tenure == "owner":
        agrees = True
    reasons.check(CONSENT, agrees, tenure=tenure)
    reasons.check(FIVE_YEARS, work.intends_5y)


def _applied_before_change(q: Question[Facts]) -> bool:
    """The date of application decides which terms apply, even where the decision comes later."""
    applied = min(q.facts.adaptation.applied_on or q.on, q.on)
    return applied < date.fromisoformat(q.rates["changed_on"].value)


def _maximum(q: Question[Facts]) -> Rate:
    older = _applied_before_change(q) and q.rule_set == "dfg-2008"
    return q.rates["max_if_applied_before_change" if older else "max"]


def _contribution(reasons: Reasons, q: Question[Facts]) -> int | None:
    """Nothing for the young and the passported; None where the housing authority must work it out."""
    young, passports = q.rates["no_means_test_under"], q.rates["passport_benefits"]
    age, held = q.facts.age_when_applied, q.facts.passport_benefits
    passport = next((benefit for benefit in held if benefit in passports.value.split()), None)
    if age < young.number:
        return reasons.calculate(UNDER_19, 0, young, age_when_applied=age)
    if passport:
        return reasons.calculate(PASSPORT, 0, passports, benefit=passport)
    return None


def _grant(reasons: Reasons, q: Question[Facts], cost: int, *, contribution_pence: int) -> int:
    """Pence of grant, and what an owner may have to pay back."""
    most, against = _maximum(q), q.rates["dfg_contribution_against"]
    if cost > most.pence:
        reasons.note(MAXIMUM, most, cost_pence=cost, above_pence=cost - most.pence)
    if against.value == "EXCESS_FIRST":
        grant = min(most.pence, max(0, cost - contribution_pence))
    else:
        grant = max(0, min(cost, most.pence) - contribution_pence)
    reasons.calculate(GRANT, grant, most, against, cost_pence=cost, contribution_pence=contribution_pence)
    over = q.rates.get("charge_over")
    if over and q.facts.person.tenure == "owner" and grant > over.pence:
        most_back = q.rates["charge_max"]
        reasons.calculate(CHARGE, min(grant - over.pence, most_back.pence), over, most_back)
    return grant


def _line(q: Question[Facts], grant: int) -> Line:
    return Line(
        status="PROVISIONAL",
        ring_fence=q.stream.ring_fence,
        timing=q.stream.timing,
        decision_maker=q.stream.decision_maker,
        chargeable=False,
        in_budget=q.stream.in_budget,
        one_off_pence=grant,
    )
