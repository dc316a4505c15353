"""The writing transaction: one at a time, its locks, its steps, its bounded wait, its COMMIT.

``write_transaction`` is the only function that opens one. A stage gives it the work; the stages
that do are ``apply`` and ``undo``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from nexus_reimport.errors import Busy, InDoubt, TargetError
from nexus_reimport.events import Event, Journal, null_journal
from nexus_reimport.nexus import session, waiters
from nexus_reimport.nexus.postgres import (
    LOST,
    Connection,
    connected,
    scalar,
    statement,
    table_name,
)
from nexus_reimport.settings import Postgres

T = TypeVar("T")
LOCK_KEY = 0x6E65787573  # "nexus"
ROLLED_BACK = "rolled back, the database is as it was"
AUTOVACUUM = "autovacuum worker"
_TRANSACTION_TIMEOUT = 170000  # the version that has it
# Lost; cancelled by its time limit; ended as idle, or by another session: the one of ``Deadline``.
_CUT_SHORT = (None, "57014", "25P03", "57P01")
_ENDED = ("FATAL", "PANIC")  # with these the server ends the session
_ROUGHLY = 0.5  # seconds: the server's clock began a moment before ours
Writes = Mapping[str, tuple[int, int, int]]  # table -> rows inserted, updated, deleted
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Reports:
    """Who hears of a transaction's steps: the journal under the stage's name, and a bar."""

    stage: str
    steps: int
    journal: Journal
    progress: Progress | None = None


class Transaction:
    """One writing transaction: its connection, its timed steps, what it has written so far."""

    def __init__(
        self,
        connection: Connection,
        target: Postgres,
        schema: str,
        reports: Reports,
    ) -> None:
        self.connection, self.schema = connection, schema
        self.timings: dict[str, float] = {}
        self.locked_at = 0.0
        self._target, self._reports = target, reports
        self._end: float | None = None
        self._deadline: Deadline | None = None
        self._at_start = self._counters()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A named step: journalled when it starts, timed when it has ended."""
        self._reports.journal(Event.STEP, stage=self._reports.stage, step=name)
        self.let_go_first()
        began = time.monotonic()
        yield
        self.ended(name, time.monotonic() - began)

    def let_go_first(self) -> None:
        """Stop where somebody waits for us although we have not got our locks yet.

        Reading alone holds up an ALTER TABLE, and with it all who read that table. Once we have
        our locks, others wait, and that time is bounded.

        Raises:
            LockConflict: somebody does.
        """
        if self._end is None:
            _let_go(self.connection)

    def ended(self, name: str, seconds: float) -> None:
        """A step took so long."""
        self.timings[name] = seconds
        if self._reports.progress:
            self._reports.progress(len(self.timings), self._reports.steps)

    def fix_session(self) -> None:
        """The settings under which values are printed and hashed, whatever the role's own are."""
        session.tell_again(self.connection)

    def lock(self, tables: Sequence[str]) -> None:
        """EXCLUSIVE locks on ``tables``; from here on others wait, and the time is counted.

        Raises:
            Busy: somebody held one of them all the time; names pid and application.
        """
        places = [table_name(self.schema, table) for table in tables]
        limit = self._target.max_writers_wait
        bound = sql.SQL("SET LOCAL idle_in_transaction_session_timeout = {}")
        self.connection.execute(bound.format(sql.Literal(_milliseconds(limit))))
        if not _keeps_time(self.connection):
            self._deadline = Deadline(self._target, self.connection)
        _lock_tables(self.connection, places, self._target.lock_wait, limit)
        if self._deadline:
            self._deadline.start(limit)
        self.locked_at = time.monotonic()
        self._end = self.locked_at + limit

    @contextmanager
    def in_time(self) -> Iterator[None]:
        """The whole of the transaction, COMMIT included, which the server ends at its time.

        Raises:
            Busy: it did, or a statement was cut short by it. It is rolled back.
        """
        try:
            yield
        except psycopg.Error as error:
            if isinstance(error, psycopg.errors.TransactionTimeout) or self._is_cut_short(error):
                raise _too_long() from None
            raise
        finally:
            if self._deadline:
                self._deadline.close()

    def _is_cut_short(self, error: psycopg.Error) -> bool:
        """Whether the time was up, and an error that the end of it makes."""
        up = self._end is not None and time.monotonic() > self._end - _ROUGHLY
        return up and error.sqlstate in _CUT_SHORT and isinstance(error, LOST)

    def execute(self, query: sql.SQL | sql.Composed, parameters: Any = None) -> int:
        """Execute one statement within what is left of ``max_writers_wait``; its row count."""
        self.check_time()
        return self.connection.execute(query, parameters).rowcount

    def check_time(self) -> None:
        """Bound the next statement by what is left of the time that others may wait for us.

        Raises:
            Busy: the time is up.
        """
        if self._end is None:
            return
        left = self._end - time.monotonic()
        if left <= 0:
            raise _too_long()
        self.connection.execute(
            sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(_milliseconds(left)))
        )

    def waited(self) -> float:
        """Seconds that others may have waited for us so far."""
        return time.monotonic() - self.locked_at

    def committed(self, before: float) -> float:
        """Seconds that others waited at most, COMMIT included; ``before`` is without it."""
        waited = self.waited()
        self.ended("commit", waited - before)
        return waited

    def writes(self) -> Writes:
        """What this transaction has written so far, table by table.

        The server may count earlier work of this session too: that is taken off.
        """
        made = {}
        for table, (inserted, updated, deleted) in self._counters().items():
            then = self._at_start.get(table, (0, 0, 0))
            made[table] = (inserted - then[0], updated - then[1], deleted - then[2])
        return made

    def _counters(self) -> dict[str, tuple[int, int, int]]:
        rows = self.connection.execute(statement("writes"), {"schema": self.schema})
        return {table: (i, u, d) for table, i, u, d in rows}


def touched(connection: Connection) -> tuple[tuple[str, str], ...]:
    """Schema and name of all that the open transaction can have written to, sequences included.

    By its locks: a proof beside the counters, which another setting may switch off.
    """
    return tuple(connection.execute(statement("touched")).fetchall())


def write_transaction(
    connection: Connection, work: Callable[[], T], *, commit: bool, journal: Journal
) -> T:
    """The only transaction that writes clinic data: ``work`` in it, then COMMIT or ROLLBACK.

    ``journal`` gets "committing" before COMMIT is sent, "committed" as soon as it has succeeded.

    Raises:
        InDoubt: the connection was lost, or we were interrupted, while COMMIT was on its way.
    """
    connection.execute("BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED")
    try:
        result = work()
        if not commit:
            connection.execute("ROLLBACK")
            return result
        session.require_at_commit(connection, ROLLED_BACK)
    except BaseException:
        if not connection.closed and not connection.broken:
            connection.execute("ROLLBACK")
        raise
    journal(Event.COMMITTING)
    try:
        connection.execute("COMMIT")
    except psycopg.Error as error:
        if _is_in_doubt(connection, error):
            raise _in_doubt("the connection was lost") from None
        journal(Event.NOT_COMMITTED)
        raise
    except BaseException:
        raise _in_doubt("the run was interrupted") from None
    journal(Event.COMMITTED)
    return result


def _is_in_doubt(connection: Connection, error: psycopg.Error) -> bool:
    """Whether the server has ended instead of answering COMMIT.

    Its own time-out is an answer: it is off while the server commits.
    """
    if isinstance(error, psycopg.errors.TransactionTimeout):
        return False
    ended = connection.closed or connection.broken
    return isinstance(error, LOST) and (ended or error.diag.severity_nonlocalized in _ENDED)


def _in_doubt(what: str) -> InDoubt:
    return InDoubt(
        f"{what} while COMMIT was on its way",
        state="either as before or with everything that was approved: not known yet",
        next="run `nexus-reimport settle ENV`; it asks the database",
    )


@contextmanager
def run_lock(
    connection: Connection, patience: float, journal: Journal = null_journal
) -> Iterator[None]:
    """The lock that lets one run at a time write into this database, at most ``patience`` later.

    What a killed run has left on the server ends by itself, some seconds after its process: it is
    waited for, and never ended by us, since it may be somebody else's run. ``journal`` hears which
    session has the lock then: the server's process and its start.

    Raises:
        Busy: another session has held it all the time; names pid, application and start.
    """
    holder = _taken(connection, patience, journal)
    if holder:
        raise Busy(
            f"another run is at work in this database: {holder} holds its lock",
            where=f"waited {patience:g} s for it",
            next="wait until it has ended, then run this step again. If that run was killed, the"
            " server ends its session within a minute, by itself",
        )
    (mine,) = connection.execute(statement("own_session")).fetchall()
    journal(Event.SESSION, pid=mine[0], since=mine[1])
    try:
        yield
    finally:
        if not connection.closed and not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))


def wait_for_run_lock(connection: Connection, run: str, patience: float) -> None:
    """Return once nobody is in a writing transaction any more; waits at most ``patience`` seconds.

    Raises:
        TargetError: somebody still is; its COMMIT may be on its way.
    """
    holder = _taken(connection, patience, null_journal)
    if holder:
        raise TargetError(
            "the run's own session still holds its lock: its COMMIT may be on its way",
            where=f"{holder}; waited {patience:g} s for it",
            state="not known yet",
            next=f"wait a minute, then settle run {run} again: nexus-reimport settle",
        )
    connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK_KEY,))


def _taken(connection: Connection, patience: float, journal: Journal) -> str:
    """Take the lock of one run at a time; "" where it was had, else who had it to the end."""
    deadline, holder = time.monotonic() + patience, ""
    while not scalar(connection, "SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)):
        rows = connection.execute(statement("run_lock_holder"), {"key": LOCK_KEY}).fetchall()
        if rows and not holder:
            journal(Event.WAITING, of="the run's lock", pid=rows[0][0], since=rows[0][2])
        holder = _session(*rows[0]) if rows else "a session that has just ended"
        if time.monotonic() >= deadline:
            return holder
        time.sleep(0.1)
    return ""


def _session(pid: int, application: str, since: str) -> str:
    return f"pid {pid} ({application or 'no name'}, connected since {since} UTC)"


class Deadline:
    """Ends a transaction at its time from a session of its own, where the server cannot.

    PostgreSQL knows ``transaction_timeout`` from 17 on. Before, what waits and then ends is sent to
    the server at once and as a whole, so that the server keeps the time while we stand still. It
    ends this one transaction, and never another one of the same session.
    """

    def __init__(self, target: Postgres, transaction: Connection) -> None:
        about = "SELECT pg_backend_pid(), now()::text"
        ((self._pid, self._began),) = transaction.execute(about).fetchall()
        self._open = ExitStack()
        self._connection = self._open.enter_context(connected(target, ROLLED_BACK))

    def start(self, seconds: float) -> None:
        """From now on the transaction has that long."""
        command = sql.SQL(
            "SET statement_timeout = 0; SELECT pg_sleep({});"
            " SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid = {} AND xact_start = {}::timestamptz"
        ).format(*map(sql.Literal, (seconds, self._pid, self._began)))
        self._connection.pgconn.send_query(command.as_bytes(self._connection))
        self._connection.pgconn.flush()

    def close(self) -> None:
        """Nothing is ended any more."""
        with suppress(psycopg.Error, TargetError):
            self._connection.cancel_safe()
        with suppress(psycopg.Error, TargetError):
            self._open.close()


def _keeps_time(connection: Connection) -> bool:
    """Whether the server itself ends a transaction at its time."""
    return connection.info.server_version >= _TRANSACTION_TIMEOUT


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000) + 1


def _too_long() -> Busy:
    return Busy(
        "others have waited for us as long as max_writers_wait allows",
        state=ROLLED_BACK,
        next="choose a quieter hour, or raise max_writers_wait in the environment",
    )


def _lock_tables(
    connection: Connection, tables: Sequence[sql.Identifier], patience: float, limit: float
) -> None:
    """EXCLUSIVE locks on ``tables``, tried again and again for at most ``patience`` seconds.

    Readers go on, writers wait. Nothing is waited for in the lock queue, so that we hold nobody up
    while we do not have all of them. With the locks comes the time at which the server ends the
    transaction, ``limit`` seconds later: in one command, since we may stand still between two.
    """
    command = sql.SQL("{}LOCK TABLE {} IN EXCLUSIVE MODE NOWAIT").format(
        _bound(connection, limit), sql.SQL(", ").join(tables)
    )
    deadline = time.monotonic() + patience
    while True:
        try:
            with connection.transaction():
                connection.execute(command, prepare=False)  # two statements
            return
        except psycopg.errors.LockNotAvailable:
            holders = connection.execute(statement("lock_holders")).fetchall()
        _let_go(connection)
        if holders and all(kind == AUTOVACUUM for _, _, kind in holders):
            _push_aside(connection, tables)
        if time.monotonic() >= deadline:
            raise _held(holders)
        time.sleep(0.2)


def _bound(connection: Connection, limit: float) -> sql.Composable:
    """The statement that bounds the transaction from here on; rolled back with its savepoint."""
    if not _keeps_time(connection):
        return sql.SQL("")
    return sql.SQL("SET LOCAL transaction_timeout = {}; ").format(sql.Literal(_milliseconds(limit)))


def _let_go(connection: Connection) -> None:
    asked = {"ours": session.APPLICATION, "pid": connection.info.backend_pid, "since": "infinity"}
    if rows := connection.execute(statement("waiters"), asked).fetchall():
        raise waiters.let_go(rows, ROLLED_BACK)


def _push_aside(connection: Connection, tables: Sequence[sql.Identifier]) -> None:
    """Wait in the queue for a moment: autovacuum gives way to sessions that already wait.

    Source: PostgreSQL, "Routine Vacuuming": it is cancelled after ``deadlock_timeout`` (1 s).
    """
    patient = sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.SQL(", ").join(tables))
    with suppress(psycopg.errors.LockNotAvailable), connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '3s'")
        connection.execute(patient)
        raise psycopg.Rollback  # taken again in the ordinary way


def _held(holders: Sequence[tuple[int, str, str]]) -> Busy:
    said = ", ".join(f"pid {pid} ({name or kind or 'no name'})" for pid, name, kind in holders)
    return Busy(
        f"the tables are held by {said or 'somebody who let go just now'}",
        state=ROLLED_BACK,
        next="end that work or wait for it, then run this step again",
    )
