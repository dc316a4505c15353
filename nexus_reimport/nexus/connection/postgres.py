"""The only way into PostgreSQL: the engine, errors without values, COPY.

SQLAlchemy makes the connection; the psycopg connection under it does the work. Autocommit, so that
an idle notebook kernel holds no lock; ``lock_timeout`` and ``statement_timeout`` are always set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.types.string import TextLoader
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from nexus_reimport import disks, settings
from nexus_reimport.disks import DiskFailure
from nexus_reimport.errors import (
    AGAIN,
    NOTHING_WRITTEN,
    TargetError,
    TargetRefused,
)
from nexus_reimport.files import copytext, private, rowfile
from nexus_reimport.nexus.connection import denied, refusal, session

Connection = psycopg.Connection[Any]
LONGEST_NAME = 63  # bytes, of any name in PostgreSQL
# psycopg raises the second where a connection is used that is closed already.
LOST = (psycopg.OperationalError, psycopg.InterfaceError)
_NOT_LET_IN = (
    psycopg.errors.InvalidAuthorizationSpecification,
    psycopg.errors.InvalidCatalogName,
    psycopg.errors.InvalidPassword,
)
_REFUSED = "PostgreSQL refused a statement"
# The file of PostgreSQL's source in which people's functions raise their own errors.
_OF_FUNCTIONS = "pl_exec.c"
# Those that open its files: in another language than English they alone tell.
_OF_FILES = ("fd.c", "md.c", "relmapper.c", "slru.c")
# Classes of SQLSTATE: data exceptions, violated constraints, and what a function raises that a
# condition, a domain or a generated column calls.
_OF_ROWS = ("22", "23", "P0")
_CORRECT = (
    "correct it in Nexus and run this step again, or in FileMaker and begin with 01_preflight"
)
_IN_THE_LOG = (
    "the server's log has the whole message, and PostgreSQL's manual the SQLSTATE (Error Codes):"
    " fix the cause, then run this step again"
)
# The first two characters of an SQLSTATE, which are its class -> what to do.
_BY_CLASS = {
    "0A": "the server cannot do this, as its version or its storage is another one than expected:"
    " its log has the statement; nexus-reimport doctor tells what is known of it",
    "22": "a value has another form than a column or a function of the database needs: the server's"
    f" log has it; {_CORRECT}",
    "23": f"a row breaks a rule of the database: the server's log has it; {_CORRECT}",
    "40": "another session was in the way: run this step again",
    "42": "a table, a column or a function is not as it was, such as during a migration:"
    " nexus-reimport doctor compares them with the mapping; then run this step again",
    "53": "the server lacks something that its log names: give it more of that, then run this step"
    " again",
    "54": "a limit of the server is reached, which its log names: raise it, then run this step"
    " again",
    "55": "something is in use, or not in the state that the statement needs: the server's log says"
    " what; then run this step again",
    "57": "the server, or somebody on it, ended the statement: check its log, then run this step"
    " again",
    "58": "the server failed: have its administrator read its log before anything is executed",
    "P0": f"a function or a trigger of the database refused a row: the server's log says why;"
    f" {_CORRECT}",
    "XX": "the server found damage, or failed: have its administrator read its log before anything"
    " is executed",
}
_MOST_COPIED = 8 << 20  # bytes of rows that are copied out and not yet passed on
TIME_TYPES = ("date", "time", "timetz", "timestamp", "timestamptz", "interval")


def engine(target: settings.Postgres) -> Engine:
    """An engine that hides parameters, keeps no idle connection, and commits each statement.

    ``hide_parameters``: SQLAlchemy would print up to ten rows of values into a saved notebook.
    """
    url = URL.create(
        "postgresql+psycopg",
        username=target.user,
        password=target.password.get_secret_value(),
        host=target.host,
        port=target.port,
        database=target.database,
    )
    return _engine(url, tuple(session.arguments(target).items()))


# A new engine asks five questions with its first connection: a run opens forty.
@lru_cache(maxsize=8)
def _engine(url: URL, arguments: tuple[tuple[str, Any], ...]) -> Engine:
    return create_engine(
        url,
        poolclass=NullPool,  # a pool would keep sessions, and their locks, between steps
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
        connect_args=dict(arguments),
    )


@contextmanager
def connected(
    target: settings.Postgres,
    state: str = NOTHING_WRITTEN,
    opened: Callable[[Connection], None] | None = None,
) -> Iterator[Connection]:
    """A psycopg connection; each driver error in the block becomes ours, without a value.

    ``opened`` gets the connection before its first query, to close it if the server never answers.

    Raises:
        TargetError: with SQLSTATE, table, column and constraint only. ``state`` is left.
    """
    where = target.place
    with scrubbed(where, state), _opened(target, where, state) as connection:
        if opened is not None:
            opened(connection)
        session.require(connection, where, state, lambda: _opened(target, where, state))
        yield _reading_text(connection)


@contextmanager
def _opened(target: settings.Postgres, where: str, state: str) -> Iterator[Connection]:
    try:
        with session.without_environment():
            raw = engine(target).raw_connection()
    except (DBAPIError, psycopg.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(original, psycopg.Error) and original.sqlstate is not None:
            raise _ours(original, where, state) from None
        raise refusal.why(str(original), target).error(where, state) from None
    try:
        yield cast(Connection, raw.driver_connection)
    finally:
        # `close` would first send a ROLLBACK, over a connection that may be lost.
        raw.invalidate()


def _reading_text(connection: Connection) -> Connection:
    """Dates and times arrive as PostgreSQL prints them, in arrays and ranges too.

    Python's own types end at the year 9999 and know neither infinity nor BC.
    """
    for name in TIME_TYPES:
        connection.adapters.register_loader(name, TextLoader)
    return connection


@contextmanager
def scrubbed(where: str, state: str) -> Iterator[None]:
    """Turns each driver error into a TargetError without any value or text of the driver.

    PostgreSQL's DETAIL quotes keys, and its message for NOT NULL quotes the whole row.
    """
    try:
        yield
    except DBAPIError as error:
        raise _ours(error.orig, where, state) from None
    except psycopg.Error as error:
        raise _ours(error, where, state) from None


def _ours(error: object, where: str, state: str) -> TargetError:
    if not isinstance(error, psycopg.Error):
        return TargetError(
            "PostgreSQL's driver failed",
            where=where,
            state=state,
            next="look at the server's log; then run this step again",
        )
    disk = _disk_failure(error)
    if error.sqlstate == denied.SQLSTATE and disk is None:
        return denied.error(error, where, state)
    diag = error.diag
    names = [("table", diag.table_name), ("column", diag.column_name)]
    names.append(("constraint", diag.constraint_name))
    objects = "".join(f", {label} {name}" for label, name in names if name)
    if error.sqlstate is None and not isinstance(error, LOST):
        return TargetError(
            f"a value could not be passed to or from PostgreSQL ({type(error).__name__})",
            where=where,
            state=state,
            next="the connection is not the cause; report it to the maintainers of this package,"
            " with the run's record",
        )
    if error.sqlstate is None:
        return TargetError(
            "the connection to PostgreSQL was lost",
            where=where,
            state=state,
            next="check the network and the server's log, then run this step again",
        )
    if error.sqlstate in session.OF_ANOTHER_SESSION:
        return session.swapped(where, state)
    why = disk.servers_what if disk else _REFUSED
    what = f"{why}: SQLSTATE {error.sqlstate} ({type(error).__name__})"
    todo = f"{disk.servers_fix}, {AGAIN}" if disk else _advice(error)
    ours = _kind(error)(what + objects, where=where, state=state, next=todo)
    ours.sqlstate = error.sqlstate
    return ours


def is_of_rows(sqlstate: str | None) -> bool:
    """Whether an error is about what rows hold: without these rows it would not be there."""
    return (sqlstate or "")[:2] in _OF_ROWS


def _disk_failure(error: psycopg.Error) -> DiskFailure | None:
    """What is wrong with a disk of the server; its words say more than SQLSTATE, if in English.

    A file that the server may not open or write has the SQLSTATE of a missing right.
    """
    by_state = {"53100": disks.FULL, "58030": disks.FAILED}
    if error.diag.source_file in _OF_FILES:
        by_state[denied.SQLSTATE] = disks.FORBIDDEN
    is_from_server = error.diag.source_file != _OF_FUNCTIONS
    words = (error.diag.message_primary or "") if is_from_server else ""
    return disks.told_by_server([words]) or by_state.get(error.sqlstate or "")


def _kind(error: psycopg.Error) -> type[TargetError]:
    return TargetRefused if isinstance(error, _NOT_LET_IN) else TargetError


def _advice(error: psycopg.Error) -> str:
    advice = {
        psycopg.errors.InvalidPassword: "the password is wrong: correct the secret that the"
        " environment's file names",
        psycopg.errors.InvalidCatalogName: "the database does not exist: correct the environment's"
        " file",
        psycopg.errors.QueryCanceled: "a time limit was reached: find out what slows the server"
        " down, then run this step again",
        psycopg.errors.AdminShutdown: "somebody ended our session, or the server is shutting down:"
        " check its log, then run this step again",
        psycopg.errors.IdleInTransactionSessionTimeout: "our process was idle for too long, and"
        " the server ended its session: run this step again",
        psycopg.errors.ReadOnlySqlTransaction: "the server accepts no writes: name the primary",
        psycopg.errors.LockNotAvailable: "another session holds a lock: find it in"
        " pg_stat_activity, or run this step again later",
        # One SQLSTATE for both. What is read at one moment has a lock on each table, index, part.
        psycopg.errors.OutOfMemory: "its log says which memory: where there are thousands of tables"
        " or partitions, that for locks (max_locks_per_transaction = 1024 or more, and a restart);"
        " then run this step again",
        psycopg.errors.StatementTooComplex: "there are too many tables, columns or references for"
        " one query: raise max_stack_depth, then run this step again",
    }
    known = next((text for kind, text in advice.items() if isinstance(error, kind)), "")
    return known or _BY_CLASS.get((error.sqlstate or "")[:2], _IN_THE_LOG)


def code_and_name(sqlstate: str | None) -> str:
    """An SQLSTATE with the name that PostgreSQL's manual has for it."""
    try:
        return f"SQLSTATE {sqlstate} ({psycopg.errors.lookup(sqlstate or '').__name__})"
    except KeyError:  # one that people have made up for a function of theirs
        return f"SQLSTATE {sqlstate}"


@cache
def statement(name: str) -> sql.SQL:
    """The fixed statement ``sql/<name>.sql``."""
    file = resources.files("nexus_reimport") / "sql" / f"{name}.sql"
    return sql.SQL(file.read_text(encoding="utf-8"))


def shortened(name: str) -> str:
    """``name`` as PostgreSQL can hold it: a longer one ends in a digest of the whole of it.

    PostgreSQL would cut it in silence: what is remembered would be another name, and two long ones
    that begin alike would be one.
    """
    held = name.encode()
    if len(held) <= LONGEST_NAME:
        return name
    end = f"_{private.sha256(held)[:8]}"
    return held[: LONGEST_NAME - len(end)].decode(errors="ignore") + end


def temporary_name(kind: str, of: str) -> sql.Identifier:
    """The name of a temporary table: its ``kind``, one word, and what of, however long that is."""
    return sql.Identifier("pg_temp", shortened(f"{kind}_{of}"))


def table_name(schema: str, table: str) -> sql.Identifier:
    """``schema.table``, quoted."""
    return sql.Identifier(schema, table)


def names(columns: Sequence[str]) -> sql.Composed:
    """A list of quoted column names."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def in_default(value: sql.Composable) -> sql.Composed:
    """A text by the database's own collation, whatever its column's or columns' are.

    One by which different texts are equal refuses patterns, and two that differ cannot be compared.
    """
    return sql.SQL('({} COLLATE pg_catalog."default")').format(value)


def scalar(connection: Connection, query: Any, parameters: Any = None) -> Any:
    """The first value of the first row; None if there is no row."""
    row = connection.execute(query, parameters).fetchone()
    return row[0] if row else None


def constraint_of(error: psycopg.Error) -> str:
    """The table and the constraint that refused a row, for a message."""
    return f"table {error.diag.table_name}, constraint {error.diag.constraint_name}"


def copy_out(
    connection: Connection, query: sql.Composed, path: Path, columns: Sequence[str]
) -> rowfile.RowFile:
    """The rows of ``query`` as a row file, each value as PostgreSQL prints it."""
    with rowfile.writer(path, columns) as out:
        for lines in _copied(connection, query):
            out.add_batch(copytext.batch(lines, columns))
    return out.done()


def copy_out_in_order(
    connection: Connection, place: sql.Composable, columns: Sequence[str], key: str, path: Path
) -> rowfile.RowFile:
    """All rows of the table at ``place``, in the order of ``key``."""
    # "C" sorts as Python compares texts: `rowfile.paired` needs that order.
    query = sql.SQL('SELECT {} FROM {} ORDER BY {}::text COLLATE "C"').format(
        names(columns), place, sql.Identifier(key)
    )
    return copy_out(connection, query, path, columns)


def copied(
    connection: Connection, query: sql.Composed, columns: Sequence[str]
) -> Iterator[tuple[str | None, ...]]:
    """The rows of ``query``, each value as PostgreSQL prints it, one at a time."""
    for lines in _copied(connection, query):
        held = copytext.batch(lines, columns).columns
        yield from zip(*(column.to_pylist() for column in held), strict=True)


def _copied(connection: Connection, query: sql.Composed) -> Iterator[bytes]:
    """The rows of ``query`` as COPY writes them, some lines at a time."""
    command = sql.SQL("COPY ({}) TO STDOUT").format(query)
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        lines, size = list[Buffer](), 0
        for line in copy:
            lines.append(line)
            size += len(line)
            if len(lines) >= rowfile.BATCH or size > _MOST_COPIED:
                yield b"".join(lines)
                lines, size = [], 0
        if lines:
            yield b"".join(lines)


def copy_in(
    connection: Connection,
    table: sql.Composable,
    folder: Path,
    file: rowfile.RowFile,
    columns: Sequence[str] = (),
) -> int:
    """Load a row file into ``table``, checking its digest; gives the number of rows.

    ``columns`` are the table's for the first ones of the file, where they have other names.
    """
    into = columns or file.columns
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(table, names(into))
    with connection.cursor() as cursor:
        with cursor.copy(command) as copy:
            for batch in rowfile.batches(folder, file):
                values = [column.to_pylist() for column in batch.columns[: len(into)]]
                copy.write(copytext.lines(values))
        return cursor.rowcount


@contextmanager
def exported_snapshot(connection: Connection) -> Iterator[str]:
    """A read-only transaction whose snapshot other sessions can use; gives the snapshot's id.

    The server ends it after five idle minutes: an old snapshot keeps VACUUM from removing rows.
    """
    # REPEATABLE READ: otherwise each statement has a snapshot of its own.
    connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = '5min'")
    try:
        yield str(scalar(connection, "SELECT pg_export_snapshot()"))
    finally:
        roll_back(connection)


@contextmanager
def rolled_back(connection: Connection) -> Iterator[None]:
    """A transaction that is always rolled back; temporary tables may be created in it."""
    # All statements of the block see one moment.
    connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    try:
        yield
    finally:
        roll_back(connection)


def roll_back(connection: Connection) -> None:
    """Roll back; with a lost connection the server does: ROLLBACK would hide what has lost it."""
    if not is_lost(connection):
        connection.execute("ROLLBACK")


def is_lost(connection: Connection) -> bool:
    """Whether nothing can be sent any more."""
    return connection.closed or connection.broken
