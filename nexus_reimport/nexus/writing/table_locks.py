"""The locks of a writing transaction: taken without keeping anybody waiting, and who holds them."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import suppress

import psycopg
from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.errors import ROLLED_BACK, Busy
from nexus_reimport.nexus.connection import session, waiters
from nexus_reimport.nexus.connection.postgres import Connection, statement
from nexus_reimport.nexus.writing.time_limit import keeps_time, milliseconds

AUTOVACUUM = "autovacuum worker"
END_WORK = "end that work or wait for it, then run this step again"
# Who holds locks: pid, which a prepared transaction has not, application, kind, tables.
Holder = tuple[int | None, str, str, list[str]]


def take(
    connection: Connection, tables: Sequence[sql.Identifier], patience: float, limit: float
) -> None:
    """Take EXCLUSIVE locks on ``tables``; tried repeatedly for at most ``patience`` seconds.

    Readers continue, writers wait. With NOWAIT we are not in the lock queue, so we block nobody
    before we have all locks. The same command sets the server's time limit (``limit`` seconds): our
    process may be stopped between two commands, and would then hold the locks without a limit.
    """
    command = sql.SQL("{}LOCK TABLE {} IN EXCLUSIVE MODE NOWAIT").format(
        _bound(connection, limit), sql.SQL(", ").join(tables)
    )
    asked = {"tables": [table.as_string(connection) for table in tables]}
    deadline = time.monotonic() + patience
    while True:
        try:
            with connection.transaction():  # a savepoint: a refusal ends this attempt only
                connection.execute(command, prepare=False)  # two statements
            return
        except psycopg.errors.LockNotAvailable:
            holders = connection.execute(statement("lock_holders"), asked).fetchall()
        stop_if_awaited(connection)
        if holders and all(kind == AUTOVACUUM for _, _, kind, _ in holders):
            _cancel_autovacuum(connection, tables)
        if time.monotonic() >= deadline:
            raise _held(holders, patience)
        time.sleep(0.2)


def _bound(connection: Connection, limit: float) -> sql.Composable:
    """The statements that set the time limit; a failed attempt rolls it back with its savepoint.

    If our process is stopped while it holds the locks, the server ends the session. Before, others
    do not wait for us, however long we take.
    """
    settings = ["idle_in_transaction_session_timeout"]
    if keeps_time(connection):
        # The session's own limit for a statement may be shorter.
        settings += ["transaction_timeout", "statement_timeout"]
    each = sql.SQL("SET LOCAL {} = {}; ")
    after = sql.Literal(milliseconds(limit))
    return sql.Composed([each.format(sql.Identifier(name), after) for name in settings])


def stop_if_awaited(connection: Connection) -> None:
    """Roll back where another session waits for us.

    Raises:
        LockConflict: one does.
    """
    # The server knows its number: a pooler tells each client one of its own.
    asked = {"ours": session.APPLICATION, "pid": None, "since": "infinity"}
    if rows := connection.execute(statement("waiters"), asked).fetchall():
        raise waiters.released(rows, ROLLED_BACK)


def _cancel_autovacuum(connection: Connection, tables: Sequence[sql.Identifier]) -> None:
    """Wait in the lock queue for a moment: autovacuum cancels itself only for queued sessions.

    Source: PostgreSQL, "Routine Vacuuming": it is cancelled after ``deadlock_timeout`` (1 s).
    """
    waiting = sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.SQL(", ").join(tables))
    with suppress(psycopg.errors.LockNotAvailable), connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '3s'")
        connection.execute(waiting)
        raise psycopg.Rollback  # the caller takes the locks again, with the time limit


def _held(holders: Sequence[Holder], patience: float) -> Busy:
    return Busy(
        f"the tables are locked by {listed(holders) or 'a session that has just released them'}",
        where=f"waited {patience:g} s for them, as long as lock_wait allows",
        state=ROLLED_BACK,
        next=END_WORK if are_sessions(holders) else waiters.END_PREPARED,
    )


def are_sessions(holders: Sequence[Holder]) -> bool:
    """Whether sessions alone hold the locks: of a prepared transaction none is left."""
    return all(pid is not None for pid, *_ in holders)


def listed(holders: Sequence[Holder]) -> str:
    """Who holds locks, and on which tables."""
    return "; ".join(
        f"{waiters.who(pid, name or kind)}: {wording.some(tables)}"
        for pid, name, kind, tables in holders
    )


def locked_elsewhere(
    connection: Connection, schema: str, tables: Collection[str], ours: Collection[str]
) -> list[str]:
    """What the open transaction may have written to beside ``tables``, and the schemas of ours.

    Read from its locks: a second proof beside the counters, which ``track_counts`` can turn off.
    """
    locked = connection.execute(statement("touched")).fetchall()
    return [
        f"{place}.{name}: locked for writing"
        for place, name in locked
        if place not in ours and not (place == schema and name in tables)
    ]
