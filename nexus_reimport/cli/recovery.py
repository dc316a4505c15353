"""``nexus-reimport rollback``, ``restore`` and ``purge-undo``: for the worst night."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from nexus_reimport import runner, show
from nexus_reimport.cli.output import (
    Approve,
    ApproveRehearsed,
    AsJson,
    Environment,
    give,
    give_outcomes,
    progress,
)
from nexus_reimport.errors import SettingsError
from nexus_reimport.model import NewerDecision, RollbackPreview, RollbackProposal
from nexus_reimport.stages.approval import short

OneRun = Annotated[str, typer.Argument(help="A run, as `record list` names it.")]


def rollback(
    run: OneRun,
    keep_newer: Annotated[
        bool, typer.Option("--keep-newer", help="Keep what was created or changed since.")
    ] = False,
    discard_newer: Annotated[
        bool, typer.Option("--discard-newer", help="Give up what was created or changed since.")
    ] = False,
    approve: Approve = "",
    approve_rehearsed: ApproveRehearsed = False,
    environment: Annotated[
        str, typer.Option(help="Where the run's record is not here any more.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Take the latest run back, exactly, in one transaction with its own record.

    Without an approval it shows what would happen, and writes nothing.
    """
    if keep_newer and discard_newer:
        raise SettingsError(
            "--keep-newer and --discard-newer exclude each other", next="choose one of them"
        )
    newer = (
        NewerDecision.KEEP
        if keep_newer
        else NewerDecision.DISCARD
        if discard_newer
        else NewerDecision.UNDECIDED
    )
    options = runner.RollbackOptions(
        run=run,
        environment=environment,
        newer=newer,
        digest=approve.strip().lower(),
        rehearsed=approve_rehearsed,
        ask=_ask if sys.stdin.isatty() and not as_json else None,
    )
    give_outcomes([runner.rollback(options, progress)], as_json=as_json)


def restore(
    run: OneRun,
    into: Annotated[str, typer.Option(help="The new database's name; nothing may have it.")],
    as_json: AsJson = False,
) -> None:
    """Restore the whole database, from the run's dump, under another name; print the swap."""
    done = runner.restore_into(run, into, progress)
    give(asdict(done), repr(show.restored(done)), as_json=as_json)


def purge_undo(
    environment: Environment,
    keep: Annotated[int, typer.Option(min=0, help="How many of the latest runs keep theirs.")],
    as_json: AsJson = False,
) -> None:
    """Drop the undo data of older runs; they cannot be taken back any more."""
    gone = runner.purge_undo(environment, keep)
    text = repr(show.Page("Dropped", (show.undo_data(gone),))) if gone else "nothing to drop"
    give({"dropped": [asdict(one) for one in gone]}, text, as_json=as_json)


def _ask(seen: RollbackPreview, proposal: RollbackProposal) -> str:
    typer.echo(show.rollback_text(seen), err=True)
    words = f"To take run {seen.undoes} back, type the digest {short(proposal.digest)}"
    return str(typer.prompt(words, default="", show_default=False, err=True))
