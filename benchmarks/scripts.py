"""The reimport as a person would write it by hand, in SQL: what writers wait for it.

Script A copies all rows aside, deletes them, and inserts them again. Script B has looked before
which rows differ, copies those aside, and writes only them. Both load the planned rows into
tables beside before they take any lock, as the package does, and neither checks anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from benchmarks.clinic import Clinic
from benchmarks.meter import Cost, cpu_of, own_cpu
from nexus_reimport.files import rowfile
from nexus_reimport.model import Plan, Survey
from nexus_reimport.nexus.connection.copying import copy_in
from nexus_reimport.nexus.connection.postgres import names
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.writing import undo_data
from nexus_reimport.runbook import Runbook
from nexus_sandbox.stack.access import OWNER

Connection = psycopg.Connection[tuple[object, ...]]
A, B, BACK = "script A: all rows", "script B: rows that differ", "script B: the way back"


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is written: its key, and the columns that are planned."""

    name: str
    key: str
    columns: tuple[str, ...]

    def place(self, schema: str) -> sql.Identifier:
        """The table of that name in ``schema``."""
        return sql.Identifier(schema, self.name)

    def sql(self, text: str) -> sql.Composed:
        """``text`` with the names of this table: of itself, and of those beside it."""
        columns = [c for c in self.columns if c != self.key]
        return sql.SQL(text).format(
            table=self.place("public"),
            wanted=self.place("wanted"),
            aside=self.place("aside"),
            differing=self.place("differing"),
            key=sql.Identifier(self.key),
            columns=names(self.columns),
            set=sql.SQL(", ").join(
                sql.SQL("{0} = w.{0}").format(sql.Identifier(c)) for c in columns
            ),
        )


@dataclass(frozen=True, slots=True)
class Script:
    """The hand-written work on one database that is as Nexus is found."""

    connection: Connection
    server: int  # the postmaster's process id
    wiped: tuple[Table, ...]  # parents first
    links: tuple[Table, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """All that is written."""
        return (*self.wiped, *self.links)

    def each(self, tables: Iterable[Table], text: str) -> None:
        """Execute ``text`` for each of them."""
        for table in tables:
            self.connection.execute(table.sql(text))

    def load(self, book: Runbook) -> None:
        """Load the planned rows into tables beside, without a log, as temporary ones are."""
        planned = book.run.load(Plan)
        for schema in ("wanted", "aside", "differing"):
            self.connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        self.each(
            self.tables,
            "CREATE UNLOGGED TABLE {wanted} AS SELECT {columns} FROM {table} WITH NO DATA",
        )
        files = {e.table: e.file for e in planned.entities.values()}
        for table in self.wiped:
            copy_in(self.connection, table.place("wanted"), book.folder, files[table.name])
        for table, link in zip(self.links, planned.links.values(), strict=True):
            width = len(table.columns)
            command = table.sql("COPY {wanted} ({columns}) FROM STDIN")
            with self.connection.cursor() as cursor, cursor.copy(command) as copy:
                for row in rowfile.read(book.folder, link.file):
                    copy.write_row(row[:width])
        self.each(self.tables, "ANALYZE {wanted}")

    def all_rows(self) -> Iterator[None]:
        """Script A, in halves: what is done before the locks, and what is done under them."""
        yield
        self.each(self.wiped, "CREATE TABLE {aside} AS SELECT * FROM {table}")
        self._links_aside()
        self.connection.execute("SET CONSTRAINTS ALL DEFERRED")
        self.each(reversed(self.wiped), "DELETE FROM {table}")
        self.each(self.wiped, f"{_INSERT} FROM {{wanted}}")
        self.each(self.links, _SET_LINKS)

    def differing_rows(self) -> Iterator[None]:
        """Script B, in the same halves."""
        self.each(self.wiped, _FIND)
        self.each(self.wiped, "ANALYZE {differing}")
        self.each(self.wiped, _KEEP)
        self._links_aside()
        yield
        self.connection.execute("SET CONSTRAINTS ALL DEFERRED")
        self.each(
            reversed(self.wiped),
            "DELETE FROM {table} AS t USING {differing} AS d"
            " WHERE d.key = t.{key} AND d.what = 'gone'",
        )
        self.each(
            self.wiped,
            f"{_UPDATE} FROM {{wanted}} AS w JOIN {{differing}} AS d"
            " ON d.key = w.{key} AND d.what = 'changed' WHERE t.{key} = w.{key}",
        )
        self.each(
            self.wiped,
            f"{_INSERT} FROM {{wanted}} AS w WHERE w.{{key}} IN"
            " (SELECT key FROM {differing} WHERE what = 'new')",
        )
        self.each(self.links, _SET_LINKS)

    def way_back(self) -> Iterator[None]:
        """What undoes script B, from the rows that it has kept."""
        yield
        self.connection.execute("SET CONSTRAINTS ALL DEFERRED")
        self.each(
            reversed(self.wiped),
            "DELETE FROM {table} AS t USING {differing} AS d"
            " WHERE d.key = t.{key} AND d.what = 'new'",
        )
        self.each(
            self.wiped,
            f"{_UPDATE} FROM {{aside}} AS w JOIN {{differing}} AS d"
            " ON d.key = w.{key} AND d.what = 'changed' WHERE t.{key} = w.{key}",
        )
        self.each(
            self.wiped,
            f"{_INSERT} FROM {{aside}} AS w WHERE w.{{key}} IN"
            " (SELECT key FROM {differing} WHERE what = 'gone')",
        )
        self.each(self.links, f"{_UPDATE} FROM {{aside}} AS w WHERE t.{{key}} = w.{{key}}")

    def run(
        self,
        halves: Callable[[], Iterator[None]],
        name: str,
        end: str = "COMMIT",
        at_locks: Callable[[], None] = lambda: None,
    ) -> Cost:
        """One transaction; its cost from the locks to ``end``, which is how long writers wait.

        ``at_locks`` is called as soon as they are taken.
        """
        cost, work = Cost(name), halves()
        began, own, server = time.monotonic(), own_cpu(), cpu_of(self.server)
        self.connection.execute("BEGIN")
        next(work)
        names_ = sql.SQL(", ").join(table.place("public") for table in self.tables)
        self.connection.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(names_))
        at_locks()
        locked, cpu = time.monotonic(), self._cpu()
        next(work, None)
        if end != "COMMIT":
            self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cost.wait, cost.wait_cpu = time.monotonic() - locked, self._cpu() - cpu
        self.connection.execute(end.encode())
        if end == "COMMIT":
            cost.wait, cost.wait_cpu = time.monotonic() - locked, self._cpu() - cpu
        cost.seconds, cost.cpu = time.monotonic() - began, own_cpu() - own
        cost.servers = {"PostgreSQL": cpu_of(self.server) - server}
        return cost

    def _links_aside(self) -> None:
        self.each(
            self.links,
            "CREATE TABLE {aside} AS SELECT {columns} FROM {table}"
            " WHERE {key} IN (SELECT {key} FROM {wanted})",
        )

    def _cpu(self) -> float:
        return own_cpu() + cpu_of(self.server)


_INSERT = "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns}"
_UPDATE = "UPDATE {table} AS t SET {set}"
_SET_LINKS = f"{_UPDATE} FROM {{wanted}} AS w WHERE t.{{key}} = w.{{key}}"
_FIND = """CREATE UNLOGGED TABLE {differing} AS
    SELECT coalesce(t.{key}, w.{key}) AS key,
        CASE WHEN t.{key} IS NULL THEN 'new' WHEN w.{key} IS NULL THEN 'gone' ELSE 'changed' END
            AS what
    FROM (SELECT {columns} FROM {table}) AS t FULL JOIN {wanted} AS w ON w.{key} = t.{key}
    WHERE t.{key} IS NULL OR w.{key} IS NULL OR t::text <> w::text"""
_KEEP = """CREATE TABLE {aside} AS SELECT * FROM {table}
    WHERE {key} IN (SELECT key FROM {differing} WHERE what <> 'new')"""


@contextmanager
def loaded(clinic: Clinic, book: Runbook, name: str) -> Iterator[None]:
    """A template database with the planned rows beside Nexus's, from which ``script`` copies."""
    clinic.fresh(name)
    try:
        with _connected(clinic, name) as connection:
            _of(connection, clinic, book).load(book)
            connection.execute("VACUUM (ANALYZE)")
        yield
    finally:
        clinic.drop(name)


@contextmanager
def script(clinic: Clinic, book: Runbook, of: str) -> Iterator[Script]:
    """A script on a database of its own, a copy of ``of``."""
    name = f"{of}_copy"
    clinic.stack.postgres.create_database(name, template=of, owner=OWNER)
    try:
        with _connected(clinic, name) as connection:
            yield _of(connection, clinic, book)
    finally:
        clinic.drop(name)


def _connected(clinic: Clinic, name: str) -> Connection:
    return clinic.stack.postgres.connect(name, OWNER)


def _of(connection: Connection, clinic: Clinic, book: Runbook) -> Script:
    """The script for what the plan of ``book`` writes."""
    planned, surveyed = book.run.load(Plan), book.run.load(Survey)
    database = Database.read(connection, book.mapping)
    undo = undo_data.of("script", database, planned.entities, planned.links, surveyed.schema)
    columns = {e.table: e.file.columns for e in planned.entities.values()}
    wiped = tuple(Table(t.table, t.key, columns[t.table]) for t in undo.tables)
    links = tuple(Table(t.table, t.key, (t.key, *t.columns)) for t in undo.links)
    return Script(connection, clinic.pids["PostgreSQL"], wiped, links)


def measured(clinic: Clinic, book: Runbook) -> list[Cost]:
    """Scripts A and B and the way back, each as often as a transaction of this clinic is."""
    costs = []
    with loaded(clinic, book, "script"):
        for _ in range(clinic.repeat):
            with script(clinic, book, "script") as one:
                clinic.checkpoint()
                costs.append(one.run(one.all_rows, A))
            with script(clinic, book, "script") as one:
                clinic.checkpoint()
                costs.append(one.run(one.differing_rows, B))
                clinic.checkpoint()
                costs.append(one.run(one.way_back, BACK))
    rows = sum(e.rows_after for e in book.run.load(Plan).entities.values())
    for cost in costs:
        cost.rows = rows
    return costs
