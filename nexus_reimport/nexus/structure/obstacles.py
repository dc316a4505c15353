"""What in the database prevents a run, found in the catalog, with the statement that fixes it.

An administrator can run each statement as it is printed; a test runs every one of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.errors import StopError
from nexus_reimport.nexus.connection.postgres import (
    Connection,
    names,
    scalar,
    statement,
    table_name,
)
from nexus_reimport.nexus.structure import broken, sequences
from nexus_reimport.nexus.structure.catalog import ForeignKey
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.references import Hit

Name = sql.Identifier


Beside = tuple[str, str, str]  # the kind of an object, its name, and what else names it
_STORED = "materialized view"
# By the kind of an object; of others more is to be said.
_NOTICES = {
    "event trigger": "event trigger {name} fires when the run creates its undo data. The"
    " rehearsal's copy does not have it: if it writes to a table, the execution is rolled back",
    "publication": "publication {name} sends every row that is written to subscribers: {more}",
    "subscription": "subscription {name} writes to {more}: disable it during the execution",
    "prepared transaction": "prepared transaction {name} has locked {more}, and no session will end"
    " it: an execution waits for it in vain. COMMIT PREPARED or ROLLBACK PREPARED ends it, in this"
    " database",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of the database that must be fixed first, and the statement that fixes it."""

    what: str
    fix: str


def refuse_hidden_rows(connection: Connection) -> None:
    """Stop if row level security hides rows from our role: every count would be wrong.

    Raises:
        StopError: names the tables, and the statement that lets the role see all rows. Nothing was
            written.
    """
    hidden = [f"{schema}.{table}" for schema, table in connection.execute(statement("hidden"))]
    if not hidden:
        return
    role = Name(str(scalar(connection, "SELECT current_user")))
    raise StopError(
        f"row level security may hide rows of {wording.amount(len(hidden), 'table')} from this"
        f" role: {wording.some(hidden)}",
        where="a policy decides which rows a role sees; pg_dump refuses such tables too",
        next="have an administrator run: "
        + _text(connection, "ALTER ROLE {} BYPASSRLS;", role)
        + " then run 01_preflight again",
    )


def find(database: Database, hits: Sequence[Hit]) -> list[Problem]:
    """All problems; ``hits`` are the columns that hold ids of wiped rows without explanation."""
    return [
        *_foreign_keys(database),
        *_triggers(database),
        *_relatives(database),
        *_published(database),
        *_unseen_sequences(database),
        *_used_up_sequences(database),
        *map(_unexplained, hits),
        *(Problem(*one) for one in broken.rows(database)),
    ]


def beside(database: Database) -> list[Beside]:
    """The objects that act during a run, or need care after it; none stops the run."""
    return database.connection.execute(statement("beside"), _asked(database)).fetchall()


def notices(database: Database, objects: Iterable[Beside]) -> tuple[str, ...]:
    """Texts about these objects, and about sequences that give out keys which are taken."""
    texts = [_notice(database.connection, *one) for one in objects]
    for sequence in sequences.behind(
        database.connection, database.schema, database.mapping.wiped_tables()
    ):
        if not sequence.may_read:
            continue
        reading = sequences.read(database.connection, database.schema, sequence)
        if reading.taken:
            texts.append(
                f"{reading}: no row can be added now; the run moves it past them if it can"
            )
    return tuple(texts)


def to_refresh(database: Database, objects: Iterable[Beside]) -> tuple[str, ...]:
    """The statements that refresh the materialized views among these objects.

    Until then each shows what was there before the run: patients that were deleted, too.
    """
    views = [(schema, view) for kind, schema, view in objects if kind == _STORED]
    return tuple(_refresh(database.connection, schema, view) for schema, view in views)


def _refresh(connection: Connection, schema: str, view: str) -> str:
    return _text(connection, "REFRESH MATERIALIZED VIEW {};", table_name(schema, view))


def _notice(connection: Connection, kind: str, name: str, more: str) -> str:
    if kind in _NOTICES:
        return _NOTICES[kind].format(name=name, more=more)
    if kind == _STORED:
        refresh = _refresh(connection, name, more)
        return f"materialized view {name}.{more} is not refreshed: after the run execute {refresh}"
    if kind == "unlogged table":
        logged = _text(connection, "ALTER TABLE {} SET LOGGED;", table_name(name, more))
        return (
            f"{name}.{more} is an unlogged table: a crash of the server empties it, before the run"
            f" or after it, and no standby or WAL archive has its rows; execute {logged}"
        )
    objects = wording.amount(int(name), "large object is", "large objects are")
    return f"{objects} in the dump, and not compared with the copy"


def _text(
    connection: Connection, text: LiteralString, *parts: sql.Composable, **named: sql.Composable
) -> str:
    return sql.SQL(text).format(*parts, **named).as_string(connection)


def _asked(database: Database) -> dict[str, object]:
    tables = sorted({*database.mapping.wiped_tables(), *database.mapping.link_tables()})
    return {"schema": database.schema, "tables": tables}


def _foreign_keys(database: Database) -> Iterator[Problem]:
    for key in database.catalog.foreign_keys:
        if not key.enforced:  # it has no trigger that could wait, or act
            continue
        # Rows are deleted and then loaded again: the keys must be checked at COMMIT, not before,
        # and a delete must not change other tables.
        if key.target in database.mapping.wiped_tables() and (key.acts or not key.deferrable):
            why, fix = "is not deferrable", _deferred
            if key.acts:
                why, fix = "has an ON DELETE or ON UPDATE action", _remade
            yield Problem(
                f"foreign key {key.name} ({key.schema}.{key.table} -> {key.target}) {why}",
                fix(database.connection, key),
            )


def _deferred(connection: Connection, key: ForeignKey) -> str:
    return _text(
        connection,
        "ALTER TABLE {} ALTER CONSTRAINT {} DEFERRABLE INITIALLY DEFERRED;",
        table_name(key.schema, key.table),
        Name(key.name),
    )


def _remade(connection: Connection, key: ForeignKey) -> str:
    """Both steps in one statement: PostgreSQL cannot change the action of a constraint."""
    return _text(
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
        # It would act on each row that is only loaded again, and write what nobody approved.
        if trigger.table not in {*database.mapping.wiped_tables(), *database.mapping.link_tables()}:
            continue
        kind = sql.SQL("TRIGGER" if trigger.kind == "TRIGGER" else "RULE")
        place = table_name(trigger.schema, trigger.on)
        off, on = (
            _text(
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
            f"{trigger.kind.lower()} {trigger.name} on {trigger.schema}.{trigger.on} would fire"
            " during the run",
            f"{off} -- and after the run: {on}",
        )


def _relatives(database: Database) -> Iterator[Problem]:
    rows = database.connection.execute(statement("relatives"), _asked(database)).fetchall()
    for kind, schema, table, parent_schema, parent in rows:
        places = table_name(schema, table), table_name(parent_schema, parent)
        if kind == "child":
            yield Problem(
                f"{schema}.{table} inherits from {parent_schema}.{parent}: its rows also count as"
                f" rows of {parent_schema}.{parent}, and would be wiped with them",
                _text(database.connection, "ALTER TABLE {} NO INHERIT {};", *places),
            )
        else:
            yield Problem(
                f"{schema}.{table}, a partition of {parent_schema}.{parent}, is a foreign table:"
                " a rollback cannot restore rows of another server",
                _text(database.connection, "ALTER TABLE {1} DETACH PARTITION {0};", *places),
            )


def _published(database: Database) -> Iterator[Problem]:
    rows = database.connection.execute(statement("published"), _asked(database)).fetchall()
    for _, schema, table, publication, has_key, why in rows:
        place = table_name(schema, table)
        if why == "list":
            without_list = _text(
                database.connection,
                # Not SET TABLE: it would replace all the other tables of the publication.
                "ALTER PUBLICATION {0} DROP TABLE {1}; ALTER PUBLICATION {0} ADD TABLE {1};",
                Name(publication),
                place,
            )
            yield Problem(
                f"publication {publication} lists columns of {schema}.{table}, but not all columns"
                " of its replica identity: PostgreSQL refuses to change or delete its rows",
                without_list,
            )
            continue
        # DEFAULT is the primary key's columns: a table without one needs FULL.
        what = "ALTER TABLE {} REPLICA IDENTITY FULL;"
        if why == "identity" and has_key:
            what = "ALTER TABLE {} REPLICA IDENTITY DEFAULT;"
        yield Problem(
            f"publication {publication} sends changes of {schema}.{table}, whose replica identity"
            " lacks columns that this needs: PostgreSQL refuses to change or delete its rows",
            _text(database.connection, what, place),
        )


def _unseen_sequences(database: Database) -> Iterator[Problem]:
    schema, tables = database.schema, database.mapping.wiped_tables()
    known = sequences.behind(database.connection, schema, tables)
    loose = database.connection.execute(statement("loose_sequences")).fetchall()
    for table, column, function in sequences.unseen(database.connection, schema, tables, known):
        advice = "name its sequence in the column's default, or let the column own the sequence"
        if len(loose) == 1:
            sequence = table_name(*loose[0]).as_string(database.connection)
            advice = _text(
                database.connection,
                "ALTER TABLE {} ALTER COLUMN {} SET DEFAULT nextval({});",
                table_name(schema, table),
                Name(column),
                sql.Literal(sequence),
            )
        yield Problem(
            f"{table}.{column} gets its keys from {function}, and the catalog does not show which"
            " sequence it uses: after the run it may give out keys that are in use",
            advice,
        )


def _used_up_sequences(database: Database) -> Iterator[Problem]:
    """A larger limit for the sequence if the column can hold it; else a wider column too."""
    connection, schema = database.connection, database.schema
    for sequence in sequences.used_up(connection, schema, database.mapping.wiped_tables()):
        limit, own, of_column = sql.SQL("MAXVALUE"), sequence.largest, sequence.widest
        if not sequence.rises:
            # An integer type reaches one further down than up: -32768 to 32767.
            limit, own, of_column = sql.SQL("MINVALUE"), sequence.smallest, -sequence.widest - 1
        what = f"{sequence.what} has no value left: no row can be added, before the run or after it"
        if own != of_column:
            yield Problem(
                what,
                _text(
                    connection,
                    # AS bigint: a limit may not lie beyond the sequence's own type.
                    "ALTER SEQUENCE {} AS bigint {} {};",
                    sequence.place,
                    limit,
                    sql.Literal(of_column),
                ),
            )
            continue
        yield Problem(
            what,
            _text(
                connection,
                "ALTER TABLE {} ALTER COLUMN {} TYPE bigint; ALTER SEQUENCE {} AS bigint NO {};",
                database.place(sequence.table),
                Name(sequence.column),
                sequence.place,
                limit,
            ),
        )


def _unexplained(hit: Hit) -> Problem:
    """A problem that lines of the mapping fix (a JSON string is a valid TOML string)."""
    lines = [
        "[[references]]",
        f"table = {json.dumps(hit.table)}",
        f"object = {json.dumps(hit.column)}",
        f"entities = {json.dumps(hit.entities)}",
    ]
    return Problem(
        f"{hit.table}.{hit.column} holds {wording.amount(hit.rows, 'id')} of rows that will be"
        " wiped, and neither a foreign key nor the mapping explains that",
        "name the column in the mapping:\n" + "\n".join(lines),
    )
