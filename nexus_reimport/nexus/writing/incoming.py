"""The planned rows and links, in temporary tables, from before the first lock until the end.

Nobody waits for a temporary table: only our own session sees it.
"""

from __future__ import annotations

from pathlib import Path

from psycopg import sql

from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus.connection.copying import copy_in, copy_out_in_order
from nexus_reimport.nexus.connection.postgres import names, table_name, temporary_name
from nexus_reimport.nexus.registry import UndoLinks
from nexus_reimport.nexus.writing.differences import Wanted
from nexus_reimport.nexus.writing.transaction import Transaction


def rows(entity: str) -> sql.Identifier:
    """The temporary table of an entity's planned rows."""
    return temporary_name("incoming", entity)


def links(attachment: str) -> sql.Identifier:
    """The temporary table of an attachment's planned links: key of the linking row, its link."""
    return temporary_name("linked", attachment)


def linked_keys(link: UndoLinks) -> sql.Composed:
    """A query for the keys of the linking rows that will be written."""
    return sql.SQL("SELECT {} FROM {}").format(sql.Identifier(link.key), links(link.attachment))


def load_rows(transaction: Transaction, wanted: Wanted, folder: Path, file: RowFile) -> None:
    """Copy the planned rows of an entity into their temporary table, in the form of their table.

    Raises:
        RecordError: the row file has changed since the plan was made.
    """
    transaction.let_go_first()
    connection, place = transaction.connection, rows(wanted.name)
    connection.execute(
        sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING GENERATED) ON COMMIT DROP").format(
            place, table_name(transaction.schema, wanted.table)
        )
    )
    transaction.analyze_if_large(place, copy_in(connection, place, folder, file), wanted.key)


def print_rows(transaction: Transaction, wanted: Wanted, path: Path) -> RowFile:
    """The planned rows of an entity as PostgreSQL prints them, in the order of the plan's."""
    transaction.check_time()
    place = rows(wanted.name)
    return copy_out_in_order(transaction.connection, place, wanted.columns, wanted.key, path)


def load_links(transaction: Transaction, link: UndoLinks, folder: Path, file: RowFile) -> None:
    """Copy the planned links of an attachment into their temporary table.

    Raises:
        RecordError: the row file has changed since the plan was made.
    """
    connection, place = transaction.connection, links(link.attachment)
    columns = (link.key, *link.columns)
    connection.execute(
        sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            place, names(columns), table_name(transaction.schema, link.table)
        )
    )
    # a plain key has no content type
    copy_in(connection, place, folder, file, columns)
    # A few of the many rows of their table: unless that is known, each of the many is looked at.
    transaction.analyze(place, link.key)
