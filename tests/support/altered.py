"""The second installation with a different schema: what PostgreSQL can hold, and do by itself."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nexus_reimport import runbook
from nexus_reimport.model import Report
from nexus_sandbox.clinic import StoredObject
from nexus_sandbox.filemaker.simulator import Simulator
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support import SUPPORT
from support.clinic import OWNER, approved, finished, planned
from support.second_installation import ENVIRONMENT, SCHEMA, adopt, filemaker, set_variables

KEYS = ("scans/1.pdf", "scans/2.pdf", "scans/3.pdf", "uploads/4.pdf")
_number = itertools.count(1)
# What a schema may have more, and what somebody makes in it.
MORE = (
    SCHEMA
    + """
SET CONSTRAINTS ALL IMMEDIATE;
CREATE SCHEMA "Other One";
GRANT UPDATE ON practice.site, practice.person TO PUBLIC;
GRANT ALL ON SCHEMA "Other One" TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Other One" GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Other One" GRANT ALL ON SEQUENCES TO PUBLIC;
CREATE TABLE "Other One".log (n integer);
CREATE SEQUENCE "Other One".numbers;
CREATE TABLE "Other One".parts (n integer) PARTITION BY RANGE (n);
CREATE TABLE "Other One".low PARTITION OF "Other One".parts DEFAULT;
CREATE FUNCTION practice.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER asleep BEFORE INSERT ON practice.person
    FOR EACH ROW EXECUTE FUNCTION practice.nothing();
ALTER TABLE practice.person DISABLE TRIGGER asleep;
ALTER TABLE practice.visit ADD CONSTRAINT in_order CHECK (ends IS NULL OR ends >= starts);
CREATE POLICY all_of_them ON practice.person USING (true);
ALTER TABLE practice.person ADD "bmi%" numeric DEFAULT 1, ADD "a""b" text DEFAULT 'x',
    ADD "c:d" text DEFAULT 'y', ADD "%s" text DEFAULT 'z', ADD "{0}" text DEFAULT 'w';
ALTER TABLE practice.document ADD "100%" integer DEFAULT 3;
CREATE TABLE "Other One"."odd %(s)s {x} ""t" ("p%" integer REFERENCES practice.person DEFERRABLE);
INSERT INTO "Other One"."odd %(s)s {x} ""t" SELECT min(id) FROM practice.person;
"""
)
WEARS = (
    'CREATE TABLE "Other One"."Wears it" (n serial, person integer REFERENCES practice.person {});'
)
CASCADE = (
    WEARS.format("ON DELETE CASCADE")
    + """INSERT INTO "Other One"."Wears it" (person) SELECT 1 FROM generate_series(1, 86)"""
)


@dataclass(slots=True)
class Altered:
    """One database with the altered schema: as the application's role, and as the superuser."""

    server: PostgresServer
    database: str
    connection: psycopg.Connection[Any]
    admin: psycopg.Connection[Any]
    folder: Path
    simulator: Simulator

    def do(self, statement: str, *, admin: bool = False) -> None:
        """Execute, as the application's role or as the superuser."""
        (self.admin if admin else self.connection).execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.connection.execute(query).fetchall()

    def state(self) -> dict[str, str]:
        """A digest of every table of every schema but our own, by the test's own query."""
        tables = self.admin.execute(
            "SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = relnamespace WHERE relkind = 'r' AND nspname !~ '^(pg_|information|nexus)'"
        ).fetchall()
        return {
            table: self.admin.execute(
                f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} AS t"
            ).fetchone()[0]
            for (table,) in tables
        }

    def begun(self) -> runbook.Runbook:
        """A run up to its plan."""
        return planned("second")

    def checked(self) -> tuple[runbook.Runbook, Report]:
        """A run up to the checks before."""
        book = self.begun()
        return book, book.check_before()

    def approved(self, *, dry: bool = False) -> runbook.Runbook:
        """A run up to its approval; a ``dry`` one is not about its rehearsal."""
        return approved(*self.checked(), self.server if dry else None)

    def whole(self, *, dry: bool = False) -> runbook.Runbook:
        """A run to its end, sealed."""
        return finished(self.approved(dry=dry))

    def next_person(self) -> int:
        """The id of a person whom the application adds."""
        row = self.connection.execute(
            "INSERT INTO practice.person (given, family) VALUES ('a', 'b') RETURNING id"
        ).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def altered(
    postgres: PostgresServer, s3: S3Server, folder: Path, schema: str = SCHEMA, admin: str = ""
) -> Iterator[Altered]:
    """The installation with this schema; what ``admin`` says is done by the superuser."""
    database = f"altered_{next(_number)}"
    postgres.create_database(database, owner=OWNER)
    s3.access.fill("second-installation", [StoredObject(key, b"x") for key in KEYS])
    folder.mkdir(exist_ok=True)
    shutil.copy(SUPPORT / "second_installation.toml", folder)
    with (
        Simulator(filemaker(), password="opensesame") as simulator,
        psycopg.connect(postgres.dsn(database, OWNER), autocommit=True) as connection,
        psycopg.connect(postgres.dsn(database), autocommit=True) as superuser,
        pytest.MonkeyPatch.context() as patch,
    ):
        connection.execute(schema)
        if admin:
            superuser.execute(admin)
        adopt(postgres, database, folder)
        text = ENVIRONMENT.format(
            url=simulator.url, endpoint=s3.access.endpoint, channel="data_api"
        )
        (folder / "second.toml").write_text(
            text.replace('database = "second"', f'database = "{database}"')
        )
        set_variables(patch, folder, postgres, s3)
        yield Altered(postgres, database, connection, superuser, folder, simulator)
    postgres.drop_database(database)
