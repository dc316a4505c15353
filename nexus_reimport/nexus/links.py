"""The links from documents and images to their owners, as the database has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.mapping import Attachment
from nexus_reimport.nexus.database import Database
from nexus_reimport.nexus.postgres import copy_out, table_name


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
    """Every attachment: key, link_key, object, content_type, files, then identity columns.

    ``link_key`` is the key of the row that holds the link: the attachment's own, or its batch's.
    """
    own = sql.SQL("a.{}").format(
        sql.Identifier(database.catalog.tables[attachment.table].primary_key[0])
    )
    source = sql.SQL("{} AS a").format(table_name(database.mapping.schema_name, attachment.table))
    holder, link_key = sql.Identifier("a"), own
    if attachment.through:  # images: the link to the patient is in the row of their batch
        through = attachment.through
        link_key = sql.SQL("b.{}").format(
            sql.Identifier(database.catalog.tables[through.table].primary_key[0])
        )
        holder = sql.Identifier("b")
        source += sql.SQL(" JOIN {} AS b ON {} = a.{}").format(
            table_name(database.mapping.schema_name, through.table),
            link_key,
            sql.Identifier(through.column),
        )
    link = attachment.link
    chosen = [
        own,
        link_key,
        sql.SQL("{}.{}").format(holder, sql.Identifier(link.object)),
        sql.SQL("{}.{}").format(holder, sql.Identifier(link.content_type))
        if link.content_type
        else sql.SQL("NULL"),
        *(
            sql.SQL("a.{}").format(sql.Identifier(c))
            for c in (attachment.file.column, *attachment.file.also)
        ),
        *(sql.SQL("a.{}").format(sql.Identifier(i.column)) for i in attachment.identity),
    ]
    query = sql.SQL('SELECT {} FROM {} ORDER BY {}::text COLLATE "C"').format(
        sql.SQL(", ").join(chosen), source, own
    )
    columns = (
        "key",
        "link_key",
        "object",
        "content_type",
        *(f"file:{c}" for c in (attachment.file.column, *attachment.file.also)),
        *(f"identity:{n}:{i.column}" for n, i in enumerate(attachment.identity)),
    )
    return copy_out(database.connection, query, path, columns)


def attachment_states(database: Database) -> dict[str, AttachmentState]:
    """How many documents and images are linked to an existing owner, elsewhere, or not at all.

    Serves P8, A5 and A6 of the checklist.
    """
    states = {}
    for name, attachment in database.mapping.attachments.items():
        owner = database.mapping.entities[attachment.owner.entity]
        link, schema = attachment.link, database.mapping.schema_name
        source = table_name(schema, attachment.table)
        joined: sql.Composed = sql.SQL("{} AS h").format(source)
        if attachment.through:
            joined = sql.SQL("{} AS a JOIN {} AS h ON h.{} = a.{}").format(
                source,
                table_name(schema, attachment.through.table),
                sql.Identifier(database.catalog.tables[attachment.through.table].primary_key[0]),
                sql.Identifier(attachment.through.column),
            )
        of_owner: sql.Composable = sql.SQL("true")
        if link.content_type:
            of_owner = sql.SQL("h.{} IS NOT DISTINCT FROM {}").format(
                sql.Identifier(link.content_type),
                sql.Literal(database.content_types.get(owner.model)),
            )
        row = database.connection.execute(
            sql.SQL(
                "SELECT count(*), count(*) FILTER (WHERE {of_owner} AND o.{key} IS NOT NULL),"
                " count(*) FILTER (WHERE NOT {of_owner} AND h.{object} IS NOT NULL),"
                " count(*) FILTER"
                " (WHERE {of_owner} AND o.{key} IS NULL AND h.{object} IS NOT NULL),"
                " count(*) FILTER (WHERE h.{object} IS NULL)"
                " FROM {joined} LEFT JOIN {owner} AS o ON o.{key} = h.{object} AND {of_owner}"
            ).format(
                of_owner=of_owner,
                key=sql.Identifier(database.catalog.tables[owner.table].primary_key[0]),
                object=sql.Identifier(link.object),
                joined=joined,
                owner=table_name(schema, owner.table),
            )
        ).fetchone()
        states[name] = AttachmentState(name, *(row or (0, 0, 0, 0, 0)))
    return states
