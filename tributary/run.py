"""Runs a deployment for a command, and takes care of progress, faults and exit codes."""

import asyncio
import contextlib
import itertools
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from chassis import telemetry
from deploy.child import DeployError
from deploy.kafka import EmbeddedKafka, missing_tools
from deploy.one_process import OneProcess, one_process
from deploy.postgres import EmbeddedPostgres
from tributary.allocate import CHUNK, NotAnswered, open_allocation, output_line
from tributary.case_lines import BadLine, Case, Reader
from tributary.options import BusName, Options

DONE, REFUSED_LINES, CANNOT_NOW = 0, 1, 3


def progress_on_stderr(*, quiet: bool) -> Progress:
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=False, disable=quiet)


def allocate(cases: Path, out: Path | None, options: Options) -> int:
    """Returns the exit code."""
    telemetry.set_up_logs(level="ERROR", as_json=True)
    try:
        with _reading(cases) as source, _writing(out) as sink:
            return asyncio.run(_allocate(source, sink, options))
    except (DeployError, NotAnswered, OSError) as fault:
        print(f"tributary: {fault}", file=sys.stderr)
        return CANNOT_NOW


async def _allocate(source: Iterable[bytes], sink: BinaryIO, options: Options) -> int:
    lines = source if isinstance(source, list) else list(source)
    bad: list[BadLine] = []
    with progress_on_stderr(quiet=options.quiet) as progress:
        task = progress.add_task("starting", total=sum(1 for line in lines if line.strip()))
        async with deployment(options, lambda what: progress.update(task, description=f"starting: {what}")) as started:
            progress.update(task, description="budgets")
            async with open_allocation(started) as allocation:
                for chunk in _chunks(Reader(options.council).read(lines)):
                    cases = [c for c in chunk if isinstance(c, Case)]
                    done = await allocation.run(cases)
                    for one in chunk:
                        result = one if isinstance(one, BadLine) else done[one.number]
                        if isinstance(result, BadLine):
                            bad.append(result)
                        else:
                            assert isinstance(one, Case)
                            sink.write(output_line(one, result))
                    progress.advance(TaskID(task), len(chunk))
    _report(bad, options.errors)
    return REFUSED_LINES if bad else DONE


def _chunks(found: Iterator[Case | BadLine]) -> Iterator[list[Case | BadLine]]:
    while chunk := list(itertools.islice(found, CHUNK)):
        yield chunk


def _report(bad: list[BadLine], errors: Path | None) -> None:
    for one in bad:
        print(f"tributary: {one}", file=sys.stderr)
    if errors is not None:
        errors.write_bytes(b"".join(msgspec.json.encode(one.as_dict()) + b"\n" for one in bad))


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[list[bytes]]:
    if str(path) == "-":
        yield sys.stdin.buffer.readlines()
    else:
        with path.open("rb") as file:
            yield file.readlines()


@contextlib.contextmanager
def _writing(path: Path | None) -> Iterator[BinaryIO]:
    """To a file through a neighbour that is renamed at the end, so that half a run never looks like a whole one."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        yield file
    partial.replace(path)


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
                raise DeployError(f"{problem} Or use --bus embedded, or --kafka host:port.")
            kafka = stack.enter_context(EmbeddedKafka.start(None)).bootstrap
        bootstrap = kafka if options.bus == BusName.kafka else None
        async with one_process(postgres, kafka=bootstrap, progress=say) as started:
            yield started
