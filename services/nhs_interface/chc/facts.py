"""What the continuing healthcare screen reads, and the national forms, which only this stream sees."""

from datetime import date
from typing import Literal

import msgspec

from contracts.facts.bounds import Domain, Level
from contracts.facts.needs import Health

ChecklistLevel = Literal["A", "B", "C"]
"""A high, B moderate, C none or low (§11.1)."""

ToHigh = Literal["N", "L", "M", "H"]
ToSevere = Literal["N", "L", "M", "H", "S"]
ToPriority = Literal["N", "L", "M", "H", "S", "P"]
NoSevere = Literal["N", "L", "M", "H", "P"]


class Checklist(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The eleven domains of the national checklist. None is not answered yet."""

    breathing: ChecklistLevel | None = None
    nutrition: ChecklistLevel | None = None
    continence: ChecklistLevel | None = None
    skin: ChecklistLevel | None = None
    mobility: ChecklistLevel | None = None
    communication: ChecklistLevel | None = None
    psychological_emotional: ChecklistLevel | None = None
    cognition: ChecklistLevel | None = None
    behaviour: ChecklistLevel | None = None
    drug_therapies: ChecklistLevel | None = None
    altered_states: ChecklistLevel | None = None


class DecisionSupportTool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """No, low, moderate, high, severe or priority need in twelve domains, each with levels of its own (§11.2;
    that skin and other needs reach severe is unverified)."""

    breathing: ToPriority | None = None
    nutrition: ToSevere | None = None
    continence: ToHigh | None = None
    skin: ToSevere | None = None
    mobility: ToSevere | None = None
    communication: ToHigh | None = None
    psychological_emotional: ToHigh | None = None
    cognition: ToSevere | None = None
    behaviour: ToPriority | None = None
    drug_therapies: ToPriority | None = None
    altered_states: NoSevere | None = None
    other_significant_needs: ToSevere | None = None


class Own(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`checklist_on` is the day the commissioner was told that a full assessment is needed.
    `practitioner_referral` sends somebody below the threshold to full assessment."""

    checklist: Checklist = Checklist()
    checklist_on: date | None = None
    practitioner_referral: bool = False
    dst: DecisionSupportTool = DecisionSupportTool()
    fast_track_tool: bool = False


class Communication(msgspec.Struct, frozen=True, kw_only=True):
    expressive: Level = 0
    receptive: Level = 0


class Person(msgspec.Struct, frozen=True, kw_only=True):
    fast_track_clinical_flag: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    age: int
    person: Person = Person()
    agreed_levels: dict[Domain, Level] = {}
    health: Health = Health()
    communication: Communication = Communication()
    own: Own = Own()
