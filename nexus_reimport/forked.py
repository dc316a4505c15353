"""Kernels that are forked from a process which has the package loaded.

A kernel that loads it by itself, with its libraries, takes a second and a half for that, and a run
has three kernels; a fork takes some milliseconds. The process is ``runner.fork_server``: it is
started with a command, loads beside it, and ends with it.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

SERVER = "nexus_reimport.runner.fork_server"
# On other systems a library may not live through a fork.
SUITABLE = sys.platform == "linux"


class ForkServer:
    """The process that kernels are forked from, as this one talks with it."""

    def __init__(self) -> None:
        self._process = self._started()
        self._turn = threading.Lock()

    @staticmethod
    def _started() -> subprocess.Popen[bytes]:
        # `-P`: what lies in the folder that a person stands in is none of our modules.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # else it would hold open what we write to, and its lock
            start_new_session=True,  # Ctrl-C in our terminal must not end it
        )

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def ask(self, **request: Any) -> Any:
        """What it answers; None if it has ended."""
        given, answers = (cast(IO[bytes], p) for p in (self._process.stdin, self._process.stdout))
        with self._turn:
            try:
                given.write(json.dumps(request).encode() + b"\n")
                given.flush()
                return json.loads(answers.readline() or b"null")
            except BrokenPipeError:
                return None

    def end(self) -> None:
        """End it, and with it each of its kernels."""
        self._process.kill()
        self._process.wait()


class Forked:
    """A forked kernel's process, with what jupyter_client uses of ``subprocess.Popen``."""

    stdin = stdout = stderr = None  # none of them is a pipe

    def __init__(self, server: ForkServer, pid: int) -> None:
        self._server, self.pid = server, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            answer = self._server.ask(ended=self.pid)
            self.returncode = answer["code"] if answer else self._orphaned()
        return self.returncode

    def _orphaned(self) -> int | None:
        """Without its parent a kernel is killed by the system, which takes a moment."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            state = "X"
        return -signal.SIGKILL if state in "ZX" else None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended."""
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a kernel", timeout or 0.0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended: its number could be another's by then."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


_servers: list[ForkServer] = []
_starting = threading.Lock()


def ready() -> ForkServer | None:
    """The process that kernels are forked from, started if it does not run; None where none is."""
    if not SUITABLE:
        return None
    with _starting:
        if not (_servers and _servers[-1].runs):
            _servers[:] = [ForkServer()]
            atexit.register(_servers[-1].end)
        return _servers[-1]


def kernel(arguments: Sequence[str], variables: Mapping[str, str], log: Path) -> Forked | None:
    """A kernel with these arguments and environment variables, in our folder.

    None where none is forked: jupyter starts it then.

    What it writes itself, as its last words at a crash, goes to ``log``.
    """
    server = ready()
    start = {"arguments": arguments, "variables": dict(variables), "log": str(log)}
    answer = server.ask(start=start | {"folder": str(Path.cwd())}) if server else None
    return Forked(server, answer["pid"]) if server and answer else None
