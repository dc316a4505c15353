"""A full dump, and CSVs of what will be wiped, of one exported snapshot; private."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from psycopg import sql

from nexus_reimport.errors import StopError
from nexus_reimport.files import private
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Backup
from nexus_reimport.nexus import contents, pg_tools, scratch
from nexus_reimport.nexus.fingerprint import Fingerprint
from nexus_reimport.nexus.postgres import Connection, connected, scalar, statement, table_name
from nexus_reimport.nexus.registry import UNDO_PREFIX
from nexus_reimport.settings import Postgres

DUMP = "nexus.dump"
LOG = "pg_dump.log"
# Lines of pg_restore's list: what only a superuser makes, and who may do what.
_OF_A_SUPERUSER = r"^\d+; \d+ \d+ (?:COMMENT - )?(?:EVENT TRIGGER|PUBLICATION) "
# What hides rows, and what is made of other rows: a copy to look at does without.
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
    """The dump of the exported snapshot, read back once, and one CSV per wiped table.

    ``connection`` is inside that snapshot; fingerprints of whole tables that are ``known`` of it
    are not computed again. Undo data of earlier runs is not dumped: it is large, and a restored
    database could not be taken back with it. Source: PostgreSQL, pg_dump, ``--snapshot``.

    Raises:
        TargetError: no client of the server's major version, or the dump failed. Nothing was
            written but private files.
    """
    private.make_folder(folder)
    server = str(scalar(connection, "SHOW server_version"))
    binaries = pg_tools.folder(server, target.binaries)
    dump = folder / DUMP
    pg_tools.run(
        [
            binaries / "pg_dump",
            "--format=custom",
            "--compress=1",
            f"--snapshot={snapshot_id}",
            f"--exclude-schema={UNDO_PREFIX}*",
            "--no-password",
            f"--file={dump}",
            f"--lock-wait-timeout={pg_tools.LOCK_WAIT * 1000}",
        ],
        target,
        folder / LOG,
        lambda: connection.execute("SELECT 1"),  # our snapshot does not stand idle meanwhile
    )
    dump.chmod(private.FILE)
    listing = pg_tools.run([binaries / "pg_restore", "--list", dump], target, folder / LOG)
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
        owners=_listed(connection, "owners"),
        tablespaces=_listed(connection, "tablespaces"),
    )


def restore(backup: Backup, folder: Path, into: Postgres, *, to_look_at: bool) -> tuple[str, ...]:
    """The dump into an empty database; the extensions that were left out.

    It stops at the first statement that is refused. The copy belongs to the role that restores, and
    nobody is granted anything: ``left_to_do`` gives what makes up for it. Extensions that no table
    needs are left out of a copy ``to_look_at``, and of any where the role is no superuser; policies
    and what materialized views hold, of a copy to look at.

    Raises:
        StopError: the dump is not the one that was written.
        TargetError: it cannot be restored; why is in the private folder.
    """
    dump = folder / backup.dump
    if not dump.is_file() or private.sha256_of(dump) != backup.dump_sha256:
        raise StopError(
            f"{backup.dump} is {'not there' if not dump.is_file() else 'not what was written'}",
            where="the run's private folder",
            next="take another run's dump, or run 01_preflight again for a new one",
        )
    binaries = pg_tools.folder(backup.server_version, into.binaries)
    listed = pg_tools.run([binaries / "pg_restore", "--list", dump], into, folder / LOG)
    with connected(into) as connection:
        is_superuser = bool(scalar(connection, statement("is_superuser")))
    without = left_out(backup) if to_look_at or not is_superuser else ()
    patterns = (*_lines_of(without), _OF_A_SUPERUSER, *([_NOT_TO_LOOK_AT] * to_look_at))
    chosen = _chosen(folder, _without(listed, *patterns))
    command: list[str | Path] = [
        binaries / "pg_restore",
        "--exit-on-error",
        "--no-password",
        "--jobs=2",
        "--no-owner",
        "--no-privileges",
        "--no-publications",
        "--no-subscriptions",
        "--no-tablespaces",
        f"--use-list={chosen}",
    ]
    if to_look_at:
        command.append("--no-security-labels")
    pg_tools.run([*command, f"--dbname={into.database}", dump], into, folder / "pg_restore.log")
    return without


def left_to_do(
    backup: Backup, folder: Path, into: Postgres, without: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The statements of the dump that ``restore`` has left to an administrator, by pg_restore.

    First the extensions that it went ``without``. Then, for when the owners have been set: grants,
    default privileges, publications, event triggers.
    """
    listed = pg_tools.run(
        [
            pg_tools.folder(backup.server_version, into.binaries) / "pg_restore",
            "--list",
            folder / backup.dump,
        ],
        into,
        folder / LOG,
    )
    return (
        _printed(backup, folder, into, _only(listed, *_lines_of(without))),
        _printed(backup, folder, into, _only(listed, _GRANTS, _OF_A_SUPERUSER)),
    )


def _printed(backup: Backup, folder: Path, into: Postgres, listing: str) -> tuple[str, ...]:
    """The statements of the dump that ``listing`` names."""
    if not listing:
        return ()
    command: list[str | Path] = [
        pg_tools.folder(backup.server_version, into.binaries) / "pg_restore",
        f"--use-list={_chosen(folder, listing)}",
        "--no-subscriptions",
        "--file=-",
        folder / backup.dump,
    ]
    return tuple(_statements(pg_tools.run(command, into, folder / "pg_restore.log")))


def _statements(printed: str) -> Iterator[str]:
    """The statements of a script of pg_restore's, without those that only set its session.

    A grant that somebody made who is not the owner is made by the owner: the right is the same.
    """
    statement = ""
    for line in printed.splitlines():
        if not statement and (not line or line.startswith(_OF_THE_SESSION)):
            continue
        statement += ("\n" if statement else "") + line
        if line.endswith(";"):
            yield statement
            statement = ""


def _listed(connection: Connection, name: str) -> tuple[tuple[str, str, str], ...]:
    rows = connection.execute(statement(name), {"undo": UNDO_PREFIX}).fetchall()
    return tuple((str(kind), str(place), str(whose)) for kind, place, whose in rows)


def left_out(backup: Backup) -> tuple[str, ...]:
    """The extensions that no table needs: a copy does without them."""
    return tuple(name for name, needed in sorted(backup.extensions.items()) if not needed)


def _lines_of(extensions: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns of the lines of pg_restore's list that make, or comment on, these extensions."""
    return tuple(
        rf"^\d+; \d+ \d+ (?:EXTENSION - {re.escape(n)} |COMMENT - EXTENSION {re.escape(n)} )"
        for n in extensions
    )


def _only(listing: str, *patterns: str) -> str:
    """The lines of pg_restore's own list that one of ``patterns`` finds."""
    wanted = re.compile("|".join(patterns)) if patterns else re.compile("$^")
    return "".join(line for line in listing.splitlines(keepends=True) if wanted.search(line))


def _without(listing: str, *patterns: str) -> str:
    """pg_restore's own list without those lines."""
    unwanted = re.compile("|".join(patterns))
    return "".join(line for line in listing.splitlines(keepends=True) if not unwanted.search(line))


def _chosen(folder: Path, listing: str) -> Path:
    """A list for pg_restore, private."""
    chosen = folder / "restore.list"
    private.replace(chosen, listing.encode())
    return chosen


def _csv(connection: Connection, schema: str, table: str, path: Path) -> int:
    """One table as CSV with a header, every value exactly as PostgreSQL prints it; how many rows.

    A backup, which COPY reads back: no mark, and no guard against what a spreadsheet computes.
    """
    command = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT csv, HEADER true)")
    path.unlink(missing_ok=True)
    with (
        private.create(path) as file,
        connection.cursor() as cursor,
    ):
        with cursor.copy(command.format(table_name(schema, table))) as copy:
            for block in copy:
                file.write(block)
        return cursor.rowcount
