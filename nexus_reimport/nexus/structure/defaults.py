"""Default values that the database gives to columns which an INSERT leaves out.

A run inserts whole rows, so the server's defaults do not apply: the plan must hold them.
"""

from __future__ import annotations

from nexus_reimport.nexus.connection.postgres import statement
from nexus_reimport.nexus.structure.database import Database


def read(database: Database) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """Entity -> column -> text, as COPY writes it; and messages about defaults that are not used.

    Only columns that the mapping does not feed. A default that differs from row to row, or that
    calls a function written by somebody, is not evaluated: the function could write.
    """
    wiped = database.mapping.wiped_tables()
    asked: dict[str, object] = {"schema": database.schema, "tables": sorted(wiped)}
    defaults: dict[str, dict[str, str]] = {}
    unused = []
    for table, column, expression, kind, is_one_value in database.connection.execute(
        statement("defaults"), asked
    ).fetchall():
        entity = database.mapping.entities[wiped[table]]
        if column in {
            *entity.fed_columns(),
            *entity.new,
            *database.catalog.tables[table].primary_key,
        }:
            continue
        if is_one_value:
            value = f"CAST(({expression}) AS {kind})"  # both come from the catalog, quoted by it
            # format() prints a value as COPY does: a boolean as t, where a cast would give true.
            query = b"SELECT format('%s', v) FROM (SELECT {value} AS v) AS d WHERE v IS NOT NULL"
            # Executed without parameters, so that a % in the expression is not a placeholder.
            for (text,) in database.connection.execute(query.replace(b"{value}", value.encode())):
                defaults.setdefault(wiped[table], {})[column] = text
        else:
            unused.append(
                f"{table}.{column}: its default in the database is not the same for every row, so"
                " new rows stay empty there; give them a value in the mapping under"
                f" [entities.{wiped[table]}.new]"
            )
    return defaults, tuple(unused)
