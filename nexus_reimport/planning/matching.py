"""Which record of FileMaker is which row of Nexus.

Rules in order, the first match wins: FileMaker's id in the row; what the run before remembers; the
id derived from FileMaker's; then equal values, all of them. Only where nothing is remembered, on
the first run after imports that lost the dates, is a row with another date taken. Equal candidates
pair up in sorted order, so that the same data gives the same pairs.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nexus_reimport.ids import Id
from nexus_reimport.intake import IdMap, Row, stored_id
from nexus_reimport.mapping import Entity, Identity
from nexus_reimport.text import folded

T = TypeVar("T", Id, str)
Values = Mapping[str, Any]


@dataclass(slots=True)
class Matches:
    """FileMaker id -> Nexus id, how many by which rule, and ids that two rows claim."""

    pairs: dict[Id, str] = field(default_factory=dict)
    by_rule: Counter[str] = field(default_factory=Counter)
    ambiguous: set[Id] = field(default_factory=set)


def derived_id(namespace: uuid.UUID, entity: str, filemaker_id: Id) -> str:
    """The version-5 UUID of a row that FileMaker brings first."""
    return str(uuid.uuid5(namespace, f"{entity}:{filemaker_id.written}"))


def match(
    entity: str,
    spec: Entity,
    fed: Mapping[Id, Values],
    rows: Mapping[str, Row],
    remembered: IdMap,
    namespace: uuid.UUID,
) -> Matches:
    """Pairs of records (FileMaker id -> fed values) and rows (Nexus id -> columns).

    Where Nexus writes an id in another case than FileMaker, the pair has FileMaker's.
    """
    found = Matches()
    known = {one: one for one in fed}
    free = _Free(found, set(fed), set(rows))
    if spec.filemaker_id:
        claimed = _claims(rows, spec.filemaker_id, known)
        found.ambiguous = {i for i, keys in claimed.items() if len(keys) > 1}
        free.pair(_own_rule(spec), ((i, min(claimed[i])) for i in in_order(claimed)))
    free.pair("remembered", _remembered(remembered, known))
    free.pair("derived id", ((i, derived_id(namespace, entity, i)) for i in in_order(fed)))
    for rule in spec.identity:
        if rule.by == "filemaker_id":
            continue
        exact = (*rule.by, *rule.then)
        free.pair(rule.name, _equal(rule, exact, free, fed, rows))
        if rule.then and not remembered:
            loosely = f"{rule.name}, other {' or '.join(rule.then)}"
            free.pair(loosely, _equal(rule, rule.by, free, fed, rows))
    return found


def in_order(found: Iterable[Id]) -> list[Id]:
    """The ids in the order of what is written, so that the same data gives the same plan."""
    return sorted(found, key=lambda one: one.written)


class _Free:
    """What is not paired yet, on both sides."""

    def __init__(self, found: Matches, records: set[Id], rows: set[str]) -> None:
        self._found, self.records, self.rows = found, records, rows

    def pair(self, rule: str, pairs: Iterable[tuple[Id, str]]) -> None:
        for record, row in pairs:
            if record in self.records and row in self.rows:
                self._found.pairs[record] = row
                self._found.by_rule[rule] += 1
                self.records.discard(record)
                self.rows.discard(row)


def _own_rule(spec: Entity) -> str:
    return next((r.name for r in spec.identity if r.by == "filemaker_id"), "filemaker_id")


def _claims(rows: Mapping[str, Row], place: str, known: Mapping[Id, Id]) -> dict[Id, list[str]]:
    """FileMaker id, as FileMaker writes it where it has it -> the rows that carry it."""
    claimed: dict[Id, list[str]] = defaultdict(list)
    spelt = dict(known)
    for key, row in rows.items():
        filemaker_id = stored_id(row, place)
        if filemaker_id:
            claimed[spelt.setdefault(filemaker_id, filemaker_id)].append(key)
    return claimed


def _remembered(remembered: IdMap, known: Mapping[Id, Id]) -> list[tuple[Id, str]]:
    """What is remembered, under the ids as FileMaker writes them; an exact spelling comes first."""
    pairs = [
        (known.get(was, was), was.written, row)
        for was, row in sorted(remembered, key=lambda pair: pair[0].written)
    ]
    pairs.sort(key=lambda one: (one[0].written, one[1] != one[0].written))
    return [(one, row) for one, _, row in pairs]


def _equal(
    rule: Identity,
    columns: tuple[str, ...],
    free: _Free,
    fed: Mapping[Id, Values],
    rows: Mapping[str, Row],
) -> list[tuple[Id, str]]:
    """Pairs whose ``columns`` are equal; several equal ones in the order of ``then`` and of ids."""
    records = _grouped(free.records, fed, rule, columns)
    targets = _grouped(free.rows, rows, rule, columns)
    return [
        pair
        for key in sorted(records.keys() & targets.keys())
        for pair in zip(
            sorted(records[key], key=_order(fed, rule.then)),
            sorted(targets[key], key=_order(rows, rule.then)),
            strict=False,
        )
    ]


def _grouped(
    ids: set[T], values: Mapping[T, Values], rule: Identity, columns: tuple[str, ...]
) -> dict[tuple[str, ...], list[T]]:
    grouped: dict[tuple[str, ...], list[T]] = defaultdict(list)
    for one in ids:
        compared = [values[one].get(column) for column in columns]
        if all(compared):
            key = tuple(
                folded(str(v)) if c in rule.folded else str(v)
                for c, v in zip(columns, compared, strict=True)
            )
            grouped[key].append(one)
    return grouped


def _order(
    values: Mapping[T, Values], then: tuple[str, ...]
) -> Callable[[T], tuple[list[str], str]]:
    return lambda one: ([str(values[one].get(column) or "") for column in then], str(one))
