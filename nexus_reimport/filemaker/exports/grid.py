"""The content of an exported file: named columns, and the lines under them.

Columns are found by name and keep their place: a blank header cell keeps its column, which is not
read, so that the columns after it do not shift. A line in which nobody sees anything is not a row:
spreadsheets save formatted empty lines, and people leave blanks in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Protocol

from nexus_reimport import wording
from nexus_reimport.errors import ExportError
from nexus_reimport.filemaker.exports.cells import EXPORT_AGAIN, Cell
from nexus_reimport.text import composed, fold, is_uuid, visible

# FileMaker writes no field names into .csv and .tab.
_WITH_HEADERS = (
    "export it with field names, as .xlsx or as a merge file (.mer); or give the file's columns in"
    " the mapping"
)
# Spreadsheet programs add these around headers; a byte-order mark once hid a column.
_AROUND_NAMES = " \t\r\n\u00a0\ufeff\u200b"


class GridRow(NamedTuple):
    """One line of a file: its number, from 1, and its cells.

    Of a text file also the bytes where it and the next one begin, and whether the file ends within
    it: FileMaker ends each line.
    """

    number: int
    cells: Sequence[Cell]
    start: int = 0
    end: int = 0
    is_open: bool = False


class Rows(Protocol):
    """Rows in the order of their file."""

    def append(self, row: GridRow, /) -> None:
        """Add a row."""

    def __len__(self) -> int:
        """How many there are."""

    def __iter__(self) -> Iterator[GridRow]:
        """All of them."""

    def at(self, numbers: Sequence[int]) -> Iterator[GridRow]:
        """Those with these numbers, from 0."""


class HeldRows(list[GridRow]):
    """Rows in memory: a workbook cannot be read from its middle on."""

    def at(self, numbers: Sequence[int]) -> Iterator[GridRow]:
        """Those with these numbers, from 0."""
        return (self[number] for number in numbers)


@dataclass(frozen=True, slots=True)
class Grid:
    """The columns of a file, ``""`` for a blank header cell, and its rows, each of that width.

    ``further`` are lines that are not records: if a field of a related table (``Invoices::No``) is
    exported too, FileMaker writes a line with only that field for each further related record.
    """

    columns: tuple[str, ...]
    rows: Rows
    further: Rows


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file's columns before it is read.

    ``given`` are all columns of a file without a header line. ``wanted`` are the fields that the
    mapping needs, each with all its names: a line with none of them is not a header line.
    """

    given: tuple[str, ...] = ()
    wanted: tuple[frozenset[str], ...] = ()


def read(
    lines: Iterable[GridRow],
    known: Known,
    where: str,
    *,
    padded: bool,
    rows_of: Callable[[], Rows] = HeldRows,
) -> Grid:
    """The grid of ``lines``; its columns are those given, else the first line.

    ``padded`` lets a line end early, as in spreadsheets. ``rows_of`` makes what the rows go into.

    Raises:
        ExportError: there are no headers, or a line has more or fewer values than columns.
    """
    held: Iterator[GridRow] = (line for line in lines if not all(map(_is_nothing, line.cells)))
    first = next(held, None)
    if first is None:
        raise ExportError("the file holds no data", where=where, next=EXPORT_AGAIN)
    if known.given:
        _refuse_headers(first, known.given, where)
        columns, held = known.given, chain([first], held)
    else:
        columns = _headers(first, known.wanted, where, padded=padded)
    rows, further = rows_of(), rows_of()
    own = [place for place, name in enumerate(columns) if "::" not in name]
    for line in _even(held, columns, where, padded=padded):
        is_further = (
            len(own) < len(columns)
            and len(rows)
            and all(_is_nothing(line.cells[place]) for place in own)
        )
        (further if is_further else rows).append(line)
    return Grid(columns, rows, further)


def may_begin_with(known: Known, values: Sequence[str]) -> bool:
    """Whether ``values`` can be the first line: they have a wanted header, or the given width."""
    if known.given:
        return len(values) == len(known.given)
    existing = {key(_name(value)) for value in values} - {""}
    return any(not spellings.isdisjoint(existing) for spellings in known.wanted)


def key(name: str) -> str:
    """A column's name in the form in which headers compare."""
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
            # Formatting stretches a line beyond the columns: empty cells at its end are no values.
            while end > width and _is_nothing(cells[end - 1]):
                end -= 1
            cells = cells[:end] + (None,) * (width - end)
        if len(cells) != width:
            raise ExportError(
                f"line {line.number:,} holds {wording.amount(len(cells), 'value')},"
                f" but there {'is' if width == 1 else 'are'} {wording.amount(width, 'column')}",
                where=where,
                next=EXPORT_AGAIN,
            )
        if any(columns) and all(map(_is_header, cells, columns)):
            raise ExportError(
                f"line {line.number:,} repeats the headers: the file may hold two exports",
                where=where,
                next=EXPORT_AGAIN,
            )
        yield line._replace(cells=cells)


def _is_nothing(cell: Cell) -> bool:
    """Whether nobody sees anything in a cell."""
    return cell is None or (isinstance(cell, str) and not visible(cell).strip())


def _is_header(cell: Cell, name: str) -> bool:
    return _name(cell) == name


def _name(cell: Cell) -> str:
    """The name in a header cell. A field can be called ``1`` or ``-----``."""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    return composed(cell.strip(_AROUND_NAMES)) if isinstance(cell, str) else ""


def _headers(
    line: GridRow, wanted: tuple[frozenset[str], ...], where: str, *, padded: bool
) -> tuple[str, ...]:
    """The names in the first line.

    A record's value must never be taken for a name, because messages show names. If half of the
    wanted names are there, the other columns may have any name; if none are known, no name may
    look like a value.
    """
    names = [_name(cell) for cell in line.cells]
    existing = {key(name) for name in names} - {""}
    known = sum(not spellings.isdisjoint(existing) for spellings in wanted)
    # One word of a record may be the name of a field, and nobody would miss the record.
    is_header = not wanted or known >= max(1, len(wanted) / 2)
    odd = [place for place, cell in enumerate(line.cells, 1) if not _may_be_a_name(cell)]
    if odd and not (wanted and is_header and known >= min(2, len(wanted))):
        raise ExportError(
            f"line {line.number:,} is not a header line: see column {_few(odd)}",
            where=where,
            next=_WITH_HEADERS,
        )
    if not is_header:
        has = (
            f"only {wording.part(known, len(wanted))}" if known else f"none of the {len(wanted):,}"
        )
        raise ExportError(
            f"line {line.number:,} is not a header line, or it is that of another table: it has"
            f" {has} fields that the mapping needs",
            where=where,
            next=_WITH_HEADERS,
        )
    # Formatted blank cells at the end of the headers are no columns either.
    while padded and names and not names[-1] and line.cells[len(names) - 1] in (None, ""):
        names.pop()
    return tuple(names)


def _may_be_a_name(cell: Cell) -> bool:
    if cell is None or cell == "":
        return True
    if not isinstance(cell, str):
        return False
    # No field is called by a UUID: a first line that holds one is a record.
    return not is_uuid(cell.strip()) and (
        not cell.strip() or any(letter.isalpha() for letter in cell)
    )


def _refuse_headers(line: GridRow, given: tuple[str, ...], where: str) -> None:
    """Stop at a file that has a header line although its columns are given."""
    names = {fold(name) for name in given} - {""}
    if sum(fold(str(cell)) in names for cell in line.cells) * 2 > len(given):
        raise ExportError(
            f"line {line.number:,} is a header line, but the columns are given as well",
            where=where,
            next="remove `columns` from the mapping or the environment's file, or export without"
            " headers",
        )


def _few(places: Iterable[int]) -> str:
    return wording.some(f"{place:,}" for place in places)
