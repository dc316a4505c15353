"""Protected rows: what points at patients (Xero links, relationships), and the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from psycopg import sql

from nexus_reimport.model import Level
from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.nexus.structure.tables import fingerprinted
from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import TEXT, Field, Scene, on_any

SORT = "a row of the configuration"
_POINTING = "a protected row that points at a patient"
_VOLATILE = "a protected table or column that moves by itself"


def _pointing(scene: Scene) -> Iterator[Field]:
    """Columns of protected tables that point at a patient, or at what a patient owns."""
    for table, column in (
        *scene.pointing_at(scene.people),
        *scene.pointing_at(*(t for t in scene.wiped if t != scene.people)),
    ):
        yield Field(table, column)


def _tables(scene: Scene) -> Iterator[Table]:
    return (f.table for f in _pointing(scene))


def _loose(scene: Scene) -> Iterator[Field]:
    """Columns of protected tables that name a row without a foreign key."""
    protected = {t.name: t for t in scene.protected}
    for reference in scene.database.mapping.references:
        table = protected.get(reference.table)
        column = table.column(reference.object) if table else None
        if table and column:
            yield Field(table, column)


@kind(_POINTING)
def a_xero_link_is_under_another_patient(scene: Scene) -> int:
    """A protected row, such as a Xero link, points at another patient."""
    fields = _pointing(scene)
    return scene.first(partial(scene.move, f, f.table, f.name) for f in fields)


@kind(_POINTING)
def two_patients_have_each_others_xero_link(scene: Scene) -> int:
    """Two patients have each other's protected row."""
    return scene.swap_first(_pointing(scene))


@kind(_POINTING)
def a_xero_link_is_orphaned(scene: Scene) -> int:
    """A protected row points at nobody where it did."""
    return scene.change_first((f for f in _pointing(scene) if not f.column.not_null), "NULL")


@kind(_POINTING)
def a_xero_link_points_at_nobody(scene: Scene) -> int:
    """A protected row points at a patient that does not exist."""
    return scene.first(partial(scene.change, f, f.nowhere) for f in _pointing(scene))


@kind(_POINTING)
def a_loose_reference_is_moved(scene: Scene) -> int:
    """A protected row that names another one without a foreign key names another one."""
    return scene.swap_first(_loose(scene))


@kind(_POINTING)
def a_loose_reference_dangles(scene: Scene) -> int:
    """A protected row names, without a foreign key, what does not exist."""
    return scene.first(partial(scene.change, f, f.nowhere) for f in _loose(scene))


def _emptied(scene: Scene, table: Table) -> int:
    return scene.delete(table, scene.keys(table))


def _steady(scene: Scene, table: Table, *types: str) -> Iterator[Field]:
    """The columns of these types, without those that move by themselves: there none is missed."""
    _, _, left_out = fingerprinted(scene.database.mapping, table)
    return (f for f in scene.fields(table) if f.is_of(*types) and f.column.name not in left_out)


def _changed(scene: Scene, table: Table) -> int:
    return scene.change_first(_steady(scene, table, *TEXT), "{0} || '.'", "length({0}) > 0")


def _turned(scene: Scene, table: Table) -> int:
    return scene.change_first(_steady(scene, table, "boolean"), "NOT {0}")


def _numbers(scene: Scene, table: Table) -> Iterator[Field]:
    return _steady(scene, table, "integer", "numeric", "smallint", "bigint")


def _counted(scene: Scene, table: Table) -> int:
    return scene.change_first(_numbers(scene, table), "{0} + 1")


def _dated(scene: Scene, table: Table) -> int:
    moments = _steady(scene, table, "timestamp", "date")
    return scene.change_first(moments, "{0} + interval '1 day'")


def _cleared(scene: Scene, table: Table) -> int:
    return scene.change_first((f for f in scene.fields(table) if not f.column.not_null), "NULL")


def _swapped(scene: Scene, table: Table) -> int:
    return scene.swap_first(_steady(scene, table, *TEXT))


# what becomes of a row, in words; the level at which it must be found; the act
_ACTS: tuple[tuple[str, str, Level, Callable[[Scene, Table], int]], ...] = (
    ("is_lost", "is gone", Level.STOP, Scene.lose),
    ("is_changed", "has another text", Level.STOP, _changed),
    ("has_another_date", "has another date", Level.STOP, _dated),
    ("is_replaced", "is there twice and another one is gone", Level.STOP, Scene.fabricate),
    ("has_another_key", "has another key", Level.STOP, Scene.rekey),
    ("is_added", "is there that was not there before", Level.REVIEW, Scene.double_first),
)
_MORE: tuple[tuple[str, str, Level, Callable[[Scene, Table], int]], ...] = (
    ("has_a_flag_turned", "has a flag turned", Level.STOP, _turned),
    ("has_another_number", "has a number that is one more", Level.STOP, _counted),
    ("lost_a_value", "has lost a value", Level.STOP, _cleared),
    ("and_another_are_swapped", "and another one have each other's text", Level.STOP, _swapped),
    ("and_all_others_are_lost", "and all others are gone", Level.STOP, _emptied),
)


for _name, _what, _level, _act in _ACTS:
    declare(
        Kind(
            f"a_xero_link_{_name}",
            f"A protected row of a patient's, such as a Xero link, {_what}.",
            _POINTING,
            on_any(_tables, _act),
            _level,
        )
    )
for _name, _what, _level, _act in (*_ACTS, *_MORE):
    declare(
        Kind(
            f"a_configuration_row_{_name}",
            f"A row of the configuration {_what}.",
            SORT,
            on_any(Scene.configuration, _act),
            _level,
        )
    )


@kind(SORT)
def two_configuration_changes_cancel(scene: Scene) -> int:
    """One number of the configuration is one more, another one less: the sum is what it was."""

    def attempt(table: Table) -> int:
        where = next(_numbers(scene, table), None)
        return scene.cancel(where, scene.keys(table), "1") if where else 0

    return scene.first_of(attempt, scene.configuration())


@kind(SORT)
def what_lookups_choose_by_is_changed(scene: Scene) -> int:
    """A clinic or funding source has another name: the next import would not find it."""

    def fields() -> Iterator[Field]:
        for name, column in sorted(scene.database.mapping.chosen_from()):
            table = scene.database.catalog.tables[name]
            chosen = table.column(column)
            if chosen and name not in scene.database.mapping.wiped_tables():
                yield Field(table, chosen)

    return scene.change_first((f for f in fields() if f.is_of("text", "character")), "{0} || '.'")


@kind(SORT)
def a_content_type_has_another_number(scene: Scene) -> int:
    """The content type of patients has another number: every generic key means something else."""
    mapping = scene.database.mapping
    own = scene.content_type(mapping.people())
    if own is None:
        return 0
    table = scene.database.catalog.tables[mapping.content_types]
    unused = str(max(scene.database.content_types.values()) + 1000)
    return scene.set(table, str(own), table.primary_key[0], unused)


@kind(SORT)
def somebody_has_more_rights(scene: Scene) -> int:
    """A protected row has all its flags set: a user is an administrator."""

    def attempt(table: Table) -> int:
        flags = [f.name for f in _steady(scene, table, "boolean")]
        if len(flags) < 2:
            return 0
        query = sql.SQL(
            "UPDATE {table} SET ({flags}) = ROW({true}) WHERE {key} = (SELECT {key} FROM {table}"
            ' WHERE ({all}) IS NOT TRUE ORDER BY {key}::text COLLATE "C" LIMIT 1)'
        )
        return scene.do(
            query.format(
                table=scene.place(table),
                flags=sql.SQL(", ").join(flags),
                true=sql.SQL(", ").join([sql.SQL("true")] * len(flags)),
                all=sql.SQL(" AND ").join(flags),
                key=sql.Identifier(table.primary_key[0]),
            )
        )

    return scene.first_of(attempt, scene.configuration())


# ---------------------------------------------------------------- what moves by itself


def _volatile(scene: Scene) -> Iterator[tuple[Table, tuple[str, ...]]]:
    """Protected tables with columns that move by themselves, and which."""
    for table in scene.database.catalog.tables.values():
        columns, _, left_out = fingerprinted(scene.database.mapping, table)
        if left_out and table.name in scene.database.mapping.volatile and scene.count(table):
            yield table, left_out if columns else ()


@kind(_VOLATILE)
def a_token_is_lost(scene: Scene) -> int:
    """A column that moves by itself is empty where it was filled."""

    def fields() -> Iterator[Field]:
        for table, columns in _volatile(scene):
            yield from (f for f in scene.fields(table) if f.column.name in columns)

    return scene.first(
        partial(scene.change, f, "NULL" if not f.column.not_null else "''")
        for f in fields()
        if not f.column.not_null or f.is_of("text", "character")
    )


@kind(_VOLATILE)
def a_token_is_a_blank(scene: Scene) -> int:
    """A column that moves by itself holds nothing but a blank where it was filled."""
    return scene.first(
        partial(scene.change, where, "' '")
        for table, columns in _volatile(scene)
        for where in scene.texts(table)
        if where.column.name in columns
    )


@kind(SORT)
def a_configuration_row_is_there_twice(scene: Scene) -> int:
    """A row is there twice under one key, since the table has no key any more."""

    def attempt(table: Table) -> int:
        place = scene.place(table)
        for name in scene.constraints(place, "p", "u"):
            # CASCADE: foreign keys of other tables depend on the key.
            drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {} CASCADE")
            scene.do(drop.format(place, sql.Identifier(name)))
        return scene.do(sql.SQL("INSERT INTO {0} SELECT * FROM {0} LIMIT 1").format(place))

    return scene.first_of(attempt, scene.configuration())


@kind(_VOLATILE)
def a_row_of_a_volatile_table_is_lost(scene: Scene) -> int:
    """A row is gone of a log, or of a table that is only counted."""
    mapping = scene.database.mapping
    counted = [table for table, columns in _volatile(scene) if not columns]
    logs = [scene.database.table(name) for name in mapping.append_only]
    steady = [table for table in (*logs, *counted) if table.name not in mapping.transient]
    return scene.first_of(scene.lose, steady)


@kind(_VOLATILE)
def a_row_with_volatile_columns_is_lost(scene: Scene) -> int:
    """A row is gone of a table some of whose columns move by themselves."""
    return scene.first(partial(scene.lose, table) for table, columns in _volatile(scene) if columns)
