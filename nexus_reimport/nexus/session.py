"""What every session of ours must be: told at the start, then asked, whatever lies in between.

``OPTIONS`` go with the start-up packet. Then the session is asked for each of them, since a pooler
may drop them and a role's or a database's own defaults may come instead. What differs is set and
asked for once more; what still differs, or does not last, is refused by name.

libpq's environment variables are hidden while it connects: no parameter can undo some of them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import psycopg

from nexus_reimport.errors import TargetError
from nexus_reimport.settings import Postgres

Connection = psycopg.Connection[Any]
APPLICATION = "nexus_reimport"
CONNECT_TIMEOUT = 10  # seconds
READ_TIMEOUT = "10min"
SESSION = {
    # How values are printed, and read back.
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "lc_monetary": "C",
    "xmloption": "content",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "transform_null_equals": "off",
    # Which rows are seen and where names are looked up: a hidden row is an error, never left out.
    "row_security": "off",
    "search_path": "pg_catalog",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    # How long anything may take.
    "statement_timeout": READ_TIMEOUT,
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30min",
}
# Asked for as well, where the server has them; the first value is set where it is none of these.
ALLOWED = {
    **{name: (value,) for name, value in SESSION.items()},
    "synchronous_commit": ("on", "remote_apply"),
    "session_replication_role": ("origin",),
    "transaction_timeout": ("0",),
    "idle_session_timeout": ("0",),
    "default_transaction_deferrable": ("off",),
}
# A prepared statement that is not there, or is there already: another session than before.
OF_ANOTHER_SESSION = ("26000", "42P05")
AT_COMMIT = ("synchronous_commit", "session_replication_role")
# A session whose client is gone ends by itself, its locks with it: in seconds where the client has
# died, in half a minute where the network was cut. Not every platform knows each of these.
ENDS_WITH_CLIENT = {
    "client_connection_check_interval": "2s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
}
_ASK = "SELECT pg_backend_pid(), name, current_setting(name, true) FROM unnest(%s::text[]) AS name"
_SET = "SELECT set_config(name, value, %s) FROM unnest(%s::text[], %s::text[]) AS s (name, value)"
# Parameters of ours overrule these, and an environment's file may take a secret from them.
_OVERRULED = {"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD"}


# ---------------------------------------------------------------- how it is opened


def arguments(target: Postgres) -> dict[str, Any]:
    """What libpq is told beside host, port, database, user and password."""
    options = " ".join(
        f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in SESSION.items()
    )
    return {
        "options": options,
        "application_name": APPLICATION,
        "connect_timeout": CONNECT_TIMEOUT,
        "gssencmode": "disable",
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "sslmode": target.sslmode,
        **{name: path for name, path in certificates(target).items() if path},
    }


def certificates(target: Postgres) -> dict[str, str]:
    """libpq's names of the files for TLS; "" where the settings name none."""
    return {
        "sslrootcert": target.sslrootcert,
        "sslcert": target.sslcert,
        "sslkey": target.sslkey,
    }


class _Environment:
    """libpq's variables, out of the environment for as long as any thread connects."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hidden: dict[str, str] = {}
        self._connecting = 0

    @contextmanager
    def hidden(self) -> Iterator[None]:
        with self._lock:
            self._connecting += 1
            for name in [n for n in os.environ if n.startswith("PG") and n not in _OVERRULED]:
                self._hidden[name] = os.environ.pop(name)
        try:
            yield
        finally:
            with self._lock:
                self._connecting -= 1
                if not self._connecting:
                    os.environ.update(self._hidden)
                    self._hidden.clear()


_environment = _Environment()


def without_environment() -> AbstractContextManager[None]:
    """No variable of libpq's is in the environment while the block connects.

    PGTZ and PGDATESTYLE overrule what we send, and PGSERVICE fills in what we do not.
    """
    return _environment.hidden()


# ---------------------------------------------------------------- whether it obeys


def require(
    connection: Connection,
    where: str,
    state: str,
    another: Callable[[], AbstractContextManager[Connection]],
) -> None:
    """That the session is what it was told to be, and stays it from one transaction to the next.

    ``another`` opens one more session: with two it shows whether a pooler swaps them.

    Raises:
        TargetError: a setting is not taken, or a pooler lends sessions for one transaction.
    """
    pid, found = _asked(connection)
    wrong = _wrong(found)
    for name in wrong:
        with suppress(psycopg.errors.InsufficientPrivilege):  # it is asked for again
            connection.execute(_SET, (False, [name], [ALLOWED[name][0]]))
    again, found = _asked(connection)
    if again != pid:
        raise swapped(where, state)
    if still := _wrong(found):
        raise _not_taken(still, where, state)
    if found.get("server_encoding") == "SQL_ASCII":
        raise TargetError(
            "the database's encoding is SQL_ASCII: PostgreSQL does not know what its letters are",
            where=where,
            state=state,
            next="dump the database and restore it into one with the encoding UTF8",
        )
    was_dropped = any(name in SESSION for name in wrong)  # what was sent is stronger than a role's
    if was_dropped or pid != connection.info.backend_pid:
        with another() as second:
            if _are_swapped(connection, second):
                raise swapped(where, state)
    _end_with_client(connection, [name for name in ENDS_WITH_CLIENT if found.get(name) is not None])


def _end_with_client(connection: Connection, names: list[str]) -> None:
    """Set what there is of it: one by one where one is not on the server's platform."""
    try:
        connection.execute(_SET, (False, names, [ENDS_WITH_CLIENT[name] for name in names]))
    except psycopg.errors.InvalidParameterValue:
        for name in names if len(names) > 1 else ():
            _end_with_client(connection, [name])


def tell_again(connection: Connection) -> None:
    """Set every setting anew, for this transaction: the time-outs of one before are gone."""
    connection.execute(_SET, (True, list(SESSION), list(SESSION.values())))


def require_at_commit(connection: Connection, state: str) -> None:
    """That a COMMIT now is on the disk when it is answered, and that foreign keys were checked.

    Raises:
        TargetError: a function or a trigger inside the transaction has changed that.
    """
    _, found = _asked(connection)
    if wrong := {n: v for n, v in _wrong(found).items() if n in AT_COMMIT}:
        raise _not_taken(wrong, "just before COMMIT", state)


def _asked(connection: Connection) -> tuple[int, Mapping[str, str | None]]:
    """The server's process that answers, and each setting; None where there is no such."""
    names = [*ALLOWED, *ENDS_WITH_CLIENT, "server_encoding"]
    rows = connection.execute(_ASK, (names,)).fetchall()
    return rows[0][0], {name: value for _, name, value in rows}


def _wrong(found: Mapping[str, str | None]) -> dict[str, str]:
    """The settings that are none of the allowed ones."""
    return {
        name: value
        for name, allowed in ALLOWED.items()
        if (value := found.get(name)) is not None
        and value.casefold() not in {text.casefold() for text in allowed}
    }


def _are_swapped(one: Connection, other: Connection) -> bool:
    """Whether the two get each other's session, or lose their settings, between transactions.

    Each is asked twice after both were busy at once: a pool that lends what came back last shows
    itself at the first question, one that lends in turn at the second.
    """
    pids = {}
    for connection in (one, other):
        connection.execute("BEGIN")
        pids[connection] = connection.execute("SELECT pg_backend_pid()").fetchone()
    for connection in (one, other):
        connection.execute("COMMIT")
    for connection in (one, one, other):
        if connection.execute("SELECT pg_backend_pid()").fetchone() != pids[connection]:
            return True
    return bool(_wrong(_asked(one)[1]))


def swapped(where: str, state: str) -> TargetError:
    """The refusal of a pooler in transaction mode."""
    return TargetError(
        "a connection pooler lies in between, and gives each transaction another session",
        where=where,
        state=state,
        next="name PostgreSQL's own host and port in [postgres], or a pool in session mode:"
        " locks, settings and the snapshot of a dump belong to one session",
    )


def _not_taken(wrong: Mapping[str, str], where: str, state: str) -> TargetError:
    listed = "; ".join(
        f"{name} is {value or 'empty'}, must be {ALLOWED[name][0]}"
        for name, value in sorted(wrong.items())
    )
    return TargetError(
        f"{len(wrong)} setting(s) of the session cannot be had: {listed}",
        where=where,
        state=state,
        next="a pooler in between may drop them: name PostgreSQL's own host and port in"
        " [postgres]; or an administrator has to: ALTER ROLE … RESET, ALTER DATABASE … RESET",
    )
