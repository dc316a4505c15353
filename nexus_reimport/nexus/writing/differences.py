"""Which rows of a table differ from those that it must hold, and the writing of these alone.

A row is compared as the server prints it, which is what fingerprints are made of: what is left
alone is equal to the last byte. Each row that differs has one outcome:

    new        inserted
    gone       deleted
    changed    updated
    replaced   deleted and inserted: an UPDATE could not do it, or everything is to be written

First all rows of all tables are deleted that go or are replaced, then rows are updated, then
inserted. So two rows can exchange a value under a unique key: both are replaced. A row that takes a
unique value that no other row has now is updated, which spares every row that points at it a look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import (
    Connection,
    names,
    statement,
    table_name,
    temporary_name,
)
from nexus_reimport.nexus.writing.transaction import Transaction
from nexus_reimport.nexus.writing.versions import Written

NEW, GONE, CHANGED, REPLACED = "new", "gone", "changed", "replaced"
_OUTCOME = "(what)"  # a name that no column of an application has
_WHAT = sql.Identifier(_OUTCOME)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an UPDATE may not change: ``fixed`` columns, and ``unique`` keys.

    Such a key it may change only to a value that no other row has at that moment.
    """

    fixed: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rows that a table must hold: in ``place``, with these ``columns`` and no other.

    ``name`` is that of the table for what is found here. ``limits`` are those of an UPDATE, None if
    it may change nothing. ``whole``: every row is written, also one that is as it must be.
    """

    name: str
    table: str
    key: str
    columns: tuple[str, ...]
    place: sql.Composable
    limits: Limits | None
    whole: bool

    @property
    def bounds(self) -> Limits | None:
        """What an UPDATE may not change; None where no row is updated."""
        return None if self.whole else self.limits

    @property
    def differing(self) -> sql.Identifier:
        """The temporary table of the rows that differ: as they must be, and what becomes of each.

        Of a row that is gone only the key is there.
        """
        return temporary_name("differing", self.name)

    @property
    def written(self) -> Written:
        """The rows that differ, as they must be once they are written."""
        gone = sql.SQL("w.{} = {}").format(_WHAT, sql.Literal(GONE))
        return Written(self.differing, self.columns, gone)


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


def limits(connection: Connection, schema: str, table: str) -> Limits | None:
    """What an UPDATE may not change of a table; None if it may change nothing."""
    place = table_name(schema, table).as_string(connection)
    row = connection.execute(statement("told_apart"), {"table": place}).fetchone()
    if row is None or row[0]:
        return None
    return Limits(tuple(row[1]), tuple(map(tuple, row[2])))


def find(transaction: Transaction, wanted: Wanted, present: sql.Composable) -> Difference:
    """Write down which rows differ, and count them; ``present`` gives the rows as they are."""
    # In place of those of an attempt whose findings did not hold under the locks.
    differing = _differing(wanted, present)
    transaction.make_temporary(wanted.differing, differing, wanted.key, _OUTCOME)
    query = sql.SQL("SELECT {0}, count(*) FROM {1} GROUP BY 1").format(_WHAT, wanted.differing)
    return Difference(**dict(transaction.connection.execute(query).fetchall()))


def _differing(wanted: Wanted, present: sql.Composable) -> sql.Composed:
    key = sql.Identifier(wanted.key)
    return sql.SQL(
        "SELECT coalesce(p.{key}, w.{key}) AS {key}{columns}, CASE WHEN p.{key} IS NULL THEN {new}"
        " WHEN w.{key} IS NULL THEN {gone} WHEN {replaced_if} THEN {replaced} ELSE {changed}"
        " END AS {what} FROM {present} AS p FULL JOIN {place} AS w ON w.{key} = p.{key}{holders}"
        " WHERE p.{key} IS NULL OR w.{key} IS NULL OR {differs}"
    ).format(
        key=key,
        what=_WHAT,
        columns=sql.SQL("").join(
            sql.SQL(", w.{}").format(sql.Identifier(c)) for c in wanted.columns if c != wanted.key
        ),
        new=sql.Literal(NEW),
        gone=sql.Literal(GONE),
        changed=sql.Literal(CHANGED),
        replaced=sql.Literal(REPLACED),
        replaced_if=_is_replaced(wanted),
        present=present,
        place=wanted.place,
        holders=sql.SQL("").join(_holder(wanted, present, *of) for of in _unique(wanted)),
        differs=sql.SQL("true") if wanted.whole else _differ(wanted.columns),
    )


def _unique(wanted: Wanted) -> tuple[tuple[sql.Identifier, tuple[str, ...]], ...]:
    """The unique keys that an UPDATE may change, each with the name of who has its value now."""
    keys = wanted.bounds.unique if wanted.bounds else ()
    return tuple((sql.Identifier(f"h{n}"), key) for n, key in enumerate(keys))


def _holder(
    wanted: Wanted, present: sql.Composable, holder: sql.Identifier, columns: Sequence[str]
) -> sql.Composed:
    """Joins the other row that has now what this row must have under a unique key: one at most."""
    return sql.SQL(" LEFT JOIN {} AS {h} ON {} AND {h}.{key} <> w.{key}").format(
        present,
        sql.SQL(" AND ").join(
            sql.SQL("{h}.{c} = w.{c}").format(h=holder, c=sql.Identifier(c)) for c in columns
        ),
        h=holder,
        key=sql.Identifier(wanted.key),
    )


def _is_replaced(wanted: Wanted) -> sql.Composable:
    if wanted.bounds is None:
        return sql.SQL("true")
    fixed = _differ([c for c in wanted.columns if c in {wanted.key, *wanted.bounds.fixed}])
    held = [
        sql.SQL("{}.{} IS NOT NULL").format(holder, sql.Identifier(wanted.key))
        for holder, _ in _unique(wanted)
    ]
    return sql.SQL(" OR ").join((fixed, *held))


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
        "(SELECT w.* FROM {} AS w JOIN {} AS d ON d.{key} = w.{key} AND d.{} = {}) AS new"
    ).format(
        wanted.place, wanted.differing, _WHAT, sql.Literal(NEW), key=sql.Identifier(wanted.key)
    )


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
            "DELETE FROM {} AS t USING {} AS d WHERE d.{key} = t.{key} AND d.{} IN ({}, {})"
        ).format(
            place,
            wanted.differing,
            _WHAT,
            sql.Literal(GONE),
            sql.Literal(REPLACED),
            key=sql.Identifier(wanted.key),
        )
    )


def update(transaction: Transaction, wanted: Wanted) -> int:
    """Update the rows that are changed; gives their number."""
    if wanted.bounds is None:
        return 0
    kept = {wanted.key, *wanted.bounds.fixed}
    columns = [c for c in wanted.columns if c not in kept]
    if not columns:
        return 0
    assignments = sql.SQL(", ").join(
        sql.SQL("{0} = d.{0}").format(sql.Identifier(c)) for c in columns
    )
    return transaction.execute(
        sql.SQL("UPDATE {} AS t SET {} FROM {} AS d WHERE d.{} = {} AND t.{key} = d.{key}").format(
            table_name(transaction.schema, wanted.table),
            assignments,
            wanted.differing,
            _WHAT,
            sql.Literal(CHANGED),
            key=sql.Identifier(wanted.key),
        )
    )


def insert(transaction: Transaction, wanted: Wanted) -> int:
    """Insert the rows that are new or replaced; gives their number."""
    # identity columns: a row keeps its key
    return transaction.execute(
        sql.SQL(
            "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"
            " SELECT {columns} FROM {differing} WHERE {what} IN ({new}, {replaced})"
        ).format(
            table=table_name(transaction.schema, wanted.table),
            columns=names(wanted.columns),
            differing=wanted.differing,
            what=_WHAT,
            new=sql.Literal(NEW),
            replaced=sql.Literal(REPLACED),
        )
    )
