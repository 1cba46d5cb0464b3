"""Resource allocation: from an assessment's levels or support units to an indicative weekly amount (§4).

Carer-neutral: what carers do never changes a point or a unit, only the money, so that the money can rise at
once when a carer has to stop (rule book §4.2).
"""

from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec

from contracts.facts import SupportUnits
from contracts.facts.bounds import Domain
from contracts.money import WEEKS_PER_YEAR, exact, round_pence
from contracts.streams import Reason
from rulekit.council import Council
from rulekit.reasons import Reasons, Rule
from services.ras.domain.tables import points_table, unit_prices
from services.ras.facts import Facts, Fluctuation

Method = Literal["points", "units", "outcome_first"]

ZERO, ONE = Decimal(0), Decimal(1)
_STEADY = Fluctuation()

MODEL = Rule(
    "RAS-MODEL",
    "Measured units of support are priced as units, otherwise levels as points; where both were measured, by"
    " the council's own model",
    "seed 002 App.1; rule book §4.1; choice between the two: design",
    "design",
)
MEASURED = Rule(
    "RAS-MEASURED",
    "The assessment says how much help is needed, as levels or as units of support",
    "rule book R-CA-4: allocation may never be the reason to leave an eligible need unmet",
    "design",
)
POINTS = Rule("RAS-POINTS", "The points of each need, added up", "rule book §4.2, §4.6", "source")
FLUCTUATION = Rule(
    "RAS-FLUCTUATION",
    "Where needs vary, the points of a good and of a bad day are averaged by the share of bad days",
    "seed 003 Assessment and support planning; rule book §3.1 R-FACS-5",
    "seed",
)
UNITS = Rule(
    "RAS-UNITS",
    "The cost of the support units of each row, a year being 52 weeks",
    "seed 002 App.1 A",
    "seed",
)
BASE = Rule("RAS-BASE", "What the needs would cost if no carer helped", "seed 001 §9.3; rule book §4.2, §4.3", "seed")
CARER = Rule(
    "RAS-CARER",
    "What carers are willing and able to do lowers the money and never the points",
    "seed 002 App.1 C, §7.8; rule book §4.2",
    "seed",
)
CARER_IN_SCORE = Rule(
    "RAS-CARER-IN-SCORE",
    "This council lowers the levels themselves for carers' help, so no money is taken off a second time",
    "seed 003; seed 002 §7.8; rule book §4.2",
    "seed",
)
CEILING = Rule(
    "RAS-CEILING",
    "The indicative amount stops at the council's ceiling for the group",
    "rule book §4.2",
    "seed",
)
INDICATIVE = Rule(
    "RAS-INDICATIVE", "The indicative weekly amount, before the support plan", "rule book §4.2, §23", "seed"
)
CEILING_ONLY = Rule(
    "RAS-MENTAL-HEALTH",
    "This council does not allocate by points in mental health: they only set a ceiling for the plan",
    "seed 002 App.1 B; rule book §24 G09",
    "design",
)
OUTCOME_FIRST = Rule(
    "RAS-OUTCOME-FIRST",
    "There is no indicative amount: the plan starts from outcomes and its cost becomes the budget",
    "seed 001 §9.3; rule book §4.1",
    "seed",
)


class DomainPoints(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One need's points. Where needs vary, `level` is the bad day's and `good_day_level` stands beside it."""

    domain: Domain
    level: int
    points: str
    carer_share: str
    carer_points: str
    good_day_level: int | None = None


class UnitRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of support units. `unit_share` is 0.5 for half units."""

    unit: str
    quantity: str
    per: str
    domain: Domain
    price_pence: int
    weekly_pence: int
    carer_share: str
    carer_weekly_pence: int
    unit_share: str = "1"


class Allocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the needs are worth a week, and how that came about.

    `base_weekly_pence` is the cost if no carer helped, and so what the budget may rise to if the carer stops.
    Outcome first has no amounts until there is a plan: they are None.
    """

    method: Method
    group: str
    points: str | None = None
    price_per_point_pence: int | None = None
    domains: tuple[DomainPoints, ...] = ()
    units: tuple[UnitRow, ...] = ()
    base_weekly_pence: int | None = None
    carer_weekly_pence: int = 0
    indicative_weekly_pence: int | None = None
    if_carer_stops_weekly_pence: int | None = None
    ceiling_weekly_pence: int | None = None
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()


class _Scored(msgspec.Struct, frozen=True):
    """All domains with a level, and their sums at full precision."""

    rows: tuple[DomainPoints, ...]
    points: Decimal
    carer_points: Decimal


def allocate(facts: Facts, council: Council) -> Allocation:
    """The indicative weekly amount with its working.

    Raises ParameterMissing where the council's table has no price for the group or a unit, LookupError where
    the council names a table that does not exist.
    """
    reasons = Reasons()
    if council.ras == "outcome_first":
        return _outcome_first(facts, council, reasons)
    units, levels = bool(facts.support_units), _has_levels(facts)
    method = "units" if units and (council.ras == "units" or not levels) else "points"
    if not units and not levels:
        return _not_measured(facts, reasons)
    reasons.note(MODEL, method=method, council_model=council.ras, units_measured=units, levels_measured=levels)
    return _by_units(facts, council, reasons) if method == "units" else _by_points(facts, council, reasons)


def _not_measured(facts: Facts, reasons: Reasons) -> Allocation:
    """Nothing measured is no amount, never an amount of nothing: an eligible need must be met."""
    reasons.check(MEASURED, None)
    group = facts.person.primary_user_group
    return Allocation(method="points", group=group, reasons=reasons.all(), warnings=("needs_not_measured",))


def _outcome_first(facts: Facts, council: Council, reasons: Reasons) -> Allocation:
    scored = _score(facts, council)
    reasons.note(OUTCOME_FIRST, points=_plain(scored.points))
    return Allocation(
        method="outcome_first",
        group=facts.person.primary_user_group,
        points=_plain(scored.points),
        domains=scored.rows,
        reasons=reasons.all(),
    )


def _by_points(facts: Facts, council: Council, reasons: Reasons) -> Allocation:
    group = facts.person.primary_user_group
    price = points_table(council.points_table).price(group)
    scored = _score(facts, council)
    points, per_point = _plain(scored.points), price.pence
    reasons.note(POINTS, points=points, domains=len(scored.rows))
    if _varies(facts):
        reasons.note(FLUCTUATION, share_bad_days=_plain(_exact(facts.fluctuation.share_bad_days or 0)))
    base = reasons.calculate(BASE, round_pence(scored.points * per_point), price, points=points)
    carer = round_pence(scored.carer_points * per_point)
    if carer:
        reasons.calculate(CARER, carer, price, points=_plain(scored.carer_points))
    warnings: tuple[str, ...] = ()
    if group == "MH" and not council.ras_in_mental_health:
        reasons.note(CEILING_ONLY, group=group)
        warnings = ("ras_sets_ceiling_only",)
    made = Allocation(method="points", group=group, points=points, price_per_point_pence=per_point, domains=scored.rows)
    return _finish(made, council, reasons, base=base, carer=carer, warnings=warnings)


def _by_units(facts: Facts, council: Council, reasons: Reasons) -> Allocation:
    shares = _carer_shares(facts, council)
    rows = tuple(_unit_row(unit, council, shares, reasons) for unit in facts.support_units)
    base = reasons.calculate(BASE, sum(row.weekly_pence for row in rows))
    carer = sum(row.carer_weekly_pence for row in rows)
    if carer:
        reasons.calculate(CARER, carer)
    made = Allocation(method="units", group=facts.person.primary_user_group, units=rows)
    return _finish(made, council, reasons, base=base, carer=carer, warnings=())


def _finish(
    made: Allocation, council: Council, reasons: Reasons, *, base: int, carer: int, warnings: tuple[str, ...]
) -> Allocation:
    """What both models end with: the carer's money off, then the ceiling."""
    if council.carer_mode == "in_score":
        reasons.note(CARER_IN_SCORE)
        warnings += ("carer_in_score",)
    adjusted = base - carer
    ceiling = council.ceilings_weekly_pence.get(made.group)
    if ceiling is not None and adjusted > ceiling:
        reasons.calculate(CEILING, ceiling, adjusted_pence=adjusted)
        warnings += ("ceiling_applied",)
    indicative = adjusted if ceiling is None else min(adjusted, ceiling)
    reasons.calculate(INDICATIVE, indicative, base_pence=base, carer_pence=carer, ceiling_pence=ceiling)
    return msgspec.structs.replace(
        made,
        base_weekly_pence=base,
        carer_weekly_pence=carer,
        indicative_weekly_pence=indicative,
        if_carer_stops_weekly_pence=base,
        ceiling_weekly_pence=ceiling,
        reasons=reasons.all(),
        warnings=warnings,
    )


def _unit_row(unit: SupportUnits, council: Council, shares: dict[Domain, Decimal], reasons: Reasons) -> UnitRow:
    price = unit_prices(council.unit_prices).price(unit.unit)
    quantity, part, carer = _exact(unit.quantity), _exact(unit.share), shares.get(unit.domain, ZERO)
    weekly = quantity * part * price.pence
    if unit.per == "year":
        weekly /= WEEKS_PER_YEAR
    row = UnitRow(
        unit=unit.unit,
        quantity=_plain(quantity),
        per=unit.per,
        domain=unit.domain,
        price_pence=price.pence,
        weekly_pence=round_pence(weekly),
        carer_share=_plain(carer),
        carer_weekly_pence=round_pence(weekly * carer),
        unit_share=_plain(part),
    )
    saw = {"unit": row.unit, "quantity": row.quantity, "unit_share": row.unit_share, "per": row.per}
    reasons.calculate(UNITS, row.weekly_pence, price, **saw)
    return row


def _score(facts: Facts, council: Council) -> _Scored:
    """Points and carers' points of every domain with a level above 0 (§4.2)."""
    weights = points_table(council.points_table).weights
    shares, varying = _carer_shares(facts, council), facts.fluctuation if _varies(facts) else _STEADY
    mix = _exact(varying.share_bad_days or 0)
    rows, total, carers = [], ZERO, ZERO
    for domain in sorted({**facts.agreed_levels, **varying.good_day, **varying.bad_day}):
        agreed = facts.agreed_levels.get(domain, 0)
        good, bad = varying.good_day.get(domain, agreed), varying.bad_day.get(domain, agreed)
        if not (good or bad):
            continue
        low, high = weights[domain][good], weights[domain][bad]
        points: Decimal | int = low if low == high else low + mix * (high - low)
        share = shares.get(domain, ZERO)
        total, carers = total + points, carers + points * share
        rows.append(_row(domain, bad, points, share, good if good != bad else None))
    return _Scored(tuple(rows), total, carers)


def _row(domain: Domain, level: int, points: Decimal | int, share: Decimal, good_day: int | None) -> DomainPoints:
    return DomainPoints(
        domain=domain,
        level=level,
        points=str(points) if isinstance(points, int) else _plain(points),
        carer_share=_plain(share) if share else "0",
        carer_points=_plain(points * share) if share else "0",
        good_day_level=good_day,
    )


def _varies(facts: Facts) -> bool:
    """Needs are averaged where a good or a bad day and the share were recorded; a day left out is the agreed level."""
    said = facts.fluctuation
    return said.varies and bool(said.good_day or said.bad_day) and said.share_bad_days is not None


def _has_levels(facts: Facts) -> bool:
    said = facts.fluctuation
    return any(facts.agreed_levels.values()) or (
        _varies(facts) and (any(said.good_day.values()) or any(said.bad_day.values()))
    )


def _carer_shares(facts: Facts, council: Council) -> dict[Domain, Decimal]:
    """The share of each domain that carers are willing and able to cover, added up, never above the whole."""
    shares: dict[Domain, Decimal] = {}
    if council.carer_mode == "in_score":
        return shares
    for carer in facts.carers:
        for domain, share in carer.c_d.items():
            if carer.willing.get(domain, True) and carer.able.get(domain, True):
                shares[domain] = min(ONE, shares.get(domain, ZERO) + _exact(share))
    return shares


@lru_cache(maxsize=1024)
def _exact(number: float) -> Decimal:
    return exact(number)


def _plain(number: Decimal) -> str:
    """22.50 -> '22.5', 1E+1 -> '10', -0.0 -> '0'."""
    return f"{number.normalize():f}" if number else "0"
