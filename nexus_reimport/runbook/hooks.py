"""The clinic's own commands: how one is started, bounded in time, and told of.

``[hooks]`` in the environment's file names them. They are argument lists, started without a shell.
A hook gets none of our secrets; what it prints goes to the private ``hooks.log``, never into a
record.

One hook runs at a time: one that outlives us, after a kill, is waited for before the next begins.
Else ``leave`` could end first, and that ``enter`` would then put the window up for good. What a
hook has left in the background is not waited for, as it is not where nobody was killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from nexus_reimport import environ, wording
from nexus_reimport.files import private
from nexus_reimport.settings import ENVIRONMENT_VARIABLE, Settings

Hook = Literal["enter", "leave", "told"]
RUN_VARIABLE = "NEXUS_REIMPORT_RUN"
LOG = "hooks.log"
_LEADER = "hook.pid"  # of the hook that was started last; empty until that is known
_PASSED_ON = ("PATH", "HOME", "LANG")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a hook ended; ``why`` describes it, with a signal or a time-out too."""

    exit_code: int | None
    seconds: float
    why: str

    @property
    def well(self) -> bool:
        """Whether it succeeded."""
        return self.exit_code == 0

    def facts(self) -> dict[str, Any]:
        """For the journal: how it ended and how long it took; nothing that the hook printed."""
        return {"exit_code": self.exit_code, "seconds": round(self.seconds, 3), "how": self.why}

    def __str__(self) -> str:
        return self.why


def run(settings: Settings, hook: Hook, run_id: str, given: bytes = b"") -> Ended:
    """Run one hook for at most ``timeout`` seconds; a failing hook raises nothing.

    ``given`` is its standard input, which ends there: a hook that asked something would wait until
    its time is up.
    """
    command: Sequence[str] = getattr(settings.hooks, hook)
    began = time.monotonic()
    try:
        # A hook has the log as its output, and with it the lock, as long as it lives.
        with (
            _log(settings) as log,
            private.waiting_lock(log, settings.hooks.timeout, lambda: _has_ended(settings)),
        ):
            _say(log, f"{hook} of run {run_id}: {json.dumps(list(command))}")
            code = _wait(command, settings, run_id, given, log)
    except (OSError, ValueError) as error:
        why = (error.strerror or "") if isinstance(error, OSError) else ""
        why = why or type(error).__name__
        return Ended(None, time.monotonic() - began, f"`{hook}` could not be started: {why}")
    seconds = time.monotonic() - began
    ended = Ended(code, seconds, f"`{hook}` {_how(code, settings.hooks.timeout, seconds)}")
    with suppress(OSError), _log(settings) as log:  # it has ended so, even if the disk is full
        _say(log, str(ended))
    return ended


def log_path(settings: Settings) -> Path:
    """The private file that holds what the environment's hooks print."""
    return settings.private_folder / LOG


def _wait(
    command: Sequence[str], settings: Settings, run_id: str, given: bytes, log: BinaryIO
) -> int | None:
    """The exit code; None if it took too long, and then its whole process group was ended."""
    leader = settings.private_folder / _LEADER
    leader.unlink(missing_ok=True)  # before it is known, the one before must not be taken for it
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=_environment(settings, run_id),
        cwd="/",
        start_new_session=True,  # a group of its own: its children can be ended with it
    )
    try:
        with suppress(OSError):  # a full disk: then also what it leaves is waited for
            private.write_new(leader, str(process.pid).encode())
        process.communicate(given, settings.hooks.timeout)
    # Also after Ctrl-C: no hook goes on without us.
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return None
        raise
    return process.returncode


def _has_ended(settings: Settings) -> bool:
    """Whether the last hook is known to have ended, though what it has left may hold the log."""
    try:
        pid = int((settings.private_folder / _LEADER).read_text(encoding="ascii"))
        return not _is_leader(pid)
    except (OSError, ValueError):  # we were killed before it was known
        return _has_left_others_alone(log_path(settings))


def _is_leader(pid: int) -> bool:
    """Whether the process is there and leads its session, as a hook does.

    A process id is given out again: only the leader of the session that we made is the hook.
    """
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def _has_left_others_alone(log: Path) -> bool:
    """Whether whoever writes into the log was left by a hook, by what Linux says of processes.

    A hook leads the session of all that it starts: where no leader is there, it has ended.
    """
    with suppress(OSError):  # one has just ended
        writers = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _writes(path, log)]
        return bool(writers) and not any(_is_leader(os.getsid(pid)) for pid in writers)
    return False


def _writes(process: Path, log: Path) -> bool:
    """Whether what a process prints goes into the log."""
    with suppress(OSError):  # it has ended, closed its output, or is somebody else's
        return any((process / "fd" / number).samefile(log) for number in "12")
    return False


def _how(code: int | None, timeout: float, seconds: float) -> str:
    if code is None:
        return f"was ended with all its children: it took longer than its {timeout:g} s"
    if code < 0:
        return f"was ended by signal {-code} after {seconds:,.1f} s"
    return f"ended with exit code {code} after {seconds:,.1f} s"


def _environment(settings: Settings, run_id: str) -> Mapping[str, str]:
    """The environment variables of a hook: ours may hold secrets, so only a few are passed on."""
    passed = environ.some(_PASSED_ON)
    return {**passed, ENVIRONMENT_VARIABLE: settings.name, RUN_VARIABLE: run_id}


@contextmanager
def _log(settings: Settings) -> Iterator[BinaryIO]:
    """The private file for what hooks print, opened for appending."""
    path = log_path(settings)
    private.make_folder(path.parent)
    with private.append(path) as file:
        yield file


def _say(log: BinaryIO, line: str) -> None:
    log.write(f"--- {wording.moment(datetime.now(UTC))} {line}\n".encode())
    log.flush()  # before the hook writes into the same file
