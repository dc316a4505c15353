"""The catalog: columns, keys, conditions, indexes, triggers, policies, rights, sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import LiteralString

from psycopg import sql

from nexus_reimport.nexus import sequences
from nexus_reimport.nexus.catalog import Column, ForeignKey, Table
from nexus_reimport.nexus.postgres import table_name
from nexus_reimport.nexus.sequences import Sequence
from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import Field, Scene

_COLUMN = "a column of a table"
_KEY = "a key or a condition of a table"
_INDEX = "an index"
_ACTS = "what acts by itself"
_RIGHT = "who may do or see what"
_TABLE = "a table or view"
_SEQUENCE = "a sequence"
DONE = 1  # a statement that defines something tells no number of rows
Chosen = Callable[[Scene], Iterator[Table]]


def _wiped(scene: Scene) -> Iterator[Table]:
    yield scene.people


def _linking(scene: Scene) -> Iterator[Table]:
    for spec in scene.database.mapping.attachments.values():
        yield scene.database.catalog.tables[spec.link_table]


def _protected(scene: Scene) -> Iterator[Table]:
    return scene.configuration()


def _define(scene: Scene, statement: LiteralString, *parts: sql.Composable) -> int:
    scene.do(sql.SQL(statement).format(*parts))
    return DONE


def _alter(scene: Scene, table: Table, what: LiteralString, *parts: sql.Composable) -> int:
    return _define(scene, "ALTER TABLE {} {}", scene.place(table), sql.SQL(what).format(*parts))


# ---------------------------------------------------------------- columns


def _free(scene: Scene, table: Table) -> list[Column]:
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


def _added(scene: Scene, table: Table) -> int:
    return _alter(scene, table, "ADD COLUMN nobody_planned text")


def _dropped(scene: Scene, table: Table) -> int:
    columns = _free(scene, table)
    name = sql.Identifier(columns[-1].name) if columns else None
    return _alter(scene, table, "DROP COLUMN {}", name) if name else 0


def _renamed(scene: Scene, table: Table) -> int:
    columns = _free(scene, table)
    name = sql.Identifier(columns[-1].name) if columns else None
    return _alter(scene, table, "RENAME COLUMN {} TO nobody_planned", name) if name else 0


def _widened(scene: Scene, table: Table) -> int:
    columns = [c for c in _free(scene, table) if c.type.startswith("character varying")]
    name = sql.Identifier(columns[-1].name) if columns else None
    return _alter(scene, table, "ALTER COLUMN {} TYPE text", name) if name else 0


def _may_be_empty(scene: Scene, table: Table) -> int:
    fields = [f for f in scene.fields(table) if f.column.not_null]
    return _alter(scene, table, "ALTER COLUMN {} DROP NOT NULL", fields[-1].name) if fields else 0


def _must_be_filled(scene: Scene, table: Table) -> int:
    for where in scene.fields(table):
        empty = sql.SQL("SELECT count(*) FROM {} WHERE {} IS NULL").format(
            scene.place(table), where.name
        )
        if not where.column.not_null and not scene.value(empty):
            return _alter(scene, table, "ALTER COLUMN {} SET NOT NULL", where.name)
    return 0


def _has_a_default(scene: Scene, table: Table) -> int:
    fields = [f for f in scene.texts(table) if not f.column.filled_by_database]
    return _alter(scene, table, "ALTER COLUMN {} SET DEFAULT 'x'", fields[0].name) if fields else 0


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
_ROLES: tuple[tuple[str, str, Chosen], ...] = (
    ("wiped", "A wiped table", _wiped),
    ("linking", "A linking table", _linking),
    ("protected", "A protected table", _protected),
)


def _on_any(tables: Chosen, act: Callable[[Scene, Table], int]) -> Callable[[Scene], int]:
    return lambda scene: scene.first(partial(act, scene, table) for table in tables(scene))


for _role, _who, _tables in _ROLES:
    for _name, _what, _act in (*_OF_COLUMNS, *(_MORE_OF_COLUMNS if _role == "wiped" else ())):
        declare(
            Kind(
                f"a_column_of_a_{_role}_table_{_name}",
                f"{_who} {_what}.",
                _COLUMN,
                _on_any(_tables, _act),
            )
        )


# ---------------------------------------------------------------- keys and conditions


def _keys(scene: Scene, *, into: bool) -> list[ForeignKey]:
    """Foreign keys into wiped tables; or from them to protected ones."""
    wiped = {t.name for t in scene.wiped}
    keys = [k for k in scene.database.catalog.foreign_keys if k.schema == scene.database.schema]
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
    return _define(scene, "ALTER TABLE {} {}", scene.place(keys[0].table), statement)


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
    _define(scene, "ALTER TABLE {} DROP CONSTRAINT {}", scene.place(key.table), name)
    return _define(
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
        name = scene.value(
            sql.SQL(
                "SELECT conname::text FROM pg_catalog.pg_constraint WHERE conrelid = {}::regclass"
                " AND contype = {} ORDER BY 1 LIMIT 1"
            ).format(
                sql.Literal(scene.place(table).as_string(scene.connection)), sql.Literal(contype)
            )
        )
        if name:
            return _alter(scene, table, "DROP CONSTRAINT {} CASCADE", sql.Identifier(str(name)))
    return 0


@kind(_KEY)
def a_unique_key_is_dropped(scene: Scene) -> int:
    """Two rows of a wiped or linking table may hold what only one could."""
    return _constraint(scene, iter((*scene.wiped, *_linking(scene))), "u")


@kind(_KEY)
def a_unique_key_of_the_configuration_is_dropped(scene: Scene) -> int:
    """Two rows of the configuration may hold what only one could."""
    return _constraint(scene, scene.configuration(), "u")


@kind(_KEY)
def a_condition_is_dropped(scene: Scene) -> int:
    """A condition that a table's rows had to meet is gone."""
    tables = (*scene.wiped, *_linking(scene), *scene.protected)
    return _constraint(scene, iter(tables), "c")


@kind(_KEY)
def a_primary_key_is_dropped(scene: Scene) -> int:
    """The patients' primary key is gone, and with it all foreign keys into it."""
    return _constraint(scene, _wiped(scene), "p")


@kind(_KEY)
def a_condition_is_added(scene: Scene) -> int:
    """A wiped table has a condition that its rows meet today."""
    key = sql.Identifier(scene.people.primary_key[0])
    return _alter(scene, scene.people, "ADD CONSTRAINT nobody_planned CHECK ({} IS NOT NULL)", key)


@kind(_KEY)
def a_condition_is_added_to_a_protected_table(scene: Scene) -> int:
    """A table of the configuration has a condition that its rows meet today."""
    table = next(scene.configuration(), None)
    if table is None:
        return 0
    key = sql.Identifier(table.primary_key[0])
    return _alter(scene, table, "ADD CONSTRAINT nobody_planned CHECK ({} IS NOT NULL)", key)


# ---------------------------------------------------------------- indexes


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
            return _define(scene, "DROP INDEX {}", table_name(scene.database.schema, str(name)))
    return 0


@kind(_INDEX)
def an_index_of_a_wiped_table_is_dropped(scene: Scene) -> int:
    """The application's lists of patients are slow."""
    return _index(scene, iter(scene.wiped))


@kind(_INDEX)
def an_index_of_a_linking_table_is_dropped(scene: Scene) -> int:
    """The application's lists of documents are slow."""
    return _index(scene, _linking(scene))


@kind(_INDEX)
def an_index_of_a_protected_table_is_dropped(scene: Scene) -> int:
    """An index of a protected table is gone."""
    return _index(scene, iter(scene.protected))


@kind(_INDEX)
def an_index_is_added(scene: Scene) -> int:
    """A wiped table has one index more."""
    column = sql.Identifier(scene.database.mapping.application.patient_name[0])
    place = scene.place(scene.people)
    return _define(scene, "CREATE INDEX nobody_planned ON {} ({})", place, column)


@kind(_INDEX)
def a_unique_index_is_added(scene: Scene) -> int:
    """A wiped table keeps rows out that it took before."""
    key = sql.Identifier(scene.people.primary_key[0])
    place = scene.place(scene.people)
    return _define(scene, "CREATE UNIQUE INDEX nobody_planned ON {} (md5({}::text))", place, key)


# ---------------------------------------------------------------- what acts by itself


def _trigger(scene: Scene, table: Table) -> int:
    return _define(
        scene,
        "CREATE TRIGGER nobody_planned BEFORE UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION"
        " pg_catalog.suppress_redundant_updates_trigger()",
        scene.place(table),
    )


def _rule(scene: Scene, table: Table) -> int:
    statement: LiteralString = "CREATE RULE nobody_planned AS ON DELETE TO {} DO INSTEAD NOTHING"
    return _define(scene, statement, scene.place(table))


def _replicated(scene: Scene, table: Table) -> int:
    return _define(scene, "CREATE PUBLICATION nobody_planned FOR TABLE {}", scene.place(table))


def _hidden(scene: Scene, table: Table) -> int:
    return _alter(scene, table, "ENABLE ROW LEVEL SECURITY")


def _policy(scene: Scene, table: Table) -> int:
    return _define(scene, "CREATE POLICY nobody_planned ON {} USING (true)", scene.place(table))


def _granted(scene: Scene, table: Table) -> int:
    return _define(scene, "GRANT SELECT ON {} TO PUBLIC", scene.place(table))


def _taken(scene: Scene, table: Table) -> int:
    return _define(scene, "REVOKE TRUNCATE ON {} FROM CURRENT_USER", scene.place(table))


def _granted_on_a_column(scene: Scene, table: Table) -> int:
    column = sql.Identifier(table.columns[0].name)
    return _define(scene, "GRANT SELECT ({}) ON {} TO PUBLIC", column, scene.place(table))


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
for _role, _who, _tables in _ROLES:
    for _name, _what, _corrupts, _act in _OF_TABLES:
        declare(Kind(_name.format(_role), f"{_who} {_what}.", _corrupts, _on_any(_tables, _act)))


# ---------------------------------------------------------------- tables


@kind(_TABLE)
def a_protected_table_is_dropped(scene: Scene) -> int:
    """A table of the configuration is gone."""
    table = next(scene.configuration(), None)
    return _define(scene, "DROP TABLE {} CASCADE", scene.place(table)) if table else 0


@kind(_TABLE)
def a_protected_table_is_called_otherwise(scene: Scene) -> int:
    """A table of the configuration has another name."""
    table = next(scene.configuration(), None)
    return _alter(scene, table, "RENAME TO nobody_planned") if table else 0


@kind(_TABLE)
def a_table_is_added(scene: Scene) -> int:
    """There is a table that was not there."""
    return _define(scene, "CREATE TABLE {} (id int PRIMARY KEY)", scene.place("nobody_planned"))


@kind(_TABLE)
def a_copy_of_the_patients_is_left(scene: Scene) -> int:
    """A copy of the patients' rows was left behind."""
    return _define(
        scene,
        "CREATE TABLE {} AS TABLE {}",
        scene.place("nobody_planned"),
        scene.place(scene.people),
    )


@kind(_TABLE)
def a_view_is_added(scene: Scene) -> int:
    """There is a view of the patients that was not there."""
    place = scene.place("nobody_planned")
    return _define(scene, "CREATE VIEW {} AS TABLE {}", place, scene.place(scene.people))


@kind(_TABLE)
def the_schema_has_another_comment(scene: Scene) -> int:
    """Somebody has written something beside the name of the application's schema."""
    schema = sql.Identifier(scene.database.schema)
    return _define(scene, "COMMENT ON SCHEMA {} IS 'nobody planned'", schema)


@kind(_TABLE)
def a_wiped_table_is_followed_whole(scene: Scene) -> int:
    """Replication sends whole rows of the patients."""
    return _alter(scene, scene.people, "REPLICA IDENTITY FULL")


# ---------------------------------------------------------------- sequences


def _behind(scene: Scene, tables: Iterator[Table]) -> tuple[Sequence, ...]:
    names = [t.name for t in tables]
    return sequences.behind(scene.connection, scene.database.schema, names)


def _set(scene: Scene, sequence: Sequence, to: LiteralString) -> int:
    """Set a sequence to an expression of its last value; put back afterwards."""
    state = sql.SQL("SELECT last_value, is_called FROM {}").format(sequence.place)
    last, is_called = scene.rows(state)[0]
    name = sql.Literal(sequence.place.as_string(scene.connection))
    put = sql.SQL("SELECT setval({}::regclass, {}, {})")
    back = put.format(name, sql.Literal(last), sql.Literal(is_called))
    wanted = scene.value(sql.SQL("SELECT {}").format(sql.SQL(to).format(sql.Literal(last))))
    if (wanted, True) == (last, is_called):
        return 0
    scene.afterwards.append(lambda: scene.do(back))
    scene.do(put.format(name, sql.Literal(wanted), sql.Literal(True)))
    return DONE


def _back(scene: Scene, tables: Iterator[Table]) -> int:
    for sequence in _behind(scene, tables):
        filled = scene.count(scene.database.catalog.tables[sequence.table])
        if filled > 1 and _set(scene, sequence, "greatest(1, {} / 2)"):
            return DONE
    return 0


@kind(_SEQUENCE)
def a_sequence_is_set_back(scene: Scene) -> int:
    """The next row that the application adds gets a key that is taken."""
    return _back(scene, iter((*scene.wiped, *_linking(scene), *scene.protected)))


@kind(_SEQUENCE)
def a_sequence_is_at_its_end(scene: Scene) -> int:
    """A sequence has no value left to give out."""
    for sequence in _behind(scene, iter(scene.protected)):
        if _set(scene, replace(sequence), "{} * 0 + " + str(sequence.largest)):
            return DONE
    return 0


def _altered(scene: Scene, what: LiteralString) -> int:
    for sequence in _behind(scene, iter((*scene.wiped, *_linking(scene), *scene.protected))):
        return _define(scene, "ALTER SEQUENCE {} {}", sequence.place, sql.SQL(what))
    return 0


@kind(_SEQUENCE)
def a_sequence_counts_by_tens(scene: Scene) -> int:
    """A sequence counts by tens."""
    return _altered(scene, "INCREMENT BY 10")


@kind(_SEQUENCE)
def a_sequence_begins_again(scene: Scene) -> int:
    """A sequence begins again at its end."""
    return _altered(scene, "CYCLE")


@kind(_SEQUENCE)
def a_key_comes_from_nowhere(scene: Scene) -> int:
    """A column whose values came from a sequence gets none any more."""

    def attempt(sequence: Sequence) -> int:
        table = scene.database.catalog.tables[sequence.table]
        column = sql.Identifier(sequence.column)
        is_identity = scene.value(
            sql.SQL(
                "SELECT attidentity <> '' FROM pg_catalog.pg_attribute"
                " WHERE attrelid = {}::regclass AND attname = {}"
            ).format(
                sql.Literal(scene.place(table).as_string(scene.connection)),
                sql.Literal(sequence.column),
            )
        )
        if is_identity:
            return _alter(scene, table, "ALTER COLUMN {} DROP IDENTITY", column)
        return _alter(scene, table, "ALTER COLUMN {} DROP DEFAULT", column)

    tables = iter((*scene.wiped, *_linking(scene), *scene.protected))
    return scene.first(partial(attempt, one) for one in _behind(scene, tables))


def _fields(scene: Scene) -> Iterator[Field]:
    return scene.texts(scene.people)


@kind(_COLUMN)
def a_column_sorts_otherwise(scene: Scene) -> int:
    """A text column sorts by another collation."""
    where = next((f for f in _fields(scene) if f.column in _free(scene, f.table)), None)
    if where is None:
        return 0
    statement: LiteralString = 'ALTER COLUMN {} TYPE {} COLLATE "POSIX"'
    kind_of = sql.SQL(where.column.type)
    return _alter(scene, where.table, statement, where.name, kind_of)
