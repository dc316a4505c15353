"""The maintenance window: the clinic's own commands before an execution and after its end.

``[hooks]`` in the environment's file names them. A file outside the record,
``<runs>/<environment>/.window``, marks the window as up. It is on the disk before ``enter`` starts,
and is removed only after ``leave`` has succeeded. After a kill at any instant it is still there,
and the next command runs ``leave``.

What a hook prints goes to the private ``hooks.log``, never into a record; a hook gets none of our
secrets. Whether ``leave`` succeeds never changes the result of a run.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from nexus_reimport import record
from nexus_reimport.errors import Busy, ReimportError, StopError
from nexus_reimport.events import Event, Journal, null_journal
from nexus_reimport.files import private
from nexus_reimport.record import Run
from nexus_reimport.settings import ENVIRONMENT_VARIABLE, Settings

RUN_VARIABLE = "NEXUS_REIMPORT_RUN"
STATE, LOCK, LOG = ".window", ".window_lock", "hooks.log"
HEADLINE = "THE MAINTENANCE WINDOW IS STILL UP"
_PASSED_ON = ("PATH", "HOME", "LANG")


# ---------------------------------------------------------------- around a stage


@contextmanager
def held(
    settings: Settings, run: Run, *, stays_up: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Runs the block inside the window: ``enter`` before it, ``leave`` at once if it fails.

    After a block that succeeded the window stays up until ``leave`` is called. After one that
    failed it stays up only if ``stays_up`` says so. Without hooks only the block is run.

    Raises:
        StopError: ``enter`` failed. The block was not started, and ``leave`` was run.
        Busy: another process is inside its block. The block was not started.
    """
    if not settings.hooks.enter:
        yield
        return
    with left_on_error(settings, unless=stays_up), _lock(settings) as ours:
        if not ours:
            raise _busy(settings)
        _enter(settings, run)
        yield


@contextmanager
def left_on_error(
    settings: Settings, *, unless: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Runs ``leave`` if the block fails; if that fails too, the error gets a note about it."""
    try:
        yield
    except BaseException as error:
        if not unless() and (advice := leave(settings)):
            error.add_note(advice)
        raise


def leave(settings: Settings, run: Run | None = None) -> str:
    """Take the window down if it is up; gives what a person must do if that failed, else "".

    Journalled in ``run``, else in the run that the window was put up for, if that is open. A
    failing hook raises nothing. While another process is inside its block nothing is done: that
    process takes the window down itself.
    """
    if not _path(settings, STATE).exists():
        return ""
    try:
        with _lock(settings) as ours:
            if not ours or (state := _read(settings)) is None:
                return ""
            return _take_down(settings, state, _journal(settings, state, run))
    except OSError:  # the disk failed, not the hook; this must not become the run's error either
        return _advice(settings, _read(settings) or _UNKNOWN)


def still_up(settings: Settings) -> str:
    """What a person must do if the window is up although no run is inside it; "" if it is down."""
    if not _path(settings, STATE).exists():
        return ""
    with _lock(settings) as ours:
        state = _read(settings) if ours else None
        return _advice(settings, state) if state else ""


def _take_down(settings: Settings, state: _State, journal: Journal) -> str:
    if settings.hooks.leave:
        ended = _run(settings, "leave", state.run)
    else:
        ended = _Ended(None, 0.0, "[hooks] no longer has a `leave`")
    if ended.well:
        try:
            private.remove(_path(settings, STATE))
        except OSError:
            ended = replace(ended, why="it is down, but its file could not be removed")
        else:
            journal(Event.WINDOW_LEFT, of=state.run, **ended.facts())
            return ""
    state = replace(state, why=ended.why)
    with suppress(OSError):  # the file as it was still marks the window as up
        _write(settings, state)
    journal(Event.WINDOW_FAILED, hook="leave", of=state.run, **ended.facts())
    return _advice(settings, state)


def _advice(settings: Settings, state: _State) -> str:
    known = {ENVIRONMENT_VARIABLE: settings.name, RUN_VARIABLE: state.run}
    command = "the command that takes it down"
    if settings.hooks.leave:
        command = shlex.join([*(f"{n}={v}" for n, v in known.items()), *settings.hooks.leave])
    return str(
        ReimportError(
            HEADLINE + (f": {state.why}" if state.why else ""),
            where=f"environment {settings.name}, put up {state.since} by run {state.run};"
            f" what the hook printed: {_log_path(settings)}",
            state="this does not affect the run's result",
            next=f"run by hand: {command}\n         the next command for {settings.name}"
            " (run, finish, settle, seal) tries again",
        )
    )


# ---------------------------------------------------------------- enter


def _enter(settings: Settings, run: Run) -> None:
    _write(settings, _State(run.id, datetime.now(UTC).isoformat(timespec="seconds")))
    ended = _run(settings, "enter", run.id)
    if not ended.well:
        run.journal(Event.WINDOW_FAILED, hook="enter", **ended.facts())
        raise StopError(
            f"the maintenance window could not be put up: {ended}",
            where=f"environment {settings.name}; what it printed: {_log_path(settings)}",
            state="the execution was not started; the database is as it was",
            next="fix [hooks] enter in the environment's file, then run this step again",
        )
    run.journal(Event.WINDOW_ENTERED, **ended.facts())


def _busy(settings: Settings) -> Busy:
    return Busy(
        f"another run of {settings.name} is inside its maintenance window",
        state="the execution was not started",
        next="wait until it has ended, then run this step again",
    )


# ---------------------------------------------------------------- one hook


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a hook ended; ``why`` describes it, with a signal or a time-out too."""

    exit_code: int | None
    seconds: float
    why: str

    @property
    def well(self) -> bool:
        return self.exit_code == 0

    def facts(self) -> dict[str, Any]:
        """For the journal: how it ended and how long it took; nothing that the hook printed."""
        return {"exit_code": self.exit_code, "seconds": round(self.seconds, 3), "how": self.why}

    def __str__(self) -> str:
        return self.why


def _run(settings: Settings, hook: str, run: str) -> _Ended:
    """Run one hook for at most ``timeout`` seconds; a failing hook raises nothing."""
    command: Sequence[str] = getattr(settings.hooks, hook)
    began = time.monotonic()
    try:
        with _log(settings) as log:
            _say(log, f"{hook} of run {run}: {json.dumps(list(command))}")
            code = _wait(command, settings, run, log)
            seconds = time.monotonic() - began
            ended = _Ended(code, seconds, f"`{hook}` {_how(code, settings.hooks.timeout, seconds)}")
            _say(log, str(ended))
    except (OSError, ValueError) as error:
        why = (error.strerror or "") if isinstance(error, OSError) else ""
        why = why or type(error).__name__
        ended = _Ended(None, time.monotonic() - began, f"`{hook}` could not be started: {why}")
    return ended


def _wait(command: Sequence[str], settings: Settings, run: str, log: IO[bytes]) -> int | None:
    """The exit code; None if it took too long, and then its whole process group was ended."""
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,  # a hook that asks something would wait until its time is up
        stdout=log,
        stderr=subprocess.STDOUT,
        env=_environment(settings, run),
        cwd="/",
        start_new_session=True,  # a group of its own: its children can be ended with it
    )
    try:
        return process.wait(settings.hooks.timeout)
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return None
        raise


def _how(code: int | None, timeout: float, seconds: float) -> str:
    if code is None:
        return f"was ended with all its children: it took longer than its {timeout:g} s"
    if code < 0:
        return f"was ended by signal {-code} after {seconds:,.1f} s"
    return f"ended with exit code {code} after {seconds:,.1f} s"


def _environment(settings: Settings, run: str) -> Mapping[str, str]:
    """The environment variables of a hook: ours may hold secrets, so only a few are passed on."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**passed, ENVIRONMENT_VARIABLE: settings.name, RUN_VARIABLE: run}


def _log_path(settings: Settings) -> Path:
    return settings.folders.private / settings.name / LOG


@contextmanager
def _log(settings: Settings) -> Iterator[IO[bytes]]:
    """The private file for what hooks print, opened for appending."""
    path = _log_path(settings)
    private.make_folder(path.parent)
    with private.append(path) as file:
        yield file


def _say(log: IO[bytes], line: str) -> None:
    log.write(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC {line}\n".encode())
    log.flush()  # before the hook writes into the same file


# ---------------------------------------------------------------- the file that marks it as up


@dataclass(frozen=True, slots=True)
class _State:
    """For which run the window was put up, and when; ``why`` it could not be taken down."""

    run: str
    since: str
    why: str = ""


_UNKNOWN = _State("unknown", "at an unknown time")


def _path(settings: Settings, name: str) -> Path:
    return settings.folders.runs / settings.name / name


def _read(settings: Settings) -> _State | None:
    """The state of the window; None if it is down. A file that cannot be read means up."""
    path = _path(settings, STATE)
    try:
        return _State(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return _UNKNOWN


def _write(settings: Settings, state: _State) -> None:
    """Write the file; it and its name in the folder are on the disk when this returns."""
    path = _path(settings, STATE)
    private.make_folder(path.parent)
    held = {name: getattr(state, name) for name in _State.__slots__}
    private.replace(path, json.dumps(held).encode())


@contextmanager
def _lock(settings: Settings) -> Iterator[bool]:
    """Locks the window; gives False if another process is in its block or takes it down."""
    with private.lock(_path(settings, LOCK)) as file:
        yield file is not None


def _journal(settings: Settings, state: _State, run: Run | None) -> Journal:
    """The journal for the window's events: the run's; none if that run is sealed or gone."""
    put_up_by = (r for r in record.every(settings) if r.id == state.run)
    writer = run or next(put_up_by, None)
    if writer is None or writer.is_sealed:
        return null_journal
    return writer.journal
