"""Commands that the page has started: processes of their own, which outlive it.

Each has a log in the private folder. The log's lock is the command's: it is handed over when the
process starts, and the system lets go of it when the last process of the command has ended. So a
page that was restarted knows what is at work as well as the page that started it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nexus_reimport import disks, environ
from nexus_reimport.errors import (
    Busy,
    ReimportError,
    StopError,
    file_of,
    is_forbidden,
    unforeseen,
)
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import Run, journal, lock, runs
from nexus_reimport.record.values import read_object
from nexus_reimport.settings import Settings

FOLDER = "page"  # in the environment's private folder
LINES = 30  # of a log, at its end
_STAMP = "%Y%m%dT%H%M%S%fZ"
_OURS = ("JUPYTER_", "JPY_", lock.RUNNER_VARIABLE)  # of the page's own, and no command's
NAMES = {
    "dry-run": "Dry run",
    "execute": "Full reimport",
    "rollback": "Rollback",
    "finish": "Verification",
    "settle": "Asking the database",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One command that was started here."""

    log: Path
    action: str  # dry-run, execute, rollback, finish, settle
    by: str  # who was signed in, "" where nobody has said it
    at: datetime
    pid: int  # 0 where the page was killed before it knew
    cancelled_by: str | None = None  # None: nobody has cancelled it
    seen_by: str | None = None  # that it has failed; None: nobody has said so
    # Run -> the bytes of its journal when the command was started: by no clock.
    journals: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it."""
        return NAMES.get(self.action, "A command")

    @property
    def is_at_work(self) -> bool:
        """Whether a process of it lives."""
        return private.is_locked(self.log)

    @property
    def last_said_at(self) -> datetime:
        """When it has said its last word."""
        return datetime.fromtimestamp(self.log.stat().st_mtime, UTC)

    def whole_text(self) -> str:
        """All that it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def text(self) -> str:
        """What it has said, from the end."""
        lines = self.whole_text().splitlines()
        return "\n".join(line.rstrip() for line in lines[-LINES:])


# ---------------------------------------------------------------- what was started


def latest(settings: Settings) -> Command | None:
    """The command that was started last."""
    logs = _logs(settings)
    return _read(logs[0]) if logs else None


def latest_of_each(settings: Settings) -> list[Command]:
    """The command of each action that was started last, the newest first."""
    logs: dict[str, Path] = {}
    for path in _logs(settings):
        logs.setdefault(path.stem.partition("-")[2], path)
    return [_read(path) for path in logs.values()]


def at_work(settings: Settings) -> Command | None:
    """The command that is at work, if one is: only the last, as none begins beside another."""
    last = latest(settings)
    return last if last and last.is_at_work else None


def _logs(settings: Settings) -> list[Path]:
    """The logs of all commands, the newest first."""
    return sorted(_folder(settings).glob("*.log"), reverse=True)


def _folder(settings: Settings) -> Path:
    return settings.private_folder / FOLDER


def _read(log: Path) -> Command:
    fields = read_object(log.with_suffix(".json"))
    at = fields.get("at") or datetime.fromtimestamp(log.stat().st_mtime, UTC).isoformat()
    return Command(
        log=log,
        action=str(fields.get("action", "")),
        by=str(fields.get("by", "")),
        at=datetime.fromisoformat(at),
        pid=int(fields.get("pid", 0)),
        cancelled_by=fields.get("cancelled_by"),
        seen_by=fields.get("seen_by"),
        journals=fields.get("journals", {}),
    )


def _write(command: Command) -> None:
    fields = {
        "action": command.action,
        "by": command.by,
        "at": command.at.isoformat(),
        "pid": command.pid,
        "cancelled_by": command.cancelled_by,
        "seen_by": command.seen_by,
        "journals": dict(command.journals),
    }
    private.replace(command.log.with_suffix(".json"), json.dumps(fields).encode() + b"\n")


# ---------------------------------------------------------------- start


def start(settings: Settings, action: str, arguments: Sequence[str], by: str) -> Command:
    """Start ``nexus-reimport`` with ``arguments``, in a session of its own.

    Raises:
        Busy: another command is at work. Nothing was started.
        ReimportError: no file can be written, or no process be started. Nothing was started.
    """
    try:
        return _start(settings, action, arguments, by)
    except OSError as error:
        raise _not_started(error) from None


def refuse_second(settings: Settings) -> None:
    """That no command is at work, by whoever it was started.

    Raises:
        Busy: one is. Nothing was started.
    """
    known = at_work(settings)
    if known is not None or lock.is_taken(settings):
        raise _busy(settings, known)


def _busy(settings: Settings, known: Command | None) -> Busy:
    what = f": {known.name}, started here" if known else ""
    what += f" by {known.by}" if known and known.by else ""
    return Busy(
        f"a command of {settings.name} is at work already{what}",
        state="nothing new was started",
        next="wait until it has ended: the page shows how far it is. If you pressed the button"
        " twice, this is what your first press started",
    )


def _not_started(error: OSError) -> ReimportError:
    state = "nothing was started"
    if disks.failure(error) or is_forbidden(error):
        return unforeseen(error, state)
    return StopError(
        "the command could not be started",
        where=f"{file_of(error) or sys.executable}: {os.strerror(error.errno or 0)}",
        state=state,
        next="look whether the package is installed there, and at the memory and the processes of"
        " this machine; then try again",
    )


def _start(settings: Settings, action: str, arguments: Sequence[str], by: str) -> Command:
    folder = private.close_folder(_folder(settings))
    with private.lock(folder / ".starting") as ours:
        if ours is None:
            raise _busy(settings, None)
        refuse_second(settings)
        now = datetime.now(UTC)
        log = folder / f"{_stamp(folder, now)}-{action}.log"
        journals = {run.id: run.journal_size() for run in runs.every(settings)}
        command = Command(log, action, by, now, 0, journals=journals)
        try:
            _write(command)
            before = next((c for c in latest_of_each(settings) if c.action == action), None)
            process = _spawn(log, arguments)
        except OSError:
            for path in (log, log.with_suffix(".json")):
                path.unlink(missing_ok=True)
            raise
        command = replace(command, pid=process.pid)
        with suppress(OSError):  # it runs: without its number it can only not be cancelled here
            _write(command)
            if before and before.journals:  # of each kind only the last is compared with them
                _write(replace(before, journals={}))
    threading.Thread(target=process.wait, daemon=True, name=f"reaps {process.pid}").start()
    return command


def _stamp(folder: Path, now: datetime) -> str:
    """The beginning of a log's name, behind that of each that is there: they stand in their order.

    The clock may have been set back since.
    """
    stamps = (path.name.partition("-")[0] for path in folder.glob("*.log"))
    last = max(stamps, default="")
    stamp = now.strftime(_STAMP)
    if stamp > last:
        return stamp
    try:
        at = datetime.strptime(last, _STAMP).replace(tzinfo=UTC)
        return (at + timedelta(microseconds=1)).strftime(_STAMP)
    except (ValueError, OverflowError):  # no name of ours
        return stamp


def _spawn(log: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """The process; it holds the lock of its log from before it begins."""
    with private.create(log) as out:
        fcntl.flock(out, fcntl.LOCK_EX)  # who only asks whether it is held, holds it
        return subprocess.Popen(
            [sys.executable, "-m", "nexus_reimport.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=_environment(environ.variables()),
        )


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """No token of the page's, nor what marks a runner's kernels."""
    return {name: value for name, value in given.items() if not name.startswith(_OURS)}


# ---------------------------------------------------------------- cancel


def why_not_cancelled(command: Command | None, run: Run | None) -> str:
    """Why the command that is at work cannot be cancelled here; "" where it can."""
    if run is not None and _is_at_commit(run):  # wherever it was started
        return "COMMIT was sent, so it is too late; the way back is the rollback"
    if command is None:
        return "it was not started on this page; whoever started it ends it with Ctrl-C there"
    if not _is_alive(command):
        return "its process is not known any more"
    return ""


def cancel(settings: Settings, run: Run | None, by: str, seen: str = "") -> None:
    """End the command that is at work, as Ctrl-C does: what was not committed is rolled back.

    ``seen`` is the one that the person saw at work, as its log is called.

    Raises:
        StopError: nothing is at work, or another one, or it cannot be cancelled. Nothing was done.
    """
    command = at_work(settings)
    if command is not None and seen and seen != command.log.stem:
        raise StopError(
            f"it was not cancelled: what is at work now, {command.name}, is not what your page"
            " showed",
            state="it goes on",
            next="look at the page as it is now, and cancel it there if it is to be cancelled",
        )
    if command is None and not lock.is_taken(settings):
        raise StopError("nothing is at work", state="nothing was done", next="look at the page")
    why = why_not_cancelled(command, run)
    if command is None or why:
        raise StopError(f"it was not cancelled: {why}", state="it goes on", next="wait for its end")
    _write(replace(command, cancelled_by=by))
    # Not SIGINT: a page that a script has started with `&` ignores it, and so do its commands.
    os.kill(command.pid, signal.SIGTERM)


def mark_seen(settings: Settings, log: str, by: str) -> None:
    """Note that somebody has seen how the command with this log ended; else nothing is done."""
    for command in latest_of_each(settings):
        if command.log.stem == log and not command.is_at_work:
            _write(replace(command, seen_by=by))


def _is_alive(command: Command) -> bool:
    """Whether the process is there, and still the leader of the session that was made for it."""
    try:
        # A process id is given out again: only the leader of the session that we made is ours.
        return command.pid > 0 and command.is_at_work and os.getsid(command.pid) == command.pid
    except OSError:
        return False


def _is_at_commit(run: Run) -> bool:
    sent = journal.only(run.events(), Event.COMMITTING, Event.NOT_COMMITTED, Event.COMMITTED)
    return bool(sent) and sent[-1].event is not Event.NOT_COMMITTED
