"""Where an environment stands: what was done, what is open, and the one thing to do next.

Read from records and settings; the database is asked if it is adopted, and which runs it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from nexus_reimport import mapping as mappings
from nexus_reimport import record, wording
from nexus_reimport import settings as environments
from nexus_reimport.errors import ReimportError, StopError
from nexus_reimport.model import Approval, Plan, Proposal, Question, Refusal, Scope, SignOff
from nexus_reimport.model.approval import short
from nexus_reimport.nexus import deployment
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.record import Run, Verdict, anchor, lock, runs, signatures
from nexus_reimport.record.anchor import Apart
from nexus_reimport.record.sealed import archive, register
from nexus_reimport.runbook import (
    book,
    first_things,
    lost_records,
    maintenance,
    restored_database,
)
from nexus_reimport.runbook.first_things import FirstThing
from nexus_reimport.runbook.gates import dev_of, is_taken_back, sheet_without_run
from nexus_reimport.runbook.opening import last_complete
from nexus_reimport.settings import Settings
from nexus_reimport.stages import approval


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """How far an environment has come."""

    environment: str
    adopted: str  # "" if it is; else "no" or "not known", and why
    to_adopt: str  # what to do about that
    last: Run | None
    undecided: tuple[Question, ...]  # decisions that its plan needs and the file lacks
    dev: str  # prod only: the dev run that it can rely on; "" if there is none
    needs_dev: bool
    sheet: SignOff
    window: str  # "" without one
    is_open: bool  # the window, or there is none
    is_still_up: bool  # the maintenance page, though no command is at work behind it
    refusals: tuple[Refusal, ...]  # of the run that waits for an approval
    is_busy: bool  # a command is at work, or somebody steps through the last run by hand
    unfinished: Run | None  # unverified or in doubt; beside it the last may be a rollback
    who: str  # what the command that approves needs besides the digest
    apart: Apart  # the database and the records
    place: str  # where the records are
    dev_note: str  # that it was taken back, or why it does not count or is not known; else ""
    damaged: tuple[str, ...]  # runs whose journals are not there
    astray: tuple[str, ...]  # folders with a record of another run, or environment
    changed: tuple[str, ...]  # values of the last run that were changed, or are missing
    register: str  # why no signature counts
    signed_run: str  # the latest committed one that relied on signatures
    not_archived: int  # sealed records that are not in the archive, if there is one
    no_mapping: tuple[str, str]  # why it cannot be used, and what to do; "" if it can

    @property
    def next(self) -> str:
        """The one thing to do next."""
        if self.is_busy:
            return (
                f"wait until it has ended; nexus-reimport record show {self.environment} shows it"
            )
        match first_things.of(
            self.apart.away,
            is_unfinished=self.unfinished is not None or bool(self.apart.unnoted),
            no_database=bool(self.adopted),
        ):
            case FirstThing.LOST_RECORDS:
                return lost_records.advice(self.environment, self.place)
            case FirstThing.UNFINISHED:
                return f"nexus-reimport finish {self.environment}"
            case FirstThing.NO_DATABASE:
                return self.no_mapping[1] or self.to_adopt  # which reads the mapping
        return self.no_mapping[1] or self._of_runs()

    def _of_runs(self) -> str:
        if self.undecided:
            decisions = wording.amount(len(self.undecided), "decision")
            return f"make {decisions} in {self.environment}.toml, then: {self._run}"
        return self._after(self.last) if self.last else self._run

    def _after(self, last: Run) -> str:
        if self.changed:
            check = f"nexus-reimport record check {self.environment}"
            todo = check if last.is_sealed else self._run
            return f"find out who has changed its record; then: {todo}"
        if self.apart.forgotten and last.is_sealed:
            return restored_database.advice(self.environment, self.apart.forgotten)
        if self.apart.denied and last.is_sealed:
            back = f"nexus-reimport rollback {self.apart.denied.run} takes that run back"
            return f"{self._run} imports and verifies all; or {back}"
        if self.apart.no_seal and last.is_sealed:
            return f"nexus-reimport seal {self.environment} --run {self.apart.no_seal}"
        if self.not_archived and last.is_sealed and last.verdict() is Verdict.COMPLETE:
            return f"nexus-reimport record archive {self.environment}"
        return _after(last, self.refusals, self.who)

    @property
    def _run(self) -> str:
        return f"nexus-reimport run {self.environment}"


def _after(last: Run, refusals: Sequence[Refusal], who: str) -> str:
    """What follows on a run; ``who`` is what an approval needs besides the digest."""
    verdict, name = last.verdict(), last.environment
    if last.was_changed:
        return f"its record was changed after the seal: nexus-reimport record check {name}"
    if verdict is Verdict.COMMITTED_UNVERIFIED:
        return f"its record was closed without verification: nexus-reimport run {name} verifies all"
    if verdict is Verdict.COMPLETE:
        return _after_complete(last)
    if last.is_sealed or verdict is not Verdict.WAITING:
        return f"{_before_another(last, verdict, who)}{last.again}"
    return refusals[0].next if refusals else f"read its 01_preflight, then: {_approve(last, who)}"


def _approve(run: Run, who: str) -> str:
    """The command that approves an open run, and executes it."""
    return f"nexus-reimport run {run.environment} --approve {short(run.load(Proposal).digest)}{who}"


def _after_complete(last: Run) -> str:
    if last.must_be_closed:
        return f"nexus-reimport seal {last.environment} --run {last.id}"
    if last.kind == "rollback":
        return f"find out why it was taken back, then: nexus-reimport run {last.environment}"
    return "nothing"


def _before_another(last: Run, verdict: Verdict, who: str) -> str:
    """What is to be done, or could be, before another run is begun; "" if nothing."""
    if last.is_sealed:
        stopped = verdict in (Verdict.STOPPED, Verdict.FAILED)
        show = f"nexus-reimport record show {last.environment} says what stopped the last one"
        return f"{show}: fix it, then: " if stopped else ""
    # What has ended a run before its COMMIT is told with what is next: to begin again.
    if verdict is not Verdict.PARTIAL or not last.loaded(Approval):
        return ""
    if last.kind == "rollback":
        return "it is approved: go on with 90_rollback; or begin again: "
    if not last.loaded(Proposal):
        return ""
    return f"it is approved: go on with 02_execute, or with {_approve(last, who)}; or begin again: "


@record.listed_once()
def of(settings: Settings) -> Whereabouts:
    """Where the environment stands now."""
    (adopted, to_adopt), apart = _of_database(settings)
    place = settings.records_folder
    listed = record.every(settings)
    last = listed[-1] if listed else None
    by_hand = last is not None and last.standing() is Verdict.RUNNING
    is_busy = by_hand or lock.is_taken(settings)  # its run may be about to begin, or to end
    waits = last is not None and last.verdict() is Verdict.WAITING and not last.is_sealed
    changed = last.damaged() if last and not is_busy else ()
    waits = waits and not is_busy and not changed
    reopened = book.reopen(settings.name, last.id) if last is not None and waits else None
    now, (dev, dev_note) = datetime.now(UTC), _dev(settings)
    return Whereabouts(
        environment=settings.name,
        adopted=adopted,
        to_adopt=to_adopt,
        last=last,
        undecided=_undecided(last, settings),
        dev=dev,
        needs_dev=bool(settings.dev_environment),
        sheet=reopened.sheet() if reopened else sheet_without_run(settings),
        window=settings.window.spelled(settings.zone) if settings.window else "",
        is_open=settings.window is None or settings.window.is_open(now, settings.zone),
        is_still_up=bool(maintenance.still_up(settings)),
        refusals=reopened.refusals() if reopened else (),
        is_busy=is_busy,
        unfinished=record.unfinished(settings),
        who=approval.with_name(settings),
        apart=apart,
        place=str(place),
        dev_note=dev_note,
        damaged=tuple(folder.name for folder in runs.without_journal(settings)),
        astray=tuple(folder.name for folder in runs.astray(settings)),
        changed=changed,
        register=register.contradiction(settings.records_folder),
        signed_run=signatures.spent_by(settings),
        not_archived=len(archive.missing(place)) if settings.record.archive else 0,
        no_mapping=_no_mapping(settings),
    )


def at_work(settings: Settings) -> str:
    """What is at work in the environment: its run and processes; "" if nothing is."""
    for run in record.open_runs(settings):
        if pids := run.workers():
            return f"run {run.id} of {settings.name} ({wording.processes(pids)})"
    return f"a command of {settings.name}" if lock.is_taken(settings) else ""


def _no_mapping(settings: Settings) -> tuple[str, str]:
    """Why the environment's mapping cannot be used, and what to do about it; "" if it can."""
    try:
        mappings.load_for(settings, environments.folder())
    except ReimportError as error:
        return error.what, error.next
    return "", ""


def _of_database(settings: Settings) -> tuple[tuple[str, str], Apart]:
    """``adopted`` and ``to_adopt``, and what the database and the records do not both know."""
    is_adopted = False
    try:
        with connected(settings.postgres) as connection:
            deployment.require(connection, settings.name)
            is_adopted = True
            return ("", ""), anchor.apart(connection, settings)
    except ReimportError as error:
        if is_adopted:  # a table of ours is not there yet, or may not be read
            return ("", ""), Apart()
        known = "no" if isinstance(error, StopError) else "not known"
        return (f"{known}: {error.what}", error.next), Apart()


def _undecided(last: Run | None, settings: Settings) -> tuple[Question, ...]:
    """Decisions that the last run stopped for and the file lacks still."""
    if last is None or last.has(Proposal) or not last.has(Plan):
        return ()
    return last.load(Plan).open_in(settings)


def _dev(settings: Settings) -> tuple[str, str]:
    """The dev run that prod can rely on, "" if there is none, and what stands against it."""
    if not settings.dev_environment:
        return "", ""
    try:
        dev = dev_of(settings)
    except ReimportError as error:
        return "", f"not known: {_line(error)}"
    last = last_complete(dev, {Scope.REIMPORT})
    if last is None:
        return "", ""
    try:  # as the gate does
        return last.id, "taken back since" if is_taken_back(dev, last) else ""
    except ReimportError as error:
        return last.id, f"no run can rely on it now: {_line(error)}"


def _line(error: ReimportError) -> str:
    return error.what.partition("\n")[0]
