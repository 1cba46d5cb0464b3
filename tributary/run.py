"""Runs a deployment for a command, and takes care of progress, faults and exit codes."""

import asyncio
import contextlib
import itertools
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chassis import telemetry
from chassis.bus import BusUnavailable
from deploy.child import DeployError
from deploy.kafka import EmbeddedKafka, missing_tools
from deploy.one_process import OneProcess, one_process
from deploy.postgres import EmbeddedPostgres
from rulekit.council import councils
from tributary.allocate import CHUNK, open_allocation, output_line
from tributary.case_lines import BadLine, Case, Reader
from tributary.options import BusName, Options
from tributary.output import writing

DONE, REFUSED_LINES, NOT_UNDERSTOOD, CANNOT_NOW = 0, 1, 2, 3
CANNOT_NOW_STATUS = 503


def progress_on_stderr(*, quiet: bool) -> Progress:
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=False, disable=quiet)


def allocate(cases: Path, out: Path | None, options: Options) -> int:
    """Returns the exit code."""
    telemetry.set_up_logs(level="ERROR", as_json=True)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a broker that is starting is no news to a user
    if options.council not in councils():
        print("tributary: --council: no council of this name is set up; see: tributary councils", file=sys.stderr)
        return NOT_UNDERSTOOD
    if options.kafka is not None and options.bus != BusName.kafka:
        print("tributary: --kafka: say --bus kafka too, or leave it out", file=sys.stderr)
        return NOT_UNDERSTOOD
    try:
        with (
            _reading(cases) as lines,
            writing(out, "--out") as sink,
            writing(options.errors, "--errors") as errors,
        ):
            bad = asyncio.run(_allocate(lines, sink, options))
            if options.errors is not None:
                errors.write(b"".join(msgspec.json.encode(one.as_dict()) + b"\n" for one in bad))
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (DeployError, BusUnavailable, OSError) as fault:
        print(f"tributary: {_why(fault, options)}", file=sys.stderr)
        return CANNOT_NOW
    return _report(bad)


def _why(fault: Exception, options: Options) -> str:
    if isinstance(fault, BusUnavailable) and options.kafka is not None:
        return f"--kafka: no broker answers at {options.kafka}: name one that runs, as host:port"
    if isinstance(fault, OSError):
        return f"the run could not be finished ({fault.strerror or type(fault).__name__}): put that right and try again"
    return str(fault)


def _report(bad: list[BadLine]) -> int:
    for one in bad:
        print(f"tributary: {one}", file=sys.stderr)
    if any(one.refusal.status == CANNOT_NOW_STATUS for one in bad):
        return CANNOT_NOW
    return REFUSED_LINES if bad else DONE


async def _allocate(lines: list[bytes], sink: BinaryIO, options: Options) -> list[BadLine]:
    bad: list[BadLine] = []
    with progress_on_stderr(quiet=options.quiet) as progress:
        task = progress.add_task("starting", total=sum(1 for line in lines if line.strip()))
        async with deployment(options, lambda what: progress.update(task, description=f"starting: {what}")) as started:
            progress.update(task, description="budgets")
            async with open_allocation(started) as allocation:
                for chunk in _chunks(Reader(options.council).read(lines)):
                    done = await allocation.run([c for c in chunk if isinstance(c, Case)])
                    for one in chunk:
                        result = one if isinstance(one, BadLine) else done[one.number]
                        if isinstance(result, BadLine):
                            bad.append(result)
                        elif isinstance(one, Case):
                            sink.write(output_line(one, result))
                    progress.advance(task, len(chunk))
    return bad


def _chunks(found: Iterator[Case | BadLine]) -> Iterator[list[Case | BadLine]]:
    while chunk := list(itertools.islice(found, CHUNK)):
        yield chunk


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[list[bytes]]:
    if str(path) == "-":
        yield sys.stdin.buffer.readlines()
    else:
        try:
            with path.open("rb") as file:
                lines = file.readlines()
        except OSError as fault:
            raise DeployError(f"{path} cannot be read ({fault.strerror}): name a file of cases, or -") from None
        yield lines


@asynccontextmanager
async def deployment(options: Options, progress: object) -> AsyncIterator[OneProcess]:
    """Every service in this process, on a database of its own; with Kafka where asked."""
    say = progress if callable(progress) else (lambda _: None)
    say("database")
    with contextlib.ExitStack() as stack:
        throwaway = options.data is None
        postgres = stack.enter_context(EmbeddedPostgres.start(options.data, throwaway=throwaway, fast=throwaway))
        kafka = options.kafka
        if options.bus == BusName.kafka and kafka is None:
            say("Kafka")
            if problem := missing_tools():
                raise DeployError(f"{problem}; {options.hint}")
            kafka = stack.enter_context(EmbeddedKafka.start(None)).bootstrap
        bootstrap = kafka if options.bus == BusName.kafka else None
        async with one_process(postgres, kafka=bootstrap, progress=say) as started:
            yield started
