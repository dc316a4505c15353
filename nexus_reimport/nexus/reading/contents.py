"""Fingerprints of a whole database, every column of every table, to compare it with a copy.

Extensions' own tables and undo data are left out. Sequences are left out too: they change outside
of any transaction, so a dump and a fingerprint of the same snapshot may see different values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from nexus_reimport import progress, wording
from nexus_reimport.nexus.connection.postgres import Connection, statement, table_name
from nexus_reimport.nexus.registry import OWN_SCHEMA, UNDO_PREFIX
from nexus_reimport.nexus.structure import fingerprint
from nexus_reimport.nexus.structure.fingerprint import Fingerprint

# The same as PostgreSQL's md5('').
EMPTY = hashlib.md5(b"", usedforsecurity=False).hexdigest()  # of a table without rows


def listed(connection: Connection, name: str) -> tuple[tuple[str, str, str], ...]:
    """(kind, name, owner or tablespace) of each object of the database, as it is now.

    ``name`` is that of the statement: ``owners`` or ``tablespaces``.
    """
    rows = connection.execute(statement(name), {"undo": UNDO_PREFIX}).fetchall()
    return tuple((str(kind), str(place), str(whose)) for kind, place, whose in rows)


def read(connection: Connection, known: Mapping[str, Fingerprint]) -> dict[str, Fingerprint]:
    """``schema.table`` -> fingerprint of all columns; ``known`` ones are not computed again."""
    tables = connection.execute(statement("user_tables"), {"undo": UNDO_PREFIX}).fetchall()
    prints = {}
    for schema, table, columns, key, _ in tables:
        name = f"{schema}.{table}"
        progress.tell(0, 0, name)
        place = table_name(schema, table)
        prints[name] = known.get(name) or fingerprint.of(
            connection, place, columns or (), key or ()
        )
    return prints


def differences(
    was: Mapping[str, Fingerprint],
    now: Mapping[str, Fingerprint],
    *,
    besides: Collection[str] = (),
) -> tuple[str, ...]:
    """The tables that differ, with their row counts; ``besides`` names tables to leave out."""
    differing = []
    for name in sorted({*was, *now} - set(besides)):
        before, after = was.get(name), now.get(name)
        if before is None and after is not None and name.startswith(f"{OWN_SCHEMA}."):
            before = Fingerprint(0, EMPTY)  # the first run on the copy creates it
        if before is None or after is None:
            differing.append(f"{name}: {'is missing' if after is None else 'did not exist'}")
        elif before != after:
            content = ", different content" if before.rows == after.rows else ""
            differing.append(
                f"{name}: {wording.amount(before.rows, 'row')}, in the copy {after.rows:,}{content}"
            )
    return tuple(differing)
