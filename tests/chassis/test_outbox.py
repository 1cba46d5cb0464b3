"""Committed events leave no gap, and a person's come in the order of their commits, whoever writes at once."""

import asyncio
import random
from collections import defaultdict
from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import text

from chassis.bus import MAX_RECORD_BYTES, RecordTooLarge
from chassis.transaction import SHARDS, Cause, shard_of
from contracts.event import Event
from contracts.streams import StreamDecided
from tests.chassis.probe import TOPIC, Probe, person, told

WRITERS, EACH = 8, 40
PEOPLE = [who for who in map(person, range(200)) if shard_of(who) < 2][:6]
"""Of two shards, so that people who wait for nothing else of each other meet in the outbox."""

NEXT = "INSERT INTO counter VALUES (:who, 1) ON CONFLICT (person_ref) DO UPDATE SET n = counter.n + 1 RETURNING n"
AFTER = text("SELECT shard, off, subject, payload FROM outbox WHERE shard = :shard AND off >= :pos ORDER BY off")


async def write(probe: Probe, writer: int) -> int:
    """Transactions of one writer, open for random times; a fifth are rolled back. Returns how many events it told."""
    luck, count = random.Random(writer), 0
    for _ in range(EACH):
        who = sorted(luck.sample(PEOPLE, luck.choice([1, 1, 2])))
        try:
            async with probe.transactions() as tx:
                for one in who:  # the aggregate is locked, as a service's is; its number is the order of commits
                    n = (await tx.execute(NEXT, {"who": one})).scalar()
                    tx.publish(told(one, n), Cause(UUID(int=3)))
                await asyncio.sleep(luck.choice([0, 0.001, 0.003, 0.02]))
                if luck.random() < 0.2:
                    raise KeyboardInterrupt  # nothing that the code under test could mistake for its own
            count += len(who)
        except KeyboardInterrupt:
            pass
    return count


async def follow(probe: Probe, done: asyncio.Event) -> list[tuple[int, int, UUID, bytes]]:
    """What a relay sees that reads from its cursor while others write."""
    seen, positions = [], dict.fromkeys(range(SHARDS), 0)
    last = False
    while not last:
        last = done.is_set()
        async with probe.database.engine.connect() as connection:
            for shard, pos in positions.items():
                for row in (await connection.execute(AFTER, {"shard": shard, "pos": pos})).all():
                    seen.append((row.shard, row.off, row.subject, bytes(row.payload)))
                    positions[shard] = row.off + 1
        await asyncio.sleep(0.001)
    return seen


async def test_eight_writers_lose_nothing_and_keep_each_persons_order(probe: Probe) -> None:
    done = asyncio.Event()
    following = asyncio.create_task(follow(probe, done))
    counts = await asyncio.gather(*(write(probe, n) for n in range(WRITERS)))
    done.set()
    seen = await following

    offsets, revisions = defaultdict(list), defaultdict(list)
    for shard, off, subject, payload in seen:
        assert shard == shard_of(subject)
        offsets[shard].append(off)
        revisions[subject].append(told(subject, 1).decode(payload).revision)
    assert len(seen) == sum(counts) > WRITERS * EACH
    assert all(found == list(range(len(found))) for found in offsets.values())
    assert all(found == list(range(1, len(found) + 1)) for found in revisions.values())
    heads = {row.shard: row.next for row in await probe.rows("SELECT shard, next FROM outbox_head WHERE next > 0")}
    assert heads == {shard: len(found) for shard, found in offsets.items()}


async def test_writers_on_many_shards_never_wait_for_each_other_in_a_circle(probe: Probe) -> None:
    """Without a fixed order of locks, eight writers over sixteen shards deadlock within a few transactions."""
    people = [UUID(int=n) for n in range(SHARDS)]

    async def spread(writer: int) -> None:
        luck = random.Random(writer)
        for n in range(25):
            async with probe.transactions() as tx:
                for who in luck.sample(people, 12):
                    tx.publish(told(who, writer * 1000 + n + 1), Cause(UUID(int=3)))

    await asyncio.gather(*(spread(n) for n in range(WRITERS)))
    (total,) = await probe.rows("SELECT count(*) AS n FROM outbox")
    assert total.n == WRITERS * 25 * 12


async def test_an_event_told_twice_by_a_retry_has_one_id(probe: Probe) -> None:
    """Ids come from the cause and all that makes the fact new; another revision or another cause is another fact."""

    async def ids(cause: Cause, revision: int) -> UUID:
        async with probe.transactions() as tx:
            return tx.publish(told(PEOPLE[0], revision), cause)

    cause = Cause(UUID("01900000-0000-7000-8000-00000000000a"), UUID(int=8))
    first = await ids(cause, 1)
    assert await ids(Cause(cause.correlation_id, UUID(int=9)), 1) == first
    assert await ids(cause, 2) != first
    assert await ids(Cause(UUID(int=7)), 1) != first


async def test_what_is_rolled_back_is_not_told(probe: Probe) -> None:
    async def fail() -> None:
        async with probe.transactions() as tx:
            tx.publish(told(PEOPLE[0], 1), Cause(UUID(int=3)))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await probe.rows("SELECT 1 FROM outbox") == []
    assert not probe.transactions.committed.is_set()


async def test_an_event_too_large_for_the_log_is_refused_where_it_is_told(probe: Probe) -> None:
    """Stuck in the outbox it would stop its shard for ever. What was done before it is rolled back with it."""
    big = StreamDecided(
        person_ref=PEOPLE[0], assessment_ref=UUID(int=4), stream="s", revision=1, outcome="REFUSED", rule_set="r",
        pack_hash="h", effective_date=date(2025, 4, 1), decision_maker="x" * MAX_RECORD_BYTES,
    )  # fmt: skip

    async def tell(event: Event) -> None:
        async with probe.transactions() as tx:
            tx.publish(told(PEOPLE[0], 1), Cause(UUID(int=3)))
            tx.publish(event, Cause(UUID(int=3)))

    with pytest.raises(RecordTooLarge):
        await tell(big)
    assert await probe.rows("SELECT 1 FROM outbox") == []
    async with probe.transactions() as tx:
        tx.publish(told(PEOPLE[0], 2), Cause(UUID(int=3)))
    (kept,) = await probe.rows("SELECT topic, off FROM outbox")
    assert (kept.topic, kept.off) == (TOPIC, 0)


async def test_a_service_cannot_change_what_it_has_told(probe: Probe) -> None:
    """Its role may append to the outbox and the inbox, and nothing else."""
    async with probe.transactions() as tx:
        tx.publish(told(PEOPLE[0], 1), Cause(UUID(int=3)))
    for statement in ("UPDATE outbox SET payload = ''", "DELETE FROM outbox", "DELETE FROM inbox", "TRUNCATE outbox"):
        with pytest.raises(Exception, match="permission denied"):
            await probe.rows(statement)
