"""The steps of a rollback, for 90_rollback and the command: a run with its own record.

Back up the present state, preview what would be undone and what people have written since, approve
the digest, undo in one transaction, verify again, sign off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from nexus_reimport import checks, record
from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.checks.rollback import Restored
from nexus_reimport.errors import (
    NOT_BY_THIS_STEP,
    NOTHING_WRITTEN,
    NotClean,
    NotNow,
    OnlySealed,
    ReimportError,
    StopError,
    StorageError,
    TargetError,
)
from nexus_reimport.events import Event
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
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection import waiters
from nexus_reimport.nexus.connection.postgres import connected, exported_snapshot, rolled_back
from nexus_reimport.nexus.rights import Task
from nexus_reimport.nexus.structure import links
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.tables import fingerprints_of
from nexus_reimport.record import Run, Verdict, anchor, journal, lab_pages, previews, statements
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
from nexus_reimport.runbook.steps import seal
from nexus_reimport.settings import Settings
from nexus_reimport.stages import approval, backup, undo

COMMITTED = "the run was undone and this is committed; this step wrote nothing"


def begin(
    environment: str = "",
    run_id: str = "",
    undo_run: str = "",
    newer: str = "",
    bar: Bar = no_bar,
) -> Rollback:
    """A new rollback, or the one that is named; the first call of 90_rollback.

    ``undo_run`` is the run to undo, empty for the latest; ``newer`` is keep or discard.

    Raises:
        NotNow: ``run_id`` is not a rollback.
        StopError: the run cannot be undone. In both cases nothing was written.
    """
    settings = environments.load(environment)
    mapping = mappings.load(settings.mapping, environments.folder())
    state = NOT_BY_THIS_STEP if run_id else NOTHING_WRITTEN
    require_ready(settings, mapping, Task.ROLLBACK, state)
    # A killed run's copies would else stay: they hold patients' data.
    clear_scratch(settings)
    choice = _choice(newer)
    if run_id:
        run = record.find(settings, run_id)
        undoes = run.undoes
        if not undoes:
            raise NotNow(
                f"run {run.id} is not a rollback",
                where=f"environment {settings.name}",
                next="give the id of a rollback as run_id; see nexus-reimport record list",
            )
    else:
        _refuse_unfinished_rollback(settings)
        undoes = _latest(settings, mapping, undo_run)
        run = create(settings, "rollback", undoes=undoes)
    lab_pages.opened(settings, run)
    return Rollback(Runbook(settings, mapping, run, bar), undoes, choice)


def preview(
    settings: Settings, run: str, newer: NewerDecision
) -> tuple[RollbackPreview, RollbackProposal]:
    """What a rollback would do; makes no record and leaves no file.

    Newer rows are written to the private folder for the moment. If this preview is killed, the next
    one deletes them.

    Raises:
        NotNow: another run is unfinished, so that no rollback would begin.
    """
    if run:  # a digest that would be refused is not shown
        record.refuse_unfinished(settings, run)
    mapping = mappings.load(settings.mapping, environments.folder())
    require_ready(settings, mapping, Task.ROLLBACK)
    with previews.opened(settings) as folder:
        looked = undo.preview(settings.postgres, mapping, run, newer, folder)
    record.refuse_unfinished(settings, looked.undoes)
    return looked, approval.propose_rollback(settings, looked)


def finish(run: Run) -> None:
    """Verify and sign off a rollback that is committed but not verified, as after a kill.

    The result is in the journal when this returns.
    """
    failed = [e.stage for e in journal.only(run.events(), Event.FAILED)]
    # after a refused sign-off a person must decide: it is not repeated
    if run.verdict() is not Verdict.COMMITTED_UNVERIFIED or failed[-1:] == ["sign_off"]:
        return
    known = len(run.events())
    try:
        book = begin(run.environment, run.id)
        book.verify()
        book.sign_off()
    except ReimportError as error:
        # A stage has journalled its own. A database that cannot be asked stops before any: raised
        # from here, it would say of a rollback that is committed that nothing was written.
        if not run.has_failed_since(known):
            run.journal(Event.FAILED, stage="checks_rollback", **journal.failure(error))


def _choice(newer: str) -> NewerDecision:
    try:
        return NewerDecision(newer.strip().lower())
    except ValueError:
        raise StopError(
            "newer must be keep or discard",
            next='write newer = "keep" or "discard"; leave it empty if nobody has written since',
        ) from None


def _refuse_unfinished_rollback(settings: Settings) -> None:
    """Stop while one is committed and unverified: what it undid cannot be looked for once more.

    Raises:
        NotNow: says how to finish it. Nothing was written by this step.
    """
    last = record.unfinished(settings)
    if last and last.undoes:
        record.refuse_unfinished(settings, last.undoes)


def _latest(settings: Settings, mapping: FieldMapping, run: str) -> str:
    with connected(settings.postgres) as connection:
        return undo.latest(Database.read(connection, mapping), run)[0].run


@dataclass(frozen=True, slots=True)
class Rollback:
    """One open rollback: its own run, and the run that it undoes."""

    book: Runbook
    undoes: str
    newer: NewerDecision

    @property
    def run(self) -> Run:
        """The rollback's own record."""
        return self.book.run

    def back_up(self) -> Backup:
        """A dump and CSVs of the present state, before the run is undone."""
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
        """What would be undone, and what people have written since the run."""
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

    def approve(
        self, typed: str = "", *, rehearsed: bool = False, name: str = "", reason: str = ""
    ) -> Approval:
        """Approve the rollback, if ``typed`` is its digest.

        ``name`` and ``reason`` are of the person who approves, for the record.

        Raises:
            StopError: it is not, or nobody has decided about newer rows. Nothing was written.
            SettingsError: name or reason cannot stand in a record. Nothing was written.
        """
        self.book.require_as_read()
        statements.refuse_unfit(self.book.settings, name, reason)
        return self.book.step(
            "approval",
            lambda: approval.require_rollback(
                self.book.settings,
                self.run.load(RollbackProposal),
                approval.Consent(typed, rehearsed, name, reason),
                self.run.loaded(Approval),
            ),
        )

    def undo(self) -> Undone:
        """Undo the run: the only step that writes clinic data.

        Raises:
            StopError, Busy, TargetError: the database is as it was.
            InDoubt: the connection was lost at COMMIT, and the database cannot be asked now.
        """
        book = self.book
        proposal = self.run.load(RollbackProposal)

        def work() -> Undone:
            request = undo.RollbackRequest(
                run=self.run.id,
                environment=book.settings.name,
                undoes=self.undoes,
                newer=self.newer,
                proposal=proposal,
                approval=self.run.load(Approval),
            )
            return undo.run(
                book.settings.postgres,
                book.mapping,
                request,
                book.check_undoing,
                journal=self.run.journal,
            )

        gates = partial(approval.unchanged_since_preview, proposal)
        return book.execute("undone", "undo", gates, work)

    def verify(self) -> Report:
        """The report of the checks after the rollback, on a new connection.

        Raises:
            StopError: this rollback has committed nothing, or nobody knows whether it has, or the
                database is older than it. Nothing was written.
        """
        book = self.book
        book.require_committed(todo="run 90_rollback from the top")
        book.require_as_read()
        state = "the run was undone; this step wrote nothing"
        require_ready(book.settings, book.mapping, Task.FINISH, state)
        anchor.require_held(book.settings, self.run)

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
        """End the rollback; if the undone run was not verified, its record is closed too.

        Raises:
            StopError: a check failed. The rollback is committed, and a person must decide about it.
        """
        self.book.require_as_read()  # a waiver that was written since counts
        report = self.run.load(Report, "checks_rollback")
        with maintenance.left_on_error(self.book.settings), self.book.stage("sign_off"):
            checks.require(
                report,
                where="90_rollback",
                state="the run was undone, but the result is not as it should be",
                next=f"nexus-reimport restore {self.undoes} --into NAME gives the whole database"
                " back",
            )
            close_undone(self.book.settings, self.run)
        self.run.journal(Event.VERIFIED, code=approval.code_digest())
        maintenance.leave(self.book.settings)
        return report


def close_undone(settings: Settings, rollback: Run) -> str:
    """Seal the record of the run that ``rollback`` has undone, if it is still open.

    Nothing is left to finish in it, whether the rollback was verified or not. What fails beside the
    seal is journalled, and spoils no rollback. Where the database says that the rollback has undone
    nothing, that record stays open, and so it is told: "" otherwise.
    """
    undone = (one for one in record.open_runs(settings) if one.id == rollback.undoes)
    for earlier in undone:
        if not anchor.may_be_undone(settings, earlier.id, rollback.id):
            untrue = StopError(
                f"the database does not say that this rollback has undone run {earlier.id}",
                where=rollback.where,
                state=f"run {earlier.id} stays open, as its own journal says",
                next="find out whether the database was restored, or another server took over;"
                f" nexus-reimport finish {settings.name} --run {earlier.id} goes on with that run",
            )
            rollback.journal(Event.NOT_KEPT, of=earlier.id, what=untrue.what)
            return str(untrue)
        earlier.journal(Event.UNDONE, by=rollback.id)
        try:
            seal(settings, earlier)
        except (NotClean, OnlySealed, StorageError, StopError, TargetError) as error:
            rollback.journal(Event.NOT_KEPT, of=earlier.id, what=error.what)
    return ""
