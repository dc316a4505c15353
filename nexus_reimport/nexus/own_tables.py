"""Our own tables in the database, read as they are: the runs, what was loaded, the undo data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus import readings, references, registry, undo_data
from nexus_reimport.nexus.database import Database
from nexus_reimport.nexus.fingerprint import Fingerprint
from nexus_reimport.nexus.readings import Unread
from nexus_reimport.nexus.registry import UndoData, loaded
from nexus_reimport.nexus.undo_data import Pointers

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OwnTables:
    """What of our own tables could be read, part by part."""

    runs: RowFile | Unread  # run, digest of its row
    rows: tuple[Mapping[str, Any], ...] | Unread  # what never changes of the runs' rows
    loaded: RowFile | Unread
    undo: UndoData | Unread  # what the undo data of the run must be
    before: Mapping[str, Fingerprint | Unread]  # wiped table -> of its rows as kept for an undo
    after: Mapping[str, Fingerprint | Unread]  # table -> as the run left it
    links: Mapping[str, RowFile | Unread]  # attachment -> links that were fixed, as they were
    loaded_before: RowFile | Unread
    pointers: tuple[Pointers, Pointers] | Unread  # at the run's rows: as written down, as they are


def read(
    database: Database,
    wanted: Callable[[], UndoData],
    entities: Sequence[str],
    folder: Path,
) -> OwnTables:
    """Our tables as they are; ``wanted`` says what the undo data must be.

    ``entities`` are those that the run has loaded, in the order of its plan.
    """
    connection, had = database.connection, partial(readings.tolerant, database.connection)
    undo: UndoData | Unread = had("the undo data", wanted)
    parts = _Parts(database, undo, folder) if isinstance(undo, UndoData) else None
    path, runs = folder / "after_loaded.parquet", folder / "after_runs.parquet"
    return OwnTables(
        runs=had("the runs", lambda: registry.dump_fixed(connection, runs)),
        rows=had("the runs", lambda: tuple(registry.fixed(connection))),
        loaded=had(
            "what was loaded",
            lambda: (
                loaded.read_as_planned(connection, entities, path)
                if entities
                else loaded.read(connection, path)
            ),
        ),
        undo=undo,
        before=parts.before() if parts else {},
        after=parts.after() if parts else {},
        links=parts.links() if parts else {},
        loaded_before=parts.loaded_before() if parts else Unread("the undo data"),
        pointers=parts.pointers() if parts else Unread("the undo data"),
    )


class _Parts:
    """Reads the undo data of one run, table by table."""

    def __init__(self, database: Database, undo: UndoData, folder: Path) -> None:
        self._database, self._undo, self._folder = database, undo, folder
        self._connection = database.connection

    def before(self) -> dict[str, Fingerprint | Unread]:
        read = partial(undo_data.fingerprint_before, self._connection, self._undo)
        return {t.table: self._had(t.table, partial(read, t)) for t in self._undo.tables}

    def after(self) -> dict[str, Fingerprint | Unread]:
        read = partial(undo_data.fingerprint_after, self._connection, self._undo)
        return {p.table: self._had(p.table, partial(read, p)) for p in self._undo.parts}

    def links(self) -> dict[str, RowFile | Unread]:
        found = {}
        for part in self._undo.links:
            path = self._folder / f"after_kept_{part.attachment}.parquet"
            read = partial(undo_data.dump_links_before, self._connection, self._undo, part, path)
            found[part.attachment] = self._had(part.attachment, read)
        return found

    def loaded_before(self) -> RowFile | Unread:
        path = self._folder / "after_loaded_before.parquet"
        read = partial(loaded.read_kept, self._connection, self._undo, path)
        return self._had("what was loaded before the run", read)

    def pointers(self) -> tuple[Pointers, Pointers] | Unread:
        schema, undo = self._database.schema, self._undo

        def read() -> tuple[Pointers, Pointers]:
            known = references.declared(self._database)
            return undo_data.pointers(self._connection, schema, undo, known)

        return self._had("what pointed at the run's rows", read)

    def _had(self, what: str, read: Callable[[], T]) -> T | Unread:
        return readings.tolerant(self._connection, what, read)
