"""The runs that were committed in this database, and the seals of their records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from nexus_reimport import strict_json
from nexus_reimport.files import private, rowfile
from nexus_reimport.files.json_values import adapter
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus.connection import standbys
from nexus_reimport.nexus.connection.postgres import Connection, names, scalar, statement
from nexus_reimport.nexus.registry.own_schema import RUNS, UNDO_PREFIX, exists
from nexus_reimport.nexus.registry.undo import UndoData, undo_schema
from nexus_reimport.nexus.structure.fingerprint import Fingerprint

_ADDED = {"kind": "reimport", "undo": None, "undone_by": ""}  # by later versions
_FIXED = ("run", "environment", "digest", "approved_by", "before", "after", "committed_at", *_ADDED)


@dataclass(frozen=True, slots=True)
class RunRow:
    """What a run writes about itself in its own transaction."""

    run: str
    environment: str
    kind: str
    digest: str
    approved_by: str
    before: dict[str, Fingerprint]
    after: dict[str, Fingerprint]
    undo: UndoData | None


@dataclass(frozen=True, slots=True)
class Committed(RunRow):
    """A run that was committed in this database."""

    undone_by: str
    committed_at: datetime
    seal: str = ""  # of its record, with the record's number and verdict, once that is sealed
    sequence: int = 0
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class UndoSize:
    """The undo data of one run: its age, its size, and the rollback that used it."""

    run: str
    schema: str
    committed_at: datetime | None
    bytes_stored: int
    undone_by: str


def was_committed(connection: Connection, run: str) -> bool:
    """Whether ``run`` was committed."""
    if not exists(connection, RUNS):
        return False
    query = sql.SQL("SELECT count(*) FROM {} WHERE run = %s").format(RUNS)
    return bool(scalar(connection, query, (run,)))


def is_held(connection: Connection, run: str) -> bool:
    """Whether anything is there that ``run`` has committed: its row, or its undo data.

    Both are of one transaction. Without either, the database is older than the run.
    """
    schema = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s)"
    return was_committed(connection, run) or bool(scalar(connection, schema, (undo_schema(run),)))


def purpose(connection: Connection, run: str) -> tuple[str, str] | None:
    """What a committed ``run`` was for: its kind, and the run that it has undone, "" for none.

    None if it was not committed.
    """
    every = runs(connection) if was_committed(connection, run) else []
    kind = next((row.kind for row in every if row.run == run), None)
    undone = next((row.run for row in every if row.undone_by == run), "")
    return (kind, undone) if kind is not None else None


def written(row: RunRow) -> dict[str, Any]:
    """What the row of a run holds when it is committed, its time left out: column -> value."""
    return {
        "run": row.run,
        "environment": row.environment,
        "kind": row.kind,
        "digest": row.digest,
        "approved_by": row.approved_by,
        "before": _plain(row.before),
        "after": _plain(row.after),
        "undo": _plain(row.undo) if row.undo else None,
    }


def remember(connection: Connection, row: RunRow) -> str:
    """Write the run's row inside its transaction: it exists only if the run was committed.

    Gives when it was written by the server's clock, as ``fixed`` has it.

    Commits are ordered by the row's number, since a clock may go back.
    """
    values = {k: Jsonb(v) if isinstance(v, dict) else v for k, v in written(row).items()}
    written_at = scalar(
        connection,
        sql.SQL(
            "INSERT INTO {table} (number, {columns})"
            # No two runs write at once: each holds the run lock.
            " SELECT coalesce(max(number), 0) + 1, {values} FROM {table}"
            " RETURNING to_jsonb(committed_at) #>> '{{}}'"
        ).format(
            table=RUNS,
            columns=names(list(values)),
            values=sql.SQL(", ").join(map(sql.Placeholder, values)),
        ),
        values,
    )
    return str(written_at)


def fixed(connection: Connection) -> list[dict[str, Any]]:
    """What of each run's row never changes: column -> value, numbers and texts as JSON has them.

    And its number, which a later version may have given to it. The seal comes later, and is no
    part of it. A column that an older version of this package has not had holds what ``make`` gives
    it.
    """
    if not exists(connection, RUNS):
        return []
    rows = connection.execute(
        sql.SQL('SELECT to_jsonb(r)::text FROM {} AS r ORDER BY run COLLATE "C"').format(RUNS)
    )
    read = [{**_ADDED, **strict_json.loads(text)} for (text,) in rows]
    return [{column: row.get(column) for column in (*_FIXED, "number")} for row in read]


def described(rows: Iterable[Mapping[str, Any]]) -> dict[str, UndoData]:
    """Schema -> the undo data in it, as ``fixed`` rows say; one that says nothing is left out."""
    by_schema = {}
    for row in rows:
        with suppress(ValidationError):
            undo = adapter(UndoData).validate_python(row["undo"])
            by_schema[undo.schema] = undo
    return by_schema


def dump_fixed(rows: Iterable[dict[str, Any]], path: Path) -> RowFile:
    """Every run, a digest of what of its row never changes, which is in ``rows``, and its number.

    The number stands apart: a row of an older version gets one when the next run is written.
    """
    lines = ((r["run"], _digest(r), _text(r["number"])) for r in rows)
    return rowfile.write(path, ("run", "digest", "number"), lines)


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _digest(row: dict[str, Any]) -> str:
    fixed = {column: row[column] for column in _FIXED}
    return private.sha256(strict_json.canonical(strict_json.dumps(fixed)).encode())


def mark_undone(connection: Connection, run: str, by: str) -> bool:
    """Record in the row of ``run`` that ``by`` has undone it, inside that transaction.

    Gives whether that row is there, and nobody has undone the run before.
    """
    query = sql.SQL("UPDATE {} SET undone_by = %s WHERE run = %s AND undone_by = ''").format(RUNS)
    return connection.execute(query, (by, run)).rowcount == 1


def runs(connection: Connection) -> list[Committed]:
    """Every run that was committed here, the latest first.

    Read as JSON, because a table made by an older version lacks columns; they get defaults.
    """
    if not exists(connection, RUNS):
        return []
    rows = [r for (r,) in connection.execute(sql.SQL("SELECT to_jsonb(r) FROM {} r").format(RUNS))]
    # Runs from before there were numbers have none: they come before all others.
    rows.sort(key=lambda r: (r.get("number") or 0, r["committed_at"], r["run"]), reverse=True)
    return [_committed(row) for row in rows]


def standing(connection: Connection) -> list[Committed]:
    """The runs that nobody has undone, the latest first; rollbacks are left out."""
    return still_standing(runs(connection))


def still_standing(every: Iterable[Committed]) -> list[Committed]:
    """Those of ``every`` run that nobody has undone; rollbacks are left out."""
    return [run for run in every if run.kind != "rollback" and not run.undone_by]


def write_seal(connection: Connection, run: str, seal: str, sequence: int, verdict: str) -> None:
    """Write seal, number and verdict of the record of ``run`` into its row, which lacks them.

    A database that was restored from before its first run has no row, and no table of runs.
    """
    if not exists(connection, RUNS):
        return
    # Without an end, if one is away. A seal that is lost with a server is written by the next run.
    standbys.do_not_wait(connection)
    query = sql.SQL(
        "UPDATE {} SET seal = %s, sequence = %s, verdict = %s WHERE run = %s AND seal = ''"
    ).format(RUNS)
    connection.execute(query, (seal, sequence, verdict, run))


def undo_of_no_run(connection: Connection, every: Iterable[Committed]) -> list[str]:
    """The schemas of undo data that none of ``every`` run has made."""
    known = {run.undo.schema for run in every if run.undo}
    query = "SELECT nspname FROM pg_catalog.pg_namespace WHERE starts_with(nspname, %s) ORDER BY 1"
    return [name for (name,) in connection.execute(query, (UNDO_PREFIX,)) if name not in known]


def undo_sizes(connection: Connection) -> list[UndoSize]:
    """The undo data that is kept: what can be undone first of it comes first.

    So the latest run's; at the end that of runs which were undone, which serves nobody any more,
    and that of no run.
    """
    # By their numbers and not by their times: a clock may go back.
    by_schema = {r.undo.schema: r for r in runs(connection) if r.undo}
    sizes = []
    for schema, size in connection.execute(statement("undo_sizes"), {"prefix": UNDO_PREFIX}):
        run = by_schema.get(schema)
        sizes.append(
            UndoSize(
                run=run.run if run else "unknown",
                schema=schema,
                committed_at=run.committed_at if run else None,
                bytes_stored=int(size),
                undone_by=run.undone_by if run else "",
            )
        )
    order = {schema: number for number, schema in enumerate(by_schema)}

    def serves_later(size: UndoSize) -> tuple[bool, int]:
        is_over = size.undone_by != "" or size.schema not in order
        return is_over, order.get(size.schema, len(order))

    return sorted(sizes, key=serves_later)


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
        sequence=row.get("sequence") or 0,
        verdict=row.get("verdict", ""),
    )


def _named(prints: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Fingerprints as [rows, digest] (written by an older version) or as objects."""
    return {
        table: {"rows": p[0], "digest": p[1]} if isinstance(p, list) else p
        for table, p in prints.items()
    }


def _plain(value: Any) -> Any:
    return adapter(type(value)).dump_python(value, mode="json")
