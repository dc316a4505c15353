"""Rows that are there and break a constraint of their own table: nobody can write them again.

A constraint that was added NOT VALID was never asked of them; a function that a condition calls may
have been replaced. A run that writes such a row again is refused, and so is a rollback that puts it
back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.nexus.connection.driver_errors import code_and_name, is_of_rows
from nexus_reimport.nexus.connection.postgres import names, statement, table_name
from nexus_reimport.nexus.structure.database import Database


def rows(database: Database) -> Iterator[tuple[str, str]]:
    """What each constraint that rows of a wiped table break is, and what to do about it."""
    asked = {"schema": database.schema, "tables": sorted(database.mapping.wiped_tables())}
    constraints = database.connection.execute(statement("conditions"), asked).fetchall()
    for table, name, is_valid, condition, *refers in constraints:
        broken = _broken(database, table, condition, *refers)
        if not broken:
            continue
        place = f"{database.schema}.{table}"
        fix = f"correct them in Nexus, or drop the constraint ({place}, {name})"
        if not is_valid:
            validate = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {};").format(
                database.place(table), sql.Identifier(name)
            )
            fix = f"{fix}; then run: {validate.as_string(database.connection)}"
        why = "" if is_valid else ", being NOT VALID"
        what = f"constraint {name} of {place} is broken by {broken}{why}"
        yield f"{what}: neither a run nor a rollback can write such a row again", fix


def _broken(database: Database, table: str, condition: str | None, *refers: Any) -> str:
    """How many rows break a constraint, with the keys of some; "" if none does."""
    # Without an alias: a condition may name its table.
    query = sql.SQL("SELECT {}::text FROM {} WHERE {} ORDER BY 1").format(
        sql.Identifier(database.key(table)),
        database.place(table),
        sql.SQL("NOT ({})").format(sql.SQL(condition))
        if condition
        else _points_at_none(database.place(table), *refers),
    )
    try:
        with database.connection.transaction():  # a savepoint: its error must not end the survey
            keys = [str(key) for (key,) in database.connection.execute(query)]
    except psycopg.errors.InsufficientPrivilege:  # what a run lacks is told by itself
        return ""
    except psycopg.Error as error:
        if not is_of_rows(error.sqlstate):
            raise
        return f"1 row or more, {code_and_name(error.sqlstate)}"
    return f"{wording.amount(len(keys), 'row')} (Nexus id {wording.some(keys)})" if keys else ""


def _points_at_none(
    own_place: sql.Composable,
    schema: str,
    table: str,
    columns: Sequence[str],
    target_columns: Sequence[str],
) -> sql.Composed:
    """That a foreign key is filled and its row is missing."""
    # EXCEPT, because NOT IN finds nothing if a single target is null.
    return sql.SQL(
        "({own}) IS NOT NULL AND ({own}) IN (SELECT {own} FROM {} EXCEPT SELECT {} FROM {})"
    ).format(own_place, names(target_columns), table_name(schema, table), own=names(columns))
