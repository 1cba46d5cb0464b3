"""How far one consumer has come, kept as it goes at the cost of one call a batch, read by the sampler and liveness."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from chassis.inbox import Message

Part = tuple[str, int]
Standing = Mapping[Part, tuple[int, int]]
"""Per owned partition: offset of the next record to commit, and offset after the last one in the log."""

ALIVE_SECONDS = 120.0
CLOSE = 1.0
"""Records told within so many seconds of the last mark need no mark of their own."""


class Progress:
    """Times in seconds since the epoch, but for `sign`, which no change of the clock may move."""

    def __init__(self) -> None:
        self.last_poll = self.last_done = time.time()
        self._sign = time.monotonic()
        self.rebalances = 0
        self._generation: object = None
        self._marks: dict[Part, deque[tuple[int, datetime]]] = {}
        self._taken: dict[Part, int] = {}
        self._behind_since: dict[Part, datetime] = {}

    def sign(self) -> None:
        """The consumer's task goes round: it polls, or it retries because a broker or a database is away."""
        self._sign = time.monotonic()

    @property
    def alive(self) -> bool:
        return time.monotonic() - self._sign < ALIVE_SECONDS

    def polled(self, generation: object) -> None:
        """`generation`: the consumer's, which is another after each time partitions were given out."""
        self.sign()
        self.rebalances += generation != self._generation
        self._generation = generation
        self.last_poll = time.time()

    def took(self, messages: Sequence[Message]) -> None:
        """Note where each partition's records begin and when they were told."""
        at: Part | None = None
        for message in messages:
            record = message.record
            if at is None or at[1] != record.partition or at[0] != record.topic:
                at = record.topic, record.partition
                if message.received is not None:
                    self._mark(at, record.offset, message.received.envelope.time)
            self._taken[at] = record.offset + 1

    def _mark(self, part: Part, offset: int, told: datetime) -> None:
        marks = self._marks.setdefault(part, deque(maxlen=256))
        if not marks or abs((told - marks[-1][1]).total_seconds()) > CLOSE:
            marks.append((offset, told))

    def done(self) -> None:
        """All that was taken is handled, or there was nothing."""
        self.last_done = time.time()

    def ages(self, standing: Standing, now: datetime | None = None) -> dict[Part, float]:
        """Seconds since the next uncommitted record was told, per partition; 0 where all is committed.

        Exact to a second for records that were taken; one that was not is as old as the first look that saw it.
        """
        now = now or datetime.now(UTC)
        self._behind_since = {
            part: self._behind_since.get(part, now) for part, (committed, end) in standing.items() if committed < end
        }
        return {part: self._age(part, committed, now) for part, (committed, _) in standing.items()}

    def _age(self, part: Part, committed: int, now: datetime) -> float:
        if part not in self._behind_since:
            return 0.0
        marks = self._marks.get(part, deque())
        while len(marks) > 1 and marks[1][0] <= committed:
            marks.popleft()
        taken = committed < self._taken.get(part, 0) and marks
        since = marks[0][1] if taken else self._behind_since[part]
        return max(0.0, (now - since).total_seconds())
