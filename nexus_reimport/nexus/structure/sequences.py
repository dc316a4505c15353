"""The sequences that give out keys, and whether the next key is free.

A sequence changes outside of any transaction: a rollback does not restore it. So it is only moved
past existing keys, as the last step before COMMIT, and never asked for its next value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.nexus.connection.postgres import Connection, scalar, statement, table_name


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence behind an integer column.

    ``smallest`` and ``largest`` are its limits, within those of the column, whose type holds
    numbers up to ``widest``.
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
        """The full name of the sequence, for a statement."""
        return table_name(self.schema, self.name)

    @property
    def rises(self) -> bool:
        """Whether it counts upwards."""
        return self.increment > 0

    @property
    def what(self) -> str:
        """The sequence and its column, for a message."""
        return f"sequence {self.schema}.{self.name} behind {self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class NextKey:
    """The next value of a sequence (None: none is left), and how many rows already use values.

    ``skipped`` were given out since it was looked at before, and are no row's; so many are left.
    """

    sequence: str
    next: int | None
    taken: int
    skipped: int = 0
    left: int = 0

    @property
    def is_free(self) -> bool:
        """Whether the application can add a row, and has not lost most of its values."""
        return self.next is not None and not self.taken and self.skipped <= self.left

    def __str__(self) -> str:
        if self.next is None:
            return f"{self.sequence}: it has no value left"
        if not self.taken:
            left = wording.amount(self.left, "is", "are")
            skipped = wording.amount(self.skipped, "value")
            return f"{self.sequence}: it was moved past {skipped}, {left} left"
        rows = wording.amount(self.taken, "row holds", "rows hold")
        return f"{self.sequence}: {rows} values that it gives out next"


def behind(connection: Connection, schema: str, tables: Iterable[str]) -> tuple[Sequence, ...]:
    """The sequences behind the integer columns of ``tables``."""
    asked = {"schema": schema, "tables": sorted(tables)}
    numbered = [table for (table,) in connection.execute(statement("numbered"), asked)]
    if not numbered:
        return ()
    rows = connection.execute(statement("sequences"), {**asked, "tables": numbered})
    return tuple(Sequence(*row) for row in rows)


def unseen(
    connection: Connection, schema: str, tables: Collection[str], known: Iterable[Sequence]
) -> tuple[tuple[str, str, str], ...]:
    """(table, key, function) for keys from a function whose sequence the catalog does not show."""
    asked = {"schema": schema, "tables": sorted(tables)}
    with_sequence = {(s.table, s.column) for s in known}
    rows = connection.execute(statement("unseen_defaults"), asked).fetchall()
    return tuple((t, c, function) for t, c, function in rows if (t, c) not in with_sequence)


def used_up(connection: Connection, schema: str, tables: Iterable[str]) -> Iterator[Sequence]:
    """The sequences that have no value left."""
    for sequence in behind(connection, schema, tables):
        if sequence.may_read and _next(connection, sequence) is None:
            yield sequence


def given_out(connection: Connection, sequence: Sequence) -> int | None:
    """The value that was given out or set last; None if there was none."""
    last, is_called = _state(connection, sequence)
    return last if is_called else None


def read(
    connection: Connection, schema: str, sequence: Sequence, since: int | None = None
) -> NextKey:
    """The next value, and the rows that hold values from there on; of a cycling one, only it.

    ``since`` is what it had given out last when it was looked at before; None is not compared.
    """
    value = _next(connection, sequence)
    if value is None:
        return NextKey(sequence.what, None, 0)
    column, upper = sql.Identifier(sequence.column), sequence.largest
    first, last = (value, upper) if sequence.rises else (sequence.smallest, value)
    if sequence.cycles:
        first, last = value, value
    query = sql.SQL("SELECT count(*) FROM {} WHERE {} BETWEEN {} AND {}")
    asked = partial(query.format, table_name(schema, sequence.table), column)
    taken = int(scalar(connection, asked(sql.Literal(first), sql.Literal(last))))
    if since is None or sequence.cycles:
        return NextKey(sequence.what, value, taken)
    given = (value - since) // sequence.increment - 1
    ends = sorted((since + sequence.increment, value - sequence.increment))
    rows = int(scalar(connection, asked(*map(sql.Literal, ends)))) if given > 0 else 0
    left = (last - first) // abs(sequence.increment) + 1
    return NextKey(sequence.what, value, taken, given - rows, left)


def move_past_keys(connection: Connection, schema: str, sequence: Sequence) -> None:
    """Set the sequence to the last existing key, so that the application's next key is free.

    It is never moved back: setval has an effect only if the sequence is behind that key.
    """
    # Keys beyond the limits were not given out by it, and setval would refuse them.
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
    # A sequence that was never called gives out last_value itself: it counts as behind, too.
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
    # Not from pg_sequences, whose last_value is empty until the sequence is called.
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
