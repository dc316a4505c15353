"""One mapping as a whole, and its smaller parts."""

from __future__ import annotations

import uuid
from typing import Literal

from pydantic import Field

from nexus_reimport.mapping.attachments import Attachment, AttachmentLink, Reference
from nexus_reimport.mapping.entities import Entity
from nexus_reimport.mapping.sources import SourceTable
from nexus_reimport.settings import Strict


class Calendar(Strict):
    """The columns that the application's calendar reads."""

    entity: str
    start: str
    end: str
    patient: str
    clinic: str = ""
    clinician: str = ""
    type: str = ""


class Application(Strict):
    """What the application queries, so that the verification can run the same queries."""

    patient_name: tuple[str, ...]
    search: tuple[str, ...]
    archived: str = ""
    patient_clinic: str = ""
    calendar: Calendar


class ByHand(Strict):
    """Values of one kind that only a person knows; a sheet is written for them.

    ``columns`` are asked for if one of them is empty: column -> ``table.column`` with the names to
    choose from, or "" for a text or a date. ``show`` are the columns that describe the row to the
    person (``column``, or ``column.column`` of the entity that the first one points at). With
    ``where_any``, only rows with a value in one of these columns are listed. ``future`` is a column
    with a time: what is over is listed only if the environment asks for it. ``ask`` is the question
    in plain words, ``titles`` the heads of columns whose names do not say what they hold.
    """

    entity: str
    columns: dict[str, str] = Field(min_length=1)
    show: tuple[str, ...]
    where_any: tuple[str, ...] = ()
    future: str = ""
    ask: str = ""
    titles: dict[str, str] = {}
    serves: str = ""


class ExternalId(Strict):
    """A field of FileMaker, and a table of Nexus, that hold the id of one row in another system.

    ``owner`` is the table's column that points at the entity's row, ``column`` holds the id, and
    ``active`` says whether the application uses it.
    """

    entity: str
    field: str
    table: str
    owner: str
    column: str
    active: str = ""


class FieldMapping(Strict):
    """One mapping."""

    version: Literal[1]
    schema_name: str = Field(alias="schema", default="public")
    namespace: uuid.UUID
    content_types: str = ""
    sources: dict[str, SourceTable]
    entities: dict[str, Entity]
    attachments: dict[str, Attachment] = {}
    references: tuple[Reference, ...] = ()
    external_ids: dict[str, ExternalId] = {}
    by_hand: dict[str, ByHand] = {}
    application: Application
    # Columns that the application changes by itself (tokens, sessions, counters of sent mails).
    volatile: dict[str, tuple[str, ...]] = {}
    transient: tuple[str, ...] = ()
    append_only: tuple[str, ...] = ()  # logs: rows come, none changes or goes
    digest: str = ""
    text: str = Field(default="", repr=False)  # of the file, to find the line of a problem

    def wiped_tables(self) -> dict[str, str]:
        """Table -> entity, in the mapping's order, which lists parents first."""
        return {entity.table: name for name, entity in self.entities.items()}

    def used_sources(self) -> set[str]:
        """The sources whose records become rows, parts of rows, or links."""
        entities = {s for e in self.entities.values() for s in (e.source, *e.gathered())}
        return entities | {a.source for a in self.attachments.values()}

    def ids_of(self, source: str) -> frozenset[str]:
        """The fields of ``source`` that hold ids: its own, and those of other records."""
        spec = self.sources[source]
        fields = {*spec.key, *(link.field for link in spec.links)}
        for entity in self.entities.values():
            if entity.source == source:
                feeds = entity.columns.values()
                fields |= {f.source_field for f in feeds if f.converter.is_id}
        for attachment in self.attachments.values():
            if attachment.source == source:
                fields |= {attachment.owner.field, *(i.field for i in attachment.identity)}
        return frozenset(fields)

    def chosen_from(self) -> set[tuple[str, str]]:
        """The tables and columns by which lookups and people find rows."""
        in_lookups = {
            (step.table, step.match)
            for entity in self.entities.values()
            for column in entity.columns.values()
            for step in column.lookup
        }
        by_hand = [c for kind in self.by_hand.values() for c in kind.columns.values() if c]
        return in_lookups | {(t, c) for t, _, c in (choice.partition(".") for choice in by_hand)}

    def link_tables(self) -> dict[str, AttachmentLink]:
        """Table -> its link, for the tables that re-linking may write."""
        return {a.link_table: a.link for a in self.attachments.values()}

    def linking_tables(self) -> tuple[str, ...]:
        """The tables of attachments, and those that hold their links: of these rows all survive."""
        tables = {a.table for a in self.attachments.values()}
        return tuple(sorted(tables | self.link_tables().keys()))

    def attached(self, *, by_batch: bool) -> tuple[str, ...]:
        """The attachments whose link a batch holds, or those that hold their own."""
        return tuple(n for n, a in self.attachments.items() if (a.through is not None) is by_batch)

    def people(self) -> str:
        """The entity of the patients: the application's calendar points at it."""
        calendar = self.application.calendar
        return self.entities[calendar.entity].columns[calendar.patient].entity
