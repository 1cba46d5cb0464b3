"""Whether a wall that is missing is missed. For each wall the same hurt is done twice: first with the wall, which must
hold, then to a process in which it is switched off, and then an invariant must break.

Walls hide each other: the inbox hides the fence, and a stream that answers only when something has changed hides both.
So those are off in both runs, and the one that is tried is off in the second.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chassis.service import Service
from contracts.lock import lock
from deploy.chaos.evidence import Evidence, gather
from deploy.chaos.fleet import Fleet, open_on
from deploy.chaos.invariants import broken
from deploy.chaos.operator import put_right
from deploy.chaos.running import NotQuiet, Run, progress
from deploy.chaos.steps_messages import pseudonym
from deploy.chaos.steps_processes import until_in_hand
from deploy.postgres import EmbeddedPostgres
from deploy.services import all_services

PEOPLE = 12
QUIET_SECONDS = 12.0


@dataclass(frozen=True)
class Tooth:
    """`hurts`: the service the wall is switched off in. `off`: what else is off in both runs. `expected`: invariants
    of which at least one must break."""

    wall: str
    hurts: str
    off: tuple[str, ...]
    hurt: Callable[[Run, str], Awaitable[None]]
    expected: tuple[str, ...]


@dataclass
class Bite:
    """What was found: invariants broken with the wall (none may) and without it (one of those expected must)."""

    tooth: Tooth
    standing: dict[str, list[str]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    fault: str = ""

    @property
    def good(self) -> bool:
        return not self.fault and not self.standing and any(name in self.missing for name in self.tooth.expected)


async def repeats(run: Run, name: str) -> None:
    """Every record once more, and for some the same id with another body."""
    over = asyncio.Event()
    meddling = asyncio.create_task(run.meddler.repeat_some(1.0, 0.5, over))
    await run.load.make(run.crowd.few_asked(PEOPLE))
    await settle(run)
    over.set()
    await meddling


async def crash_after_commit(run: Run, name: str) -> None:
    """kill -9 while people are assessed; an orchestrator starts it again."""
    load = asyncio.create_task(run.load.make(run.crowd.few_asked(PEOPLE * 2), 2.0))
    for _ in range(2):
        await asyncio.sleep(1.2)
        run.fleet.members[name].kill()
        await run.heal()
    await load


async def woken(run: Run, name: str) -> None:
    """Frozen with records in hand until another owns them and has handled them; then awake."""
    member = run.fleet.members[name]
    await run.until_quiet(committed=True)
    load = asyncio.create_task(run.load.make(run.crowd.few_asked(PEOPLE)))
    await until_in_hand(member)
    member.freeze()
    await load
    other = await run.fleet.add(name)
    await settle(run)
    member.wake()
    await asyncio.sleep(3.0)
    run.fleet.remove(other, gently=True)


async def poison(run: Run, name: str) -> None:
    """Messages nobody can handle, before those of the same people."""
    people = run.crowd.few_asked(PEOPLE)
    few = people[:3]
    run.held |= {p.ref for p in few}
    await run.meddler.poison(name, [pseudonym(p) for p in few])
    await run.load.make(people)
    await settle(run)


async def settle(run: Run) -> None:
    """Wait for quiet, which without a wall may never come: then the invariants say what is wrong."""
    try:
        await run.until_quiet(QUIET_SECONDS)
    except NotQuiet:
        progress("teeth:   not quiet")


def teeth() -> list[Tooth]:
    """A stream is hurt where a consumer is meant: any that everybody is asked by will do."""
    stream = next(s.name for s in lock().streams if s.shares != "consent" and not s.gateway and s.decides_here)
    return [
        Tooth("inbox", stream, ("same_answer",), repeats, ("I9",)),
        Tooth("outbox", "assessment", (), crash_after_commit, ("I1", "I6")),
        Tooth("payload_hash", stream, (), repeats, ("I6",)),
        Tooth("fence", stream, ("same_answer", "inbox"), woken, ("I9",)),
        Tooth("parking", stream, (), poison, ("I6",)),
    ]


def small_fleet() -> list[Service]:
    """Who is asked about everybody, and who asks and combines."""
    needed = {"assessment", "ras", *(s.name for s in lock().streams if s.shares != "consent")}
    return [s for s in all_services() if s.name in needed]


async def bite(tooth: Tooth, postgres: EmbeddedPostgres, folder: Path, seed: int) -> Bite:
    """Both runs of one tooth, on a database of its own."""
    found, rng = Bite(tooth), random.Random(f"{seed} {tooth.wall}")
    both = [word for wall in tooth.off for word in ("--without", wall)]
    if tooth.hurt is woken:
        both += ["--pause", "1"]
    try:
        async with open_on(postgres, None, folder, rng, f"tooth_{tooth.wall}", small_fleet()) as fleet:
            await fleet.start({tooth.hurts: both})
            run = Run.of(fleet, rng, PEOPLE)
            found.standing = broken(await hurt(tooth, run))
            await fleet.restart(tooth.hurts, [*both, "--without", tooth.wall])
            found.missing = broken(await hurt(tooth, run))
    except Exception as fault:  # noqa: BLE001 - said in the table; the other teeth go on
        found.fault = f"{type(fault).__name__}: {fault}"[:500]
    return found


async def hurt(tooth: Tooth, run: Run) -> Evidence:
    await tooth.hurt(run, tooth.hurts)
    await run.heal()
    await put_right(run)
    await settle(run)
    await committed(run.fleet, run)
    return await gather(run.fleet, run.injected, run.load.acknowledged, run.load.right)


async def committed(fleet: Fleet, run: Run) -> None:
    """Offsets are committed once a second; without a wall they may never be all."""
    try:
        await run.until_quiet(5.0, committed=True)
    except NotQuiet:
        progress("teeth:   not all committed")


def show_teeth(folder: Path, seed: int, walls: list[str]) -> list[Bite]:
    """Try every wall named (none: all), and print wall -> invariant that broke."""
    found = []
    with ExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres.start(throwaway=True, fast=True))
        for tooth in teeth():
            if walls and tooth.wall not in walls:
                continue
            progress(f"teeth: {tooth.wall}: {tooth.hurt.__doc__}")
            found.append(asyncio.run(bite(tooth, postgres, folder, seed)))
            one = found[-1]
            progress(f"teeth:   standing {one.standing}, missing {one.missing} {one.fault}")
    return found


def table(found: list[Bite], console: Console) -> None:
    shown = Table(title="Walls, and what breaks without them")
    for name in ("wall", "off as well", "with it", "without it", ""):
        shown.add_column(name)
    for one in found:
        without = "\n".join(f"{name}: {line}"[:90] for name, lines in one.missing.items() for line in lines[:1])
        verdict = "[green]missed[/green]" if one.good else f"[red]NOT SHOWN[/red] {one.fault}"
        standing = ", ".join(one.standing) or "all hold"
        shown.add_row(one.tooth.wall, ", ".join(one.tooth.off), standing, without or "all hold", verdict)
    console.print(shown)
