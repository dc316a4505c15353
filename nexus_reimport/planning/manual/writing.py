"""Writes the workbook of by-hand sheets.

Source: Office Open XML, "Data validations" (a list may have at most 255 characters, so the choices
are on a separate sheet).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_reimport.errors import StopError, is_of_system
from nexus_reimport.files import private, workbook
from nexus_reimport.planning.manual.sheet import (
    CHOICES,
    EXPLAINED,
    RECORD,
    SHOWN,
    ByHandSheet,
    SheetRow,
    content_hash,
    content_of,
    label_of,
    sheet_name,
    titles_of,
    whole_mark,
)

if TYPE_CHECKING:
    from openpyxl.styles import PatternFill
    from openpyxl.worksheet.worksheet import Worksheet


_YELLOW, _GREY = "FFF2CC", "D9D9D9"
_DATE, _DATE_AND_TIME = "yyyy-mm-dd", "ddd yyyy-mm-dd hh:mm"
_MOMENT = re.compile(r"(?:19|20)\d\d-\d\d-\d\d(?: \d\d:\d\d)?")  # as they are shown


def write(path: Path, lines: Iterable[tuple[ByHandSheet, Iterable[SheetRow]]]) -> None:
    """Write a sheet that explains, and one for each kind with lines, sorted by what they show.

    Values that were given before are in their cells, so the new sheet replaces the one before. A
    cell to fill in is yellow. It is grey if the row already has a value, which it shows; whatever
    is put into a grey cell is refused. A sheet has room for about a million lines: further ones
    come into the next sheet, after these are filled in.

    Raises:
        StopError: the workbook cannot be written. The library's own error is dropped: it can quote
            a cell.
    """
    try:
        _write(path, lines)
    except OSError as error:
        if is_of_system(error):
            raise
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
    front = book.create_sheet(EXPLAINED)
    places = _write_choices(book.create_sheet(CHOICES), [kind for kind, _ in by_kind])
    counts: list[tuple[ByHandSheet, int]] = []
    for kind, unsorted in by_kind:
        ordered = sorted(unsorted, key=lambda line: (line.is_over, line.shown, line.key))
        first = list(islice(ordered, workbook.MOST_ROWS - 1))
        counts.append((kind, len(first)))
        if first:
            _write_kind(book.create_sheet(sheet_name(kind)), kind, first, places)
    _explain(front, counts)
    book.move_sheet(CHOICES, len(book.worksheets))
    book[CHOICES].sheet_state = "hidden"
    path.unlink(missing_ok=True)  # so that the new file is created with its own mode
    with private.named(path), private.create(path) as file:
        book.save(file)


_EXPLANATION = (
    "These are values that neither FileMaker nor Nexus has. Please give those that you know.",
    "",
    "1.  Fill in the yellow cells, and only these. If an arrow appears, choose from its list.",
    "2.  Write a date as 2026-01-31.",
    "3.  Leave a cell empty if you do not know: it stays empty in Nexus, and nothing else happens.",
    "4.  You may sort, filter, and add columns. Leave the heads and all white cells as they are.",
    "5.  Save the file as .xlsx without a password, and give it back to whoever gave it to you.",
    "",
    "It holds patients' names: do not send it by e-mail, and keep no copy.",
)


def _explain(sheet: Worksheet, counts: Sequence[tuple[ByHandSheet, int]]) -> None:
    """The first sheet: what to do, what the colours mean, and what each sheet asks."""
    from openpyxl.styles import Font

    _text(sheet, 1, 1, "Values that only people know")
    sheet.cell(1, 1).font = Font(bold=True, size=16)
    for number, text in enumerate(_EXPLANATION, 3):
        _text(sheet, number, 1, text)
    line = len(_EXPLANATION) + 4
    for colour, meaning in ((_YELLOW, "to fill in"), (_GREY, "in Nexus already: leave it")):
        sheet.cell(line, 1).fill = _filled(colour)
        _text(sheet, line, 1, meaning)
        line += 1
    for number, head in enumerate(("Sheet", "Question", "Lines"), 1):
        _text(sheet, line + 1, number, head)
        sheet.cell(line + 1, number).font = Font(bold=True)
    for at, (kind, rows) in enumerate(counts, line + 2):
        _text(sheet, at, 1, sheet_name(kind))
        over = " Only those that are still to come are listed." if kind.spec.future else ""
        _text(sheet, at, 2, f"{kind.spec.ask}{over if rows else ''}".strip())
        none = "none is still to come" if kind.spec.future else "nothing is missing"
        sheet.cell(at, 3).value = rows or none
        if rows:
            sheet.cell(at, 1).hyperlink = f"#'{sheet_name(kind)}'!A1"
            sheet.cell(at, 1).font = Font(underline="single", color="0563C1")
    for letter, width in (("A", 26), ("B", 84), ("C", 20)):
        sheet.column_dimensions[letter].width = width
    sheet.sheet_view.showGridLines = False
    _print_on_a4(sheet)


def _print_on_a4(sheet: Worksheet) -> None:
    """Landscape, as wide as the paper and as many pages long as needed."""
    from openpyxl.worksheet.properties import PageSetupProperties

    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = "9"  # A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    for place, text in (("left", "&A"), ("right", "&P / &N")):
        getattr(sheet.oddFooter, place).text = text


def _filled(colour: str) -> PatternFill:
    from openpyxl.styles import PatternFill

    return PatternFill("solid", fgColor=colour)


def _write_choices(sheet: Worksheet, kinds: Sequence[ByHandSheet]) -> dict[tuple[str, str], str]:
    """(kind, column) -> the cells that hold its choices."""
    places = {}
    columns = [(k.name, c, labels) for k in kinds for c, labels in k.choices.items()]
    for number, (kind, column, labels) in enumerate(columns, 1):
        for line, label in enumerate(sorted(labels), 1):
            _text(sheet, line, number, label)
        letter = _letter(number)
        places[kind, column] = f"{CHOICES}!${letter}$1:${letter}${max(1, len(labels))}"
    return places


def _write_kind(
    sheet: Worksheet,
    kind: ByHandSheet,
    lines: Iterable[SheetRow],
    places: Mapping[tuple[str, str], str],
) -> None:
    for number, title in enumerate(titles_of(kind), 1):
        _text(sheet, 1, number, title)
    grey, yellow, last = _filled(_GREY), _filled(_YELLOW), 1
    for last, line in enumerate(lines, 2):
        values = [label_of(kind, c, line.row.get(c)) for c in kind.columns]
        for number, value in enumerate((line.key, *line.shown, *values), 1):
            _text(sheet, last, number, value)
        for number, value in enumerate(line.shown, 2):
            _as_date(sheet, last, number, value)
        cells = ((value, sheet.cell(last, n)) for n, value in enumerate(line.shown, 2))
        written: dict[str, Sequence[str]] = {
            SHOWN: [content_hash(content_of(cell)) if value else "" for value, cell in cells]
        }
        for number, column in enumerate(kind.columns, 2 + len(line.shown)):
            cell, held = sheet.cell(last, number), line.row.get(column)
            cell.fill = yellow
            if column not in kind.choices:  # so that what is typed stays as it is typed
                cell.number_format = _DATE if kind.types[column].stored_as == "date" else "@"
            if held and column in line.given:
                # A cell may show something else: a label, or a sign for what it cannot hold.
                shown = content_of(cell)
                written[column] = [content_hash(shown), "" if shown == held else held]
            elif held:
                written[column] = [content_hash(content_of(cell))]
                cell.fill = grey
        if line.record:
            written[RECORD] = [content_hash(line.record)]
        _text(sheet, last, len(titles_of(kind)), whole_mark(line, written))
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{_letter(len(titles_of(kind)))}{last}"
    sheet.print_title_rows = "1:1"
    _print_on_a4(sheet)
    _lay_out(sheet, kind, last, places)


def _lay_out(
    sheet: Worksheet, kind: ByHandSheet, last: int, places: Mapping[tuple[str, str], str]
) -> None:
    from openpyxl.styles import Alignment, Font
    from openpyxl.worksheet.datavalidation import DataValidation

    first = 2 + len(kind.spec.show)
    for number, cell in enumerate(sheet[1], 1):
        cell.font, cell.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="top")
        sheet.column_dimensions[_letter(number)].width = 24
    for number in (1, len(titles_of(kind))):  # the key and the mark are for the program
        sheet.column_dimensions[_letter(number)].hidden = True
    for number, column in enumerate(kind.columns, first):
        if (kind.name, column) in places and last > 1:
            letter = _letter(number)
            allowed = DataValidation("list", places[kind.name, column], allow_blank=True)
            allowed.error, allowed.showErrorMessage = "Choose a value from the list.", True
            allowed.add(f"{letter}2:{letter}{last}")
            sheet.add_data_validation(allowed)


def _letter(number: int) -> str:
    from openpyxl.utils import get_column_letter

    return get_column_letter(number)


def _as_date(sheet: Worksheet, line: int, number: int, value: str) -> None:
    """Make a shown date, or moment, one that people can sort and filter by; it is never read."""
    if not _MOMENT.fullmatch(value):
        return
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return
    cell = sheet.cell(line, number)
    cell.value, cell.number_format = moment, _DATE_AND_TIME if " " in value else _DATE


def _text(sheet: Worksheet, line: int, number: int, value: str) -> None:
    """Write a cell of text, which is never a formula, whatever its first character."""
    cell = sheet.cell(line, number)
    cell.value = workbook.cell_text(value) or None
    if value:
        cell.data_type = "s"
