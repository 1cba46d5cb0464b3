"""The bus on Apache Kafka, through aiokafka.

aiokafka gives most calls no deadline of their own: here every one has one, and a client that failed or stands
still is thrown away and built anew, because some states (an idempotent producer whose numbering broke, a
consumer stuck after a broker restart) never heal.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from operator import methodcaller
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from chassis.bus import Bus, BusUnavailable, Consumer, Producer, TopicsMissing
from chassis.bus_kafka_client import CLIENT_ERRORS, Pauses, discard, started, unavailable
from chassis.bus_kafka_consumer import KafkaConsumer
from chassis.bus_kafka_producer import KafkaProducer

T = TypeVar("T")


class KafkaBus(Bus):
    """`bootstrap`: "host:port[,host:port]". `partitions` and `replication` are for topics made from now on.

    `prefix` stands before topic and group names, on the broker only. `security` goes to every aiokafka client
    as it is (security_protocol, ssl_context, sasl_…). `start_timeout` (s): how long to try for the broker
    before BusUnavailable. `send_timeout` (s): for one batch until all its receipts are there.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        partitions: int = 12,
        replication: int = 1,
        prefix: str = "",
        security: Mapping[str, Any] | None = None,
        start_timeout: float = 30.0,
        send_timeout: float = 30.0,
    ) -> None:
        self._partitions = partitions
        self._replication = replication
        self._prefix = prefix
        self._settings = {"bootstrap_servers": bootstrap, **(security or {})}
        self._start_timeout = start_timeout
        self._send_timeout = send_timeout
        self._clients: list[Producer | Consumer] = []

    async def create_topics(self, topics: Sequence[str]) -> None:
        """As the port says; a broker answers a moment before it can create topics, so it is asked again.

        Raises BusUnavailable with the broker's last reason after `start_timeout`.
        """
        pauses = Pauses(self._start_timeout)
        while missing := await self.missing_topics(topics):
            made = await self._ask(methodcaller("create_topics", self._new(missing)))
            errors = [for_code(code)(text) for _, code, text in made.topic_errors]
            refused = [error for error in errors if not isinstance(error, NoError | TopicAlreadyExistsError)]
            await pauses.next(refused[0] if refused else BusUnavailable("topics made but not visible yet"))

    async def missing_topics(self, topics: Sequence[str]) -> list[str]:
        """As the port says. Raises BusUnavailable."""
        present = set(await self._ask(lambda admin: admin.list_topics()))
        return [topic for topic in topics if self._prefix + topic not in present]

    async def producer(self, name: str) -> Producer:
        """Raises BusUnavailable when the broker is not there within `start_timeout`."""
        producer = KafkaProducer(self._settings, self._prefix, name, self._send_timeout)
        await producer.start(self._start_timeout)
        self._clients.append(producer)
        return producer

    async def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        """Raises BusUnavailable when the broker is not there within `start_timeout` or a topic is missing."""
        if missing := await self.missing_topics(topics):
            raise TopicsMissing(f"no such topics: {', '.join(missing)}")
        consumer = KafkaConsumer(self._settings, self._prefix, group, topics)
        await consumer.start(self._start_timeout)
        self._clients.append(consumer)
        return consumer

    async def end_offsets(self, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """As the port says. Raises BusUnavailable."""
        names = [self._prefix + topic for topic in topics]
        described = await self._ask(lambda admin: admin.describe_topics(names))
        parts = [TopicPartition(t["topic"], p["partition"]) for t in described for p in t["partitions"]]
        reader: Any = await started(lambda: AIOKafkaConsumer(**self._settings), self._start_timeout)
        try:
            async with asyncio.timeout(self._start_timeout):
                ends = await reader.end_offsets(parts)
        except CLIENT_ERRORS as error:
            raise unavailable("the broker did not tell the end offsets", error) from error
        finally:
            await discard(reader)
        return {(part.topic.removeprefix(self._prefix), part.partition): end for part, end in ends.items()}

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients))
        self._clients.clear()

    def _new(self, names: Sequence[str]) -> list[Any]:
        # min.insync.replicas over the number of replicas would refuse every record
        settings = {"min.insync.replicas": "2"} if self._replication >= 3 else {}
        return [
            NewTopic(self._prefix + name, self._partitions, self._replication, topic_configs=settings) for name in names
        ]

    async def _ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        """The answer of an admin client made for this one question. Raises BusUnavailable."""
        admin: Any = await started(lambda: AIOKafkaAdminClient(**self._settings), self._start_timeout)
        try:
            async with asyncio.timeout(self._start_timeout):
                return await question(admin)
        except CLIENT_ERRORS as error:
            raise unavailable("the broker did not answer", error) from error
        finally:
            await discard(admin)
