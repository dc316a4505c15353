"""What a whole database holds: a fingerprint of every table, every column; for comparing copies.

Extensions' own tables and undo data are outside. Sequences are too: they move outside of any
transaction, so that a dump and a fingerprint of one moment may see different ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from nexus_reimport.nexus import fingerprint
from nexus_reimport.nexus.fingerprint import Fingerprint
from nexus_reimport.nexus.postgres import Connection, statement, table_name
from nexus_reimport.nexus.registry import OWN_SCHEMA, UNDO_PREFIX

EMPTY = hashlib.md5(b"", usedforsecurity=False).hexdigest()  # of a table without rows


def read(connection: Connection, known: Mapping[str, Fingerprint]) -> dict[str, Fingerprint]:
    """``schema.table`` -> its fingerprint, all columns; ``known`` ones are not computed again."""
    tables = connection.execute(statement("user_tables"), {"undo": UNDO_PREFIX}).fetchall()
    found = {}
    for schema, table, columns, key in tables:
        name = f"{schema}.{table}"
        place = table_name(schema, table)
        found[name] = known.get(name) or fingerprint.of(connection, place, columns or (), key or ())
    return found


def differences(
    was: Mapping[str, Fingerprint],
    now: Mapping[str, Fingerprint],
    *,
    besides: Collection[str] = (),
) -> tuple[str, ...]:
    """The tables that are not the same in both, with their numbers of rows."""
    found = []
    for name in sorted({*was, *now} - set(besides)):
        then, there = was.get(name), now.get(name)
        if then is None and there is not None and name.startswith(f"{OWN_SCHEMA}."):
            then = Fingerprint(0, EMPTY)  # made by the first run
        if then is None or there is None:
            found.append(f"{name}: {'is missing' if there is None else 'was not there'}")
        elif then != there:
            same = ", other content" if then.rows == there.rows else ""
            found.append(f"{name}: {then.rows:,} rows, in the copy {there.rows:,}{same}")
    return tuple(found)
