"""Rows and records of one entity: their ids are in memory, what they hold is on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from nexus_reimport.files.spool import Spool
from nexus_reimport.ids import Id
from nexus_reimport.intake import Page
from nexus_reimport.planning.feed import Converted
from nexus_reimport.planning.merge import Row

_AT_ONCE = 2_000  # records in memory
_Values = tuple[str | None, ...]


class SpooledRows(Mapping[str, Row]):
    """Rows of Nexus: id -> column -> value."""

    def __init__(self, columns: tuple[str, ...], spool: Spool[_Values], at: dict[str, int]) -> None:
        self.columns, self._spool, self._at = columns, spool, at

    @classmethod
    def of(cls, columns: tuple[str, ...], folder: Path) -> SpooledRows:
        """No row as yet."""
        return cls(columns, Spool(folder), {})

    def add(self, key: str, values: _Values) -> None:
        """Add a row; ``values`` are in the order of the columns."""
        self._at[key] = self._spool.add(values)

    def only(self, keys: Iterable[str]) -> SpooledRows:
        """These rows alone."""
        return SpooledRows(self.columns, self._spool, {key: self._at[key] for key in keys})

    def __getitem__(self, key: str) -> Row:
        """A row, as a new dictionary."""
        return dict(zip(self.columns, self._spool[self._at[key]], strict=True))

    def __iter__(self) -> Iterator[str]:
        """The ids, in the order in which they were added."""
        return iter(self._at)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._at)

    def __contains__(self, key: object) -> bool:
        """Whether there is such a row."""
        return key in self._at


@dataclass(frozen=True, slots=True)
class ConvertedRecord:
    """What was made of a record: its values, what did not fit, and the fields for a new row."""

    values: dict[str, Any]
    misfits: Sequence[tuple[str, str]]  # column and reason
    derived: Sequence[tuple[str, str]]
    fields: dict[str, str]


class SpooledRecords(Mapping[Id, Mapping[str, Any]]):
    """Converted records: FileMaker id -> column -> value."""

    def __init__(self, columns: Iterable[str], fields: Iterable[str], folder: Path) -> None:
        self._columns, self._fields = tuple(columns), tuple(fields)
        self._spool: Spool[tuple[Any, ...]] = Spool(folder)
        self._at: dict[Id, int] = {}

    def add(self, records: Page, converted: Converted) -> None:
        """Add some records; of their fields those are kept that a new row may need."""
        values = zip(*(converted.values[column] for column in self._columns), strict=True)
        texts: Iterable[tuple[str, ...]] = (
            records.rows(self._fields) if self._fields else repeat(())
        )
        for number, of_record in enumerate(zip(records.ids(), values, texts, strict=False)):
            noted = converted.misfits.get(number, ()), converted.derived.get(number, ())
            self._at[of_record[0]] = self._spool.add((*of_record[1:], *noted))

    def converted(self, record_ids: Sequence[Id]) -> Iterator[ConvertedRecord]:
        """What was made of some records."""
        for values, texts, misfits, derived in self._several(record_ids):
            named = dict(zip(self._columns, values, strict=True))
            fields = dict(zip(self._fields, texts, strict=True))
            yield ConvertedRecord(named, misfits, derived, fields)

    def _several(self, record_ids: Sequence[Id]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(record_ids), _AT_ONCE):
            those = record_ids[start : start + _AT_ONCE]
            yield from self._spool.several([self._at[record_id] for record_id in those])

    def __getitem__(self, record_id: Id) -> Mapping[str, Any]:
        """The values of a record."""
        return dict(zip(self._columns, self._spool[self._at[record_id]][0], strict=True))

    def __iter__(self) -> Iterator[Id]:
        """The ids, in the order in which they were added."""
        return iter(self._at)

    def __len__(self) -> int:
        """How many records there are."""
        return len(self._at)
