"""One run: where its record and its private files lie, and what is asked of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nexus_reimport import model, naming, wording
from nexus_reimport.errors import (
    CHANGED_FILE,
    NOT_BY_THIS_STEP,
    NOTHING_WRITTEN,
    Busy,
    NotNow,
    RecordError,
    RecordGone,
    ReimportError,
    begun_anew,
    continued,
)
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import Approval, Backup, Plan, RollbackPreview
from nexus_reimport.record import headline, journal, lock, values, verdict
from nexus_reimport.record.headline import Tense
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.notebooks import marks
from nexus_reimport.record.sealed import bag, chain, check, seal
from nexus_reimport.record.verdict import State, Verdict
from nexus_reimport.settings import Settings, Signing

T = TypeVar("T")
_LEFT = {
    State.AS_IT_WAS: "as it was",
    State.UNKNOWN: "as it was, or holds everything that was approved: not known yet",
    State.TAKEN_BACK: "as before the run, which was taken back",
}


def of(settings: Settings, run_id: str) -> Run:
    """The run of that name, whether it is there or not."""
    record, apart = (
        place / settings.name / run_id
        for place in (settings.folders.runs, settings.folders.private)
    )
    return Run(settings.name, run_id, record / bag.PAYLOAD, apart)


def gone(environment: str, place: Path) -> RecordGone:
    """What is told of a run whose record was there: without it, it would look as if it did nothing.

    ``place`` is the folder that is not there any more.
    """
    return RecordGone(
        "the run's record is not there any more: its folder was unmounted, moved or deleted",
        where=f"environment {environment}, {place}",
        state="what the run has left in the database is not known without its record",
        next="bring that folder back (mount, ls -l), begin no new run before;"
        f" then: nexus-reimport status {environment}",
    )


def no_journal(environment: str, folder: Path) -> RecordError:
    """What is told of a record whose journal is not there, so that nothing says what became."""
    return RecordError(
        f"the record of run {folder.name} has no journal: it was moved, or deleted",
        where=f"environment {environment}, {folder / bag.PAYLOAD}",
        state="what the run has left in the database is not known without its journal",
        next="bring the journal back, from an archive or a backup; then:"
        f" nexus-reimport status {environment}, and nexus-reimport record check {environment}",
    )


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one environment: where its record and its private files lie."""

    environment: str
    id: str
    folder: Path  # the record's payload: all that a step, or a page, writes
    private: Path

    @property
    def bag(self) -> Path:
        """The record itself: the payload, and beside it what the seal adds."""
        return self.folder.parent

    @property
    def where(self) -> str:
        """Which run it is, for a message."""
        return f"environment {self.environment}, run {self.id}"

    @property
    def kind(self) -> str:
        """What the run is for: reimport, relink or rollback."""
        entries = self.events()
        is_cut = verdict.is_cut(entries, is_sealed=False)
        return self._kind_by_values(entries) if is_cut else journal.kind(entries)

    @property
    def undoes(self) -> str:
        """The run that this one takes back; "" where it takes back none."""
        entries = self.events()
        if verdict.is_cut(entries, is_sealed=False):
            look = self.loaded(RollbackPreview) if self.has(RollbackPreview) else None
            return look.undoes if look else self._noted_undoes()
        return journal.undoes(entries)

    def _noted_undoes(self) -> str:
        """The run that this one takes back, as it was noted beside its journal."""
        return str(values.read_object(self.folder / bag.ENVIRONMENT).get("undoes", ""))

    def _kind_by_values(self, entries: Sequence[Entry]) -> str:
        """What the run is for, by what its stages have left: its journal's beginning is lost."""
        # Asked whether they are there, first: the error of a missing value names the run's kind.
        if self.has(Backup, "rollback_backup") or self._noted_undoes():
            return "rollback"
        plan = self.loaded(Plan) if self.has(Plan) else None
        return str(plan.scope) if plan else journal.kind(entries)

    # -------------------------------------------------------------- journal

    def journal(self, event: Event, **facts: Any) -> None:
        """Add one line to the journal; it is on the disk when this returns."""
        journal.append(self.folder, event, **facts)

    def events(self) -> list[Entry]:
        """The journal's lines that count: whole ones, each following on the one before.

        Of one that is not the one that was sealed, what can make a verdict worse.

        Raises:
            RecordGone: there is no journal, as there is of every run from its beginning on.
        """
        read = journal.scan(self.folder)
        entries = list(journal.distrusted(read).entries if self._is_forged else read.entries)
        if not entries and not (self.folder / journal.JOURNAL).is_file():
            raise gone(self.environment, self.bag)
        return entries

    def journal_size(self) -> int:
        """The bytes of the journal: cheap, and more with each line."""
        return (self.folder / journal.JOURNAL).stat().st_size

    def events_after(self, size: int) -> list[Entry]:
        """As ``events``, but for the lines that stood in its first ``size`` bytes."""
        with (self.folder / journal.JOURNAL).open("rb") as file:
            known = file.read(size).count(b"\n")
        return [e for e in self.events() if (e.line.get("n") or known + 1) > known]

    def has_failed_since(self, known: int) -> bool:
        """Whether a failure was journalled after the first ``known`` of its lines."""
        return bool(journal.only(self.events()[known:], Event.FAILED))

    def journal_problems(self) -> list[str]:
        """What is wrong with the journal: lines that were cut, or do not follow on each other."""
        if self._is_forged:
            return [f"{journal.JOURNAL}: it is not the one that was sealed"]
        read = journal.scan(self.folder)
        notes = [text for text in (read.cut_note(), read.broken_note()) if text]
        if not notes and self._is_cut(read.entries):
            lost = (
                "its end is missing: the record was sealed after it"
                if self.is_sealed
                else "its beginning is missing: bring the journal back from a backup"
            )
            notes.append(f"{journal.JOURNAL}: {lost}")
        return notes

    @property
    def _is_forged(self) -> bool:
        """Whether the record is sealed, and its journal another one than was sealed."""
        return self._differs(journal.JOURNAL)

    def _differs(self, file: str) -> bool:
        """Whether the record is sealed, and this file of it another one than was sealed."""
        return bool(bag.changed(self.bag, (f"{bag.PAYLOAD}/{file}",)))

    @property
    def was_changed(self) -> bool:
        """Whether its journal was changed after the seal, so that it leaves open what became."""
        is_open = self.is_sealed and self.verdict() in verdict.UNFINISHED
        return is_open and bool(self.journal_problems())

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, str]]:
        """Journals that a stage started, and that it finished or failed, whatever happens.

        Gives what the line of its end says besides: ``note``, where it did not do what it is for.
        A seal that is just being made is waited for: else the stage would work on under it.
        """
        with ExitStack() as held:
            with private.settled_folder(self.bag.parent, bag.SEALING):
                self.require_open()
                held.enter_context(self.at_work())
            self.journal(Event.STARTED, stage=name, pid=os.getpid())
            besides: dict[str, str] = {}
            try:
                yield besides
            except BaseException as error:
                if isinstance(error, ReimportError):
                    self.as_told(error)
                self._journal_failure(name, error)
                raise
            self.journal(Event.FINISHED, stage=name, **besides)

    def _journal_failure(self, stage: str, error: BaseException) -> None:
        """Journal that a stage failed. Without room for the line the run counts as killed."""
        with suppress(OSError):  # a disk that takes nothing must not hide why the stage failed
            self.journal(Event.FAILED, stage=stage, **journal.failure(error))

    @property
    def again(self) -> str:
        """The command that begins such a run again, as a new one."""
        return journal.again(self.kind, self.undoes, self.environment)

    def left(self) -> str:
        """What it has left in the database, as its journal knows it."""
        state = self.state()
        if state is State.AS_IT_WAS and journal.is_taken_over(self.events()):
            return f"{_LEFT[state]}, {headline.TAKEN_OVER}"
        if state is not State.COMMITTED:
            return _LEFT[state]
        done = f"as it was before run {self.undoes}" if self.undoes else "reimported"
        is_verified = self.verdict() is Verdict.COMPLETE  # its record may not be sealed yet
        return f"{done}, and {'verified' if is_verified else 'not verified yet'}"

    def stated(self, state: str) -> str:
        """The state that an error tells, as it is true of the run: another step may have written.

        True of the step that failed is a mapping's "nothing was written"; of the run it is not.
        """
        if state not in (NOTHING_WRITTEN, NOT_BY_THIS_STEP) or self.state() is State.AS_IT_WAS:
            return state
        return f"the database is {self.left()}; this step wrote nothing"

    def as_told(self, error: ReimportError) -> ReimportError:
        """The error as it is told of this run: under the runner nobody runs a page, or a step.

        Beside a run that is committed no other one begins before it is finished or closed.
        """
        if error.next == CHANGED_FILE and self.is_committed():
            error.state, error.next = self.stated(error.state), self._without_a_file()
        if not marks.is_page_of(self.private):
            return error
        if self.is_committed():
            return continued(error, f"finish it (nexus-reimport finish {self.environment})")
        return begun_anew(error, f"begin again ({self.again})")

    def _without_a_file(self) -> str:
        """What can be done about a committed run of which a file is missing, or was changed."""
        name = self.environment
        back = "" if self.undoes else f"; or take it back (nexus-reimport rollback {self.id})"
        return (
            f"bring that file back from a backup, then finish the run (nexus-reimport finish"
            f" {name}); or close it without verification (nexus-reimport seal {name}), then begin"
            f" another one, which verifies all (nexus-reimport run {name}){back}"
        )

    # -------------------------------------------------------------- who works on it

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Held by a process while it works on this run: ``workers`` names it then."""
        with lock.working(self.private):
            yield

    @contextmanager
    def one_step(self) -> Iterator[None]:
        """Held by a process while it is at a step: two at once would write over each other's value.

        Raises:
            Busy: another process is at a step of this run.
        """
        with lock.one_step(self.private) as is_ours:
            if not is_ours:
                raise Busy(
                    f"another process is at a step of run {self.id}",
                    where=f"environment {self.environment}",
                    state="that step goes on; this one was not begun",
                    next="wait until it has ended, read what it has come to"
                    f" (nexus-reimport status {self.environment}), then run this step again if it"
                    " is still wanted",
                )
            yield

    def workers(self) -> tuple[int, ...]:
        """The processes that are at work on this run."""
        return lock.workers(self.private)

    def require_idle(self) -> None:
        """Raise Busy while a process is at work on the run: its record is not closed under it."""
        if pids := self.workers():
            raise Busy(
                f"run {self.id} is at work: {wording.processes(pids)}",
                where=f"environment {self.environment}",
                state="that run goes on; nothing new was started, and no record was closed",
                next="wait until it has ended;"
                f" nexus-reimport record list {self.environment} shows it",
            )

    # -------------------------------------------------------------- values

    def save(self, value: object, name: str = "") -> None:
        """Keep a stage's value in the record; ``name`` where its type has several files."""
        file = values.file_name(type(value), name)
        model.save(value, self.folder / file)
        self.journal(Event.KEPT, file=file, sha256=private.sha256_of(self.folder / file))

    def list_written(self, name: str) -> None:
        """Keep the hash of a list of ids, which its stage has just written into the record."""
        if (self.folder / name).is_file():
            self.journal(Event.KEPT, file=name, sha256=private.sha256_of(self.folder / name))

    def load(self, kind: type[T], name: str = "") -> T:
        """A stage's value; ``name`` where its type has several files.

        Raises:
            NotNow: the stage has not been run.
            RecordError: its value was changed.
        """
        file = values.file_name(kind, name)
        try:
            kept = model.load(kind, self.folder / file)
        except FileNotFoundError:
            value = Path(file).stem
            page = values.page_of(value, self.kind)
            is_this = page == marks.page_in_session()  # after it, this page is not run once more
            raise NotNow(
                f"run {self.id} has no {naming.words(value)} yet",
                where=f"environment {self.environment}",
                next="run this page from the top, which gives it"
                if is_this
                else f"run {page} from the top, which gives it; then this page from the top",
            ) from None
        if self._differs(file):
            raise RecordError(
                f"{file} was changed after the seal",
                where=self.where,
                next=f"nexus-reimport record check {self.environment} says what else was",
            )
        self._require_kept(file)
        if kind is Approval:
            self._require_given(file)
        return kept

    def _require_kept(self, file: str) -> None:
        """Raise RecordError if this value of an open run is not what its stage has written.

        Who edits the outcome of a check must not have it approved. Once the run is committed, its
        verification judges that; and a sealed one has its seal.
        """
        entries = [] if self.is_sealed else self.events()
        known = "" if verdict.is_committed(entries) else journal.kept_hashes(entries).get(file, "")
        if known and private.sha256_of(self.folder / file) != known:
            page = values.page_of(Path(file).stem, self.kind)
            raise RecordError(
                f"{file} is not what its stage has written: it was changed, or a kill came between",
                where=self.where,
                next=f"find out who has changed it; then run {page} from the top, which gives it"
                " again, or begin a new run",
            )

    def _require_given(self, file: str) -> None:
        """Raise RecordError if the journal does not say that this approval was given.

        One from another run, or for an earlier plan, must not pass for one of this plan. Once the
        run is committed, what was approved is for ``record check`` to judge.
        """
        entries = self.events()
        if not journal.is_approved(entries) and not verdict.is_committed(entries):
            raise RecordError(
                f"{file}: the journal does not say that what was proposed last was approved",
                where=self.where,
                next="find out who wrote that file, take it away, and approve what is proposed",
            )

    def loaded(self, kind: type[T], name: str = "") -> T | None:
        """As ``load``; None where the value is not there, or cannot be read back."""
        try:
            return self.load(kind, name)
        except RecordError:
            return None

    def damaged(self) -> tuple[str, ...]:
        """The files of values that were written, and are changed, or not there any more.

        What ``loaded`` leaves out must not look as if there were nothing to say.
        """
        known = ((kind, name) for kind, names in values.NAMES.items() for name in names)
        written = journal.kept_files(self.events())
        return tuple(
            file
            for kind, name in known
            if (file := values.file_name(kind, name)) in written or self.has(kind, name)
            if self.loaded(kind, name) is None
        )

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
        return self._judged(self.events())

    def headline(self) -> str:
        """The verdict and what it means, in one line."""
        entries = self.events()
        return headline.of(entries, self._judged(entries))

    def meaning(self) -> str:
        """What the verdict means for this run."""
        entries = self.events()
        return headline.sentence(entries, self._judged(entries))

    def tense(self) -> Tense:
        """How to speak of what it has planned: it does so, it did, it would have."""
        entries = self.events()
        return headline.tense(entries, self._judged(entries))

    def standing(self) -> Verdict:
        """The verdict; RUNNING while a process is at work on the run, whatever the journal says."""
        return Verdict.RUNNING if not self.is_sealed and self.workers() else self.verdict()

    def state(self) -> State:
        """What the run has left in the database."""
        entries = self.events()
        return verdict.state(entries, self._judged(entries))

    def _judged(self, entries: Sequence[Entry]) -> Verdict:
        return verdict.judge(entries, is_cut=self._is_cut(entries))

    def _is_cut(self, entries: Sequence[Entry]) -> bool:
        return verdict.is_cut(entries, is_sealed=self.is_sealed)

    @property
    def must_be_finished(self) -> bool:
        """Whether it is open, and unverified or in doubt: no new run begins beside it."""
        return self.is_open and self.verdict() in verdict.UNFINISHED

    @property
    def must_be_closed(self) -> bool:
        """Whether nothing is left to do in it but to close its record."""
        is_left = self.is_open or self.seal_was_cut
        return is_left and not self.workers() and self.verdict() in verdict.ENDED

    @property
    def seal_was_cut(self) -> bool:
        """Whether a kill came just before the last file of its seal: the next command writes it."""
        return chain.is_cut_short(self.bag)

    def exit_code(self) -> int:
        """The exit code of the command that made this run."""
        entries = self.events()
        return verdict.exit_code(entries, self._judged(entries))

    def is_committed(self) -> bool:
        """Whether the run is committed, by what it saw itself or by what the database said."""
        return verdict.is_committed(self.events())

    # -------------------------------------------------------------- seal

    @property
    def is_sealed(self) -> bool:
        """Whether the record is closed for good."""
        return bag.is_sealed(self.bag)

    @property
    def lost_its_seal(self) -> bool:
        """Whether the record is not sealed, and others know that it was."""
        return not self.is_sealed and self.id in chain.held_by_others(self.bag.parent)

    @property
    def is_open(self) -> bool:
        """Whether the record was never sealed; one that has lost its seal was."""
        return not (self.is_sealed or self.lost_its_seal)

    def require_open(self) -> None:
        """Raise NotNow if the record is sealed, or was."""
        if not self.is_open:
            raise NotNow(
                f"run {self.id} is sealed; a sealed record is never written to",
                where=f"environment {self.environment}",
                next="start a new run with 01_preflight",
            )

    def seal(
        self,
        known: chain.Link | None = None,
        signing: Signing | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> str:
        """Close the record for good; its seal, to be anchored elsewhere.

        ``known`` is the last seal that the database holds: the number goes on from it where the
        records of it are not here. ``look`` is called once all is written but the last file: an
        error of it leaves the record open.

        A run that waits for an approval will not get one any more: it ends as PARTIAL.

        Raises:
            OnlySealed: it is sealed, and could not be signed with ``signing``.
        """
        self.require_open()
        return seal.write(self.bag, self.environment, known, signing, look)

    def seal_digest(self) -> str:
        """The seal: the hash of the file that vouches for all others; "" while it is open."""
        return bag.digest(self.bag)

    def is_first(self) -> bool:
        """Whether no record of this environment is known to have been sealed before."""
        return chain.last(self.bag.parent) is None

    def place(self) -> chain.Link | None:
        """The sealed record's place among the others; None while it is open."""
        return chain.of(self.bag)

    def problems(self, held: Mapping[str, set[str]] | None = None) -> list[str]:
        """What of a sealed record is not as it was sealed: changed, missing, added files.

        One that could not be read is none that anything relies on. ``held`` are the seals that the
        other records hold, where they are known.
        """
        if not self.is_sealed:
            return ["not sealed"]
        checked = check.of_record(self.bag, self.environment)
        if checked.kind == check.UNREAD:
            return list(checked.remarks)
        return [*checked.problems, *chain.problems(self.bag, held)]
