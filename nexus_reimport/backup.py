"""A full dump, and CSVs of what will be wiped, of one exported snapshot; private."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping as Map
from pathlib import Path

from psycopg import sql

from nexus_reimport.errors import StopError
from nexus_reimport.mapping import Mapping
from nexus_reimport.model import Backup
from nexus_reimport.settings import Postgres
from nexus_reimport.target import contents, programs, scratch
from nexus_reimport.target.fingerprint import Fingerprint
from nexus_reimport.target.own import UNDO_PREFIX
from nexus_reimport.target.postgres import (
    Connection,
    connected,
    scalar,
    statement,
    table_name,
)

DUMP = "nexus.dump"
LOG = "pg_dump.log"


def take(
    connection: Connection,
    snapshot_id: str,
    target: Postgres,
    mapping: Mapping,
    folder: Path,
    known: Map[str, Fingerprint],
) -> Backup:
    """The dump of the exported snapshot, read back once, and one CSV per wiped table.

    ``connection`` is inside that snapshot; fingerprints of whole tables that are ``known`` of it
    are not computed again. Undo data of earlier runs is not dumped: it is large, and a restored
    database could not be taken back with it. Source: PostgreSQL, pg_dump, ``--snapshot``.

    Raises:
        TargetError: no client of the server's major version, or the dump failed. Nothing was
            written but private files.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = str(scalar(connection, "SHOW server_version"))
    binaries = programs.folder(server, target.binaries)
    dump = folder / DUMP
    programs.run(
        [binaries / "pg_dump", "--format=custom", "--compress=1", f"--snapshot={snapshot_id}",
         f"--exclude-schema={UNDO_PREFIX}*", "--no-password", f"--file={dump}",
         f"--lock-wait-timeout={programs.LOCK_WAIT * 1000}"],
        target, folder / LOG,
        lambda: connection.execute("SELECT 1"),  # our snapshot does not stand idle meanwhile
    )  # fmt: skip
    dump.chmod(0o600)
    listing = programs.run([binaries / "pg_restore", "--list", dump], target, folder / LOG)
    return Backup(
        dump=DUMP,
        dump_bytes=dump.stat().st_size,
        dump_sha256=_sha256(dump),
        tables_in_dump=len(re.findall(r" TABLE DATA ", listing)),
        server_version=server,
        client_version=programs.version(binaries),
        csv_rows={
            f"{entity.table}.csv": _csv(
                connection, mapping.schema_name, entity.table, folder / f"{entity.table}.csv"
            )
            for entity in mapping.entities.values()
        },
        contents=contents.read(connection, known),
        shape=scratch.shape(connection),
        extensions=dict(connection.execute(statement("extensions")).fetchall()),
    )


def restore(backup: Backup, folder: Path, into: Postgres, *, to_look_at: bool) -> tuple[str, ...]:
    """The dump into an empty database; the extensions that were left out.

    It stops at the first statement that is refused. A copy ``to_look_at`` belongs to the role that
    restores, extensions that no table needs are left out, and nobody is granted anything. Otherwise
    it is the database as it was, its owners included where the role may give things away.

    Raises:
        StopError: the dump is not the one that was written.
        TargetError: it cannot be restored; why is in the private folder.
    """
    dump = folder / backup.dump
    if not dump.is_file() or _sha256(dump) != backup.dump_sha256:
        raise StopError(
            f"{backup.dump} is {'not there' if not dump.is_file() else 'not what was written'}",
            where="the run's private folder",
            next="take another run's dump, or run 01_preflight again for a new one",
        )
    binaries = programs.folder(backup.server_version, into.binaries)
    listed = programs.run([binaries / "pg_restore", "--list", dump], into, folder / LOG)
    with connected(into) as connection:
        is_superuser = bool(scalar(connection, statement("is_superuser")))
        owners = set(re.findall(r"^\d+; \d+ \d+ .* (\S+)$", listed, flags=re.MULTILINE))
        may_give_away = all(_is_member(connection, owner) for owner in owners)
    without = left_out(backup) if to_look_at or not is_superuser else ()
    chosen = folder / "restore.list"
    chosen.touch(mode=0o600)
    chosen.write_text(_without_extensions(listed, without), encoding="utf-8")
    command: list[str | Path] = [
        binaries / "pg_restore", "--exit-on-error", "--no-password", "--jobs=2",
        "--no-publications", "--no-subscriptions", "--no-tablespaces", f"--use-list={chosen}",
    ]  # fmt: skip
    if to_look_at or not may_give_away:
        command.append("--no-owner")
    if to_look_at:
        command += ["--no-privileges", "--no-security-labels"]
    programs.run([*command, f"--dbname={into.database}", dump], into, folder / "pg_restore.log")
    return without


def _is_member(connection: Connection, role: str) -> bool:
    query = "SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = %s"
    return bool(scalar(connection, query, (role,)))


def left_out(backup: Backup) -> tuple[str, ...]:
    """The extensions that no table needs: a copy does without them."""
    return tuple(name for name, needed in sorted(backup.extensions.items()) if not needed)


def _without_extensions(listing: str, names: tuple[str, ...]) -> str:
    """pg_restore's own list without the lines that make, or comment on, these extensions."""
    patterns = [
        rf"^\d+; \d+ \d+ (EXTENSION - {re.escape(n)} |COMMENT - EXTENSION {re.escape(n)} ).*\n"
        for n in names
    ]
    for pattern in patterns:
        listing = re.sub(pattern, "", listing, flags=re.MULTILINE)
    return listing


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _csv(connection: Connection, schema: str, table: str, path: Path) -> int:
    """One table as CSV with a header, every value exactly as PostgreSQL prints it; how many rows.

    A backup, which COPY reads back: no mark, and no guard against what a spreadsheet computes.
    """
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
