"""``nexus-reimport rollback``, ``restore``, ``purge-…``: undo a run, or clean up after it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_reimport.cli.output import (
    Approve,
    ApproveRehearsed,
    AsJson,
    Environment,
    Reason,
    Who,
    give,
    give_outcomes,
    progress,
    typed,
    write,
)
from nexus_reimport.errors import SettingsError

if TYPE_CHECKING:
    from nexus_reimport.model import RollbackPreview, RollbackProposal

OneRun = Annotated[str, typer.Argument(help="Id of a run, from `record list`.")]


def rollback(
    run: OneRun,
    keep_newer: Annotated[
        bool, typer.Option("--keep-newer", help="Keep rows created or changed since the run.")
    ] = False,
    discard_newer: Annotated[
        bool, typer.Option("--discard-newer", help="Discard rows created or changed since the run.")
    ] = False,
    approve: Approve = "",
    approve_rehearsed: ApproveRehearsed = False,
    who: Who = "",
    reason: Reason = "",
    environment: Annotated[
        str, typer.Option(help="Needed only if the run's record is not on this machine.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Undo the latest run exactly, in one transaction, as a run with a record of its own.

    Without an approval it shows what would happen and writes nothing to Nexus.
    """
    if keep_newer and discard_newer:
        raise SettingsError(
            "--keep-newer and --discard-newer cannot be used together", next="choose one of them"
        )
    from nexus_reimport import forked

    forked.ready()  # it loads beside us
    from nexus_reimport import runner
    from nexus_reimport.model import NewerDecision

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
        name=who,
        reason=reason,
    )
    give_outcomes([runner.rollback(options, progress)], as_json=as_json)


def restore(
    run: OneRun,
    into: Annotated[str, typer.Option(help="Name for the new database; it must not exist yet.")],
    as_json: AsJson = False,
) -> None:
    """Restore the run's dump as a new database; print how to swap it in."""
    from nexus_reimport import runner, show

    done = runner.restore_into(run, into, progress)
    give(asdict(done), repr(show.restored(done)), as_json=as_json)


def purge_undo(
    environment: Environment,
    keep: Annotated[
        int,
        typer.Option(
            min=0, help="How many of the latest runs that can be undone keep their undo data."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Drop the undo data of older runs, and of undone ones; no such run can be undone then."""
    from nexus_reimport import runner, show

    dropped = runner.purge_undo(environment, keep)
    text = repr(show.Page("Dropped", (show.undo_data(dropped),))) if dropped else "nothing to drop"
    give({"dropped": [asdict(size) for size in dropped]}, text, as_json=as_json)


def purge_private(
    environment: Environment,
    older_than: Annotated[str, typer.Option(help="Only what is older, such as 30d.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it only look.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete private files of old runs; first, without --yes, show which. The register keeps it."""
    from nexus_reimport import runner, show
    from nexus_reimport import settings as environments

    folders = runner.purge_private(environment, older_than, really=yes)
    done = "deleted" if yes else "would be deleted"
    rows = [
        (
            f.name,
            f"{f.files:,}",
            f"{f.bytes_stored / 1e6:,.1f}",
            f"kept: {f.kept}" if f.kept else done,
        )
        for f in folders
    ]
    text = show.table("", "run or lab | files | MB | ", rows).as_text() if rows else "nothing there"
    command = f"nexus-reimport purge-private {environment} --older-than {older_than} --yes"
    if not yes and any(not f.kept for f in folders):
        text += f"\nnothing was deleted; to delete: {command}"
    sheet = environments.load(environment).by_hand_sheet
    if sheet.exists():
        text += f"\nit may hold patients' names, and stays until you delete it: {sheet}"
    plain = [{**asdict(f), "path": str(f.path), "deleted": yes and not f.kept} for f in folders]
    give({"private": plain}, text, as_json=as_json)


def _ask(preview: RollbackPreview, proposal: RollbackProposal) -> str:
    from nexus_reimport import show
    from nexus_reimport.model.approval import short

    write(repr(show.rollback(preview)), err=True)
    text = f"To undo run {preview.undoes}, type the digest {short(proposal.digest)}"
    return typed(text)
