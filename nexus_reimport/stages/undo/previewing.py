"""What an undo would do now, found in a transaction that is rolled back."""

from __future__ import annotations

from pathlib import Path

from psycopg import sql

from nexus_reimport.events import null_journal
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import NewerDecision, RollbackPreview
from nexus_reimport.nexus import changes
from nexus_reimport.nexus.connection import waiters
from nexus_reimport.nexus.connection.copying import copy_out
from nexus_reimport.nexus.connection.postgres import Connection, rolled_back, scalar, table_name
from nexus_reimport.nexus.structure import obstacles
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.tables import Role, fingerprints_now
from nexus_reimport.nexus.writing.transaction import Reports, Transaction
from nexus_reimport.settings import Postgres
from nexus_reimport.stages.undo.latest import described, latest, references_to_wiped
from nexus_reimport.stages.undo.request import STAGE, STEPS


def preview(
    target: Postgres, mapping: FieldMapping, run: str, newer: NewerDecision, folder: Path
) -> RollbackPreview:
    """What undoing ``run`` would do now; only private files are written.

    Whole rows that were created or edited since go to the private ``folder``, and links that were
    changed since, of those that the run has fixed.

    Raises:
        StopError: it is not the latest run, its undo data is gone, or the schema was changed.
            Nothing was written.
    """
    with waiters.reading(target) as connection, rolled_back(connection):
        # temporary tables need a transaction that may write; it is rolled back
        reports = Reports(STAGE, STEPS, null_journal)
        transaction = Transaction(connection, target, mapping.schema_name, reports)
        transaction.fix_session()
        database = Database.read(connection, mapping)
        undoes, undo = latest(database, run)
        known = references_to_wiped(database, undo)
        keep = newer is NewerDecision.KEEP
        newer_rows = changes.find(transaction, undo, known, keep=keep)
        saved = {
            part.table: copy_out(
                connection,
                changes.newer_rows(transaction, part),
                folder / f"newer_{part.table}.parquet",
                part.loads,
            )
            for part in undo.tables
        }
        saved |= {
            f"links of {link.attachment}": copy_out(
                connection,
                changes.newer_links(transaction, undo, link),
                folder / f"newer_links_{link.attachment}.parquet",
                (link.key, *link.columns),
            )
            for link in undo.links
        }
        return RollbackPreview(
            undoes=undoes.run,
            kind=undoes.kind,
            committed_at=undoes.committed_at,
            newer=newer,
            since=newer_rows,
            rows_before={p.table: undoes.before[p.table].rows for p in undo.tables},
            rows_now={p.table: _count(connection, mapping, p.table) for p in undo.tables},
            links={
                link.attachment: changes.restored_links(transaction, undo, link, keep=keep)
                for link in undo.links
            },
            now=fingerprints_now(database, Role.WIPED, Role.LINK),
            schema=described(connection, mapping, undo),
            saved=saved,
            to_refresh=obstacles.to_refresh(database, obstacles.beside(database)),
        )


def _count(connection: Connection, mapping: FieldMapping, table: str) -> int:
    place = table_name(mapping.schema_name, table)
    return int(scalar(connection, sql.SQL("SELECT count(*) FROM {}").format(place)))
