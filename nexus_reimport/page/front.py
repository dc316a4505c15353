"""The page as a whole: all that its template shows, gathered from files; no server is asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from nexus_reimport import record, wording
from nexus_reimport.model import SheetLine, SignOff
from nexus_reimport.page import (
    gates,
    history,
    outcome,
    signing,
    standing,
    status,
    to_decide,
    way_back,
    words,
    work,
)
from nexus_reimport.page.commands import Command
from nexus_reimport.page.confirmation import Confirmation
from nexus_reimport.page.decision import Decision
from nexus_reimport.page.desk import Desk
from nexus_reimport.page.gates import Gate, Gates, State
from nexus_reimport.page.log import Line
from nexus_reimport.page.outcome import RunOutcome
from nexus_reimport.page.readings import Reading
from nexus_reimport.page.signing import Signing
from nexus_reimport.page.standing import Standing
from nexus_reimport.page.status import Status
from nexus_reimport.page.way_back import WayBack
from nexus_reimport.page.work import Failed, Work
from nexus_reimport.record import Run, Verdict, runs, signatures
from nexus_reimport.record.anchor import Forgotten, Unnoted
from nexus_reimport.record.sealed import archive, register
from nexus_reimport.record.verdict import UNFINISHED
from nexus_reimport.runbook import connections, first_things, lost_records, restored_database
from nexus_reimport.runbook.connections import Connections, LastSync
from nexus_reimport.runbook.first_things import FirstThing
from nexus_reimport.settings import Settings

_ENDED_BY = {Verdict.STOPPED: "was stopped", Verdict.FAILED: "failed"}


@dataclass(frozen=True, slots=True)
class Form:
    """What a person has typed, and what is wrong with it."""

    given: Confirmation = field(default_factory=Confirmation)
    problems: dict[str, str] = field(default_factory=dict)  # name of its input -> what is wrong
    signing: Signing = field(default_factory=Signing)
    prefix: str = ""  # of its inputs' names: "back-" of the way back, "sign-" of the sign-off


@dataclass(frozen=True, slots=True)
class Front:
    """All of the page."""

    settings: Settings  # as they were read for all of it
    state: str
    status: Reading[Status]
    connections: Reading[Connections]
    look: Reading[WayBack]
    last_sync: LastSync | None
    work: Work | None
    outcome: RunOutcome | None  # of the run to be finished, else the last; None while at work
    to_decide: str  # what that run lacks in the environment's file
    waiting: Run | None
    patients_after: int
    sheet: SignOff
    register: str  # why no signature counts: it is not as it was written; "" where it is
    signed_run: str  # the latest committed one that relied on signatures
    gates: Gates
    way_back: Gates | None
    runs: history.Table
    damaged: tuple[str, ...]  # runs whose journals are not there
    astray: tuple[str, ...]  # folders with a record of another run, or environment
    lines: list[Line]
    lines_of: str  # the run that they are of
    failed: list[Failed]
    cancelled: Command | None
    form: Form
    not_archived: int  # sealed records that are not in the archive, if there is one
    asks_who_begins: bool  # a dry run without a name could not be approved from the same account

    @property
    def is_busy(self) -> bool:
        """Whether a command is at work."""
        return self.work is not None

    @property
    def is_live(self) -> bool:
        """Whether the page will be another one soon, by itself."""
        readings = (self.status, self.connections, self.look)
        return self.is_busy or any(reading.is_at_work for reading in readings)

    @property
    def must_decide(self) -> bool:
        """Whether a run is unverified or in doubt, and something can be done about it."""
        if self.outcome is None or self.outcome.decision is None:
            return False
        return self.outcome.verdict in UNFINISHED

    @property
    def decision(self) -> Decision | None:
        """What can be decided about that run; nothing while records of later runs are missing."""
        return None if self.away or self.outcome is None else self.outcome.decision

    @property
    def away(self) -> tuple[str, ...]:
        """The runs of the database whose records are not here, if the latest one is among them."""
        return self.status.value.apart.away if self.status.value else ()

    @property
    def forgotten(self) -> Forgotten | None:
        """The last run, if it was committed and the database does not know it."""
        forgotten = self.status.value.apart.forgotten if self.status.value else None
        is_last = forgotten and self.outcome and self.outcome.run.id == forgotten.run
        return forgotten if is_last else None

    @property
    def unnoted(self) -> Unnoted | None:
        """An open run that the database knows as committed, and whose journal does not say so."""
        return status.unnoted(self.settings, self.status.value)

    @property
    def denied(self) -> Unnoted | None:
        """The last run, if its sealed record does not say what the database says: its COMMIT."""
        denied = self.status.value.apart.denied if self.status.value else None
        is_last = denied and self.outcome and self.outcome.run.id == denied.run
        return denied if is_last else None

    @property
    def is_in_doubt(self) -> bool:
        """Whether it is not known of a run if it was committed."""
        return self.outcome is not None and self.outcome.verdict is Verdict.IN_DOUBT

    @property
    def must_finish(self) -> bool:
        """Whether that run is still open: no other one begins before it is finished."""
        return self.outcome is not None and self.outcome.run.must_be_finished

    @property
    def must_close(self) -> bool:
        """Whether that run has come to its end, and its record is still open."""
        return self.outcome is not None and self.outcome.run.must_be_closed

    @property
    def blocks_the_way_back(self) -> bool:
        """Whether that run would stop a rollback, too: in doubt, or a rollback itself."""
        if not self.must_finish or self.outcome is None:
            return False
        is_unverified = self.outcome.verdict is Verdict.COMMITTED_UNVERIFIED
        return not is_unverified or bool(self.outcome.run.undoes)

    @property
    def signable(self) -> tuple[SheetLine, ...]:
        """The lines of the sign-off that a person can sign now."""
        return signing.by_a_person(self.sheet)

    @property
    def signatures_seen(self) -> str:
        """Which signatures the page shows: a form of an older page is refused."""
        return signing.seen_of(self.sheet)

    @property
    def next_place(self) -> str:
        """The part of the page where that is done; "" where nothing has to be."""
        if self.work:
            return "work"
        if self._first_thing is FirstThing.UNFINISHED:
            return gates.DECIDE if self.must_decide else gates.DRY_RUN
        if self.waiting:
            return next((gate.place for gate in self.gates.closed[:1]), "") or "reimport"
        if self._broken:
            return gates.CONNECTIONS
        return way_back.PLACE if self._was_not_taken_back and not self.away else gates.DRY_RUN

    @property
    def now(self) -> Standing:
        """What is, since when, and by whom: before anything else on the page."""
        if self.work:
            return standing.of_work(self.work, self.settings.zone)
        if self.away:
            return standing.of_lost(self.away)
        if unnoted := self.unnoted or self.denied:
            return standing.of_unnoted(unnoted)
        if self.forgotten:
            return standing.of_restored(self.forgotten)
        return standing.of_outcome(self.outcome, self.settings.zone)

    @property
    def next(self) -> str:
        """The one thing to do next."""
        if self.work:
            doing = "at work" if self.work.cancelled_by is None else "being cancelled"
            return f"{self.work.name} is {doing}. Wait until it has ended."
        if self._first_thing:
            return self._of_what_stops_a_run()
        if self.waiting:
            return self._of_waiting()
        if self._broken:
            return f"{words.upper_first(self._broken.next)}, then start a dry run."
        return self._of_record() or self._of_database() or self._of_nothing()

    @property
    def _first_thing(self) -> FirstThing | None:
        """What no run begins before."""
        is_unfinished = self.must_decide or self.unnoted is not None
        return first_things.of(self.away, is_unfinished=is_unfinished)

    @property
    def _broken(self) -> Gate | None:
        """The gate of the servers, where a dry run would stop at one of them."""
        shut = (gate for gate in self.gates.closed if gate.state is State.CLOSED)
        return next((gate for gate in shut if gate.place == gates.CONNECTIONS), None)

    @property
    def _was_not_taken_back(self) -> bool:
        """Whether the last run was a rollback that came to nothing."""
        return self.outcome is not None and bool(
            self.outcome.run.undoes and not self.outcome.is_committed
        )

    def _of_what_stops_a_run(self) -> str:
        """What is next where no run begins before it."""
        if self._first_thing is FirstThing.LOST_RECORDS:
            advice = lost_records.advice(self.settings.name, str(self.settings.records_folder))
            return f"{words.upper_first(advice)}."
        if self.unnoted:
            return (
                f"Finish that run: the button stands below. nexus-reimport finish"
                f" {self.settings.name} does the same: it verifies the run, and closes its record."
            )
        if self.is_in_doubt and self.must_finish:
            return "Ask the database what became of the last run: the button stands below."
        return "A person must decide: read what stands below."

    def _of_record(self) -> str:
        """What is next in the last run's record: it was changed, or is open; "" if neither."""
        if self.outcome and self.outcome.run.is_sealed and self.outcome.damaged:
            check = f"nexus-reimport record check {self.settings.name}"
            return f"Find out who has changed the record of the last run: {check} says what."
        if self.must_close and self.outcome and self.outcome.verdict is Verdict.COMPLETE:
            return "Close its record: the button stands below."
        return ""

    def _of_database(self) -> str:
        """What is next where the database lacks the last run, or a seal; "" where it has all."""
        if self.forgotten and self.forgotten.restore:
            return "Start a dry run."
        if self.forgotten:
            advice = restored_database.advice(self.settings.name, self.forgotten)
            return f"{words.upper_first(advice)}."
        if self.denied:
            return "Start a dry run, which compares all; or take that run back under Way back."
        run = self.status.value.apart.no_seal if self.status.value else ""
        if not run:
            return ""
        return (
            f"The database has no seal of run {run} yet: nexus-reimport seal {self.settings.name}"
            f" --run {run} writes it there, or the next dry run."
        )

    def _of_nothing(self) -> str:
        """What is next while nothing is at work, waits, or must be decided."""
        if self._was_not_taken_back:
            return "The last run was not taken back. If it still has to be, look again."
        if self.outcome and self.outcome.is_rollback:
            return "Find out why the last run was taken back, then start a dry run."
        if self.outcome and self.outcome.verdict is Verdict.COMPLETE:
            return self._of_archive() or "Nothing. To reimport, start with a dry run."
        if self.outcome and self.outcome.verdict in _ENDED_BY:
            ended = _ENDED_BY[self.outcome.verdict]
            return f"See why the last run {ended}, settle that, then start a dry run."
        return "Start a dry run."

    def _of_archive(self) -> str:
        """What is next where sealed records are not in the archive; "" where all are."""
        if not self.not_archived:
            return ""
        count = wording.amount(self.not_archived, "sealed record is", "sealed records are")
        put = f"nexus-reimport record archive {self.settings.name}"
        return f"{count} not in the archive: {put} puts it there, or says what prevents that."

    def _of_waiting(self) -> str:
        """What follows on a dry run that waits for its approval."""
        if self.gates.are_open:
            return "Read what the dry run says, then approve it under Full reimport."
        first = self.gates.closed[0]
        why = first.why.partition("\n")[0]
        following = words.upper_first(first.next) or "Wait a moment, or read it again"
        return f"{following}. Until then the full reimport is closed: {why}."


@record.listed_once()
def gather(desk: Desk, form: Form | None = None) -> Front:
    """Everything as it is now.

    Raises:
        SettingsError: the environment's file is not as it must be.
    """
    settings = desk.settings
    # First: what changes while the rest is read makes another state, and the page is shown again.
    # Read last, it would be the state of a page that was never shown, which nothing replaces.
    state = desk.state(settings)
    at_work = work.now(settings)
    last = work.latest(settings)
    waiting = None if at_work else status.waiting(settings)
    gates_now = gates.read(settings, desk.status, desk.connections, busy=at_work is not None)
    refusals = gates.refusals(gates_now)
    described = record.unfinished(settings) or last
    shown = None if at_work or described is None else outcome.of(described, refusals)
    of = at_work.run if at_work and at_work.run else last
    look, seen, place = desk.look.value, desk.status.value, settings.records_folder
    return Front(
        settings=settings,
        state=state,
        status=desk.status,
        connections=desk.connections,
        look=desk.look,
        last_sync=connections.last_sync(
            settings, seen.counts.committed - seen.apart.taken_back.keys() if seen else None
        ),
        work=at_work,
        outcome=shown,
        to_decide=to_decide.lines(shown.run, settings) if shown else "",
        waiting=waiting,
        patients_after=outcome.patients_after(waiting, settings) if waiting else 0,
        sheet=signing.read(settings),
        register=register.contradiction(place),
        signed_run=signatures.spent_by(settings),
        gates=gates_now,
        way_back=way_back.gates(look, busy=at_work is not None) if look else None,
        runs=history.of(
            settings, at_work.run if at_work else None, seen=seen.apart if seen else None
        ),
        damaged=tuple(folder.name for folder in runs.without_journal(settings)),
        astray=tuple(wording.name_of_file(folder.name) for folder in runs.astray(settings)),
        lines=work.last_lines(of),
        lines_of=of.id if of else "",
        failed=[] if at_work else work.failed_commands(settings),
        cancelled=None if at_work else work.cancelled_command(settings),
        form=form or Form(),
        not_archived=len(archive.missing(place)) if settings.record.archive else 0,
        asks_who_begins=settings.approval.second_person,
    )
