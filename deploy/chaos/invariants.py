"""What must hold once the faults are over (the numbers are those of the engineering brief). Pure: evidence in, what is
wrong out. I2 and I3 come with the money, I4 is `rebuilt.py`."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from uuid import UUID

from chassis.audit import chained
from chassis.parking import BEHIND, CONFLICT
from contracts.budget import BudgetProposed, FactsSupplied
from contracts.event import EVENTS
from contracts.streams import StreamDecided
from deploy.chaos.evidence import Evidence, Told

COUNTED = {FactsSupplied.type, StreamDecided.type, BudgetProposed.type}
"""Facts whose revisions count 1, 2, 3 … for each thing they are about."""
SETTLED = ("PROPOSED", "NO_BUDGET", "SUPERSEDED")
FEW = 5


def one_budget_each(e: Evidence) -> list[str]:
    """I1: every final assessment has exactly one case, in a state that is settled, and no case lacks an assessment."""
    cases = Counter(ref for ref, _, _ in e.budgets)
    settled = {ref for ref, state, _ in e.budgets if state in SETTLED}
    return [
        *_some("final assessments without a settled budget", e.finals.keys() - settled),
        *_some("budgets of assessments nobody made", cases.keys() - e.finals.keys()),
        *_some("several budgets of one assessment", (ref for ref, n in cases.items() if n > 1)),
    ]


def quiet(e: Evidence) -> list[str]:
    """I5: everything is sent, everything is committed, nothing is parked, no clock has passed unseen."""
    wrong = [f"{schema} has {n} events not sent" for schema, n in e.unsent.items() if n]
    wrong += [f"{name} is {n} records behind" for name, n in e.lag.items() if n]
    wrong += [
        f"{n} messages are parked: {reason}" for reason, n in Counter(p.reason for p in e.parked if p.open).items()
    ]
    return wrong + ([f"{e.due} clocks have passed"] if e.due else [])


def nothing_lost_nothing_invented(e: Evidence) -> list[str]:
    """I6: what was told to a reader is what the reader handled or parked, each once and each for the right reason."""
    wrong: list[str] = []
    for schema, topics in e.reads.items():
        produced = {t.id for t in e.told if t.topic in topics}
        poison = {event for topic, event in e.injected.poison if topic in topics}
        parked = {p.event_id for p in e.parked if p.schema == schema and p.reason not in (BEHIND, CONFLICT)}
        conflicts = {(p.event_id, p.hash) for p in e.parked if p.schema == schema and p.reason == CONFLICT}
        sent = {(event, body) for topic, event, body in e.injected.conflicts if topic in topics}
        wrong += _some(f"{schema}: told and never handled", produced | poison, but=e.inbox[schema])
        wrong += _some(f"{schema}: handled and never told", e.inbox[schema], but=produced | poison)
        wrong += _some(f"{schema}: cannot be handled and was not parked", poison, but=parked)
        wrong += _some(f"{schema}: parked without a reason we know of", parked, but=poison)
        wrong += _some(f"{schema}: one id with another body passed in silence", sent, but=conflicts)
        wrong += _some(f"{schema}: a conflict nobody made", conflicts, but=sent)
    return wrong


def in_order(e: Evidence) -> list[str]:
    """I7: revisions count 1..n as they were told, and the log holds each person's events in the order of telling."""
    revisions: dict[tuple[object, ...], list[int]] = defaultdict(list)
    told: dict[tuple[str, str, str], list[UUID]] = defaultdict(list)
    for t in e.told:
        told[t.schema, t.topic, str(t.subject)].append(t.id)
        if t.type in COUNTED:
            *about, revision = EVENTS[t.type].decode(t.payload).identity()
            revisions[(t.type, *about)].append(int(str(revision)))
    uncounted = (key for key, found in revisions.items() if found != list(range(1, len(found) + 1)))
    logged: dict[tuple[str, str, str], dict[UUID, None]] = defaultdict(dict)
    publisher = {t.id: t.schema for t in e.told}
    for s in sorted(e.sent, key=lambda s: s[:3]):
        if s.id in publisher:
            logged[publisher[s.id], s.topic, s.key.decode()].setdefault(s.id)
    disordered = (key[2] for key, ids in told.items() if list(logged[key]) != ids)
    return [*_some("revisions not 1..n", uncounted), *_some("people whose events are in another order", disordered)]


def everything_has_a_cause(e: Evidence) -> list[str]:
    """I8: each event's cause was told, and the chain ends at an assessment that was made final."""
    known = {t.id: t for t in e.told}
    roots = set(e.finals.values())
    return [
        *_some("events whose cause nobody told", (t.id for t in e.told if t.causation and t.causation not in known)),
        *_some("events that no accepted assessment led to", (t.id for t in e.told if not _from(t, known, roots))),
    ]


def _from(told: Told, known: dict[UUID, Told], roots: set[UUID]) -> bool:
    seen = set()
    at: Told | None = told
    while at is not None and at.causation is not None and at.id not in seen:
        seen.add(at.id)
        at = known.get(at.causation)
    return at is not None and at.causation is None and at.correlation in roots and at.correlation == told.correlation


def duplicates_changed_nothing(e: Evidence) -> list[str]:
    """I9: things came twice, and no fact was told twice, neither under one id nor by one cause."""
    ids = Counter(t.id for t in e.told)
    effects = Counter((t.schema, t.topic, t.causation) for t in e.told if t.causation is not None)
    arrived = Counter(s.id for s in e.sent if s.id is not None)
    wrong = [
        *_some("told twice under one id", (event for event, n in ids.items() if n > 1)),
        *_some("one cause, two effects", (key for key, n in effects.items() if n > 1)),
    ]
    if e.injected.repeats and not any(n > 1 for n in arrived.values()):
        wrong.append("nothing came twice, so nothing was shown")
    return wrong


def right_totals(e: Evidence) -> list[str]:
    """I10, its part on budgets: every budget is what was worked out by hand."""
    found = {ref: (state, totals) for ref, state, totals in e.budgets}
    return _some("budgets that are not right", (ref for ref, right in e.right.items() if found.get(ref) != right))


def audit_holds(e: Evidence) -> list[str]:
    """I11: every entry's hash follows from the one before, and the head is the last one."""
    wrong = []
    for schema, (rows, heads) in e.chains.items():
        last: dict[int, tuple[int, bytes]] = {}
        for shard, off, body, digest in rows:
            following, previous = last.get(shard, (0, b""))
            if off != following or bytes(digest) != chained(previous, body):
                wrong.append(f"{schema}: shard {shard} is broken at {off}")
            last[shard] = (off + 1, bytes(digest))
        wrong += [
            f"{schema}: the head of shard {shard} is not its last entry"
            for shard, following, digest in heads
            if (following, bytes(digest)) != last.get(shard, (0, b""))
        ]
    return wrong


def acknowledged_is_stored(e: Evidence) -> list[str]:
    """I12: whatever was answered 2xx is there."""
    return _some("acknowledged and not stored", e.acknowledged, but=e.finals.keys())


def nobody_is_named(e: Evidence) -> list[str]:
    """I13: no planted name or number outside the assessment service's own table."""
    return [f"a planted word in {where} ({n} times)" for where, n in Counter(e.leaks).items()]


INVARIANTS: dict[str, Callable[[Evidence], list[str]]] = {
    "I1": one_budget_each,
    "I5": quiet,
    "I6": nothing_lost_nothing_invented,
    "I7": in_order,
    "I8": everything_has_a_cause,
    "I9": duplicates_changed_nothing,
    "I10": right_totals,
    "I11": audit_holds,
    "I12": acknowledged_is_stored,
    "I13": nobody_is_named,
}


def broken(evidence: Evidence) -> dict[str, list[str]]:
    """Invariant -> what is wrong, only those that do not hold."""
    found = {name: invariant(evidence) for name, invariant in INVARIANTS.items()}
    return {name: wrong for name, wrong in found.items() if wrong}


def _some(what: str, found: Iterable[object], but: Iterable[object] = ()) -> list[str]:
    """One line for all of them, naming a few; they are ids, never people."""
    left = sorted({str(one) for one in found} - {str(one) for one in but})
    return [f"{len(left)} {what}: {', '.join(left[:FEW])}"] if left else []
