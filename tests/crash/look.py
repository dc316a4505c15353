"""What is there after a case: the tables' state, and whatever a run may have left behind."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from nexus_reimport.settings import FOLDER_VARIABLE

State = dict[str, tuple[int, str]]
APPLICATION = "crash"  # so that our own look is not taken for the product's
_TABLES = (
    "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
    " WHERE nspname = 'public' AND relkind = 'r' ORDER BY 1"
)
_DATABASES = "SELECT datname FROM pg_database"
_SESSIONS = (
    "SELECT application_name, datname, state, wait_event FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND application_name <> %s AND datname IS NOT NULL"
)
_LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


def connect(dsn: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of our own, past every proxy."""
    return psycopg.connect(
        dsn, autocommit=True, application_name=APPLICATION, options="-c timezone=UTC"
    )


def state(dsn: str, runs: Path) -> State:
    """A fingerprint of every table of the application.

    The instant of a plan stands in the rows that it made; it is the only thing in which two runs of
    the same clinic differ, so the instants of all plans in ``runs`` are masked.
    """
    found: State = {}
    with connect(dsn) as connection:
        row: sql.Composable = sql.SQL("t::text")
        for instant in sorted(_instants(runs)):
            masked = sql.SQL("replace({}, {}::timestamptz::text, 'as of')")
            row = masked.format(row, sql.Literal(instant))
        query = sql.SQL("SELECT count(*), md5(string_agg({0}, '|' ORDER BY {0})) FROM {1} AS t")
        for (table,) in connection.execute(_TABLES).fetchall():
            one = connection.execute(query.format(row, sql.Identifier(table))).fetchone()
            assert one is not None
            found[table] = (int(one[0]), str(one[1]))
    return found


def _instants(runs: Path) -> Iterable[str]:
    for path in runs.glob("*/*/data/plan.json"):
        yield str(json.loads(path.read_text())["as_of"])


def differing(one: State, other: State) -> str:
    """The tables in which two states differ, for a message."""
    tables = sorted(t for t in one.keys() | other.keys() if one.get(t) != other.get(t))
    return ", ".join(tables)


def databases(dsn: str) -> set[str]:
    """The names of all databases."""
    with connect(dsn) as connection:
        return {name for (name,) in connection.execute(_DATABASES)}


def on_the_server(dsn: str, known: set[str]) -> list[str]:
    """Databases, sessions and advisory locks that should not be there."""
    with connect(dsn) as connection:
        there = {name for (name,) in connection.execute(_DATABASES)}
        found = [f"database {name}" for name in sorted(there - known)]
        for application, *where in connection.execute(_SESSIONS, (APPLICATION,)):
            found.append(f"session of {application or 'no name'}: {', '.join(map(str, where))}")
        (locks,) = connection.execute(_LOCKS).fetchone() or (0,)
        return found + [f"{locks} advisory lock(s)"] * bool(locks)


def processes(environments: Path) -> list[psutil.Process]:
    """The processes that our commands started: by a variable that they inherit, all of them."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get(FOLDER_VARIABLE) == str(environments)
            if ours and lives(process) and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return found


def lives(process: psutil.Process) -> bool:
    """Whether it is still there, and not only its exit code."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def name(process: psutil.Process) -> str:
    """What it is, for a message."""
    try:
        return " ".join(Path(part).name for part in process.cmdline()[:3])
    except psutil.Error:
        return "that has just ended"


def files(temporary: Path, runs: Path) -> list[str]:
    """Temporary files and held locks of files that should not be there."""
    found = [f"temporary file {path.name}" for path in temporary.iterdir()]
    return found + [f"{path.name} is held" for path in runs.glob("*/.at_work") if _is_held(path)]


def _is_held(path: Path) -> bool:
    with path.open("r+") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def anchors(dsn: str) -> dict[str, str]:
    """The seals that the database knows, by run."""
    with connect(dsn) as connection:
        if connection.execute("SELECT to_regclass('nexus_reimport.runs')").fetchone() == (None,):
            return {}
        return dict(connection.execute("SELECT run, seal FROM nexus_reimport.runs").fetchall())
