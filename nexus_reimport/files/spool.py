"""Values that are set aside on the disk and read again, so that only their places are in memory.

The file never has a name: no other process can open it, and it is gone once ours has ended.
"""

from __future__ import annotations

import marshal
import os
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from nexus_reimport.files import private

T = TypeVar("T")
_CHUNK = 1 << 16  # bytes that are read at once when all values are read in order


class Spool(Generic[T]):
    """Values of plain types (texts, numbers, None, and tuples, lists and dictionaries of them)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - for as long as we are
        self._ends = array("Q", [0])
        self._is_flushed = True

    def add(self, value: T) -> int:
        """Set ``value`` aside; gives its number, from 0 on."""
        data = marshal.dumps(value)  # type: ignore[arg-type]
        with private.named(self._folder):
            self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))
        self._is_flushed = False
        return len(self._ends) - 2

    def __getitem__(self, number: int) -> T:
        """The value with that number."""
        start, end = self._ends[number], self._ends[number + 1]
        return self._loaded(self._read(start, end))

    def __len__(self) -> int:
        """How many values were set aside."""
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[T]:
        """The values in the order in which they were added."""
        first, ends = 0, self._ends
        while first < len(self):
            last = first + 1
            while last < len(self) and ends[last + 1] - ends[first] <= _CHUNK:
                last += 1
            chunk = self._read(ends[first], ends[last])
            for number in range(first, last):
                start, end = ends[number] - ends[first], ends[number + 1] - ends[first]
                yield self._loaded(chunk[start:end])
            first = last

    def close(self) -> None:
        """Give up the values."""
        with private.named(self._folder):
            self._file.close()

    def _read(self, start: int, end: int) -> bytes:
        if not self._is_flushed:
            with private.named(self._folder):
                self._file.flush()
            self._is_flushed = True
        return os.pread(self._file.fileno(), end - start, start)

    @staticmethod
    def _loaded(data: bytes) -> T:
        # marshal reads only what `add` has written here: the file has no name.
        value: T = marshal.loads(data)  # noqa: S302
        return value
