"""What approval is asked for, who gave it, and what was then done."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from nexus_reimport.model.checks import Report
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.settings import Write

DIGEST_SHOWN = 12  # characters of a digest that a person types: 48 bits, enough against a slip


def short(whole: str) -> str:
    """The beginning of a digest, as a person reads and types it."""
    return whole[:DIGEST_SHOWN]


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a person is asked to approve, and its digest."""

    environment: str
    snapshot: str
    mapping: str
    code: str
    schema: str
    decisions: str
    plan: str
    before: dict[str, Fingerprint]
    after: dict[str, Fingerprint]
    digest: str = field(default="")
    write: Write = Write.ALL  # as every run of an older version did

    @property
    def writes_nothing(self) -> bool:
        """Whether each table is already as the run leaves it, and no row has to be written."""
        return self.write is Write.DIFFERENCES and self.before == self.after


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an approval would be refused now, and what a person does about it.

    ``needs_preflight``: only a new preflight helps. The digest can no longer be approved.
    """

    what: str
    next: str
    needs_preflight: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of an approval; ``refusal`` says why it does not hold, None if it does."""

    claim: str
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the end of a preflight must show besides its digest.

    ``unproven`` says why the backup and the undo were not proven, "" if they were; ``ending``
    names waivers that are needed and that end before tomorrow; ``with_name`` is what the command
    that approves needs besides the digest, "" if nothing.
    """

    refusals: tuple[Refusal, ...] = ()
    unproven: str = ""
    ending: tuple[str, ...] = ()
    with_name: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved which digest, when and how; ``name`` and ``reason`` in that person's words."""

    digest: str
    who: str  # the account of the operating system
    how: str
    at: datetime
    name: str = ""
    reason: str = ""

    @property
    def by(self) -> str:
        """The name that was given, else the account."""
        return self.name or self.who

    @property
    def by_account(self) -> str:
        """The name that was given, with the account from which."""
        return f"{self.name} (as {self.who})" if self.name else self.who


@dataclass(frozen=True, slots=True)
class Applied:
    """What the writing transaction did."""

    committed: bool
    at: datetime
    deleted: dict[str, int]
    inserted: dict[str, int]
    relinked: dict[str, int]
    after: dict[str, Fingerprint]
    writers_waited: float
    timings: dict[str, float]
    report: Report
    warnings: tuple[str, ...] = ()
    is_confirmed: bool = True  # False: a standby was lost at COMMIT, this server alone holds it
    updated: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)  # table -> rows that had to be written
    write: Write = Write.ALL

    @property
    def rows_written(self) -> int | None:
        """How many rows of wiped tables had to be written; None if every row was."""
        return None if self.write is Write.ALL else sum(self.written.values())

    def rows_in_all(self) -> int:
        """How many rows were written, whichever: links too, and one that was replaced once."""
        counts = (self.deleted, self.inserted) if self.write is Write.ALL else (self.written,)
        return sum(sum(count.values()) for count in (*counts, self.relinked))
