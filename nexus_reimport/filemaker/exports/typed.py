"""The rows of an exported file, read by the types that the mapping expects."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from nexus_reimport import ids, wording
from nexus_reimport.errors import ExportError, MappingError
from nexus_reimport.filemaker import suggest
from nexus_reimport.filemaker.exports.cells import CUT, Forms, Refused, as_id, as_text, remark
from nexus_reimport.filemaker.exports.columns import refuse_contradictions, refuse_rounded_ids
from nexus_reimport.filemaker.exports.grid import Grid, GridRow


@dataclass(frozen=True, slots=True)
class Row:
    """The wanted values of one line, empty where there is none.

    ``remarks`` are the columns of which something was lost, or may have been, and what.
    """

    line: int
    texts: tuple[str, ...]
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HowRead:
    """How the columns of one file are read: which, as which type, and which of them hold ids."""

    types: Mapping[str, str]
    forms: Forms
    ids: Collection[str] = ()


class Table:
    """The rows of a file, each with the columns of ``how``.

    Raises:
        MappingError: there is no such column.
        SettingsError: dates are written as text, and their form is not declared, or declared
            wrongly.
        ExportError: two columns have this name; a related field has several values; a column
            contradicts its form. A row that is read: a date where none is expected; a key that
            lost digits; a text that may have been cut.
    """

    def __init__(self, grid: Grid, how: HowRead, where: str) -> None:
        self._grid, self._how, self._where = grid, how, where
        self._places = {name: _place(grid, name, where) for name in how.types}
        columns = {name: (place, how.types[name]) for name, place in self._places.items()}
        refuse_contradictions(grid, columns, how.forms, where)
        ids = {name: place for name, place in self._places.items() if name in how.ids}
        refuse_rounded_ids(grid, ids, where)

    def rows(self, *only: str) -> Iterator[Row]:
        """Every row in the order of the file; with ``only`` some of its columns."""
        return self._read(self._grid.rows, only or tuple(self._how.types))

    def at(self, numbers: Sequence[int]) -> list[Row]:
        """The rows with these numbers, from 0."""
        return list(self._read(self._grid.rows.at(numbers), tuple(self._how.types)))

    def _read(self, lines: Iterable[GridRow], names: tuple[str, ...]) -> Iterator[Row]:
        how = self._how
        columns = [
            (
                self._places[name],
                as_id if name in how.ids else as_text,
                how.types[name],
                how.forms.of(name),
            )
            for name in names
        ]
        for line in lines:
            texts: list[str] = []
            remarks = list[tuple[str, str]]()
            try:
                for place, read, kind, forms in columns:
                    cell = line.cells[place]
                    if what := remark(cell, kind, forms, is_id=read is as_id):
                        remarks.append((names[len(texts)], what))
                    texts.append(read(cell, kind, forms) or "")
            except Refused as refused:
                raise refused.error(
                    f"line {line.number:,}, column {names[len(texts)]}: {refused.what}",
                    where=self._where,
                    next=refused.next,
                ) from None
            if line.is_open:
                last = len(line.cells) - 1
                remarks += [(name, CUT) for name in names if self._places[name] == last]
            yield Row(line.number, tuple(texts), tuple(remarks))


def in_order(keys: Iterable[tuple[int, str]], where: str) -> Sequence[int]:
    """The numbers of the rows, from 0, in the order of their keys.

    Shape: ``keys`` as line of the file and key, ``""`` for none, in the order of the file.

    Raises:
        ExportError: a row has no key, or the key of an earlier row; keys compare as ids do, without
            regard to case.
    """
    lines, keyed = array("Q"), list[tuple[str, str, int]]()
    for number, (line, written) in enumerate(keys):
        key = ids.of(written)
        lines.append(line)
        keyed.append((key.compared, key.written, number))
    missing = [lines[number] for compared, _, number in keyed if not compared]
    _refuse(missing, len(lines), "values but no key", where)
    keyed.sort()
    again, spelt_otherwise = _repeated(keyed)
    hint = ""
    if spelt_otherwise:
        hint = (
            f" (in {_few([lines[n] for n in spelt_otherwise])} the key differs only in case or"
            " spelling, and FileMaker's relationships treat such keys as equal)"
        )
    _refuse([lines[n] for n in again], len(lines), "the key of an earlier row", where, hint)
    return array("Q", (number for _, _, number in keyed))


def _place(grid: Grid, name: str, where: str) -> int:
    places = [place for place, column in enumerate(grid.columns) if column == name]
    if not places:
        raise MappingError(
            f"the file has no column {name}; {suggest.phrase(name, filter(None, grid.columns))}",
            where=where,
            next="export this field too, or correct its name in the mapping",
        )
    if len(places) > 1:
        numbers = " and ".join(f"{place + 1:,}" for place in places)
        raise ExportError(
            f"columns {numbers} are both called {name}, which the mapping reads",
            where=where,
            next="export this field only once",
        )
    further = [line.number for line in grid.further if line.cells[places[0]] not in (None, "")]
    if further:
        raise ExportError(
            f"{name} is a related field with several values for one record: the others are"
            f" in {_few(further)}",
            where=where,
            next="export the related table itself, and map it as its own source",
        )
    return places[0]


def _repeated(keyed: Sequence[tuple[str, str, int]]) -> tuple[list[int], list[int]]:
    """The rows whose key an earlier row has, and those of them that spell it differently.

    Shape: ``keyed`` as the key as it compares, as it is written, and the row's number; sorted.
    """
    again, spelt_otherwise = [], []
    for _, group in groupby(keyed, key=lambda row: row[0]):
        first, *others = sorted((number, written) for _, written, number in group)
        again += [number for number, _ in others]
        spelt_otherwise += [number for number, written in others if written != first[1]]
    return sorted(again), sorted(spelt_otherwise)


def _refuse(lines: Sequence[int], rows: int, what: str, where: str, hint: str = "") -> None:
    """Stop at these lines of so many rows; a large part of them is hardly FileMaker's fault."""
    if lines:
        are_many = len(lines) * 4 > rows
        raise ExportError(
            f"{wording.amount(len(lines), 'row has', 'rows have')} {what}, in {_few(lines)}",
            where=where,
            next="see whether the file holds two exports, or has its columns in another order than"
            f" is declared; else fix the records in FileMaker{hint}, and export the table again"
            if are_many
            else f"fix the records in FileMaker{hint}, and export the table again",
        )


def _few(lines: Sequence[int]) -> str:
    noun = "line" if len(lines) == 1 else "lines"
    return f"{noun} {wording.some(f'{line:,}' for line in lines)}"
