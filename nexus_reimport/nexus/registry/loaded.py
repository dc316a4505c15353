"""Which FileMaker record became which row, as the last run loaded them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from psycopg import sql

from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus.connection.copying import copy_in, copy_out
from nexus_reimport.nexus.connection.postgres import Connection, names
from nexus_reimport.nexus.registry.own_schema import LOADED, exists
from nexus_reimport.nexus.registry.undo import UndoData

COLUMNS = ("entity", "filemaker_id", "nexus_id")
_BY_NAME = sql.SQL('entity COLLATE "C"')


def read(connection: Connection, path: Path) -> RowFile:
    """What the last run loaded, as a row file, in the order of entity and FileMaker id.

    Empty if no run was committed here yet.
    """
    if not exists(connection, LOADED):
        return rowfile.write(path, COLUMNS)
    return _in_order(connection, LOADED, path)


def read_as_planned(connection: Connection, entities: Sequence[str], path: Path) -> RowFile:
    """What the last run loaded, as a plan has it: entity by entity, in order of FileMaker ids."""
    turn = sql.SQL("array_position({}::text[], entity)").format(sql.Literal(list(entities)))
    return _in_order(connection, LOADED, path, turn)


def read_kept(connection: Connection, undo: UndoData, path: Path) -> RowFile:
    """What was loaded before the run, as its undo data has it, in the order of ``read``."""
    return _in_order(connection, undo.kept_loaded, path)


def _in_order(
    connection: Connection, place: sql.Identifier, path: Path, turn: sql.Composable = _BY_NAME
) -> RowFile:
    """In the order of the entities' ``turn``, then of ids as Python sorts, as a plan has them.

    A copy, whose ids are compared, may lie on a server of other locales.
    """
    query = sql.SQL('SELECT {} FROM {} ORDER BY {}, filemaker_id COLLATE "C"')
    return copy_out(connection, query.format(names(COLUMNS), place, turn), path, COLUMNS)


def replace(connection: Connection, folder: Path, file: RowFile) -> None:
    """Replace what the previous run loaded with the rows of ``file``, in the run's transaction."""
    connection.execute(sql.SQL("DELETE FROM {}").format(LOADED))
    copy_in(connection, LOADED, folder, file)


def keep(connection: Connection, undo: UndoData) -> None:
    """Copy what was loaded before the run into its undo data."""
    query = sql.SQL("CREATE TABLE {} AS TABLE {}").format(undo.kept_loaded, LOADED)
    connection.execute(query)


def put_back(execute: Callable[[sql.Composed], object], undo: UndoData) -> None:
    """Restore what was loaded before the run, inside the undo's transaction.

    ``execute`` is that transaction's own, which limits the time of each statement.
    """
    execute(sql.SQL("DELETE FROM {}").format(LOADED))
    execute(sql.SQL("INSERT INTO {} SELECT * FROM {}").format(LOADED, undo.kept_loaded))
