"""What the runner says while a kernel is at work: that a stage begins, and that it has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_reimport import progress
from nexus_reimport.events import Event
from nexus_reimport.page import log
from nexus_reimport.record import Run, current_step, journal
from nexus_reimport.runner import watch
from nexus_reimport.runner.watch import watching
from support.running import until


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
        with run.stage("self_test") as besides:
            besides["note"] = "not tested: it is switched off"
        run.journal(Event.STARTED, stage="rehearsal")
    assert log.lines(run.events())[-2].words == "not tested: it is switched off"
    assert said == [
        "dev: plan: begins",
        "dev: plan: finished (0.0 s)",
        "dev: test the verification on a copy: begins",
        "dev: test the verification on a copy: not tested: it is switched off (0.0 s)",
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


class Screen:
    """A terminal: the lines that were told, and what stood in its last line."""

    def __init__(self, *, has_bar: bool) -> None:
        self.lines: list[str] = []
        self.bars: list[str] = []
        self._has_bar = has_bar

    def __call__(self, line: str) -> None:
        self.lines.append(line)

    def now(self, text: str) -> bool:
        self.bars.append(text)
        return self._has_bar


@pytest.mark.parametrize("has_bar", [True, False])
def test_a_long_stage_shows_its_step_as_a_bar_or_as_a_line_now_and_then(
    run: Run, monkeypatch: pytest.MonkeyPatch, *, has_bar: bool
) -> None:
    monkeypatch.setattr(watch, "_LONG", 0.0)
    monkeypatch.setattr(watch, "_OFTEN", 0.3)
    screen = Screen(has_bar=has_bar)
    run.private.mkdir()
    with watching(run, screen, {"rehearsal": 60.0}):
        run.journal(Event.STARTED, stage="rehearsal")
        with current_step.shown(run.private, "rehearsal", progress.nobody):
            progress.tell(3, 7, "apply: insert")
            until(lambda: len([bar for bar in screen.bars if bar]) >= 6)
        run.journal(Event.FINISHED, stage="rehearsal")
    bars = [bar for bar in screen.bars if bar]
    assert bars, "it was asked for in any case"
    assert bars[-1].endswith("rehearsal: apply: insert (4 of 7)")
    assert "s left" in bars[-1]
    assert screen.bars[-1] == "", "it is taken away"
    lines = [line for line in screen.lines if "apply: insert" in line]
    assert len(lines) == (0 if has_bar else 1), "each step once"


def test_the_seconds_of_a_stage_are_those_of_all_its_attempts(run: Run) -> None:
    run.journal(Event.STARTED, stage="plan")
    run.journal(Event.FAILED, stage="plan")
    run.journal(Event.STARTED, stage="plan")
    run.journal(Event.FINISHED, stage="plan")
    run.journal(Event.STARTED, stage="census")
    assert journal.seconds(run.events()).keys() == {"plan"}
