"""Whoever waits for what we read is seen, and we let go first.

What only reads holds locks all the same, for as long as its snapshot. An ALTER TABLE waits for
them, and everybody who reads that table waits behind it; so may pg_dump, for which we wait in turn:
a circle that PostgreSQL cannot see. So another connection looks five times a second whether anybody
waits for us. As soon as somebody does, our session and pg_dump's are ended, and the step is tried
again once the table is free.
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
from nexus_reimport.nexus.postgres import Connection, connected, scalar, statement
from nexus_reimport.nexus.session import APPLICATION
from nexus_reimport.nexus.watch import PAUSE, RETRY, Watch
from nexus_reimport.settings import Postgres

T = TypeVar("T")
TRIES = 3
QUIET = 15.0  # seconds at most that a table is waited for between two tries, nothing held
_NEXT = (
    "let that work end (ALTER TABLE, VACUUM FULL, LOCK TABLE, a migration), or choose a quieter"
    " hour; then run this step again"
)


@contextmanager
def reading(target: Postgres, state: str = NOTHING_WRITTEN) -> Iterator[Connection]:
    """A connection for long reads, which ends as soon as another session waits for it.

    Raises:
        LockConflict: one did, or holds what we want to read. No lock is held any more.
    """
    with connected(target, state) as connection:
        watch = _Watch(target, connection)
        try:
            with watch:
                yield connection
        except (TargetError, psycopg.Error) as error:
            if watch.seen:
                raise let_go(watch.seen, state) from None
            if isinstance(error, psycopg.errors.LockNotAvailable):
                raise _kept_out(target, state) from None
            raise


def tried_again(target: Postgres, work: Callable[[], T], journal: Journal) -> T:
    """``work``, at most three times where others' locks and our reading are in each other's way.

    Between two tries nothing is held, and the other session's end is waited for, for some seconds.
    ``journal`` hears of each.

    Raises:
        LockConflict: the last try, too.
    """
    for attempt in range(1, TRIES):
        try:
            return work()
        except LockConflict as error:
            journal(Event.LET_GO, what=error.what, attempt=attempt)
        _wait_until_free(target)
    try:
        return work()
    except LockConflict as error:
        raise LockConflict(
            error.what, where=f"tried {TRIES} times", state=error.state, next=error.next
        ) from None


def _wait_until_free(target: Postgres) -> None:
    end = time.monotonic() + QUIET
    with connected(target) as connection:
        while time.monotonic() < end and _in_the_way(connection):
            time.sleep(PAUSE)


def _in_the_way(connection: Connection) -> list[Any]:
    return connection.execute(statement("in_the_way"), {"ours": APPLICATION}).fetchall()


def let_go(seen: Sequence[tuple[int, str, str]], state: str) -> LockConflict:
    """What is told once we have let go: who waited, and for which table."""
    return LockConflict(
        f"another session waited for what we read, so we let go: {_listed(seen)}",
        state=f"{state}; no lock and no snapshot is held any more",
        next=_NEXT,
    )


def _kept_out(target: Postgres, state: str) -> LockConflict:
    """We waited for a lock, for as long as we may; who is in the way is asked afterwards."""
    with connected(target, state) as connection:
        holders = _in_the_way(connection)
    return LockConflict(
        "a table could not be read, since another session has locked it: "
        + (_listed(holders) or "it has just ended"),
        state=f"{state}; no lock and no snapshot is held any more",
        next=_NEXT,
    )


def _listed(sessions: Sequence[tuple[int, str, str]]) -> str:
    told = (
        f"pid {pid} ({name or 'no name'})" + (f", table {table}" if table else "")
        for pid, name, table in sessions
    )
    return wording.some(told, between="; ")


class _Watch(Watch):
    """Looks for sessions that wait for ``reader``'s; a pause and a moment later we let go."""

    def __init__(self, target: Postgres, reader: Connection) -> None:
        super().__init__(target, "waiters")
        self.seen: tuple[tuple[int, str, str], ...] = ()
        since = "SELECT pg_backend_pid(), clock_timestamp()::text"
        ((pid, at),) = reader.execute(since).fetchall()
        self._asked = {"ours": APPLICATION, "pid": pid, "since": at}

    def watch(self) -> None:
        """Until somebody waits, or the block ends."""
        while not self.done.is_set() and not self.seen:
            with suppress(TargetError), self.connection() as connection:
                self._look_again_and_again(connection)
            if not self.seen:
                self.done.wait(RETRY)

    def _look_again_and_again(self, connection: Connection) -> None:
        while not self.done.wait(PAUSE):
            rows = connection.execute(statement("waiters"), self._asked).fetchall()
            if rows:
                self.seen = tuple((pid, name or "", table) for pid, name, table in rows)
                scalar(connection, statement("let_go"), self._asked)
                return
