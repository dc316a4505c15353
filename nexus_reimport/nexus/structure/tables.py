"""The role of each table, the columns that its fingerprint covers, and its fingerprint now."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from psycopg import sql

from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus.connection.copying import copy_out_in_order
from nexus_reimport.nexus.connection.postgres import scalar
from nexus_reimport.nexus.structure import fingerprint
from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.nexus.structure.database import Database


class Role(StrEnum):
    """What a run may do with a table."""

    WIPED = "wiped and reimported"
    LINK = "only the link"
    PROTECTED = "protected"


def fingerprinted(
    mapping: FieldMapping, table: Table
) -> tuple[tuple[str, ...], Role, tuple[str, ...]]:
    """The columns of ``table`` that its fingerprint covers, its role, and the columns left out.

    Volatile columns are left out, because the application changes them by itself (tokens, logins).
    """
    every = tuple(c.name for c in table.columns)
    if table.name in mapping.wiped_tables():
        return every, Role.WIPED, ()
    if table.name in mapping.link_tables():
        # A run may change only the link; people may edit the other columns meanwhile.
        link = mapping.link_tables()[table.name]
        linked = (*table.primary_key, link.object, *([link.content_type] * bool(link.content_type)))
        return linked, Role.LINK, tuple(c for c in every if c not in linked)
    volatile = mapping.volatile.get(table.name, ())
    if "*" in volatile:
        return (), Role.PROTECTED, every
    return tuple(c for c in every if c not in volatile), Role.PROTECTED, volatile


def dump(database: Database, table: Table, path: Path, key: str = "") -> RowFile:
    """All rows of ``table``, in the order of ``key``, its primary key where none is named."""
    place, key = database.place(table.name), key or table.primary_key[0]
    return copy_out_in_order(database.connection, place, table.names(), key, path)


def mapped_tables(mapping: FieldMapping) -> set[str]:
    """The tables whose schema the approval covers."""
    looked_up = {
        s.table for e in mapping.entities.values() for c in e.columns.values() for s in c.lookup
    }
    attached = {a.table for a in mapping.attachments.values()}
    return {*mapping.wiped_tables(), *mapping.link_tables(), *attached, *looked_up}


def fingerprints_now(database: Database, *roles: Role) -> dict[str, fingerprint.Fingerprint]:
    """The fingerprints of all tables with one of ``roles``, as this connection sees them now."""
    return fingerprints_of(database, tables_with(database, *roles))


def tables_with(database: Database, *roles: Role) -> set[str]:
    """The names of all tables with one of ``roles``."""
    return {
        name
        for name, table in database.catalog.tables.items()
        if fingerprinted(database.mapping, table)[1] in roles
    }


def fingerprints_of(
    database: Database, tables: Iterable[str]
) -> dict[str, fingerprint.Fingerprint]:
    """The fingerprints of ``tables`` now; a missing or wholly volatile table has none."""
    existing = sorted(set(tables) & database.catalog.tables.keys())
    fingerprints = {name: fingerprint_of(database, database.table(name)) for name in existing}
    return {name: one for name, one in fingerprints.items() if one.digest}


def fingerprint_of(database: Database, table: Table) -> fingerprint.Fingerprint:
    """The fingerprint of ``table`` now; of one that is wholly volatile the number of rows alone."""
    columns, _, _ = fingerprinted(database.mapping, table)
    place = database.place(table.name)
    if columns:
        return fingerprint.of(database.connection, place, columns, table.primary_key)
    query = sql.SQL("SELECT count(*) FROM {}").format(place)
    return fingerprint.Fingerprint(scalar(database.connection, query), "")
