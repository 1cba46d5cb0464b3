"""Person, household, consent and capacity (§22.1)."""

from datetime import date
from typing import Annotated, Literal

import msgspec

from contracts.facts.bounds import Code, Count, Group, Label, Text
from contracts.money import Pence

UserGroup = Literal["OP", "PD", "LD", "MH", "TR"]
"""Older people, physical disability, learning disability, mental health, transition: reporting and price only."""

Tenure = Literal["owner", "private_tenant", "social_tenant", "supported_living", "with_family", "care_home", "other"]


class HouseholdMember(Group, frozen=True):
    relation: Literal["partner", "parent", "child", "dependent_child", "sibling", "other_relative", "other"]
    age: Annotated[int, msgspec.Meta(ge=0, le=120)] | None = None
    is_carer: bool = False
    works: bool = False
    lives_in: bool = True


class Representative(Group, frozen=True):
    role: Literal[
        "lpa_property",
        "lpa_welfare",
        "deputy",
        "appointee",
        "nominee",
        "authorised_person",
        "trustee",
        "advocate",
        "imca",
    ]
    relation: Label | None = None


class Consent(Group, frozen=True):
    """`not_required` needs its lawful `basis`. A stream whose consent is refused or withdrawn is not asked; one that is
    left out is asked, so record a refusal before the assessment is final."""

    status: Literal["given", "refused", "not_required", "withdrawn"]
    on: date | None = None
    basis: Text | None = None


class Person(Group, frozen=True):
    """Identifiers and address stay in the assessment service: no stream and no event carries them."""

    person_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    date_of_birth: date
    primary_user_group: UserGroup
    nhs_number: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{10}$(?!\n)")] | None = None
    ni_number: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}[0-9]{6}[A-D]$(?!\n)")] | None = None
    ordinary_residence_la: Label | None = None
    address: Text | None = None
    uprn: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,12}$(?!\n)")] | None = None
    tenure: Tenure | None = None
    household: Annotated[list[HouseholdMember], msgspec.Meta(max_length=20)] = []
    communication_needs: Text | None = None
    preferred_format: Label | None = None
    language: Label | None = None
    interpreter: bool = False
    new_or_existing: Literal["new", "existing"] = "new"
    current_package_weekly_pence: Pence | None = None
    has_dp_already: bool = False
    consent_share: Annotated[dict[Code, Consent], msgspec.Meta(max_length=40)] = {}
    capacity: Annotated[
        dict[Code, Literal["has", "lacks", "fluctuating", "untested"]], msgspec.Meta(max_length=20)
    ] = {}
    representative: Annotated[list[Representative], msgspec.Meta(max_length=10)] = []
    mha_status: Literal["none", "s3", "s37", "s45A", "s47", "s48"] = "none"
    s117_entitled: bool = False
    cto: bool = False
    crisis_flag: bool = False
    fast_track_clinical_flag: bool = False


class Work(Group, frozen=True):
    """Employment, for Access to Work and the ILF's later work test. `weekly_earnings_pence` is gross."""

    employment_status: Literal[
        "none", "employed", "self_employed", "job_offer", "work_trial", "apprenticeship", "voluntary"
    ] = "none"
    hours: Annotated[int, msgspec.Meta(ge=0, le=168)] | None = None
    start_date: date | None = None
    employer_size: Annotated[int, msgspec.Meta(ge=1, le=2_000_000)] | None = None
    job_offer: bool = False
    learning: bool = False
    weekly_earnings_pence: Pence | None = None
    travel_to_work_barrier: bool = False
    workplace_needs: Annotated[list["WorkplaceNeed"], msgspec.Meta(max_length=30)] = []
    work_learning_help: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0


class WorkplaceNeed(Group, frozen=True):
    """Something work makes necessary: weekly (hours × rate, or a weekly cost) or once (a cost).

    `private_days` is how many days of seven an item is also used outside work.
    """

    kind: Literal[
        "support_worker",
        "job_coach",
        "communicator",
        "travel",
        "mental_health_support",
        "equipment",
        "adaptation",
        "vehicle_adaptation",
        "awareness_training",
        "standard_business_kit",
    ]
    hours_per_week: Annotated[int, msgspec.Meta(ge=0, le=168)] | None = None
    hourly_rate_pence: Pence | None = None
    weekly_pence: Pence | None = None
    cost_pence: Pence | None = None
    private_days: Annotated[int, msgspec.Meta(ge=0, le=7)] = 0
    count: Count = 1
