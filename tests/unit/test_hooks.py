"""The clinic's own commands, and the window that they put up, where the disk fails beside them."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nexus_reimport import record
from nexus_reimport.runbook import hooks, maintenance
from nexus_reimport.settings import Settings
from nexus_reimport.settings.environment import Hooks
from support.running import until

RUN = "20260301T020000Z"


def with_hooks(known: Settings, code: int = 0) -> Settings:
    ends = (sys.executable, "-c", f"raise SystemExit({code})")
    return known.model_copy(update={"hooks": Hooks(enter=ends, leave=ends)})


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)


@pytest.mark.parametrize("code", [0, 7])
def test_how_a_hook_ended_is_told_as_it_was_though_the_log_has_no_room_for_it(
    known: Settings, code: int
) -> None:
    settings = with_hooks(known, code)
    log = hooks.log_path(settings)
    assert hooks.run(settings, "leave", RUN).exit_code == code
    first, last = log.read_text().splitlines()
    room = len(first) + 3  # the next first line, and no more than the beginning of the last one
    with no_file_larger_than(log.stat().st_size + room):
        ended = hooks.run(settings, "leave", RUN)
    assert (ended.exit_code, ended.well) == (code, code == 0)
    assert f"`leave` ended with exit code {code}" in ended.why
    assert log.read_text().splitlines()[2][:3] == first[:3], "the first line was written"
    assert last.partition(" after ")[0] not in "\n".join(log.read_text().splitlines()[2:])


def test_a_hook_whose_start_cannot_be_logged_is_not_started(known: Settings) -> None:
    settings = with_hooks(known)
    hooks.log_path(settings).mkdir(parents=True)
    ended = hooks.run(settings, "enter", RUN)
    assert ended.exit_code is None
    assert ended.why == "`enter` could not be started: Is a directory"


def state_of(settings: Settings) -> Path:
    path = settings.records_folder / maintenance.STATE
    path.parent.mkdir(parents=True)
    return path


def test_a_window_whose_file_the_disk_does_not_give_counts_as_up(known: Settings) -> None:
    settings = with_hooks(known)
    state_of(settings).mkdir()
    for told in (maintenance.still_up(settings), maintenance.leave(settings)):
        assert maintenance.HEADLINE in told
        assert "put up at an unknown time by run unknown" in told


def test_a_window_whose_lock_the_disk_does_not_give_counts_as_up(known: Settings) -> None:
    """It became the error of the run that asked, in place of that run's outcome."""
    settings = with_hooks(known)
    state_of(settings).write_text(f'{{"run": "{RUN}", "since": "2026-03-01T02:00:00+00:00"}}')
    (settings.records_folder / maintenance.LOCK).mkdir()
    for told in (maintenance.still_up(settings), maintenance.leave(settings)):
        assert f"put up 2026-03-01T02:00:00+00:00 by run {RUN}" in told


def test_a_window_that_is_down_is_not_told_as_up_because_the_journal_cannot_say_so(
    known: Settings,
) -> None:
    run = record.create(known)
    journal = run.folder / "journal.jsonl"
    leave = ("/bin/sh", "-c", f"rm {journal} && mkdir {journal}")
    settings = known.model_copy(update={"hooks": Hooks(enter=leave, leave=leave)})
    state = settings.records_folder / maintenance.STATE
    state.write_text(f'{{"run": "{run.id}", "since": "2026-03-01T02:00:00+00:00"}}')
    assert maintenance.leave(settings, run) == ""
    assert not state.exists()
    assert journal.is_dir()


ENTER = "touch begun; until [ -e go ]; do sleep 0.05; done; touch up; touch ended"


def test_a_window_that_a_killed_run_is_still_putting_up_is_taken_down_after_that(
    known: Settings, tmp_path: Path
) -> None:
    """``leave`` ended first, and the hook that nobody knew of any more put the window up for good.

    It goes on after a kill of the process that started it: its session is its own.
    """
    enter, leave = (f"cd {shlex.quote(str(tmp_path))}; {text}" for text in (ENTER, "rm -f up"))
    hooked = Hooks(enter=("sh", "-c", enter), leave=("sh", "-c", leave))
    settings = known.model_copy(update={"hooks": hooked})
    run = record.create(settings)
    if (child := os.fork()) == 0:
        with maintenance.held(settings, run):
            os._exit(0)
    until((tmp_path / "begun").exists)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told: list[str] = []
    leaving = threading.Thread(target=lambda: told.append(maintenance.leave(settings)))
    leaving.start()
    leaving.join(0.5)  # so long that it would have ended, did it not wait
    (tmp_path / "go").touch()
    until((tmp_path / "ended").exists)
    leaving.join(60)
    assert told == [""]
    assert not (tmp_path / "up").exists()
    assert maintenance.still_up(settings) == ""


BEHIND = "sleep 600 & echo $! > behind; touch begun; until [ -e go ]; do sleep 0.05; done"


@pytest.mark.parametrize("is_noted", [True, False])
def test_what_a_killed_runs_hook_has_left_in_the_background_is_not_waited_for(
    known: Settings, tmp_path: Path, *, is_noted: bool
) -> None:
    """It inherits the log, and with it the lock: each next `leave` waited for its whole time."""
    enter, leave = (f"cd {shlex.quote(str(tmp_path))}; {text}" for text in (BEHIND, "touch left"))
    hooked = Hooks(enter=("sh", "-c", enter), leave=("sh", "-c", leave), timeout=300)
    settings = known.model_copy(update={"hooks": hooked})
    run = record.create(settings)
    if (child := os.fork()) == 0:
        with maintenance.held(settings, run):
            os._exit(0)
    until((tmp_path / "begun").exists)
    noted = settings.private_folder / hooks._LEADER
    # On a busy machine the hook itself may be first.
    until(lambda: noted.exists() and noted.read_text() != "")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not is_noted:  # as a kill leaves it before the hook's number is known
        noted.unlink()
    behind = int((tmp_path / "behind").read_text())
    try:
        leaving = threading.Thread(target=maintenance.leave, args=(settings,))
        leaving.start()
        leaving.join(0.5)
        assert not (tmp_path / "left").exists(), "the hook itself is waited for"
        (tmp_path / "go").touch()
        leaving.join(60)
        assert (tmp_path / "left").exists()
        os.kill(behind, 0)  # what it has left is its own affair
    finally:
        os.kill(behind, signal.SIGKILL)
    assert maintenance.still_up(settings) == ""
