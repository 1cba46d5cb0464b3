"""Drive the deployment: finalise assessments, hear the budgets, and see that every one is right and there is one."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from chassis.auth import Caller
from chassis.bus import BusUnavailable
from contracts.budget import BudgetProposed
from deploy.bench.house import House
from deploy.bench.measures import percentile
from deploy.bench.mix import Person, people
from services.assessment import commands, store
from services.assessment.domain.assessment import assessment_ref

CHUNK = 100
BENCH = Caller("bench", frozenset({"assessments.write"}), None)
MOST_UNDER_WAY = 3000
PATIENCE_SECONDS = 120.0
Progress = Callable[[int], None]


class WrongBudgets(Exception):
    """The gate: a run in which somebody has no budget, two, or a wrong total does not count."""


@dataclass
class Heard:
    """Every budget event, with when it was heard (monotonic seconds)."""

    budgets: dict[UUID, list[BudgetProposed]] = field(default_factory=dict)
    at: dict[UUID, float] = field(default_factory=dict)

    def hear(self, budget: BudgetProposed) -> None:
        self.budgets.setdefault(budget.assessment_ref, []).append(budget)
        self.at.setdefault(budget.assessment_ref, time.monotonic())


@dataclass(frozen=True)
class Latency:
    """Milliseconds from finalise to the budget heard, at a steady `rate` a second."""

    rate: int
    people: int
    p50_ms: float
    p99_ms: float
    most_ms: float


class Driver:
    def __init__(self, house: House, heard: Heard) -> None:
        self.house, self.heard = house, heard
        self._before = 0

    async def throughput(self, run: str, count: int, progress: Progress) -> float:
        """Finalise `count` people as fast as they go. Returns whole budgets a second. Raises WrongBudgets."""
        wanted: dict[UUID, Person] = {}
        self._before = len(self.heard.at)
        started = time.monotonic()
        crowd = people(run, 0, count)
        while chunk := list(itertools.islice(crowd, CHUNK)):
            await self._room(wanted)
            async with self.house.home.transactions() as tx:
                await commands.take_in(tx, [p.assessment for p in chunk], self.house.home.deps.pepper)
            wanted |= {assessment_ref(p.assessment): p for p in chunk}
            progress(self._done())
        await self._until_heard(wanted, progress)
        seconds = max(self.heard.at[ref] for ref in wanted) - started
        self.check(wanted)
        return count / seconds

    async def latency(self, run: str, count: int, rate: int, progress: Progress) -> Latency:
        """Finalise drafts one by one, `rate` a second, whatever the answers do. Raises WrongBudgets."""
        crowd = list(people(run, 0, count))
        wanted = {assessment_ref(p.assessment): p for p in crowd}
        home = self.house.home
        async with home.transactions() as tx:
            drafts = [(commands.stored(p.assessment, tx, home.deps.pepper, final=False), p.assessment) for p in crowd]
            await store.add(tx, drafts, final=False)
        asked: dict[UUID, float] = {}
        self._before = len(self.heard.at)

        async def finalise(ref: UUID) -> None:
            asked[ref] = time.monotonic()
            async with home.transactions() as tx:
                await commands.finalise(tx, ref, home.deps.pepper, BENCH)

        started = time.monotonic()
        async with asyncio.TaskGroup() as under_way:
            for n, ref in enumerate(wanted):
                await asyncio.sleep(max(0.0, started + n / rate - time.monotonic()))
                under_way.create_task(finalise(ref))
                progress(self._done())
        await self._until_heard(wanted, progress)
        self.check(wanted)
        took = [(self.heard.at[ref] - asked[ref]) * 1000 for ref in wanted]
        return Latency(rate, count, percentile(took, 0.5), percentile(took, 0.99), max(took))

    def check(self, wanted: dict[UUID, Person]) -> None:
        """Raises WrongBudgets unless each has exactly one budget, with the right totals."""
        wrong = 0
        for ref, person in wanted.items():
            found = self.heard.budgets.get(ref, [])
            wrong += len(found) != 1 or not found[0].complete or not person.is_right(found[0].totals)
        if wrong:
            raise WrongBudgets(f"{wrong} of {len(wanted)} people have no budget, more than one, or a wrong total")

    def _done(self) -> int:
        return len(self.heard.at) - self._before

    async def _room(self, wanted: dict[UUID, Person]) -> None:
        """Wait while too many are under way: a queue in memory measures nothing."""
        while len(wanted) - self._done() > MOST_UNDER_WAY:
            self.house.raise_if_ended()
            await asyncio.sleep(0.02)

    async def _until_heard(self, wanted: dict[UUID, Person], progress: Progress) -> None:
        last, quiet_since = -1, time.monotonic()
        while (done := self._done()) < len(wanted):
            self.house.raise_if_ended()
            if done != last:
                last, quiet_since = done, time.monotonic()
                progress(done)
            if time.monotonic() - quiet_since > PATIENCE_SECONDS:
                raise WrongBudgets(f"{len(wanted) - done} budgets did not come")
            await asyncio.sleep(0.02)
        progress(len(wanted))
        await asyncio.sleep(0.5)  # long enough for a second budget to show


@asynccontextmanager
async def driving(house: House) -> AsyncIterator[Driver]:
    """Hears budgets while the block runs."""
    heard = Heard()
    consumer = await house.bus.consumer("bench", [BudgetProposed.topic()])

    async def listen() -> None:
        while True:
            try:
                for record in await consumer.poll(500, 0.5):
                    heard.hear(BudgetProposed.decode(record.value))
            except BusUnavailable:
                continue

    listening = asyncio.create_task(listen(), name="bench:listen")
    try:
        while not consumer.assigned:  # noqa: ASYNC110 - the bus has no event for it
            await asyncio.sleep(0.05)
        yield Driver(house, heard)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await consumer.close()
