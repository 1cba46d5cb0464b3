"""Dated rates, each with its source and evidence. Look-ups use the decision's effective date, never today."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from contracts.money import as_pence
from contracts.streams import RateStatus, RateUsed

OPEN_END = date(9999, 12, 31)


class ParameterMissing(Exception):
    """No rate of this name is in force on the date. The decision is refused with `parameter_missing`; an older rate
    never stands in."""

    def __init__(self, key: str, on: date) -> None:
        super().__init__(f"no rate {key} is in force on {on.isoformat()}")
        self.key, self.on = key, on


@dataclass(frozen=True)
class Rate:
    """One value of one rate from `start` to `end`, both included. `value` is as printed: pounds, number or word."""

    key: str
    value: str
    start: date
    end: date
    status: RateStatus
    source: str

    @cached_property
    def pence(self) -> int:
        """The rate in pence, for a rate printed in pounds to the penny."""
        return int(as_pence(self.value))

    @cached_property
    def number(self) -> Decimal:
        return Decimal(self.value)

    @cached_property
    def used(self) -> RateUsed:
        return RateUsed(self.key, self.value, self.status, self.source)


class RatesOn:
    """The rates in force on one date. `rates["key"]` raises ParameterMissing."""

    def __init__(self, rates: Mapping[str, Rate], on: date) -> None:
        self._rates, self.on = rates, on

    def __getitem__(self, key: str) -> Rate:
        try:
            return self._rates[key]
        except KeyError:
            raise ParameterMissing(key, self.on) from None

    def get(self, key: str) -> Rate | None:
        """For a limit that did not exist on the date; never for a rate the rule needs."""
        return self._rates.get(key)


class RateTable:
    """Every value of every rate of one owner. Two values of one rate may not overlap."""

    def __init__(self, rates: Iterable[Rate]) -> None:
        self._by_key: dict[str, list[Rate]] = defaultdict(list)
        for rate in sorted(rates, key=lambda r: (r.key, r.start)):
            known = self._by_key[rate.key]
            if rate.start > rate.end or (known and known[-1].end >= rate.start):
                raise ValueError(f"rate {rate.key}: values overlap or end before they start at {rate.start}")
            known.append(rate)
        self._cache: dict[date, RatesOn] = {}

    def on(self, day: date) -> RatesOn:
        found = self._cache.get(day)
        if found is None:
            valid = {k: r for k, rs in self._by_key.items() for r in rs if r.start <= day <= r.end}
            if len(self._cache) > 4096:
                self._cache.clear()
            found = self._cache[day] = RatesOn(valid, day)
        return found

    def all(self) -> list[Rate]:
        return [rate for rates in self._by_key.values() for rate in rates]


def read_rates(rows: Iterable[Mapping[str, Any]]) -> RateTable:
    """From the `[[rates]]` rows of a TOML file: key, value (text), from, to (optional), status, source."""
    return RateTable(
        Rate(row["key"], row["value"], row["from"], row.get("to", OPEN_END), row["status"], row["source"])
        for row in rows
    )
