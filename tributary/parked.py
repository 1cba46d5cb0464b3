"""`tributary parked`: what could not be handled, and what to do about it. Data on stdout, progress on stderr. Exit
codes: 0 done, 1 some messages stay parked, 2 not understood or refused, 3 it could not be done now."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Messages that could not be handled: look, release, discard. docs/parking.md says when to do what.",
)

Data = Annotated[Path | None, typer.Option(help="The folder of tributary allocate --data. Left out: TRIBUTARY_….")]
ServiceName = Annotated[str, typer.Option(help="One service. Left out: all of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
Handle = Annotated[str, typer.Argument(help="SERVICE:NUMBER, as the list shows it.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit log with your name. No personal data.")]


@app.command("list")
def list_(
    service: ServiceName = "",
    reason: Annotated[str, typer.Option(help="Only those parked for this reason, as handler_KeyError.")] = "",
    person: Annotated[UUID | None, typer.Option(help="Only those about this person (person_ref).")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """What is parked, why, who must act, since when, and who waits behind whom."""
    from chassis.parking import Wanted
    from tributary import parked_work

    raise typer.Exit(parked_work.show_list(service, Wanted(reason=reason, person=person), data, as_json=as_json))


@app.command()
def show(
    message: Handle,
    reveal: Annotated[bool, typer.Option("--reveal", help="The body too. Needs --reason, and is audited.")] = False,
    reason: Reason = "",
    data: Data = None,
) -> None:
    """One parked message: everything but its body, as JSON."""
    from tributary import parked_work

    raise typer.Exit(parked_work.show(message, data, reason=reason, reveal=reveal))


@app.command(
    epilog="Examples:\n\n  tributary parked release ras:12\n\n"
    "  tributary parked release --reason handler_KeyError --rate 50 --yes\n\n  tributary parked release --all --yes"
)
def release(
    messages: Annotated[list[str] | None, typer.Argument(help="SERVICE:NUMBER …: the people of these.")] = None,
    service: ServiceName = "",
    person: Annotated[list[UUID] | None, typer.Option(help="This person (person_ref). May be repeated.")] = None,
    reason: Annotated[str, typer.Option(help="Everybody parked for this reason.")] = "",
    everybody: Annotated[bool, typer.Option("--all", help="Everybody.")] = False,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="People a second, at most.")] = 20,
    why: Annotated[str, typer.Option(help="Kept in the audit log.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this it only says what would be done.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")] = False,
    data: Data = None,
) -> None:
    """Run people's messages through their handlers again, each person's in order, all or none of a person's."""
    from chassis.release import Choice
    from tributary import parked_work

    choice = Choice(people=tuple(person or ()), reason=reason, everybody=everybody)
    order = parked_work.Order(tuple(messages or ()), service, choice, rate, why, do=yes, quiet=quiet)
    raise typer.Exit(parked_work.release(order, data))


@app.command()
def discard(
    message: Handle,
    reason: Reason = "",
    then_release: Annotated[
        bool, typer.Option("--then-release", help="Release what waited behind it at once.")
    ] = False,
    data: Data = None,
) -> None:
    """Give one message up for good. Its row is kept. What waits behind it goes on with the next release."""
    from tributary import parked_work

    raise typer.Exit(parked_work.discard(message, data, reason, then_release=then_release))


@app.command()
def resume(
    service: Annotated[str, typer.Option(help="The service whose consumer stopped itself.")],
    reason: Reason = "",
    park_them: Annotated[
        bool, typer.Option("--park-them", help="These really are bad messages: park them, for ten minutes.")
    ] = False,
    data: Data = None,
) -> None:
    """Let a consumer that stopped itself, because many people failed at once, go on now."""
    from tributary import parked_work

    raise typer.Exit(parked_work.resume(service, data, reason, park_them=park_them))


@app.command()
def practise(
    data: Annotated[Path, typer.Option(help="The folder of tributary allocate --data: one for trying out.")],
) -> None:
    """Park two messages of a made-up person at payments, to try these commands on. Never in a real deployment."""
    from tributary.practise import practise as park

    raise typer.Exit(park(data))
