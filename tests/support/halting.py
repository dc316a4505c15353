"""Halting a step half-way, killing what works for it, and looking at what is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
import pytest

from support import apply_until, forking
from support.clinic import Clinic
from support.running import until


class Halted:
    """A process that has halted in its step."""

    def __init__(self, process: BaseProcess) -> None:
        assert process.pid is not None
        self.pid = process.pid
        self._process = process

    def send_signal(self, sign: signal.Signals) -> None:
        """Send it a signal; it must not have been waited for."""
        os.kill(self.pid, sign)

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self._process.kill()

    def wait(self, seconds: float = 60) -> None:
        """Until it has ended."""
        self._process.join(seconds)
        assert not self._process.is_alive()


@contextmanager
def halted(
    environment: str, run: str, step: int, marker: Path, what: str = "apply"
) -> Iterator[Halted]:
    """One step in a process of its own, waiting after ``step`` of its parts."""
    log = marker.with_name(f"{marker.name}.log")
    arguments = (dict(os.environ), log, environment, run, step, marker, what)
    process = forking.process(apply_until.main, *arguments)
    process.start()
    try:
        for _ in range(4800):  # four minutes: it starts slowly on a busy machine
            if marker.exists() or not process.is_alive():
                break
            time.sleep(0.05)
        assert marker.exists(), log.read_text() if log.exists() else "it did not start"
        yield Halted(process)
    finally:
        process.kill()
        process.join()


def kill_backend(clinic: Clinic) -> None:
    """Kill our session's backend as a crash does, and wait until the server is up again.

    The server ends every other session when it finds out, and refuses new ones until it has
    recovered: only a session that was open before shows that this has begun. What was committed
    long before is on its disk: a commit of the tests' server waits for no disk, and would be lost.
    """
    with clinic.server.access.connect() as administrator:
        administrator.execute("CHECKPOINT")
    with clinic.connect() as witness:
        row = witness.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'nexus_reimport'"
            " AND datname = current_database()"
        ).fetchone()
        assert row is not None, "no session of ours"
        subprocess.run(["kill", "-9", str(row[0])], check=True)
        with contextlib.suppress(psycopg.OperationalError):
            while witness.execute("SELECT pg_sleep(0.05)"):
                pass
    for _ in range(600):
        try:
            clinic.value("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server did not come back")


def locked(clinic: Clinic) -> set[str]:
    """The tables on which a run holds the lock that keeps writers out, and lets readers in."""
    tables = (
        "SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        " WHERE l.mode = 'ExclusiveLock' AND l.granted AND c.relkind = 'r'"
    )
    return {table for (table,) in clinic.rows(tables)}


def nothing_left(clinic: Clinic) -> None:
    """No session and no lock of ours; one that was closed is gone some moments later."""
    sessions = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'nexus_reimport'"
        " AND datname = current_database()"
    )
    locks = (
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    until(lambda: (clinic.rows(sessions), clinic.rows(locks)) == ([], []))
