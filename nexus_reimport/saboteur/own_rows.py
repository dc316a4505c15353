"""What our own tables say: of the runs, of what was loaded, of the rows before (undo data)."""

from __future__ import annotations

from functools import partial
from typing import LiteralString

from psycopg import sql

from nexus_reimport.nexus.registry import LOADED, RUNS
from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import Scene

_RUNS = "the row of the run among our own tables"
_LOADED = "what our own tables say was loaded"
_UNDO = "the undo data of the run"
_THIS: LiteralString = (
    " WHERE run = (SELECT run FROM {0} WHERE undo IS NOT NULL ORDER BY number DESC LIMIT 1)"
)


def _run(statement: LiteralString, scene: Scene) -> int:
    return scene.do(sql.SQL(statement).format(RUNS) + sql.SQL(_THIS).format(RUNS))


# name, what it means, the statement up to the condition that chooses this run
_OF_RUNS: tuple[tuple[str, str, LiteralString], ...] = (
    ("the_run_is_not_known", "The database knows nothing of this run.", "DELETE FROM {0}"),
    (
        "the_run_is_another_environments",
        "The run is said to be another environment's.",
        "UPDATE {0} SET environment = environment || '-2'",
    ),
    (
        "the_run_was_approved_otherwise",
        "The run is said to have had another approval.",
        "UPDATE {0} SET digest = md5(digest || 'x')",
    ),
    (
        "somebody_else_approved_the_run",
        "Another person is said to have approved the run.",
        "UPDATE {0} SET approved_by = approved_by || ' and nobody'",
    ),
    (
        "the_run_is_of_another_kind",
        "The run is said to have done something else.",
        "UPDATE {0} SET kind = kind || 's'",
    ),
    (
        "the_run_is_said_to_be_undone",
        "The run is said to have been taken back.",
        "UPDATE {0} SET undone_by = 'nobody'",
    ),
    (
        "the_run_cannot_be_undone",
        "The run does not know its undo data any more.",
        "UPDATE {0} SET undo = NULL",
    ),
    (
        "the_run_left_another_state",
        "The run is said to have left another state.",
        "UPDATE {0} SET after = '{{}}'::jsonb",
    ),
    (
        "the_run_found_another_state",
        "The run is said to have found another state.",
        "UPDATE {0} SET before = '{{}}'::jsonb",
    ),
    (
        "the_run_was_committed_at_another_time",
        "The run is said to have been committed a day ago.",
        "UPDATE {0} SET committed_at = committed_at - interval '1 day'",
    ),
)
for _name, _meaning, _statement in _OF_RUNS:
    declare(Kind(_name, _meaning, _RUNS, partial(_run, _statement)))


@kind(_RUNS)
def a_run_is_invented(scene: Scene) -> int:
    """The database knows a run that nobody made."""
    return scene.do(
        sql.SQL(
            "INSERT INTO {0} (run, environment, digest, approved_by, before, after)"
            " SELECT run || '-2', environment, digest, approved_by, before, after FROM {0}"
        ).format(RUNS)
        + sql.SQL(_THIS).format(RUNS)
    )


def _loaded(statement: LiteralString, scene: Scene) -> int:
    return scene.do(sql.SQL(statement).format(LOADED))


_OF_LOADED: tuple[tuple[str, str, LiteralString], ...] = (
    (
        "nothing_is_known_as_loaded",
        "What became of FileMaker's records is forgotten.",
        "DELETE FROM {0}",
    ),
    (
        "a_loaded_record_is_forgotten",
        "What became of one record is forgotten.",
        "DELETE FROM {0} WHERE ctid = (SELECT min(ctid) FROM {0})",
    ),
    (
        "a_loaded_record_is_another_row",
        "A record is said to have become another row.",
        (
            "UPDATE {0} SET nexus_id = md5(nexus_id)::uuid::text"
            " WHERE ctid = (SELECT min(ctid) FROM {0})"
        ),
    ),
    (
        "two_loaded_records_are_swapped",
        "Two records are said to have become each other's row.",
        (
            "UPDATE {0} AS t SET nexus_id = o.nexus_id FROM {0} AS o,"
            " (SELECT min(ctid) AS a, max(ctid) AS b FROM {0} WHERE entity ="
            " (SELECT min(entity) FROM {0})) AS two"
            " WHERE (t.ctid, o.ctid) IN ((two.a, two.b), (two.b, two.a)) AND two.a <> two.b"
        ),
    ),
    (
        "a_record_is_said_to_be_loaded",
        "A record is said to be loaded that FileMaker has not.",
        # The last of all: a longer one is none of the others.
        (
            "INSERT INTO {0} SELECT entity, filemaker_id || '0', nexus_id FROM {0}"
            ' ORDER BY filemaker_id COLLATE "C" DESC LIMIT 1'
        ),
    ),
)
for _name, _meaning, _statement in _OF_LOADED:
    declare(Kind(_name, _meaning, _LOADED, partial(_loaded, _statement), only_links=False))


def _undo(statement: LiteralString, which: str, scene: Scene) -> int:
    """A statement on the first table of one sort of the undo data that it changes."""
    undo = scene.undo
    tables = {
        "kept": [undo.before(part) for part in undo.tables],
        "after": [undo.after(part) for part in undo.tables],
        "links": [undo.before(part) for part in undo.links],
        "links after": [undo.after(part) for part in undo.links],
        "pointed": [undo.pointed_at],
        "loaded": [undo.kept_loaded] if undo.loaded else [],
    }[which]
    query = sql.SQL(statement)
    return scene.first(partial(scene.do, query.format(table)) for table in tables)


# The first row in the order in which their fingerprint is made: it stays the first.
_OF_NO_ROW: LiteralString = (
    "UPDATE {0} SET key = NULL WHERE ctid ="
    ' (SELECT ctid FROM {0} ORDER BY ROW(key)::text COLLATE "C" LIMIT 1)'
)
# Rows are chosen by their place (ctid): CREATE TABLE AS gives the kept tables no key.
_OF_UNDO: tuple[tuple[str, str, LiteralString, str, bool], ...] = (
    (
        "the_rows_before_are_lost",
        "The rows as they were before the run are gone.",
        "DELETE FROM {0}",
        "kept",
        False,
    ),
    (
        "a_row_before_is_lost",
        "One row as it was before the run is gone.",
        "DELETE FROM {0} WHERE ctid = (SELECT min(ctid) FROM {0})",
        "kept",
        False,
    ),
    (
        "a_row_before_is_doubled",
        "One row as it was before the run is kept twice.",
        "INSERT INTO {0} SELECT * FROM {0} LIMIT 1",
        "kept",
        False,
    ),
    (
        "the_hashes_are_lost",
        "What the run left is not known any more: nobody sees later edits.",
        "DELETE FROM {0}",
        "after",
        False,
    ),
    (
        "a_hash_is_changed",
        "A row counts as edited since the run.",
        "UPDATE {0} SET hash = md5(hash) WHERE ctid = (SELECT min(ctid) FROM {0})",
        "after",
        False,
    ),
    (
        "a_hash_is_lost",
        "A row counts as made since the run.",
        "DELETE FROM {0} WHERE ctid = (SELECT min(ctid) FROM {0})",
        "after",
        False,
    ),
    (
        "a_hash_is_of_no_row",
        "What the run left of one row is said of none: it counts as made since.",
        _OF_NO_ROW,
        "after",
        False,
    ),
    (
        "the_links_before_are_lost",
        "The links as they were before the run are gone.",
        "DELETE FROM {0}",
        "links",
        True,
    ),
    (
        "a_hash_of_a_link_is_changed",
        "A link counts as edited since the run.",
        "UPDATE {0} SET hash = md5(hash) WHERE ctid = (SELECT min(ctid) FROM {0})",
        "links after",
        True,
    ),
    (
        "a_hash_of_a_link_is_of_none",
        "What the run left of one link is said of none: it counts as made since.",
        _OF_NO_ROW,
        "links after",
        True,
    ),
    (
        "what_points_at_new_rows_is_changed",
        "Something is said to point at rows that the run made.",
        "INSERT INTO {0} VALUES ('nobody', 'nobody', 1)",
        "pointed",
        False,
    ),
    (
        "what_was_loaded_before_is_changed",
        "What earlier runs have loaded is not what it was.",
        "INSERT INTO {0} VALUES ('nobody', 'nobody', 'nobody')",
        "loaded",
        False,
    ),
)
for _name, _meaning, _statement, _which, _links in _OF_UNDO:
    declare(Kind(_name, _meaning, _UNDO, partial(_undo, _statement, _which), only_links=_links))


@kind(_UNDO, only_links=False)
def a_row_before_is_changed(scene: Scene) -> int:
    """A row as it was before the run holds another text."""

    def attempt(number: int) -> int:
        part = scene.undo.tables[number]
        table = scene.database.catalog.tables[part.table]
        return scene.first(
            partial(
                scene.do,
                sql.SQL(
                    "UPDATE {0} SET {1} = {1} || '.' WHERE ctid = (SELECT min(ctid) FROM {0}"
                    " WHERE {1} <> '')"
                ).format(scene.undo.before(part), where.name),
            )
            for where in scene.texts(table)
        )

    return scene.first_of(attempt, range(len(scene.undo.tables)))


@kind(_UNDO)
def a_table_of_the_undo_data_is_dropped(scene: Scene) -> int:
    """A table of the undo data is gone."""
    first = scene.undo.parts[0]
    scene.do(sql.SQL("DROP TABLE {}").format(scene.undo.after(first)))
    return 1


@kind(_UNDO)
def the_undo_data_is_dropped(scene: Scene) -> int:
    """The run's undo data is gone."""
    scene.do(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(scene.undo.schema)))
    return 1


def _own_dropped(scene: Scene, table: sql.Identifier) -> int:
    # Before the first reimport nothing was loaded: an empty table is made again by the next run.
    if not scene.value(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table)):
        return 0
    scene.do(sql.SQL("DROP TABLE {}").format(table))
    return 1


@kind(_RUNS)
def the_table_of_the_runs_is_dropped(scene: Scene) -> int:
    """The table of the runs is gone."""
    return _own_dropped(scene, RUNS)


@kind(_LOADED)
def the_table_of_what_was_loaded_is_dropped(scene: Scene) -> int:
    """The table of what was loaded is gone."""
    return _own_dropped(scene, LOADED)
