"""What people put into the by-hand sheet, at random, and what must become of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from openpyxl import load_workbook

from oracle.seen import MAPPING, Mapped, Row

KINDS: Mapping[str, Mapped] = MAPPING["by_hand"]
Given = Mapping[tuple[str, str, str], str]  # kind, Nexus id, column -> the value, as a text
_TO_FILL_IN = "FFF2CC"
_TEXTS = {
    "coordinator_name": ("Winter", "Ann O'Brien"),
    "coordinator_date": ("2021-05-06",),
    "plan_start_date": ("1999-01-01",),
    "plan_end_date": ("2040-12-31",),
}


def fill(random: Random, path: Path, tables: Mapping[str, Sequence[Row]]) -> None:
    """Fill in some of the cells that are to be filled in, as people who sort and delete do."""
    book = load_workbook(path)
    for _, column, cell in _cells(book):
        if not cell.value and random.random() < 0.3:
            labels = sorted(_labels(column, tables))
            cell.value = random.choice(labels or _TEXTS[column])
    for sheet in book.worksheets:
        if sheet.title.replace(" ", "_") in KINDS and sheet.max_row > 2 and random.random() < 0.2:
            sheet.delete_rows(random.randint(2, sheet.max_row))
    book.save(path)


def given(path: Path, tables: Mapping[str, Sequence[Row]]) -> Given:
    """The values that lie in the sheet, of this run or of one before."""
    return {
        (kind, key, column): _labels(column, tables).get(cell.value, str(cell.value))
        for (kind, key), column, cell in (_cells(load_workbook(path)) if path.is_file() else ())
        if cell.value
    }


def _cells(book: Any) -> Iterator[tuple[tuple[str, str], str, Any]]:
    """Kind and Nexus id, column, and the cell."""
    for sheet in book.worksheets:
        kind = sheet.title.replace(" ", "_")
        heads = [cell.value for cell in sheet[1]]
        for column in KINDS[kind]["columns"] if kind in KINDS else ():
            words = column.removesuffix("_id").replace("_", " ").capitalize()
            place = heads.index(KINDS[kind].get("titles", {}).get(column, words))
            for line in sheet.iter_rows(min_row=2):
                if line[place].fill.fgColor.rgb[2:] == _TO_FILL_IN:
                    yield (kind, line[0].value), column, line[place]


def _labels(column: str, tables: Mapping[str, Sequence[Row]]) -> dict[str, str]:
    """The choices of a column that mean one row alone -> its id."""
    place = next(
        c for kind in KINDS.values() for name, c in kind["columns"].items() if name == column
    )
    table, _, name = place.partition(".")
    counts = Counter(str(row[name]).casefold() for row in tables[table]) if place else Counter()
    return {
        row[name]: str(row["id"])
        for row in (tables[table] if place else ())
        if row[name] and row[name].strip() and counts[row[name].casefold()] == 1
    }


def filled(rows: Mapping[str, Mapping[str, Row]], values: Given) -> Counter[tuple[str, str]]:
    """Put the values into the empty columns of the planned rows; what became of each kind's."""
    counts: Counter[tuple[str, str]] = Counter()
    for (kind, key, column), value in values.items():
        row = rows[KINDS[kind]["entity"]].get(key)
        counts[kind, "given"] += 1
        if row is None:
            counts[kind, "gone"] += 1
        elif row[column] not in (None, ""):
            counts[kind, "there"] += 1
        else:
            row[column] = value
            counts[kind, "used"] += 1
    for kind, spec in KINDS.items():
        for row in rows[spec["entity"]].values():
            is_asked = any(row[c] for c in spec["where_any"]) if "where_any" in spec else True
            counts[kind, "waiting"] += is_asked and not all(row[c] for c in spec["columns"])
    return counts
