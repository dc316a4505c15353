"""Indexes: one less, one more."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import table_name
from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.saboteur.kinds import kind
from nexus_reimport.saboteur.scene import Scene
from nexus_reimport.saboteur.schema.changing import (
    define,
    linking,
)

_INDEX = "an index"


def _index(scene: Scene, tables: Iterator[Table]) -> int:
    """Drop the first index that no constraint needs."""
    for table in tables:
        name = scene.value(
            sql.SQL(
                "SELECT c.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c"
                " ON c.oid = i.indexrelid WHERE i.indrelid = {}::regclass AND NOT i.indisunique"
                " ORDER BY 1 LIMIT 1"
            ).format(sql.Literal(scene.place(table).as_string(scene.connection)))
        )
        if name:
            return define(scene, "DROP INDEX {}", table_name(scene.database.schema, str(name)))
    return 0


@kind(_INDEX)
def an_index_of_a_wiped_table_is_dropped(scene: Scene) -> int:
    """The application's lists of patients are slow."""
    return _index(scene, iter(scene.wiped))


@kind(_INDEX)
def an_index_of_a_linking_table_is_dropped(scene: Scene) -> int:
    """The application's lists of documents are slow."""
    return _index(scene, linking(scene))


@kind(_INDEX)
def an_index_of_a_protected_table_is_dropped(scene: Scene) -> int:
    """An index of a protected table is gone."""
    return _index(scene, iter(scene.protected))


@kind(_INDEX)
def an_index_is_added(scene: Scene) -> int:
    """A wiped table has one index more."""
    column = sql.Identifier(scene.database.mapping.application.patient_name[0])
    place = scene.place(scene.people)
    return define(scene, "CREATE INDEX nobody_planned ON {} ({})", place, column)


@kind(_INDEX)
def a_unique_index_is_added(scene: Scene) -> int:
    """A wiped table keeps rows out that it took before."""
    key = sql.Identifier(scene.people.primary_key[0])
    place = scene.place(scene.people)
    return define(scene, "CREATE UNIQUE INDEX nobody_planned ON {} (md5({}::text))", place, key)
