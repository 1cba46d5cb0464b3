"""Might the NHS have to pay for all care? Screened and prepared here; only its commissioner decides (§11.2).

`decide` ends PROVISIONAL without a line where a full assessment is due: the commissioner sets any amount.
`on_notice` says what the commissioner's decision does to the budget.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Literal

import msgspec

from contracts.facts import Notice
from contracts.streams import Line, Seen
from rulekit import notice as notices
from rulekit.reasons import Decision, Reasons, Rule
from rulekit.stream import Question
from services.nhs_interface.chc.facts import DecisionSupportTool, Facts

AGE = Rule(
    "CHC-AGE",
    "You are 18 or over: NHS continuing healthcare is for adults",
    "Swindon procedure; rule book §11.4",
    "source",
)
SCREEN = Rule(
    "CHC-SCREEN",
    "There is a sign that your need may be mainly a health need: nursing tasks, a need at the highest level "
    "with a clinical flag, rapid decline, or a fast-track flag. Without one you are not referred to the NHS; "
    "you can be asked again whenever your needs change",
    "rule book §22.2 (capture the national forms only if the screen fires)",
    "design",
)
CHECKLIST = Rule(
    "CHC-CHECKLIST",
    "The NHS checklist says whether you need the full assessment, and nothing more. Questions left out are "
    "not counted against you: where they could change the answer, it waits for them",
    "NHS checklist (Beacon; West Hampshire; gov.uk checklist guidance); rule book §11.1; waiting is design",
    "source",
)
LOCAL = Rule(
    "CHC-LOCAL",
    "Until 30 September 2007 each NHS area had its own criteria. They are not held here; the later national "
    "checklist stands in to prepare the question, and the local NHS decides",
    "rule book §1 chc-local, §24 G01",
    "design",
)
REFERRAL = Rule(
    "CHC-REFERRAL",
    "A practitioner has sent you for the full assessment whatever the checklist says, or it has begun",
    "Beacon; rule book §11.1; an assessment already begun counts as a referral by design",
    "source",
)
FAST_TRACK = Rule(
    "CHC-FAST-TRACK",
    "A clinician has completed the fast-track tool: your condition is getting worse quickly and may be "
    "entering its last phase. Where the fast track is mandatory the NHS must accept it and have care in "
    "place within the hours named",
    "caretobedifferent; Farley Dwek; chcfunding blog; Lexology 2009; rule book §11.3",
    "source",
)
CLOCK = Rule(
    "CHC-CLOCK",
    "The NHS should normally decide within this many calendar days of being told you need a full assessment",
    "NHS Dorset; NHS Choices; rule book §11.3",
    "source",
)
DST = Rule(
    "CHC-DST",
    "What the decision support tool's levels usually lead to. The assessing team recommends, the NHS decides",
    "West Hampshire; rule book §11.2; above low but short of its examples is left to the team by design",
    "source",
)
DST_LOW = Rule(
    "CHC-DST-LOW",
    "No need in the decision support tool is above low: normally not eligible. The NHS decides",
    "not checked; rule book §11.2",
    "unverified",
)

# The rules of `on_notice` are in a table of their own: cases.md runs `decide` only, and must see every rule
# that has a name here.
ON_NOTICE = {
    "chc": Rule(
        "CHC-NHS-PAYS-ALL",
        "The NHS pays for all your health care and the social care that goes with it. The council's support "
        "ends that day and nobody charges you",
        "Swindon procedure; rule book §11.4",
        "source",
    ),
    "joint": Rule(
        "CHC-JOINT",
        "The NHS pays for the needs beyond what a council may meet; the council's support goes on, and only "
        "its part can be charged for",
        "Manchester; rule book §11.4",
        "source",
    ),
    "fnc": Rule(
        "CHC-FNC",
        "Money for registered nursing in a nursing home is paid to the home, never into an individual budget",
        "gov.uk FNC news; rule book §11.4",
        "source",
    ),
    "payable": Rule(
        "CHC-PAYABLE",
        "From 1 August 2013 the NHS may pay you direct, so its money is part of your budget. Before then it "
        "may not, and you could lose the assistants you employ",
        "SI 2013/1617; CASCAIDr on Harrison 2009; seed 001 §14.2; rule book §11.4",
        "source",
    ),
    "refund": Rule(
        "CHC-REFUND",
        "The NHS decided late. If the delay was within its control it should refund care paid for from the "
        "day after the limit",
        "not checked; rule book §11.3, §27 no. 6",
        "unverified",
    ),
}

STARRED = ("breathing", "behaviour", "drug_therapies", "altered_states")
PA_LOSS = "pa_loss_risk"
REFUND = "refund_from_day_29_unverified"

Route = Literal["checklist", "referral", "fast_track"]
Result = Literal["none", "incomplete", "negative", "positive"]
DstResult = Literal["EXPECTED_ELIGIBLE", "MDT_JUDGEMENT", "UNLIKELY", "none"]


def decide(q: Question[Facts]) -> Decision:
    reasons = Reasons()
    adult = q.rates["adult_age"]
    reasons.check(AGE, q.facts.age >= adult.number, adult, age=q.facts.age)
    if q.rule_set == "chc-local":
        reasons.note(LOCAL)
    result = _checklist_result(q)
    route = _route(q, result)
    if route == "checklist" and result == "none":
        _screen(q, reasons)
    else:
        _referred(q, reasons, route, result)
    blocked = reasons.blocked()
    if blocked:
        return Decision(outcome=blocked, reasons=reasons.all(), findings={"checklist": result})
    return _prepared(q, reasons, route, result)


def _route(q: Question[Facts], result: Result) -> Route:
    """How the person comes to the full assessment, if they do."""
    own = q.facts.own
    if own.fast_track_tool:
        return "fast_track"
    referred = own.practitioner_referral or bool(_dst_levels(q))
    return "referral" if referred and result != "positive" else "checklist"


def _checklist_result(q: Question[Facts]) -> Result:
    """`incomplete` while the questions left out, all answered A, would make it positive."""
    answers = _answers(q)
    if not any(answers.values()):
        return "none"
    if _positive(q, answers):
        return "positive"
    at_most = {domain: level or "A" for domain, level in answers.items()}
    return "incomplete" if _positive(q, at_most) else "negative"


def _answers(q: Question[Facts]) -> dict[str, str | None]:
    return msgspec.structs.asdict(q.facts.own.checklist)


def _positive(q: Question[Facts], answers: Mapping[str, str | None]) -> bool:
    a, b, starred = _counts(answers)
    return (
        a >= q.rates["checklist_a_needed"].number
        or b >= q.rates["checklist_b_needed"].number
        or (a >= q.rates["checklist_mixed_a_needed"].number and b >= q.rates["checklist_mixed_b_needed"].number)
        or starred >= q.rates["checklist_starred_a_needed"].number
    )


def _counts(answers: Mapping[str, str | None]) -> tuple[int, int, int]:
    """How many A, how many B, and how many A in a starred domain."""
    found = Counter(answers.values())
    return found["A"], found["B"], sum(answers[domain] == "A" for domain in STARRED)


def _screen(q: Question[Facts], reasons: Reasons) -> None:
    """No checklist yet: is there a sign that one is needed?"""
    health, flag, top = q.facts.health, q.facts.person.fast_track_clinical_flag, q.rates["screen_level"]
    highest = _highest_level(q.facts)
    very_high = highest >= top.number and health.clinical_flag
    fires = reasons.check(
        SCREEN,
        bool(health.nurse_tasks) or very_high or health.rapid_decline or flag,
        top,
        nurse_tasks=len(health.nurse_tasks),
        highest_level=highest,
        clinical_flag=health.clinical_flag,
        rapid_decline=health.rapid_decline,
        fast_track_flag=flag,
    )
    if fires:
        reasons.check(CHECKLIST, None, answered=0)


def _highest_level(facts: Facts) -> int:
    health, communication = facts.health, facts.communication
    return max(
        *facts.agreed_levels.values(),
        health.breathing,
        health.medication_help,
        health.seizures_or_asc,
        health.pain,
        health.wounds,
        health.psych_emotional,
        communication.expressive,
        communication.receptive,
    )


def _referred(q: Question[Facts], reasons: Reasons, route: Route, result: Result) -> None:
    if route == "fast_track":
        hours = q.rates.get("fast_track_hours")
        reasons.note(FAST_TRACK, *([hours] if hours else []))
    elif route == "referral":
        reasons.note(REFERRAL, practitioner_referral=q.facts.own.practitioner_referral)
    if result != "none":
        _say_checklist(q, reasons, result, decisive=route == "checklist")


def _say_checklist(q: Question[Facts], reasons: Reasons, result: Result, *, decisive: bool) -> None:
    """A condition where the checklist alone refers; a note where the person is referred whatever it says."""
    answers = _answers(q)
    a, b, starred = _counts(answers)
    answered = sum(level is not None for level in answers.values())
    saw: Seen = {"a": a, "b": b, "starred_a": starred, "answered": answered, "result": result}
    limits = [q.rates[f"checklist_{key}_needed"] for key in ("a", "b", "mixed_a", "mixed_b", "starred_a")]
    if decisive:
        reasons.check(CHECKLIST, {"positive": True, "negative": False}.get(result), *limits, **saw)
    else:
        reasons.note(CHECKLIST, *limits, **saw)


def _prepared(q: Question[Facts], reasons: Reasons, route: Route, result: Result) -> Decision:
    hours = q.rates.get("fast_track_hours") if route == "fast_track" else None
    due = None if hours else _due(q)
    if due:
        told_on = str(q.facts.own.checklist_on)
        reasons.note(CLOCK, q.rates["decision_days"], told_on=told_on, due=due.isoformat())
    a, b, _ = _counts(_answers(q))
    findings: Seen = {"checklist": result, "route": route, "a": a, "b": b, "dst": _dst(q, reasons)}
    findings["decision_due"] = due.isoformat() if due else None
    if hours:
        findings["care_within_hours"] = int(hours.number)
    undated = not hours and q.facts.own.checklist_on is None
    warnings = [("checklist_date_missing", undated), (PA_LOSS, not _nhs_may_pay(q, q.on))]
    return Decision(
        outcome="PROVISIONAL",
        reasons=reasons.all(),
        findings=findings,
        warnings=tuple(name for name, given in warnings if given),
    )


def _due(q: Question[Facts]) -> date | None:
    """The last day in time: the day the commissioner was told, plus the limit. None: one is not known."""
    told_on, days = q.facts.own.checklist_on, q.rates.get("decision_days")
    if told_on is None or days is None:
        return None
    return date.fromordinal(min(told_on.toordinal() + int(days.number), date.max.toordinal()))


def _dst_levels(q: Question[Facts]) -> Counter[str]:
    return Counter(level for level in msgspec.structs.astuple(q.facts.own.dst) if level is not None)


def _dst(q: Question[Facts], reasons: Reasons) -> DstResult:
    """What the levels point to. Unfinished with nothing above low yet, they point nowhere: `none`."""
    levels = _dst_levels(q)
    if not levels:
        return "none"
    priority, severe = q.rates["dst_priority_needed"], q.rates["dst_severe_needed"]
    result: DstResult
    if levels["P"] >= priority.number or levels["S"] >= severe.number:
        result = "EXPECTED_ELIGIBLE"
    elif levels["S"] or levels["H"] or levels["M"]:
        result = "MDT_JUDGEMENT"
    else:
        result = "UNLIKELY" if levels.total() == len(DecisionSupportTool.__struct_fields__) else "none"
    rule = DST_LOW if result == "UNLIKELY" else DST
    saw: Seen = {"p": levels["P"], "s": levels["S"], "h": levels["H"], "m": levels["M"]}
    reasons.note(rule, priority, severe, result=result, answered=levels.total(), **saw)
    return result


def _nhs_may_pay(q: Question[Facts], day: date) -> bool:
    """Whether the NHS may pay somebody direct on that day."""
    return day >= date.fromisoformat(q.rates["nhs_direct_payment_from"].value)


def on_notice(q: Question[Facts], decision: Decision, notice: Notice) -> Decision:
    """What the commissioner's decision does. A package left out is full continuing healthcare."""
    if notice.decision == "refused":
        return notices.apply_notice(q, decision, notice)
    package = notice.package or "chc"
    reasons = Reasons()
    reasons.check(notices.NOTICE, True, decision=notice.decision, screened=decision.outcome, package=package)
    apply = {"chc": _all_care, "joint": _joint, "fnc": _nursing}[package]
    told = apply(q, notice, reasons)
    findings = decision.findings | {"package": package} | told.findings
    return replace(told, reasons=decision.reasons + told.reasons, findings=findings)


def _all_care(q: Question[Facts], notice: Notice, reasons: Reasons) -> Decision:
    start = notice.effective_from or q.on
    reasons.note(ON_NOTICE["chc"], start=start.isoformat())
    lines = _lines(q, notice, reasons)
    refund = _refund_from(q, notice, reasons)
    warnings = [(PA_LOSS, not _nhs_may_pay(q, start)), (REFUND, refund is not None)]
    return Decision(
        outcome="AWARDED",
        reasons=reasons.all(),
        lines=lines,
        findings={REFUND: refund.isoformat()} if refund else {},
        warnings=tuple(name for name, given in warnings if given),
        ends_gateway_from=start,
    )


def _joint(q: Question[Facts], notice: Notice, reasons: Reasons) -> Decision:
    reasons.note(ON_NOTICE["joint"])
    lines = _lines(q, notice, reasons)
    return Decision(
        outcome="AWARDED",
        reasons=reasons.all(),
        lines=lines,
        warnings=() if lines else ("joint_amount_not_stated",),
    )


def _nursing(q: Question[Facts], _: Notice, reasons: Reasons) -> Decision:
    known = [rate for key in ("fnc_weekly", "fnc_weekly_higher") if (rate := q.rates.get(key))]
    reasons.check(ON_NOTICE["fnc"], False, *known, rates_on=q.on.isoformat())
    return Decision(outcome="REFUSED", reasons=reasons.all(), warnings=("fnc_paid_to_home",))


def _lines(q: Question[Facts], notice: Notice, reasons: Reasons) -> tuple[Line, ...]:
    """What the NHS says it pays; no line where it arranges the care itself. Never chargeable."""
    start = notice.effective_from or q.on
    in_budget = _nhs_may_pay(q, start)
    reasons.note(ON_NOTICE["payable"], q.rates["nhs_direct_payment_from"], start=start.isoformat(), in_budget=in_budget)
    stated = notices.noticed_lines(q, Decision(outcome="AWARDED", reasons=()), notice)
    return tuple(msgspec.structs.replace(line, start=start, in_budget=in_budget) for line in stated)


def _refund_from(q: Question[Facts], notice: Notice, reasons: Reasons) -> date | None:
    """The first day past the limit, where the commissioner decided later than that."""
    due = _due(q)
    if due is None or notice.decided_on is None or notice.decided_on <= due:
        return None
    day = due + timedelta(days=1)
    reasons.note(
        ON_NOTICE["refund"],
        q.rates["decision_days"],
        decided_on=notice.decided_on.isoformat(),
        refund_from=day.isoformat(),
    )
    return day
