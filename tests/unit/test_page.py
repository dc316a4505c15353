"""The page's parts that need no server: what is typed, the log in words, the time that is left."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from jinja2 import Environment, FileSystemLoader

from nexus_reimport import model, record
from nexus_reimport import settings as environments
from nexus_reimport.errors import Busy, ReimportError, StopError, TargetError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.model import (
    Applied,
    Ground,
    NewerDecision,
    Rehearsal,
    RollbackPreview,
    RollbackProposal,
    Undone,
)
from nexus_reimport.nexus.changes import NewerRows, Since
from nexus_reimport.page import (
    commands,
    decision,
    front,
    gates,
    headers,
    history,
    live,
    log,
    outcome,
    phases,
    signing,
    status,
    way_back,
    words,
    work,
)
from nexus_reimport.page.confirmation import Confirmation, is_meant
from nexus_reimport.page.desk import OLD, Desk
from nexus_reimport.page.front import Front
from nexus_reimport.page.live import Live
from nexus_reimport.page.readings import Reading
from nexus_reimport.record import Verdict, current_step
from nexus_reimport.record import journal as journals
from nexus_reimport.record import run as runs
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.sealed import front as run_pages
from nexus_reimport.runbook.connections import Connection
from nexus_reimport.runner import advice, notebook
from nexus_reimport.settings import Settings
from support.shown import PATIENTS, PLAN, REPORT

REHEARSAL = Rehearsal(Ground.COPY, {}, 0.8, 9.0, REPORT, undo_waited=1.2)
START = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)


def journal(*told: tuple[float, str, str, str]) -> list[Entry]:
    """Lines of a journal: seconds, event, stage, step or what."""
    return [
        Entry.of(
            {
                "at": (START + timedelta(seconds=seconds)).isoformat(),
                "event": event,
                **({"stage": stage} if stage else {}),
                **({"step": more} if event == "step" else {"what": more}),
            }
        )
        for seconds, event, stage, more in told
    ]


APPLIED = Applied(
    True, START, {"patients": 2867}, {"patients": 2879}, {"documents": 3}, {}, 0.5, {}, REPORT
)
EARLIER = journal(
    (0, "opened", "", ""),
    (2, "started", "snapshot", ""),
    (6, "finished", "snapshot", ""),
    (6, "started", "rehearsal", ""),
    (8, "step", "rehearsal", "apply"),
    (12, "finished", "rehearsal", ""),
    (12, "started", "proposal", ""),
    (13, "finished", "proposal", ""),
)


@pytest.fixture
def settings(environment_files: Path) -> Settings:
    """An environment whose folders are this test's own."""
    path = environment_files / "sandbox-dev.toml"
    path.write_text(path.read_text().replace('"../../', '"'))
    return environments.load("sandbox-dev", environment_files)


# ---------------------------------------------------------------- the runs


def test_every_run_is_in_a_table_of_the_page_and_in_one_alone(
    settings: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest twenty were shown, and for the others a terminal was needed."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    monkeypatch.setattr(history, "SHOWN", 2)
    runs = [record.create(settings).id for _ in range(5)]
    tables = [history.of(settings, None)]
    while tables[-1].older:
        tables.append(history.of(settings, None, tables[-1].newest_older))
    assert [[row.run.id for row in table.past] for table in tables] == [
        [runs[4], runs[3]],
        [runs[2], runs[1]],
        [runs[0]],
    ]
    assert [table.older for table in tables] == [3, 1, 0]
    assert front.gather(Desk("sandbox-dev")).runs.newest_older == runs[2]


# ---------------------------------------------------------------- what the page is of


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
    settings: Settings,
    environment_files: Path,
    monkeypatch: pytest.MonkeyPatch,
    shown: Callable[[Desk], Front | Live],
) -> None:
    """Else a browser would take it for the page of what came after, and never load it again."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    with ExitStack() as at_work:
        at_work.enter_context(record.at_work(settings))
        page = shown(Ending(at_work))
    assert "busy=False" in page.state
    assert page.work is None


def test_a_page_on_which_something_is_at_work_is_another_one_at_commit_and_not_at_each_stage(
    settings: Settings,
) -> None:
    """Else each stage would show every open page anew, and have all of Nexus counted again."""
    desk = Desk("sandbox-dev")
    with record.at_work(settings):
        run = record.create(settings)
        shown = desk.state(settings)
        for event in (Event.STARTED, Event.FINISHED):
            run.journal(event, stage="snapshot")
            assert desk.state(settings) == shown
            assert [past.verdict for past in history.of(settings, run).past] == [Verdict.RUNNING]
        run.journal(Event.STARTED, stage="apply")
        run.journal(Event.COMMITTING)
        assert desk.state(settings) == shown
        run.journal(Event.COMMITTED)
        assert desk.state(settings) != shown


def test_what_could_not_be_read_is_tried_again_as_often_as_what_could(
    settings: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
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
        shown.begin_what_is_due(settings)
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


# ---------------------------------------------------------------- what is typed


@pytest.mark.parametrize("typed", ["PROD 2,877", "prod 2877", "Prod  2,877"])
def test_the_word_and_the_number_are_meant_however_they_are_written(typed: str) -> None:
    assert is_meant(typed, "PROD", 2877)


@pytest.mark.parametrize(
    "typed",
    ["", "PROD", "2,877", "PROD2877", "DEV 2,877", "PROD 2,878", "PROD 2877 x", "PROD -2877"],
)
def test_anything_else_is_not_meant(typed: str) -> None:
    assert not is_meant(typed, "PROD", 2877)


def test_a_form_says_all_that_is_wrong_with_it_at_once() -> None:
    given = Confirmation.of({"name": " \n", "reason": "", "phrase": "PROD 1", "digest": "abc"})
    assert given.problems("PROD", 2, "abd").keys() == {"name", "reason", "phrase", "digest"}
    right = Confirmation.of(
        {"name": " Ada\x00  Engineer ", "reason": "r", "phrase": "PROD 2", "digest": " ABD "}
    )
    assert right.problems("PROD", 2, "abd") == {}
    assert right.name == "Ada Engineer"


# ---------------------------------------------------------------- the log


def test_a_journal_is_told_in_words_with_stage_step_and_seconds() -> None:
    told = [
        f"{line.stage}: {line.words}" + (f" {line.seconds:.0f}" if line.seconds is not None else "")
        for line in log.lines(EARLIER)
    ]
    assert told == [
        ": the run was opened",
        "read FileMaker: begins",
        "read FileMaker: finished 4",
        "rehearsal: begins",
        "rehearsal: apply finished 4",
        "rehearsal: finished 6",
        "proposal: begins",
        "proposal: finished 1",
    ]


def test_no_stage_of_which_the_clock_was_set_back_has_taken_less_than_nothing() -> None:
    """ "-3,596 s" stood on the page, and "-3596.0 s" was left of the next run."""
    back = journal(
        (0, "opened", "", ""),
        (1, "started", "snapshot", ""),
        (2, "step", "snapshot", "read"),
        (-3595, "finished", "snapshot", ""),
        (-3594, "started", "survey_and_backup", ""),
        (-3590, "finished", "survey_and_backup", ""),
    )
    assert [line.seconds for line in log.lines(back) if line.seconds is not None] == [0, 0, 4]
    of = ("snapshot", "survey_and_backup")
    assert [stage.seconds for stage in phases.stages(back, of)] == [0, 4]
    assert journals.seconds(back) == {"snapshot": 0, "survey_and_backup": 4}
    assert phases.progress((), back, of, START).left == 0


def test_a_failure_is_told_by_its_first_line_and_an_event_of_a_later_version_is_left_out() -> None:
    entries = journal(
        (0, "started", "apply", ""),
        (1, "step", "apply", "delete"),
        (2, "failed", "apply", "a table is locked\n  by another"),
        (3, "something new", "", ""),
    )
    lines = log.lines(entries)
    assert [line.words for line in lines] == ["begins", "failed: a table is locked"]
    assert lines[-1].tone == "bad"


def test_the_time_that_is_left_is_what_the_last_run_took_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = datetime.now(UTC)
    shift = now - START - timedelta(seconds=5)
    entries = [
        Entry.of({**entry.line, "at": (entry.at + shift).isoformat()})
        for entry in journal((0, "started", "snapshot", ""), (4, "started", "rehearsal", ""))
    ]
    seen = phases.progress(entries, EARLIER, phases.OF_THE_PREFLIGHT, now - timedelta(seconds=5))
    assert seen.stage == "rehearsal"
    assert seen.left == pytest.approx(13 - 6 - 1, abs=0.5)
    assert seen.elapsed == pytest.approx(5, abs=0.5)
    assert phases.progress(entries, [], phases.OF_THE_PREFLIGHT, now).left is None
    nothing = phases.progress([], EARLIER, phases.OF_THE_PREFLIGHT, now)
    assert nothing.left == pytest.approx(11)


def test_a_stage_that_began_after_the_clock_was_set_back_is_shown(settings: Settings) -> None:
    """Until the clock had come up to the start again, the page showed no stage."""
    run = record.create(settings)
    run.journal(Event.STARTED, stage="snapshot")
    run.journal(Event.FAILED, stage="snapshot")
    command = refused(settings, "dry-run")
    commands._write(replace(command, at=command.at + timedelta(hours=1)))
    run.journal(Event.STARTED, stage="rehearsal", pid=os.getpid())
    current_step._replace(
        run.private / current_step.FILE,
        json.dumps(
            asdict(current_step.CurrentStep("rehearsal", "undo", 3, 7, START.isoformat()))
        ).encode(),
    )
    for holds in (command.log, run.folder / "nobody's"):
        with record.at_work(settings), private.lock(holds):
            seen = work.now(settings)
        assert seen is not None
        assert (seen.progress.stage, seen.progress.step) == ("rehearsal", "undo")
        assert seen.progress.current is not None
        assert seen.progress.elapsed >= 0


def test_of_a_self_test_that_is_switched_off_no_time_is_left() -> None:
    """The page and the terminal named the seconds that it had taken in the run before."""
    earlier = journal(
        (0, "started", "snapshot", ""),
        (4, "started", "self_test", ""),
        (50, "step", "self_test", "corrupt"),
        (94, "finished", "self_test", ""),
        (94, "started", "proposal", ""),
        (97, "finished", "proposal", ""),
    )
    now = datetime.now(UTC)
    assert phases.progress([], earlier, phases.OF_THE_PREFLIGHT, now).left == 97
    shorter = phases.at_once(earlier, "self_test")
    assert phases.progress([], shorter, phases.OF_THE_PREFLIGHT, now).left == 7
    assert [entry.after(START) for entry in shorter] == [0, 4, 4, 4, 4, 7]


def test_what_a_command_leaves_does_not_grow_with_the_runs_and_few_logs_are_opened(
    settings: Settings,
) -> None:
    """Each kept the size of each run's journal, and each look opened the log of each command."""
    for _ in range(3):
        record.create(settings)
    for action in ("dry-run", "execute", "dry-run", "dry-run"):
        last = refused(settings, action)
    folder = settings.private_folder / commands.FOLDER
    kept = [len(json.loads(p.read_text())["journals"]) for p in sorted(folder.glob("*.json"))]
    assert kept == [0, 3, 0, 3], "only the last of each kind is compared with them"
    opened: list[str] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(".log"):
            opened.append(Path(str(arguments[0])).name)

    sys.addaudithook(note)
    assert commands.at_work(settings) is None
    seen = [*opened]
    assert seen == [last.log.name]


def test_the_time_that_is_left_is_not_that_in_which_a_killed_run_waited_to_be_finished() -> None:
    """Of a run of 9 seconds it said: about 2 min 22 s."""
    for pause, whole in ((4, 9), (140, 5)):
        earlier = journal(
            (0, "started", "drift", ""),
            (2, "started", "apply", ""),
            (3, "finished", "apply", ""),
            (3 + pause, "started", "checks_after", ""),
            (5 + pause, "finished", "sign_off", ""),
        )
        now = datetime.now(UTC)
        assert phases.progress([], earlier, phases.OF_THE_EXECUTION, now).left == whole
        begun = [Entry.of({"at": now.isoformat(), "event": "started", "stage": "apply"})]
        left = phases.progress(begun, earlier, phases.OF_THE_EXECUTION, now).left
        assert left == pytest.approx(whole - 2, abs=0.5)


def test_of_a_step_that_takes_longer_than_last_time_nobody_is_told_that_no_time_is_left() -> None:
    """It said "6.1 s of about 6.1 s, 0.0 s left" for as long as FileMaker did not answer."""
    now = datetime.now(UTC)
    begun = [Entry.of({"at": now.isoformat(), "event": "started", "stage": "snapshot"})]
    assert not phases.progress(begun, EARLIER, phases.OF_THE_PREFLIGHT, now).is_late
    late = replace(begun[0], line={**begun[0].line, "at": (now - timedelta(hours=1)).isoformat()})
    seen = phases.progress([late], EARLIER, phases.OF_THE_PREFLIGHT, now - timedelta(hours=1))
    assert seen.is_late
    assert not phases.progress(begun, [], phases.OF_THE_PREFLIGHT, now).is_late, "nothing is known"
    at_work = SimpleNamespace(
        name="Dry run", started="by Ada", since=now, progress=seen, stages=[], cancelled_by="Bea"
    )
    it = SimpleNamespace(work=at_work)
    text = rendered("work.html", it=it, zone=ZoneInfo("UTC"), front="", xsrf="")
    assert "Read FileMaker · 60 min 00 s: longer than the last time" in text
    assert " left" in text
    assert "0.0 s left" not in text
    assert "Cancel was pressed by Bea" in text


def test_each_stage_of_a_phase_stands_with_its_state() -> None:
    entries = journal(
        (0, "started", "drift", ""), (1, "finished", "drift", ""), (1, "started", "approval", "")
    )
    states = [stage.state for stage in phases.stages(entries, phases.phase(entries))]
    assert states == ["good", "at-work", "open", "open", "open"]


# ---------------------------------------------------------------- words


def test_numbers_times_and_names_are_written_as_people_read_them() -> None:
    assert words.number(2877) == "2,877"
    twice = [datetime(2026, 4, 4, hour, 30, tzinfo=UTC) for hour in (15, 16)]
    assert [words.moment(at, ZoneInfo("Australia/Sydney")) for at in twice] == [
        "2026-04-05 02:30 AEDT",
        "2026-04-05 02:30 AEST",
    ]
    assert (words.change(4), words.change(0), words.change(None)) == ("+4", "same number", "")
    assert words.change(-61) == "\N{MINUS SIGN}61"
    assert [words.seconds(n) for n in (0.72, 55, 125)] == ["0.7 s", "55 s", "2 min 05 s"]
    now = START + timedelta(days=3)
    assert words.ago(START, now) == "3 days ago"
    assert words.ago(START, START + timedelta(hours=1)) == "1 hour ago"
    assert words.ago(START, START - timedelta(seconds=5)) == "just now"  # "-1 days ago" it said
    ahead = "3 hours ahead of this machine's clock"
    assert words.ago(START, START - timedelta(hours=3, minutes=5)) == ahead
    assert words.page_name("data/01_preflight-2.html") == "preflight 2"


def test_a_time_that_is_not_of_today_has_its_day() -> None:
    """A run lasts over midnight, and so does a page that is left open."""
    zone = ZoneInfo("Australia/Sydney")
    now = datetime(2026, 4, 4, 14, 5, tzinfo=UTC)  # five past one in Sydney
    assert words.lately(now, zone, now) == "01:05:00 AEDT"
    assert words.lately(now - timedelta(hours=2), zone, now) == "2026-04-04 23:05 AEDT"
    lines = [log.Line(now - timedelta(hours=n), "apply", "begins", "", None) for n in range(4)]
    text = rendered("log.html", it=SimpleNamespace(lines=lines, lines_of="x"), zone=zone, front="")
    assert "01:05:00 apply begins 00:05:00 apply begins 2026-04-04 23:05:00 apply begins" in text


def rendered(name: str, **given: object) -> str:
    """The words of one of the page's templates, filled in."""
    loader = FileSystemLoader(Path(front.__file__).parent / "templates")
    templates = Environment(loader=loader, autoescape=True)
    templates.filters |= words.FILTERS
    return " ".join(re.sub("<[^>]+>", " ", templates.get_template(name).render(**given)).split())


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
    settings: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was at work, or had been cancelled, stood two screens below."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    desk = Desk("sandbox-dev")
    assert front.gather(desk).now.text == "There was no run yet"
    with record.at_work(settings):
        run = record.create(settings, name="Ada")
        now = front.gather(desk).now
        began = words.lately(run.events()[0].at, settings.zone)
        assert now.text == f"Dry run is at work, started by Ada at {began}"
    run.journal(Event.STARTED, stage="snapshot")
    at = words.moment(run.events()[-1].at, settings.zone)
    assert front.gather(desk).now.text == (
        f"KILLED: it was interrupted; nothing was written (dry run, {at}, begun by Ada)"
    )


def test_a_cancel_is_shown_to_everybody_until_the_command_has_ended(
    settings: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing told of it, so that it was pressed again and again."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    desk = Desk("sandbox-dev")
    log_file = private.close_folder(settings.private_folder / commands.FOLDER) / "2-dry-run.log"
    with private.create(log_file) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        commands._write(command := commands.Command(log_file, "dry-run", "Ada", START, 0))
        before = desk.state(settings)
        assert front.gather(desk).next == "Dry run is at work. Wait until it has ended."
        commands._write(replace(command, cancelled_by="Bea"))
        assert desk.state(settings) != before, "who looks is shown the page again"
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
    settings: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate told to start a dry run, and the way back to look first: both are refused."""
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    run = in_doubt(settings)
    page = front.gather(Desk("sandbox-dev"))
    assert {gate.next for gate in page.gates.closed} - {""} == {"finish the earlier run first"}
    assert page.blocks_the_way_back
    run.journal(Event.SETTLED, committed=True)
    page = front.gather(Desk("sandbox-dev"))
    assert page.must_finish
    assert not page.blocks_the_way_back, "undoing it is one of the decisions"


def test_from_commit_on_nobody_is_told_to_end_a_run_that_was_started_elsewhere(
    settings: Settings,
) -> None:
    """The page told to press Ctrl-C where it was started, which would leave it in doubt."""
    run = record.create(settings)
    assert "ends it with Ctrl-C there" in commands.why_not_cancelled(None, run)
    run.journal(Event.STARTED, stage="apply")
    run.journal(Event.COMMITTING)
    told = "COMMIT was sent, so it is too late; the way back is the rollback"
    assert commands.why_not_cancelled(None, run) == told


def test_a_run_at_work_is_not_told_to_be_finished_first(settings: Settings) -> None:
    """From its COMMIT on it is in doubt, then unverified, until it has verified itself."""
    in_doubt(settings)
    nothing: Reading[Any] = Reading(lambda: None)
    gates_now = gates.read(settings, nothing, nothing, busy=True)
    assert {gate.next for gate in gates_now.closed} - {""} == {
        "wait until it has ended",
        "wait until what is at work has ended",
    }


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


def test_the_policy_of_the_page_allows_own_files_and_nothing_inline() -> None:
    parts = dict(part.strip().split(" ", 1) for part in headers.POLICY.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["frame-ancestors"] == "'none'"
    assert not {"unsafe", "http", "*", "data:"} & {
        w for text in parts.values() for w in text.split()
    }


def test_what_a_gate_says_of_notebooks_is_said_of_the_page() -> None:
    assert words.in_page_words("the package was changed since the preflight") == (
        "this program was changed since the dry run"
    )
    said = words.in_page_words("run 01_preflight again (nexus-reimport run dev) and read it again")
    assert said == "start another dry run and read it again"
    begin = "fix it, then begin again (nexus-reimport {})"
    assert words.in_page_words(begin.format("run dev")) == "fix it, then start another dry run"
    assert words.in_page_words(begin.format("rollback 2026-1")) == "fix it, then look again"
    anew = (
        "{} begins a new run; nexus-reimport record show dev --run R shows what became of this one"
    )
    run, rollback = (anew.format(f"nexus-reimport {one}") for one in ("run dev", "rollback 2026-1"))
    assert words.in_page_words(run) == "start another dry run"
    assert words.in_page_words(rollback) == "look again"
    decide = words.in_page_words("next:  nexus-reimport finish dev prints what a person can decide")
    assert decide == "next:  decide by the list at the top of Data management"
    of_links = begin.format("relink dev")  # the page has no button for it
    assert words.in_page_words(of_links) == of_links


ADVICE = {
    name: text for name, text in vars(advice).items() if isinstance(text, str) and "\n  A. " in text
}


@pytest.mark.parametrize("name", ADVICE)
def test_a_decision_on_the_page_has_all_words_of_the_one_in_a_terminal(name: str) -> None:
    found = decision.of(ADVICE[name])
    words_of = [found.what]
    for one in found.choices:
        words_of.append(f"{one.letter}. {one.case}")
        words_of += ["".join(part.text for part in line) for line in one.lines]
    assert " ".join(words_of).split() == ADVICE[name].split()
    assert [one.letter for one in found.choices] == list("ABCDE"[: len(found.choices)])
    parts = [part for one in found.choices for line in one.lines for part in line]
    assert all(part.is_command == part.text.startswith("nexus-reimport") for part in parts)
    assert {p.text for p in parts if p.is_command} <= {
        *(f"nexus-reimport {word} ENV" for word in ("finish", "seal", "relink", "run", "settle")),
        "nexus-reimport record check ENV",
        "nexus-reimport rollback RUN",
        "nexus-reimport restore RUN --into NAME",
        "nexus-reimport adopt ENV --this-is-a-copy",
    }


# ---------------------------------------------------------------- the files of a record


def test_only_whole_files_of_the_records_own_folder_are_served(
    settings: Settings, tmp_path: Path
) -> None:
    run = runs.of(settings, "20260101T000000Z-0000")
    (run.folder / "data").mkdir(parents=True)
    (run.folder / "journal.jsonl").write_text("{}\n")
    (run.folder / "data" / "01_preflight.html").write_text("page")
    (tmp_path / "secret").write_text("secret")
    (run.folder / "link").symlink_to(tmp_path / "secret")
    (run.folder / "folder").symlink_to(tmp_path, target_is_directory=True)
    assert history.files(run) == ("data/01_preflight.html", "journal.jsonl")
    for wrong in (
        "../secret",
        "link",
        "folder/secret",
        "/etc/passwd",
        "data/../journal.jsonl",
        ".",
    ):
        assert history.file(run, wrong) is None


def test_the_pages_of_a_run_stand_in_the_order_in_which_they_were_executed(
    settings: Settings,
) -> None:
    """``03_verify-2`` stood before ``03_verify``, and a tenth one before the second."""
    names = ["01_preflight", "03_verify", *(f"03_verify-{n}" for n in range(2, 12)), "90_rollback"]
    expected = [f"{name}.html" for name in names]
    run = record.create(settings)
    for name in sorted(expected):
        (run.folder / name).touch()
    assert [*history.past(run, {}).pages] == expected
    assert [*history.files(run)[: len(expected)]] == expected
    assert [*outcome.of(run).pages] == expected
    assert run_pages.read(run.bag).pages == tuple(f"data/{name}" for name in expected)
    for page, newest in (("01_preflight", "01_preflight"), ("03_verify", "03_verify-11")):
        assert Path(notebook.latest(run, page)).name == f"{newest}.html"


# ---------------------------------------------------------------- commands


def ended(settings: Settings, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while commands.at_work(settings):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_command_is_a_process_of_its_own_whose_log_tells_what_it_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "secret")
    started = commands.start(settings, "dry-run", ["record", "list", "nobody"], "Ada")
    assert os.getsid(started.pid) == started.pid
    assert started.log.stat().st_mode & 0o777 == private.FILE
    with pytest.raises(Busy, match="at work already: Dry run, started here by Ada"):
        commands.start(settings, "dry-run", ["--version"], "Bob")
    ended(settings)
    found = commands.latest(settings)
    assert found is not None
    assert (found.action, found.by, found.pid) == ("dry-run", "Ada", started.pid)
    assert "no environment is called 'nobody'" in found.text()


def refused(settings: Settings, action: str) -> commands.Command:
    """A command of that kind that has ended without a run."""
    started = commands.start(settings, action, ["record", "list", "nobody"], "Ada")
    ended(settings)
    return started


def told(settings: Settings) -> list[str]:
    return [failed.command.action for failed in work.failed_commands(settings)]


def test_a_refused_command_is_told_until_somebody_has_seen_it(settings: Settings) -> None:
    """Any later line of any journal hid it, and so did the next command."""
    execute = refused(settings, "execute")
    run = record.create(settings)
    run.journal(Event.STARTED, stage="snapshot")
    assert told(settings) == ["execute"], "another run's line says nothing of it"
    refused(settings, "dry-run")
    assert told(settings) == ["dry-run", "execute"]
    commands.mark_seen(settings, execute.log.stem, "")
    assert told(settings) == ["dry-run"]
    commands.mark_seen(settings, "../another", "")
    assert told(settings) == ["dry-run"]
    refused(settings, "execute")
    assert told(settings) == ["execute", "dry-run"], "what was seen was the one before"


@pytest.mark.parametrize(
    ("action", "kind", "event", "facts"),
    [
        ("dry-run", "reimport", Event.FINISHED, {"stage": "proposal"}),
        ("execute", "reimport", Event.COMMITTED, {}),
        ("rollback", "rollback", Event.COMMITTED, {}),
        ("finish", "reimport", Event.VERIFIED, {}),
    ],
)
def test_a_refused_command_is_told_until_one_of_its_kind_went_well_anywhere(
    settings: Settings, action: str, kind: str, event: Event, facts: dict[str, str]
) -> None:
    run = record.create(settings, kind)
    run.journal(event, **facts)  # before it
    refused(settings, action)
    other = "dry-run" if action == "execute" else "execute"
    refused(settings, other)
    run.journal(Event.STARTED, stage="plan")
    assert told(settings) == [other, action], "it has begun, and has done nothing yet"
    run.journal(event, **facts)
    assert told(settings) == [other]


def test_a_command_whose_run_tells_how_it_ended_is_told_there(settings: Settings) -> None:
    run = record.create(settings)
    command = refused(settings, "execute")
    with command.log.open("a") as log:
        log.write(f"sandbox-dev: 02_execute, run {run.id}\n")
    assert told(settings) == ["execute"], "its run has no line of this command"
    run.journal(Event.FAILED, stage="drift")
    os.utime(command.log)
    assert told(settings) == []


def dated(run: record.Run, log: Path, at: datetime) -> None:
    """As if a run, and the command that has made it, were of that time."""
    lines = [json.loads(raw) | {"at": at.isoformat()} for raw in journals.lines(run.folder)]
    done: list[bytes] = []
    for line in lines:
        before = private.sha256(done[-1]) if done else ""
        done.append(json.dumps(line | {"before": before}).encode())
    (run.folder / journals.JOURNAL).write_bytes(b"".join(raw + b"\n" for raw in done))
    os.utime(run.folder / journals.JOURNAL, (at.timestamp(), at.timestamp()))
    for path in (log, log.with_suffix(".json")):
        path.rename(path.with_name(f"{at:%Y%m%dT%H%M%S%f}Z-dry-run{path.suffix}"))


def test_a_refused_command_is_told_after_a_clock_that_was_set_back(settings: Settings) -> None:
    """What was done while the clock was ahead passed for what was done since."""
    earlier = refused(settings, "dry-run")
    commands.mark_seen(settings, earlier.log.stem, "")
    run = record.create(settings)
    run.journal(Event.FINISHED, stage="proposal")
    dated(run, earlier.log, datetime(2099, 1, 1, tzinfo=UTC))
    assert told(settings) == []
    command = refused(settings, "dry-run")
    assert told(settings) == ["dry-run"]
    assert commands.latest(settings) == command
    assert refused(settings, "dry-run").log.name > command.log.name
    run.journal(Event.FINISHED, stage="proposal")
    assert told(settings) == []


def test_a_command_in_which_the_clock_was_set_back_is_told_by_its_run(settings: Settings) -> None:
    """It stood there as one whose journal "ends earlier than the command": bring it back."""
    command = refused(settings, "dry-run")
    commands._write(replace(command, at=command.at + timedelta(hours=1)))
    run = record.create(settings)
    with command.log.open("a") as log:
        log.write(f"sandbox-dev: 01_preflight, run {run.id}\n")
    run.journal(Event.FAILED, stage="snapshot")
    os.utime(command.log)
    assert told(settings) == []


def test_a_command_whose_run_is_lost_is_not_told_as_one_that_has_begun_nothing(
    settings: Settings,
) -> None:
    """It was told as "refused, or ended before it had begun", also where it had committed."""
    run = record.create(settings)
    command = refused(settings, "execute")

    def how() -> str:
        (failed,) = work.failed_commands(settings)
        return failed.how

    assert how() == "refused, or ended before it had begun"
    with command.log.open("a") as log:
        log.write(f"sandbox-dev: 02_execute, run {run.id}\n")
    begun = f"it had begun run {run.id}, and how that ended is not known here: its journal"
    assert how().startswith(f"{begun} ends earlier than the command")
    journal = run.folder / "journal.jsonl"
    journal.rename(journal.with_name("aside"))
    assert how().startswith(f"{begun} is not in the folder of the records")
    shutil.rmtree(run.bag)
    assert how().startswith(f"{begun} is not in the folder of the records")
    assert "nexus-reimport record check sandbox-dev" in how()


@pytest.mark.parametrize("lacking", ["a program", "a process", "a folder"])
def test_a_command_that_cannot_be_started_leaves_nothing_and_says_why(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    if lacking == "a program":  # as while the installation is made anew
        monkeypatch.setattr(sys, "executable", str(settings.private_folder / "gone"))
    elif lacking == "a process":

        def none_left(*_: object, **__: object) -> None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

        monkeypatch.setattr(subprocess, "Popen", none_left)
    else:
        private.close_folder(settings.private_folder)
        (settings.private_folder / commands.FOLDER).write_text("a file in its place")
    with pytest.raises(ReimportError) as told:
        commands.start(settings, "dry-run", ["--version"], "Ada")
    assert (told.value.exit_code, told.value.state) == (1, "nothing was started")
    assert told.value.what == "the command could not be started"
    reason = {
        "a program": "No such file or directory",
        "a process": "Resource temporarily unavailable",
        "a folder": "Not a directory",
    }
    assert reason[lacking] in told.value.where
    assert commands.latest(settings) is None


def test_what_was_started_by_a_page_that_ignores_ctrl_c_is_cancelled(settings: Settings) -> None:
    """A script that starts the page with `&` makes it so: the run went on, and was called late."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sleeper = settings.folders.private.parent / "sleeper"
        sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
        sleeper.chmod(0o700)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "executable", str(sleeper))
            commands.start(settings, "dry-run", [], "Ada")
    finally:
        signal.signal(signal.SIGINT, before)
    commands.cancel(settings, None, "Ada")
    ended(settings, 20)


def test_a_command_gets_no_token_of_the_pages() -> None:
    given = {"JUPYTER_TOKEN": "x", "JPY_API_TOKEN": "x", "PATH": "p", "NEXUS_REIMPORT_RUNNER": "t"}
    assert commands._environment(given) == {"PATH": "p"}


def test_the_lock_of_a_commands_log_lasts_as_long_as_its_processes(settings: Settings) -> None:
    """Also where the one that has started it is gone: the page was restarted, or killed."""
    code = """
import sys
from pathlib import Path
from nexus_reimport import settings
from nexus_reimport.page import commands

known = settings.load("sandbox-dev", Path(sys.argv[1]))
sys.executable = sys.argv[2]
commands.start(known, "dry-run", [], "")
"""
    folder = settings.folders.private.parent
    sleeper = folder / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o700)
    subprocess.run([sys.executable, "-c", code, str(folder), str(sleeper)], check=True)
    found = commands.at_work(settings)
    assert found is not None, "whoever started it has ended; it has not"
    assert commands.why_not_cancelled(found, None) == ""
    os.kill(found.pid, signal.SIGKILL)
    ended(settings)
    assert commands.why_not_cancelled(found, None) == "its process is not known any more"


@pytest.mark.parametrize(
    ("newer", "told"),
    [
        ("keep", "before it, except what people have created or changed since, which stays. Doc"),
        ("discard", "before it; what people have written since is given up. Documents"),
        ("keep", "which stays; what they have deleted since comes back. Documents"),
        ("discard", "is given up; what they have deleted since comes back. Documents"),
        ("", "before it. Documents"),
    ],
)
def test_the_way_back_says_what_becomes_of_what_people_have_written_since(
    newer: str, told: str
) -> None:
    deleted = 3 if "deleted" in told else 0
    one = NewerRows("patients", 1 if newer else 0, 0, deleted, ())
    added = NewerRows("documents_document", 3, 0, 2, (), 0)
    seen = RollbackPreview(
        undoes="20261127T004112Z-f37b",
        kind="reimport",
        committed_at=START,
        newer=NewerDecision(newer),
        schema={},
        now={},
        since=Since((one, added), ()),
        rows_before={"patients": 1},
        rows_now={"patients": 2},
        links={"documents": 1},
        saved={},
    )
    asked = RollbackProposal("dev", seen.undoes, seen.newer, "", seen.schema, {}, seen.since)
    look = way_back.WayBack(seen, asked, "patients")
    reading = Reading(lambda: look)
    reading.value, reading.at = look, START
    shown = SimpleNamespace(
        look=reading,
        status=SimpleNamespace(value=None),
        way_back=way_back.gates(look, busy=False),
        form=front.Form(),
        is_busy=False,
    )
    head = SimpleNamespace(word="DEV")
    text = rendered("way_back.html", it=shown, head=head, zone=ZoneInfo("UTC"), front="", xsrf="")
    assert told in text
    assert "No document and no image is deleted, and their links stay as they are." in text
    assert ("give it up" in text) is bool(newer)
    assert ("What was deleted since, and existed before the run, comes back" in text) is (
        deleted > 0
    )
    assert "1 document." in text


def test_after_a_run_that_was_stopped_nobody_is_told_to_start_the_same_again(
    settings: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    run = record.create(settings)
    assert front.gather(Desk("sandbox-dev")).next == "Start a dry run."
    run.journal(Event.STARTED, stage="checks_before")
    run.journal(Event.FAILED, stage="checks_before", exit_code=1, what="1 check failed")
    assert run.verdict() is Verdict.STOPPED
    told = "See why the last run was stopped, settle that, then start a dry run."
    assert front.gather(Desk("sandbox-dev")).next == told
    run.journal(Event.FAILED, stage="checks_before", exit_code=3, what="the server is gone")
    assert front.gather(Desk("sandbox-dev")).next.startswith(
        "See why the last run failed, settle that"
    )


@pytest.fixture
def planned(settings: Settings) -> record.Run:
    """A run whose plan deletes and keeps, and which was rehearsed."""
    run = record.create(settings)
    model.save(planned_by(purged=12), run.folder / "plan.json")
    model.save(REHEARSAL, run.folder / "rehearsal.json")
    return run


def planned_by(*, purged: int) -> model.Plan:
    return replace(PLAN, entities={"patients": replace(PATIENTS, purged=purged)})


def test_the_warning_above_the_button_names_what_is_deleted_for_good_and_what_stays(
    planned: record.Run,
) -> None:
    """It said that all patient data is replaced, of a plan that keeps 37 patients of 2,867."""
    shown = SimpleNamespace(
        outcome=outcome.of(planned), waiting=planned, gates=gates.Gates(()), form=front.Form()
    )
    head = SimpleNamespace(word="DEV", environment="dev")
    text = rendered("reimport.html", it=shown, head=head, front="", xsrf="")
    assert "Deleted for good , since FileMaker does not bring it back: 12 patients" in text
    assert "What Nexus alone has stays: 37 patients" in text


def test_what_a_run_whose_counts_were_lost_has_done_is_not_told_by_its_rehearsal(
    planned: record.Run,
) -> None:
    """The page said that saving had waited as long as it did in the rehearsal."""
    assert "saving waits for about 0.8 s" in dry_run(planned)
    planned.journal(Event.COMMITTING)
    planned.journal(Event.SETTLED, committed=True)
    planned.journal(Event.VERIFIED)
    text = dry_run(planned)
    assert "how long saving waited is not known" in text
    assert "as planned; the run’s own counts were lost" in text
    model.save(replace(APPLIED, writers_waited=0.7), planned.folder / "applied.json")
    assert "saving waited for 0.7 s" in (text := dry_run(planned))
    assert "lost" not in text


@pytest.mark.parametrize("name", ["plan", "rehearsal", "checks_before", "proposal", "approval"])
def test_a_value_that_was_changed_is_told_and_takes_neither_the_page_nor_the_way_back(
    settings: Settings, planned: record.Run, name: str
) -> None:
    """One of the last run made an error of the whole page, with no word of the others."""
    planned.journal(Event.STARTED, stage="proposal", pid=1)
    planned.journal(Event.FINISHED, stage="proposal")
    assert planned.verdict() is record.Verdict.WAITING
    (planned.folder / f"{name}.json").write_text("{}")
    text = dry_run(planned)
    assert f"cannot be read back: {name}.json. What it would tell is missing here." in text
    assert "NO-GO: its record was changed; it cannot be approved" in text
    assert "GO, once" not in text
    assert outcome.of(planned).digest == ""
    assert status.waiting(settings) is None


def test_a_value_that_was_forged_after_the_seal_is_told_and_not_shown(planned: record.Run) -> None:
    """It could be read back, and the page told its numbers as those of the run."""
    planned.seal()
    assert "cannot be read back" not in dry_run(planned)
    forged = replace(planned.load(Rehearsal), writers_waited=77.7)
    model.save(forged, planned.folder / "rehearsal.json")
    text = dry_run(planned)
    assert "cannot be read back: rehearsal.json. What it would tell is missing here." in text
    assert "77.7" not in text


def dry_run(run: record.Run) -> str:
    """What the page says of a run under Dry run."""
    shown = SimpleNamespace(outcome=outcome.of(run))
    head = SimpleNamespace(environment="dev", user="")
    return rendered("dry_run.html", it=shown, head=head, front="", xsrf="")


def test_the_page_says_which_run_a_rollback_has_taken_back_and_what_stayed(
    settings: Settings,
) -> None:
    run = record.create(settings, undoes="20261127T004112Z-f37b")
    newer = Since((NewerRows("patients", 1, 0, 0, ()),), ())
    done = Undone(
        committed=True,
        at=START,
        undoes=run.undoes,
        exact=False,
        deleted={},
        put_back={"patients": 3},
        relinked={},
        since=newer,
        after={},
        writers_waited=0.4,
        timings={},
        report=REPORT,
        newer=NewerDecision.KEEP,
    )
    model.save(done, run.folder / "undone.json")
    run.journal(Event.COMMITTED)
    run.journal(Event.VERIFIED)
    assert (
        "Run 20261127T004112Z-f37b was taken back. The data is as before it: yes, except what"
        " people have written since the run."
    ) in dry_run(run)
