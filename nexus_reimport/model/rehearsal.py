"""What a rehearsal has proven."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from nexus_reimport.model.checks import Report
from nexus_reimport.nexus.structure.fingerprint import Fingerprint


class Ground(StrEnum):
    """Where a run was rehearsed."""

    COPY = "on a restored copy"
    INSIDE = "inside the real transaction, rolled back"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The result of the rehearsal: the state after it, and what it proved.

    On a copy, ``tables`` and ``rows`` were compared after the restore and again after the undo,
    and ``times`` has the seconds of each step. Inside the real transaction, ``why_inside`` says why
    there was no copy.
    """

    ground: Ground
    after: dict[str, Fingerprint]
    writers_waited: float
    seconds: float
    report: Report  # of the checks inside
    why_inside: str = ""
    where: str = ""  # server of the copy
    verified: Report | None = None  # of the checks after, on the copy
    times: dict[str, float] = field(default_factory=dict)
    tables: int = 0
    rows: int = 0
    left_out: tuple[str, ...] = ()  # extensions that no table needs
    undo_waited: float = 0.0  # seconds that writers would wait for the undo

    @property
    def needs(self) -> float:
        """Seconds that it took to execute and to verify; inside the real transaction, all of it."""
        if self.ground is Ground.INSIDE:
            return self.seconds
        return self.times.get("apply", 0.0) + self.times.get("verify", 0.0)
