"""Halting a step half-way, killing what works for it, and looking at what is left."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from support.clinic import Clinic
from support.running import until


@contextmanager
def halted(
    environment: str, run: str, step: int, marker: Path, what: str = "apply"
) -> Iterator[subprocess.Popen[bytes]]:
    """One step in a process of its own, waiting after ``step`` of its parts."""
    command = [sys.executable, str(Path(__file__).parent / "apply_until.py")]
    arguments = [environment, run, str(step), str(marker), what]
    process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE)
    try:
        for _ in range(4800):  # four minutes: it starts slowly on a busy machine
            if marker.exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        assert marker.exists(), process.communicate()[1].decode()
        yield process
    finally:
        process.kill()
        process.communicate()


def kill_backend(clinic: Clinic) -> None:
    """Kill our session's backend as a crash does, and wait until the server is up again.

    The server ends every other session when it finds out, and refuses new ones until it has
    recovered: only a session that was open before shows that this has begun.
    """
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
