"""Ends our reading as soon as another session waits for it, and tries the step again.

A session that only reads also holds locks, as long as its snapshot. An ALTER TABLE waits for them,
and everyone who reads that table waits behind it. pg_dump may wait there too, while we wait for
pg_dump: a deadlock that PostgreSQL cannot detect. So another connection checks five times a second
whether a session waits for us. If one does, our session and pg_dump's are ended, and the step is
tried again when the table is free.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg

from nexus_reimport import wording
from nexus_reimport.errors import NOTHING_WRITTEN, LockConflict, TargetError
from nexus_reimport.events import Event, Journal
from nexus_reimport.nexus.connection.postgres import Connection, connected, scalar, statement
from nexus_reimport.nexus.connection.session import APPLICATION
from nexus_reimport.nexus.connection.watch import PAUSE, RETRY, Watch
from nexus_reimport.settings import Postgres

T = TypeVar("T")
TRIES = 3
QUIET = 15.0  # seconds: the longest wait for a table between two tries, without any lock
_NEXT = (
    "wait until that work has ended (ALTER TABLE, VACUUM FULL, LOCK TABLE, a migration), or choose"
    " a quieter hour; then run this step again"
)
END_PREPARED = (
    "a prepared transaction has no session that could end: have an administrator end it in this"
    " database, by COMMIT PREPARED or ROLLBACK PREPARED with its name; then run this step again"
)


@contextmanager
def reading(target: Postgres, state: str = NOTHING_WRITTEN) -> Iterator[Connection]:
    """A connection for long reads, which ends as soon as another session waits for it.

    Raises:
        LockConflict: one waited, or has locked a table that we read. We hold no lock any more.
    """
    with connected(target, state) as connection:
        watch = _Watch(target, connection)
        try:
            with watch:
                yield connection
        except (TargetError, psycopg.Error) as error:
            if watch.seen:
                raise released(watch.seen, state) from None
            if isinstance(error, psycopg.errors.LockNotAvailable):
                raise locked_out(target, state) from None
            raise


def tried_again(target: Postgres, work: Callable[[], T], journal: Journal) -> T:
    """The result of ``work``, tried at most three times while locks of others conflict with it.

    Between two tries we hold no lock, and wait some seconds for the other session to end. Each
    conflict goes to ``journal``.

    Raises:
        LockConflict: the last try failed too. We hold no lock.
    """
    for attempt in range(1, TRIES):
        try:
            return work()
        except LockConflict as error:
            journal(Event.LET_GO, what=error.what, attempt=attempt)
            left = error.state
        _wait_until_free(target, left)
    try:
        return work()
    except LockConflict as error:
        raise LockConflict(
            error.what, where=f"tried {TRIES} times", state=error.state, next=error.next
        ) from None


def _wait_until_free(target: Postgres, state: str) -> None:
    end = time.monotonic() + QUIET
    with connected(target, state) as connection:
        while time.monotonic() < end and _in_the_way(connection):
            time.sleep(PAUSE)


def _in_the_way(connection: Connection) -> list[Any]:
    return connection.execute(statement("in_the_way"), {"ours": APPLICATION}).fetchall()


def released(seen: Sequence[tuple[int | None, str, str]], state: str) -> LockConflict:
    """The error after we released our locks: which sessions waited, and for which tables."""
    return LockConflict(
        f"another session waited for what we read, so we released our locks: {_listed(seen)}",
        state=f"{state}; no lock and no snapshot is held any more",
        next=_NEXT,
    )


def locked_out(target: Postgres, state: str) -> LockConflict:
    """The error after a lock time-out while we read; looks up which sessions hold the lock now."""
    with connected(target, state) as connection:
        holders = _in_the_way(connection)
    return LockConflict(
        "a table could not be read, because another session has locked it: "
        + (_listed(holders) or "that session has just ended"),
        state=f"{state}; no lock and no snapshot is held any more",
        next=_NEXT if all(pid is not None for pid, *_ in holders) else END_PREPARED,
    )


def who(pid: int | None, name: str) -> str:
    """Who holds a lock, as a message says it: a session, or a prepared transaction by its name."""
    return name if pid is None else f"pid {pid} ({name or 'no name'})"


def _listed(sessions: Sequence[tuple[int | None, str, str]]) -> str:
    texts = (
        who(pid, name) + (f", table {table}" if table else "") for pid, name, table in sessions
    )
    return wording.some(texts, between="; ")


class _Watch(Watch):
    """Looks for sessions that wait for ``reader``'s; on the first one it ends our reading."""

    def __init__(self, target: Postgres, reader: Connection) -> None:
        super().__init__(target, "waiters")
        self.seen: tuple[tuple[int, str, str], ...] = ()
        # By the server's clock: sessions of ours that begin later (pg_dump) belong to this reading.
        since = "SELECT pg_backend_pid(), clock_timestamp()::text"
        ((pid, at),) = reader.execute(since).fetchall()
        self._asked = {"ours": APPLICATION, "pid": pid, "since": at}

    def watch(self) -> None:
        """Look until a session waits, or the block ends."""
        while not self.done.is_set() and not self.seen:
            with suppress(TargetError), self.connection() as connection:
                self._look_repeatedly(connection)
            if not self.seen:
                self.done.wait(RETRY)

    def _look_repeatedly(self, connection: Connection) -> None:
        while not self.done.wait(PAUSE):
            rows = connection.execute(statement("waiters"), self._asked).fetchall()
            if rows:
                self.seen = tuple((pid, name or "", table) for pid, name, table in rows)
                scalar(connection, statement("let_go"), self._asked)
                return
