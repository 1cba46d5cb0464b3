"""What is left alone and what counts: age, premiums, kinds of income. Literals worked by hand, in pence."""

from datetime import date
from typing import Any

import pytest

from services.ras.domain.contribution import guarantee_key
from tests.ras.means import CARE_ACT, PILOT, assess, council, facts, missing, pays, pence

# Protected income by age


@pytest.mark.parametrize(
    ("age", "pack", "on", "protected"),
    [
        (18, PILOT, None, 5856),  # 1.25 x 46.85 = 58.5625
        (24, PILOT, None, 5856),
        (25, PILOT, None, 7394),  # 1.25 x 59.15 = 73.9375
        (59, PILOT, None, 7394),
        (60, PILOT, None, 14881),
        (18, CARE_ACT, None, 8915),
        (24, CARE_ACT, None, 8915),
        (25, CARE_ACT, None, 11250),
        (65, CARE_ACT, None, 11250),
        (66, CARE_ACT, None, 23260),
        (24, "care-act-2026", date(2026, 4, 6), 9540),
    ],
)
def test_protected_income_by_age(age: int, pack: str, on: date | None, protected: int) -> None:
    assert pays(facts(("other_countable", 50000), age=age), 99999, pack, on=on) == 50000 - protected


@pytest.mark.parametrize(
    ("age", "pack", "on", "given", "parameter"),
    [
        (17, PILOT, None, {}, "allowance_below_18"),
        (17, CARE_ACT, None, {}, "allowance_below_18"),
        (40, PILOT, None, {"has_dependent_child": True}, "family_premium"),
        (40, CARE_ACT, None, {"has_dependent_child": True}, "mig_child"),
        (70, CARE_ACT, None, {"has_dependent_child": True}, "mig_child"),
        (40, CARE_ACT, None, {"has_partner": True}, "mig_couple"),
        (40, CARE_ACT, date(2021, 4, 5), {"has_dependent_child": True}, "mig_child"),
        (25, "care-act-2026", date(2026, 4, 6), {}, "mig_single_25"),
        (70, "care-act-2026", date(2026, 4, 6), {}, "mig_single_pca"),
        (40, PILOT, date(2007, 4, 8), {}, "tariff_per"),
        (40, PILOT, date(2008, 4, 7), {}, "capital_lower"),
        (40, CARE_ACT, date(2025, 4, 6), {}, "mig_single_25"),
        (40, "pb-2010", date(2010, 6, 7), {}, "tariff_per"),
        (40, "pb-2010", date(2010, 4, 11), {}, "capital_lower"),
        (40, PILOT, date(2015, 4, 1), {}, "rule_set.pilot-2007"),
    ],
)
def test_a_rate_nobody_knows_is_never_guessed(
    age: int, pack: str, on: date | None, given: dict[str, Any], parameter: str
) -> None:
    held: dict[str, Any] = {"capital": {"person_pence": 1_500_000}}
    assert missing(assess(facts(age=age, **held, **given), 10000, pack, on=on)) == parameter


def test_a_child_does_not_matter_to_a_pension_guarantee() -> None:
    made = assess(facts(("state_pension", 20000), age=60, has_dependent_child=True), 99999)
    assert made.contribution_weekly_pence == 20000 - 14881


def test_2026_premiums_are_not_known() -> None:
    given = facts(("pip_daily_living", 11040, "standard"), age=24)
    assert missing(assess(given, 10000, "care-act-2026", on=date(2026, 4, 6))) == "mig_dp_single"


def test_parameter_set_is_the_uprating_in_force() -> None:
    given = facts(age=24)
    assert assess(given, 1, "care-act-2026", on=date(2026, 4, 6)).parameter_set == "asc-charging 2026-04-06"
    assert assess(given, 1, CARE_ACT, on=date(2026, 4, 5)).parameter_set == "asc-charging 2025-04-07"
    assert assess(given, 1, CARE_ACT, on=date(2022, 4, 10)).parameter_set == "asc-charging 2015-04-01"
    gap = assess(given, 1, CARE_ACT, on=date(2022, 4, 11))
    assert (gap.parameter_set, gap.outcome) == ("", "parameter_missing")


def test_full_cost_needs_no_uprating() -> None:
    made = assess(facts(capital={"person_pence": 2_325_001}), 10000, "pb-2010", on=date(2010, 6, 7))
    assert (made.outcome, made.rule_set) == ("full_cost", "charge-contributions-2009")


# Premiums: protected pence. Pilot: 1.25 x the sum


@pytest.mark.parametrize(
    ("income", "age", "protected"),
    [
        (("dla_care", 4315, "middle"), 40, 10550),  # 59.15 + 25.25 = 84.40
        (("dla_mobility", 4500, "high"), 40, 10550),
        (("incapacity_benefit", 8000), 40, 10550),
        (("dla_care", 6450, "high"), 24, 10550),  # 46.85 + 25.25 + 12.30
        (("carers_allowance", 4865), 40, 10788),  # 59.15 + 27.15 = 86.30: 107.875
        (("severe_disability", 4845), 40, 7394),
        (("dla_care", 6450, "high"), 60, 14881),
        (("carers_allowance", 4865), 60, 14881),
    ],
)
def test_pilot_premiums(income: tuple[Any, ...], age: int, protected: int) -> None:
    assert pence(assess(facts(income, age=age), 10000), "CHARGE-PROTECTED") == protected


@pytest.mark.parametrize(
    ("income", "age", "given", "protected"),
    [
        (("pip_daily_living", 7390, "standard"), 40, {}, 16215),  # 112.50 + 49.65
        (("pip_mobility", 7705, "enhanced"), 40, {}, 16215),
        (("dla_mobility", 7705, "high"), 40, {}, 16215),
        (("attendance_allowance", 11040, "high"), 40, {}, 16215),
        (("constant_attendance_allowance", 9000), 40, {}, 16215),
        (("dla_care", 11040, "high"), 65, {}, 18640),  # and 24.25
        (("dla_care", 7390, "middle"), 40, {}, 16215),
        (("dla_care", 11040, "high"), 66, {}, 23260),
        (("carers_allowance", 8330), 40, {}, 16575),  # 112.50 + 53.25
        (("carers_allowance", 8330), 66, {}, 28585),  # 232.60 + 53.25
        (("state_pension", 20000), 66, {"has_partner": True}, 17755),
    ],
)
def test_care_act_premiums(income: tuple[Any, ...], age: int, given: dict[str, Any], protected: int) -> None:
    assert pence(assess(facts(income, age=age, **given), 10000, CARE_ACT), "CHARGE-MIG") == protected


def test_2021_single_and_couple() -> None:
    income = ("pip_daily_living", 8960, "enhanced")
    on = date(2021, 4, 5)
    # 91.40 + 40.35 + 19.70 = 151.45 (printed in §5.4); 71.80 + 28.75 + 14.15 = 114.70
    assert pence(assess(facts(income), 10000, CARE_ACT, on=on), "CHARGE-MIG") == 15145
    assert pence(assess(facts(income, has_partner=True), 10000, CARE_ACT, on=on), "CHARGE-MIG") == 11470


def test_a_partner_changes_nothing_in_2007() -> None:
    made = assess(facts(("state_pension", 10000), has_partner=True), 99999)
    assert made.contribution_weekly_pence == 10000 - 7394
    assert "CHARGE-COUPLE" in [reason.rule for reason in made.reasons]


def test_the_councils_addition_to_the_guarantee() -> None:
    given = facts(("state_pension", 20000))
    assert pays(given, 99999, CARE_ACT, by=council(mig_addition_weekly_pence=500)) == 20000 - 11250 - 500


# Income


@pytest.mark.parametrize("pack", [PILOT, CARE_ACT])
@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        *[(kind, False) for kind in ("earnings", "dla_mobility", "pip_mobility", "ilf", "tax_credits")],
        *[(kind, False) for kind in ("child_benefit", "child_maintenance", "winter_fuel", "housing_benefit")],
        *[(kind, False) for kind in ("council_tax_benefit", "other_ignored")],
        *[(kind, True) for kind in ("income_support", "jsa_income_based", "esa_income_related", "universal_credit")],
        *[(kind, True) for kind in ("guarantee_credit", "savings_credit", "state_pension", "incapacity_benefit")],
        *[(kind, True) for kind in ("occupational_pension", "attendance_allowance", "dla_care", "carers_allowance")],
        *[(kind, True) for kind in ("pip_daily_living", "constant_attendance_allowance", "severe_disability")],
        ("other_countable", True),
    ],
)
def test_which_income_counts(kind: str, counts: bool, pack: str) -> None:
    made = assess(facts((kind, 12300), age=70), 10000, pack)
    mpc = next(reason for reason in made.reasons if reason.rule == "CHARGE-MPC")
    assert mpc.saw["income_pence"] == (12300 if counts else 0)


@pytest.mark.parametrize(
    ("benefit", "pack", "nights", "counted"),
    [
        (("dla_care", 6450, "high"), PILOT, False, 4315),
        (("dla_care", 6450, "high"), PILOT, True, 6450),
        (("attendance_allowance", 6450, "high"), PILOT, False, 4315),
        (("attendance_allowance", 6450, "high"), PILOT, True, 6450),
        (("attendance_allowance", 4315, "low"), PILOT, False, 4315),
        (("dla_care", 4315, "middle"), PILOT, False, 4315),
        (("dla_care", 2000, "high"), PILOT, False, 0),  # part payment below the difference of 21.35
        (("dla_care", 2136, "high"), PILOT, False, 1),
        (("dla_care", 11040, "high"), CARE_ACT, False, 11040),
        (("attendance_allowance", 11040, "high"), CARE_ACT, False, 11040),
    ],
)
def test_night_care_disregard(benefit: tuple[Any, ...], pack: str, nights: bool, counted: int) -> None:
    made = assess(facts(benefit, age=70, council_buys_night_care=nights), 10000, pack)
    mpc = next(reason for reason in made.reasons if reason.rule == "CHARGE-MPC")
    assert mpc.saw["income_pence"] == counted


def test_a_lone_parent_has_the_lone_parents_guarantee() -> None:
    """Not yet seen from outside: the amount for each child is missing first."""
    alone, couple = facts(has_dependent_child=True), facts(has_dependent_child=True, has_partner=True)
    assert guarantee_key(alone, "older") == guarantee_key(alone, "younger") == "mig_lone_parent"
    assert (guarantee_key(alone, "pension"), guarantee_key(couple, "older")) == (
        "mig_single_pca",
        "mig_couple",
    )
