"""What is read from FileMaker: tables, their keys, fields and links."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from nexus_reimport.settings import Channel, Strict

FieldType = Literal["text", "number", "date", "time", "timestamp"]
Part = Annotated[float, Field(ge=0, le=1)]  # of a number of records
LeftAside = Literal["owner_not_loaded", "holds_nothing", "not_in_nexus"]


class SourceField(Strict):
    """One field of FileMaker: its type, and other names under which it may be found."""

    type: FieldType
    also: tuple[str, ...] = ()
    optional: bool = False


class Link(Strict):
    """A field that holds the key of another source's records, and how well it must do so."""

    field: str
    to: str
    resolves_at_least: Part = 0.0  # of the rows that hold a key
    covers_at_least: Part = 0.0  # of the other source's records


class SourceTable(Strict):
    """One table to read from FileMaker.

    ``key`` is a field that no two records share, or the fields of a table that joins two others.
    ``tables`` names it where a channel calls it otherwise: a layout, a table occurrence, a file.
    ``columns`` are the fields of a file that has no line of headers, in their order. ``at_most``
    are budgets, parts of the records, for what is left aside of a source that feeds no rows of its
    own: contact details, documents, images.
    """

    table: str
    tables: dict[Channel, str] = {}
    columns: tuple[str, ...] = ()
    key: tuple[str, ...] = Field(min_length=1)
    modified: str = ""
    fields: dict[str, SourceField]
    links: tuple[Link, ...] = ()
    at_most: dict[LeftAside, Part] = {}

    @field_validator("key", mode="before")
    @classmethod
    def _one_field(cls, key: Any) -> Any:
        return (key,) if isinstance(key, str) else key

    @field_validator("fields", mode="before")
    @classmethod
    def _short_form(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {n: {"type": f} if isinstance(f, str) else f for n, f in fields.items()}

    def table_by(self, channel: Channel) -> str:
        """What ``channel`` calls the table."""
        return self.tables.get(channel, self.table)
