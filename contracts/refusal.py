"""An expected 'no', with a stable code. Everything else is a bug and crashes.

The code is for machines and never changes its meaning; the text is for people and says what to do next. Neither ever
repeats what was sent.
"""

from dataclasses import dataclass, field

STATUS: dict[str, int] = {
    "malformed_json": 400,
    "body_too_large": 413,
    "invalid_field": 422,
    "unknown_field": 422,
    "missing_field": 422,
    "unknown_council": 422,
    "unknown_rule_pack": 422,
    "unknown_stream": 422,
    "pack_not_in_force": 422,
    "assessment_conflict": 409,
    "assessment_final": 409,
    "assessment_not_final": 409,
    "not_found": 404,
    "stream_not_asked": 409,
    "notice_conflict": 409,
    "notice_not_taken": 409,
    "notice_amount_missing": 422,
    "edit_conflict": 412,
    "budget_not_proposed": 409,
    "budget_conflict": 409,
    "token_missing": 401,
    "token_invalid": 401,
    "insufficient_scope": 403,
    "method_not_allowed": 405,
    "unsupported_media_type": 415,
    "unavailable": 503,
    "parked": 503,
    "reason_missing": 422,
    "not_parked": 409,
    "not_releasable": 409,
    "not_stopped": 409,
    "not_redrivable": 409,
    "cannot_replay": 409,
    "not_answered": 503,
}
"""Every code there is, with the HTTP status it answers with. Retired codes stay, so that history stays readable."""


@dataclass(frozen=True)
class FieldFault:
    """One field that is wrong. `pointer` is a JSON pointer; `detail` says what is expected, never what was sent."""

    pointer: str
    code: str
    detail: str


@dataclass
class Refusal(Exception):
    code: str
    detail: str
    faults: list[FieldFault] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.code not in STATUS:
            raise ValueError("a refusal needs a code of the catalogue")
        super().__init__(self.detail)

    @property
    def status(self) -> int:
        return STATUS[self.code]

    def as_problem(self, instance: str = "", correlation_id: str = "") -> dict[str, object]:
        """RFC 9457 body, media type application/problem+json."""
        body: dict[str, object] = {
            "type": f"https://tributary.example/problems/{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if instance:
            body["instance"] = instance
        if correlation_id:
            body["correlation_id"] = correlation_id
        if self.faults:
            body["errors"] = [{"pointer": f.pointer, "code": f.code, "detail": f.detail} for f in self.faults]
        return body
