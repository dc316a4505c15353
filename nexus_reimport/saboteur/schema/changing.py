"""What the kinds of this room share: which tables they change, and by which statements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from psycopg import sql

from nexus_reimport.nexus.structure.catalog import Column, Table
from nexus_reimport.saboteur.scene import Chosen, Scene

DONE = 1  # a statement that defines something tells no number of rows


def wiped(scene: Scene) -> Iterator[Table]:
    """The patients' table: it stands for all that is wiped."""
    yield scene.people


def linking(scene: Scene) -> Iterator[Table]:
    """The tables that hold the links of documents and images."""
    for spec in scene.database.mapping.attachments.values():
        yield scene.database.catalog.tables[spec.link_table]


def protected(scene: Scene) -> Iterator[Table]:
    """The tables of the configuration."""
    return scene.configuration()


def define(scene: Scene, statement: LiteralString, *parts: sql.Composable) -> int:
    """One statement that defines something, with names in it."""
    scene.do(sql.SQL(statement).format(*parts))
    return DONE


def alter(scene: Scene, table: Table, what: LiteralString, *parts: sql.Composable) -> int:
    """One ALTER TABLE."""
    return define(scene, "ALTER TABLE {} {}", scene.place(table), sql.SQL(what).format(*parts))


def free(scene: Scene, table: Table) -> list[Column]:
    """Columns of no key, index or condition, so that one can go alone."""
    rows = scene.rows(
        sql.SQL(
            "SELECT DISTINCT a.attname::text FROM pg_catalog.pg_depend d"
            " JOIN pg_catalog.pg_attribute a"
            " ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
            " WHERE d.refobjid = {}::regclass AND d.refobjsubid > 0"
        ).format(sql.Literal(scene.place(table).as_string(scene.connection)))
    )
    bound = {str(name) for (name,) in rows}
    return [f.column for f in scene.fields(table) if f.column.name not in bound]


ROLES: tuple[tuple[str, str, Chosen], ...] = (
    ("wiped", "A wiped table", wiped),
    ("linking", "A linking table", linking),
    ("protected", "A protected table", protected),
)
