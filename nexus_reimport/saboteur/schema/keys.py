"""Foreign, unique and primary keys, and conditions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from psycopg import sql

from nexus_reimport.nexus.structure.catalog import ForeignKey, Table
from nexus_reimport.saboteur.kinds import kind
from nexus_reimport.saboteur.scene import Scene
from nexus_reimport.saboteur.schema.changing import (
    alter,
    define,
    linking,
    wiped,
)

_KEY = "a key or a condition of a table"


def _keys(scene: Scene, *, into: bool) -> list[ForeignKey]:
    """Foreign keys into wiped tables; or from them to protected ones. They are enforced."""
    wiped = {t.name for t in scene.wiped}
    every = scene.database.catalog.foreign_keys
    keys = [k for k in every if k.enforced and k.schema == scene.database.schema]
    return [
        k
        for k in keys
        if (k.target in wiped if into else k.table in wiped and k.target not in wiped)
    ]


def _of_key(scene: Scene, what: LiteralString, *, into: bool = True) -> int:
    keys = _keys(scene, into=into)
    if not keys:
        return 0
    statement = sql.SQL(what).format(sql.Identifier(keys[0].name))
    return define(scene, "ALTER TABLE {} {}", scene.place(keys[0].table), statement)


@kind(_KEY)
def a_foreign_key_into_a_wiped_table_is_dropped(scene: Scene) -> int:
    """Rows may point at patients that do not exist."""
    return _of_key(scene, "DROP CONSTRAINT {}")


@kind(_KEY)
def a_foreign_key_of_a_wiped_table_is_dropped(scene: Scene) -> int:
    """Wiped rows may point at a clinic that does not exist."""
    return _of_key(scene, "DROP CONSTRAINT {}", into=False)


@kind(_KEY)
def a_foreign_key_waits_no_more(scene: Scene) -> int:
    """A foreign key that was checked at COMMIT is checked at each statement."""
    return _of_key(scene, "ALTER CONSTRAINT {} NOT DEFERRABLE")


def _made_again(scene: Scene, how: LiteralString) -> int:
    """The first foreign key into a wiped table, dropped and made again in another way."""
    keys = _keys(scene, into=True)
    if not keys:
        return 0
    key = keys[0]
    name = sql.Identifier(key.name)
    define(scene, "ALTER TABLE {} DROP CONSTRAINT {}", scene.place(key.table), name)
    return define(
        scene,
        "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) {}",
        scene.place(key.table),
        name,
        sql.SQL(", ").join(map(sql.Identifier, key.columns)),
        scene.place(key.target),
        sql.SQL(", ").join(map(sql.Identifier, key.target_columns)),
        sql.SQL(how),
    )


@kind(_KEY)
def a_foreign_key_deletes(scene: Scene) -> int:
    """A foreign key deletes what points at a deleted patient."""
    return _made_again(scene, "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED")


@kind(_KEY)
def a_foreign_key_is_not_checked(scene: Scene) -> int:
    """A foreign key is there, and was never checked for the rows that are there."""
    return _made_again(scene, "DEFERRABLE INITIALLY DEFERRED NOT VALID")


def _constraint(scene: Scene, tables: Iterator[Table], contype: str) -> int:
    for table in tables:
        for name in scene.constraints(scene.place(table), contype)[:1]:
            return alter(scene, table, "DROP CONSTRAINT {} CASCADE", sql.Identifier(name))
    return 0


@kind(_KEY)
def a_unique_key_is_dropped(scene: Scene) -> int:
    """Two rows of a wiped or linking table may hold what only one could."""
    return _constraint(scene, iter((*scene.wiped, *linking(scene))), "u")


@kind(_KEY)
def a_unique_key_of_the_configuration_is_dropped(scene: Scene) -> int:
    """Two rows of the configuration may hold what only one could."""
    return _constraint(scene, scene.configuration(), "u")


@kind(_KEY)
def a_condition_is_dropped(scene: Scene) -> int:
    """A condition that a table's rows had to meet is gone."""
    tables = (*scene.wiped, *linking(scene), *scene.protected)
    return _constraint(scene, iter(tables), "c")


@kind(_KEY)
def a_primary_key_is_dropped(scene: Scene) -> int:
    """The patients' primary key is gone, and with it all foreign keys into it."""
    return _constraint(scene, wiped(scene), "p")


@kind(_KEY)
def a_condition_is_added(scene: Scene) -> int:
    """A wiped table has a condition that its rows meet today."""
    key = sql.Identifier(scene.people.primary_key[0])
    return alter(scene, scene.people, "ADD CONSTRAINT nobody_planned CHECK ({} IS NOT NULL)", key)


@kind(_KEY)
def a_condition_is_added_to_a_protected_table(scene: Scene) -> int:
    """A table of the configuration has a condition that its rows meet today."""
    table = next(scene.configuration(), None)
    if table is None:
        return 0
    key = sql.Identifier(table.primary_key[0])
    return alter(scene, table, "ADD CONSTRAINT nobody_planned CHECK ({} IS NOT NULL)", key)
