"""Reads the workbook that people have filled in, and refuses what cannot be used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from nexus_reimport import convert, wording
from nexus_reimport.errors import StopError, is_of_system
from nexus_reimport.files import private, workbook
from nexus_reimport.nexus.structure.catalog import Column
from nexus_reimport.planning.manual.sheet import (
    CHOICES,
    EXPLAINED,
    KEY,
    MARK,
    RECORD,
    SHOWN,
    ByHandSheet,
    Cell,
    Given,
    SheetRow,
    Unusable,
    Written,
    content_hash,
    content_of,
    in_words,
    read_mark,
    sheet_name,
    titles_asked,
    titles_shown,
)
from nexus_reimport.settings import BY_HAND_SHEET
from nexus_reimport.text import may_be_a_copy, name_key

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

# In which programs save a workbook, beside the one that is read.
_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods", ".csv", ".numbers")


def read(path: Path, kinds: Sequence[ByHandSheet]) -> Given:
    """The values in the workbook at ``path``; none if there is no workbook.

    Raises:
        StopError: a sheet, column or value is unknown, or two lines give one row different
            values; all problems at once, by sheet and line. Or a newer workbook lies beside it.
            Nothing was written.
    """
    _refuse_newer_beside(path)
    if not path.is_file():
        return Given()
    book = _opened(path)
    known = {name_key(name): k for k in kinds for name in (k.name, sheet_name(k))}
    given, problems = Given(private.sha256_of(path)), []
    values: dict[tuple[str, str, str], str] = {}
    for sheet in book.worksheets:
        if name_key(sheet.title) in (name_key(CHOICES), name_key(EXPLAINED)):
            continue
        if name_key(sheet.title) not in known:
            problems.append(
                f"sheet {sheet.title}: there is no such kind of values; the kinds are"
                f" {', '.join(map(sheet_name, kinds))}"
            )
            continue
        if place := workbook.misplaced(sheet):
            problems.append(f"sheet {sheet.title}: {place} comes twice, or after a later one")
            continue
        problems += _read_kind(sheet, known[name_key(sheet.title)], given, values)
    if problems:
        raise refused(problems)
    return given


def _refuse_newer_beside(path: Path) -> None:
    """Stop if what may be the filled-in workbook would not be read: ``manual (1).xlsx``.

    A browser or a mail program saves it so, a spreadsheet program in another format.
    """
    is_here = path.is_file()
    since = path.stat().st_mtime if is_here else 0.0
    newer = [
        other.name
        for other in sorted(path.parent.glob("*"))
        if other.suffix.lower() in _SUFFIXES
        and may_be_a_copy(other.stem, path.stem)
        and other.is_file()
        and other.stat().st_mtime > since
        and not (is_here and private.sha256_of(other) == private.sha256_of(path))
    ]
    if newer:
        raise StopError(
            f"{wording.some(newer)} may be {path.name} filled in, and would not be read",
            where="the environment's private folder",
            next=f"keep the one that counts as {path.name}, move the other out of the folder, and"
            " run 01_preflight again",
        )


def _opened(path: Path) -> Any:
    try:
        return workbook.opened(path.read_bytes(), values=False)
    except Exception as error:  # the library raises a dozen kinds
        if is_of_system(error):
            raise
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

    Columns are found by their titles, or by their own names, which were the titles once. A column
    with another title, or none, is a person's own note. Hidden lines count like all others.
    """
    lines = workbook.rows(sheet)
    header = [name_key(str(content_of(title) or "")) for title in next(lines, ())]
    titles = {KEY: KEY, **titles_asked(kind), MARK: MARK}
    columns = {
        name: [n for n, head in enumerate(header) if head in (name_key(name), name_key(title))]
        for name, title in titles.items()
    }
    for what, often in (("there is no column", 0), ("several columns are called", 2)):
        wrong = [titles[name] for name, at in columns.items() if min(len(at), 2) == often]
        if wrong:
            yield f"sheet {sheet_name(kind)}: {what} {', '.join(wrong)}"
            return
    places = {name: at[0] for name, at in columns.items()}
    for number, cells in enumerate(lines, 2):
        if not cells:
            continue
        line = {t: _content(cells, n) for t, n in places.items()}
        place = f"sheet {sheet_name(kind)}, line {number}"
        key = convert.identifier(str(line[KEY] or ""))
        mark, written = read_mark(key, str(line[MARK] or ""))
        filled = {c: line[c] for c in kind.columns if line[c] is not None}
        is_moved = _shows_others(kind, header, cells, written)
        record = written.get(RECORD, ("",))[0]
        if filled and not key:
            yield f"{place}: has no {KEY}"
            continue
        for column, cell in filled.items():
            result = _read_cell(kind, column, cell, written.get(column, ()))
            if result is None:
                continue
            value, problem, untouched = result
            if problem := problem or (_MOVED if is_moved and not untouched else ""):
                yield f"{place}: {titles[column]}: {problem}"
                continue
            if values.setdefault((kind.spec.entity, key, column), value) != value:
                yield f"{place}: {titles[column]}: another line of this row has a different value"
            given.cells[kind.name, key, column] = Cell(value, mark, place, untouched, record)


_MOVED = (
    "the line shows other values than were written into it, so it may be another row's:"
    " fill in the run's sheet anew"
)


def _shows_others(
    kind: ByHandSheet, header: Sequence[str], cells: Sequence[Any], written: Written
) -> bool:
    """Whether a cell that shows whose line it is holds something else than we wrote.

    The cells that say it are hidden: a line that is sorted or deleted without them is another
    row's, and a person has read what is shown. A column that was removed shows nothing.
    """
    heads = map(name_key, titles_shown(kind))
    each = zip(heads, written.get(SHOWN, ()), strict=False)
    places = [(header.index(h), was) for h, was in each if was and header.count(h) == 1]
    return any(was != content_hash(_content(cells, n)) for n, was in places)


def _content(cells: Sequence[Any], place: int) -> Any:
    """The content of one cell of a line; nothing beyond its last cell."""
    return content_of(cells[place]) if place < len(cells) else None


def _read_cell(
    kind: ByHandSheet, column: str, cell: Any, was: Sequence[str]
) -> tuple[str, str, bool] | None:
    """A value, its problem, and whether we wrote it; None for a grey cell that is unchanged."""
    if not was or was[0] != content_hash(cell):
        return (*_value(kind, column, cell), False)
    if len(was) == 1:
        return None  # Nexus's own value, which is only shown
    return (was[1], "", True) if was[1] else (*_value(kind, column, cell), True)


def _value(kind: ByHandSheet, column: str, cell: Any) -> tuple[str, str]:
    """A cell's value as PostgreSQL prints it, or its problem."""
    if isinstance(cell, Unusable):
        return "", cell.problem
    labels, spec = kind.chosen.get(column), kind.types[column]
    if labels is not None:
        chosen = labels.get(name_key(str(cell)))
        return _in_its_column(chosen, spec) if chosen else ("", "is not one of the choices")
    if spec.stored_as == "date":
        return _date(cell)
    if not isinstance(cell, str):
        return "", "is a date: format the cell as text"
    return _in_its_column(convert.text(cell) or "", spec)


def _in_its_column(text: str, spec: Column) -> tuple[str, str]:
    """A text as its column will hold it, or why the column cannot."""
    if spec.max_length is not None and len(text) > spec.max_length:
        return "", f"longer than {spec.max_length} characters"
    try:
        return convert.for_type(text, spec.stored_as), ""
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
    given: Given,
    kinds: Sequence[ByHandSheet],
    find: Callable[[ByHandSheet, str], SheetRow | None],
    zone: ZoneInfo,
) -> None:
    """Stop if a line's row does not exist, has changed since, or would end before it begins.

    ``find`` gives the line of a planned row, by kind and key; ``zone`` is the clinic's.

    Raises:
        StopError: the cells, by sheet and line. Nothing was written.
    """
    known = {kind.name: kind for kind in kinds}
    of_rows: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for (name, key, column), cell in given.cells.items():
        of_rows[known[name].spec.entity, key][column] = cell.value
    problems = []
    for (name, key, column), cell in given.cells.items():
        kind, line = known[name], find(known[name], key)
        had = line.row.get(column) if line else None
        if had == cell.value:
            continue
        problem, beside = _unusable(line, column, cell), of_rows[kind.spec.entity, key]
        if cell.untouched:
            # It was judged when it was given, beside the other values by hand: FileMaker's are new.
            problem, beside = "", {column: cell.value}
            line = None if had or (line and is_anothers(line, cell)) else line
        if line and not problem:
            row = {**beside, **{c: v for c, v in line.row.items() if v}}
            problem = _in_wrong_order(kind, column, row, zone)
        if problem:
            problems.append(f"{cell.place}: {titles_asked(kind)[column]}: {problem}")
    if problems:
        raise refused(problems)


def _unusable(line: SheetRow | None, column: str, cell: Cell) -> str:
    """Why a value cannot be put into its row."""
    if line is None:
        return "there is no such row"
    if line.mark != cell.mark or is_anothers(line, cell):
        return "stale: the row shows different values now than when the sheet was written"
    if line.row.get(column):
        return "the row holds a different value now; only an empty value is filled"
    return ""


def is_anothers(line: SheetRow, cell: Cell) -> bool:
    """Whether the row was another record's when the sheet was written: new numbers are handed out
    anew by each plan.
    """
    both = cell.record and line.record
    return bool(both) and content_hash(line.record) != cell.record


def _in_wrong_order(kind: ByHandSheet, column: str, row: Mapping[str, str], zone: ZoneInfo) -> str:
    """Why ``row`` would end before it begins; ``column`` is one of the two."""
    for late, early in kind.bounded.items():
        ends, begins = row.get(late), row.get(early)
        if column not in (late, early) or not ends or not begins:
            continue
        if convert.is_before(ends, begins, zone):
            where, other = ("before", early) if column == late else ("after", late)
            return f"is {where} {in_words(kind, other)}"
    return ""


def refused(listed: Sequence[str]) -> StopError:
    """The error that lists the cells that cannot be used."""
    return StopError(
        f"{wording.amount(len(listed), 'cell')} of {BY_HAND_SHEET} cannot be used\n"
        + wording.lines(listed, shown=50),
        where="the environment's private folder",
        next=f"correct or empty these cells, or remove {BY_HAND_SHEET}; then run 01_preflight"
        " again",
    )
