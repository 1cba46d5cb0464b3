"""Topic → inbox → handler: a batch in one transaction, bisected when it fails, so that one person is parked and
nobody else waits. Offsets move after the commit and are only a hint of where to resume."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chassis import inbox, parking, stopped, telemetry, trace
from chassis.breaker import Breaker, ManyFailing, Trial
from chassis.bus import Bus, BusUnavailable, Consumer, Record
from chassis.database import Backoff, fault_code, is_outcome_unknown, is_transient
from chassis.fence import Fence, Fenced
from chassis.inbox import Message
from chassis.progress import Progress
from chassis.service import Handlers
from chassis.transaction import Transaction, Transactions

BATCH = 500
POLL_SECONDS = 0.5
COMMIT_SECONDS = 1.0
STOPPED_SECONDS = (60.0, 1800.0)
"""How long a consumer that stopped itself waits before it tries one batch: the first time, and at most."""
STOPPED_BEAT_SECONDS = 1.0


class Consuming:
    """One service's consumer. `run` goes on until cancelled; a failed batch is retried or bisected, never skipped."""

    def __init__(self, group: str, handlers: Handlers, bus: Bus, transactions: Transactions) -> None:
        self.group, self.handlers, self.bus, self.transactions = group, handlers, bus, transactions
        self.log = telemetry.logger(group)
        self.consumer: Consumer | None = None
        self.fence = Fence()
        self.progress = Progress()
        self.breaker = Breaker()
        self._next_try: float | None = None
        """Seconds to wait after the next stop; None while all is well."""

    @property
    def ready(self) -> bool:
        return self.consumer is not None and self.consumer.assigned

    async def run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._consume()
            except BusUnavailable as fault:
                self.progress.sign()
                self.log.warning("bus_unavailable", reason=fault.code)
                await backoff.wait()
            except Fenced:
                self.log.warning("fenced")
                telemetry.FENCED.labels(self.group).inc()
                await backoff.wait()
            except ManyFailing as fault:
                await self._stand_still(fault)

    async def _consume(self) -> None:
        self.fence = Fence()
        self.consumer = await self.bus.consumer(self.group, self.handlers.topics())
        last_commit = time.monotonic()
        try:
            while True:
                records = await self.consumer.poll(BATCH, POLL_SECONDS)
                self.progress.polled(self.consumer.generation)
                if records:
                    await self._claim(records, self.consumer.generation)
                    messages = [inbox.read(record) for record in records]
                    self.progress.took(messages)
                    await self.process(messages)
                    if self._next_try is not None:
                        await self._gone_on()
                self.progress.done()
                if time.monotonic() - last_commit >= COMMIT_SECONDS:
                    await self.consumer.commit()
                    last_commit = time.monotonic()
        finally:
            await asyncio.shield(self._leave())

    async def _claim(self, records: Sequence[Record], generation: object) -> None:
        new = self.fence.unclaimed(records, generation)
        if not new:
            return

        async def claimed() -> None:
            async with self.transactions() as tx:
                await self.fence.claim(tx, new)

        await self.transactions.database.retrying(claimed, attempts=1_000_000, again=self._again)
        self.fence.claimed(new)

    def _again(self, fault: Exception) -> None:
        self.progress.sign()
        telemetry.retried(self.group, fault_code(fault), unknown=is_outcome_unknown(fault))

    async def _leave(self) -> None:
        consumer, self.consumer = self.consumer, None
        if consumer is not None:
            await consumer.close()

    async def _stand_still(self, fault: ManyFailing) -> None:
        """Out of the group, alive and not ready, until an operator says so or it is time to try one batch."""
        telemetry.CONSUMER_STOPPED.labels(self.group, "many_failing").set(1)
        if self._next_try is None:
            self.log.error("stopped_many_failing", people=fault.people, reasons=fault.reasons)
        seconds = self._next_try or STOPPED_SECONDS[0]
        self._next_try = min(seconds * 2, STOPPED_SECONDS[1])
        since: datetime | None = None
        ends = time.monotonic() + seconds
        park_them = False
        while time.monotonic() < ends:
            self.progress.sign()
            try:
                async with self.transactions() as tx:
                    said = await stopped.say(tx, fault.people, fault.reasons, since)
                since = said.since
                if said.asked:
                    park_them = said.park_them
                    break
            except Exception as trouble:
                if not is_transient(trouble):
                    raise
            await asyncio.sleep(STOPPED_BEAT_SECONDS)
        self.breaker.resumed(park_them=park_them)

    async def _gone_on(self) -> None:
        self._next_try = None
        telemetry.CONSUMER_STOPPED.labels(self.group, "many_failing").set(0)
        self.log.warning("goes_on")

        async def forgotten() -> None:
            async with self.transactions() as tx:
                await stopped.forget(tx)

        await self.transactions.database.retrying(forgotten, again=self._again)

    async def process(self, messages: Sequence[Message]) -> None:
        """Handle every message: done, a repeat, or parked when this returns. Raises ManyFailing where so many people
        fail that it is no fault of their messages: then none of those is parked, and all of it comes again."""
        trial = self.breaker.trial(messages)
        unreadable = [m for m in messages if m.fault]
        if unreadable:
            trial.count({m.person_ref: m.fault for m in await self._new(unreadable)})
        await self._attempt(messages, trial)
        if trial.held:
            await self._park_held(trial)
        if trial.failed:
            self.breaker.remember(trial.failed)

    async def _new(self, messages: Sequence[Message]) -> list[Message]:
        async def found() -> list[Message]:
            async with self.transactions() as tx:
                return await inbox.not_known(tx, messages)

        return await self.transactions.database.retrying(found, attempts=1_000_000, again=self._again)

    async def _attempt(self, messages: Sequence[Message], trial: Trial) -> None:
        messages = trial.without_held(messages)
        backoff = Backoff()
        while messages:
            started = time.perf_counter()
            try:
                async with self.transactions() as tx:
                    handled = await self._handle(tx, messages)
            except Fenced:
                raise
            except Exception as fault:  # noqa: BLE001 - bisected and parked with its reason, never swallowed
                if is_transient(fault):
                    self._again(fault)
                    self.log.warning("batch_retried", fault=fault_code(fault), size=len(messages), **messages[0].ids())
                    await backoff.wait()
                    continue
                await self._bisect(messages, fault, trial)
                return
            self._handled(messages, handled, time.perf_counter() - started)
            return

    def _handled(self, messages: Sequence[Message], handled: int, seconds: float) -> None:
        """The batch's readings, and a log line for each event whose trace is sampled."""
        telemetry.BATCH_SECONDS.labels(self.group).observe(seconds)
        telemetry.HANDLED.labels(self.group).inc(handled)
        envelopes = [m.received.envelope for m in messages if m.received is not None]
        if not envelopes:
            return
        oldest = min(e.time for e in envelopes)
        age = (self.transactions.clock.now() - oldest).total_seconds()
        telemetry.EVENT_AGE.labels(self.group).observe(max(0.0, age))
        for message in messages:
            if message.received is not None and trace.is_sampled(message.received.envelope.traceparent):
                kind = message.received.envelope.type
                self.log.info("handled", type=kind, batch_seconds=round(seconds, 4), **message.ids())

    async def _handle(self, tx: Transaction, messages: Sequence[Message]) -> int:
        batch = await inbox.mark(tx, messages, self.fence)
        telemetry.DUPLICATES.labels(self.group).inc(
            len(messages) - len(batch.fresh) - len(batch.behind_parked) - len(batch.conflicts)
        )
        for message in batch.conflicts:
            self.log.error("same_id_other_body", **message.ids())
        await parking.park(tx, batch.conflicts, parking.CONFLICT, blocks=False)
        await parking.park(tx, batch.behind_parked, parking.BEHIND)
        unreadable = {m.person_ref for m in batch.fresh if m.fault}
        await self._park_unreadable(tx, [m for m in batch.fresh if m.person_ref in unreadable])
        good = [m for m in batch.fresh if m.person_ref not in unreadable]
        await self.apply(tx, good)
        return len(good)

    async def _park_unreadable(self, tx: Transaction, messages: list[Message]) -> None:
        """A person with an unreadable message: what came before it is handled, it and what follows is parked."""
        blocked: set[UUID] = set()
        before = []
        for message in messages:
            if message.person_ref in blocked:
                await parking.park(tx, [message], parking.BEHIND)
            elif message.fault:
                blocked.add(message.person_ref)
                telemetry.PARKED.labels(self.group, message.fault).inc()
                self.log.error("parked", reason=message.fault, **message.ids())
                await parking.park(tx, [message])
            else:
                before.append(message)
        await self.apply(tx, before)

    async def apply(self, tx: Transaction, messages: Sequence[Message]) -> None:
        """Hand the messages to their handlers. None of them is unreadable."""
        await self.handlers.handle([m.received for m in messages if m.received is not None], tx)

    async def _bisect(self, messages: Sequence[Message], fault: Exception, trial: Trial) -> None:
        if len(messages) > 1:
            half = len(messages) // 2
            await self._attempt(messages[:half], trial)
            await self._attempt(messages[half:], trial)
            return
        trial.fails(messages[0], f"{parking.HANDLER}{type(fault).__name__}")

    async def _park_held(self, trial: Trial) -> None:
        """Park what failed, and behind it what was held back because of it."""

        async def parked() -> bool:
            async with self.transactions() as tx:
                batch = await inbox.mark(tx, trial.held, self.fence)
                new = {m.event_id for m in batch.fresh}
                if any(trial.first[m.person_ref].event_id not in new for m in batch.fresh):
                    raise _Overtaken
                await parking.park(tx, batch.conflicts, parking.CONFLICT, blocks=False)
                first = [m for m in batch.fresh if trial.first[m.person_ref] is m]
                for reason in sorted({trial.failed[m.person_ref] for m in first}):
                    await parking.park(tx, [m for m in first if trial.failed[m.person_ref] == reason], reason)
                await parking.park(tx, [m for m in batch.fresh if trial.first[m.person_ref] is not m], parking.BEHIND)
                await parking.park(tx, batch.behind_parked, parking.BEHIND)
                return True

        try:
            await self.transactions.database.retrying(parked, attempts=1_000_000, again=self._again)
        except _Overtaken:
            await self.process(trial.held)
            return
        for who, message in trial.first.items():
            telemetry.PARKED.labels(self.group, trial.failed[who]).inc()
            self.log.error("parked", reason=trial.failed[who], **message.ids())


class _Overtaken(Exception):
    """Somebody else has dealt with the message that failed: what was held back because of it need not wait."""
