"""What checks have found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from nexus_reimport import wording

_LATEST_FIRST = ("checks_after", "checks_rehearsal", "checks_before")
_PROPER = ("FileMaker", "Nexus")  # keep their capital within a sentence


class Level(StrEnum):
    """What a failed check does."""

    STOP = "STOP"
    REVIEW = "REVIEW"
    INFO = "INFO"


class WaiverState(StrEnum):
    """What a waiver is to the check that it names."""

    IN_USE = "in use"
    EXPIRED = "expired"
    NOT_ENOUGH = "not enough"
    NOT_NEEDED = "no longer needed"


@dataclass(frozen=True, slots=True)
class Result:
    """One check's outcome: counts, and at most five keys (ids, never values)."""

    check: str
    claim: str
    serves: tuple[str, ...]
    level: Level
    looked_at: int
    offending: int
    sample: tuple[str, ...] = ()
    waived: int = 0
    note: str = ""
    is_empty: bool = False  # there is really nothing to look at; the note gives the proof
    keys: int = 0  # how many keys offend; ``sample`` has the first of them
    waiver: str = ""  # whether its waiver holds, and why; "" if it has none
    waiver_state: WaiverState | None = None

    @property
    def found(self) -> str:
        """How many items offend, of how many that were looked at."""
        if not self.looked_at and not self.offending:
            return "looked at nothing"
        return wording.part(self.offending, self.looked_at)

    @property
    def listed(self) -> str:
        """The first keys, and how many more there are."""
        return wording.some(self.sample, self.keys)

    @property
    def not_so(self) -> str:
        """How many fail, then the claim: what is read first seems to be so."""
        claim = self.claim.rstrip(".")
        if self.looked_at or self.offending:
            within = claim if claim.startswith(_PROPER) else claim[:1].lower() + claim[1:]
            return f"{self.found} fail: {within}"
        return f"{claim}: {self.found}"

    @property
    def passed(self) -> bool:
        """Whether no more offend than are waived, and something was looked at or nothing exists."""
        return self.offending <= self.waived and (self.looked_at > 0 or self.is_empty)

    @property
    def blocks(self) -> bool:
        """Whether the run must stop here."""
        return self.level is Level.STOP and not self.passed


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one stage's checks, passed or not."""

    stage: str
    results: tuple[Result, ...]

    @property
    def blocking(self) -> tuple[Result, ...]:
        """The results that stop the run."""
        return tuple(r for r in self.results if r.blocks)

    @property
    def passed(self) -> bool:
        """Whether no result stops the run."""
        return not self.blocking


def waived(report: Callable[[str], Report | None]) -> list[str]:
    """The claims that do not hold and that a waiver has accepted, of the reports of one run.

    ``report`` gives the one of a name, or None. The latest report comes first.
    A check before and its twin after have one waiver: what is so now is told, and told once.
    """
    texts: list[str] = []
    known: set[str] = set()
    for one in filter(None, map(report, _LATEST_FIRST)):
        accepted = [r for r in one.results if r.passed and r.offending]
        texts += [r.not_so for r in accepted if r.waiver not in known]
        known.update(r.waiver for r in accepted)
    return texts
