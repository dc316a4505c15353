"""Sequences, and the columns that they fill."""

from __future__ import annotations

from collections.abc import Iterator
from typing import LiteralString

from psycopg import sql

from nexus_reimport.nexus.structure import sequences
from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.nexus.structure.sequences import Sequence
from nexus_reimport.saboteur.kinds import kind
from nexus_reimport.saboteur.scene import Scene
from nexus_reimport.saboteur.schema.changing import (
    DONE,
    alter,
    define,
    linking,
)

_SEQUENCE = "a sequence"


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
    return _back(scene, iter((*scene.wiped, *linking(scene), *scene.protected)))


@kind(_SEQUENCE)
def a_sequence_is_at_its_end(scene: Scene) -> int:
    """A sequence has no value left to give out."""
    for sequence in _behind(scene, iter(scene.protected)):
        if _set(scene, sequence, "{} * 0 + " + str(sequence.largest)):
            return DONE
    return 0


@kind(_SEQUENCE)
def a_sequence_is_near_its_end(scene: Scene) -> int:
    """A sequence was moved on until seven values are left: soon no row can be added."""
    for sequence in _behind(scene, iter(scene.protected)):
        is_called = sql.SQL("SELECT is_called FROM {}").format(sequence.place)
        if (
            scene.value(is_called)
            and sequence.rises
            and _set(scene, sequence, "{} * 0 + " + str(sequence.largest - 7))
        ):
            return DONE
    return 0


def _altered(scene: Scene, what: LiteralString) -> int:
    for sequence in _behind(scene, iter((*scene.wiped, *linking(scene), *scene.protected))):
        return define(scene, "ALTER SEQUENCE {} {}", sequence.place, sql.SQL(what))
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
            return alter(scene, table, "ALTER COLUMN {} DROP IDENTITY", column)
        return alter(scene, table, "ALTER COLUMN {} DROP DEFAULT", column)

    tables = iter((*scene.wiped, *linking(scene), *scene.protected))
    return scene.first_of(attempt, _behind(scene, tables))
