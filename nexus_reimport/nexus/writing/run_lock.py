"""The lock that lets one run at a time write to a database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from nexus_reimport.errors import Busy, TargetError
from nexus_reimport.events import Event, Journal, null_journal
from nexus_reimport.nexus.connection import standbys
from nexus_reimport.nexus.connection.postgres import Connection, is_lost, scalar, statement

LOCK_KEY = 0x6E65787573  # "nexus"


@contextmanager
def run_lock(
    connection: Connection, patience: float, journal: Journal = null_journal
) -> Iterator[None]:
    """The lock that lets one run at a time write to this database; waits at most ``patience`` s.

    The session of a killed run ends by itself, some seconds after its process. We wait for that and
    never end it ourselves, because it may be another run that is still working. ``journal`` gets
    our session: the server's process and its start, and the server's timeline.

    Raises:
        Busy: another session held the lock all the time; names pid, application and start. Nothing
            was written.
    """
    # An advisory lock belongs to the session, so a killed run's lock goes with its session.
    holder = _acquire(connection, patience, journal)
    if holder:
        raise Busy(
            f"another run is at work in this database: {holder} holds its lock",
            where=f"waited {patience:g} s for it",
            next="wait until it has ended, then run this step again. If that run was killed, the"
            " server ends its session by itself within a minute",
        )
    (ours,) = connection.execute(statement("own_session")).fetchall()
    line = standbys.timeline(connection)
    journal(Event.SESSION, pid=ours[0], since=ours[1], timeline=line)
    try:
        yield
    finally:
        if not is_lost(connection):
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))


def wait_for_run_lock(connection: Connection, patience: float) -> None:
    """Return when no writing transaction is open; waits at most ``patience`` seconds.

    Raises:
        TargetError: one is still open, and its COMMIT may be on its way. The state is not known.
    """
    holder = _acquire(connection, patience, null_journal)
    if holder:
        raise TargetError(
            "the run's own session still holds its lock: its COMMIT may be on its way",
            where=f"{holder}; waited {patience:g} s for it",
            state="not known yet",
            next="wait a minute: the server ends that session by itself; then run the same command"
            " again",
        )
    connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))


def _acquire(connection: Connection, patience: float, journal: Journal) -> str:
    """Take the run's lock; gives "" if we have it, else the session that held it to the end."""
    deadline, holder = time.monotonic() + patience, ""
    while not scalar(connection, "SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)):
        rows = connection.execute(statement("advisory_lock_holder"), {"key": LOCK_KEY}).fetchall()
        if rows and not holder:
            journal(Event.WAITING, of="the run's lock", pid=rows[0][0], since=rows[0][2])
        holder = _session(*rows[0]) if rows else "a session that has just ended"
        if time.monotonic() >= deadline:
            return holder
        time.sleep(0.1)
    return ""


def _session(pid: int, application: str, since: str) -> str:
    return f"pid {pid} ({application or 'no name'}, connected since {since} UTC)"
