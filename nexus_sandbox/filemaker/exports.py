"""Writes a made-up FileMaker table as FileMaker would export it: .xlsx, .csv, .mer or .tab.

Every oddity of real exports can be switched on. In a spreadsheet there are no containers and no
repeating fields; a text file has a container's file name, and the repetitions of a field with
0x1D between them.

Source: Claris FileMaker Pro Help, "Microsoft Excel format", "Comma-separated values format",
"Merge format", "Tab-separated text format".
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from nexus_reimport.errors import SandboxError
from nexus_sandbox.filemaker.file import Field, FileTable, Record

DateForm = Literal["d/m/y", "m/d/y", "y-m-d"]
REPETITIONS, PARAGRAPH = "\x1d", "\x0b"
_MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE}
_LINE_END = re.compile(r"\r\n|\r|\n")
# XML 1.0 allows no other control characters than tab, line feed and CR, and no half ones.
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# Excel has no number for an earlier date: it is written as text.
_FIRST_YEAR_OF_EXCEL = 1900


@dataclass(frozen=True, slots=True)
class Style:
    """How one file is exported. What a format cannot have is not looked at."""

    headers: bool = True
    columns: tuple[tuple[str, str], ...] = ()  # header and field; else every field by its name
    underscores: bool = False  # for the blanks in headers
    blank_headers: tuple[str, ...] = ()  # these fields have a header cell without a name
    dates: DateForm = "d/m/y"  # where they are text
    half_days: bool = False  # 9:15:00 PM
    # text files
    encoding: str = "utf-8"  # as Python calls it
    mark: bool = False  # a byte-order mark at the beginning
    line_end: str = "\r"
    separator: str = ","  # of a merge file: that of the system's language
    # spreadsheets
    text_dates: bool = False
    number_ids: bool = False  # a text that looks like a number is one
    empty_rows: int = 0  # at the end, of cells that are formatted and hold nothing
    # With [h] a time of 24 hours and more is shown, and read back as a duration.
    time_format: str = "[h]:mm:ss"
    paragraph: str = "\n"


PLAIN = Style()


def write(table: FileTable, path: Path, style: Style = PLAIN) -> None:
    """Export ``table`` to ``path``; its suffix says in which format."""
    writers = {
        ".xlsx": _write_workbook,
        ".csv": _write_quoted,
        ".mer": _write_quoted,
        ".tab": _write_tabs,
    }
    if path.suffix not in writers:
        raise SandboxError(
            f"there is no export with the ending {path.suffix!r}",
            where=path.name,
            next=f"use one of {', '.join(writers)}",
        )
    writers[path.suffix](table, path, style)


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of a file: its header, and the field behind it."""

    header: str
    field: Field


def _columns(table: FileTable, style: Style, *, spreadsheet: bool) -> list[_Column]:
    fields = {field.name: field for field in table.fields}
    named = style.columns or tuple((name, name) for name in fields)
    return [
        _Column(_header(header, name, style), fields[name])
        for header, name in named
        if not spreadsheet or (fields[name].type != "container" and fields[name].repetitions == 1)
    ]


def _header(header: str, name: str, style: Style) -> str:
    if name in style.blank_headers:
        return ""
    return header.replace(" ", "_") if style.underscores else header


def _write_quoted(table: FileTable, path: Path, style: Style) -> None:
    lines = (
        style.separator.join('"' + text.replace('"', '""') + '"' for text in line)
        for line in _lines(table, style)
    )
    _write_text(lines, path, style)


def _write_tabs(table: FileTable, path: Path, style: Style) -> None:
    lines = (
        "\t".join(text.replace("\t", " ") for text in line)
        for line in _lines(table, style, only_numbers=False)
    )
    _write_text(lines, path, style)


def _write_text(lines: Iterable[str], path: Path, style: Style) -> None:
    mark = _MARKS[style.encoding] if style.mark else b""
    text = "".join(line + style.line_end for line in lines)
    path.write_bytes(mark + text.encode(style.encoding, "surrogatepass"))


def _lines(table: FileTable, style: Style, *, only_numbers: bool = True) -> Iterator[list[str]]:
    """Every line as texts. A number field is exported with numbers alone, but for tabs."""
    columns = _columns(table, style, spreadsheet=False)
    if style.headers:
        yield [column.header for column in columns]
    for record in table.records:
        yield [
            REPETITIONS.join(
                _text(value, column.field.type, style, only_numbers=only_numbers)
                for value in _repetitions(record, column.field)
            )
            for column in columns
        ]


def _repetitions(record: Record, field: Field) -> list[object]:
    """The values of a field up to its last repetition that has one."""
    values = [record.values.get(name, "") for name in field.names]
    while len(values) > 1 and values[-1] == "":
        values.pop()
    return values


def _text(value: object, kind: str, style: Style, *, only_numbers: bool) -> str:
    """``value`` as a text file has it."""
    text = str(value)
    if kind == "number" and only_numbers and isinstance(value, str):
        return ""
    if not text or kind in ("number", "container"):
        return text
    if kind == "text":
        return _LINE_END.sub(PARAGRAPH, text)
    return _moment(text, kind, style)


def _moment(text: str, kind: str, style: Style) -> str:
    """A date, time or timestamp in the clinic's form."""
    if kind == "time":
        return _clock(text, style)
    day, _, clock = text.partition(" ")
    year, month, number = (int(part) for part in day.split("-"))
    spelt = {
        "d/m/y": f"{number}/{month}/{year:04}",
        "m/d/y": f"{month}/{number}/{year:04}",
        "y-m-d": f"{year:04}-{month:02}-{number:02}",
    }[style.dates]
    return f"{spelt} {_clock(clock, style)}" if clock else spelt


def _clock(text: str, style: Style) -> str:
    """A time; one of 24 hours and more has no halves of a day."""
    hours, _, rest = text.partition(":")
    if not style.half_days or int(hours) >= 24:
        return text
    return f"{int(hours) % 12 or 12}:{rest} {'PM' if int(hours) >= 12 else 'AM'}"


def _write_workbook(table: FileTable, path: Path, style: Style) -> None:
    from openpyxl import Workbook

    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet("FileMaker")
    columns = _columns(table, style, spreadsheet=True)
    if style.headers:
        sheet.append([_cell(sheet, column.header or None) for column in columns])
    for record in table.records:
        sheet.append(
            [
                _cell(sheet, *_value(record.values.get(column.field.name, ""), column.field, style))
                for column in columns
            ]
        )
    for _ in range(style.empty_rows):
        sheet.append([_cell(sheet, None, "@") for _ in columns])
    workbook.save(path)


def _cell(sheet: Any, value: Any, number_format: str = "") -> Any:
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, value)
    if isinstance(value, str):
        cell.data_type = "s"  # else a text such as =A1 would be a formula
    if number_format:
        cell.number_format = number_format
    return cell


def _value(value: object, field: Field, style: Style) -> tuple[object, str]:
    """What a cell of a spreadsheet holds, and its format."""
    if value == "" or (field.type == "number" and isinstance(value, str)):
        return None, ""
    text = str(value)
    if field.type == "number":
        return value, ""
    if field.type == "text":
        is_number = style.number_ids and re.fullmatch(r"[1-9][0-9]{0,14}", text)
        return float(text) if is_number else _escaped(text, style), ""
    too_old = field.type != "time" and int(text[:4]) < _FIRST_YEAR_OF_EXCEL
    if style.text_dates or too_old:
        return _moment(text, field.type, style), ""
    return _CELLS[field.type](text, style)


def _escaped(text: str, style: Style) -> str:
    """``text`` as XML can hold it: control characters by their number."""
    whole = re.sub(r"_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", text)
    whole = _NOT_IN_XML.sub(lambda match: f"_x{ord(match[0]):04X}_", whole)
    return _LINE_END.sub(style.paragraph, whole)


def _date_cell(text: str, _: Style) -> tuple[object, str]:
    return datetime.fromisoformat(text), "d/mm/yyyy"


def _timestamp_cell(text: str, _: Style) -> tuple[object, str]:
    return datetime.fromisoformat(text), "d/mm/yyyy h:mm:ss"


def _time_cell(text: str, style: Style) -> tuple[object, str]:
    """A time as the part of a day that a spreadsheet counts it by."""
    hours, minutes, seconds = text.split(":")
    span = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return span / timedelta(days=1), style.time_format


_CELLS: dict[str, Callable[[str, Style], tuple[object, str]]] = {
    "date": _date_cell,
    "timestamp": _timestamp_cell,
    "time": _time_cell,
}

# In the order of the real file, which has no headers.
IMAGE_COLUMNS = (
    ("date", "date"),
    ("fileName", "fileNane"),  # so is the field called
    ("id", "id"),
    ("id_Contact", "id_Contact"),
    ("Name_of_file", "Name of file"),
    ("NexusExportDate", "NexusExportDate"),
    ("recid", "recid"),
    ("Type", "Type"),
)
_COMMAS = Style(mark=True, line_end="\r\n", underscores=True)

EXPORTED: dict[str, tuple[str, Style]] = {
    "API_Contacts": ("Contacts.xlsx", replace(PLAIN, blank_headers=("Old",))),
    "API_Contact_Details": ("Coms.xlsx", replace(PLAIN, empty_rows=3)),
    "API_event": ("Appointments.xlsx", PLAIN),
    "API_Notes": ("Notes.xlsx", replace(PLAIN, paragraph="_x000D_\n")),
    "API_Messages": ("SMS.xlsx", replace(PLAIN, text_dates=True)),
    "API_Docs": ("Docs.xlsx", PLAIN),
    "API_Images": ("Image_DataV6.tab", Style(headers=False, columns=IMAGE_COLUMNS)),
    "API_calendar": ("Calendars.csv", _COMMAS),
    "API_Replies": ("Replies.csv", replace(_COMMAS, half_days=True)),
    "@Letters": ("Letters.csv", _COMMAS),
    "@ Dates to Connect": ("DatesToConnect.csv", replace(_COMMAS, line_end="\r")),
    "API_Clinic_Name": ("Clinics.csv", _COMMAS),
    "API_Funding_Sources": ("FundingSources.csv", _COMMAS),
}
"""Layout -> the file that the clinic exports it to, and how. Dates that are text are d/m/y."""


def export(tables: Iterable[FileTable], folder: Path) -> dict[str, str]:
    """Write each table of the clinic to its file in ``folder``; layout -> name of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for table in tables:
        name, style = EXPORTED[table.name]
        write(table, folder / name, style)
        written[table.name] = name
    return written
