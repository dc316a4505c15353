"""Our own tables in the database, read as they are: the runs, what was loaded, the undo data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from psycopg import sql

from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection.postgres import Connection
from nexus_reimport.nexus.connection.readings import Readings, Unread
from nexus_reimport.nexus.reading.kept_readings import CATALOG
from nexus_reimport.nexus.registry import OWN_SCHEMA, OwnObject, UndoData, loaded, marker
from nexus_reimport.nexus.structure import references
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.writing import undo_data
from nexus_reimport.nexus.writing.undo_data import Pointers

T = TypeVar("T")
Rows = tuple[Mapping[str, Any], ...]


class Once(Protocol):
    """Gives what is read of some tables: by reading it, or as it was kept."""

    def __call__(self, key: str, tables: Collection[str], read: Callable[[], T]) -> T: ...


@dataclass(frozen=True, slots=True)
class OwnTables:
    """What of our own tables could be read, part by part."""

    runs: RowFile | Unread  # run, digest of its row, number
    rows: Rows | Unread  # what never changes of the runs' rows
    loaded: RowFile | Unread
    undo: UndoData | Unread  # what the undo data of the run must be
    before: Mapping[str, Fingerprint | Unread]  # wiped table -> of its rows as kept for an undo
    after: Mapping[str, Fingerprint | Unread]  # table -> as the run left it
    keys_after: Mapping[str, RowFile | Unread]  # table -> the keys of what the run left
    links: Mapping[str, RowFile | Unread]  # attachment -> links that were fixed, as they were
    loaded_before: RowFile | Unread
    objects: tuple[OwnObject, ...] | Unread  # in our own schemas
    marker: str | Unread  # the environment that owns the database, "" where none does
    pointers: tuple[Pointers, Pointers] | Unread  # at the run's rows: as written down, as they are


def read(
    database: Database,
    readings: Readings,
    wanted: Callable[[], UndoData],
    entities: Sequence[str],
    folder: Path,
    once: Once,
) -> OwnTables:
    """Our tables as they are; ``wanted`` says what the undo data must be.

    ``entities`` are those that the run has loaded, in the order of its plan. ``once`` gets what is
    read, the tables that it is read of, and how: a run reads everything.
    """
    connection, had = database.connection, readings.of
    undo: UndoData | Unread = had("the undo data", wanted)
    parts = _Parts(database, readings, undo, folder, once) if isinstance(undo, UndoData) else None
    ours = (f"{OWN_SCHEMA}.{registry.RUNS_NAME}",)
    path, runs = folder / "after_loaded.parquet", folder / "after_runs.parquet"

    def read_loaded() -> RowFile | Unread:
        return had(
            "what was loaded",
            lambda: (
                loaded.read_as_planned(connection, entities, path)
                if entities
                else loaded.read(connection, path)
            ),
        )

    def read_runs() -> tuple[RowFile, Rows] | Unread:
        def work() -> tuple[RowFile, Rows]:
            rows = registry.fixed(connection)
            return registry.dump_fixed(rows, runs), tuple(rows)

        return had("the runs", work)

    runs_read = once("the runs", ours, read_runs)
    return OwnTables(
        runs=runs_read if isinstance(runs_read, Unread) else runs_read[0],
        rows=runs_read if isinstance(runs_read, Unread) else runs_read[1],
        loaded=once("what was loaded", (f"{OWN_SCHEMA}.loaded",), read_loaded),
        undo=undo,
        objects=once(
            "objects",
            (CATALOG,),
            lambda: had("our own schemas", lambda: registry.objects(connection)),
        ),
        marker=once(
            "marker",
            (f"{OWN_SCHEMA}.deployment",),
            lambda: had("the marker", lambda: _owner(connection)),
        ),
        before=parts.before() if parts else {},
        after=parts.after() if parts else {},
        keys_after=parts.keys_after() if parts else {},
        links=parts.links() if parts else {},
        loaded_before=parts.loaded_before() if parts else Unread("the undo data"),
        pointers=parts.pointers() if parts else Unread("the undo data"),
    )


def _owner(connection: Connection) -> str:
    owner = marker.read(connection)
    return owner.environment if owner else ""


class _Parts:
    """Reads the undo data of one run, table by table."""

    def __init__(
        self, database: Database, readings: Readings, undo: UndoData, folder: Path, once: Once
    ) -> None:
        self._database, self._undo, self._folder, self._once = database, undo, folder, once
        self._readings = readings
        self._connection = database.connection

    def before(self) -> dict[str, Fingerprint | Unread]:
        read = partial(undo_data.fingerprint_before, self._connection, self._undo)
        return {
            t.table: self._had(
                self._name(self._undo.before(t)), partial(read, t), self._here(t.table)
            )
            for t in self._undo.tables
        }

    def after(self) -> dict[str, Fingerprint | Unread]:
        read = partial(undo_data.fingerprint_after, self._connection, self._undo)
        return {
            p.table: self._had(p.after, partial(read, p), self._here(p.table))
            for p in self._undo.parts
        }

    def keys_after(self) -> dict[str, RowFile | Unread]:
        keys = {}
        for part in self._undo.parts:
            path = self._folder / f"after_keys_{part.table}.parquet"
            read = partial(undo_data.dump_keys_after, self._connection, self._undo, part, path)
            keys[part.table] = self._had(part.after, read, key="the keys of ")
        return keys

    def links(self) -> dict[str, RowFile | Unread]:
        links = {}
        for part in self._undo.links:
            path = self._folder / f"after_kept_{part.attachment}.parquet"
            read = partial(undo_data.dump_links_before, self._connection, self._undo, part, path)
            name = self._name(self._undo.before(part))
            links[part.attachment] = self._had(name, read, self._here(part.table))
        return links

    def loaded_before(self) -> RowFile | Unread:
        path = self._folder / "after_loaded_before.parquet"
        read = partial(loaded.read_kept, self._connection, self._undo, path)
        return self._had(self._name(self._undo.kept_loaded), read)

    def pointers(self) -> tuple[Pointers, Pointers] | Unread:
        schema, undo = self._database.schema, self._undo
        # Whose primary key is gone has nothing that a reference could name: that is a finding.
        known = self._readings.of("the references", partial(references.declared, self._database))
        if isinstance(known, Unread):
            return known
        pointing = {".".join(r.elsewhere) if r.elsewhere else self._here(r.table) for r in known}
        kept = {f"{undo.schema}.{self._name(undo.before(part))}" for part in undo.parts}
        wiped = {self._here(part.table) for part in undo.tables}
        name = self._name(undo.pointed_at)
        read = partial(undo_data.pointers, self._connection, schema, undo, known)
        return self._had(name, read, CATALOG, *pointing, *kept, *wiped)

    def _name(self, place: sql.Identifier) -> str:
        """The name of one of our tables, without its schema."""
        return place.as_string(self._connection).rpartition(".")[2].strip('"')

    def _here(self, table: str) -> str:
        return f"{self._database.schema}.{table}"

    def _had(self, name: str, read: Callable[[], T], *beside: str, key: str = "") -> T | Unread:
        """What ``read`` gives of one table of the undo data, and of those beside it.

        ``key`` tells a second reading of the table from the first.
        """
        place = f"{self._undo.schema}.{name}"
        return self._once(f"{key}{place}", (place, *beside), lambda: self._readings.of(name, read))
