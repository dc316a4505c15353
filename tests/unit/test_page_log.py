"""The log of the page in words, its stages, and the time that is left."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import record
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.page import commands, log, phases, work
from nexus_reimport.record import current_step
from nexus_reimport.record import journal as journals
from nexus_reimport.record.journal import Entry
from nexus_reimport.settings import Settings
from support.page_alone import START, journal, refused, rendered

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


def test_a_stage_that_began_after_the_clock_was_set_back_is_shown(known: Settings) -> None:
    """Until the clock had come up to the start again, the page showed no stage."""
    run = record.create(known)
    run.journal(Event.STARTED, stage="snapshot")
    run.journal(Event.FAILED, stage="snapshot")
    command = refused(known, "dry-run")
    commands._write(replace(command, at=command.at + timedelta(hours=1)))
    run.journal(Event.STARTED, stage="rehearsal", pid=os.getpid())
    current_step._replace(
        run.private / current_step.FILE,
        json.dumps(
            asdict(current_step.CurrentStep("rehearsal", "undo", 3, 7, START.isoformat()))
        ).encode(),
    )
    for holds in (command.log, run.folder / "nobody's"):
        with record.at_work(known), private.lock(holds):
            seen = work.now(known)
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
    shorter = phases.without_self_test(earlier)
    assert phases.progress([], shorter, phases.OF_THE_PREFLIGHT, now).left == 7
    assert [entry.after(START) for entry in shorter] == [0, 4, 4, 4, 4, 7]


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
