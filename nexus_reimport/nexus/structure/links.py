"""The links from documents and images to their owners, as the database has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.mapping import Attachment, AttachmentLink
from nexus_reimport.nexus.connection.copying import copy_out
from nexus_reimport.nexus.structure.database import Database


@dataclass(frozen=True, slots=True)
class AttachmentState:
    """Documents or images before the run: how many are linked to what."""

    name: str
    rows: int
    linked: int  # to an existing row of the owner's entity
    linked_elsewhere: int
    dangling: int
    unlinked: int


def dump_attachment(
    database: Database,
    attachment: Attachment,
    path: Path,
) -> RowFile:
    """Every attachment: key, link_key, object, content_type, linked, files, identity columns.

    ``link_key`` is the key of the row that holds the link: the attachment's own, or its batch's;
    NULL where it is in no batch.
    ``linked`` is t where that link is to a live row of the owner's entity.
    """
    link, key = attachment.link, database.key(attachment.table)
    own, source, holder = _source(database, attachment)
    of_owner, owner = _of_owner(database, attachment, holder)
    columns = {
        "key": own(key),
        "link_key": holder(database.key(attachment.link_table)),
        "object": holder(link.object),
        "content_type": holder(link.content_type) if link.content_type else sql.SQL("NULL"),
        "linked": sql.SQL("o.{} IS NOT NULL").format(sql.Identifier(database.key(owner))),
        **{f"file:{c}": own(c) for c in (attachment.file.column, *attachment.file.also)},
        **{f"identity:{n}:{i.column}": own(i.column) for n, i in enumerate(attachment.identity)},
    }
    query = sql.SQL(
        # "C" sorts as Python compares texts: row files are compared in that order.
        'SELECT {} FROM {} LEFT JOIN {} AS o ON o.{} = {} AND {} ORDER BY {}::text COLLATE "C"'
    ).format(
        sql.SQL(", ").join(columns.values()),
        source,
        database.place(owner),
        sql.Identifier(database.key(owner)),
        holder(link.object),
        of_owner,
        own(key),
    )
    return copy_out(database.connection, query, path, tuple(columns))


def attachment_states(database: Database) -> dict[str, AttachmentState]:
    """How many documents and images hang on a live owner, elsewhere, on nothing (P8, A5, A6)."""
    return {name: attachment_state(database, name) for name in database.mapping.attachments}


def attachment_state(database: Database, name: str) -> AttachmentState:
    """How many of one kind of attachment hang on a live owner, elsewhere, on nothing."""
    attachment = database.mapping.attachments[name]
    _, source, holder = _source(database, attachment)
    of_owner, owner = _of_owner(database, attachment, holder)
    row = database.connection.execute(
        sql.SQL(
            "SELECT count(*), count(*) FILTER (WHERE {of_owner} AND o.{key} IS NOT NULL),"
            " count(*) FILTER (WHERE NOT {of_owner} AND NOT {unlinked}),"
            " count(*) FILTER (WHERE {of_owner} AND o.{key} IS NULL AND NOT {unlinked}),"
            " count(*) FILTER (WHERE {unlinked})"
            " FROM {source} LEFT JOIN {owner} AS o ON o.{key} = {object} AND {of_owner}"
        ).format(
            of_owner=of_owner,
            key=sql.Identifier(database.key(owner)),
            object=holder(attachment.link.object),
            unlinked=_unlinked(attachment.link, holder),
            source=source,
            owner=database.place(owner),
        )
    ).fetchone()
    return AttachmentState(name, *(row or (0, 0, 0, 0, 0)))


Column = Callable[[str], sql.Composed]


def _source(database: Database, attachment: Attachment) -> tuple[Column, sql.Composable, Column]:
    """The attachments with what holds their links: own columns, the tables, the holder's ones."""
    source: sql.Composable = sql.SQL("{} AS a").format(database.place(attachment.table))
    if not attachment.through:
        return _column("a"), source, _column("a")
    source = sql.SQL("{} LEFT JOIN {} AS h ON h.{} = a.{}").format(
        source,
        database.place(attachment.through.table),
        sql.Identifier(database.key(attachment.through.table)),
        sql.Identifier(attachment.through.column),
    )
    return _column("a"), source, _column("h")


def _column(of: str) -> Column:
    return lambda name: sql.SQL("{}.{}").format(sql.Identifier(of), sql.Identifier(name))


def _unlinked(link: AttachmentLink, holder: Column) -> sql.Composable:
    """Whether a link names nothing: no id, or not of what it is."""
    parts = (part for part in (link.object, link.content_type) if part)
    any_null = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(holder(part)) for part in parts)
    return sql.SQL("({})").format(any_null)


def _of_owner(
    database: Database, attachment: Attachment, holder: Column
) -> tuple[sql.Composable, str]:
    """Whether a link is one to the owner's entity, and the table of that."""
    owner = database.mapping.entities[attachment.owner.entity]
    if not attachment.link.content_type:
        return sql.SQL("true"), owner.table
    content_type = sql.Literal(database.content_types.get(owner.model))
    # With `=` a link without a content type would be neither of the owner nor not of it, but NULL.
    is_of = sql.SQL("{} IS NOT DISTINCT FROM {}")
    return is_of.format(holder(attachment.link.content_type), content_type), owner.table
