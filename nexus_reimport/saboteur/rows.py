"""Rows of wiped tables that are lost, doubled, fabricated, or under another patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import names
from nexus_reimport.nexus.structure.catalog import Column, Table
from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import Chosen, Field, Scene, on_any

SORT = "rows of a wiped table"
_OWNER = "whose a row is"


def _people(scene: Scene) -> Iterator[Table]:
    yield scene.people


def _appointments(scene: Scene) -> Iterator[Table]:
    yield scene.appointments


def _others(scene: Scene) -> Iterator[Table]:
    return (t for t in scene.by_size() if t in scene.others)


_ROLES: tuple[tuple[str, str, Chosen], ...] = (
    ("a_patient", "A patient", _people),
    ("an_appointment", "An appointment", _appointments),
    ("a_note", "A note, message or letter", _others),
)


def _emptied(scene: Scene, table: Table) -> int:
    return scene.do(sql.SQL("DELETE FROM {}").format(scene.place(table)))


def _keys_swapped(scene: Scene, table: Table) -> int:
    """Two rows have each other's key: all their other columns are exchanged."""
    one, other = (*scene.keys(table)[:2], "", "")[:2]
    # A unique key is checked row by row, and would refuse the first of two exchanged values.
    unique = {c for k in table.unique_keys for c in k.columns}
    columns = [n for n in table.names() if n not in table.primary_key and n not in unique]
    mine = sql.SQL(", ").join(sql.SQL("{0} = o.{0}").format(sql.Identifier(c)) for c in columns)
    return scene.do(
        sql.SQL(
            "UPDATE {table} AS t SET {mine} FROM {table} AS o"
            " WHERE (t.{key}::text, o.{key}::text) IN ((%s, %s), (%s, %s))"
        ).format(table=scene.place(table), mine=mine, key=sql.Identifier(table.primary_key[0])),
        *(one, other, other, one),
    )


_ACTS: tuple[tuple[str, str, Callable[[Scene, Table], int]], ...] = (
    ("is_lost", "is gone", Scene.lose),
    ("is_doubled", "is there twice, under two keys", Scene.double_first),
    ("is_fabricated", "is there twice and another one is gone: as many as before", Scene.fabricate),
    ("has_another_key", "is there under another key than planned", Scene.rekey),
    ("has_the_key_of_another", "has the key of another one, and that one has its", _keys_swapped),
    ("and_all_others_are_lost", "and all others are gone", _emptied),
)
for _role, _who, _tables in _ROLES:
    for _name, _what, _act in _ACTS:
        declare(
            Kind(
                f"{_role}_{_name}",
                f"{_who} {_what}.",
                SORT,
                on_any(_tables, _act),
                only_links=False,
            )
        )


@kind(SORT, only_links=False)
def a_row_was_not_loaded_but_left(scene: Scene) -> int:
    """A row is as it was before the run: the load passed it by."""

    def attempt(number: int) -> int:
        part = scene.undo.tables[number]
        table = scene.database.catalog.tables[part.table]
        columns = [n for n in table.names() if n not in table.primary_key]
        return scene.do(
            sql.SQL(
                "UPDATE {table} AS t SET ({columns}) = ROW({then}) FROM {kept} AS k"
                " WHERE t.{key} = k.{key} AND t.{key} = (SELECT n.{key} FROM {table} AS n"
                " JOIN {kept} AS b USING ({key}) WHERE ROW(n.*)::text <> ROW(b.*)::text"
                " ORDER BY n.{key}::text LIMIT 1)"
            ).format(
                table=scene.place(table),
                columns=names(columns),
                then=sql.SQL(", ").join(sql.Identifier("k", c) for c in columns),
                kept=scene.undo.before(part),
                key=sql.Identifier(table.primary_key[0]),
            )
        )

    return scene.first_of(attempt, range(len(scene.undo.tables)))


@kind(SORT, only_links=False)
def a_kept_row_is_lost(scene: Scene) -> int:
    """A row is gone that FileMaker does not bring back, and that was to be kept."""

    def attempt(table: Table) -> int:
        kept = scene.keys(table, sql.SQL("NOT ({})").format(scene.is_loaded(table)))
        return scene.delete(table, kept[:1])

    return scene.first_of(attempt, scene.by_size())


@kind(SORT, only_links=False)
def half_of_the_rows_are_lost(scene: Scene) -> int:
    """Every second row of a table is gone."""
    return scene.first(
        partial(lambda table: scene.delete(table, scene.keys(table)[::2]), table)
        for table in scene.by_size()
    )


# ---------------------------------------------------------------- whose a row is


def _owned(scene: Scene) -> Iterator[Field]:
    """Columns of wiped tables that point at a patient, the smallest table first."""
    for table in scene.by_size():
        for key in scene.database.catalog.foreign_keys:
            column: Column | None = table.column(key.columns[0])
            if key.table == table.name and key.target == scene.people.name and column:
                yield Field(table, column)


def _another(scene: Scene, where: Field) -> int:
    """Move the first row that is of a patient to the last other one."""
    return scene.move(where, scene.people, sql.Identifier(scene.people.primary_key[0]))


@kind(_OWNER, only_links=False)
def a_note_is_under_another_patient(scene: Scene) -> int:
    """A note, a message or a letter is under another patient."""
    fields = (f for f in _owned(scene) if f.table in scene.others)
    return scene.first(partial(_another, scene, f) for f in fields)


@kind(_OWNER, only_links=False)
def an_appointment_is_under_another_patient(scene: Scene) -> int:
    """An appointment is under another patient."""
    fields = (f for f in _owned(scene) if f.table == scene.appointments)
    return scene.first(partial(_another, scene, f) for f in fields)


@kind(_OWNER, only_links=False)
def two_patients_have_each_others_note(scene: Scene) -> int:
    """Two patients have each other's note, message or letter: each has as many as before."""
    return scene.swap_first(f for f in _owned(scene) if f.table in scene.others)


@kind(_OWNER, only_links=False)
def two_patients_have_each_others_appointment(scene: Scene) -> int:
    """Two patients have each other's appointment."""
    return scene.swap_first(f for f in _owned(scene) if f.table == scene.appointments)


@kind(_OWNER, only_links=False)
def a_note_is_of_nobody(scene: Scene) -> int:
    """A row points at a patient that does not exist."""
    return scene.first(partial(scene.change, f, f.nowhere) for f in _owned(scene))


@kind(_OWNER, only_links=False)
def a_row_lost_its_patient(scene: Scene) -> int:
    """A row that was a patient's is nobody's."""
    return scene.change_first((f for f in _owned(scene) if not f.column.not_null), "NULL")


@kind(_OWNER, only_links=False)
def all_rows_of_a_patient_are_anothers(scene: Scene) -> int:
    """All notes of one patient are under another one, as after a wrong merge."""

    def attempt(where: Field) -> int:
        query = sql.SQL(
            # As text: older servers have no min and max of uuid.
            "UPDATE {table} SET {column} = (SELECT max({column}::text)::uuid FROM {table})"
            " WHERE {column} = (SELECT min({column}::text)::uuid FROM {table})"
        )
        return scene.do(query.format(table=scene.place(where.table), column=where.name))

    return scene.first(partial(attempt, f) for f in _owned(scene) if f.is_of("uuid"))


@kind(_OWNER, only_links=False)
def a_row_points_at_another_wiped_row(scene: Scene) -> int:
    """A row points at another wiped row than planned: a message at another appointment."""

    def pointing() -> Iterator[Field]:
        wiped = {t.name for t in scene.wiped} - {scene.people.name}
        for table in scene.by_size():
            for key in scene.database.catalog.foreign_keys:
                column = table.column(key.columns[0])
                if key.table == table.name and key.target in wiped and column:
                    yield Field(table, column)

    return scene.swap_first(pointing())
