"""A stream's process in four verbs, in the plural: load many, decide each, save many, publish many."""

from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from chassis.auth import REPLAYING, Caller
from chassis.service import Command, Handlers, Received
from chassis.transaction import Cause, Transaction
from contracts.assessment import AssessmentFinalised
from contracts.budget import FactsSupplied
from contracts.event import payload_hash
from contracts.facts import Notice
from contracts.kept import json_of
from contracts.refusal import Refusal
from rulekit.stream import Stream
from streamkit import store
from streamkit.case import StreamCase


def handlers_of(stream: Stream) -> Handlers:
    """A stream reads its own copies of assessments, and the facts it waits for where it needs any."""
    handlers = Handlers()
    reads = (AssessmentFinalised, FactsSupplied) if stream.definition.needs else (AssessmentFinalised,)

    @handlers.on(*reads, audience=stream.name)
    async def decide(batch: list[Received[Any]], tx: Transaction) -> None:
        cases = await store.load(tx, (r.event.assessment_ref for r in batch))
        known = set(cases)
        causes: dict[UUID, Cause] = {}
        for received in batch:
            event, cause = received.event, Cause.of(received)
            causes[event.assessment_ref] = cause
            case = cases.get(event.assessment_ref)
            if case is None:
                case = StreamCase(event.assessment_ref, event.person_ref, cause.correlation_id)
                cases[event.assessment_ref] = case
            if isinstance(event, FactsSupplied):
                case.supply(event, received.payload)
            else:
                case.ask(event, received.payload)
        for ref, case in cases.items():
            decide_and_tell(tx, case, stream, causes[ref])
        await _save(tx, cases.values(), known)

    return handlers


def decide_and_tell(tx: Transaction, case: StreamCase, stream: Stream, cause: Cause) -> None:
    answer = case.decide(stream)
    if answer is not None:
        tx.publish(answer, cause, payload=json_of(case, "decided"))


async def _save(tx: Transaction, cases: Iterable[StreamCase], known: set[UUID]) -> None:
    cases = list(cases)
    await store.save(
        tx,
        new=[c for c in cases if c.assessment_ref not in known],
        known=[c for c in cases if c.assessment_ref in known],
    )


async def notify(tx: Transaction, stream: Stream, ref: UUID, notice: Notice, caller: Caller) -> int:
    """Take in what the deciding body said, and decide again. Returns the revision of the answer it led to.

    Raises Refusal: stream_not_asked (for another council's case too), notice_conflict. The same notice again changes
    nothing.
    """
    case = (await store.load(tx, [ref])).get(ref)
    if case is None or case.asked is None or not caller.may_see(case.council):
        raise Refusal("stream_not_asked", "This stream has not been asked about that assessment.")
    content_hash = payload_hash(msgspec.json.encode(notice))
    kept = await store.keep_notice(tx, ref, notice, content_hash)
    if kept is not None and kept != content_hash:
        raise Refusal("notice_conflict", "Another notice with this reference says something else. Use a new reference.")
    if kept is None:
        caller.record(tx, "notice_taken", ref, stream=stream.name, decision=notice.decision)
        case.tell(notice)
        decide_and_tell(tx, case, stream, Cause(case.correlation_id))
        await store.save(tx, [], [case])
    return case.revision


async def notices_told(tx: Transaction, stream: Stream) -> list[Command]:
    """Every notice taken in so far, to be taken in again by a replay."""
    return [
        Command(at, partial(notify, stream=stream, ref=ref, notice=notice, caller=REPLAYING))
        for ref, at, notice in await store.notices(tx)
    ]
