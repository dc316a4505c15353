"""What is asked of a rollback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nexus_reimport.checks.rollback import Undoing
from nexus_reimport.model import Approval, NewerDecision, Report, RollbackProposal, is_unedited
from nexus_reimport.nexus.connection.scratch import Scratch

STEPS = 10  # as timed, COMMIT included
STAGE = "undo"
BeforeCommit = Callable[[Undoing], Report]


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """Which run is undone, by which run, and what becomes of newer rows."""

    run: str
    environment: str
    undoes: str
    newer: NewerDecision
    proposal: RollbackProposal | None = None
    approval: Approval | None = None
    scratch: Scratch | None = None

    @property
    def is_approved(self) -> bool:
        """Whether the approval is for this rollback, and its proposal was not edited since."""
        return (
            self.proposal is not None
            and self.approval is not None
            and self.approval.digest == self.proposal.digest
            and is_unedited(self.proposal)
            and self.proposal.environment == self.environment
            and (self.proposal.undoes, self.proposal.newer) == (self.undoes, self.newer)
        )
