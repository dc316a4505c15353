"""What acts by itself (triggers, rules, publications), and who may do or see what."""

from __future__ import annotations

from collections.abc import Callable
from typing import LiteralString

from psycopg import sql

from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.saboteur.kinds import Kind, declare
from nexus_reimport.saboteur.scene import Scene, on_any
from nexus_reimport.saboteur.schema.changing import (
    ROLES,
    alter,
    define,
)

_ACTS = "what acts by itself"
_RIGHT = "who may do or see what"


def _trigger(scene: Scene, table: Table) -> int:
    return define(
        scene,
        "CREATE TRIGGER nobody_planned BEFORE UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION"
        " pg_catalog.suppress_redundant_updates_trigger()",
        scene.place(table),
    )


def _rule(scene: Scene, table: Table) -> int:
    statement: LiteralString = "CREATE RULE nobody_planned AS ON DELETE TO {} DO INSTEAD NOTHING"
    return define(scene, statement, scene.place(table))


def _replicated(scene: Scene, table: Table) -> int:
    return define(scene, "CREATE PUBLICATION nobody_planned FOR TABLE {}", scene.place(table))


def _hidden(scene: Scene, table: Table) -> int:
    return alter(scene, table, "ENABLE ROW LEVEL SECURITY")


def _policy(scene: Scene, table: Table) -> int:
    return define(scene, "CREATE POLICY nobody_planned ON {} USING (true)", scene.place(table))


def _granted(scene: Scene, table: Table) -> int:
    return define(scene, "GRANT SELECT ON {} TO PUBLIC", scene.place(table))


def _taken(scene: Scene, table: Table) -> int:
    return define(scene, "REVOKE TRUNCATE ON {} FROM CURRENT_USER", scene.place(table))


def _granted_on_a_column(scene: Scene, table: Table) -> int:
    column = sql.Identifier(table.columns[0].name)
    return define(scene, "GRANT SELECT ({}) ON {} TO PUBLIC", column, scene.place(table))


_OF_TABLES: tuple[tuple[str, str, str, Callable[[Scene, Table], int]], ...] = (
    ("a_trigger_is_added_to_a_{}_table", "has a trigger", _ACTS, _trigger),
    ("a_rule_is_added_to_a_{}_table", "has a rule: what is deleted stays", _ACTS, _rule),
    ("a_{}_table_is_published", "is sent to another server", _ACTS, _replicated),
    ("rows_of_a_{}_table_are_hidden", "shows only rows that a policy allows", _RIGHT, _hidden),
    ("a_policy_is_added_to_a_{}_table", "has a policy", _RIGHT, _policy),
    ("everybody_may_read_a_{}_table", "may be read by everybody", _RIGHT, _granted),
    ("a_right_on_a_{}_table_is_taken", "may be used less by its owner", _RIGHT, _taken),
    (
        "everybody_may_read_a_column_of_a_{}_table",
        "has a column that everybody may read",
        _RIGHT,
        _granted_on_a_column,
    ),
)
for _role, _who, _tables in ROLES:
    for _name, _what, _corrupts, _act in _OF_TABLES:
        declare(Kind(_name.format(_role), f"{_who} {_what}.", _corrupts, on_any(_tables, _act)))
