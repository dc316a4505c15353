"""The encodings of exported text files: as declared, and never guessed."""

from __future__ import annotations

import pytest

from nexus_reimport.errors import SettingsError, SourceError
from nexus_reimport.filemaker.exports import ExportedFiles
from nexus_reimport.settings import ExportedFile, Exports
from support.exported_files import SECRET, files, lines, read
from support.odd_exports import decomposed


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
