"""Which rows of a table differ from those that it must hold, and the writing of these alone.

A row is compared as the server prints it, which is what fingerprints are made of: what is left
alone is equal to the last byte. Each row that differs has one outcome:

    new        inserted
    gone       deleted
    changed    updated
    replaced   deleted and inserted: an UPDATE could not do it, or everything is to be written

First all rows of all tables are deleted that go or are replaced, then rows are updated, then
inserted. So two rows can exchange a value under a unique key: both are replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport.nexus.postgres import LONGEST_NAME, Connection, names, statement, table_name
from nexus_reimport.nexus.transaction import Transaction

NEW, GONE, CHANGED, REPLACED = "new", "gone", "changed", "replaced"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rows that a table must hold: in ``place``, with these ``columns`` and no other.

    ``name`` is that of the table for what is found here. ``fixed`` are the columns that an UPDATE
    may not change, None if it may change none. ``whole``: every row is written, also one that
    is as it must be.
    """

    name: str
    table: str
    key: str
    columns: tuple[str, ...]
    place: sql.Composable
    fixed: tuple[str, ...] | None
    whole: bool

    @property
    def differing(self) -> sql.Identifier:
        """The temporary table of the rows that differ: key, what."""
        return sql.Identifier("pg_temp", f"differing_{self.name}"[:LONGEST_NAME])


@dataclass(frozen=True, slots=True)
class Difference:
    """How many rows of one table are written, by outcome."""

    new: int = 0
    gone: int = 0
    changed: int = 0
    replaced: int = 0

    @property
    def rows(self) -> int:
        """All rows that are written."""
        return self.new + self.gone + self.changed + self.replaced

    @property
    def writes(self) -> tuple[int, int, int]:
        """Rows inserted, updated and deleted, as the server counts them."""
        return self.new + self.replaced, self.changed, self.gone + self.replaced


def fixed_columns(connection: Connection, schema: str, table: str) -> tuple[str, ...] | None:
    """The columns that an UPDATE may not change; None if it may change none of the table."""
    place = table_name(schema, table).as_string(connection)
    row = connection.execute(statement("told_apart"), {"table": place}).fetchone()
    return None if row is None or row[0] else tuple(row[1])


def find(transaction: Transaction, wanted: Wanted, present: sql.Composable) -> Difference:
    """Write down which rows differ, and count them; ``present`` gives the rows as they are."""
    transaction.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS {}").format(
            wanted.differing, _differing(wanted, present)
        )
    )
    # Autovacuum never analyzes temporary tables, and the joins need statistics.
    transaction.execute(sql.SQL("ANALYZE {}").format(wanted.differing))
    query = sql.SQL("SELECT what, count(*) FROM {} GROUP BY what").format(wanted.differing)
    return Difference(**dict(transaction.connection.execute(query).fetchall()))


def _differing(wanted: Wanted, present: sql.Composable) -> sql.Composed:
    key = sql.Identifier(wanted.key)
    return sql.SQL(
        "SELECT coalesce(p.{key}, w.{key}) AS key, CASE WHEN p.{key} IS NULL THEN {new}"
        " WHEN w.{key} IS NULL THEN {gone} WHEN {replaced_if} THEN {replaced} ELSE {changed}"
        " END AS what FROM {present} AS p FULL JOIN {place} AS w ON w.{key} = p.{key}"
        " WHERE p.{key} IS NULL OR w.{key} IS NULL OR {differs}"
    ).format(
        key=key,
        new=sql.Literal(NEW),
        gone=sql.Literal(GONE),
        changed=sql.Literal(CHANGED),
        replaced=sql.Literal(REPLACED),
        replaced_if=_is_replaced(wanted),
        present=present,
        place=wanted.place,
        differs=sql.SQL("true") if wanted.whole else _differ(wanted.columns),
    )


def _is_replaced(wanted: Wanted) -> sql.Composable:
    if wanted.whole or wanted.fixed is None:
        return sql.SQL("true")
    return _differ([c for c in wanted.columns if c in {wanted.key, *wanted.fixed}])


def _differ(columns: Sequence[str]) -> sql.Composed:
    """Whether these columns differ, as texts: some types cannot be compared, or only loosely."""
    rows = [
        sql.SQL(", ").join(
            sql.SQL("{}.{}").format(sql.Identifier(side), sql.Identifier(c)) for c in columns
        )
        for side in ("p", "w")
    ]
    # Byte by byte: a collation may call two different texts equal.
    return sql.SQL('ROW({})::text COLLATE "C" <> ROW({})::text').format(*rows)


def new_rows(wanted: Wanted) -> sql.Composed:
    """The rows that are new, as they will be; of a table of which ``find`` has written it down."""
    return sql.SQL(
        "(SELECT w.* FROM {} AS w JOIN {} AS d ON d.key = w.{} AND d.what = {}) AS new"
    ).format(wanted.place, wanted.differing, sql.Identifier(wanted.key), sql.Literal(NEW))


def each(
    write: Callable[[Transaction, Wanted], int],
    transaction: Transaction,
    tables: Iterable[Wanted],
    differences: Mapping[str, Difference],
) -> dict[str, int]:
    """Table -> rows that ``write`` (delete, update or insert) has written, where any differ."""
    return {
        wanted.table: write(transaction, wanted) if differences[wanted.table].rows else 0
        for wanted in tables
    }


def delete(transaction: Transaction, wanted: Wanted) -> int:
    """Delete the rows that go or are replaced; gives their number.

    Never by TRUNCATE: it would lock out readers as well.
    """
    place = table_name(transaction.schema, wanted.table)
    return transaction.execute(
        sql.SQL(
            "DELETE FROM {} AS t USING {} AS d WHERE d.key = t.{} AND d.what IN ({}, {})"
        ).format(
            place,
            wanted.differing,
            sql.Identifier(wanted.key),
            sql.Literal(GONE),
            sql.Literal(REPLACED),
        )
    )


def update(transaction: Transaction, wanted: Wanted) -> int:
    """Update the rows that are changed; gives their number."""
    kept = {wanted.key, *(wanted.fixed or ())}
    columns = [c for c in wanted.columns if c not in kept]
    if wanted.whole or wanted.fixed is None or not columns:
        return 0
    assignments = sql.SQL(", ").join(
        sql.SQL("{0} = w.{0}").format(sql.Identifier(c)) for c in columns
    )
    return transaction.execute(
        sql.SQL(
            "UPDATE {} AS t SET {} FROM {} AS w JOIN {} AS d ON d.key = w.{key}"
            " WHERE d.what = {} AND t.{key} = d.key"
        ).format(
            table_name(transaction.schema, wanted.table),
            assignments,
            wanted.place,
            wanted.differing,
            sql.Literal(CHANGED),
            key=sql.Identifier(wanted.key),
        )
    )


def insert(transaction: Transaction, wanted: Wanted) -> int:
    """Insert the rows that are new or replaced; gives their number."""
    # identity columns: a row keeps its key
    return transaction.execute(
        sql.SQL(
            "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {place}"
            " AS w WHERE w.{key} IN (SELECT key FROM {differing} WHERE what IN ({new}, {replaced}))"
        ).format(
            table=table_name(transaction.schema, wanted.table),
            columns=names(wanted.columns),
            place=wanted.place,
            key=sql.Identifier(wanted.key),
            differing=wanted.differing,
            new=sql.Literal(NEW),
            replaced=sql.Literal(REPLACED),
        )
    )
