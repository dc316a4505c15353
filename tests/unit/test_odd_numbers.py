"""Exported numbers in the place of texts and ids: read with every digit, or refused."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from nexus_reimport.errors import SourceError
from nexus_reimport.filemaker import ReadRequest
from nexus_reimport.filemaker.exports import ExportedFiles, cells
from nexus_reimport.settings import Exports
from support.exported_files import SUFFIXES, files, read, workbook
from support.odd_exports import separated


@pytest.mark.parametrize(
    ("cell", "text"), [(1.5e20, "150000000000000000000"), (True, "1"), (False, "0")]
)
def test_what_a_number_field_may_hold_and_a_text_may_not(cell, text):
    """A text that a spreadsheet took for a number, or for yes, is not the text that it was."""
    assert cells.as_text(cell, "number", cells.Forms()) == text
    with pytest.raises(cells.Refused):
        cells.as_text(cell, "text", cells.Forms())


SIXTEEN = "a number of more than 15 digits where a text is expected"

LOST = [
    (1234567890123456, SIXTEEN),
    (1234567890123456789.0, SIXTEEN),
    (1e15, SIXTEEN),
    (-1234567890123456, SIXTEEN),
    (0.1234567890123456, SIXTEEN),
    (True, "yes or no where a text is expected"),
    (17.5, "a key with a fraction"),
    ("1.23457E+18", "a key with an exponent"),
    ("1,23457E+18", "a key with an exponent"),
    ("1.2345678901234568e+18", "a key with an exponent"),
    ("1E-05", "a key with an exponent"),
    (datetime(2025, 1, 2), "a date or time where the mapping expects a text"),
    (timedelta(hours=30), "a date or time where the mapping expects a text"),
]


@pytest.mark.parametrize("kind", ["text", "number"])
@pytest.mark.parametrize(("cell", "what"), LOST)
@pytest.mark.parametrize("column", ["id", "link", "pair"])
def test_an_id_that_went_through_a_number_stops_with_its_line(cell, what, kind, column, tmp_path):
    row = {"id": "a", "pair": "b", "link": "c", column: cell}
    workbook(tmp_path, list(row), ["1", "2", "3"], list(row.values()))
    types = dict.fromkeys(row, "text") | {column: kind}
    wanted = ReadRequest("t.xlsx", "id", types, ("pair",), frozenset({"link"}))
    with pytest.raises(SourceError) as stopped:
        list(files(tmp_path).records(wanted))
    assert str(stopped.value).startswith(f"line 3, column {column}: {what}")
    assert "file=t.xlsx" in str(stopped.value)
    assert str(cell) not in str(stopped.value)


@pytest.mark.parametrize("suffix", [".csv", ".tab"])
def test_an_id_in_a_text_file_may_have_been_through_a_spreadsheet_too(suffix, tmp_path):
    def what_stops(key, kind="text"):
        name = separated(tmp_path, (("id", "a"), ("x", "y"), (key, "z")), suffix)
        try:
            read(files(tmp_path), name, id=kind)
        except SourceError as error:
            return error.what
        return ""

    assert what_stops("1.23457E+18").startswith("line 3, column id: a key with an exponent")
    assert what_stops("17.5", "number").startswith("line 3, column id: a key with a fraction")
    for key in ("1E10", "12E-X", "P-17.5", "17.0", "1234567890123456789", "0017", "E+18"):
        assert what_stops(key) == ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_ids_that_a_spreadsheet_rounded_before_it_wrote_them_as_text_stop(suffix, tmp_path):
    """It keeps 15 digits: a whole column of longer ids with zeros alone behind them shows it."""

    def held(ids):
        separated(tmp_path, [["id", "Owner"], *ids], suffix)
        reader = ExportedFiles(Exports(folder=tmp_path), {})
        with reader:
            kinds = {"id": "text", "Owner": "text"}
            (page,) = reader.records(
                ReadRequest(f"t{suffix}", "id", kinds, ids=frozenset({"Owner"}))
            )
        return len(page.rows)

    first, second = "123456789012345000000", "223456789012345000000"
    for ids, column, few in (
        ([[first, "1"], ["7", "2"], [second, "3"]], "id", "2, 4"),
        ([["1", first], ["2", first], ["3", second]], "Owner", "2, 4"),
    ):
        with pytest.raises(SourceError) as caught:
            held(ids)
        assert caught.value.what == (
            f"column {column}: all 2 ids of more than 15 digits have only zeros from the 16th"
            f" on: a spreadsheet program has rounded them (lines {few})"
        )
        assert first not in str(caught.value)
    assert held([[first, "1"], ["7", first], ["8", first]]) == 3, "one alone may be right"
    assert held([[first, "1"], [second, "2"], ["223456789012345000001", "3"]]) == 3


def test_an_error_in_a_key_stops_and_elsewhere_is_counted(tmp_path):
    def spoil(book):
        for cell in ("A3", "B3"):
            book.active[cell].value, book.active[cell].data_type = "#N/A", "e"

    workbook(tmp_path, ["a", "link", "id"], ["1", "2", "3"], ["x", "y", "z"], change=spoil)
    types = {"id": "text", "a": "text"}
    (part,) = files(tmp_path).records(ReadRequest("t.xlsx", "id", types))
    assert part.repaired == 1
    wanted = ReadRequest("t.xlsx", "id", {**types, "link": "text"}, (), frozenset({"link"}))
    with pytest.raises(SourceError, match="line 3, column link: an error such as #N/A where a key"):
        list(files(tmp_path).records(wanted))


@pytest.mark.parametrize(
    "form", ["0%", "0.00%", '"P-"0', "$#,##0.00", "[$€-407] 0", "00000", "000-000", '0.0 "kg"']
)
def test_a_number_that_shows_another_text_is_not_taken_for_the_text(form, tmp_path):
    workbook(tmp_path, ["id", "a"], ["x", "y"], ["z", 123], formats={"B3": form})
    with pytest.raises(
        SourceError, match="line 3, column a: a number whose format shows a different"
    ):
        read(files(tmp_path), "t.xlsx", a="text")
    assert read(files(tmp_path), "t.xlsx", a="number")[1]["a"] == "123"


@pytest.mark.parametrize(
    "form",
    ["General", "0", "0.00", "#,##0", "#,##0.00;[Red]-#,##0.00", "@", "0.00E+00", "_-* #,##0_-"],
)
def test_a_number_that_shows_its_digits_is_read_as_them(form, tmp_path):
    workbook(tmp_path, ["id", "a"], [17, 123], formats={"A2": form, "B2": form})
    assert read(files(tmp_path), "t.xlsx", a="text") == [{"id": "17", "a": "123"}]
