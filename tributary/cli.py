"""`tributary`: progress on stderr, data on stdout or in a file. Exit codes: 0 done, 1 some lines were refused,
2 the command was not understood, 3 it could not be done now."""

from pathlib import Path
from typing import Annotated

import typer

from contracts.scopes import SCOPES
from tributary import parked, replay
from tributary.audit_command import app as audit
from tributary.options import BusName, Options

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Many funding streams, one accountable Individual Budget.",
    epilog="Start with: tributary demo",
)
app.add_typer(parked.app, name="parked")
app.command()(replay.replay)
app.add_typer(audit, name="audit")


@app.command(
    epilog="Examples:\n\n"
    "  tributary allocate tests/golden/cases.jsonl --out budgets.jsonl\n\n"
    "  tributary allocate cases.jsonl --bus kafka --council council-b > budgets.jsonl"
)
def allocate(
    cases: Annotated[
        Path, typer.Argument(help="One JSON object a line: {assessment, notices}. - reads standard input.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where the budgets go, one a line. Left out: standard output.")
    ] = None,
    bus: Annotated[BusName, typer.Option(help="The log between the services.")] = BusName.embedded,
    council: Annotated[str, typer.Option(help="The council of lines that do not name one.")] = "council-a",
    data: Annotated[
        Path | None, typer.Option(help="Keep the database here. Left out: a new one, removed after.")
    ] = None,
    kafka: Annotated[str | None, typer.Option(help="A broker, host:port. Left out: one is started here.")] = None,
    errors: Annotated[Path | None, typer.Option(help="Also write refused lines here, as JSON lines.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")] = False,
) -> None:
    """Turn assessments into Individual Budgets through every stream."""
    from tributary import run

    hint = "or use --bus embedded, or --kafka host:port"
    options = Options(bus=bus, council=council, data=data, kafka=kafka, errors=errors, quiet=quiet, hint=hint)
    raise typer.Exit(run.allocate(cases, out, options))


@app.command()
def demo(
    bus: Annotated[BusName, typer.Option(help="The log between the services.")] = BusName.embedded,
) -> None:
    """Turn the golden cases into budgets and show them, streams side by side."""
    from tributary.demo import show

    raise typer.Exit(show(bus))


@app.command(
    epilog="Examples:\n\n"
    "  tributary bench --people 10000\n\n"
    "  tributary bench --bus embedded --people 2000 --no-peers --json bench.json\n\n"
    "  tributary bench --stored 10000 --stored 300000   (some ten minutes and 20 GB of disk)"
)
def bench(
    bus: Annotated[BusName, typer.Option(help="The log between the services.")] = BusName.kafka,
    people: Annotated[int, typer.Option(min=100, max=1_000_000, help="People in a measured run.")] = 10_000,
    stored: Annotated[
        list[int] | None, typer.Option(min=2_000, max=2_000_000, help="People stored before it; may be repeated.")
    ] = None,
    peers: Annotated[bool, typer.Option(help="Also drive the two peers, on Kafka.")] = True,
    json: Annotated[Path | None, typer.Option(help="Also write the figures here.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")] = False,
) -> None:
    """Whole budgets a second on this machine, beside a ceiling and the work as usually written."""
    from tributary import bench as command

    raise typer.Exit(command.run(bus, people, sorted(stored or [10_000]), peers=peers, out=json, quiet=quiet))


@app.command()
def generate(
    check: Annotated[bool, typer.Option("--check", help="Only say which generated files are stale.")] = False,
) -> None:
    """Write the generated files: streams.lock, schemas, AsyncAPI and OpenAPI documents, docs/flows.md."""
    from deploy.generate.files import generate as write

    raise typer.Exit(write(check=check))


@app.command()
def token(
    scope: Annotated[list[str], typer.Option(help="What it is good for, e.g. budgets.read; may be given again.")],
    council: Annotated[list[str] | None, typer.Option(help="Whose cases it may see. Left out: no council's.")] = None,
    name: Annotated[str, typer.Option(help="Who acts, for the audit log. An opaque id, no person's name.")] = "dev",
    minutes: Annotated[int, typer.Option(min=1, max=60 * 12, help="How long it holds.")] = 60,
    keys: Annotated[Path, typer.Option(help="The folder of the issuer's keys.")] = Path("deploy/secrets"),
) -> None:
    """A DEVELOPMENT access token on standard output, from a key pair of this machine; never for real people's data.

    Left without --council it sees every council if it has a scope operations.…, and none otherwise.
    """
    from deploy.development_issuer import DevelopmentIssuer
    from rulekit.council import councils as profiles

    if unknown := set(scope) - SCOPES.keys():
        typer.echo(f"tributary: --scope: there are {', '.join(SCOPES)}; not {len(unknown)} of these", err=True)
        raise typer.Exit(2)
    if absent := set(council or ()) - profiles().keys():
        says = f"{len(absent)} of these not set up here (see: tributary councils); the token is made all the same"
        typer.echo(f"tributary: --council: {says}", err=True)
    try:
        issuer = DevelopmentIssuer.at(keys)
    except (OSError, ValueError) as fault:
        wrong = fault.strerror if isinstance(fault, OSError) else "its issuer.key is no Ed25519 key"
        typer.echo(f"tributary: --keys: {keys} cannot be used ({wrong}): name a folder of your own", err=True)
        raise typer.Exit(3) from None
    typer.echo("tributary: this is a token of the DEVELOPMENT issuer; whoever reads its key may make more", err=True)
    typer.echo(issuer.token(name, scope, council, seconds=minutes * 60))


@app.command()
def schema() -> None:
    """The JSON Schema of one line of CASES.jsonl, on standard output."""
    from deploy.generate.schemas import case_line_schema

    typer.echo(case_line_schema())


@app.command()
def councils() -> None:
    """The council profiles there are."""
    from rulekit.council import councils as profiles

    for council in profiles().values():
        typer.echo(f"{council.id}  threshold {council.facs_threshold}, allocates by {council.ras}  [{council.source}]")


@app.command()
def packs() -> None:
    """The rule packs there are, and the dates they may be used for."""
    from rulekit.packs import packs as bundles

    for pack in bundles().values():
        end = "open" if pack.end.year == 9999 else pack.end.isoformat()
        typer.echo(f"{pack.id}  {pack.start} to {end}  {pack.title}")


def main() -> None:
    app()
