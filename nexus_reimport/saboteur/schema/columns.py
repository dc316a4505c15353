"""Columns: one more or less, of another name, type, default or collation."""

from __future__ import annotations

from collections.abc import Callable
from typing import LiteralString

from psycopg import sql

from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import Scene, on_any
from nexus_reimport.saboteur.schema.changing import (
    ROLES,
    alter,
    free,
)

_COLUMN = "a column of a table"


def _added(scene: Scene, table: Table) -> int:
    return alter(scene, table, "ADD COLUMN nobody_planned text")


def _dropped(scene: Scene, table: Table) -> int:
    columns = free(scene, table)
    name = sql.Identifier(columns[-1].name) if columns else None
    return alter(scene, table, "DROP COLUMN {}", name) if name else 0


def _renamed(scene: Scene, table: Table) -> int:
    columns = free(scene, table)
    name = sql.Identifier(columns[-1].name) if columns else None
    return alter(scene, table, "RENAME COLUMN {} TO nobody_planned", name) if name else 0


def _widened(scene: Scene, table: Table) -> int:
    columns = [c for c in free(scene, table) if c.type.startswith("character varying")]
    name = sql.Identifier(columns[-1].name) if columns else None
    return alter(scene, table, "ALTER COLUMN {} TYPE text", name) if name else 0


def _may_be_empty(scene: Scene, table: Table) -> int:
    fields = [f for f in scene.fields(table) if f.column.not_null]
    return alter(scene, table, "ALTER COLUMN {} DROP NOT NULL", fields[-1].name) if fields else 0


def _must_be_filled(scene: Scene, table: Table) -> int:
    for where in scene.fields(table):
        empty = sql.SQL("SELECT count(*) FROM {} WHERE {} IS NULL").format(
            scene.place(table), where.name
        )
        if not where.column.not_null and not scene.value(empty):
            return alter(scene, table, "ALTER COLUMN {} SET NOT NULL", where.name)
    return 0


def _has_a_default(scene: Scene, table: Table) -> int:
    fields = [f for f in scene.texts(table) if not f.column.filled_by_database]
    return alter(scene, table, "ALTER COLUMN {} SET DEFAULT 'x'", fields[0].name) if fields else 0


_OF_COLUMNS: tuple[tuple[str, str, Callable[[Scene, Table], int]], ...] = (
    ("is_added", "has one more column", _added),
    ("is_dropped", "has lost a column with all that it held", _dropped),
    ("is_called_otherwise", "has a column of another name", _renamed),
)
_MORE_OF_COLUMNS: tuple[tuple[str, str, Callable[[Scene, Table], int]], ...] = (
    ("is_wider", "has a column of another type", _widened),
    ("may_be_empty", "has a column that may be empty", _may_be_empty),
    ("must_be_filled", "has a column that must not be empty any more", _must_be_filled),
    ("has_a_default", "has a column with a default", _has_a_default),
)
for _role, _who, _tables in ROLES:
    for _name, _what, _act in (*_OF_COLUMNS, *(_MORE_OF_COLUMNS if _role == "wiped" else ())):
        declare(
            Kind(
                f"a_column_of_a_{_role}_table_{_name}",
                f"{_who} {_what}.",
                _COLUMN,
                on_any(_tables, _act),
            )
        )


@kind(_COLUMN)
def a_column_sorts_otherwise(scene: Scene) -> int:
    """A text column sorts by another collation."""
    where = next((f for f in scene.texts(scene.people) if f.column in free(scene, f.table)), None)
    if where is None:
        return 0
    statement: LiteralString = 'ALTER COLUMN {} TYPE {} COLLATE "POSIX"'
    kind_of = sql.SQL(where.column.type)
    return alter(scene, where.table, statement, where.name, kind_of)
