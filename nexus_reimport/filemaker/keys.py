"""Whether every record of a table has its own key, and which records have not."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass

from nexus_reimport import ids, wording


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the keys of a table, and what a person does about it."""

    what: str
    next: str


class Keys:
    """The keys of one table, as its records come. ``fields`` are the fields that are the key.

    ``record`` says how a message names a record: by FileMaker's record id, or, if the channel has
    none, by its number in the order of the key. Of each record two numbers are in memory, and not
    its key.
    """

    def __init__(self, fields: Iterable[str]) -> None:
        self.record = "number"
        self.distinct = 0  # different keys, once they were compared
        self._fields = " and ".join(fields)
        self._hashes = array("q")  # of each key as it compares, and not the key: memory
        self._numbers = array("Q")  # the names of records
        self._names: dict[int, str] = {}  # those that are no numbers
        self._keyless: set[int] = set()
        self._again: list[tuple[str, str, str, str]] = []  # first key, second key, their records
        self._without: list[str] = []
        self._odd: list[str] = []

    def add(self, keys: Sequence[str], records: Sequence[str], odd: Collection[int] = ()) -> None:
        """Add the records of one page by their keys; a record without a key has an empty one.

        ``odd``: the places of keys that have characters that cannot be kept.
        """
        before = len(self._hashes)
        compared = ids.compared(keys)
        self._hashes.extend(map(hash, compared))
        are_numbers = _are_numbers(records)
        self._numbers.extend(map(int, records) if are_numbers else map(_number, records))
        if not are_numbers:
            self._names |= {
                before + n: record for n, record in enumerate(records) if not _is_number(record)
            }
        if all(compared) and not odd:
            return
        # A key that was cleaned would be a different key, and could be another record's.
        for number, (key, record) in enumerate(zip(compared, records, strict=True)):
            if number in odd or not key:
                self._keyless.add(before + number)
                (self._odd if number in odd else self._without).append(record)

    def compare(self, keys: Callable[[], Iterable[str]]) -> None:
        """Find the keys that came twice; ``keys`` gives all that were added, in order."""
        first: dict[str, tuple[str, str]] = {}  # as it compares -> as it is written, its record
        alike = self._alike()
        for place, written in enumerate(keys() if alike else ()):
            if place in alike:
                record, (key,) = self._name(place), ids.compared([written])
                if key in first:
                    known, before = first[key]
                    self._again.append((known, written, before, record))
                else:
                    first[key] = written, record
        self.distinct = len(self._hashes) - len(self._keyless) - len(self._again)

    def _alike(self) -> set[int]:
        """The places of the keys whose hash another one has, few of which may be the same."""
        import numpy as np

        hashes = np.frombuffer(self._hashes, np.int64)
        order = np.argsort(hashes)
        twice = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
        return {*order[twice].tolist(), *order[twice + 1].tolist()} - self._keyless

    def _name(self, place: int) -> str:
        return self._names.get(place) or str(self._numbers[place])

    def fault(self) -> Fault | None:
        """What is wrong, once they were compared; None if every record has its own key."""
        faults = list(self._faults())
        if not faults:
            return None
        what, todo = ("; ".join(texts) for texts in zip(*map(astuple, faults), strict=True))
        return Fault(what, f"{todo}; then run 01_preflight again")

    def _faults(self) -> Iterator[Fault]:
        same = [f"{a} ({self.record} {x} and {y})" for a, b, x, y in self._again if a == b]
        apart = [f"{a} and {b} ({self.record} {x} and {y})" for a, b, x, y in self._again if a != b]
        without = [f"{self.record} {x}" for x in self._without]
        odd = [f"{self.record} {x}" for x in self._odd]
        if same:
            yield Fault(
                f"{_records(same)} the same key as another one: {wording.some(same)}",
                f"find them in FileMaker with ! in {self._fields}, and give each its own key"
                " (Duplicate Record copies the key); if they are many, another field is the key:"
                " correct `key` in the mapping",
            )
        if apart:
            yield Fault(
                f"{wording.amount(len(apart), 'pair of keys differs', 'pairs of keys differ')}"
                " only in case or spelling, and FileMaker's relationships treat them as equal:"
                f" {wording.some(apart)}",
                "in FileMaker, give one record of each pair a different key",
            )
        if without:
            yield Fault(
                f"{_records(without)} no key: {wording.some(without)}",
                f"find them in FileMaker with = in {self._fields}, and give each a key",
            )
        if odd:
            yield Fault(
                f"{_records(odd)} a key with control characters, or with half a"
                f" character: {wording.some(odd)}",
                f"enter {self._fields} of these records again in FileMaker",
            )


def _records(of: Collection[str]) -> str:
    return wording.amount(len(of), "record has", "records have")


def _is_number(record: str) -> bool:
    """Whether a number of eight bytes can stand for the name of a record."""
    return record.isdecimal() and record.isascii() and len(record) < 19 and record[0] != "0"


def _are_numbers(records: Sequence[str]) -> bool:
    """``_is_number`` for all of them; much faster than to ask it of each."""
    joined = "".join(records)
    if not (joined.isdecimal() and joined.isascii()):
        return False
    lengths = set(map(len, records))
    return 0 not in lengths and max(lengths) < 19 and "0" not in {one[0] for one in records}


def _number(record: str) -> int:
    return int(record) if _is_number(record) else 0
