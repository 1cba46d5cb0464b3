"""Who must answer is fixed by date, rule pack and consent, and whoever is not asked is told why."""

from typing import Any

import pytest

from contracts.lock import lock
from services.assessment.domain.assessment import finalised, roll_call
from tests.assessment.forms import filled_in, form

EVERYBODY = {"social_care", "supporting_people", "ilf", "access_to_work", "ices", "dfg", "chc"}


def called(**changes: Any) -> tuple[set[str], dict[str, str]]:
    """Who is asked, and who is not with the coded reason."""
    asked, not_asked = roll_call(form(**changes), lock())
    return {a.stream for a in asked}, {n.stream: n.reason for n in not_asked}


@pytest.mark.parametrize(
    ("pack", "on", "not_asked"),
    [
        ("pilot-2007", "2007-09-03", {}),
        ("pb-2010", "2010-04-01", {}),
        ("pb-2010", "2015-03-31", {}),
        ("care-act-2025", "2025-06-02", {"ilf": "not_in_force"}),
        ("care-act-2026", "2026-04-06", {"ilf": "not_in_force"}),
    ],
)
def test_by_date_and_pack(pack: str, on: str, not_asked: dict[str, str]) -> None:
    assert called(rule_pack=pack, effective_date=on) == (EVERYBODY - set(not_asked), not_asked)


@pytest.mark.parametrize(
    ("on", "reason"), [("2015-06-30", "no_rule_set"), ("2015-07-01", "not_in_force"), ("2025-06-02", "not_in_force")]
)
def test_the_ilf_ends_with_june_2015(on: str, reason: str) -> None:
    """The care-act pack has no rule set of the fund's; from July 2015 there is no fund."""
    asked, not_asked = called(rule_pack="care-act-2025", effective_date=on)
    assert "ilf" not in asked
    assert not_asked["ilf"] == reason


def test_a_stream_that_has_ended_says_what_became_of_it() -> None:
    _, not_asked = roll_call(form(rule_pack="care-act-2025", effective_date="2025-06-02"), lock())
    (ilf,) = [n for n in not_asked if n.stream == "ilf"]
    assert "30 June 2015" in ilf.says
    assert ilf.citation


@pytest.mark.parametrize("status", ["refused", "withdrawn", "given", "not_required"])
@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_by_consent(name: str, status: str) -> None:
    """Only sharing with another body needs the person's consent; the council's own care does not."""
    person = filled_in()["person"] | {"consent_share": {name: {"status": status}}}
    asked, not_asked = called(person=person)
    outside = name in {"ilf", "access_to_work", "dfg", "supporting_people"}
    if outside and status in ("refused", "withdrawn"):
        assert (asked, not_asked) == (EVERYBODY - {name}, {name: f"consent_{status}"})
    else:
        assert (asked, not_asked) == (EVERYBODY, {})


def test_who_is_not_asked_is_sent_no_copy() -> None:
    person = filled_in()["person"] | {"consent_share": {"dfg": {"status": "refused"}}}
    sent = {copy.audience for copy in finalised(form(person=person), lock(), b"p")}
    assert sent == EVERYBODY - {"dfg"} | {"ras"}


def test_the_roll_call_carries_clocks_needs_and_the_one_gateway() -> None:
    asked = {a.stream: a for a in roll_call(form(), lock())[0]}
    assert [name for name, a in asked.items() if a.gateway] == ["social_care"]
    assert {name: a.needs for name, a in asked.items() if a.needs} == {
        "ilf": ("council_weekly_pence", "contribution_weekly_pence")
    }
    assert {name: a.clock_days for name, a in asked.items()} == {
        "social_care": 28, "supporting_people": 28, "ilf": 84, "access_to_work": 109, "ices": 28, "dfg": 183, "chc": 28
    }  # fmt: skip
