"""Topic → inbox → handler: a batch in one transaction, bisected when it fails, so that one person is parked and
nobody else waits. Offsets move after the commit and are only a hint of where to resume."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from chassis import inbox, parking, telemetry, trace
from chassis.bus import Bus, BusUnavailable, Consumer, Record
from chassis.database import Backoff, fault_code, is_outcome_unknown, is_transient
from chassis.fence import Fence, Fenced
from chassis.inbox import Message
from chassis.progress import Progress
from chassis.service import Handlers, Received
from chassis.transaction import Transaction, Transactions

BATCH = 500
POLL_SECONDS = 0.5
COMMIT_SECONDS = 1.0


class Consuming:
    """One service's consumer. `run` goes on until cancelled; a failed batch is retried or bisected, never skipped."""

    def __init__(self, group: str, handlers: Handlers, bus: Bus, transactions: Transactions) -> None:
        self.group, self.handlers, self.bus, self.transactions = group, handlers, bus, transactions
        self.log = telemetry.logger(group)
        self.consumer: Consumer | None = None
        self.fence = Fence()
        self.progress = Progress()

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

    async def process(self, messages: Sequence[Message]) -> None:
        """Handle every message: done, a repeat, or parked when this returns."""
        backoff = Backoff()
        while True:
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
                await self._bisect(messages, fault)
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
        await self.fence.ask(tx, (m.record for m in messages))
        batch = await inbox.mark(tx, messages)
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
        """Hand the messages to their handlers, grouped by handler, the order per person kept."""
        grouped: dict[int, list[Received[Any]]] = {}
        for message in messages:
            assert message.received is not None, "unreadable messages never reach a handler"
            for n, subscription in enumerate(self.handlers.subscriptions):
                if type(message.received.event) in subscription.events:
                    grouped.setdefault(n, []).append(message.received)
        for n, batch in sorted(grouped.items()):
            await self.handlers.subscriptions[n].handler(batch, tx)

    async def _bisect(self, messages: Sequence[Message], fault: Exception) -> None:
        if len(messages) > 1:
            half = len(messages) // 2
            await self.process(messages[:half])
            await self.process(messages[half:])
            return
        await self._park_alone(messages[0], fault)

    async def _park_alone(self, message: Message, fault: Exception) -> None:
        reason = f"handler_{type(fault).__name__}"
        telemetry.PARKED.labels(self.group, reason).inc()
        self.log.error("parked", reason=reason, **message.ids())

        async def parked() -> None:
            async with self.transactions() as tx:
                await self.fence.ask(tx, [message.record])
                batch = await inbox.mark(tx, [message])
                await parking.park(tx, batch.fresh, reason)
                await parking.park(tx, batch.behind_parked, parking.BEHIND)

        await self.transactions.database.retrying(parked, attempts=1_000_000, again=self._again)

    async def release(self, person_ref: UUID) -> int:
        """Run one person's parked messages again, in order, in one transaction. Returns how many; raises what the
        handler raises, and then all stay parked."""
        async with self.transactions() as tx:
            messages = await parking.take(tx, person_ref)
            still = next((m for m in messages if m.fault), None)
            if still is not None:
                raise ValueError(f"still unreadable: {still.fault}")
            await self.apply(tx, messages)
        return len(messages)
