"""Checks whole columns of an exported file before any of their values is read.

A person declares the form of dates and numbers, and can be wrong; one value alone may not show it:
03/04/2025 is a date in two forms. If a column contradicts its declared form, or can be read in two
ways, the read stops with the counts and the form that fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import NamedTuple

from nexus_reimport import forms as written
from nexus_reimport import wording
from nexus_reimport.errors import ExportError, ReimportError, SettingsError
from nexus_reimport.filemaker import suggest
from nexus_reimport.filemaker.exports.cells import EXPORT_AGAIN_UNSAVED, UNCOMPUTED, Cell, Forms
from nexus_reimport.filemaker.exports.grid import Grid
from nexus_reimport.forms import DECIMALS, ORDERS, Seen

_ORDERS = '"d/m/y", "m/d/y" or "y/m/d"'
_FIRST_YEAR = 1900  # that a date cell can have
_MOST_CELLS = 1 << 21  # that are in memory at once: some 400 MiB
_QUOTED = re.compile(r'"(?:[^"]|"")*"')  # each quote inside is doubled
_LONG_ID = re.compile(r"[0-9]{15}([0-9]+)")  # more digits than a spreadsheet's number keeps


class _Column(NamedTuple):
    """One column: its name, its texts with their lines, and its other cells."""

    name: str
    texts: list[tuple[str, str]]  # text, line
    others: list[Cell]

    def add(self, cell: Cell, line: str, between: str) -> None:
        """Add a cell, whose text may be several: those between the signs ``between``."""
        if not isinstance(cell, str):
            self.others.append(cell)
            return
        parts = map(str.strip, cell.split(between) if between else [cell])
        self.texts.extend((part, line) for part in parts if part and part != UNCOMPUTED)


class _Fault(NamedTuple):
    """What is wrong with a column, and what to do about it."""

    error: type[ReimportError]
    what: str
    next: str


def refuse_contradictions(
    grid: Grid, columns: Mapping[str, tuple[int, str]], forms: Forms, where: str
) -> None:
    """Stop at the first column whose values contradict its declared form.

    Shape: ``columns`` as ``{name: (place, type)}``.

    Raises:
        SettingsError: a form is not declared, or a different one fits the column.
        ExportError: a column is written in two forms, or can be read in two ways.
    """
    unknown = [name for name in forms.by_column if name not in grid.columns]
    if unknown:
        raise SettingsError(
            f"dates are declared for a column that does not exist: {unknown[0]};"
            f" {suggest.phrase(unknown[0], grid.columns)}",
            where=where,
            next="write the name that the file has, under [filemaker.exports.files]",
        )
    checked = {name: place for name, (place, kind) in columns.items() if kind in _READERS}
    for column in _columns(grid, checked, forms):
        _, kind = columns[column.name]
        if fault := _READERS[kind](column, forms):
            raise fault.error(f"column {column.name}: {fault.what}", where=where, next=fault.next)


def refuse_rounded_ids(grid: Grid, places: Mapping[str, int], where: str) -> None:
    """Stop at a column of ids that a spreadsheet program rounded before it wrote them as text.

    Such a program keeps 15 digits of a number and writes zeros for the others. A single such id may
    be right; if there are two or more, and all have only zeros there, they were rounded.

    Raises:
        ExportError: the column, with the first few lines.
    """
    ids: dict[str, dict[str, tuple[int, str]]] = {name: {} for name in places}
    for line in grid.rows:
        for name, place in places.items():
            text = line.cells[place]
            if isinstance(text, str) and (match := _LONG_ID.fullmatch(text.strip())):
                ids[name].setdefault(text, (line.number, match[1]))
    for name, long in ids.items():
        if len(long) < 2 or any(beyond.strip("0") for _, beyond in long.values()):
            continue
        lines = wording.some(f"{number:,}" for number in sorted(n for n, _ in long.values()))
        raise ExportError(
            f"column {name}: all {wording.amount(len(long), 'id')} of more than 15 digits"
            " have only zeros from the 16th on: a spreadsheet program has rounded them (lines"
            f" {lines})",
            where=where,
            next=EXPORT_AGAIN_UNSAVED,
        )


def refuse_quotes(grid: Grid, where: str) -> None:
    """Stop at a tab-separated file whose quotes are a spreadsheet program's, and no part of values.

    FileMaker writes this format without quotes. Such a program puts a value with a quote into
    quotes and doubles its own; Excel does so with each value that has a comma, too.

    Raises:
        ExportError: every quote of the file is of this kind, and at least one can be no other.
    """
    doubled = around_commas = bare_commas = first = 0
    for line in grid.rows:
        for text in (cell for cell in line.cells if isinstance(cell, str)):
            if _QUOTED.fullmatch(text):
                is_doubled, has_comma = '""' in text[1:-1], "," in text
                doubled, around_commas = doubled + is_doubled, around_commas + has_comma
                first = first or line.number * (is_doubled or has_comma)
            elif '"' in text:
                return
            else:
                bare_commas += "," in text
    if not doubled and (bare_commas or not around_commas):
        return
    raise ExportError(
        "values stand in quotes, which FileMaker does not write into such a file: a spreadsheet"
        f" program has saved it (line {first:,} is the first)",
        where=where,
        next=EXPORT_AGAIN_UNSAVED,
    )


def _columns(grid: Grid, places: Mapping[str, int], forms: Forms) -> Iterator[_Column]:
    """Columns of the file, which is read for so many at once as fit into memory."""
    several = max(1, _MOST_CELLS // max(1, len(grid.rows)))
    names = list(places)
    for first in range(0, len(names), several):
        columns = [_Column(name, [], []) for name in names[first : first + several]]
        for line in grid.rows:
            number = f"{line.number:,}"
            for column in columns:
                column.add(line.cells[places[column.name]], number, forms.between_repetitions)
        yield from columns


def _dates(column: _Column, forms: Forms) -> _Fault | None:
    declared, seen = forms.dates_of(column.name), Seen()
    firsts = [(written.day_of(text), number) for text, number in column.texts]
    for text, number in firsts:
        seen.add(written.orders(text), number)
    if not seen.total:
        return None
    if declared is None:
        return _undeclared(seen)
    order = written.order_of(declared)
    short = sum(written.has_short_year(text) for text, _ in firsts)
    # A single such date is its record's fault, and no sign of how the file is written.
    if short and seen.total > 1 and not seen.under(order):
        return _Fault(
            ExportError,
            f"{short:,} of {wording.amount(seen.total, 'date has', 'dates have')} years of two"
            " digits: the century is unknown",
            "export again with years of four digits",
        )
    return _contradicted(seen, declared, order, ORDERS, "date") or _turned(column, order)


def _undeclared(seen: Seen) -> _Fault:
    best = seen.best(ORDERS)
    fitting = (
        f'write dates = "{best}", which fits most of them'
        if best
        else (f"write dates = {_ORDERS}, as the file has it")
    )
    return _Fault(
        SettingsError,
        f"{wording.amount(seen.total, 'date is', 'dates are')} written as text, and the form is"
        " not declared"
        f" (readable: {seen.summary(ORDERS)})",
        f"{fitting}, under [filemaker.exports]",
    )


def _contradicted(
    seen: Seen, declared: str, form: str, all_forms: tuple[str, ...], noun: str
) -> _Fault | None:
    """Whether a column contradicts its declared form, and what to do."""
    other = written.contradiction(seen, form, all_forms)
    if not other:
        if not any(map(seen.under, all_forms)) and seen.total > 1 and noun == "date":
            return _Fault(
                ExportError,
                f"none of {wording.amount(seen.total, 'date')} can be read in any form",
                "check in FileMaker what the field holds; export it as day, month and year",
            )
        return None
    what = (
        f"{declared} is declared; how {wording.amount(seen.total, noun)} can be read:"
        f" {seen.summary(all_forms)}"
    )
    readable = seen.total - seen.counts[()]
    key = "dates" if noun == "date" else "decimal"
    if seen.under(other) == readable:
        return _Fault(
            SettingsError,
            what,
            f'write {key} = "{other}", which fits all that can be read, under'
            " [filemaker.exports], or for this file only under [filemaker.exports.files]",
        )
    odd = ", ".join(list(seen.outside(form))[: written.FEW])
    return _Fault(
        ExportError,
        f"{what}: no form fits all",
        f"check lines {odd} of the file; correct these records in FileMaker, and export again",
    )


def _turned(column: _Column, order: str) -> _Fault | None:
    """Whether a spreadsheet program has swapped day and month.

    It turns a text into a date cell if it can read it in its own order, that is if the day is 12 or
    less, and leaves the other dates as text. So no date cell has a day after the 12th, and every
    date that is text has one. Dates before 1900 prove nothing: no spreadsheet has them as cells.
    """
    days = [cell.day for cell in column.others if isinstance(cell, date)]
    if not days or order == written.ISO or max(days) > 12:
        return None
    every = (written.day(written.day_of(text), order) for text, _ in column.texts)
    texts = [day for day in every if day is None or day.year >= _FIRST_YEAR]
    if not texts or not all(day and day.day > 12 for day in texts):
        return None
    return _Fault(
        ExportError,
        f"none of {wording.amount(len(days), 'date cell')} is after the 12th of a month, and all"
        f" {wording.amount(len(texts), 'date')} that are text are: a spreadsheet program has"
        " swapped day and month",
        EXPORT_AGAIN_UNSAVED,
    )


def _times(column: _Column, _: Forms) -> _Fault | None:
    return _unclear(text for text, _ in column.texts)


def _timestamps(column: _Column, forms: Forms) -> _Fault | None:
    clocks = (text.replace("T", " ", 1).partition(" ")[2].strip() for text, _ in column.texts)
    return _dates(column, forms) or _unclear(clock for clock in clocks if clock)


def _unclear(texts: Iterable[str]) -> _Fault | None:
    why = written.unclear_times(texts)
    if not why:
        return None
    return _Fault(ExportError, why, "export again with 24-hour times, with colons and with seconds")


def _numbers(column: _Column, forms: Forms) -> _Fault | None:
    seen = Seen()
    for text, number in column.texts:
        signs = written.decimals(text)
        if signs:
            seen.add(signs, number)
    both = seen.both(*DECIMALS)
    if forms.decimal is None and both and both == seen.total:
        return _Fault(
            SettingsError,
            f"{wording.amount(both, 'number')} like 1,234 or 1.234 can be read with thousands or"
            " with a fraction, and no other number of the column shows which",
            'write decimal = "." or "," under [filemaker.exports], as the file has it',
        )
    sign = forms.decimal or "."
    fault = _contradicted(seen, f'decimal = "{sign}"', sign, DECIMALS, "number")
    points = seen.only_under(".", not_under=",")
    if fault or sign == "." or not points:
        return fault
    return _Fault(  # with a decimal comma, a point could be read as a separator of thousands
        ExportError,
        f'decimal = "," is declared, but {points:,} of'
        f" {wording.amount(seen.total, 'number has', 'numbers have')} a point",
        f"check lines {', '.join(list(seen.outside(','))[: written.FEW])} of the file; correct"
        " these records in FileMaker, and export again",
    )


_READERS = {"date": _dates, "timestamp": _timestamps, "time": _times, "number": _numbers}
