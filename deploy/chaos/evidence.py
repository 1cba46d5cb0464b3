"""What a deployment holds once it is quiet: everything told, sent, handled, parked and decided, as plain values."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from aiokafka.admin import AIOKafkaAdminClient

from chassis.bus import Record
from chassis.service import Service, all_topics
from contracts.budget import BudgetProposed
from deploy.chaos.fleet import Fleet

MARK = "quillfeather"
"""What every planted name begins with (people.py)."""
_PLANTED = re.compile(rf"{MARK}|{MARK.encode().hex()}|\b999[0-9]{{7}}\b")
"""Half a name is a name: texts are shortened before they are logged."""


class Told(NamedTuple):
    """One row of a service's outbox."""

    schema: str
    shard: int
    off: int
    id: UUID
    type: str
    topic: str
    subject: UUID
    correlation: UUID
    causation: UUID | None
    payload: bytes


class Sent(NamedTuple):
    """One record of the log. `id` is None where its headers cannot be read."""

    topic: str
    partition: int
    offset: int
    key: bytes
    id: UUID | None


class Parked(NamedTuple):
    schema: str
    event_id: UUID
    hash: bytes
    reason: str
    open: bool


@dataclass
class Injected:
    """What the harness itself put on topics: (topic, event id) of messages nobody can handle, of one id with another
    body, and how many records it only sent again."""

    poison: set[tuple[str, UUID]] = field(default_factory=set)
    conflicts: set[tuple[str, UUID, bytes]] = field(default_factory=set)
    repeats: int = 0


@dataclass
class Evidence:
    """`reads`: schema -> the topics its service reads. `lag`: service -> records not committed. `leaks`: where planted
    words were found. `chains`: per schema, the audit rows (shard, off, body, hash) and heads (shard, next, hash)."""

    reads: dict[str, set[str]]
    told: list[Told]
    sent: list[Sent]
    inbox: dict[str, set[UUID]]
    parked: list[Parked]
    finals: dict[UUID, UUID]
    """Final assessments: reference -> root id."""
    budgets: list[tuple[UUID, str, dict[str, Any] | None]]
    """Reference, state, totals told last, of every case."""
    unsent: dict[str, int]
    lag: dict[str, int]
    due: int
    acknowledged: set[UUID]
    right: dict[UUID, tuple[str, dict[str, Any]]]
    injected: Injected
    chains: dict[str, tuple[list[Any], list[Any]]]
    leaks: list[str]


async def gather(
    fleet: Fleet, injected: Injected, acknowledged: set[UUID], right: dict[UUID, tuple[str, dict[str, Any]]]
) -> Evidence:
    sent, leaks = await _log(fleet)
    schemas = {s.schema: s for s in fleet.services}
    told = [t for schema in schemas for t in await _told(fleet, schema)]
    leaks += [f"outbox of {t.schema}: {t.type}" for t in told if planted(t.payload)]
    leaks += await _tables(fleet, list(schemas))
    leaks += [f"log {path.name}" for path in _logs(fleet) if planted(path.read_bytes())]
    return Evidence(
        reads={schema: set(s.handlers.topics()) for schema, s in schemas.items()},
        told=told,
        sent=sent,
        inbox={s: {r[0] for r in await fleet.ask(f"SELECT event_id FROM {s}.inbox")} for s in schemas},
        parked=[p for schema in schemas for p in await _parked(fleet, schema)],
        finals={
            r[0]: r[1] for r in await fleet.ask("SELECT assessment_ref, root_id FROM assessment.assessment WHERE final")
        },
        budgets=await _budgets(fleet),
        unsent={schema: await unsent(fleet, schema) for schema in schemas},
        lag={s.name: await lag(fleet, s) for s in fleet.services},
        due=(await fleet.ask("SELECT count(*) FROM ras.budget_case WHERE next_due <= now()"))[0][0],
        acknowledged=set(acknowledged),
        right=right,
        injected=injected,
        chains={schema: await _chain(fleet, schema) for schema in schemas},
        leaks=leaks,
    )


async def _told(fleet: Fleet, schema: str) -> list[Told]:
    sql = f"""SELECT '{schema}', shard, off, event_id, type, topic, subject, correlation_id, causation_id, payload
              FROM {schema}.outbox ORDER BY shard, off"""
    return [Told(*row) for row in await fleet.ask(sql)]


async def _parked(fleet: Fleet, schema: str) -> list[Parked]:
    sql = f"SELECT '{schema}', event_id, payload_hash, reason, released_at IS NULL FROM {schema}.parked"
    return [Parked(*row) for row in await fleet.ask(sql)]


async def _budgets(fleet: Fleet) -> list[tuple[UUID, str, dict[str, Any] | None]]:
    found = []
    for ref, state, proposed in await fleet.ask("SELECT assessment_ref, state, proposed FROM ras.budget_case"):
        totals = None if proposed is None else msgspec.to_builtins(BudgetProposed.decode(bytes(proposed)).totals)
        found.append((ref, state, totals))
    return found


async def unsent(fleet: Fleet, schema: str) -> int:
    """Events committed that no relay has sent."""
    sql = f"SELECT sum(h.next - c.pos) FROM {schema}.outbox_head h JOIN {schema}.outbox_cursor c USING (shard)"
    return int((await fleet.ask(sql))[0][0])


async def _chain(fleet: Fleet, schema: str) -> tuple[list[Any], list[Any]]:
    rows = await fleet.ask(f"SELECT shard, off, body, hash FROM {schema}.audit ORDER BY shard, off")
    heads = await fleet.ask(f"SELECT shard, next, hash FROM {schema}.audit_head ORDER BY shard")
    return rows, heads


async def lag(fleet: Fleet, service: Service) -> int:
    """Records of its topics that its group has not committed."""
    topics = service.handlers.topics()
    if not topics:
        return 0
    ends = await fleet.bus.end_offsets(topics)
    committed = await _committed(fleet, service.name)
    return sum(end - committed.get(part, 0) for part, end in ends.items())


async def _committed(fleet: Fleet, group: str) -> dict[tuple[str, int], int]:
    if fleet.kafka is None:
        sql = "SELECT topic, part, next_off FROM bus.log_group WHERE grp = $1"
        return {(topic, part): off for topic, part, off in await fleet.ask(sql, group)}
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=fleet.kafka.bootstrap)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(fleet.prefix + group)
    finally:
        await admin.close()
    return {(p.topic.removeprefix(fleet.prefix), p.partition): at.offset for p, at in found.items()}


async def _log(fleet: Fleet) -> tuple[list[Sent], list[str]]:
    """Every record there is, read as one more consumer would, and where planted words were."""
    sent, leaks = [], []
    async for record in every_record(fleet, f"chaos-evidence-{time.monotonic_ns()}"):
        sent.append(Sent(record.topic, record.partition, record.offset, record.key, _id(record)))
        if planted(record.key + record.value + repr(record.headers).encode()):
            leaks.append(f"topic {record.topic}")
    return sent, leaks


async def every_record(fleet: Fleet, group: str, seconds: float = 60) -> Any:
    """Records of every topic from the first on, until all that is there now has been seen."""
    topics = all_topics(fleet.services)
    ends = {part: end for part, end in (await fleet.bus.end_offsets(topics)).items() if end}
    consumer = await fleet.bus.consumer(group, topics)
    limit = time.monotonic() + seconds
    try:
        while ends and time.monotonic() < limit:
            for record in await consumer.poll(500, 0.5):
                yield record
                if record.offset + 1 >= ends.get((record.topic, record.partition), 1 << 62):
                    ends.pop((record.topic, record.partition))
            await asyncio.sleep(0)
    finally:
        await consumer.close()
    if ends:
        raise TimeoutError(f"{len(ends)} partitions could not be read to their end")


def _id(record: Record) -> UUID | None:
    try:
        return UUID(dict(record.headers)["ce_id"].decode())
    except (KeyError, ValueError):
        return None


def planted(text: bytes | str) -> bool:
    """Whether a planted name or number is in it, also written as hexadecimal."""
    return bool(_PLANTED.search(text if isinstance(text, str) else text.decode("latin-1")))


async def _tables(fleet: Fleet, schemas: Sequence[str]) -> list[str]:
    """Every table but the one place that knows who a person is."""
    found = []
    for schema in schemas:
        for (table,) in await fleet.ask(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = $1::regnamespace "
            "AND c.relkind IN ('r', 'p') AND NOT c.relispartition",
            schema,
        ):
            if (schema, table) == ("assessment", "assessment"):
                continue
            rows = await fleet.ask(f"SELECT t::text FROM {schema}.{table} t")
            found += [f"table {schema}.{table}" for (row,) in rows if planted(row)]
    return found


def _logs(fleet: Fleet) -> Iterator[Path]:
    yield from fleet.folder.glob("*.log")
    yield fleet.postgres.folder.log
    if fleet.kafka is not None:
        yield fleet.kafka.log
