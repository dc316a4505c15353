"""Puts the values by hand into the rows that lack them, and counts them kind by kind.

The rows of an entity are written again only if a value comes into them, or if rows come back that
were to be purged.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import Dict, RowFile
from nexus_reimport.intake import Intake, id_pairs
from nexus_reimport.model import ByHand
from nexus_reimport.planning import manual
from nexus_reimport.planning.entity import Override, write_rows
from nexus_reimport.planning.manual.sheet import ByHandSheet
from nexus_reimport.planning.manual.shown import ShownRows
from nexus_reimport.planning.purging import Decided


def fill(
    given: manual.Given, entities: Mapping[str, Decided], intake: Intake, zone: ZoneInfo
) -> tuple[tuple[ByHand, ...], dict[str, Decided]]:
    """The sums of each kind; the entities as they are with the values, their row files whole.

    Raises:
        StopError: a line of the sheet cannot be used. Nothing was written to the database.
    """
    kinds, folder = manual.kinds(intake), intake.folder
    others = _anothers(given, kinds, entities, intake, zone)
    filled, counts = dict(entities), {kind.name: _Filling(kind) for kind in kinds}
    for place, cell in given.cells.items():
        name, key, column = place
        if place in others:
            counts[name].gone += 1
        else:
            counts[name].values[key][column] = cell.value
    for name, decided in entities.items():
        those = [one for one in counts.values() if one.kind.spec.entity == name]
        if decided.saved or any(one.values for one in those):
            filled[name] = _written_again(decided, those, folder)
        else:
            _count(decided.merged.rows, those, folder)
    return tuple(one.summed() for one in counts.values()), filled


def _anothers(
    given: manual.Given,
    kinds: Sequence[ByHandSheet],
    entities: Mapping[str, Decided],
    intake: Intake,
    zone: ZoneInfo,
) -> set[tuple[str, str, str]]:
    """The places in ``given`` of values that were given before, for what is another row now.

    Raises:
        StopError: a line of the sheet cannot be used. Nothing was written to the database.
    """

    def read(entity: str, columns: Sequence[str]) -> Iterator[Dict]:
        merged = entities[entity].merged
        yield from rowfile.read_columns(intake.folder, merged.rows, columns)
        yield from (merged.candidates[key] for key in entities[entity].saved)

    rows = ShownRows(kinds, intake, read)
    known = {kind.name: kind for kind in kinds}
    for kind in kinds:
        rows.fetch(kind.spec.entity, {key for of, key, _ in given.cells if of == kind.name})
    # A line names its record where its key is a number that the next plan may give to another.
    numbered = {place: cell for place, cell in given.cells.items() if cell.record}
    named = {(known[name].spec.entity, key) for name, key, _ in numbered}
    paired = (
        (name, written, key)
        for name in dict(named)
        for written, key in entities[name].id_map()
        if (name, key) in named
    )
    records = {(name, key): record.compared for name, record, key in id_pairs(paired)}
    shower = manual.Shower(intake, zone, rows.find, records)
    manual.refuse_unusable(given, kinds, shower.line, zone)
    return {
        (name, key, column)
        for (name, key, column), cell in numbered.items()
        if (line := shower.line(known[name], key)) and manual.is_anothers(line, cell)
    }


@dataclass(slots=True)
class _Filling:
    """The values of one kind, and what became of them."""

    kind: ByHandSheet
    values: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    overrides: list[Override] = field(default_factory=list)
    used: int = 0
    not_needed: int = 0
    gone: int = 0
    waiting: int = 0

    def fill(self, key: str, row: Dict) -> None:
        """Put the values into their row."""
        for column, value in self.values.get(key, {}).items():
            if row.get(column):
                self.not_needed += 1
            else:
                row[column] = value
                self.overrides.append((key, column, manual.BY_HAND))
                self.used += 1

    def count(self, row: Dict) -> None:
        """Count whether the row still lacks a value, whichever kind has filled it."""
        self.waiting += manual.lacks(self.kind.spec, row)

    def summed(self) -> ByHand:
        """The sums."""
        spec, every = self.kind.spec, sum(map(len, self.values.values())) + self.gone
        gone = every - self.used - self.not_needed
        return ByHand(
            self.kind.name, spec.entity, self.waiting, every, self.used, self.not_needed, gone
        )


def _count(rows: RowFile, those: Sequence[_Filling], folder: Path) -> None:
    """Count the rows that lack a value; there is none to put into them."""
    for one in those:
        columns = tuple(dict.fromkeys((*one.kind.spec.columns, *one.kind.spec.where_any)))
        for row in rowfile.read_columns(folder, rows, columns):
            one.count(row)


def _written_again(decided: Decided, those: Sequence[_Filling], folder: Path) -> Decided:
    """The entity with the rows that come back, and with the values."""
    merged, name = decided.merged, decided.merged.rows.name
    draft = replace(merged.rows, name=f"draft_{name}")
    (folder / name).rename(folder / draft.name)

    def rows() -> Iterator[Dict]:
        saved = (merged.candidates[key] for key in decided.saved)
        stay = rowfile.read_dicts(folder, draft)
        for row in heapq.merge(stay, saved, key=lambda row: row[merged.key] or ""):
            for one in those:
                one.fill(row[merged.key] or "", row)
            for one in those:
                one.count(row)
            yield row

    merged.merger.count_again()
    columns = merged.candidates.columns if decided.saved else draft.columns
    file = write_rows(folder / name, columns, rows(), merged.merger)
    (folder / draft.name).unlink()
    by_hand = tuple(line for one in those for line in one.overrides)
    return replace(decided, merged=replace(merged, rows=file), by_hand=by_hand)
