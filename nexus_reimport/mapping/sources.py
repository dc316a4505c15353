"""The tables to read from FileMaker, with their keys, fields and links."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from nexus_reimport.settings import Channel, Strict

FieldType = Literal["text", "number", "date", "time", "timestamp"]
Part = Annotated[float, Field(ge=0, le=1)]  # of a number of records
LeftAside = Literal["owner_not_loaded", "holds_nothing", "not_in_nexus"]


class SourceField(Strict):
    """One field of FileMaker: its type, and other names that it may have."""

    type: FieldType
    also: tuple[str, ...] = ()
    optional: bool = False  # only then may it be missing: a field not on the layout reads as empty


class Link(Strict):
    """A field that holds keys of another source's records, and how many must be found there."""

    field: str
    to: str
    # A wrong field name once found no contact detail for any patient, and nobody noticed.
    resolves_at_least: Part = 0.0  # of the rows that hold a key
    covers_at_least: Part = 0.0  # of the other source's records


class SourceTable(Strict):
    """One table to read from FileMaker.

    ``key`` is a unique field, or the fields that are unique together in a table that joins two
    others. ``tables`` gives its name in channels that call it differently: a layout, a table
    occurrence, a file. ``columns`` are the fields of a file without a header line, in order.
    ``at_most`` are budgets, as parts of the records, for records that are left out of a source
    without own rows: contact details, documents, images.
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
        """The table's name in ``channel``."""
        return self.tables.get(channel, self.table)
