"""Who is at work: one runner per environment, and the processes that work on one run.

Each is a locked file: the system lets go of the lock when the process ends in any way.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nexus_reimport.errors import Busy
from nexus_reimport.settings import Settings

RUNNER_VARIABLE = "NEXUS_REIMPORT_RUNNER"
WORKERS = ".at_work"  # in a run's private folder: one locked file per process that works on it


# ---------------------------------------------------------------- one runner per environment


@contextmanager
def at_work(settings: Settings) -> Iterator[None]:
    """Held by the runner while it is at work; its kernels know it by an environment variable.

    Raises:
        Busy: another runner is at work in this environment.
    """
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+") as file:
        if not _taken(file.fileno()):
            raise _busy(settings)
        file.truncate(0)
        token = secrets.token_hex(8)
        file.write(token)
        file.flush()
        os.environ[RUNNER_VARIABLE] = token
        try:
            yield
        finally:
            os.environ.pop(RUNNER_VARIABLE, None)
            file.truncate(0)


def refuse_second(settings: Settings) -> None:
    """Raise Busy while a runner is at work in this environment, unless it is our own."""
    path = _path(settings)
    if not path.is_file():
        return
    with path.open("r") as file:
        token = file.read()
        if token and token == os.environ.get(RUNNER_VARIABLE):
            return
        if not _taken(file.fileno()):
            raise _busy(settings)


def _path(settings: Settings) -> Path:
    return settings.folders.runs / settings.name / ".at_work"


def _busy(settings: Settings) -> Busy:
    return Busy(
        f"another run of {settings.name} is at work",
        state="nothing new was started",
        next=f"wait until it has ended; nexus-reimport record list {settings.name} shows it",
    )


# ---------------------------------------------------------------- the workers of one run


@contextmanager
def working(private: Path) -> Iterator[None]:
    """Held by a process while it works on the run: by it a live run is told from a killed one."""
    path = private / WORKERS / f"{os.getpid()}-{secrets.token_hex(4)}"
    file = None
    with suppress(OSError):  # a disk that is full must not become the stage's error
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("x")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        if file is not None:
            path.unlink(missing_ok=True)
            file.close()


def workers(private: Path) -> tuple[int, ...]:
    """The processes that are at work on the run: those that hold their lock."""
    return tuple(
        int(path.name.partition("-")[0])
        for path in sorted((private / WORKERS).glob("*-*"))
        if _is_held(path)
    )


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock of this file; whoever looks at the same time holds none."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
