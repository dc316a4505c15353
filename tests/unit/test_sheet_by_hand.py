"""The by-hand sheet as it is written: what a receptionist sees, and finds to fill in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from openpyxl import load_workbook

from nexus_reimport import PACKAGE, mapping
from nexus_reimport.errors import MappingError, StopError
from nexus_reimport.planning import manual
from nexus_reimport.planning.manual import SheetRow
from nexus_reimport.planning.manual.sheet import _labels
from support.by_hand_sheets import CONTROLS, booked, fill, kind, of_plan_dates, written

SECRET = "Quillfeather"

SYDNEY = ZoneInfo("Australia/Sydney")


class Looked(dict[str, str]):
    """Choices that count how often they are all gone through."""

    times = 0

    def __iter__(self) -> Iterator[str]:
        self.times += 1
        return super().__iter__()

    def items(self) -> Any:
        self.times += 1
        return super().items()


def test_choices_are_gone_through_once_and_not_for_each_cell(tmp_path: Path) -> None:
    """Where rows of a large table are the choices, each cell went through all of them."""
    one = kind(Looked({"North": "1", "South": "2", "north ": "3"}))
    path = written(tmp_path, one, *(f"person {n}" for n in range(100)))
    assert one.choices["site_id"].times < 10
    fill(path, *["South"] * 100)
    given = manual.read(path, [one])
    assert [cell.value for cell in given.cells.values()] == ["2"] * 100
    assert one.choices["site_id"].times < 10


def test_of_two_labels_of_one_value_the_first_is_shown() -> None:
    one = kind({"North": "1", "The north": "1"})
    assert manual.sheet.label_of(one, "site_id", "1") == "North"
    assert [manual.sheet.label_of(one, "site_id", v) for v in ("7", "", None)] == ["7", "", ""]


def test_a_row_of_nexus_may_hold_any_character(tmp_path: Path) -> None:
    """The library refused the cell, and its error was the patient's name."""
    path = written(tmp_path, kind(note="text"), f"{SECRET}\x1d", f"=1+1{CONTROLS}", "_x0041_")
    shown = {row[0]: row[1] for row in load_workbook(path)["sites"].iter_rows(values_only=True)}
    assert shown["1"] == f"{SECRET}\ufffd"
    assert shown["3"] == "_x005F_x0041_"  # which every spreadsheet shows as _x0041_
    marks = {SheetRow("1", (f"{SECRET}{end}",), {}).mark for end in ("", "\x1d", "\x02", "\ufffd")}
    assert len(marks) == 4  # a mark is of the row, not of what a cell can show of it


def test_a_workbook_that_cannot_be_written_is_told_without_a_value(tmp_path: Path) -> None:
    broken: Any = [
        (kind(note="text"), [SheetRow("1", (SECRET,), {"note": 5}, frozenset({"note"}))])
    ]
    with pytest.raises(StopError, match=r"manual.xlsx cannot be written \(TypeError\)") as told:
        manual.write(tmp_path / "manual.xlsx", broken)
    assert SECRET not in str(told.value)
    assert told.value.__suppress_context__ or told.value.__context__ is None
    with pytest.raises(StopError, match="cannot be written"):
        manual.write(tmp_path / "nowhere" / "manual.xlsx", [])


def test_a_receptionist_reads_words_and_finds_what_to_fill_in(tmp_path: Path) -> None:
    book = load_workbook(of_plan_dates(tmp_path))
    assert book.sheetnames == [manual.EXPLAINED, "plan dates", manual.CHOICES]
    told = [str(c.value) for row in book[manual.EXPLAINED].iter_rows() for c in row if c.value]
    assert "Where is it? Only those that are still to come are listed." in told
    assert "nothing is missing" in told, "a kind without lines has no sheet"
    assert {"to fill in", "in Nexus already: leave it"} <= {*told}
    sheet = book["plan dates"]
    heads = [cell.value for cell in sheet[1]]
    assert heads[1:-1] == [
        "Start time",
        "Last name",
        "Date of birth",
        "Clinic",
        "Seen on",
        "Remark",
    ]
    assert [sheet.cell(n, 1).value for n in (2, 3, 4)] == ["c", "b", "a"], "what is over comes last"
    fills = {c.coordinate: c.fill.fgColor.rgb for row in sheet.iter_rows() for c in row}
    (allowed,) = sheet.data_validations.dataValidation
    assert (str(allowed.sqref), allowed.formula1) == ("E2:E4", "choices!$A$1:$A$2")
    assert (fills["E2"], fills["E3"], fills["B2"]) == ("00FFF2CC", "00D9D9D9", "00000000")
    assert sheet["B2"].value == datetime(2026, 12, 1, 10), "it can be sorted and filtered by date"
    assert (sheet["F2"].number_format, sheet["G2"].number_format) == ("yyyy-mm-dd", "@")


@pytest.mark.parametrize(
    ("shown", "cell"),
    [
        ("2026-01-02", datetime(2026, 1, 2)),
        ("2026-01-02 09:30", datetime(2026, 1, 2, 9, 30)),
        *((text, text) for text in ("20260102", "2026-02-30", "1850-01-02", "2026-01-02 9:30")),
        *((text, text) for text in ("2026-W01-2", "2026-01-02 09:30+11", "-", "00123", "=1+1")),
    ],
)
def test_what_is_shown_is_a_date_only_if_it_is_one(tmp_path: Path, shown: str, cell: Any) -> None:
    """Python reads dates in more forms: an insurance number of eight digits would be one."""
    path = written(tmp_path, kind({"North": "1"}), shown)
    assert load_workbook(path)["sites"]["B2"].value == cell
    fill(path, "North")
    assert [c.value for c in manual.read(path, [kind({"North": "1"})]).cells.values()] == ["1"]


def test_a_sheet_is_printed_whole_on_a4(tmp_path: Path) -> None:
    sheet = load_workbook(of_plan_dates(tmp_path))["plan dates"]
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:H4")
    assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
    assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (1, 0)
    assert sheet.sheet_properties.pageSetUpPr is not None
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    assert sheet.print_title_rows == "$1:$1"
    assert (sheet.column_dimensions["A"].hidden, sheet.column_dimensions["H"].hidden) == (
        True,
        True,
    )


def test_what_is_over_is_known_by_the_column_that_the_mapping_names() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    cases = {"2026-02-28 23:59:59+00": True, "2026-03-01 01:00:00+01": False, "infinity": False}
    cases |= {"2026-03-01 00:00:01+00": False, "": False}
    # A date is over when the clinic's own day is; a year may be one that Python cannot hold.
    cases |= {"2026-02-28": True, "2026-03-01": False, "0044-03-15 00:00:00+00 BC": True}
    for value, is_over in cases.items():
        assert manual.is_over(booked().spec, {"start_time": value}, now, SYDNEY) is is_over, value
    assert not manual.is_over(kind().spec, {"start_time": "2020-01-01 00:00:00+00"}, now, SYDNEY)


def test_choices_that_show_alike_are_told_apart(tmp_path: Path) -> None:
    key = "0123456789abcdef"
    rows = [
        ("North\x1d", f"{key}1"),
        ("North\x02", f"{key}2"),
        ("north\ufffd", "9"),
        ("South", "7"),
        ("\u200b", "10"),
        ("x" * 300 + "a", "5"),
        ("x" * 300 + "b", "6"),
        ("Präsenz", "3"),
        (unicodedata.normalize("NFD", "Präsenz"), "4"),
    ]
    nameless: list[tuple[str | None, str | None]] = [("8", None), ("8", ""), (None, "East")]
    labels = _labels([*((key, name) for name, key in rows), *nameless])
    assert sorted(labels.values()) == sorted(key for _, key in rows)
    by_key = {v: k for k, v in labels.items()}
    assert by_key[f"{key}1"] == "North\ufffd (01234567)", "as short as can be told apart"
    assert by_key[f"{key}2"] == f"North\ufffd ({key}2)"
    one = kind(labels, site_id="text")
    path = written(tmp_path, one, *"abcdefghi")
    fill(path, *labels)
    given = manual.read(path, [one]).cells
    assert [cell.value for cell in given.values()] == list(labels.values())


@pytest.mark.parametrize("shown", ["person_id.note", "person_id.site_id", "note", "site_id"])
def test_what_is_shown_and_what_is_asked_for_are_never_called_alike(
    tmp_path: Path, shown: str
) -> None:
    one = kind(note="text", site_id="text")
    one = replace(one, spec=one.spec.model_copy(update={"show": (shown,)}))
    path = written(tmp_path, one, "a")
    fill(path, "x")
    fill(path, "y", column=4)
    given = {column: c.value for (_, _, column), c in manual.read(path, [one]).cells.items()}
    assert given == {"note": "x", "site_id": "y"}


@pytest.mark.parametrize(
    "name",
    ["a/b", "x" * 32, "Choices", "history", "CLINICS", "a'b[1]", "read_me_first", "plan dates"],
)
def test_a_kind_that_no_sheet_can_be_called_is_refused_with_the_mapping(
    name: str, tmp_path: Path
) -> None:
    text = (PACKAGE / "mappings" / "nexus.toml").read_text()
    assert "[by_hand.clinics]" in text
    assert "[by_hand.funding]" in text
    (tmp_path / "own.toml").write_text(text.replace("[by_hand.funding]", f'[by_hand."{name}"]'))
    with pytest.raises(MappingError, match="cannot be the name of a sheet"):
        mapping.load("own.toml", tmp_path)
