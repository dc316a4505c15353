"""A database of our own making, for a restored copy: the only kind that we ever drop.

That we made it is known, not guessed: its name holds 64 random bits, is written down in the
private folder before CREATE DATABASE (which fails where the name is taken), and the database
carries a token as its comment from then on. A database without both is never written or dropped.

It does not stay behind. Whoever made it drops it; after a kill, a watch does: a small process
that learns of our end by its closed pipe. Where the server itself was gone, the next command does.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import psycopg
from psycopg import sql

from nexus_reimport import CHECKOUT
from nexus_reimport.errors import StopError, TargetError
from nexus_reimport.files import private
from nexus_reimport.nexus.postgres import Connection, connected, scalar, statement
from nexus_reimport.settings import Postgres

PREFIX = "nexus_reimport_scratch_"
WATCH = "nexus_reimport.nexus.scratch_watch"
_MARK = "nexus_reimport scratch "
_LEAVING = 10.0  # seconds in which a session that was closed is gone


@dataclass(frozen=True, slots=True)
class Shape:
    """How a database was made: what a copy of it must have in common."""

    encoding: str
    provider: str  # libc, icu, builtin; "" before PostgreSQL 15
    collate: str
    ctype: str
    locale: str  # of icu and builtin


@dataclass(frozen=True, slots=True)
class Scratch:
    """A database that we made: the way into it, and the token that it carries."""

    place: Postgres
    token: str

    @property
    def name(self) -> str:
        """The database's name."""
        return self.place.database

    def require(self, connection: Connection) -> None:
        """Raise StopError unless ``connection`` is to this very database, made by us."""
        if comment(connection, self.name) != _MARK + self.token:
            raise StopError(
                "the scratch database is not the one that this run made",
                where=f"database {self.name}",
                next="run 01_preflight again",
            )


def shape(connection: Connection) -> Shape:
    """The shape of the database of ``connection``."""
    row = connection.execute(statement("shape")).fetchone()
    return Shape(*row) if row else Shape("UTF8", "", "C", "C", "")


def may_create(connection: Connection) -> bool:
    """Whether the role may make databases on this server."""
    query = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    return bool(scalar(connection, query))


def extensions_of_a_superuser(
    connection: Connection, extensions: Mapping[str, bool]
) -> tuple[str, ...]:
    """Those that a table needs (name -> whether one does) and the role may not make in a copy."""
    needed = [name for name, is_needed in extensions.items() if is_needed]
    rows = connection.execute(statement("extensions_of_a_superuser"), {"names": needed})
    return tuple(name for (name,) in rows)


@contextmanager
def made(server: Postgres, like: Shape, register: Path) -> Iterator[Scratch]:
    """An empty database of that shape on ``server``, dropped at the end of the block.

    ``server.database`` is where we connect to make it. ``register`` is the private folder in which
    what we make is written down.

    Raises:
        TargetError: it could not be made. Nothing is left.
    """
    token = secrets.token_hex(8)
    name = PREFIX + token
    note = register / f"{name}.json"
    _write_down(note, server, name, token)
    watch = _watched(server, name, token, note)
    try:
        with connected(server) as connection:
            create(connection, name, like, _MARK + token)
        yield Scratch(server.model_copy(update={"database": name}), token)
    finally:
        _end(server, name, token, note, watch)


def create(connection: Connection, name: str, like: Shape, mark: str) -> None:
    """CREATE DATABASE of that shape from template0, and our comment on it.

    Raises:
        TargetError (by ``connected``): the name is taken, or there is no right to.
    """
    words = [
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}").format(
            sql.Identifier(name), sql.Literal(like.encoding)
        ),
        sql.SQL("LC_COLLATE {} LC_CTYPE {}").format(
            sql.Literal(like.collate), sql.Literal(like.ctype)
        ),
    ]
    if like.provider:
        words.append(sql.SQL("LOCALE_PROVIDER {}").format(sql.SQL(cast(Any, like.provider))))
    if like.locale:
        key = "ICU_LOCALE" if like.provider == "icu" else "BUILTIN_LOCALE"
        words.append(sql.SQL("{} {}").format(sql.SQL(cast(Any, key)), sql.Literal(like.locale)))
    connection.execute(sql.SQL(" ").join(words))
    connection.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(mark))
    )


def give_name(connection: Connection, copy: Scratch, name: str) -> None:
    """Make a scratch database a lasting one of another name: from here on we never drop it.

    Raises:
        StopError: it is not ours. The name that is taken is the server's own refusal.
    """
    copy.require(connection)
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
        sql.Identifier(copy.name), sql.Identifier(name)
    )
    end = time.monotonic() + _LEAVING
    while True:
        try:
            connection.execute(rename)
            break
        except psycopg.errors.ObjectInUse:  # a session of ours that is just leaving
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    connection.execute(sql.SQL("COMMENT ON DATABASE {} IS NULL").format(sql.Identifier(name)))


def exists(connection: Connection, name: str) -> bool:
    """Whether the server has a database of that name."""
    query = "SELECT count(*) FROM pg_database WHERE datname = %s"
    return bool(scalar(connection, query, (name,)))


def comment(connection: Connection, name: str) -> str | None:
    """The comment on a database; None where it has none, or is not there."""
    query = (
        "SELECT shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database"
        " WHERE datname = %s"
    )
    found = scalar(connection, query, (name,))
    return None if found is None else str(found)


def sweep(server: Postgres, register: Path) -> tuple[str, ...]:
    """Drop what an earlier run, killed together with its watch, has left; the names.

    Raises:
        TargetError: the server cannot be asked; what is written down stays so.
    """
    dropped = []
    for note in sorted(register.glob(f"{PREFIX}*.json")):
        held = _read(note)
        if held is None or not _is_on(held, server):
            continue
        if drop(server, held["name"], held["token"]):
            dropped.append(str(held["name"]))
        note.unlink(missing_ok=True)
    return tuple(dropped)


def drop(server: Postgres, name: str, token: str) -> bool:
    """Drop a database that we made, ending whoever is connected; whether it was there.

    Its name has our form and its comment is our token, or it has none yet: a kill may fall
    between the two statements, and nobody else can have made that name.
    """
    with connected(server) as connection:
        known = comment(connection, name)
        ours = name == PREFIX + token and known in (None, _MARK + token)
        if not ours or not exists(connection, name):
            return False
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )
        return True


def _end(
    server: Postgres, name: str, token: str, note: Path, watch: subprocess.Popen[bytes]
) -> None:
    """Drop it; where that fails the watch goes on trying, and after it the next command."""
    try:
        drop(server, name, token)
    except TargetError:
        cast(IO[bytes], watch.stdin).close()
        return
    note.unlink(missing_ok=True)
    with suppress(OSError):
        pipe = cast(IO[bytes], watch.stdin)
        pipe.write(b"done\n")
        pipe.close()
    with suppress(subprocess.TimeoutExpired):
        watch.wait(10)


def _watched(server: Postgres, name: str, token: str, note: Path) -> subprocess.Popen[bytes]:
    """The watch, which has been told everything before there is anything to drop."""
    watch = subprocess.Popen(
        [sys.executable, "-m", WATCH],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
        env={"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"},
    )
    told = {
        "server": {**server.model_dump(mode="json"), "password": ""},
        "password": server.password.get_secret_value(),
        "name": name,
        "token": token,
        "note": str(note),
    }
    pipe = cast(IO[bytes], watch.stdin)
    pipe.write(json.dumps(told).encode() + b"\n")
    pipe.flush()
    return watch


def _write_down(note: Path, server: Postgres, name: str, token: str) -> None:
    private.make_folder(note.parent)
    held = {
        "host": server.host,
        "port": server.port,
        "name": name,
        "token": token,
        "at": time.time(),
    }
    private.replace(note, json.dumps(held).encode() + b"\n")


def _read(note: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(note.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, OSError):
        note.unlink(missing_ok=True)  # cut short by a kill, before anything was made
        return None


def _is_on(held: dict[str, Any], server: Postgres) -> bool:
    return (held["host"], held["port"]) == (server.host, server.port)
