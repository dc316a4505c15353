"""What Nexus holds now, in numbers: rows, rows without a value that they should have, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import sql

from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection.postgres import Connection
from nexus_reimport.nexus.registry import Committed
from nexus_reimport.nexus.structure import fit, links
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.links import AttachmentState

LONGEST = "10s"  # of one statement: who asks is a person in front of a page


@dataclass(frozen=True, slots=True)
class Rows:
    """One entity: its rows, and how many of them are empty in which column."""

    entity: str
    table: str
    rows: int
    without: dict[str, int]  # column -> rows


@dataclass(frozen=True, slots=True)
class LastCommitted:
    """The last run that was committed in this database, and the rows that it left."""

    run: str
    kind: str
    at: datetime
    undone_by: str
    rows: dict[str, int]  # table -> rows
    standing: str  # the last run that nobody has taken back


@dataclass(frozen=True, slots=True)
class Counts:
    """Nexus at one moment, as a person asks for it."""

    at: datetime
    entities: tuple[Rows, ...]
    attachments: tuple[AttachmentState, ...]
    last: LastCommitted | None
    committed: frozenset[str]  # every run that this database knows

    def change(self, table: str) -> int | None:
        """Rows more (or less) than the last run left in ``table``; None where it is not known."""
        entity = next((e for e in self.entities if e.table == table), None)
        if entity is None or self.last is None or table not in self.last.rows:
            return None
        return entity.rows - self.last.rows[table]


def read(connection: Connection, database: Database, wanted: Mapping[str, Sequence[str]]) -> Counts:
    """The numbers of this moment; ``wanted`` names the columns of an entity that should be filled.

    Nothing is locked, no statement takes longer than ``LONGEST``.

    Raises:
        MappingError: the mapping does not fit the live schema.
    """
    connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(LONGEST)))
    fit.check(connection, database.mapping, database.catalog)
    entities, runs = database.mapping.entities, registry.runs(connection)
    return Counts(
        at=datetime.now(UTC),
        entities=tuple(_rows(database, name, wanted.get(name, ())) for name in entities),
        attachments=tuple(links.attachment_states(database).values()),
        last=_last(runs),
        committed=frozenset(run.run for run in runs),
    )


def _rows(database: Database, entity: str, columns: Sequence[str]) -> Rows:
    table = database.mapping.entities[entity].table
    is_empty = sql.SQL(", count(*) FILTER (WHERE coalesce({}::text, '') = '')")
    query = sql.SQL("SELECT count(*){} FROM {}").format(
        sql.SQL("").join(is_empty.format(sql.Identifier(column)) for column in columns),
        database.place(table),
    )
    ((rows, *empty),) = database.connection.execute(query).fetchall()
    return Rows(entity, table, rows, dict(zip(columns, empty, strict=True)))


def _last(runs: Sequence[Committed]) -> LastCommitted | None:
    if not runs:
        return None
    last = runs[0]
    rows = {table: state.rows for table, state in last.after.items()}
    standing = next((run.run for run in registry.still_standing(runs)), "")
    return LastCommitted(last.run, last.kind, last.committed_at, last.undone_by, rows, standing)
