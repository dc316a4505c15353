"""A scratch database, for a restored copy: the only kind of database that we ever drop.

That we created it is certain: its name holds 64 random bits and is written into the private folder
before CREATE DATABASE (which fails if the name is taken), and the database has a token as its
comment. A database without both is never written to or dropped.

It does not stay behind. The process that created it drops it. After a kill, a watch process does,
which notices our end by its closed pipe. If the server was down then too, the next command does: it
tells a copy that is in use by the lock of its note, which ends with the process that created it.
The server may still be at CREATE DATABASE when we are gone: the session that does it holds a lock
of the database's own, and who drops the database ends that session first.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

import psycopg
from psycopg import sql

from nexus_reimport import CHECKOUT, wording
from nexus_reimport.errors import StopError, TargetError
from nexus_reimport.files import private
from nexus_reimport.nexus.connection import standbys
from nexus_reimport.nexus.connection.postgres import Connection, connected, scalar, statement
from nexus_reimport.settings import Postgres

PREFIX = "nexus_reimport_scratch_"
WATCH = "nexus_reimport.nexus.connection.scratch_watch"
_MARK = "nexus_reimport scratch "
_LEAVING = 10.0  # seconds until a closed session has ended on the server


@dataclass(frozen=True, slots=True)
class Shape:
    """Encoding and locale of a database; a copy must have the same, or texts sort differently."""

    encoding: str
    provider: str  # libc, icu, builtin; "" before PostgreSQL 15
    collate: str
    ctype: str
    locale: str  # of icu and builtin
    rules: str = ""  # of icu, by which a clinic may sort in its own way


@dataclass(frozen=True, slots=True)
class Scratch:
    """A database that we created: how to connect to it, and the token in its comment."""

    place: Postgres
    token: str

    @property
    def name(self) -> str:
        """The database's name."""
        return self.place.database

    def require(self, connection: Connection) -> None:
        """Raise StopError unless the server of ``connection`` has this database, with our token."""
        if comment(connection, self.name) != _MARK + self.token:
            raise self._is_another(self.name)

    def require_within(self, connection: Connection) -> None:
        """Raise StopError unless ``connection`` is one to this database, with our token.

        What is written there needs no approval, so nothing may be written to another one.
        """
        database = str(scalar(connection, "SELECT current_database()"))
        if database != self.name:
            raise self._is_another(database)
        self.require(connection)

    @staticmethod
    def _is_another(database: str) -> StopError:
        return StopError(
            "the scratch database is not the one that this run created",
            where=f"database {database}",
            next="run 01_preflight again",
        )


def shape(connection: Connection) -> Shape:
    """The shape of the database of ``connection``."""
    row = connection.execute(statement("shape")).fetchone()
    return Shape(*row) if row else Shape("UTF8", "", "C", "C", "")


def may_create(connection: Connection) -> bool:
    """Whether the role may create databases on this server."""
    query = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
    return bool(scalar(connection, query))


def extensions_of_a_superuser(
    connection: Connection, extensions: Mapping[str, bool]
) -> tuple[str, ...]:
    """The extensions that a table needs and that the role may not create in a copy.

    ``extensions`` maps each name to whether a table needs it.
    """
    needed = [name for name, is_needed in extensions.items() if is_needed]
    rows = connection.execute(statement("extensions_of_a_superuser"), {"names": needed})
    return tuple(name for (name,) in rows)


@contextmanager
def created(server: Postgres, like: Shape, register: Path) -> Iterator[Scratch]:
    """An empty database of shape ``like`` on ``server``, dropped at the end of the block.

    We connect to ``server.database`` to create it. ``register`` is the private folder in which its
    name is written down first.

    Raises:
        TargetError: it could not be created. Nothing is left.
    """
    token = secrets.token_hex(8)
    name = PREFIX + token
    note = register / f"{name}.json"
    with _written_down(note, server, name, token):
        watch = _watched(server, name, token, note)
        try:
            with connected(server) as connection:
                create(connection, name, like, _MARK + token)
            yield Scratch(server.model_copy(update={"database": name}), token)
        finally:
            _end(server, name, token, note, watch)


def create(connection: Connection, name: str, like: Shape, mark: str) -> None:
    """CREATE DATABASE of shape ``like`` from template0, with our comment ``mark``.

    From template0, because template1 may hold objects that somebody added.

    Raises:
        TargetError (by ``connected``): the name is taken, or the right is missing.
    """
    standbys.do_not_wait(connection)
    # Held until this session has ended on the server, whatever becomes of us.
    connection.execute("SELECT pg_advisory_lock(%s)", (_lock_key(name),))
    clauses = [
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}").format(
            sql.Identifier(name), sql.Literal(like.encoding)
        ),
        sql.SQL("LC_COLLATE {} LC_CTYPE {}").format(
            sql.Literal(like.collate), sql.Literal(like.ctype)
        ),
    ]
    if like.provider:
        clauses.append(sql.SQL("LOCALE_PROVIDER {}").format(sql.SQL(cast(Any, like.provider))))
    if like.locale:
        key = "ICU_LOCALE" if like.provider == "icu" else "BUILTIN_LOCALE"
        clauses.append(sql.SQL("{} {}").format(sql.SQL(cast(Any, key)), sql.Literal(like.locale)))
    if like.rules:
        clauses.append(sql.SQL("ICU_RULES {}").format(sql.Literal(like.rules)))
    connection.execute(sql.SQL(" ").join(clauses))
    connection.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(mark))
    )


def give_name(connection: Connection, copy: Scratch, name: str) -> None:
    """Rename a scratch database into a permanent one, which we never drop.

    Raises:
        StopError: it is not ours. Nothing was renamed.
        TargetError (by ``connected``): the name is taken. Nothing was renamed.
    """
    standbys.do_not_wait(connection)
    copy.require(connection)
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
        sql.Identifier(copy.name), sql.Identifier(name)
    )
    end = time.monotonic() + _LEAVING
    while True:
        try:
            connection.execute(rename)
            break
        except psycopg.errors.ObjectInUse:  # a session of ours that is just ending
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    # Without our token nothing takes it for a scratch database any more.
    connection.execute(sql.SQL("COMMENT ON DATABASE {} IS NULL").format(sql.Identifier(name)))


def exists(connection: Connection, name: str) -> bool:
    """Whether the server has a database of that name."""
    query = "SELECT count(*) FROM pg_database WHERE datname = %s"
    return bool(scalar(connection, query, (name,)))


def comment(connection: Connection, name: str) -> str | None:
    """The comment on a database; None if it has none, or does not exist."""
    query = (
        "SELECT shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database"
        " WHERE datname = %s"
    )
    text = scalar(connection, query, (name,))
    return None if text is None else str(text)


def sweep(server: Postgres, register: Path) -> tuple[str, ...]:
    """Drop what a run left that was killed together with its watch; gives the names dropped.

    A copy with which a process is still at work stays: a restore takes hours, and others may begin.

    Raises:
        TargetError: the server cannot be asked. The notes stay, and the next command tries again.
    """
    dropped = []
    for path in _abandoned(register):
        note = _read(path)
        if note is None or (note.host, note.port) != (server.host, server.port):
            continue
        if drop(server, note.name, note.token):
            dropped.append(note.name)
        path.unlink(missing_ok=True)
    return tuple(dropped)


def unreadable(register: Path) -> tuple[Path, ...]:
    """The notes that cannot be read; each is called as the database that may be left."""
    return tuple(path for path in _notes(register) if _read(path) is None and path.exists())


def elsewhere(servers: Collection[Postgres], register: Path) -> tuple[tuple[Path, str], ...]:
    """The notes of copies on other servers than these, and where each of them may be left."""
    known = {(server.host, server.port) for server in servers}
    notes = ((path, _read(path)) for path in _abandoned(register))
    return tuple(
        (path, f"postgres {note.host}:{note.port}")
        for path, note in notes
        if note is not None and (note.host, note.port) not in known
    )


def drop(server: Postgres, name: str, token: str) -> bool:
    """Drop a database that we created, ending its sessions; True if it existed.

    Its comment is our token, or is still missing: a kill may fall between the two statements that
    create it, and no other process can have used a name with these random bits.

    Raises:
        TargetError: the server cannot be asked, or may still create the database.
    """
    with connected(server) as connection:
        if name != PREFIX + token:
            return False
        standbys.do_not_wait(connection)
        if not exists(connection, name):
            _end_creation(connection, server, name)
        if not exists(connection, name) or comment(connection, name) not in (None, _MARK + token):
            return False
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )
        return True


def _end_creation(connection: Connection, server: Postgres, name: str) -> None:
    """End the session that is creating the database: then it is there, or will never be.

    Raises:
        TargetError: that session does not end.
    """
    key, end = _lock_key(name), time.monotonic() + _LEAVING
    while not scalar(connection, "SELECT pg_try_advisory_lock(%s)", (key,)):
        rows = connection.execute(statement("advisory_lock_holder"), {"key": key}).fetchall()
        for pid, _, _ in rows:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        if time.monotonic() > end:
            raise TargetError(
                "a copy that was begun may still be made: the server's process does not end",
                where=f"postgres {server.host}:{server.port}, database {name},"
                f" {wording.processes([pid for pid, _, _ in rows])}",
                next="it is dropped by the next command; if that says the same, end that process on"
                " the server",
            )
        time.sleep(0.1)


def _lock_key(name: str) -> int:
    """The key of a database's own advisory lock: 64 bits of its name's digest."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _end(
    server: Postgres, name: str, token: str, note: Path, watch: subprocess.Popen[bytes]
) -> None:
    """Drop the database; if that fails, the watch keeps trying, and later the next command."""
    try:
        drop(server, name, token)
    except TargetError:
        # For the watch the end of its input means that we are gone.
        cast(IO[bytes], watch.stdin).close()
        return
    note.unlink(missing_ok=True)
    # The watch may have ended already.
    with suppress(OSError):
        pipe = cast(IO[bytes], watch.stdin)
        pipe.write(b"done\n")
        pipe.close()
    with suppress(subprocess.TimeoutExpired):
        watch.wait(10)


def _watched(server: Postgres, name: str, token: str, note: Path) -> subprocess.Popen[bytes]:
    """The watch process; it knows what to drop before the database is created."""
    watch = subprocess.Popen(
        [sys.executable, "-m", WATCH],
        stdin=subprocess.PIPE,
        # It outlives us: our terminal and our pipes may be gone by then.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # Ctrl-C in our terminal must not end it
        env={"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"},
    )
    instructions = {
        "server": {**server.model_dump(mode="json"), "password": ""},
        # Beside the rest: in a dump of the settings a secret is only asterisks.
        "password": server.password.get_secret_value(),
        "name": name,
        "token": token,
        "note": str(note),
    }
    pipe = cast(IO[bytes], watch.stdin)
    # By the pipe, because every user of the machine can read a process's arguments.
    pipe.write(json.dumps(instructions).encode() + b"\n")
    pipe.flush()
    return watch


@dataclass(frozen=True, slots=True)
class _Note:
    """What the register holds of one scratch database: its server, its name, its token."""

    host: str
    port: int
    name: str
    token: str
    at: float


@contextmanager
def _written_down(note: Path, server: Postgres, name: str, token: str) -> Iterator[None]:
    """A note, whose lock is ours until the end of the block, or of this process."""
    private.make_folder(note.parent)
    entry = _Note(server.host, server.port, name, token, time.time())
    with ExitStack() as held:
        with private.locked_folder(note.parent):  # who sweeps it sees no note without its lock
            private.replace(note, json.dumps(asdict(entry)).encode() + b"\n")
            held.enter_context(private.lock(note))
        yield


def _abandoned(register: Path) -> list[Path]:
    """The notes whose process has ended."""
    if not register.is_dir():
        return []
    with private.locked_folder(register):
        return [path for path in _notes(register) if not private.is_locked(path)]


def _notes(register: Path) -> list[Path]:
    return sorted(register.glob(f"{PREFIX}*.json"))


def _read(note: Path) -> _Note | None:
    """A note; None if it cannot be read. It stays: nothing else tells that there is a copy."""
    try:
        return _Note(**json.loads(note.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError):
        return None
