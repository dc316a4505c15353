"""The writing transaction: one at a time, with its locks, steps, time limit and COMMIT.

``write_transaction`` is the only function that opens one. Two stages give it work: ``apply`` and
``undo``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from nexus_reimport import progress
from nexus_reimport.errors import ROLLED_BACK, Busy, InDoubt
from nexus_reimport.events import Event, Journal
from nexus_reimport.nexus.connection import session, standbys, waiters
from nexus_reimport.nexus.connection.driver_errors import LOST
from nexus_reimport.nexus.connection.postgres import (
    Connection,
    is_lost,
    names,
    roll_back,
    statement,
    table_name,
)
from nexus_reimport.nexus.connection.watch import PAUSE
from nexus_reimport.nexus.writing import table_locks
from nexus_reimport.nexus.writing.table_locks import END_WORK, are_sessions
from nexus_reimport.nexus.writing.time_limit import Deadline, keeps_time, milliseconds
from nexus_reimport.settings import Postgres

T = TypeVar("T")
# Connection lost; statement_timeout; idle in transaction; ended by another session (``Deadline``).
_CUT_SHORT = (None, "57014", "25P03", "57P01")
_OF_LOCKS = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
_ENDED = ("FATAL", "PANIC")  # severities with which the server ends the session
# Taken as it is needed. That of temporary tables cannot be set once the session has used some.
_MEMORY = sql.SQL("SET LOCAL temp_buffers = '64MB'; SET LOCAL work_mem = '32MB'")
_WORTH_STATISTICS = 500  # rows
_AT_LEAST = 1.0  # seconds that COMMIT may wait for standbys, if no other time is left
_ROUGHLY = 0.5  # seconds: the server's limit started slightly before our own clock
Writes = Mapping[str, tuple[int, int, int]]  # table -> rows inserted, updated, deleted


@dataclass(frozen=True, slots=True)
class Reports:
    """Where a transaction's steps are reported: the journal of its stage; how many there are."""

    stage: str
    steps: int
    journal: Journal


class Transaction:
    """One writing transaction: its connection, its timed steps, the rows written so far."""

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
        self.committed_at = ""  # as the row of its run says, by the server's clock
        self.is_confirmed = True  # by the standbys that must confirm its COMMIT, if there are any
        self._target, self._reports = target, reports
        self._end: float | None = None
        self._deadline: Deadline | None = None
        self._places: list[sql.Identifier] = []
        self._temporary = set[str]()
        self._asked_at = 0.0
        self._at_start = self._counters()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A named step: its start goes to the journal, its duration to ``timings``."""
        self._reports.journal(Event.STEP, stage=self._reports.stage, step=name)
        progress.tell(len(self.timings), self._reports.steps, name)
        self._let_go()
        began = time.monotonic()
        yield
        self.ended(name, time.monotonic() - began)

    def let_go_first(self) -> None:
        """Stop if another session waits for us before we have our locks.

        Even reading blocks an ALTER TABLE, and everyone who reads that table waits behind it. Once
        we have our locks others must wait, and that time is limited. It is asked at each step, and
        within one five times a second, as ``waiters`` does: of a small clinic a step has dozens of
        statements, each shorter than the question.

        Raises:
            LockConflict: another session waits. The transaction is rolled back.
        """
        if time.monotonic() - self._asked_at >= PAUSE:
            self._let_go()

    def _let_go(self) -> None:
        if self._end is None:
            table_locks.stop_if_awaited(self.connection)
            self._asked_at = time.monotonic()

    def ended(self, name: str, seconds: float) -> None:
        """Record how long a step took, and tell that it has ended."""
        self.timings[name] = seconds
        progress.tell(len(self.timings), self._reports.steps)

    def fix_session(self) -> None:
        """Set how values are printed and hashed, in case the role's settings differ."""
        session.set_for_transaction(self.connection)
        # The planned rows must stay in memory: under the locks they are joined several times.
        with suppress(psycopg.errors.InvalidParameterValue), self.connection.transaction():
            self.connection.execute(_MEMORY)

    def lock(self, tables: Sequence[str]) -> None:
        """Lock ``tables`` in EXCLUSIVE mode; from then on others wait, and the time is limited.

        Raises:
            Busy: another session held one of them all the time; names its pid and application.
                The transaction is rolled back.
        """
        self._places = places = [table_name(self.schema, table) for table in tables]
        limit = self._target.max_writers_wait
        if not keeps_time(self.connection):
            self._deadline = Deadline(self._target, self.connection)
        table_locks.take(self.connection, places, self._target.lock_wait, limit)
        if self._deadline:
            self._deadline.start(limit)
        self.locked_at = time.monotonic()
        self._end = self.locked_at + limit

    @contextmanager
    def in_time(self) -> Iterator[None]:
        """Encloses the whole transaction with its COMMIT; the server ends it at the time limit.

        Raises:
            Busy: the limit was reached, or another session held a lock that we need. The
                transaction is rolled back.
        """
        try:
            yield
        except psycopg.Error as error:
            if isinstance(error, psycopg.errors.TransactionTimeout) or self._is_cut_short(error):
                raise self._too_long() from None
            if isinstance(error, _OF_LOCKS):
                raise self._locked_out(error) from None
            raise
        finally:
            if self._deadline:
                self._deadline.close()

    def _is_cut_short(self, error: psycopg.Error) -> bool:
        """Whether the time limit was reached and ``error`` is one that the limit causes."""
        is_late = self._end is not None and time.monotonic() > self._end - _ROUGHLY
        return is_late and error.sqlstate in _CUT_SHORT and isinstance(error, LOST)

    def _locked_out(self, error: psycopg.Error) -> Busy:
        """The error after we have waited for a lock of another session, and were rolled back."""
        if self._end is None:
            return waiters.locked_out(self._target, ROLLED_BACK)
        # Under our locks that is a row: of a table that ours refer to, while a key is checked.
        tables = [place.as_string(self.connection) for place in self._places]
        referred = self.connection.execute(statement("referred"), {"tables": tables}).fetchall()
        asked = {"tables": [table for (table,) in referred]}
        holders = self.connection.execute(statement("lock_holders"), asked).fetchall()
        where = f"waited {session.SESSION['lock_timeout']} for them, as long as lock_timeout allows"
        if isinstance(error, psycopg.errors.DeadlockDetected):
            where = "each waited for the other, and PostgreSQL has ended our transaction"
        listed = table_locks.listed(holders) or "a session that has just released them"
        return Busy(
            f"rows that those of the run refer to are locked by {listed}",
            where=where,
            state=ROLLED_BACK,
            next=END_WORK if are_sessions(holders) else waiters.END_PREPARED,
        )

    def _too_long(self) -> Busy:
        limit = self._target.max_writers_wait
        return Busy(
            f"others have waited for us as long as max_writers_wait allows: {limit:g} s",
            state=ROLLED_BACK,
            next="choose a quieter hour, or raise max_writers_wait in the environment's file",
        )

    def execute(self, query: sql.SQL | sql.Composed, parameters: Any = None) -> int:
        """Execute one statement within the rest of ``max_writers_wait``; gives its row count."""
        self.check_time()
        return self.connection.execute(query, parameters).rowcount

    def make_temporary(self, place: sql.Identifier, query: sql.Composable, *joined: str) -> None:
        """Keep the rows of ``query`` in a temporary table, in place of an earlier one.

        ``joined`` are the columns by which it is joined, or chosen from.
        """
        name = place.as_string(self.connection)
        # Only where it is needed: after a DROP the driver prepares all its statements anew.
        if name in self._temporary:
            self.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(place))
        self._temporary.add(name)
        create = sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS {}").format(place, query)
        self.analyze_if_large(place, self.execute(create), *joined)

    def analyze_if_large(self, place: sql.Identifier, rows: int, *columns: str) -> None:
        """As ``analyze``, for a table of ``rows`` rows that meets others of about that size."""
        if rows >= _WORTH_STATISTICS:
            self.analyze(place, *columns)

    def analyze(self, place: sql.Identifier, *columns: str) -> None:
        """Gather statistics of ``columns`` of a new table: autovacuum does not see it.

        What is only carried along, as texts of notes are, costs the most to look at. A hint is
        not worth waiting for: a table that somebody vacuums is left as it is.
        """
        self.execute(sql.SQL("ANALYZE (SKIP_LOCKED) {} ({})").format(place, names(columns)))

    def check_time(self) -> None:
        """Limit the next statement to the rest of the time that others may wait for us.

        Raises:
            Busy: no time is left. The transaction is rolled back.
        """
        if self._end is None:
            return
        left = self._end - time.monotonic()
        if left <= 0:
            raise self._too_long()
        if self._deadline is None:  # the server itself ends the whole transaction in time
            return
        self.connection.execute(
            sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(milliseconds(left)))
        )

    def commit(self) -> None:
        """Send COMMIT. For standbys it waits within the rest of ``max_writers_wait``, not longer.

        A server does not limit that wait, and our locks stay as long.
        """
        self.is_confirmed = standbys.committed(self.connection, self._rest())

    def _rest(self) -> float:
        if self._end is None:
            return self._target.max_writers_wait
        return max(self._end - time.monotonic(), _AT_LEAST)

    def waited(self) -> float:
        """Seconds that others may have waited for us so far."""
        return time.monotonic() - self.locked_at

    def committed(self, before: float) -> float:
        """Seconds that others waited at most, with COMMIT; ``before`` is the time without it."""
        waited = self.waited()
        self.ended("commit", waited - before)
        return waited

    def writes(self) -> Writes:
        """The rows that this transaction has written so far, table by table.

        The server may also count earlier work of this session, which is subtracted.
        """
        written = {}
        for table, (inserted, updated, deleted) in self._counters().items():
            then = self._at_start.get(table, (0, 0, 0))
            written[table] = (inserted - then[0], updated - then[1], deleted - then[2])
        return written

    def _counters(self) -> dict[str, tuple[int, int, int]]:
        rows = self.connection.execute(statement("writes"), {"schema": self.schema})
        return {table: (i, u, d) for table, i, u, d in rows}


def write_transaction(
    transaction: Transaction,
    work: Callable[[], T],
    *,
    commit: bool,
    journal: Journal,
    rows: Callable[[T], int] | None = None,
) -> T:
    """The only transaction that writes clinic data: runs ``work`` in it, then COMMIT or ROLLBACK.

    ``journal`` gets "committing" before COMMIT is sent, and "committed" after it has succeeded:
    between these two lines a killed run is in doubt. ``rows`` tells of a result how many rows were
    written, for the latter line.

    Raises:
        TargetError: COMMIT would not end, or not wait for the disk. The database is as it was.
        InDoubt: the connection was lost, or we were interrupted, while COMMIT was on its way. The
            database is as before, or holds everything that was approved.
    """
    connection = transaction.connection
    # Before anybody waits for our locks, and once more before COMMIT.
    are_seen = commit and standbys.require(connection, ROLLED_BACK)
    # READ COMMITTED: once we have the locks, each statement sees what others committed before.
    connection.execute("BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED")
    try:
        result = work()
        if not commit:
            roll_back(connection)
            return result
        session.require_at_commit(connection, ROLLED_BACK)
        if are_seen:
            standbys.require_seen(connection, ROLLED_BACK)
    except BaseException:
        roll_back(connection)
        raise
    # On the disk before COMMIT is sent: a kill in between must leave the run in doubt.
    journal(Event.COMMITTING, committed_at=transaction.committed_at)
    try:
        transaction.commit()
    except psycopg.Error as error:
        if _is_in_doubt(connection, error):
            raise _in_doubt("the connection was lost") from None
        # The server has answered, so nothing was committed: there is nothing to be settled.
        journal(Event.NOT_COMMITTED)
        raise
    except BaseException:
        # Also a Ctrl-C: the server may be committing at this moment.
        raise _in_doubt("the run was interrupted") from None
    journal(Event.COMMITTED, **({"rows": rows(result)} if rows else {}))
    return result


def _is_in_doubt(connection: Connection, error: psycopg.Error) -> bool:
    """Whether the session ended without an answer to COMMIT.

    The server's own time limit is an answer: it does not apply while the server commits.
    """
    if isinstance(error, psycopg.errors.TransactionTimeout):
        return False
    ended = is_lost(connection) or error.diag.severity_nonlocalized in _ENDED
    return isinstance(error, LOST) and ended


def _in_doubt(what: str) -> InDoubt:
    return InDoubt(
        f"{what} while COMMIT was on its way",
        state="not known yet: as before, or with everything that was approved",
        next="run `nexus-reimport settle ENV`; it asks the database",
    )
