"""The whole benchmark: both peers, then ours, with few and with many people stored, then at a steady rate."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chassis import telemetry
from chassis.bus_kafka import KafkaBus
from deploy.bench import ceiling, hops, measures, stored, usual
from deploy.bench.hops import Peer
from deploy.bench.house import House, opened
from deploy.bench.pipeline import Driver, driving
from deploy.bench.report import Report, machine
from deploy.kafka import EmbeddedKafka
from deploy.postgres import EmbeddedPostgres
from deploy.services import all_services

if TYPE_CHECKING:
    from collections.abc import Iterator

WARM_UP = 2000
Rate = Callable[[Peer, int, Callable[[int], None]], Awaitable[float]]


@dataclass(frozen=True)
class Options:
    """`stored`: how many people are there before each of our runs, fewest first. `usual_people`: that peer is slow."""

    bus: str = "kafka"
    people: int = 10_000
    stored: Sequence[int] = (10_000,)
    peers: bool = True
    usual_people: int = 400
    rate: int = 50
    rate_seconds: int = 20
    quiet: bool = False


def bench(options: Options) -> Report:
    """Run it. Raises DeployError where Kafka cannot run here, WrongBudgets where the gate fails."""
    telemetry.set_up_logs(level="ERROR", as_json=True)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return asyncio.run(_bench(options))


async def _bench(options: Options) -> Report:
    report = Report(
        bus=options.bus, people=options.people, machine=machine(), peers={}, by_stored={}, costs={}, latency=None
    )
    with _progress(options.quiet) as progress:
        bars = _Bars(progress)
        if options.bus == "kafka" and options.peers:
            report.peers["ceiling (no rules, unnest)"] = await _peer(
                ceiling.budgets_a_second, options.people, bars, "ceiling"
            )
            report.peers["as usually written"] = await _peer(
                usual.budgets_a_second, options.usual_people, bars, "as usually written"
            )
        bars.named("starting", 1)
        async with opened(options.bus) as house, driving(house) as driver:
            await driver.throughput("first", WARM_UP, bars.named("the first people", WARM_UP))
            for n, people in enumerate(options.stored):
                await _ours(options, report, house, driver, people, bars)
                if n == 0:
                    count = options.rate * options.rate_seconds
                    bar = bars.named(f"{options.rate} a second", count)
                    report.latency = await driver.latency("steady", count, options.rate, bar)
    return report


async def _ours(options: Options, report: Report, house: House, driver: Driver, people: int, bars: "_Bars") -> None:
    """One measured run with `people` stored."""
    there = await stored.fill(house.superuser_url, all_services(), people, bars.named("people stored", people))
    await driver.throughput(f"warm{people}", WARM_UP, bars.named("warming up", WARM_UP))
    before = await measures.read(house.processes(), house.superuser_url)
    rate = await driver.throughput(f"run{people}", options.people, bars.named("budgets", options.people))
    report.by_stored[there] = rate
    after = await measures.read(house.processes(), house.superuser_url)
    report.costs[there] = measures.cost(before, after, options.people)


async def _peer(rate: Rate, count: int, bars: "_Bars", name: str) -> float:
    """A peer on a broker and a server of its own, warmed up by a tenth of the work."""
    with EmbeddedKafka.start() as kafka, EmbeddedPostgres.start(settings=hops.SERVER) as postgres:
        url = postgres.url(postgres.superuser, postgres.password, "postgres")
        bus = KafkaBus(kafka.bootstrap, partitions=hops.PARTITIONS)
        await bus.create_topics(hops.TOPICS)
        await bus.close()
        connection = await asyncpg.connect(url)
        for group in (*hops.GROUPS, hops.COMBINER):
            await connection.execute(f"CREATE SCHEMA {group};" + hops.TABLES.format(schema=group))
        await connection.close()
        peer = Peer(kafka.bootstrap, url)
        return await rate(peer, count, bars.named(name, count))


class _Bars:
    """One bar a phase; the one before is full when the next begins."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def named(self, name: str, total: int) -> Callable[[int], None]:
        task = self._progress.add_task(name, total=total)
        return lambda done: self._progress.update(task, completed=done)


@contextmanager
def _progress(quiet: bool) -> "Iterator[Progress]":
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, quiet=quiet), disable=quiet) as progress:
        yield progress
