"""One run: where its record and its private files lie, and what is asked of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nexus_reimport import model, wording
from nexus_reimport.errors import Busy, RecordError
from nexus_reimport.events import Event
from nexus_reimport.record import journal, lock, manifest, seal, values, verdict
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.verdict import State, Verdict
from nexus_reimport.settings import Settings

T = TypeVar("T")


def of(settings: Settings, run_id: str) -> Run:
    """The run of that name, whether it is there or not."""
    folders, name = settings.folders, settings.name
    return Run(name, run_id, folders.runs / name / run_id, folders.private / name / run_id)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one environment: where its record and its private files lie."""

    environment: str
    id: str
    folder: Path
    private: Path

    @property
    def kind(self) -> str:
        """What the run is for: reimport, relink or rollback."""
        return journal.kind(self.events())

    @property
    def undoes(self) -> str:
        """The run that this one takes back; "" where it takes back none."""
        return journal.undoes(self.events())

    # -------------------------------------------------------------- journal

    def journal(self, event: Event, **facts: Any) -> None:
        """Add one line to the journal; it is on the disk when this returns."""
        journal.append(self.folder, event, **facts)

    def events(self) -> list[Entry]:
        """The journal's lines; a last one that was cut by a kill is left out."""
        return journal.read(self.folder)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Journals that a stage started, and that it finished or failed, whatever happens."""
        self.require_open()
        with self.at_work():
            self.journal(Event.STARTED, stage=name, pid=os.getpid())
            try:
                yield
            except BaseException as error:
                self.journal(Event.FAILED, stage=name, **journal.failure(error))
                raise
            self.journal(Event.FINISHED, stage=name)

    # -------------------------------------------------------------- who works on it

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Held by a process while it works on this run: ``workers`` names it then."""
        with lock.working(self.private):
            yield

    def workers(self) -> tuple[int, ...]:
        """The processes that are at work on this run."""
        return lock.workers(self.private)

    def require_idle(self) -> None:
        """Raise Busy while a process is at work on the run: its record is not closed under it."""
        if pids := self.workers():
            raise Busy(
                f"run {self.id} is at work: {wording.some([f'pid {pid}' for pid in pids])}",
                where=f"environment {self.environment}",
                state="that run goes on; nothing new was started, and no record was closed",
                next="wait until it has ended;"
                f" nexus-reimport record list {self.environment} shows it",
            )

    # -------------------------------------------------------------- values

    def save(self, value: object, name: str = "") -> None:
        """Keep a stage's value in the record; ``name`` where its type has several files."""
        model.save(value, self.folder / values.file_name(type(value), name))

    def load(self, kind: type[T], name: str = "") -> T:
        """A stage's value; ``name`` where its type has several files.

        Raises:
            RecordError: the stage has not been run, or its value was changed.
        """
        return model.load(kind, self.folder / values.file_name(kind, name))

    def has(self, kind: type, name: str = "") -> bool:
        """Whether a stage's value is there; ``name`` where its type has several files."""
        return (self.folder / values.file_name(kind, name)).is_file()

    def kept(self) -> set[str]:
        """The names of all values that are there."""
        return {path.stem for path in self.folder.glob("*.json")}

    def forget(self, names: Iterable[str]) -> None:
        """Take away values that a step, run again, has made void."""
        for name in names:
            (self.folder / f"{name}.json").unlink(missing_ok=True)

    # -------------------------------------------------------------- verdict

    def verdict(self) -> Verdict:
        """What the journal says became of the run."""
        return verdict.judge(self.events())

    def standing(self) -> Verdict:
        """The verdict; RUNNING while a process is at work on the run, whatever the journal says."""
        return Verdict.RUNNING if not self.is_sealed and self.workers() else self.verdict()

    def state(self) -> State:
        """What the run has left in the database."""
        return verdict.state(self.events())

    def exit_code(self) -> int:
        """The exit code of the command that made this run."""
        return verdict.exit_code(self.events())

    def is_committed(self) -> bool:
        """Whether the run is committed, by what it saw itself or by what the database said."""
        return verdict.is_committed(self.events())

    # -------------------------------------------------------------- seal

    @property
    def is_sealed(self) -> bool:
        """Whether the record is closed for good."""
        return manifest.is_there(self.folder)

    def require_open(self) -> None:
        """Raise RecordError if the record is sealed."""
        if self.is_sealed:
            raise RecordError(
                f"run {self.id} is sealed; a sealed record is never written to",
                where=f"environment {self.environment}",
                next="start a new run with 01_preflight",
            )

    def seal(self) -> str:
        """Write verdict and manifest; the digest of the manifest, to be anchored elsewhere.

        A run that waits for an approval will not get one any more: it ends as PARTIAL.
        """
        self.require_open()
        return seal.write(self.folder, self.id, self.environment)

    def seal_digest(self) -> str:
        """The digest of the manifest; "" while the record is open."""
        return manifest.digest(self.folder)

    def manifest(self) -> dict[str, Any]:
        """The sealed record's manifest."""
        return manifest.read(self.folder)

    def problems(self) -> list[str]:
        """What of a sealed record is not as it was sealed: changed, missing, added files."""
        return seal.problems(self.folder)
