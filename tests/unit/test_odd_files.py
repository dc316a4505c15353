"""What lies in the folder of the exports: what a file is, what it may be called, which is read."""

from __future__ import annotations

import io
import os
import zipfile
from contextlib import suppress

import pytest

from nexus_reimport.errors import ReimportError, SettingsError, SourceError
from nexus_reimport.filemaker.exports import ExportedFiles
from nexus_reimport.settings import ExportedFile, Exports
from support.exported_files import SECRET, SUFFIXES, files, lines, read, workbook
from support.odd_exports import decomposed, knowing

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
