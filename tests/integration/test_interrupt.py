"""Ctrl-C, SIGTERM and SIGHUP: whatever ends a command, its verdict and its sentence are right.

Started as a person starts it, and not forked, is the command of the terminal that is closed.
"""

from __future__ import annotations

import errno
import os
import pty
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from nexus_reimport import record, runner
from nexus_reimport import settings as environments
from nexus_reimport.errors import Busy
from nexus_reimport.interrupt import Interrupted, listening, passed_on
from nexus_reimport.model import Proposal
from nexus_reimport.record import Run, Verdict, lock
from nexus_reimport.record.sealed import archive
from nexus_reimport.runbook import rollback
from nexus_reimport.runner import ending, executing, finishing, notebook
from nexus_reimport.settings import Settings
from support.clinic import ROLE, Clinic
from support.forking import Command
from support.records import committed
from support.running import digest_of, stage_pid, until

DEV = "sandbox-dev"
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@pytest.mark.parametrize("name", SIGNALS)
def test_a_preflight_that_was_interrupted_is_killed_sealed_and_says_so(
    clinic: Clinic, name: str
) -> None:
    clinic.simulator.latency_ms = 400
    before = clinic.state()
    with Command("run", DEV) as running:
        until(lambda: stage_pid("snapshot"))
        running.send_signal(getattr(signal, name))
        out, err = running.communicate(timeout=120)
    (run,) = record.every(environments.load(DEV))
    assert (running.returncode, run.verdict(), run.is_sealed) == (3, Verdict.KILLED, True), err
    assert "  state: the database is as it was" in err
    assert "wiped" not in out
    assert "reimported" not in out
    assert run.workers() == ()
    assert clinic.state() == before


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_an_execution_that_was_interrupted_leaves_the_database_as_it_was(
    clinic: Clinic, name: str
) -> None:
    digest = digest_of(clinic.proposed())
    before = clinic.state()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with Command("run", DEV, "--approve", digest) as running:
        with clinic.connect() as other, other.transaction():
            other.execute("LOCK TABLE xero_contact_links")  # read by the checks, after all writes
            until(lambda: stage_pid("apply") and clinic.value(waiting, role=ROLE))
            running.send_signal(getattr(signal, name))
            until(lambda: not clinic.value(waiting, role=ROLE))
        _, err = running.communicate(timeout=120)
    (run,) = record.every(environments.load(DEV))
    assert (running.returncode, run.verdict(), run.is_sealed) == (3, Verdict.KILLED, True), err
    assert "  state: the database is as it was" in err
    assert clinic.state() == before


def test_a_terminal_that_is_closed_keeps_no_run_from_its_seal(clinic: Clinic) -> None:
    """The shell and the kernel each send SIGHUP, and nothing can be written any more."""
    clinic.simulator.latency_ms = 400
    before = clinic.state()
    person, terminal = pty.openpty()
    words = [sys.executable, "-m", "nexus_reimport.cli", "run", DEV]
    shell = ["bash", "--norc", "-i", "-c", f"{shlex.join(words)}; true"]
    with subprocess.Popen(
        ["setsid", "--ctty", *shell], stdin=terminal, stdout=terminal, stderr=terminal
    ) as running:
        os.close(terminal)
        until(lambda: stage_pid("snapshot"))
        os.close(person)
        running.wait(timeout=120)
    (run,) = record.every(environments.load(DEV))
    until(lambda: run.is_sealed)
    assert run.verdict() is Verdict.KILLED
    assert run.workers() == ()
    assert clinic.state() == before


def test_who_reads_no_more_does_not_end_a_run(clinic: Clinic) -> None:
    """``nexus-reimport run ENV 2>&1 | head``: progress and result have nowhere to go."""
    pipe, end = os.pipe()
    os.close(pipe)
    with os.fdopen(end, "wb") as nowhere:
        running = Command("run", DEV, output=nowhere)
    with running:
        assert running.wait(timeout=300) == 6  # it waits for its approval
    (run,) = record.every(environments.load(DEV))
    assert run.verdict() is Verdict.WAITING


def test_an_interrupt_while_a_person_is_asked_leaves_the_run_waiting(clinic: Clinic) -> None:
    def interrupted(run: Run, proposal: Proposal) -> str:
        raise Interrupted("SIGINT")

    (waiting,) = runner.run([DEV], ask=interrupted)
    assert (waiting.verdict, waiting.exit_code, waiting.sealed) == (Verdict.WAITING, 6, False)
    assert waiting.error.splitlines()[0] == "interrupted by SIGINT"
    assert "the run still waits for its approval" in waiting.error


def test_an_interrupt_before_a_run_is_opened_says_nothing_of_an_older_one(clinic: Clinic) -> None:
    older = clinic.proposed().run
    path = clinic.folder / f".env.{DEV}"
    port = "NEXUS_SANDBOX_PG_PORT="
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ours = f"{port}{mute.getsockname()[1]}"
        path.write_text(path.read_text().replace(f"{port}{clinic.server.port}", ours))
        with Command("run", DEV) as running:
            mute.settimeout(60)
            mute.accept()  # and no answer
            running.send_signal(signal.SIGINT)
            _, err = running.communicate(timeout=120)
    assert running.returncode == 3, err
    assert "this command had opened no run" in err
    assert older.id not in err
    assert older.verdict() is Verdict.WAITING


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/journal.jsonl")


def interrupted(*_: object) -> None:
    raise Interrupted("SIGINT")


@pytest.mark.parametrize("ends", [interrupted, full])
@pytest.mark.parametrize(
    ("before", "code", "left"),
    [
        ((rollback, "preview"), 3, "this command had opened no run; nothing was written"),
        ((notebook, "execute"), 3, "the database is as it was"),
        ((rollback, "finish"), 3, "the database is as it was before run {run}, and verified"),
        ((finishing, "close"), 3, "the database is as it was before run {run}, and verified"),
    ],
)
def test_a_rollback_that_is_ended_says_what_it_has_left(
    clinic: Clinic,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[object, str],
    code: int,
    left: str,
    ends: Callable[..., None],
) -> None:
    book = clinic.executed()
    monkeypatch.setattr(*before, ends)
    done = runner.rollback(runner.RollbackOptions(book.run.id, rehearsed=True))
    assert done.exit_code == code
    assert f"  state: {left.format(run=book.run.id)}" in done.error, done.error
    assert ("interrupted by SIGINT" in done.error) == (ends is interrupted)
    assert ("journal.jsonl" in done.error) == (ends is full)
    is_begun = before[1] != "preview"
    assert bool(done.run) == is_begun
    assert done.error.count("next:") == 1


def after_each_page(monkeypatch: pytest.MonkeyPatch, act: Callable[[Run], object]) -> None:
    execute = notebook.execute

    def executed(run: Run, page: str, parameters: notebook.Parameters) -> None:
        execute(run, page, parameters)
        act(run)

    monkeypatch.setattr(notebook, "execute", executed)


def test_a_rollback_that_is_ended_before_its_verification_is_committed(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = clinic.executed()

    def cut(run: Run) -> None:
        lines = (run.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
        at = next(n for n, line in enumerate(lines) if b'"checks_rollback"' in line)
        (run.folder / "journal.jsonl").write_bytes(b"".join(lines[:at]))

    after_each_page(monkeypatch, cut)
    monkeypatch.setattr(rollback, "finish", interrupted)
    done = runner.rollback(runner.RollbackOptions(book.run.id, rehearsed=True))
    assert (done.verdict, done.exit_code) == (Verdict.COMMITTED_UNVERIFIED, 4)
    assert f"is as it was before run {book.run.id}, and not verified yet" in done.error
    assert "nexus-reimport finish sandbox-dev" in done.error


def test_a_rollback_that_is_ended_after_its_seal_says_what_it_has_left(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while its record goes into the archive."""
    book = clinic.executed()
    monkeypatch.setattr(archive, "put_missing", interrupted)
    done = runner.rollback(runner.RollbackOptions(book.run.id, rehearsed=True))
    assert (done.verdict, done.exit_code, done.sealed) == (Verdict.COMPLETE, 3, True)
    assert f"is as it was before run {book.run.id}, and verified" in done.error
    assert f"next:  its record is sealed: nexus-reimport record show {DEV} --run {done.run}" in (
        done.error
    )


def test_a_file_that_is_edited_during_a_rollback_leaves_it_told_as_it_is(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own message says that nothing was written: that is true of its step alone."""
    book = clinic.executed()
    after_each_page(monkeypatch, lambda _: clinic.edit(DEV, 'kind = "dev"', 'kind = "neither"'))
    done = runner.rollback(runner.RollbackOptions(book.run.id, rehearsed=True))
    assert (done.verdict, done.exit_code, done.sealed) == (Verdict.COMPLETE, 3, False)
    assert "kind: " in done.error
    assert f"state: the database is as it was before run {book.run.id}, and verified" in done.error
    assert "nothing was written" not in done.error


def forbidden(*_: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied", "/somewhere/journal.jsonl")


@pytest.mark.parametrize("ends", [interrupted, full, forbidden])
@pytest.mark.parametrize(
    ("command", "moment"),
    [
        (runner.finish, (finishing, "settle_doubt")),
        (runner.finish, (executing, "execute")),
        (runner.finish, (finishing, "close")),
        (runner.settle, (finishing, "settle_doubt")),
        (runner.seal, (finishing, "_sealed")),
    ],
)
def test_what_is_left_is_told_of_the_run_that_a_command_works_on(
    clinic: Clinic,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., runner.CommandOutcome],
    moment: tuple[object, str],
    ends: Callable[..., None],
) -> None:
    run = committed(environments.load(DEV))
    monkeypatch.setattr(*moment, ends)
    if moment[1] == "close":
        monkeypatch.setattr(executing, "execute", lambda *_: None)
    done = command(DEV)
    assert (done.run, done.verdict, done.exit_code) == (run.id, Verdict.COMMITTED_UNVERIFIED, 4)
    assert "state: the database is reimported, and not verified yet" in done.error
    assert f"nexus-reimport finish {DEV} verifies and seals it" in done.error
    assert record.find(environments.load(DEV)).id == run.id


def test_a_command_that_comes_second_tells_nothing_of_the_run_that_is_at_work(
    clinic: Clinic,
) -> None:
    settings = environments.load(DEV)
    with lock.at_work(settings), pytest.raises(Busy):
        runner.finish(DEV)
    before = ending.record.at_work

    @contextmanager
    def beaten(settings: Settings) -> Iterator[None]:
        """Another command begins and commits just before this one."""
        committed(settings)
        with before(settings), lock.at_work(settings):
            yield

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(record, "at_work", beaten)
        (refused,) = runner.run([DEV])
    assert (refused.run, refused.exit_code) == ("", 1)
    assert "state: nothing new was started" in refused.error


def test_a_signal_to_the_hook_that_tells_changes_no_outcome(clinic: Clinic) -> None:
    path = clinic.folder / f"{DEV}.toml"
    hook = '["/bin/sh", "-c", "kill -INT $PPID; sleep 300"]'
    path.write_text(f"{path.read_text()}\n[hooks]\ntold = {hook}\ntimeout = 200\n")
    committed(environments.load(DEV))
    with listening():
        done = runner.settle(DEV)
    assert (done.verdict, done.exit_code) == (Verdict.COMMITTED_UNVERIFIED, 4)
    assert f"nobody was told the result of run {done.run}: `told` was interrupted by SIGINT" in (
        done.untold
    )


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_raised_where_we_are_and_the_handlers_are_put_back(name: str) -> None:
    before = {n: signal.getsignal(getattr(signal, n)) for n in SIGNALS}
    with pytest.raises(Interrupted, match=f"interrupted by {name}"), listening():
        signal.raise_signal(getattr(signal, name))
    assert {n: signal.getsignal(getattr(signal, n)) for n in SIGNALS} == before


def test_a_terminal_that_is_closed_says_so_twice_and_ends_us_once() -> None:
    with listening():
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)  # while the first one is answered
        with passed_on():
            signal.raise_signal(signal.SIGHUP)


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
