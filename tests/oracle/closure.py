"""Rows that FileMaker does not bring back: why, and which of them go."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from oracle.matching import at
from oracle.seen import ENTITIES, MAPPING, TABLE, Nexus, Row, Seen
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
    while held := going & _held_by_rows(expected, going):
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


class References:
    """Which columns point at the rows of entities: by foreign keys, and by the mapping's word."""

    def __init__(self, nexus: Nexus) -> None:
        entities = {table: entity for entity, table in TABLE.items()}
        models = {spec["model"]: entity for entity, spec in ENTITIES.items() if "model" in spec}
        self._types = {
            row["id"]: models.get(f"{row['app_label']}.{row['model']}", "")
            for row in nexus.tables["django_content_type"]
        }
        # Table -> column of the id, and what it points at, or the column that says so.
        self._of: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for key in nexus.foreign_keys:
            if key["target"] in entities:
                self._of[key["of"]].append((key["name"], entities[key["target"]], ""))
        for loose in MAPPING["references"]:
            for entity in loose.get("entities", ("",)):
                named = (loose["object"], entity, loose.get("content_type", ""))
                self._of[loose["table"]].append(named)

    def aims(self, table: str, row: Row) -> Rows:
        """What a row points at."""
        return {
            (self._types[row[kind]] if kind and row[kind] else entity, str(row[column]).lower())
            for column, entity, kind in self._of[table]
        }


def pointed_at(seen: Seen) -> Rows:
    """What rows point at that are not wiped, as they are before the run."""
    references = References(seen.before)
    tables = seen.before.tables.items()
    others = [(table, rows) for table, rows in tables if table not in TABLE.values()]
    return {aim for table, rows in others for row in rows for aim in references.aims(table, row)}


def _held_by_rows(expected: Expected, going: Rows) -> Rows:
    """What the rows of entities point at that stay."""
    references = References(expected.seen.before)
    return {
        aim
        for entity, rows in expected.rows.items()
        for row_id, row in rows.items()
        if (entity, row_id) not in going
        for aim in references.aims(TABLE[entity], row)
    }
