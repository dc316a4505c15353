"""What a rollback would do, and what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nexus_reimport import naming
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.model.checks import Report
from nexus_reimport.nexus.changes import Since
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.schema import Facts


class NewerDecision(StrEnum):
    """What becomes of rows that people created or edited after the run that is undone."""

    UNDECIDED = ""
    KEEP = "keep"
    DISCARD = "discard"

    @property
    def options(self) -> tuple[str, ...]:
        """The option of the command that decides so; none where nobody has decided."""
        return (f"--{self}-newer",) if self else ()


@dataclass(frozen=True, slots=True)
class RollbackPreview:
    """What undoing a run would do now."""

    undoes: str
    kind: str
    committed_at: datetime
    newer: NewerDecision
    since: Since
    rows_before: dict[str, int]  # table -> rows before the run
    rows_now: dict[str, int]
    links: dict[str, int]  # attachment -> links that the undo restores
    now: dict[str, Fingerprint]
    schema: Facts  # of the mapped tables, now
    saved: dict[str, RowFile]  # newer rows, whole, and newer links, in the private folder
    to_refresh: tuple[str, ...] = ()  # statements for materialized views, once it is committed


@dataclass(frozen=True, slots=True)
class RollbackProposal:
    """What a person is asked to approve of a rollback; the same while the database is unchanged."""

    environment: str
    undoes: str
    newer: NewerDecision
    code: str
    schema: Facts
    now: dict[str, Fingerprint]
    since: Since
    digest: str = field(default="")


@dataclass(frozen=True, slots=True)
class Undone:
    """What the rollback's transaction did. ``exact``: the state is the one before the run."""

    committed: bool
    at: datetime
    undoes: str
    exact: bool
    deleted: dict[str, int]
    put_back: dict[str, int]  # table -> rows there after it: newer ones too where they are kept
    relinked: dict[str, int]
    since: Since
    after: dict[str, Fingerprint]
    writers_waited: float
    timings: dict[str, float]
    report: Report
    written: dict[str, int] = field(default_factory=dict)  # table -> rows that had to be written
    newer: NewerDecision = NewerDecision.UNDECIDED
    is_confirmed: bool = True  # False: a standby was lost at COMMIT, this server alone holds it

    @property
    def rows_written(self) -> int | None:
        """How many rows had to be written for it; None where an older version has not counted."""
        return sum(self.written.values()) if self.written else None

    def rows_in_all(self) -> int:
        """How many rows were written: links too."""
        return sum(self.written.values()) + sum(self.relinked.values())

    @property
    def as_before(self) -> str:
        """Whether the data is as it was before the run, and what became of newer rows."""
        if self.exact and any(n.rows for n in self.since.newer):
            return f"yes; what people have written since the run is undone too ({self._newer})"
        if self.exact:
            return "yes"
        if self.newer is NewerDecision.DISCARD:
            return "yes, except rows that the rollback leaves alone, and what those reference"
        referenced = ", and what that references" if self.since.pointed_at else ""
        return f"yes, except what people have written since the run{referenced} ({self._newer})"

    @property
    def _newer(self) -> str:
        """What people have written, counted; the undo deletes no row of a linking table."""
        rows, newer = self.since.rows, self.since.newer
        texts = {
            "created or changed": {n.table: n.created + n.changed for n in newer},
            "deleted, and back if it was there before the run": {n.table: n.deleted for n in rows},
            "deleted": {n.table: n.deleted for n in self.since.links},
        }
        return "; ".join(
            f"{what}: {naming.counted(counts)}"
            for what, counts in texts.items()
            if any(counts.values())
        )
