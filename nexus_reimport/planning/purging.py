"""What is purged: as decided, except rows that a row which stays references, transitively."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nexus_reimport.files import rowfile
from nexus_reimport.model import Pointer
from nexus_reimport.planning.entity import Merged, Override

Values = tuple[str, ...]  # of the columns of a key
_Row = tuple[str, str]  # entity and id


@dataclass(frozen=True, slots=True)
class Decided:
    """An entity after the run: which of its rows go, and which others are kept after all."""

    merged: Merged
    purged: frozenset[str]
    referenced: frozenset[str]  # to be purged, but a row that stays points at them
    by_hand: tuple[Override, ...] = ()

    @property
    def saved(self) -> list[str]:
        """The rows that ``merged.rows`` lacks, in order: another reimported row references them."""
        return sorted(self.merged.candidates.keys() - self.purged)

    @property
    def overrides(self) -> list[Override]:
        """The changes that do not come from FileMaker, but from a named rule or a person."""
        return sorted([*self.merged.overrides, *self.by_hand])

    def id_map(self) -> Iterator[tuple[str, str]]:
        """FileMaker id (as FileMaker writes it) and Nexus id, for the next run, in order."""
        stay = {
            filemaker_id.written: key
            for key, filemaker_id in self.merged.unpaired.items()
            if key not in self.purged
        }
        kept = sorted(stay.items())
        paired = ((written, key) for written, key, _ in self.merged.paired)
        yield from heapq.merge(kept, paired)


def decide(
    entities: Mapping[str, Merged], pointers: tuple[Pointer, ...], folder: Path
) -> dict[str, Decided]:
    """What is purged of each entity.

    The rows that other tables reference are no candidates any more. Among the reimported tables, an
    appointment that stays keeps its patient, and so on, until no row is added.
    """
    by_table = {merged.spec.table: merged for merged in entities.values()}
    inner = [pointer for pointer in pointers if pointer.table in by_table]
    purged = {name: set(merged.candidates) for name, merged in entities.items()}
    wanted = [pointer for pointer in inner if purged[pointer.entity]]
    links = _Links.read(wanted, entities, by_table)
    # Each row that is kept can reference further rows. It is looked at once, however long a chain
    # of rows is that each reference the next.
    kept = links.of_rows_that_stay(folder)
    while kept:
        name, key = kept.pop()
        if key in purged[name]:
            purged[name].remove(key)
            kept += links.referenced_by[name].pop(key, ())
    return {
        name: Decided(
            merged=merged,
            purged=frozenset(purged[name]),
            referenced=frozenset(_to_be_purged(merged) - purged[name]),
        )
        for name, merged in entities.items()
    }


def _to_be_purged(merged: Merged) -> set[str]:
    causes = merged.unmatched.items()
    return {key for key, (cause, _) in causes if merged.decisions.of(cause) == "purge"}


@dataclass(frozen=True, slots=True)
class _Links:
    """What references the candidates: rows that stay in any case, and other candidates."""

    by_table: Mapping[str, Merged]
    named: Mapping[Pointer, Mapping[Values, list[_Row]]]  # values of a key -> the candidates there
    referenced_by: Mapping[str, dict[str, list[_Row]]]  # entity -> candidate -> what it references

    @classmethod
    def read(
        cls,
        pointers: Sequence[Pointer],
        entities: Mapping[str, Merged],
        by_table: Mapping[str, Merged],
    ) -> Self:
        """Of all candidates, each of which is read twice at most."""
        named: dict[Pointer, dict[Values, list[_Row]]] = {p: defaultdict(list) for p in pointers}
        for name in dict.fromkeys(pointer.entity for pointer in pointers):
            those = [pointer for pointer in pointers if pointer.entity == name]
            for key, row in entities[name].candidates.items():
                for pointer in those:
                    if (values := _values(row, pointer.to)) is not None:
                        named[pointer][values].append((name, key))
        links = cls(by_table, named, {name: {} for name in entities})
        for table in dict.fromkeys(pointer.table for pointer in pointers):
            source = by_table[table]
            for key, row in source.candidates.items():
                if referenced := [*links._of(table, row)]:
                    links.referenced_by[source.name][key] = referenced
        return links

    def _of(self, table: str, row: Mapping[str, str | None]) -> Iterator[_Row]:
        """The candidates that a row of ``table`` references."""
        for pointer, named in self.named.items():
            if pointer.table == table and (values := _values(row, pointer.columns)) is not None:
                yield from named.get(values, ())

    def of_rows_that_stay(self, folder: Path) -> list[_Row]:
        """The candidates that the rows which stay in any case reference."""
        referenced: dict[_Row, None] = {}
        for table in dict.fromkeys(pointer.table for pointer in self.named):
            columns = tuple(
                dict.fromkeys(c for p in self.named if p.table == table for c in p.columns)
            )
            for row in rowfile.read_columns(folder, self.by_table[table].rows, columns):
                referenced |= dict.fromkeys(self._of(table, row))
        return list(referenced)


def _values(row: Mapping[str, str | None], columns: tuple[str, ...]) -> Values | None:
    """The row's values of a key, as ids compare; None if one is NULL: it points at nothing then."""
    # PostgreSQL prints a uuid in small letters; a column of text may hold it in capitals.
    values = tuple(value.lower() for column in columns if (value := row.get(column)) is not None)
    return values if len(values) == len(columns) else None
