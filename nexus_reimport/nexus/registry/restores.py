"""Restores of the database from a backup that a person has acknowledged, as it says itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from nexus_reimport import wording
from nexus_reimport.nexus.connection.postgres import Connection, statement
from nexus_reimport.nexus.registry.own_schema import RESTORES, exists, make_schema


@dataclass(frozen=True, slots=True)
class Restore:
    """The database was restored from before these runs: who says so, when, and why."""

    id: str
    who: str
    why: str
    at: datetime
    runs: tuple[tuple[str, str], ...]  # run, seal of its record

    @property
    def acknowledged(self) -> str:
        """Who acknowledged it, when, and why."""
        when = wording.minute(self.at)
        return f"acknowledged by {self.who}, {when}: {self.why}"

    def __str__(self) -> str:
        return f"the database was restored from before this run; {self.acknowledged}"


def write(connection: Connection, restore: Restore) -> None:
    """Write it down; creates the table if that is missing. Call it inside a transaction."""
    if not exists(connection, RESTORES):
        make_schema(connection)
        connection.execute(statement("restores"))
    connection.execute(
        sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s, %s)").format(RESTORES),
        (restore.id, restore.who, restore.why, restore.at, Jsonb([list(r) for r in restore.runs])),
    )


def read(connection: Connection) -> list[Restore]:
    """All that were acknowledged in this database, the oldest first."""
    if not exists(connection, RESTORES):
        return []
    query = sql.SQL("SELECT id, who, why, at::text, runs FROM {} ORDER BY at, id").format(RESTORES)
    return [_restore(*row) for row in connection.execute(query)]


def _restore(name: str, who: str, why: str, at: str, runs: list[list[Any]]) -> Restore:
    covered = tuple((str(run), str(seal)) for run, seal in runs)
    return Restore(name, who, why, datetime.fromisoformat(at), covered)
