"""A member of a Kafka consumer group.

It has deadlines on every call, commits only what is still owned, and takes a new inner consumer when the old
one failed or stands still.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from chassis import telemetry
from chassis.bus import Consumer, Record
from chassis.bus_kafka_client import CLIENT_ERRORS, discard, started, unavailable

SETTINGS: Mapping[str, Any] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "max_poll_records": 500,
    "session_timeout_ms": 15_000,
    "heartbeat_interval_ms": 1_000,  # a member learns of a rebalance by its next heartbeat
    "rebalance_timeout_ms": 60_000,
    "max_poll_interval_ms": 300_000,
    "partition_assignment_strategy": [StickyPartitionAssignor],  # with two, aiokafka joins twice
    "fetch_max_wait_ms": 100,
    "max_partition_fetch_bytes": 1 << 20,
    "metadata_max_age_ms": 60_000,
}
GRACE_SECONDS = 0.25
"""How much longer than its wait a poll may take: getmany has no deadline of its own during a rebalance."""

CALL_SECONDS = 5.0
QUIET_SECONDS = 30.0
"""After so long without a record, ask whether there are any: a consumer can stand still without an error."""

BEHIND_SECONDS = 5.0
"""If there are, ask again after so long before believing it."""

_log = logging.getLogger(__name__)


class _Member(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """What one inner consumer was given and has done; offsets are of the next record."""

    def __init__(self) -> None:
        self.assigned = False
        self.generation = 0
        self.looked_at = 0
        self.returned: dict[TopicPartition, int] = {}
        self.committed: dict[TopicPartition, int | None] = {}

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.assigned = False

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Keep what was returned of partitions that stayed; others may have committed the rest."""
        self.generation += 1
        owned = set(assigned)
        self.returned = {part: offset for part, offset in self.returned.items() if part in owned}
        self.committed.clear()
        self.assigned = True


class KafkaConsumer(Consumer):
    """Made by KafkaBus.consumer. `stuck_seconds`: rebuild when getmany did not return for so long; it must be
    more than the rebalance timeout."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        prefix: str,
        group: str,
        topics: Sequence[str],
        stuck_seconds: float = 90.0,
    ) -> None:
        self._settings = {**settings, **SETTINGS, "group_id": prefix + group}
        self._prefix, self._group = prefix, group
        self._topics = [prefix + topic for topic in topics]
        self._stuck_seconds = stuck_seconds
        self._inner: Any = None
        self._member = _Member()
        self._answered = self._next_look = time.monotonic()
        self._behind_before = False

    async def start(self, seconds: float) -> None:
        """Reach the broker within `seconds`, or raise BusUnavailable; the partitions come later."""
        if self._inner is None:
            inner: Any = await started(lambda: AIOKafkaConsumer(**self._settings), seconds)
            self._member = _Member()
            inner.subscribe(self._topics, listener=self._member)
            self._inner = inner
            self._answered = time.monotonic()
            self._progressed()

    @property
    def assigned(self) -> bool:
        return self._inner is not None and self._member.assigned

    @property
    def generation(self) -> object:
        return id(self._member), self._member.generation

    async def poll(self, max_records: int, wait: float) -> list[Record]:
        """As the port says. Raises BusUnavailable when the consumer had to be given up, or not be built."""
        await self.start(max(wait, CALL_SECONDS))
        try:
            async with asyncio.timeout(wait + GRACE_SECONDS):
                got = await self._inner.getmany(timeout_ms=round(wait * 1000), max_records=max_records)
        except TimeoutError:  # a rebalance; the records stay where they are
            if time.monotonic() - self._answered > self._stuck_seconds:
                await self._give_up("no answer of getmany")
            return []
        except CLIENT_ERRORS as error:
            await self._give_up("a client's error", error)
        self._answered = time.monotonic()
        if not got:
            await self._look_whether_stuck()
        if self._member.looked_at != self._member.generation:
            await self._look_for_offsets()
        return self._records(got)

    def _records(self, got: Mapping[TopicPartition, Sequence[Any]]) -> list[Record]:
        records = []
        for part, messages in got.items():
            self._progressed()
            self._member.returned[part] = messages[-1].offset + 1
            topic = part.topic.removeprefix(self._prefix)
            records += [
                Record(topic, part.partition, m.offset, m.key or b"", m.value or b"", m.headers) for m in messages
            ]
        return records

    async def commit(self) -> None:
        inner, member = self._inner, self._member
        if inner is None:
            return
        owned, generation = inner.assignment(), member.generation
        # one lost partition among them would make aiokafka commit nothing
        offsets = {
            part: offset
            for part, offset in member.returned.items()
            if part in owned and member.committed.get(part) != offset
        }
        if not offsets:
            return
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await inner.commit(offsets)
        except CLIENT_ERRORS as error:
            _log.info("commit of %s not taken, its records may come again: %r", self._settings["group_id"], error)
            return
        if generation == member.generation:
            member.committed.update(offsets)

    async def standing(self) -> dict[tuple[str, int], tuple[int, int]]:
        """As the port says. Raises BusUnavailable."""
        if self._inner is None or not (owned := self._inner.assignment()):
            return {}
        try:
            async with asyncio.timeout(CALL_SECONDS):
                starts = await self._uncommitted_from(owned)
                ends = await self._inner.end_offsets(owned)
        except CLIENT_ERRORS as error:
            raise unavailable("the broker did not tell the lag", error) from error
        return {(part.topic.removeprefix(self._prefix), part.partition): (starts[part], ends[part]) for part in owned}

    async def _uncommitted_from(self, owned: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where the group stands: the last commit, or else the first record there is."""
        inner, committed = self._inner, self._member.committed
        unknown = [part for part in owned if part not in committed]
        committed.update(zip(unknown, await asyncio.gather(*map(inner.committed, unknown)), strict=True))
        never = [part for part in owned if committed[part] is None]
        first: dict[TopicPartition, int] = await inner.beginning_offsets(never) if never else {}
        return first | {part: at for part in owned if (at := committed[part]) is not None}

    async def _look_for_offsets(self) -> None:
        """Once an assignment: a group without a place in a log that has records reads it from the beginning. That is
        right for a new group; for an old one, offsets have gone, and whoever runs it should know."""
        member, generation = self._member, self._member.generation
        owned = self._inner.assignment()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                starts = await self._uncommitted_from(owned)
                ends = await self._inner.end_offsets(owned) if owned else {}
        except CLIENT_ERRORS:
            return  # the next poll asks again
        if member.generation != generation:
            return
        member.looked_at = generation
        records = sum(ends[part] - starts[part] for part in owned if member.committed.get(part) is None)
        if records:
            telemetry.WITHOUT_OFFSETS.labels(self._group).inc()
            telemetry.logger(self._group).warning("group_without_offsets", records=records)

    async def close(self) -> None:
        inner, self._inner = self._inner, None
        if inner is not None:
            await discard(inner)

    async def _give_up(self, reason: str, error: BaseException | None = None) -> None:
        """Drop the inner consumer; the next poll builds another. Always raises BusUnavailable."""
        await self.close()
        raise unavailable(f"consumer of {self._settings['group_id']} given up, {reason}", error) from error

    def _progressed(self) -> None:
        self._next_look = time.monotonic() + QUIET_SECONDS
        self._behind_before = False

    async def _look_whether_stuck(self) -> None:
        """After a quiet time with records waiting, twice in a row, give the consumer up."""
        if time.monotonic() < self._next_look:
            return
        behind = await self._behind()
        if behind and self._behind_before:
            await self._give_up("records are waiting but none comes")
        self._behind_before = behind
        self._next_look = time.monotonic() + (BEHIND_SECONDS if behind else QUIET_SECONDS)

    async def _behind(self) -> bool:
        inner = self._inner
        owned = inner.assignment()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                ends = await inner.end_offsets(owned) if owned else {}
                return any([ends[part] > await inner.position(part) for part in owned])
        except CLIENT_ERRORS:
            return False  # no broker, no records: aiokafka keeps trying
