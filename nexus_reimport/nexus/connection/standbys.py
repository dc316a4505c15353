"""Standbys that must confirm each COMMIT: while one is away, no COMMIT on the server ends."""

from __future__ import annotations

import threading
from contextlib import suppress

import psycopg

from nexus_reimport import wording
from nexus_reimport.errors import TargetError
from nexus_reimport.nexus.connection.postgres import Connection, scalar, statement

_SECONDS = 2  # for which a COMMIT that writes nothing may wait


def require(connection: Connection, state: str) -> bool:
    """Stop unless a COMMIT ends; gives whether that can be told by the standbys that are connected.

    PostgreSQL does not time the wait for them: our locks would stay, and the clinic with them. With
    ``synchronous_commit`` off it would not wait, and a crash would lose what was committed. Where
    fewer are seen than are needed, a COMMIT is tried: a provider may show none of them.

    Raises:
        TargetError: a standby is away. ``state`` is left.
    """
    away = _away(connection, state)
    if away and not _ends(connection):
        raise away
    return away is None


def require_seen(connection: Connection, state: str) -> None:
    """The same inside of a transaction, where the standbys can be seen.

    Raises:
        TargetError: a standby is away. ``state`` is left.
    """
    if away := _away(connection, state):
        raise away


def do_not_wait(connection: Connection) -> None:
    """From now on nothing of this session waits for standbys: for what can be done again."""
    connection.execute("SET synchronous_commit = local")


def timeline(connection: Connection) -> str:
    """The server's timeline, which a standby that takes over begins anew; "" if it does not say.

    So does a server that was restored from a backup.

    Source: PostgreSQL's manual, "Timelines": the first 8 digits of a WAL file's name.
    """
    query = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"
    with suppress(psycopg.Error):  # in recovery, or of a provider whose storage has no such files
        return str(scalar(connection, query))
    return ""


def _away(connection: Connection, state: str) -> TargetError | None:
    ((needed, names, connected),) = connection.execute(statement("standbys")).fetchall()
    if connected >= needed:
        return None
    return TargetError(
        "a COMMIT would not end: of the standbys that must confirm it,"
        f" {wording.part(connected, needed)} are connected",
        where=f"postgres {connection.info.host}:{connection.info.port},"
        f" synchronous_standby_names = '{names}'",
        state=state,
        next="bring the standby back. Until then every application's writes wait on this server."
        " Only if it is gone for good, have an administrator take it out: ALTER SYSTEM SET"
        " synchronous_standby_names, then SELECT pg_reload_conf()",
    )


def _ends(connection: Connection) -> bool:
    """Whether a COMMIT that changes nothing ends in time. None of the server's own limits apply."""
    connection.execute("BEGIN; SELECT pg_logical_emit_message(true, 'nexus_reimport', '')")
    return committed(connection, _SECONDS)


def committed(connection: Connection, seconds: float) -> bool:
    """Send COMMIT, which waits for standbys for at most ``seconds``; gives whether they confirmed.

    Then the wait is cancelled, by us or by an administrator: the server says so in a warning, and
    has committed all the same.
    """
    warnings: list[str | None] = []

    def note(diag: psycopg.errors.Diagnostic) -> None:
        if diag.severity_nonlocalized == "WARNING":
            warnings.append(diag.sqlstate)

    def cancel() -> None:
        with suppress(psycopg.Error):  # a connection that is lost meanwhile, COMMIT itself tells
            connection.cancel_safe()

    connection.add_notice_handler(note)
    timer = threading.Timer(seconds, cancel)
    timer.start()
    try:
        connection.execute("COMMIT")
    finally:
        timer.cancel()
        timer.join()  # a cancel that is late must not hit the next statement
        connection.remove_notice_handler(note)
    return not warnings
