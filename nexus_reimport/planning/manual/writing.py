"""Writes the workbook of by-hand sheets.

Source: Office Open XML, "Data validations" (a list may have at most 255 characters, so the choices
are on a separate sheet).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_reimport.errors import StopError
from nexus_reimport.files import private, workbook
from nexus_reimport.planning.manual.sheet import (
    CHOICES,
    ByHandSheet,
    SheetRow,
    content_hash,
    content_of,
    label_of,
    titles_of,
    whole_mark,
)

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet


def write(path: Path, lines: Iterable[tuple[ByHandSheet, Iterable[SheetRow]]]) -> None:
    """Write a sheet for each kind, its lines sorted by the values that they show.

    Values that were given before are in their cells, so the new sheet replaces the one before. A
    cell is grey if the row already has a value, which it shows; whatever is put into a grey cell
    is refused. A sheet has room for about a million lines: further ones come into the next sheet,
    after these are filled in.

    Raises:
        StopError: the workbook cannot be written. The library's own error is dropped: it can quote
            a cell.
    """
    try:
        _write(path, lines)
    except OSError as error:
        kind = error.strerror or type(error).__name__
    except Exception as error:
        kind = type(error).__name__
    else:
        return
    raise StopError(
        f"{path.name} cannot be written ({kind})",
        where="the run's private folder",
        next="check that the disk has free space, then run this step again",
    )


def _write(path: Path, lines: Iterable[tuple[ByHandSheet, Iterable[SheetRow]]]) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    by_kind = tuple(lines)
    places = _write_choices(book.create_sheet(CHOICES), [kind for kind, _ in by_kind])
    for kind, unsorted in by_kind:
        ordered = sorted(unsorted, key=lambda line: (line.shown, line.key))
        first = list(islice(ordered, workbook.MOST_ROWS - 1))
        _write_kind(book.create_sheet(kind.name), kind, first, places)
    book.move_sheet(CHOICES, len(book.worksheets))
    book[CHOICES].sheet_state = "hidden"
    path.unlink(missing_ok=True)  # so that the new file is created with its own mode
    with private.create(path) as file:
        book.save(file)


def _write_choices(sheet: Worksheet, kinds: Sequence[ByHandSheet]) -> dict[tuple[str, str], str]:
    """(kind, column) -> the cells that hold its choices."""
    from openpyxl.utils import get_column_letter

    places = {}
    columns = [(k.name, c, labels) for k in kinds for c, labels in k.choices.items()]
    for number, (kind, column, labels) in enumerate(columns, 1):
        for line, label in enumerate(sorted(labels), 1):
            _text(sheet, line, number, label)
        letter = get_column_letter(number)
        places[kind, column] = f"{CHOICES}!${letter}$1:${letter}${max(1, len(labels))}"
    return places


def _write_kind(
    sheet: Worksheet,
    kind: ByHandSheet,
    lines: Iterable[SheetRow],
    places: Mapping[tuple[str, str], str],
) -> None:
    from openpyxl.styles import PatternFill

    for number, title in enumerate(titles_of(kind), 1):
        _text(sheet, 1, number, title)
    grey, last = PatternFill("solid", fgColor="D9D9D9"), 1
    for last, line in enumerate(lines, 2):
        values = [label_of(kind, c, line.row.get(c)) for c in kind.columns]
        for number, value in enumerate((line.key, *line.shown, *values), 1):
            _text(sheet, last, number, value)
        written: dict[str, Sequence[str]] = {}
        for number, column in enumerate(kind.columns, 2 + len(line.shown)):
            cell, held = sheet.cell(last, number), line.row.get(column)
            if held and column in line.given:
                written[column] = [
                    content_hash(content_of(cell)),
                    held if column in kind.choices else "",
                ]
            elif held:
                written[column] = [content_hash(content_of(cell))]
                cell.fill = grey
        _text(sheet, last, len(titles_of(kind)), whole_mark(line, written))
    sheet.freeze_panes = "A2"
    _lay_out(sheet, kind, last, places)


def _lay_out(
    sheet: Worksheet, kind: ByHandSheet, last: int, places: Mapping[tuple[str, str], str]
) -> None:
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    first = 2 + len(kind.spec.show)
    for number, cell in enumerate(sheet[1], 1):
        cell.font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(number)].width = 24
    for number in (1, len(titles_of(kind))):  # the key and the mark are for the program
        sheet.column_dimensions[get_column_letter(number)].hidden = True
    for number, column in enumerate(kind.columns, first):
        if (kind.name, column) in places and last > 1:
            letter = get_column_letter(number)
            allowed = DataValidation("list", f"={places[kind.name, column]}", allow_blank=True)
            allowed.error, allowed.showErrorMessage = "Choose a value from the list.", True
            allowed.add(f"{letter}2:{letter}{last}")
            sheet.add_data_validation(allowed)


def _text(sheet: Worksheet, line: int, number: int, value: str) -> None:
    """Write a cell of text, which is never a formula, whatever its first character."""
    cell = sheet.cell(line, number)
    cell.value = workbook.cell_text(value) or None
    if value:
        cell.data_type = "s"
