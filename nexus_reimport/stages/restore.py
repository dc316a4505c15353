"""Restores a run's dump, whole, into a database of another name, and says how to swap it in.

The last resort, where a rollback is refused or not enough. The live database is never touched:
the copy is made under a name of our own, compared with the moment of the dump, and only then gets
the name that was asked for. Swapping it in is for a person, statement by statement.

Our role owns nothing of the application and may give nothing away. So the copy is its own, without
a grant, and what would be lost by that is among the statements: owners, grants, default privileges,
tablespaces, what only a superuser makes (extensions, publications, event triggers), and all that a
database has beside its content: owner, comment, connection limit, settings, grants.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from nexus_reimport.errors import StopError
from nexus_reimport.model import Backup
from nexus_reimport.nexus import contents, scratch
from nexus_reimport.nexus.postgres import LONGEST_NAME, Connection, connected, statement
from nexus_reimport.nexus.registry import UNDO_PREFIX
from nexus_reimport.settings import Postgres

_LISTS_OF_NAMES = (
    "search_path",
    "local_preload_libraries",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
_CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of the swap, and the database in which an administrator runs it."""

    database: str
    statement: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and the statements that swap it in, in their order."""

    run: str
    database: str
    live: str
    tables: int
    rows: int
    seconds: float
    left_out: tuple[str, ...]  # extensions
    swap: tuple[Step, ...]
    script: str = ""  # a file with the same statements for psql, in the private folder
    environment: str = "ENV"  # whose the live database is


@dataclass(frozen=True, slots=True)
class Acts:
    """What is done with the dump: put into an empty database, and asked what it leaves to do.

    ``restore`` gives the extensions that it left out. ``left_to_do`` gives the statements for what
    is lacking: before the owners are set, and after that.
    """

    restore: Callable[[Postgres], tuple[str, ...]]
    left_to_do: Callable[[Postgres, tuple[str, ...]], tuple[tuple[str, ...], tuple[str, ...]]]


def run(
    target: Postgres,
    backup: Backup,
    run_id: str,
    name: str,
    register: Path,
    acts: Acts,
) -> Restored:
    """The dump of ``run_id`` as database ``name``, compared table by table.

    Raises:
        StopError: the name is taken or not to be used, or the copy differs from the dump.
        TargetError: it cannot be restored. Nothing is left behind but the live database.
    """
    began = time.monotonic()
    with connected(target) as connection:
        _refuse(connection, target.database, name)
        _refuse_extensions(connection, backup)
        live = tuple(_in_its_place(connection, target.database, name))
        owners = backup.owners or _listed(connection, "owners")
        tablespaces = backup.tablespaces or _listed(connection, "tablespaces")
    with scratch.made(target, backup.shape, register) as copy:
        left_out = acts.restore(copy.place)
        with connected(copy.place) as connection:
            there = contents.read(connection, {})
            first, last = acts.left_to_do(copy.place, left_out)
            placed = _placed(connection, tablespaces)
            inside = (*first, *_owned(connection, owners), *placed, *last)
        differ = contents.differences(backup.contents, there)
        if differ:
            raise StopError(
                f"the restored copy is not what was dumped: {len(differ)} tables differ\n"
                + "\n".join(f"    {line}" for line in differ),
                where=f"run {run_id}",
                state="the copy has been dropped, the live database was not touched",
                next="take the dump of another run; nexus-reimport record list shows them",
            )
        left = f"the live database was not touched; the copy may be there already, as {name}"
        with connected(target, left) as connection:
            _refuse(connection, target.database, name)
            scratch.give_name(connection, copy, name)
    return Restored(
        run=run_id,
        database=name,
        live=target.database,
        tables=len(there),
        rows=sum(f.rows for f in there.values()),
        seconds=time.monotonic() - began,
        left_out=left_out,
        swap=(*(Step(name, given) for given in inside), *live),
    )


def script(steps: tuple[Step, ...]) -> str:
    """The statements as one file for psql, which goes from database to database."""
    lines = ["\\set ON_ERROR_STOP on"]
    for database, group in itertools.groupby(steps, lambda step: step.database):
        lines.append(f'\\connect "{database}"')
        lines += [step.statement for step in group]
    return "\n".join(lines) + "\n"


def _refuse(connection: Connection, live: str, name: str) -> None:
    """Stop unless ``name`` is a name that nothing has, and that can be typed without quotes."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name) or len(name) > LONGEST_NAME:
        raise StopError(
            "the name of the database to restore into is not a plain one",
            next="take small letters, digits and underscores, at most 63 of them",
        )
    if name.startswith(scratch.PREFIX):
        raise StopError(
            f"{scratch.PREFIX}… are names of copies that are dropped by themselves",
            next="take another name",
        )
    if scratch.exists(connection, name):
        raise StopError(
            f"there is a database {name} already" + (": the live one" if name == live else ""),
            next="take a name that nothing has; this command never overwrites",
        )


def _refuse_extensions(connection: Connection, backup: Backup) -> None:
    """Stop where this role cannot make the copy: a table needs what only a superuser makes."""
    denied = scratch.extensions_of_a_superuser(connection, backup.extensions)
    if denied:
        raise StopError(
            f"tables need extensions that only a superuser may make: {', '.join(denied)}",
            state="nothing was restored",
            next=f"have an administrator restore {backup.dump} of the run's private folder:"
            " pg_restore --exit-on-error into a new database",
        )


def _listed(connection: Connection, name: str) -> tuple[tuple[str, str, str], ...]:
    """(kind, name, owner or tablespace) of each object of this database, as it is now."""
    rows = connection.execute(statement(name), {"undo": UNDO_PREFIX}).fetchall()
    return tuple((str(kind), str(place), str(whose)) for kind, place, whose in rows)


def _owned(connection: Connection, owners: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """The statements that give each object of the copy to the owner that it had."""
    now = {(kind, place): role for kind, place, role in _listed(connection, "owners")}
    for kind, place, role in owners:
        if now.get((kind, place), role) != role:
            yield f"ALTER {kind} {place} OWNER TO {_quoted(connection, role)};"


def _placed(connection: Connection, tablespaces: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """The statements that put tables and indexes of the copy into the tablespaces of their own."""
    for kind, place, tablespace in tablespaces:
        yield f"ALTER {kind} {place} SET TABLESPACE {_quoted(connection, tablespace)};"


def _in_its_place(connection: Connection, live: str, name: str) -> Iterator[Step]:
    """The statements that give ``name`` the place of ``live``, and all that ``live`` has itself."""
    new = _quoted(connection, live)
    both = ", ".join(sql.Literal(n).as_string(connection) for n in (live, name))
    aside = f"{live}_before_{datetime.now(UTC):%Y%m%d_%H%M}"[:LONGEST_NAME]
    steps = [
        f"{_CUT_OFF} WHERE datname IN ({both}) AND pid <> pg_backend_pid();",
        f"ALTER DATABASE {new} RENAME TO {_quoted(connection, aside)};",
        f"ALTER DATABASE {_quoted(connection, name)} RENAME TO {new};",
        *_properties(connection, f"DATABASE {new}"),
    ]
    for assignment, role in connection.execute(statement("database_settings")).fetchall():
        key, _, value = str(assignment).partition("=")
        whom = f"ROLE {_quoted(connection, role)} IN " if role else ""
        setting = f"{_quoted(connection, key)} = {_setting(connection, key, value)}"
        steps.append(f"ALTER {whom}DATABASE {new} SET {setting};")
    yield from (Step("postgres", given) for given in steps)


def _properties(connection: Connection, database: str) -> Iterator[str]:
    """Owner, connection limit, tablespace, comment and grants of the live database."""
    (row,) = connection.execute(statement("database_properties")).fetchall()
    owner, limit, tablespace, comment, has_grants = row
    yield f"ALTER {database} OWNER TO {_quoted(connection, owner)};"
    if limit != -1:
        yield f"ALTER {database} CONNECTION LIMIT {limit};"
    if tablespace != "pg_default":
        yield f"ALTER {database} SET TABLESPACE {_quoted(connection, tablespace)};"
    if comment is not None:
        yield f"COMMENT ON {database} IS {sql.Literal(comment).as_string(connection)};"
    if has_grants:
        yield f"REVOKE ALL ON {database} FROM PUBLIC;"
    for privilege, role, may_pass_on in connection.execute(statement("database_grants")).fetchall():
        whom = _quoted(connection, role) if role else "PUBLIC"
        option = " WITH GRANT OPTION" if may_pass_on else ""
        yield f"GRANT {privilege} ON {database} TO {whom}{option};"


def _setting(connection: Connection, key: str, value: str) -> str:
    """A setting's value as SET takes it: a list of names is one literal for each of them.

    Source: PostgreSQL, pg_dump, ``makeAlterConfigCommand`` and ``variable_is_guc_list_quote``.
    """
    values = [value]
    if key.lower() in _LISTS_OF_NAMES:
        found = re.findall(r'"((?:[^"]|"")*)"|([^\s,"]+)', value)
        values = [quoted.replace('""', '"') or plain for quoted, plain in found] or [""]
    return ", ".join(sql.Literal(v).as_string(connection) for v in values)


def _quoted(connection: Connection, name: str) -> str:
    return sql.Identifier(name).as_string(connection)
