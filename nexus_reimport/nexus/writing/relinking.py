"""The writing of links: whose a document or an image is, in a row that is not ours otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import (
    names,
    statement,
    table_name,
    temporary_name,
)
from nexus_reimport.nexus.registry import UndoLinks
from nexus_reimport.nexus.structure import exclusive
from nexus_reimport.nexus.structure.exclusive import ExclusiveKey
from nexus_reimport.nexus.writing.transaction import Transaction


def write(transaction: Transaction, link: UndoLinks, source: sql.Composable) -> int:
    """Set links to the values in ``source`` (key, then the link's columns); gives their number.

    Under a unique key PostgreSQL compares each row with the others as it is written, in an order
    that nobody chooses. So each row waits until no other has the value that it gets. Rows that
    would wait for ever come last, together: a key that is deferrable can be exchanged.
    """
    every = _update(transaction.schema, link, source)
    place = table_name(transaction.schema, link.table)
    known = exclusive.read(transaction.connection, place)
    keys = [key for key in known if key.may_compare(link.columns)]
    written = 0
    if keys:
        every += sql.SQL(" AND ROW({}) IS DISTINCT FROM ROW({})").format(
            _columns("t", link.columns), _columns("wanted", link.columns)
        )
        coming = _coming(transaction, link, source)
        free = sql.SQL("").join(_is_free(place, link, coming, key) for key in keys)
        while rows := transaction.execute(every + free):
            written += rows
    return written + transaction.execute(every)


def _update(schema: str, link: UndoLinks, source: sql.Composable) -> sql.Composed:
    assignments = sql.SQL(", ").join(
        sql.SQL("{0} = wanted.{0}").format(sql.Identifier(column)) for column in link.columns
    )
    return sql.SQL("UPDATE {} AS t SET {} FROM {} AS wanted WHERE t.{key} = wanted.{key}").format(
        table_name(schema, link.table), assignments, source, key=sql.Identifier(link.key)
    )


def _coming(transaction: Transaction, link: UndoLinks, source: sql.Composable) -> sql.Identifier:
    """A temporary table of the rows that are written, whole, as they will be.

    A key may be over whatever the database makes of them.
    """
    coming = temporary_name("coming", link.attachment)
    place = table_name(transaction.schema, link.table)
    asked = {"table": place.as_string(transaction.connection)}
    columns = [c for (c,) in transaction.connection.execute(statement("columns_to_fill"), asked)]
    transaction.execute(
        sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING GENERATED) ON COMMIT DROP").format(
            coming, place
        )
    )
    rows = transaction.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS t JOIN {} AS wanted USING ({})").format(
            coming,
            names(columns),
            sql.SQL(", ").join(
                sql.Identifier("wanted" if column in link.columns else "t", column)
                for column in columns
            ),
            place,
            source,
            sql.Identifier(link.key),
        )
    )
    transaction.analyze_if_large(coming, rows, link.key)
    return coming


def _is_free(
    place: sql.Identifier, link: UndoLinks, coming: sql.Identifier, key: ExclusiveKey
) -> sql.Composed:
    """A further condition: no other row has now what this one gets under a unique key."""
    own = sql.Identifier(link.key)
    return sql.SQL(
        " AND NOT EXISTS (SELECT FROM ({coming}) AS n JOIN ({now}) AS o"
        " ON {alike} AND o.{key} <> n.{key} WHERE n.{key} = t.{key})"
    ).format(
        coming=key.compared(coming, own),
        now=key.compared(place, own),
        alike=key.are_alike("n", "o"),
        key=own,
    )


def _columns(of: str, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(of, column) for column in columns)
