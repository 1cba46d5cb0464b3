"""Parked messages once more onto the topic they came from, under the same event ids: for when what happens on the way
must happen again, not only the handler. A release is simpler and keeps the order; this does not, against messages that
wait in the topic already.

The event goes through its publisher's outbox, so that it is the publisher's relay, with the publisher's rights, that
sends it; other readers drop it as a repeat. No service's role may delete inbox marks or write to another's outbox, so
this runs as the role that owns the schemas.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from chassis import parking
from chassis.database import Database
from chassis.inbox import Message
from chassis.service import Service, SystemClock
from chassis.transaction import Staged, Transaction, Transactions, append, shard_of
from contracts.event import SOURCE_PREFIX
from contracts.refusal import Refusal

FORGET = "DELETE FROM inbox WHERE event_id = ANY(CAST(:ids AS uuid[]))"


@dataclass(frozen=True, slots=True)
class Redrive:
    """For one service. `publishers` by their source (`/tributary/ras`); `owner` connects as the owner of all schemas,
    in the service's schema."""

    service: Service
    owner: Database
    publishers: Mapping[str, Service]
    actor: str
    reason: str

    async def redrive(self, person_ref: UUID) -> int:
        """Send the person's parked messages again, in order; returns how many. Raises Refusal not_redrivable."""
        transactions = Transactions(self.owner, self.service.name, SystemClock())

        async def once() -> int:
            async with transactions() as tx:
                return await self._redrive(tx, person_ref)

        return await self.owner.retrying(once)

    async def _redrive(self, tx: Transaction, person_ref: UUID) -> int:
        taken = await parking.take(tx, person_ref, "redriven")
        if not taken:
            return 0
        for one in taken:
            await self._tell_again(tx, one.message)
        await tx.execute(FORGET, {"ids": [one.message.event_id for one in taken]})
        tx.record(self.actor, "replay.redrive", f"person/{person_ref}", self.reason, messages=len(taken))
        return len(taken)

    async def _tell_again(self, tx: Transaction, message: Message) -> None:
        if message.received is None:
            raise Refusal("not_redrivable", "A message that cannot be read would be parked again. Discard it.")
        envelope = message.received.envelope
        publisher = self.publishers.get(envelope.source)
        if publisher is None or message.record.topic not in publisher.topics_written():
            raise Refusal("not_redrivable", "No service of this deployment may write this message to its topic.")
        again = Transaction(tx.connection, envelope.source, envelope.time)
        again.staged = [
            Staged(
                shard_of(envelope.subject),
                envelope.id,
                envelope.type,
                message.record.topic,
                envelope.subject,
                envelope.correlation_id,
                envelope.causation_id,
                envelope.traceparent,
                message.record.value,
            )
        ]
        await _in(tx, publisher.schema)
        await append(again)
        await _in(tx, self.service.schema)


async def _in(tx: Transaction, schema: str) -> None:
    await tx.execute("SELECT set_config('search_path', :schema, true)", {"schema": schema})


def by_source(services: Mapping[str, Service]) -> dict[str, Service]:
    return {f"{SOURCE_PREFIX}{name}": service for name, service in services.items()}
