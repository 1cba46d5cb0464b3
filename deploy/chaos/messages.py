"""A producer that puts on topics what no service of ours sends: repeats, conflicts, and what nobody can read."""

import asyncio
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime

import msgspec

from chassis import inbox
from chassis.bus import MAX_RECORD_BYTES, Outgoing, Record, RecordTooLarge
from chassis.service import all_topics
from contracts.assessment import AssessmentFinalised
from contracts.event import Envelope, new_id, payload_hash
from contracts.lock import lock
from deploy.chaos.evidence import Injected
from deploy.chaos.fleet import Fleet

GIANT = MAX_RECORD_BYTES - 4096
OURS = ("chaos", b"repeat")
"""A header a newer publisher might add: readers pass over what they do not know."""
UNKNOWN_VERSION = AssessmentFinalised.type.replace(".v1", ".v9")


@dataclass
class Meddler:
    """Keeps in `injected` all it did, so that the invariants can tell it from what the services did."""

    fleet: Fleet
    rng: random.Random
    injected: Injected

    async def repeat_some(self, share: float, conflicts: float, until: asyncio.Event) -> None:
        """Read along and send a `share` of all records once more, shuffled over people, in an order of their own; for
        a few, `conflicts`, another body under the same id."""
        group = f"chaos-meddler-{self.rng.getrandbits(32):08x}"
        consumer = await self.fleet.bus.consumer(group, all_topics(self.fleet.services))
        producer = await self.fleet.bus.producer(group)
        try:
            while not until.is_set():
                seen = [r for r in await consumer.poll(200, 0.3) if OURS not in r.headers]
                again = [
                    Outgoing(r.topic, r.key, r.value, [*r.headers, OURS]) for r in seen if self.rng.random() < share
                ]
                again += [c for o in again if self.rng.random() < conflicts and (c := self._conflict(o)) is not None]
                self.rng.shuffle(again)
                await producer.send(again)
                self.injected.repeats += len(again)
        finally:
            await asyncio.gather(consumer.close(), producer.close())

    def _conflict(self, out: Outgoing) -> Outgoing | None:
        """The same event id about the same person, with white space a second sender might put."""
        body = out.value + b" "
        message = inbox.read(Record(out.topic, 0, 0, out.key, body, out.headers))
        readers = [s for s in self.fleet.services if out.topic in s.handlers.topics()]
        if message.fault or not readers:
            return None
        self.injected.conflicts.add((out.topic, message.event_id, payload_hash(body)))
        return Outgoing(out.topic, out.key, body, out.headers)

    async def poison(self, stream: str, people: list[uuid.UUID]) -> None:
        """For each person one message in the stream's topic that it cannot handle, of each kind in turn."""
        kinds = (
            self._garbage,
            self._breaks_the_handler,
            self._unknown_version,
            self._no_envelope,
            self._wrong_fields,
            self._giant,
        )
        batch = [kinds[n % len(kinds)](stream, who) for n, who in enumerate(people)]
        producer = await self.fleet.bus.producer("chaos-poison")
        for out in batch:
            await producer.send([out])
            self.injected.poison.add((out.topic, inbox.read(Record(out.topic, 0, 0, *_parts(out))).event_id))
        await producer.close()

    async def oversized(self) -> bool:
        """Whether a record over the limit is refused before it is sent."""
        producer = await self.fleet.bus.producer("chaos-giant")
        topic = AssessmentFinalised.topic(lock().streams[0].name)
        try:
            await producer.send([Outgoing(topic, b"k", b"x" * (MAX_RECORD_BYTES + 1), ())])
        except RecordTooLarge:
            return True
        finally:
            await producer.close()
        return False

    def _garbage(self, stream: str, who: uuid.UUID) -> Outgoing:
        return self._message(stream, who, b"\xff\xfe not json")

    def _breaks_the_handler(self, stream: str, who: uuid.UUID) -> Outgoing:
        """Right in all but the facts, which only the handler reads."""
        event = AssessmentFinalised(
            person_ref=who,
            assessment_ref=uuid.uuid4(),
            audience=stream,
            council="council-a",
            rule_pack="pilot-2007",
            effective_date=date(2007, 6, 4),
            facts=msgspec.Raw(b"[]"),
        )
        return self._message(stream, who, msgspec.json.encode(event))

    def _giant(self, stream: str, who: uuid.UUID) -> Outgoing:
        return self._message(stream, who, b'{"person_ref": "' + b"x" * GIANT)

    def _wrong_fields(self, stream: str, who: uuid.UUID) -> Outgoing:
        return self._message(stream, who, b'{"person_ref": "%s", "facts": 1}' % str(who).encode())

    def _unknown_version(self, stream: str, who: uuid.UUID) -> Outgoing:
        return self._message(stream, who, b"{}", version=UNKNOWN_VERSION)

    def _no_envelope(self, stream: str, who: uuid.UUID) -> Outgoing:
        body = b'{"nonce": "%d"}' % self.rng.getrandbits(64)
        return Outgoing(AssessmentFinalised.topic(stream), str(who).encode(), body, ())

    def _message(self, stream: str, who: uuid.UUID, body: bytes, version: str = AssessmentFinalised.type) -> Outgoing:
        envelope = Envelope(
            id=new_id(datetime.now(UTC)),
            type=AssessmentFinalised.type,
            source="/chaos",
            subject=who,
            time=datetime.now(UTC),
            correlation_id=uuid.uuid4(),
        )
        headers = [(name, version.encode() if name == "ce_type" else value) for name, value in envelope.headers()]
        return Outgoing(AssessmentFinalised.topic(stream), str(who).encode(), body, headers)


def _parts(out: Outgoing) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    return out.key, out.value, list(out.headers)
