"""The runs of an environment, and the files of their records, which are only read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile
from pathlib import Path

from nexus_reimport import naming, record
from nexus_reimport.model import Applied, Approval, Scope, Undone
from nexus_reimport.record import Run, Verdict, runs
from nexus_reimport.record.anchor import Apart
from nexus_reimport.record.journal import JOURNAL, Entry, was_executed
from nexus_reimport.record.run import no_journal
from nexus_reimport.record.sealed import approved, bag
from nexus_reimport.settings import Settings

SHOWN = 20  # runs in one table
KINDS = {"reimport": "full reimport", "relink": "links alone", "rollback": "rollback"}
_TONES = {
    Verdict.COMPLETE: "good",
    Verdict.WAITING: "open",
    Verdict.PARTIAL: "open",
    Verdict.UNDONE: "attention",
    Verdict.RUNNING: "at-work",
}


@dataclass(frozen=True, slots=True)
class Past:
    """One run, in one line of a table."""

    run: Run
    at: datetime | None
    kind: str
    verdict: Verdict
    headline: str
    tone: str
    approval: Approval | None
    waited: float | None  # seconds that writers waited
    undone_by: str
    pages: tuple[str, ...]  # paths in its record

    @property
    def meaning(self) -> str:
        """What its verdict means: a word in capitals explains nothing."""
        return self.headline.partition(": ")[2]


@dataclass(frozen=True, slots=True)
class Table:
    """Some runs, newest first."""

    past: list[Past]
    older: int  # how many are older than these
    newest_older: str  # the id of the newest one of them; "" where there is none


def of(
    settings: Settings, at_work: Run | None, newest: str = "", seen: Apart | None = None
) -> Table:
    """As many runs as a table shows, from ``newest`` on, else all; ``at_work`` has not ended.

    ``seen``: what the database has said of its runs, if it was asked.
    """
    every = record.every(settings)
    undone = taken_back(every, seen)
    listed = list(dropwhile(lambda run: newest not in ("", run.id), reversed(every)))
    older = listed[SHOWN:]
    rows = [past(run, undone, is_at_work=run == at_work) for run in listed[:SHOWN]]
    return Table(rows, len(older), older[0].id if older else "")


def taken_back(every: Sequence[Run], seen: Apart | None) -> dict[str, str]:
    """Run -> the rollback that has taken it back, as the records or the database say."""
    return record.taken_back(every) | dict(seen.taken_back if seen else {})


def past(run: Run, undone: dict[str, str], *, is_at_work: bool = False) -> Past:
    """One run as the list shows it."""
    entries = run.events()
    verdict = Verdict.RUNNING if is_at_work else run.standing()  # also between two stages
    is_running = verdict is Verdict.RUNNING
    done: Applied | Undone | None = run.loaded(Applied) or run.loaded(Undone)
    return Past(
        run=run,
        at=entries[0].at if entries else None,
        kind=kind_of(run, entries),
        verdict=verdict,
        headline="RUNNING: a process is at work on it" if is_running else run.headline(),
        tone=_TONES.get(verdict, "bad"),
        approval=run.loaded(Approval),
        waited=done.writers_waited if done and done.committed else None,
        undone_by=undone.get(run.id, ""),
        pages=tuple(name for name in files(run) if name.endswith(".html")),
    )


def kind_of(run: Run, entries: Sequence[Entry]) -> str:
    """What it was for; a reimport that nobody has approved was a dry run."""
    if run.kind == Scope.REIMPORT and not run.loaded(Approval) and not was_executed(entries):
        return "dry run"
    return KINDS.get(run.kind, run.kind)


def find(settings: Settings, run_id: str) -> Run | None:
    """The run of that name; None where there is none.

    Raises:
        RecordError: there is its folder, without a journal.
    """
    for folder in runs.without_journal(settings):
        if folder.name == run_id:
            raise no_journal(settings.name, folder)
    return next((run for run in record.every(settings) if run.id == run_id), None)


def files(run: Run) -> tuple[str, ...]:
    """The files of a run's record: whole files of its folder, never one that a link leads to."""
    paths = (
        path.relative_to(run.folder).as_posix()
        for path in run.folder.rglob("*")
        if path.is_file() and not _has_link(run.folder, path)
    )
    return tuple(sorted(paths, key=_place))


def changed(run: Run) -> frozenset[str]:
    """Those of ``files`` that are not as they were sealed; of an open record, as written."""
    if not run.is_sealed:
        return frozenset(approved.not_as_written(run.folder, run.events()))
    named = bag.changed(run.bag, (f"{bag.PAYLOAD}/{name}" for name in files(run)))
    return frozenset(name.removeprefix(f"{bag.PAYLOAD}/") for name in named)


def _place(name: str) -> tuple[bool, bool, tuple[str, int]]:
    """The pages first, then the journal."""
    return not name.endswith(".html"), name != JOURNAL, naming.turn(name)


def _has_link(folder: Path, path: Path) -> bool:
    parts = [path, *path.parents]
    return any(part.is_symlink() for part in parts[: parts.index(folder)])


def file(run: Run, name: str) -> Path | None:
    """One file of the record; None where it is not one of ``files``."""
    return run.folder / name if name in files(run) else None
