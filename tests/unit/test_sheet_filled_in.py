"""The by-hand sheet as people give it back: read as it is shown, or refused by its place."""

from __future__ import annotations

import os
import re
import time as clock
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from nexus_reimport.errors import StopError
from nexus_reimport.nexus.structure.catalog import Column
from nexus_reimport.planning import manual
from nexus_reimport.planning.manual import SheetRow
from support.by_hand_sheets import booked, fill, kind, of_plan_dates, written
from support.exported_files import _strict
from support.other_programs import as_excel, as_libreoffice, rewritten, since_1904


@pytest.mark.parametrize("is_old", [False, True])
def test_a_sheet_with_heads_in_words_is_read_and_so_is_an_older_one(
    tmp_path: Path, is_old: bool
) -> None:
    path = of_plan_dates(tmp_path)
    book = load_workbook(path)
    sheet = book["plan dates"]
    if is_old:
        del book[manual.EXPLAINED]
        sheet.title = "plan_dates"
        for cell, name in (("E1", "clinic_id"), ("F1", "seen_on"), ("G1", "remark")):
            sheet[cell].value = name
    sheet["E2"], sheet["F2"], sheet["G2"] = "north", datetime(2026, 1, 31), 12
    sheet["F4"] = "2026-02-28"
    book.save(path)
    given = manual.read(path, [booked()]).cells
    found = {(key, column): cell.value for (_, key, column), cell in given.items() if key != "b"}
    assert found == {
        ("c", "clinic_id"): "1",
        ("c", "seen_on"): "2026-01-31",
        ("c", "remark"): "12",
        ("a", "seen_on"): "2026-02-28",
    }


def test_a_stray_cell_far_away_does_not_make_the_sheet_endless(tmp_path: Path) -> None:
    one = kind({"North": "1"})
    path = written(tmp_path, one, "a", "b")
    fill(path, "North", XFD1048576="a note", XFD1="own title", H3="beside")
    started = clock.monotonic()
    assert [c.value for c in manual.read(path, [one]).cells.values()] == ["1"]
    assert clock.monotonic() - started < 300  # it was seventeen billion cells
    fill(path, "North", C1048576="North")
    with pytest.raises(StopError, match="sheet sites, line 1048576: has no Nexus id"):
        manual.read(path, [one])


def test_columns_may_be_moved_added_and_hidden_and_lines_filtered(tmp_path: Path) -> None:
    one = kind({"North": "1"})
    path = written(tmp_path, one, "a", "b")
    book = load_workbook(path)
    sheet = book["sites"]
    sheet.insert_cols(1, 2)
    sheet["A1"], sheet["A2"] = "my notes", "ask her"
    sheet.move_range("E1:E3", cols=5)
    sheet["J2"] = " north "
    sheet.auto_filter.ref = "A1:J3"
    sheet.row_dimensions[2].hidden = True
    book.save(path)
    assert [c.value for c in manual.read(path, [one]).cells.values()] == ["1"]
    sheet["K1"] = "site_id"
    book.save(path)
    with pytest.raises(StopError, match="sheet sites: several columns are called Site"):
        manual.read(path, [one])


def moved_up(sheet: Any) -> None:
    """A line is deleted as far as it is seen, without the hidden cells at both ends."""
    sheet.move_range("B3:C3", rows=-1)


def sorted_without_the_hidden(sheet: Any) -> None:
    for column in "BC":
        first, last = sheet[f"{column}2"], sheet[f"{column}3"]
        first.value, last.value = last.value, first.value


def without_a_name(sheet: Any) -> None:
    sheet["B3"].value = None


@pytest.mark.parametrize("change", [moved_up, sorted_without_the_hidden, without_a_name])
def test_a_value_beside_another_patients_name_is_refused(
    tmp_path: Path, change: Callable[[Any], None]
) -> None:
    """The hidden cells say whose line it is, and a person reads the others."""
    one = kind({"North": "1"})
    path = written(tmp_path, one, "Winter", "Summer")
    fill(path, None, "North")
    book = load_workbook(path)
    change(book["sites"])
    book.save(path)
    with pytest.raises(StopError, match=r"line [23]: Site: the line shows other values than") as no:
        manual.read(path, [one])
    assert "Summer" not in str(no.value)


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"A1": "id"}, "sheet sites: there is no column Nexus id"),
        ({"A1": "id", "C1": "where"}, "sheet sites: there is no column Nexus id, Site"),
        ({"D1": None}, "sheet sites: there is no column as it was"),
        ({"F1": "SITE"}, "sheet sites: several columns are called Site"),
        ({"F1": "Site", "G1": "site_id"}, "sheet sites: several columns are called Site"),
        ({"A3": "1"}, "sheet sites, line 3: Site: another line of this row has a different value"),
        ({"A3": None}, "sheet sites, line 3: has no Nexus id"),
        ({"C2": "East"}, "sheet sites, line 2: Site: is not one of the choices"),
    ],
)
def test_a_sheet_that_is_not_as_it_was_is_refused_by_its_place(
    tmp_path: Path, cells: dict[str, str | None], problem: str
) -> None:
    one = kind({"North": "1", "South": "2"})
    path = written(tmp_path, one, "a", "b")
    fill(path, *("North", "South"))
    assert [c.value for c in manual.read(path, [one]).cells.values()] == ["1", "2"]
    fill(path, **cells)
    with pytest.raises(StopError) as no:
        manual.read(path, [one])
    first, told, *_ = str(no.value).splitlines()
    assert (first, told.strip()) == ("1 cell of manual.xlsx cannot be used", problem)


def test_each_sheet_is_of_a_kind_however_it_is_spelt_and_no_other_is_taken(tmp_path: Path) -> None:
    one = kind({"North": "1"})
    path = written(tmp_path, one, "a")
    fill(path, "North")
    book = load_workbook(path)
    for sheet in book.worksheets:
        title, sheet.title = sheet.title, "-"  # the library renames what differs in case alone
        sheet.title = title.upper()
    book.save(path)
    assert len(manual.read(path, [one]).cells) == 1
    book.create_sheet("SITES 2")
    book.save(path)
    with pytest.raises(
        StopError, match="sheet SITES 2: there is no such kind of values; the kinds"
    ):
        manual.read(path, [one])
    assert manual.read(tmp_path / "none.xlsx", [one]) == manual.Given()


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u200b", "\n", "_x000D_"])
def test_a_cell_in_which_nobody_sees_anything_is_empty(tmp_path: Path, blank: str) -> None:
    one = kind(note="text")
    path = written(tmp_path, one, "a", "b")
    fill(path, blank, "x")
    assert [key for _, key, _ in manual.read(path, [one]).cells] == ["2"]


def test_a_row_is_known_by_its_id_in_any_case_and_by_its_entity(tmp_path: Path) -> None:
    upper = "0D0C1C5E-6F9B-5F7E-9A3C-2C1F6F3A7B11"
    one = kind({"North": "1", "South": "2"})
    other = replace(one, name="rooms", spec=one.spec.model_copy(update={"entity": "visits"}))
    path, line = tmp_path / "manual.xlsx", SheetRow(upper.lower(), ("a",), {})
    manual.write(path, [(one, [line]), (other, [line])])
    book = load_workbook(path)
    book["sites"]["A2"], book["sites"]["C2"], book["rooms"]["C2"] = f" {upper}", "North", "South"
    book.save(path)
    cells = {place: cell.value for place, cell in manual.read(path, [one, other]).cells.items()}
    key = upper.lower()
    assert cells == {("sites", key, "site_id"): "1", ("rooms", key, "site_id"): "2"}


def test_what_we_wrote_into_a_cell_counts_only_once_a_person_has_changed_it(tmp_path: Path) -> None:
    one, path = kind(note="text"), tmp_path / "manual.xlsx"
    given = SheetRow("1", ("a",), {"note": "given before"}, frozenset({"note"}))
    manual.write(path, [(one, [given, SheetRow("2", ("b",), {"note": "of Nexus"})])])

    def read() -> dict[str, tuple[str, bool]]:
        cells = manual.read(path, [one]).cells.items()
        return {key: (cell.value, cell.untouched) for (_, key, _), cell in cells}

    assert read() == {"1": ("given before", True)}
    fill(path, B2="respelt", B3="respelt")
    assert read() == {"1": ("given before", True)}
    fill(path, "new", "new", B2="a", B3="b")  # a grey cell is judged beside its row
    assert read() == {"1": ("new", False), "2": ("new", False)}


@pytest.mark.parametrize("value", ["a\x7fb", "x" * 32_767, "_x0041_"])
def test_a_value_that_was_given_stays_whatever_a_cell_can_show_of_it(
    tmp_path: Path, value: str
) -> None:
    one, path = kind(note="text"), tmp_path / "manual.xlsx"
    manual.write(path, [(one, [SheetRow("1", ("a",), {"note": value}, frozenset({"note"}))])])
    (cell,) = manual.read(path, [one]).cells.values()
    assert (cell.value, cell.untouched) == (value, True)


@pytest.mark.parametrize("is_here", [False, True])
@pytest.mark.parametrize(
    ("name", "stops"),
    [
        ("manual (1).xlsx", True),
        ("manual - Kopie.xlsx", True),
        ("MANUAL.xlsx", True),
        ("manual.ods", True),
        ("manual-of-the-scanner.xlsx", False),
        ("manual.pdf", False),
    ],
)
def test_a_newer_workbook_that_would_not_be_read_is_told(
    tmp_path: Path, name: str, stops: bool, is_here: bool
) -> None:
    one = kind({"North": "1"})
    path = written(tmp_path, one, "a")
    beside = tmp_path / name
    beside.write_bytes(b"" if is_here else path.read_bytes())
    if not is_here:
        path.unlink()
    else:
        os.utime(path, (0, 0))
    if not stops:
        assert not manual.read(path, [one]).cells
        return
    with pytest.raises(StopError, match=re.escape(f"{name} may be manual.xlsx filled in")):
        manual.read(path, [one])
    if is_here:
        os.utime(path)  # now the other one is of before
        assert not manual.read(path, [one]).cells


def test_what_we_wrote_into_another_line_counts_as_given_by_a_person(tmp_path: Path) -> None:
    """Copied with its hidden cells, a value of one patient must be judged in another's line."""
    one, path = kind(note="text"), tmp_path / "manual.xlsx"
    given = SheetRow("1", ("a",), {"note": "given before"}, frozenset({"note"}))
    other = SheetRow("2", ("b",), {"note": None})
    manual.write(path, [(one, [given, other])])
    book = load_workbook(path)
    for column in "CD":
        book["sites"][f"{column}3"].value = book["sites"][f"{column}2"].value
    book.save(path)
    cells = {key: cell for (_, key, _), cell in manual.read(path, [one]).cells.items()}
    assert {key: cell.untouched for key, cell in cells.items()} == {"1": True, "2": False}
    assert cells["2"].mark == given.mark != other.mark, "so its line is stale"


def test_a_choice_that_was_given_before_stays_whatever_it_is_called_by_now(tmp_path: Path) -> None:
    path = tmp_path / "manual.xlsx"
    line = SheetRow("1", ("a",), {"site_id": "7"}, frozenset({"site_id"}))
    manual.write(path, [(kind({"North": "7"}), [line])])
    renamed = kind({"North East": "7", "North": "8"})
    (cell,) = manual.read(path, [renamed]).cells.values()
    assert (cell.value, cell.untouched) == ("7", True)
    fill(path, "north east")
    (cell,) = manual.read(path, [renamed]).cells.values()
    assert (cell.value, cell.untouched) == ("7", False)


ROUNDED = "is a number that may differ from what is shown"


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        (("varchar", 4), " four ", "four"),
        (("varchar", 4), "a_x000D_\nb_x000B_", "a\nb"),  # as FileMaker's own line ends
        (("varchar", 4), "fives", "longer than 4 characters"),
        (("integer", None), "7", "7"),
        (("integer", None), "7.5", "not a whole number"),
        (("text", None), -7, "-7"),
        (("text", None), -(10**15), f"{ROUNDED}: format the cell as text"),
        (("boolean", None), "yes", "t"),
        (("boolean", None), "maybe", "neither yes nor no"),
        (("date", None), date(2026, 1, 31), "2026-01-31"),
        (("date", None), datetime(2026, 1, 31, 9, 30), "2026-01-31"),
        (("date", None), " 2026-01-31 ", "2026-01-31"),
        (("date", None), "31.1.2026", "is not a date: use a date cell, or write it as 2026-01-31"),
    ],
)
def test_what_a_column_cannot_hold_is_refused_by_its_line(
    tmp_path: Path, column: tuple[str, int | None], cell: Any, value: str
) -> None:
    type_name, length = column
    of_type = Column("note", type_name, False, False, False, length, type_name)
    one = replace(kind(note="text"), types={"note": of_type})
    path = written(tmp_path, one, "a")
    fill(path, cell)
    if len(value) < 11:
        assert [c.value for c in manual.read(path, [one]).cells.values()] == [value]
        return
    with pytest.raises(StopError) as no:
        manual.read(path, [one])
    assert f"sheet sites, line 2: Note: {value}\n" in str(no.value)


def test_what_a_line_shows_may_be_respelt_noted_beside_moved_or_removed(tmp_path: Path) -> None:
    one = kind({"North": "1"})
    path = written(tmp_path, one, "Ida  Winter", "")
    fill(path, "North", "North", B2="a note where nothing was shown", B3=" Ida Winter ")
    assert len(manual.read(path, [one]).cells) == 2
    book = load_workbook(path)
    sheet = book["sites"]
    sheet.move_range("B1:B3", cols=6)  # to the end
    book.save(path)
    assert len(manual.read(path, [one]).cells) == 2
    sheet.delete_cols(8)
    book.save(path)
    assert len(manual.read(path, [one]).cells) == 2


FILLED = {("c", "clinic_id"): "1", ("c", "seen_on"): "2026-01-31", ("a", "remark"): "12"}


def of_inline(content: bytes) -> bytes:
    """As openpyxl's other way of writing, and some programs of the web, save it."""
    return content


@pytest.mark.parametrize(
    "saved",
    [
        of_inline,
        as_excel,
        partial(as_excel, in_runs=True),
        as_libreoffice,
        since_1904,
        lambda content: as_libreoffice(as_excel(content)),
    ],
)
def test_what_was_filled_in_is_read_whatever_program_has_saved_it(
    tmp_path: Path, saved: Callable[[bytes], bytes]
) -> None:
    path = of_plan_dates(tmp_path)

    def filled(name: str, part: str) -> str:
        """The cells as a program writes them where a person has chosen, typed, or typed a day."""
        if name != "xl/worksheets/sheet2.xml":
            return part
        text = '<c r="{}" t="inlineStr"><is><t>{}</t></is></c>'
        part = re.sub(r'<c r="E2"[^>]*/>', text.format("E2", "North"), part)
        part = re.sub(r'<c r="F2"[^>]*/>', '<c r="F2" s="9" t="n"><v>46053</v></c>', part)
        return re.sub(r'<c r="G4"[^>]*/>', text.format("G4", "12"), part)

    path.write_bytes(saved(rewritten(path.read_bytes(), filled)))
    cells = manual.read(path, [booked()]).cells
    assert {(k, c): cell.value for (_, k, c), cell in cells.items() if not cell.untouched} == FILLED


def test_a_line_that_the_library_would_leave_out_is_told(tmp_path: Path) -> None:
    path = of_plan_dates(tmp_path)

    def again(name: str, part: str) -> str:
        return part.replace('<row r="4"', '<row r="3"') if "sheet2" in name else part

    path.write_bytes(rewritten(path.read_bytes(), again))
    with pytest.raises(StopError, match="sheet plan dates: row 3 comes twice, or after a later"):
        manual.read(path, [booked()])


def test_a_workbook_that_was_sorted_filtered_and_put_in_another_order_is_the_same(
    tmp_path: Path,
) -> None:
    path = of_plan_dates(tmp_path)
    book = load_workbook(path)
    sheet = book["plan dates"]
    sheet["E2"], sheet["F2"], sheet["G4"] = "North", date(2026, 1, 31), "12"
    lines = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
    for number, line in enumerate(reversed(lines), 2):
        for column, value in enumerate(line, 1):
            sheet.cell(number, column).value = value
    sheet.auto_filter.add_filter_column(2, ["Winter"])
    sheet.auto_filter.add_sort_condition("B2:B4")
    book.move_sheet("plan dates", 1)
    book.save(path)
    load_workbook(path).save(path)  # and by another one again
    cells = manual.read(path, [booked()]).cells
    assert {(k, c): cell.value for (_, k, c), cell in cells.items() if not cell.untouched} == FILLED


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ('<c r="F2" t="n"><v>46053</v></c>', "is not a date"),
        ('<c r="F2" t="b"><v>1</v></c>', "is yes or no"),
        ('<c r="F2" t="e"><v>#NAME?</v></c>', "is an error"),
        ('<c r="F2" s="9"><f>TODAY()</f><v>46053</v></c>', "is a formula"),
        ('<c r="F2" t="str"><f>A1</f><v>2026-01-31</v></c>', "is a formula"),
    ],
)
def test_a_cell_of_another_kind_is_refused_by_its_line(
    tmp_path: Path, cell: str, problem: str
) -> None:
    path = of_plan_dates(tmp_path)
    filled = re.compile(r'<c r="F2"[^>]*/>')
    path.write_bytes(rewritten(path.read_bytes(), lambda _, part: filled.sub(cell, part)))
    with pytest.raises(StopError, match=f"sheet plan dates, line 2: Seen on: {problem}"):
        manual.read(path, [booked()])


def test_a_day_as_iso_text_of_the_standard_is_a_day(tmp_path: Path) -> None:
    path = of_plan_dates(tmp_path)
    cell, day = re.compile(r'<c r="F2"[^>]*/>'), '<c r="F2" t="d"><v>2026-01-31T00:00:00</v></c>'
    path.write_bytes(rewritten(path.read_bytes(), lambda _, part: cell.sub(day, part)))
    cells = manual.read(path, [booked()]).cells
    assert cells["plan_dates", "c", "seen_on"].value == "2026-01-31"


def test_a_strict_workbook_is_taken_back_too(tmp_path: Path) -> None:
    one = kind({"North": "1"})
    path = written(tmp_path, one, "a")
    fill(path, "North")
    path.write_bytes(_strict(path.read_bytes()))
    assert [c.value for c in manual.read(path, [one]).cells.values()] == ["1"]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("x", "x"),
        (5, "5"),
        (5.0, "5"),
        (2.5, "2.5"),
        ("0412 345", "0412 345"),
        ("=x", None),
        (date(2026, 1, 31), "is a date"),
        (time(9, 30), "is a time"),
        (True, "is yes or no"),
        (1234567890123456, "is a number that may differ"),
        ("#N/A", "is an error"),
    ],
)
def test_a_text_is_taken_as_it_is_shown_or_refused(cell: Any, value: str, tmp_path: Path) -> None:
    one = kind(note="text")
    path = written(tmp_path, one, "a")
    fill(path, cell)
    if value and not value.startswith("is "):
        assert [c.value for c in manual.read(path, [one]).cells.values()] == [value]
        return
    with pytest.raises(StopError, match=value or "is a formula"):
        manual.read(path, [one])


def test_a_number_that_shows_another_text_is_refused(tmp_path: Path) -> None:
    one = kind(note="text")
    path = written(tmp_path, one, "a")
    book = load_workbook(path)
    book["sites"]["C2"].value, book["sites"]["C2"].number_format = 412345678, "0000000000"
    book.save(path)
    with pytest.raises(
        StopError, match="line 2: Note: is a number that may differ from what is shown"
    ):
        manual.read(path, [one])


def test_a_text_that_begins_like_a_formula_is_a_choice_like_any_other(tmp_path: Path) -> None:
    one = kind({"=North": "1"})
    path = written(tmp_path, one, "a")
    book = load_workbook(path)
    book["sites"]["C2"].value, book["sites"]["C2"].data_type = "=North", "s"
    book.save(path)
    assert [c.value for c in manual.read(path, [one]).cells.values()] == ["1"]
    fill(path, datetime(2026, 1, 31))
    with pytest.raises(StopError, match="is not one of the choices"):
        manual.read(path, [one])
