"""What a form that parses may still get wrong: absurd amounts, consent without basis, notices nobody can send."""

from datetime import date
from typing import Any

import msgspec
import pytest

from chassis.parse import parse
from contracts.facts import AlignedAssessment, Notice
from contracts.lock import lock
from contracts.refusal import Refusal
from services.assessment.domain.assessment import roll_call
from services.assessment.domain.checks import check, check_notice

PERSON = {"person_id": "p", "date_of_birth": "1960-01-01", "primary_user_group": "PD"}
FORM: dict[str, Any] = {
    "assessment_id": "A",
    "council": "council-a",
    "rule_pack": "pilot-2007",
    "effective_date": "2007-06-04",
    "person": PERSON,
}


def form(**changes: Any) -> AlignedAssessment:
    return msgspec.convert({**FORM, **changes}, AlignedAssessment)


def refused(assessment: AlignedAssessment) -> tuple[str, str]:
    with pytest.raises(Refusal) as refusal:
        check(assessment, lock())
    return refusal.value.code, refusal.value.faults[0].pointer


def test_a_plain_form_passes() -> None:
    check(form(), lock())


def test_work_costs_that_are_absurd_together() -> None:
    need = {"kind": "support_worker", "weekly_pence": 50_000_000, "count": 2}
    check(form(work={"workplace_needs": [need]}), lock())  # £1,000,000.00 exactly
    need["count"] = 3
    code, pointer = refused(form(work={"workplace_needs": [need]}))
    assert (code, pointer.split("/")) == ("invalid_field", ["", "work", "workplace_needs", "0"])


@pytest.mark.parametrize(("nights", "fits"), [(14, True), (15, False)])
def test_more_nights_than_a_week_has(nights: int, fits: bool) -> None:
    units = [{"unit": "sleeping_night", "quantity": n, "domain": "D11"} for n in (7, nights - 7)]
    if fits:
        check(form(support_units=units), lock())
    else:
        assert refused(form(support_units=units)) == ("invalid_field", "/support_units/1/quantity")


def test_sharing_without_consent_needs_its_basis() -> None:
    consent = {"ilf": {"status": "not_required"}}
    pointer = "/person/consent_share/ilf/basis"
    assert refused(form(person={**PERSON, "consent_share": consent})) == ("missing_field", pointer)
    consent["ilf"]["basis"] = "statute"
    check(form(person={**PERSON, "consent_share": consent}), lock())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"stream": "social_care"}, "notice_not_taken"),
        ({"stream": "ices"}, "notice_not_taken"),
        ({"effective_from": date(9999, 12, 31)}, "invalid_field"),
        ({"decided_on": date(1, 1, 1)}, "invalid_field"),
        ({"decision": "changed"}, "notice_amount_missing"),
        ({"stream": "nobody"}, "unknown_stream"),
    ],
)
def test_notices_that_are_refused(changes: dict[str, Any], code: str) -> None:
    asked, _ = roll_call(form(), lock())
    notice = Notice(stream="ilf", decision="confirmed", reference="R")
    check_notice(notice, asked, lock())
    with pytest.raises(Refusal) as refusal:
        check_notice(msgspec.structs.replace(notice, **changes), asked, lock())
    assert refusal.value.code == code


def test_a_field_given_twice_is_refused() -> None:
    with pytest.raises(Refusal, match="twice") as refusal:
        parse(b'{"person_pence": 9900000, "person_pence": 0}', dict)
    assert refusal.value.code == "malformed_json"
