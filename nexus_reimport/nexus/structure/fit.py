"""Whether a mapping fits the database: what the live schema lacks, or cannot accept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nexus_reimport import convert, wording
from nexus_reimport.files.toml_places import Path
from nexus_reimport.mapping import DefaultRule, Entity, FieldMapping, Problem, named, refused
from nexus_reimport.nexus.connection.postgres import Connection, statement
from nexus_reimport.nexus.structure import catalog as catalogs
from nexus_reimport.nexus.structure import column_types
from nexus_reimport.nexus.structure.catalog import Catalog, Column, Table

_MOMENTS = ("as_of", "from")  # the rules for new rows that give one


def check(connection: Connection, mapping: FieldMapping, catalog: Catalog) -> None:
    """Stop unless the live schema has everything that the mapping names.

    Raises:
        MappingError: lists all problems at once, each with its line in the mapping. Nothing was
            written.
    """
    problems = [
        *_missing(mapping, catalog, _no_tables(connection, mapping)),
        *_unfit(mapping, catalog),
        *column_types.problems(connection, mapping, catalog),
    ]
    # A table that is missing is told by `_missing`; its rows cannot be read.
    if mapping.content_types in ("", *catalog.tables):
        types = catalogs.content_types(connection, mapping)
        problems += [
            (("entities", name, "model"), f"{mapping.content_types} has no {entity.model}")
            for name, entity in mapping.entities.items()
            if mapping.content_types and entity.model and entity.model not in types
        ]
    if problems:
        where = f"schema {catalog.schema}" + ("" if catalog.tables else ", which holds no table")
        raise refused("the mapping does not fit the database:", problems, mapping.text, where)


def _no_tables(connection: Connection, mapping: FieldMapping) -> dict[str, str]:
    """What is no table and is asked like one -> what it is."""
    asked = {"schema": mapping.schema_name}
    return dict(connection.execute(statement("no_tables"), asked).fetchall())


def _missing(
    mapping: FieldMapping, catalog: Catalog, no_tables: Mapping[str, str]
) -> Iterator[Problem]:
    """Tables and columns that do not exist; of a missing table, not each of its columns too."""
    reported = set()
    for path, table, column in named.of_nexus(mapping):
        if table not in catalog.tables:
            if (path[:2], table) not in reported:
                kind = no_tables.get(table)
                more = wording.meant(table, catalog.tables)
                if kind:
                    more = f": it is {kind}, so name the table that holds its rows"
                yield path, f"no table {table}{more}"
            reported.add((path[:2], table))
        elif column and catalog.tables[table].column(column) is None:
            known = [c.name for c in catalog.tables[table].columns]
            yield path, f"{table}: no column {column}{wording.meant(column, known)}"


def _unfit(mapping: FieldMapping, catalog: Catalog) -> Iterator[Problem]:
    """What the mapping gives to tables and they cannot accept, and tables without a usable key."""
    for name, entity in mapping.entities.items():
        table = catalog.tables.get(entity.table)
        if table is None:
            continue
        for path, text in (*_wrong_keys(entity, table), *_wrong_columns(entity, table)):
            yield ("entities", name, *path), text
    yield from _no_booleans(mapping, catalog)
    yield from _no_times(mapping, catalog)
    for path, name in _named_by_one_column(mapping):
        table = catalog.tables.get(name)
        if table is not None and (text := _no_key(table)):
            yield path, text


def _no_booleans(mapping: FieldMapping, catalog: Catalog) -> Iterator[Problem]:
    """The columns that say whether the application uses a row, and can say neither yes nor no."""
    people = mapping.entities[mapping.people()].table
    flags: list[tuple[Path, str, str]] = [
        (("application", "archived"), people, mapping.application.archived)
    ]
    for name, held in mapping.external_ids.items():
        flags.append((("external_ids", name, "active"), held.table, held.active))
    for name, spec in mapping.attachments.items():
        flags.append((("attachments", name, "active"), spec.table, spec.active))
    for path, name, flag in flags:
        table = catalog.tables.get(name)
        column = table.column(flag) if table else None
        if column and column.stored_as != "boolean":
            what = f"the type of {name}.{flag} is {column.type}, and a boolean column is needed"
            yield path, f"{what}: name one, or take `{path[-1]}` out, so that every row counts"


def _no_times(mapping: FieldMapping, catalog: Catalog) -> Iterator[Problem]:
    """The columns by which a row is of the past or still to come, and that hold no time.

    Any two texts can be compared: what is no time would be over, or not, by its first letter.
    """
    for path, name, named_column in _times(mapping):
        entity = mapping.entities[name]
        table = catalog.tables.get(entity.table)
        column = table.column(named_column) if table else None
        if column and not _can_hold_times(column, entity):
            what = (
                f"the type of {entity.table}.{column.name} is {column.type}, and a date or a time"
            )
            yield path, f"{what} is needed; in a text one that the mapping converts to it"


def _times(mapping: FieldMapping) -> Iterator[tuple[Path, str, str]]:
    """Place, entity and column of each time that the mapping names."""
    for name, entity in mapping.entities.items():
        for number, override in enumerate(entity.overrides):
            yield ("entities", name, "overrides", number, "past"), name, override.past
        for new, rule in entity.new.items():
            if isinstance(rule, DefaultRule) and rule.rule == "completed_if_past":
                yield ("entities", name, "new", new, "column"), name, rule.column
    for name, kind in mapping.by_hand.items():
        yield ("by_hand", name, "future"), kind.entity, kind.future
    calendar = mapping.application.calendar
    for part in ("start", "end"):
        yield ("application", "calendar", part), calendar.entity, getattr(calendar, part)


def _can_hold_times(column: Column, entity: Entity) -> bool:
    if column.stored_as == "date" or column.stored_as.startswith("timestamp"):
        return True
    feed = entity.columns.get(column.name)
    given = entity.new.get(column.name)
    if feed:
        fills_it = feed.converter.is_date or feed.converter.is_instant
    else:  # what nobody fills may hold what the application writes there
        fills_it = given is None or (isinstance(given, DefaultRule) and given.rule in _MOMENTS)
    return fills_it and convert.is_text(column.stored_as)


def _named_by_one_column(mapping: FieldMapping) -> Iterator[tuple[Path, str]]:
    """The tables beside the entities' whose rows are each named by one column."""
    for name, attachment in mapping.attachments.items():
        yield ("attachments", name, "table"), attachment.table
        if attachment.through:
            yield ("attachments", name, "through", "table"), attachment.through.table
    for name, entity in mapping.entities.items():
        for column, feed in entity.columns.items():
            for number, step in enumerate(feed.lookup):
                yield ("entities", name, "columns", column, "lookup", number), step.table
    for name, kind in mapping.by_hand.items():
        for column, choices in kind.columns.items():
            yield ("by_hand", name, "columns", column), choices.partition(".")[0]


def _no_key(table: Table) -> str:
    one = len(table.primary_key) == 1
    return "" if one else f"{table.name}: needs a primary key of one column"


def _wrong_keys(entity: Entity, table: Table) -> Iterator[Problem]:
    if text := _no_key(table):
        yield ("table",), text
    fed = {"columns": entity.fed_columns(), "new": tuple(entity.new)}
    for part, given in fed.items():
        for column in (c for c in given if c in table.primary_key):
            yield (part, column), "is the primary key: a row keeps its key, a new row gets one"
    filled = {*fed["columns"], *fed["new"], *table.primary_key}
    for c in table.columns:
        if c.not_null and not c.filled_by_database and c.name not in filled:
            yield (
                ("new",),
                f"{entity.table}.{c.name} must not be empty, and new rows have no value for it",
            )


def _wrong_columns(entity: Entity, table: Table) -> Iterator[Problem]:
    for name, feed in entity.columns.items():
        column = table.column(name.partition(".")[0])
        if column is None:
            continue
        if column.generated:
            yield ("columns", name), "is generated by the database"
        is_nested = "." in name or feed.converter.is_json
        if is_nested and not column.is_json:
            yield ("columns", name), f"its type is {column.type}, and a JSON column is needed"
