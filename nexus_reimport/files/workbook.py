"""Excel workbooks: opened whatever program wrote them; texts that every program reads back.

Source: ISO/IEC 29500-1 (Strict and Transitional differ in the names of their namespaces);
ISO/IEC 29500-1, 22.9.2.19, "ST_Xstring" (``_x000D_`` stands for a character that XML cannot hold).
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Any

# Microsoft, "Excel specifications and limits": a cell's text, a sheet's rows.
LONGEST_TEXT = 32_767  # characters of a cell
MOST_ROWS = 1_048_576
UNPRINTABLE = "\ufffd"
# XML 1.0 has no such characters; 0x7F is legal there, but shows as nothing.
_NOT_IN_A_CELL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
# A text that only looks like an escape would be read back as a character.
_LIKE_AN_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
# What XML cannot hold, and the underscore that hides an escape: others stay as they are.
# With a capital X it is a text.
_ESCAPE = re.compile(r"_x((?i:00[01][0-9a-f]|005f|d[89a-f][0-9a-f]{2}|fff[ef]))_", re.ASCII)
# Colours, gaps (`_x`) and fill (`*x`) of a format change a number's look, not its digits.
_LOOK = re.compile(
    r"\[(?:red|black|blue|green|white|cyan|magenta|yellow|color\s?\d+)\]|[_*].", re.IGNORECASE
)
# Placeholders and separators of digits: they add no text to a number.
_PLAIN = re.compile(r"(?:general|[0#?.,;\-+()@E ]*)", re.IGNORECASE)
# A row or a cell, and where it stands; without a place it follows on the one before it.
_PLACED = re.compile(
    rb"<(?:\w+:)?(row|c)(?=[\s/>])(?:\s(?:[^<>]*?\s)?r=[\"']([A-Z]*)([0-9]+)[\"'])?"
)
_PIECE = 1 << 20  # bytes
_ROOTS = {"xl/workbook.xml", "_rels/.rels"}
_STRICT = b"http://purl.oclc.org/ooxml/"
# As the value of an attribute alone: a text of a cell may hold the same address.
_NAMESPACE = re.compile(rb"""(=\s*["'])http://purl\.oclc\.org/ooxml/(\w+)(?=[/"'])""")
# The library removes this from every text of the table of texts, also where it hides an escape:
# with one more of them inside it, what is left is what was written.
_REMOVED, _RESTORED = b"x005F_", b"x00x005F_5F_"
_TABLE_OF_TEXTS = re.compile(rb"<(?:\w+:)?sst[\s>]")
_HEAD = 1 << 10  # bytes


def opened(content: bytes, *, values: bool) -> Any:
    """The workbook ``content``, to be read row by row: formulas, or with ``values`` their results.

    Raises:
        Exception: of a dozen kinds, whose texts may quote a cell and must not be shown.
    """
    from openpyxl import load_workbook

    warnings.filterwarnings("ignore", module="openpyxl")  # a warning may quote a cell
    # Row by row: as a whole it takes about fifty times the file's size (openpyxl, "Performance").
    return load_workbook(io.BytesIO(_readable(content)), read_only=True, data_only=values)


def rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of a sheet, each up to its last written cell.

    The size that a sheet claims to have is ignored: some programs write a wrong one, and a single
    cell far away must not give a billion cells.
    """
    sheet.reset_dimensions()
    return iter(sheet.iter_rows())


def markup(sheet: Any) -> Iterator[bytes]:
    """The XML of a sheet in pieces, none of which cuts a tag.

    The library does not give all of it for a sheet that it reads row by row.
    """
    rest = b""
    with sheet._get_source() as source:  # noqa: SLF001 - of a part that only this names
        while piece := source.read(_PIECE):
            piece = rest + piece
            cut = piece.rfind(b"<") if piece.rfind(b">") < piece.rfind(b"<") else len(piece)
            yield piece[:cut]
            rest = piece[cut:]


def misplaced(sheet: Any) -> str:
    """The first row or cell that does not come after the one before it; ``""`` if all do.

    The library leaves such a row out, and of two cells in one place the first, without a word.
    """
    row = column = 0
    for piece in markup(sheet):
        for kind, letters, number in _PLACED.findall(piece):
            if kind == b"row":
                before, row, column = row, int(number or row + 1), 0
                if row <= before:
                    return f"row {row:,}"
            else:
                before, column = column, _column(letters) if letters else column + 1
                if column <= before:
                    return f"a cell in column {letters.decode()} of row {row:,}"
    return ""


@cache
def _column(letters: bytes) -> int:
    """The number of a column, from 1: ``AA`` is the 27th."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def shown(value: str, *, longest: int = LONGEST_TEXT) -> str:
    """``value`` as a cell can show it; a longer text ends in ``…``.

    A character that XML or Excel cannot hold becomes U+FFFD, so that people notice it.
    """
    text = _NOT_IN_A_CELL.sub(UNPRINTABLE, value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def cell_text(value: str) -> str:
    """``value`` as it is written into a cell, with texts such as ``_x000D_`` escaped.

    Source: the same standard, ``_x005F_`` for the underscore of a text that looks like an escape.
    """
    written = _LIKE_AN_ESCAPE.sub("_x005F_", shown(value))
    if len(written) <= LONGEST_TEXT:
        return written
    # An escape makes seven characters of one, so an eighth of the text always fits.
    return _LIKE_AN_ESCAPE.sub("_x005F_", shown(value, longest=LONGEST_TEXT // 8))


def shows_digits(number_format: str) -> bool:
    """Whether a format shows a number as its digits only: no added signs, no leading zeros."""
    # A format has up to four parts: positive numbers; negative ones; zero; text.
    positive = _LOOK.sub("", number_format).split(";")[0]
    digits = re.split(r"[.E]", positive)[0]
    return _PLAIN.fullmatch(positive) is not None and digits.count("0") < 2


def unescaped(text: str) -> str:
    """``text`` with its escapes replaced by the characters that they mean."""
    if "_x" not in text:
        return text
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def _readable(content: bytes) -> bytes:
    """``content`` as the library reads all of it, and reads it right.

    Strict Open XML gets the namespaces of Transitional, which all programs know.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        is_strict = any(_STRICT in archive.read(name) for name in _ROOTS & {*archive.namelist()})
        shortened = {
            name
            for name in archive.namelist()
            if _holds_texts(archive, name) and _REMOVED in archive.read(name)
        }
        if not is_strict and not shortened:
            return content
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as changed:
            for part in archive.infolist():
                body = archive.read(part)
                if is_strict and part.filename.endswith((".xml", ".rels")):
                    body = _NAMESPACE.sub(_renamed, body)
                if part.filename in shortened:
                    body = body.replace(_REMOVED, _RESTORED)
                changed.writestr(part.filename, body)
    return out.getvalue()


def _holds_texts(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether a part is the table of texts, which each program names as it likes."""
    with archive.open(name) as part:
        return _TABLE_OF_TEXTS.search(part.read(_HEAD)) is not None


def _renamed(match: re.Match[bytes]) -> bytes:
    family = {b"officeDocument": b"officeDocument/2006"}.get(match[2], match[2] + b"/2006")
    return match[1] + b"http://schemas.openxmlformats.org/" + family
