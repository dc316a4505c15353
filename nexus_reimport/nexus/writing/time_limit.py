"""The time limit of a transaction: the server keeps it, also where our process stands still."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import psycopg
from psycopg import sql

from nexus_reimport.errors import ROLLED_BACK, TargetError
from nexus_reimport.nexus.connection.postgres import Connection, connected
from nexus_reimport.settings import Postgres

_TRANSACTION_TIMEOUT = 170000  # transaction_timeout exists since this server version


class Deadline:
    """Ends a transaction at its time limit, from a second session, for servers before 17.

    PostgreSQL has ``transaction_timeout`` since version 17. For older servers, the second session
    gets one command that sleeps and then ends the first: so the server keeps the time even if our
    process is stopped. It ends this one transaction, never a later one of the same session.
    """

    def __init__(self, target: Postgres, transaction: Connection) -> None:
        about = "SELECT pg_backend_pid(), now()::text"
        ((self._pid, self._began),) = transaction.execute(about).fetchall()
        self._open = ExitStack()
        self._connection = self._open.enter_context(connected(target, ROLLED_BACK))

    def start(self, seconds: float) -> None:
        """Start the limit: the transaction has ``seconds`` from now."""
        command = sql.SQL(
            "SET statement_timeout = 0; SELECT pg_sleep({});"
            " SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid = {} AND xact_start = {}::timestamptz"
        ).format(*map(sql.Literal, (seconds, self._pid, self._began)))
        self._connection.pgconn.send_query(command.as_bytes(self._connection))
        self._connection.pgconn.flush()

    def close(self) -> None:
        """Cancel the limit."""
        with suppress(psycopg.Error, TargetError):
            self._connection.cancel_safe()
        with suppress(psycopg.Error, TargetError):
            self._open.close()


def keeps_time(connection: Connection) -> bool:
    """Whether the server itself can end a transaction at its time limit."""
    return connection.info.server_version >= _TRANSACTION_TIMEOUT


def milliseconds(seconds: float) -> int:
    """A limit as a setting of the server takes it."""
    return int(seconds * 1000) + 1
