"""Exported workbooks as other programs write them: all of a sheet is read, or none."""

from __future__ import annotations

from datetime import datetime

import pytest

from nexus_reimport.errors import SourceError
from support.exported_files import _strict, files, raw_workbook, read, workbook

HEAD = '<row r="1"><c r="A1" t="str"><v>id</v></c><c r="B1" t="str"><v>a</v></c></row>'


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c r="B2"><f>1+1</f></c>', None),
        ('<c r="B2"><f>1+1</f><v></v></c>', None),
        ('<c r="B2"><f>1+1</f><v>2</v></c>', "2"),
        ('<c r="B2" t="str"><f>A2&amp;""</f><v>x</v></c>', "x"),
        ('<c r="B2" t="str"><f>IF(A2,"","")</f><v></v></c>', ""),
    ],
)
def test_a_formula_without_its_value_is_not_empty(cell, text, tmp_path):
    raw_workbook(tmp_path, f'{HEAD}<row r="2"><c r="A2"><v>1</v></c>{cell}</row>')
    assert read(files(tmp_path), "t.xlsx") == [{"id": "1"}]
    if text is None:
        with pytest.raises(SourceError, match="line 2, column a: a formula whose value was not sa"):
            read(files(tmp_path), "t.xlsx", a="text")
    else:
        assert read(files(tmp_path), "t.xlsx", a="text") == [{"id": "1", "a": text}]


def test_merged_cells_stop_since_all_but_the_first_look_empty(tmp_path):
    def merge(book):
        book.active.merge_cells("B2:B3")
        book.active.merge_cells("A9:B9")

    workbook(tmp_path, ["id", "a"], ["1", "x"], ["2", None], change=merge)
    with pytest.raises(
        SourceError, match=r"cells are merged: (B2:B3|A9:B9) and 1 more; only the first"
    ):
        files(tmp_path).count("t.xlsx")


def test_hidden_rows_and_columns_and_what_a_filter_hides_are_read(tmp_path):
    def hide(book):
        sheet = book.active
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["B"].hidden = True
        sheet.auto_filter.ref = "A1:B3"

    workbook(tmp_path, ["id", "a"], ["1", "x"], ["2", "y"], change=hide)
    assert [row["a"] for row in read(files(tmp_path), "t.xlsx", a="text")] == ["x", "y"]


def test_a_cell_far_away_is_told_and_does_not_make_the_sheet_endless(tmp_path):
    head = HEAD + '<row r="2"><c r="A2" t="str"><v>1</v></c></row>'
    raw_workbook(tmp_path, head + '<row r="1048576"><c r="XFD1048576" s="0"/></row>')
    assert read(files(tmp_path), "t.xlsx", a="text") == [{"id": "1", "a": ""}]
    stray = '<row r="1048576"><c r="XFD1048576" t="str"><v>x</v></c></row>'
    raw_workbook(tmp_path, head + stray)
    with pytest.raises(
        SourceError, match="line 1,048,576 holds 16,384 values, but there are 2 col"
    ):
        files(tmp_path).count("t.xlsx")


def test_a_strict_workbook_is_read_like_any_other(tmp_path):
    link = "see http://purl.oclc.org/ooxml/spreadsheetml/main"
    workbook(tmp_path, ["id", "d", "a"], ["1", datetime(2025, 11, 9), link])
    (tmp_path / "t.xlsx").write_bytes(_strict((tmp_path / "t.xlsx").read_bytes()))
    found = read(files(tmp_path), "t.xlsx", d="date", a="text")
    assert found == [{"id": "1", "d": "2025-11-09", "a": link}]
    row = '<row r="2"><c r="A2" t="str"><v>1</v></c><c r="B2" t="d"><v>2025-11-09T00:00:00</v></c>'
    raw_workbook(tmp_path, f"{HEAD}{row}</row>")
    (tmp_path / "t.xlsx").write_bytes(_strict((tmp_path / "t.xlsx").read_bytes()))
    assert read(files(tmp_path), "t.xlsx", a="date") == [{"id": "1", "a": "2025-11-09"}]


ONE_TEXT = '<row r="2"><c r="A2"><v>1</v></c><c r="B2" t="s"><v>0</v></c></row>'


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ('<row r="2"><c r="A2"><v>1</v></c></row><row r="2"><c r="A2"><v>2</v></c></row>', "row 2"),
        ('<row r="3"><c r="A3"><v>1</v></c></row><row r="2"><c r="A2"><v>2</v></c></row>', "row 2"),
        (
            '<row spans="1:2" r="2"><c t="str" r="B2"><v>x</v></c><c r="A2"><v>2</v></c></row>',
            "A of row 2",
        ),
        (
            '<row r="2"><c r="A2"><v>2</v></c><c r="B2"><v>8</v></c><c r="B2"><v>9</v></c></row>',
            "B of row 2",
        ),
        ("<row><c><v>1</v></c></row>" + 2 * '<row r="2"><c r="A2"><v>2</v></c></row>', "row 2"),
        ('<row r="2"><c r="AA2"><v>2</v></c><c r="Z2"><v>9</v></c></row>', "Z of row 2"),
    ],
)
def test_a_row_or_cell_that_the_library_would_leave_out_stops(rows, place, tmp_path):
    raw_workbook(tmp_path, HEAD + rows)
    with pytest.raises(SourceError, match=f"{place} comes twice, or after a later one") as stopped:
        files(tmp_path).count("t.xlsx")
    assert "state: nothing was written" in str(stopped.value)


def test_rows_and_cells_may_have_no_places_of_their_own(tmp_path):
    rows = "<row><c><v>1</v></c><c><v>7</v></c></row><row><c><v>2</v></c></row>"
    raw_workbook(tmp_path, HEAD + rows)
    assert read(files(tmp_path), "t.xlsx", a="number") == [
        {"id": "1", "a": "7"},
        {"id": "2", "a": ""},
    ]


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("_x005F_x000D_", "_x000D_"),  # an escape that is hidden is no line end
        ("_x005F_x005F_ and _x005F_x0041_", "_x005F_ and _x0041_"),
        ("a boxx005F_x005F", "a boxx005F_x005F"),
        ("_x005f_x000a_", "_x000a_"),
        ("_x005F_xFFFE_ and _x005F_xD83D_", "_xFFFE_ and _xD83D_"),
    ],
)
def test_a_text_that_looks_like_an_escape_stays_in_the_table_of_texts_too(stored, text, tmp_path):
    raw_workbook(tmp_path, HEAD + ONE_TEXT, [f"<t>{stored}</t>"])
    assert read(files(tmp_path), "t.xlsx", a="text") == [{"id": "1", "a": text}]


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("a_xFFFE_b_xffff_", "a\ufffeb\uffff"),
        ("cut _xD83D_", "cut \ud83d"),
        ("_xd83d__xDE00_", "\ud83d\ude00"),
        ("file_xE000_ and _xFFFD_", "file_xE000_ and _xFFFD_"),  # XML can hold these
    ],
)
def test_every_character_that_xml_cannot_hold_is_read_from_its_escape(stored, text, tmp_path):
    """They were read as the seven signs, and an invisible text counted as a value."""
    raw_workbook(tmp_path, HEAD + ONE_TEXT, [f"<t>{stored}</t>"])
    assert read(files(tmp_path), "t.xlsx", a="text") == [{"id": "1", "a": text}]
