"""Many people failing at once is a fault of what was deployed, not of their messages: then nobody is parked and the
consumer stops itself. One or a few are parked, one person each."""

import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from chassis.inbox import Message

SHARE, LEAST = 0.20, 10
"""More than this share of a batch's people, and at least so many of them."""
A_MINUTE = 50
"""Or more people than this in a minute, whatever else went well."""
LENIENT_SECONDS = 600.0


class ManyFailing(Exception):
    """Nothing of the batch was parked. `people` failed, by coded reason."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = dict(Counter(reasons).most_common())
        self.people = sum(self.reasons.values())
        super().__init__(f"{self.people} people failed in one batch or minute")


class Breaker:
    """Of one consumer. Remembers who was parked in the last minute."""

    def __init__(self) -> None:
        self._parked: deque[tuple[float, UUID]] = deque()
        self._lenient_until = 0.0

    def trial(self, messages: Sequence[Message]) -> "Trial":
        return Trial(self, messages)

    def refuse_many(self, failed: Mapping[UUID, str], messages: Sequence[Message]) -> None:
        """Raises ManyFailing where these people are too many among those of the batch, or of the minute."""
        now = time.monotonic()
        if now < self._lenient_until:
            return
        while self._parked and self._parked[0][0] < now - 60:
            self._parked.popleft()
        of_batch = len(failed) >= LEAST and len(failed) > SHARE * len({m.person_ref for m in messages})
        of_minute = len(failed.keys() | {who for _, who in self._parked}) > A_MINUTE
        if of_batch or of_minute:
            raise ManyFailing(failed.values())

    def remember(self, people: Iterable[UUID]) -> None:
        """They were parked."""
        self._parked.extend((time.monotonic(), who) for who in people)

    def resumed(self, *, park_them: bool) -> None:
        """Start afresh. `park_them`: an operator has said that these really are bad messages; park however many."""
        self._parked.clear()
        self._lenient_until = time.monotonic() + LENIENT_SECONDS if park_them else 0.0


class Trial:
    """One polled batch under way: who failed in it, and what is held back because of it, in order. Nothing is parked
    before the whole batch has been tried."""

    def __init__(self, breaker: Breaker, messages: Sequence[Message]) -> None:
        self.breaker, self.messages = breaker, messages
        self.failed: dict[UUID, str] = {}
        self.held: list[Message] = []
        self.first: dict[UUID, Message] = {}
        """Person -> the message that failed."""

    def without_held(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Those of people who have not failed; the others are held back."""
        if not self.first:
            return messages
        self.held += [m for m in messages if m.person_ref in self.first]
        return [m for m in messages if m.person_ref not in self.first]

    def fails(self, message: Message, reason: str) -> None:
        """Raises ManyFailing."""
        self.first[message.person_ref] = message
        self.held.append(message)
        self.count({message.person_ref: reason})

    def count(self, failed: Mapping[UUID, str]) -> None:
        """Raises ManyFailing."""
        self.failed.update(failed)
        self.breaker.refuse_many(self.failed, self.messages)
