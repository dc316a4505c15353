"""Fingerprints of tables: equal exactly when the same rows hold the same values.

Named columns in the order of their names, rows in the order of their keys (as text, collation
"C"), 128 bits. A row's text includes every value's own, so that two values exchanged between two
columns or two rows show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport.nexus.postgres import Connection


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


def differing(
    expected: Mapping[str, Fingerprint], found: Mapping[str, Fingerprint]
) -> tuple[str, ...]:
    """The tables of ``expected`` whose fingerprint is another one, or that are not there."""
    return tuple(table for table, was in expected.items() if found.get(table) != was)


def moved(expected: Mapping[str, Fingerprint], found: Mapping[str, Fingerprint]) -> tuple[str, ...]:
    """The tables whose fingerprints differ, with their row counts."""
    return tuple(
        f"{table}: {then.rows:,} rows then, {now.rows:,} now"
        + (", other content" if then.rows == now.rows else "")
        for table in sorted(differing(expected, found))
        for then, now in [(expected[table], found.get(table, Fingerprint(0, "gone")))]
    )
