"""Matches records of FileMaker with rows of Nexus.

The rules apply in this order, and the first match wins: FileMaker's id in the row; the id map of
the run before; the id derived from FileMaker's; then equal values in all columns of a rule. A row
with a different date matches only if there is no id map, that is on the first run: earlier imports
lost the dates of notes. Equal candidates pair up in sorted order, so the same data always gives
the same pairs.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nexus_reimport.ids import Id
from nexus_reimport.intake import IdMap, Row, stored_id
from nexus_reimport.mapping import Entity, Identity
from nexus_reimport.text import folded

if TYPE_CHECKING:
    import numpy

T = TypeVar("T", Id, str)
U = TypeVar("U", Id, str)
_BYTES = 16  # of a hash
Values = Mapping[str, Any]


@dataclass(slots=True)
class Matches:
    """FileMaker id -> Nexus id, the number of matches by rule, and ids that two rows claim."""

    pairs: dict[Id, str] = field(default_factory=dict)
    by_rule: Counter[str] = field(default_factory=Counter)
    ambiguous: set[Id] = field(default_factory=set)


def derived_id(namespace: uuid.UUID, entity: str, filemaker_id: Id) -> str:
    """The version-5 UUID of a new row that FileMaker brings."""
    # Never a random one: documents point at patients by bare ids, which no constraint holds.
    # A reimport that gave out new ids once orphaned 10,190 documents and all image batches.
    return str(uuid.uuid5(namespace, f"{entity}:{filemaker_id.written}"))


def match(
    entity: str,
    spec: Entity,
    fed: Mapping[Id, Values],
    rows: Mapping[str, Row],
    id_map: IdMap,
    namespace: uuid.UUID,
) -> Matches:
    """Pairs of records (FileMaker id -> fed values) and rows (Nexus id -> columns).

    If Nexus writes an id in a different case than FileMaker, the pair has FileMaker's spelling.
    """
    matches = Matches()
    known = {record_id: record_id for record_id in fed}
    free = _Free(matches, set(fed), set(rows))
    if spec.filemaker_id:
        claimed = _claims(rows, spec.filemaker_id, known)
        matches.ambiguous = {i for i, keys in claimed.items() if len(keys) > 1}
        # Which of two rows that claim an id is taken does not matter: such a plan always stops.
        free.pair(_rule_by_id(spec), ((i, min(claimed[i])) for i in in_order(claimed)))
    # Notes and other rows have no column for FileMaker's id: the id map finds them again, even if
    # their text was edited in FileMaker.
    free.pair("remembered", _remembered(id_map, known))
    free.pair("derived id", ((i, derived_id(namespace, entity, i)) for i in in_order(fed)))
    # Equal values come last: names and texts repeat, an id does not.
    for rule in spec.identity:
        if rule.by == "filemaker_id":
            continue
        exact = (*rule.by, *rule.then)
        free.pair(rule.name, _equal(rule, exact, free, fed, rows))
        if rule.then and not id_map:
            loosely = f"{rule.name}, other {' or '.join(rule.then)}"
            free.pair(loosely, _equal(rule, rule.by, free, fed, rows))
    return matches


def in_order(ids: Iterable[Id]) -> list[Id]:
    """The ids sorted as they are written, so that the same data gives the same plan."""
    return sorted(ids, key=lambda i: i.written)


class _Free:
    """The records and rows that are not paired yet."""

    def __init__(self, matches: Matches, records: set[Id], rows: set[str]) -> None:
        self._matches, self.records, self.rows = matches, records, rows

    def pair(self, rule: str, pairs: Iterable[tuple[Id, str]]) -> None:
        for record, row in pairs:
            if record in self.records and row in self.rows:
                self._matches.pairs[record] = row
                self._matches.by_rule[rule] += 1
                self.records.discard(record)
                self.rows.discard(row)


def _rule_by_id(spec: Entity) -> str:
    return next((r.name for r in spec.identity if r.by == "filemaker_id"), "filemaker_id")


def _claims(rows: Mapping[str, Row], place: str, known: Mapping[Id, Id]) -> dict[Id, list[str]]:
    """FileMaker id, in FileMaker's spelling if it has the record -> the rows that carry it."""
    claimed: dict[Id, list[str]] = defaultdict(list)
    spelt = dict(known)
    for key, row in rows.items():
        filemaker_id = stored_id(row, place)
        if filemaker_id:
            claimed[spelt.setdefault(filemaker_id, filemaker_id)].append(key)
    return claimed


def _remembered(id_map: IdMap, known: Mapping[Id, Id]) -> list[tuple[Id, str]]:
    """The id map with ids in FileMaker's spelling; pairs with the exact spelling come first."""
    pairs = [
        (known.get(was, was), was.written, row)
        for was, row in sorted(id_map, key=lambda pair: pair[0].written)
    ]
    pairs.sort(key=lambda pair: (pair[0].written, pair[1] != pair[0].written))
    return [(record, row) for record, _, row in pairs]


def _equal(
    rule: Identity,
    columns: tuple[str, ...],
    free: _Free,
    fed: Mapping[Id, Values],
    rows: Mapping[str, Row],
) -> Iterator[tuple[Id, str]]:
    """Pairs whose ``columns`` are equal; equal candidates in the order of ``then`` and of ids."""
    records = _Grouped.of(free.records, fed, rule, columns)
    targets = _Grouped.of(free.rows, rows, rule, columns)
    for some, others in records.with_the_same_values(targets):  # no order: an id is in one group
        # Those that one side has more of stay unpaired.
        yield from zip(
            _sorted(some, fed, rule.then), _sorted(others, rows, rule.then), strict=False
        )


@dataclass(frozen=True, slots=True)
class _Grouped(Generic[T]):
    """Ids, and for each a hash of the values that are compared; the values can be long."""

    ids: list[T]
    hashes: numpy.ndarray[Any, Any]

    @classmethod
    def of(
        cls, ids: set[T], values: Mapping[T, Values], rule: Identity, columns: tuple[str, ...]
    ) -> _Grouped[T]:
        """Those ids of which no value is empty: rows with an empty value are never equal."""
        import numpy as np

        those, hashes = list[T](), bytearray()
        for key in ids:
            held = values[key]
            compared = [held.get(column) for column in columns]
            if all(compared):
                group = [
                    folded(str(v)) if c in rule.folded else str(v)
                    for c, v in zip(columns, compared, strict=True)
                ]
                hashes += blake2b(json.dumps(group).encode(), digest_size=_BYTES).digest()
                those.append(key)
        # A list for each group would take more memory than everything else.
        return cls(those, np.frombuffer(bytes(hashes), f"S{_BYTES}"))

    def with_the_same_values(self, other: _Grouped[U]) -> Iterator[tuple[list[T], list[U]]]:
        """The groups of equal values that both sides have."""
        import numpy as np

        shared = np.intersect1d(self.hashes, other.hashes)
        yield from zip(self._groups(shared), other._groups(shared), strict=True)

    def _groups(self, hashes: numpy.ndarray[Any, Any]) -> Iterator[list[T]]:
        import numpy as np

        order = np.argsort(self.hashes)
        ordered = self.hashes[order]
        starts = np.searchsorted(ordered, hashes)
        ends = np.searchsorted(ordered, hashes, side="right")
        for start, end in zip(starts, ends, strict=True):
            yield [self.ids[n] for n in order[start:end]]


def _sorted(ids: list[T], values: Mapping[T, Values], then: tuple[str, ...]) -> list[T]:
    """Equal candidates in the order of their values of ``then``, and of their ids."""

    def order(key: T) -> tuple[list[str], str]:
        held = values[key]
        return [str(held.get(column) or "") for column in then], str(key)

    return sorted(ids, key=order) if len(ids) > 1 else ids
