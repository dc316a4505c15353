"""What the database would put into a column that the application leaves out of a new row."""

from __future__ import annotations

from nexus_reimport.nexus.database import Database
from nexus_reimport.nexus.postgres import statement


def read(database: Database) -> tuple[dict[str, dict[str, str]], tuple[str, ...]]:
    """By entity: column -> text, as COPY writes it; and which defaults a new row does not get.

    Only columns to which the mapping gives nothing. A default that is another one for each row, or
    that calls a function of somebody's own, is not asked for: that could write.
    """
    wiped = database.mapping.wiped_tables()
    asked: dict[str, object] = {"schema": database.mapping.schema_name, "tables": sorted(wiped)}
    found: dict[str, dict[str, str]] = {}
    unused = []
    for table, column, said, kind, is_one_value in database.connection.execute(
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
            value = f"CAST(({said}) AS {kind})"  # both as the catalog writes them
            query = b"SELECT format('%s', v) FROM (SELECT {value} AS v) AS d WHERE v IS NOT NULL"
            for (text,) in database.connection.execute(query.replace(b"{value}", value.encode())):
                found.setdefault(wiped[table], {})[column] = text
        else:
            unused.append(
                f"{table}.{column} has a default in the database that is not one value for all"
                " rows: new rows are empty there; give them a value under"
                f" [entities.{wiped[table]}.new]"
            )
    return found, tuple(unused)
