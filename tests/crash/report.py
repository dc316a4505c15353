"""The table: steps by faults, a word in each cell; on the screen and as a paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from datetime import UTC, datetime

from nexus_reimport.record import Verdict

from .cases import Reference, fits
from .disk import SIZE
from .faults import AT_COMMIT, Fault
from .fixture import SCALE
from .journal import Point
from .trial import Result

_COLUMNS = [fault for fault in Fault if fault not in AT_COMMIT]
@dataclass(frozen=True, slots=True)
class Matrix:
    """All results, and what they were measured with."""

    results: tuple[Result, ...]
    references: tuple[Reference, ...]
    seed: int
    seconds: float
    workers: int

    def text(self) -> str:
        return "\n".join(self.rows()) + "\n"

    def paper(self) -> str:
        return self.text()

    def rows(self) -> Iterator[str]:
        for reference in self.references:
            for point in reference.points:
                yield f"{reference.kind:<10}{point!s:<40}" + " ".join(
                    f"{self.cell(reference, point, fault):<16}" for fault in _COLUMNS)
    def cell(self, reference: Reference, point: Point, fault: Fault) -> str:
        found = [r for r in self.results if (r.case.kind, r.case.point, r.case.fault) == (reference.kind, point, fault)]
        return ", ".join(r.word for r in found) or "-"
