"""What the catalog says beside tables: storage, statistics, comments, settings, all else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import LiteralString

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import names, scalar
from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import Scene

_STORED = "how a table is stored"
_SAID = "a comment"
_SET = "a setting of the database"
_OTHER = "an object that is neither table, function nor sequence"
DONE = 1  # a statement that defines something tells no number of rows


def _done(scene: Scene, statement: LiteralString) -> int:
    """Execute ``statement``, its names filled in."""
    application, people = scene.database.mapping.application, scene.people
    database = str(scalar(scene.connection, "SELECT current_database()"))
    key = next(iter(scene.constraints(scene.place(people), "p")), "")
    scene.do(
        sql.SQL(statement).format(
            people=scene.place(people),
            name=sql.Identifier(application.patient_name[0]),
            two=names(tuple(c.name for c in people.columns[:2])),
            key=sql.Identifier(key),
            key_index=sql.Identifier(scene.database.schema, key),
            spare=scene.place("nobody_planned"),
            database=sql.Identifier(database),
        )
    )
    return DONE


# name, what it means, what it corrupts, the statement
_KINDS: tuple[tuple[str, str, str, LiteralString], ...] = (
    (
        "a_wiped_table_is_never_vacuumed",
        "The server never cleans up the patients' table.",
        _STORED,
        "ALTER TABLE {people} SET (autovacuum_enabled = false)",
    ),
    (
        "a_wiped_table_is_sorted_by_a_key",
        "The patients' table is to be sorted by its key.",
        _STORED,
        "ALTER TABLE {people} CLUSTER ON {key}",
    ),
    (
        "an_index_is_stored_otherwise",
        "The index of the patients' key is packed otherwise.",
        _STORED,
        "ALTER INDEX {key_index} SET (fillfactor = 10)",
    ),
    (
        "a_column_has_no_statistics",
        "The planner knows nothing of a column.",
        _STORED,
        "ALTER TABLE {people} ALTER COLUMN {name} SET STATISTICS 0",
    ),
    (
        "a_column_is_said_to_hold_few_values",
        "The planner is told another number of values.",
        _STORED,
        "ALTER TABLE {people} ALTER COLUMN {name} SET (n_distinct = 5)",
    ),
    (
        "a_column_is_stored_otherwise",
        "A column's long values are not compressed any more.",
        _STORED,
        "ALTER TABLE {people} ALTER COLUMN {name} SET STORAGE EXTERNAL",
    ),
    (
        "statistics_are_added",
        "The planner keeps statistics of two columns together.",
        _STORED,
        "CREATE STATISTICS {spare} ON {two} FROM {people}",
    ),
    (
        "a_table_has_a_comment",
        "The patients' table has another comment.",
        _SAID,
        "COMMENT ON TABLE {people} IS 'nobody planned this'",
    ),
    (
        "a_column_has_a_comment",
        "A column has another comment.",
        _SAID,
        "COMMENT ON COLUMN {people}.{name} IS 'nobody planned this'",
    ),
    (
        "the_database_is_in_another_zone",
        "Everybody's times are shown in another zone.",
        _SET,
        "ALTER DATABASE {database} SET timezone = 'Pacific/Chatham'",
    ),
    (
        "names_are_looked_up_elsewhere",
        "The application finds other tables under its names, or none.",
        _SET,
        "ALTER DATABASE {database} SET search_path = pg_catalog",
    ),
    (
        "one_role_may_only_read",
        "A role's transactions are read-only in this database.",
        _SET,
        "ALTER ROLE CURRENT_USER IN DATABASE {database} SET default_transaction_read_only = on",
    ),
    (
        "nobody_may_connect",
        "The database takes no connection any more.",
        _SET,
        "ALTER DATABASE {database} CONNECTION LIMIT 0",
    ),
    (
        "a_cast_is_added",
        "The server turns rows into texts by itself.",
        _OTHER,
        "CREATE CAST ({people} AS text) WITH INOUT AS ASSIGNMENT",
    ),
    (
        "a_collation_is_added",
        "There is an order of texts that was not there.",
        _OTHER,
        'CREATE COLLATION {spare} FROM pg_catalog."C"',
    ),
    (
        "a_type_of_several_fields_is_added",
        "There is a type that was not there.",
        _OTHER,
        "CREATE TYPE {spare} AS (nobody int)",
    ),
    (
        "a_search_is_configured_otherwise",
        "There is another way to search in texts.",
        _OTHER,
        "CREATE TEXT SEARCH CONFIGURATION {spare} (COPY = pg_catalog.simple)",
    ),
    (
        "a_publication_is_prepared",
        "There is a publication, of no table yet.",
        _OTHER,
        "CREATE PUBLICATION nobody_planned",
    ),
    (
        "a_large_object_is_added",
        "There is a large object that was not there.",
        _OTHER,
        # 0: the server chooses an unused number.
        "SELECT pg_catalog.lo_create(0)",
    ),
)
for _name, _meaning, _corrupts, _statement in _KINDS:
    declare(Kind(_name, _meaning, _corrupts, partial(_done, statement=_statement)))


@kind(_OTHER)
def an_operator_is_added(scene: Scene) -> int:
    """There is an operator that was not there."""
    scene.do(
        sql.SQL(
            "CREATE OPERATOR {}.=== (leftarg = int4, rightarg = int4, function = pg_catalog.int4eq)"
        ).format(sql.Identifier(scene.database.schema))
    )
    return DONE


@kind(_STORED)
def a_column_is_at_another_place(scene: Scene) -> int:
    """A column of the configuration with all that it holds stands behind the others."""

    def attempts() -> Iterator[partial[int]]:
        for table in scene.configuration():
            for where in scene.texts(table):
                if where.column.name != table.columns[-1].name and not where.column.not_null:
                    yield partial(_moved, scene, table, where.column.name, where.column.type)

    return scene.first(attempts())


def _moved(scene: Scene, table: Table, name: str, type_name: LiteralString) -> int:
    place, column, spare = scene.place(table), sql.Identifier(name), sql.Identifier("nobody")
    type_of = sql.SQL(type_name)
    scene.do(sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(place, spare, type_of))
    scene.do(sql.SQL("UPDATE {} SET {} = {}").format(place, spare, column))
    scene.do(sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(place, column))
    scene.do(sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}").format(place, spare, column))
    return DONE
