"""The rows of an entity before the run, which stay in their file: in memory are their ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nexus_reimport import ids
from nexus_reimport.files import columns, rowfile
from nexus_reimport.files.rowfile import Dict
from nexus_reimport.intake import Intake, stored_id

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column


class RowsBefore:
    """The rows, in the order of their ids; each has a number, from 0 on."""

    def __init__(self, intake: Intake, entity: str) -> None:
        self._folder, self._file = intake.folder, intake.survey.rows[entity]
        self.key, self.columns = intake.survey.keys[entity], self._file.columns
        self._keys = columns.column(self._folder, self._file, self.key)
        place = intake.mapping.entities[entity].filemaker_id
        stored = [ids.NONE] * len(self._keys)
        if place:
            rows = self.values(range(len(self._keys)), (place.partition(".")[0],))
            stored = [stored_id(row, place) for row in rows]
        self.written = columns.of(one.written or None for one in stored)
        compared = columns.of(one.compared or None for one in stored)
        self.compared = columns.shared(compared, self.written)

    def ids(self) -> Column:
        """The ids of the rows."""
        return self._keys

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._keys)

    def values(self, numbers: Sequence[int], names: Sequence[str]) -> Iterator[Dict]:
        """Some columns of the rows with these numbers, which are in order."""
        if not set(names).intersection(self.columns):
            yield from ({} for _ in numbers)
            return
        wanted = iter(numbers)
        next_one = next(wanted, None)
        for number, row in enumerate(rowfile.read_columns(self._folder, self._file, names)):
            if number == next_one:
                yield row
                next_one = next(wanted, None)

    def __iter__(self) -> Iterator[Dict]:
        """The rows, whole, one after the other."""
        return rowfile.read_in_order(self._folder, self._file, self.key)
