"""Processes forked from one that has the libraries loaded, which takes longer than most tests.

Each is a process of its own: it can be killed, stopped and interrupted like any other. A process
that tests start as a person would (``nexus-reimport``, and the kernels of that) loads its own.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO, Any, NamedTuple

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "nexus_reimport.runbook.rollback",
        "nexus_reimport.show.kernel",
        "nexus_reimport.show",
        "ipykernel.kernelapp",
        "matplotlib.figure",
        "matplotlib.backends.backend_svg",
        "pandas",
    ]
)


def ready() -> None:
    """Start the process they are forked from, here: later its place may be a test's own folder."""
    forkserver.ensure_running()


class _Start(NamedTuple):
    """What a process has from the one that starts it, and not from the one it is forked from."""

    arguments: list[str]
    variables: dict[str, str]
    folder: str
    umask: int


class ForkedKernel:
    """A kernel's process, as jupyter_client uses the one that it starts itself."""

    stdin = stdout = stderr = None  # none of them is a pipe

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("a kernel", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self._process.ident, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def launch_kernel(
    cmd: list[str], *, stdout: IO[bytes], env: Mapping[str, str], cwd: str | None = None, **_: Any
) -> ForkedKernel:
    """As ``jupyter_client.launcher.launch_kernel``: ``cmd`` runs ``ipykernel_launcher``."""
    arguments = cmd[cmd.index("ipykernel_launcher") :]
    umask = os.umask(0)
    os.umask(umask)
    ours, its = PROCESSES.Pipe()
    output = Connection(os.dup(stdout.fileno()), readable=False)  # as one, a file can be passed on
    start = _Start(arguments, dict(env), cwd or str(Path.cwd()), umask)
    process = PROCESSES.Process(
        target=_kernel,
        args=(start, output, its),
        daemon=True,  # else this process waits for it at its own end
    )
    process.start()
    its.close()
    output.close()
    ours.recv()  # from now on it is in a session of its own, and no signal to that reaches us
    return ForkedKernel(process)


def _kernel(start: _Start, output: Connection, started: Connection) -> None:
    os.setsid()
    started.send(os.getpid())
    started.close()
    os.environ.clear()
    os.environ.update(start.variables)
    os.umask(start.umask)
    os.chdir(start.folder)
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    tempfile.tempdir = None
    sys.argv[:] = start.arguments
    from ipykernel import kernelapp

    try:
        kernelapp.launch_new_instance()
    finally:
        atexit._run_exitfuncs()  # a process of this kind would leave without them
