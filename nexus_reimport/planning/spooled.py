"""Rows and records of one entity: their ids are in memory, what they hold is on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nexus_reimport.files.spool import Spool
from nexus_reimport.ids import Id
from nexus_reimport.intake import Record
from nexus_reimport.planning.feed import Converted
from nexus_reimport.planning.merge import Row

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


class SpooledRecords(Mapping[Id, Mapping[str, Any]]):
    """Converted records: FileMaker id -> column -> value."""

    def __init__(self, columns: Iterable[str], folder: Path) -> None:
        self._columns = tuple(columns)
        self._spool: Spool[tuple[Any, ...]] = Spool(folder)
        self._at: dict[Id, int] = {}

    def add(self, record: Record, converted: Converted, *, with_fields: bool) -> None:
        """Add a record's values, and its fields too if the value of a new row is made of them."""
        values = tuple(converted.values[column] for column in self._columns)
        self._at[record.id] = self._spool.add((values, converted.misfits, converted.derived))
        if with_fields:
            self._spool.add(tuple(record.items()))

    def converted(self, record_id: Id) -> Converted:
        """What was made of a record: its values, and what did not fit."""
        values, misfits, derived = self._spool[self._at[record_id]]
        named = dict(zip(self._columns, values, strict=True))
        return Converted(named, misfits=misfits, derived=derived)

    def fields(self, record_id: Id) -> Record:
        """The fields of a record that was added with them."""
        return Record(dict(self._spool[self._at[record_id] + 1]))

    def __getitem__(self, record_id: Id) -> Mapping[str, Any]:
        """The values of a record."""
        return dict(zip(self._columns, self._spool[self._at[record_id]][0], strict=True))

    def __iter__(self) -> Iterator[Id]:
        """The ids, in the order in which they were added."""
        return iter(self._at)

    def __len__(self) -> int:
        """How many records there are."""
        return len(self._at)
