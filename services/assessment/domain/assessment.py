"""An aligned assessment: who it is about under which pseudonym, what follows from it, and its copies for each reader.

Pure: takes the date and the secret as arguments.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from contracts.assessment import Asked, AssessmentFinalised, NotAsked
from contracts.event import new_id, opaque_id
from contracts.facts import AlignedAssessment
from contracts.facts.bounds import Domain
from contracts.ids import named_id
from contracts.lock import Lock, Registered
from contracts.money import exact

NAMESPACE = UUID("6f1d0c9e-0a0b-5c0d-8e0f-7472696275ff")
DOMAIN_ANSWERS: dict[Domain, tuple[tuple[str, str], ...]] = {
    "D01": (("eating", "eat_drink_help"), ("eating", "prepare_meals_help")),
    "D02": (
        ("personal_care", "wash"),
        ("personal_care", "dress"),
        ("personal_care", "toilet"),
        ("personal_care", "continence_bladder"),
        ("personal_care", "continence_bowel"),
    ),
    "D03": (("mobility", "transfer"), ("mobility", "walk"), ("mobility", "stairs")),
    "D04": (("home", "clean"), ("home", "laundry"), ("home", "shop"), ("home", "manage_tenancy_bills")),
    "D05": (("relationships", "maintain_relationships"),),
    "D06": (("work", "work_learning_help"),),
    "D07": (("community", "use_transport"), ("community", "go_out_help")),
    "D08": (("caring_roles", "child_care_role"), ("caring_roles", "other_caring")),
    "D09": (("decisions", "memory"), ("decisions", "understand_choices"), ("decisions", "manage_money_help")),
    "D10": (
        ("safety", "risk_to_self"),
        ("safety", "risk_to_others"),
        ("safety", "behaviour_challenge"),
        ("safety", "self_neglect"),
    ),
    "D11": (("nights", "night_help"),),
}
"""Which answers speak for a need domain (rule book §22.2 column R). The highest counts [design]."""


def assessment_ref(assessment: AlignedAssessment) -> UUID:
    """The same council, id and version always give the same reference."""
    return named_id(NAMESPACE, f"{assessment.council}|{assessment.assessment_id}|{assessment.version}")


def earlier_ref(assessment: AlignedAssessment) -> UUID | None:
    """The version this one supersedes."""
    if assessment.version == 1:
        return None
    return assessment_ref(msgspec.structs.replace(assessment, version=assessment.version - 1))


def person_ref(assessment: AlignedAssessment, pepper: bytes) -> UUID:
    """A pseudonym nobody can turn back without the secret: a bare hash of a short number is guessed in minutes."""
    name = f"{assessment.council}|{assessment.person.person_id}".encode()
    return opaque_id(hmac.digest(pepper, name, hashlib.sha256))


def content_hash(assessment: AlignedAssessment) -> bytes:
    """Of the canonical form, so that white space and the order of fields make no difference."""
    return hashlib.sha256(msgspec.json.encode(assessment, order="sorted")).digest()


def years(born: date, on: date) -> int:
    """Whole years of age on a day."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def derived_facts(assessment: AlignedAssessment) -> dict[str, Any]:
    """See contracts/facts/derived.py for what each means."""
    born, on = assessment.person.date_of_birth, assessment.effective_date
    household = [m for m in assessment.person.household if m.lives_in]
    levels = agreed_levels(assessment)
    return {
        "age": years(born, on),
        "age_when_applied": years(born, assessment.adaptation.applied_on or on),
        "agreed_levels": levels,
        "council_buys_night_care": buys_night_care(assessment, levels),
        "has_partner": any(m.relation == "partner" for m in household),
        "has_dependent_child": any(m.relation == "dependent_child" for m in household),
    }


def agreed_levels(assessment: AlignedAssessment) -> dict[Domain, int]:
    """The level of each domain: the one agreed, else the highest of its answers. Domains at 0 are left out."""
    found = {
        domain: assessment.domain_levels.get(domain, max(getattr(getattr(assessment, g), f) for g, f in answers))
        for domain, answers in DOMAIN_ANSWERS.items()
    }
    return {domain: level for domain, level in found.items() if level}


def buys_night_care(assessment: AlignedAssessment, levels: Mapping[Domain, int]) -> bool:
    """As said, else where a night need is left for the council after the carers' share [design]."""
    said = assessment.nights.council_night_care
    if said is not None:
        return said
    needed = levels.get("D11", 0) > 0 or any(u.domain == "D11" and u.quantity for u in assessment.support_units)
    covered = sum(
        exact(c.c_d.get("D11", 0.0))
        for c in assessment.carers
        if c.willing.get("D11", True) and c.able.get("D11", True)
    )
    return needed and covered < 1


def roll_call(assessment: AlignedAssessment, lock: Lock) -> tuple[tuple[Asked, ...], tuple[NotAsked, ...]]:
    """Who must answer, fixed here and now. Every stream in force is asked, and is free to say no."""
    asked, not_asked = [], []
    for stream in lock.streams:
        refusal = _why_not(assessment, stream)
        if refusal is None:
            asked.append(Asked(stream.name, stream.clock_days, stream.needs, stream.gateway))
        else:
            not_asked.append(refusal)
    return tuple(asked), tuple(not_asked)


def _why_not(assessment: AlignedAssessment, stream: Registered) -> NotAsked | None:
    on = assessment.effective_date
    if not stream.start <= on <= stream.end:
        says = stream.ended_says or f"Not in force on {on.isoformat()}."
        return NotAsked(stream.name, "not_in_force", says, stream.statute)
    if stream.rule_set(assessment.rule_pack, on) is None:
        says = "This rule pack has no rule set for the stream on that date."
        return NotAsked(stream.name, "no_rule_set", says, "rule book §1")
    consent = assessment.person.consent_share.get(stream.name)
    if stream.shares == "consent" and consent is not None and consent.status in ("refused", "withdrawn"):
        reason = "consent_refused" if consent.status == "refused" else "consent_withdrawn"
        says = "The person did not agree to share their assessment with this stream."
        return NotAsked(stream.name, reason, says, "rule book §22.4")  # type: ignore[arg-type]
    return None


def finalised(assessment: AlignedAssessment, lock: Lock, pepper: bytes) -> list[AssessmentFinalised]:
    """One copy per reader: every stream of the roll-call, and the allocation service with the roll-call in it."""
    asked, not_asked = roll_call(assessment, lock)
    form = msgspec.to_builtins(assessment)
    derived = derived_facts(assessment)
    names = {a.stream for a in asked}
    whole = AssessmentFinalised(
        person_ref=person_ref(assessment, pepper),
        assessment_ref=assessment_ref(assessment),
        audience="",
        council=assessment.council,
        rule_pack=assessment.rule_pack,
        effective_date=assessment.effective_date,
        facts=NO_FACTS,
        supersedes=earlier_ref(assessment),
    )
    copies = [_copy(whole, s.name, _facts(form, derived, s.facts, s.name)) for s in lock.streams if s.name in names]
    for reader in lock.readers:
        copy = _copy(whole, reader.name, _facts(form, derived, reader.facts, ""))
        copies.append(msgspec.structs.replace(copy, roll_call=asked, not_asked=not_asked))
    return copies


NO_FACTS = msgspec.Raw(b"{}")


def _copy(whole: AssessmentFinalised, audience: str, facts: Mapping[str, Any]) -> AssessmentFinalised:
    return msgspec.structs.replace(whole, audience=audience, facts=msgspec.Raw(msgspec.json.encode(facts)))


def _facts(form: Mapping[str, Any], derived: Mapping[str, Any], wanted: Mapping[str, Any], own: str) -> dict[str, Any]:
    """The fields a reader declared, and no others. A field nobody answered is left out."""
    found: dict[str, Any] = {}
    for name, spec in wanted.items():
        if name in derived:
            found[name] = derived[name]
        elif name in form:
            found[name] = pick(form[name], spec)
    if own and own in form.get("stream_only", {}):
        found["own"] = form["stream_only"][own]
    return found


def pick(value: Any, spec: Any) -> Any:
    """The parts of a value that a reader declared (see `rulekit.projection.Spec`)."""
    if spec is True:
        return value
    if "*" in spec:
        inner = spec["*"]
        if isinstance(value, dict):
            return {key: pick(each, inner) for key, each in value.items()}
        return [pick(each, inner) for each in value]
    return {name: pick(value[name], inner) for name, inner in spec.items() if name in value}


def root_id(now: datetime) -> UUID:
    """The id everything that follows from this assessment is correlated by."""
    return new_id(now)
