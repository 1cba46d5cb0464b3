"""The whole form: what a council sends in, and what another body sends back."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec

from contracts.facts.bounds import Code, Group, Reference, Text
from contracts.facts.means import (
    Adaptation,
    Capital,
    Carer,
    Contingency,
    DeploymentWish,
    DisabilityExpense,
    EquipmentItem,
    Housing,
    HousingCosts,
    Income,
    Passport,
    RiskNotes,
    SupportUnits,
    WantedOutcome,
)
from contracts.facts.needs import (
    CareActTests,
    CaringRoles,
    Communication,
    Community,
    Decisions,
    DomainLevels,
    Eating,
    FacsExtents,
    Fluctuation,
    Health,
    Home,
    Mobility,
    Nights,
    PersonalCare,
    Relationships,
    Safety,
)
from contracts.facts.person import Person, Work
from contracts.money import Pence


class AlignedAssessment(Group, frozen=True):
    """One assessment, asked once, feeding every stream (§22).

    `expected_weeks` says how long the council's money is expected to be needed; left out, it is ongoing.
    `domain_levels` is the level agreed for each need domain; a domain left out takes the highest of its answers.
    `stream_only` holds what one stream alone may see, under that stream's name and schema.
    """

    assessment_id: Reference
    council: Code
    rule_pack: Code
    effective_date: date
    person: Person
    version: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    expected_weeks: Annotated[int, msgspec.Meta(ge=1, le=520)] | None = None
    domain_levels: DomainLevels = {}
    eating: Eating = Eating()
    personal_care: PersonalCare = PersonalCare()
    mobility: Mobility = Mobility()
    home: Home = Home()
    relationships: Relationships = Relationships()
    work: Work = Work()
    community: Community = Community()
    caring_roles: CaringRoles = CaringRoles()
    decisions: Decisions = Decisions()
    safety: Safety = Safety()
    nights: Nights = Nights()
    health: Health = Health()
    communication: Communication = Communication()
    fluctuation: Fluctuation = Fluctuation()
    facs: FacsExtents = FacsExtents()
    care_act: CareActTests = CareActTests()
    carers: Annotated[list[Carer], msgspec.Meta(max_length=10)] = []
    support_units: Annotated[list[SupportUnits], msgspec.Meta(max_length=40)] = []
    housing: Housing = Housing()
    equipment: Annotated[list[EquipmentItem], msgspec.Meta(max_length=40)] = []
    adaptation: Adaptation = Adaptation()
    income: Annotated[list[Income], msgspec.Meta(max_length=40)] = []
    capital: Capital = Capital()
    housing_costs: HousingCosts = HousingCosts()
    dre: Annotated[list[DisabilityExpense], msgspec.Meta(max_length=40)] = []
    passport_benefits: Annotated[list[Passport], msgspec.Meta(max_length=10)] = []
    disclosure_refused: bool = False
    outcomes: Annotated[list[WantedOutcome], msgspec.Meta(max_length=30)] = []
    risk: RiskNotes = RiskNotes()
    deployment: DeploymentWish = DeploymentWish()
    contingency: Annotated[list[Contingency], msgspec.Meta(max_length=20)] = []
    stream_only: Annotated[dict[Code, dict[str, Any]], msgspec.Meta(max_length=40)] = {}


class Notice(Group, frozen=True):
    """What another body decided about the line its stream holds.

    `confirmed` keeps the amounts the line already has, unless the notice states its own; `changed` states them;
    `refused` ends the line. `reference` is the body's own: the same reference with the same content is a repeat,
    with other content a conflict. `package` is for continuing healthcare only.
    """

    stream: Code
    decision: Literal["confirmed", "changed", "refused"]
    reference: Reference
    decided_on: date | None = None
    effective_from: date | None = None
    weekly_pence: Pence | None = None
    one_off_pence: Pence | None = None
    contribution_pence: Pence | None = None
    package: Literal["chc", "joint", "fnc"] | None = None
    reason: Text | None = None
