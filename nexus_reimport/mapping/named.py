"""The tables and columns of Nexus that a mapping names, with their places in the file."""

from __future__ import annotations

from collections.abc import Iterator

from nexus_reimport.files.toml_places import Path
from nexus_reimport.mapping.attachments import Attachment
from nexus_reimport.mapping.entities import DefaultRule, Entity
from nexus_reimport.mapping.field_mapping import ByHand, FieldMapping


def of_nexus(mapping: FieldMapping) -> Iterator[tuple[Path, str, str]]:
    """Place, table and column ("" for the table itself) of each name of Nexus in the mapping."""
    if mapping.content_types:
        yield ("content_types",), mapping.content_types, ""
    for name, entity in mapping.entities.items():
        for path, table, column in _by_entity(entity):
            yield ("entities", name, *path), table, column
    for name, attachment in mapping.attachments.items():
        for path, table, column in _by_attachment(attachment):
            yield ("attachments", name, *path), table, column
    for number, reference in enumerate(mapping.references):
        yield ("references", number, "object"), reference.table, reference.object
        yield ("references", number, "content_type"), reference.table, reference.content_type
    for name, kind in mapping.by_hand.items():
        yield from _in_by_hand(mapping, ("by_hand", name), kind)
    yield from _by_application(mapping)
    yield from _by_protected(mapping)


def _by_protected(mapping: FieldMapping) -> Iterator[tuple[Path, str, str]]:
    """What is said of tables that the run does not write."""
    for name, held in mapping.external_ids.items():
        for part in ("owner", "column", "active"):
            yield ("external_ids", name, part), held.table, getattr(held, part)
    for name, tables in (("transient", mapping.transient), ("append_only", mapping.append_only)):
        yield from (((name, number), table, "") for number, table in enumerate(tables))
    for table, columns in mapping.volatile.items():
        yield from (
            (("volatile", table), table, "" if column == "*" else column) for column in columns
        )


def _by_entity(entity: Entity) -> Iterator[tuple[Path, str, str]]:
    """The same for one entity; places are relative to it."""
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
    for number, rule in enumerate(entity.overrides):
        for part in ("column", "filled", "past"):
            yield ("overrides", number, part), own, getattr(rule, part)


def _by_attachment(spec: Attachment) -> Iterator[tuple[Path, str, str]]:
    for number, rule in enumerate(spec.identity):
        yield ("identity", number, "column"), spec.table, rule.column
    for column in (spec.file.column, *spec.file.also):
        yield ("file",), spec.table, column
    yield ("active",), spec.table, spec.active
    if spec.through:
        yield ("through", "table"), spec.through.table, ""
        yield ("through", "column"), spec.table, spec.through.column
    yield ("link", "object"), spec.link_table, spec.link.object
    yield ("link", "content_type"), spec.link_table, spec.link.content_type


def _in_by_hand(mapping: FieldMapping, path: Path, kind: ByHand) -> Iterator[tuple[Path, str, str]]:
    entity = mapping.entities[kind.entity]
    for column, choices in kind.columns.items():
        yield (*path, "columns", column), entity.table, column
        table, _, named = choices.partition(".")
        if choices:
            yield (*path, "columns", column), table, named
    yield (*path, "future"), entity.table, kind.future
    for part in ("show", "where_any"):
        for shown in getattr(kind, part):
            base, _, further = shown.partition(".")
            yield (*path, part), entity.table, base
            if further:
                target = mapping.entities[entity.columns[base].entity]
                yield (*path, part), target.table, further


def _by_application(mapping: FieldMapping) -> Iterator[tuple[Path, str, str]]:
    application, people = mapping.application, mapping.entities[mapping.people()].table
    for part in ("patient_name", "search"):
        for column in getattr(application, part):
            yield ("application", part), people, column
    for part in ("archived", "patient_clinic"):
        if column := getattr(application, part):
            yield ("application", part), people, column
    calendar = application.calendar
    table = mapping.entities[calendar.entity].table
    for part in ("start", "end", "patient", "clinic", "clinician", "type"):
        if column := getattr(calendar, part):
            yield ("application", "calendar", part), table, column
