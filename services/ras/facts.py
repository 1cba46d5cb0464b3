"""What the allocation service needs of an assessment: levels, carers, units and means. Nothing that tells who."""

import msgspec

from contracts.facts import Capital, HousingCosts, Income, SupportUnits
from contracts.facts.bounds import Domain, Level, Share
from contracts.facts.person import UserGroup
from contracts.facts.tolerant import tolerant
from contracts.money import Pence


class Person(msgspec.Struct, frozen=True, kw_only=True):
    primary_user_group: UserGroup
    current_package_weekly_pence: Pence | None = None
    s117_entitled: bool = False


class Fluctuation(msgspec.Struct, frozen=True, kw_only=True):
    varies: bool = False
    good_day: dict[Domain, Level] = {}
    bad_day: dict[Domain, Level] = {}
    share_bad_days: Share | None = None


class Carer(msgspec.Struct, frozen=True, kw_only=True):
    """Shares by domain, and where the carer is not willing or not able."""

    c_d: dict[Domain, Share] = {}
    willing: dict[Domain, bool] = {}
    able: dict[Domain, bool] = {}


class DisabilityExpense(msgspec.Struct, frozen=True, kw_only=True):
    """How much and whether evidenced; what for is between the person and the assessor."""

    weekly_pence: Pence
    evidenced: bool = True


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    age: int
    person: Person
    agreed_levels: dict[Domain, Level] = {}
    council_buys_night_care: bool = False
    has_partner: bool = False
    has_dependent_child: bool = False
    expected_weeks: int | None = None
    fluctuation: Fluctuation = Fluctuation()
    carers: list[Carer] = []
    support_units: list[SupportUnits] = []
    income: list[Income] = []
    capital: Capital = Capital()
    housing_costs: HousingCosts = HousingCosts()
    dre: list[DisabilityExpense] = []
    disclosure_refused: bool = False


READS = tolerant(Facts)
"""`Facts`, open to fields a newer assessment service may send."""
