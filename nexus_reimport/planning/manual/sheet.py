"""What by-hand sheets hold: their kinds, their lines, and the mark that each line carries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from nexus_reimport import convert
from nexus_reimport.files import private, rowfile, workbook
from nexus_reimport.intake import Intake
from nexus_reimport.mapping import ByHand
from nexus_reimport.nexus.structure.catalog import Column
from nexus_reimport.text import clean, name_key

CHOICES, EXPLAINED = "choices", "Read me first"
BY_HAND = "by hand"  # the reason of a planned value that neither side had
KEY, MARK = "Nexus id", "as it was"
LONGEST_LABEL = 255  # characters of a choice
Row = Mapping[str, str | None]
Labels = dict[str, str]  # the text that a person chooses -> the id that it means


@dataclass(frozen=True)
class ByHandSheet:
    """One kind of values, with all that is needed to write and read its sheet."""

    name: str
    spec: ByHand
    types: Mapping[str, Column]  # of the columns to fill in
    choices: Mapping[str, Labels]  # column -> its choices, if it has any
    # Column -> the one whose value must not be later, if one of the two is to be filled in.
    bounded: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to fill in."""
        return tuple(self.spec.columns)

    @cached_property  # as the next one: asked for each cell, and there may be thousands of choices
    def chosen(self) -> Mapping[str, Mapping[str, str]]:
        """Column with choices -> label, folded -> the id that it means."""
        return {
            column: {name_key(label): meant for label, meant in labels.items()}
            for column, labels in self.choices.items()
        }

    @cached_property
    def called(self) -> Mapping[str, Mapping[str, str]]:
        """Column with choices -> id -> its first label."""
        return {
            column: {meant: label for label, meant in reversed(labels.items())}
            for column, labels in self.choices.items()
        }


@dataclass(frozen=True, slots=True)
class Cell:
    """A value that a person gave, as PostgreSQL prints it, with its line's mark and its place.

    ``untouched``: we wrote it into the sheet, because a person had given it for this row before.
    ``record`` is the hash of the FileMaker id of a row that was still to come, else "".
    """

    value: str
    mark: str
    place: str
    untouched: bool = False
    record: str = ""


@dataclass(slots=True)
class Given:
    """The values of a workbook: (kind, Nexus id, column) -> the cell."""

    sha256: str = ""
    cells: dict[tuple[str, str, str], Cell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One line of a sheet: the row's key, the values that are shown, and the row.

    ``given`` are the columns whose values a person gave before. ``is_over`` puts it at the end.
    ``asked`` are the places among ``shown`` of values that people are asked for. ``record`` is the
    row's FileMaker id, as ids compare; "" if it has none.
    """

    key: str
    shown: tuple[str, ...]
    row: Row
    given: frozenset[str] = frozenset()
    is_over: bool = False
    asked: frozenset[int] = frozenset()
    record: str = ""

    @property
    def mark(self) -> str:
        """A digest of the shown values; a different one means that the row has changed.

        What people are asked for does not count: a value that they gave is shown in the next sheet,
        and is not in the row before it is put in again.
        """
        shown = (value for place, value in enumerate(self.shown) if place not in self.asked)
        content = json.dumps([self.key, *shown])
        return private.sha256(content.encode())[:16]


class Shower:
    """Makes the line of a row: values of it, and of rows that it points at, that identify it.

    ``find`` gives a row by entity and key, ``records`` the FileMaker ids of rows, as ids compare.
    Times are shown in the clinic's time zone.
    """

    def __init__(
        self,
        intake: Intake,
        zone: ZoneInfo,
        find: Callable[[str, str], Row | None],
        records: Mapping[tuple[str, str], str],
    ) -> None:
        self._mapping, self._zone, self._find = intake.mapping, zone, find
        self._records = records
        self._instants = {
            (entity, column.name)
            for entity, columns in intake.survey.columns.items()
            for column in columns
            if column.stored_as == convert.INSTANT
        }
        by_hand = intake.mapping.by_hand
        self._asked = {(spec.entity, c) for spec in by_hand.values() for c in spec.columns}

    def line(self, kind: ByHandSheet, key: str) -> SheetRow | None:
        """The line of the row ``key``; None if there is no such row."""
        row = self._find(kind.spec.entity, key)
        return None if row is None else self.shown(kind, key, row)

    def shown(
        self, kind: ByHandSheet, key: str, row: Row, given: frozenset[str] = frozenset()
    ) -> SheetRow:
        """The line of ``row``."""
        entity, show = kind.spec.entity, kind.spec.show
        shown = (self._shown(entity, row, place) for place in show)
        asked = (n for n, place in enumerate(show) if self._is_asked(entity, place))
        record = self._records.get((entity, key), "")
        return SheetRow(key, tuple(shown), row, given, asked=frozenset(asked), record=record)

    def _is_asked(self, entity: str, place: str) -> bool:
        column, _, further = place.partition(".")
        if (entity, column) in self._asked:
            return True
        target = self._mapping.entities[entity].columns[column].entity if further else ""
        return bool(further) and self._is_asked(target, further)

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
    return tuple(_kind(intake, name, spec) for name, spec in intake.mapping.by_hand.items())


def _kind(intake: Intake, name: str, spec: ByHand) -> ByHandSheet:
    fed, lookups = intake.mapping.entities[spec.entity].columns, intake.survey.lookups
    types = {c.name: c for c in intake.survey.columns[spec.entity] if c.name in spec.columns}
    # A boolean takes words of its own.
    declared = {
        column: {choice: choice for choice in fed[column].choices}
        for column, of_type in types.items()
        if column in fed and fed[column].choices and of_type.stored_as != "boolean"
    }
    rows = {c: rowfile.read(intake.folder, lookups[p]) for c, p in spec.columns.items() if p}
    return ByHandSheet(
        name=name,
        spec=spec,
        types=types,
        choices={**declared, **{column: _labels(lines) for column, lines in rows.items()}},
        bounded={
            column: feed.not_before
            for column, feed in fed.items()
            if feed.not_before and {column, feed.not_before} & spec.columns.keys()
        },
    )


def _labels(rows: Iterable[rowfile.Row]) -> dict[str, str]:
    """Label -> id. A part of the id is added if two rows have the same name, or nobody sees it."""
    named = [(workbook.shown(v, longest=LONGEST_LABEL), key) for key, v in rows if key and v]
    counts = Counter(name_key(value) for value, _ in named)
    labels: dict[str, str] = {}
    taken = set(counts)
    for value, key in named:
        if counts[name_key(value)] == 1 and clean(value)[0].strip():
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


def is_over(spec: ByHand, row: Row, as_of: datetime, zone: ZoneInfo) -> bool:
    """Whether the row is of the past, by the column that the mapping names for that."""
    return bool(spec.future) and convert.is_over(row.get(spec.future), as_of, zone)


def titles_of(kind: ByHandSheet) -> tuple[str, ...]:
    """The heads of a sheet's columns: the key, what is shown, what is asked for, the mark."""
    return (KEY, *titles_shown(kind), *titles_asked(kind).values(), MARK)


def titles_shown(kind: ByHandSheet) -> tuple[str, ...]:
    """The heads of what is shown; none is one that a column to fill in has, or had once."""
    taken = {name_key(name) for both in titles_asked(kind).items() for name in both}
    words = ((place, in_words(kind, place)) for place in kind.spec.show)
    return tuple(
        f"{word} (as it is)" if place in kind.columns or name_key(word) in taken else word
        for place, word in words
    )


def titles_asked(kind: ByHandSheet) -> dict[str, str]:
    """Column to fill in -> its head; its own name where two would be called alike."""
    words = {column: in_words(kind, column) for column in kind.columns}
    counts = Counter(name_key(word) for word in words.values())
    shown = {name_key(in_words(kind, place)) for place in kind.spec.show if place not in words}
    return {
        column: word if counts[name_key(word)] == 1 and name_key(word) not in shown else column
        for column, word in words.items()
    }


def in_words(kind: ByHandSheet, place: str) -> str:
    """The head of one column: as the mapping says, else its name without underscores."""
    name = place.rpartition(".")[2].removesuffix("_id").replace("_", " ")
    return kind.spec.titles.get(place) or name[:1].upper() + name[1:]


def sheet_name(kind: ByHandSheet) -> str:
    """The name of a kind's sheet."""
    return kind.name.replace("_", " ")


def label_of(kind: ByHandSheet, column: str, value: str | None) -> str:
    """The label of a value; the value itself if it is not one of the choices."""
    return kind.called.get(column, {}).get(value or "", value or "")


# Column -> the hash of the text that we wrote into its cell, and the value if it was given before.
# SHOWN -> the hashes of the cells that show whose line it is, "" of an empty one.
# RECORD -> the hash of the FileMaker id of a row that is still to come: its number may yet be given
# to another record.
Written = Mapping[str, Sequence[str]]
SHOWN, RECORD = "", "*"


def content_hash(cell: Any) -> str:
    """A hash of a cell's content, without regard to blanks: programs change them on saving."""
    return private.sha256(" ".join(str(cell).split()).encode())[:16]


def whole_mark(line: SheetRow, written: Written) -> str:
    """The last cell of a line: the line's mark, and the hashes of the cells that we wrote.

    The hashes are bound to the row's key: copied to another line they do not count.
    """
    content = json.dumps(written, sort_keys=True)
    return f"{line.mark} {content_hash(line.key + content)} {content}"


def read_mark(key: str, text: str) -> tuple[str, Written]:
    """The mark of a line, and the hashes of what we wrote; no hashes if they are another line's."""
    mark, _, rest = text.partition(" ")
    proof, _, content = rest.partition(" ")
    is_ours = content and proof == content_hash(key + content)
    return (mark, json.loads(content)) if is_ours else (mark, {})


@dataclass(frozen=True, slots=True)
class Unusable:
    """A cell that holds neither a text nor a date, and why."""

    problem: str


def content_of(cell: Any) -> str | date | Unusable | None:
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
