"""Text files that FileMaker exports: values between commas or tabs.

A record ends at CR, LF or CRLF, and at nothing else that looks like the end of a line. A paragraph
inside of a value is 0x0B there, and a newline here.

Source: Claris FileMaker Pro Help, "Comma-separated values format", "Tab-separated text format".
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator

from nexus_reimport.errors import SettingsError, SourceError
from nexus_reimport.source.exports.grid import Line

_CODECS = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "windows-1252": "cp1252",
    "macroman": "mac_roman",
}
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_END = re.compile(r"\r\n|\r|\n")
_LONGEST_VALUE = 2**31 - 1
_AGAIN = "export the table from FileMaker again"


def decoded(content: bytes, encoding: str, where: str) -> str:
    """The text of a file in the declared encoding, without a byte-order mark.

    Raises:
        SettingsError: the mark that the file begins with is of another encoding.
        SourceError: bytes that mean nothing in this encoding; the message says where.
    """
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    if mark and _MARKS[mark] != encoding:
        raise SettingsError(
            f"{encoding} is declared, and the file begins with the mark of {_MARKS[mark]}",
            where=where,
            next=f'write encoding = "{_MARKS[mark]}" under [filemaker.exports]',
        )
    codec = _CODECS[encoding]
    body = content if codec == "utf-16" else content.removeprefix(mark)  # needs its mark
    try:
        # CESU-8, which writes one character as two halves, is joined by ``cleaning``
        return body.decode(codec, "surrogatepass" if codec == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        before = body[: error.start].decode(codec, "ignore")
        line, byte = len(_END.findall(before)) + 1, len(content) - len(body) + error.start + 1
    raise SourceError(
        f"line {line:,}, byte {byte:,}: cannot be read as {encoding}",
        where=where,
        next="declare the encoding that was chosen at the export, or export again as UTF-8",
    )


def between_tabs(text: str, where: str) -> Iterator[Line]:
    """The lines of ``text``. There are no quotes in this format: a quote is a character."""
    for number, record in enumerate(_END.split(text), 1):
        yield Line(number, _values(record.split("\t")))


def between_commas(text: str, where: str) -> Iterator[Line]:
    """The lines of ``text``. A record over several lines goes by the number of its first.

    Raises:
        SourceError: a quote that is not closed, or not doubled.
    """
    csv.field_size_limit(_LONGEST_VALUE)  # else 131,072 characters; it is the process's own
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 1
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            at_end = "end of data" in str(error)
            raise SourceError(
                f"line {number:,}: "
                + ("the file ends inside of quotes" if at_end else "a quote that is not doubled"),
                where=where,
                next=_AGAIN,
            ) from None
        if row is None:
            return
        yield Line(number, _values(row))
        number = rows.line_num + 1


def _values(row: list[str]) -> list[str]:
    return [value.replace("\x0b", "\n") for value in row]
