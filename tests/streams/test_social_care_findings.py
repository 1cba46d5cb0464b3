"""The findings others read by name: cases.md can only see the outcome."""

import importlib
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rulekit.council import councils
from rulekit.reasons import Decision
from rulekit.stream import Question, Stream, read_stream

MODULE = "services.funding_streams.social_care"
ASPECTS: dict[bool | str, str] = {"none": "NONE", "one_or_two": "LOW", "several": "MODERATE", "vital": "CRITICAL"}
ASPECTS |= {"many": "SUBSTANTIAL", "majority": "SUBSTANTIAL"}
PRINTED: dict[str, dict[bool | str, str]] = {
    "life_threatened": {False: "NONE", True: "CRITICAL"},
    "significant_health_problem": {False: "NONE", True: "CRITICAL"},
    "choice_control_environment": {"full": "NONE", "partial": "SUBSTANTIAL", "little_or_none": "CRITICAL"},
    "abuse_neglect": {"none": "NONE", "abuse_or_neglect": "SUBSTANTIAL", "serious": "CRITICAL"},
    "personal_care_domestic_unable": ASPECTS,
    "work_education_learning_at_risk": ASPECTS,
    "social_support_relationships_at_risk": ASPECTS,
    "family_social_roles_at_risk": ASPECTS,
}
ROWS = [(name, extent, band) for name, bands in PRINTED.items() for extent, band in bands.items()]


@pytest.fixture(scope="module")
def social_care() -> Stream:
    package = importlib.import_module(MODULE)
    assert package.__file__
    return read_stream(MODULE, Path(package.__file__).parent)


def decide(stream: Stream, on: date, pack: str, council: str = "council-a", **facts: Any) -> Decision:
    rule_set = stream.rule_set(pack, on)
    assert rule_set
    return stream.decide(
        Question(
            facts=msgspec.convert({"age": 45, **facts}, stream.facts),
            on=on,
            council=councils()[council],
            pack=pack,
            rule_set=rule_set.id,
            rates=stream.rates.on(on),
            stream=stream.definition,
            supplied={},
        )
    )


@pytest.mark.parametrize("when", ["now", "expected"])
@pytest.mark.parametrize(("name", "extent", "band"), ROWS)
def test_band_of_every_answer(social_care: Stream, name: str, extent: Any, band: str, when: str) -> None:
    decision = decide(social_care, date(2007, 6, 4), "pilot-2007", facs={name: {when: extent}})
    assert decision.findings == {
        "eligible": band in ("SUBSTANTIAL", "CRITICAL"),
        "band": band,
        "threshold": "SUBSTANTIAL",
        "because": "" if band == "NONE" else name,
    }


def test_only_the_questions_that_set_the_band_are_named(social_care: Stream) -> None:
    facs = {
        "abuse_neglect": {"now": "abuse_or_neglect"},
        "work_education_learning_at_risk": {"now": "many"},
        "personal_care_domestic_unable": {"now": "several"},
    }
    decision = decide(social_care, date(2010, 4, 1), "pb-2010", "council-e", facs=facs)
    assert decision.findings["because"] == "abuse_neglect,work_education_learning_at_risk"
    assert decision.findings["threshold"] == "MODERATE"


def test_care_act_outcomes_are_counted_and_named_in_the_order_of_the_regulations(social_care: Stream) -> None:
    tests = {
        "impairment_or_illness": True,
        "significant_wellbeing_impact": True,
        "outcomes": {
            "relationships": {"endangers": True},
            "toilet_needs": {},
            "nutrition": {"takes_longer": True},
        },
    }
    decision = decide(social_care, date(2025, 4, 14), "care-act-2025", care_act=tests)
    assert decision.findings == {
        "eligible": True,
        "outcomes_unable": 2,
        "outcomes": "nutrition,relationships",
        "needed": 2,
    }


def test_unclear_is_not_eligible_yet(social_care: Stream) -> None:
    decision = decide(social_care, date(2025, 4, 14), "care-act-2025")
    assert (decision.outcome, decision.findings["eligible"]) == ("UNCLEAR", False)


def test_a_fluctuating_need_without_its_period_is_said(social_care: Stream) -> None:
    day, pack = date(2025, 4, 14), "care-act-2025"
    assert decide(social_care, day, pack, fluctuation={"varies": True}).warnings == ("fluctuation_period_missing",)
    given = {"varies": True, "fluctuation_period_weeks": 4}
    assert decide(social_care, day, pack, fluctuation=given).warnings == ()
