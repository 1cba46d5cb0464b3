"""What a table of cases cannot show: top-ups, other readings of a rate, when a line starts. Worked by hand."""

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rulekit.council import councils
from rulekit.rates import RatesOn
from rulekit.reasons import Decision
from rulekit.stream import Question, read_stream

ROOT = Path(__file__).parents[2]


def decide(name: str, pack: str, on: date, facts: dict[str, Any], **rates: str) -> Decision:
    stream = read_stream(f"services.funding_streams.{name}", ROOT / "services" / "funding_streams" / name)
    known = {rate.key: rate for rate in stream.rates.all() if rate.start <= on <= rate.end}
    for key, value in rates.items():
        known[key] = dataclasses.replace(known[key], value=value)
    rule_set = stream.rule_set(pack, on)
    assert rule_set is not None
    return stream.decide(
        Question(
            facts=msgspec.convert(facts, stream.facts),
            on=on,
            council=councils()["council-a"],
            pack=pack,
            rule_set=rule_set.id,
            rates=RatesOn(known, on),
            stream=stream.definition,
            supplied={},
        )
    )


SEAT = {"item_code": "seat", "prescribed_standard_price_pence": 2800}
LIFT = {"item_code": "lift", "prescribed_standard_price_pence": 24000, "chosen_price_pence": 31000}


@pytest.mark.parametrize(
    ("items", "top_up_pence", "from_budget_pence"),
    [
        ([SEAT, LIFT], 7000, 0),  # G01
        ([SEAT, {**LIFT, "top_up_source": "IB_LINE:LA"}], 7000, 7000),
        ([{**SEAT, "chosen_price_pence": 3000}, {**LIFT, "top_up_source": "IB_LINE:LA"}], 7200, 7000),
        ([SEAT, {**LIFT, "chosen_price_pence": 20000}], 0, None),
        ([SEAT, {**LIFT, "kind": "permanent_wheelchair"}], 0, None),
    ],
)
def test_equipment_is_topped_up_by_the_difference(
    items: list[dict[str, Any]], top_up_pence: int, from_budget_pence: int | None
) -> None:
    decision = decide("ices", "pilot-2007", date(2007, 6, 4), {"equipment": items})
    assert decision.lines[0].top_up_pence == top_up_pence
    seen = [r.saw["from_council_line_pence"] for r in decision.reasons if r.rule == "EQ-TOP-UP"]
    assert seen == ([] if from_budget_pence is None else [from_budget_pence])


def test_equipment_that_is_too_dear_carries_a_warning() -> None:
    ramp = {"item_code": "ramp", "kind": "minor_adaptation", "prescribed_standard_price_pence": 100001}
    for items in ([ramp], [SEAT, ramp]):
        assert decide("ices", "pilot-2007", date(2007, 6, 4), {"equipment": items}).warnings == (
            "over_minor_adaptation_limit",
        )


def work(**says: Any) -> dict[str, Any]:
    return {"age": 30, "work": {"employment_status": "employed", "start_date": "2020-01-06", **says}}


@pytest.mark.parametrize(
    ("staff", "cost_pence", "grant_pence"),
    [
        (100, 720_000, 536_000),  # 7,200 - 500 - 20% of 6,700
        (100, 1_050_000, 800_000),  # 10,500 - 2,500
        (100, 1_200_000, 950_000),
        (600, 720_000, 496_000),  # G06
        (600, 1_100_000, 800_000),  # 11,000 - 3,000
        (600, 1_200_000, 900_000),
    ],
)
def test_the_other_reading_of_the_employers_limit(staff: int, cost_pence: int, grant_pence: int) -> None:
    facts = work(employer_size=staff, workplace_needs=[{"kind": "equipment", "cost_pence": cost_pence}])
    decision = decide("access_to_work", "care-act-2025", date(2025, 10, 6), facts, atw_cap_reading="next_10000")
    assert decision.lines[0].one_off_pence == grant_pence


@pytest.mark.parametrize(("start", "line_start"), [("2025-11-03", date(2025, 11, 3)), ("2025-10-06", None)])
def test_weekly_support_starts_with_the_job(start: str, line_start: date | None) -> None:
    facts = work(start_date=start, workplace_needs=[{"kind": "support_worker", "weekly_pence": 6000}])
    decision = decide("access_to_work", "care-act-2025", date(2025, 10, 6), facts)
    line = decision.lines[0]
    assert (line.start, line.status, line.ring_fence, line.timing) == (
        line_start,
        "PROVISIONAL",
        "WORK_ONLY",
        "REIMBURSEMENT",
    )


@pytest.mark.parametrize(
    ("weekly_pence", "asked_pence", "allowed_pence", "warnings"),
    [(133192, 6925984, 6925984, ()), (133193, 6926036, 6925984, ("annual_cap_reached",))],
)
def test_a_cut_to_the_annual_cap_is_a_warning(
    weekly_pence: int, asked_pence: int, allowed_pence: int, warnings: tuple[str, ...]
) -> None:
    facts = work(workplace_needs=[{"kind": "support_worker", "weekly_pence": weekly_pence}])
    decision = decide("access_to_work", "care-act-2025", date(2025, 10, 6), facts)
    (cap,) = [r for r in decision.reasons if r.rule == "ATW-CAP"]
    assert (cap.saw["asked_yearly_pence"], cap.pence) == (asked_pence, allowed_pence)
    assert decision.warnings == warnings
    assert decision.lines[0].chargeable is False


def test_only_the_wheelchair_is_noted_as_the_nhs_s() -> None:
    facts = {"equipment": [SEAT, {**LIFT, "item_code": "chair", "kind": "permanent_wheelchair"}]}
    decision = decide("ices", "pilot-2007", date(2007, 6, 4), facts)
    assert [r.saw["item"] for r in decision.reasons if r.rule == "EQ-WHEELCHAIR"] == ["chair"]
    assert decision.lines[0].chargeable is False
