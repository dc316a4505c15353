"""What Nexus held at one moment, and the backup of that moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus.connection.scratch import Shape
from nexus_reimport.nexus.registry import UndoSize
from nexus_reimport.nexus.structure.catalog import Column, UniqueKey
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.links import AttachmentState
from nexus_reimport.nexus.structure.obstacles import Problem
from nexus_reimport.nexus.structure.schema import Facts
from nexus_reimport.nexus.structure.tables import Role


@dataclass(frozen=True, slots=True)
class TableState:
    """One table before the run: its role, rows, and the fingerprint of its columns."""

    name: str
    role: Role
    rows: int
    fingerprint: Fingerprint
    left_out: tuple[str, ...] = ()  # volatile columns outside the fingerprint
    key: tuple[str, ...] = ()  # the columns of its primary key


@dataclass(frozen=True, slots=True)
class Pointer:
    """A column, or several, that point at rows of an entity, and how many rows do."""

    table: str
    columns: tuple[str, ...]
    kind: str  # foreign key, generic key, id in a column
    entity: str
    rows: int
    dangling: int
    to: tuple[str, ...]  # the columns of the entity's table that they refer to

    @property
    def column(self) -> str:
        """Its columns, for a message."""
        return ", ".join(self.columns)


@dataclass(frozen=True, slots=True)
class Survey:
    """Nexus at one moment: schema, references, counts, fingerprints."""

    database: str
    server_version: str
    taken_at: datetime
    schema_digest: str
    content_types: dict[str, int]
    tables: dict[str, TableState]
    pointers: tuple[Pointer, ...]
    attachments: dict[str, AttachmentState]
    problems: tuple[Problem, ...]
    scanned_columns: int
    rows: dict[str, RowFile]  # of each wiped table
    attachment_rows: dict[str, RowFile]
    lookups: dict[str, RowFile]
    pointed_at: RowFile
    id_map: RowFile
    next_keys: dict[str, tuple[int, int]]  # integer keys: the first free one, and the last
    columns: dict[str, tuple[Column, ...]]  # of each wiped table, by entity
    keys: dict[str, str]  # the key column of each entity's table
    undo: tuple[UndoSize, ...]  # the undo data of earlier runs that the database holds
    unique_keys: dict[str, tuple[UniqueKey, ...]] = field(default_factory=dict)  # by entity
    schema: Facts = ()  # of the mapped tables
    notices: tuple[str, ...] = ()  # what acts besides a run, or needs a person's attention
    to_refresh: tuple[str, ...] = ()  # statements for materialized views, once it is committed
    defaults: dict[str, dict[str, str]] = field(default_factory=dict)  # by entity: column -> text
    linking: dict[str, RowFile] = field(default_factory=dict)  # of each linking table, all columns
    linking_keys: dict[str, str] = field(default_factory=dict)  # the key column of each
    runs: RowFile | None = None  # committed in this database: run, digest of its row, number
    inventory: RowFile | None = None  # what the catalog says of the whole database
    protected: RowFile | None = None  # table, key, hash of each row of protected tables
    elsewhere: dict[str, Fingerprint] = field(default_factory=dict)  # of other schemas' tables
    external_ids: dict[str, RowFile] = field(default_factory=dict)  # Nexus's: row, id
    positions: dict[str, int | None] = field(default_factory=dict)  # of each sequence

    def fingerprints(self, *roles: Role) -> dict[str, Fingerprint]:
        """The fingerprints of the tables with one of ``roles``."""
        return {n: t.fingerprint for n, t in sorted(self.tables.items()) if t.role in roles}


@dataclass(frozen=True, slots=True)
class Backup:
    """A dump and CSV files of the moment of the survey, all in the private folder."""

    dump: str
    dump_bytes: int
    dump_sha256: str
    tables_in_dump: int
    server_version: str
    client_version: str
    csv_rows: dict[str, int]  # file -> rows
    contents: dict[str, Fingerprint]  # every table of the database, all columns, at that moment
    shape: Shape
    extensions: dict[str, bool]  # name -> whether a table needs it
    owners: tuple[tuple[str, str, str], ...] = ()  # kind and name as ALTER has them, owner
    tablespaces: tuple[tuple[str, str, str], ...] = ()  # kind and name, tablespace
