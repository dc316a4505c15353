"""Sets of values that are held as a number of eight bytes each, and not as what they are.

The numbers mean nothing to any other process: each has a secret of its own from which Python makes
them, and which is written nowhere.

A value that was not added can have the number of one that was: of a hundred million values that
are looked for, among ten million that are asked about, once in two thousand times. Then a seal is
refused without need, and the next process, whose numbers are others, does not refuse it.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from nexus_reimport.files import private

if TYPE_CHECKING:
    import numpy

    Numbers = numpy.ndarray[Any, numpy.dtype[numpy.uint64]]
    Places = numpy.ndarray[Any, numpy.dtype[numpy.int64]]
    Flags = numpy.ndarray[Any, numpy.dtype[numpy.bool_]]

CODES = 8  # that a number can have: they take its last three bits
_FACTOR, _ALL = 0x9E3779B97F4A7C15, (1 << 64) - 1
_SIZE = 8  # bytes of a number
_FEW = 1 << 18  # numbers that wait until they are put in order and set aside
_IN_MEMORY = 8 << 20  # bytes: a file that is smaller is none
_MOST = 1 << 20  # numbers that are put in order at once, as a part of all
_PARTS_BITS = 8
_PARTS = 1 << _PARTS_BITS  # at most
_FILTER = 1 << 31  # bits, at most


def number_of(words: Sequence[bytes]) -> int:
    """The number of these words in a row, good in this process."""
    number = 0
    for word in words:
        number = (number * _FACTOR + hash(word)) & _ALL
    return number


def rolled(words: Sequence[bytes], longest: int) -> Iterator[Numbers]:
    """For each length from 1 to ``longest``: the numbers of so many words in a row, from each word.

    As many lengths as there are words.
    """
    import numpy as np

    single = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
    whole = np.zeros(len(single) + 1, np.uint64)
    for length in range(1, min(longest, len(single)) + 1):
        whole = whole[:-1] * np.uint64(_FACTOR)
        whole += single[length - 1 :]
        yield whole


@dataclass(frozen=True, slots=True)
class Known:
    """Numbers that are in a set, out of several arrays of them."""

    which: Places  # of the arrays
    places: Places  # in that one
    numbers: Numbers
    codes: Places


class HashSet:
    """A set of numbers, each with a code below ``CODES``: the one with which it came first.

    In memory are those that wait, and of each other one a byte, up to 256 MiB; the numbers
    themselves are in a file without a name, in ``folder``, if there are more than a few millions.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self._file = folder, _File(folder)
        self._added = array("Q")
        self._waiting: list[Numbers] = []  # as they came
        self._runs: list[_Run] = []
        self._filter: _Filter | None = None  # once it was asked for
        self._part: tuple[int, Numbers] | None = None  # the one that was read last

    def add(self, number: int, code: int = 0) -> None:
        """Add one number."""
        self._added.append(number & -CODES | code)
        if len(self._added) >= _FEW:
            self._take()

    def add_several(self, numbers: Iterable[int], code: int = 0) -> None:
        """Add several numbers, made one by one."""
        self._added.extend(number & -CODES | code for number in numbers)
        if len(self._added) >= _FEW:
            self._take()

    def add_all(self, numbers: Numbers, code: int = 0) -> None:
        """Add many."""
        import numpy as np

        self._take()
        self._waiting.append(numbers & np.uint64(_ALL - CODES + 1) | np.uint64(code))
        self._set_aside_if_many()

    def __len__(self) -> int:
        """How many different numbers there are."""
        return sum(count for _, count in self.codes())

    def codes(self) -> Iterator[tuple[int, int]]:
        """Each code, and how many numbers have it."""
        import numpy as np

        counts = np.zeros(CODES, np.int64)
        for part in self._parts():
            counts += np.bincount(_codes(part), minlength=CODES)
        yield from ((code, int(n)) for code, n in enumerate(counts) if n)

    def __contains__(self, number: int) -> bool:
        """Whether a number was added."""
        import numpy as np

        return bool(len(self.among([np.array([number], np.uint64)]).codes))

    def among(self, several: Iterable[Numbers]) -> Known:
        """Which numbers were added.

        All of them are asked about at once: of many numbers each part is read from the disk.
        """
        import numpy as np

        run = self._settled()
        if self._filter is None:
            self._filter = _Filter(run, self._parts())
        maybe = [(n, *self._filter.maybe(numbers)) for n, numbers in enumerate(several)]
        counts = [len(places) for _, places, _ in maybe]
        which = np.repeat(np.arange(len(maybe)), counts)
        places = np.concatenate([np.zeros(0, np.int64), *(places for _, places, _ in maybe)])
        numbers = np.concatenate([np.zeros(0, np.uint64), *(numbers for *_, numbers in maybe)])
        codes = self._codes_of(numbers & np.uint64(_ALL - CODES + 1))
        is_known = codes >= 0
        return Known(which[is_known], places[is_known], numbers[is_known], codes[is_known])

    def _codes_of(self, wanted: Numbers) -> Places:
        """The code of each number, which has none itself; -1 of one that was not added."""
        import numpy as np

        codes = np.full(len(wanted), -1, np.int64)
        of_parts = self._settled().part_of(wanted)
        for number in np.unique(of_parts).tolist():
            known, those = self._read(number), np.flatnonzero(of_parts == number)
            if len(known):
                # A number with its code follows the bare one, and comes before the next bare one.
                at = np.searchsorted(known, wanted[those]).clip(max=len(known) - 1)
                is_known = known[at] - wanted[those] < CODES
                codes[those[is_known]] = _codes(known[at[is_known]])
        return codes

    def _parts(self) -> Iterator[Numbers]:
        """All numbers in their order, part by part."""
        return map(self._read, range(self._settled().parts))

    def _read(self, number: int) -> Numbers:
        if self._part is None or self._part[0] != number:
            self._part = number, self._settled().part(number)
        return self._part[1]

    def _take(self) -> None:
        import numpy as np

        if self._added:
            self._waiting.append(np.frombuffer(self._added, np.uint64))
            self._added = array("Q")
        self._set_aside_if_many()

    def _set_aside_if_many(self) -> None:
        if sum(map(len, self._waiting)) >= _FEW:
            self._set_aside()

    def _set_aside(self) -> None:
        import numpy as np

        waiting, self._waiting = [np.zeros(0, np.uint64), *self._waiting], []
        self._runs.append(_Run(self._file, [_distinct(np.concatenate(waiting))]))

    def _settled(self) -> _Run:
        """All numbers as one run."""
        import numpy as np

        self._take()
        if self._waiting or not self._runs:
            self._set_aside()
        if len(self._runs) > 1:
            runs, self._filter, self._part = self._runs, None, None
            total = sum(map(len, runs))
            parts = min(1 << (total // _MOST).bit_length(), _PARTS)
            together = (np.concatenate([r.part(n, parts) for r in runs]) for n in range(parts))
            merged = _File(self._folder)
            self._runs = [_Run(merged, map(_distinct, together), parts)]
            self._file.close()
            self._file = merged
        return self._runs[0]


class _Run:
    """Different numbers in their order, each with its code, somewhere in a file."""

    def __init__(self, file: _File, parts: Iterable[Numbers], count: int = 1) -> None:
        import numpy as np

        self.parts, self._file, self._length = count, file, 0
        edges = np.arange(_PARTS, dtype=np.uint64) << np.uint64(64 - _PARTS_BITS)
        starts = np.full(_PARTS, file.length)  # of the finest parts
        for part in parts:
            file.add(part)
            starts += np.searchsorted(part, edges)
            self._length += len(part)
        self._starts = [*starts.tolist(), file.length]

    def __len__(self) -> int:
        """How many there are."""
        return self._length

    def part_of(self, numbers: Numbers) -> Places:
        """In which part each of some numbers is, if it is there."""
        import numpy as np

        return (numbers >> np.uint64(64 - _PARTS_BITS)).astype(np.int64) // (_PARTS // self.parts)

    def part(self, number: int, of: int = 0) -> Numbers:
        """One of so many parts."""
        width = _PARTS // (of or self.parts)
        return self._file.read(self._starts[number * width], self._starts[(number + 1) * width])


class _File:
    """Numbers one after the other, on the disk if they are many.

    It never has a name: no other process can open it, and it is gone once ours has ended.
    """

    def __init__(self, folder: Path | None) -> None:
        self.length, self._folder = 0, folder
        self._file = SpooledTemporaryFile(_IN_MEMORY, dir=str(folder) if folder else None)  # noqa: SIM115

    def add(self, numbers: Numbers) -> None:
        """Add some at the end."""
        with self._named():
            self._file.seek(0, os.SEEK_END)
            self._file.write(numbers.data)
        self.length += len(numbers)

    def read(self, start: int, end: int) -> Numbers:
        """Those from one place to another."""
        import numpy as np

        with self._named():
            self._file.seek(start * _SIZE)
            return np.frombuffer(self._file.read((end - start) * _SIZE), np.uint64)

    def close(self) -> None:
        """Give them up."""
        self._file.close()

    def _named(self) -> AbstractContextManager[None]:
        """Says in which folder there is no room."""
        return private.named(self._folder) if self._folder else nullcontext()


class _Filter:
    """Rules out most numbers that were not added, by their first bits."""

    def __init__(self, run: _Run, parts: Iterable[Numbers]) -> None:
        import numpy as np

        # A byte for each number, and as few as can be divided into the parts.
        bits = min(max(len(run) * 8, 1 << 16), _FILTER).bit_length() - 1
        self._shift = np.uint64(64 - bits)
        each, held = (1 << bits) // run.parts, []
        for part in parts:
            are_there = np.zeros(each, np.bool_)
            are_there[(part >> self._shift) & np.uint64(each - 1)] = True
            held.append(np.packbits(are_there, bitorder="little"))
        self._held = np.concatenate(held)

    def maybe(self, numbers: Numbers) -> tuple[Places, Numbers]:
        """Those that may have been added: their places, and themselves."""
        import numpy as np

        firsts = numbers >> self._shift
        bits = self._held[firsts >> np.uint64(3)] >> (firsts & np.uint64(7)).astype(np.uint8)
        places = np.flatnonzero(bits & np.uint8(1))
        return places, numbers[places]


def _distinct(numbers: Numbers) -> Numbers:
    """Each number once, sorted; of two with different codes the first."""
    import numpy as np

    bare = numbers >> np.uint64(3)
    order = np.argsort(bare, kind="stable")
    bare = bare[order]
    is_first = np.ones(len(bare), np.bool_)
    is_first[1:] = bare[1:] != bare[:-1]
    return numbers[order[is_first]]


def _codes(numbers: Numbers) -> numpy.ndarray[Any, Any]:
    import numpy as np

    return (numbers & np.uint64(CODES - 1)).astype(np.int64)
