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

from psycopg import sql

from nexus_reimport.nexus.postgres import LONGEST_NAME, scalar, statement, table_name
from nexus_reimport.nexus.registry import UndoPart
from nexus_reimport.nexus.transaction import Transaction


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


def moved(transaction: Transaction, part: UndoPart, besides: sql.Composable | None = None) -> int:
    """How many rows are not of the version that was written down: created, changed, or deleted.

    ``besides`` is a query of the keys of rows that are left aside.
    """
    apart: sql.Composable = sql.SQL("")
    if besides is not None:
        apart = sql.SQL(
            " WHERE NOT EXISTS (SELECT FROM ({}) AS b (key) WHERE b.key = moved.key)"
        ).format(besides)
    query = sql.SQL(
        "SELECT count(*) FROM (SELECT coalesce(t.{key}, v.key) AS key"
        " FROM {table} AS t FULL JOIN {versions} AS v ON v.key = t.{key}"
        " WHERE v.place IS DISTINCT FROM t.ctid OR v.version IS DISTINCT FROM t.xmin) AS moved"
        "{apart}"
    ).format(
        key=sql.Identifier(part.key),
        table=table_name(transaction.schema, part.table),
        versions=_versions(part),
        apart=apart,
    )
    transaction.check_time()
    return int(scalar(transaction.connection, query))


def _versions(part: UndoPart) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"versions_{part.after}"[:LONGEST_NAME])
