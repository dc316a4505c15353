"""Restores a run's whole dump as a database of another name, with the statements to swap it in.

This is the last resort, if a rollback is refused or not enough. The live database is never touched:
the copy is made under a name of our own, compared with the moment of the dump, and only then gets
the requested name. A person swaps it in, statement by statement: all that the copy needs first, and
at last both names in one transaction, so that whatever breaks off leaves the live one as it is.

Our role owns nothing of the application and cannot give ownership away. So the copy belongs to it,
without grants, and the statements restore what is lost by that: owners, grants, default privileges,
tablespaces, what only a superuser makes (extensions, publications, event triggers), and what a
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

from nexus_reimport import wording
from nexus_reimport.errors import StopError
from nexus_reimport.model import Backup
from nexus_reimport.nexus.connection import scratch
from nexus_reimport.nexus.connection.postgres import (
    LONGEST_NAME,
    Connection,
    connected,
    shortened,
    statement,
)
from nexus_reimport.nexus.reading import contents
from nexus_reimport.settings import Postgres

_LISTS_OF_NAMES = (
    "search_path",
    "local_preload_libraries",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
# PostgreSQL refuses to rename a database while anybody is connected to it.
_CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of the swap, and the database in which an administrator runs it."""

    database: str
    statement: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and the statements that swap it in, in order."""

    run: str
    database: str
    live: str
    tables: int
    rows: int
    seconds: float
    left_out: tuple[str, ...]  # extensions
    swap: tuple[Step, ...]
    script: str = ""  # a private file of these statements for psql; "" where it has no room
    environment: str = "ENV"  # that owns the live database


@dataclass(frozen=True, slots=True)
class Acts:
    """What ``run`` does with the dump, handed in because no stage imports another.

    ``restore`` gives the extensions that it left out. ``left_to_do`` gives the statements for an
    administrator: those before the owners are set, and those after. ``keep`` writes all of them
    down, before the copy gets its name, and gives where, "" where there is no room.
    """

    restore: Callable[[Postgres], tuple[str, ...]]
    left_to_do: Callable[[Postgres, tuple[str, ...]], tuple[tuple[str, ...], tuple[str, ...]]]
    keep: Callable[[tuple[Step, ...]], str]


def run(
    target: Postgres,
    backup: Backup,
    run_id: str,
    name: str,
    register: Path,
    acts: Acts,
) -> Restored:
    """Restore the dump of ``run_id`` as database ``name``, and compare it table by table.

    Raises:
        StopError: the name is in use or not allowed, or the copy differs from the dump.
        TargetError: the dump cannot be restored. The live database is unchanged in any case. The
            copy was dropped, unless the connection was lost while it was renamed.
    """
    began = time.monotonic()
    with connected(target) as connection:
        _refuse(connection, target.database, name)
        _refuse_extensions(connection, backup)
        live = tuple(_in_its_place(connection, target.database, name))
        owners = backup.owners or contents.listed(connection, "owners")
        tablespaces = backup.tablespaces or contents.listed(connection, "tablespaces")
    with scratch.created(target, backup.shape, register) as copy:
        left_out = acts.restore(copy.place)
        with connected(copy.place) as connection:
            restored = contents.read(connection, {})
            first, last = acts.left_to_do(copy.place, left_out)
            placed = _placed(connection, tablespaces)
            inside = (*first, *_owned(connection, owners), *placed, *last)
        differ = contents.differences(backup.contents, restored)
        if differ:
            tables = wording.amount(len(differ), "table differs", "tables differ")
            raise StopError(
                f"the restored copy is not what was dumped: {tables}\n{wording.lines(differ)}",
                where=f"run {run_id}",
                state="the copy was dropped; the live database was not touched",
                next="use the dump of another run; nexus-reimport record list shows them",
            )
        swap = (*(Step(name, text) for text in inside), *live)
        kept = acts.keep(swap)
        state = f"the live database was not touched; the copy may exist already, as {name}"
        with connected(target, state) as connection:  # the name may be taken by now
            _refuse(connection, target.database, name)
            scratch.give_name(connection, copy, name)
    return Restored(
        run=run_id,
        database=name,
        live=target.database,
        tables=len(restored),
        rows=sum(f.rows for f in restored.values()),
        seconds=time.monotonic() - began,
        left_out=left_out,
        swap=swap,
        script=kept,
    )


def script(steps: tuple[Step, ...]) -> str:
    """The statements as one file for psql, which changes from database to database."""
    lines = ["\\set ON_ERROR_STOP on"]
    for database, group in itertools.groupby(steps, lambda step: step.database):
        lines.append(f'\\connect "{database}"')
        lines += [step.statement for step in group]
    return "\n".join(lines) + "\n"


def _refuse(connection: Connection, live: str, name: str) -> None:
    """Stop unless ``name`` is free, and can be typed without quotes."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name) or len(name) > LONGEST_NAME:
        raise StopError(
            "the name of the database to restore into is not allowed",
            next="use lower-case letters, digits and underscores, at most 63 characters",
        )
    if name.startswith(scratch.PREFIX):
        raise StopError(
            f"databases named {scratch.PREFIX}… are copies that are dropped automatically",
            next="use another name",
        )
    if scratch.exists(connection, name):
        raise StopError(
            f"a database {name} exists already" + (": the live one" if name == live else ""),
            next="use a name that is free; this command never overwrites",
        )


def _refuse_extensions(connection: Connection, backup: Backup) -> None:
    """Stop if a table needs an extension that only a superuser may make, and the role is none."""
    denied = scratch.extensions_of_a_superuser(connection, backup.extensions)
    if denied:
        raise StopError(
            f"tables need extensions that only a superuser may make: {', '.join(denied)}",
            state="nothing was restored",
            next=f"have an administrator restore {backup.dump} from the run's private folder:"
            " pg_restore --exit-on-error into a new database",
        )


def _owned(connection: Connection, owners: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """The statements that give each object of the copy to its former owner."""
    now = {(kind, place): role for kind, place, role in contents.listed(connection, "owners")}
    for kind, place, role in owners:
        if now.get((kind, place), role) != role:
            yield f"ALTER {kind} {place} OWNER TO {_quoted(connection, role)};"


def _placed(connection: Connection, tablespaces: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """The statements that move tables and indexes of the copy into their former tablespaces."""
    for kind, place, tablespace in tablespaces:
        yield f"ALTER {kind} {place} SET TABLESPACE {_quoted(connection, tablespace)};"


def _in_its_place(connection: Connection, live: str, name: str) -> Iterator[Step]:
    """The statements that give ``name`` the properties of ``live``, and then its place."""
    now, copy = _quoted(connection, live), _quoted(connection, name)
    both = ", ".join(sql.Literal(n).as_string(connection) for n in (live, name))
    aside = _quoted(connection, shortened(f"{live}_before_{datetime.now(UTC):%Y%m%d_%H%M}"))
    steps = [*_properties(connection, f"DATABASE {copy}")]
    # pg_dump writes these only with --create, which would restore under the old name
    for assignment, role in connection.execute(statement("database_settings")).fetchall():
        key, _, value = str(assignment).partition("=")
        whom = f"ROLE {_quoted(connection, role)} IN " if role else ""
        setting = f"{_quoted(connection, key)} = {_setting(connection, key, value)}"
        steps.append(f"ALTER {whom}DATABASE {copy} SET {setting};")
    # Both or neither: between the two the application has no database. In one piece: only one
    # without sessions can be renamed, and a pool of the application connects again within a moment.
    steps.append(
        f"BEGIN; {_CUT_OFF} WHERE datname IN ({both}) AND pid <> pg_backend_pid();"
        f" ALTER DATABASE {now} RENAME TO {aside}; ALTER DATABASE {copy} RENAME TO {now}; COMMIT;"
    )
    # From another database: nobody can rename the one that they are connected to.
    yield from (Step("postgres", text) for text in steps)


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
    # PUBLIC may connect to any new database: what was taken from it must be taken again.
    if has_grants:
        yield f"REVOKE ALL ON {database} FROM PUBLIC;"
    for privilege, role, may_pass_on in connection.execute(statement("database_grants")).fetchall():
        whom = _quoted(connection, role) if role else "PUBLIC"
        option = " WITH GRANT OPTION" if may_pass_on else ""
        yield f"GRANT {privilege} ON {database} TO {whom}{option};"


def _setting(connection: Connection, key: str, value: str) -> str:
    """A setting's value as SET takes it: a list of names is one literal for each name.

    Source: PostgreSQL, pg_dump, ``makeAlterConfigCommand`` and ``variable_is_guc_list_quote``.
    """
    values = [value]
    if key.lower() in _LISTS_OF_NAMES:
        names = re.findall(r'"((?:[^"]|"")*)"|([^\s,"]+)', value)
        values = [quoted.replace('""', '"') or plain for quoted, plain in names] or [""]
    return ", ".join(sql.Literal(v).as_string(connection) for v in values)


def _quoted(connection: Connection, name: str) -> str:
    return sql.Identifier(name).as_string(connection)
