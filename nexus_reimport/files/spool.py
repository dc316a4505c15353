"""Values that are set aside on the disk and read again, so that only their places are in memory.

The file never has a name: no other process can open it, and it is gone once ours has ended.
"""

from __future__ import annotations

import marshal
import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from nexus_reimport.files import private

T = TypeVar("T")
_CHUNK = 1 << 16  # bytes that are read at once
_VALUES = 2_000  # in memory, or fewer where they are large:
_MOST_HELD = 8 << 20  # bytes


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
        return (value for _, value in self._ordered(range(len(self))))

    def several(self, numbers: Sequence[int]) -> Iterator[T]:
        """The values with these numbers, in this order; all of them are in memory at once.

        They are read in the order in which they lie on the disk, those next to each other at once.
        """
        values = dict(self._ordered(sorted(set(numbers))))
        return map(values.__getitem__, numbers)

    def in_order(self, numbers: Sequence[int]) -> Iterator[T]:
        """The same with only some thousands of them in memory, or some megabytes."""
        first, size = 0, 0
        for end, number in enumerate(numbers, 1):
            size += self._ends[number + 1] - self._ends[number]
            if end - first >= _VALUES or size > _MOST_HELD:
                yield from self.several(numbers[first:end])
                first, size = end, 0
        yield from self.several(numbers[first:])

    def _ordered(self, numbers: Sequence[int]) -> Iterator[tuple[int, T]]:
        """The values with these numbers, which are in order; with each value its number."""
        first, ends = 0, self._ends
        while first < len(numbers):
            begin, last = ends[numbers[first]], first + 1
            while last < len(numbers) and ends[numbers[last] + 1] - begin <= _CHUNK:
                last += 1
            chunk = memoryview(self._read(begin, ends[numbers[last - 1] + 1]))
            for number in numbers[first:last]:
                yield number, self._loaded(chunk[ends[number] - begin : ends[number + 1] - begin])
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
    def _loaded(data: bytes | memoryview) -> T:
        # marshal reads only what `add` has written here: the file has no name.
        value: T = marshal.loads(data)  # noqa: S302
        return value
