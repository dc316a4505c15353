"""Whether every record of a table has its own key, and which records have not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
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
    none, by its number in the order of the key.
    """

    def __init__(self, fields: Iterable[str]) -> None:
        self.record = "number"
        self._fields = " and ".join(fields)
        # As it compares -> as it is written, its record. Texts: an `Id` of each takes too long.
        self._first: dict[str, tuple[str, str]] = {}
        self._again: list[tuple[str, str, str, str]] = []  # first key, second key, their records
        self._without: list[str] = []
        self._odd: list[str] = []

    def add(self, keys: Sequence[str], records: Sequence[str], odd: Collection[int] = ()) -> None:
        """Add the records of one page by their keys; a record without a key has an empty one.

        ``odd``: the places of keys that have characters that cannot be kept.
        """
        compared = ids.compared(keys)
        every = zip(compared, zip(keys, records, strict=True), strict=True)
        are_new = len(set(compared)) == len(compared) and self._first.keys().isdisjoint(compared)
        if are_new and all(compared) and not odd:
            self._first.update(every)
            return
        for number, (key, (written, record)) in enumerate(every):
            # A key that was cleaned would be a different key, and could be another record's.
            if number in odd or not key:
                (self._odd if number in odd else self._without).append(record)
            elif key in self._first:
                first, before = self._first[key]
                self._again.append((first, written, before, record))
            else:
                self._first[key] = written, record

    @property
    def distinct(self) -> int:
        """How many different keys there are."""
        return len(self._first)

    def fault(self) -> Fault | None:
        """What is wrong; None if every record has its own key."""
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
                f"{len(same):,} record(s) have the same key as another one: {wording.some(same)}",
                f"find them in FileMaker with ! in {self._fields}, and give each its own key"
                " (Duplicate Record copies the key)",
            )
        if apart:
            yield Fault(
                f"{len(apart):,} pair(s) of keys differ only in case or spelling, and FileMaker's"
                f" relationships treat them as equal: {wording.some(apart)}",
                "in FileMaker, give one record of each pair a different key",
            )
        if without:
            yield Fault(
                f"{len(without):,} record(s) have no key: {wording.some(without)}",
                f"find them in FileMaker with = in {self._fields}, and give each a key",
            )
        if odd:
            yield Fault(
                f"{len(odd):,} record(s) have a key with control characters, or with half a"
                f" character: {wording.some(odd)}",
                f"enter {self._fields} of these records again in FileMaker",
            )
