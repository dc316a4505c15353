"""Finds which planned rows PostgreSQL refuses, after it has refused.

PostgreSQL's error names a constraint at best, and the row only by its values, which no message may
hold. So the planned rows are put into temporary tables with the types, checks and generated
columns of the real ones, half by half until the single rows are found. Queries look for rows that
break unique keys, exclusion constraints and foreign keys. No other table is written to, and the
transaction is rolled back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.checks.before.rows import left_out_records, rows_by_name
from nexus_reimport.errors import StopError, TargetError
from nexus_reimport.files import rowfile
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import EntityPlan, Plan
from nexus_reimport.nexus.connection.driver_errors import code_and_name, is_of_rows
from nexus_reimport.nexus.connection.postgres import (
    Connection,
    connected,
    names,
    rolled_back,
    table_name,
    temporary_name,
)
from nexus_reimport.nexus.structure import catalog as catalogs
from nexus_reimport.nexus.structure import exclusive
from nexus_reimport.nexus.structure.catalog import Catalog, Column, ForeignKey, Table
from nexus_reimport.nexus.structure.exclusive import ExclusiveKey
from nexus_reimport.planning.manual import BY_HAND
from nexus_reimport.settings import Postgres

MOST = 50  # refused rows that are named: each takes 14 attempts to find among 11,000
_LINE = "nexus_reimport_line"
_AS_THEY_ARE = ("text", "character", '"char"')  # a cast would silently cut a long text


@dataclass(frozen=True, slots=True)
class Refused:
    """One planned row, and the column or constraint that refuses it.

    ``is_first``: of rows with the same key it is the first, which is accepted without the others.
    """

    entity: str
    key: str
    by: str
    is_first: bool = False


def explain(
    error: TargetError, place: Postgres, mapping: FieldMapping, plan: Plan, folder: Path, state: str
) -> None:
    """Stop with the names of the rows, if ``error`` is about rows and they are found at ``place``.

    Raises:
        StopError: names the FileMaker ids, the column or constraint, and the line of the mapping
            that leaves them out. ``state`` is left.
    """
    if not is_of_rows(error.sqlstate):
        return
    try:
        refused = ask(place, mapping, plan, folder)
    except TargetError:  # the first error is more useful than this one
        return
    if not refused:
        return
    records = {(e or "", n or ""): f or "" for e, f, n in rowfile.read(folder, plan.id_map)}
    by_hand = {
        (e or "", n or "")
        for e, n, _, why in rowfile.read(folder, plan.overrides)
        if why == BY_HAND
    }
    groups: dict[tuple[str, str], list[Refused]] = defaultdict(list)
    for row in refused:
        groups[row.entity, row.by].append(row)
    lines = []
    for (entity, by), rows in groups.items():
        of_filemaker = {r.key: records[entity, r.key] for r in rows if (entity, r.key) in records}
        lines.append(f"    {entity}, {by}: {rows_by_name([r.key for r in rows], of_filemaker)}")
        surplus = [of_filemaker[r.key] for r in rows if r.key in of_filemaker and not r.is_first]
        if named := surplus or list(of_filemaker.values()):
            total = plan.entities[entity].source_rows
            lines.append(f"      {left_out_records(entity, total, 'refused', named)}")
        if by_hand.intersection((entity, r.key) for r in rows):
            lines.append(
                "      some of these rows have values given by hand: check manual.xlsx too"
            )
    more = f" (the first {MOST:,} are named)" if len(refused) >= MOST else ""
    raise StopError(
        f"PostgreSQL would refuse {wording.amount(len(refused), 'planned row')}{more}\n"
        + "\n".join(lines),
        where=f"rehearsal, {code_and_name(error.sqlstate)}",
        state=state,
        next="fix them in FileMaker or in Nexus, or leave the records out with the line above",
    )


def ask(place: Postgres, mapping: FieldMapping, plan: Plan, folder: Path) -> list[Refused]:
    """The planned rows that PostgreSQL would refuse, at most ``MOST``.

    Raises:
        TargetError: the database cannot be reached, or a right is missing. Nothing was written.
    """
    with connected(place) as connection, rolled_back(connection):
        catalog = catalogs.read(connection, mapping.schema_name)
        refused: list[Refused] = []
        for entity in plan.entities.values():
            work = _Table(connection, catalog.tables[entity.table], entity, mapping.schema_name)
            work.load(folder)
            refused += work.refused()
            refused += work.not_distinct()
        if not refused:  # else rows that point at a refused row would be named as well
            refused += _dangling(connection, catalog, plan)
        return refused[:MOST]


class _Table:
    """The planned rows of one table: in a table of texts, and in a table like the real one."""

    def __init__(
        self, connection: Connection, table: Table, entity: EntityPlan, schema: str
    ) -> None:
        self._connection, self._table, self._entity = connection, table, entity
        self._real = table_name(schema, table.name)
        self._texts = temporary_name("texts", entity.entity)
        self._like = _like(entity.entity)
        self._columns = [c for n in entity.file.columns if (c := table.column(n)) is not None]
        self._key = sql.Identifier(table.primary_key[0])
        self._left = MOST

    def load(self, folder: Path) -> None:
        """Make both tables, and fill the table of texts."""
        run = self._connection.execute
        texts = sql.SQL(", ").join(
            sql.SQL("{} text").format(sql.Identifier(c.name)) for c in self._columns
        )
        run(
            sql.SQL("CREATE TEMP TABLE {} ({} integer PRIMARY KEY, {}) ON COMMIT DROP").format(
                self._texts, sql.Identifier(_LINE), texts
            )
        )
        # CHECK and NOT NULL come along; unique and foreign keys do not, and are asked by queries
        run(
            sql.SQL(
                "CREATE TEMP TABLE {} (LIKE {} INCLUDING CONSTRAINTS INCLUDING GENERATED)"
                " ON COMMIT DROP"
            ).format(self._like, self._real)
        )
        command = sql.SQL("COPY {} FROM STDIN").format(self._texts)
        with self._connection.cursor() as cursor, cursor.copy(command) as copy:
            for number, row in enumerate(rowfile.read(folder, self._entity.file)):
                copy.write_row((str(number), *row))

    def refused(self) -> list[Refused]:
        """The rows that break a type, a length, a check, or lack a needed value."""
        return list(self._halves(0, self._entity.file.rows))

    def _halves(self, first: int, end: int) -> Iterator[Refused]:
        if first >= end or not self._left:
            return
        try:
            with self._connection.transaction():  # a savepoint: an error must not end everything
                self._insert(first, end)
        except psycopg.Error as error:
            if not is_of_rows(error.sqlstate):
                raise
            # The halves are halved again until a single row is refused.
            if end - first == 1:
                self._left -= 1
                yield Refused(self._entity.entity, self._key_of(first), self._why(error, first))
                return
            middle = (first + end) // 2
            yield from self._halves(first, middle)
            yield from self._halves(middle, end)

    def _insert(self, first: int, end: int) -> None:
        columns = [c for c in self._columns if not c.generated]
        self._connection.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE {} >= {} AND {} < {}").format(
                self._like,
                names([c.name for c in columns]),
                sql.SQL(", ").join(map(_cast, columns)),
                self._texts,
                *(sql.Identifier(_LINE), sql.Literal(first)),
                *(sql.Identifier(_LINE), sql.Literal(end)),
            )
        )

    def _key_of(self, line: int) -> str:
        query = sql.SQL("SELECT {} FROM {} WHERE {} = %s").format(
            self._key, self._texts, sql.Identifier(_LINE)
        )
        row = self._connection.execute(query, (line,)).fetchone()
        return str(row[0]) if row else ""

    def _why(self, error: psycopg.Error, line: int) -> str:
        """The constraint or column that refused the row; never a value."""
        if error.diag.constraint_name:
            return f"constraint {error.diag.constraint_name}"
        if error.diag.column_name:
            return f"column {error.diag.column_name} (it must not be empty)"
        wrong = [c.name for c in self._columns if not self._is_taken(c, line)]
        return (
            f"column {', '.join(wrong)} ({type(error).__name__})"
            if wrong
            else code_and_name(error.sqlstate)
        )

    def _is_taken(self, column: Column, line: int) -> bool:
        """Whether the text of one row fits the type and the length of a column."""
        query = sql.SQL("SELECT {}, {} FROM {} WHERE {} = {}").format(
            _cast(column),
            sql.Identifier(column.name),
            self._texts,
            *(sql.Identifier(_LINE), sql.Literal(line)),
        )
        try:
            with self._connection.transaction():
                row = self._connection.execute(query).fetchone()
        except psycopg.Error:
            return False
        text = row[1] if row else None
        return text is None or column.max_length is None or len(text) <= column.max_length

    def not_distinct(self) -> Iterator[Refused]:
        """The rows that conflict with another one under a unique key or exclusion constraint."""
        for key in exclusive.read(self._connection, self._real):
            for row, is_first in self._connection.execute(self._alike(key)):
                yield Refused(self._entity.entity, row, f"unique key {key.name}", is_first)

    def _alike(self, key: ExclusiveKey) -> sql.Composed:
        """The keys of rows that share all parts with another row, and whether each is the first."""
        own, place = sql.SQL("{} AS key").format(self._key), sql.SQL("ctid AS place")
        rows = key.compared(self._like, own, place)
        if not key.excludes:
            return _equal(key, rows)
        return sql.SQL(
            # MATERIALIZED: an index's expression is computed once for each row, not for each pair.
            "WITH r AS MATERIALIZED ({}) SELECT a.key::text, bool_and(a.place < b.place)"
            " FROM r AS a JOIN r AS b ON {} AND a.place <> b.place"
            " GROUP BY 1 ORDER BY 1 LIMIT {}"
        ).format(rows, key.are_alike("a", "b"), sql.Literal(MOST))


def _equal(key: ExclusiveKey, rows: sql.Composed) -> sql.Composed:
    """The same of a unique key: side by side, and not each with each.

    Of ten thousand equal rows the pairs are a hundred million.
    """
    held = [sql.SQL("{} IS NOT NULL").format(name) for name in key.names]
    return sql.SQL(
        "SELECT key::text, place = first FROM (SELECT key, place, min(place) OVER same AS first,"
        " count(*) OVER same AS several FROM ({}) AS r WHERE {} WINDOW same AS (PARTITION BY {}))"
        " AS s WHERE several > 1 ORDER BY 1 LIMIT {}"
    ).format(
        rows,
        sql.SQL("true") if key.nulls_are_equal else sql.SQL(" AND ").join(held),
        sql.SQL(", ").join(key.names),
        sql.Literal(MOST),
    )


def _dangling(connection: Connection, catalog: Catalog, plan: Plan) -> Iterator[Refused]:
    """The planned rows with a foreign key to a row that will not exist."""
    by_table = {e.table: e.entity for e in plan.entities.values()}
    for key in catalog.foreign_keys:
        if key.enforced and key.table in by_table and key.schema == catalog.schema:
            for row in _without_target(connection, catalog, key, by_table):
                yield Refused(by_table[key.table], row, f"foreign key {key.name}")


def _without_target(
    connection: Connection, catalog: Catalog, key: ForeignKey, by_table: dict[str, str]
) -> list[str]:
    target = (
        _like(by_table[key.target])
        if key.target in by_table
        else table_name(catalog.schema, key.target)
    )
    own = catalog.tables[key.table].primary_key[0]
    query = sql.SQL(
        "SELECT c.{}::text FROM {} AS c WHERE {} AND NOT EXISTS (SELECT FROM {} AS p WHERE {})"
        " ORDER BY 1 LIMIT {}"
    ).format(
        sql.Identifier(own),
        _like(by_table[key.table]),
        # By MATCH SIMPLE a key with an empty part points at nothing.
        sql.SQL(" AND ").join(
            sql.SQL("c.{} IS NOT NULL").format(sql.Identifier(c)) for c in key.columns
        ),
        target,
        sql.SQL(" AND ").join(
            sql.SQL("p.{} = c.{}").format(sql.Identifier(t), sql.Identifier(c))
            for t, c in zip(key.target_columns, key.columns, strict=True)
        ),
        sql.Literal(MOST),
    )
    return [row for (row,) in connection.execute(query)]


def _like(entity: str) -> sql.Identifier:
    return temporary_name("like", entity)


def _cast(column: Column) -> sql.Composable:
    """A text column cast to the real column's type; a text that is too long is not cut."""
    if column.type.startswith(_AS_THEY_ARE):
        return sql.Identifier(column.name)
    return sql.SQL("CAST({} AS {})").format(sql.Identifier(column.name), _of_catalog(column.type))


def _of_catalog(text: str) -> sql.SQL:
    """A piece of SQL as PostgreSQL's own catalog gives it: it needs no quoting."""
    return sql.SQL(text)
