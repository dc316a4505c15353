"""The by-hand sheet: values that only a person knows. It is written, filled in, put back, read.

One workbook in the private folder, one sheet per kind that the mapping names, one line per row
that lacks a value; choices are drop-downs. A line carries a mark of the values that it showed when
it was written. If the row shows different values now, the line is stale and refused, so that no
value lands on the wrong patient.

Source: Office Open XML, "Data validations" (a list may have at most 255 characters, so the choices
are on a separate sheet).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from nexus_reimport import convert, wording
from nexus_reimport.errors import StopError
from nexus_reimport.files import private, rowfile, workbook
from nexus_reimport.intake import Intake
from nexus_reimport.mapping import ByHand
from nexus_reimport.nexus.catalog import Column
from nexus_reimport.settings import SHEET
from nexus_reimport.text import clean, name_key

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

CHOICES = "choices"
BY_HAND = "by hand"  # the reason of a planned value that neither side had
KEY, MARK = "Nexus id", "as it was"
LONGEST_LABEL = 255  # characters of a choice
Row = Mapping[str, str | None]
Labels = Mapping[str, str]  # the text that a person chooses -> the id that it means


@dataclass(frozen=True, slots=True)
class ByHandSheet:
    """One kind of values, with all that is needed to write and read its sheet."""

    name: str
    spec: ByHand
    types: Mapping[str, Column]  # of the columns to fill in
    choices: Mapping[str, Labels]  # column -> its choices, if it has any

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to fill in."""
        return tuple(self.spec.columns)


@dataclass(frozen=True, slots=True)
class Cell:
    """A value that a person gave, as PostgreSQL prints it, with its line's mark and its place.

    ``untouched``: we wrote it into the sheet, because a person had given it for this row before.
    """

    value: str
    mark: str
    place: str
    untouched: bool = False


@dataclass(slots=True)
class Given:
    """The values of a workbook: (kind, Nexus id, column) -> the cell."""

    sha256: str = ""
    cells: dict[tuple[str, str, str], Cell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One line of a sheet: the row's key, the values that are shown, and the row.

    ``given`` are the columns whose values a person gave before.
    """

    key: str
    shown: tuple[str, ...]
    row: Row
    given: frozenset[str] = frozenset()

    @property
    def mark(self) -> str:
        """A digest of the shown values; a different one means that the row has changed."""
        content = json.dumps([self.key, *self.shown])
        return private.sha256(content.encode())[:16]


class Shower:
    """Makes the line of a row: values of it, and of rows that it points at, that identify it.

    ``find`` gives a row by entity and key. Times are shown in the clinic's time zone.
    """

    def __init__(
        self,
        intake: Intake,
        zone: ZoneInfo,
        find: Callable[[str, str], Row | None],
    ) -> None:
        self._mapping, self._zone, self._find = intake.mapping, zone, find
        self._instants = {
            (entity, column.name)
            for entity, columns in intake.survey.columns.items()
            for column in columns
            if column.type == "timestamp with time zone"
        }

    def line(self, kind: ByHandSheet, key: str) -> SheetRow | None:
        """The line of the row ``key``; None if there is no such row."""
        row = self._find(kind.spec.entity, key)
        return None if row is None else self.shown(kind, key, row)

    def shown(
        self, kind: ByHandSheet, key: str, row: Row, given: frozenset[str] = frozenset()
    ) -> SheetRow:
        """The line of ``row``."""
        shown = (self._shown(kind.spec.entity, row, place) for place in kind.spec.show)
        return SheetRow(key, tuple(shown), row, given)

    def _shown(self, entity: str, row: Row, place: str) -> str:
        column, _, further = place.partition(".")
        value = row.get(column) or ""
        if further and value:
            target = self._mapping.entities[entity].columns[column].entity
            other = self._find(target, value)
            return self._shown(target, other, further) if other else ""
        if value and (entity, column) in self._instants:
            return convert.on_the_clock(value, self._zone)
        return value


def kinds(intake: Intake) -> tuple[ByHandSheet, ...]:
    """The kinds of the mapping, with their choices."""
    survey, folder = intake.survey, intake.folder
    return tuple(
        ByHandSheet(
            name=name,
            spec=spec,
            types={c.name: c for c in survey.columns[spec.entity] if c.name in spec.columns},
            choices={
                column: _labels(rowfile.read(folder, survey.lookups[place]))
                for column, place in spec.columns.items()
                if place
            },
        )
        for name, spec in intake.mapping.by_hand.items()
    )


def _labels(rows: Iterable[rowfile.Row]) -> dict[str, str]:
    """Label -> id. If two rows have the same name, a part of the id is added to the label."""
    named = [(workbook.shown(v, longest=LONGEST_LABEL), key) for key, v in rows if key and v]
    counts = Counter(name_key(value) for value, _ in named)
    labels: dict[str, str] = {}
    taken = set(counts)
    for value, key in named:
        if counts[name_key(value)] == 1:
            labels[value] = key
            continue
        short, whole = f"{value} ({key[:8]})", f"{value} ({key})"
        label = whole if name_key(short) in taken else short
        taken.add(name_key(label))
        labels[label] = key
    return labels


def lacks(spec: ByHand, row: Row) -> bool:
    """Whether a person is asked for a value of ``row``."""
    is_asked = not spec.where_any or any(row.get(c) for c in spec.where_any)
    return is_asked and any(not row.get(column) for column in spec.columns)


# ---------------------------------------------------------------- written


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

    for number, title in enumerate(_header(kind), 1):
        _text(sheet, 1, number, title)
    grey, last = PatternFill("solid", fgColor="D9D9D9"), 1
    for last, line in enumerate(lines, 2):
        values = [_label(kind, c, line.row.get(c)) for c in kind.columns]
        for number, value in enumerate((line.key, *line.shown, *values), 1):
            _text(sheet, last, number, value)
        written: dict[str, Sequence[str]] = {}
        for number, column in enumerate(kind.columns, 2 + len(line.shown)):
            cell, held = sheet.cell(last, number), line.row.get(column)
            if held and column in line.given:
                written[column] = [_hash(_content(cell)), held if column in kind.choices else ""]
            elif held:
                written[column] = [_hash(_content(cell))]
                cell.fill = grey
        _text(sheet, last, len(_header(kind)), _mark(line, written))
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
    for number in (1, len(_header(kind))):  # the key and the mark are for the program
        sheet.column_dimensions[get_column_letter(number)].hidden = True
    for number, column in enumerate(kind.columns, first):
        if (kind.name, column) in places and last > 1:
            letter = get_column_letter(number)
            allowed = DataValidation("list", f"={places[kind.name, column]}", allow_blank=True)
            allowed.error, allowed.showErrorMessage = "Choose a value from the list.", True
            allowed.add(f"{letter}2:{letter}{last}")
            sheet.add_data_validation(allowed)


def _header(kind: ByHandSheet) -> tuple[str, ...]:
    shown = (f"{place} (as it is)" if place in kind.columns else place for place in kind.spec.show)
    return (KEY, *shown, *kind.columns, MARK)


def _text(sheet: Worksheet, line: int, number: int, value: str) -> None:
    """Write a cell of text, which is never a formula, whatever its first character."""
    cell = sheet.cell(line, number)
    cell.value = workbook.cell_text(value) or None
    if value:
        cell.data_type = "s"


def _label(kind: ByHandSheet, column: str, value: str | None) -> str:
    """The label of a value; the value itself if it is not one of the choices."""
    labels = kind.choices.get(column, {})
    return next((label for label, meant in labels.items() if meant == value), value or "")


# Column -> the hash of the text that we wrote into its cell, and the value if it was given before.
Written = Mapping[str, Sequence[str]]


def _hash(cell: Any) -> str:
    """A hash of a cell's content, without regard to blanks: programs change them on saving."""
    return private.sha256(" ".join(str(cell).split()).encode())[:16]


def _mark(line: SheetRow, written: Written) -> str:
    """The last cell of a line: the line's mark, and the hashes of the cells that we wrote.

    The hashes are bound to the row's key: copied to another line they do not count.
    """
    content = json.dumps(written, sort_keys=True)
    return f"{line.mark} {_hash(line.key + content)} {content}"


def _marked(key: str, text: str) -> tuple[str, Written]:
    """The mark of a line, and the hashes of what we wrote; no hashes if they are another line's."""
    mark, _, rest = text.partition(" ")
    proof, _, content = rest.partition(" ")
    is_ours = content and proof == _hash(key + content)
    return (mark, json.loads(content)) if is_ours else (mark, {})


# ---------------------------------------------------------------- read


def read(path: Path, kinds: Sequence[ByHandSheet]) -> Given:
    """The values in the workbook at ``path``; none if there is no workbook.

    Raises:
        StopError: a sheet, column or value is unknown, or two lines give one row different
            values; all problems at once, by sheet and line. Nothing was written.
    """
    if not path.is_file():
        return Given()
    book = _opened(path)
    known = {kind.name: kind for kind in kinds}
    given, problems = Given(private.sha256_of(path)), []
    values: dict[tuple[str, str, str], str] = {}
    for sheet in book.worksheets:
        if sheet.title == CHOICES:
            continue
        if sheet.title not in known:
            problems.append(
                f"sheet {sheet.title}: there is no such kind of values; the kinds are"
                f" {', '.join(known)}"
            )
            continue
        problems += _read_kind(sheet, known[sheet.title], given, values)
    if problems:
        raise refused(problems)
    return given


def _opened(path: Path) -> Any:
    try:
        return workbook.opened(path.read_bytes(), values=False)
    except Exception as error:  # the library raises a dozen kinds
        kind = type(error).__name__
    raise StopError(
        f"{path.name} cannot be read ({kind})",
        where="the environment's private folder",
        next="save it as .xlsx without a password, or remove it",
    )


def _read_kind(
    sheet: Worksheet, kind: ByHandSheet, given: Given, values: dict[tuple[str, str, str], str]
) -> Iterator[str]:
    """Read one sheet, and give its problems. ``values``: (entity, key, column) -> value so far.

    Columns are found by their titles. A column with another title, or none, is a person's own note.
    Hidden lines count like all others.
    """
    lines = workbook.rows(sheet)
    header = [str(_content(title) or "") for title in next(lines, ())]
    missing = [title for title in _header(kind) if title not in header]
    if missing:
        yield f"sheet {kind.name}: there is no column {', '.join(missing)}"
        return
    twice = [title for title in _header(kind) if header.count(title) > 1]
    if twice:
        yield f"sheet {kind.name}: several columns are called {', '.join(twice)}"
        return
    places = {title: header.index(title) for title in _header(kind)}
    for number, cells in enumerate(lines, 2):
        if not cells:
            continue
        line = {t: _content(cells[n]) if n < len(cells) else None for t, n in places.items()}
        place = f"sheet {kind.name}, line {number}"
        key = convert.identifier(str(line[KEY] or ""))
        mark, written = _marked(key, str(line[MARK] or ""))
        filled = {c: line[c] for c in kind.columns if line[c] not in (None, "")}
        if filled and not key:
            yield f"{place}: has no {KEY}"
            continue
        for column, cell in filled.items():
            result = _read_cell(kind, column, cell, written.get(column, ()))
            if result is None:
                continue
            value, problem, untouched = result
            if problem:
                yield f"{place}: {column}: {problem}"
                continue
            if values.setdefault((kind.spec.entity, key, column), value) != value:
                yield f"{place}: {column}: another line of this row has a different value"
            given.cells[kind.name, key, column] = Cell(value, mark, place, untouched)


@dataclass(frozen=True, slots=True)
class Unusable:
    """A cell that holds neither a text nor a date, and why."""

    problem: str


def _content(cell: Any) -> str | date | Unusable | None:
    """The content of a cell: a text, a date, or nothing."""
    value = cell.value
    if cell.data_type in _UNUSABLE:
        return Unusable(_UNUSABLE[cell.data_type])
    if value is None or isinstance(value, date):
        return value
    if isinstance(value, str):
        text, _ = clean(workbook.unescaped(value))
        return text if text.strip() else None
    if isinstance(value, time | timedelta):
        return Unusable("is a time: format the cell as text")
    if abs(value) >= _BEYOND_ITS_DIGITS or not workbook.shows_digits(cell.number_format):
        return Unusable("is a number that may differ from what is shown: format the cell as text")
    return str(int(value)) if value == int(value) else str(value)


_UNUSABLE = {
    "f": "is a formula: write its value instead",
    "e": "is an error such as #N/A",
    "b": "is yes or no: format the cell as text",
}
_BEYOND_ITS_DIGITS = 10**15  # a number in a spreadsheet keeps 15 digits


def _read_cell(
    kind: ByHandSheet, column: str, cell: Any, was: Sequence[str]
) -> tuple[str, str, bool] | None:
    """A value, its problem, and whether we wrote it; None for a grey cell that is unchanged."""
    if not was or was[0] != _hash(cell):
        return (*_value(kind, column, cell), False)
    if len(was) == 1:
        return None  # Nexus's own value, which is only shown
    return (was[1], "", True) if was[1] else (*_value(kind, column, cell), True)


def _value(kind: ByHandSheet, column: str, cell: Any) -> tuple[str, str]:
    """A cell's value as PostgreSQL prints it, or its problem."""
    if isinstance(cell, Unusable):
        return "", cell.problem
    labels = kind.choices.get(column)
    if labels is not None:
        folded = {name_key(label): meant for label, meant in labels.items()}
        chosen = folded.get(name_key(str(cell)))
        return (chosen, "") if chosen else ("", "is not one of the choices")
    spec = kind.types[column]
    if spec.type == "date":
        return _date(cell)
    if not isinstance(cell, str):
        return "", "is a date: format the cell as text"
    return _in_its_column(cell.strip(), spec)


def _in_its_column(text: str, spec: Column) -> tuple[str, str]:
    """A text as its column will hold it, or why the column cannot."""
    if spec.max_length is not None and len(text) > spec.max_length:
        return "", f"longer than {spec.max_length} characters"
    try:
        return convert.for_type(text, spec.type), ""
    except convert.ConversionError as error:
        return "", str(error)


def _date(cell: Any) -> tuple[str, str]:
    if isinstance(cell, datetime | date):
        cell = cell.date().isoformat() if isinstance(cell, datetime) else cell.isoformat()
    try:
        return convert.iso_date(str(cell)) or "", ""
    except convert.ConversionError:
        return "", "is not a date: use a date cell, or write it as 2026-01-31"


def refuse_unusable(
    given: Given, kinds: Sequence[ByHandSheet], find: Callable[[ByHandSheet, str], SheetRow | None]
) -> None:
    """Stop if a line's row does not exist, or has changed since the line was written.

    ``find`` gives the line of a planned row, by kind and key.

    Raises:
        StopError: the cells, by sheet and line. Nothing was written.
    """
    known = {kind.name: kind for kind in kinds}
    problems = [
        f"{cell.place}: {column}: {problem}"
        for (name, key, column), cell in given.cells.items()
        if (problem := _unusable(find(known[name], key), column, cell))
    ]
    if problems:
        raise refused(problems)


def _unusable(line: SheetRow | None, column: str, cell: Cell) -> str:
    """Why a value cannot be put into its row. One that we wrote was judged when it was given."""
    now = line.row.get(column) if line else None
    if cell.untouched or now == cell.value:
        return ""
    if line is None:
        return "there is no such row"
    if line.mark != cell.mark:
        return "stale: the row shows different values now than when the sheet was written"
    return "the row holds a different value now; only an empty value is filled" if now else ""


def refused(listed: Sequence[str]) -> StopError:
    """The error that lists the cells that cannot be used."""
    return StopError(
        f"{wording.amount(len(listed), 'cell')} of {SHEET} cannot be used\n"
        + wording.lines(listed, shown=50),
        where="the environment's private folder",
        next=f"correct or empty these cells, or remove {SHEET}; then run 01_preflight again",
    )
