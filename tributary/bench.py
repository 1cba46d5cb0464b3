"""`tributary bench`."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from deploy.bench.pipeline import WrongBudgets
from deploy.bench.report import as_json, as_text
from deploy.bench.run import Options, bench
from deploy.child import DeployError
from tributary.options import BusName
from tributary.output import writing

DONE, GATE_FAILED, CANNOT_NOW = 0, 1, 3


def run(bus: BusName, people: int, stored: Sequence[int], *, peers: bool, out: Path | None, quiet: bool) -> int:
    """Returns the exit code."""
    try:
        with writing(out, "--json") if out is not None else nullcontext() as file:
            report = bench(Options(bus=bus.value, people=people, stored=stored, peers=peers, quiet=quiet))
            if file is not None:
                file.write(as_json(report) + b"\n")
    except WrongBudgets as wrong:
        print(f"tributary: this run does not count: {wrong}", file=sys.stderr)
        return GATE_FAILED
    except DeployError as fault:
        print(f"tributary: {fault}", file=sys.stderr)
        return CANNOT_NOW
    print(as_text(report))
    return DONE
