"""Carers, housing support, equipment, adaptation, units of support, and means (§22.3). Money is pence, weekly unless
the name says otherwise."""

from datetime import date
from typing import Annotated, Literal

import msgspec

from contracts.facts.bounds import Code, Domain, Group, HoursAWeek, Label, Quantity, Reference, Share, Text
from contracts.money import Pence


class Carer(Group, frozen=True):
    """`c_d`: the share of each domain this carer is willing AND able to cover (0, 0.25, 0.5, 0.75 or 1)."""

    c_d: dict[Domain, Share] = {}
    willing: dict[Domain, bool] = {}
    able: dict[Domain, bool] = {}
    hours: HoursAWeek | None = None
    lives_with: bool = False
    related: bool = False
    own_assessment_offered: bool = False
    can_continue_until: date | None = None
    emergency_plan: Text | None = None


class HousingSupport(Group, frozen=True):
    """One housing-related support task. Whether a task is eligible is Supporting People's rule, not the assessor's."""

    task: Code
    regular: bool = True


class SupportScheme(Group, frozen=True):
    """A housing support contract's price: hours × hourly rate, or a flat weekly price."""

    hours_per_week: HoursAWeek | None = None
    hourly_rate_pence: Pence | None = None
    weekly_price_pence: Pence | None = None
    package_agreed: bool = True
    block_contract_id: Reference | None = None
    decommission_date: date | None = None
    in_service_april_2003: bool = False


class Housing(Group, frozen=True):
    vulnerable_as: (
        Literal[
            "older",
            "disabled",
            "learning_disability",
            "mental_health",
            "homeless",
            "domestic_violence",
            "ex_offender",
            "substance_use",
            "young_at_risk",
            "hiv",
            "none",
        ]
        | None
    ) = None
    support_need_housing: Annotated[list[HousingSupport], msgspec.Meta(max_length=30)] = []
    expected_duration: Literal["under_2_years", "2_years_or_more"] | None = None
    expected_weeks: Annotated[int, msgspec.Meta(ge=1, le=520)] | None = None
    sp_scheme: SupportScheme | None = None
    hb_in_payment: bool = False


class EquipmentItem(Group, frozen=True):
    """A prescribed item. The price the stream pays is the standard one; the person may choose a dearer one."""

    item_code: Code
    prescribed_standard_price_pence: Pence
    kind: Literal[
        "daily_living_aid",
        "home_nursing",
        "minor_adaptation",
        "sensory_aid",
        "communication_aid",
        "short_loan_wheelchair",
        "telecare",
        "permanent_wheelchair",
    ] = "daily_living_aid"
    chosen_price_pence: Pence | None = None
    top_up_source: Literal["OWN", "IB_LINE:LA"] = "OWN"


Purpose = Literal[
    "access_home",
    "access_garden",
    "safety",
    "family_room",
    "bedroom",
    "toilet",
    "bath_shower",
    "wash_basin",
    "cooking",
    "heating",
    "power_light_heat_controls",
    "care_for_another",
]


class Adaptation(Group, frozen=True):
    """A fixed adaptation of the home, as the housing authority needs it. None means not yet known."""

    adaptation_need: Annotated[list[Purpose], msgspec.Meta(max_length=12)] = []
    fixed_adaptation_cost_pence: Pence | None = None
    applied_on: date | None = None
    disabled_occupant: bool | None = None
    necessary_and_appropriate: bool | None = None
    reasonable_and_practicable: bool | None = None
    owner_consent: bool | None = None
    intends_5y: bool | None = None
    work_started: bool = False


class SupportUnits(Group, frozen=True):
    """So many units of support, for unit-based allocation. `share` is 1 for a standard unit, 0.5 for a half unit.

    `domain` says which need the units meet, so that a carer's share can be taken off.
    """

    unit: Literal["pa_hour", "agency_hour", "sleeping_night", "day_opportunity", "respite_night"]
    quantity: Quantity
    domain: Domain
    per: Literal["week", "year"] = "week"
    share: Share = 1.0


class Income(Group, frozen=True):
    """One source of income. `rate` is needed for disability benefits; the amount is what is in payment."""

    type: Literal[
        "income_support",
        "jsa_income_based",
        "esa_income_related",
        "guarantee_credit",
        "savings_credit",
        "universal_credit",
        "state_pension",
        "occupational_pension",
        "incapacity_benefit",
        "attendance_allowance",
        "dla_care",
        "dla_mobility",
        "pip_daily_living",
        "pip_mobility",
        "constant_attendance_allowance",
        "severe_disability",
        "carers_allowance",
        "earnings",
        "ilf",
        "tax_credits",
        "child_benefit",
        "child_maintenance",
        "winter_fuel",
        "housing_benefit",
        "council_tax_benefit",
        "other_countable",
        "other_ignored",
    ]
    weekly_pence: Pence
    rate: Literal["high", "middle", "low", "standard", "enhanced"] | None = None
    source: Literal["self", "professional", "carer", "imported"] = "self"


class Capital(Group, frozen=True):
    """Savings and property, in pence. The home lived in is never counted."""

    person_pence: Annotated[int, msgspec.Meta(ge=0, le=100_000_000_00)] = 0
    partner_pence: Annotated[int, msgspec.Meta(ge=0, le=100_000_000_00)] = 0
    other_property_pence: Annotated[int, msgspec.Meta(ge=0, le=100_000_000_00)] = 0


class HousingCosts(Group, frozen=True):
    """What is left to pay after benefit, weekly."""

    rent_net_pence: Pence = 0
    council_tax_net_pence: Pence = 0
    mortgage_pence: Pence = 0


class DisabilityExpense(Group, frozen=True):
    """A cost the disability causes. `evidenced` false is listed but not allowed."""

    item: Label
    weekly_pence: Pence
    evidenced: bool = True


Passport = Literal[
    "income_support",
    "jsa_income_based",
    "esa_income_related",
    "guarantee_credit",
    "housing_benefit",
    "council_tax_benefit",
    "universal_credit",
    "tax_credits_under_15050",
]


class WantedOutcome(Group, frozen=True):
    text: Text
    type: Literal["CHANGE", "MAINTENANCE", "PROCESS"]
    measure: Text | None = None
    target: date | None = None


class RiskNotes(Group, frozen=True):
    risk_to_person: Text | None = None
    risk_to_carer: Text | None = None
    risk_to_council: Text | None = None
    mitigations: Text | None = None
    differing_views: Text | None = None


class DeploymentWish(Group, frozen=True):
    preferred: (
        Literal["DP", "DP_INDIRECT", "THIRD_PARTY", "TRUST", "ISF", "VIRTUAL", "COMMISSIONED", "MIXED"] | None
    ) = None
    help_wanted: bool = False
    employs_pa: bool = False
    family_payee: bool = False
    family_payee_resident: bool = False


class Contingency(Group, frozen=True):
    event: Text
    pence: Pence | None = None
    contact: Text | None = None
