"""A service with something switched off or put wrong, in a process of its own, for chaos runs only.

    python -m deploy.chaos.switched --without inbox --clock -600 services.ras

The production code has no such switches: this process patches the classes it is made of, then runs as usual.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from chassis import audit, inbox, parking, run, service, transaction
from chassis.bus import Bus, Outgoing
from chassis.consume import Consuming
from chassis.fence import NO_FENCE, Fence
from chassis.inbox import Message, Sorted
from chassis.transaction import Transaction, Transactions
from contracts.event import Envelope
from contracts.kept import keep
from streamkit.case import StreamCase

PAUSING = "chaos: a batch is in hand"
"""Written to the log when a batch has been taken and not begun: the moment to freeze a process in."""


def without_inbox() -> None:
    """Ids are still written down, but whatever comes again is taken for new."""
    marked = inbox.mark

    async def everything_is_fresh(tx: Transaction, messages: Sequence[Message], fence: Fence = NO_FENCE) -> Sorted:
        found = await marked(tx, messages, fence)
        known = {id(m) for m in (*found.fresh, *found.behind_parked, *found.conflicts)}
        again = [m for m in messages if id(m) not in known]
        return Sorted([*found.fresh, *again], found.behind_parked, found.conflicts)

    inbox.mark = everything_is_fresh


def without_same_answer() -> None:
    """A stream answers anew although nothing has changed: the wall behind the inbox, which would hide it."""
    decide = StreamCase.decide

    def always(case: StreamCase, stream: Any) -> Any:
        found = decide(case, stream)
        if found is None and case.decided is not None and case.asked is not None:
            found = case._answer(stream, case.asked)
            keep(case, "decided", found)
            case.revision = found.revision
        return found

    StreamCase.decide = always  # type: ignore[method-assign, assignment]


def without_outbox() -> None:
    """Events are sent after the commit, by whoever committed, if it still lives."""

    @asynccontextmanager
    async def two_writes(self: Transactions) -> AsyncIterator[Transaction]:
        async with self.database.begin() as connection:
            tx = Transaction(connection, self.source, self.clock.now())
            yield tx
            await audit.append(tx)
        if tx.staged:
            await asyncio.sleep(0.2)  # what a busy machine makes of the gap between the two
            producer = await _bus[0].producer(self.source)
            await producer.send([_outgoing(tx, staged) for staged in tx.staged])

    _bus: list[Bus] = []
    start = run.Running.start

    def starting(self: run.Running) -> None:
        _bus.append(self.bus)
        start(self)

    run.Running.start = starting  # type: ignore[method-assign]
    Transactions.__call__ = two_writes  # type: ignore[method-assign]


def _outgoing(tx: Transaction, staged: transaction.Staged) -> Outgoing:
    envelope = Envelope(
        id=staged.event_id,
        type=staged.type,
        source=tx.source,
        subject=staged.subject,
        time=tx.now,
        correlation_id=staged.correlation_id,
        causation_id=staged.causation_id,
        traceparent=staged.traceparent,
    )
    return Outgoing(staged.topic, str(staged.subject).encode(), staged.payload, envelope.headers())


def without_payload_hash() -> None:
    """One id is one event, whatever its body says: another body is a repeat."""
    marked = inbox.mark

    async def id_alone(tx: Transaction, messages: Sequence[Message], fence: Fence = NO_FENCE) -> Sorted:
        found = await marked(tx, messages, fence)
        return Sorted(found.fresh, found.behind_parked, [])

    inbox.mark = id_alone


def without_fence() -> None:
    """Nobody asks whether the partition is still ours."""

    def whatever(self: Fence, question: object, held: int) -> None:
        return

    Fence.answer = whatever  # type: ignore[method-assign]


def without_parking() -> None:
    """What cannot be handled is passed over."""

    async def passed_over(
        tx: Transaction, messages: Sequence[Message], reason: str = "", *, blocks: bool = True
    ) -> None:
        return

    parking.park = passed_over


WALLS: dict[str, Callable[[], None]] = {
    "inbox": without_inbox,
    "same_answer": without_same_answer,
    "outbox": without_outbox,
    "payload_hash": without_payload_hash,
    "fence": without_fence,
    "parking": without_parking,
}


def shift_clock(seconds: float) -> None:
    now = service.SystemClock.now

    def shifted(self: service.SystemClock) -> datetime:
        return now(self) + timedelta(seconds=seconds)

    service.SystemClock.now = shifted  # type: ignore[method-assign]


def pause_before_batches(seconds: float) -> None:
    """Time enough to be frozen with records in hand."""
    process = Consuming.process

    async def paused(self: Consuming, messages: Sequence[Message]) -> None:
        print(PAUSING, file=sys.stderr, flush=True)
        await asyncio.sleep(seconds)
        await process(self, messages)

    Consuming.process = paused  # type: ignore[method-assign]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.chaos.switched", description=__doc__)
    parser.add_argument("--without", action="append", default=[], choices=list(WALLS))
    parser.add_argument("--clock", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--pause", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("module")
    given = parser.parse_args(arguments)
    for wall in given.without:
        WALLS[wall]()
    if given.clock:
        shift_clock(given.clock)
    if given.pause:
        pause_before_batches(given.pause)
    run.main([given.module])


if __name__ == "__main__":
    main(sys.argv[1:])
