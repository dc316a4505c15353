"""What PostgreSQL says of its own disk is told as such, and as nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from nexus_reimport import disks
from nexus_reimport.errors import Denied, SandboxError, TargetError
from nexus_reimport.nexus.connection import pg_tools
from nexus_reimport.nexus.connection.driver_errors import scrubbed
from nexus_reimport.settings import Postgres
from nexus_sandbox.postgres import home
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.stack import fill

OURS = partial(scrubbed, "here", "as it was")


@contextmanager
def session(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        yield connection


def test_a_full_disk_of_the_server_is_told_as_the_servers(postgres: PostgresServer) -> None:
    with session(postgres) as connection, pytest.raises(TargetError) as told, OURS():
        connection.execute("COPY pg_class TO '/dev/full'")
    assert told.value.what == f"{disks.FULL.servers_what}: SQLSTATE 53100 (DiskFull)"
    assert told.value.next == f"{disks.FULL.servers_fix}, then run this step again"


@pytest.mark.parametrize("value", ["a: Input/output error", "No space left on device"])
def test_a_value_that_reads_like_a_disk_is_none(postgres: PostgresServer, value: str) -> None:
    refused = pytest.raises(TargetError, match="SQLSTATE 22P02")
    with session(postgres) as connection, refused, OURS():
        connection.execute("SELECT %s::int", [value])


@pytest.mark.parametrize(
    ("statement", "says", "todo"),
    [
        ("SELECT 'x'::int", "22P02", "or in FileMaker and begin with 01_preflight"),
        ("SELECT 1/0", "22012", "a value has another form"),
        ("CREATE TEMP TABLE t (a int UNIQUE); INSERT INTO t VALUES (1), (1)", "23505", "breaks"),
        ("DO $$BEGIN RAISE EXCEPTION 'no'; END$$", "P0001", "a function or a trigger"),
        ("SELECT * FROM nowhere", "42P01", "such as during a migration"),
        ("SELECT nothing FROM pg_class", "42703", "nexus-reimport doctor compares them"),
        ("DO $$BEGIN RAISE SQLSTATE '40P01'; END$$", "40P01", "another session was in the way"),
        ("DO $$BEGIN RAISE SQLSTATE '53400'; END$$", "53400", "give it more of that"),
        ("DO $$BEGIN RAISE SQLSTATE '55006'; END$$", "55006", "is in use"),
        ("DO $$BEGIN RAISE SQLSTATE 'XX001'; END$$", "XX001", "before anything is executed"),
        ("DO $$BEGIN RAISE SQLSTATE 'ZZ123'; END$$", "ZZ123", "PostgreSQL's manual the SQLSTATE"),
    ],
)
def test_of_each_refusal_it_is_told_what_to_do(
    postgres: PostgresServer, statement: str, says: str, todo: str
) -> None:
    """ "Look up the SQLSTATE" was the advice for all of them, at night."""
    with session(postgres) as connection, pytest.raises(TargetError) as told, OURS():
        connection.execute(statement)
    assert f"SQLSTATE {says} (" in told.value.what
    assert told.value.state == "as it was"
    assert todo in told.value.next


@pytest.mark.parametrize(
    ("state", "what"),
    [
        ("53100", disks.FULL.servers_what),
        ("58030", disks.FAILED.servers_what),
    ],
)
def test_of_a_server_that_speaks_another_language_the_sqlstate_counts(
    postgres: PostgresServer, state: str, what: str
) -> None:
    with session(postgres) as connection, pytest.raises(TargetError, match=what):
        raised(connection, "auf dem Gerät ist kein Speicherplatz mehr verfügbar", state)


def test_a_file_that_the_server_may_not_open_is_no_missing_right_of_the_role(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """PostgreSQL has one SQLSTATE for both, so the role was to be granted a right."""
    postgres.create_database("closed")
    with psycopg.connect(postgres.dsn("closed"), autocommit=True) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a; CHECKPOINT")
        (name,) = connection.execute("SELECT pg_relation_filepath('t')").fetchone()
    file = postgres.access.data / name
    file.chmod(0)
    target = Postgres.model_construct(
        host="127.0.0.1",
        port=postgres.port,
        user="postgres",
        database="closed",
        sslmode="disable",
        password=SecretStr(postgres.access.passwords["postgres"]),
    )
    try:
        with psycopg.connect(postgres.dsn("closed"), autocommit=True) as connection:
            for language in ("C", "de_DE.UTF-8"):
                with suppress(psycopg.Error):  # a language that the server does not have
                    connection.execute(f"SET lc_messages = '{language}'")
                with pytest.raises(TargetError) as told, OURS():
                    connection.execute("TABLE t")
                assert told.value.what == (
                    f"{disks.FORBIDDEN.servers_what}: SQLSTATE 42501 (InsufficientPrivilege)"
                )
                assert not isinstance(told.value, Denied)
        with pytest.raises(TargetError, match=disks.FORBIDDEN.servers_what) as told:
            pg_tools.run([home.binaries() / "pg_dump", "--table=t"], target, tmp_path / "dump.log")
        assert "chown" in told.value.next
    finally:
        file.chmod(0o600)
        postgres.drop_database("closed")


def test_what_a_function_says_of_a_disk_is_not_believed(postgres: PostgresServer) -> None:
    with session(postgres) as connection, pytest.raises(Denied):
        raised(connection, "could not write: Read-only file system", "42501")


def test_the_made_up_clinic_says_it_too(postgres: PostgresServer) -> None:
    """It was an unforeseen DiskFull, to be reported."""
    full = pytest.raises(SandboxError, match="is full")
    with session(postgres) as connection, full as told, fill.with_room(postgres.access):
        connection.execute("COPY pg_class TO '/dev/full'")
    assert told.value.where == str(postgres.access.home)


def raised(connection: psycopg.Connection, message: str, state: str) -> None:
    statement = sql.SQL("DO $$ BEGIN RAISE EXCEPTION {} USING ERRCODE = {}; END $$")
    with OURS():
        connection.execute(statement.format(sql.Literal(message), sql.Literal(state)))
