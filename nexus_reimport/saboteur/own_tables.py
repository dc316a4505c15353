"""How our own tables are made, and who may use them."""

from __future__ import annotations

from functools import partial
from typing import LiteralString

from psycopg import sql

from nexus_reimport.model import Level
from nexus_reimport.nexus.connection.postgres import table_name
from nexus_reimport.nexus.registry import LOADED, OWN_SCHEMA, RUNS, UNDO_PREFIX
from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import Scene

_MADE = "how our own tables are made"
_USED = "who may use our own tables"


def _defined(statement: LiteralString, scene: Scene) -> int:
    """A statement about our schemas, its names filled in."""
    table = scene.undo.before(scene.undo.parts[0])
    scene.do(
        sql.SQL(statement).format(
            runs=RUNS,
            loaded=LOADED,
            marker=table_name(OWN_SCHEMA, "deployment"),
            kept=table,
            undo=sql.Identifier(scene.undo.schema),
            people=scene.place(scene.people),
            beside_runs=table_name(OWN_SCHEMA, "nobody_planned"),
            beside_kept=table_name(scene.undo.schema, "nobody_planned"),
            another_schema=sql.Identifier(f"{UNDO_PREFIX}nobody"),
        )
    )
    return 1


# name, what it means, the statement
_OF_MAKING: tuple[tuple[str, str, LiteralString], ...] = (
    (
        "the_marker_is_another_environments",
        "The database is said to be another environment's.",
        "UPDATE {marker} SET environment = environment || '-2'",
    ),
    (
        "the_marker_is_lost",
        "Nobody knows any more whose the database is.",
        "DELETE FROM {marker}",
    ),
    (
        "the_run_has_another_number",
        "The run is said to have been committed after others.",
        "UPDATE {runs} SET number = number + 5 WHERE number = (SELECT max(number) FROM {runs})",
    ),
    (
        "the_runs_have_a_column_more",
        "The table of the runs has one more column.",
        "ALTER TABLE {runs} ADD COLUMN nobody_planned text",
    ),
    (
        "a_rule_keeps_runs_out",
        "What is added to the runs disappears.",
        "CREATE RULE nobody_planned AS ON INSERT TO {runs} DO INSTEAD NOTHING",
    ),
    (
        "a_trigger_is_added_to_the_runs",
        "The table of the runs has a trigger.",
        (
            "CREATE TRIGGER nobody_planned BEFORE UPDATE ON {runs} FOR EACH ROW EXECUTE FUNCTION"
            " pg_catalog.suppress_redundant_updates_trigger()"
        ),
    ),
    (
        "a_rule_keeps_the_rows_before",
        "What is deleted of the rows before stays.",
        "CREATE RULE nobody_planned AS ON DELETE TO {kept} DO INSTEAD NOTHING",
    ),
    (
        "the_rows_before_are_hidden",
        "The rows before are shown as a policy allows.",
        "ALTER TABLE {kept} ENABLE ROW LEVEL SECURITY",
    ),
    (
        "patients_are_copied_beside_the_runs",
        "A copy of the patients lies in our own schema.",
        "CREATE TABLE {beside_runs} AS TABLE {people}",
    ),
    (
        "patients_are_copied_into_the_undo_data",
        "A copy of the patients lies in the undo data.",
        "CREATE TABLE {beside_kept} AS TABLE {people}",
    ),
    (
        "patients_are_shown_by_a_view_of_ours",
        "A view in our own schema shows the patients.",
        "CREATE VIEW {beside_runs} AS TABLE {people}",
    ),
    (
        "undo_data_of_no_run_is_there",
        "A schema is called like undo data, and is of no run.",
        "CREATE SCHEMA {another_schema}",
    ),
    (
        "a_crash_empties_the_runs",
        "The table of the runs is unlogged: a crash of the server empties it.",
        "ALTER TABLE {runs} SET UNLOGGED",
    ),
    (
        "a_crash_empties_the_rows_before",
        "The rows before are unlogged: a crash of the server empties them.",
        "ALTER TABLE {kept} SET UNLOGGED",
    ),
    (
        "a_condition_keeps_runs_out",
        "The table of the runs has a condition, which later runs may not meet.",
        "ALTER TABLE {runs} ADD CONSTRAINT nobody_planned CHECK (verdict <> 'nobody planned')",
    ),
    (
        "a_unique_index_keeps_runs_out",
        "The table of the runs takes one run of an environment alone.",
        "CREATE UNIQUE INDEX nobody_planned ON {runs} (environment)",
    ),
    (
        "an_index_looks_at_every_run",
        "Each later run passes through a function of somebody else's: an index computes it.",
        "CREATE INDEX nobody_planned ON {runs} (md5(run))",
    ),
    (
        "a_run_need_not_name_its_environment",
        "Later runs may lack the environment that they were in.",
        "ALTER TABLE {runs} ALTER COLUMN environment DROP NOT NULL",
    ),
    (
        "a_run_has_no_time_of_its_commit",
        "Later runs are refused: the time of COMMIT is not filled in.",
        "ALTER TABLE {runs} ALTER COLUMN committed_at DROP DEFAULT",
    ),
    (
        "another_environment_cannot_adopt",
        "The marker's table has a condition, which another environment does not meet.",
        "ALTER TABLE {marker} ADD CONSTRAINT nobody_planned CHECK (environment <> 'nobody')",
    ),
    (
        "the_marker_may_be_there_twice",
        "A second environment may own the database: the marker's condition is gone.",
        "ALTER TABLE {marker} DROP CONSTRAINT deployment_only_row_check",
    ),
    (
        "a_run_gets_a_seal_by_itself",
        "Later runs have a seal before their record has one.",
        "ALTER TABLE {runs} ALTER COLUMN seal SET DEFAULT 'nobody planned'",
    ),
)
_OF_USE: tuple[tuple[str, str, LiteralString], ...] = (
    (
        "everybody_may_read_the_runs",
        "Everybody may read the runs.",
        "GRANT SELECT ON {runs} TO PUBLIC",
    ),
    (
        "everybody_may_read_the_rows_before",
        "Everybody may read the rows before.",
        "GRANT SELECT ON {kept} TO PUBLIC",
    ),
    (
        "everybody_may_enter_the_undo_data",
        "Everybody may look into the undo data's schema.",
        "GRANT USAGE ON SCHEMA {undo} TO PUBLIC",
    ),
)

for _name, _meaning, _statement in _OF_MAKING:
    declare(Kind(_name, _meaning, _MADE, partial(_defined, _statement)))
for _name, _meaning, _statement in _OF_USE:
    declare(Kind(_name, _meaning, _USED, partial(_defined, _statement), Level.REVIEW))


def _unkeyed(scene: Scene, table: sql.Identifier) -> int:
    """Drop the primary key of one of our tables."""
    name = next(iter(scene.constraints(table, "p")), "")
    drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
    scene.do(drop.format(table, sql.Identifier(name)))
    return 1


@kind(_MADE)
def a_run_may_be_there_twice(scene: Scene) -> int:
    """The table of the runs has no key any more."""
    return _unkeyed(scene, RUNS)


@kind(_MADE)
def a_record_may_be_loaded_twice(scene: Scene) -> int:
    """The table of what was loaded has no key any more."""
    return _unkeyed(scene, LOADED)
