"""Text files: a mark is believed, nothing is guessed, and what does not fit is told by line."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport.files import textfile

TEXT = "Größe = 1\r\nnächste"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF8 * 2 + TEXT.encode(),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
        codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"),
    ],
)
def test_a_mark_is_read_as_what_it_is(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert textfile.read(tmp_path / "x") == TEXT


@pytest.mark.parametrize(
    ("content", "line", "likely"),
    [
        ("a = 1\nb = 'Größe nächst'".encode("latin-1"), 2, "windows-1252"),
        ("a = 1\r\nb = 2\rc = 'Größe nächst'".encode("mac_roman"), 3, "macroman"),
        ("a = 1\nb = 2".encode("utf-16-le"), 1, "utf-16"),
        ("a = 1\nb = 2".encode("utf-16-be"), 1, "utf-16"),
        (b"a = 1\nb = \0", 2, "utf-8"),
        (codecs.BOM_UTF16_LE + b"a\0\n\0\x00\xd8b\0", 2, ""),
    ],
)
def test_what_cannot_be_read_is_told_by_line_with_what_would_fit(
    content: bytes, line: int, likely: str, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(textfile.Undecodable) as told:
        textfile.read(tmp_path / "x")
    assert (told.value.line, told.value.likely) == (line, likely)
    assert told.value.message(tmp_path / "x").startswith(f"x, line {line}: is not UTF-8")
    assert told.value.__context__ is None


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf_16_needs_no_mark_where_its_line_ends_tell_the_order(order: str) -> None:
    for text in ("id,a\r1,ö", "名前,電話\r\n田中,零"):
        assert textfile.decoded(text.encode(order), "utf-16") == text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")))
def test_every_text_comes_back(text: str) -> None:
    for codec, encoding in (("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16")):
        assert textfile.decoded(text.encode(codec), encoding) == text
