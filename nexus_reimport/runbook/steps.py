"""The steps of a run: call a stage, journal it, save its value.

A step calls one stage with the values of earlier stages, journals its start and end, saves its
value in the run's folder, and returns it to be shown. Safety is in the stages, not in the order of
the calls: a step whose inputs are missing, or not approved, stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nexus_reimport import checks, garbage, naming, progress, wording
from nexus_reimport.checks.after import Claim
from nexus_reimport.checks.inside import Inside
from nexus_reimport.checks.rollback import Undoing
from nexus_reimport.errors import (
    InDoubt,
    OnlySealed,
    ReimportError,
    SettingsError,
    StopError,
    StorageError,
    TargetError,
)
from nexus_reimport.events import Event
from nexus_reimport.filemaker.channels import Channels
from nexus_reimport.intake import Intake
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import (
    Approval,
    Census,
    Gate,
    Plan,
    Proposal,
    Report,
    Sample,
    Scope,
    Snapshot,
    Survey,
)
from nexus_reimport.nexus import activity
from nexus_reimport.nexus.activity import Watched
from nexus_reimport.nexus.connection import waiters
from nexus_reimport.nexus.rights import Task
from nexus_reimport.record import (
    Run,
    Verdict,
    anchor,
    closing,
    current_step,
    journal,
    redaction,
)
from nexus_reimport.record.sealed import approved as as_approved
from nexus_reimport.record.sealed import archive
from nexus_reimport.runbook import maintenance
from nexus_reimport.runbook.opening import (
    Bar,
    naming_rights,
    no_bar,
    package_loaded,
    require_as_read,
    require_own_database,
    require_ready,
    today,
)
from nexus_reimport.settings import Postgres, Settings
from nexus_reimport.stages import apply, approval, refused_rows
from nexus_reimport.stages.verify import Expected

T = TypeVar("T")
SEAL = "seal"  # no stage of the journal, which it closes
# Each value is made from those before it: a step that is run again voids those after it.
ORDER = (
    "snapshot",
    "census",
    "survey",
    "backup",
    "plan",
    "sample",
    "checks_before",
    "rehearsal",
    "checks_rehearsal",  # the rehearsal gives these two as well
    "checks_inside",
    "self_test",
    "proposal",
    "outlook",
    "sign_off_sheet",
    "approval",
)
# Kind of run -> the task that it needs rights for
TASKS = {
    str(Scope.REIMPORT): Task.RUN,
    str(Scope.RELINK): Task.RELINK,
    "rollback": Task.ROLLBACK,
}
ROLLBACK_ORDER = ("rollback_backup", "look", "rollback_proposal", "approval")


def settled(run: Run, *, is_committed: bool) -> StopError:
    """What is told of a connection lost at COMMIT, once the database has said what became of it."""
    if is_committed:
        return StopError(
            "the connection was lost at COMMIT, but the COMMIT did happen",
            state="committed, not verified yet",
            next=f"nexus-reimport finish {run.environment} verifies and seals it",
        )
    return StopError(
        "the connection was lost at COMMIT, and the COMMIT did not happen",
        state=f"the database is {run.left()}",
        next=f"look at the server's log, then begin again: {run.again}",
    )


def settle(settings: Settings, run: Run) -> bool:
    """Ask the database whether the run was committed, and journal the answer.

    Raises:
        NotNow: the record is sealed; nothing was written to it.
        StopError: the database belongs to another environment; the run stays in doubt.
    """
    run.require_open()
    require_own_database(settings, "not known yet")
    known, timeline = apply.settle(settings.postgres, run.id, settings.name)
    # What the run is for stands in the first lines of its journal, which may be lost.
    kind, undoes = known or (run.kind, run.undoes)
    committed = known is not None
    facts = {"kind": kind, "undoes": undoes, "timeline": timeline}
    run.journal(Event.SETTLED, committed=committed, **facts)
    return committed


def seal(settings: Settings, run: Run, bar: Bar = no_bar, *, as_saved: bool = True) -> str:
    """Close the record, and write its digest into the database too; gives the digest."""
    run.require_open()
    maintenance.leave(settings, run)  # before the seal closes the journal
    anchor.note_committed(settings)
    committed = run.is_committed()
    known = anchor.last(settings) if committed or run.is_first() else None
    acts: tuple[tuple[str, Callable[[], object]], ...] = (
        ("search and seal", lambda: closing.close(settings, run, known, as_saved=as_saved)),
        ("anchor in the database", lambda: anchor.write(settings, run) if committed else None),
        ("archive", lambda: archive.put_missing(run.bag.parent, settings.record.archive)),
    )
    shown = current_step.shown(run.private, SEAL, bar(naming.stage(SEAL)))
    with shown, garbage.rarely_looked_for():
        failed = _after_seal(acts)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        listed = wording.lines([error.what for error in failed])
        raise OnlySealed(
            f"the record is sealed, and {wording.amount(len(failed), 'thing')} beside it"
            f" failed\n{listed}",
            state="the record is sealed and whole",
            next="; ".join(error.next for error in failed),
        )
    return run.seal_digest()


def _after_seal(acts: Sequence[tuple[str, Callable[[], object]]]) -> list[ReimportError]:
    """What failed of seal, signature, anchor and archive; each is tried, whatever failed."""
    failed: list[ReimportError] = []
    steps = progress.Steps(len(acts))
    for name, act in acts:
        try:
            with steps.step(name):
                act()
        except (OnlySealed, StorageError, StopError, TargetError) as error:
            failed.append(error)
    return failed


@dataclass(frozen=True, slots=True)
class Steps:
    """One open run: its environment, its mapping, its record."""

    settings: Settings
    mapping: FieldMapping
    run: Run
    bar: Bar = no_bar

    def __post_init__(self) -> None:
        package_loaded()

    @property
    def scope(self) -> Scope:
        """How much this run does."""
        return Scope(self.run.kind)

    @property
    def task(self) -> Task:
        """The task that this run needs rights for."""
        return TASKS[self.run.kind]

    @property
    def folder(self) -> Path:
        """The run's private folder, with row files, dump and CSVs."""
        return self.run.private

    def require_as_read(self) -> None:
        """Stop where the page would use what a file said before somebody changed it.

        Raises:
            SettingsError, StopError: names what was changed. Nothing was written by this step.
        """
        try:
            require_as_read(self.settings, self.mapping)
        except (SettingsError, StopError) as error:
            if self.run.undoes and self.run.is_committed():  # the top would begin another one
                error.next = f"nexus-reimport finish {self.run.environment} reads it again"
            raise

    @contextmanager
    def _explained(self, place: Postgres, plan: Plan, state: str) -> Iterator[None]:
        """If PostgreSQL refuses rows inside the block, the error names them by FileMaker's ids."""
        try:
            yield
        except TargetError as error:
            refused_rows.explain(error, place, self.mapping, plan, self.folder, state)
            raise

    @contextmanager
    def _watched(self, *, anew: bool = False, own_writes: bool = False) -> Iterator[None]:
        """Notes which other sessions write during the block.

        ``own_writes``: the block writes too, and its own rows are not counted.
        """
        tables = (*self.mapping.wiped_tables(), *self.mapping.link_tables())
        place = (self.settings.postgres, self.mapping.schema_name, tables)
        watched = activity.start(*place) if anew else self.run.load(Watched)
        # What it said is no longer the whole truth.
        self._void(("activity",), by="survey" if anew else "rehearsal")

        with activity.noting(watched, *place, self.run.save, own_writes=own_writes):
            yield

    def execute(
        self, name: str, stage: str, gates: Callable[[], Iterable[Gate]], work: Callable[[], T]
    ) -> T:
        """A step that commits, once, inside the maintenance window.

        In JupyterLab hours may pass between the approval and this cell, so ``gates`` are asked for
        again. If the connection is lost at COMMIT, the database is asked whether the run was
        committed: at once, or else before the next attempt.

        Raises:
            StopError: this run was committed before, a gate is closed by now, or the COMMIT has
                just been settled.
        """
        anchor.note_committed(self.settings)
        if self.run.is_committed():
            raise StopError(
                "this run was committed already",
                state="committed by this run; nothing was written a second time",
                next=self._what_is_left(),
            )
        self.require_as_read()
        if self.run.verdict() is Verdict.IN_DOUBT:
            with self.run.one_step():  # another process may be at work on it
                if self.settle():
                    raise settled(self.run, is_committed=True)
        if redaction.values_redacted(self.run):
            raise StopError(
                "values of this run were redacted: they are not what was approved",
                state="nothing was written",
                next=f"nexus-reimport seal {self.settings.name} --run {self.run.id}, then begin a"
                " new run with 01_preflight",
            )
        approval.refuse(approval.refusals(gates()))

        def in_window() -> T:
            # A right may have been revoked since the preflight.
            require_ready(self.settings, self.mapping, self.task)
            with maintenance.held(self.settings, self.run, stays_up=self.run.is_committed):
                return self._settled_if_lost(work)

        return self.step(name, in_window, stage=stage)

    def _settled_if_lost(self, work: Callable[[], T]) -> T:
        """The value of ``work``; if its connection is lost at COMMIT, the run is settled."""
        try:
            return work()
        except InDoubt as doubt:
            raise settled(self.run, is_committed=self._settled(doubt)) from None

    def _settled(self, doubt: InDoubt) -> bool:
        try:
            return self.settle()
        except (TargetError, StopError):
            doubt.next = f"nexus-reimport settle {self.settings.name} asks the database"
            raise doubt from None

    def settle(self) -> bool:
        """Ask whether this run was committed, and journal the answer; see ``settle``."""
        return settle(self.settings, self.run)

    def seal(self, *, as_saved: bool = True) -> str:
        """Close the record; see ``seal``."""
        return seal(self.settings, self.run, self.bar, as_saved=as_saved)

    @contextmanager
    def _one_step(self, name: str) -> Iterator[None]:
        """Voids every value that was made from the one which this step gives again.

        Raises:
            Busy: another process is at a step of this run.
            SettingsError, StopError: a file was changed since the page read it.
            StopError: the run was executed.
        """
        order = ROLLBACK_ORDER if self.run.kind == "rollback" else ORDER
        with self.run.one_step():
            if name in order:
                self._refuse_executed()
            self.require_as_read()
            if name in order:
                # An approval for an earlier plan must not let a new one pass.
                self._void(order[order.index(name) + 1 :], by=name)
            yield

    def _void(self, names: Sequence[str], by: str) -> None:
        """Take away those values that are there; the journal says so, else they would be missed."""
        kept = self.run.kept()
        if void := [name for name in names if name in kept]:
            self.run.journal(Event.VOID, of=void, by=by)
            self.run.forget(void)

    def _refuse_executed(self) -> None:
        if journal.was_executed(self.run.events()):
            raise StopError(
                "this run has gone as far as COMMIT; no step before it can be run again",
                state=f"{self.run.state()}; this step wrote nothing: plan, backup and approval are"
                " as they were",
                next=self._what_is_left(),
            )

    def require_committed(self, *, todo: str) -> None:
        """Stop where there is nothing to verify, or nobody knows yet whether there is.

        ``todo`` is what to do with a run that has committed nothing.

        Raises:
            StopError: as above. Nothing was written.
        """
        verdict = self.run.verdict()
        kind = "rollback" if self.run.kind == "rollback" else "run"
        if verdict is Verdict.IN_DOUBT:
            raise StopError(
                f"it is not known whether this {kind} was committed, so it cannot be verified yet",
                next=self._what_is_left(),
            )
        if verdict not in (Verdict.COMMITTED_UNVERIFIED, Verdict.COMPLETE):
            raise StopError(
                f"this {kind} has committed nothing, so there is nothing to verify", next=todo
            )

    def _what_is_left(self) -> str:
        """What is next for a run that was executed. `finish` would close another one's record."""
        env = self.run.environment
        if self.run.is_open:
            return (
                f"nexus-reimport finish {env} settles, verifies and seals it; a new run can begin"
                " after that"
            )
        return (
            f"nothing with this page: the record is closed (nexus-reimport record show {env} --run"
            f" {self.run.id}). A new run begins with the first cells of 01_preflight"
        )

    def reading(self, work: Callable[[], T]) -> Callable[[], T]:
        """``work``, which releases its locks and starts again if another session waits for them."""
        return lambda: waiters.tried_again(self.settings.postgres, work, self.run.journal)

    def step(
        self,
        name: str,
        work: Callable[[], T],
        stage: str = "",
        *,
        lacks: Callable[[T], str] = lambda _: "",
    ) -> T:
        """Run one step: journal it, save its value, and return it.

        ``lacks`` says of the value what the step did not do of what it is for; "" if nothing.
        """
        rights = naming_rights(self.settings, self.mapping, self.task)
        with self._one_step(name), self.stage(stage or name) as besides, rights:
            value = work()
            self.run.save(value, name)
            if text := lacks(value):
                besides["note"] = text
        return value

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, str]]:
        """A stage of the run: journalled; where it is, step by step, is shown while it lasts."""
        with (
            self.run.stage(name) as besides,
            current_step.shown(self.run.private, name, self.bar(naming.stage(name))),
            garbage.rarely_looked_for(),
        ):
            yield besides

    def _channels(self) -> Channels:
        return Channels(self.settings.filemaker, self.mapping)

    def _request(
        self, plan: Plan, proposal: Proposal | None = None, given: Approval | None = None
    ) -> apply.ApplyRequest:
        return apply.ApplyRequest(
            self.run.id,
            self.settings.name,
            self.intake(),
            plan,
            proposal,
            given,
            write=proposal.write if proposal else self.settings.write,  # what was approved
        )

    def intake(self) -> Intake:
        """What this run has read of FileMaker and Nexus."""
        snapshot, survey = self.run.load(Snapshot), self.run.load(Survey)
        return Intake(self.mapping, snapshot, survey, self.folder)

    def expected(self) -> Expected:
        """What verification compares Nexus with."""
        planned, counted = self.run.load(Plan), self.run.load(Census)
        proposal, approved = self.run.load(Proposal), self.run.load(Approval)
        claim = Claim(
            self.run.id,
            self.settings.name,
            proposal.digest,
            approved.who,
            proposal.after,
            tuple(as_approved.problems(self.run.folder, self.run.events())),
            journal.committed_at(self.run.events()),
        )
        return Expected(self.intake(), planned, counted, self.run.load(Sample), claim)

    def _check(self, subject: object, name: str) -> Report:
        return checks.run(
            subject,
            self.settings.waivers,
            today=today(self.settings),
            name=name,
            only_links=self.scope is Scope.RELINK,
        )

    def _check_inside(self, subject: Inside) -> Report:
        """The checks inside the transaction; none is waived."""
        report = self._checked_inside(subject)
        self.run.save(report, "checks_inside")
        return report

    def _checked_inside(self, subject: Inside) -> Report:
        """The same, of a transaction that is no part of the record."""
        return checks.run(
            subject,
            today=today(self.settings),
            name="inside",
            only_links=self.scope is Scope.RELINK,
        )

    def check_undoing(self, subject: Undoing) -> Report:
        """The checks inside a rollback's transaction; none is waived."""
        only_links = not subject.undo.tables
        return checks.run(
            subject, today=today(self.settings), name="undoing", only_links=only_links
        )
