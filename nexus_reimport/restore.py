"""Restores a run's dump, whole, into a database of another name, and says how to swap it in.

The last resort, where a rollback is refused or not enough. The live database is never touched:
the copy is made under a name of our own, compared with the moment of the dump, and only then gets
the name that was asked for. Swapping it in is for a person, statement by statement.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from nexus_reimport.errors import StopError
from nexus_reimport.model import Backup
from nexus_reimport.settings import Postgres
from nexus_reimport.target import contents, scratch
from nexus_reimport.target.postgres import Connection, connected, scalar, statement

_LONGEST_NAME = 63  # bytes, PostgreSQL's own limit
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


def run(
    target: Postgres,
    backup: Backup,
    run_id: str,
    name: str,
    register: Path,
    restore: Callable[[Postgres], tuple[str, ...]],
) -> Restored:
    """The dump of ``run_id`` as database ``name``, compared table by table.

    ``restore`` puts the dump into an empty database and gives the extensions that it left out.

    Raises:
        StopError: the name is taken or not to be used, or the copy differs from the dump.
        TargetError: it cannot be restored. Nothing is left behind but the live database.
    """
    began = time.monotonic()
    with connected(target) as connection:
        _refuse(connection, target.database, name)
        swap = tuple(_swap(connection, target.database, name))
    with scratch.made(target, backup.shape, register) as copy:
        left_out = restore(copy.place)
        with connected(copy.place) as connection:
            there = contents.read(connection, {})
        differ = contents.differences(backup.contents, there)
        if differ:
            raise StopError(
                f"the restored copy is not what was dumped: {len(differ)} tables differ\n"
                + "\n".join(f"    {line}" for line in differ),
                where=f"run {run_id}",
                state="the copy has been dropped, the live database was not touched",
                next="take the dump of another run; nexus-reimport record list shows them",
            )
        with connected(target) as connection:
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
        swap=swap,
    )


def _refuse(connection: Connection, live: str, name: str) -> None:
    """Stop unless ``name`` is a name that nothing has, and that can be typed without quotes."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name) or len(name) > _LONGEST_NAME:
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


def _swap(connection: Connection, live: str, name: str) -> Iterator[Step]:
    """The statements by which an administrator swaps ``name`` in for ``live``.

    What a dump of one database does not hold is set again: its owner, settings and grants, and the
    owners of tables where this role could not give them away.
    """

    def quoted(*parts: str) -> str:
        return sql.Identifier(*parts).as_string(connection)

    for kind, place, role in connection.execute(statement("owners")).fetchall():
        yield Step(name, f"ALTER {kind} {place} OWNER TO {quoted(role)};")
    both = ", ".join(sql.Literal(n).as_string(connection) for n in (live, name))
    aside = f"{live}_before_{datetime.now(UTC):%Y%m%d_%H%M}"[:_LONGEST_NAME]
    steps = [
        f"{_CUT_OFF} WHERE datname IN ({both}) AND pid <> pg_backend_pid();",
        f"ALTER DATABASE {quoted(live)} RENAME TO {quoted(aside)};",
        f"ALTER DATABASE {quoted(name)} RENAME TO {quoted(live)};",
    ]
    owner = str(scalar(connection, statement("database_owner")))
    if owner != scalar(connection, "SELECT current_user"):
        steps.append(f"ALTER DATABASE {quoted(live)} OWNER TO {quoted(owner)};")
    for assignment, role in connection.execute(statement("database_settings")).fetchall():
        key, _, value = str(assignment).partition("=")
        whom = f"ROLE {quoted(role)} IN " if role else ""
        said = sql.Literal(value).as_string(connection)
        steps.append(f"ALTER {whom}DATABASE {quoted(live)} SET {key} = {said};")
    for privilege, role in connection.execute(statement("database_grants")).fetchall():
        steps.append(
            f"GRANT {privilege} ON DATABASE {quoted(live)} TO {quoted(role) if role else 'PUBLIC'};"
        )
    yield from (Step("postgres", said) for said in steps)
