"""What a run and a rollback share: the row that each writes, and the value after COMMIT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from nexus_reimport.model.approval import Applied, Approval, Proposal
from nexus_reimport.model.rollback import RollbackProposal, Undone
from nexus_reimport.nexus.registry import RunRow, UndoData
from nexus_reimport.nexus.structure.fingerprint import Fingerprint

Done = TypeVar("Done", Applied, Undone)


class Request(Protocol):
    """Which run is to write, where, and who approved what."""

    @property
    def run(self) -> str:
        """The run that writes."""

    @property
    def environment(self) -> str:
        """The environment that owns the database."""

    @property
    def proposal(self) -> Proposal | RollbackProposal | None:
        """What was proposed; None on a copy."""

    @property
    def approval(self) -> Approval | None:
        """Who approved it; None on a copy."""


def run_row(
    request: Request,
    kind: str,
    before: Mapping[str, Fingerprint],
    after: Mapping[str, Fingerprint],
    undo: UndoData | None = None,
) -> RunRow:
    """The row that ``request``'s run writes into the database; a rollback has no undo data."""
    return RunRow(
        run=request.run,
        environment=request.environment,
        kind=kind,
        digest=request.proposal.digest if request.proposal else "",
        approved_by=request.approval.who if request.approval else "",
        before=dict(before),
        after=dict(after),
        undo=undo,
    )


def after_commit(
    done: Done, waited: float, timings: Mapping[str, float], *, is_confirmed: bool
) -> Done:
    """``done`` with what is only known once the locks are gone."""
    return replace(
        done,
        committed=True,
        at=datetime.now(UTC),
        writers_waited=waited,
        timings=dict(timings),
        is_confirmed=is_confirmed,
    )
