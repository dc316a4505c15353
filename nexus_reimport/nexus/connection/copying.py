"""Rows out of the database and into it by COPY: each value as PostgreSQL prints it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from psycopg import sql
from psycopg.abc import Buffer

from nexus_reimport.files import copytext, rowfile
from nexus_reimport.nexus.connection.postgres import Connection, names

_MOST_COPIED = 8 << 20  # bytes of rows that are copied out and not yet passed on


def copy_out(
    connection: Connection, query: sql.Composed, path: Path, columns: Sequence[str]
) -> rowfile.RowFile:
    """The rows of ``query`` as a row file, each value as PostgreSQL prints it."""
    with rowfile.writer(path, columns) as out:
        for lines in _copied(connection, query):
            out.add_batch(copytext.batch(lines, columns))
    return out.done()


def copy_out_in_order(
    connection: Connection, place: sql.Composable, columns: Sequence[str], key: str, path: Path
) -> rowfile.RowFile:
    """All rows of the table at ``place``, in the order of ``key``."""
    # "C" sorts as Python compares texts: `rowfile.paired` needs that order.
    query = sql.SQL('SELECT {} FROM {} ORDER BY {}::text COLLATE "C"').format(
        names(columns), place, sql.Identifier(key)
    )
    return copy_out(connection, query, path, columns)


def copied(
    connection: Connection, query: sql.Composed, columns: Sequence[str]
) -> Iterator[tuple[str | None, ...]]:
    """The rows of ``query``, each value as PostgreSQL prints it, one at a time."""
    for lines in _copied(connection, query):
        held = copytext.batch(lines, columns).columns
        yield from zip(*(column.to_pylist() for column in held), strict=True)


def _copied(connection: Connection, query: sql.Composed) -> Iterator[bytes]:
    """The rows of ``query`` as COPY writes them, some lines at a time."""
    command = sql.SQL("COPY ({}) TO STDOUT").format(query)
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        lines, size = list[Buffer](), 0
        for line in copy:
            lines.append(line)
            size += len(line)
            if len(lines) >= rowfile.BATCH or size > _MOST_COPIED:
                yield b"".join(lines)
                lines, size = [], 0
        if lines:
            yield b"".join(lines)


def copy_in(
    connection: Connection,
    table: sql.Composable,
    folder: Path,
    file: rowfile.RowFile,
    columns: Sequence[str] = (),
) -> int:
    """Load a row file into ``table``, checking its digest; gives the number of rows.

    ``columns`` are the table's for the first ones of the file, where they have other names.
    """
    into = columns or file.columns
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(table, names(into))
    with connection.cursor() as cursor:
        with cursor.copy(command) as copy:
            for batch in rowfile.batches(folder, file):
                values = [column.to_pylist() for column in batch.columns[: len(into)]]
                copy.write(copytext.lines(values))
        return cursor.rowcount
