"""The bus as a durable log in PostgreSQL, for one machine: no broker to run. It is not Kafka and no cluster.

`send` wakes the consumers of the same EmbeddedBus object at once; those of other processes look every
`idle_poll` seconds. Leases decide which member of a group reads a partition, an epoch whose commit counts.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis import bus_embedded_sql as sql
from chassis.bus import Bus, BusUnavailable, Consumer, Outgoing, Producer, TopicsMissing
from chassis.bus_embedded_consumer import EmbeddedConsumer, Wakeups
from chassis.bus_embedded_store import Store
from chassis.bus_records import partition_of, refuse_oversize


class EmbeddedBus(Bus):
    """The log in `schema` of the database of `engine` (asyncpg); the engine stays the caller's to dispose of.

    `partitions` is for topics made from now on. `idle_poll` (s): how long another process's record may wait,
    five times that after a quiet time. `lease` (s): how long a dead member keeps its partitions.
    `timeout` (s): for each statement.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        schema: str = "bus",
        partitions: int = 4,
        *,
        idle_poll: float = 0.05,
        lease: float = 5.0,
        timeout: float = 10.0,
    ) -> None:
        self._schema = schema
        self._store = Store(engine, schema, timeout)
        self._partitions = partitions
        self._idle_poll = idle_poll
        self._lease = lease
        self._counts: dict[str, int] = {}
        self._wakeups = Wakeups()
        self._consumers: list[EmbeddedConsumer] = []

    async def install(self, connection: AsyncConnection) -> None:
        """Create the tables that are absent, in the transaction of `connection`. Safe to repeat."""
        for statement in sql.ddl(self._schema):
            await connection.execute(text(statement))

    async def create_topics(self, topics: Sequence[str]) -> None:
        await self._store.count(sql.CREATE_TOPICS, topics=list(topics), partitions=self._partitions)

    async def missing_topics(self, topics: Sequence[str]) -> list[str]:
        present = {topic for topic, _ in await self.end_offsets(topics)}
        return [topic for topic in topics if topic not in present]

    async def producer(self, name: str) -> Producer:
        return EmbeddedProducer(self)

    async def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        """Raises BusUnavailable when the database does not answer or a topic is missing."""
        counts = await self.partition_counts(topics)
        consumer = EmbeddedConsumer(self._store, self._wakeups, group, counts, self._idle_poll, self._lease)
        await consumer.join()
        self._consumers.append(consumer)
        return consumer

    async def end_offsets(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        rows = await self._store.rows(sql.HEADS, topics=list(topics))
        return {(topic, part): following for topic, part, following in rows}

    async def partition_counts(self, topics: Iterable[str]) -> dict[str, int]:
        """Partitions of each topic; asked for once, they never change. BusUnavailable if one is missing."""
        wanted = set(topics)
        if unknown := sorted(wanted - self._counts.keys()):
            self._counts.update(Counter(topic for topic, _ in await self.end_offsets(unknown)))
        if missing := sorted(wanted - self._counts.keys()):
            raise TopicsMissing(f"no such topics: {', '.join(missing)}")
        return {topic: self._counts[topic] for topic in wanted}

    async def append(self, batch: Sequence[Outgoing]) -> None:
        """Append in one transaction, then wake this bus's consumers. Raises BusUnavailable."""
        counts = await self.partition_counts(record.topic for record in batch)
        columns = _columns(batch, counts)
        written = await self._store.count(sql.APPEND, **columns)
        if written != len(batch):
            self._counts.clear()
            raise BusUnavailable(f"a topic is gone: {written} of {len(batch)} records appended")
        self._wakeups.sent(counts)

    async def close(self) -> None:
        await asyncio.gather(*(consumer.close() for consumer in self._consumers))
        self._consumers.clear()


class EmbeddedProducer(Producer):
    def __init__(self, bus: EmbeddedBus) -> None:
        self._bus = bus

    async def send(self, batch: Sequence[Outgoing]) -> None:
        refuse_oversize(batch)
        if batch:
            await self._bus.append(batch)

    async def close(self) -> None:
        """Nothing to give back: connections belong to the engine."""


def _columns(batch: Sequence[Outgoing], counts: dict[str, int]) -> dict[str, list[object]]:
    """The arrays of sql.APPEND: one entry per record, and one per partition that gets some."""
    heads: Counter[tuple[str, int]] = Counter()
    columns: defaultdict[str, list[object]] = defaultdict(list)
    for record in batch:
        part = partition_of(record.key, counts[record.topic])
        columns["topic"].append(record.topic)
        columns["part"].append(part)
        columns["rn"].append(heads[record.topic, part])
        columns["key"].append(record.key)
        columns["value"].append(record.value)
        columns["headers"].append(_headers(record.headers))
        heads[record.topic, part] += 1
    for (topic, part), n in heads.items():
        columns["head_topic"].append(topic)
        columns["head_part"].append(part)
        columns["head_n"].append(n)
    return columns


def _headers(headers: Sequence[tuple[str, bytes]]) -> str:
    """JSON, readable in the database and exact: latin-1 maps each byte to the character of that number."""
    return msgspec.json.encode([(name, value.decode("latin-1")) for name, value in headers]).decode()
