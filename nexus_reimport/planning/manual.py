"""The sheet of values that only a person knows: written, filled in, put back, read.

One workbook in the private folder, one sheet per kind that the mapping names, one line per row
that lacks a value; choices are drop-downs. A line carries a mark of what it showed when it was
written: where the row is another one now, the line is stale and refused, so that no value lands
with the wrong patient.

Source: Office Open XML, "Data validations" (a list may be at most 255 characters, so that choices
stand on a sheet of their own).
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
BY_HAND = "by hand"  # why a planned row holds what neither side knew
KEY, MARK = "Nexus id", "as it was"
LONGEST_LABEL = 255  # characters that a person chooses by
Row = Mapping[str, str | None]
Labels = Mapping[str, str]  # what a person reads -> the id that it stands for


@dataclass(frozen=True, slots=True)
class ByHandSheet:
    """One kind of values, with what is needed to write and to read its sheet."""

    name: str
    spec: ByHand
    types: Mapping[str, Column]  # of the columns to be filled in
    choices: Mapping[str, Labels]  # column -> its choices, where it has some

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to be filled in."""
        return tuple(self.spec.columns)


@dataclass(frozen=True, slots=True)
class Cell:
    """A value that a person gave, as PostgreSQL prints it; its line's mark, and where it stands.

    ``untouched``: we wrote it into the sheet ourselves, from what was given for this row before.
    """

    value: str
    mark: str
    place: str
    untouched: bool = False


@dataclass(slots=True)
class Given:
    """What the sheets say: (kind, Nexus id, column) -> the cell."""

    sha256: str = ""
    cells: dict[tuple[str, str, str], Cell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row that a person is asked about: its key, what is shown of it, and the row.

    ``given`` are the columns whose values a person gave before.
    """

    key: str
    shown: tuple[str, ...]
    row: Row
    given: frozenset[str] = frozenset()

    @property
    def mark(self) -> str:
        """What is shown, as a digest: another one means that the row has changed since."""
        said = json.dumps([self.key, *self.shown])
        return private.sha256(said.encode())[:16]


class Shower:
    """Makes the line of a row: what of it, and of the rows that it points at, tells whose it is.

    ``find`` gives a row by entity and key. An instant is shown on the clinic's clock.
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
            for entity, there in intake.survey.columns.items()
            for column in there
            if column.type == "timestamp with time zone"
        }

    def line(self, kind: ByHandSheet, key: str) -> SheetRow | None:
        """The line of the row ``key``; None where there is no such row."""
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
    """The kinds of the mapping, with what people can choose from."""
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
    """What a person reads -> id; where two rows show one name, a part of the id tells them."""
    named = [(workbook.shown(v, longest=LONGEST_LABEL), key) for key, v in rows if key and v]
    often = Counter(name_key(value) for value, _ in named)
    labels: dict[str, str] = {}
    taken = set(often)
    for value, key in named:
        if often[name_key(value)] == 1:
            labels[value] = key
            continue
        short, whole = f"{value} ({key[:8]})", f"{value} ({key})"
        label = whole if name_key(short) in taken else short
        taken.add(name_key(label))
        labels[label] = key
    return labels


def lacks(spec: ByHand, row: Row) -> bool:
    """Whether a person is asked for a value of ``row``."""
    wanted = not spec.where_any or any(row.get(c) for c in spec.where_any)
    return wanted and any(not row.get(column) for column in spec.columns)


# ---------------------------------------------------------------- written


def write(path: Path, lines: Iterable[tuple[ByHandSheet, Iterable[SheetRow]]]) -> None:
    """A sheet for each kind, with its lines in the order of what they show.

    Values that were given before stand in their cells, so that the new sheet can take the place of
    the one before. A cell for which the row has a value already is grey and shows it; it is there
    to be read, and what is put into it is not. A sheet has room for some million lines: what is
    beyond comes into the next one, once these are filled in.

    Raises:
        StopError: the workbook cannot be written. The library's own errors quote the cell.
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
        next="see that the disk has room, then run this step again",
    )


def _write(path: Path, lines: Iterable[tuple[ByHandSheet, Iterable[SheetRow]]]) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    by_kind = tuple(lines)
    places = _write_choices(book.create_sheet(CHOICES), [kind for kind, _ in by_kind])
    for kind, found in by_kind:
        shown = sorted(found, key=lambda line: (line.shown, line.key))
        shown = list(islice(shown, workbook.MOST_ROWS - 1))
        _write_kind(book.create_sheet(kind.name), kind, shown, places)
    book.move_sheet(CHOICES, len(book.worksheets))
    book[CHOICES].sheet_state = "hidden"
    path.unlink(missing_ok=True)
    with private.create(path) as file:
        book.save(file)


def _write_choices(sheet: Worksheet, kinds: Sequence[ByHandSheet]) -> dict[tuple[str, str], str]:
    """(kind, column) -> the cells that hold its choices."""
    from openpyxl.utils import get_column_letter

    places = {}
    wanted = [(k.name, c, labels) for k in kinds for c, labels in k.choices.items()]
    for number, (kind, column, labels) in enumerate(wanted, 1):
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
                written[column] = [_told(_said(cell)), held if column in kind.choices else ""]
            elif held:
                written[column] = [_told(_said(cell))]
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
    for number in (1, len(_header(kind))):
        sheet.column_dimensions[get_column_letter(number)].hidden = True
    for number, column in enumerate(kind.columns, first):
        if (kind.name, column) in places and last > 1:
            letter = get_column_letter(number)
            allowed = DataValidation("list", f"={places[kind.name, column]}", allow_blank=True)
            allowed.error, allowed.showErrorMessage = "Choose one of the list.", True
            allowed.add(f"{letter}2:{letter}{last}")
            sheet.add_data_validation(allowed)


def _header(kind: ByHandSheet) -> tuple[str, ...]:
    shown = (f"{place} (as it is)" if place in kind.columns else place for place in kind.spec.show)
    return (KEY, *shown, *kind.columns, MARK)


def _text(sheet: Worksheet, line: int, number: int, value: str) -> None:
    """A cell of text: never a formula, whatever the text begins with or holds."""
    cell = sheet.cell(line, number)
    cell.value = workbook.cell_text(value) or None
    if value:
        cell.data_type = "s"


def _label(kind: ByHandSheet, column: str, value: str | None) -> str:
    """What a person reads for a value of a column: itself where it is none of the choices."""
    labels = kind.choices.get(column, {})
    return next((label for label, meant in labels.items() if meant == value), value or "")


# Column -> the hash of what we wrote into its cell, and the value where it was given before.
Written = Mapping[str, Sequence[str]]


def _told(cell: Any) -> str:
    """What a cell says, as a hash; blanks do not count, since programs change them on saving."""
    return private.sha256(" ".join(str(cell).split()).encode())[:16]


def _mark(line: SheetRow, written: Written) -> str:
    """What the last cell of a line holds: the line's mark, and what we wrote into the others.

    It belongs to the row's key: copied to another line it says nothing.
    """
    said = json.dumps(written, sort_keys=True)
    return f"{line.mark} {_told(line.key + said)} {said}"


def _marked(key: str, text: str) -> tuple[str, Written]:
    """The mark of a line, and what we wrote into it; nothing where it is of another line."""
    mark, _, rest = text.partition(" ")
    proof, _, said = rest.partition(" ")
    return (mark, json.loads(said)) if said and proof == _told(key + said) else (mark, {})


# ---------------------------------------------------------------- read


def read(path: Path, kinds: Sequence[ByHandSheet]) -> Given:
    """What the workbook at ``path`` says; nothing where there is none.

    Raises:
        StopError: a sheet, column or value that is unknown, or a value given twice and not alike;
            all of them at once, by sheet and line. Nothing was written.
    """
    if not path.is_file():
        return Given()
    book = _opened(path)
    known = {kind.name: kind for kind in kinds}
    given, problems = Given(private.sha256_of(path)), []
    said: dict[tuple[str, str, str], str] = {}
    for sheet in book.worksheets:
        if sheet.title == CHOICES:
            continue
        if sheet.title not in known:
            problems.append(
                f"sheet {sheet.title}: no such kind of values; there are {', '.join(known)}"
            )
            continue
        problems += _read_kind(sheet, known[sheet.title], given, said)
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
        next="save it as .xlsx without a password, or take it away",
    )


def _read_kind(
    sheet: Worksheet, kind: ByHandSheet, given: Given, said: dict[tuple[str, str, str], str]
) -> Iterator[str]:
    """Read one sheet; what is wrong with it. ``said``: (entity, key, column) -> value so far.

    Columns go by their titles. What stands under another title, or under none, is a person's own
    note, and hidden lines count like all others.
    """
    lines = workbook.rows(sheet)
    header = [str(_said(title) or "") for title in next(lines, ())]
    missing = [title for title in _header(kind) if title not in header]
    if missing:
        yield f"sheet {kind.name}: no column {', '.join(missing)}"
        return
    twice = [title for title in _header(kind) if header.count(title) > 1]
    if twice:
        yield f"sheet {kind.name}: several columns are called {', '.join(twice)}"
        return
    places = {title: header.index(title) for title in _header(kind)}
    for number, cells in enumerate(lines, 2):
        if not cells:
            continue
        line = {t: _said(cells[n]) if n < len(cells) else None for t, n in places.items()}
        place = f"sheet {kind.name}, line {number}"
        key = convert.identifier(str(line[KEY] or ""))
        mark, written = _marked(key, str(line[MARK] or ""))
        filled = {c: line[c] for c in kind.columns if line[c] not in (None, "")}
        if filled and not key:
            yield f"{place}: has no {KEY}"
            continue
        for column, cell in filled.items():
            found = _read_cell(kind, column, cell, written.get(column, ()))
            if found is None:
                continue
            value, problem, untouched = found
            if problem:
                yield f"{place}: {column}: {problem}"
                continue
            if said.setdefault((kind.spec.entity, key, column), value) != value:
                yield f"{place}: {column}: another line of this row says otherwise"
            given.cells[kind.name, key, column] = Cell(value, mark, place, untouched)


@dataclass(frozen=True, slots=True)
class Unusable:
    """A cell that says no text and no date, and why."""

    problem: str


def _said(cell: Any) -> str | date | Unusable | None:
    """What a cell says: a text, a date, or nothing."""
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
        return Unusable("is a number that may not be what is shown: format the cell as text")
    return str(int(value)) if value == int(value) else str(value)


_UNUSABLE = {
    "f": "is a formula: put its value there",
    "e": "is an error such as #N/A",
    "b": "is yes or no: format the cell as text",
}
_BEYOND_ITS_DIGITS = 10**15  # a spreadsheet's number keeps 15


def _read_cell(
    kind: ByHandSheet, column: str, cell: Any, was: Sequence[str]
) -> tuple[str, str, bool] | None:
    """A value, what is wrong with it, whether we wrote it; None for a grey cell as it ``was``."""
    if not was or was[0] != _told(cell):
        return (*_value(kind, column, cell), False)
    if len(was) == 1:
        return None  # Nexus's own value, shown to be read
    return (was[1], "", True) if was[1] else (*_value(kind, column, cell), True)


def _value(kind: ByHandSheet, column: str, cell: Any) -> tuple[str, str]:
    """A cell as PostgreSQL prints it, or what is wrong with it."""
    if isinstance(cell, Unusable):
        return "", cell.problem
    labels = kind.choices.get(column)
    if labels is not None:
        folded = {name_key(label): meant for label, meant in labels.items()}
        found = folded.get(name_key(str(cell)))
        return (found, "") if found else ("", "is none of the choices")
    spec = kind.types[column]
    if spec.type == "date":
        return _date(cell)
    if not isinstance(cell, str):
        return "", "is a date: format the cell as text"
    return _in_its_column(cell.strip(), spec)


def _in_its_column(text: str, spec: Column) -> tuple[str, str]:
    """A text as its column will hold it, or why it cannot."""
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
        return "", "is no date: write it as a date cell, or as 2026-01-31"


def refuse_unusable(
    given: Given, kinds: Sequence[ByHandSheet], find: Callable[[ByHandSheet, str], SheetRow | None]
) -> None:
    """Stop where a line is of a row that is not there, or not as it was when it was written.

    ``find`` gives the line of a row that will be there, by kind and key.

    Raises:
        StopError: the lines, by sheet and number. Nothing was written.
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
    """Why a value cannot be put into its row; one that we wrote ourselves was judged before."""
    now = line.row.get(column) if line else None
    if cell.untouched or now == cell.value:
        return ""
    if line is None:
        return "there is no such row"
    if line.mark != cell.mark:
        return "stale: the row shows other values than when the sheet was written"
    return "the row holds another value by now; only what is empty is filled" if now else ""


def refused(listed: Sequence[str]) -> StopError:
    """The lines that cannot be used, by name."""
    return StopError(
        f"{wording.amount(len(listed), 'cell')} of {SHEET} cannot be used\n"
        + wording.lines(listed, shown=50),
        where="the environment's private folder",
        next=f"fix or empty these cells, or take {SHEET} away; then run 01_preflight again",
    )
