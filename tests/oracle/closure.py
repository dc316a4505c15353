"""Rows that FileMaker does not bring back: why, and which of them go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from oracle.matching import at
from oracle.seen import ENTITIES, MAPPING, TABLE, Row, Seen
from oracle.texts import ident

if TYPE_CHECKING:
    from oracle.expected import Expected

Rows = set[tuple[str, str]]  # entity, id


def purged(expected: Expected) -> tuple[Counter[tuple[str, str]], Rows]:
    """Entity and cause -> rows; and the rows that go: decided so, and nothing that stays points."""
    causes: Counter[tuple[str, str]] = Counter()
    going: Rows = set()
    for entity, rows in expected.rows.items():
        for row_id in rows.keys() - set(expected.ids[entity].values()):
            why = _cause(expected, entity, row_id)
            causes[entity, why] += 1
            if _may_go(expected, entity, row_id, why):
                going.add((entity, row_id))
    while held := going & set(_held_by_rows(expected, going)):
        going -= held
    return causes, going


def is_to_go(expected: Expected, entity: str, row_id: str) -> bool:
    """Whether a row without a record was decided to go, and only rows of entities may hold it."""
    return _may_go(expected, entity, row_id, _cause(expected, entity, row_id))


def _may_go(expected: Expected, entity: str, row_id: str, why: str) -> bool:
    held = (entity, row_id) in expected.pointed_at
    return expected.decided(entity, why) == "purge" and not held


def _cause(expected: Expected, entity: str, row_id: str) -> str:
    """Why FileMaker does not bring a row."""
    place = ENTITIES[entity].get("filemaker_id")
    name = ident(str((place and at(expected.before[entity][row_id], place)) or ""))
    name = name or expected.loaded_as[entity].get(row_id, "")
    if not name:
        return "no_filemaker_id"
    return "left_out_by_rule" if name in expected.left_out[entity] else "not_in_filemaker"


def _content_types(seen: Seen) -> dict[Any, str]:
    """Id of a content type -> the entity that it names."""
    models = {spec["model"]: entity for entity, spec in ENTITIES.items() if "model" in spec}
    named = {
        row["id"]: f"{row['app_label']}.{row['model']}"
        for row in seen.before.tables["django_content_type"]
    }
    return {number: models[name] for number, name in named.items() if name in models}


def pointed_at(seen: Seen) -> Rows:
    """What rows point at that are not wiped, as they are before the run."""
    types, tables = _content_types(seen), seen.before.tables
    entities = {table: entity for entity, table in TABLE.items()}
    rows: Rows = set()
    for key in seen.before.foreign_keys:
        if key["target"] in entities and key["of"] not in entities:
            rows |= _named(tables[key["of"]], key["name"], entities[key["target"]])
    for loose in MAPPING["references"]:
        if loose["table"] not in entities:
            for entity in loose.get("entities", ()):
                rows |= _named(tables[loose["table"]], loose["object"], entity)
            if "content_type" in loose:
                rows |= {
                    (types.get(row[loose["content_type"]], ""), str(row[loose["object"]]))
                    for row in tables[loose["table"]]
                }
    return rows


def _named(rows: Sequence[Row], column: str, entity: str) -> Rows:
    return {(entity, str(row[column])) for row in rows}


def _held_by_rows(expected: Expected, going: Rows) -> Iterator[tuple[str, str]]:
    """What the rows of entities point at that stay."""
    entities = {table: entity for entity, table in TABLE.items()}
    pointing = [
        (entities[key["of"]], key["name"], entities[key["target"]])
        for key in expected.seen.before.foreign_keys
        if key["of"] in entities and key["target"] in entities
    ]
    pointing += [
        (entities[loose["table"]], loose["object"], target)
        for loose in MAPPING["references"]
        for target in loose.get("entities", ())
        if loose["table"] in entities
    ]
    for entity, column, target in pointing:
        for row_id, row in expected.rows[entity].items():
            if (entity, row_id) not in going:
                yield target, str(row[column])
