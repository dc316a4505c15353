"""Rows and records of one entity: their ids are in memory, what they hold is on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus_reimport.files import columns
from nexus_reimport.files.spool import Spool
from nexus_reimport.intake import Records
from nexus_reimport.model import KEY
from nexus_reimport.planning.feed import Converted
from nexus_reimport.planning.merge import Row

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column

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


class SpooledRecords:
    """Converted records; each has a number, from 0 on, in the order in which they are added."""

    def __init__(self, names: Iterable[str], fields: Iterable[str], folder: Path) -> None:
        self._names, self._fields = tuple(names), tuple(fields)
        self._spool: Spool[tuple[Any, ...]] = Spool(folder)
        self._written: list[Column] = []
        self._compared: list[Column] = []

    def add(self, records: Records, converted: Converted) -> None:
        """Add some records; of their fields those are kept that a new row may need."""
        written, compared = columns.of(records[KEY]), columns.of(records.compared())
        self._written.append(written)
        self._compared.append(columns.shared(compared, written))
        values = zip(*(converted.values[name] for name in self._names), strict=True)
        texts: Iterable[tuple[str, ...]] = (
            records.rows(self._fields) if self._fields else repeat(())
        )
        for number, of_record in enumerate(zip(values, texts, strict=False)):
            noted = converted.misfits.get(number, ()), converted.derived.get(number, ())
            self._spool.add((*of_record, *noted))

    def __len__(self) -> int:
        """How many records there are."""
        return len(self._spool)

    @property
    def written(self) -> Column:
        """The ids as FileMaker writes them."""
        return columns.together(self._written)

    @property
    def compared(self) -> Column:
        """The ids as they compare."""
        return columns.together(self._compared)

    def ids(self) -> Column:
        """The ids by which records are put in order: as FileMaker writes them."""
        return self.written

    def converted(self, numbers: Sequence[int]) -> Iterator[ConvertedRecord]:
        """What was made of the records with these numbers."""
        for values, texts, misfits, derived in self._spool.in_order(numbers):
            named = dict(zip(self._names, values, strict=True))
            fields = dict(zip(self._fields, texts, strict=True))
            yield ConvertedRecord(named, misfits, derived, fields)

    def values(self, numbers: Sequence[int], names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Some columns of the records with these numbers."""
        places = {name: self._names.index(name) for name in names if name in self._names}
        for values, *_ in self._spool.in_order(numbers):
            yield {name: values[place] for name, place in places.items()}
