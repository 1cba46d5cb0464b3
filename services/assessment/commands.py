"""What may be done with an assessment: create, edit, record consent, finalise. One at a time or many at once."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from chassis.auth import Caller
from chassis.transaction import Cause, Transaction
from contracts.assessment import AssessmentFinalised
from contracts.facts import AlignedAssessment
from contracts.facts.person import Consent
from contracts.lock import lock
from contracts.refusal import FieldFault, Refusal
from services.assessment import store
from services.assessment.domain import assessment as domain
from services.assessment.domain.checks import check, unknown_council
from services.assessment.store import Stored


def stored(assessment: AlignedAssessment, tx: Transaction, pepper: bytes, *, final: bool) -> Stored:
    return Stored(
        assessment_ref=domain.assessment_ref(assessment),
        person_ref=domain.person_ref(assessment, pepper),
        council=assessment.council,
        content_hash=domain.content_hash(assessment),
        body=msgspec.json.encode(assessment),
        final=final,
        edit=1,
        root_id=domain.root_id(tx.now),
    )


async def create(tx: Transaction, assessment: AlignedAssessment, pepper: bytes, caller: Caller) -> tuple[Stored, bool]:
    """Keep a draft. Returns it and whether it is new; the same content again is no conflict.

    Raises Refusal: the codes of `checks.check`, or assessment_conflict for the same id with other content. A council
    the caller has nothing to do with is as unknown as one that is not set up.
    """
    check(assessment, lock())
    if not caller.may_see(assessment.council):
        raise unknown_council()
    draft = stored(assessment, tx, pepper, final=False)
    if await store.add(tx, [(draft, assessment)], final=False):
        return draft, True
    known = (await store.get(tx, [draft.assessment_ref]))[draft.assessment_ref]
    if known.content_hash != draft.content_hash:
        raise conflict()
    return known, False


def conflict() -> Refusal:
    detail = "An assessment with this id and version says something else. Give the changed one the next version."
    return Refusal("assessment_conflict", detail, [FieldFault("/assessment_id", "assessment_conflict", detail)])


async def the(tx: Transaction, ref: UUID, caller: Caller) -> Stored:
    """Raises Refusal not_found, for another council's too."""
    found = (await store.get(tx, [ref])).get(ref)
    if found is None or not caller.may_see(found.council):
        raise Refusal("not_found", "There is no assessment of this reference.")
    return found


async def edit(
    tx: Transaction,
    ref: UUID,
    changed: AlignedAssessment,
    pepper: bytes,
    caller: Caller,
    *,
    expected_edit: int | None,
) -> Stored:
    """Replace a draft. Raises Refusal: not_found, assessment_final, edit_conflict, or what `check` finds."""
    check(changed, lock())
    known = await the(tx, ref, caller)
    if known.final:
        raise Refusal("assessment_final", "A final assessment is never edited. Send the next version.")
    if domain.assessment_ref(changed) != ref:
        raise Refusal("assessment_conflict", "The id, council and version must stay those of this draft.")
    if expected_edit is not None and expected_edit != known.edit:
        raise Refusal("edit_conflict", "Somebody else has edited this since. Read it again, then send If-Match.")
    draft = msgspec.structs.replace(stored(changed, tx, pepper, final=False), edit=known.edit + 1)
    await store.edit(tx, draft)
    return draft


async def record_consent(
    tx: Transaction, ref: UUID, stream: str, consent: Consent, pepper: bytes, caller: Caller
) -> Stored:
    """Say whether a stream may see the assessment; on a draft only, because the roll-call is fixed when it is final."""
    assessment = (await the(tx, ref, caller)).assessment()
    shared = {**assessment.person.consent_share, stream: consent}
    person = msgspec.structs.replace(assessment.person, consent_share=shared)
    changed = msgspec.structs.replace(assessment, person=person)
    draft = await edit(tx, ref, changed, pepper, caller, expected_edit=None)
    caller.record(tx, "consent_recorded", ref, stream=stream, status=consent.status)
    return draft


async def finalise(tx: Transaction, ref: UUID, pepper: bytes, caller: Caller) -> AssessmentFinalised:
    """Fix the roll-call and tell every reader. Returns the copy that carries the roll-call. Again changes nothing."""
    known = await the(tx, ref, caller)
    copies = domain.finalised(known.assessment(), lock(), pepper)
    if not known.final:
        await store.finalise(tx, ref)
        caller.record(tx, "assessment_finalised", ref)
        tell(tx, known, copies)
    return copies[-1]


def tell(tx: Transaction, known: Stored, copies: Sequence[AssessmentFinalised]) -> None:
    cause = Cause(known.root_id)
    for copy in copies:
        tx.publish(copy, cause, copy.audience)


async def take_in(
    tx: Transaction, assessments: Sequence[AlignedAssessment], pepper: bytes, actor: str = ""
) -> dict[UUID, Refusal | None]:
    """Create and finalise many in one transaction. What is known already with the same content is left as it is.
    `actor`, where given, is kept in the audit log as who finalised each.

    `check` has passed for each. Returns a refusal for those whose id is taken by other content.
    """
    new = [(stored(a, tx, pepper, final=True), a) for a in assessments]
    added = await store.add(tx, new, final=True)
    for one, assessment in new:
        if one.assessment_ref in added:
            tell(tx, one, domain.finalised(assessment, lock(), pepper))
            if actor:
                tx.record(actor, "assessment_finalised", str(one.assessment_ref))
    outcome: dict[UUID, Refusal | None] = {s.assessment_ref: None for s, _ in new}
    again = [s for s, _ in new if s.assessment_ref not in added]
    if again:
        known = await store.get(tx, [s.assessment_ref for s in again])
        for one in again:
            if known[one.assessment_ref].content_hash != one.content_hash:
                outcome[one.assessment_ref] = conflict()
    return outcome
