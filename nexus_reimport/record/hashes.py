"""Sets of values that are in memory as a number of eight bytes each, and not as what they are.

A value that was not added can have the number of one that was: of a hundred million values that
are looked for, among ten million that are asked about, once in two thousand times. Then a seal is
refused without need, and the next process, whose numbers are others, does not refuse it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    Numbers = numpy.ndarray[Any, numpy.dtype[numpy.uint64]]

CODES = 8  # that a number can have: they take its last three bits
_FACTOR, _ALL = 0x9E3779B97F4A7C15, (1 << 64) - 1
_PARTS = 6  # bits: a set is merged in so many parts, one after the other, to need less memory
_FEW = 1 << 18  # numbers that wait, at least, until they are merged
_FIRST = 24  # bits of a number by which most others are ruled out at once


def number_of(words: Sequence[bytes]) -> int:
    """The number of these words in a row, good in this process."""
    number = 0
    for word in words:
        number = (number * _FACTOR + hash(word)) & _ALL
    return number


def rolled(words: Sequence[bytes], longest: int) -> Iterator[tuple[int, Numbers]]:
    """For each length up to ``longest``: the numbers of so many words in a row, from each word."""
    import numpy as np

    single = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
    whole = np.zeros(len(single) + 1, np.uint64)
    for length in range(1, min(longest, len(single)) + 1):
        whole = whole[:-1] * np.uint64(_FACTOR)
        whole += single[length - 1 :]
        yield length, whole


class HashSet:
    """A set of numbers, each with a code below ``CODES``: the one with which it came first."""

    def __init__(self) -> None:
        import numpy as np

        self._added = array("Q")
        self._waiting: list[Numbers] = []  # as they came
        self._parts: list[Numbers] = [np.zeros(0, np.uint64)] * (1 << _PARTS)  # sorted
        self._known: Numbers | None = None  # all parts as one, once it was asked for
        self._firsts: numpy.ndarray[Any, Any] = np.zeros(0, np.bool_)

    def add(self, number: int, code: int = 0) -> None:
        """Add one number."""
        self._added.append(number & -CODES | code)
        if len(self._added) >= _FEW:
            self._take()

    def add_all(self, numbers: Numbers, code: int = 0) -> None:
        """Add many."""
        import numpy as np

        self._take()
        self._waiting.append(numbers & np.uint64(_ALL - CODES + 1) | np.uint64(code))
        self._merge_if_many()

    def __len__(self) -> int:
        """How many different numbers there are."""
        self._settle()
        return sum(map(len, self._parts))

    def codes(self) -> Iterator[tuple[int, int]]:
        """Each code, and how many numbers have it."""
        import numpy as np

        self._settle()
        counts = np.zeros(CODES, np.int64)
        for part in self._parts:
            counts += np.bincount(_codes(part), minlength=CODES)
        yield from ((code, int(n)) for code, n in enumerate(counts) if n)

    def __contains__(self, number: int) -> bool:
        """Whether a number was added."""
        import numpy as np

        known, wanted = self._as_one(), number & -CODES
        at = int(np.searchsorted(known, np.uint64(wanted)))
        return at < len(known) and int(known[at]) - wanted < CODES

    def among(self, numbers: Numbers) -> tuple[numpy.ndarray[Any, Any], numpy.ndarray[Any, Any]]:
        """Which of ``numbers`` were added: their places, in order, and their codes."""
        import numpy as np

        known = self._as_one()
        if not len(self._firsts):  # only where many are asked about: it takes 16 MiB
            self._firsts = np.zeros(1 << _FIRST, np.bool_)
            for part in self._parts:
                self._firsts[part >> np.uint64(64 - _FIRST)] = True
        maybe = np.flatnonzero(self._firsts[numbers >> np.uint64(64 - _FIRST)])
        if not len(maybe):
            return maybe, maybe
        wanted = numbers[maybe] & np.uint64(_ALL - CODES + 1)
        # A number with its code follows the bare one, and comes before the next bare one.
        nearest = known[np.searchsorted(known, wanted).clip(max=len(known) - 1)]
        is_known = nearest - wanted < CODES
        return maybe[is_known], _codes(nearest[is_known])

    def _as_one(self) -> Numbers:
        import numpy as np

        self._settle()
        if self._known is None:
            sizes = [len(part) for part in self._parts]
            self._known = np.empty(sum(sizes), np.uint64)
            self._firsts = np.zeros(0, np.bool_)
            # Part by part, each of which is given up at once: there is no room for all of it twice.
            for which, end in enumerate(accumulate(sizes)):
                part = self._known[end - sizes[which] : end]
                part[:] = self._parts[which]
                self._parts[which] = part
        return self._known

    def _take(self) -> None:
        import numpy as np

        if self._added:
            self._waiting.append(np.frombuffer(self._added, np.uint64))
            self._added = array("Q")
        self._merge_if_many()

    def _merge_if_many(self) -> None:
        waiting = sum(map(len, self._waiting))
        # By what there is: then each number is merged a few times, however many come.
        if waiting >= max(_FEW, sum(map(len, self._parts)) // 4):
            self._merge()

    def _settle(self) -> None:
        if self._added:
            self._take()
        if self._waiting:
            self._merge()

    def _merge(self) -> None:
        import numpy as np

        added = _distinct(np.concatenate(self._waiting))
        self._waiting, self._known = [], None
        edges = np.arange(1, 1 << _PARTS, dtype=np.uint64) << np.uint64(64 - _PARTS)
        for which, more in enumerate(np.split(added, np.searchsorted(added, edges))):
            if len(more):
                self._parts[which] = _distinct(np.concatenate((self._parts[which], more)))


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
