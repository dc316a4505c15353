"""Commands that the page has started: processes of their own, their logs, how they end."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nexus_reimport import record
from nexus_reimport.errors import Busy, ReimportError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.page import commands, work
from nexus_reimport.record import journal as journals
from nexus_reimport.settings import Settings
from support.page_alone import ended, failed_actions, refused


def test_what_a_command_leaves_does_not_grow_with_the_runs_and_few_logs_are_opened(
    known: Settings,
) -> None:
    """Each kept the size of each run's journal, and each look opened the log of each command."""
    for _ in range(3):
        record.create(known)
    for action in ("dry-run", "execute", "dry-run", "dry-run"):
        last = refused(known, action)
    folder = known.private_folder / commands.FOLDER
    kept = [len(json.loads(p.read_text())["journals"]) for p in sorted(folder.glob("*.json"))]
    assert kept == [0, 3, 0, 3], "only the last of each kind is compared with them"
    opened: list[str] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(".log"):
            opened.append(Path(str(arguments[0])).name)

    sys.addaudithook(note)
    assert commands.at_work(known) is None
    seen = [*opened]
    assert seen == [last.log.name]


def test_a_command_is_a_process_of_its_own_whose_log_tells_what_it_said(
    known: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "secret")
    started = commands.start(known, "dry-run", ["record", "list", "nobody"], "Ada")
    assert os.getsid(started.pid) == started.pid
    assert started.log.stat().st_mode & 0o777 == private.FILE
    with pytest.raises(Busy, match="at work already: Dry run, started here by Ada"):
        commands.start(known, "dry-run", ["--version"], "Bob")
    ended(known)
    found = commands.latest(known)
    assert found is not None
    assert (found.action, found.by, found.pid) == ("dry-run", "Ada", started.pid)
    assert "no environment is called 'nobody'" in found.text()


def test_a_refused_command_is_told_until_somebody_has_seen_it(known: Settings) -> None:
    """Any later line of any journal hid it, and so did the next command."""
    execute = refused(known, "execute")
    run = record.create(known)
    run.journal(Event.STARTED, stage="snapshot")
    assert failed_actions(known) == ["execute"], "another run's line says nothing of it"
    refused(known, "dry-run")
    assert failed_actions(known) == ["dry-run", "execute"]
    commands.mark_seen(known, execute.log.stem, "")
    assert failed_actions(known) == ["dry-run"]
    commands.mark_seen(known, "../another", "")
    assert failed_actions(known) == ["dry-run"]
    refused(known, "execute")
    assert failed_actions(known) == ["execute", "dry-run"], "what was seen was the one before"


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
    known: Settings, action: str, kind: str, event: Event, facts: dict[str, str]
) -> None:
    run = record.create(known, kind)
    run.journal(event, **facts)  # before it
    refused(known, action)
    other = "dry-run" if action == "execute" else "execute"
    refused(known, other)
    run.journal(Event.STARTED, stage="plan")
    assert failed_actions(known) == [other, action], "it has begun, and has done nothing yet"
    run.journal(event, **facts)
    assert failed_actions(known) == [other]


def test_a_command_whose_run_tells_how_it_ended_is_told_there(known: Settings) -> None:
    run = record.create(known)
    command = refused(known, "execute")
    with command.log.open("a") as log:
        log.write(f"sandbox-dev: 02_execute, run {run.id}\n")
    assert failed_actions(known) == ["execute"], "its run has no line of this command"
    run.journal(Event.FAILED, stage="drift")
    os.utime(command.log)
    assert failed_actions(known) == []


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


def test_a_refused_command_is_told_after_a_clock_that_was_set_back(known: Settings) -> None:
    """What was done while the clock was ahead passed for what was done since."""
    earlier = refused(known, "dry-run")
    commands.mark_seen(known, earlier.log.stem, "")
    run = record.create(known)
    run.journal(Event.FINISHED, stage="proposal")
    dated(run, earlier.log, datetime(2099, 1, 1, tzinfo=UTC))
    assert failed_actions(known) == []
    command = refused(known, "dry-run")
    assert failed_actions(known) == ["dry-run"]
    assert commands.latest(known) == command
    assert refused(known, "dry-run").log.name > command.log.name
    run.journal(Event.FINISHED, stage="proposal")
    assert failed_actions(known) == []


def test_a_command_in_which_the_clock_was_set_back_is_told_by_its_run(known: Settings) -> None:
    """It stood there as one whose journal "ends earlier than the command": bring it back."""
    command = refused(known, "dry-run")
    commands._write(replace(command, at=command.at + timedelta(hours=1)))
    run = record.create(known)
    with command.log.open("a") as log:
        log.write(f"sandbox-dev: 01_preflight, run {run.id}\n")
    run.journal(Event.FAILED, stage="snapshot")
    os.utime(command.log)
    assert failed_actions(known) == []


def test_a_command_whose_run_is_lost_is_not_told_as_one_that_has_begun_nothing(
    known: Settings,
) -> None:
    """It was told as "refused, or ended before it had begun", also where it had committed."""
    run = record.create(known)
    command = refused(known, "execute")

    def how() -> str:
        (failed,) = work.failed_commands(known)
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
    known: Settings, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    if lacking == "a program":  # as while the installation is made anew
        monkeypatch.setattr(sys, "executable", str(known.private_folder / "gone"))
    elif lacking == "a process":

        def none_left(*_: object, **__: object) -> None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

        monkeypatch.setattr(subprocess, "Popen", none_left)
    else:
        private.close_folder(known.private_folder)
        (known.private_folder / commands.FOLDER).write_text("a file in its place")
    with pytest.raises(ReimportError) as told:
        commands.start(known, "dry-run", ["--version"], "Ada")
    assert (told.value.exit_code, told.value.state) == (1, "nothing was started")
    assert told.value.what == "the command could not be started"
    reason = {
        "a program": "No such file or directory",
        "a process": "Resource temporarily unavailable",
        "a folder": "Not a directory",
    }
    assert reason[lacking] in told.value.where
    assert commands.latest(known) is None


def test_what_was_started_by_a_page_that_ignores_ctrl_c_is_cancelled(known: Settings) -> None:
    """A script that starts the page with `&` makes it so: the run went on, and was called late."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sleeper = known.folders.private.parent / "sleeper"
        sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
        sleeper.chmod(0o700)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "executable", str(sleeper))
            commands.start(known, "dry-run", [], "Ada")
    finally:
        signal.signal(signal.SIGINT, before)
    commands.cancel(known, None, "Ada")
    ended(known, 20)


def test_a_command_gets_no_token_of_the_pages() -> None:
    given = {"JUPYTER_TOKEN": "x", "JPY_API_TOKEN": "x", "PATH": "p", "NEXUS_REIMPORT_RUNNER": "t"}
    assert commands._environment(given) == {"PATH": "p"}


def test_the_lock_of_a_commands_log_lasts_as_long_as_its_processes(known: Settings) -> None:
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
    folder = known.folders.private.parent
    sleeper = folder / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o700)
    subprocess.run([sys.executable, "-c", code, str(folder), str(sleeper)], check=True)
    found = commands.at_work(known)
    assert found is not None, "whoever started it has ended; it has not"
    assert commands.why_not_cancelled(found, None) == ""
    os.kill(found.pid, signal.SIGKILL)
    ended(known)
    assert commands.why_not_cancelled(found, None) == "its process is not known any more"
