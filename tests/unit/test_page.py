"""The page as a whole: what it is of, what it tells at its top, what it offers and asks."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import model, record
from nexus_reimport import settings as environments
from nexus_reimport.errors import ReimportError, StopError, TargetError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.page import commands, front, gates, history, live, signing, words
from nexus_reimport.page.desk import OLD, Desk
from nexus_reimport.page.front import Front
from nexus_reimport.page.gates import State
from nexus_reimport.page.live import Live
from nexus_reimport.page.readings import Reading
from nexus_reimport.page.status import Written
from nexus_reimport.record import Verdict
from nexus_reimport.record.anchor import Apart
from nexus_reimport.runbook.connections import Connection
from nexus_reimport.settings import Settings
from support.page_alone import START, rendered


class Ending(Desk):
    """A desk at which what is at work ends while the page is gathered."""

    def __init__(self, at_work: ExitStack) -> None:
        super().__init__("sandbox-dev")
        self._at_work = at_work

    def state(self, settings: Settings) -> str:
        """What stands once it has ended."""
        self._at_work.close()
        return super().state(settings)


@pytest.mark.parametrize("shown", [front.gather, live.gather])
def test_a_page_on_which_something_is_at_work_is_of_a_state_that_says_so(
    known: Settings,
    environment_files: Path,
    monkeypatch: pytest.MonkeyPatch,
    shown: Callable[[Desk], Front | Live],
) -> None:
    """Else a browser would take it for the page of what came after, and never load it again."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    with ExitStack() as at_work:
        at_work.enter_context(record.at_work(known))
        page = shown(Ending(at_work))
    assert "busy=False" in page.state
    assert page.work is None


def test_a_page_on_which_something_is_at_work_is_another_one_at_commit_and_not_at_each_stage(
    known: Settings,
) -> None:
    """Else each stage would show every open page anew, and have all of Nexus counted again."""
    desk = Desk("sandbox-dev")
    with record.at_work(known):
        run = record.create(known)
        shown = desk.state(known)
        for event in (Event.STARTED, Event.FINISHED):
            run.journal(event, stage="snapshot")
            assert desk.state(known) == shown
            assert [past.verdict for past in history.of(known, run).past] == [Verdict.RUNNING]
        run.journal(Event.STARTED, stage="apply")
        run.journal(Event.COMMITTING)
        assert desk.state(known) == shown
        run.journal(Event.COMMITTED)
        assert desk.state(known) != shown


def test_what_could_not_be_read_is_tried_again_as_often_as_what_could(
    known: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a server that was away when the page was first opened is away on it for ever."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    tries: list[str] = []

    def refuse() -> None:
        tries.append("refused")
        raise ReimportError("nothing listens at this host and port")

    async def look(shown: Desk, since_the_last_try: timedelta) -> None:
        if shown.status.tried:
            shown.status.tried -= since_the_last_try
        shown.begin_what_is_due(known)
        await shown.status.soon(60)

    async def looks() -> None:
        desk = Desk("sandbox-dev")
        desk.status = desk.connections = Reading(refuse)  # type: ignore[assignment]
        await look(desk, timedelta())
        tried = len(tries)
        await look(desk, timedelta())
        assert len(tries) == tried
        await look(desk, OLD)
        assert len(tries) == tried + 1
        await look(desk, -OLD - timedelta(seconds=1))  # the clock was set back since
        assert len(tries) == tried + 2

    asyncio.run(looks())


@pytest.mark.parametrize(
    ("asks", "user", "is_asked"), [(True, "", True), (True, "A. Person", False), (False, "", False)]
)
def test_who_begins_a_dry_run_is_asked_where_somebody_else_approves(
    asks: bool, user: str, is_asked: bool
) -> None:
    """Begun without a name, it could not be approved by anybody on this page."""
    shown = rendered(
        "dry_run.html",
        it=SimpleNamespace(asks_who_begins=asks),
        head=SimpleNamespace(user=user),
        front="",
        xsrf="",
    )
    assert ("Your name (somebody else approves)" in shown) is is_asked


@pytest.mark.parametrize("run", ["", "20260101T000000Z-ab12"])
def test_after_a_run_the_lines_to_sign_are_said_to_be_those_of_the_next(run: str) -> None:
    line = model.SheetLine("S5", "Maintenance window scheduled", model.LineState.OPEN)
    shown = rendered(
        "sign_off.html",
        it=SimpleNamespace(
            sheet=model.SignOff((line,), asked=True),
            signed_run=run,
            form=SimpleNamespace(signing=signing.Signing(), problems={}, is_of_the_sign_off=False),
            signable=(line,),
        ),
        head=SimpleNamespace(user=""),
        front="",
        xsrf="",
    )
    said = f"These lines are for the next run; those of run {run} are in its record."
    assert (said in shown) is bool(run)


def test_while_a_dry_run_is_at_work_nobody_is_told_to_start_one() -> None:
    unread: Reading[Any] = Reading(lambda: None)
    waits, none = (gates._dry_run(None, None, unread, busy=busy) for busy in (True, False))
    assert (waits.next, none.next.partition(",")[0]) == (
        "wait until what is at work has ended",
        "start a dry run",
    )


def test_the_top_of_the_page_says_what_is_since_when_and_by_whom(
    known: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was at work, or had been cancelled, stood two screens below."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    desk = Desk("sandbox-dev")
    assert front.gather(desk).now.text == "There was no run yet"
    with record.at_work(known):
        run = record.create(known, name="Ada")
        now = front.gather(desk).now
        began = words.lately(run.events()[0].at, known.zone)
        assert now.text == f"Dry run is at work, started by Ada at {began}"
    run.journal(Event.STARTED, stage="snapshot")
    at = words.moment(run.events()[-1].at, known.zone)
    assert front.gather(desk).now.text == (
        f"KILLED: it was interrupted; nothing was written (dry run, {at}, begun by Ada)"
    )


def test_a_cancel_is_shown_to_everybody_until_the_command_has_ended(
    known: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing told of it, so that it was pressed again and again."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    desk = Desk("sandbox-dev")
    log_file = private.close_folder(known.private_folder / commands.FOLDER) / "2-dry-run.log"
    with private.create(log_file) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        commands._write(command := commands.Command(log_file, "dry-run", "Ada", START, 0))
        before = desk.state(known)
        assert front.gather(desk).next == "Dry run is at work. Wait until it has ended."
        commands._write(replace(command, cancelled_by="Bea"))
        assert desk.state(known) != before, "who looks is shown the page again"
        page = front.gather(desk)
        assert page.next == "Dry run is being cancelled. Wait until it has ended."
        assert page.now.text.endswith("; Cancel was pressed by Bea")


def in_doubt(settings: Settings) -> record.Run:
    run = record.create(settings)
    run.journal(Event.STARTED, stage="apply")
    run.journal(Event.COMMITTING)
    assert run.verdict() is Verdict.IN_DOUBT
    return run


def test_nothing_is_offered_that_a_run_in_doubt_would_stop(
    known: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate told to start a dry run, and the way back to look first: both are refused."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    run = in_doubt(known)
    page = front.gather(Desk("sandbox-dev"))
    assert {gate.next for gate in page.gates.closed} - {""} == {"finish the earlier run first"}
    assert page.blocks_the_way_back
    run.journal(Event.SETTLED, committed=True)
    page = front.gather(Desk("sandbox-dev"))
    assert page.must_finish
    assert not page.blocks_the_way_back, "undoing it is one of the decisions"


def test_from_commit_on_nobody_is_told_to_end_a_run_that_was_started_elsewhere(
    known: Settings,
) -> None:
    """The page told to press Ctrl-C where it was started, which would leave it in doubt."""
    run = record.create(known)
    assert "ends it with Ctrl-C there" in commands.why_not_cancelled(None, run)
    run.journal(Event.STARTED, stage="apply")
    run.journal(Event.COMMITTING)
    told = "COMMIT was sent, so it is too late; the way back is the rollback"
    assert commands.why_not_cancelled(None, run) == told


def test_a_run_at_work_is_not_told_to_be_finished_first(known: Settings) -> None:
    """From its COMMIT on it is in doubt, then unverified, until it has verified itself."""
    in_doubt(known)
    nothing: Reading[Any] = Reading(lambda: None)
    gates_now = gates.read(known, nothing, nothing, busy=True)
    assert {gate.next for gate in gates_now.closed} - {""} == {
        "wait until it has ended",
        "wait until what is at work has ended",
    }


PAST = StopError("it does not answer now")
FINE = SimpleNamespace(name="PostgreSQL", is_sound=True)
TABLE = SimpleNamespace(table="patients", error=None)


@pytest.mark.parametrize(
    ("written", "error", "state"),
    [
        (None, None, State.UNKNOWN),
        (Written("another", ()), None, State.UNKNOWN),
        (Written("this", ("notes",)), None, State.CLOSED),
        (Written("this", ()), None, State.OPEN),
        (Written("this", ()), PAST, State.UNKNOWN),
    ],
)
def test_nobody_has_written_only_where_that_was_read_for_the_run_that_waits(
    known: Settings, written: Written | None, error: StopError | None, state: State
) -> None:
    run = record.create(known)
    run.save(model.Proposal(known.name, "", "", "", "", "", "", {}, {}))
    run.journal(Event.FINISHED, stage="proposal")
    seen: Reading[Any] = Reading(lambda: None)
    if written is not None and written.run == "this":
        written = replace(written, run=run.id)
    seen.value, seen.error = SimpleNamespace(written=written, apart=Apart()), error
    shown = gates.read(known, seen, Reading(lambda: None), busy=True)
    _, settled, dry_run, unwritten, _ = shown.every
    assert (unwritten.claim, unwritten.state) == (gates._WRITTEN, state)
    assert (settled.state, dry_run.state) == (State.OPEN, State.OPEN)
    seen.value.apart = Apart(away=("an earlier run",))
    _, settled, *_ = gates.read(known, seen, Reading(lambda: None), busy=True).every
    assert settled.state is State.CLOSED


@pytest.mark.parametrize(
    ("every", "tables", "error", "state"),
    [
        (None, [], None, State.UNKNOWN),
        ([FINE], [TABLE], None, State.OPEN),
        ([FINE], [TABLE], PAST, State.UNKNOWN),
        ([FINE, SimpleNamespace(name="S3", is_sound=False)], [TABLE], None, State.CLOSED),
        ([FINE], [TABLE, SimpleNamespace(table="notes", error=PAST)], None, State.CLOSED),
    ],
)
def test_servers_that_were_not_asked_or_of_which_one_is_not_sound_keep_it_closed(
    known: Settings, every: list[Any] | None, tables: list[Any], error: Any, state: State
) -> None:
    servers: Reading[Any] = Reading(lambda: None)
    if every is not None:
        servers.value = SimpleNamespace(every=every, tables=tables)
    servers.error = error
    *_, last = gates.read(known, Reading(lambda: None), servers, busy=False).every
    assert (last.claim, last.state) == (gates._SERVERS, state)


@pytest.mark.parametrize(
    ("counted", "told"),
    [
        (None, "not known until Nexus has been read"),
        (SimpleNamespace(last=None), "no run was committed in this database yet"),
    ],
)
def test_of_a_database_that_was_not_read_nobody_says_that_no_run_is_in_it(
    counted: SimpleNamespace | None, told: str
) -> None:
    reading = Reading(lambda: None)
    reading.value = SimpleNamespace(counts=counted) if counted else None  # type: ignore[assignment]
    shown = SimpleNamespace(
        look=Reading(lambda: None), status=reading, way_back=None, form=front.Form(), is_busy=False
    )
    head = SimpleNamespace(word="DEV")
    text = rendered("way_back.html", it=shown, head=head, zone=ZoneInfo("UTC"), front="", xsrf="")
    assert text.startswith(f"4 Way back {told}")


def test_a_database_that_answers_and_is_not_adopted_is_not_said_to_be_away() -> None:
    server = Connection("PostgreSQL", "here")
    states = [
        replace(server, error=error).state
        for error in (None, StopError("has not been adopted"), TargetError("nothing listens"))
    ]
    assert states == ["connected", "connected, but no run may use it", "not connected"]
