"""By-hand sheets of made-up kinds: written, filled in, and read back without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from nexus_reimport.mapping import ByHand
from nexus_reimport.nexus.structure.catalog import Column
from nexus_reimport.planning import manual
from nexus_reimport.planning.manual import ByHandSheet, SheetRow

CONTROLS = "".join(map(chr, (*range(32), 0x7F, 0xFFFE, 0xFFFF, 0xD83D)))


def kind(choices: dict[str, str] | None = None, **types: str) -> ByHandSheet:
    columns = types or {"site_id": "integer"}
    return ByHandSheet(
        name="sites",
        spec=ByHand(entity="people", columns=dict.fromkeys(columns, ""), show=("family",)),
        types={n: Column(n, t, False, False, False, None, t) for n, t in columns.items()},
        choices={"site_id": choices} if choices else {},
    )


def written(folder: Path, one: ByHandSheet, *names: str) -> Path:
    """The workbook with a line for each of ``names``."""
    lines = [SheetRow(str(n), (name,), {"family": name}) for n, name in enumerate(names, 1)]
    manual.write(folder / "manual.xlsx", [(one, lines)])
    return folder / "manual.xlsx"


def fill(path: Path, *values: object, column: int = 3, **more: object) -> None:
    """Put ``values`` into one column, as a person does; ``more`` are other cells."""
    book = load_workbook(path)
    for line, value in enumerate(values, 2):
        book["sites"].cell(line, column).value = value
    for cell, value in more.items():
        book["sites"][cell] = value
    book.save(path)


def booked() -> ByHandSheet:
    """A kind as a receptionist meets it: shown in words, with choices, dates and texts."""
    types = {"clinic_id": "integer", "seen_on": "date", "remark": "text"}
    return ByHandSheet(
        name="plan_dates",
        spec=ByHand(
            entity="visits",
            columns={"clinic_id": "clinics.name", "seen_on": "", "remark": ""},
            show=("start_time", "patient_id.last_name", "dob"),
            future="start_time",
            ask="Where is it?",
            titles={"dob": "Date of birth"},
        ),
        types={n: Column(n, t, False, False, False, None, t) for n, t in types.items()},
        choices={"clinic_id": {"North": "1", "South": "2"}},
    )


def of_plan_dates(folder: Path) -> Path:
    def line(key: str, time: str, clinic: str | None = None, **more: Any) -> SheetRow:
        row = {"clinic_id": clinic, "seen_on": None, "remark": None}
        return SheetRow(key, (time, "Winter", "1950-02-03"), row, **more)

    path = folder / "manual.xlsx"
    lines = [
        line("a", "2026-11-30 09:30", is_over=True),
        line("b", "2027-01-02 09:30", "2"),
        line("c", "2026-12-01 10:00"),
    ]
    manual.write(path, [(booked(), lines), (kind(note="text"), [])])
    return path
