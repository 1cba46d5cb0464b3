"""From levels and units to an indicative amount. Expected values are literals, worked by hand in comments."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rulekit.council import Council, councils
from rulekit.rates import ParameterMissing
from services.ras.domain.allocation import Allocation, allocate
from services.ras.domain.tables import LinearTable, points_table, unit_prices
from services.ras.facts import Facts

DOMAINS = [f"D{n:02}" for n in range(1, 12)]


def facts(group: str = "PD", **given: Any) -> Facts:
    person = {"primary_user_group": group}
    return msgspec.convert({"age": 40, "person": person, **given}, Facts)


def council(base: str = "council-e", **changes: Any) -> Council:
    return msgspec.structs.replace(councils()[base], **changes)


def carer(shares: dict[str, float], **more: Any) -> dict[str, Any]:
    return {"c_d": shares, **more}


def unit(kind: str, quantity: float, domain: str = "D02", **more: Any) -> dict[str, Any]:
    return {"unit": kind, "quantity": quantity, "domain": domain, **more}


def money(made: Allocation) -> tuple[int | None, int, int | None]:
    return made.base_weekly_pence, made.carer_weekly_pence, made.indicative_weekly_pence


def said(made: Allocation) -> set[str]:
    return {reason.rule for reason in made.reasons}


# Golden cases (rule book §24)


def test_g01_points_stay_and_the_daughters_share_comes_off_the_money() -> None:
    levels = {"D01": 2, "D02": 3, "D03": 3, "D04": 3, "D05": 2, "D07": 2, "D09": 1, "D10": 2}
    made = allocate(facts("OP", agreed_levels=levels, carers=[carer({"D04": 0.5, "D01": 0.25})]), council("council-a"))
    # 4 + 15 + 6 + 5 + 4 + 4 + 1 + 6 = 45 points x 4.50 = 202.50; 2.5 + 1 = 3.5 points x 4.50 = 15.75
    assert (made.method, made.points, made.price_per_point_pence) == ("points", "45", 450)
    assert money(made) == (20250, 1575, 18675)
    assert made.if_carer_stops_weekly_pence == 20250
    assert made.warnings == ()
    rows = {row.domain: row for row in made.domains}
    assert list(rows) == sorted(levels)
    assert (rows["D04"].points, rows["D04"].carer_share, rows["D04"].carer_points) == ("5", "0.5", "2.5")
    assert (rows["D01"].points, rows["D01"].carer_share, rows["D01"].carer_points) == ("4", "0.25", "1")
    assert (rows["D02"].level, rows["D02"].carer_share, rows["D02"].carer_points) == (3, "0", "0")
    base = next(reason for reason in made.reasons if reason.rule == "RAS-BASE")
    assert base.pence == 20250
    assert [(rate.value, rate.status) for rate in base.rates] == [("4.50", "i")]


def test_g03_agency_hours() -> None:
    made = allocate(facts("OP", support_units=[unit("agency_hour", 21)]), council("council-a"))
    assert (made.method, made.points) == ("units", None)
    assert money(made) == (54600, 0, 54600)  # 21 x 26.00


@pytest.mark.parametrize(
    ("levels", "points", "weekly"),
    [
        # G04: 7 + 20 + 8 + 6 + 2 + 4 + 6 + 6 + 2 = 61 x 5.50
        ("D01=3 D02=4 D03=4 D04=4 D05=1 D06=2 D07=3 D10=2 D11=2", "61", 33550),
        # G05 first: 4 + 15 + 6 + 5 + 4 + 6 + 4 + 3 + 1 = 48 x 5.50; rescored: D02 20, D11 2 = 54 x 5.50
        ("D01=2 D02=3 D03=3 D04=3 D05=2 D07=3 D08=2 D10=1 D11=1", "48", 26400),
        ("D01=2 D02=4 D03=3 D04=3 D05=2 D07=3 D08=2 D10=1 D11=2", "54", 29700),
    ],
)
def test_g04_g05_points_without_a_carer(levels: str, points: str, weekly: int) -> None:
    parsed = {part[:3]: int(part[4]) for part in levels.split()}
    made = allocate(facts("PD", agreed_levels=parsed), council("council-c"))
    assert made.points == points
    assert money(made) == (weekly, 0, weekly)


def test_g06_two_kinds_of_hour() -> None:
    units = [unit("pa_hour", 28), unit("agency_hour", 4)]
    made = allocate(facts("PD", support_units=units), council("council-a"))
    assert [row.weekly_pence for row in made.units] == [49000, 10400]
    assert money(made) == (59400, 0, 59400)


def test_g08_units_with_a_year_of_respite_and_carers() -> None:
    units = [
        unit("pa_hour", 14, "D02"),
        unit("pa_hour", 12, "D07"),
        unit("day_opportunity", 3, "D06"),
        unit("respite_night", 28, "D08", per="year"),
        unit("sleeping_night", 7, "D11"),
    ]
    given = facts("LD", support_units=units, carers=[carer({"D02": 0.5, "D11": 1})])
    made = allocate(given, council("council-a"))
    # 14 x 17.50; 12 x 17.50; 3 x 70; 28 x 120 / 52 = 64.615; 7 x 90
    assert [row.weekly_pence for row in made.units] == [24500, 21000, 21000, 6462, 63000]
    assert [row.carer_weekly_pence for row in made.units] == [12250, 0, 0, 0, 63000]
    assert money(made) == (135962, 75250, 60712)
    assert made.if_carer_stops_weekly_pence == 135962
    assert (made.units[3].quantity, made.units[3].per, made.units[3].price_pence) == ("28", "year", 12000)


def test_g09_in_mental_health_council_bs_points_only_set_a_ceiling() -> None:
    levels = {"D01": 1, "D04": 2, "D05": 3, "D06": 3, "D07": 3, "D09": 2, "D10": 2}
    made = allocate(facts("MH", agreed_levels=levels), council("council-b"))
    # 2 + 3 + 6 + 6 + 6 + 3 + 6 = 32 x 4.25
    assert (made.points, made.indicative_weekly_pence) == ("32", 13600)
    assert made.warnings == ("ras_sets_ceiling_only",)
    assert "RAS-MENTAL-HEALTH" in said(made)


def test_points_are_the_allocation_for_other_groups_and_for_other_councils() -> None:
    assert allocate(facts("PD", agreed_levels={"D01": 1}), council("council-b")).warnings == ()
    assert allocate(facts("MH", agreed_levels={"D01": 1}), council("council-d")).warnings == ()


def test_g11_parents_do_nights() -> None:
    levels = {
        "D01": 3,
        "D02": 4,
        "D03": 4,
        "D04": 3,
        "D05": 2,
        "D06": 3,
        "D07": 3,
        "D09": 1,
        "D10": 2,
        "D11": 3,
    }
    parents = [carer({"D02": 0.5, "D11": 1, "D04": 1, "D01": 0.5})]
    made = allocate(facts("PD", agreed_levels=levels, carers=parents), council("council-e"))
    # 7 + 20 + 8 + 5 + 4 + 6 + 6 + 1 + 6 + 4 = 67 x 5.50; 10 + 4 + 5 + 3.5 = 22.5 x 5.50
    assert made.points == "67"
    assert money(made) == (36850, 12375, 24475)


# Carers


@pytest.mark.parametrize(
    ("carers", "taken"),
    [
        # D02 level 4 is 20 points x 5.50 = 110.00
        ([carer({"D02": 0.5})], 5500),
        ([carer({"D02": 0.5}, willing={"D02": False})], 0),
        ([carer({"D02": 0.5}, able={"D02": False})], 0),
        ([carer({"D02": 0.5}, willing={"D02": True}, able={"D02": True})], 5500),
        ([carer({"D02": 0.5}, willing={"D03": False})], 5500),
        ([carer({"D02": 0.5}), carer({"D02": 0.25})], 8250),
        ([carer({"D02": 0.5}), carer({"D02": 0.5})], 11000),
        ([carer({"D02": 0.75}), carer({"D02": 0.75})], 11000),
        ([carer({"D02": 0.75}), carer({"D02": 0.75}, able={"D02": False})], 8250),
        ([carer({"D02": 0.1})], 1100),  # off the scale, taken as it is
        ([carer({"D03": 1})], 0),  # no need there
    ],
)
def test_only_what_carers_are_willing_and_able_to_do_comes_off(carers: list[Any], taken: int) -> None:
    made = allocate(facts(agreed_levels={"D02": 4}, carers=carers), council())
    assert made.points == "20"
    assert money(made) == (11000, taken, 11000 - taken)


def test_carer_money_rounds_half_up_once() -> None:
    # 1 point x 0.001 x 4.25 = 0.425 pence -> 0; 1 point x 0.002 = 0.85 -> 1; 0.5 point x 4.25 = 212.5 -> 213
    for share, taken in [(0.001, 0), (0.002, 1), (0.5, 213)]:
        made = allocate(facts("MH", agreed_levels={"D11": 1}, carers=[carer({"D11": share})]), council())
        assert money(made) == (425, taken, 425 - taken)


def test_levels_that_were_lowered_for_carers_are_not_lowered_again() -> None:
    given = facts(agreed_levels={"D02": 4}, carers=[carer({"D02": 0.5})])
    made = allocate(given, council(carer_mode="in_score"))
    assert money(made) == (11000, 0, 11000)
    assert made.warnings == ("carer_in_score",)
    units = facts(support_units=[unit("pa_hour", 2)], carers=[carer({"D02": 0.5})])
    assert money(allocate(units, council(carer_mode="in_score"))) == (3500, 0, 3500)


# Which model


@pytest.mark.parametrize(
    ("ras", "units", "levels", "method"),
    [
        ("units", True, True, "units"),
        ("units", True, False, "units"),
        ("units", False, True, "points"),
        ("points", True, True, "points"),
        ("points", True, False, "units"),
        ("points", False, True, "points"),
        ("outcome_first", True, True, "outcome_first"),
    ],
)
def test_what_was_measured_decides_and_then_the_councils_model(
    ras: str, units: bool, levels: bool, method: str
) -> None:
    given = facts(support_units=[unit("pa_hour", 1)] * units, agreed_levels={"D01": int(levels), "D02": 0})
    made = allocate(given, council(ras=ras))
    assert made.method == method
    assert said(made) >= {"RAS-OUTCOME-FIRST" if ras == "outcome_first" else "RAS-MODEL"}


def test_nothing_measured_is_no_amount_and_never_an_amount_of_nothing() -> None:
    made = allocate(facts(agreed_levels={"D02": 0}), council(ras="units"))
    assert (made.indicative_weekly_pence, made.warnings, said(made)) == (
        None,
        ("needs_not_measured",),
        {"RAS-MEASURED"},
    )


def test_outcome_first_has_points_and_no_amount() -> None:
    made = allocate(facts(agreed_levels={"D02": 4}), council(ras="outcome_first"))
    assert (made.points, made.base_weekly_pence, made.indicative_weekly_pence) == ("20", None, None)
    assert allocate(facts("TR", agreed_levels={"D02": 4}), council(ras="outcome_first")).points == "20"


# Fluctuating needs: D02 level 1 (4 points) on good days, 4 (20) on bad, a quarter of days bad: 3 + 5 = 8


def varying(**changes: Any) -> Facts:
    days: dict[str, Any] = {"good_day": {"D02": 1}, "bad_day": {"D02": 4}, "share_bad_days": 0.25}
    return facts(agreed_levels={"D02": 3, "D01": 2}, fluctuation={"varies": True, **days, **changes})


def test_good_and_bad_days_are_averaged_by_points() -> None:
    made = allocate(varying(), council())
    assert made.points == "12"  # 8, and 4 for D01 that does not vary
    assert made.base_weekly_pence == 6600
    row = made.domains[1]
    assert (row.domain, row.level, row.good_day_level, row.points) == ("D02", 4, 1, "8")
    assert "RAS-FLUCTUATION" in said(made)


@pytest.mark.parametrize(
    ("changes", "points"),
    [
        ({"varies": False}, "19"),  # agreed: 15 + 4
        ({"good_day": {}}, "20.25"),  # good day as agreed: 0.75 x 15 + 0.25 x 20 = 16.25
        ({"bad_day": {}}, "10.75"),  # bad day as agreed: 0.75 x 4 + 0.25 x 15 = 6.75
        ({"good_day": {}, "bad_day": {}}, "19"),
        ({"share_bad_days": None}, "19"),
        ({"share_bad_days": 0}, "8"),  # 4 + 4
        ({"share_bad_days": 1}, "24"),  # 20 + 4
        ({"share_bad_days": 0.1}, "9.6"),  # 0.9 x 4 + 0.1 x 20 = 5.6
        ({"bad_day": {"D02": 4, "D11": 2}}, "12.5"),  # D11 agreed 0 on good days: 0.25 x 2 = 0.5 more
    ],
)
def test_averaging_needs_a_day_that_differs_and_the_share(changes: dict[str, Any], points: str) -> None:
    assert allocate(varying(**changes), council()).points == points


# Ceilings, prices, tables


@pytest.mark.parametrize(
    ("ceiling", "indicative", "warnings"),
    [(10999, 10999, ("ceiling_applied",)), (11000, 11000, ()), (11001, 11000, ())],
)
def test_the_groups_ceiling_caps_the_indicative_amount(
    ceiling: int, indicative: int, warnings: tuple[str, ...]
) -> None:
    made = allocate(facts(agreed_levels={"D02": 4}), council(ceilings_weekly_pence={"PD": ceiling, "OP": 1}))
    assert (made.indicative_weekly_pence, made.ceiling_weekly_pence) == (indicative, ceiling)
    assert made.warnings == warnings
    assert made.if_carer_stops_weekly_pence == 11000


def test_no_price_for_transition_in_the_points_table_but_units_have_one() -> None:
    with pytest.raises(ParameterMissing) as missing:
        allocate(facts("TR", agreed_levels={"D01": 1}), council())
    assert missing.value.key == "REF-RAS-1.price_per_point.TR"
    assert allocate(facts("TR", support_units=[unit("pa_hour", 2)]), council()).base_weekly_pence == 3500


def test_half_units() -> None:
    made = allocate(facts(support_units=[unit("pa_hour", 3, share=0.5)]), council())
    assert (made.base_weekly_pence, made.units[0].unit_share) == (2625, "0.5")


def test_reference_tables_as_printed() -> None:
    weights = points_table("REF-RAS-1").weights
    assert [sum(level) for level in zip(*weights.values(), strict=True)] == [0, 23, 47, 76, 100]
    prices = {u: unit_prices("REF-UNITS-1").price(u).value for u in ("sleeping_night", "day_opportunity")}
    assert prices == {"sleeping_night": "90.00", "day_opportunity": "70.00"}
    with pytest.raises(LookupError):
        points_table("REF-UNITS-1")
    with pytest.raises(ParameterMissing):
        unit_prices("REF-UNITS-1").price("shared_hour")


@pytest.mark.parametrize(
    "spoilt",
    [
        {"weights": {"D01": [0, 2, 1, 3, 4]}},
        {"weights": {"D01": [1, 2, 3, 3, 4]}},
        {"price_per_point": {"OP": "4.9302"}},
    ],
)
def test_a_table_that_makes_no_sense_is_not_loaded(spoilt: dict[str, Any]) -> None:
    good: dict[str, Any] = msgspec.to_builtins(points_table("REF-RAS-1"))
    msgspec.convert(good, LinearTable)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**good, **{k: {**good[k], **v} for k, v in spoilt.items()}}, LinearTable)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**good, "weights": {"D01": [0, 1, 2, 3, 4]}}, LinearTable)


# For all

LEVELS = st.dictionaries(st.sampled_from(DOMAINS), st.integers(0, 4))
SHARES = st.dictionaries(st.sampled_from(DOMAINS), st.sampled_from([0, 0.25, 0.5, 0.75, 1]) | st.floats(0, 1))


@given(LEVELS, st.lists(SHARES, max_size=3), st.sampled_from(["OP", "PD", "LD", "MH"]))
def test_carers_never_raise_the_amount_nor_touch_a_point(
    levels: dict[str, int], shares: list[dict[str, float]], group: str
) -> None:
    alone = allocate(facts(group, agreed_levels=levels), council())
    helped = allocate(facts(group, agreed_levels=levels, carers=[carer(s) for s in shares]), council())
    assert helped.points == alone.points
    assert helped.if_carer_stops_weekly_pence == alone.indicative_weekly_pence
    assert 0 <= (helped.indicative_weekly_pence or 0) <= (alone.indicative_weekly_pence or 0)


@given(LEVELS, st.sampled_from(DOMAINS), SHARES)
def test_a_higher_level_never_lowers_the_amount(levels: dict[str, int], domain: str, shares: dict[str, float]) -> None:
    raised = {**levels, domain: min(4, levels.get(domain, 0) + 1)}
    before, after = (
        allocate(facts(agreed_levels=given, carers=[carer(shares)]), council()) for given in (levels, raised)
    )
    assert (after.indicative_weekly_pence or 0) >= (before.indicative_weekly_pence or 0)
    assert (after.base_weekly_pence or 0) >= (before.base_weekly_pence or 0)


@given(LEVELS, LEVELS, st.floats(0, 1))
def test_an_average_lies_between_the_good_and_the_bad_day(
    good: dict[str, int], extra: dict[str, int], share: float
) -> None:
    bad = {d: max(good.get(d, 0), extra.get(d, 0)) for d in DOMAINS}
    days = {"varies": True, "good_day": {"D01": 0, **good}, "bad_day": bad, "share_bad_days": share}
    between = allocate(facts(fluctuation=days), council()).base_weekly_pence or 0
    low, high = (allocate(facts(agreed_levels=given), council()).base_weekly_pence or 0 for given in (good, bad))
    assert low <= between <= high
