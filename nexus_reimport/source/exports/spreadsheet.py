"""Excel workbooks that FileMaker exports: the lines of the one sheet that holds data."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nexus_reimport.errors import SourceError
from nexus_reimport.source.exports.cells import Cell, Failed
from nexus_reimport.source.exports.grid import Line

CUT_AT = 32_767  # characters: FileMaker cuts what is longer
_OLD_CONTAINER = bytes.fromhex("D0CF11E0A1B11AE1")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_ESCAPE = re.compile(r"_x(00[01][0-9A-Fa-f]|005[Ff])_")


@dataclass(frozen=True, slots=True)
class Sheet:
    """The lines of a sheet as they are read, and the day from which the workbook counts."""

    lines: Iterator[Line]
    epoch: datetime


def opened(content: bytes, where: str) -> Sheet:
    """The first visible sheet of the workbook ``content``.

    The size that a sheet claims to have is not believed: some programs write a wrong one.

    Raises:
        SourceError: no workbook, a locked or damaged one, or data on another sheet than the first.
    """
    _refuse_others(content, where)
    warnings.filterwarnings("ignore", module="openpyxl")  # a warning may quote a cell
    with _guarded(where):
        from openpyxl import load_workbook

        workbook = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        first = next(sheet for sheet in workbook.worksheets if sheet.sheet_state == "visible")
        filled = [sheet for sheet in workbook.worksheets if _holds_data(sheet)]
    if any(sheet is not first for sheet in filled):
        raise SourceError(
            f"{len(filled)} of {len(workbook.worksheets)} sheets hold data; only the first may",
            where=where,
            next="keep the exported sheet alone, or export the table from FileMaker again",
        )
    return Sheet(_lines(first, where), workbook.epoch)


def _refuse_others(content: bytes, where: str) -> None:
    """Stop at what only bears the name of a workbook."""
    if content.startswith(_OLD_CONTAINER):
        locked = _ENCRYPTED in content
        raise SourceError(
            "the workbook has a password" if locked else "an old Excel file (.xls)",
            where=where,
            next="take the password off" if locked else "export it as Excel workbook (.xlsx)",
        )
    if not content.startswith(b"PK"):
        raise SourceError(
            "the file is called .xlsx and is no Excel workbook",
            where=where,
            next="export it as Excel workbook (.xlsx), or give the file its right name",
        )


@contextlib.contextmanager
def _guarded(where: str) -> Iterator[None]:
    """Make one error of whatever is wrong within a workbook; the library's may quote a cell."""
    try:
        yield
    except Exception as error:
        raise SourceError(
            f"the workbook is damaged, or was not written to its end ({type(error).__name__})",
            where=where,
            next="export the table from FileMaker again",
        ) from None


def _holds_data(sheet: Any) -> bool:
    return any(cell.value is not None for row in _rows(sheet) for cell in row)


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    sheet.reset_dimensions()
    return iter(sheet.iter_rows())


def _lines(sheet: Any, where: str) -> Iterator[Line]:
    rows = _rows(sheet)
    for number in itertools.count(1):
        with _guarded(where):
            row = next(rows, None)
        if row is None:
            return
        yield Line(number, [_cell(cell) for cell in row])


def _cell(found: Any) -> Cell:
    value: Cell = found.value
    if found.data_type == "e":
        return Failed.FAILED
    return _unescaped(value) if isinstance(value, str) else value


def _unescaped(text: str) -> str:
    """``text`` with its control characters back, ``_x000D_`` being one, and 0x0B as a newline."""
    if "_x" in text:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return text.replace("\x0b", "\n")
