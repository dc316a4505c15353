"""Whether the columns that a run fills have types whose values are stored as they are planned.

The plan holds texts, and every row is compared with what PostgreSQL prints. A type that prints a
value otherwise than it was put in would let the verification fail after COMMIT, so the preflight
refuses it here, or ``convert.for_type`` plans the value in the form that is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
from psycopg import sql

from nexus_reimport import convert
from nexus_reimport.convert import registry
from nexus_reimport.mapping import ColumnSpec, DefaultRule, Entity, FieldMapping, Problem
from nexus_reimport.nexus.connection.driver_errors import code_and_name
from nexus_reimport.nexus.connection.postgres import Connection, scalar
from nexus_reimport.nexus.structure.catalog import Catalog, Column, Table

# What prints an id as it was put in; a derived id has 36 characters.
_OF_IDS = re.compile(
    r"smallint|integer|bigint|numeric(\([0-9]+,0\))?|uuid|text|bpchar"
    r"|character varying(\([0-9]+\))?|character\(36\)"
)
_NOT_FORETOLD = (
    "PostgreSQL may print such a value otherwise than it is put in, and no run could be verified."
    " Take the column out of the mapping, or have the application change its type to text, a"
    " number, boolean, uuid, date, time or timestamp"
)
_ABSENT = Table("", (), ())  # what is missing is told by `fit`


def problems(connection: Connection, mapping: FieldMapping, catalog: Catalog) -> Iterator[Problem]:
    """What of the mapping is given to a column whose type would store it in another form."""
    for name, entity in mapping.entities.items():
        table = catalog.tables.get(entity.table, _ABSENT)
        for path, text in _of_entity(connection, entity, table):
            yield ("entities", name, *path), text
    for name, kind in mapping.by_hand.items():
        table = catalog.tables.get(mapping.entities[kind.entity].table, _ABSENT)
        for column, choices in kind.columns.items():
            if text := _unfit_by_hand(table.column(column), choices):
                yield ("by_hand", name, "columns", column), text
    for name, attachment in mapping.attachments.items():
        table = catalog.tables.get(attachment.link_table, _ABSENT)
        for part in ("object", "content_type"):
            if text := _unfit_id(table.column(getattr(attachment.link, part))):
                yield ("attachments", name, "link", part), text


def _of_entity(connection: Connection, entity: Entity, table: Table) -> Iterator[Problem]:
    for key in table.primary_key:
        if text := _unfit_id(table.column(key)):
            yield ("table",), text
    for name, feed in entity.columns.items():
        if text := _unfit_column(table.column(name), feed):
            yield ("columns", name), text
    for path, name, value in _constants(entity):
        if text := _unfit_constant(connection, table.column(name), value):
            yield path, text
    for name, rule in entity.new.items():
        if isinstance(rule, DefaultRule) and (text := _unfit_rule(table.column(name), rule)):
            yield ("new", name), text


def _unfit_id(column: Column | None) -> str:
    if column is None or _OF_IDS.fullmatch(column.stored_as):
        return ""
    return (
        f"the type of {column.name} is {column.type}, and an id needs a whole number, a uuid or a"
        " text of any length"
    )


def _unfit_column(column: Column | None, feed: ColumnSpec) -> str:
    """Why the values of a converter do not fit a column's type; a key of a JSON column fits."""
    if column is None or feed.converter.is_json:
        return ""
    kind = f"its type is {column.type}"
    if feed.converter.is_instant and not _holds_instants(column):
        return f'{kind}, and convert = "{feed.convert}" needs {convert.INSTANT}'
    if column.stored_as == convert.INSTANT and not feed.converter.is_instant:
        return (
            f'{kind}, and convert = "{feed.convert}" gives no instant: take'
            f' {" or ".join(registry.of_instants())}; "timestamp" makes midnight at the clinic of a'
            " date"
        )
    return "" if _is_foretold(column) else f"{kind}: {_NOT_FORETOLD}"


def _unfit_by_hand(column: Column | None, choices: str) -> str:
    if column is None or choices:
        return ""
    if convert.is_foretold(column.stored_as) and column.stored_as != convert.INSTANT:
        return ""
    return f"its type is {column.type}, which nobody can fill in by hand"


def _unfit_rule(column: Column | None, rule: DefaultRule) -> str:
    """Why a rule that gives an instant, at least where its field is empty, does not fit."""
    if column is None or rule.rule not in ("as_of", "from"):
        return ""
    gives_instants = rule.rule == "as_of" or registry.of(rule.convert).is_instant
    if _holds_instants(column) and (gives_instants or column.stored_as != convert.INSTANT):
        return ""
    given = "the moment of the plan" if rule.rule == "as_of" else f'convert = "{rule.convert}"'
    return f"its type is {column.type}, in which {given} would be stored in another form"


def _is_foretold(column: Column) -> bool:
    # JSON is compared by what it says; under a domain it would be a text.
    return column.is_json or convert.is_foretold(column.stored_as)


def _holds_instants(column: Column) -> bool:
    # One that pads with blanks is left to texts that ``convert.for_type`` pads.
    is_padded = column.stored_as.startswith("character(")
    is_text = convert.is_text(column.stored_as) and not is_padded
    return is_text or column.stored_as == convert.INSTANT


def _constants(entity: Entity) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """The values that stand in the mapping: place, column, value."""
    for name, value in entity.new.items():
        if isinstance(value, str):
            yield ("new", name), name, value
        else:
            for part in ("past", "future"):
                if text := getattr(value, part):
                    yield ("new", name, part), name, text
    for number, rule in enumerate(entity.overrides):
        for part in ("was", "becomes"):
            yield ("overrides", number, part), rule.column, getattr(rule, part)


def _unfit_constant(connection: Connection, column: Column | None, value: str) -> str:
    """Why a value of the mapping does not stay as it is."""
    if column is None or column.is_json:
        return ""
    if column.max_length is not None and len(value) > column.max_length:
        return f"longer than {column.max_length} characters"
    try:
        printed = _printed(connection, column, value)
    except convert.ConversionError as error:
        return f"a column of type {column.type} cannot hold it: {error}"
    if printed == value:
        return ""
    return f"in a column of type {column.type} PostgreSQL prints it as {printed!r}: write it so"


def _printed(connection: Connection, column: Column, value: str) -> str:
    """``value`` as PostgreSQL prints it in ``column``; asked only where nothing else tells it."""
    if convert.is_foretold(column.stored_as) and column.stored_as != convert.INSTANT:
        if not value and not convert.is_text(column.stored_as):
            raise convert.ConversionError("it is empty")
        return convert.for_type(value, column.stored_as)
    # format() prints a value as COPY does; the type's name is the catalog's own.
    query = sql.SQL("SELECT format('%s', CAST({} AS {}))").format(
        sql.Literal(value), sql.SQL(column.type)
    )
    try:
        with connection.transaction():  # a savepoint: an error must not end the survey
            return str(scalar(connection, query))
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise convert.ConversionError(code_and_name(error.sqlstate)) from None
