"""What the assessment service tells: an assessment is final, and who has to answer."""

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from contracts.event import Event


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stream in the roll-call. `clock_days` is how long it has before it counts as late; `needs` are the facts it
    waits for that another decision supplies; `gateway` marks the stream that opens the way to an Individual Budget."""

    stream: str
    clock_days: int
    needs: tuple[str, ...] = ()
    gateway: bool = False


class NotAsked(msgspec.Struct, frozen=True):
    """A stream that is not asked, and why: not in force on the date, or the person did not agree to share."""

    stream: str
    reason: Literal["not_in_force", "no_rule_set", "consent_refused", "consent_withdrawn"]
    says: str
    citation: str


class AssessmentFinalised(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One copy per reader (`audience`), holding the facts that reader declared and no others.

    The roll-call travels only in the allocation service's copy: whom to wait for is nobody else's business.
    `facts` is a JSON object in the reader's own schema (`contracts/streams.lock`).
    """

    type: ClassVar[str] = "uk.tributary.assessment.finalised.v1"
    addressed: ClassVar[bool] = True

    assessment_ref: UUID
    audience: str
    council: str
    rule_pack: str
    effective_date: date
    facts: msgspec.Raw
    supersedes: UUID | None = None
    roll_call: tuple[Asked, ...] = ()
    not_asked: tuple[NotAsked, ...] = ()

    def identity(self) -> tuple[object, ...]:
        return (self.assessment_ref, self.audience)
