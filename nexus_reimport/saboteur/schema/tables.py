"""Tables, views and the schema itself."""

from __future__ import annotations

from psycopg import sql

from nexus_reimport.saboteur.kinds import kind
from nexus_reimport.saboteur.scene import Scene
from nexus_reimport.saboteur.schema.changing import (
    alter,
    define,
)

_TABLE = "a table or view"


@kind(_TABLE)
def a_protected_table_is_dropped(scene: Scene) -> int:
    """A table of the configuration is gone."""
    table = next(scene.configuration(), None)
    return define(scene, "DROP TABLE {} CASCADE", scene.place(table)) if table else 0


@kind(_TABLE)
def a_protected_table_is_called_otherwise(scene: Scene) -> int:
    """A table of the configuration has another name."""
    table = next(scene.configuration(), None)
    return alter(scene, table, "RENAME TO nobody_planned") if table else 0


@kind(_TABLE)
def a_table_is_added(scene: Scene) -> int:
    """There is a table that was not there."""
    return define(scene, "CREATE TABLE {} (id int PRIMARY KEY)", scene.place("nobody_planned"))


@kind(_TABLE)
def a_copy_of_the_patients_is_left(scene: Scene) -> int:
    """A copy of the patients' rows was left behind."""
    return define(
        scene,
        "CREATE TABLE {} AS TABLE {}",
        scene.place("nobody_planned"),
        scene.place(scene.people),
    )


@kind(_TABLE)
def a_view_is_added(scene: Scene) -> int:
    """There is a view of the patients that was not there."""
    place = scene.place("nobody_planned")
    return define(scene, "CREATE VIEW {} AS TABLE {}", place, scene.place(scene.people))


@kind(_TABLE)
def the_schema_has_another_comment(scene: Scene) -> int:
    """Somebody has written something beside the name of the application's schema."""
    schema = sql.Identifier(scene.database.schema)
    return define(scene, "COMMENT ON SCHEMA {} IS 'nobody planned'", schema)


@kind(_TABLE)
def a_wiped_table_is_followed_whole(scene: Scene) -> int:
    """Replication sends whole rows of the patients."""
    return alter(scene, scene.people, "REPLICA IDENTITY FULL")
