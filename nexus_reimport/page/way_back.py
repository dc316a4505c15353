"""The rollback of the last run: what it would do, its gates, looked at before it is started."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.model import NewerDecision, RollbackPreview, RollbackProposal
from nexus_reimport.model.approval import short
from nexus_reimport.page.gates import Gate, Gates, State
from nexus_reimport.record import lock
from nexus_reimport.runbook import rollback
from nexus_reimport.settings import Settings
from nexus_reimport.show.rollback import links_decided

PLACE = "way-back"  # of it, on the page


@dataclass(frozen=True, slots=True)
class WayBack:
    """What taking the last run back would do, as things were a moment ago."""

    seen: RollbackPreview
    proposal: RollbackProposal
    patients_table: str

    @property
    def digest(self) -> str:
        """As much of the digest as is typed."""
        return short(self.proposal.digest)

    @property
    def patients(self) -> int:
        """How many patients there will be: as before the run, or as now where it has none."""
        table = self.patients_table
        return self.seen.rows_before.get(table, self.seen.rows_now.get(table, 0))

    @property
    def is_undecided(self) -> bool:
        """Whether a person must still say what becomes of what people have written since."""
        return self.seen.since.asks and self.seen.newer is NewerDecision.UNDECIDED

    @property
    def links(self) -> str:
        """What becomes of documents and images, and their links."""
        return links_decided(self.seen.since.fixed, self.seen.newer)


def read(settings: Settings, newer: NewerDecision) -> WayBack:
    """Look; nothing is written but for a moment in the private folder.

    Raises:
        Busy: a command is at work.
        StopError: no run can be taken back, or not this one.
    """
    lock.refuse_second(settings)
    mapping = mappings.load_for(settings, environments.folder())
    seen, proposal = rollback.preview(settings, "", newer)
    people = mapping.entities[mapping.people()].table
    return WayBack(seen, proposal, people)


def gates(look: WayBack, *, busy: bool) -> Gates:
    """What must hold before it can be started."""
    idle = Gate("no other command is at work", State.CLOSED if busy else State.OPEN)
    latest = Gate(
        "it is the latest run, its undo data is there, the schema is unchanged", State.OPEN
    )
    claim = "it is decided what becomes of rows that people have written since"
    if look.is_undecided:
        decided = Gate(claim, State.CLOSED, "undecided", "choose below, and look again")
    else:
        decided = Gate(claim, State.OPEN)
    return Gates((idle, latest, decided))


def arguments(look: WayBack, environment: str, name: str, reason: str) -> list[str]:
    """The command that takes the run back, of exactly what was looked at."""
    return [
        "rollback",
        look.seen.undoes,
        *look.seen.newer.options,
        f"--approve={look.proposal.digest}",
        f"--environment={environment}",
        f"--who={name}",
        f"--reason={reason}",
    ]
