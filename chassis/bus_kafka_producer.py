"""Sending to Kafka: one batch a partition, idempotent, and a new inner producer after any failure."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from chassis import telemetry
from chassis.bus import Outgoing, Producer
from chassis.bus_kafka_client import CLIENT_ERRORS, discard, discard_unsent, started, unavailable
from chassis.bus_records import partition_of, refuse_oversize

SETTINGS: Mapping[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": "lz4",
    "linger_ms": 2,
    "max_batch_size": 131_072,
    "request_timeout_ms": 60_000,
}


class KafkaProducer(Producer):
    """Made by KafkaBus.producer. `seconds`: deadline of one send, and of building the inner producer."""

    def __init__(self, settings: Mapping[str, Any], prefix: str, name: str, seconds: float) -> None:
        self._settings = {**settings, **SETTINGS, "client_id": name}
        self._prefix, self._name = prefix, name.removeprefix("/tributary/")
        telemetry.PRODUCER_REBUILDS.labels(self._name)  # from zero, so that the first one is seen
        self._seconds = seconds
        self._inner: Any = None
        self._building = asyncio.Lock()

    async def start(self, seconds: float) -> None:
        """Reach the broker within `seconds`, or raise BusUnavailable."""
        async with self._building:
            if self._inner is None:
                self._inner = await started(lambda: AIOKafkaProducer(**self._settings), seconds)

    async def send(self, batch: Sequence[Outgoing]) -> None:
        refuse_oversize(batch)
        if not batch:
            return
        await self.start(self._seconds)
        inner = self._inner
        try:
            async with asyncio.timeout(self._seconds):
                await self._append(inner, batch)
        except CLIENT_ERRORS as error:
            await self._give_up(inner)
            raise unavailable("the broker gave no receipt", error) from error

    async def close(self) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            await discard(inner)

    async def _give_up(self, inner: Any) -> None:
        """Never use `inner` again: its numbering may be broken for good. The next send builds another."""
        if self._inner is inner:
            telemetry.PRODUCER_REBUILDS.labels(self._name).inc()
            self._inner = None
            await discard_unsent(inner)

    async def _append(self, inner: Any, batch: Sequence[Outgoing]) -> None:
        topics = {record.topic for record in batch}
        counts = {topic: len(await inner.partitions_for(self._prefix + topic)) for topic in topics}
        parts: defaultdict[tuple[str, int], list[Outgoing]] = defaultdict(list)
        for record in batch:
            parts[record.topic, partition_of(record.key, counts[record.topic])].append(record)
        await asyncio.gather(
            *(_send_part(inner, self._prefix + topic, part, records) for (topic, part), records in parts.items())
        )


async def _send_part(inner: Any, topic: str, part: int, records: Sequence[Outgoing]) -> None:
    """Send one partition's records in order: a batch is handed over only when the one before was drawn."""
    receipts = []
    builder = inner.create_batch()
    for record in records:
        if not _added(builder, record):
            receipts.append(await inner.send_batch(builder, topic, partition=part))
            builder = inner.create_batch()
            _added(builder, record)  # an empty batch takes a record of any size
    builder.close()  # a closed batch does not linger
    receipts.append(await inner.send_batch(builder, topic, partition=part))
    await asyncio.gather(*receipts)


def _added(builder: Any, record: Outgoing) -> bool:
    headers = list(record.headers)
    added = builder.append(timestamp=None, key=record.key, value=record.value, headers=headers)
    return added is not None
