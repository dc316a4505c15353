"""The only way into PostgreSQL: the engine, a connection, statements and names.

SQLAlchemy makes the connection; the psycopg connection under it does the work. Autocommit, so that
an idle notebook kernel holds no lock; ``lock_timeout`` and ``statement_timeout`` are always set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import resources
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.types.string import TextLoader
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from nexus_reimport import settings
from nexus_reimport.errors import NOTHING_WRITTEN
from nexus_reimport.files import private
from nexus_reimport.nexus.connection import refusal, session
from nexus_reimport.nexus.connection.driver_errors import ours, scrubbed

Connection = psycopg.Connection[Any]
LONGEST_NAME = 63  # bytes, of any name in PostgreSQL
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
            raise ours(original, where, state) from None
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


def none_of(column: sql.Composable, keys: sql.Composable) -> sql.Composed:
    """A condition: ``column`` is none of ``keys``, which is a query of one column.

    ``NOT IN`` compares each row with each key where the keys are more than work_mem holds: of two
    millions that takes hours, and this takes seconds.
    """
    return sql.SQL(
        "NOT EXISTS (SELECT FROM ({}) AS keys (one_of_keys) WHERE keys.one_of_keys = {})"
    ).format(keys, column)


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
