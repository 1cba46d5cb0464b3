"""`tributary audit …`, as it is asked for. Light to import, so that `--help` answers at once."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The log of who did or saw what: sign its heads, find its first break.")
Services = Annotated[list[str] | None, typer.Option(help="Of this service; may be given again. Left out: of all.")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="The folder of tributary allocate --data, with its key and anchors: whoever may write there can forge "
        "them, so keep a copy of the anchors elsewhere. Left out: the deployment of TRIBUTARY_…."
    ),
]


@app.command()
def anchor(service: Services = None, data: Data = None) -> None:
    """Sign the heads as they are now; keep them in the database and write them elsewhere."""
    from tributary import audits

    raise typer.Exit(audits.anchor(service, data))


@app.command()
def verify(
    service: Services = None,
    data: Data = None,
    key: Annotated[Path | None, typer.Option(help="The signing key, PEM; its public half will do.")] = None,
    anchors: Annotated[
        Path | None,
        typer.Option(
            help="A file of anchors kept elsewhere; each must be in the database too. Read beside the deployment's own."
        ),
    ] = None,
) -> None:
    """Walk every chain: hashes, gaps, heads, anchors. Exit code 1 at the first break, which is named."""
    from tributary import audits

    raise typer.Exit(audits.check(service, data, key, anchors))
