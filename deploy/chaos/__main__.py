"""python -m deploy.chaos [--seed N] [--bus embedded|kafka|both] [--steps a,b] [--people N] [--teeth] [--report FILE]"""

import argparse
import asyncio
import logging
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from chassis import telemetry
from deploy.chaos.evidence import gather
from deploy.chaos.fleet import open_fleet
from deploy.chaos.invariants import broken
from deploy.chaos.operator import put_right
from deploy.chaos.plan import STEPS, steps_for
from deploy.chaos.report import BusReport, Report
from deploy.chaos.running import Run, Step, progress, take
from deploy.chaos.teeth import show_teeth, table
from deploy.kafka import missing_tools

PEOPLE = 30
SECONDS = 570.0
UNEXPECTED = ("Traceback (most recent call last)", '"request_failed"', '"task_failed"')
"""What a service may not log, whatever is done to it."""


async def run_on(bus: str, steps: Sequence[Step], seed: int, people: int, folder: Path, ends: float) -> BusReport:
    """All steps on one bus, then heal, wait for quiet, and look at everything. `ends`: monotonic time to be done by."""
    report, rng = BusReport(bus), random.Random(f"{seed} {bus}")
    progress(f"{bus}: servers and services start")
    async with open_fleet(folder, rng, kafka=bus == "kafka") as fleet:
        await fleet.start()
        run = Run.of(fleet, rng, people)
        for step in steps:
            report.steps.append(await take(step, run, ends))
        progress(f"{bus}: heal, wait for quiet, look at everything")
        try:
            await run.heal()
            await put_right(run)
            await run.until_quiet(committed=True)
        except Exception as fault:  # noqa: BLE001 - said in the report, and the evidence says why
            report.wrong.append(f"never quiet: {fault}"[:1000])
        evidence = await gather(fleet, run.injected, run.load.acknowledged, run.load.right)
        report.broken, report.checked = broken(evidence), True
        report.rebuilt = run.rebuilt is not None
        if run.rebuilt:
            report.broken["I4"] = run.rebuilt
        report.people, report.events, report.records = len(run.load.right), len(evidence.told), len(evidence.sent)
        report.wrong += fleet.deaths + unexpected(fleet.folder)
    return report


def unexpected(folder: Path) -> list[str]:
    """Log lines that no fault excuses, by service."""
    found = []
    for path in sorted(folder.glob("*.log")):
        text = path.read_text(errors="replace")
        found += [f"{path.name} says {words} ({text.count(words)} times)" for words in UNEXPECTED if words in text]
    return found


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000))
    parser.add_argument("--bus", choices=("embedded", "kafka", "both"), default="both")
    parser.add_argument("--steps", default="", help=f"some of: {', '.join(s.name for s in STEPS)}")
    parser.add_argument("--people", type=int, default=PEOPLE, help="assessed in each step")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="no step begins after so long, and the run fails"
    )
    parser.add_argument("--teeth", action="store_true", help="show that each wall is missed when it is not there")
    parser.add_argument("--without", action="append", default=[], metavar="WALL", help="the teeth of this wall only")
    parser.add_argument("--report", type=Path, default=Path("build/chaos.json"))
    parser.add_argument("--keep", type=Path, help="keep the logs of all services in this folder")
    given = parser.parse_args(arguments)
    if unknown := set(filter(None, given.steps.split(","))) - {s.name for s in STEPS}:
        parser.error(f"no such steps: {', '.join(sorted(unknown))}")
    return given


def main(arguments: Sequence[str]) -> int:
    given = parsed(arguments)
    telemetry.set_up_logs(level="CRITICAL")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)  # a broker we killed ourselves is no news
    progress(f"seed {given.seed}")
    with tempfile.TemporaryDirectory(prefix="tributary-chaos-") as made:
        folder = given.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        if given.teeth or given.without:
            return bitten(given, folder)
        return hurt(given, folder)


def console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 150)


def bitten(given: argparse.Namespace, folder: Path) -> int:
    found = show_teeth(folder, given.seed, given.without)
    table(found, console())
    return 0 if found and all(bite.good for bite in found) else 1


def hurt(given: argparse.Namespace, folder: Path) -> int:
    started, report = time.monotonic(), Report(given.seed)
    ends = started + given.seconds
    for bus in ("embedded", "kafka") if given.bus == "both" else (given.bus,):
        if bus == "kafka" and (problem := missing_tools()):
            report.buses.append(BusReport(bus, wrong=[problem]))
            continue
        steps = steps_for(bus, list(filter(None, given.steps.split(","))))
        report.buses.append(asyncio.run(run_on(bus, steps, given.seed, given.people, folder, ends)))
    report.seconds = round(time.monotonic() - started, 1)
    report.write(given.report)
    report.show(console())
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
