"""The bus port: what a service needs of a message log, and nothing about which log it is.

Two adapters keep the same contract (tests/contracts/test_bus.py runs on both): `chassis.bus_kafka` (aiokafka,
production) and `chassis.bus_embedded` (a durable log in PostgreSQL, the default for one machine; it is not Kafka and
is never offered as a cluster). Delivery is at least once and in order per key; whoever consumes must be idempotent.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

MAX_RECORD_BYTES = 900_000
"""Key, headers and value together. Below Kafka's 1 MiB default, so that both adapters refuse the same records."""


class RecordTooLarge(Exception):
    """The record is over MAX_RECORD_BYTES; nothing of its batch was sent."""


class BusUnavailable(Exception):
    """The log did not answer in time. Nothing is known about what was sent: send again, consumers drop repeats.

    `code` says in the log why it waits.
    """

    code = "bus_unavailable"


class TopicsMissing(BusUnavailable):
    """Topics are not there, or not for this principal: whoever makes topics has not run. Ask again."""

    code = "topics_missing"


class NotAllowed(BusUnavailable):
    """The log knows this principal and has no such right for it. Ask again: rights are given while services run."""

    code = "bus_not_allowed"


class Outgoing(NamedTuple):
    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Producer(Protocol):
    async def send(self, batch: Sequence[Outgoing]) -> None:
        """Append all of `batch`, keeping its order per key. Returns when every record is durable.

        Raises RecordTooLarge (before anything is sent) or BusUnavailable (outcome unknown; send the same again).
        """

    async def close(self) -> None: ...


class Consumer(Protocol):
    async def poll(self, max_records: int, wait: float) -> list[Record]:
        """Up to `max_records` records not yet returned, oldest first per partition; [] after about `wait` seconds."""

    async def commit(self) -> None:
        """Remember everything returned by earlier polls as done, for the partitions still owned. Never raises for
        a lost partition: what was not committed comes again."""

    async def standing(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Per owned (topic, partition): offset of the next record to commit, and offset after the last in the log."""

    async def lag(self) -> dict[tuple[str, int], int]:
        """Records not yet committed, per owned (topic, partition)."""
        return {part: end - committed for part, (committed, end) in (await self.standing()).items()}

    @property
    def assigned(self) -> bool:
        """Whether the group has given this member its partitions (or decided it gets none)."""

    @property
    def generation(self) -> object:
        """Differs after each time partitions were given to this member or taken from it."""

    async def close(self) -> None: ...


class Bus(Protocol):
    async def create_topics(self, topics: Sequence[str]) -> None:
        """Make the topics that do not exist yet, with the adapter's fixed partition count. Safe to repeat."""

    async def missing_topics(self, topics: Sequence[str]) -> list[str]: ...

    async def producer(self, name: str) -> Producer: ...

    async def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        """Join `group`, reading `topics` from the earliest uncommitted record."""

    async def end_offsets(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """Offset after the last record, per (topic, partition)."""

    async def close(self) -> None: ...
