"""The wall against a member that was frozen with records in hand and wakes when another owns its partitions.

A consumer's session writes its token beside each partition it was given. Every batch asks, inside its transaction,
whether the token still stands; if not, the batch is dropped: the new owner has the same records. The lock that the
question takes makes a new owner wait until a batch under way has ended.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chassis.bus import Record
from chassis.transaction import Transaction

Part = tuple[str, int]

CLAIM = """
INSERT INTO consumer_fence (topic, partition, owner, since)
SELECT g.topic, g.partition, :owner, CAST(:now AS timestamptz)
FROM unnest(CAST(:topics AS text[]), CAST(:parts AS int[])) AS g(topic, partition) ORDER BY 1, 2
ON CONFLICT (topic, partition) DO UPDATE SET owner = excluded.owner, since = excluded.since
"""
HELD = """
SELECT partition FROM consumer_fence
WHERE owner = :owner AND (topic, partition) IN
  (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:parts AS int[]))) FOR SHARE
"""
"""A row for each that still stands. It is a part of the inbox's statement: one round trip less for every batch."""


class Fenced(Exception):
    """Another session was given a partition of this batch. Nothing was written; leave the group and join again."""


class Fence:
    """One session. Without a claim, nothing is asked: a test or an operator works on records of no consumer."""

    def __init__(self) -> None:
        self.owner = uuid.uuid4().hex
        self._claimed: set[Part] = set()
        self._generation: object = None

    def unclaimed(self, records: Iterable[Record], generation: object) -> set[Part]:
        """Partitions of `records` not claimed since the group last gave partitions out."""
        if generation != self._generation:
            self._claimed.clear()
            self._generation = generation
        return {(r.topic, r.partition) for r in records} - self._claimed

    async def claim(self, tx: Transaction, parts: Iterable[Part]) -> None:
        """Write the token. Waits for a batch of the earlier owner that is under way."""
        await tx.execute(CLAIM, {**arrays(sorted(parts)), "owner": self.owner, "now": tx.now})

    def claimed(self, parts: Iterable[Part]) -> None:
        self._claimed.update(parts)

    def question(self, records: Iterable[Record]) -> dict[str, Any]:
        """Values for HELD: the claimed partitions of `records`."""
        return arrays(sorted({(r.topic, r.partition) for r in records} & self._claimed)) | {"owner": self.owner}

    def answer(self, question: Mapping[str, Any], held: int) -> None:
        """Raises Fenced unless every partition in question is still this session's."""
        asked = len(question["parts"])
        if held != asked:
            raise Fenced(f"{asked - held} of {asked} partitions have another owner")


NO_FENCE = Fence()


def arrays(parts: Sequence[Part]) -> dict[str, Any]:
    return {"topics": [topic for topic, _ in parts], "parts": [part for _, part in parts]}
