"""Services that die, freeze, come and go, and whose clocks are wrong."""

import asyncio
from typing import Any

from contracts.budget import StreamLate
from contracts.lock import lock
from deploy.chaos.fleet import Member
from deploy.chaos.people import Person, without_notices
from deploy.chaos.running import Run
from deploy.chaos.switched import PAUSING

PAUSE_SECONDS = 1.0
TEN_MINUTES = 600.0
DAY = 86_400.0


async def baseline(run: Run) -> None:
    """No fault at all: what everything else is compared with."""
    async with run.under_load(seconds=0.0):
        pass
    run.saw("people assessed", run.count)


async def kill_services(run: Run) -> None:
    """kill -9 of somebody every second and a half; an orchestrator starts them again."""
    async with run.under_load(seconds=8.0):
        for _ in range(6):
            await asyncio.sleep(1.5)
            run.fleet.members[run.rng.choice(sorted(run.fleet.members))].kill()
            run.saw("services killed")
            run.fleet.revive()


async def freeze(run: Run) -> None:
    """SIGSTOP with records in hand until the lease is another's; then awake, with the same records still in hand."""
    frozen = await run.fleet.restart("ras", ["--pause", str(PAUSE_SECONDS)])
    other = await run.fleet.add("ras")
    await run.until_quiet(committed=True)
    async with run.under_load(seconds=2.0):
        await until_in_hand(frozen)
        frozen.freeze()
        before = await _owners(run)
        await asyncio.sleep(run.beyond_a_lease)
        run.saw("partitions taken from the frozen", _changes(before, await _owners(run)))
        frozen.wake()
        run.saw("processes frozen and woken")
        for _ in range(40):
            if frozen.said('"fenced"'):
                break
            await asyncio.sleep(0.25)
        run.saw("batches of the woken dropped", frozen.said('"fenced"'))
    run.fleet.remove(other, gently=True)
    await run.fleet.restart("ras")


async def until_in_hand(member: Member, seconds: float = 20.0) -> None:
    """Until its log says that a batch was taken and not begun."""
    before = member.said(PAUSING)
    for _ in range(round(seconds / 0.05)):
        if member.said(PAUSING) > before:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{member.service.name} took no batch in {seconds:.0f} s")


async def _owners(run: Run) -> dict[tuple[str, int], str]:
    rows = await run.fleet.ask("SELECT topic, partition, owner FROM ras.consumer_fence")
    return {(topic, part): owner for topic, part, owner in rows}


def _changes(before: dict[Any, str], after: dict[Any, str]) -> int:
    return sum(before.get(key) != owner for key, owner in after.items() if key in before)


async def two_relays(run: Run) -> None:
    """The relay's lease is taken away again and again: two processes send from the same shards at once."""
    other = await run.fleet.add("ras")
    seen: set[str] = set()
    async with run.under_load(seconds=3.0):
        for _ in range(40):
            rows = await run.fleet.ask(
                "UPDATE ras.outbox_cursor c SET owner = NULL, lease_until = NULL FROM ras.outbox_cursor was "
                "WHERE was.shard = c.shard AND c.owner IS NOT NULL RETURNING was.owner"
            )
            owners = {row[0] for row in rows}
            run.saw("relay leases taken away", len(rows))
            run.saw("relays in turn", bool(owners - seen) + 0)
            seen |= owners
            await asyncio.sleep(0.15)
    run.fleet.remove(other, gently=False)


async def rebalance(run: Run) -> None:
    """Members of one group come and go: 1, 3, 1, 2, 1, some politely and some killed."""
    names = ["ras", run.rng.choice([s.name for s in lock().streams])]
    async with run.under_load(seconds=6.0):
        for count, gently in ((2, True), (1, False)):
            members = await asyncio.gather(*(run.fleet.add(name) for name in names for _ in range(count)))
            run.saw("members joined", len(members))
            await asyncio.sleep(1.0)
            for member in members:
                run.fleet.remove(member, gently=gently)
            run.saw("members left", len(members))


async def clocks(run: Run) -> None:
    """Clocks ten minutes fast or slow, each service its own."""
    streams = [s.name for s in lock().streams]
    names = ["assessment", "ras", *run.rng.sample(streams, 2)]
    shifts = [run.rng.choice((-1, 1)) * run.rng.uniform(TEN_MINUTES / 2, TEN_MINUTES) for _ in names]
    wrong = (run.fleet.restart(name, ["--clock", f"{shift:.0f}"]) for name, shift in zip(names, shifts, strict=True))
    run.saw("clocks put wrong", len(await asyncio.gather(*wrong)))
    async with run.under_load(seconds=2.0):
        pass
    await asyncio.gather(*(run.fleet.restart(name) for name in names))


async def deadline(run: Run) -> None:
    """A stream does not answer until its clock has passed: the budget goes on without it, and takes its answer late."""
    name, days, people = _somebody_slow(run)
    slow = run.fleet.members[name]
    slow.kill()
    try:
        await run.load.make(people)
        refs = [p.ref for p in people]
        await _until(run, _ANSWERED, refs, len({s.name for s in lock().streams}) - 1)
        await run.fleet.restart("ras", ["--clock", str((days + 1) * DAY)])
        await _until(run, "SELECT revision FROM ras.budget_case WHERE assessment_ref = ANY($1)", refs, 1)
        told = await run.fleet.ask("SELECT payload FROM ras.outbox WHERE type = $1", StreamLate.type)
        run.saw("streams told late", sum(StreamLate.decode(bytes(r[0])).assessment_ref in refs for r in told))
    finally:
        await run.fleet.restart("ras")
        slow.spawn()


_ANSWERED = """SELECT coalesce(n, 0) FROM unnest($1::uuid[]) AS w(ref) LEFT JOIN (SELECT assessment_ref, count(*) AS n
FROM ras.stream_answer GROUP BY 1) a ON a.assessment_ref = w.ref"""


def _somebody_slow(run: Run) -> tuple[str, int, list[Person]]:
    """A stream that waits for nobody's facts, and people for whom everybody else can answer without it."""
    slow = run.rng.choice([s for s in lock().streams if not s.gateway and not s.needs])
    return slow.name, slow.clock_days, run.crowd.people(min(20, run.count), [without_notices()[0]])


async def _until(run: Run, sql: str, refs: list[Any], least: int, seconds: float = 30) -> None:
    """Until the statement gives every one of `refs` at least this number."""
    for _ in range(round(seconds / 0.3)):
        rows = await run.fleet.ask(sql, refs)
        if len(rows) == len(refs) and all(row[0] >= least for row in rows):
            return
        await asyncio.sleep(0.3)
    raise TimeoutError(f"not all of {len(refs)} came to {least}")
