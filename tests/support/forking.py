"""Processes forked from one that has the libraries loaded, which takes longer than most tests.

Each is a process of its own: it can be killed, stopped and interrupted like any other.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["support.loaded"])
_TESTS = Path(__file__).parents[1]


def process(target: Callable[..., None], *given: Any) -> BaseProcess:
    """A process that does ``target``, forked from the one with the libraries; not started yet.

    This process does not wait for it at its own end.
    """
    # The one that forks imports from its own path alone, and says nothing of what it cannot import.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(_TESTS), prepend=os.pathsep)
        forkserver.ensure_running()
    return _CONTEXT.Process(target=target, args=given, daemon=True)


class _Start(NamedTuple):
    """What a process has from the one that starts it, and not from the one it is forked from."""

    words: tuple[str, ...]
    variables: dict[str, str]
    folder: str
    umask: int


class Command:
    """``nexus-reimport`` with these words, as a person starts it: a session and pipes of its own.

    It and its kernels are forked. The same of ``subprocess.Popen``, for text; ``output`` is where
    both go if they are not read. For tests of what it does; of how it starts: ``started``.
    """

    def __init__(
        self,
        *words: str,
        variables: Mapping[str, str] | None = None,
        folder: Path | None = None,
        output: IO[bytes] | None = None,
    ) -> None:
        umask = os.umask(0)
        os.umask(umask)
        given = dict(os.environ if variables is None else variables)
        start = _Start(words, given, str(folder or Path.cwd()), umask)
        ours, its = _CONTEXT.Pipe()
        self._read: list[_Reader] = []
        outputs = [self._passed(output) for _ in range(2)]
        self._process = process(_command, start, *outputs, its)
        self._process.start()
        for passed in (its, *outputs):
            passed.close()
        for reader in self._read:
            reader.start()
        self.pid: int = ours.recv()  # now it is in a session of its own
        ours.close()

    def _passed(self, output: IO[bytes] | None) -> Connection:
        """A file that the process writes: as a connection, it can be passed on."""
        if output is not None:
            return Connection(os.dup(output.fileno()), readable=False)
        read, write = os.pipe()
        self._read.append(_Reader(read))
        return Connection(write, readable=False)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.join()

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    poll = returncode.fget  # type: ignore[attr-defined]

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended."""
        self._process.join(timeout)
        code = self.returncode
        if code is None:
            raise subprocess.TimeoutExpired("nexus-reimport", timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, ...]:
        """What it has written, once it has ended."""
        self.wait(timeout)
        return tuple(reader.text(timeout) for reader in self._read)

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self._process.kill()


class _Reader(threading.Thread):
    """Reads a pipe to its end."""

    def __init__(self, pipe: int) -> None:
        super().__init__(daemon=True)
        self._pipe, self._all = pipe, b""

    def run(self) -> None:
        with os.fdopen(self._pipe, "rb") as file:
            self._all = file.read()

    def text(self, timeout: float | None) -> str:
        self.join(timeout)
        return self._all.decode()


def _command(start: _Start, out: Connection, err: Connection, started: Connection) -> None:
    os.setsid()
    started.send(os.getpid())
    started.close()
    os.environ.clear()
    os.environ.update(start.variables)
    os.umask(start.umask)
    os.chdir(start.folder)
    for number, file in ((1, out), (2, err)):
        os.dup2(file.fileno(), number)
        file.close()
    # Made anew, as in a process that is started: what they were is told from what they led to.
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, closefd=False)
    tempfile.tempdir = None
    from nexus_reimport import forked
    from nexus_reimport.cli import main

    forked.ForkServer._started = _Forked  # type: ignore[assignment, method-assign]
    sys.argv[:] = ["nexus-reimport", *start.words]
    main()


class _Forked:
    """The process that a command's kernels are forked from, itself forked from the command."""

    def __init__(self) -> None:
        (its_in, given), (answers, its_out) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(given)
            os.close(answers)
            _fork_server(its_in, its_out)
        os.close(its_in)
        os.close(its_out)
        self.stdin, self.stdout = os.fdopen(given, "wb"), os.fdopen(answers, "rb")
        self._code: int | None = None

    def poll(self) -> int | None:
        return self._code if self._code is not None else self._waited(os.WNOHANG)

    def wait(self) -> int | None:
        return self._code if self._code is not None else self._waited(0)

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, 9)

    def _waited(self, how: int) -> int | None:
        ended, status = os.waitpid(self.pid, how)
        self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code


def _fork_server(its_in: int, its_out: int) -> None:
    from nexus_reimport.runner import fork_server

    os.setsid()
    os.dup2(its_in, 0)
    os.dup2(its_out, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.closerange(3, 256)
    sys.stdin, sys.stdout = (os.fdopen(n, mode, closefd=False) for n, mode in ((0, "r"), (1, "w")))
    try:
        fork_server.main()
    finally:
        os._exit(0)
