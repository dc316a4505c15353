"""Text files that FileMaker exports: comma-separated, merge files, tab-separated.

A record ends at CR, LF or CRLF, and at no other character that some programs take for a line end.
FileMaker writes a line break inside a value as 0x0B; here it becomes a newline. In a merge file it
separates values by semicolons where the system's language does.

Source: Claris FileMaker Pro Help, "Comma-separated values format", "Merge format", "Tab-separated
text format".
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

from nexus_reimport.errors import ExportError, SettingsError, SourceError
from nexus_reimport.filemaker.exports.cells import EXPORT_AGAIN
from nexus_reimport.filemaker.exports.encoded import EncodedText, Line
from nexus_reimport.filemaker.exports.grid import GridRow
from nexus_reimport.files.textfile import csv_reader

TAB = "\t"
_HINT = re.compile(r'"?sep=.?"?\s*', re.IGNORECASE)  # of people who open such files in Excel
_NAMES = {",": "commas", ";": "semicolons", TAB: "tabs"}
_SUFFIXES = {",": ".csv", ";": ".csv", TAB: ".tab"}


class Delimited:
    """A text file of records.

    Between commas or semicolons values may stand in quotes and hold line ends; between tabs not.
    """

    def __init__(self, text: EncodedText, separator: str) -> None:
        self._text, self._separator = text, separator
        self._quotes = separator != TAB

    def refuse_other_separator(self, fits: Callable[[list[str]], bool]) -> None:
        """Stop where the first line ``fits`` a file of this table only with another separator.

        Raises:
            SettingsError: the separator that fits is not the declared one.
        """
        texts = (line.text for line in self._text.lines() if line.text.strip())
        first = next((text for text in texts if not _HINT.fullmatch(text)), "")
        right = [one for one in _NAMES if fits(_split(first, one))]
        if not right or self._separator in right:
            return
        declare = (
            f'write separator = "{right[0]}" under [filemaker.exports], or for this file only under'
            " [filemaker.exports.files]"
        )
        other_suffix = f"export the table again, or name the file {_SUFFIXES[right[0]]}"
        raise SettingsError(
            f"values are separated by {_NAMES[right[0]]}, and not by {_NAMES[self._separator]}",
            where=self._text.where,
            next=declare if TAB not in (right[0], self._separator) else other_suffix,
        )

    def records(self) -> Iterator[GridRow]:
        """Every record. One over several lines has the number of its first line.

        A first line that tells Excel the separator is none.

        Raises:
            ExportError: a quote is not closed, or not doubled.
        """
        rows = self._between_commas() if self._quotes else self._between_tabs()
        first = next(rows, None)
        if first and not _HINT.fullmatch(self._separator.join(map(str, first.cells))):
            yield first
        yield from rows

    def between(self, places: Iterable[tuple[int, int]]) -> Iterator[list[str]]:
        """The values of the records from one byte to another; none where there is no record now."""
        return map(self._values, self._text.between(places))

    def changed(self) -> SourceError:
        """The error for a file that holds something else by now."""
        return self._text.changed()

    def _between_tabs(self) -> Iterator[GridRow]:
        """This format has no quoting: a quote is an ordinary character."""
        for number, (text, start, end) in enumerate(self._text.lines(), 1):
            yield GridRow(number, _of_tabs(text), start, end, _is_open(text))

    def _between_commas(self) -> Iterator[GridRow]:
        lines = _Lines(self._text.lines())
        records = csv_reader(lines, self._separator)
        number = 1
        while True:
            start = lines.place
            try:
                values = next(records, None)
            except csv.Error as error:
                at_end = "end of data" in str(error)
                raise ExportError(
                    f"line {number:,}: "
                    + (
                        "the file ends inside quotes"
                        if at_end
                        else "a quote inside a value is not doubled"
                    ),
                    where=self._text.where,
                    next=EXPORT_AGAIN,
                ) from None
            if values is None:
                return
            cells = _with_line_ends(values)
            yield GridRow(number, cells, start, lines.place, _is_open(lines.last))
            number = records.line_num + 1

    def _values(self, text: str) -> list[str]:
        values = _split(text, self._separator)
        return _with_line_ends(values) if self._quotes else values


class DelimitedRows:
    """Rows of a text file, read from it as often as they are asked for.

    In memory are their places: for each row three numbers of eight bytes.
    """

    def __init__(self, file: Delimited) -> None:
        self._file, self._width = file, 0
        self._starts, self._ends, self._numbers = array("Q"), array("Q"), array("Q")
        self._open = 0  # the line within which the file ends

    def append(self, row: GridRow) -> None:
        """Add a row, which comes after all others in the file."""
        self._width = len(row.cells)
        self._starts.append(row.start)
        self._ends.append(row.end)
        self._numbers.append(row.number)
        self._open = row.number if row.is_open else 0

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._starts)

    def __iter__(self) -> Iterator[GridRow]:
        """The rows in the order of the file, which is read from its beginning.

        Raises:
            SourceError: the file holds something else by now.
        """
        records = self._file.records()
        for place in zip(self._starts, self._ends, strict=True):
            row = next((row for row in records if (row.start, row.end) == place), None)
            if row is None or len(row.cells) != self._width:
                raise self._file.changed()
            yield row

    def at(self, numbers: Sequence[int]) -> Iterator[GridRow]:
        """The rows with these numbers, from 0.

        Raises:
            SourceError: the file holds something else by now.
        """
        places = ((self._starts[n], self._ends[n]) for n in numbers)
        for n, values in zip(numbers, self._file.between(places), strict=True):
            if len(values) != self._width:
                raise self._file.changed()
            number = self._numbers[n]
            yield GridRow(number, values, is_open=number == self._open)


class _Lines:
    """The texts of lines; ``place`` is the byte after the ``last`` one that was taken."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines, self.last, self.place = lines, "", 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        self.last, _, self.place = next(self._lines)
        return self.last


def _is_open(line: str) -> bool:
    return not line.endswith(("\r", "\n"))


def _split(line: str, separator: str) -> list[str]:
    """The values of a line; none if it is not written with this separator."""
    if separator == TAB:
        return _of_tabs(line)
    try:
        return next(csv_reader([line], separator), [])
    except csv.Error:
        return []


# FileMaker writes a line break inside a value as 0x0B, so that each line is one record.


def _of_tabs(line: str) -> list[str]:
    return line.rstrip("\r\n").replace("\x0b", "\n").split("\t")


def _with_line_ends(values: list[str]) -> list[str]:
    return [value.replace("\x0b", "\n") for value in values]
