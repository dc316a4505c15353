"""Fingerprints of tables: equal exactly when the same rows hold the same values.

Named columns in the order of their names, rows in the order of their keys (as text, collation
"C"), 128 bits. A row's text includes every value's own, so that two values exchanged between two
columns or two rows show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport.target.postgres import Connection


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How many rows, and the digest of what they hold."""

    rows: int
    digest: str


def of(
    connection: Connection, table: sql.Composable, columns: Sequence[str], key: Sequence[str]
) -> Fingerprint:
    """The fingerprint of ``columns`` of ``table``, rows in the order of ``key``.

    The session must have the settings of ``target.postgres``: values are hashed as printed.
    """
    row = connection.execute(
        sql.SQL(
            "SELECT count(*), md5(coalesce(string_agg(hash, '' ORDER BY key COLLATE \"C\"), ''))"
            " FROM (SELECT md5(ROW({columns})::text) AS hash, ROW({key})::text AS key"
            " FROM {table}) AS hashed"
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, sorted(columns))),
            key=sql.SQL(", ").join(map(sql.Identifier, key or sorted(columns))),
            table=table,
        )
    ).fetchone()
    return Fingerprint(*row) if row else Fingerprint(0, "")
