"""`tributary replay`: old events again. rebuild and shadow only look; redrive sends parked messages once more."""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer


class Mode(enum.StrEnum):
    rebuild = "rebuild"
    redrive = "redrive"
    shadow = "shadow"


class Source(enum.StrEnum):
    outbox = "outbox"
    topic = "topic"


@dataclass(frozen=True)
class Order:
    """What is asked for. `do`, `rate` and the choice of people are for a redrive; `ignore` for a shadow."""

    mode: Mode
    service: str
    source: Source
    reason: str
    people: tuple[UUID, ...]
    parked_for: str
    everybody: bool
    rate: float
    do: bool
    ignore: frozenset[str]
    quiet: bool


def replay(
    mode: Annotated[
        Mode,
        typer.Option(
            help="rebuild: does its past lead to what it holds? shadow: does today's code decide as it did? "
            "redrive: parked messages onto their topic again."
        ),
    ],
    service: Annotated[str, typer.Option(help="One service. Left out: all that read events.")] = "",
    source: Annotated[
        Source, typer.Option("--from", help="Where old events are read: the publishers' outboxes, or the log.")
    ] = Source.outbox,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log with your name.")] = "",
    person: Annotated[list[UUID] | None, typer.Option(help="redrive: this person. May be repeated.")] = None,
    parked_for: Annotated[str, typer.Option(help="redrive: everybody parked for this reason.")] = "",
    everybody: Annotated[bool, typer.Option("--all", help="redrive: everybody.")] = False,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="redrive: people a second, at most.")] = 20,
    yes: Annotated[bool, typer.Option("--yes", help="redrive: do it; else it only says what it would do.")] = False,
    ignore: Annotated[
        list[str] | None, typer.Option(help="shadow: leave this field out of the comparison. May be repeated.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="The folder of tributary allocate --data. Left out: TRIBUTARY_….")
    ] = None,
) -> None:
    """Old events again: rebuild, shadow or redrive. Needs the password of the database's owner."""
    from tributary import replay_work

    order = Order(
        mode, service, source, reason, tuple(person or ()), parked_for, everybody, rate, yes,
        frozenset(["pack_hash"] if ignore is None else ignore), quiet,
    )  # fmt: skip
    raise typer.Exit(replay_work.replay(order, data))
