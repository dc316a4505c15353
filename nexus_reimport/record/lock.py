"""Who is at work: one runner per environment, and the processes that work on one run.

Each is a locked file: the system lets go of the lock when the process ends in any way.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import environ
from nexus_reimport.errors import Busy
from nexus_reimport.files import private
from nexus_reimport.settings import Settings

RUNNER_VARIABLE = "NEXUS_REIMPORT_RUNNER"
WORKERS = ".at_work"  # in a run's private folder: one locked file per process that works on it
STEP = ".at_step"  # there too: the file that the process locks which is at a step of the run


# ---------------------------------------------------------------- one runner per environment


@contextmanager
def at_work(settings: Settings) -> Iterator[None]:
    """Held by the runner while it is at work; its kernels know it by an environment variable.

    Raises:
        Busy: another runner is at work in this environment.
    """
    with private.lock(_path(settings)) as file:
        if file is None:
            raise _busy(settings)
        file.truncate(0)
        token = secrets.token_hex(8)
        with private.named(_path(settings)):  # a disk that is full: no buffer tries it once more
            os.write(file.fileno(), token.encode())
        try:
            with environ.changed({RUNNER_VARIABLE: token}):
                yield
        finally:
            file.truncate(0)


def refuse_second(settings: Settings) -> None:
    """Raise Busy while a runner is at work in this environment, unless it is our own."""
    path = _path(settings)
    token = path.read_text(encoding="ascii") if path.is_file() else ""
    is_ours = token and token == os.environ.get(RUNNER_VARIABLE)
    if not is_ours and private.is_locked(path):
        raise _busy(settings)


def is_taken(settings: Settings) -> bool:
    """Whether a runner is at work in this environment."""
    return private.is_locked(_path(settings))


def taken_at(settings: Settings) -> datetime | None:
    """When the runner that was at work last has begun; None where there was none."""
    try:
        return datetime.fromtimestamp(_path(settings).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def _path(settings: Settings) -> Path:
    return settings.records_folder / ".at_work"


def _busy(settings: Settings) -> Busy:
    return Busy(
        f"another command is at work in {settings.name}",
        state="nothing new was started",
        next=f"wait until it has ended; nexus-reimport record list {settings.name} shows it",
    )


# ---------------------------------------------------------------- the workers of one run


@contextmanager
def working(folder: Path) -> Iterator[None]:
    """Held by a process while it works on the run: by it a live run is told from a killed one.

    ``folder`` is the private one of the run.
    """
    path = folder / WORKERS / f"{os.getpid()}-{secrets.token_hex(4)}"
    with ExitStack() as held:
        with suppress(OSError):  # a disk that is full must not become the stage's error
            held.enter_context(private.lock(path))
            held.callback(path.unlink, missing_ok=True)
        yield


@contextmanager
def one_step(folder: Path) -> Iterator[bool]:
    """Held by the one process that is at a step of the run; False where another one is.

    ``folder`` is the private one of the run.
    """
    is_ours = True
    with ExitStack() as held:
        with suppress(OSError):  # as in ``working``
            is_ours = held.enter_context(private.lock(folder / STEP)) is not None
        yield is_ours


def workers(folder: Path) -> tuple[int, ...]:
    """The processes that are at work on the run: those that hold their lock."""
    return tuple(
        int(path.name.partition("-")[0])
        for path in sorted((folder / WORKERS).glob("*-*"))
        if private.is_locked(path)
    )
