"""Texts in the cells of a workbook, and in lists for people: all can be written and read back."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from nexus_reimport.files import rowfile, workbook
from support.by_hand_sheets import CONTROLS
from support.values_of_lists import GUARDED, PLAIN


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec=None)))
def test_every_text_can_be_written_and_says_the_same_when_it_is_read(text: str) -> None:
    book = Workbook()
    cell = book.worksheets[0].cell(1, 1)
    cell.value = workbook.cell_text(text) or None
    cell.data_type = "s"
    out = io.BytesIO()
    book.save(out)
    (row,) = list(workbook.rows(workbook.opened(out.getvalue(), values=False).worksheets[0])) or [
        ()
    ]
    read = workbook.unescaped(row[0].value or "") if row else ""
    assert read == workbook.shown(text).replace("\r\n", "\n").replace("\r", "\n")


def test_what_a_cell_cannot_hold_is_seen() -> None:
    shown = workbook.shown(f"a{CONTROLS}b")
    assert shown == "a" + "\ufffd" * 9 + "\t\n\ufffd\ufffd\r" + "\ufffd" * 22 + "b"
    assert workbook.shown("x" * 40_000) == "x" * 32_766 + "…"
    for text in ("_x0041_ _x005F_", "_X000D_", "_X005f_ _x000d_"):
        assert workbook.unescaped(workbook.cell_text(text)) == text
    assert len(workbook.cell_text("_x0041_" * 4_681)) <= workbook.LONGEST_TEXT


def test_a_list_for_people_opens_with_its_umlauts_and_computes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rowfile.write_csv(path, ("was", "wärt"), [(v, v) for v in (*GUARDED, *PLAIN)] + [(None, "x")])
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbfwas,w\xc3\xa4rt\r\n")
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["was", "wärt"]
    assert [row[0] for row in rows] == [*(f"'{value}" for value in GUARDED), *PLAIN, ""]
    assert [row[1] for row in rows[:-1]] == [row[0] for row in rows[:-1]]
    assert '"a;=1"' in content.decode()  # where ; separates values, it does not end one here


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_value_of_a_list_is_a_formula_and_each_can_be_read_back(text: str) -> None:
    (back,) = next(csv.reader(io.StringIO(rowfile._line((text, "x")), newline="")))[:1]
    assert back.removeprefix("'") == text.removeprefix("'")
    assert not back.lstrip().startswith(("=", "+", "@"))
