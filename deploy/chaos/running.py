"""One run on one bus: a step hurts the deployment while people are assessed, then everything must be right again."""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from chassis.bus import BusUnavailable
from contracts.budget import BudgetProposed
from deploy.chaos.evidence import Injected, lag
from deploy.chaos.fleet import Fleet
from deploy.chaos.load import Load
from deploy.chaos.messages import Meddler
from deploy.chaos.people import Crowd, Person

QUIET_SECONDS = 30.0


@dataclass
class Outcome:
    """What one step did. `proofs`: how often each fault really happened. `recovery_seconds`: from the end of the faults
    (services have yet to start, people to be assessed) until everybody's budget is right."""

    step: str
    bus: str
    people: int = 0
    seconds: float = 0.0
    recovery_seconds: float = 0.0
    budgets_a_second: float = 0.0
    proofs: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class NotQuiet(Exception):
    """The deployment did not come to rest after the faults were over."""


@dataclass
class Run:
    """What steps work with. `count` is how many people a step assesses; `held` waits for an operator: parked."""

    fleet: Fleet
    rng: random.Random
    count: int
    crowd: Crowd
    load: Load
    meddler: Meddler
    injected: Injected
    proofs: Counter[str] = field(default_factory=Counter)
    held: set[UUID] = field(default_factory=set)
    healed: float | None = None
    """When the faults of this step were over, by the monotonic clock."""
    rebuilt: list[str] | None = None
    """What was not rebuilt the same; None where nobody has looked."""

    @classmethod
    def of(cls, fleet: Fleet, rng: random.Random, count: int) -> "Run":
        injected = Injected()
        return cls(fleet, rng, count, Crowd(rng), Load(fleet, rng), Meddler(fleet, rng, injected), injected)

    @property
    def on_kafka(self) -> bool:
        return self.fleet.kafka is not None

    @property
    def faults_ended(self) -> float:
        return time.monotonic() if self.healed is None else self.healed

    @property
    def beyond_a_lease(self) -> float:
        """Seconds after which a member that says nothing has lost its partitions."""
        return 17.0 if self.on_kafka else 7.0

    def saw(self, what: str, times: int = 1) -> None:
        self.proofs[what] += times

    @asynccontextmanager
    async def under_load(self, people: Sequence[Person] | None = None, seconds: float = 5.0) -> AsyncIterator[None]:
        """People are assessed while the block hurts; then all is healed and everybody acknowledged."""
        chosen = self.crowd.people(self.count) if people is None else people
        load = asyncio.create_task(self.load.make(chosen, seconds))
        try:
            yield
            self.healed = time.monotonic()
            await self.heal()
            await load
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)

    async def heal(self) -> None:
        self.fleet.proxy.heal()
        self.fleet.wake()
        self.fleet.revive()
        await self.fleet.until_ready()

    async def until_quiet(self, seconds: float = QUIET_SECONDS, *, committed: bool = False) -> None:
        """Until all budgets are right and all is sent, and with `committed` every offset too. Raises NotQuiet."""
        limit = time.monotonic() + seconds
        while left := await self._unquiet(committed=committed):
            if time.monotonic() > limit:
                raise NotQuiet("; ".join(left))
            self.fleet.revive()
            await asyncio.sleep(0.3)

    async def _unquiet(self, *, committed: bool) -> list[str]:
        wrong = await self.wrong()
        left = [f"{len(wrong)} budgets are not right: {sorted(map(str, wrong))[:3]}"] if wrong else []
        sums = [
            f"SELECT '{s.schema}' AS schema, h.next - c.pos AS n FROM {s.schema}.outbox_head h "
            f"JOIN {s.schema}.outbox_cursor c USING (shard)"
            for s in self.fleet.services
        ]
        sql = f"SELECT schema, sum(n) FROM ({' UNION ALL '.join(sums)}) x GROUP BY schema HAVING sum(n) > 0"
        left += [f"{schema} has {n} events not sent" for schema, n in await self.fleet.ask(sql)]
        if committed and not left:
            left += await self._behind()
        return left

    async def _behind(self) -> list[str]:
        try:
            behind = {s.name: await lag(self.fleet, s) for s in self.fleet.services}
        except BusUnavailable:
            return ["the bus does not answer"]
        return [f"{name} is {n} records behind" for name, n in behind.items() if n]

    async def wrong(self) -> set[UUID]:
        """Assessments whose budget is not (yet) what was worked out by hand, but for those that are held."""
        expected = {ref: right for ref, right in self.load.right.items() if ref not in self.held}
        sql = "SELECT assessment_ref, state, proposed FROM ras.budget_case WHERE assessment_ref = ANY($1)"
        found: dict[UUID, Any] = {}
        for ref, state, proposed in await self.fleet.ask(sql, list(expected)):
            if proposed is not None:
                found[ref] = (state, msgspec.to_builtins(BudgetProposed.decode(bytes(proposed)).totals))
        return {ref for ref, right in expected.items() if found.get(ref) != right}


@dataclass(frozen=True)
class Step:
    """`needs`: proofs without which the step shows nothing, so that the run fails."""

    name: str
    says: str
    work: Callable[[Run], Awaitable[None]]
    needs: tuple[str, ...]
    buses: tuple[str, ...] = ("embedded", "kafka")


async def take(step: Step, run: Run, ends: float) -> Outcome:
    """One step, healed and waited for. What went wrong is in `faults`; nothing is raised for it."""
    outcome = Outcome(step.name, run.fleet.bus_name)
    if time.monotonic() > ends:
        outcome.faults.append("not done: there was no time left")
        return outcome
    run.proofs, run.healed, started, before = Counter(), None, time.monotonic(), len(run.load.right)
    progress(f"{outcome.bus}: {step.says}")
    try:
        await step.work(run)
        healed = run.faults_ended
        await run.heal()
        await run.until_quiet()
        outcome.recovery_seconds = round(time.monotonic() - healed, 2)
    except Exception as fault:  # noqa: BLE001 - the other steps and the invariants still have something to say
        outcome.faults.append(f"{type(fault).__name__}: {fault}"[:1000])
        await run.heal()
    outcome.seconds = round(time.monotonic() - started, 2)
    outcome.people = len(run.load.right) - before
    outcome.budgets_a_second = round(outcome.people / outcome.seconds, 1)
    outcome.proofs = dict(run.proofs)
    outcome.faults += [f"it never happened: {need}" for need in step.needs if not run.proofs[need]]
    progress(f"{outcome.bus}:   {outcome.seconds:.1f} s, {outcome.proofs} {outcome.faults or ''}")
    return outcome


def progress(line: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)
