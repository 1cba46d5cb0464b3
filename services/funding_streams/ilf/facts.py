"""What the Independent Living Fund screen reads. `own` is for this stream's eyes only."""

from typing import Annotated, Literal

import msgspec

from contracts.facts import Capital, HousingCosts, Income
from contracts.facts.bounds import HoursAWeek
from contracts.facts.means import Passport
from contracts.facts.person import Tenure
from contracts.money import Pence


class Person(msgspec.Struct, frozen=True, kw_only=True):
    tenure: Tenure | None = None


class Work(msgspec.Struct, frozen=True, kw_only=True):
    employment_status: Literal[
        "none", "employed", "self_employed", "job_offer", "work_trial", "apprenticeship", "voluntary"
    ] = "none"
    hours: Annotated[int, msgspec.Meta(ge=0, le=168)] | None = None


class Own(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fund's own questions. Three answers nearly everybody gives are taken as given; null is "not known".

    `care_hours_weekly` and `hourly_rate_pence` are all the personal and domestic care needed, the council's
    share included. `extension_fund` is an award first made before April 1993 (the fund's "Group 1").
    """

    care_hours_weekly: HoursAWeek | None = None
    hourly_rate_pence: Pence | None = None
    lives_in_uk: bool | None = True
    expected_home_6_months: bool | None = True
    at_risk_of_residential_care: bool | None = True
    existing_ilf_user: bool = False
    extension_fund: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    age: int
    has_partner: bool = False
    person: Person = Person()
    work: Work = Work()
    income: list[Income] = []
    capital: Capital = Capital()
    housing_costs: HousingCosts = HousingCosts()
    passport_benefits: list[Passport] = []
    disclosure_refused: bool = False
    own: Own = Own()
