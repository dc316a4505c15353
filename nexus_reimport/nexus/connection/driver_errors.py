"""Errors of the driver as ours: SQLSTATE and names, and never a value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError

from nexus_reimport import disks
from nexus_reimport.disks import DiskFailure
from nexus_reimport.errors import AGAIN, TargetError, TargetRefused
from nexus_reimport.nexus.connection import denied, session

# psycopg raises the second where a connection is used that is closed already.
LOST = (psycopg.OperationalError, psycopg.InterfaceError)
_NOT_LET_IN = (
    psycopg.errors.InvalidAuthorizationSpecification,
    psycopg.errors.InvalidCatalogName,
    psycopg.errors.InvalidPassword,
)
_REFUSED = "PostgreSQL refused a statement"
# The file of PostgreSQL's source in which people's functions raise their own errors.
_OF_FUNCTIONS = "pl_exec.c"
# Those that open its files: in another language than English they alone tell.
_OF_FILES = ("fd.c", "md.c", "relmapper.c", "slru.c")
# Classes of SQLSTATE: data exceptions, violated constraints, and what a function raises that a
# condition, a domain or a generated column calls.
_OF_ROWS = ("22", "23", "P0")
_CORRECT = (
    "correct it in Nexus and run this step again, or in FileMaker and begin with 01_preflight"
)
_IN_THE_LOG = (
    "the server's log has the whole message, and PostgreSQL's manual the SQLSTATE (Error Codes):"
    " fix the cause, then run this step again"
)
# The first two characters of an SQLSTATE, which are its class -> what to do.
_BY_CLASS = {
    "0A": "the server cannot do this, as its version or its storage is another one than expected:"
    " its log has the statement; nexus-reimport doctor tells what is known of it",
    "22": "a value has another form than a column or a function of the database needs: the server's"
    f" log has it; {_CORRECT}",
    "23": f"a row breaks a rule of the database: the server's log has it; {_CORRECT}",
    "40": "another session was in the way: run this step again",
    "42": "a table, a column or a function is not as it was, such as during a migration:"
    " nexus-reimport doctor compares them with the mapping; then run this step again",
    "53": "the server lacks something that its log names: give it more of that, then run this step"
    " again",
    "54": "a limit of the server is reached, which its log names: raise it, then run this step"
    " again",
    "55": "something is in use, or not in the state that the statement needs: the server's log says"
    " what; then run this step again",
    "57": "the server, or somebody on it, ended the statement: check its log, then run this step"
    " again",
    "58": "the server failed: have its administrator read its log before anything is executed",
    "P0": f"a function or a trigger of the database refused a row: the server's log says why;"
    f" {_CORRECT}",
    "XX": "the server found damage, or failed: have its administrator read its log before anything"
    " is executed",
}


@contextmanager
def scrubbed(where: str, state: str) -> Iterator[None]:
    """Turns each driver error into a TargetError without any value or text of the driver.

    PostgreSQL's DETAIL quotes keys, and its message for NOT NULL quotes the whole row.
    """
    try:
        yield
    except DBAPIError as error:
        raise ours(error.orig, where, state) from None
    except psycopg.Error as error:
        raise ours(error, where, state) from None


def ours(error: object, where: str, state: str) -> TargetError:
    """The error of ours for one of the driver's."""
    if not isinstance(error, psycopg.Error):
        return TargetError(
            "PostgreSQL's driver failed",
            where=where,
            state=state,
            next="look at the server's log; then run this step again",
        )
    if by_pooler := _of_pooler(error, where, state):
        return by_pooler
    disk = _disk_failure(error)
    if error.sqlstate == denied.SQLSTATE and disk is None:
        return denied.error(error, where, state)
    diag = error.diag
    names = [("table", diag.table_name), ("column", diag.column_name)]
    names.append(("constraint", diag.constraint_name))
    objects = "".join(f", {label} {name}" for label, name in names if name)
    if error.sqlstate is None and not isinstance(error, LOST):
        return TargetError(
            f"a value could not be passed to or from PostgreSQL ({type(error).__name__})",
            where=where,
            state=state,
            next="the connection is not the cause; report it to the maintainers of this package,"
            " with the run's record",
        )
    if error.sqlstate is None:
        return TargetError(
            "the connection to PostgreSQL was lost",
            where=where,
            state=state,
            next="check the network and the server's log, then run this step again",
        )
    why = disk.servers_what if disk else _REFUSED
    what = f"{why}: SQLSTATE {error.sqlstate} ({type(error).__name__})"
    todo = f"{disk.servers_fix}, {AGAIN}" if disk else _advice(error)
    refused = _kind(error)(what + objects, where=where, state=state, next=todo)
    refused.sqlstate = error.sqlstate
    return refused


def _of_pooler(error: psycopg.Error, where: str, state: str) -> TargetError | None:
    """The error of ours for what a pooler has caused or answered; None for PostgreSQL's own."""
    if error.sqlstate in session.OF_ANOTHER_SESSION:
        return session.swapped(where, state)
    # PostgreSQL names a file of its source with each error; a pooler has none to name.
    if error.sqlstate and error.diag.severity and not error.diag.source_file:
        return session.refused_by_pooler(error.sqlstate, where, state)
    return None


def is_of_rows(sqlstate: str | None) -> bool:
    """Whether an error is about what rows hold: without these rows it would not be there."""
    return (sqlstate or "")[:2] in _OF_ROWS


def _disk_failure(error: psycopg.Error) -> DiskFailure | None:
    """What is wrong with a disk of the server; its words say more than SQLSTATE, if in English.

    A file that the server may not open or write has the SQLSTATE of a missing right.
    """
    by_state = {"53100": disks.FULL, "58030": disks.FAILED}
    if error.diag.source_file in _OF_FILES:
        by_state[denied.SQLSTATE] = disks.FORBIDDEN
    is_from_server = error.diag.source_file != _OF_FUNCTIONS
    words = (error.diag.message_primary or "") if is_from_server else ""
    return disks.told_by_server([words]) or by_state.get(error.sqlstate or "")


def _kind(error: psycopg.Error) -> type[TargetError]:
    return TargetRefused if isinstance(error, _NOT_LET_IN) else TargetError


def _advice(error: psycopg.Error) -> str:
    advice = {
        psycopg.errors.InvalidPassword: "the password is wrong: correct the secret that the"
        " environment's file names",
        psycopg.errors.InvalidCatalogName: "the database does not exist: correct the environment's"
        " file",
        psycopg.errors.QueryCanceled: "a time limit was reached: find out what slows the server"
        " down, then run this step again",
        psycopg.errors.AdminShutdown: "somebody ended our session, or the server is shutting down:"
        " check its log, then run this step again",
        psycopg.errors.IdleInTransactionSessionTimeout: "our process was idle for too long, and"
        " the server ended its session: run this step again",
        psycopg.errors.ReadOnlySqlTransaction: "the server accepts no writes: name the primary",
        psycopg.errors.LockNotAvailable: "another session holds a lock: find it in"
        " pg_stat_activity, or run this step again later",
        # One SQLSTATE for both. What is read at one moment has a lock on each table, index, part.
        psycopg.errors.OutOfMemory: "its log says which memory: where there are thousands of tables"
        " or partitions, that for locks (max_locks_per_transaction = 1024 or more, and a restart);"
        " then run this step again",
        psycopg.errors.StatementTooComplex: "there are too many tables, columns or references for"
        " one query: raise max_stack_depth, then run this step again",
    }
    known = next((text for kind, text in advice.items() if isinstance(error, kind)), "")
    return known or _BY_CLASS.get((error.sqlstate or "")[:2], _IN_THE_LOG)


def code_and_name(sqlstate: str | None) -> str:
    """An SQLSTATE with the name that PostgreSQL's manual has for it."""
    try:
        return f"SQLSTATE {sqlstate} ({psycopg.errors.lookup(sqlstate or '').__name__})"
    except KeyError:  # one that people have made up for a function of theirs
        return f"SQLSTATE {sqlstate}"


def constraint_of(error: psycopg.Error) -> str:
    """The table and the constraint that refused a row, for a message."""
    return f"table {error.diag.table_name}, constraint {error.diag.constraint_name}"
