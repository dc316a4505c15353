"""Reads and checks a mapping: how one FileMaker file feeds one Nexus.

The shipped mapping is ``mappings/nexus.toml``, whose head explains the parts. A mapping is checked
in itself when it is loaded; against FileMaker's fields in ``snapshot``, against the live schema
in ``survey``.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import uuid
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from nexus_reimport import textfile
from nexus_reimport.errors import MappingError
from nexus_reimport.settings import Channel, Different, EntityDecisions, Strict

FieldType = Literal["text", "number", "date", "time", "timestamp"]
LeftAside = Literal["owner_not_loaded", "holds_nothing", "not_in_nexus"]
Converter = Literal[
    "text", "paragraphs", "uuid", "whole", "date", "birth_date", "timestamp", "moment",
    "end_moment", "dated", "choice", "phone", "lookup", "entity", "contact_card", "address_card",
    "html_pages", "sentence",
]  # fmt: skip
NEEDED_WITH: dict[str, frozenset[str]] = {
    "moment": frozenset({"time"}),
    "end_moment": frozenset({"time", "start_date", "start_time", "minutes"}),
    "dated": frozenset({"timestamp"}),
    "sentence": frozenset({"text"}),
    "html_pages": frozenset({"opening"}),
    "contact_card": frozenset({"kind", "value", "label", "default_mobile", "default_email"}),
    "address_card": frozenset(
        {"kind", "label", "line1", "line2", "suburb", "state", "postcode", "country"}
    ),
}
_SHEET = re.compile(r"(?!(?:choices|history)$)[^\[\]:*?/\\']{1,31}", re.IGNORECASE)
NOT_FIELDS = frozenset({"minutes", "text"})  # entries of `with` that are values
# Converter -> part of its card -> the JSON keys that hold it, those of older shapes among them.
CARDS: dict[str, dict[str, tuple[str, ...]]] = {
    "contact_card": {"phones": ("phones", "phone", "mobile"), "emails": ("emails", "email")},
    "address_card": {
        "addresses": ("addresses", "street", "street2", "suburb", "state", "postcode")
    },
}


class SourceField(Strict):
    """One field of FileMaker: its type, and other names under which it may be found."""

    type: FieldType
    also: tuple[str, ...] = ()
    optional: bool = False


class Link(Strict):
    """A field that holds the key of another source's records, and how well it must do so."""

    field: str
    to: str
    resolves_at_least: float = 0.0  # of the rows that hold a key
    covers_at_least: float = 0.0  # of the other source's records


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
    at_most: dict[LeftAside, float] = {}

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


class Lookup(Strict):
    """One way to find a row of a protected table; ``through`` goes by another source first."""

    source_field: str = Field(alias="from")
    table: str
    match: str
    through: str = ""
    take: str = ""


class Column(Strict):
    """What feeds one column, or one key of a JSON column (``column.key``).

    A value that comes before the one of the column ``not_before`` does not fit.
    ``misfits_at_most`` is the part of the values that FileMaker holds which may not fit; where it
    is not given, 1% of them or five, whichever is more.
    """

    source_field: str = Field(alias="from", default="")
    convert: Converter = "text"
    with_: dict[str, str] = Field(alias="with", default={})
    choices: dict[str, tuple[str, ...]] = {}
    lookup: tuple[Lookup, ...] = ()
    entity: str = ""
    may_miss: bool = False
    gather: str = ""
    keys: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    folded: bool = False
    not_before: str = ""
    misfits_at_most: float | None = Field(default=None, ge=0, le=1)
    when_empty: Literal["keep", "clear"] = "keep"
    when_different: Different | None = None

    @model_validator(mode="after")
    def _complete(self) -> Column:
        missing = NEEDED_WITH.get(self.convert, frozenset()) - set(self.with_)
        if missing:
            raise ValueError(f"{self.convert}: `with` lacks {', '.join(sorted(missing))}")
        if not self.source_field and not self.gather:
            raise ValueError("neither `from` nor `gather`")
        for needed, given in (("choice", self.choices), ("lookup", self.lookup)):
            if self.convert == needed and not given:
                raise ValueError(f"{needed}: none are given")
        if self.convert == "entity" and not self.entity:
            raise ValueError("entity: which?")
        if self.gather and not self.keys:
            raise ValueError("gather: `keys` says which JSON keys FileMaker decides")
        return self

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """Part of a card -> its JSON keys, the list of its entries first.

        A key of ``replaces`` that no part is known for is an older one of the first part.
        """
        known = CARDS.get(self.convert, {})
        fed = [part for part in known if part in self.keys]
        of = {key: part for part, keys in known.items() for key in keys}
        used = dict.fromkeys((*fed, *self.keys, *self.replaces))
        return {part: tuple(k for k in (part, *(u for u in used if u != part))
                            if of.get(k, fed[0]) == part) for part in fed}  # fmt: skip

    @property
    def fields_used(self) -> tuple[str, ...]:
        """The fields of the entity's own source that this column reads."""
        if self.gather:
            return ()
        given = [self.source_field, *(step.source_field for step in self.lookup)]
        given += [name for key, name in self.with_.items() if key not in NOT_FIELDS]
        given += re.findall(r"{([^}]+)}", self.with_.get("text", ""))
        return tuple(dict.fromkeys(given))


class LeftOut(Strict):
    """A named rule by which a source record is not loaded, and its budget.

    ``at_most`` is a part of the source's records: where more fall under the rule, the run stops.
    ``records`` names them one by one, by the FileMaker ids that a message has named.
    """

    name: str
    at_most: float = Field(ge=0, le=1)
    empty: tuple[str, ...] = ()  # all of these fields are empty
    unresolved: str = ""  # this column's entity was not found
    misfit: str = ""  # the value for this column does not fit
    records: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_reason(self) -> LeftOut:
        if sum(map(bool, (self.empty, self.unresolved, self.misfit, self.records))) != 1:
            raise ValueError("give one of `empty`, `unresolved`, `misfit` and `records`")
        return self


class Settled(Strict):
    """A named rule that gives a column of a row of FileMaker's another value than it has.

    Where ``column`` holds ``was`` it ``becomes`` another, if the column ``filled`` holds a value,
    or the instant or date in the column ``past`` is over. One that ``asks`` is decided by a
    person, in the environment's file.
    """

    name: str
    column: str
    was: str
    becomes: str
    filled: str = ""
    past: str = ""
    asks: bool = False

    @model_validator(mode="after")
    def _one_condition(self) -> Settled:
        if bool(self.filled) == bool(self.past):
            raise ValueError("give either `filled` or `past`")
        if self.asks and self.name not in EntityDecisions.model_fields:
            raise ValueError(f"asks: [decisions] knows no {self.name}")
        return self


class Identity(Strict):
    """One rule by which a source record is the same as a row of Nexus.

    ``by = "filemaker_id"``, or columns whose fed values equal the row's; ``folded`` ones compare
    with blanks folded, and ``then`` breaks ties between equal candidates.
    """

    name: str
    by: Literal["filemaker_id"] | tuple[str, ...]
    folded: tuple[str, ...] = ()
    then: tuple[str, ...] = ()


class NewValue(Strict):
    """A named rule that gives a new row's value."""

    rule: Literal["as_of", "from", "completed_if_past", "sent_if"]
    source_field: str = Field(alias="from", default="")
    convert: Converter = "text"
    column: str = ""
    past: str = ""
    future: str = ""


class Entity(Strict):
    """One table that is wiped and reimported."""

    table: str
    source: str
    model: str = ""
    filemaker_id: str = ""  # column, or column.key, that holds FileMaker's id in Nexus
    identity: tuple[Identity, ...]
    matched_at_least: float = 0.0
    left_out: tuple[LeftOut, ...] = ()
    settled: tuple[Settled, ...] = ()
    columns: dict[str, Column]
    new: dict[str, str | NewValue] = {}
    serves: str = ""

    def gathered(self) -> tuple[str, ...]:
        """The sources whose records are merged into this entity's rows."""
        return tuple(dict.fromkeys(c.gather for c in self.columns.values() if c.gather))

    def decided(self) -> dict[str, Column]:
        """What is counted and decided for itself: columns, keys of JSON columns, parts of cards."""
        return {
            of: column
            for name, column in self.columns.items()
            for of in ([f"{name}.{part}" for part in column.parts] if column.gather else [name])
        }

    def fed_columns(self) -> tuple[str, ...]:
        """The columns that FileMaker feeds, wholly or by keys, in the mapping's order."""
        return tuple(dict.fromkeys(name.partition(".")[0] for name in self.columns))


class Owner(Strict):
    """Which field of an attachment's source names its owner."""

    field: str
    entity: str


class AttachmentIdentity(Strict):
    """A column of Nexus that equals a field of FileMaker; ``pattern`` takes a part of it."""

    column: str
    field: str
    pattern: str = ""


class AttachmentFile(Strict):
    """The columns that hold the keys of the files."""

    column: str
    also: tuple[str, ...] = ()


class Through(Strict):
    """The table that holds the link where the attachment itself does not."""

    table: str
    column: str


class AttachmentLink(Strict):
    """A generic key (content type and object), or a plain foreign key (object alone)."""

    object: str
    content_type: str = ""


class Attachment(Strict):
    """One table whose rows survive and are re-linked."""

    table: str
    source: str
    owner: Owner
    identity: tuple[AttachmentIdentity, ...]
    file: AttachmentFile
    link: AttachmentLink
    through: Through | None = None
    active: str = ""
    exported: str = ""
    serves: str = ""

    @property
    def link_table(self) -> str:
        """The table whose rows hold the link."""
        return self.through.table if self.through else self.table


class Reference(Strict):
    """A column that points at an entity's rows without a foreign key."""

    table: str
    object: str
    content_type: str = ""
    entities: tuple[str, ...] = ()


class ByHand(Strict):
    """Values of one kind that only a person knows; a sheet is written for them.

    ``columns`` are asked for where one of them is empty: column -> ``table.column`` of the names
    to choose from, or "" for a text or a date. ``show`` tells the person whose row it is
    (``column``, or ``column.column`` through the entity that it points at). With ``where_any``
    only rows are listed that hold a value in one of these columns.
    """

    entity: str
    columns: dict[str, str] = Field(min_length=1)
    show: tuple[str, ...]
    where_any: tuple[str, ...] = ()
    serves: str = ""


class Calendar(Strict):
    """What the application's calendar reads."""

    entity: str
    start: str
    end: str
    patient: str
    clinic: str = ""
    clinician: str = ""
    type: str = ""


class Application(Strict):
    """What the application asks, so that verify can ask the same."""

    patient_name: tuple[str, ...]
    search: tuple[str, ...]
    archived: str = ""
    patient_clinic: str = ""
    calendar: Calendar


class Mapping(Strict):
    """One mapping, checked in itself."""

    version: Literal[1]
    schema_name: str = Field(alias="schema", default="public")
    namespace: uuid.UUID
    content_types: str = ""
    sources: dict[str, SourceTable]
    entities: dict[str, Entity]
    attachments: dict[str, Attachment] = {}
    references: tuple[Reference, ...] = ()
    by_hand: dict[str, ByHand] = {}
    application: Application
    volatile: dict[str, tuple[str, ...]] = {}
    digest: str = ""

    @model_validator(mode="after")
    def _holds_together(self) -> Mapping:
        problems = [*self._unknown_fields(), *self._unknown_names(), *self._unusable_sheets()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _unknown_fields(self) -> Iterator[str]:
        for name, source in self.sources.items():
            wanted = [*source.key, *(link.field for link in source.links)]
            wanted += [source.modified] if source.modified else []
            yield from self._absent(f"sources.{name}", name, wanted)
        for name, entity in self.entities.items():
            for column, feed in entity.columns.items():
                yield from self._absent(f"{name}.{column}", entity.source, feed.fields_used)
                if feed.gather:
                    used = [f for k, f in feed.with_.items() if k not in NOT_FIELDS]
                    yield from self._absent(f"{name}.{column}", feed.gather, used)
            for rule in entity.left_out:
                yield from self._absent(f"{name}.{rule.name}", entity.source, rule.empty)
                for column in filter(None, (rule.unresolved, rule.misfit)):
                    if column not in entity.columns:
                        yield f"{name}.{rule.name}: no column {column}"
        for name, attachment in self.attachments.items():
            wanted = [attachment.owner.field, *(i.field for i in attachment.identity)]
            yield from self._absent(f"attachments.{name}", attachment.source, wanted)

    def _absent(self, where: str, source: str, fields: Any) -> Iterator[str]:
        if source not in self.sources:
            yield f"{where}: no source is called {source}"
            return
        known = self.sources[source].fields
        yield from (f"{where}: {source} has no field {f}" for f in fields if f not in known)

    def _unknown_names(self) -> Iterator[str]:
        order = list(self.entities)
        for name, entity in self.entities.items():
            for column, feed in entity.columns.items():
                if feed.not_before and feed.not_before not in entity.columns:
                    yield f"{name}.{column}: not_before names no column that is fed"
                if feed.entity and feed.entity not in order[: order.index(name)]:
                    yield f"{name}.{column}: {feed.entity} must be an entity listed before {name}"
            for rule in entity.identity:
                if rule.by == "filemaker_id" and not entity.filemaker_id:
                    yield f"{name}: identity by filemaker_id, but filemaker_id names no column"
        for name, kind in self.by_hand.items():
            if kind.entity not in order:
                yield f"by_hand.{name}: no entity {kind.entity}"
        for reference in self.references:
            unknown = [e for e in reference.entities if e not in order]
            yield from (f"references.{reference.table}: no entity {e}" for e in unknown)

    def _unusable_sheets(self) -> Iterator[str]:
        """Each kind of values by hand is a sheet of a workbook, under its own name."""
        sheets = [name.casefold() for name in self.by_hand]
        for name in self.by_hand:
            if not _SHEET.fullmatch(name) or sheets.count(name.casefold()) > 1:
                yield f"by_hand.{name}: no sheet of a workbook can be called so beside the others"

    def wiped_tables(self) -> dict[str, str]:
        """Table -> entity, parents first as the mapping lists them."""
        return {entity.table: name for name, entity in self.entities.items()}

    def used_sources(self) -> set[str]:
        """The sources whose records become rows, parts of rows, or links."""
        entities = {s for e in self.entities.values() for s in (e.source, *e.gathered())}
        return entities | {a.source for a in self.attachments.values()}

    def ids_of(self, source: str) -> frozenset[str]:
        """The fields of ``source`` that hold ids: its own, and those of other records."""
        spec = self.sources[source]
        found = {*spec.key, *(link.field for link in spec.links)}
        for entity in self.entities.values():
            if entity.source == source:
                feeds = entity.columns.values()
                found |= {f.source_field for f in feeds if f.convert in ("entity", "uuid")}
        for attachment in self.attachments.values():
            if attachment.source == source:
                found |= {attachment.owner.field, *(i.field for i in attachment.identity)}
        return frozenset(found)

    def chosen_from(self) -> set[tuple[str, str]]:
        """Table and column of everything that lookups, or people, choose rows by."""
        found = {
            (step.table, step.match)
            for entity in self.entities.values()
            for column in entity.columns.values()
            for step in column.lookup
        }
        by_hand = [c for kind in self.by_hand.values() for c in kind.columns.values() if c]
        return found | {(t, c) for t, _, c in (choice.partition(".") for choice in by_hand)}

    def link_tables(self) -> dict[str, AttachmentLink]:
        """Table -> the link that it holds, for the tables that re-linking may write."""
        return {a.link_table: a.link for a in self.attachments.values()}

    def people(self) -> str:
        """The entity of the patients: the one that the application's calendar points at."""
        calendar = self.application.calendar
        return self.entities[calendar.entity].columns[calendar.patient].entity


def load(name: str, base: Path | None = None) -> Mapping:
    """The mapping ``name``: a shipped one, or a path to a TOML file (relative to ``base``).

    Raises:
        MappingError: all problems at once. Nothing was read beyond the file.
    """
    text = _text(name, base)
    try:
        raw = tomllib.loads(text)
        mapping = Mapping.model_validate(raw)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"the mapping {name} is not a TOML file: {error}") from None
    except ValidationError as error:
        problems = [
            f"    {'.'.join(str(p) for p in e['loc']) or 'mapping'}: "
            f"{e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise MappingError(
            f"the mapping {name} has {len(problems)} problem(s)\n" + "\n".join(problems),
            next="mend the mapping and start again",
        ) from None
    return mapping.model_copy(update={"digest": hashlib.sha256(text.encode()).hexdigest()})


def _text(name: str, base: Path | None) -> str:
    shipped = resources.files("nexus_reimport") / "mappings" / f"{name}.toml"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    path = (base or Path()) / name
    if not path.is_file():
        raise MappingError(f"no mapping {name}: neither shipped nor a file", where=str(path))
    try:
        return textfile.read(path)
    except textfile.Undecodable as error:
        raise MappingError(error.told(path)) from None
