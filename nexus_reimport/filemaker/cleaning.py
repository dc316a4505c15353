"""Changes a record's texts, once, so that every later place can hold them.

Parquet, PostgreSQL, JSON and spreadsheets each refuse different characters. What is changed here is
counted by field and listed by FileMaker id; values are never shown. Of a repeating field only the
first repetition is read: records with more are listed as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from nexus_reimport.text import LOSSLESS, clean

REPETITION = "\x1d"  # stands between the repetitions of a field in an exported text file
MORE = "holds several repetitions: only the first is read"
# How the Data API names a repetition after the first: `Face(2)`.
_NUMBERED = re.compile(r"(.+)\((\d+)\)", re.DOTALL)
SAMPLE = 5  # ids that are shown of each kind of change


class Cleaner:
    """Cleans the records of one table, and remembers which of them it changed.

    ``real`` are the wanted fields: the mapping's name -> the channel's, "" where there is none.
    ``known`` are all fields of the table: ``Score(2)`` can also be the name of a field.
    """

    def __init__(self, real: Mapping[str, str], known: Collection[str]) -> None:
        self._real = tuple((name, spelt) for name, spelt in real.items())
        self._names = {spelt: name for name, spelt in self._real if spelt}
        self._known = frozenset(known)
        self._repetition_of: dict[str, str] = {}  # a record's name -> the mapping's, "" for none
        self.changed: list[tuple[str, str, str]] = []  # field, what was done, FileMaker id

    def texts(self, record: Mapping[str, str], key: str) -> list[str]:
        """The wanted texts of ``record``, in the order of the mapping."""
        cleaned = []
        for name, spelt in self._real:
            value, done = clean(record.get(spelt, "") if spelt else "")
            self.changed += ((name, what, key) for what in done)
            cleaned.append(value)
        # A further repetition is listed, not read: a column of Nexus holds one value.
        for spelt in record:
            if record[spelt] and (name := self._repeated(spelt)):
                self.changed.append((name, MORE, key))
        return cleaned

    def counted(self) -> Iterator[tuple[str, str, int, tuple[str, ...]]]:
        """Field, what was done, how many records, and a few of their ids."""
        lines = sorted(set(self.changed))
        counts = Counter((field, what) for field, what, _ in lines)
        for (field, what), count in counts.items():
            ids = [i for f, w, i in lines if (f, w) == (field, what)]
            yield field, what, count, tuple(ids[:SAMPLE])

    def _repeated(self, spelt: str) -> str:
        """The mapping's name of the field of which ``spelt`` is a further repetition."""
        if spelt not in self._repetition_of:
            match = None if spelt in self._known else _NUMBERED.fullmatch(spelt)
            later = match is not None and int(match[2]) > 1
            self._repetition_of[spelt] = self._names.get(match[1], "") if match and later else ""
        return self._repetition_of[spelt]


def loses(what: str) -> bool:
    """Whether this change loses a part of FileMaker's text."""
    return what not in LOSSLESS


def apart(record: Mapping[str, str]) -> dict[str, str]:
    """``record`` with every repetition under a name of its own: ``Face``, ``Face(2)``."""
    row = {}
    for name, value in record.items():
        row[name], *others = value.split(REPETITION)
        row |= {f"{name}({number})": other for number, other in enumerate(others, 2)}
    return row
