"""Exported files that went through other hands: nothing of them is lost or misread in silence."""

from __future__ import annotations

import io
import os
import unicodedata
import zipfile
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from nexus_reimport.errors import ReimportError, SettingsError, SourceError
from nexus_reimport.filemaker import ReadRequest
from nexus_reimport.filemaker.exports import ExportedFiles, Known, cells
from nexus_reimport.settings import ExportedFile, Exports
from nexus_reimport.text import find
from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.exports import Style
from support.exported_files import (
    SECRET,
    SUFFIXES,
    _strict,
    files,
    lines,
    raw_workbook,
    read,
    table,
    workbook,
)


def separated(folder, rows, suffix):
    """A file of ``rows``, whatever it is called."""
    if suffix == ".xlsx":
        return workbook(folder, *([cell or None for cell in row] for row in rows))
    separator = "," if suffix in (".csv", ".mer") else "\t"
    return lines(folder, *(separator.join(row) for row in rows), name=f"t{suffix}")


def decomposed(text):
    return unicodedata.normalize("NFD", text)


# ------------------------------------------------------------------ columns

WANTED = tuple(frozenset({name}) for name in ("id", "remark", "day", "-----"))


def knowing(folder, name):
    """The files of ``folder``, of which the mapping wants some columns."""
    return ExportedFiles(Exports(folder=folder), {name: Known(wanted=WANTED)})


@pytest.mark.parametrize("name", ["-----", "=====", "1", "#", "2024-01-31", "", "id 2", "\u00a0"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_column_that_nobody_wants_may_be_called_anything(name, suffix, tmp_path):
    """FileMaker's files have fields that are dividers, and an export of all fields has them."""
    made = table({"Remark": "x", "Day": "y"}, Remark="text", Day="text", **{name: "text"})
    exports.write(made, tmp_path / f"t{suffix}")
    found = read(knowing(tmp_path, f"t{suffix}"), f"t{suffix}", Remark="text")
    assert found == [{"id": "R0", "Remark": "x"}]


def test_a_header_that_a_sheet_holds_as_a_number_is_a_name(tmp_path):
    workbook(tmp_path, ["id", 1, "Remark", datetime(2024, 1, 31), True], ["a", "b", "c", "d", "e"])
    assert read(knowing(tmp_path, "t.xlsx"), "t.xlsx", **{"1": "text"}) == [{"id": "a", "1": "b"}]


@pytest.mark.parametrize(
    "line", [f"{SECRET},Wendelgard", f"{SECRET},1/2/2020", "Id of the day,Remarks"]
)
def test_a_first_line_without_a_wanted_field_is_told_and_not_quoted(line, tmp_path):
    """A file without headers would else show a patient's name among the nearest ones."""
    lines(tmp_path, line, line)
    with pytest.raises(SourceError, match="line 1 is not a header line") as stopped:
        knowing(tmp_path, "t.csv").fields("t.csv")
    assert SECRET not in str(stopped.value)


def test_a_header_in_decomposed_letters_is_the_same_name(tmp_path):
    lines(tmp_path, f"id,{decomposed('Bemärkung')},\u200bZeit\ufeff", "1,x,y")
    assert list(files(tmp_path).fields("t.csv")) == ["id", "Bemärkung", "Zeit"]
    assert read(files(tmp_path), "t.csv", Bemärkung="text")[0]["Bemärkung"] == "x"
    lines(tmp_path, f"Bemärkung,id,{decomposed('Bemärkung')}", "1,2,3")
    with pytest.raises(SourceError, match="columns 1 and 3 are both called Bemärkung"):
        read(files(tmp_path), "t.csv", Bemärkung="text")


def test_the_headers_again_in_the_middle_are_no_record(tmp_path):
    lines(tmp_path, "id,a", "1,x", "id,a", "2,y")
    with pytest.raises(
        SourceError, match="line 3 repeats the headers: the file may hold two exports"
    ):
        files(tmp_path).count("t.csv")


@pytest.mark.parametrize("name", ["t.csv", "t.mer"])
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("hint", ["sep={}", "SEP={}", '"sep={}"', "\ufeffsep={}"])
def test_a_hint_for_excel_in_the_first_line_is_no_header_line(hint, separator, name, tmp_path):
    """It was told as "not a header line", and the file could not be read."""
    rows = (hint.format(separator), separator.join(("id", "a")), separator.join(("1", "x")))
    lines(tmp_path, *rows, name=name)
    place = Exports(folder=tmp_path, separator=separator)
    source = ExportedFiles(place, {name: Known(wanted=WANTED)})
    assert source.count(name) == 1
    assert read(source, name, a="text") == [{"id": "1", "a": "x"}]
    source = ExportedFiles(place, {name: Known(("id", "a"))})
    with pytest.raises(SourceError, match="line 2 is a header line, but the columns are given"):
        source.count(name)


def test_of_a_hint_that_names_another_separator_it_is_told_what_to_declare(tmp_path):
    lines(tmp_path, "sep=;", "id;a", "1;x")
    with pytest.raises(SettingsError, match="separated by semicolons, and not by commas"):
        knowing(tmp_path, "t.csv").count("t.csv")


BAD_FILES = {
    "t.csv": [
        b"",
        b"\r\n",
        b"1,2\r\n3,4",
        b"id,a\r\n1",
        b'id,a\r\n1,"x',
        b"id,a\r\n1,x\r\n1,y",
        b"id,a\r\n,x",
        b"id,a,a\r\n1,x,y",
        b"id,b\r\n1,x",
        b"id,a\r\nid,a\r\n",
        b"id,a\r\n1,\xff",
        b"id;a\r\n1;x",
        b"id,a,day\r\n1,x,1/1/2020\r\n2,x,2020-01-01",
        b"id,a,day\r\n1,x,yesterday",
        b"%PDF-1.7",
    ],
    "t.tab": [b'id\ta\r\n1\t"x""y"'],
    "t.xlsx": [b"", b"id,a\r\n1,x", b"PK\x03\x04 and nothing more"],
    "t.pdf": [b"x"],
    "T.csv": [b"id,a\r\n1,x"],
}


@pytest.mark.parametrize(
    ("name", "content"), [(name, one) for name, some in BAD_FILES.items() for one in some]
)
def test_a_file_that_somebody_must_export_again_is_to_be_corrected(name, content, tmp_path):
    """It ended with the exit code of a failure, which promises that another try may help."""
    (tmp_path / name).write_bytes(content)
    asked = "t.csv" if name == "T.csv" else name
    types = {"a": "text"} | ({"day": "date"} if b"day" in content else {})
    for before in ({}, {"visits": asked}):
        source = knowing(tmp_path, asked)
        with pytest.raises(ReimportError) as stopped:  # noqa: PT012 - either of them stops
            source.require(before)
            read(source, asked, **types)
        assert stopped.value.exit_code == 2
        assert str(stopped.value).count("  state: ") == str(stopped.value).count("  next: ") == 1


def test_of_a_file_on_a_disk_that_fails_it_is_told_what_the_disk_lacks(tmp_path):
    """It said to check that the file exists, and that we may read it."""
    lines(tmp_path, "id", "1")
    source = files(tmp_path)
    held = []
    with suppress(OSError):
        while True:
            held.append((tmp_path / "t.csv").open("rb"))
    try:
        with pytest.raises(SourceError, match="lets this program open no more files") as stopped:
            source.count("t.csv")
    finally:
        for one in held:
            one.close()
    assert "raise that limit" in stopped.value.next
    assert stopped.value.exit_code == 3


# ------------------------------------------------------------------ related and repeating fields


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_further_related_records_are_no_records_of_the_table(suffix, tmp_path):
    """FileMaker exports a line for each of them, with nothing in it but the related fields."""
    header = ("id", "a", "Invoices::Nr", "Invoices::Day")
    rows = (("1", "x", "I1", "d"), ("", "", "I2", ""), ("", "", "", "d"), ("2", "y", "", ""))
    name = separated(tmp_path, (header, *rows), suffix)
    source = files(tmp_path)
    assert source.count(name) == 2
    assert read(source, name, a="text") == [{"id": "1", "a": "x"}, {"id": "2", "a": "y"}]
    with pytest.raises(SourceError) as stopped:
        read(source, name, **{"Invoices::Nr": "text"})
    assert str(stopped.value) == (
        "Invoices::Nr is a related field with several values for one record: the others are in"
        " line 3\n"
        f"  where: channel=exports, file={name}\n"
        "  state: nothing was written\n"
        "  next:  export the related table itself, and map it as its own source"
    )


def test_a_related_field_with_one_value_for_each_record_is_read(tmp_path):
    lines(tmp_path, "id,Person::Name", "1,x", "2,")
    found = read(files(tmp_path), "t.csv", **{"Person::Name": "text"})
    assert [row["Person::Name"] for row in found] == ["x", ""]
    lines(tmp_path, "id,Person::Name", ",x", "1,x")
    with pytest.raises(SourceError, match="1 row has values but no key, in line 2"):
        read(files(tmp_path), "t.csv")


def test_a_related_field_is_never_taken_for_one_of_the_table():
    assert find("PersonName", ["Person::Name"]) == ()
    assert find("person::name", ["Person::Name", "PersonName"]) == ("Person::Name",)


@pytest.mark.parametrize("suffix", [".csv", ".tab"])
@pytest.mark.parametrize("kind", ["text", "number", "date"])
def test_each_repetition_of_a_field_is_read_by_the_type_of_the_field(suffix, kind, tmp_path):
    """The cleaning takes them apart: the first is the value, and who holds more is told."""
    rows = (("id", "a"), ("1", "1/2/2025\x1d\x1d3/2/2025"), ("2", "\x1d"), ("3", "1/2/2025"))
    name = separated(tmp_path, rows, suffix)
    wanted = ReadRequest(name, "id", {"id": "text", "a": kind})
    (part,) = files(tmp_path).records(wanted)
    first, last = ("2025-02-01", "2025-02-03") if kind == "date" else ("1/2/2025", "3/2/2025")
    assert part.separated
    assert [row["a"] for row in part.rows] == [f"{first}\x1d\x1d{last}", "\x1d", first]


# ------------------------------------------------------------------ numbers in the place of texts


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


# ------------------------------------------------------------------ workbooks

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


# ------------------------------------------------------------------ what a file is


def archive(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return out.getvalue()


OLE2 = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(600)
KINDS = [
    (OLE2 + "EncryptedPackage".encode("utf-16-le"), "a password"),
    (OLE2 + "Workbook".encode("utf-16-le"), "an old Excel file"),
    (archive("Index/Document.iwa"), "a Numbers document"),
    (archive("mimetype", "content.xml"), "an OpenDocument spreadsheet"),
    (archive("[Content_Types].xml", "xl/workbook.bin"), "a binary Excel workbook"),
    (archive("[Content_Types].xml", "word/document.xml"), "a Word document"),
    (archive("Visits.csv"), "a ZIP archive"),
    (b"\0\1\0\0\0\2\0\1\0\5\0\2\0\2\xc0HBAM7" + bytes(99), "a FileMaker file"),
    (b"%PDF-1.7", "a PDF"),
    (f"\r\n <!DOCTYPE html><html>{SECRET}".encode(), "a web page"),
    (b"\xef\xbb\xbf<html><table>", "a web page"),
    (b'<?xml version="1.0"?><FMPXMLRESULT>', "a FileMaker XML export"),
    (
        b'<?xml version="1.0"?><x xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
        "an Excel 2003 XML file",
    ),
    (b"\x1f\x8b\x08", "a compressed file"),
]


@pytest.mark.parametrize(("content", "kind"), KINDS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_is_told_for_what_it_is_whatever_it_is_called(content, kind, suffix, tmp_path):
    (tmp_path / f"t{suffix}").write_bytes(content)
    with pytest.raises(SourceError) as stopped:
        files(tmp_path).count(f"t{suffix}")
    assert kind in stopped.value.what
    assert SECRET not in str(stopped.value)


def test_a_workbook_that_is_called_csv_is_told(tmp_path):
    workbook(tmp_path, ["id"], ["1"], name="t.xlsx")
    (tmp_path / "t.xlsx").rename(tmp_path / "t.csv")
    with pytest.raises(SourceError, match=r"is named \.csv, but it is an Excel workbook"):
        files(tmp_path).count("t.csv")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("t.fmp12", "a FileMaker file"),
        ("t.tsv", "rename it"),
        ("t.numbers", "a Numbers document"),
        ("t.zip", "unpack it"),
        ("t.XLS", "an old Excel file"),
    ],
)
def test_a_suffix_that_is_not_read_is_told_with_what_to_do(name, what, tmp_path):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(SettingsError, match=what):
        files(tmp_path).count(name)


# ------------------------------------------------------------------ encodings


@pytest.mark.parametrize("declared", ["windows-1252", "macroman"])
def test_utf_8_beyond_ascii_is_not_read_as_an_encoding_of_one_byte(declared, tmp_path):
    (tmp_path / "t.csv").write_bytes(f"id,a\r1,x\r2,Größe “{SECRET}”".encode())
    with pytest.raises(SettingsError) as stopped:
        files(tmp_path, encoding=declared).count("t.csv")
    assert str(stopped.value) == (
        f"{declared} is declared, but the file is utf-8 (line 3 has the first non-ASCII"
        " letter)\n"
        "  where: channel=exports, file=t.csv\n"
        "  state: nothing was written\n"
        '  next:  write encoding = "utf-8" under [filemaker.exports], or for this file only'
        " under [filemaker.exports.files]"
    )
    (tmp_path / "t.csv").write_bytes(b"id,a\r1,x")
    assert files(tmp_path, encoding=declared).count("t.csv") == 1


@pytest.mark.parametrize("declared", ["utf-8", "windows-1252", "macroman"])
@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_read_where_it_is_declared_and_told_elsewhere(
    declared, order, tmp_path
):
    (tmp_path / "t.csv").write_bytes("id,a\r1,ö".encode(order))
    assert read(files(tmp_path, encoding="utf-16"), "t.csv", a="text") == [{"id": "1", "a": "ö"}]
    with pytest.raises(SettingsError, match="the file is utf-16 without a byte-order mark"):
        files(tmp_path, encoding=declared).count("t.csv")


@pytest.mark.parametrize(
    ("codec", "likely"), [("cp1252", "windows-1252"), ("mac_roman", "macroman")]
)
def test_what_is_not_utf_8_is_told_with_the_encoding_that_would_fit(codec, likely, tmp_path):
    (tmp_path / "t.csv").write_bytes("id,a\r1,Größe und nächste Straße".encode(codec))
    with pytest.raises(SourceError, match="line 2, byte 10: cannot be read as utf-8") as stopped:
        files(tmp_path).count("t.csv")
    assert f"probably {likely}" in stopped.value.next
    with pytest.raises(SourceError, match="cannot be read as utf-16"):
        files(tmp_path, encoding="utf-16").count("t.csv")


def test_an_encoding_that_cannot_be_declared_is_not_advised(tmp_path):
    (tmp_path / "t.csv").write_bytes("id,a\r1,ö".encode("utf-32"))
    with pytest.raises(SettingsError, match="begins with the byte-order mark of utf-32") as stopped:
        files(tmp_path).count("t.csv")
    assert stopped.value.next == "export the table again as UTF-8"


def test_each_file_may_have_an_encoding_and_columns_of_its_own(tmp_path):
    (tmp_path / "a.csv").write_bytes("id,ä\r1,ö".encode())
    (tmp_path / decomposed("Präsenz.tab")).write_bytes("1\tö".encode("mac_roman"))
    own = ExportedFile(encoding="macroman", columns=("id", "ä"))
    place = Exports(folder=tmp_path, files={"Präsenz.tab": own})
    source = ExportedFiles(place, {})
    assert read(source, "a.csv", ä="text") == read(source, "Präsenz.tab", ä="text")


def test_a_zero_in_a_text_is_no_other_encoding(tmp_path):
    lines(tmp_path, "id,a", "1,x\0y", "2," + "z" * 40)
    assert read(files(tmp_path), "t.csv")[0]["id"] == "1"


# ------------------------------------------------------------------ the folder


def test_files_whose_names_differ_in_case_or_form_alone_are_both_named(tmp_path):
    for one, other in (("Visits.csv", "visits.csv"), ("Präsenz.csv", decomposed("Präsenz.csv"))):
        for name in (one, other):
            lines(tmp_path, "id", "1", name=name)
        for asked in (one, other):
            with pytest.raises(SettingsError, match="2 files have the name") as stopped:
                files(tmp_path).count(asked)
            assert ascii(one).strip("'") in str(stopped.value)
            assert ascii(other).strip("'") in str(stopped.value)


def test_every_file_that_is_not_there_is_told_before_one_is_read(tmp_path):
    lines(tmp_path, "id", "1", name="Visits.csv")
    lines(tmp_path, "id", "1", name="Peple.csv")
    (tmp_path / "Scans.tab").touch()
    (tmp_path / "Cares.csv").mkdir()
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    place = Exports(folder=tmp_path, files={"Vists.csv": ExportedFile(encoding="macroman")})
    source = ExportedFiles(place, {})
    with pytest.raises(SourceError) as stopped:
        source.require(
            {
                "visits": "Visits.csv",
                "people": "People.csv",
                "scans": "Scans.tab",
                "cares": "Cares.csv",
                "old": "Old.xls",
                "out": "../out.csv",
                "gone": "gone.csv",
            }
        )
    assert str(stopped.value) == (
        "7 problems with the 7 exported files\n"
        "    people: there is no file People.csv; nearest: Peple.csv\n"
        "    scans: Scans.tab is empty\n"
        "    cares: Cares.csv is a folder, not a file\n"
        "    old: .xls cannot be read (an old Excel file: export the table as .xlsx); export the"
        " table as one of .xlsx, .csv, .mer, .tab\n"
        "    out: the name of a file leads out of the exports folder; put the file into the folder,"
        " and write only its name\n"
        "    gone: there is no file gone.csv; nearest: Peple.csv\n"
        "    [filemaker.exports.files]: there is no file Vists.csv; nearest: Visits.csv\n"
        f"  where: channel=exports, folder={tmp_path}\n"
        "  state: nothing was written\n"
        "  next:  export the files that are missing into the folder, or write their names under"
        " [filemaker.tables]; do what else a line says; then run 01_preflight again"
    )
    assert source.usage().bytes_read == 0


@pytest.mark.parametrize(
    "name", ["visits.CSV", "Visits.mer", "Visits.xls", "Visits.csv.crdownload", "Visits (1).csv"]
)
def test_what_the_file_may_be_called_instead_is_named_whatever_it_is(name, tmp_path):
    for other in ("Vials.csv", "Visas.csv", "Advisors.csv", name):
        lines(tmp_path, "id", "1", name=other)
    with pytest.raises(SourceError, match=r"no file Visits\.csv; nearest: ") as stopped:
        ExportedFiles(Exports(folder=tmp_path), {}).require({"visits": "Visits.csv"})
    assert name in str(stopped.value)


@pytest.mark.parametrize(
    ("name", "is_told"),
    [
        ("Visits (1).csv", True),
        ("Visits 2.xlsx", True),
        ("Visits.mer", True),
        ("visits-2026-11-30.csv", True),
        ("Visits - Kopie.csv", True),
        ("Copy of Visits.csv", False),  # nothing is guessed of a name that begins otherwise
        ("Visits of children.csv", False),
        ("Visitors.csv", False),
        ("~$Visits.xlsx", False),  # of a program that has the workbook open
        ("Scans (1).tab", False),  # is read
    ],
)
@pytest.mark.parametrize("is_newer", [True, False])
def test_a_newer_export_beside_the_file_that_would_be_read_stops(name, is_told, is_newer, tmp_path):
    for file in ("Visits.csv", "Scans.tab", name):
        lines(tmp_path, "id", "1", name=file)
        at = 2_000 + (is_newer if file == name else 0)
        os.utime(tmp_path / file, (at, at))
    source = ExportedFiles(Exports(folder=tmp_path), {})
    used = {"visits": "Visits.csv", "scans": "Scans.tab", "more": "Scans (1).tab"}
    lines(tmp_path, "id", "1", name="Scans (1).tab")
    if not (is_told and is_newer):
        source.require(used)
        return
    with pytest.raises(SourceError, match="is newer, and would not be read") as stopped:
        source.require(used)
    assert f"visits: {name} lies beside Visits.csv" in str(stopped.value)


def test_a_folder_that_the_system_cannot_read_is_told_in_four_lines(tmp_path):
    """As one of a machine that is away, whose error no Python function takes for 'not there'."""
    folder = tmp_path / ("x" * 300)
    with pytest.raises(SourceError, match="the folder cannot be read: File name too long"):
        ExportedFiles(Exports(folder=folder), {}).require({"visits": "Visits.csv"})


HEADERS = '<row r="1"><c r="A1" t="str"><v>id</v></c><c r="B1" t="str"><v>a</v></c></row>'


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
    raw_workbook(tmp_path, HEADERS + rows)
    with pytest.raises(SourceError, match=f"{place} comes twice, or after a later one") as stopped:
        files(tmp_path).count("t.xlsx")
    assert "state: nothing was written" in str(stopped.value)


def test_rows_and_cells_may_have_no_places_of_their_own(tmp_path):
    rows = "<row><c><v>1</v></c><c><v>7</v></c></row><row><c><v>2</v></c></row>"
    raw_workbook(tmp_path, HEADERS + rows)
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
    ],
)
def test_a_text_that_looks_like_an_escape_stays_in_the_table_of_texts_too(stored, text, tmp_path):
    rows = '<row r="2"><c r="A2"><v>1</v></c><c r="B2" t="s"><v>0</v></c></row>'
    raw_workbook(tmp_path, HEADERS + rows, [f"<t>{stored}</t>"])
    assert read(files(tmp_path), "t.xlsx", a="text") == [{"id": "1", "a": text}]


@pytest.mark.parametrize(
    "values",
    [
        ['"Smith, Ann"', "plain"],  # as Excel saves it
        ["plain", '"said ""yes"""'],
        ["a, b", '"said ""yes"""'],  # as LibreOffice does
    ],
)
def test_quotes_of_a_spreadsheet_program_in_a_tab_separated_file_stop(values, tmp_path):
    held = (f"{number}\t{value}" for number, value in enumerate(values))
    lines(tmp_path, "id\ta", *held, name="t.tab")
    with pytest.raises(SourceError, match=r"a spreadsheet program has saved it \(line") as stopped:
        files(tmp_path).count("t.tab")
    assert "Ann" not in str(stopped.value)


@pytest.mark.parametrize(
    "values",
    [
        ['"Bob"', '""'],  # somebody's nickname
        ['"Smith, Ann"', "Doe, Jo"],
        ['"Smith, Ann"', '6" wide'],
        ['"said ""yes"""', 'said "no"'],
        ['"a" and "b"', "c"],
    ],
)
def test_quotes_that_somebody_has_typed_are_a_part_of_their_value(values, tmp_path):
    held = (f"{number}\t{value}" for number, value in enumerate(values))
    lines(tmp_path, "id\ta", *held, name="t.tab")
    assert [row["a"] for row in read(files(tmp_path), "t.tab", a="text")] == values


# ------------------------------------------------------------------ separators


def with_separator(folder, separator=",", given=()):
    """The files of ``folder``, of which ``id`` and ``Last name`` are wanted."""
    wanted = () if given else (frozenset({"id"}), frozenset({"lastname"}))
    place = Exports(folder=folder, separator=separator)
    return ExportedFiles(place, {f"t{suffix}": Known(given, wanted) for suffix in SUFFIXES})


def test_a_merge_file_of_a_system_that_writes_semicolons_is_read(tmp_path):
    """FileMaker puts the sign of the system's language between the values of such a file."""
    people = table({"Last": "Ann; B"}, {"Last": 'said "yes", twice'}, Last="text")
    exports.write(people, tmp_path / "t.mer", Style(separator=";"))
    by_place = ExportedFiles(Exports(folder=tmp_path, separator=";"), {})
    rows = read(by_place, "t.mer", Last="text")
    assert [row["Last"] for row in rows] == ["Ann; B", 'said "yes", twice']
    one = Exports(folder=tmp_path, files={"t.mer": {"separator": ";"}})
    assert read(ExportedFiles(one, {}), "t.mer", Last="text") == rows


@pytest.mark.parametrize(
    ("name", "declared", "header", "what", "advice"),
    [
        ("t.csv", ",", '"id";"Last name"', "by semicolons, and not by commas", 'separator = ";"'),
        ("t.csv", ",", "id;Last name", "by semicolons, and not by commas", 'separator = ";"'),
        ("t.mer", ",", '"id";"Last name"', "by semicolons, and not by commas", 'separator = ";"'),
        ("t.mer", ";", '"id","Last name"', "by commas, and not by semicolons", 'separator = ","'),
        ("t.csv", ",", "id\tLast name", "by tabs, and not by commas", "name the file .tab"),
        ("t.tab", ",", '"id";"Last name"', "by semicolons, and not by tabs", "name the file .csv"),
        ("t.tab", ",", "id,Last name", "by commas, and not by tabs", "name the file .csv"),
    ],
)
@pytest.mark.parametrize("has_headers", [True, False])
def test_another_separator_is_told_by_its_name_and_never_guessed(
    name, declared, header, what, advice, has_headers, tmp_path
):
    record = header.replace("id", "R1").replace("Last name", SECRET)
    lines(tmp_path, *([header] if has_headers else []), record, name=name, end="\r")
    given = () if has_headers else ("id", "Last name")
    with pytest.raises(SettingsError, match=what) as stopped:
        with_separator(tmp_path, declared, given).count(name)
    assert advice in str(stopped.value)
    assert SECRET not in str(stopped.value)


@pytest.mark.parametrize("name", ["t.csv", "t.tab"])
def test_a_file_without_headers_is_told_which_exports_have_them(name, tmp_path):
    sign = "\t" if name.endswith("tab") else ","
    lines(tmp_path, sign.join(["R1", SECRET]), name=name)
    with pytest.raises(SourceError, match=r"as a merge file \(\.mer\)") as stopped:
        with_separator(tmp_path).count(name)
    assert SECRET not in str(stopped.value)
