"""What is purged: as decided, except rows that a row which stays references, transitively."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nexus_reimport.files import rowfile
from nexus_reimport.model import Pointer
from nexus_reimport.planning.entity import Merged, Override

Values = tuple[str, ...]  # of the columns of a key


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
    named = _named(wanted, entities, by_table, folder)
    # Repeated until nothing changes: each row that is kept can reference further rows.
    grew = True
    while grew:
        grew = False
        for pointer in wanted:
            source, target = by_table[pointer.table], entities[pointer.entity]
            for key in source.candidates.keys() - purged[source.name]:
                if values := _values(source.candidates[key], pointer.columns):
                    named[pointer].add(values)
            going = purged[target.name]
            saved = {
                key
                for key in going
                if _values(target.candidates[key], pointer.to) in named[pointer]
            }
            going -= saved
            grew = grew or bool(saved)
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


def _named(
    pointers: list[Pointer],
    entities: Mapping[str, Merged],
    by_table: Mapping[str, Merged],
    folder: Path,
) -> dict[Pointer, set[Values]]:
    """Pointer -> which candidates the rows that stay in any case reference, by their values."""
    named: dict[Pointer, set[Values]] = {}
    of_source: dict[str, list[Pointer]] = defaultdict(list)
    for pointer in pointers:
        named[pointer] = set()
        of_source[pointer.table].append(pointer)
    for table, those in of_source.items():
        looked_for = {
            pointer: {
                _values(row, pointer.to) for row in entities[pointer.entity].candidates.values()
            }
            for pointer in those
        }
        columns = tuple(dict.fromkeys(c for pointer in those for c in pointer.columns))
        for row in rowfile.read_columns(folder, by_table[table].rows, columns):
            for pointer in those:
                values = _values(row, pointer.columns)
                if values is not None and values in looked_for[pointer]:
                    named[pointer].add(values)
    return named


def _values(row: Mapping[str, str | None], columns: tuple[str, ...]) -> Values | None:
    """The row's values of a key, as ids compare; None if one is NULL: it points at nothing then."""
    # PostgreSQL prints a uuid in small letters; a column of text may hold it in capitals.
    values = tuple(value.lower() for column in columns if (value := row.get(column)) is not None)
    return values if len(values) == len(columns) else None
