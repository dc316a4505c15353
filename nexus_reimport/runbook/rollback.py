"""The steps of a rollback, as 90_rollback and the command call them: a run with its own record.

Back up what is there now, look at what would be taken back and what people have written since,
approve its digest, undo in one transaction, verify afresh, sign off.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from nexus_reimport import checks, record
from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.checks.rollback import Restored
from nexus_reimport.errors import (
    OnlySealed,
    RecordError,
    ReimportError,
    StopError,
    StorageError,
    TargetError,
)
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import (
    Approval,
    Backup,
    NewerDecision,
    Report,
    RollbackPreview,
    RollbackProposal,
    Undone,
)
from nexus_reimport.nexus import links, registry, waiters
from nexus_reimport.nexus.database import Database
from nexus_reimport.nexus.postgres import connected, exported_snapshot, rolled_back
from nexus_reimport.nexus.rights import Task
from nexus_reimport.nexus.tables import fingerprints_of
from nexus_reimport.record import Run, Verdict, journal, marks
from nexus_reimport.runbook import maintenance
from nexus_reimport.runbook.book import Runbook
from nexus_reimport.runbook.opening import (
    Bar,
    clear_scratch,
    create,
    no_bar,
    require_ready,
    today,
)
from nexus_reimport.settings import Settings
from nexus_reimport.stages import approval, backup, undo

COMMITTED = "taken back and committed; nothing was written by this step"
PREVIEW = ".preview"  # in the environment's private folder


def begin(
    environment: str = "",
    run_id: str = "",
    undo_run: str = "",
    newer: str = "",
    bar: Bar = no_bar,
) -> Rollback:
    """A new rollback, or the named one again; what 90_rollback opens with.

    ``undo_run`` is the run to take back, empty for the latest; ``newer`` is keep or discard.
    """
    settings = environments.load(environment)
    mapping = mappings.load(settings.mapping, environments.folder())
    require_ready(settings, mapping, Task.ROLLBACK)
    clear_scratch(settings)
    choice = _choice(newer)
    if run_id:
        run = record.find(settings, run_id)
        undoes = run.undoes
        if not undoes:
            raise RecordError(
                f"run {run.id} is not a rollback",
                where=f"environment {settings.name}",
                next="name a rollback's own run as run_id; see nexus-reimport record list",
            )
    else:
        undoes = _latest(settings, mapping, undo_run)
        run = create(settings, "rollback", undoes=undoes)
        run.journal(Event.ROLLBACK, undoes=undoes)
    marks.opened(run.private)
    return Rollback(Runbook(settings, mapping, run, bar), undoes, choice)


def preview(
    settings: Settings, run: str, newer: NewerDecision
) -> tuple[RollbackPreview, RollbackProposal]:
    """What a rollback would do, without a record: nothing is left anywhere.

    Newer rows are written out meanwhile: in the private folder, under a name that the next preview
    clears if this one is killed.
    """
    mapping = mappings.load(settings.mapping, environments.folder())
    require_ready(settings, mapping, Task.ROLLBACK)
    folder = settings.folders.private / settings.name / PREVIEW
    shutil.rmtree(folder, ignore_errors=True)
    private.new_folder(folder)
    try:
        seen = undo.preview(settings.postgres, mapping, run, newer, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return seen, approval.propose_rollback(settings, seen)


def finish(run: Run) -> None:
    """Verify and sign off a rollback that was committed and not verified, as after a kill.

    What it finds is in the journal when this returns.
    """
    failed = [e.stage for e in journal.only(run.events(), Event.FAILED)]
    if run.verdict() is not Verdict.COMMITTED_UNVERIFIED or failed[-1:] == ["sign_off"]:
        return
    book = begin(run.environment, run.id)
    try:
        book.verify()
        book.sign_off()
    except ReimportError:
        return  # journalled by its stage


def _choice(newer: str) -> NewerDecision:
    try:
        return NewerDecision(newer.strip().lower())
    except ValueError:
        raise StopError(
            "newer says neither keep nor discard",
            next='write newer = "keep", "discard", or nothing where nobody has written since',
        ) from None


def _latest(settings: Settings, mapping: FieldMapping, run: str) -> str:
    with connected(settings.postgres) as connection:
        return undo.latest(Database.read(connection, mapping), run)[0].run


@dataclass(frozen=True, slots=True)
class Rollback:
    """One open rollback: the run that it is, and the run that it takes back."""

    book: Runbook
    undoes: str
    newer: NewerDecision

    @property
    def run(self) -> Run:
        """The rollback's own record."""
        return self.book.run

    def back_up(self) -> Backup:
        """A dump and CSVs of what is there now, before it is taken back."""
        book = self.book

        def work() -> Backup:
            with (
                waiters.reading(book.settings.postgres) as connection,
                exported_snapshot(connection) as shared,
            ):
                return backup.take(
                    connection, shared, book.settings.postgres, book.mapping, book.folder, {}
                )

        return book.step("rollback_backup", book.reading(work), "back_up")

    def preview(self) -> RollbackPreview:
        """What would be taken back, and what people have written since the run."""
        book = self.book
        return book.step(
            "look",
            book.reading(
                lambda: undo.preview(
                    book.settings.postgres, book.mapping, self.undoes, self.newer, book.folder
                )
            ),
        )

    def propose(self) -> RollbackProposal:
        """What approval is asked for."""
        book = self.book
        return book.step(
            "rollback_proposal",
            lambda: approval.propose_rollback(book.settings, self.run.load(RollbackPreview)),
        )

    def approve(self, typed: str = "", *, rehearsed: bool = False) -> Approval:
        """Let the rollback pass, if what was typed is its digest.

        Raises:
            StopError: it is not, or nobody has decided about newer rows. Nothing was written.
        """
        return self.book.step(
            "approval",
            lambda: approval.require_rollback(
                self.book.settings,
                self.run.load(RollbackProposal),
                approval.Consent(typed, rehearsed and not typed),
            ),
        )

    def undo(self) -> Undone:
        """Take the run back: the only step that writes clinic data.

        Raises:
            StopError, Busy, TargetError: the database is as it was.
            InDoubt: the connection was lost at COMMIT and the database cannot be asked.
        """
        book = self.book
        order = undo.RollbackRequest(
            run=self.run.id,
            environment=book.settings.name,
            undoes=self.undoes,
            newer=self.newer,
            proposal=self.run.load(RollbackProposal),
            approval=self.run.load(Approval),
        )
        return book.execute(
            "undone",
            "undo",
            "90_rollback",
            lambda: undo.run(
                book.settings.postgres,
                book.mapping,
                order,
                book.check_undoing,
                journal=self.run.journal,
                progress=book.bar("steps"),
            ),
        )

    def verify(self) -> Report:
        """Every table read afresh, on a new connection."""
        book = self.book
        if self.run.verdict() not in (Verdict.COMMITTED_UNVERIFIED, Verdict.COMPLETE):
            raise StopError(
                "this rollback has committed nothing that could be verified",
                next="run 90_rollback from the top",
            )
        state = "taken back; nothing was written by this step"
        require_ready(book.settings, book.mapping, Task.FINISH, state)

        def work() -> Report:
            with (
                waiters.reading(book.settings.postgres, COMMITTED) as connection,
                rolled_back(connection),
            ):
                database = Database.read(connection, book.mapping)
                committed = {r.run: r for r in registry.runs(connection)}[self.run.id]
                subject = Restored(
                    committed.after,
                    fingerprints_of(database, committed.after),
                    links.attachment_states(database),
                )
            return checks.run(
                subject,
                book.settings.waivers,
                today=today(book.settings),
                name="after the rollback",
            )

        return book.step("checks_rollback", book.reading(work))

    def sign_off(self) -> Report:
        """The end of the rollback; the record of an unverified run that it took back is closed.

        Raises:
            StopError: a check failed; the rollback is committed, and a person must decide.
        """
        report = self.run.load(Report, "checks_rollback")
        with maintenance.left_on_error(self.book.settings), self.run.stage("sign_off"):
            checks.require(
                report,
                where="90_rollback",
                state="taken back, but not as it should be",
                next=f"nexus-reimport restore {self.undoes} --into NAME gives the whole database"
                " back",
            )
            self._close_undone()
        self.run.journal(Event.VERIFIED)
        maintenance.leave(self.book.settings)
        return report

    def _close_undone(self) -> None:
        """An unfinished run that was taken back has nothing left to finish: seal its record."""
        for earlier in record.open_runs(self.book.settings):
            if earlier.id == self.undoes:
                earlier.journal(Event.UNDONE, by=self.run.id)
                self._seal(earlier)

    def _seal(self, earlier: Run) -> None:
        """Seal that record; what fails beside it is journalled, and spoils no rollback."""
        try:
            Runbook(self.book.settings, self.book.mapping, earlier).seal()
        except (OnlySealed, StorageError, StopError, TargetError) as error:
            self.run.journal(Event.NOT_KEPT, of=earlier.id, what=error.what)
