"""Changes a record's texts, once, so that every later place can hold them.

Parquet, PostgreSQL, JSON and spreadsheets each refuse different characters. What is changed here is
counted by field and listed by FileMaker id; values are never shown. Of a repeating field only the
first repetition is read: records with more are listed as well, and so is what a channel could not
give as FileMaker has it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby

from nexus_reimport.filemaker import NO_VALUE, Remark
from nexus_reimport.text import LOSSLESS, clean, is_clean

REPETITION = "\x1d"  # stands between the repetitions of a field in an exported text file
MORE = "holds several repetitions: only the first is read"
# How the Data API names a repetition after the first: `Face(2)`.
_NUMBERED = re.compile(r"(.+)\((\d+)\)", re.DOTALL)
_NO_RESULT = "?"  # a number's is bare, and the channel has told of it
SAMPLE = 5  # ids that are shown of each kind of change


class Cleaner:
    """Cleans the records of one table, and remembers which of them it changed.

    ``real`` are the wanted fields: the mapping's name -> the channel's, "" where there is none.
    ``known`` are all fields of the table: ``Score(2)`` can also be the name of a field. Of those
    that are ``calculated`` a ``?`` is what FileMaker could not compute.
    """

    def __init__(
        self, real: Mapping[str, str], known: Collection[str], calculated: Collection[str] = ()
    ) -> None:
        self._real = tuple(real.items())
        self._names: dict[str, list[str]] = {}  # a field may be wanted by several
        for name, spelt in self._real:
            self._names.setdefault(spelt, []).append(name)
        self._known, self._calculated = frozenset(known), frozenset(calculated)
        self.not_computed = 0  # values of which no channel has told
        self.changed: list[tuple[str, str, str]] = []  # field, what was done, FileMaker id

    def note(self, remarks: Iterable[Remark], keys: Sequence[str]) -> None:
        """List what the channel remarks of wanted fields, in records whose keys are ``keys``."""
        for remark in remarks:
            names = self._names.get(remark.field, ())
            self.changed += ((name, remark.what, keys[remark.row]) for name in names)

    def columns(self, records: Sequence[Mapping[str, str]], keys: Sequence[str]) -> list[list[str]]:
        """The wanted texts of ``records``, whose keys are ``keys``, by column as in the mapping."""
        columns = []
        for name, spelt in self._real:
            texts = [r[spelt] for r in records] if spelt else [""] * len(records)
            if spelt in self._calculated and _NO_RESULT in texts:
                numbers = [n for n, text in enumerate(texts) if text == _NO_RESULT]
                self.changed += ((name, NO_VALUE, keys[number]) for number in numbers)
                self.not_computed += len(numbers)
                texts = ["" if text == _NO_RESULT else text for text in texts]
            columns.append(texts if is_clean(texts) else self._cleaned(name, texts, keys))
        # A further repetition is listed, not read: a column of Nexus holds one value.
        for spelt in set().union(*records):
            for name in self._repeated(spelt):
                more = zip(records, keys, strict=True)
                self.changed += ((name, MORE, key) for record, key in more if record.get(spelt))
        return columns

    def counted(self) -> Iterator[tuple[str, str, int, tuple[str, ...]]]:
        """Field, what was done, how many records, and a few of their ids."""
        for (field, what), lines in groupby(sorted(set(self.changed)), key=lambda line: line[:2]):
            ids = [filemaker_id for *_, filemaker_id in lines]
            yield field, what, len(ids), tuple(ids[:SAMPLE])

    def _cleaned(self, name: str, texts: Sequence[str], keys: Sequence[str]) -> list[str]:
        """The texts of the field ``name``, each cleaned."""
        cleaned = []
        for text, key in zip(texts, keys, strict=True):
            value, done = clean(text)
            self.changed += ((name, what, key) for what in done)
            cleaned.append(value)
        return cleaned

    def _repeated(self, spelt: str) -> Sequence[str]:
        """The mapping's names of the field of which ``spelt`` is a further repetition."""
        match = None if spelt in self._known else _NUMBERED.fullmatch(spelt)
        later = match is not None and int(match[2]) > 1
        return self._names.get(match[1], ()) if match and later else ()


def loses(what: str) -> bool:
    """Whether this change loses a part of FileMaker's text."""
    return what not in LOSSLESS


def apart(record: Mapping[str, str]) -> dict[str, str]:
    """``record`` with every repetition under a name of its own: ``Face``, ``Face(2)``.

    That can be the name of a field as well, which keeps its value: the next number is taken.
    """
    row = {}
    for name, value in record.items():
        row[name], *others = value.split(REPETITION)
        numbered = (f"{name}({number})" for number in count(2))
        row |= zip((one for one in numbered if one not in record), others, strict=False)
    return row
