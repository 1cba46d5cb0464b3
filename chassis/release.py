"""What an operator does about one service's parked messages: look, release in the person's order, discard, reveal.
Whatever changes or shows something is audited in the same commit. The command line and the HTTP routes both work
through this."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from chassis import parking, stopped
from chassis.database import Database, is_transient
from chassis.parking import CONFLICT, HANDLER, Parked, Wanted
from chassis.service import Handlers
from chassis.stopped import Stop
from chassis.transaction import Transaction
from contracts.refusal import Refusal

T = TypeVar("T")

PLAN = """
SELECT person_ref, min(id) AS head, count(*) AS messages, (array_agg(reason ORDER BY id))[1] AS reason
FROM parked WHERE released_at IS NULL AND blocks AND (:everybody OR person_ref IN (
  SELECT person_ref FROM parked WHERE released_at IS NULL AND blocks
  AND (id = ANY(CAST(:ids AS bigint[])) OR person_ref = ANY(CAST(:people AS uuid[])) OR reason = :reason)))
GROUP BY person_ref ORDER BY head LIMIT :most
"""
FAILED = """
UPDATE parked SET attempts = attempts + 1, last_tried_at = CAST(:now AS timestamptz),
  reason = CASE WHEN id = :id THEN :reason ELSE reason END
WHERE person_ref = :person AND released_at IS NULL AND blocks AND id <= :id
"""
OPEN = "SELECT id, person_ref, blocks FROM parked WHERE id = :id AND released_at IS NULL"
BODY = "SELECT topic, partition, record_offset, key, headers, payload FROM parked WHERE id = :id"
LEFT = "SELECT count(*) FROM parked WHERE person_ref = :person AND released_at IS NULL AND blocks"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Whose messages to release: those of these messages, of these people, with this reason, or everybody's."""

    ids: tuple[int, ...] = ()
    people: tuple[UUID, ...] = ()
    reason: str = ""
    everybody: bool = False
    most: int = 1_000_000


class Person(msgspec.Struct, frozen=True):
    """What a release would do: `messages` of this person, the first of them `head`, parked for `reason`."""

    person_ref: UUID
    head: int
    messages: int
    reason: str


class Outcome(msgspec.Struct, frozen=True):
    """`released` messages; or 0, and message `failed_at` is why all stay parked, with its new `reason`."""

    person_ref: UUID
    released: int
    failed_at: int | None = None
    reason: str = ""


class Discarded(msgspec.Struct, frozen=True):
    """`waiting` messages of the person are parked still: release them next."""

    id: int
    person_ref: UUID
    waiting: int


class Body(msgspec.Struct, frozen=True):
    """A parked message as it came. Text is UTF-8 where it can be, else hexadecimal behind `hex:`."""

    id: int
    key: str
    headers: list[tuple[str, str]]
    payload: str


class _Fails(Exception):
    """Message `at` still cannot be handled."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(reason)
        self.at, self.reason = at, reason


@dataclass(frozen=True, slots=True)
class Operating:
    """One service's parked messages, worked on by `actor` (a caller's or an operator's name)."""

    handlers: Handlers
    database: Database
    transactions: Callable[[], Any]
    actor: str

    async def listed(self, wanted: Wanted) -> list[Parked]:
        return await self._done(lambda tx: parking.list_parked(tx, wanted))

    async def shown(self, message_id: int) -> Parked:
        """Raises Refusal not_found."""
        for found in await self.listed(Wanted(ids=(message_id,))):
            return found
        raise Refusal("not_found", "No message of this id was ever parked at this service.")

    async def revealed(self, message_id: int, reason: str) -> Body:
        """The body, in the commit that says who saw it and why. Raises Refusal: reason_missing, not_found."""
        why = needed(reason)

        async def reveal(tx: Transaction) -> Body:
            row = (await tx.execute(BODY, {"id": message_id})).first()
            if row is None:
                raise Refusal("not_found", "No message of this id was ever parked at this service.")
            tx.record(self.actor, "parked.revealed", f"parked/{message_id}", why)
            record = parking.record_of(row)
            headers = [(name, _text(value)) for name, value in record.headers]
            return Body(message_id, _text(record.key), headers, _text(record.value))

        return await self._done(reveal)

    async def planned(self, choice: Choice) -> list[Person]:
        """What `release` would be asked to do, oldest first. Changes nothing.

        Raises Refusal not_releasable: another body under an id that is done can only be discarded."""
        if choice.ids and any(one.reason == CONFLICT for one in await self.listed(Wanted(ids=choice.ids))):
            raise Refusal("not_releasable", "This id was handled already with another body: discard this one.")
        values = msgspec.structs.asdict(choice) | {"ids": list(choice.ids), "people": list(choice.people)}

        async def plan(tx: Transaction) -> list[Person]:
            return [Person(**row) for row in (await tx.execute(PLAN, values)).all()]

        return await self._done(plan)

    async def release(self, person_ref: UUID, why: str = "") -> Outcome:
        """Run the person's messages through their handlers, in order, in one transaction: all or none. Where one
        fails again, that is kept with its new reason and everything stays parked."""
        try:
            return await self._done(lambda tx: self._release(tx, person_ref, why))
        except _Fails as fault:
            at, reason = fault.at, fault.reason
        await self._done(lambda tx: self._keep_failure(tx, person_ref, at, reason))
        return Outcome(person_ref, 0, at, reason)

    async def _release(self, tx: Transaction, person_ref: UUID, why: str) -> Outcome:
        taken = await parking.take(tx, person_ref)
        for one in taken:
            if one.message.received is None:
                raise _Fails(one.id, one.message.fault)
            try:
                # one by one: then it is known which fails
                await self.handlers.handle([one.message.received], tx)
            except Exception as fault:
                if is_transient(fault):
                    raise
                raise _Fails(one.id, f"{HANDLER}{type(fault).__name__}") from fault
        if taken:
            tx.record(self.actor, "parked.released", f"person/{person_ref}", why, messages=len(taken))
        return Outcome(person_ref, len(taken))

    async def _keep_failure(self, tx: Transaction, person_ref: UUID, at: int, reason: str) -> None:
        await tx.execute(FAILED, {"person": person_ref, "id": at, "reason": reason, "now": tx.now})
        tx.record(self.actor, "parked.release_failed", f"person/{person_ref}", "", message=at, fault=reason)

    async def release_all(self, people: Sequence[Person], rate: float, why: str = "") -> AsyncIterator[Outcome]:
        """One person after the other, at most `rate` a second."""
        loop = asyncio.get_running_loop()
        for person in people:
            started = loop.time()
            yield await self.release(person.person_ref, why)
            await asyncio.sleep(max(0.0, 1 / rate - (loop.time() - started)))

    async def stopped(self) -> Stop | None:
        """Why the service's consumer has stopped itself; None while it is at work, or none is running."""
        return await self._done(stopped.read)

    async def resume(self, reason: str, *, park_them: bool) -> Stop:
        """Let a consumer that stopped itself go on at once. `park_them`: these really are bad messages, park however
        many there are for the next ten minutes. Raises Refusal: reason_missing, not_stopped."""
        why = needed(reason)

        async def resume(tx: Transaction) -> Stop:
            found = await stopped.read(tx)
            if found is None:
                raise Refusal("not_stopped", "This service's consumer has not stopped itself.")
            await stopped.ask_to_resume(tx, park_them=park_them)
            tx.record(self.actor, "consumer.resumed", "consumer", why, park_them=park_them, people=found.people)
            return found

        return await self._done(resume)

    async def discard(self, message_id: int, reason: str) -> Discarded:
        """Give one message up for good; its row is kept. What waits behind it stays parked until the next release,
        and the person's new messages go behind that. Raises Refusal: reason_missing, not_parked."""
        why = needed(reason)

        async def discard(tx: Transaction) -> Discarded:
            row = (await tx.execute(OPEN, {"id": message_id})).first()
            if row is None:
                raise Refusal("not_parked", "This message is not parked, or no longer.")
            await tx.execute(parking.LOCK_PERSON, {"person": row.person_ref})
            ended = await tx.execute(parking.END, {"ids": [message_id], "now": tx.now, "how": "discarded"})
            if not ended.all():
                raise Refusal("not_parked", "This message is not parked, or no longer.")
            tx.record(self.actor, "parked.discarded", f"parked/{message_id}", why)
            left = (await tx.execute(LEFT, {"person": row.person_ref})).scalar()
            return Discarded(message_id, row.person_ref, left)

        return await self._done(discard)

    async def _done(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """In a transaction of its own, again where the fault is transient."""

        async def once() -> T:
            async with self.transactions() as tx:
                return await work(tx)

        return await self.database.retrying(once)


def needed(reason: str) -> str:
    """Raises Refusal reason_missing."""
    if not reason.strip():
        raise Refusal("reason_missing", "Say why: the reason is kept in the audit log with your name.")
    return reason.strip()


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "hex:" + value.hex()
