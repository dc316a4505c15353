"""PostgreSQL's own programs and commands alone: a dump, its restore, and plain COPY."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.clinic import KIND, Clinic
from benchmarks.meter import Cost, measuring
from nexus_reimport.nexus.connection import pg_tools
from nexus_reimport.nexus.connection.postgres import connected, scalar
from nexus_reimport.runbook import Runbook
from nexus_sandbox.postgres.access import SUPERUSER
from nexus_sandbox.stack.access import OWNER, database, template

_TABLES = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'"
_BARE = "bare_copy"


def measured(clinic: Clinic, book: Runbook) -> list[Cost]:
    """The dump, its restore, COPY of all tables out, and COPY of them into bare tables."""
    folder = clinic.folder / "tools"
    folder.mkdir()
    with connected(book.settings.postgres) as connection:
        version = str(scalar(connection, "SHOW server_version"))
    programs = pg_tools.folder(version, book.settings.postgres.binaries)
    dump = folder / "bare.dump"
    asked: list[str | Path] = [
        programs / "pg_dump",
        "--format=custom",
        "--compress=1",
        f"--file={dump}",
    ]
    costs = [_program(clinic, "pg_dump alone", asked, database(KIND), folder)]
    with _empty(clinic, "bare_restore") as name:
        into = ("--no-owner", "--no-privileges", f"--dbname={name}")
        given: list[str | Path] = [programs / "pg_restore", *into, dump]
        costs.append(_program(clinic, "pg_restore alone", given, name, folder))
    costs += _copies(clinic, folder)
    return costs


def _program(
    clinic: Clinic, name: str, command: list[str | Path], database: str, folder: Path
) -> Cost:
    server = clinic.stack.postgres
    environment = {
        "PATH": os.defpath,
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGDATABASE": database,
        "PGUSER": SUPERUSER,
        "PGPASSWORD": server.passwords[SUPERUSER],
    }
    with measuring(name, clinic.pids, folder) as cost:
        subprocess.run([str(part) for part in command], check=True, env=environment)
    cost.peak = 0  # it would be that of this process
    return cost


def _copies(clinic: Clinic, folder: Path) -> Iterator[Cost]:
    """All rows out as text, and the same texts into tables without any index."""
    server = clinic.stack.postgres
    with server.connect(database(KIND), OWNER) as source:
        tables = [str(name) for (name,) in source.execute(_TABLES).fetchall()]
        texts = {name: folder / f"{number}.copy" for number, name in enumerate(tables)}
        with measuring("plain COPY out", clinic.pids, folder) as out:
            for table, path in texts.items():
                with path.open("wb") as file, source.cursor() as cursor:
                    with cursor.copy(f"COPY {table} TO STDOUT".encode()) as copy:
                        for block in copy:
                            file.write(block)
                    out.rows += cursor.rowcount
    server.create_database(_BARE, template=template(KIND), owner=OWNER)
    try:
        with server.connect(_BARE, OWNER) as target:
            for number, table in enumerate(tables):
                create = f"CREATE TABLE public.bare_{number} AS SELECT * FROM {table} WITH NO DATA"
                target.execute(create.encode())
            with measuring("plain COPY in", clinic.pids) as into:
                for number, path in enumerate(texts.values()):
                    with path.open("rb") as file, target.cursor() as cursor:
                        with cursor.copy(f"COPY public.bare_{number} FROM STDIN".encode()) as copy:
                            while block := file.read(1 << 16):
                                copy.write(block)
                        into.rows += cursor.rowcount
        into.bytes, into.peak, out.peak = out.bytes, 0, 0
    finally:
        clinic.drop(_BARE)
    yield from (out, into)


@contextmanager
def _empty(clinic: Clinic, name: str) -> Iterator[str]:
    clinic.stack.postgres.create_database(name, owner=OWNER)
    try:
        yield name
    finally:
        clinic.drop(name)
