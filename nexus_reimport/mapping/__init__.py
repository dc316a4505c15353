"""Reads and checks a mapping: how one FileMaker file feeds one Nexus.

The shipped mapping is ``mappings/nexus.toml``, whose head explains the parts. A mapping is checked
in itself when it is loaded; against FileMaker's fields in ``snapshot``, against the live schema
in ``survey``.
"""

from __future__ import annotations

import copy
import hashlib
import re
import tomllib
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib import resources
from pathlib import Path as Folder
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from nexus_reimport.errors import MappingError, SettingsError
from nexus_reimport.files import textfile, toml_places
from nexus_reimport.settings import Channel, Different, EntityDecisions, Settings, Strict

FieldType = Literal["text", "number", "date", "time", "timestamp"]
Part = Annotated[float, Field(ge=0, le=1)]  # of a number of records
LeftAside = Literal["owner_not_loaded", "holds_nothing", "not_in_nexus"]
Converter = Literal[
    "text",
    "paragraphs",
    "uuid",
    "whole",
    "date",
    "birth_date",
    "timestamp",
    "moment",
    "end_moment",
    "dated",
    "choice",
    "phone",
    "lookup",
    "entity",
    "contact_card",
    "address_card",
    "html_pages",
    "sentence",
]
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
MAY_WITH: dict[str, frozenset[str]] = {"phone": frozenset({"else"})}
PLAIN = frozenset({"text", "paragraphs", "uuid", "whole", "date", "birth_date", "timestamp"})
NOT_FIELDS = frozenset({"minutes", "text"})  # entries of `with` that are values
# Converter -> part of its card -> the JSON keys that hold it, those of older shapes among them.
CARDS: dict[str, dict[str, tuple[str, ...]]] = {
    "contact_card": {"phones": ("phones", "phone", "mobile"), "emails": ("emails", "email")},
    "address_card": {
        "addresses": ("addresses", "street", "street2", "suburb", "state", "postcode")
    },
}


Path = toml_places.Path
Problem = tuple[Path, str]  # where in the file, and what is wrong


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
        problems = [*self._lacking(), *self._without_effect(), *self._of_card()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _lacking(self) -> Iterator[str]:
        missing = NEEDED_WITH.get(self.convert, frozenset()) - set(self.with_)
        if missing:
            yield f"{self.convert}: `with` lacks {', '.join(sorted(missing))}"
        if not self.source_field and not self.gather:
            yield "neither `from` nor `gather`"
        for needed, given in (("choice", self.choices), ("lookup", self.lookup)):
            if self.convert == needed and not given:
                yield f"{needed}: none are given"
        if self.convert == "entity" and not self.entity:
            yield "entity: which?"
        minutes = self.with_.get("minutes", "0")
        if not (minutes.isascii() and minutes.isdigit()):
            yield "minutes must be a whole number"

    def _without_effect(self) -> Iterator[str]:
        known = NEEDED_WITH.get(self.convert, frozenset()) | MAY_WITH.get(self.convert, frozenset())
        if unknown := set(self.with_) - known:
            yield f"{self.convert}: `with` knows no {', '.join(sorted(unknown))}"
        for converter, given in (
            ("choice", self.choices),
            ("lookup", self.lookup),
            ("entity", self.entity),
        ):
            if given and self.convert != converter:
                yield (
                    f"`{converter if given != self.choices else 'choices'}` is for convert ="
                    f' "{converter}", and this is "{self.convert}"'
                )
        if self.may_miss and self.convert != "entity":
            yield '`may_miss` is for convert = "entity"'

    def _of_card(self) -> Iterator[str]:
        known = CARDS.get(self.convert)
        if bool(known) != bool(self.gather):
            yield "`gather` belongs to contact_card and address_card, and they to it"
        elif known is None and (self.keys or self.replaces):
            yield "`keys` and `replaces` are for cards"
        if known is None or not self.gather:
            return
        if not self.keys:
            yield "gather: `keys` says which JSON keys FileMaker decides"
        for part, keys in known.items():
            if part not in self.keys and (alone := [k for k in keys if k in self.keys]):
                yield f"keys: {', '.join(alone)} without {part}, which holds the same"
        every = {key for keys in known.values() for key in keys}
        if never := [key for key in self.keys if key not in every]:
            yield f"keys: {self.convert} gives no {', '.join(never)}: it would go from every card"

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """Part of a card -> its JSON keys, the list of its entries first.

        A key of ``replaces`` that no part is known for is an older one of the first part.
        """
        known = CARDS.get(self.convert, {})
        fed = [part for part in known if part in self.keys]
        of = {key: part for part, keys in known.items() for key in keys}
        used = dict.fromkeys((*fed, *self.keys, *self.replaces))
        return {
            part: tuple(
                k for k in (part, *(u for u in used if u != part)) if of.get(k, fed[0]) == part
            )
            for part in fed
        }

    @cached_property  # asked for every value of every record
    def fields_used(self) -> tuple[str, ...]:
        """The fields of the entity's own source that this column reads."""
        if self.gather:
            return ()
        given = [self.source_field, *(step.source_field for step in self.lookup)]
        given += [name for key, name in self.with_.items() if key not in NOT_FIELDS]
        given += re.findall(r"{([^}]+)}", self.with_.get("text", ""))
        return tuple(dict.fromkeys(given))


class ExclusionRule(Strict):
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
    def _one_reason(self) -> ExclusionRule:
        if sum(map(bool, (self.empty, self.unresolved, self.misfit, self.records))) != 1:
            raise ValueError("give one of `empty`, `unresolved`, `misfit` and `records`")
        return self


class OverrideRule(Strict):
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
    def _one_condition(self) -> OverrideRule:
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
    by: Literal["filemaker_id"] | Annotated[tuple[str, ...], Field(min_length=1)]
    folded: tuple[str, ...] = ()
    then: tuple[str, ...] = ()


class DefaultRule(Strict):
    """A named rule that gives a new row's value."""

    rule: Literal["as_of", "from", "completed_if_past", "sent_if"]
    source_field: str = Field(alias="from", default="")
    convert: Converter = "text"
    column: str = ""
    past: str = ""
    future: str = ""

    @model_validator(mode="after")
    def _complete(self) -> DefaultRule:
        needed = {"as_of": (), "from": ("from",)}.get(self.rule, ("column", "past", "future"))
        given = {
            "from": self.source_field,
            "column": self.column,
            "past": self.past,
            "future": self.future,
        }
        if missing := [name for name in needed if not given[name]]:
            raise ValueError(f"{self.rule}: lacks {', '.join(missing)}")
        if self.convert not in PLAIN:
            raise ValueError(f"convert: {self.convert} needs more than a new value can give")
        return self


class Entity(Strict):
    """One table that is wiped and reimported."""

    table: str
    source: str
    model: str = ""
    filemaker_id: str = ""  # column, or column.key, that holds FileMaker's id in Nexus
    identity: tuple[Identity, ...]
    matched_at_least: Part = 0.0
    left_out: tuple[ExclusionRule, ...] = ()
    settled: tuple[OverrideRule, ...] = ()
    columns: dict[str, Column]
    new: dict[str, str | DefaultRule] = {}
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


class FieldMapping(Strict):
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
    text: str = Field(default="", repr=False)  # of the file, to find the lines of what is wrong

    def problems(self) -> Iterator[Problem]:
        """What names nothing, or cannot be together: where it stands, and what is wrong."""
        for name, source in self.sources.items():
            yield from _of_source(self, ("sources", name), source)
        for name, entity in self.entities.items():
            yield from _of_entity(self, ("entities", name), name, entity)
        for name, attachment in self.attachments.items():
            yield from _of_attachment(self, ("attachments", name), attachment)
        for number, reference in enumerate(self.references):
            yield from _of_reference(self, ("references", number), reference)
        for name, kind in self.by_hand.items():
            yield from _of_by_hand(self, ("by_hand", name), name, kind)
        yield from _of_application(self, ("application", "calendar"))
        for table in self.volatile.keys() & {*self.wiped_tables(), *self.link_tables()}:
            yield ("volatile", table), "is written by the run: nothing of it can be left aside"

    def named(self) -> Iterator[tuple[Path, str, str]]:
        """Each table of Nexus, and column of one ("" for none), that is named: where, and which."""
        if self.content_types:
            yield ("content_types",), self.content_types, ""
        for name, entity in self.entities.items():
            for path, table, column in _named_by_entity(entity):
                yield ("entities", name, *path), table, column
        for name, attachment in self.attachments.items():
            for path, table, column in _named_by_attachment(attachment):
                yield ("attachments", name, *path), table, column
        for number, reference in enumerate(self.references):
            yield ("references", number, "object"), reference.table, reference.object
            yield ("references", number, "content_type"), reference.table, reference.content_type
        for name, kind in self.by_hand.items():
            yield from self._named_by_hand(("by_hand", name), kind)
        yield from self._named_by_application()
        for table, columns in self.volatile.items():
            yield from (
                (("volatile", table), table, "" if column == "*" else column) for column in columns
            )

    def _named_by_hand(self, path: Path, kind: ByHand) -> Iterator[tuple[Path, str, str]]:
        entity = self.entities[kind.entity]
        for column, choices in kind.columns.items():
            yield (*path, "columns", column), entity.table, column
            table, _, named = choices.partition(".")
            if choices:
                yield (*path, "columns", column), table, named
        for part in ("show", "where_any"):
            for shown in getattr(kind, part):
                base, _, further = shown.partition(".")
                yield (*path, part), entity.table, base
                if further:
                    target = self.entities[entity.columns[base].entity]
                    yield (*path, part), target.table, further

    def _named_by_application(self) -> Iterator[tuple[Path, str, str]]:
        application, people = self.application, self.entities[self.people()].table
        for part in ("patient_name", "search"):
            for column in getattr(application, part):
                yield ("application", part), people, column
        for part in ("archived", "patient_clinic"):
            if column := getattr(application, part):
                yield ("application", part), people, column
        calendar = application.calendar
        table = self.entities[calendar.entity].table
        for part in ("start", "end", "patient", "clinic", "clinician", "type"):
            if column := getattr(calendar, part):
                yield ("application", "calendar", part), table, column

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


def load(name: str, base: Folder | None = None) -> FieldMapping:
    """The mapping ``name``: a shipped one, or a path to a TOML file (relative to ``base``).

    Raises:
        MappingError: all problems at once, each with its place. Nothing was read beyond the file.
    """
    text = _text(name, base)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"the mapping {name} is not a TOML file: {error}") from None
    mapping, found = _validated(raw)
    if mapping is not None:
        found += mapping.problems()
    if mapping is None or found:
        raise refused(f"the mapping {name} has", found, text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return mapping.model_copy(update={"digest": digest, "text": text})


def load_for(settings: Settings, base: Folder) -> FieldMapping:
    """The mapping of an environment, which must have what the environment's file names.

    Raises:
        MappingError: all problems of the mapping at once.
        SettingsError: decisions or channels for what the mapping does not have, all at once.
    """
    mapping = load(settings.mapping, base)
    problems = [*_not_mapped(mapping, settings)]
    if problems:
        raise SettingsError(
            f"{settings.name}.toml names what the mapping does not have:"
            f" {len(problems)} problem(s)\n" + "\n".join(f"    {said}" for said in problems),
            where=f"mapping {settings.mapping}",
            next="correct the environment's file and start again",
        )
    return mapping


def _not_mapped(mapping: FieldMapping, settings: Settings) -> Iterator[str]:
    for entity, decisions in settings.decisions.items():
        spec = mapping.entities.get(entity)
        if spec is None:
            yield f"decisions.{entity}: no entity is called {entity}"
            continue
        known = {"*", *spec.columns, *spec.decided()}
        for column in decisions.when_different.keys() - known:
            yield f'decisions.{entity}.when_different."{column}": no column, key or part is fed'
        if decisions.past_scheduled and "past_scheduled" not in {r.name for r in spec.settled}:
            yield f"decisions.{entity}.past_scheduled: {entity} has no such rule"
    for name in ("channels", "tables"):
        for source in getattr(settings.filemaker, name).keys() - mapping.sources.keys():
            yield f"filemaker.{name}.{source}: no source is called {source}"


def refused(what: str, problems: Iterable[Problem], text: str, where: str = "") -> MappingError:
    """One error for all ``problems`` of the mapping with this ``text``, in its order."""
    lines = toml_places.lines(text)
    placed = sorted(
        {
            (toml_places.line_of(path, lines), toml_places.dotted(path), said)
            for path, said in problems
        }
    )
    listed = [f"    {f'line {n}, ' if n else ''}{place}: {said}" for n, place, said in placed]
    return MappingError(
        "\n".join([f"{what} {len(placed)} problem(s)", *listed]),
        where=where,
        next="correct the mapping and start again",
    )


def _validated(raw: dict[str, Any]) -> tuple[FieldMapping | None, list[Problem]]:
    """The mapping, and what is wrong with its parts.

    Names that nothing knows are passed over, so that what else is wrong is found as well.
    """
    ours = [name for name in ("digest", "text") if name in raw]
    found: list[Problem] = [((name,), "is no name of a mapping") for name in ours]
    for _ in range(2):
        try:
            return FieldMapping.model_validate(raw), found
        except ValidationError as error:
            wrong = [(e["type"], tuple(e["loc"]), e["msg"]) for e in error.errors()]
        found += [
            (_in_file(raw, loc, kind), _WORDS.get(kind, message.removeprefix("Value error, ")))
            for kind, loc, message in wrong
        ]
        if any(kind != "extra_forbidden" for kind, _, _ in wrong):
            break
        raw = _without(raw, [loc for _, loc, _ in wrong])
    return None, found


_WORDS = {"extra_forbidden": "no such name is known here", "missing": "is missing"}


def _in_file(raw: Any, place: Path, kind: str) -> Path:
    """``place`` as far as the file has it; what is missing there is named too."""
    found: list[str | int] = []
    for part in place:
        is_there = (
            part in raw
            if isinstance(raw, dict)
            else (isinstance(raw, list) and isinstance(part, int) and part < len(raw))
        )
        if not is_there:
            return (*found, part) if kind == "missing" else tuple(found)
        found.append(part)
        raw = raw[part]
    return tuple(found)


def _without(raw: Any, places: Iterable[Path]) -> Any:
    """``raw`` without what stands at ``places``."""
    made = copy.deepcopy(raw)
    for *way, last in places:
        at = made
        for part in way:
            at = at.get(part, {}) if isinstance(at, dict) else at[int(part)]
        if isinstance(at, dict):
            at.pop(last, None)
    return made


def _text(name: str, base: Folder | None) -> str:
    shipped = resources.files("nexus_reimport") / "mappings" / f"{name}.toml"
    if shipped.is_file():
        return shipped.read_text(encoding="utf-8")
    path = (base or Folder()) / name
    if not path.is_file():
        raise MappingError(f"no mapping {name}: neither shipped nor a file", where=str(path))
    try:
        return textfile.read(path)
    except textfile.Undecodable as error:
        raise MappingError(error.told(path)) from None


# ---------------------------------------------------------------- what names nothing


def _absent(
    mapping: FieldMapping, path: Path, source: str, fields: Iterable[str]
) -> Iterator[Problem]:
    """The ``fields`` that ``source`` does not declare; nothing where it is told elsewhere."""
    known = mapping.sources[source].fields if source in mapping.sources else None
    for field in dict.fromkeys(fields):
        if known is not None and field not in known:
            yield path, f"{source} has no field {field}"


def _no_source(mapping: FieldMapping, path: Path, source: str) -> Iterator[Problem]:
    if source not in mapping.sources:
        yield path, f"no source is called {source}"


def _no_entity(mapping: FieldMapping, path: Path, entity: str) -> Iterator[Problem]:
    if entity not in mapping.entities:
        yield path, f"no entity is called {entity}"


def _twice(path: Path, names: Iterable[str], what: str) -> Iterator[Problem]:
    for name, often in Counter(names).items():
        if often > 1:
            yield path, f"{often} {what} are called {name}"


def _of_source(mapping: FieldMapping, path: Path, source: SourceTable) -> Iterator[Problem]:
    name = str(path[-1])
    yield from _absent(mapping, (*path, "key"), name, source.key)
    yield from _absent(mapping, (*path, "modified"), name, filter(None, (source.modified,)))
    yield from _twice((*path, "columns"), filter(None, source.columns), "columns")
    for number, link in enumerate(source.links):
        yield from _absent(mapping, (*path, "links", number, "field"), name, (link.field,))
        yield from _no_source(mapping, (*path, "links", number, "to"), link.to)
    for field, spec in source.fields.items():
        names = {field, *spec.also}
        if source.columns and not spec.optional and not names.intersection(source.columns):
            yield (*path, "columns"), f"lacks the field {field}"


def _of_entity(mapping: FieldMapping, path: Path, name: str, entity: Entity) -> Iterator[Problem]:
    yield from _no_source(mapping, (*path, "source"), entity.source)
    others = [n for n, e in mapping.entities.items() if e.table == entity.table and n != name]
    if others and name > min(others):
        yield (*path, "table"), f"{entity.table} is the table of {min(others)} already"
    if entity.filemaker_id and entity.filemaker_id not in entity.columns:
        yield (*path, "filemaker_id"), f"no column {entity.filemaker_id} is fed"
    for column, feed in entity.columns.items():
        yield from _of_column(mapping, (*path, "columns", column), name, feed)
        yield from _of_neighbours((*path, "columns", column), column, entity)
    for number, rule in enumerate(entity.identity):
        yield from _of_identity((*path, "identity", number), rule, entity)
    for number, left_out in enumerate(entity.left_out):
        yield from _of_left_out(mapping, (*path, "left_out", number), left_out, entity)
    for kind in ("identity", "left_out", "settled"):
        rules = getattr(entity, kind)
        yield from _twice((*path, kind), (rule.name for rule in rules), "rules")
    for column, value in entity.new.items():
        if isinstance(value, DefaultRule) and value.source_field:
            fields = (value.source_field,)
            yield from _absent(mapping, (*path, "new", column, "from"), entity.source, fields)


def _of_column(mapping: FieldMapping, path: Path, entity: str, feed: Column) -> Iterator[Problem]:
    source = mapping.entities[entity].source
    yield from _absent(mapping, path, source, feed.fields_used)
    if feed.gather:
        yield from _no_source(mapping, (*path, "gather"), feed.gather)
        used = (field for key, field in feed.with_.items() if key not in NOT_FIELDS)
        yield from _absent(mapping, (*path, "with"), feed.gather, used)
        gathered = mapping.sources.get(feed.gather)
        if gathered is not None and (not gathered.links or gathered.links[0].to != source):
            yield (
                ("sources", feed.gather, "links"),
                f"the first link must lead to {source}, whose records gather these",
            )
    order = list(mapping.entities)
    if feed.entity and feed.entity not in order[: order.index(entity)]:
        yield (*path, "entity"), f"{feed.entity} must be an entity listed before {entity}"
    for number, step in enumerate(feed.lookup):
        place = (*path, "lookup", number)
        if step.table in mapping.wiped_tables():
            yield (*place, "table"), f'{step.table} is wiped: convert = "entity" finds its rows'
        if bool(step.through) != bool(step.take):
            yield place, "`through` and `take` belong together"
        elif step.through:
            yield from _no_source(mapping, (*place, "through"), step.through)
            yield from _absent(mapping, (*place, "take"), step.through, (step.take,))


def _of_neighbours(path: Path, name: str, entity: Entity) -> Iterator[Problem]:
    """Whether a column can stand beside the entity's others."""
    feed, (base, _, key) = entity.columns[name], name.partition(".")
    if feed.not_before and feed.not_before not in entity.columns:
        yield (*path, "not_before"), f"no column {feed.not_before} is fed"
    whole = entity.columns.get(base) if key else None
    if whole is not None and not whole.gather:
        yield path, f"{base} is fed as a whole already"
    elif whole is not None and any(key.partition(".")[0] in keys for keys in whole.parts.values()):
        yield path, f"the card in {base} has this key already"
    parents = [name.rsplit(".", n)[0] for n in range(1, name.count("."))]
    for parent in (p for p in parents if p in entity.columns):
        yield path, f"{parent} is fed as a whole already"


def _of_identity(path: Path, rule: Identity, entity: Entity) -> Iterator[Problem]:
    if rule.by == "filemaker_id":
        if not entity.filemaker_id:
            yield path, "by filemaker_id, but filemaker_id of the entity names no column"
        return
    for part, names in (("by", rule.by), ("then", rule.then)):
        for column in names:
            if column not in entity.columns or "." in column or entity.columns[column].gather:
                yield (*path, part), f"no column {column} is fed as a whole"
    for column in (c for c in rule.folded if c not in rule.by):
        yield (*path, "folded"), f"{column} is not among those of `by`"


def _of_left_out(
    mapping: FieldMapping, path: Path, rule: ExclusionRule, entity: Entity
) -> Iterator[Problem]:
    yield from _absent(mapping, (*path, "empty"), entity.source, rule.empty)
    for part, column in (("unresolved", rule.unresolved), ("misfit", rule.misfit)):
        if column and column not in entity.columns:
            yield (*path, part), f"no column {column} is fed"
        elif column and part == "unresolved" and entity.columns[column].convert != "entity":
            yield (
                (*path, part),
                (
                    f"{column} is a {entity.columns[column].convert}: only convert = "
                    '"entity" can be unresolved; of any other, say `misfit` or `empty`'
                ),
            )


def _of_attachment(mapping: FieldMapping, path: Path, spec: Attachment) -> Iterator[Problem]:
    yield from _no_source(mapping, (*path, "source"), spec.source)
    yield from _absent(mapping, (*path, "owner", "field"), spec.source, (spec.owner.field,))
    yield from _no_entity(mapping, (*path, "owner", "entity"), spec.owner.entity)
    yield from _absent(mapping, (*path, "exported"), spec.source, filter(None, (spec.exported,)))
    for number, rule in enumerate(spec.identity):
        place = (*path, "identity", number)
        yield from _absent(mapping, (*place, "field"), spec.source, (rule.field,))
        try:
            groups = re.compile(rule.pattern).groups
        except re.error as error:
            yield (*place, "pattern"), f"is no regular expression: {error}"
        else:
            if rule.pattern and groups != 1:
                yield (*place, "pattern"), f"has {groups} groups; one says what to take"
    for table in {spec.table, spec.link_table} & mapping.wiped_tables().keys():
        yield (*path, "table"), f"{table} is wiped, and cannot be re-linked"
    links = {a.link for a in mapping.attachments.values() if a.link_table == spec.link_table}
    if len(links) > 1:
        yield (*path, "link"), f"another attachment has another link in {spec.link_table}"
    owner = mapping.entities.get(spec.owner.entity)
    if spec.link.content_type and (not mapping.content_types or not (owner and owner.model)):
        yield (
            (*path, "link", "content_type"),
            "needs `content_types`, the table of them, and the `model` of the owner's entity",
        )


def _of_reference(mapping: FieldMapping, path: Path, reference: Reference) -> Iterator[Problem]:
    for entity in reference.entities:
        yield from _no_entity(mapping, (*path, "entities"), entity)
    if reference.content_type and not mapping.content_types:
        yield (*path, "content_type"), "needs `content_types`, the table of them"
    if not reference.content_type and not reference.entities:
        yield path, "points at nothing: give `content_type` or `entities`"


def _of_by_hand(mapping: FieldMapping, path: Path, name: str, kind: ByHand) -> Iterator[Problem]:
    others = [other for other in mapping.by_hand if other.casefold() == name.casefold()]
    if not _SHEET.fullmatch(name) or others != [name]:
        yield path, "no sheet of a workbook can be called so beside the others"
    yield from _no_entity(mapping, (*path, "entity"), kind.entity)
    for column, choices in kind.columns.items():
        if "." in column:
            yield (*path, "columns", column), "only a whole column can be given by hand"
        if choices and not all(choices.partition(".")):
            yield (*path, "columns", column), f"{choices}: write table.column, or nothing"
    fed = mapping.entities[kind.entity].columns if kind.entity in mapping.entities else None
    for shown in kind.show:
        base, _, further = shown.partition(".")
        if fed is not None and further and (base not in fed or not fed[base].entity):
            yield (*path, "show"), f"{base} is no column that leads to an entity"


def _of_application(mapping: FieldMapping, path: Path) -> Iterator[Problem]:
    calendar = mapping.application.calendar
    yield from _no_entity(mapping, (*path, "entity"), calendar.entity)
    if calendar.entity in mapping.entities:
        feed = mapping.entities[calendar.entity].columns.get(calendar.patient)
        if feed is None or not feed.entity:
            yield (*path, "patient"), f"{calendar.patient} is no column that leads to an entity"


# ---------------------------------------------------------------- what is named of Nexus


def _named_by_entity(entity: Entity) -> Iterator[tuple[Path, str, str]]:
    """Where an entity names tables and columns, and which."""
    own = entity.table
    yield ("table",), own, ""
    yield ("filemaker_id",), own, entity.filemaker_id.partition(".")[0]
    for name, feed in entity.columns.items():
        yield ("columns", name), own, name.partition(".")[0]
        for number, step in enumerate(feed.lookup):
            yield ("columns", name, "lookup", number), step.table, step.match
    for column, value in entity.new.items():
        yield ("new", column), own, column
        if isinstance(value, DefaultRule):
            yield ("new", column, "column"), own, value.column
    for number, rule in enumerate(entity.settled):
        for part in ("column", "filled", "past"):
            yield ("settled", number, part), own, getattr(rule, part)


def _named_by_attachment(spec: Attachment) -> Iterator[tuple[Path, str, str]]:
    yield ("table",), spec.table, spec.active
    for number, rule in enumerate(spec.identity):
        yield ("identity", number, "column"), spec.table, rule.column
    for column in (spec.file.column, *spec.file.also):
        yield ("file",), spec.table, column
    if spec.through:
        yield ("through", "table"), spec.through.table, ""
        yield ("through", "column"), spec.table, spec.through.column
    yield ("link", "object"), spec.link_table, spec.link.object
    yield ("link", "content_type"), spec.link_table, spec.link.content_type
