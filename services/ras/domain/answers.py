"""A stream's answer without its reasons: all that a budget is put together from."""

from datetime import date
from uuid import UUID

import msgspec

from contracts.streams import Line, Outcome, Seen


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Decoded from the same payload as StreamDecided; the reasons are skipped, which is most of the bytes."""

    assessment_ref: UUID
    stream: str
    revision: int
    outcome: Outcome
    rule_set: str
    decision_maker: str
    lines: tuple[Line, ...] = ()
    findings: Seen = {}
    warnings: tuple[str, ...] = ()
    ends_gateway_from: date | None = None
    facts_revision: int = 0
    notice_reference: str = ""

    @property
    def waits_for_notice(self) -> bool:
        return self.outcome == "PROVISIONAL" and not self.notice_reference
