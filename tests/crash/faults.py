"""The faults: each does its harm at one instant, and is taken back before the next run."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from . import disk, look
from .fixture import DATABASE, Command, World
from .journal import TICK, Journal, Point

PRODUCT = "nexus_reimport"  # the name under which it connects
DOWN = 1.0  # seconds that PostgreSQL is gone while the run goes on
_OURS = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
    " ORDER BY query_start DESC NULLS LAST"
)


class Fault(StrEnum):
    """What goes wrong."""

    RUNNER = "runner killed"
    KERNEL = "kernel killed"
    BACKEND = "backend killed"
    STOP = "server stopped"
    CUT = "connection cut"
    DISK = "disk full"
    FILEMAKER = "FileMaker gone"
    STORAGE = "S3 gone"
    LOST = "COMMIT not delivered"
    LOST_AWAY = "COMMIT not delivered, server out of reach"
    UNHEARD = "answer to COMMIT lost"
    UNHEARD_AWAY = "answer to COMMIT lost, server out of reach"


AT_COMMIT = (Fault.LOST, Fault.LOST_AWAY, Fault.UNHEARD, Fault.UNHEARD_AWAY)
KILLS_COMMAND = (Fault.RUNNER,)  # after it the command has no exit code of its own
KILLING = (Fault.RUNNER, Fault.KERNEL, Fault.BACKEND, Fault.STOP, Fault.CUT)
ORDERLY = (Fault.BACKEND, Fault.STOP, Fault.CUT, Fault.DISK, Fault.FILEMAKER, Fault.STORAGE)
NEEDS_SESSION = (Fault.BACKEND, Fault.CUT)  # there is nothing to strike without one


class Struck:
    """How a strike went: where the run really was, and whether there was anything to strike."""

    def __init__(self) -> None:
        self.at: Point | None = None
        self.hit = False


def sessions(world: World) -> list[int]:
    """The server's processes that work for the product, the busiest first."""
    with look.connect(world.server.dsn()) as connection:
        return [pid for (pid,) in connection.execute(_OURS, (PRODUCT,))]


def strike(
    world: World,
    command: Command,
    journal: Journal,
    fault: Fault,
    came: Callable[[], bool],
    *,
    anywhere: bool = False,
) -> Struck:
    """Wait until ``came`` says that the instant is there, then do ``fault`` to the run.

    The notebook's kernel is halted meanwhile, so that nothing moves under the blow. What is to be
    struck may come late: it is waited for until the next point, or, ``anywhere``, to the end.
    """
    struck = Struck()
    if fault in AT_COMMIT:
        return _at_commit(world, command, journal, fault)
    if not came() or not command.runs():
        return struck
    target = _TARGETS.get(fault)
    if target:
        points = None if anywhere else len(journal.points)
        if not _appears(lambda: target(world, command, journal), command, journal, points):
            return struck
    with _halted(command.kernel(journal.kernel)) as kernel:
        world.watched |= command.family()
        journal.look()
        struck.at = journal.last
        struck.hit = _do(world, command, fault, kernel)
    if fault is Fault.STOP:
        time.sleep(DOWN)
        world.start_server()
    elif fault is Fault.BACKEND:
        world.await_server()
    return struck


def take_back(world: World) -> None:
    """Everything is there again."""
    for proxy in (world.postgres, world.filemaker, world.storage):
        proxy.come_back()
    if world.disk:
        world.disk.empty()
    world.await_server()


def _do(world: World, command: Command, fault: Fault, kernel: int) -> bool:
    """The blow itself; False if there was nothing to strike."""
    match fault:
        case Fault.RUNNER:
            command.process.kill()
        case Fault.KERNEL:
            return _kill(kernel)
        case Fault.BACKEND:
            return _kill(next(iter(sessions(world)), 0))
        case Fault.STOP:
            world.stop_server()
        case Fault.CUT:
            return world.postgres.cut() > 0
        case Fault.DISK:
            return _fill(world, kernel)
        case Fault.FILEMAKER:
            world.filemaker.go_away()
        case Fault.STORAGE:
            world.storage.go_away()
    return True


def _fill(world: World, kernel: int) -> bool:
    if world.disk:
        world.disk.fill()
    elif kernel:
        disk.limit(kernel, world.runs)
    return bool(world.disk or kernel)


def _at_commit(world: World, command: Command, journal: Journal, fault: Fault) -> Struck:
    struck = Struck()
    snare = world.postgres.at_commit(
        DATABASE,
        PRODUCT,
        "before" if fault in (Fault.LOST, Fault.LOST_AWAY) else "after",
        stays_away=fault in (Fault.LOST_AWAY, Fault.UNHEARD_AWAY),
    )
    while command.runs() and not snare.sprung.wait(TICK):
        pass
    journal.look()
    struck.at, struck.hit = journal.last, snare.sprung.is_set()
    return struck


def _appears(
    there: Callable[[], object], command: Command, journal: Journal, points: int | None
) -> bool:
    """Wait for what is to be struck: a step may begin before its connection or its kernel does."""
    while command.runs() and points in (None, len(journal.points)):
        if there():
            return True
        time.sleep(TICK)
        journal.look()
    return False


def _kernel(world: World, command: Command, journal: Journal) -> object:
    return command.kernel(journal.kernel)


def _session(world: World, command: Command, journal: Journal) -> object:
    return world.postgres.open and sessions(world)


_TARGETS = {Fault.KERNEL: _kernel, Fault.BACKEND: _session, Fault.CUT: _session}


@contextmanager
def _halted(pid: int) -> Iterator[int]:
    _signal(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        _signal(pid, signal.SIGCONT)


def _kill(pid: int) -> bool:
    return _signal(pid, signal.SIGKILL)


def _signal(pid: int, sign: signal.Signals) -> bool:
    """Send it; False if there is no such process."""
    if pid <= 0:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)
        return True
    return False
