"""What a kind gets: the copy inside of a transaction, what was planned, and the bucket's list.

All that a kind does to the copy is rolled back after it; ``afterwards`` holds what a rollback does
not undo. Rows are chosen in the order of their keys, so that a kind does the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import LiteralString, TypeVar

import psycopg
from psycopg import sql

from nexus_reimport.mapping import Attachment
from nexus_reimport.model import Plan, Survey
from nexus_reimport.nexus.connection.postgres import Connection, in_default, names, scalar
from nexus_reimport.nexus.registry import LOADED, UndoData
from nexus_reimport.nexus.structure.catalog import Column, Table
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.tables import Role, fingerprinted

T = TypeVar("T")

Object = Mapping[str, str | None]  # column of the list -> text
Objects = tuple[Object, ...]
REFUSED = (psycopg.IntegrityError, psycopg.DataError)  # the database itself keeps such rows out
_WHOLE = ("smallint", "integer", "bigint")
TEXT = ("text", "character varying", "character")
_MOMENT = ("timestamp", "date", "time")
_ALL: LiteralString = "true"
EVERY = sql.SQL(_ALL)


@dataclass(frozen=True, slots=True)
class Field:
    """One column of one table."""

    table: Table
    column: Column

    @property
    def name(self) -> sql.Identifier:
        """The column's name, for a statement."""
        return sql.Identifier(self.column.name)

    @property
    def value(self) -> sql.Composable:
        """What the column holds, for a statement that compares it: its collation may refuse."""
        return in_default(self.name) if self.is_of(*TEXT) else self.name

    @property
    def key(self) -> sql.Identifier:
        """The name of the table's key, for a statement."""
        return sql.Identifier(self.table.primary_key[0])

    @property
    def nowhere(self) -> LiteralString:
        """An expression that makes of an id ({0}) one that no row has."""
        if self.is_of("uuid"):
            return "md5({0}::text)::uuid"
        return "{0} + 1000000" if self.is_of(*_WHOLE) else "{0} || '0'"

    def is_of(self, *types: str) -> bool:
        """Whether the column is of one of ``types``, as PostgreSQL writes them."""
        return self.column.type.startswith(types)


@dataclass(slots=True)
class Scene:
    """The copy as a run has left it, and what verification will compare it with."""

    database: Database
    survey: Survey
    plan: Plan
    undo: UndoData
    objects: Objects  # of the bucket, as they are listed now
    listed_before: Objects  # as they were listed before the run
    sample: Objects  # those that are read in full, as they are read now
    placed: Mapping[str, frozenset[str]]  # attachment -> keys of those whose patient is named
    kept: Mapping[str, frozenset[str]]  # entity -> keys of rows that FileMaker does not bring
    sizes: dict[str, int] = field(default_factory=dict)  # table -> rows, before anything is changed
    follows: set[str] = field(default_factory=set)  # entities whose plan says what is there now
    # entity -> rows that the ledger says to be Nexus's alone, though FileMaker has their records
    forgotten: dict[str, str] = field(default_factory=dict)
    # entity -> key -> columns that the row had not before the run either
    never_had: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    # attachment -> links (key, object, content type) that the plan is to have fixed as well
    links_follow: dict[str, list[tuple[str | None, ...]]] = field(default_factory=dict)
    afterwards: list[Callable[[], object]] = field(default_factory=list)

    # -------------------------------------------------------------- the database

    @property
    def connection(self) -> Connection:
        """The connection, inside of the transaction."""
        return self.database.connection

    def do(self, query: sql.Composable, *parameters: object) -> int:
        """Execute one statement; how many rows it has changed."""
        return self.connection.execute(sql.Composed([query]), parameters or None).rowcount

    def rows(self, query: sql.Composable, *parameters: object) -> list[tuple[object, ...]]:
        """The rows of a query."""
        return self.connection.execute(sql.Composed([query]), parameters or None).fetchall()

    def value(self, query: sql.Composable, *parameters: object) -> object:
        """The first value of a query, None where there is none."""
        return scalar(self.connection, sql.Composed([query]), parameters or None)

    def first(self, attempts: Iterable[Callable[[], int]]) -> int:
        """What the first of ``attempts`` that changes anything has changed.

        One that the database refuses (a unique key, a condition, a length) leaves nothing.
        """
        for attempt in attempts:
            try:
                with self.connection.transaction():
                    done = attempt()
            except REFUSED:
                continue
            if done > 0:
                return done
        return 0

    def first_of(self, attempt: Callable[[T], int], places: Iterable[T]) -> int:
        """As ``first``, for ``attempt`` at each of ``places``."""
        return self.first(partial(attempt, place) for place in places)

    def constraints(self, table: sql.Identifier, *types: str) -> list[str]:
        """The names of a table's constraints of these types, as the catalog calls them."""
        query = sql.SQL(
            "SELECT conname::text FROM pg_catalog.pg_constraint WHERE conrelid = {}::regclass"
            " AND contype::text = ANY (%s) ORDER BY 1"
        ).format(sql.Literal(table.as_string(self.connection)))
        return [str(name) for (name,) in self.rows(query, list(types))]

    def place(self, table: Table | str) -> sql.Identifier:
        """The full name of a table of the application's."""
        return self.database.place(table if isinstance(table, str) else table.name)

    # -------------------------------------------------------------- roles

    def entity(self, name: str) -> Table:
        """The table of an entity."""
        return self.database.catalog.tables[self.database.mapping.entities[name].table]

    @property
    def people(self) -> Table:
        """The patients."""
        return self.entity(self.database.mapping.people())

    @property
    def appointments(self) -> Table:
        """The appointments."""
        return self.entity(self.database.mapping.application.calendar.entity)

    @property
    def wiped(self) -> tuple[Table, ...]:
        """Every table that is wiped and reimported, patients first."""
        return tuple(self.entity(name) for name in self.database.mapping.entities)

    @property
    def of_a_patient(self) -> sql.Composed:
        """The condition that an appointment (called t) is a patient's: one may be nobody's."""
        patient = self.database.mapping.application.calendar.patient
        return sql.SQL("{} IS NOT NULL").format(sql.Identifier("t", patient))

    @property
    def others(self) -> tuple[Table, ...]:
        """What is wiped beside patients and appointments: notes, messages, letters."""
        return tuple(t for t in self.wiped if t not in (self.people, self.appointments))

    def attachments(self, *, through: bool) -> tuple[Attachment, ...]:
        """Documents; or images, whose link is held by another row: their batch."""
        every = self.database.mapping.attachments.values()
        return tuple(a for a in every if bool(a.through) == through)

    @property
    def protected(self) -> tuple[Table, ...]:
        """Tables that a run never writes, compared in full."""
        return tuple(t for t in self._of_role(Role.PROTECTED) if t.primary_key)

    def _of_role(self, role: Role) -> Iterator[Table]:
        mapping = self.database.mapping
        for table in self.database.catalog.tables.values():
            columns, its_role, _ = fingerprinted(mapping, table)
            if its_role is role and columns:
                yield table

    def configuration(self) -> Iterator[Table]:
        """Protected tables that hold rows and point at nothing that is wiped."""
        pointing = {table.name for table, _ in self.pointing_at(*self.wiped)}
        pointing |= {r.table for r in self.database.mapping.references}
        pointing.add(self.database.mapping.content_types)
        return (t for t in self.protected if t.name not in pointing and self.count(t))

    def pointing_at(self, *targets: Table) -> Iterator[tuple[Table, Column]]:
        """Protected tables with a foreign key of one column into one of ``targets``."""
        wanted = {t.name for t in targets}
        protected = {t.name: t for t in self.protected}
        for key in self.database.catalog.foreign_keys:
            table = protected.get(key.table) if key.schema == self.database.schema else None
            column = table.column(key.columns[0]) if table else None
            if table and column and key.target in wanted and len(key.columns) == 1:
                yield table, column

    def alone(self, table: Table) -> list[str]:
        """The keys of rows of ``table`` that were loaded, and that no other row points at."""
        key = sql.Identifier("t", table.primary_key[0])
        places = [
            (k.table, k.columns[0])
            for k in self.database.catalog.foreign_keys
            if k.target == table.name and k.schema == self.database.schema and len(k.columns) == 1
        ]
        places += [(r.table, r.object) for r in self.database.mapping.references]
        free = [
            sql.SQL("NOT EXISTS (SELECT FROM {} AS r WHERE r.{}::text = {}::text)").format(
                self.place(name), sql.Identifier(column), key
            )
            for name, column in places
            if name in self.database.catalog.tables
        ]
        return self.keys(table, sql.SQL(" AND ").join([self.is_loaded(table), *free]))

    def is_loaded(self, table: Table) -> sql.Composed:
        """The condition that a row of ``table`` (called t) is a record of FileMaker.

        What was loaded names kept rows as well, by the ids that they carry; and whole numbers can
        be the keys of several tables' rows.
        """
        entity = self.database.mapping.wiped_tables()[table.name]
        return sql.SQL(
            "{key}::text IN (SELECT nexus_id FROM {loaded} WHERE entity = {entity})"
            " AND {key}::text <> ALL ({kept}::text[])"
        ).format(
            key=sql.Identifier("t", table.primary_key[0]),
            loaded=LOADED,
            entity=sql.Literal(entity),
            kept=sql.Literal(sorted(self.kept.get(entity, ()))),
        )

    def content_type(self, entity: str) -> int | None:
        """The content type of an entity's rows, as generic keys name it."""
        return self.database.content_types.get(self.database.mapping.entities[entity].model)

    # -------------------------------------------------------------- columns

    def fields(self, *tables: Table) -> Iterator[Field]:
        """The columns of ``tables`` that a kind may change: no key, no foreign key."""
        bound = {(k.table, c) for k in self.database.catalog.foreign_keys for c in k.columns} | {
            (r.table, r.object) for r in self.database.mapping.references
        }
        for table in tables:
            for column in table.columns:
                is_key = column.name in table.primary_key
                if not is_key and not column.generated and (table.name, column.name) not in bound:
                    yield Field(table, column)

    def texts(self, *tables: Table) -> Iterator[Field]:
        """The texts of ``tables``, of all that are wiped unless named: the smallest table first."""
        return (f for f in self.fields(*(tables or self.by_size())) if f.is_of(*TEXT))

    def moments(self, *types: str) -> Iterator[Field]:
        """Dates and instants of what is wiped, the smallest table first."""
        return (f for f in self.fields(*self.by_size()) if f.is_of(*(types or _MOMENT)))

    def by_size(self) -> list[Table]:
        """What is wiped, the smallest first: it is read again for every kind that touches it."""
        return sorted(filter(self.count, self.wiped), key=lambda t: (self.count(t), t.name))

    def count(self, table: Table) -> int:
        """How many rows a table has as the run has left it."""
        if table.name not in self.sizes:
            rows = self.value(sql.SQL("SELECT count(*) FROM {}").format(self.place(table)))
            self.sizes[table.name] = int(str(rows))
        return self.sizes[table.name]

    # -------------------------------------------------------------- one row, two rows

    def change(
        self,
        where: Field,
        to: LiteralString,
        condition: LiteralString = _ALL,
        among: sql.Composable = EVERY,
    ) -> int:
        """Set one row's column to the expression ``to``, in which {0} is the column.

        The row is the first that holds a value, fits ``condition``, and is changed by it. It is
        ``among`` rows (called t) that something else is known of.
        """
        return self.do(
            sql.SQL(
                "UPDATE {table} SET {column} = {to} WHERE {key} = (SELECT {key} FROM {table} AS t"
                " WHERE {column} IS NOT NULL AND {condition} AND {value} IS DISTINCT FROM {to}"
                ' AND {among} ORDER BY {key}::text COLLATE "C" LIMIT 1)'
            ).format(
                table=self.place(where.table),
                column=where.name,
                value=where.value,
                key=where.key,
                to=sql.SQL(to).format(where.value),
                condition=sql.SQL(condition).format(where.value),
                among=among,
            )
        )

    def change_first(
        self, fields: Iterable[Field], to: LiteralString, condition: LiteralString = _ALL
    ) -> int:
        """As ``change``, in the first of ``fields`` that has such a row."""
        return self.first(partial(self.change, f, to, condition) for f in fields)

    def swap(self, where: Field, condition: sql.Composable = EVERY) -> int:
        """Give two rows each other's value; both hold one, not the same, and fit ``condition``."""
        pair = self.rows(
            sql.SQL(
                "SELECT DISTINCT ON ({value}) {key}::text, {column}::text FROM {table}"
                " WHERE {column} IS NOT NULL AND {condition}"
                ' ORDER BY {value}, {key}::text COLLATE "C" LIMIT 2'
            ).format(
                table=self.place(where.table),
                column=where.name,
                value=where.value,
                key=where.key,
                condition=condition,
            )
        )
        if len(pair) < 2:
            return 0
        (one, of_one), (other, of_other) = ((str(k), str(v)) for k, v in pair)
        if not where.column.not_null:  # a unique key would refuse two equal ones in between
            self.set(where.table, one, where.column.name, None)
            self.set(where.table, other, where.column.name, of_one)
            return 1 + self.set(where.table, one, where.column.name, of_other)
        return self.do(
            sql.SQL(
                "UPDATE {table} AS t SET {column} = o.{column} FROM {table} AS o"
                " WHERE (t.{key}::text = %s AND o.{key}::text = %s)"
                " OR (t.{key}::text = %s AND o.{key}::text = %s)"
            ).format(table=self.place(where.table), column=where.name, key=where.key),
            *(one, other, other, one),
        )

    def cancel(self, where: Field, keys: Sequence[str], step: LiteralString) -> int:
        """Add ``step`` to one row's value and take it from another's: the sum is what it was."""
        if len(keys) < 2:
            return 0
        query = sql.SQL("UPDATE {} SET {column} = {column} {} {} WHERE {key}::text = %s")
        place, by = self.place(where.table), sql.SQL(step)
        return sum(
            self.do(query.format(place, sign, by, column=where.name, key=where.key), key)
            for key, sign in zip(keys, (sql.SQL("+"), sql.SQL("-")), strict=False)
        )

    def swap_first(self, fields: Iterable[Field]) -> int:
        """As ``swap``, in the first of ``fields`` that has two such rows."""
        return self.first_of(self.swap, fields)

    def shift(self, where: Field, condition: sql.Composable = EVERY) -> int:
        """Give each row the value of the row before it, the first that of the last.

        Of the rows that hold one, and fit ``condition``.
        """
        return self.do(
            sql.SQL(
                "UPDATE {table} AS t SET {column} = s.value FROM (SELECT {key},"
                # A window by itself: in the usual one last_value is the row's own.
                " coalesce(lag({column}) OVER shift, last_value({column}) OVER whole) AS value"
                " FROM {table} WHERE {column} IS NOT NULL AND {condition} WINDOW shift AS (ORDER BY"
                " {key}), whole AS (ORDER BY {key} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED"
                " FOLLOWING)) AS s WHERE t.{key} = s.{key} AND t.{column} <> s.value"
            ).format(
                table=self.place(where.table),
                column=where.name,
                key=where.key,
                condition=condition,
            )
        )

    def fill(self, where: Field, to: LiteralString) -> int:
        """Set one row's column, which is NULL, to ``to``: {0} is the column, {1} the table."""
        place = self.place(where.table)
        return self.do(
            sql.SQL(
                "UPDATE {table} SET {column} = {to} WHERE {key} = (SELECT {key} FROM {table}"
                ' WHERE {column} IS NULL ORDER BY {key}::text COLLATE "C" LIMIT 1)'
                " AND {to} IS NOT NULL"
            ).format(
                table=place,
                column=where.name,
                key=where.key,
                to=sql.SQL(to).format(where.name, place),
            )
        )

    def move(self, where: Field, others: Table | str, name: sql.Identifier) -> int:
        """Point the first row that points at anything at the last other ``name`` of ``others``."""
        return self.do(
            sql.SQL(
                "UPDATE {table} AS t SET {column} = (SELECT p.{other} FROM {others} AS p"
                " WHERE p.{other} <> t.{column} ORDER BY 1 DESC LIMIT 1) WHERE t.{key} = (SELECT"
                " {key} FROM {table} WHERE {column} IS NOT NULL"
                " AND {column} <> ANY (SELECT o.{other} FROM {others} AS o)"
                " ORDER BY {key}::text LIMIT 1)"
            ).format(
                table=self.place(where.table),
                column=where.name,
                key=where.key,
                others=self.place(others),
                other=name,
            )
        )

    def keys(self, table: Table, condition: sql.Composable = EVERY) -> list[str]:
        """The keys of the rows of ``table`` (called t) that fit ``condition``, in their order."""
        key = sql.Identifier(table.primary_key[0])
        query = sql.SQL(
            'SELECT t.{key}::text FROM {} AS t WHERE {} ORDER BY t.{key}::text COLLATE "C"'
        )
        rows = self.rows(query.format(self.place(table), condition, key=key))
        return [str(row[0]) for row in rows]

    def texts_of(self, where: Field) -> list[tuple[str, str]]:
        """Key and value, as PostgreSQL prints it, of the rows that have one."""
        query = sql.SQL(
            "SELECT {key}::text, {0}::text FROM {1} WHERE {0} IS NOT NULL"
            ' ORDER BY {key}::text COLLATE "C"'
        ).format(where.name, self.place(where.table), key=where.key)
        return [(str(key), str(text)) for key, text in self.rows(query)]

    def set(self, table: Table, key: str, column: str, value: object) -> int:
        """Set one column of one row to a value, given as text."""
        declared = table.column(column)
        kind = sql.SQL(declared.type) if declared else sql.SQL("text")
        return self.do(
            sql.SQL("UPDATE {} SET {} = CAST(%s::text AS {}) WHERE {}::text = %s").format(
                self.place(table),
                sql.Identifier(column),
                kind,
                sql.Identifier(table.primary_key[0]),
            ),
            value,
            key,
        )

    def delete(self, table: Table, keys: Iterable[str]) -> int:
        """Delete the rows of ``table`` with these keys."""
        query = sql.SQL("DELETE FROM {} WHERE {}::text = ANY (%s)")
        key = sql.Identifier(table.primary_key[0])
        return self.do(query.format(self.place(table), key), list(keys))

    def double(self, table: Table, keys: Iterable[str]) -> int:
        """Insert the rows with these keys once more, under new keys.

        Columns that must be unique get a value of their own.
        """
        unique = {key.columns[0] for key in table.unique_keys if key.is_plain}
        unique |= set(table.primary_key)
        columns = [c for c in table.columns if not c.generated]
        values = [
            self._fresh(table, c) if c.name in unique else sql.Identifier("t", c.name)
            for c in columns
        ]
        query = sql.SQL(
            "INSERT INTO {place} ({names}) OVERRIDING SYSTEM VALUE SELECT {values}"
            " FROM {place} AS t WHERE t.{key}::text = ANY (%s)"
        ).format(
            place=self.place(table),
            names=names([c.name for c in columns]),
            values=sql.SQL(", ").join(values),
            key=sql.Identifier(table.primary_key[0]),
        )
        return self.do(query, list(keys))

    def lose(self, table: Table) -> int:
        """Delete the last row."""
        return self.delete(table, self.keys(table)[-1:])

    def double_first(self, table: Table) -> int:
        """Insert the first row once more."""
        return self.double(table, self.keys(table)[:1])

    def fabricate(self, table: Table) -> int:
        """Double one row and lose another one: as many as before."""
        keys = self.keys(table)
        # Doubled first: where that fails, nothing may be lost either.
        added = self.double(table, keys[:1]) if len(keys) > 1 else 0
        return self.delete(table, keys[-1:]) if added else 0

    def rekey(self, table: Table) -> int:
        """Give the first row another key."""
        keys = self.keys(table)[:1]
        return self.delete(table, keys) if self.double(table, keys) else 0

    def _fresh(self, table: Table, column: Column) -> sql.Composable:
        """A value of ``column`` that no row has: of a foreign key the row's own."""
        own = sql.Identifier("t", column.name)
        bound = {
            c
            for k in self.database.catalog.foreign_keys
            if k.table == table.name
            for c in k.columns
        }
        if column.type == "uuid" and column.name not in bound:
            return sql.SQL("md5('copy of ' || {}::text)::uuid").format(own)
        if column.type in _WHOLE and column.name in table.primary_key:
            largest = sql.SQL("(SELECT max({}) FROM {})").format(
                sql.Identifier(column.name), self.place(table)
            )
            return sql.SQL("{} + row_number() OVER ()").format(largest)
        if column.type.startswith(TEXT):
            return sql.SQL("left(md5({0}), 8) || left({0}, -8)").format(own)
        return own


Chosen = Callable[[Scene], Iterator[Table]]


def on_any(tables: Chosen, act: Callable[[Scene, Table], int]) -> Callable[[Scene], int]:
    """``act`` on the first of ``tables`` that has something of its sort."""
    return lambda scene: scene.first(partial(act, scene, table) for table in tables(scene))
