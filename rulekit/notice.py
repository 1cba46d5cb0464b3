"""What a notice of another body does to the decision its stream holds. The body decides; what was worked out here only
prepared it, so a notice stands even where the screen said no, and the reason says that they differ."""

from datetime import date
from typing import Any

import msgspec

from contracts.facts import Notice
from contracts.streams import Line
from rulekit.reasons import Decision, Reasons, Rule
from rulekit.stream import ParameterMissing, Question, Stream, parameter_missing

NOTICE = Rule(
    "NOTICE",
    "The body whose decision this is has decided",
    "rule book §7.6, §8.5, §10.2, §11.2: the engine screens and prepares, the body decides",
    "source",
)
NOTICE_AMOUNT = Rule(
    "NOTICE-AMOUNT",
    "The notice says how much, or confirms an amount already worked out",
    "rule book §12.2",
    "design",
)


EARLIEST, LATEST = date(1993, 4, 1), date(2100, 12, 31)
DATE_EXPECTED = "Expected a date from 1993-04-01 to 2100-12-31."


def date_fault(notice: Notice) -> str | None:
    """The field whose date no notice can carry, or None."""
    dates = {"decided_on": notice.decided_on, "effective_from": notice.effective_from}
    return next((name for name, day in dates.items() if day and not EARLIEST <= day <= LATEST), None)


def after_notice(stream: Stream, question: Question[Any], decision: Decision, notice: Notice) -> Decision:
    """What the deciding body's notice makes of a decision, by the stream's own rule or the one all share."""
    try:
        return (stream.on_notice or apply_notice)(question, decision, notice)
    except ParameterMissing as missing:
        return parameter_missing(missing)


def apply_notice(question: Question[Any], decision: Decision, notice: Notice) -> Decision:
    """AWARDED with the notice's amounts (or the provisional ones it confirms), or REFUSED."""
    reasons = Reasons()
    confirmed = notice.decision != "refused"
    reasons.check(NOTICE, confirmed, decision=notice.decision, screened=decision.outcome)
    if not confirmed:
        return Decision(
            outcome="REFUSED",
            reasons=decision.reasons + reasons.all(),
            findings=decision.findings,
            warnings=decision.warnings,
        )
    lines = noticed_lines(question, decision, notice)
    stated = _states_amount(notice)
    # a stated amount of nothing is an answer; an amount left out where none was worked out is not
    known = reasons.check(NOTICE_AMOUNT, True if lines else False if stated else None, stated=stated)
    return Decision(
        outcome=reasons.blocked() or "AWARDED",
        reasons=decision.reasons + reasons.all(),
        lines=lines,
        findings=decision.findings,
        warnings=decision.warnings + (() if known or stated else ("notice_amount_missing",)),
        ends_gateway_from=decision.ends_gateway_from,
    )


def noticed_lines(question: Question[Any], decision: Decision, notice: Notice) -> tuple[Line, ...]:
    """The stream's weekly and one-off line as the notice leaves them; none where no amount is known."""
    held = {"weekly": _held(decision, "weekly_pence"), "one_off": _held(decision, "one_off_pence")}
    kept = notice.decision == "confirmed"  # what it does not state stays as it was; a changed award states all of it
    weekly = _amount(notice.weekly_pence, held["weekly"] if kept else None, "weekly_pence")
    one_off = _amount(notice.one_off_pence, held["one_off"] if kept else None, "one_off_pence")
    found = []
    if weekly:
        found.append(_line(question, held["weekly"], notice, weekly_pence=weekly))
    if one_off:
        found.append(_line(question, held["one_off"], notice, one_off_pence=one_off))
    return tuple(found)


def _amount(stated: int | None, held: Line | None, kind: str) -> int | None:
    if stated is not None or held is None:
        return stated
    amount: int | None = getattr(held, kind)
    return amount


def _states_amount(notice: Notice) -> bool:
    return notice.weekly_pence is not None or notice.one_off_pence is not None


def _held(decision: Decision, kind: str) -> Line | None:
    return next((line for line in decision.lines if getattr(line, kind)), None)


def _line(question: Question[Any], held: Line | None, notice: Notice, **amount: int) -> Line:
    stream = question.stream
    if held is None:
        held = Line(
            status="AWARDED",
            ring_fence=stream.ring_fence,
            timing=stream.timing,
            decision_maker=stream.decision_maker,
            chargeable=False,
            in_budget=stream.in_budget,
        )
    return msgspec.structs.replace(held, status="AWARDED", start=notice.effective_from or held.start, **amount)
