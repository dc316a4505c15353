"""A full dump, and CSVs of the tables that will be wiped, from one exported snapshot; private."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from psycopg import sql

from nexus_reimport import progress
from nexus_reimport.errors import StopError
from nexus_reimport.files import private
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Backup
from nexus_reimport.nexus.connection import pg_tools, scratch
from nexus_reimport.nexus.connection.postgres import (
    Connection,
    connected,
    scalar,
    statement,
    table_name,
)
from nexus_reimport.nexus.reading import contents
from nexus_reimport.nexus.registry import UNDO_PREFIX
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.settings import Postgres

DUMP = "nexus.dump"
# What each program has said: a later one must not write over it.
DUMP_LOG, LIST_LOG = "pg_dump.log", "pg_restore_list.log"
RESTORE_LOG, PRINT_LOG = "pg_restore.log", "pg_restore_print.log"
_LARGE = 16 << 20  # bytes of a dump, compressed: about three times the real clinic's
# Lines of pg_restore's list. Only a superuser may make these:
_OF_A_SUPERUSER = r"^\d+; \d+ \d+ (?:COMMENT - )?(?:EVENT TRIGGER|PUBLICATION) "
# A copy to look at has no policies, which hide rows, and nothing that is made from other rows:
_NOT_TO_LOOK_AT = (
    r"^\d+; \d+ \d+ (?:COMMENT - )?"
    r"(?:POLICY|ROW SECURITY|MATERIALIZED VIEW DATA|STATISTICS) "
)
_GRANTS = r"^\d+; \d+ \d+ (?:DEFAULT )?ACL "
_OF_THE_SESSION = ("--", "\\", "SET ", "RESET ", "SELECT pg_catalog.set_config")


def take(
    connection: Connection,
    snapshot_id: str,
    target: Postgres,
    mapping: FieldMapping,
    folder: Path,
    known: Mapping[str, Fingerprint],
) -> Backup:
    """A dump of the exported snapshot, and one CSV per wiped table.

    ``connection`` is inside that snapshot; fingerprints of whole tables that are ``known`` are not
    computed again. Undo data of earlier runs is not dumped: it is large, and a restored
    database cannot be rolled back with it. Source: PostgreSQL, pg_dump, ``--snapshot``.

    Raises:
        TargetError: there is no client of the server's major version, or the dump failed. Only
            private files were written.
    """
    private.make_folder(folder)
    server = str(scalar(connection, "SHOW server_version"))
    # pg_dump refuses a newer server, and an older server cannot read a newer dump
    binaries = pg_tools.folder(server, target.binaries)
    dump = folder / DUMP
    progress.tell(0, 0, "pg_dump")
    pg_tools.run(
        [
            binaries / "pg_dump",
            "--format=custom",  # pg_restore can choose from it, and restore in parallel
            "--compress=1",
            f"--snapshot={snapshot_id}",
            f"--exclude-schema={UNDO_PREFIX}*",
            # Otherwise it would ask at the terminal, and wait.
            "--no-password",
            f"--file={dump}",
            # whoever comes after a waiting pg_dump would wait as well
            f"--lock-wait-timeout={pg_tools.LOCK_WAIT * 1000}",
        ],
        target,
        folder / DUMP_LOG,
        # The server ends a session that is idle in its transaction.
        lambda: connection.execute("SELECT 1"),
    )
    dump.chmod(private.FILE)
    listing = _listing(binaries, dump, target)
    return Backup(
        dump=DUMP,
        dump_bytes=dump.stat().st_size,
        dump_sha256=private.sha256_of(dump),
        tables_in_dump=len(re.findall(r" TABLE DATA ", listing)),
        server_version=server,
        client_version=pg_tools.version(binaries),
        csv_rows={
            f"{entity.table}.csv": _csv(
                connection, mapping.schema_name, entity.table, folder / f"{entity.table}.csv"
            )
            for entity in mapping.entities.values()
        },
        contents=contents.read(connection, known),
        shape=scratch.shape(connection),
        extensions=dict(connection.execute(statement("extensions")).fetchall()),
        owners=contents.listed(connection, "owners"),
        tablespaces=contents.listed(connection, "tablespaces"),
    )


def restore(backup: Backup, folder: Path, into: Postgres, *, to_look_at: bool) -> tuple[str, ...]:
    """Restore the dump into an empty database; gives the extensions that were left out.

    It stops at the first statement that PostgreSQL refuses. The copy belongs to the role that
    restores, without any grant: ``left_to_do`` gives the statements for an administrator.
    Extensions that no table needs are left out of a copy ``to_look_at``, and of every copy if the
    role is not a superuser. A copy to look at also has no policies, and its materialized views are
    empty.

    Raises:
        StopError: the dump is missing or was changed. Nothing was written.
        TargetError: PostgreSQL refused a statement; the private folder holds its log. The database
            to restore into is incomplete.
    """
    dump = folder / backup.dump
    if not dump.is_file() or private.sha256_of(dump) != backup.dump_sha256:
        raise StopError(
            f"{backup.dump} is {'missing' if not dump.is_file() else 'not what was written'}",
            where="the run's private folder",
            next="use another run's dump, or run 01_preflight again for a new one",
        )
    binaries = pg_tools.folder(backup.server_version, into.binaries)
    listed = _listing(binaries, dump, into)
    with connected(into) as connection:
        is_superuser = bool(scalar(connection, statement("is_superuser")))
    without = left_out(backup) if to_look_at or not is_superuser else ()
    patterns = (*_lines_of(without), _OF_A_SUPERUSER, *([_NOT_TO_LOOK_AT] * to_look_at))
    chosen = _chosen(folder, _without(listed, *patterns))
    command: list[str | Path] = [
        binaries / "pg_restore",
        "--exit-on-error",  # a copy that is restored in part would prove nothing
        "--no-password",
        f"--jobs={_jobs(backup)}",
        # Only a superuser, or a member of every owner, could set these.
        "--no-owner",
        "--no-privileges",
        # A copy has nobody to send its changes to.
        "--no-publications",
        # A copy that subscribes would take in what another server sends.
        "--no-subscriptions",
        # Another server has other tablespaces.
        "--no-tablespaces",
        f"--use-list={chosen}",
    ]
    if to_look_at:
        # A label whose provider this server has not loaded would stop the restore.
        command.append("--no-security-labels")
    pg_tools.run([*command, f"--dbname={into.database}", dump], into, folder / RESTORE_LOG)
    return without


def _listing(binaries: Path, dump: Path, target: Postgres) -> str:
    """What a dump holds, as pg_restore lists it and takes it again."""
    log = dump.with_name(LIST_LOG)
    return pg_tools.run([binaries / "pg_restore", "--list", dump], target, log)


def _jobs(backup: Backup) -> int:
    """How many processes restore a dump: more than one only where they gain more than they cost.

    Each connects, learns the schema, and makes every table twice (TRUNCATE, then COPY): of a small
    dump that is half of the work.
    """
    return 2 if backup.dump_bytes >= _LARGE else 1


def left_to_do(
    backup: Backup, folder: Path, into: Postgres, without: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The statements that ``restore`` left to an administrator, as pg_restore prints them.

    First those for the extensions that it went ``without``. Then those to run after the owners are
    set: grants, default privileges, publications, event triggers.
    """
    binaries = pg_tools.folder(backup.server_version, into.binaries)
    listed = _listing(binaries, folder / backup.dump, into)
    return (
        _printed(backup, folder, into, _only(listed, *_lines_of(without))),
        _printed(backup, folder, into, _only(listed, _GRANTS, _OF_A_SUPERUSER)),
    )


def _printed(backup: Backup, folder: Path, into: Postgres, listing: str) -> tuple[str, ...]:
    """The statements of the dump for the lines of ``listing``."""
    if not listing:
        return ()
    command: list[str | Path] = [
        pg_tools.folder(backup.server_version, into.binaries) / "pg_restore",
        f"--use-list={_chosen(folder, listing)}",
        "--no-subscriptions",
        "--file=-",
        folder / backup.dump,
    ]
    return tuple(_statements(pg_tools.run(command, into, folder / PRINT_LOG)))


def _statements(printed: str) -> Iterator[str]:
    """The statements of a pg_restore script, without those that only set its session.

    The session lines would also switch to the role that made each grant. Without them the owner
    makes every grant: the right is the same.
    """
    statement = ""
    for line in printed.splitlines():
        if not statement and (not line or line.startswith(_OF_THE_SESSION)):
            continue
        statement += ("\n" if statement else "") + line
        if line.endswith(";"):
            yield statement
            statement = ""


def left_out(backup: Backup) -> tuple[str, ...]:
    """The extensions that no table needs: a copy can do without them."""
    return tuple(name for name, needed in sorted(backup.extensions.items()) if not needed)


def _lines_of(extensions: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns for the lines of pg_restore's list that create, or comment on, these extensions."""
    return tuple(
        rf"^\d+; \d+ \d+ (?:EXTENSION - {re.escape(n)} |COMMENT - EXTENSION {re.escape(n)} )"
        for n in extensions
    )


def _only(listing: str, *patterns: str) -> str:
    """The lines of pg_restore's list that match one of ``patterns``."""
    wanted = re.compile("|".join(patterns)) if patterns else re.compile("(?!)")  # matches nothing
    return "".join(line for line in listing.splitlines(keepends=True) if wanted.search(line))


def _without(listing: str, *patterns: str) -> str:
    """The lines of pg_restore's list that match none of ``patterns``."""
    unwanted = re.compile("|".join(patterns))
    return "".join(line for line in listing.splitlines(keepends=True) if not unwanted.search(line))


def _chosen(folder: Path, listing: str) -> Path:
    """A private file with a list for pg_restore."""
    chosen = folder / "restore.list"
    private.replace(chosen, listing.encode())
    return chosen


def _csv(connection: Connection, schema: str, table: str, path: Path) -> int:
    """Write one table as CSV with a header, every value as PostgreSQL prints it; gives its rows.

    COPY must be able to read it back, so there is no byte order mark, and no apostrophe before
    text that a spreadsheet would compute.
    """
    command = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT csv, HEADER true)")
    # Of a step that was run before: a private file is only ever made, never written into.
    path.unlink(missing_ok=True)
    progress.tell(0, 0, path.name)
    with (
        private.named(path),
        private.create(path) as file,
        connection.cursor() as cursor,
    ):
        with cursor.copy(command.format(table_name(schema, table))) as copy:
            for block in copy:
                file.write(block)
        return cursor.rowcount
