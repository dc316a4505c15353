"""Text files that FileMaker exports: comma-separated or tab-separated.

A record ends at CR, LF or CRLF, and at no other character that some programs take for a line end.
FileMaker writes a line break inside a value as 0x0B; here it becomes a newline.

Source: Claris FileMaker Pro Help, "Comma-separated values format", "Tab-separated text format".
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import get_args

from nexus_reimport.errors import SettingsError, SourceError
from nexus_reimport.filemaker.exports.grid import GridRow
from nexus_reimport.files import textfile
from nexus_reimport.settings import Encoding

_LONGEST_VALUE = 2**31 - 1
_AGAIN = "export the table from FileMaker again"


def decoded(content: bytes, encoding: str, where: str) -> str:
    """The text of a file in the declared encoding, without a byte-order mark.

    Raises:
        SettingsError: it is clearly in a different encoding: by its byte-order mark, by the zeros
            of UTF-16, or because its non-ASCII bytes are valid UTF-8, which is never by chance.
        SourceError: bytes that mean nothing in this encoding; the message says where.
    """
    mark = textfile.marked(content)
    if mark and mark != encoding:
        raise _declared(
            encoding, f"the file begins with the byte-order mark of {mark}", mark, where
        )
    if not mark and encoding != "utf-16" and textfile.likely(content) == "utf-16":
        raise _declared(encoding, "the file is utf-16 without a byte-order mark", "utf-16", where)
    if encoding in textfile.ONE_BYTE and not content.isascii() and textfile.is_utf8(content):
        beyond = re.search(rb"[\x80-\xff]", content)
        before = content[: beyond.start()] if beyond else b""
        line = len(textfile.LINE_END.findall(before.decode("ascii"))) + 1
        what = f"the file is utf-8 (line {line:,} has the first non-ASCII letter)"
        raise _declared(encoding, what, "utf-8", where)
    try:
        # CESU-8, which writes one character as two halves, is joined by ``cleaning``
        return textfile.decoded(content, encoding, halves=True)
    except textfile.Undecodable as error:
        place, likely = error, error.likely
    raise SourceError(
        f"line {place.line:,}, byte {place.byte:,}: cannot be read as {encoding}",
        where=where,
        next="declare the encoding that was chosen at the export"
        + (f", probably {likely}" if likely else "")
        + ", or export again as UTF-8",
    )


def _declared(encoding: str, what: str, right: str, where: str) -> SettingsError:
    declare = (
        f'write encoding = "{right}" under [filemaker.exports], or for this file only under'
        " [filemaker.exports.files]"
    )
    return SettingsError(
        f"{encoding} is declared, but {what}",
        where=where,
        next=declare if right in get_args(Encoding) else "export the table again as UTF-8",
    )


def between_tabs(text: str, where: str) -> Iterator[GridRow]:
    """The lines of ``text``. This format has no quoting: a quote is an ordinary character."""
    for number, record in enumerate(textfile.LINE_END.split(text), 1):
        yield GridRow(number, _values(record.split("\t")))


def between_commas(text: str, where: str) -> Iterator[GridRow]:
    """The lines of ``text``. A record over several lines has the number of its first line.

    Raises:
        SourceError: a quote is not closed, or not doubled.
    """
    csv.field_size_limit(
        _LONGEST_VALUE
    )  # the default is 131,072 characters; the limit is the whole process's
    # strict: else a misplaced quote changes in silence where a value ends.
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 1
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            at_end = "end of data" in str(error)
            raise SourceError(
                f"line {number:,}: "
                + (
                    "the file ends inside quotes"
                    if at_end
                    else "a quote inside a value is not doubled"
                ),
                where=where,
                next=_AGAIN,
            ) from None
        if row is None:
            return
        yield GridRow(number, _values(row))
        number = rows.line_num + 1


def _values(row: list[str]) -> list[str]:
    # FileMaker writes a line break inside a value as 0x0B, so that each line is one record.
    return [value.replace("\x0b", "\n") for value in row]
