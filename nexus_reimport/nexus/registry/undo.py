"""The parts of a run's undo data, and the names of its tables."""

from __future__ import annotations

import re
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport.nexus.connection import standbys
from nexus_reimport.nexus.connection.postgres import Connection, shortened, table_name
from nexus_reimport.nexus.registry.own_schema import UNDO_PREFIX, exists
from nexus_reimport.nexus.structure.schema import Facts

_POINTED_AT, _LOADED = "own_pointed_at", "own_loaded"


@dataclass(frozen=True, slots=True)
class UndoTable:
    """A wiped table of a run: ``kept_as`` holds its rows before, ``after`` (key, hash) after."""

    table: str
    key: str
    columns: tuple[str, ...]  # every column, as hashed
    loads: tuple[str, ...]  # those that a load can fill
    kept_as: str
    after: str


@dataclass(frozen=True, slots=True)
class UndoLinks:
    """A linking table of a run: the links that were fixed as they were, (key, hash) of all."""

    attachment: str
    table: str
    key: str
    columns: tuple[str, ...]  # object, and content type where the link is a generic key
    kept_as: str
    after: str


UndoPart = UndoTable | UndoLinks


@dataclass(frozen=True, slots=True)
class UndoData:
    """What is needed to undo one run, and where it is stored."""

    schema: str
    tables: tuple[UndoTable, ...]  # parents first
    links: tuple[UndoLinks, ...]
    schema_digest: str  # of the mapped tables as the run found them
    loaded: bool  # whether nexus_reimport.loaded was kept too
    facts: Facts = ()  # the same schema, described; empty for a run of an older version

    @property
    def parts(self) -> tuple[UndoPart, ...]:
        """Wiped tables, parents first, then linking tables."""
        return (*self.tables, *self.links)

    def before(self, part: UndoPart) -> sql.Identifier:
        """The table with the rows, or the fixed links, of ``part`` as they were before the run."""
        return table_name(self.schema, part.kept_as)

    def after(self, part: UndoPart) -> sql.Identifier:
        """The table with (key, hash) of each row of ``part`` as the run left it."""
        return table_name(self.schema, part.after)

    @property
    def pointed_at(self) -> sql.Identifier:
        """The table of what pointed at the run's rows when it was committed: place, id, rows."""
        return table_name(self.schema, _POINTED_AT)

    @property
    def kept_loaded(self) -> sql.Identifier:
        """The table with what was loaded before the run."""
        return table_name(self.schema, _LOADED)


def tables_of(undo: UndoData) -> frozenset[str]:
    """The names of all tables that the undo data may have."""
    parts = {name for part in undo.parts for name in (part.kept_as, part.after)}
    return frozenset(parts | {_POINTED_AT, _LOADED})


class UndoNames:
    """The names of the tables of one run's undo data, each given once.

    A clinic's own table may be called as one of ours: ``after_notes`` beside ``notes``.
    """

    def __init__(self) -> None:
        self._given = {_POINTED_AT, _LOADED}

    def free(self, name: str) -> str:
        """``name``, or one like it that is free, as PostgreSQL can hold it."""
        while (free := shortened(name)) in self._given:
            name += "_"
        self._given.add(free)
        return free


def undo_schema(run: str) -> str:
    """The name of the schema that holds the undo data of ``run``."""
    return UNDO_PREFIX + re.sub(r"[^a-z0-9]", "_", run.casefold())


def missing(connection: Connection, undo: UndoData) -> tuple[str, ...]:
    """The tables of the undo data that are not in the database any more."""
    parts = [name for part in undo.parts for name in (part.kept_as, part.after)]
    of_all = (_POINTED_AT, _LOADED) if undo.loaded else (_POINTED_AT,)
    return tuple(
        name for name in (*parts, *of_all) if not exists(connection, table_name(undo.schema, name))
    )


def drop_undo(connection: Connection, schema: str) -> None:
    """Drop the undo data of one run; a schema of any other name is refused."""
    if not schema.startswith(UNDO_PREFIX):
        raise ValueError(f"{schema} holds no undo data")
    standbys.do_not_wait(connection)
    connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
