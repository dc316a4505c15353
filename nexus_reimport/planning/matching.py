"""Matches records of FileMaker with rows of Nexus.

The rules apply in this order, and the first match wins: FileMaker's id in the row; the id map of
the run before; the id derived from FileMaker's; then equal values in all columns of a rule. A row
with a different date matches only if there is no id map, that is on the first run: earlier imports
lost the dates of notes. Equal candidates pair up in sorted order, so the same data always gives
the same pairs.

Records and rows are numbered from 0, as they were read: an object for each of them would take more
memory than everything else.
"""

from __future__ import annotations

import uuid
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

from nexus_reimport.files import columns
from nexus_reimport.intake import IdPairs
from nexus_reimport.mapping import Entity, Identity
from nexus_reimport.text import folded

if TYPE_CHECKING:
    import numpy
    from pyarrow import ChunkedArray as Column

_BYTES = 16  # of a hash
_NONE = -1
Values = Mapping[str, Any]


class Side(Protocol):
    """The records of FileMaker, or the rows of Nexus."""

    @property
    def written(self) -> Column:
        """FileMaker's id of each as it is written there, null if a row has none."""

    @property
    def compared(self) -> Column:
        """The same as ids compare."""

    def ids(self) -> Column:
        """The id of each: of a record FileMaker's, of a row that of Nexus."""

    def values(self, numbers: Sequence[int], names: Sequence[str]) -> Iterator[Values]:
        """The values of those with these numbers, which are in order."""


@dataclass(slots=True)
class Matches:
    """Of each record the number of its row, the number of matches by rule, ids that two rows claim.

    The number is -1 if a record has no row.
    """

    rows: array[int]
    free: bytearray  # of each row 1 if it has no record
    by_rule: Counter[str] = field(default_factory=Counter)
    ambiguous: tuple[str, ...] = ()

    @property
    def records(self) -> list[int]:
        """The records without a row."""
        return [number for number, row in enumerate(self.rows) if row == _NONE]

    def pair(self, rule: str, pairs: Iterable[tuple[int, int]]) -> None:
        """Pair records and rows, those that are not paired yet; a row of -1 is none."""
        count = 0
        for record, row in pairs:
            if row != _NONE and self.rows[record] == _NONE and self.free[row]:
                self.rows[record], self.free[row] = row, 0
                count += 1
        if count:
            self.by_rule[rule] += count

    def set_free(self, rows: Iterable[int], *, is_free: bool) -> None:
        """Say of some rows, none of which has a record, whether one may get them."""
        for row in rows:
            self.free[row] = is_free


def derived_id(namespace: uuid.UUID, entity: str, filemaker_id: str) -> str:
    """The version-5 UUID of a new row that FileMaker brings, whose id is written so."""
    # Never a random one: documents point at patients by bare ids, which no constraint holds.
    # A reimport that gave out new ids once orphaned 10,190 documents and all image batches.
    return str(uuid.uuid5(namespace, f"{entity}:{filemaker_id}"))


def next_derived_id(entity: str, derived: str) -> str:
    """The id after ``derived``, which belongs to the row of another record."""
    # A record that is deleted and made anew takes its row along; where the first one comes back,
    # its id is that row's. It is the same in every run and every environment, too.
    return str(uuid.uuid5(uuid.UUID(derived), entity))


def match(
    entity: str,
    spec: Entity,
    sides: tuple[Side, Side],
    id_map: IdPairs,
    namespace: uuid.UUID,
    reserved: Sequence[int] = (),
) -> Matches:
    """Pairs of the records and the rows of an entity; rows that are ``reserved`` get no record."""
    records, rows = sides
    ids, keys = records.ids(), rows.ids()
    matches = Matches(array("q", [_NONE]) * len(ids), bytearray(b"\1") * len(keys))
    matches.set_free(reserved, is_free=False)
    if spec.filemaker_id:
        matches.ambiguous = _ambiguous(records, rows)
        # Which of two rows that claim an id is taken does not matter: such a plan always stops.
        claimed = columns.places(records.compared, rows.compared)
        matches.pair(_rule_by_id(spec), enumerate(claimed.tolist()))
    # Notes and other rows have no column for FileMaker's id: the id map finds them again, even if
    # their text was edited in FileMaker.
    matches.pair("remembered", _remembered(id_map, records, keys))
    matches.pair("derived id", _derived(matches.records, entity, records, keys, namespace))
    # Equal values come last: names and texts repeat, an id does not.
    for rule in spec.identity:
        if rule.by == "filemaker_id":
            continue
        matches.pair(rule.name, _equal(rule, rule.then, matches, records, rows))
        if rule.then and not len(id_map.keys):
            loosely = f"{rule.name}, other {' or '.join(rule.then)}"
            matches.pair(loosely, _equal(rule, (), matches, records, rows))
    matches.set_free(reserved, is_free=True)
    return matches


def _rule_by_id(spec: Entity) -> str:
    return next((r.name for r in spec.identity if r.by == "filemaker_id"), "filemaker_id")


def _ambiguous(records: Side, rows: Side) -> tuple[str, ...]:
    """The ids that several rows carry, in FileMaker's spelling if it has the record; in order."""
    first = columns.places(rows.compared, rows.compared).tolist()
    several = sorted({row for number, row in enumerate(first) if row not in (_NONE, number)})
    claimed = columns.at(rows.compared, columns.whole(several))
    in_filemaker = columns.at(records.written, columns.places(claimed, records.compared))
    in_nexus = columns.at(rows.written, columns.whole(several))
    return tuple(sorted(columns.texts(columns.first(in_filemaker, in_nexus))))


def _remembered(id_map: IdPairs, records: Side, keys: Column) -> Iterator[tuple[int, int]]:
    """The pairs of the id map in the order of FileMaker's spelling; the exact one comes first."""
    numbers = columns.places(id_map.compared, records.compared)
    rows = columns.places(id_map.keys, keys)
    now = columns.at(records.written, numbers)
    lines = zip(columns.values(now), columns.texts(id_map.written), strict=True)
    pairs = zip(numbers.tolist(), rows.tolist(), strict=True)
    ordered = sorted(
        (spelt, spelt != was, was, number, pair)
        for number, ((spelt, was), pair) in enumerate(zip(lines, pairs, strict=True))
        if spelt is not None and pair[1] != _NONE
    )
    return (pair for *_, pair in ordered)


def _derived(
    free: Sequence[int], entity: str, records: Side, keys: Column, namespace: uuid.UUID
) -> Iterator[tuple[int, int]]:
    written = columns.texts(columns.at(records.written, columns.whole(free)))
    derived = columns.of(derived_id(namespace, entity, one) for one in written)
    return zip(free, columns.places(derived, keys).tolist(), strict=True)


def _equal(
    rule: Identity, beside: tuple[str, ...], matches: Matches, records: Side, rows: Side
) -> Iterator[tuple[int, int]]:
    """Pairs that are equal in the rule's columns and in those ``beside`` them.

    Equal ones are in the order of ``then`` and of ids.
    """
    free = [number for number, is_free in enumerate(matches.free) if is_free]
    some = _Grouped.of(matches.records, records, rule, beside)
    others = _Grouped.of(free, rows, rule, beside)
    # Those that one side has more of stay unpaired.
    for ones, candidates in some.with_the_same_values(others, rule.then):
        yield from zip(ones, candidates, strict=False)


@dataclass(frozen=True, slots=True)
class _Grouped:
    """Numbers of one side, and for each a hash of the values, which can be long, to compare."""

    side: Side
    numbers: numpy.ndarray[Any, Any]
    hashes: numpy.ndarray[Any, Any]

    @classmethod
    def of(
        cls, numbers: Sequence[int], side: Side, rule: Identity, beside: tuple[str, ...]
    ) -> _Grouped:
        """Those that have a value in each column of the rule: nothing is found by an empty one.

        Of the columns ``beside`` an empty one equals an empty one.
        """
        import numpy as np

        those, hashes, names = array("q"), bytearray(), (*rule.by, *beside)
        for number, held in zip(numbers, side.values(numbers, names), strict=True):
            if all(held.get(name) for name in rule.by):
                values = [str(held.get(name) or "") for name in names]
                group = [
                    folded(value) if name in rule.folded else value
                    for name, value in zip(names, values, strict=True)
                ]
                # No text of ours holds this character.
                hashes += blake2b("\0".join(group).encode(), digest_size=_BYTES).digest()
                those.append(number)
        # A list for each group would take more memory than everything else.
        return cls(side, np.array(those), np.frombuffer(bytes(hashes), f"S{_BYTES}"))

    def with_the_same_values(
        self, other: _Grouped, then: tuple[str, ...]
    ) -> Iterator[tuple[list[int], list[int]]]:
        """The groups of equal values that both sides have."""
        import numpy as np

        shared = np.intersect1d(self.hashes, other.hashes)
        yield from zip(self._groups(shared, then), other._groups(shared, then), strict=True)

    def _groups(
        self, hashes: numpy.ndarray[Any, Any], then: tuple[str, ...]
    ) -> Iterator[list[int]]:
        import numpy as np

        order = np.argsort(self.hashes)
        ordered, numbers = self.hashes[order], self.numbers[order].tolist()
        starts = np.searchsorted(ordered, hashes).tolist()
        ends = np.searchsorted(ordered, hashes, side="right").tolist()
        groups = [numbers[start:end] for start, end in zip(starts, ends, strict=True)]
        several = sorted(number for group in groups if len(group) > 1 for number in group)
        places = self._places(several, then)
        return (sorted(group, key=lambda number: places.get(number, ())) for group in groups)

    def _places(self, numbers: list[int], then: tuple[str, ...]) -> dict[int, tuple[str, ...]]:
        """Of equal candidates the values of ``then`` and the id, in whose order they are."""
        ids = columns.texts(columns.at(self.side.ids(), columns.whole(numbers)))
        values = self.side.values(numbers, then)
        return {
            number: (*(str(held.get(name) or "") for name in then), one)
            for number, one, held in zip(numbers, ids, values, strict=True)
        }
