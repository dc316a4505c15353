"""Excel workbooks that FileMaker exports: the lines of their one sheet with data."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nexus_reimport import disks, wording
from nexus_reimport.errors import AGAIN, ExportError, SourceError
from nexus_reimport.filemaker.exports import kinds
from nexus_reimport.filemaker.exports.cells import (
    EXPORT_AGAIN,
    EXPORT_AGAIN_UNSAVED,
    Cell,
    Dressed,
    Failed,
    Uncomputed,
)
from nexus_reimport.filemaker.exports.grid import GridRow
from nexus_reimport.files import workbook

CUT_AT = workbook.LONGEST_TEXT  # FileMaker cuts longer texts
_MARKUP = re.compile(rb"<(?:\w+:)?(f|mergeCell)[\s/>]")
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=[\"']([A-Z0-9:]+)")


@dataclass(frozen=True, slots=True)
class Sheet:
    """The lines of a sheet as they are read, and the first day of the workbook's date numbers."""

    lines: Iterator[GridRow]
    epoch: datetime


def opened(content: bytes, where: str) -> Sheet:
    """The first visible sheet of the workbook ``content``.

    The size that a sheet claims to have is ignored: some programs write a wrong one.

    Raises:
        ExportError: it is not a workbook, is locked or damaged, or has data on a later sheet.
    """
    _refuse_others(content, where)
    with _guarded(where):
        book = workbook.opened(content, values=True)
        first = next(sheet for sheet in book.worksheets if sheet.sheet_state == "visible")
        filled = [sheet for sheet in book.worksheets if _holds_data(sheet)]
        has_formulas, merged = _markup(first)
        misplaced = workbook.misplaced(first)
    if any(sheet is not first for sheet in filled):
        raise ExportError(
            f"{len(filled)} of {wording.amount(len(book.worksheets), 'sheet holds', 'sheets hold')}"
            " data; only the first may",
            where=where,
            next=f"keep only the exported sheet, or {EXPORT_AGAIN}",
        )
    if merged:
        more = f" and {len(merged) - 1:,} more" if len(merged) > 1 else ""
        raise ExportError(
            f"cells are merged: {merged[0]}{more}; only the first of each holds data",
            where=where,
            next=EXPORT_AGAIN_UNSAVED,
        )
    if misplaced:
        raise ExportError(
            f"{misplaced} comes twice, or after a later one, and would not be read",
            where=where,
            next=f"{EXPORT_AGAIN}, and do not save it in another program",
        )
    formulas = None
    if has_formulas:
        with _guarded(where):
            again = workbook.opened(content, values=False)
            formulas = workbook.rows(again.worksheets[book.worksheets.index(first)])
    return Sheet(_lines(first, formulas, where), book.epoch)


def _refuse_others(content: bytes, where: str) -> None:
    """Stop at a file that is not a workbook although it is named so."""
    kind = kinds.of(content)
    if kind == kinds.WORKBOOK:
        return
    if kind == kinds.LOCKED:
        raise ExportError("the workbook has a password", where=where, next="remove the password")
    raise ExportError(
        f"the file is named .xlsx, but it is {kind or 'not an Excel workbook'}",
        where=where,
        next="export it as Excel workbook (.xlsx), or give the file the right suffix",
    )


def _markup(sheet: Any) -> tuple[bool, list[str]]:
    """Whether a sheet has formulas, and which of its cells are merged.

    The library gives neither for a sheet that it reads row by row.
    """
    formulas, merged = False, []
    for piece in workbook.markup(sheet):
        if _MARKUP.search(piece):
            formulas = formulas or any(m[1] == b"f" for m in _MARKUP.finditer(piece))
            merged += [m[1].decode() for m in _MERGED.finditer(piece)]
    return formulas, merged


@contextlib.contextmanager
def _guarded(where: str) -> Iterator[None]:
    """Turn any error inside a workbook into ours; the library's may quote a cell."""
    try:
        yield
    except Exception as error:
        if disk := disks.failure(error):
            raise SourceError(disk.what, where=where, next=f"{disk.fix}, {AGAIN}") from None
        raise ExportError(
            f"the workbook is damaged or incomplete ({type(error).__name__})",
            where=where,
            next=EXPORT_AGAIN,
        ) from None


def _holds_data(sheet: Any) -> bool:
    return any(cell.value is not None for row in workbook.rows(sheet) for cell in row)


def _each(rows: Iterator[tuple[Any, ...]], where: str) -> Iterator[tuple[Any, ...]]:
    """``rows``, guarded as one: to guard each by itself costs as much as to read it."""
    with _guarded(where):
        yield from rows


def _lines(sheet: Any, formulas: Iterator[tuple[Any, ...]] | None, where: str) -> Iterator[GridRow]:
    dressed: dict[int, bool] = {}
    beneath = _each(formulas, where) if formulas is not None else iter(())
    for number, row in enumerate(_each(workbook.rows(sheet), where), 1):
        beside = next(beneath, ())
        cells = [_cell(cell, dressed) for cell in row]
        for place, formula in enumerate(beside):
            # A formula that gives an empty text has no value here either, but is of type str.
            is_empty = row[place].value is None and row[place].data_type != "str"
            if formula.data_type == "f" and is_empty:
                cells[place] = Uncomputed.UNCOMPUTED
        yield GridRow(number, cells)


def _cell(cell: Any, dressed: dict[int, bool]) -> Cell:
    """The value of a cell. ``dressed``: style -> whether it shows a number as another text."""
    value: Cell = cell.value
    if value is None:
        return None
    if cell.data_type == "e":
        return Failed.FAILED
    if isinstance(value, str):
        return workbook.unescaped(value).replace("\x0b", "\n")
    if isinstance(value, int | float) and not isinstance(value, bool):
        style = cell._style_id  # noqa: SLF001 - its format costs a look-up for every cell
        if style not in dressed:
            dressed[style] = not workbook.shows_digits(cell.number_format)
        if dressed[style]:
            return Dressed(value)
    return value
