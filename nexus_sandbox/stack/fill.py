"""Puts the made-up clinic into its databases and buckets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from nexus_reimport import mapping as mappings
from nexus_reimport.errors import SandboxError
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus import deployment, rights
from nexus_sandbox.clinic import Clinic, generate
from nexus_sandbox.postgres.access import Postgres
from nexus_sandbox.stack.access import (
    ENVIRONMENTS,
    OWNER,
    ROLE,
    Stack,
    bucket,
    database,
    template,
)

_KEYS = "objects.json"

Rows = tuple[Sequence[str], Sequence[tuple[object, ...]]]
Connection = psycopg.Connection[tuple[object, ...]]


def fill(stack: Stack, clinic: Clinic) -> None:
    """Make the roles, the templates and the databases, and fill the buckets meanwhile."""
    server = stack.postgres.with_role(OWNER).with_role(ROLE)
    server.remember(stack.folder / "postgres")
    with ThreadPoolExecutor(1) as meanwhile, with_room(server):
        objects = meanwhile.submit(_fill_buckets, stack, clinic)
        for name in ENVIRONMENTS:
            make_template(server, template(name), clinic.nexus(name))
            copy_template(server, name)
        objects.result()


def reset_databases(stack: Stack) -> None:
    """Create both databases again from their templates; sessions connected to them are ended."""
    with with_room(stack.postgres):
        for name in ENVIRONMENTS:
            stack.postgres.drop_database(database(name))
            copy_template(stack.postgres, name)


def refill_buckets(stack: Stack) -> None:
    """Add missing objects. Existing ones are not compared: the product never changes them."""
    stored_keys = {name: set(stack.storage.keys(bucket(name))) for name in ENVIRONMENTS}
    if {name: _digest(keys) for name, keys in stored_keys.items()} == _remembered(stack):
        return
    clinic = generate(stack.scale, stack.seed)
    for name in ENVIRONMENTS:
        missing = [stored for stored in clinic.objects(name) if stored.key not in stored_keys[name]]
        stack.storage.fill(bucket(name), missing)


def make_template(postgres: Postgres, name: str, tables: Mapping[str, Rows]) -> None:
    """A database of the reference schema with these rows, which nobody can change: a template.

    Everything in it belongs to ``OWNER``, the application's role; ``ROLE`` gets what it needs.

    Raises:
        SandboxError: the rows do not fit the schema. The database is there, without a table.
    """
    postgres.create_database(name, owner=OWNER)
    with postgres.connect(name, OWNER, autocommit=False) as connection:
        connection.execute(_schema())
        for table, (columns, rows) in tables.items():
            with _scrubbed(table):
                _copy(connection, table, columns, rows)
        with _scrubbed("all tables"):
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        _set_sequences(connection)
    with postgres.connect(name, OWNER) as connection:
        connection.execute("VACUUM (ANALYZE)")
    grant(postgres, name)
    with postgres.connect() as connection:
        closed = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name))
        connection.execute(closed)


def _schema() -> bytes:
    return Path(__file__).with_name("schema.sql").read_bytes()


def _copy(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def with_room(postgres: Postgres) -> Iterator[None]:
    """A full disk of the server is told as one."""
    try:
        yield
    except psycopg.errors.DiskFull:
        raise SandboxError(
            "the disk on which PostgreSQL holds the made-up clinic is full",
            where=str(postgres.home),
            state="the sandbox is not complete",
            next="free some space there (df -h); then run nexus-reimport sandbox up again",
        ) from None


@contextmanager
def _scrubbed(what: str) -> Iterator[None]:
    """Names instead of the values that PostgreSQL quotes."""
    try:
        yield
    except psycopg.errors.DiskFull:
        raise
    except psycopg.Error as error:
        raise SandboxError(
            f"{what}: PostgreSQL refused made-up rows with SQLSTATE {error.sqlstate}",
            where=f"table={error.diag.table_name}, column={error.diag.column_name}, "
            f"constraint={error.diag.constraint_name}",
            state="the sandbox is not complete",
            next="fix the generator of the clinic, then run nexus-reimport sandbox up again",
        ) from None


def _set_sequences(connection: Connection) -> None:
    """Let identities go on after the rows that brought their own."""
    identities = connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND is_identity = 'YES'"
    ).fetchall()
    statement = sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), max({})) FROM {}")
    for table, column in identities:
        names = (sql.Identifier(str(column)), sql.Identifier(str(table)))
        connection.execute(statement.format(sql.Literal(table), sql.Literal(column), *names))


def grant(
    postgres: Postgres, database: str, mapping: FieldMapping | None = None
) -> tuple[str, ...]:
    """Give ``ROLE`` the rights that the product lists, by the statements that it prints."""
    spec = mapping or mappings.load("nexus")
    with postgres.connect(database, ROLE) as connection:
        connection.execute("SET search_path = pg_catalog")
        lacking = [right for right in rights.read(connection, spec) if not right.held]
    statements = tuple(one.grant for one in rights.lines(lacking))
    with postgres.connect(database) as administrator:
        for given in statements:
            administrator.execute(given.encode())
    return statements


def copy_template(server: Postgres, name: str) -> None:
    """A copy of a template: what is granted on the database itself is no part of it."""
    server.create_database(database(name), template=template(name), owner=OWNER)
    grant(server, database(name))
    with server.connect(database(name), ROLE) as connection:
        deployment.adopt(connection, f"sandbox-{name}")


def _fill_buckets(stack: Stack, clinic: Clinic) -> None:
    digests = {}
    for name in ENVIRONMENTS:
        objects = clinic.objects(name)
        stack.storage.fill(bucket(name), objects)
        digests[name] = _digest(stored.key for stored in objects)
    (stack.folder / _KEYS).write_text(json.dumps(digests))


def _remembered(stack: Stack) -> dict[str, str]:
    held: dict[str, str] = json.loads((stack.folder / _KEYS).read_text())
    return held


def _digest(keys: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(sorted(keys)).encode()).hexdigest()
