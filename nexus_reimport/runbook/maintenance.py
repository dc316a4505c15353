"""The maintenance window: the clinic's own commands before an execution and after its end.

``[hooks]`` in the environment's file names them. A file outside the record,
``<runs>/<environment>/.window``, marks the window as up. It is on the disk before ``enter`` starts,
and is removed only after ``leave`` has succeeded. After a kill at any instant it is still there,
and the next command runs ``leave``.

Whether ``leave`` succeeds never changes the result of a run.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import record
from nexus_reimport.errors import Busy, ReimportError, StopError
from nexus_reimport.events import Event, Journal, null_journal
from nexus_reimport.files import private
from nexus_reimport.record import Run
from nexus_reimport.runbook import hooks
from nexus_reimport.runbook.hooks import RUN_VARIABLE, Ended
from nexus_reimport.settings import ENVIRONMENT_VARIABLE, Settings

STATE, LOCK = ".window", ".window_lock"
HEADLINE = "THE MAINTENANCE WINDOW IS STILL UP"


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
        return _advice_if_up(settings)


def still_up(settings: Settings) -> str:
    """What a person must do if the window is up although no run is inside it; "" if it is down."""
    if not _path(settings, STATE).exists():
        return ""
    try:
        with _lock(settings) as ours:
            return _advice_if_up(settings) if ours else ""
    except OSError:  # whether a run is inside it cannot be asked
        return _advice_if_up(settings)


def _take_down(settings: Settings, state: _State, journal: Journal) -> str:
    if settings.hooks.leave:
        ended = hooks.run(settings, "leave", state.run)
    else:
        ended = Ended(None, 0.0, "[hooks] no longer has a `leave`")
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


def _advice_if_up(settings: Settings) -> str:
    state = _read(settings)
    return _advice(settings, state) if state else ""


def _advice(settings: Settings, state: _State) -> str:
    known = {ENVIRONMENT_VARIABLE: settings.name, RUN_VARIABLE: state.run}
    command = "the command that takes it down"
    if settings.hooks.leave:
        command = shlex.join([*(f"{n}={v}" for n, v in known.items()), *settings.hooks.leave])
    return str(
        ReimportError(
            HEADLINE + (f": {state.why}" if state.why else ""),
            where=f"environment {settings.name}, put up {state.since} by run {state.run};"
            f" what the hook printed: {hooks.log_path(settings)}",
            state="this does not affect the run's result",
            next=f"run by hand: {command}\n         the next command for {settings.name}"
            " (run, finish, settle, seal) tries again",
        )
    )


# ---------------------------------------------------------------- enter


def _enter(settings: Settings, run: Run) -> None:
    _write(settings, _State(run.id, datetime.now(UTC).isoformat(timespec="seconds")))
    ended = hooks.run(settings, "enter", run.id)
    if not ended.well:
        run.journal(Event.WINDOW_FAILED, hook="enter", **ended.facts())
        raise StopError(
            f"the maintenance window could not be put up: {ended}",
            where=f"environment {settings.name}; what it printed: {hooks.log_path(settings)}",
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


# ---------------------------------------------------------------- the file that marks it as up


@dataclass(frozen=True, slots=True)
class _State:
    """For which run the window was put up, and when; ``why`` it could not be taken down."""

    run: str
    since: str
    why: str = ""


_UNKNOWN = _State("unknown", "at an unknown time")


def _path(settings: Settings, name: str) -> Path:
    return settings.records_folder / name


def _read(settings: Settings) -> _State | None:
    """The state of the window; None if it is down. A file that cannot be read means up."""
    path = _path(settings, STATE)
    try:
        return _State(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, OSError):
        return _UNKNOWN


def _write(settings: Settings, state: _State) -> None:
    """Write the file; it and its name in the folder are on the disk when this returns."""
    path = _path(settings, STATE)
    private.make_folder(path.parent)
    private.replace(path, json.dumps(asdict(state)).encode())


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
