"""What a form that parses may still get wrong. Every fault names a field and says what to do; none repeats a value."""

from collections import Counter
from datetime import date
from functools import cache
from typing import Any

import jsonschema_rs

from contracts.assessment import Asked
from contracts.facts import AlignedAssessment, Notice
from contracts.lock import Lock
from contracts.money import MAX_PENCE
from contracts.refusal import FieldFault, Refusal
from rulekit.council import councils
from rulekit.notice import DATE_EXPECTED, date_fault
from rulekit.packs import packs

EARLIEST, LATEST = date(1993, 4, 1), date(2100, 12, 31)
OLDEST_YEARS = 125


def check(assessment: AlignedAssessment, lock: Lock) -> None:
    """Raises Refusal at the first fault."""
    if assessment.council not in councils():
        raise unknown_council()
    _check_pack(assessment)
    _check_dates(assessment)
    _check_nhs_number(assessment)
    _check_amounts(assessment)
    _check_streams(assessment, lock)


def unknown_council() -> Refusal:
    return _refusal("unknown_council", "/council", "No council of this name is set up. See `tributary councils`.")


def check_notice(notice: Notice, asked: tuple[Asked, ...], lock: Lock, pointer: str = "") -> None:
    """A notice must come from a stream that has been asked. Raises Refusal."""
    stream = lock.named(notice.stream)
    if stream is None:
        raise _refusal("unknown_stream", f"{pointer}/stream", "No stream of this name exists.")
    if stream.decides_here:
        detail = "This stream decides here by its own rules; notices are for streams another body decides."
        raise _refusal("notice_not_taken", f"{pointer}/stream", detail)
    if fault := date_fault(notice):
        raise _refusal("invalid_field", f"{pointer}/{fault}", DATE_EXPECTED)
    if notice.stream not in {a.stream for a in asked}:
        detail = "This stream has not been asked about the assessment, so no notice can be taken for it."
        raise _refusal("stream_not_asked", f"{pointer}/stream", detail)
    stated = (notice.weekly_pence, notice.one_off_pence, notice.contribution_pence)
    if notice.decision == "changed" and all(amount is None for amount in stated):
        detail = "A changed award states weekly_pence, one_off_pence or contribution_pence."
        raise _refusal("notice_amount_missing", f"{pointer}/weekly_pence", detail)


def _refusal(code: str, pointer: str, detail: str) -> Refusal:
    return Refusal(code, detail, [FieldFault(pointer, code, detail)])


def _pointer(*parts: str | int) -> str:
    return "".join(f"/{part}" for part in parts)


def _check_pack(assessment: AlignedAssessment) -> None:
    pack = packs().get(assessment.rule_pack)
    if pack is None:
        raise _refusal("unknown_rule_pack", "/rule_pack", "No rule pack of this name exists. See `tributary packs`.")
    if not pack.in_force(assessment.effective_date):
        detail = f"This rule pack is for decisions effective from {pack.start} to {pack.end}."
        raise _refusal("pack_not_in_force", "/effective_date", detail)


def _check_dates(assessment: AlignedAssessment) -> None:
    if not EARLIEST <= assessment.effective_date <= LATEST:
        raise _refusal("invalid_field", "/effective_date", "Expected a date from 1993-04-01 to 2100-12-31.")
    born, on = assessment.person.date_of_birth, assessment.effective_date
    if born > on or on.year - born.year > OLDEST_YEARS:
        raise _refusal(
            "invalid_field",
            "/person/date_of_birth",
            "Expected a date before the effective date, at most 125 years ago.",
        )


def _check_nhs_number(assessment: AlignedAssessment) -> None:
    number = assessment.person.nhs_number
    if number is None:
        return
    total = sum(int(digit) * weight for digit, weight in zip(number[:9], range(10, 1, -1), strict=True))
    if (11 - total % 11) % 11 != int(number[9]):
        raise _refusal("invalid_field", "/person/nhs_number", "The check digit does not fit an NHS number.")


MOST_A_WEEK = {"pa_hour": 336, "agency_hour": 336, "sleeping_night": 14, "day_opportunity": 14, "respite_night": 14}
"""Two people at once for every hour, night and day of a week [design]: more of one unit is a slip."""


def _check_amounts(assessment: AlignedAssessment) -> None:
    """Numbers that are possible one by one and absurd together."""
    for i, need in enumerate(assessment.work.workplace_needs):
        weekly = need.weekly_pence or (need.hours_per_week or 0) * (need.hourly_rate_pence or 0)
        if max(weekly, need.cost_pence or 0) * need.count > MAX_PENCE:
            raise _refusal(
                "invalid_field", _pointer("work", "workplace_needs", i), "This comes to more than £1,000,000."
            )
    weekly_units: Counter[str] = Counter()
    for i, unit in enumerate(assessment.support_units):
        weekly_units[unit.unit] += unit.quantity / (52 if unit.per == "year" else 1)  # type: ignore[assignment]
        if weekly_units[unit.unit] > MOST_A_WEEK[unit.unit]:
            detail = f"All rows together ask for more than {MOST_A_WEEK[unit.unit]} of this unit a week."
            raise _refusal("invalid_field", f"/support_units/{i}/quantity", detail)


def _check_streams(assessment: AlignedAssessment, lock: Lock) -> None:
    for stream, consent in assessment.person.consent_share.items():
        if lock.named(stream) is None:
            names = ", ".join(s.name for s in lock.streams)
            raise _refusal("unknown_stream", "/person/consent_share", f"A stream named here is none of: {names}.")
        if consent.status == "not_required" and not consent.basis:
            detail = "Sharing without consent needs its lawful basis."
            raise _refusal("missing_field", f"/person/consent_share/{stream}/basis", detail)
    for stream, own in assessment.stream_only.items():
        found = lock.named(stream)
        if found is None or found.own_schema is None:
            raise _refusal(
                "unknown_stream", "/stream_only", "A stream named here does not exist or keeps no own facts."
            )
        _check_own(stream, own, found.pack_hash, found.own_schema)


MAX_DEPTH = 10
"""Of a stream's own facts: the one place where the form's types set no limit. None goes deeper than three."""


def _deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_deeper(one, levels - 1) for one in inside)


def _check_own(stream: str, own: dict[str, Any], pack_hash: str, schema: dict[str, Any]) -> None:
    if _deeper(own, MAX_DEPTH):
        raise _refusal("invalid_field", f"/stream_only/{stream}", "This is nested too deep.")
    fault = next(iter(_validator(stream, pack_hash, _Schema(schema)).iter_errors(own)), None)
    if fault is not None:
        where = "/".join(str(part) for part in (*fault.instance_path,) if _safe(part))
        pointer = f"/stream_only/{stream}" + (f"/{where}" if where else "")
        raise _refusal("invalid_field", pointer, f"This does not fit the stream's own facts ({_kind(fault)}).")


def _safe(part: object) -> bool:
    return isinstance(part, int) or str(part).replace("_", "").isalnum()


def _kind(fault: Any) -> str:
    """The schema keyword that failed, never the message: that repeats the value."""
    path = list(fault.schema_path)
    return str(path[-1]) if path and isinstance(path[-1], str) else "schema"


class _Schema(dict[str, Any]):
    """Hashable by identity of content for the cache: the stream and its pack's hash say which it is."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def __eq__(self, other: object) -> bool:
        return True


@cache
def _validator(stream: str, pack_hash: str, schema: _Schema) -> Any:
    return jsonschema_rs.validator_for(dict(schema), validate_formats=True)
