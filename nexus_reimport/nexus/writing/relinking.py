"""The writing of links: whose a document or an image is, in a row that is not ours otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import table_name
from nexus_reimport.nexus.registry import UndoLinks
from nexus_reimport.nexus.writing import differences
from nexus_reimport.nexus.writing.transaction import Transaction


def write(transaction: Transaction, link: UndoLinks, source: sql.Composable) -> int:
    """Set links to the values in ``source`` (key, then the link's columns); gives their number.

    Under a unique key PostgreSQL compares each row with the others as it is written, in an order
    that nobody chooses. So each row waits until no other has the value that it gets. Rows that
    would wait for ever come last, together: a key that is deferrable can be exchanged.
    """
    every = _update(transaction.schema, link, source)
    limits = differences.limits(transaction.connection, transaction.schema, link.table)
    keys = [key for key in (limits.unique if limits else ()) if {*key} & {*link.columns}]
    written = 0
    if keys:
        every += sql.SQL(" AND ROW({}) IS DISTINCT FROM ROW({})").format(
            _columns("t", link.columns), _columns("wanted", link.columns)
        )
        free = sql.SQL("").join(_is_free(transaction.schema, link, key) for key in keys)
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


def _is_free(schema: str, link: UndoLinks, key: Sequence[str]) -> sql.Composed:
    """A further condition: no other row has now what this one gets under a unique key."""
    equal = sql.SQL(" AND ").join(
        sql.SQL("o.{} = {}").format(
            sql.Identifier(column),
            sql.Identifier("wanted" if column in link.columns else "t", column),
        )
        for column in key
    )
    return sql.SQL(" AND NOT EXISTS (SELECT FROM {} AS o WHERE o.{key} <> t.{key} AND {})").format(
        table_name(schema, link.table), equal, key=sql.Identifier(link.key)
    )


def _columns(of: str, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(of, column) for column in columns)
