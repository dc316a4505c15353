"""What an exported file holds: named columns, and the lines under them.

Columns go by name and stay where they are: a header cell that is blank has its place, and nobody
reads what is under it. A line in which every cell is empty is no row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from nexus_reimport.errors import SourceError
from nexus_reimport.source.exports.cells import Cell
from nexus_reimport.text import fold

_AGAIN = "export the table from FileMaker again"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Line(NamedTuple):
    """One line of a file, as a person counts them from 1, and its cells."""

    number: int
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Grid:
    """The columns of a file, ``""`` where a header cell is blank, and its rows, each as wide."""

    columns: tuple[str, ...]
    rows: tuple[Line, ...]

    @property
    def places(self) -> dict[str, int]:
        """Where each column is, by its name."""
        return {name: place for place, name in enumerate(self.columns) if name}


def read(lines: Iterable[Line], given: tuple[str, ...], where: str, *, padded: bool) -> Grid:
    """The grid of ``lines``; its columns are ``given``, or else the first line.

    ``padded`` lets a line end early, as spreadsheets do.

    Raises:
        SourceError: the headers are none or not distinct, or a line is not as wide as they are.
    """
    held = (line for line in lines if any(cell not in (None, "") for cell in line.cells))
    first = next(held, None)
    if first is None:
        raise SourceError("the file holds nothing", where=where, next=_AGAIN)
    if given:
        _refuse_headers(first, given, where)
        return Grid(given, tuple(_even(chain([first], held), len(given), where, padded=padded)))
    columns = _headers(first, where, padded=padded)
    return Grid(columns, tuple(_even(held, len(columns), where, padded=padded)))


def _even(lines: Iterable[Line], width: int, where: str, *, padded: bool) -> Iterator[Line]:
    """``lines``, each with ``width`` cells."""
    for line in lines:
        cells = tuple(line.cells)
        if padded:
            while len(cells) > width and cells[-1] is None:
                cells = cells[:-1]
            cells += (None,) * (width - len(cells))
        if len(cells) != width:
            raise SourceError(
                f"line {line.number:,} holds {len(cells):,} values, there are {width:,} columns",
                where=where,
                next=_AGAIN,
            )
        yield Line(line.number, cells)


def _headers(line: Line, where: str, *, padded: bool) -> tuple[str, ...]:
    """The names in the first line.

    A value of a record must not be taken for a name: names are shown in messages.
    """
    odd = [place for place, cell in enumerate(line.cells, 1) if not _may_be_a_name(cell)]
    if odd:
        raise SourceError(
            f"line {line.number:,} is no line of headers: see column {_few(odd)}",
            where=where,
            next="export with field names as headers, or give the file's columns in the mapping",
        )
    names = [cell.strip() if isinstance(cell, str) else "" for cell in line.cells]
    while padded and names and not names[-1]:
        names.pop()
    twice = [place for place, name in enumerate(names, 1) if name and names.count(name) > 1]
    if twice:
        raise SourceError(
            f"columns have the same name: {_few(twice)}",
            where=where,
            next="export every field once",
        )
    return tuple(names)


def _may_be_a_name(cell: Cell) -> bool:
    if cell is None or cell == "":
        return True
    if not isinstance(cell, str):
        return False
    return not _UUID.fullmatch(cell.strip()) and (
        not cell.strip() or any(letter.isalpha() for letter in cell)
    )


def _refuse_headers(line: Line, given: tuple[str, ...], where: str) -> None:
    """Stop at a file that has headers although the mapping gives its columns."""
    names = {fold(name) for name in given} - {""}
    if sum(fold(str(cell)) in names for cell in line.cells) * 2 > len(given):
        raise SourceError(
            f"line {line.number:,} is a line of headers, and the mapping gives columns as well",
            where=where,
            next="take `columns` out of the mapping, or export without headers",
        )


def _few(places: Iterable[int]) -> str:
    """The first five of ``places``."""
    return ", ".join(f"{place:,}" for place in islice(places, 5))
