"""What the project keeps for itself inside the database: the runs, and the undo data of each.

nexus_reimport.runs               one row per run that was committed, written in its transaction
nexus_reimport.loaded             which FileMaker record became which row
nexus_reimport_undo_<run>         the rows as they were before the run, and (key, hash) of each
                                  row as the run left it
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from nexus_reimport.files.json_values import adapter
from nexus_reimport.nexus.fingerprint import Fingerprint
from nexus_reimport.nexus.postgres import (
    OWN_SCHEMA,
    Connection,
    make_own_schema,
    scalar,
    statement,
    table_name,
)
from nexus_reimport.nexus.schema import Facts

UNDO_PREFIX = "nexus_reimport_undo_"
KEPT_LOADED = "own_loaded"
POINTED = "own_pointed_at"
RUNS = table_name(OWN_SCHEMA, "runs")
LOADED = table_name(OWN_SCHEMA, "loaded")


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


@dataclass(frozen=True, slots=True)
class UndoData:
    """What is needed to take one run back, and where it lies."""

    schema: str
    tables: tuple[UndoTable, ...]  # parents first
    links: tuple[UndoLinks, ...]
    schema_digest: str  # of the mapped tables as the run found them
    loaded: bool  # whether nexus_reimport.loaded was kept too
    facts: Facts = ()  # the same schema, described; none where an older version has made the run

    @property
    def parts(self) -> tuple[UndoTable | UndoLinks, ...]:
        """Wiped tables, parents first, then linking tables."""
        return (*self.tables, *self.links)


@dataclass(frozen=True, slots=True)
class Committed:
    """A run that was committed in this database."""

    run: str
    environment: str
    kind: str
    digest: str
    approved_by: str
    before: dict[str, Fingerprint]
    after: dict[str, Fingerprint]
    undo: UndoData | None
    undone_by: str
    committed_at: datetime
    seal: str


@dataclass(frozen=True, slots=True)
class UndoSize:
    """The undo data of one run: how old, how large, whether it was used."""

    run: str
    schema: str
    committed_at: datetime | None
    bytes_stored: int
    undone_by: str


def undo_schema(run: str) -> str:
    """The name of the schema that holds the undo data of ``run``."""
    return UNDO_PREFIX + re.sub(r"[^a-z0-9]", "_", run.casefold())


def make(connection: Connection) -> None:
    """Make our own schema where it is not there, or older than this package."""
    make_own_schema(connection)
    connection.execute(statement("own_schema"))


def is_there(connection: Connection) -> bool:
    """Whether any run was ever made in this database."""
    return scalar(connection, "SELECT to_regclass(%s)", (f"{OWN_SCHEMA}.runs",)) is not None


def was_committed(connection: Connection, run: str) -> bool:
    """Whether ``run`` was committed."""
    if not is_there(connection):
        return False
    query = sql.SQL("SELECT count(*) FROM {} WHERE run = %s").format(RUNS)
    return bool(scalar(connection, query, (run,)))


def remember(connection: Connection, committed: Committed) -> None:
    """Write the run's row; part of its transaction."""
    connection.execute(
        sql.SQL(
            "INSERT INTO {} (run, environment, kind, digest, approved_by, before, after, undo)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
        ).format(RUNS),
        (
            committed.run,
            committed.environment,
            committed.kind,
            committed.digest,
            committed.approved_by,
            Jsonb(_plain(committed.before)),
            Jsonb(_plain(committed.after)),
            Jsonb(_plain(committed.undo)) if committed.undo else None,
        ),
    )


def mark_undone(connection: Connection, run: str, by: str) -> None:
    """Say in the row of ``run`` that ``by`` has taken it back; part of that transaction."""
    query = sql.SQL("UPDATE {} SET undone_by = %s WHERE run = %s").format(RUNS)
    connection.execute(query, (by, run))


def runs(connection: Connection) -> list[Committed]:
    """Every run that was committed here, the latest first.

    A database that an older version of this package has written to tells less of its runs.
    """
    if not is_there(connection):
        return []
    rows = connection.execute(
        sql.SQL("SELECT to_jsonb(r) FROM {} AS r ORDER BY committed_at DESC, run DESC").format(RUNS)
    )
    return [_committed(row[0]) for row in rows]


def undo_sizes(connection: Connection) -> list[UndoSize]:
    """The undo data that is kept, the latest run's first."""
    by_schema = {r.undo.schema: r for r in runs(connection) if r.undo}
    found = []
    for schema, size in connection.execute(statement("undo_sizes"), {"prefix": UNDO_PREFIX}):
        run = by_schema.get(schema)
        found.append(
            UndoSize(
                run=run.run if run else "unknown",
                schema=schema,
                committed_at=run.committed_at if run else None,
                bytes_stored=int(size),
                undone_by=run.undone_by if run else "",
            )
        )
    oldest = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda u: (u.committed_at or oldest, u.schema), reverse=True)


def drop_undo(connection: Connection, schema: str) -> None:
    """Drop the undo data of one run; nothing else may be asked for."""
    if not schema.startswith(UNDO_PREFIX):
        raise ValueError(f"{schema} holds no undo data")
    connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


def _committed(row: dict[str, Any]) -> Committed:
    undo = row.get("undo")
    return Committed(
        run=row["run"],
        environment=row["environment"],
        kind=row.get("kind", "reimport"),
        digest=row["digest"],
        approved_by=row["approved_by"],
        before=adapter(dict[str, Fingerprint]).validate_python(_named(row["before"])),
        after=adapter(dict[str, Fingerprint]).validate_python(_named(row["after"])),
        undo=adapter(UndoData).validate_python(undo) if undo else None,
        undone_by=row.get("undone_by", ""),
        committed_at=datetime.fromisoformat(row["committed_at"]),
        seal=row["seal"],
    )


def _named(prints: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Fingerprints as [rows, digest] (written by an older version) or as objects."""
    return {
        table: {"rows": p[0], "digest": p[1]} if isinstance(p, list) else p
        for table, p in prints.items()
    }


def _plain(value: Any) -> Any:
    return adapter(type(value)).dump_python(value, mode="json")
