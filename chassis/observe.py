"""What has to be asked for to be known: lag, outbox, parked, pool. One look every few seconds per service, never on a
scrape and never beside a batch; a look that fails is counted and leaves the last reading as it was."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from prometheus_client import Gauge
from sqlalchemy import text

from chassis import telemetry
from chassis.consume import Consuming
from chassis.database import Database
from chassis.progress import Part
from chassis.service import Service

EVERY_SECONDS = 10.0
PATIENCE_SECONDS = 5.0

OUTBOX = """
SELECT CAST(coalesce(sum(h.next - c.pos), 0) AS float8) AS backlog,
       CAST(coalesce(extract(epoch FROM clock_timestamp() - min(first.occurred_at)), 0) AS float8) AS oldest
FROM outbox_head h JOIN outbox_cursor c USING (shard)
LEFT JOIN LATERAL (
  SELECT o.occurred_at FROM outbox o WHERE o.shard = c.shard AND o.off >= c.pos ORDER BY o.off LIMIT 1
) first ON h.next > c.pos
"""
PARKED = """
SELECT CAST(count(DISTINCT person_ref) AS float8) AS people,
       CAST(coalesce(extract(epoch FROM clock_timestamp() - min(first_failed_at)), 0) AS float8) AS oldest
FROM parked WHERE released_at IS NULL
"""
OLDEST_TX = """
SELECT CAST(coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0) AS float8)
FROM pg_stat_activity WHERE usename = current_user AND datname = current_database()
"""


class Sampler:
    """Reads one running service into the gauges. `run` goes on until cancelled and never fails."""

    def __init__(self, service: Service, database: Database, consuming: Consuming) -> None:
        self.service, self.database, self.consuming = service, database, consuming
        self._parts: set[Part] = set()
        self._rebalances = 0

    async def run(self) -> None:
        await asyncio.sleep(random.uniform(0, EVERY_SECONDS))  # processes started together do not ask together
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        for what in (self._consumer, self._tables, self._pool):
            await self._tried(what)

    async def _tried(self, read: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await read()
        except Exception:  # noqa: BLE001 - whatever is away, observing it must not add to the trouble
            telemetry.SAMPLES_FAILED.labels(self.service.name, read.__name__.strip("_")).inc()

    async def _consumer(self) -> None:
        progress, consumer, group = self.consuming.progress, self.consuming.consumer, self.service.name
        if not self.service.handlers.subscriptions:
            return
        telemetry.LAST_POLL.labels(group).set(progress.last_poll)
        telemetry.LAST_PROGRESS.labels(group).set(progress.last_done)
        telemetry.REBALANCES.labels(group).inc(progress.rebalances - self._rebalances)
        self._rebalances = progress.rebalances
        standing = await consumer.standing() if consumer is not None else {}
        ages = progress.ages(standing)
        for (topic, part), (committed, end) in standing.items():
            labels = (group, topic, str(part))
            telemetry.LAG_RECORDS.labels(*labels).set(end - committed)
            telemetry.LAG_SECONDS.labels(*labels).set(ages[topic, part])
            telemetry.COMMITTED.labels(*labels).set(committed)
        for topic, part in self._parts - standing.keys():
            _forget(group, topic, str(part))
        self._parts = set(standing)

    async def _tables(self) -> None:
        name = self.service.name
        async with self.database.engine.connect() as connection:
            outbox = (await connection.execute(text(OUTBOX))).one()
            telemetry.OUTBOX_BACKLOG.labels(name).set(outbox.backlog)
            telemetry.OUTBOX_OLDEST.labels(name).set(outbox.oldest)
            parked = (await connection.execute(text(PARKED))).one()
            telemetry.PARKED_KEYS.labels(name).set(parked.people)
            telemetry.PARKED_OLDEST.labels(name).set(parked.oldest)
            telemetry.OLDEST_TX.labels(name).set((await connection.execute(text(OLDEST_TX))).scalar_one())
            for gauge, sql in self.service.sampled:
                gauge.labels(name).set((await connection.execute(text(sql))).scalar_one() or 0)

    async def _pool(self) -> None:
        telemetry.POOL_IN_USE.labels(self.service.name).set(self.database.in_use())
        telemetry.POOL_SIZE.labels(self.service.name).set(self.database.most())


def _forget(*labels: str) -> None:
    """A partition that another process owns now: a reading left behind would look like a consumer that stands."""
    gauges: tuple[Gauge, ...] = (telemetry.LAG_RECORDS, telemetry.LAG_SECONDS, telemetry.COMMITTED)
    for gauge in gauges:
        with suppress(KeyError):
            gauge.remove(*labels)
