"""The sequences that give out keys: whether what they give out next is free.

A sequence moves outside of any transaction: it is never rolled back. So it is only ever moved away
from keys that are there, as the last thing before COMMIT, and never asked for its next value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport.nexus.postgres import Connection, scalar, statement, table_name


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence behind a column of whole numbers.

    ``smallest`` and ``largest`` fit the column too, whose type holds numbers up to ``widest``.
    """

    table: str
    column: str
    schema: str
    name: str
    increment: int
    smallest: int
    largest: int
    widest: int
    cycles: bool
    may_read: bool

    @property
    def place(self) -> sql.Identifier:
        """The sequence itself."""
        return table_name(self.schema, self.name)

    @property
    def rises(self) -> bool:
        """Whether it counts upwards."""
        return self.increment > 0

    @property
    def what(self) -> str:
        """What it is, for a message."""
        return f"sequence {self.schema}.{self.name} behind {self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sequence gives out next (None: nothing any more), and how many rows are in its way."""

    sequence: str
    next: int | None
    taken: int

    @property
    def is_free(self) -> bool:
        """Whether the application can add a row."""
        return self.next is not None and not self.taken

    def __str__(self) -> str:
        if self.next is None:
            return f"{self.sequence}: it has no value left"
        return f"{self.sequence}: {self.taken:,} rows hold what it gives out next"


def behind(connection: Connection, schema: str, tables: Iterable[str]) -> tuple[Sequence, ...]:
    """The sequences behind the columns of whole numbers of ``tables``."""
    asked = {"schema": schema, "tables": sorted(tables)}
    rows = connection.execute(statement("sequences"), asked)
    return tuple(Sequence(*row) for row in rows)


def unseen(
    connection: Connection, schema: str, tables: Collection[str], known: Iterable[Sequence]
) -> tuple[tuple[str, str, str], ...]:
    """Table, key and function, where a function gives out keys and no sequence can be told."""
    asked = {"schema": schema, "tables": sorted(tables)}
    seen = {(s.table, s.column) for s in known}
    rows = connection.execute(statement("unseen_defaults"), asked).fetchall()
    return tuple((t, c, function) for t, c, function in rows if (t, c) not in seen)


def used_up(connection: Connection, schema: str, tables: Iterable[str]) -> Iterator[Sequence]:
    """Those that have no value left to give out."""
    for sequence in behind(connection, schema, tables):
        if sequence.may_read and _next(connection, sequence) is None:
            yield sequence


def given_out(connection: Connection, sequence: Sequence) -> int | None:
    """The value that was given out last, or was set; None where none was."""
    last, is_called = _state(connection, sequence)
    return last if is_called else None


def read(connection: Connection, schema: str, sequence: Sequence) -> Reading:
    """What it gives out next. One that cycles is in nobody's way but the next row's."""
    value = _next(connection, sequence)
    if value is None:
        return Reading(sequence.what, None, 0)
    column, upper = sql.Identifier(sequence.column), sequence.largest
    first, last = (value, upper) if sequence.rises else (sequence.smallest, value)
    if sequence.cycles:
        first, last = value, value
    query = sql.SQL("SELECT count(*) FROM {} WHERE {} BETWEEN {} AND {}").format(
        table_name(schema, sequence.table), column, sql.Literal(first), sql.Literal(last)
    )
    return Reading(sequence.what, value, int(scalar(connection, query)))


def move_past_keys(connection: Connection, schema: str, sequence: Sequence) -> None:
    """Set it to the last key in its way, so that the application's next one is free."""
    query = sql.SQL("SELECT {}({column}) FROM {} WHERE {column} BETWEEN {} AND {}").format(
        sql.SQL("max" if sequence.rises else "min"),
        table_name(schema, sequence.table),
        sql.Literal(sequence.smallest),
        sql.Literal(sequence.largest),
        column=sql.Identifier(sequence.column),
    )
    last = scalar(connection, query)
    if last is None:
        return
    connection.execute(
        sql.SQL(
            "SELECT setval({name}::regclass, {last}) FROM {place} WHERE last_value {} {last}"
            " OR (last_value = {last} AND NOT is_called)"
        ).format(
            sql.SQL("<" if sequence.rises else ">"),
            name=sql.Literal(sequence.place.as_string(connection)),
            last=sql.Literal(last),
            place=sequence.place,
        )
    )


def _state(connection: Connection, sequence: Sequence) -> tuple[int, bool]:
    query = sql.SQL("SELECT last_value, is_called FROM {}").format(sequence.place)
    row = connection.execute(query).fetchone()
    return (int(row[0]), bool(row[1])) if row else (0, False)


def _next(connection: Connection, sequence: Sequence) -> int | None:
    last, is_called = _state(connection, sequence)
    value = last + sequence.increment if is_called else last
    if sequence.smallest <= value <= sequence.largest:
        return value
    if not sequence.cycles:
        return None
    return sequence.smallest if sequence.rises else sequence.largest
