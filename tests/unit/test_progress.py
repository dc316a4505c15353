"""How far a stage is: told from deep within, heard by whoever waits, in this process or another."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_reimport import progress
from nexus_reimport.progress import Steps, heard_by, tell
from nexus_reimport.record import current_step

Heard = list[tuple[int, int, str]]


@pytest.fixture
def heard() -> Heard:
    return []


def hearing(heard: Heard) -> progress.Listener:
    return lambda done, total, step: heard.append((done, total, step))


def test_steps_are_told_as_they_begin_and_inner_ones_are_a_part_of_their_name(
    heard: Heard,
) -> None:
    with heard_by(hearing(heard)):
        steps = Steps(2)
        with steps.step("apply"):
            inner = Steps(9)
            inner.begin("insert")
            with inner.step("checks"):
                tell(3, 85, "every patient is there")
        steps.begin("verify")
    assert heard == [
        (0, 2, "apply"),
        (0, 2, "apply: insert"),
        (0, 2, "apply: checks"),
        (0, 2, "apply: checks"),
        (0, 2, "apply"),
        (1, 2, ""),
        (1, 2, "verify"),
    ]
    tell(1, 1, "nobody hears it")
    assert len(heard) == 7


def test_what_a_thread_tells_is_heard_where_it_was_given_the_listener(heard: Heard) -> None:
    with heard_by(hearing(heard)):
        outer = progress.listener()
        for work in (lambda: tell(1, 2, "lost"), lambda: outer(1, 2, "notes")):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
    assert heard == [(1, 2, "notes")]


def until(is_so: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_moment_of_a_stage_is_kept_for_others_while_it_lasts_and_no_longer(
    tmp_path: Path, heard: Heard
) -> None:
    outer: Heard = []
    killed = {"stage": "rehearsal", "step": "undo", "done": 6, "total": 7, "at": "2099-01-01"}
    (tmp_path / current_step.FILE).write_text(json.dumps(killed))
    with heard_by(hearing(outer)), current_step.shown(tmp_path, "rehearsal", hearing(heard)):
        assert current_step.read(tmp_path, "rehearsal") is None, "that of a killed one is not shown"
        tell(2, 7, "apply: insert")
        until(lambda: current_step.read(tmp_path, "rehearsal"))
        seen = current_step.read(tmp_path, "rehearsal")
        assert seen is not None
        assert (seen.step, seen.count) == ("apply: insert", "3 of 7")
        assert current_step.read(tmp_path, "plan") is None, "another stage"
        until(lambda: heard)
    assert heard[0] == (2, 7, "apply: insert")
    assert heard[-1] == (1, 1, ""), "the bar is closed"
    assert outer == [(2, 7, "apply: insert")]
    assert [*tmp_path.iterdir()] == []


def test_what_any_thread_waits_for_is_shown_beside_the_step_as_long_as_it_waits(
    tmp_path: Path, heard: Heard
) -> None:
    """FileMaker was tried again for a minute, and the one who waited saw nothing of it."""
    over = threading.Event()

    def wait() -> None:
        with progress.waiting("the file cannot be opened: try 2 of 3"):
            over.wait()

    thread = threading.Thread(target=wait)
    with current_step.shown(tmp_path, "snapshot", hearing(heard)):
        thread.start()
        until(lambda: heard and heard[-1][2] == "the file cannot be opened: try 2 of 3")
        tell(5, 90, "notes")
        until(lambda: heard[-1] == (5, 90, "notes; the file cannot be opened: try 2 of 3"))
        over.set()
        thread.join()
        until(lambda: heard[-1] == (5, 90, "notes"))


def test_an_answer_that_is_missing_for_long_is_told_and_a_quick_one_is_not(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that hung was waited for in silence, for two minutes before each further try."""
    with progress.answering("FileMaker"):
        assert progress.waits() == ""
    monkeypatch.setattr(progress, "_SLOW", 0.5)
    with (
        current_step.shown(tmp_path, "snapshot", hearing(heard)),
        progress.answering("FileMaker"),
        progress.answering("FileMaker"),
    ):
        tell(5, 90, "notes")
        until(lambda: heard and heard[-1] == (5, 90, "notes; FileMaker has not answered for 0 s"))
    assert progress.waits() == ""


def test_what_passes_at_once_costs_no_write(tmp_path: Path, heard: Heard) -> None:
    with current_step.shown(tmp_path, "checks", hearing(heard)):
        for number in range(10_000):
            tell(number, 10_000, f"check {number}")
    assert len(heard) < 10


def test_a_moment_that_cannot_be_read_or_kept_disturbs_nobody(tmp_path: Path, heard: Heard) -> None:
    (tmp_path / current_step.FILE).write_text('{"stage": "plan"')
    assert current_step.read(tmp_path, "plan") is None
    gone = tmp_path / "gone"
    with current_step.shown(gone, "plan", hearing(heard)):
        tell(1, 2, "notes")
        until(lambda: heard)
    assert not gone.exists()
