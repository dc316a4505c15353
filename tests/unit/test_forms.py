"""A declared form is held against whole columns: what contradicts it, or is unclear, stops."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook
from pydantic import ValidationError

from nexus_reimport import forms
from nexus_reimport.errors import ReimportError, SettingsError, SourceError
from nexus_reimport.filemaker import ReadRequest
from nexus_reimport.filemaker.exports import ExportedFiles
from nexus_reimport.settings import ExportedFile, Exports

DAYS = st.dates(date(1000, 1, 1), date(9999, 12, 31))


def written(day: date, order: str, sign: str, *, padded: bool) -> str:
    width = 2 if padded else 1
    parts = {"d": f"{day.day:0{width}}", "m": f"{day.month:0{width}}", "y": f"{day.year:04}"}
    return sign.join(parts[part] for part in order.split("/"))


@given(DAYS, st.sampled_from(forms.ORDERS), st.sampled_from("/.-"), st.booleans())
def test_a_date_is_read_in_its_order_whatever_stands_between(
    day: date, order: str, sign: str, padded: bool
) -> None:
    assert forms.day(written(day, order, sign, padded=padded), order) == day


@given(DAYS, st.sampled_from(forms.ORDERS), st.sampled_from("/.-"))
def test_a_date_is_in_another_order_only_where_both_are_dates(
    day: date, order: str, sign: str
) -> None:
    found = forms.orders(written(day, order, sign, padded=True))
    assert order in found
    if order != forms.ISO:
        assert (len(found) == 2) is (day.day <= 12)


@pytest.mark.parametrize(
    "text",
    [
        "30/06.2025",
        "30/6/25",
        "1/2/3",
        "2025/30/06",
        "30062025",
        "30/06/2025 ",
        "٣٠/٠٦/٢٠٢٥",
        "0/1/2025",
        "30/06/20255",
        "30//2025",
        "2025-06-30T",
        "",
    ],
)
def test_what_is_written_otherwise_is_no_date_in_any_order(text: str) -> None:
    assert forms.orders(text) == ()


@pytest.mark.parametrize(
    ("text", "as_stamp"),
    [
        ("2025-06-30 09:00:00", "2025-06-30 09:00:00"),
        ("2025-06-30T09:00:00+10:00", "2025-06-30 09:00:00"),
        ("2025-06-30T09:00:00Z", "2025-06-30 09:00:00"),
        ("2025-06-30 09:00:00.500", "2025-06-30 09:00:00.5"),
        ("06/30/2025 09:00:00", "2025-06-30 09:00:00"),
        ("2025-06-30", "2025-06-30 00:00:00"),
        ("30/06/2025 09:00:00", ""),
        ("?", ""),
        ("soon", ""),
        ("", ""),
    ],
)
def test_stamps_compare_as_instants_whatever_their_form(text: str, as_stamp: str) -> None:
    assert forms.stamp(text) == as_stamp


# ---------------------------------------------------------------- columns of exported files


def read(
    folder: Path, kind: str, *values: Any, dates: Any = "d/m/y", suffix: str = ".csv", **more: Any
) -> list[str]:
    """A column of a file as it is read."""
    name = f"t{suffix}"
    if suffix == ".xlsx":
        book = Workbook()
        assert book.active is not None
        for row in (("id", "c"), *enumerate(values, 1)):
            book.active.append(row)
        book.save(folder / name)
    else:
        lines = ["id,c", *(f'{number},"{value}"' for number, value in enumerate(values, 1))]
        (folder / name).write_text("\n".join(lines))
    source = ExportedFiles(Exports(folder=folder, dates=dates, **more), {})
    wanted = ReadRequest(name, "id", {"id": "text", "c": kind})
    rows = [row for page in source.records(wanted) for row in page.rows]
    return [row["c"] for row in sorted(rows, key=lambda row: int(row["id"]))]


EXAMPLES = frozenset({"9.30", "9.50", "1,234", "1.234", "7"})  # the messages' own; a digit


def stopped(folder: Path, kind: str, *values: Any, **how: Any) -> ReimportError:
    """What a column stops with; no value stands in it."""
    with pytest.raises(ReimportError) as told:
        read(folder, kind, *values, **how)
    text = str(told.value)
    assert [v for v in map(str, values) if v in text and v not in EXAMPLES] == []
    assert "file=t" in text
    assert "column c: " in text
    assert told.value.next
    return told.value


@pytest.mark.parametrize("dates", ["d/m/y", "d.m.y", "d-m-y"])
@pytest.mark.parametrize("sign", "/.-")
def test_days_first_are_read_whatever_stands_between(tmp_path: Path, dates: str, sign: str) -> None:
    values = [f"30{sign}06{sign}2025", f"1{sign}7{sign}2025", ""]
    assert read(tmp_path, "date", *values, dates=dates) == ["2025-06-30", "2025-07-01", ""]
    stamps = [f"{value} 9:30:00" for value in values[:2]]
    assert read(tmp_path, "timestamp", *stamps, dates=dates)[0] == "2025-06-30 09:30:00"


@pytest.mark.parametrize(
    ("dates", "values"),
    [
        ("y-m-d", ("2025-06-30", "2025-07-01")),
        ("y/m/d", ("2025/6/30", "2025/7/1")),
        ("y.m.d", ("2025.06.30", "2025.07.01")),
        ("m/d/y", ("06/30/2025", "7/1/2025")),
        ("m-d-y", ("06-30-2025", "7-1-2025")),
    ],
)
def test_each_form_that_can_be_declared_is_read(
    tmp_path: Path, dates: str, values: tuple[str, str]
) -> None:
    assert read(tmp_path, "date", *values, dates=dates) == ["2025-06-30", "2025-07-01"]


def test_signs_may_be_mixed_within_one_order(tmp_path: Path) -> None:
    assert read(tmp_path, "date", "30/06/2025", "01.07.2025", "2-7-2025") == [
        "2025-06-30",
        "2025-07-01",
        "2025-07-02",
    ]


@pytest.mark.parametrize("form", ["d/m/yy", "dd/mm/yyyy", "y/d/m", "", "iso"])
def test_a_form_that_is_none_is_refused(tmp_path: Path, form: str) -> None:
    with pytest.raises(ValidationError):
        Exports(folder=tmp_path, dates=form)


@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_a_column_in_another_form_stops_and_names_it(tmp_path: Path, kind: str) -> None:
    clock = " 09:30:00" if kind == "timestamp" else ""
    values = [f"{day}{clock}" for day in ("06/30/2025", "07/01/2025", "07/02/2025")]
    error = stopped(tmp_path, kind, *values)
    assert isinstance(error, SettingsError)
    assert error.what == (
        "column c: d/m/y is declared; how 3 dates can be read: 2 as d/m/y, 3 as m/d/y"
    )
    assert 'write dates = "m/d/y", which fits all' in error.next
    assert read(tmp_path, kind, *values, dates="m/d/y")[1].startswith("2025-07-01")


def test_a_column_of_which_nothing_is_written_as_declared_stops(tmp_path: Path) -> None:
    error = stopped(tmp_path, "date", "2020.01.01", "2022.01.01", dates="m/d/y")
    assert error.what == "column c: m/d/y is declared; how 2 dates can be read: 2 as y/m/d"
    assert '"y/m/d"' in error.next
    assert isinstance(stopped(tmp_path, "date", "30/06/2025", dates="m/d/y"), SettingsError)


def test_a_column_in_two_forms_stops_and_names_lines(tmp_path: Path) -> None:
    error = stopped(tmp_path, "date", "30/06/2025", "07/01/2025", "07/31/2025", "31/07/2025")
    assert isinstance(error, SourceError)
    assert "no form fits all" in error.what
    assert "lines 4 of the file" in error.next


def test_one_date_that_is_none_is_passed_on_for_its_record(tmp_path: Path) -> None:
    values = ("6/30/2025", "7/1/2025", "2/31/2025", "?", "")
    assert read(tmp_path, "date", *values, dates="m/d/y") == [
        "2025-06-30",
        "2025-07-01",
        "2/31/2025 (not m/d/y)",
        "",
        "",
    ]


def test_what_is_no_date_in_any_form_stops_where_there_is_nothing_else(tmp_path: Path) -> None:
    assert "none of 2 dates" in stopped(tmp_path, "date", "soon", "later").what
    assert read(tmp_path, "date", "soon") == ["soon (not d/m/y)"]


def test_years_of_two_digits_are_never_guessed(tmp_path: Path) -> None:
    error = stopped(tmp_path, "date", "30/06/25", "01/07/25")
    assert "years of two digits" in error.what
    assert "four digits" in error.next
    assert read(tmp_path, "date", "30/06/2025", "01/07/25")[1] == "01/07/25 (not d/m/y)"


def test_an_undeclared_form_is_named_where_the_column_proves_it(tmp_path: Path) -> None:
    error = stopped(tmp_path, "date", "01.07.2025", "30.06.2025", dates=None)
    assert error.next == (
        'write dates = "d/m/y", which fits most of them, under [filemaker.exports]'
    )


def test_days_that_a_spreadsheet_program_took_for_months_stop(tmp_path: Path) -> None:
    turned = [datetime(2025, 1, 7), datetime(2025, 5, 6), "30/06/2025", "13/07/2025"]
    error = stopped(tmp_path, "date", *turned, suffix=".xlsx")
    assert "swapped day and month" in error.what
    fine = [datetime(2025, 1, 17), datetime(2025, 5, 6), "30/06/2025"]
    assert read(tmp_path, "date", *fine, suffix=".xlsx")[2] == "2025-06-30"
    early = [datetime(2025, 1, 7), "31/01/1895"]  # FileMaker itself writes that one as a text
    assert read(tmp_path, "date", *early, suffix=".xlsx")[1] == "1895-01-31"


def test_a_file_or_a_column_may_have_its_own_form(tmp_path: Path) -> None:
    values = ("2025-06-30", "2025-07-01")
    files = {"t.csv": ExportedFile(dates="y-m-d")}
    assert read(tmp_path, "date", *values, files=files)[0] == "2025-06-30"
    files = {"t.csv": ExportedFile(dates={"c": "y-m-d"})}
    assert read(tmp_path, "date", *values, files=files)[0] == "2025-06-30"
    files = {"t.csv": ExportedFile(dates={"cc": "y-m-d"})}
    with pytest.raises(SettingsError, match="does not exist: cc"):
        read(tmp_path, "date", *values, files=files)


# ---------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("values", "as_read"),
    [
        (
            ("9:30 AM", "1:05 pm", "24:00:00", "26:30:00"),
            ["09:30:00", "13:05:00", "24:00:00", "26:30:00"],
        ),
        (("12:00 AM", "12:00 PM", "0:45:00"), ["00:00:00", "12:00:00", "00:45:00"]),
        (("9.30", "14.05", "24.00"), ["09:30:00", "14:05:00", "24:00:00"]),
        (("9.50.00", "10.25"), ["09:50:00", "10:25:00"]),
        (("9:30", "14:05:07"), ["09:30:00", "14:05:07"]),
    ],
)
def test_times_are_read_in_every_clear_form(
    tmp_path: Path, values: tuple[str, ...], as_read: list[str]
) -> None:
    assert read(tmp_path, "time", *values) == as_read


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (("9:30 AM", "1:05 PM", "2:15"), "2 times have AM or PM, and 1 has none"),
        (("9.30", "9.5", "14.75"), "1 time like 9.30, and 2 that must be hours with a fraction"),
        (("9.50", "8.25", "7.00"), "may also be hours with a fraction"),
    ],
)
def test_times_that_may_mean_two_things_stop(
    tmp_path: Path, values: tuple[str, ...], told: str
) -> None:
    error = stopped(tmp_path, "time", *values)
    assert told in error.what
    assert "24-hour times" in error.next
    stamps = [f"30/06/2025 {value}" for value in values]
    assert told in stopped(tmp_path, "timestamp", *stamps).what


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("decimal", "values", "as_read"),
    [
        (None, ("1,234.5", "1,234", "7"), ["1234.5", "1234", "7"]),
        (".", ("1,234", "12"), ["1234", "12"]),
        (",", ("1.234,5", "1.234", "0,5"), ["1234.5", "1234", "0.5"]),
        (",", ("1,234", "12"), ["1.234", "12"]),
        (None, ("n/a", "7", "0412 345", "-2.5"), ["n/a", "7", "0412 345", "-2.5"]),
        (".", ("2.5", "1,5"), ["2.5", "1,5"]),  # for its converter to tell
        (None, ("1e+20", "-2.5E-7", "1e"), [f"1{'0' * 20}", "-0.00000025", "1e"]),
        (",", ("1,5e+2", "1.5e+2x", "e5", "1e1000"), ["150", "1.5e+2x", "e5", "1e1000"]),
    ],
)
def test_numbers_are_read_with_their_declared_sign(
    tmp_path: Path, decimal: str | None, values: tuple[str, ...], as_read: list[str]
) -> None:
    assert read(tmp_path, "number", *values, decimal=decimal) == as_read


@pytest.mark.parametrize(
    ("decimal", "values", "error", "told"),
    [
        (None, ("1.234,5", "1.234"), SettingsError, 'decimal = ","'),
        (None, ("2,5", "7"), SettingsError, 'decimal = ","'),
        (",", ("1.5", "1.234"), SettingsError, 'decimal = "."'),
        (None, ("1,234", "5,678"), SettingsError, "decimal"),
        (None, ("1.234", "7"), SettingsError, "decimal"),
        (".", ("1,234", "2,5", "3.5"), SourceError, "lines 3"),
        (",", ("2,5", "1.5"), SourceError, "lines 3"),
    ],
)
def test_numbers_that_contradict_their_sign_or_may_be_two_stop(
    tmp_path: Path,
    decimal: str | None,
    values: tuple[str, ...],
    error: type[ReimportError],
    told: str,
) -> None:
    found = stopped(tmp_path, "number", *values, decimal=decimal)
    assert isinstance(found, error)
    assert told in found.next


def test_a_text_is_never_taken_for_a_number_or_a_date(tmp_path: Path) -> None:
    values = ("1,234.5", "30/06/2025", "06/30/2025", "9.30")
    assert read(tmp_path, "text", *values) == list(values)
