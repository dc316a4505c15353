"""What an exported file holds: named columns, and the lines under them.

Columns go by name and stay where they are: a header cell that is blank has its place, and nobody
reads what is under it. A line in which every cell is empty is no row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from nexus_reimport import wording
from nexus_reimport.errors import SourceError
from nexus_reimport.filemaker.exports.cells import Cell
from nexus_reimport.text import composed, fold

_AGAIN = "export the table from FileMaker again"
_AROUND_NAMES = " \t\r\n\u00a0\ufeff\u200b"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class GridRow(NamedTuple):
    """One line of a file, as a person counts them from 1, and its cells."""

    number: int
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Grid:
    """The columns of a file, ``""`` where a header cell is blank, and its rows, each as wide.

    ``further`` are lines that are no records: FileMaker writes one for each further record of a
    related table whose field (``Invoices::No``) is exported as well, with nothing but that in it.
    """

    columns: tuple[str, ...]
    rows: tuple[GridRow, ...]
    further: tuple[GridRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file's columns before it is read.

    ``given`` are all of them, of a file without a line of headers. ``wanted`` are the fields that
    the mapping needs, each by all its names: a line that has none of them is no line of headers.
    """

    given: tuple[str, ...] = ()
    wanted: tuple[frozenset[str], ...] = ()


def read(lines: Iterable[GridRow], known: Known, where: str, *, padded: bool) -> Grid:
    """The grid of ``lines``; its columns are given, or else the first line.

    ``padded`` lets a line end early, as spreadsheets do.

    Raises:
        SourceError: there are no headers, or a line is not as wide as they are.
    """
    held: Iterator[GridRow] = (
        line for line in lines if any(cell not in (None, "") for cell in line.cells)
    )
    first = next(held, None)
    if first is None:
        raise SourceError("the file holds nothing", where=where, next=_AGAIN)
    if known.given:
        _refuse_headers(first, known.given, where)
        columns, held = known.given, chain([first], held)
    else:
        columns = _headers(first, known.wanted, where, padded=padded)
    rows: list[GridRow] = []
    further: list[GridRow] = []
    own = [place for place, name in enumerate(columns) if "::" not in name]
    for line in _even(held, columns, where, padded=padded):
        is_further = (
            len(own) < len(columns)
            and rows
            and all(line.cells[place] in (None, "") for place in own)
        )
        (further if is_further else rows).append(line)
    return Grid(columns, tuple(rows), tuple(further))


def key(name: str) -> str:
    """A column's name as it is recognised in a line of headers."""
    return fold(name) or composed(name)


def _even(
    lines: Iterable[GridRow], columns: tuple[str, ...], where: str, *, padded: bool
) -> Iterator[GridRow]:
    """``lines``, each as wide as ``columns``, and none of them the headers again."""
    width = len(columns)
    for line in lines:
        cells = tuple(line.cells)
        if padded:
            end = len(cells)
            while end > width and cells[end - 1] is None:
                end -= 1
            cells = cells[:end] + (None,) * (width - end)
        if len(cells) != width:
            raise SourceError(
                f"line {line.number:,} holds {len(cells):,} values, there are {width:,} columns",
                where=where,
                next=_AGAIN,
            )
        if any(columns) and all(map(_is_header, cells, columns)):
            raise SourceError(
                f"line {line.number:,} is the line of headers again: two exports in one file?",
                where=where,
                next=_AGAIN,
            )
        yield GridRow(line.number, cells)


def _is_header(cell: Cell, name: str) -> bool:
    return _name(cell) == name


def _name(cell: Cell) -> str:
    """What a header cell says. A field may be called ``1`` or ``-----``."""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    return composed(cell.strip(_AROUND_NAMES)) if isinstance(cell, str) else ""


def _headers(
    line: GridRow, wanted: tuple[frozenset[str], ...], where: str, *, padded: bool
) -> tuple[str, ...]:
    """The names in the first line.

    A value of a record must not be taken for a name: names are shown in messages. A column that
    nobody wants may be called anything, once enough others are what is wanted; where nothing is
    known of those, no name may look like a value.
    """
    names = [_name(cell) for cell in line.cells]
    there = {key(name) for name in names} - {""}
    found = sum(not one.isdisjoint(there) for one in wanted)
    odd = [place for place, cell in enumerate(line.cells, 1) if not _may_be_a_name(cell)]
    if odd and found * 2 < max(1, len(wanted)):
        raise SourceError(
            f"line {line.number:,} is no line of headers: see column {_few(odd)}",
            where=where,
            next="export with field names as headers, or give the file's columns in the mapping",
        )
    if wanted and not found:
        raise SourceError(
            f"line {line.number:,} is no line of headers, or those of another table: it has none"
            f" of the {len(wanted):,} fields that the mapping needs",
            where=where,
            next="export with field names as headers, or give the file's columns in the mapping",
        )
    while padded and names and not names[-1] and line.cells[len(names) - 1] in (None, ""):
        names.pop()
    return tuple(names)


def _may_be_a_name(cell: Cell) -> bool:
    if cell is None or cell == "":
        return True
    if not isinstance(cell, str):
        return False
    return not _UUID.fullmatch(cell.strip()) and (
        not cell.strip() or any(letter.isalpha() for letter in cell)
    )


def _refuse_headers(line: GridRow, given: tuple[str, ...], where: str) -> None:
    """Stop at a file that has headers although the mapping gives its columns."""
    names = {fold(name) for name in given} - {""}
    if sum(fold(str(cell)) in names for cell in line.cells) * 2 > len(given):
        raise SourceError(
            f"line {line.number:,} is a line of headers, and the mapping gives columns as well",
            where=where,
            next="take `columns` out of the mapping, or export without headers",
        )


def _few(places: Iterable[int]) -> str:
    return wording.some(f"{place:,}" for place in places)
