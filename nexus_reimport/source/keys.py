"""Whether every record of a table has a key of its own, and which ones have not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from nexus_reimport.text import id_key

_FEW = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the keys of a table, in words, and what a person does about it."""

    what: str
    next: str


class Keys:
    """The keys of one table, as its records come.

    ``record`` is what a channel calls a record by: FileMaker's record id, or, where the channel
    tells none, its number in the order of the key. ``fields`` are the fields that are the key.
    """

    def __init__(self, fields: Iterable[str], record: str) -> None:
        self._fields, self._record = " and ".join(fields), record
        self._first: dict[str, tuple[str, str]] = {}  # as ids compare -> as written, its record
        self._same: list[str] = []
        self._spelt_otherwise: list[str] = []
        self._without: list[str] = []

    def add(self, key: str, record: str) -> None:
        """One record: its key as written, ``""`` where it has none."""
        if not key:
            self._without.append(f"{self._record} {record}")
            return
        one = id_key(key)
        if one not in self._first:
            self._first[one] = key, record
            return
        first, before = self._first[one]
        places = f"({self._record} {before} and {record})"
        if first == key:
            self._same.append(f"{key} {places}")
        else:
            self._spelt_otherwise.append(f"{first} and {key} {places}")

    @property
    def distinct(self) -> int:
        """How many different keys there are."""
        return len(self._first)

    def fault(self) -> Fault | None:
        """What is wrong; None where every record has a key of its own."""
        what, todo = [], []
        if self._same:
            what.append(f"{len(self._same):,} record(s) have the key of another: {few(self._same)}")
            todo.append(
                f"find them in FileMaker with ! in {self._fields}, and give each a key of its own"
                " (Duplicate Record copies the key)"
            )
        if self._spelt_otherwise:
            what.append(
                f"{len(self._spelt_otherwise):,} pair(s) of keys differ in case or spelling alone,"
                f" and FileMaker's relationships take them for one: {few(self._spelt_otherwise)}"
            )
            todo.append("give one of each pair another key in FileMaker")
        if self._without:
            what.append(f"{len(self._without):,} record(s) have no key: {few(self._without)}")
            todo.append(f"find them in FileMaker with = in {self._fields}, and give each a key")
        if not what:
            return None
        return Fault("; ".join(what), f"{'; '.join(todo)}; then run 01_preflight again")


def few(names: list[str]) -> str:
    """The first five of ``names``, and how many more there are."""
    more = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    return ", ".join(islice(names, _FEW)) + more
