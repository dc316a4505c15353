"""Exported files as bytes: what FileMaker's own help says of each format."""

from __future__ import annotations

import pytest
from openpyxl import load_workbook

from nexus_reimport.errors import SandboxError
from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.exports import Style
from nexus_sandbox.filemaker.file import Field, FileTable, Record
from support.small_filemaker import contacts, events


def written(folder, table, name, style=exports.PLAIN):
    exports.write(table, folder / name, style)
    return (folder / name).read_bytes()


def test_a_csv_has_quotes_around_every_value_and_cr_after_every_record(tmp_path):
    content = written(tmp_path, events(), "e.csv")
    first, second, third, *_ = content.split(b"\r")
    assert first == b'"id","startDate","startTime","endTime","note"'
    assert second == b'"E0","2/1/2025","00:00:00","24:00:00","a = b * c @ home #1"'
    assert third.endswith(b'"first\x0bsecond"')
    assert content.endswith(b"\r")
    assert b"\n" not in content


def test_a_tab_has_no_quotes_and_no_tab_inside_of_a_value(tmp_path):
    table = FileTable("T", (Field("a", "text"),), [Record(1, 0, {"a": 'a "b"\tc\r\rd'})])
    assert written(tmp_path, table, "t.tab", Style(headers=False)) == b'a "b" c\x0b\x0bd\r'
    assert written(tmp_path, table, "t.csv", Style(headers=False)) == b'"a ""b""\tc\x0b\x0bd"\r'


def test_text_files_have_file_names_repetitions_and_only_numbers_in_number_fields(tmp_path):
    lines = written(tmp_path, contacts(), "c.csv").decode().split("\r")
    assert '"face.jpg"' in lines[1]
    assert '"\x1dsecond"' in lines[2]
    assert "n/a" not in "".join(lines)
    assert "n/a" in written(tmp_path, contacts(), "c.tab").decode()


def test_a_mark_an_encoding_and_an_end_of_line_can_be_chosen(tmp_path):
    table = FileTable("T", (Field("a b", "text"),), [Record(1, 0, {"a b": "é"})])
    style = Style(mark=True, line_end="\r\n", underscores=True)
    assert written(tmp_path, table, "t.csv", style) == b'\xef\xbb\xbf"a_b"\r\n"\xc3\xa9"\r\n'
    assert written(tmp_path, table, "t.tab", Style(encoding="mac_roman")) == b"a b\r\x8e\r"


def test_a_sheet_has_cells_of_their_types_and_no_containers_or_repetitions(tmp_path):
    written(tmp_path, events(), "e.xlsx")
    sheet = load_workbook(tmp_path / "e.xlsx").active
    assert [str(cell.value) for cell in sheet[2]] == [
        "E0",
        "2025-01-02 00:00:00",
        "0:00:00",
        "1 day, 0:00:00",
        "a = b * c @ home #1",
    ]
    assert sheet["D2"].number_format == "[h]:mm:ss"
    written(tmp_path, contacts(), "c.xlsx")
    names = [cell.value for cell in load_workbook(tmp_path / "c.xlsx").active[1]]
    assert {"faceImage", "thumbnails"} & set(names) == set()
    assert "summaryListOfLastName" in names


def test_a_sheet_cuts_a_text_takes_no_formula_and_writes_old_dates_as_text(tmp_path):
    fields = (Field("a", "text"), Field("d", "date"))
    records = [
        Record(1, 0, {"a": "x" * 40_000, "d": "1899-12-31"}),
        Record(2, 0, {"a": "=1+1", "d": "1900-01-02"}),
    ]
    written(tmp_path, FileTable("T", fields, records), "t.xlsx")
    sheet = load_workbook(tmp_path / "t.xlsx").active
    assert len(sheet["A2"].value) == 32_767
    assert sheet["B2"].value == "31/12/1899"
    assert (sheet["A3"].value, sheet["A3"].data_type) == ("=1+1", "s")


def test_the_clinic_is_exported_to_the_files_that_it_has(made_up, tmp_path):
    names = exports.export(made_up.filemaker, tmp_path / "exports")
    assert names["API_Contacts"] == "Contacts.xlsx"
    assert set(names.values()) == {path.name for path in (tmp_path / "exports").iterdir()}
    assert len(names) == 13
    images = (tmp_path / "exports" / "Image_DataV6.tab").read_bytes()
    table = next(t for t in made_up.filemaker if t.name == "API_Images")
    assert images.count(b"\r") == len(table.records)
    assert b"\n" not in images
    assert len(images.split(b"\r")[0].split(b"\t")) == len(exports.IMAGE_COLUMNS)
    assert (tmp_path / "exports" / "Clinics.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_a_format_that_filemaker_does_not_have_is_an_error(tmp_path):
    with pytest.raises(SandboxError, match="no export with the ending"):
        exports.write(events(), tmp_path / "e.pdf")
