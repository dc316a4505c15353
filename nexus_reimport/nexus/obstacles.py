"""What in the database stands in a run's way, found by catalog, with the statement that settles it.

Each statement is one that an administrator can run as it is printed; a test runs every one of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.errors import StopError
from nexus_reimport.nexus import sequences
from nexus_reimport.nexus.catalog import ForeignKey
from nexus_reimport.nexus.database import Database
from nexus_reimport.nexus.postgres import Connection, names, scalar, statement, table_name
from nexus_reimport.nexus.references import Hit

Name = sql.Identifier


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about the database that must be settled first, and the statement that would."""

    what: str
    mend: str


def refuse_hidden_rows(connection: Connection) -> None:
    """Stop where row level security would hide rows from us: every count would be wrong.

    Raises:
        StopError: the tables, and the statement that lets this role see all rows.
    """
    hidden = [f"{schema}.{table}" for schema, table in connection.execute(statement("hidden"))]
    if not hidden:
        return
    role = Name(str(scalar(connection, "SELECT current_user")))
    raise StopError(
        f"row level security may hide rows of {len(hidden):,} table(s) from this role:"
        f" {wording.some(hidden)}",
        where="a policy decides which rows a role sees; pg_dump refuses such a table too",
        next="let an administrator run: "
        + _said(connection, "ALTER ROLE {} BYPASSRLS;", role)
        + " then run 01_preflight again",
    )


def find(database: Database, hits: Sequence[Hit]) -> list[Problem]:
    """All of them; ``hits`` are columns that hold ids of wiped rows."""
    found = [
        *_foreign_keys(database),
        *_triggers(database),
    ]
    found += _relatives(database)
    found += _published(database)
    found += _unseen_sequences(database)
    found += _used_up_sequences(database)
    return found + [_unexplained(hit) for hit in hits]


def notices(database: Database) -> tuple[str, ...]:
    """What acts beside a run, or must be looked after when it is over; for a person to know."""
    found = []
    for kind, name, more in database.connection.execute(statement("beside"), _asked(database)):
        found.append(_notice(database.connection, kind, name, more))
    for sequence in sequences.behind(
        database.connection, database.mapping.schema_name, database.mapping.wiped_tables()
    ):
        if not sequence.may_read:
            continue
        reading = sequences.read(database.connection, database.mapping.schema_name, sequence)
        if reading.taken:
            found.append(f"{reading}: nobody can add a row now; the run moves it where it can")
    return tuple(found)


def _notice(connection: Connection, kind: str, name: str, more: str) -> str:
    if kind == "event trigger":
        return (
            f"event trigger {name} fires when the run makes its undo data; the copy has none: if it"
            " writes to a table, the execution is rolled back"
        )
    if kind == "publication":
        return f"publication {name} sends every deleted and inserted row to subscribers: {more}"
    if kind == "subscription":
        return f"subscription {name} writes to {more}: disable it while the run is executed"
    if kind == "materialized view":
        refresh = _said(connection, "REFRESH MATERIALIZED VIEW {};", table_name(name, more))
        return f"materialized view {name}.{more} stays as it is: afterwards run {refresh}"
    return f"{name} large objects are in the dump, and are not compared with the copy"


def _said(
    connection: Connection, text: LiteralString, *parts: sql.Composable, **named: sql.Composable
) -> str:
    return sql.SQL(text).format(*parts, **named).as_string(connection)


def _asked(database: Database) -> dict[str, object]:
    tables = sorted({*database.mapping.wiped_tables(), *database.mapping.link_tables()})
    return {"schema": database.mapping.schema_name, "tables": tables}


def _foreign_keys(database: Database) -> Iterator[Problem]:
    for key in database.catalog.foreign_keys:
        if key.target in database.mapping.wiped_tables() and (key.acts or not key.deferrable):
            yield Problem(
                f"foreign key {key.name} ({key.schema}.{key.table} -> {key.target}) "
                + ("acts on a delete" if key.acts else "is not deferrable"),
                _remade(database.connection, key)
                if key.acts
                else _deferred(database.connection, key),
            )


def _deferred(connection: Connection, key: ForeignKey) -> str:
    return _said(
        connection,
        "ALTER TABLE {} ALTER CONSTRAINT {} DEFERRABLE INITIALLY DEFERRED;",
        table_name(key.schema, key.table),
        Name(key.name),
    )


def _remade(connection: Connection, key: ForeignKey) -> str:
    """An action can only be changed by making the constraint again; both in one statement."""
    return _said(
        connection,
        "ALTER TABLE {} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} FOREIGN KEY ({}) REFERENCES"
        " {} ({}){}{} DEFERRABLE INITIALLY DEFERRED;",
        table_name(key.schema, key.table),
        names(key.columns),
        table_name(*key.refers),
        names(key.target_columns),
        sql.SQL(" MATCH FULL" if key.match_full else ""),
        sql.SQL("" if key.valid else " NOT VALID"),
        name=Name(key.name),
    )


def _triggers(database: Database) -> Iterator[Problem]:
    for trigger in database.catalog.triggers:
        if trigger.table not in {*database.mapping.wiped_tables(), *database.mapping.link_tables()}:
            continue
        kind = sql.SQL("TRIGGER" if trigger.kind == "TRIGGER" else "RULE")
        place = table_name(trigger.schema, trigger.on)
        off, on = (
            _said(
                database.connection,
                "ALTER TABLE {} {} {} {};",
                place,
                sql.SQL(do),
                kind,
                Name(trigger.name),
            )
            for do in ("DISABLE", "ENABLE")
        )
        yield Problem(
            f"{trigger.kind.lower()} {trigger.name} on {trigger.schema}.{trigger.on} would fire for"
            " every row",
            f"{off} -- and after the run: {on}",
        )


def _relatives(database: Database) -> Iterator[Problem]:
    rows = database.connection.execute(statement("relatives"), _asked(database)).fetchall()
    for kind, schema, table, parent_schema, parent in rows:
        places = table_name(schema, table), table_name(parent_schema, parent)
        if kind == "child":
            yield Problem(
                f"{schema}.{table} inherits from {parent_schema}.{parent}: its rows count as the"
                " other's, and would be wiped with them",
                _said(database.connection, "ALTER TABLE {} NO INHERIT {};", *places),
            )
        else:
            yield Problem(
                f"{schema}.{table}, a partition of {parent_schema}.{parent}, is a foreign table:"
                " another server's rows cannot be taken back",
                _said(database.connection, "ALTER TABLE {1} DETACH PARTITION {0};", *places),
            )


def _published(database: Database) -> Iterator[Problem]:
    rows = database.connection.execute(statement("published"), _asked(database)).fetchall()
    for _, schema, table, publication, has_key, why in rows:
        place = table_name(schema, table)
        if why == "list":
            remade = _said(
                database.connection,
                "ALTER PUBLICATION {0} DROP TABLE {1}; ALTER PUBLICATION {0} ADD TABLE {1};",
                Name(publication),
                place,
            )
            yield Problem(
                f"publication {publication} lists columns of {schema}.{table} without all that tell"
                " its rows apart: the database refuses to change them",
                remade,
            )
            continue
        what = "ALTER TABLE {} REPLICA IDENTITY FULL;"
        if why == "identity" and has_key:
            what = "ALTER TABLE {} REPLICA IDENTITY DEFAULT;"
        yield Problem(
            f"publication {publication} sends changes of {schema}.{table}, and its replica identity"
            " does not tell its rows apart: the database refuses to change them",
            _said(database.connection, what, place),
        )


def _unseen_sequences(database: Database) -> Iterator[Problem]:
    schema, tables = database.mapping.schema_name, database.mapping.wiped_tables()
    known = sequences.behind(database.connection, schema, tables)
    loose = database.connection.execute(statement("loose_sequences")).fetchall()
    for table, column, function in sequences.unseen(database.connection, schema, tables, known):
        advice = "name its sequence in the column's default, or let the column own it"
        if len(loose) == 1:
            sequence = table_name(*loose[0]).as_string(database.connection)
            advice = _said(
                database.connection,
                "ALTER TABLE {} ALTER COLUMN {} SET DEFAULT nextval({});",
                table_name(schema, table),
                Name(column),
                sql.Literal(sequence),
            )
        yield Problem(
            f"{table}.{column} gets its keys from {function}, and nothing says from which sequence:"
            " after the run it may give out keys that are taken",
            advice,
        )


def _used_up_sequences(database: Database) -> Iterator[Problem]:
    """A larger limit where the column can hold it; else a wider column as well."""
    connection, schema = database.connection, database.schema
    for sequence in sequences.used_up(connection, schema, database.mapping.wiped_tables()):
        limit, own, of_column = sql.SQL("MAXVALUE"), sequence.largest, sequence.widest
        if not sequence.rises:
            limit, own, of_column = sql.SQL("MINVALUE"), sequence.smallest, -sequence.widest - 1
        what = f"{sequence.what} has no value left: nobody can add a row, before the run or after"
        if own != of_column:
            yield Problem(
                what,
                _said(
                    connection,
                    "ALTER SEQUENCE {} AS bigint {} {};",
                    sequence.place,
                    limit,
                    sql.Literal(of_column),
                ),
            )
            continue
        yield Problem(
            what,
            _said(
                connection,
                "ALTER TABLE {} ALTER COLUMN {} TYPE bigint; ALTER SEQUENCE {} AS bigint NO {};",
                database.place(sequence.table),
                Name(sequence.column),
                sequence.place,
                limit,
            ),
        )


def _unexplained(hit: Hit) -> Problem:
    """What is missing is a line of the mapping (TOML, whose strings JSON's are)."""
    lines = [
        "[[references]]",
        f"table = {json.dumps(hit.table)}",
        f"object = {json.dumps(hit.column)}",
        f"entities = {json.dumps(hit.entities)}",
    ]
    return Problem(
        f"{hit.table}.{hit.column} holds {hit.rows:,} ids of rows to be wiped, and nothing explains"
        " it",
        "name it in the mapping:\n" + "\n".join(lines),
    )
