"""Values of exported files: dates, times, numbers, and what a spreadsheet has made of them."""

from __future__ import annotations

import warnings
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import convert
from nexus_reimport.errors import SettingsError, SourceError
from nexus_reimport.filemaker import NO_VALUE, ReadRequest, Remark
from nexus_reimport.filemaker.exports import cells
from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.exports import Style
from nexus_sandbox.filemaker.file import Field as StoredField
from nexus_sandbox.filemaker.file import FileTable, Record
from support.exported_files import (
    SUFFIXES,
    files,
    lines,
    read,
    table,
    workbook,
)

SYDNEY = ZoneInfo("Australia/Sydney")


def test_h21_days_are_never_swapped_and_no_second_form_is_tried(tmp_path):
    """All 2,842 birth dates were once lost, and days up to 12 silently swapped."""
    dates = (
        "3/4/2025",
        "13/4/2025",
        "2025-11-09",
        "4/13/2025",
        "31/2/2025",
        "3/4/25",
        "20251109",
        "",
        "03.04.2025",
        "03-04/2025",
    )

    def by(form):
        return [cells.as_text(day, "date", cells.Forms(form)) for day in dates]

    found = by("d/m/y")
    assert found[:2] == ["2025-04-03", "2025-04-13"]
    assert found[7:9] == ["", "2025-04-03"]
    for place in (2, 3, 4, 5, 6, 9):
        assert found[place] == f"{dates[place]} (not d/m/y)"
        with pytest.raises(convert.ConversionError):
            convert.iso_date(found[place])
    by_month = by("m/d/y")
    assert by_month[:2] == ["2025-03-04", "13/4/2025 (not m/d/y)"]
    assert (by_month[3], by_month[8]) == ("2025-04-13", "2025-03-04")
    iso = by("y-m-d")
    assert (iso[0], iso[2], iso[6]) == (
        "3/4/2025 (not y-m-d)",
        "2025-11-09",
        "20251109 (not y-m-d)",
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_h21_a_date_as_text_needs_a_declared_form(suffix, kind, tmp_path):
    stored = "2025-11-09 09:30:00"[: 10 if kind == "date" else None]
    exports.write(
        table({"d": ""}, {"d": stored}, d=kind), tmp_path / f"t{suffix}", Style(text_dates=True)
    )
    source = files(tmp_path, dates=None)
    assert source.count(f"t{suffix}") == 2
    with pytest.raises(SettingsError) as stopped:
        read(source, f"t{suffix}", d=kind)
    assert str(stopped.value) == (
        "column d: 1 date is written as text, and the form is not declared"
        " (readable: 1 as d/m/y, 1 as m/d/y)\n"
        f"  where: channel=exports, file=t{suffix}\n"
        "  state: nothing was written\n"
        '  next:  write dates = "d/m/y", "m/d/y" or "y/m/d", as the file has it,'
        " under [filemaker.exports]"
    )


def test_a_form_is_not_needed_where_no_date_is_text(tmp_path):
    exports.write(table({"d": "2025-11-09"}, d="date"), tmp_path / "t.xlsx")
    assert read(files(tmp_path, dates=None), "t.xlsx", d="date")[0]["d"] == "2025-11-09"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (datetime(2025, 11, 9), "2025-11-09"),
        (date(2025, 11, 9), "2025-11-09"),
        (" 9/11/2025 ", "2025-11-09"),
        (" ", ""),
        (None, ""),
        ("?", None),
        (cells.Failed.FAILED, None),
    ],
)
def test_dates(cell, text):
    assert cells.as_text(cell, "date", cells.Forms("d/m/y")) == text


@pytest.mark.parametrize(
    "cell",
    [
        45_970,
        45_970.0,
        20_251_109,
        True,
        time(9, 30),
        timedelta(hours=26),
        datetime(2025, 11, 9, 9, 30),
        "2025-11-09",
        "soon",
    ],
)
def test_what_is_no_date_is_passed_on_and_refused(cell):
    text = cells.as_text(cell, "date", cells.Forms("d/m/y"))
    assert str(cell) in text
    with pytest.raises(convert.ConversionError):
        convert.iso_date(text)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (datetime(2025, 11, 9, 9, 30), "2025-11-09 09:30:00"),
        (datetime(2025, 11, 9, 9, 30, 0, 500_000), "2025-11-09 09:30:00.500000"),
        (datetime(2025, 11, 9), "2025-11-09 00:00:00"),
        (date(2025, 11, 9), "2025-11-09 00:00:00"),
        ("9/11/2025 9:30", "2025-11-09 09:30:00"),
        ("09/11/2025 09:30:07", "2025-11-09 09:30:07"),
        ("9/11/2025 9:30:07.25 pm", "2025-11-09 21:30:07.25"),
        ("9/11/2025 12:00 AM", "2025-11-09 00:00:00"),
        ("9/11/2025  9:30:07\u202fPM", "2025-11-09 21:30:07"),
        ("", ""),
    ],
)
def test_timestamps(cell, text):
    assert cells.as_text(cell, "timestamp", cells.Forms("d/m/y")) == text
    if text:
        assert convert.timestamp(text, SYDNEY).value


@pytest.mark.parametrize(
    "cell",
    [
        45_970.4,
        20_251_109,
        False,
        time(9, 30),
        timedelta(hours=26),
        "9/11/2025",
        "9:30",
        "2025-11-09 09:30:00",
        "9/11/2025 25",
        "9/11/2025 13:00 PM",
    ],
)
def test_what_is_no_timestamp_is_passed_on_and_refused(cell):
    text = cells.as_text(cell, "timestamp", cells.Forms("d/m/y"))
    assert str(cell) in text
    with pytest.raises(convert.ConversionError):
        convert.timestamp(text, SYDNEY)


def test_a_declared_iso_timestamp_may_have_a_t(tmp_path):
    forms = cells.Forms("y-m-d")
    assert cells.as_text("2025-11-09T9:30:00", "timestamp", forms) == "2025-11-09 09:30:00"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (time(9, 30), "09:30:00"),
        (time(9, 30, 0, 250_000), "09:30:00.25"),
        (timedelta(days=1), "24:00:00"),
        (timedelta(hours=26, minutes=30), "26:30:00"),
        (timedelta(), "00:00:00"),
        (0.5, "12:00:00"),
        (1, "24:00:00"),
        (1.5, "36:00:00"),
        (datetime(1900, 1, 1), "24:00:00"),
        (datetime(1900, 1, 1, 2, 30), "26:30:00"),
        (datetime(1900, 1, 31), "744:00:00"),
        ("9:30", "09:30:00"),
        ("09:30:07", "09:30:07"),
        ("24:00:00", "24:00:00"),
        ("100:00:00.5", "100:00:00.5"),
        ("0:05:33.333333333", "00:05:33.333333333"),
        ("9:30 AM", "09:30:00"),
        ("12:30:00 a.m.", "00:30:00"),
        ("12:30:00 pm", "12:30:00"),
        ("11:59:59 PM", "23:59:59"),
        ("9.30", "09:30:00"),
        ("26.30.15", "26:30:15"),
        (None, ""),
        ("?", None),
    ],
)
def test_h20_a_time_is_a_duration(cell, text):
    """24:00:00 of an all-day event comes out of a spreadsheet as ``1 day, 0:00:00``."""
    assert cells.as_text(cell, "time", cells.Forms("d/m/y")) == text


def test_a_time_that_a_spreadsheet_may_have_rounded_is_told(tmp_path):
    """FileMaker counts microseconds; of a cell whose format is a time the library rounds them."""
    row = ["1", 0.25 + 0.123456 / 86_400, 0.25 + 0.0004 / 86_400, 45_000 + 10 / 24, 1 / 3 + 4e-9]
    formats = {"B2": "h:mm:ss", "D2": "d/mm/yyyy h:mm:ss"}
    workbook(tmp_path, ["id", "b", "c", "d", "e"], row, formats=formats)
    types = {"b": "time", "c": "time", "d": "timestamp", "e": "time"}
    (part,) = files(tmp_path).records(ReadRequest("t.xlsx", "id", types))
    read = {name: part.rows[0][name] for name in "bcd"}
    assert read == {"b": "06:00:00.123", "c": "06:00:00", "d": "2023-03-15 10:00:00"}
    assert {remark.field for remark in part.remarks} == {"b", "c", "e"}
    assert {remark.what for remark in part.remarks} == {cells.TO_A_MILLISECOND}


def test_h20_a_workbook_that_counts_from_1904_has_the_same_times(tmp_path):
    def since_1904(book):
        book.epoch = datetime(1904, 1, 1)

    row = ["1", 1.0, 1.5, 0.25, 40_000]
    formats = {"B2": "h:mm:ss", "C2": "[h]:mm:ss", "D2": "h:mm:ss", "E2": "d/mm/yyyy"}
    head = ["id", "b", "c", "d", "e"]
    workbook(tmp_path, head, row, formats=formats, change=since_1904)
    (found,) = read(files(tmp_path), "t.xlsx", b="time", c="time", d="time", e="date")
    assert list(found.values()) == ["1", "24:00:00", "36:00:00", "06:00:00", "2013-07-07"]
    workbook(tmp_path, head, row, formats=formats)
    (found,) = read(files(tmp_path), "t.xlsx", b="time", c="time", d="time", e="date")
    assert list(found.values()) == ["1", "24:00:00", "36:00:00", "06:00:00", "2009-07-06"]


@given(st.integers(min_value=0, max_value=100 * 86_400 * 1_000))
def test_h20_every_time_comes_back_from_the_part_of_a_day(milliseconds):
    text = cells.as_text(milliseconds / 86_400_000, "time", cells.Forms())
    assert convert.duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    "cell",
    [
        930,
        -0.5,
        1e300,
        True,
        datetime(2025, 11, 9, 9, 30),
        date(2025, 11, 9),
        timedelta(hours=-1),
        timedelta(days=500),
        "930",
        "9.75",
        "9.5",
        "13:00 PM",
        "0:30 AM",
        "9:75",
        "soon",
        "9:30:00 Uhr",
    ],
)
def test_what_is_no_time_is_passed_on_and_refused(cell):
    text = cells.as_text(cell, "time", cells.Forms())
    assert str(cell) in text or isinstance(cell, str)
    with pytest.raises(convert.ConversionError):
        convert.duration(text)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (123.0, "123"),
        (123, "123"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (61412345678.0, "61412345678"),
        (123456789012345.0, "123456789012345"),
        (-2.5, "-2.5"),
        ("007", "007"),
        ("n/a", "n/a"),
        (None, ""),
        (cells.Failed.FAILED, None),
    ],
)
@pytest.mark.parametrize("kind", ["text", "number"])
def test_h34_a_number_is_its_digits(kind, cell, text):
    """Ids arrive from a spreadsheet as floats: 17.0 is the id 17."""
    assert cells.as_text(cell, kind, cells.Forms()) == text


def test_h34_ids_that_are_numbers_in_a_sheet_are_the_same_ids(tmp_path):
    made = FileTable(
        "T",
        (StoredField("id", "text"), StoredField("a", "text")),
        [Record(n, 0, {"id": i, "a": i}) for n, i in enumerate(("17", "123456789012345", "0017"))],
    )
    exports.write(made, tmp_path / "t.xlsx", Style(number_ids=True))
    found = read(files(tmp_path), "t.xlsx", a="text")
    assert {row["a"] for row in found} == {"17", "123456789012345", "0017"}
    assert all(row["a"] == row["id"] for row in found)


@pytest.mark.parametrize("value", [datetime(2025, 11, 9), time(9, 30), timedelta(hours=30)])
@pytest.mark.parametrize("kind", ["text", "number"])
def test_h9_a_text_or_number_that_has_become_a_date_stops(kind, value, tmp_path):
    """The type of a field changed overnight: a file tells only by its cells."""
    workbook(tmp_path, ["id", "Type"], ["1", "Scan"], ["2", value])
    with pytest.raises(SourceError) as stopped:
        read(files(tmp_path), "t.xlsx", Type=kind)
    assert str(stopped.value) == (
        "line 3, column Type: a date or time where the mapping expects a text or number\n"
        "  where: channel=exports, file=t.xlsx\n"
        "  state: nothing was written\n"
        "  next:  check in FileMaker whether the field's type was changed;"
        " do not save the file in Excel"
    )
    assert read(files(tmp_path), "t.xlsx")[1] == {"id": "2"}  # an unused column may be anything


def test_h9_a_date_that_has_become_something_else_is_refused_by_its_converter(tmp_path):
    workbook(tmp_path, ["id", "Date"], ["1", "Scan"], ["2", 7])
    for row in read(files(tmp_path), "t.xlsx", Date="date"):
        with pytest.raises(convert.ConversionError, match="not a date"):
            convert.iso_date(row["Date"])


def test_what_could_not_be_computed_is_empty_and_counted(tmp_path):
    def spoil(book):
        for cell, error in (("B2", "#REF!"), ("C2", "#N/A"), ("D3", "#VALUE!"), ("E2", "#DIV/0!")):
            book.active[cell].value, book.active[cell].data_type = error, "e"
        book.active["B3"].data_type = "s"

    workbook(tmp_path, ["id", "a", "b", "c", "unused"], ["1"], ["2", "#REF!", 5], change=spoil)
    source = files(tmp_path)
    wanted = ReadRequest("t.xlsx", "id", {"a": "text", "b": "number", "c": "timestamp"})
    parts = list(source.records(wanted, page=1))
    assert [part.repaired for part in parts] == [2, 1]
    assert parts[0].rows[0] == {"id": "1", "a": "", "b": "", "c": ""}
    assert parts[1].rows[0] == {"id": "2", "a": "#REF!", "b": "5", "c": ""}  # a text that says so
    assert source.usage().repaired == 3
    lines(tmp_path, "id,a,b", "1,?,?")
    (part,) = source.records(ReadRequest("t.csv", "id", {"a": "text", "b": "number"}))
    assert (part.rows[0], part.repaired) == ({"id": "1", "a": "?", "b": ""}, 1)


def test_a_repetition_that_could_not_be_computed_is_counted(tmp_path):
    lines(tmp_path, "id,a,b", "1,?\x1d5,5\x1d6", "2,5,5\x1d?")
    (part,) = files(tmp_path).records(ReadRequest("t.csv", "id", {"a": "number", "b": "number"}))
    assert [row["a"] for row in part.rows] == ["\x1d5", "5"]
    assert part.remarks == (Remark(0, "a", NO_VALUE), Remark(1, "b", NO_VALUE))


def test_a_number_cell_in_a_text_is_told_and_in_an_id_or_a_number_it_is_not(tmp_path):
    """A zero or a plus that a spreadsheet has removed leaves no other trace."""
    workbook(
        tmp_path,
        ["id", "phone", "of", "n"],
        [1, 412345678, 7, 5],
        ["2", "0412345678", "8", "5"],
        [3, None, None, None],
        [4, 1.5, 7.0, 1.5],
    )
    types = {"phone": "text", "of": "text", "n": "number"}
    wanted = ReadRequest("t.xlsx", "id", types, ids=frozenset({"of"}))
    first, second = files(tmp_path).records(wanted, page=3)
    assert [row["phone"] for row in first.rows] == ["412345678", "0412345678", ""]
    assert first.remarks == (Remark(0, "phone", cells.NUMBER_AS_TEXT),)
    assert second.remarks == (Remark(0, "phone", cells.NUMBER_AS_TEXT),)
    assert (first.repaired, second.repaired) == (0, 0)


def test_a_number_cell_that_has_lost_digits_is_told(tmp_path):
    """Of a number FileMaker keeps 400 digits, a cell fifteen: the others are not FileMaker's."""
    written = ["123456789012345", "1234567890123456", "123456789012345678", "0.1234567890123456"]
    wanted = ReadRequest("t.xlsx", "id", {"n": "number"})
    workbook(tmp_path, ["id", "n"], *([str(n), float(text)] for n, text in enumerate(written)))
    (part,) = files(tmp_path).records(wanted)
    assert part.rows[2]["n"] != written[2]
    assert part.remarks == tuple(Remark(row, "n", cells.ROUNDED) for row in (1, 2, 3))
    lines(tmp_path, "id,n", *(f"{n},{text}" for n, text in enumerate(written)))
    (part,) = files(tmp_path).records(ReadRequest("t.csv", "id", {"n": "number"}))
    assert [row["n"] for row in part.rows] == written
    assert part.remarks == ()


def test_a_date_beyond_all_dates_is_counted_and_nobody_is_warned(tmp_path):
    """The library's warning would quote the cell into a notebook."""
    workbook(tmp_path, ["id", "d"], ["1", 1e9], formats={"B2": "d/mm/yyyy"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (part,) = files(tmp_path).records(ReadRequest("t.xlsx", "id", {"d": "date"}))
    assert (part.rows[0]["d"], part.repaired) == ("", 1)


@pytest.mark.parametrize("letter", ["x", "😀", "\r"])
def test_a_text_as_long_as_a_cell_can_be_stops_since_it_may_be_cut(letter, tmp_path):
    whole = "x" + letter * (32_766 // (2 if letter == "😀" else 1))
    for text, stops in ((whole[:-1], False), (whole, True)):
        exports.write(table({"a": text}, a="text"), tmp_path / "t.xlsx")
        if not stops:
            assert len(read(files(tmp_path), "t.xlsx", a="text")[0]["a"]) == len(text)
            continue
        with pytest.raises(SourceError) as stopped:
            read(files(tmp_path), "t.xlsx", a="text")
        assert str(stopped.value) == (
            "line 2, column a: a text of 32,767 characters, the most that a cell holds:"
            " it may be cut\n"
            "  where: channel=exports, file=t.xlsx\n"
            "  state: nothing was written\n"
            "  next:  export this table as .csv or .tab, which have no such limit"
        )
    exports.write(table({"a": whole}, a="text"), tmp_path / "t.csv")
    assert len(read(files(tmp_path), "t.csv", a="text")[0]["a"]) == len(whole)
