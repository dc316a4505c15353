"""Fingerprints of tables: equal if, and only if, the same rows hold the same values.

Columns are taken in the order of their names, rows in the order of their keys (as text, in
collation "C", which is the same on every server). The hash has 128 bits. It covers each row as a
whole, so two values that were exchanged between two columns or two rows change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.nexus.connection.postgres import Connection


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The number of rows, and a digest of their contents."""

    rows: int
    digest: str


def of(
    connection: Connection, table: sql.Composable, columns: Sequence[str], key: Sequence[str]
) -> Fingerprint:
    """The fingerprint of ``columns`` of ``table``, rows in the order of ``key``.

    Values are hashed as the server prints them, so the session needs ``session.SESSION``: another
    time zone or date style would give another fingerprint of the same data.
    """
    row = connection.execute(
        sql.SQL(
            # A row's text keeps NULL and '' apart, and no value can run into the next one.
            "SELECT count(*), md5(coalesce(string_agg(hash, '' ORDER BY key COLLATE \"C\"), ''))"
            " FROM (SELECT md5(ROW({columns})::text) AS hash, ROW({key})::text AS key"
            " FROM {table}) AS hashed"
        ).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, sorted(columns))),
            # Rows of a table without a key are put in order by all their columns.
            key=sql.SQL(", ").join(map(sql.Identifier, key or sorted(columns))),
            table=table,
        )
    ).fetchone()
    return Fingerprint(*row) if row else Fingerprint(0, "")


def differing(
    expected: Mapping[str, Fingerprint], actual: Mapping[str, Fingerprint]
) -> tuple[str, ...]:
    """The tables of ``expected`` whose fingerprint differs, or that are missing."""
    return tuple(table for table, was in expected.items() if actual.get(table) != was)


def moved(expected: Mapping[str, Fingerprint], actual: Mapping[str, Fingerprint]) -> dict[str, str]:
    """The tables whose fingerprints differ, each with a line about it: how many rows it had."""
    return {
        table: f"{table}: {wording.amount(then.rows, 'row')} then, {now.rows:,} now"
        + (", different content" if then.rows == now.rows else "")
        for table in sorted(differing(expected, actual))
        for then, now in [(expected[table], actual.get(table, Fingerprint(0, "gone")))]
    }
