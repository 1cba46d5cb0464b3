"""Topic → inbox → handler: a batch in one transaction, bisected when it fails, so that one person is parked and
nobody else waits. Offsets move after the commit and are only a hint of where to resume."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from chassis import inbox, parking, telemetry
from chassis.bus import Bus, BusUnavailable, Consumer
from chassis.database import Backoff, is_transient
from chassis.inbox import Message
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
        self.last_poll = time.monotonic()

    @property
    def ready(self) -> bool:
        return self.consumer is not None and self.consumer.assigned

    async def run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._consume()
            except BusUnavailable as fault:
                self.log.warning("bus_unavailable", reason=fault.code)
                await backoff.wait()

    async def _consume(self) -> None:
        self.consumer = await self.bus.consumer(self.group, self.handlers.topics())
        last_commit = time.monotonic()
        try:
            while True:
                records = await self.consumer.poll(BATCH, POLL_SECONDS)
                self.last_poll = time.monotonic()
                if records:
                    await self.process([inbox.read(record) for record in records])
                if time.monotonic() - last_commit >= COMMIT_SECONDS:
                    await self.consumer.commit()
                    last_commit = time.monotonic()
        finally:
            await asyncio.shield(self._leave())

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
            except Exception as fault:  # noqa: BLE001 - bisected and parked with its reason, never swallowed
                if is_transient(fault):
                    telemetry.RETRIES.labels(self.group, type(fault).__name__).inc()
                    self.log.warning("batch_retried", fault=type(fault).__name__, size=len(messages))
                    await backoff.wait()
                    continue
                await self._bisect(messages, fault)
                return
            telemetry.BATCH_SECONDS.labels(self.group).observe(time.perf_counter() - started)
            telemetry.HANDLED.labels(self.group).inc(handled)
            return

    async def _handle(self, tx: Transaction, messages: Sequence[Message]) -> int:
        batch = await inbox.mark(tx, messages)
        telemetry.DUPLICATES.labels(self.group).inc(
            len(messages) - len(batch.fresh) - len(batch.behind_parked) - len(batch.conflicts)
        )
        for message in batch.conflicts:
            self.log.error("same_id_other_body", event_id=str(message.event_id))
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
                self.log.error("parked", reason=message.fault, event_id=str(message.event_id))
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
        self.log.error("parked", reason=reason, event_id=str(message.event_id))

        async def parked() -> None:
            async with self.transactions() as tx:
                batch = await inbox.mark(tx, [message])
                await parking.park(tx, batch.fresh, reason)
                await parking.park(tx, batch.behind_parked, parking.BEHIND)

        await self.transactions.database.retrying(parked, attempts=1_000_000)

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
