"""The workbook of values that only people know, filled in."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from openpyxl import Workbook, load_workbook

from nexus_reimport import mapping, runbook
from nexus_reimport.settings import BY_HAND_SHEET
from support.values import rows

Sheet = Any


def put_back(book: runbook.Runbook) -> tuple[Path, Workbook]:
    """The run's sheet, copied to where it is read; to be changed and saved there."""
    target = book.settings.by_hand_sheet
    shutil.copy(book.folder / BY_HAND_SHEET, target)
    return target, load_workbook(target)


def line_of(sheet: Sheet, key: str) -> int:
    return next(n for n in range(2, sheet.max_row + 1) if sheet.cell(n, 1).value == key)


def column_of(sheet: Sheet, name: str) -> int:
    """The column by its name in Nexus; its head is in words."""
    (kind,) = (k for n, k in mapping.load("nexus").by_hand.items() if n == sheet.title)
    words = name.removesuffix("_id").replace("_", " ").capitalize()
    head = kind.titles.get(name, words)
    return next(n for n in range(1, sheet.max_column + 1) if sheet.cell(1, n).value == head)


def asked_of(sheet: Sheet, name: str) -> list[str]:
    """The keys of the lines where this column is to be filled in."""
    lines, column = range(2, sheet.max_row + 1), column_of(sheet, name)
    return [sheet.cell(n, 1).value for n in lines if not sheet.cell(n, column).value]


def fill(sheet: Sheet, key: str, **values: object) -> None:
    for title, value in values.items():
        sheet.cell(line_of(sheet, key), column_of(sheet, title)).value = value


def without_clinic(book: runbook.Runbook) -> list[str]:
    """Patients that lack a clinic in Nexus, and by the plan."""
    return sorted(k for k, r in rows(book, "patients").items() if not r["clinic_id"])
