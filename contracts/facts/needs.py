"""Needs by domain, with the eligibility tests that are read from them (§22.2, §3)."""

from typing import Annotated, Literal

import msgspec

from contracts.facts.bounds import Code, Count, Domain, Group, Level, Share, Text


class Eating(Group, frozen=True):
    eat_drink_help: Level = 0
    prepare_meals_help: Level = 0
    swallow_risk: bool = False
    weight_loss: bool = False
    feeding_route: Literal["oral", "peg", "other"] = "oral"


class PersonalCare(Group, frozen=True):
    wash: Level = 0
    dress: Level = 0
    toilet: Level = 0
    continence_bladder: Level = 0
    continence_bowel: Level = 0
    skin_risk: Level = 0


class Mobility(Group, frozen=True):
    transfer: Level = 0
    walk: Level = 0
    stairs: Level = 0
    falls_12m: Count = 0
    handlers_needed: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0


class Home(Group, frozen=True):
    clean: Level = 0
    laundry: Level = 0
    shop: Level = 0
    manage_tenancy_bills: Level = 0
    hazards: Level = 0


class Relationships(Group, frozen=True):
    contacts_per_week: Count | None = None
    isolated: bool = False
    maintain_relationships: Level = 0


class Community(Group, frozen=True):
    use_transport: Level = 0
    go_out_help: Level = 0


class CaringRoles(Group, frozen=True):
    child_care_role: Level = 0
    other_caring: Level = 0


class Decisions(Group, frozen=True):
    memory: Level = 0
    understand_choices: Level = 0
    manage_money_help: Level = 0


class Safety(Group, frozen=True):
    risk_to_self: Level = 0
    risk_to_others: Level = 0
    abuse_neglect: Literal["none", "abuse_or_neglect", "serious"] = "none"
    behaviour_challenge: Level = 0
    self_neglect: Level = 0


class Nights(Group, frozen=True):
    """`council_night_care`: whether the council buys the night help. Left out, it follows from D11 and the carers."""

    night_help_type: Literal["none", "sleeping", "waking"] = "none"
    night_help: Level = 0
    times: Count = 0
    council_night_care: bool | None = None


class Health(Group, frozen=True):
    breathing: Level = 0
    medication_help: Level = 0
    seizures_or_asc: Level = 0
    pain: Level = 0
    wounds: Level = 0
    psych_emotional: Level = 0
    nurse_tasks: Annotated[list[Code], msgspec.Meta(max_length=20)] = []
    rapid_decline: bool = False
    clinical_flag: bool = False


class Communication(Group, frozen=True):
    expressive: Level = 0
    receptive: Level = 0
    aids: bool = False


class Fluctuation(Group, frozen=True):
    """Levels by domain on good and bad days; `share_bad_days` weighs them (R-FACS-5)."""

    varies: bool = False
    good_day: dict[Domain, Level] = {}
    bad_day: dict[Domain, Level] = {}
    share_bad_days: Share | None = None
    fluctuation_period_weeks: Annotated[int, msgspec.Meta(ge=1, le=104)] | None = None
    reason: Text | None = None


Aspects = Literal["none", "one_or_two", "several", "many", "majority", "vital"]


class AspectsAtRisk(Group, frozen=True):
    """Now, and expected without timely help; the worse of the two counts (R-FACS-1)."""

    now: Aspects = "none"
    expected: Aspects = "none"


class Risk(Group, frozen=True):
    now: bool = False
    expected: bool = False


class ChoiceControl(Group, frozen=True):
    now: Literal["full", "partial", "little_or_none"] = "full"
    expected: Literal["full", "partial", "little_or_none"] = "full"


class AbuseNeglect(Group, frozen=True):
    now: Literal["none", "abuse_or_neglect", "serious"] = "none"
    expected: Literal["none", "abuse_or_neglect", "serious"] = "none"


class FacsExtents(Group, frozen=True):
    """The eight FACS descriptors (§3.1), confirmed by the worker."""

    life_threatened: Risk = Risk()
    significant_health_problem: Risk = Risk()
    choice_control_environment: ChoiceControl = ChoiceControl()
    abuse_neglect: AbuseNeglect = AbuseNeglect()
    personal_care_domestic_unable: AspectsAtRisk = AspectsAtRisk()
    work_education_learning_at_risk: AspectsAtRisk = AspectsAtRisk()
    social_support_relationships_at_risk: AspectsAtRisk = AspectsAtRisk()
    family_social_roles_at_risk: AspectsAtRisk = AspectsAtRisk()


class CareActOutcome(Group, frozen=True):
    """Any one true answer means unable to achieve the outcome (§3.2). Judged as if no carer helped."""

    needs_help: bool = False
    pain_distress: bool = False
    endangers: bool = False
    takes_longer: bool = False
    wellbeing_impact: Text | None = None


OutcomeName = Literal[
    "nutrition",
    "personal_hygiene",
    "toilet_needs",
    "appropriately_clothed",
    "use_home_safely",
    "habitable_home",
    "relationships",
    "work_training_education_volunteering",
    "community_facilities",
    "caring_for_child",
]


class CareActTests(Group, frozen=True):
    """The three conditions of SI 2015/313. A condition left out is unclear, never assumed."""

    impairment_or_illness: bool | None = None
    outcomes: dict[OutcomeName, CareActOutcome] = {}
    significant_wellbeing_impact: bool | None = None


DomainLevels = dict[Domain, Level]
