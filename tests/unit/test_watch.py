"""What the runner says while a kernel is at work: that a stage begins, and that it has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_reimport.events import Event
from nexus_reimport.record import Run, journal
from nexus_reimport.runner import watch
from nexus_reimport.runner.watch import watching


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run("dev", "20260301T020000Z-ab12", tmp_path / "data", tmp_path / "private")
    made.folder.mkdir()
    made.journal(Event.OPENED, kind="reimport")
    return made


def test_a_stage_is_told_when_it_begins_with_what_it_took_last_time(run: Run) -> None:
    said: list[str] = []
    with watching(run, said.append, {"rehearsal": 14.2, "plan": 0.3}):
        run.journal(Event.STARTED, stage="plan")
        run.journal(Event.FINISHED, stage="plan")
        run.journal(Event.STARTED, stage="rehearsal")
    assert said == [
        "dev: plan: begins",
        "dev: plan: finished (0.0 s)",
        "dev: rehearsal: begins, about 14 s as in the run before",
    ]


def test_the_steps_of_a_stage_are_told_once_a_person_waits_for_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with watching(run, said.append):
        run.journal(Event.STARTED, stage="apply")
        run.journal(Event.STEP, stage="apply", step="insert")
    assert said == ["dev: reimport: begins"]
    monkeypatch.setattr(watch, "_LONG", -1.0)
    with watching(run, said.append):
        run.journal(Event.STARTED, stage="apply")
        run.journal(Event.STEP, stage="apply", step="insert")
    assert said[-1] == "dev: reimport: insert"


def test_the_seconds_of_a_stage_are_those_of_all_its_attempts(run: Run) -> None:
    run.journal(Event.STARTED, stage="plan")
    run.journal(Event.FAILED, stage="plan")
    run.journal(Event.STARTED, stage="plan")
    run.journal(Event.FINISHED, stage="plan")
    run.journal(Event.STARTED, stage="census")
    assert journal.seconds(run.events()).keys() == {"plan"}
