"""The housing authority's notice of a Disabled Facilities Grant (rule book §10.2), amounts worked by hand."""

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.facts import Notice
from rulekit.council import councils
from rulekit.rates import RatesOn
from rulekit.reasons import Decision
from rulekit.stream import Question, Stream, read_stream

MODULE = "services.funding_streams.dfg"
FOLDER = Path(__file__).parents[2] / "services" / "funding_streams" / "dfg"
STREAM: Stream = read_stream(MODULE, FOLDER)
ON = date(2025, 6, 2)


def question(*, cost_pence: int | None = 1_200_000, age: int = 45, **rates: str) -> Question[Any]:
    """A tenant of 45 who must be means tested; `rates` replaces the text of a rate."""
    works = {
        "adaptation_need": ["bath_shower"],
        "fixed_adaptation_cost_pence": cost_pence,
        "disabled_occupant": True,
        "necessary_and_appropriate": True,
        "reasonable_and_practicable": True,
        "owner_consent": True,
        "intends_5y": True,
    }
    facts = {"age_when_applied": age, "person": {"tenure": "social_tenant"}, "adaptation": works}
    known = {rate.key: rate for rate in STREAM.rates.all() if rate.start <= ON <= rate.end}
    for key, value in rates.items():
        known[key] = dataclasses.replace(known[key], value=value)
    rule_set = STREAM.rule_set("care-act-2025", ON)
    assert rule_set is not None
    return Question(
        facts=msgspec.convert(facts, STREAM.facts),
        on=ON,
        council=councils()["council-a"],
        pack="care-act-2025",
        rule_set=rule_set.id,
        rates=RatesOn(known, ON),
        stream=STREAM.definition,
        supplied={},
    )


def told(q: Question[Any], **says: Any) -> Decision:
    """The decision after a notice that `says` so."""
    assert STREAM.on_notice is not None
    notice = msgspec.convert({"stream": "dfg", "decision": "changed", "reference": "HA-1", **says}, Notice)
    return STREAM.on_notice(q, STREAM.decide(q), notice)


def one_off(decision: Decision) -> int | None:
    return decision.lines[0].one_off_pence if decision.lines else None


def test_a_means_test_waits_for_the_notice() -> None:
    decision = STREAM.decide(question())
    assert (decision.outcome, decision.lines) == ("UNCLEAR", ())


@pytest.mark.parametrize(
    ("cost_pence", "contribution_pence", "grant_pence"),
    [
        (1_200_000, 0, 1_200_000),
        (1_200_000, 350_000, 850_000),
        (1_200_000, 1_199_999, 1),
        (3_000_000, 350_000, 2_650_000),
        # above the maximum the contribution comes off the maximum: 30,000 - 3,500
        (3_400_000, 350_000, 2_650_000),
    ],
)
def test_a_contribution_gives_the_grant(cost_pence: int, contribution_pence: int, grant_pence: int) -> None:
    decision = told(question(cost_pence=cost_pence), contribution_pence=contribution_pence)
    assert (decision.outcome, one_off(decision)) == ("AWARDED", grant_pence)
    line = decision.lines[0]
    assert (line.status, line.ring_fence, line.timing) == ("AWARDED", "WORKS", "CAPITAL")
    assert (line.in_budget, line.chargeable, line.weekly_pence) == (False, False, None)


@pytest.mark.parametrize(("cost_pence", "warnings"), [(3_000_000, ()), (3_000_001, ("above_dfg_maximum",))])
def test_work_above_the_maximum_carries_a_warning(cost_pence: int, warnings: tuple[str, ...]) -> None:
    decision = told(question(cost_pence=cost_pence), contribution_pence=0)
    assert (one_off(decision), decision.warnings) == (3_000_000, warnings)
    assert any(r.rule == "DFG-MAXIMUM" for r in decision.reasons) == bool(warnings)


@pytest.mark.parametrize("contribution_pence", [1_200_000, 1_500_000])
def test_a_contribution_that_covers_the_work_leaves_no_grant(contribution_pence: int) -> None:
    decision = told(question(), contribution_pence=contribution_pence)
    assert (decision.outcome, decision.lines) == ("REFUSED", ())
    assert (decision.reasons[-1].rule, decision.reasons[-1].outcome) == ("DFG-MEANS-TEST", "not_met")


def test_a_stated_grant_stands_whatever_the_contribution() -> None:
    decision = told(question(), one_off_pence=700_000, contribution_pence=350_000)
    assert (decision.outcome, one_off(decision)) == ("AWARDED", 700_000)


def test_a_stated_grant_stands_without_a_cost() -> None:
    assert one_off(told(question(cost_pence=None), one_off_pence=700_000)) == 700_000


def test_a_stated_grant_of_nothing_is_a_refusal() -> None:
    assert told(question(), one_off_pence=0).outcome == "REFUSED"


def test_a_weekly_amount_is_never_a_grant() -> None:
    decision = told(question(), one_off_pence=700_000, weekly_pence=5_000)
    assert [line.weekly_pence for line in decision.lines] == [None]


def test_a_contribution_without_a_cost_is_not_enough() -> None:
    decision = told(question(cost_pence=None), contribution_pence=350_000)
    assert (decision.outcome, decision.lines) == ("UNCLEAR", ())
    assert "notice_amount_missing" in decision.warnings


def test_confirming_needs_an_amount() -> None:
    assert told(question(), decision="confirmed").outcome == "UNCLEAR"


def test_a_provisional_grant_is_confirmed_as_it_stands() -> None:
    decision = told(question(age=18), decision="confirmed")
    assert (decision.outcome, one_off(decision)) == ("AWARDED", 1_200_000)
    line = decision.lines[0]
    assert (line.status, line.chargeable, line.in_budget) == ("AWARDED", False, False)


def test_the_notice_may_find_a_contribution_where_none_was_expected() -> None:
    decision = told(question(age=18), decision="confirmed", contribution_pence=200_000)
    assert (decision.outcome, one_off(decision)) == ("AWARDED", 1_000_000)


def test_the_line_starts_when_the_notice_says() -> None:
    decision = told(question(), contribution_pence=0, effective_from="2025-07-01")
    assert decision.lines[0].start == date(2025, 7, 1)


def test_a_refusal_ends_it() -> None:
    decision = told(question(age=18), decision="refused")
    assert (decision.outcome, decision.lines) == ("REFUSED", ())


def test_the_contribution_may_be_set_against_costs_above_the_maximum_first() -> None:
    """34,000 - 3,500 = 30,500, of which 30,000; a contribution of 5,000 leaves 29,000."""
    q = question(cost_pence=3_400_000, dfg_contribution_against="EXCESS_FIRST")
    assert one_off(told(q, contribution_pence=350_000)) == 3_000_000
    assert one_off(told(q, contribution_pence=500_000)) == 2_900_000
    within = question(dfg_contribution_against="EXCESS_FIRST")
    assert one_off(told(within, contribution_pence=350_000)) == 850_000


@pytest.mark.parametrize(
    ("grant_pence", "pay_back_pence"),
    [(500_000, None), (500_001, 1), (1_500_000, 1_000_000), (1_500_001, 1_000_000)],
)
def test_an_owner_may_have_to_pay_some_back(grant_pence: int, pay_back_pence: int | None) -> None:
    """What is over 5,000, and no more than 10,000, if the home is sold within ten years (§10.3)."""
    q = question(cost_pence=grant_pence, age=18)
    person = msgspec.structs.replace(q.facts.person, tenure="owner")
    owner = dataclasses.replace(q, facts=msgspec.structs.replace(q.facts, person=person))
    found = [r.pence for r in STREAM.decide(owner).reasons if r.rule == "DFG-CHARGE"]
    assert found == ([] if pay_back_pence is None else [pay_back_pence])
    assert not any(r.rule == "DFG-CHARGE" for r in STREAM.decide(q).reasons)
