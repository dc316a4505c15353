"""A hash of each row of what a run must leave as it was: every table that is not its own to write.

The server hashes, so that a row costs some sixty bytes on its way, and no more than one is held.
Columns that move by themselves are no part of a hash; of each it is kept whether it was filled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus.connection.copying import copied
from nexus_reimport.nexus.connection.postgres import (
    Connection,
    in_default,
    names,
    statement,
    table_name,
)
from nexus_reimport.nexus.registry import OWN_SCHEMA, UNDO_PREFIX
from nexus_reimport.nexus.structure import fingerprint
from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.tables import fingerprinted

COLUMNS = ("table", "key", "hash", "filled")


@dataclass(frozen=True, slots=True)
class Hashed:
    """One table: where it is, which columns are hashed, and which move by themselves."""

    name: str
    place: sql.Identifier
    columns: tuple[str, ...]
    key: tuple[str, ...]
    volatile: tuple[str, ...] = ()


def of_table(mapping: FieldMapping, table: Table, key: tuple[str, ...] = ()) -> Hashed:
    """How one of the application's tables is hashed.

    By ``key``, the primary key that it had, where all of its columns are there; else by its own.
    """
    columns, _, volatile = fingerprinted(mapping, table)
    place = table_name(mapping.schema_name, table.name)
    known = key if key and all(map(table.column, key)) else table.primary_key
    return Hashed(table.name, place, columns, known, volatile if columns else ())


def elsewhere(connection: Connection, mapping: FieldMapping) -> tuple[Hashed, ...]:
    """The tables of every other schema, our own and partitions of the application's aside.

    A partition is looked at with its root, which may be a wiped table.
    """
    rows = connection.execute(statement("user_tables"), {"undo": UNDO_PREFIX})
    return tuple(
        Hashed(f"{schema}.{name}", table_name(schema, name), tuple(columns or ()), tuple(key or ()))
        for schema, name, columns, key, root in rows
        if mapping.schema_name not in (schema, root) and schema != OWN_SCHEMA
    )


def print_of(connection: Connection, table: Hashed) -> Fingerprint:
    """The fingerprint of ``table`` now, the same as ``dump`` gives."""
    return fingerprint.of(connection, table.place, table.columns, table.key)


def dump(
    connection: Connection, tables: tuple[Hashed, ...], path: Path
) -> tuple[RowFile, dict[str, Fingerprint]]:
    """The hash of each row of ``tables``, table by table in the order of keys; fingerprints too.

    A table without a primary key has its rows' hashes for keys.
    """
    prints = {}
    with rowfile.writer(path, COLUMNS) as out:
        for table in tables:
            # Said so, because Python refuses MD5 on a system in FIPS mode otherwise.
            digest, count = hashlib.md5(usedforsecurity=False), 0
            for row in _rows(connection, table):
                out.add((table.name, *row))
                # The hashes one after the other, as `fingerprint.of` lets the server join them.
                digest.update((row[1] or "").encode())
                count += 1
            prints[table.name] = (
                Fingerprint(count, digest.hexdigest()) if table.key else print_of(connection, table)
            )
    return out.done(), prints


def _rows(connection: Connection, table: Hashed) -> Iterator[tuple[str | None, ...]]:
    """Key, hash, and for each volatile column 1 where it is filled."""
    hashed = sql.SQL("md5(ROW({})::text)").format(names(sorted(table.columns)))
    key = sql.SQL("ROW({})::text").format(names(table.key)) if table.key else hashed
    filled = sql.SQL(" || ").join(
        sql.SQL(r"CASE WHEN {} ~ '\S' THEN '1' ELSE '0' END").format(
            in_default(sql.SQL("{}::text").format(sql.Identifier(column)))
        )
        for column in table.volatile
    )
    # "C" sorts as Python compares texts: `rowfile.paired` needs that order.
    query = sql.SQL('SELECT {} AS key, {}, {} FROM {} ORDER BY {} COLLATE "C"').format(
        key, hashed, filled if table.volatile else sql.SQL("''"), table.place, key
    )
    return copied(connection, query, COLUMNS[1:])
