"""The settings that each of our sessions must have: sent at the start, then read back.

``SESSION`` goes with the start-up packet. Then each setting is read back, because a pooler may drop
them, and defaults of the role or the database may apply instead. What differs is set and read once
more; what still differs, or does not last, is refused by name.

libpq's environment variables are hidden while it connects: some of them overrule every parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

import psycopg

from nexus_reimport import environ, wording
from nexus_reimport.errors import TargetError

if TYPE_CHECKING:
    from nexus_reimport.settings import Postgres

Connection = psycopg.Connection[Any]
# By this name our sessions are told from others' in pg_stat_activity.
APPLICATION = "nexus_reimport"
CONNECT_TIMEOUT = 10  # seconds
READ_TIMEOUT = "10min"
SESSION = {
    # How values are printed, and read back.
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",  # the shortest text that gives the same number again
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    # A backslash in a literal is a backslash.
    "standard_conforming_strings": "on",
    # Decides how a value of the type money is printed.
    "lc_monetary": "C",
    "xmloption": "content",
    "array_nulls": "on",
    # It would print other definitions from the catalog, which are compared as texts.
    "quote_all_identifiers": "off",
    # It would read `= NULL` as IS NULL.
    "transform_null_equals": "off",
    # Which rows are seen and where names are looked up: with row_security off, PostgreSQL raises
    # an error instead of leaving out hidden rows.
    "row_security": "off",
    # Also decides which names the catalog's definitions print without a schema.
    "search_path": "pg_catalog",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    # A server with LLVM compiles what it thinks expensive: one question took 23 s in place of 0.2.
    "jit": "off",
    # How long anything may take.
    "statement_timeout": READ_TIMEOUT,
    # Whoever comes after a waiting session waits as well, so ours do not wait for long.
    "lock_timeout": "5s",
    # A process of ours that is paused or forgotten must not hold a snapshot, or locks, for ever.
    "idle_in_transaction_session_timeout": "30min",
}
# Also read back, if the server has them; if a value is not allowed, the first of these is set.
ALLOWED = {
    **{name: (value,) for name, value in SESSION.items()},
    "synchronous_commit": ("on", "remote_apply"),
    "session_replication_role": ("origin",),
    # Without it the server does not count the rows that a transaction writes, of which checks ask.
    "track_counts": ("on",),
    # Set in a rescue and forgotten, they leave out rows of damaged pages, or damaged rows pass.
    "zero_damaged_pages": ("off",),
    "ignore_checksum_failure": ("off",),
    # A role's or a database's default of these would end a run in the middle.
    "transaction_timeout": ("0",),
    "idle_session_timeout": ("0",),
    "default_transaction_deferrable": ("off",),
}
# A prepared statement is missing, or exists already: this is another session than before.
OF_ANOTHER_SESSION = ("26000", "42P05")
OLDEST = 14  # PostgreSQL's major version: what is asked of the catalog is not all there before
SESSIONS = 20  # a run has 9 open at once in one database, and others want some too
MAINTAIN_SINCE = 170_000  # server_version_num: from then on there is this privilege
# Without synchronous_commit a crash loses what was answered as committed; with another
# session_replication_role foreign keys are not checked.
AT_COMMIT = ("synchronous_commit", "session_replication_role")
# The server ends a session whose client is gone, and releases its locks: within seconds if the
# client has died, within half a minute if the network was cut. Some platforms lack some of these.
ENDS_WITH_CLIENT = {
    "client_connection_check_interval": "2s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
}
# `true`: NULL for a setting that this version of PostgreSQL does not have.
_ASK = "SELECT pg_backend_pid(), name, current_setting(name, true) FROM unnest(%s::text[]) AS name"
_SET = "SELECT set_config(name, value, %s) FROM unnest(%s::text[], %s::text[]) AS s (name, value)"
# Our parameters overrule these, and an environment's file may take a secret from them.
_OVERRULED = {"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD"}


# ---------------------------------------------------------------- how it is opened


def arguments(target: Postgres) -> dict[str, Any]:
    """libpq's parameters other than host, port, database, user and password."""
    # libpq splits `options` at blanks; a backslash keeps one.
    options = " ".join(
        f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in SESSION.items()
    )
    return {
        "options": options,
        "application_name": APPLICATION,
        "connect_timeout": CONNECT_TIMEOUT,
        # Its default tries Kerberos first wherever this machine has a ticket.
        "gssencmode": "disable",
        # So that we, too, notice within half a minute that the network was cut.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "sslmode": target.sslmode,
        **{name: path for name, path in certificates(target).items() if path},
    }


def certificates(target: Postgres) -> dict[str, str]:
    """libpq's parameters for the files of TLS; "" if the settings name none."""
    return {
        "sslrootcert": target.sslrootcert,
        "sslcert": target.sslcert,
        "sslkey": target.sslkey,
    }


def without_environment() -> AbstractContextManager[None]:
    """Hide libpq's variables from the environment while the block connects.

    PGTZ and PGDATESTYLE overrule what we send, and PGSERVICE adds what we do not send.
    """
    return environ.hidden("PG", _OVERRULED)


# ---------------------------------------------------------------- whether the settings apply


def require(
    connection: Connection,
    where: str,
    state: str,
    another: Callable[[], AbstractContextManager[Connection]],
) -> None:
    """Stop unless the session has our settings and keeps them from transaction to transaction.

    ``another`` opens one more session: with two of them it shows whether a pooler swaps them.

    Raises:
        TargetError: the server is too old, a setting does not apply, or a pooler lends sessions for
            one transaction. ``state`` is left.
    """
    if connection.info.server_version < OLDEST * 10_000:
        version = connection.info.parameter_status("server_version") or "unknown"
        raise _too_old(version, where, state)
    pid, values = _read(connection)
    wrong = _wrong(values)
    for name in wrong:
        with suppress(psycopg.errors.InsufficientPrivilege):  # it is read again below
            connection.execute(_SET, (False, [name], [ALLOWED[name][0]]))
    pid_again, values = _read(connection)
    if pid_again != pid:
        raise swapped(where, state)
    if still := _wrong(values):
        raise _not_applied(still, where, state)
    if values.get("server_encoding") == "SQL_ASCII":
        raise TargetError(
            "the database's encoding is SQL_ASCII: PostgreSQL does not know which letters its bytes"
            " mean",
            where=where,
            state=state,
            next="dump the database and restore it into a database with the encoding UTF8",
        )
    # The start-up packet is stronger than a role's defaults: if its settings are missing, something
    # in between has dropped them.
    was_dropped = any(name in SESSION for name in wrong)
    if was_dropped or pid != connection.info.backend_pid:
        with another() as second:
            if _are_swapped(connection, second):
                raise swapped(where, state)
    available = [name for name in ENDS_WITH_CLIENT if values.get(name) is not None]
    _end_with_client(connection, available)


def _end_with_client(connection: Connection, names: list[str]) -> None:
    """Set ``names`` of ``ENDS_WITH_CLIENT``; one by one if the server's platform lacks one."""
    try:
        connection.execute(_SET, (False, names, [ENDS_WITH_CLIENT[name] for name in names]))
    except psycopg.errors.InvalidParameterValue:
        for name in names if len(names) > 1 else ():
            _end_with_client(connection, [name])


def set_for_transaction(connection: Connection) -> None:
    """Set every setting again, for this transaction; this also resets its time-outs."""
    connection.execute(_SET, (True, list(SESSION), list(SESSION.values())))


def require_at_commit(connection: Connection, state: str) -> None:
    """Stop unless COMMIT waits until the data is on disk, and foreign keys were checked.

    Raises:
        TargetError: a function or a trigger in the transaction has changed one of these settings.
            ``state`` is left.
    """
    _, values = _read(connection)
    if wrong := {n: v for n, v in _wrong(values).items() if n in AT_COMMIT}:
        raise _not_applied(wrong, "just before COMMIT", state)


def _read(connection: Connection) -> tuple[int, Mapping[str, str | None]]:
    """The server's process that answers, and each setting; None if the server lacks it."""
    names = [*ALLOWED, *ENDS_WITH_CLIENT, "server_encoding"]
    rows = connection.execute(_ASK, (names,)).fetchall()
    return rows[0][0], {name: value for _, name, value in rows}


def _wrong(values: Mapping[str, str | None]) -> dict[str, str]:
    """The settings whose value is not allowed."""
    return {
        name: value
        for name, allowed in ALLOWED.items()
        if (value := values.get(name)) is not None
        and value.casefold() not in {text.casefold() for text in allowed}
    }


def _are_swapped(first: Connection, second: Connection) -> bool:
    """Whether the two get each other's session, or lose their settings, between transactions.

    They are asked again after both were busy at the same time: a pool that lends the session that
    came back last shows itself at the first question, one that lends in turn at the second.
    """
    pids = {}
    for connection in (first, second):
        connection.execute("BEGIN")
        pids[connection] = connection.execute("SELECT pg_backend_pid()").fetchone()
    for connection in (first, second):
        connection.execute("COMMIT")
    for connection in (first, first, second):
        if connection.execute("SELECT pg_backend_pid()").fetchone() != pids[connection]:
            return True
    return bool(_wrong(_read(first)[1]))


def swapped(where: str, state: str) -> TargetError:
    """The error for a pooler in transaction mode."""
    return TargetError(
        "a connection pooler gives each transaction a different session",
        where=where,
        state=state,
        next="name PostgreSQL's own host and port in [postgres], or a pool in session mode:"
        " locks, settings and a dump's snapshot belong to one session",
    )


def refused_by_pooler(sqlstate: str, where: str, state: str) -> TargetError:
    """The error for what a pooler, and not PostgreSQL, has answered to a session."""
    return TargetError(
        f"a connection pooler refused a statement or ended the session: SQLSTATE {sqlstate}",
        where=where,
        state=state,
        next="name PostgreSQL's own host and port in [postgres]; or let the pooler lend whole"
        f" sessions, at least {SESSIONS}, without a time limit (pgbouncer: pool_mode = session,"
        " default_pool_size, query_timeout, idle_transaction_timeout). Its log has the reason",
    )


def _too_old(version: str, where: str, state: str) -> TargetError:
    return TargetError(
        f"PostgreSQL {version} is too old: version {OLDEST} is the oldest that this package"
        " can work with",
        where=where,
        state=state,
        next=f"move the database to a server of version {OLDEST} or later (pg_upgrade), or name"
        " one that holds it: [postgres] host and port",
    )


def _not_applied(wrong: Mapping[str, str], where: str, state: str) -> TargetError:
    listed = "; ".join(
        f"{name} is {value or 'empty'}, must be {ALLOWED[name][0]}"
        for name, value in sorted(wrong.items())
    )
    return TargetError(
        f"{wording.amount(len(wrong), 'setting')} of the session could not be set: {listed}",
        where=where,
        state=state,
        next="a connection pooler may drop them: name PostgreSQL's own host and port in [postgres];"
        " or have an administrator run ALTER ROLE … RESET, ALTER DATABASE … RESET",
    )
