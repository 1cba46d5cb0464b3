"""What the NHS's notice does to the budget, and what the full assessment is prepared with."""

import importlib
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.facts import Notice
from contracts.streams import Line
from rulekit.council import councils
from rulekit.reasons import Decision
from rulekit.stream import Question, Stream, read_stream
from services.nhs_interface.chc.facts import DecisionSupportTool

MODULE = "services.nhs_interface.chc"
G03_DAY = date(2025, 10, 20)
TWO_A = {"checklist_on": "2025-10-07", "checklist": {"mobility": "A", "cognition": "A"}}
ALL_LOW = dict.fromkeys(DecisionSupportTool.__struct_fields__, "L")


@pytest.fixture(scope="module")
def chc() -> Stream:
    package = importlib.import_module(MODULE)
    assert package.__file__
    return read_stream(MODULE, Path(package.__file__).parent)


def ask(chc: Stream, on: date, pack: str, **facts: Any) -> Question[Any]:
    rule_set = chc.rule_set(pack, on)
    assert rule_set
    return Question(
        facts=msgspec.convert({"age": 79, **facts}, chc.facts),
        on=on,
        council=councils()["council-a"],
        pack=pack,
        rule_set=rule_set.id,
        rates=chc.rates.on(on),
        stream=chc.definition,
        supplied={},
    )


def told(chc: Stream, question: Question[Any], **notice: Any) -> Decision:
    assert chc.on_notice
    given = {"stream": "chc", "decision": "confirmed", "reference": "ICB-1", **notice}
    return chc.on_notice(question, chc.decide(question), msgspec.convert(given, Notice))


def outcomes(decision: Decision) -> dict[str, str]:
    return {reason.rule: reason.outcome for reason in decision.reasons}


def test_g03_is_prepared_with_its_counts_and_the_last_day_in_time(chc: Stream) -> None:
    own = TWO_A | {"dst": {"cognition": "S", "mobility": "S"}}
    decision = chc.decide(ask(chc, G03_DAY, "care-act-2025", own=own))
    assert decision.lines == ()
    assert decision.warnings == ()
    assert decision.findings == {
        "checklist": "positive",
        "route": "checklist",
        "a": 2,
        "b": 0,
        "dst": "EXPECTED_ELIGIBLE",
        "decision_due": "2025-11-04",
    }


@pytest.mark.parametrize(
    ("dst", "expected"),
    [
        ({}, "none"),
        ({"altered_states": "P"}, "EXPECTED_ELIGIBLE"),
        ({"cognition": "S", "skin": "S"}, "EXPECTED_ELIGIBLE"),
        ({"cognition": "S", "skin": "H"}, "MDT_JUDGEMENT"),
        ({"cognition": "S"}, "MDT_JUDGEMENT"),
        ({"cognition": "H"}, "MDT_JUDGEMENT"),
        (ALL_LOW | {"continence": "M"}, "MDT_JUDGEMENT"),
        (ALL_LOW, "UNLIKELY"),
        ({"cognition": "L"}, "none"),
    ],
)
def test_decision_support_tool(chc: Stream, dst: dict[str, str], expected: str) -> None:
    decision = chc.decide(ask(chc, G03_DAY, "care-act-2025", own=TWO_A | {"dst": dst}))
    assert (decision.outcome, decision.findings["dst"]) == ("PROVISIONAL", expected)


def test_a_level_the_domain_does_not_have_is_refused(chc: Stream) -> None:
    for domain, level in [
        ("altered_states", "S"),
        ("skin", "P"),
        ("continence", "S"),
        ("communication", "P"),
    ]:
        with pytest.raises(msgspec.ValidationError):
            ask(chc, G03_DAY, "care-act-2025", own={"dst": {domain: level}})


def test_fast_track_has_its_own_clock_only_where_it_is_mandatory(chc: Stream) -> None:
    own = {"fast_track_tool": True, "checklist_on": "2009-09-28"}
    mandatory = chc.decide(ask(chc, date(2009, 10, 1), "pb-2010", own=own)).findings
    before = chc.decide(ask(chc, date(2009, 9, 30), "pilot-2007", own=own)).findings
    assert (mandatory["care_within_hours"], mandatory["decision_due"]) == (48, None)
    assert (before.get("care_within_hours"), before["decision_due"]) == (None, "2009-10-26")
    undated = ask(chc, G03_DAY, "care-act-2025", own={"fast_track_tool": True})
    assert chc.decide(undated).warnings == ()


def test_local_criteria_had_no_national_time_limit(chc: Stream) -> None:
    own = {"checklist_on": "2007-05-21", "checklist": {"breathing": "A"}}
    decision = chc.decide(ask(chc, date(2007, 9, 30), "pilot-2007", own=own))
    assert decision.findings["decision_due"] is None
    assert decision.warnings == ("pa_loss_risk",)


def test_a_missing_day_is_said(chc: Stream) -> None:
    decision = chc.decide(ask(chc, G03_DAY, "care-act-2025", own={"checklist": {"breathing": "A"}}))
    assert decision.warnings == ("checklist_date_missing",)
    assert decision.findings["decision_due"] is None


def test_g03_the_nhs_takes_over_and_pays_direct(chc: Stream) -> None:
    decision = told(
        chc,
        ask(chc, G03_DAY, "care-act-2025", own=TWO_A),
        decision="changed",
        decided_on="2025-10-31",
        effective_from="2025-11-01",
        weekly_pence=78000,
    )
    assert decision.outcome == "AWARDED"
    assert decision.ends_gateway_from == date(2025, 11, 1)
    assert decision.findings["package"] == "chc"
    assert decision.findings["decision_due"] == "2025-11-04"
    assert decision.warnings == ()
    assert decision.lines == (
        Line(
            status="AWARDED",
            ring_fence="HEALTH_PLAN",
            timing="AS_AGREED",
            decision_maker="NHS commissioner",
            chargeable=False,
            weekly_pence=78000,
            start=date(2025, 11, 1),
        ),
    )


def test_without_an_amount_the_nhs_arranges_the_care_itself(chc: Stream) -> None:
    decision = told(chc, ask(chc, G03_DAY, "care-act-2025", own=TWO_A), package="chc")
    assert (decision.outcome, decision.lines, decision.ends_gateway_from) == ("AWARDED", (), G03_DAY)


def test_a_one_off_amount_is_a_line_too(chc: Stream) -> None:
    decision = told(chc, ask(chc, G03_DAY, "care-act-2025"), one_off_pence=50000)
    assert [(x.one_off_pence, x.weekly_pence, x.start) for x in decision.lines] == [(50000, None, G03_DAY)]


@pytest.mark.parametrize(
    ("start", "in_budget", "warnings"),
    [("2013-07-31", False, ("pa_loss_risk",)), ("2013-08-01", True, ())],
)
def test_nhs_money_is_in_the_budget_from_august_2013(
    chc: Stream, start: str, in_budget: bool, warnings: tuple[str, ...]
) -> None:
    decision = told(chc, ask(chc, date(2013, 6, 3), "pb-2010", own=TWO_A), effective_from=start, weekly_pence=60000)
    assert [line.in_budget for line in decision.lines] == [in_budget]
    assert decision.warnings == warnings


def test_in_the_pilots_the_person_could_lose_their_assistants(chc: Stream) -> None:
    decision = told(chc, ask(chc, date(2007, 10, 1), "pilot-2007", own=TWO_A))
    assert decision.warnings == ("pa_loss_risk",)
    assert decision.ends_gateway_from == date(2007, 10, 1)


def test_a_notice_stands_where_the_screen_said_no(chc: Stream) -> None:
    decision = told(chc, ask(chc, G03_DAY, "care-act-2025"))
    assert decision.outcome == "AWARDED"
    assert outcomes(decision)["CHC-SCREEN"] == "not_met"
    assert outcomes(decision)["NOTICE"] == "met"


@pytest.mark.parametrize(
    ("decided_on", "refund_from"),
    [("2025-11-04", None), ("2025-11-05", "2025-11-05"), ("2026-01-12", "2025-11-05"), (None, None)],
)
def test_a_late_decision_is_marked_for_refund_and_as_unverified(
    chc: Stream, decided_on: str | None, refund_from: str | None
) -> None:
    decision = told(chc, ask(chc, G03_DAY, "care-act-2025", own=TWO_A), decided_on=decided_on)
    assert decision.findings.get("refund_from_day_29_unverified") == refund_from
    assert decision.warnings == (("refund_from_day_29_unverified",) if refund_from else ())
    marked = [r.evidence for r in decision.reasons if r.rule == "CHC-REFUND"]
    assert marked == (["unverified"] if refund_from else [])


def test_a_joint_package_leaves_the_council_in_place(chc: Stream) -> None:
    decision = told(
        chc, ask(chc, G03_DAY, "care-act-2025"), package="joint", weekly_pence=12000, decided_on="2026-01-12"
    )
    assert (decision.outcome, decision.ends_gateway_from) == ("AWARDED", None)
    assert [(x.weekly_pence, x.chargeable, x.in_budget) for x in decision.lines] == [(12000, False, True)]
    assert (decision.findings["package"], decision.warnings) == ("joint", ())


def test_a_joint_package_without_an_amount_says_so(chc: Stream) -> None:
    decision = told(chc, ask(chc, G03_DAY, "care-act-2025"), package="joint")
    assert (decision.outcome, decision.lines) == ("AWARDED", ())
    assert decision.warnings == ("joint_amount_not_stated",)


def test_a_joint_package_in_the_pilots_is_beside_the_budget_and_costs_no_assistant(chc: Stream) -> None:
    question = ask(chc, date(2007, 10, 1), "pilot-2007", own=TWO_A)
    decision = told(chc, question, package="joint", weekly_pence=12000)
    assert [line.in_budget for line in decision.lines] == [False]
    assert decision.warnings == ()


@pytest.mark.parametrize(
    ("on", "pack", "rates"),
    [
        (date(2007, 9, 30), "pilot-2007", []),
        (date(2007, 10, 1), "pilot-2007", ["101"]),
        (date(2008, 4, 1), "pilot-2007", []),
        (date(2013, 4, 1), "pb-2010", ["109.79"]),
        (date(2014, 4, 1), "pb-2010", []),
        (date(2026, 3, 31), "care-act-2025", ["254.06", "349.50"]),
        (date(2026, 4, 1), "care-act-2025", ["267.68", "368.24"]),
        (date(2027, 4, 1), "care-act-2026", []),
    ],
)
def test_nursing_care_is_paid_to_the_home(chc: Stream, on: date, pack: str, rates: list[str]) -> None:
    decision = told(chc, ask(chc, on, pack), package="fnc", weekly_pence=25406)
    assert (decision.outcome, decision.lines, decision.ends_gateway_from) == ("REFUSED", (), None)
    assert decision.findings["package"] == "fnc"
    assert decision.warnings == ("fnc_paid_to_home",)
    reason = next(r for r in decision.reasons if r.rule == "CHC-FNC")
    assert [rate.value for rate in reason.rates] == rates
    assert reason.evidence == ("unverified" if rates == ["101"] else "source")


def test_a_refusal_leaves_the_council_in_place(chc: Stream) -> None:
    decision = told(chc, ask(chc, G03_DAY, "care-act-2025", own=TWO_A), decision="refused")
    assert (decision.outcome, decision.lines, decision.ends_gateway_from) == ("REFUSED", (), None)
    assert "package" not in decision.findings
    assert outcomes(decision)["NOTICE"] == "not_met"
