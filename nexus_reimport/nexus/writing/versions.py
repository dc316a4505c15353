"""Which rows are still the ones that were read, told by their versions and not by their values.

PostgreSQL never changes a row in place: whoever changes one leaves a new version of it, at another
place in the table or by another transaction. A version is known by its place (``ctid``) and by the
transaction that made it (``xmin``). So a row that was copied and hashed before the first lock, and
whose version is the same under the locks, holds the same values, to the last byte. It is a tenth of
the work of hashing it again.

This holds for tables in PostgreSQL's own storage, as long as nobody rewrites the table (VACUUM
FULL, CLUSTER, ALTER TABLE): each of these waits for the lock that reading takes, until our
transaction ends. Other tables, and those with partitions, are hashed again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import (
    scalar,
    statement,
    table_name,
    temporary_name,
)
from nexus_reimport.nexus.registry import UndoPart
from nexus_reimport.nexus.writing.transaction import Transaction

_MOVED = sql.SQL("(v.place IS DISTINCT FROM t.ctid OR v.version IS DISTINCT FROM t.xmin)")


@dataclass(frozen=True, slots=True)
class Written:
    """Rows that we write: in ``rows`` (w), with these ``columns``, as they must be then.

    Of those that are ``gone``, a condition for w, only the key counts.
    """

    rows: sql.Composable
    columns: tuple[str, ...]
    gone: sql.Composable = field(default_factory=lambda: sql.SQL("false"))

    def keys(self, key: str) -> sql.Composed:
        """A query of their keys."""
        return sql.SQL("SELECT w.{} FROM {} AS w").format(sql.Identifier(key), self.rows)


@dataclass(frozen=True, slots=True)
class Astray:
    """How many rows are not what they must be."""

    moved: int  # we did not write them, and they are of another version, or new, or deleted
    unlike: int  # we wrote them, and they are stored in another way, missing, or still there


def write_down(transaction: Transaction, parts: Iterable[UndoPart]) -> frozenset[UndoPart]:
    """Write down the version of each row; gives those of ``parts`` whose versions can be compared.

    What is read of the tables later, in the same transaction, is what they hold under the locks if
    the versions are the same then.
    """
    every = tuple(parts)
    for part in every:
        transaction.let_go_first()
        transaction.make_temporary(
            _versions(part),
            sql.SQL("SELECT {} AS key, ctid AS place, xmin AS version FROM {}").format(
                sql.Identifier(part.key), table_name(transaction.schema, part.table)
            ),
            "key",
        )
    # Asked with the tables read: from here on their storage cannot be changed.
    asked = {"schema": transaction.schema, "tables": [part.table for part in every]}
    rows = transaction.connection.execute(statement("heaps"), asked).fetchall()
    return frozenset(part for part in every if (part.table,) in rows)


def moved(transaction: Transaction, part: UndoPart) -> int:
    """How many rows are not of the version that was written down: created, changed, or deleted."""
    query = sql.SQL("SELECT count(*) FROM {compared} WHERE {moved}").format(
        compared=_compared(transaction, part), moved=_MOVED
    )
    transaction.check_time()
    return int(scalar(transaction.connection, query))


def astray(transaction: Transaction, part: UndoPart, written: Written) -> Astray:
    """How many rows are neither of the version that was written down nor as we must have written.

    It compares how values are stored, in a tenth of the time of printing and hashing them. So
    ``unlike`` says only that rows are stored in two ways: they may be printed as one.
    """
    key = sql.Identifier(part.key)
    query = sql.SQL(
        "SELECT count(*) FILTER (WHERE w.{key} IS NULL), count(w.{key}) FROM {compared}"
        # FULL: a row that must be there may be on no other side.
        " FULL JOIN {rows} AS w ON w.{key} = coalesce(t.{key}, v.key)"
        " WHERE CASE WHEN w.{key} IS NULL THEN {moved} WHEN {gone} THEN t.{key} IS NOT NULL"
        " WHEN t.{key} IS NULL THEN true"
        " ELSE NOT pg_catalog.record_image_eq(ROW({now}), ROW({then})) END"
    ).format(
        compared=_compared(transaction, part),
        moved=_MOVED,
        key=key,
        rows=written.rows,
        gone=written.gone,
        now=sql.SQL(", ").join(sql.Identifier("t", c) for c in written.columns),
        then=sql.SQL(", ").join(sql.Identifier("w", c) for c in written.columns),
    )
    transaction.check_time()
    (counts,) = transaction.connection.execute(query).fetchall()
    return Astray(*counts)


def _compared(transaction: Transaction, part: UndoPart) -> sql.Composed:
    """Every row as it is (t), with the version that was written down of it (v)."""
    return sql.SQL("{table} AS t FULL JOIN {versions} AS v ON v.key = t.{key}").format(
        table=table_name(transaction.schema, part.table),
        versions=_versions(part),
        key=sql.Identifier(part.key),
    )


def _versions(part: UndoPart) -> sql.Identifier:
    return temporary_name("versions", part.after)
