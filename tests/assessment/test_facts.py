"""What is derived from a form, and what each reader is sent of it: its declared fields and not one more."""

import json
from datetime import date
from typing import Any

import msgspec
import pytest

from contracts.assessment import AssessmentFinalised
from contracts.lock import lock
from services.assessment.domain.assessment import (
    assessment_ref,
    content_hash,
    derived_facts,
    finalised,
    person_ref,
    years,
)
from tests.assessment.forms import filled_in, form, secrets_in
from tests.ras.deciding import stream

PEPPER = b"a pepper"


def copies(**changes: Any) -> dict[str, AssessmentFinalised]:
    return {copy.audience: copy for copy in finalised(form(**changes), lock(), PEPPER)}


def facts_of(copy: AssessmentFinalised) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytes(copy.facts))
    return found


def undeclared(value: Any, spec: Any, where: str = "") -> list[str]:
    """Paths in `value` that `spec` does not name."""
    if spec is True:
        return []
    if "*" in spec:
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        return [found for key, each in parts for found in undeclared(each, spec["*"], f"{where}/{key}")]
    found = [f"{where}/{name}" for name in value if name not in spec]
    return found + [f for name in value if name in spec for f in undeclared(value[name], spec[name], f"{where}/{name}")]


def test_each_reader_gets_what_it_declared_and_nothing_else() -> None:
    made = copies()
    declared = {s.name: s.facts for s in lock().streams} | {r.name: r.facts for r in lock().readers}
    assert set(made) == {
        "social_care", "supporting_people", "ilf", "access_to_work", "ices", "dfg", "chc", "ras"
    }  # fmt: skip
    for reader, copy in made.items():
        facts = facts_of(copy)
        facts.pop("own", None)
        assert undeclared(facts, declared[reader]) == []
        assert facts, f"{reader} is sent nothing, so this proves nothing"
        assert secrets_in(msgspec.json.encode(copy)) == []


def test_it_is_all_there_in_the_form_that_stays() -> None:
    """So that the test above looks for things that could have been sent."""
    assert len(secrets_in(json.dumps(filled_in()))) == 8


def test_what_each_reader_may_not_see_of_what_others_may() -> None:
    made = {reader: facts_of(copy) for reader, copy in copies().items()}
    assert set(made["access_to_work"]) == {"age", "work"}
    assert "weekly_earnings_pence" not in made["access_to_work"]["work"]
    assert set(made["ices"]) <= {"equipment"}
    assert set(made["supporting_people"]) <= {"age", "housing"}
    assert not {"income", "capital", "work"} & set(made["social_care"])
    assert made["ras"]["dre"] == [{"weekly_pence": 1200}]
    assert made["ras"]["carers"] == [{"c_d": {"D01": 0.25}}]
    assert [reader for reader, facts in made.items() if "own" in facts] == ["ilf"]
    assert made["ilf"]["own"] == {"care_hours_weekly": 46, "hourly_rate_pence": 1500}


def test_every_copy_is_what_its_reader_can_read() -> None:
    from services.ras.facts import Facts

    for reader, copy in copies().items():
        kind = Facts if reader == "ras" else stream(reader).facts
        assert msgspec.json.decode(copy.facts, type=kind).__struct_fields__ == kind.__struct_fields__


def test_only_the_allocation_service_learns_who_is_asked() -> None:
    made = copies()
    assert [a.stream for a in made["ras"].roll_call] == [s.name for s in lock().streams]
    assert all(copy.roll_call == () and copy.not_asked == () for reader, copy in made.items() if reader != "ras")


# Who


def test_a_person_is_a_pseudonym_of_council_person_and_secret() -> None:
    one = form()
    again = form(version=2, effective_date="2008-02-01")
    elsewhere = form(council="council-b")
    somebody = msgspec.convert(filled_in() | {"person": filled_in()["person"] | {"person_id": "X"}}, type(one))
    assert person_ref(one, PEPPER) == person_ref(again, PEPPER)
    assert len({person_ref(p, PEPPER) for p in (one, elsewhere, somebody)} | {person_ref(one, b"other")}) == 4


def test_a_reference_is_of_council_id_and_version() -> None:
    refs = {assessment_ref(form(**c)) for c in ({}, {"version": 2}, {"council": "council-b"}, {"assessment_id": "X"})}
    assert len(refs) == 4
    assert assessment_ref(form(expected_weeks=5)) == assessment_ref(form())
    assert copies(version=2)["ras"].supersedes == assessment_ref(form())
    assert copies()["ras"].supersedes is None


def test_content_is_what_is_said_and_not_how_it_is_written() -> None:
    shuffled = json.loads(json.dumps(filled_in(), indent=3), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert content_hash(msgspec.convert(shuffled, type(form()))) == content_hash(form())
    assert content_hash(form(version=1, disclosure_refused=False)) == content_hash(form())
    assert content_hash(form(disclosure_refused=True)) != content_hash(form())


# Derived


@pytest.mark.parametrize(
    ("born", "on", "age"),
    [
        ("1989-09-03", "2007-09-02", 17),
        ("1989-09-03", "2007-09-03", 18),
        ("1989-09-03", "2007-09-04", 18),
        ("1942-09-03", "2007-09-02", 64),
        ("1942-09-03", "2007-09-03", 65),
        ("1988-02-29", "2007-02-28", 18),
        ("1988-02-29", "2007-03-01", 19),
        ("1988-02-29", "2008-02-29", 20),
        ("2007-09-03", "2007-09-03", 0),
    ],
)
def test_age_changes_on_the_birthday(born: str, on: str, age: int) -> None:
    assert years(date.fromisoformat(born), date.fromisoformat(on)) == age
    derived = derived_facts(form(effective_date=on, person=filled_in()["person"] | {"date_of_birth": born}))
    assert (derived["age"], derived["age_when_applied"]) == (age, age)


def test_a_grant_looks_at_the_age_on_the_day_it_was_applied_for() -> None:
    person = filled_in()["person"] | {"date_of_birth": "1989-09-03"}
    derived = derived_facts(form(person=person, adaptation={"applied_on": "2007-09-02"}))
    assert (derived["age"], derived["age_when_applied"]) == (18, 17)


def levels(**changes: Any) -> Any:
    return derived_facts(form(**{"domain_levels": {}, **changes}))["agreed_levels"]


def test_a_domain_takes_the_highest_of_its_answers() -> None:
    answers = {"wash": 1, "dress": 3, "toilet": 2}
    assert levels(personal_care=answers) == {"D02": 3}
    assert levels(personal_care={"continence_bowel": 4}, eating={"prepare_meals_help": 2}) == {"D01": 2, "D02": 4}
    assert levels(personal_care={"skin_risk": 4}) == {}, "a risk of sores is no need for help with washing"


def test_what_was_agreed_stands_over_the_answers_up_and_down() -> None:
    answers = {"wash": 3}
    assert levels(personal_care=answers, domain_levels={"D02": 1}) == {"D02": 1}
    assert levels(personal_care=answers, domain_levels={"D02": 4}) == {"D02": 4}
    assert levels(personal_care=answers, domain_levels={"D02": 0}) == {}


UNITS = [{"unit": "sleeping_night", "quantity": 3, "domain": "D11"}]


@pytest.mark.parametrize(
    ("changes", "bought"),
    [
        ({}, False),
        ({"domain_levels": {"D11": 2}}, True),
        ({"nights": {"night_help": 1}}, True),
        ({"support_units": UNITS}, True),
        ({"domain_levels": {"D11": 2}, "carers": [{"c_d": {"D11": 1}}]}, False),
        ({"domain_levels": {"D11": 2}, "carers": [{"c_d": {"D11": 0.5}}, {"c_d": {"D11": 0.5}}]}, False),
        ({"domain_levels": {"D11": 2}, "carers": [{"c_d": {"D11": 0.75}}]}, True),
        ({"domain_levels": {"D11": 2}, "carers": [{"c_d": {"D11": 1}, "willing": {"D11": False}}]}, True),
        ({"domain_levels": {"D11": 2}, "carers": [{"c_d": {"D11": 1}, "able": {"D11": False}}]}, True),
        ({"domain_levels": {"D11": 2}, "nights": {"council_night_care": False}}, False),
        ({"nights": {"council_night_care": True}}, True),
    ],
)
def test_who_buys_the_nights(changes: dict[str, Any], bought: bool) -> None:
    blank: dict[str, Any] = {"domain_levels": {}, "carers": [], "nights": {}}
    assert derived_facts(form(**(blank | changes)))["council_buys_night_care"] is bought


def test_who_lives_there() -> None:
    derived = derived_facts(form())
    assert (derived["has_partner"], derived["has_dependent_child"]) == (True, True)
    away = [{"relation": "partner", "lives_in": False}, {"relation": "child"}]
    derived = derived_facts(form(person=filled_in()["person"] | {"household": away}))
    assert (derived["has_partner"], derived["has_dependent_child"]) == (False, False)
