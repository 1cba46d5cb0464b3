"""What the eligibility rules read. Not capacity, willingness or money: they may not count (R-FACS-7)."""

from typing import Annotated

import msgspec

from contracts.facts import FacsExtents
from contracts.facts.bounds import Domain, Level
from contracts.facts.needs import OutcomeName


class Fluctuation(msgspec.Struct, frozen=True, kw_only=True):
    varies: bool = False
    fluctuation_period_weeks: Annotated[int, msgspec.Meta(ge=1, le=104)] | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The four tests of one outcome. The assessor's text about it stays behind."""

    needs_help: bool = False
    pain_distress: bool = False
    endangers: bool = False
    takes_longer: bool = False


class CareAct(msgspec.Struct, frozen=True, kw_only=True):
    impairment_or_illness: bool | None = None
    outcomes: dict[OutcomeName, Outcome] = {}
    significant_wellbeing_impact: bool | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    age: int
    agreed_levels: dict[Domain, Level] = {}
    fluctuation: Fluctuation = Fluctuation()
    facs: FacsExtents = FacsExtents()
    care_act: CareAct = CareAct()
