"""Whose each document and each batch of images is, by FileMaker."""

from __future__ import annotations

import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Any

from oracle.matching import carried
from oracle.seen import ATTACHMENTS, ENTITIES, SOURCES, Mapped, Row, Seen
from oracle.texts import clean, ident

Owners = Mapping[str, Mapping[Any, uuid.UUID]]


def owners(seen: Seen, patients: Mapping[str, uuid.UUID]) -> Owners:
    """Table that links -> id of its row -> its patient; without rows that FileMaker does not place.

    What hangs on another row, as images on their batch, is of the one patient of all of them.
    """
    found: dict[str, dict[Any, uuid.UUID]] = {}
    for spec in ATTACHMENTS.values():
        records = _records(seen, spec)
        of_rows = defaultdict(set)
        for row in seen.before.tables[spec["table"]]:
            record = _record_of(row, spec, records)
            owner = record and patients.get(ident(record.get(spec["owner"]["field"], "")))
            if owner:
                of_rows[row[spec["through"]["column"] if "through" in spec else "id"]].add(owner)
        table = spec["through"]["table"] if "through" in spec else spec["table"]
        found[table] = {key: next(iter(each)) for key, each in of_rows.items() if len(each) == 1}
    return found


def existing(seen: Seen) -> dict[str, uuid.UUID]:
    """FileMaker id -> the patient who is there: who carries it, else whom a run has loaded by it.

    An id that two carry is nobody's.
    """
    rows = seen.before.by_id("patients")
    by_id = carried(seen.entities["patients"], rows)
    carrying = {row_id for ids in by_id.values() for row_id in ids}
    found = {name: ids[0] for name, ids in by_id.items() if len(ids) == 1}
    for (entity, name), row_id in seen.before.loaded.items():
        is_there = entity == "patients" and row_id in rows
        if is_there and row_id not in carrying and ident(name) not in by_id:
            found[ident(name)] = row_id
    return {name: uuid.UUID(row_id) for name, row_id in found.items()}


def leads_elsewhere(seen: Seen, row: Row, link: Mapped, patients: Any) -> bool:
    """Whether a link leads to something that is no patient, for all that is known.

    ``patients`` is the number of their content type.
    """
    linked, kind = row[link["object"]], row[link["content_type"]]
    if linked is None or kind in (None, patients) or str(linked) in seen.after.by_id("patients"):
        return False
    types = {t["id"]: f"{t['app_label']}.{t['model']}" for t in _types(seen)}
    named = {spec["model"]: entity for entity, spec in ENTITIES.items() if "model" in spec}
    entity = named.get(types[kind])
    return entity is None or str(linked) in seen.after.by_id(entity)


def _types(seen: Seen) -> Sequence[Row]:
    return seen.before.tables["django_content_type"]


def outcomes(seen: Seen, name: str, staying: Mapping[str, Any], gone: Set[str]) -> Counter[str]:
    """What became of the records of one kind of attachment; of ``gone`` patients none is linked."""
    spec = ATTACHMENTS[name]
    of_rows = [
        {place: _identity(row, rule) for place, rule in enumerate(spec["identity"])}
        for row in seen.before.tables[spec["table"]]
    ]
    known = {(place, key) for row in of_rows for place, key in row.items() if key}
    counts: Counter[str] = Counter()
    for record in seen.records(spec["source"]):
        keys = {(place, _key(record, spec, rule)) for place, rule in enumerate(spec["identity"])}
        owner = staying.get(ident(record.get(spec["owner"]["field"], "")))
        if not keys & known:
            counts["not_in_nexus"] += 1
        elif owner and str(owner) not in gone:
            counts["linked"] += 1
        else:
            counts["owner_not_loaded"] += 1
    return counts


def _records(seen: Seen, spec: Mapped) -> dict[tuple[int, str], Row]:
    """Number of the rule, and what it compares -> the record."""
    return {
        (place, _key(record, spec, rule)): record
        for record in seen.records(spec["source"])
        for place, rule in enumerate(spec["identity"])
    }


def _key(record: Row, spec: Mapped, rule: Mapped) -> str:
    value = record.get(rule["field"], "")
    return ident(value) if rule["field"] == SOURCES[spec["source"]]["key"] else clean(value)


def _identity(row: Row, rule: Mapped) -> str:
    value = row[rule["column"]]
    if value is None or "pattern" not in rule:
        return ident(str(value or ""))
    part = re.search(rule["pattern"], value)
    return part[1] if part else ""


def _record_of(row: Row, spec: Mapped, records: Mapping[tuple[int, str], Row]) -> Row | None:
    for place, rule in enumerate(spec["identity"]):
        key = _identity(row, rule)
        if key and (place, key) in records:
            return records[place, key]
    return None
