"""Standbys that must confirm each COMMIT: while one is away, no COMMIT on the server ends."""

from __future__ import annotations

from nexus_reimport import wording
from nexus_reimport.errors import TargetError
from nexus_reimport.nexus.connection.postgres import Connection, statement


def require(connection: Connection, state: str) -> None:
    """Stop unless as many standbys are connected as a COMMIT waits for.

    PostgreSQL does not time that wait: our locks would stay, and the clinic with them. With
    ``synchronous_commit`` off it would not wait, and a crash would lose what was committed.

    Raises:
        TargetError: one is away. ``state`` is left.
    """
    ((needed, names, connected),) = connection.execute(statement("standbys")).fetchall()
    if connected >= needed:
        return
    raise TargetError(
        "a COMMIT would not end: of the standbys that must confirm it,"
        f" {wording.part(connected, needed)} are connected",
        where=f"postgres {connection.info.host}:{connection.info.port},"
        f" synchronous_standby_names = '{names}'",
        state=state,
        next="bring the standby back. Until then every application's writes wait on this server."
        " Only if it is gone for good, have an administrator take it out: ALTER SYSTEM SET"
        " synchronous_standby_names, then SELECT pg_reload_conf()",
    )
