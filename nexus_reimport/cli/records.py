"""``nexus-reimport record …``: which runs there were, and whether a record was edited since."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nexus_reimport.cli.output import AsJson, Environment, OneOrAll, RunId

app = typer.Typer(
    help="List runs, show one, check whether records were edited.", no_args_is_help=True
)
WhatToCheck = Annotated[
    str,
    typer.Argument(
        metavar="ENVIRONMENT|PATH",
        help="An environment; without it, all of them. Or the folder of a record, or of several,"
        " which is checked without any environment.",
    ),
]
ShownRun = Annotated[str, typer.Option("--run", help="Id of the run; without it, the latest.")]
CheckedRun = Annotated[str, typer.Option("--run", help="Id of a run; without it, all of them.")]
Signers = Annotated[
    Path | None,
    typer.Option(help="Who may sign records, as ssh-keygen takes it; else the environment's own."),
]


@app.command("list")
def list_runs(environment: OneOrAll = "", as_json: AsJson = False) -> None:
    """List all runs, oldest first."""
    from nexus_reimport.cli import record_views

    record_views.list_runs(environment, as_json=as_json)


@app.command("show")
def show_run(environment: Environment, run: ShownRun = "", as_json: AsJson = False) -> None:
    """Show one run, by default the latest: summary, plan, reports."""
    from nexus_reimport.cli import record_views

    record_views.show_run(environment, run, as_json=as_json)


@app.command("check")
def check_runs(
    environment_or_path: WhatToCheck = "",
    run: CheckedRun = "",
    allowed_signers: Signers = None,
    as_json: AsJson = False,
) -> None:
    """Compare sealed records with their seals, with each other, and with the database.

    Exit code 0: all that was asked for was there, was compared, and is as it was sealed.
    """
    from nexus_reimport.cli import record_views

    record_views.check_runs(environment_or_path, run, allowed_signers, as_json=as_json)


@app.command("archive")
def archive_runs(environment: Environment, as_json: AsJson = False) -> None:
    """Put every sealed record into the archive that it does not have, and compare it there."""
    from nexus_reimport.cli import record_views

    record_views.archive_runs(environment, as_json=as_json)


@app.command("redact")
def redact(
    environment: Environment,
    run: RunId = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take what the search has found out of an open record; it is recorded."""
    from nexus_reimport.cli import record_views

    record_views.redact(environment, run, yes=yes, as_json=as_json)


@app.command("restored")
def acknowledge_restore(
    environment: Environment,
    why: Annotated[str, typer.Option(help="Why the database was restored; it is recorded.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record that the database was restored from before runs which it does not know any more."""
    from nexus_reimport.cli import record_views

    record_views.acknowledge_restore(environment, why, yes=yes, as_json=as_json)


@app.command("lost")
def acknowledge_loss(
    environment: Environment,
    why: Annotated[str, typer.Option(help="How the records were lost; it is recorded.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record that the records of all runs are lost for good, so that a new run can begin."""
    from nexus_reimport.cli import record_views

    record_views.acknowledge_loss(environment, why, yes=yes, as_json=as_json)
