"""What is asked of an apply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nexus_reimport.checks.inside import Inside
from nexus_reimport.intake import Intake
from nexus_reimport.model import Approval, Plan, Proposal, Report, is_unedited
from nexus_reimport.nexus.connection.scratch import Scratch
from nexus_reimport.nexus.structure import schema
from nexus_reimport.settings import Write

BeforeCommit = Callable[[Inside], Report]


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """What to do: the plan, what it was made from, and the run that does it.

    The run stops if the schema under the locks differs from the surveyed one.

    It is committed only with an approval of this proposal, or in a ``scratch`` database that we
    made ourselves; without either it is a dry run and is rolled back.
    """

    run: str
    environment: str
    intake: Intake
    plan: Plan
    proposal: Proposal | None = None
    approval: Approval | None = None
    scratch: Scratch | None = None
    write: Write = Write.DIFFERENCES

    @property
    def is_approved(self) -> bool:
        """Whether the approval is for this proposal, and proposal and plan are unedited."""
        return (
            self.proposal is not None
            and self.approval is not None
            and self.approval.digest == self.proposal.digest
            and self.proposal.environment == self.environment
            and self.proposal.plan == self.plan.digest
            and self.proposal.write is self.write
            and self.proposal.schema == schema.digest(self.intake.survey.schema)
            and is_unedited(self.proposal)
            and is_unedited(self.plan)
        )
