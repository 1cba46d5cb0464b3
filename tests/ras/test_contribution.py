"""The means test. Expected values are literals, worked by hand in comments, in pence."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulekit.council import Council
from tests.ras.means import CARE_ACT, PILOT, assess, council, dre, facts, pays, pence

# Golden cases (rule book §24)

G01 = facts(
    ("guarantee_credit", 11905),
    ("severe_disability", 4845),
    ("attendance_allowance", 4315, "low"),
    age=82,
    dre=dre(1200),
    capital={"person_pence": 900000},
)


def test_g01_and_its_council_c_variant() -> None:
    made = assess(G01, 18675)
    # 210.65 - 1.25 x 119.05 (148.8125 -> 148.81) - 12.00
    assert (made.outcome, made.contribution_weekly_pence, made.mpc_weekly_pence) == ("calculated", 4984, 4984)
    assert (made.rule_set, made.parameter_set) == ("charge-fairer-2003", "asc-charging 2007-04-09")
    assert pence(made, "CHARGE-PROTECTED") == 14881
    assert pence(made, "CHARGE-TARIFF") == 0
    variant = assess(G01, 18675, by=council("council-c"))
    assert pence(variant, "CHARGE-PLAN-SHARE") == 14006  # 75 % of 186.75 = 140.0625
    assert variant.contribution_weekly_pence == 4984


def test_g03_pension_age_under_the_care_act() -> None:
    income = [("state_pension", 17645), ("savings_credit", 9000), ("attendance_allowance", 11040, "high")]
    given = facts(
        *income,
        age=79,
        dre=dre(2000),
        housing_costs={"rent_net_pence": 2200},
        capital={"person_pence": 950000},
    )
    made = assess(given, 54600, CARE_ACT)
    # 376.85 - 232.60 - 22.00 - 20.00; no disability premium at pension age, no night-care disregard
    assert (made.contribution_weekly_pence, pence(made, "CHARGE-MIG")) == (10225, 23260)
    assert (made.rule_set, made.parameter_set) == ("charge-care-act-2015", "asc-charging 2025-04-07")


def test_g04_earnings_and_mobility_do_not_count() -> None:
    income = [("earnings", 22000), ("dla_care", 6450, "high"), ("dla_mobility", 4500, "high")]
    made = assess(facts(*income, age=38, council_buys_night_care=True), 33550)
    # 64.50 - 1.25 x (59.15 + 25.25 + 12.30 = 96.70) = 120.875 -> 120.88
    assert (made.contribution_weekly_pence, pence(made, "CHARGE-PROTECTED")) == (0, 12088)
    assert made.mpc_weekly_pence == 0  # never below nothing: 64.50 - 120.88 is -56.38
    assert "CHARGE-MINIMUM" not in [reason.rule for reason in made.reasons]


def test_g05_seventy_five_per_cent_is_higher_than_the_means_test() -> None:
    income = [
        ("income_support", 5915),
        ("income_support", 2525),
        ("severe_disability", 4845),
        ("dla_care", 4315, "middle"),
    ]
    made = assess(facts(*income, age=45, dre=dre(1800)), 41200, by=council("council-c"))
    # 176.00 - 1.25 x 84.40 (105.50) - 18.00; 75 % of 412.00 = 309.00
    assert made.contribution_weekly_pence == 5250  # 52.50
    assert (pence(made, "CHARGE-PROTECTED"), pence(made, "CHARGE-PLAN-SHARE")) == (10550, 30900)


def test_g06_tariff_and_premiums() -> None:
    income = [
        ("earnings", 31000),
        ("pip_daily_living", 11040, "enhanced"),
        ("pip_mobility", 7705, "enhanced"),
        ("occupational_pension", 26000),
    ]
    costs = {"rent_net_pence": 12000, "council_tax_net_pence": 1800}
    given = facts(*income, age=29, dre=dre(3450), housing_costs=costs, capital={"person_pence": 1710000})
    made = assess(given, 59400, CARE_ACT)
    # tariff 2,850 / 250 = 11.4 -> 12; MIG 112.50 + 49.65 + 24.25 = 186.40; 382.40 - 186.40 - 138 - 34.50
    assert (pence(made, "CHARGE-TARIFF"), pence(made, "CHARGE-MIG")) == (1200, 18640)
    assert made.contribution_weekly_pence == 2350


def test_g08_young_adult() -> None:
    income = [("universal_credit", 17083), ("pip_daily_living", 11040, "enhanced")]
    made = assess(facts(*income, age=24, dre=dre(1600)), 60712, CARE_ACT, on=date(2025, 4, 14))
    # 281.23 - (89.15 + 49.65 + 24.25 = 163.05) - 16.00
    assert (made.contribution_weekly_pence, pence(made, "CHARGE-MIG")) == (10218, 16305)


def test_g09_aftercare_is_free() -> None:
    made = assess(facts(("dla_care", 4315, "middle"), ("occupational_pension", 90000), s117=True), 13600)
    assert (made.outcome, made.contribution_weekly_pence, made.mpc_weekly_pence) == ("not_charged", 0, None)
    assert [reason.rule for reason in made.reasons] == ["CHARGE-AFTERCARE"]


def test_aftercare_frees_the_councils_care_and_not_unrelated_support() -> None:
    given = facts(("occupational_pension", 90000), s117=True)
    made = assess(given, 13600, other=3400)
    # means for far more than £34.00; the council's £136.00 is aftercare and free
    assert (made.outcome, made.contribution_weekly_pence, made.chargeable_weekly_pence) == ("calculated", 3400, 3400)


@pytest.mark.parametrize("means", [{"capital": {"person_pence": 21_500_01}}, {"disclosure_refused": True}])
def test_full_cost_stops_at_the_councils_own_limits(means: dict[str, Any]) -> None:
    # council C: 75 % of the plan's value is the most anybody pays: 0.75 x 192.50 = 144.375
    made = assess(facts(**means), 19250, by=council(contribution_pct_of_plan=75))
    assert (made.outcome, made.contribution_weekly_pence) == ("full_cost", 14438)


def test_g11_parents_do_nights_so_the_night_part_does_not_count() -> None:
    income = [("income_support", 8440), ("dla_care", 6450, "high")]
    made = assess(facts(*income, age=18, dre=dre(1400)), 24475)
    # 64.50 - (64.50 - 43.15) = 43.15; 127.55 - 1.25 x (46.85 + 25.25 + 12.30 = 84.40) 105.50 - 14.00
    assert (made.contribution_weekly_pence, pence(made, "CHARGE-NIGHT")) == (805, 4315)


# Free, full cost, nothing


def test_free_comes_before_full_cost_and_full_cost_before_the_means_test() -> None:
    rich: dict[str, Any] = {"capital": {"person_pence": 9_000_000}}
    assert assess(facts(s117=True, disclosure_refused=True, **rich), 10000).outcome == "not_charged"
    assert assess(facts(disclosure_refused=True), 0).contribution_weekly_pence == 0
    for pack in (PILOT, CARE_ACT):
        made = assess(facts(disclosure_refused=True), 10000, pack)
        assert (made.outcome, made.contribution_weekly_pence, made.mpc_weekly_pence) == (
            "full_cost",
            10000,
            None,
        )


def test_nothing_chargeable_is_nothing_to_pay_even_where_a_rate_is_missing() -> None:
    made = assess(facts(("state_pension", 90000), has_dependent_child=True), 0, CARE_ACT)
    assert (made.outcome, made.contribution_weekly_pence) == ("not_charged", 0)
    assert made.reasons[-1].rule == "CHARGE-NOTHING"


@pytest.mark.parametrize("capital", ["person_pence", "other_property_pence"])
@pytest.mark.parametrize(
    ("pack", "pence_held", "tariff"),
    [
        (PILOT, 1_300_000, 0),
        (PILOT, 1_300_001, 100),
        (PILOT, 1_325_000, 100),
        (PILOT, 1_325_001, 200),
        (PILOT, 2_150_000, 3400),  # 8,500 / 250
        (PILOT, 2_150_001, None),
        (CARE_ACT, 1_425_000, 0),
        (CARE_ACT, 1_425_001, 100),
        (CARE_ACT, 1_450_000, 100),
        (CARE_ACT, 1_450_001, 200),
        (CARE_ACT, 2_325_000, 3600),  # 9,000 / 250
        (CARE_ACT, 2_325_001, None),
    ],
)
def test_capital_at_and_just_over_each_limit(capital: str, pack: str, pence_held: int, tariff: int | None) -> None:
    made = assess(facts(capital={capital: pence_held, "partner_pence": 9_000_000}), 12345, pack)
    if tariff is None:
        assert (made.outcome, made.contribution_weekly_pence) == ("full_cost", 12345)
    else:
        assert (made.outcome, pence(made, "CHARGE-TARIFF")) == ("calculated", tariff)


def test_tariff_income_is_income() -> None:
    # 94.00 + 1.00 - 73.94 (1.25 x 59.15 = 73.9375)
    assert pays(facts(("state_pension", 9400), capital={"person_pence": 1_300_001}), 99999) == 2106


def test_an_unverified_limit_says_so() -> None:
    made = assess(facts(), 10000)
    assert next(r.evidence for r in made.reasons if r.rule == "CHARGE-TARIFF") == "unverified"


# What comes off, and the caps. A person of 40 in 2025 with 212.50: 100.00 above the guarantee of 112.50

PLAIN = ("state_pension", 21250)


@pytest.mark.parametrize(
    ("given", "contribution"),
    [
        ({"dre": dre(700, 300)}, 9000),
        ({"dre": dre(700, evidenced=False)}, 10000),
        ({"dre": dre(700) + dre(300, evidenced=False)}, 9300),
        ({"housing_costs": {"rent_net_pence": 100, "council_tax_net_pence": 20, "mortgage_pence": 3}}, 9877),
        ({"dre": dre(9999)}, 1),
        ({"dre": dre(10000)}, 0),
        ({"dre": dre(10001)}, 0),
    ],
)
def test_housing_and_disability_costs(given: dict[str, Any], contribution: int) -> None:
    assert pays(facts(PLAIN, **given), 99999, CARE_ACT) == contribution


@pytest.mark.parametrize(("evidenced", "allowed"), [(999, 1000), (1000, 1000), (1001, 1001)])
def test_the_standard_allowance_or_actual_costs(evidenced: int, allowed: int) -> None:
    by = council(dre_standard_weekly_pence=1000)
    assert pays(facts(PLAIN, dre=dre(evidenced)), 99999, CARE_ACT, by=by) == 10000 - allowed


@pytest.mark.parametrize(
    ("changes", "chargeable", "contribution"),
    [
        ({}, 9999, 9999),
        ({}, 10000, 10000),
        ({}, 10001, 10000),
        ({"local_percentage": 90}, 99999, 9000),
        ({"local_max_weekly_pence": 9999}, 99999, 9999),
        ({"local_max_weekly_pence": 10001}, 99999, 10000),
        ({"contribution_pct_of_plan": 75}, 13332, 9999),
        ({"contribution_pct_of_plan": 75}, 13333, 10000),  # 9,999.75
        ({"contribution_pct_of_plan": 75}, 13336, 10000),
        ({"contribution_pct_of_plan": 75}, 10002, 7502),  # 7,501.5
        ({"minimum_charge_weekly_pence": 10000}, 99999, 10000),
        ({"minimum_charge_weekly_pence": 10001}, 99999, 0),
        ({"minimum_charge_weekly_pence": 125}, 125, 125),
        ({"minimum_charge_weekly_pence": 125}, 124, 0),
    ],
)
def test_caps(changes: dict[str, Any], chargeable: int, contribution: int) -> None:
    made = assess(facts(PLAIN), chargeable, CARE_ACT, by=council(**changes))
    assert (made.outcome, made.contribution_weekly_pence) == ("calculated", contribution)
    assert made.mpc_weekly_pence == (9000 if "local_percentage" in changes else 10000)


def test_local_percentage_rounds_half_up() -> None:
    # 0.05 x 90 % = 4.5 pence
    assert pays(facts(("state_pension", 11255)), 99999, CARE_ACT, by=council(local_percentage=90)) == 5


def test_one_contribution_for_all_that_is_chargeable() -> None:
    made = assess(facts(PLAIN), 6000, CARE_ACT, other=3000)
    assert (made.chargeable_weekly_pence, made.contribution_weekly_pence) == (9000, 9000)
    assert pays(facts(PLAIN), 6000, CARE_ACT, other=4001) == 10000


# For all

INCOME = st.lists(
    st.tuples(
        st.sampled_from(["state_pension", "dla_care", "earnings", "carers_allowance", "pip_daily_living"]),
        st.integers(0, 60000),
        st.sampled_from(["high", "middle", "enhanced", "standard"]),
    ),
    max_size=5,
)
COUNCILS = st.builds(
    council,
    contribution_pct_of_plan=st.none() | st.integers(0, 100),
    local_percentage=st.integers(0, 100),
    local_max_weekly_pence=st.none() | st.integers(0, 50000),
    minimum_charge_weekly_pence=st.integers(0, 500),
    mig_addition_weekly_pence=st.integers(0, 2000),
)


@given(
    INCOME,
    COUNCILS,
    st.integers(18, 90),
    st.integers(0, 2_500_000),
    st.integers(0, 90000),
    st.sampled_from([PILOT, CARE_ACT]),
)
def test_never_above_the_cost_and_never_into_protected_income(
    income: list[tuple[Any, ...]], by: Council, age: int, capital: int, chargeable: int, pack: str
) -> None:
    given = facts(*income, age=age, dre=dre(1500), capital={"person_pence": capital})
    made = assess(given, chargeable, pack, by=by)
    paid = made.contribution_weekly_pence
    assert paid is not None
    assert 0 <= paid <= chargeable
    if made.outcome == "calculated":
        mpc = next(reason for reason in made.reasons if reason.rule == "CHARGE-MPC")
        income_pence, protected = mpc.saw["income_pence"], mpc.saw["protected_pence"]
        assert isinstance(income_pence, int)
        assert isinstance(protected, int)
        assert paid == 0 or income_pence - 1500 - paid >= protected


@given(
    INCOME,
    st.integers(18, 90),
    st.integers(0, 40000),
    st.integers(0, 40000),
    st.sampled_from([PILOT, CARE_ACT]),
)
def test_a_larger_package_never_lowers_the_contribution_nor_moves_the_mpc(
    income: list[tuple[Any, ...]], age: int, small: int, more: int, pack: str
) -> None:
    one, two = (assess(facts(*income, age=age), c, pack) for c in (small + 1, small + 1 + more))
    assert (one.contribution_weekly_pence or 0) <= (two.contribution_weekly_pence or 0)
    assert one.mpc_weekly_pence == two.mpc_weekly_pence
