"""What points and units of support cost, and the dated rates of charging, each read once from its file."""

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TypeVar, get_args

import msgspec

from contracts.facts.bounds import Domain
from contracts.streams import RateStatus
from rulekit.rates import OPEN_END, ParameterMissing, Rate, RateTable, read_rates
from rulekit.stream import RuleSet

SERVICE = Path(__file__).parents[1]

Weights = tuple[int, int, int, int, int]
"""Points of the levels 0 to 4."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    id: str
    title: str
    source: str
    status: RateStatus
    start: date = msgspec.field(name="from")

    def _rate(self, key: str, value: str | None) -> Rate:
        """A price as a dated rate, in whole pence. Raises ParameterMissing where the table has none."""
        if value is None:
            raise ParameterMissing(f"{self.id}.{key}", self.start)
        return Rate(f"{self.id}.{key}", value, self.start, OPEN_END, self.status, self.source)


class LinearTable(_Table, frozen=True, kw_only=True, tag="linear", forbid_unknown_fields=True):
    """Points for each domain's level, times one price per point for each user group (rule book §4.3, 1)."""

    weights: dict[Domain, Weights]
    price_per_point: dict[str, str]

    def __post_init__(self) -> None:
        if set(self.weights) != set(get_args(Domain)):
            raise ValueError(f"{self.id}: every need domain must have weights")
        for domain, weights in self.weights.items():
            if weights[0] != 0 or list(weights) != sorted(weights):
                raise ValueError(f"{self.id}: {domain} must start at 0 and never fall")
        _check_pence(self.id, self.price_per_point)

    def price(self, group: str) -> Rate:
        """Pounds a point a week. Raises ParameterMissing for a group without one."""
        return self._rate(f"price_per_point.{group}", self.price_per_point.get(group))


class UnitPrices(_Table, frozen=True, kw_only=True, tag="units", forbid_unknown_fields=True):
    """What one unit of each kind costs."""

    prices: dict[str, str] = msgspec.field(name="price")

    def __post_init__(self) -> None:
        _check_pence(self.id, self.prices)

    def price(self, unit: str) -> Rate:
        """Pounds a unit. Raises ParameterMissing for a unit without a price."""
        return self._rate(f"price.{unit}", self.prices.get(unit))


PointsTable = LinearTable
"""Tables that price points. A banded or an interpolated table (§4.3, 2 and 3) is one more kind here."""

Table = PointsTable | UnitPrices


@dataclass(frozen=True, slots=True)
class Charging:
    """The rule sets of charging and their rates."""

    rule_sets: tuple[RuleSet, ...]
    rates: RateTable

    def rule_set(self, pack: str, on: date) -> RuleSet:
        """Raises ParameterMissing where no rule set of the pack covers the date."""
        for rule_set in self.rule_sets:
            if rule_set.covers(pack, on):
                return rule_set
        raise ParameterMissing(f"rule_set.{pack}", on)


def points_table(id_: str) -> PointsTable:
    """The table a council's profile names. Raises LookupError for a name no file has."""
    return _of_kind(id_, LinearTable)


def unit_prices(id_: str) -> UnitPrices:
    """The price list a council's profile names. Raises LookupError for a name no file has."""
    return _of_kind(id_, UnitPrices)


@cache
def charging() -> Charging:
    raw = tomllib.loads((SERVICE / "charging.toml").read_text())
    rule_sets = tuple(msgspec.convert(row, RuleSet) for row in raw["rule_sets"])
    return Charging(rule_sets, read_rates(raw["rates"]))


@cache
def _tables() -> dict[str, Table]:
    paths = sorted((SERVICE / "tables").glob("*.toml"))
    found: list[Table] = [msgspec.toml.decode(path.read_bytes(), type=Table) for path in paths]
    return {table.id: table for table in found}


T = TypeVar("T", LinearTable, UnitPrices)


def _of_kind(id_: str, kind: type[T]) -> T:
    table = _tables().get(id_)
    if not isinstance(table, kind):
        raise LookupError(f"no {kind.__name__} named {id_}")
    return table


def _check_pence(table: str, prices: dict[str, str]) -> None:
    for key, value in prices.items():
        if len(value.partition(".")[2]) != 2 or not value.replace(".", "", 1).isdigit():
            raise ValueError(f"{table}: the price of {key} must be pounds with two decimals, not {value}")
