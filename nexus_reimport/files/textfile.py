"""Text files that people write and programs save: decoded by their byte-order mark, or as declared.

A file that begins with a mark (EF BB BF, FF FE, ...) is read in the encoding of that mark. Nothing
is replaced and nothing is guessed: if bytes cannot be decoded, the error names the line and the
encoding that would fit. A mark that was read as text once hid the first column of a CSV file, and 0
of 6,490 images were linked.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

MARK = "\ufeff"
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # must come before UTF-16: it begins with that mark
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Nearly every byte means a letter in both: bytes alone cannot tell them apart.
ONE_BYTE = {"windows-1252": "cp1252", "macroman": "mac_roman"}
# Not splitlines(): that also splits at 0x0B, a form feed and U+2028, which are inside of values.
LINE_END = re.compile(r"\r\n|\r|\n")
_LONGEST_VALUE = 2**31 - 1
_MOST_LOOKED_AT = 1 << 20  # bytes: enough to recognise an encoding


class Undecodable(Exception):
    """Bytes that are not valid in an encoding: the line and the byte, both from 1.

    ``likely`` is the encoding that would fit; ``""`` if none is known.
    """

    def __init__(self, line: int, byte: int, likely: str) -> None:
        super().__init__(f"line {line:,}, byte {byte:,}")
        self.line, self.byte, self.likely = line, byte, likely

    def message(self, path: Path) -> str:
        """One line for a person: the file, the line, and what to do."""
        fits = f", but probably {self.likely}" if self.likely not in ("", "utf-8") else ""
        return f"{path.name}, line {self.line:,}: is not UTF-8{fits}; save the file as UTF-8"


def read(path: Path) -> str:
    """The text of a file in UTF-8, or in the encoding of its mark; without the mark.

    Raises:
        Undecodable: it is neither.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    text = decoded(content, marked(content) or "utf-8")
    before, zero, _ = text.partition("\0")
    if zero:  # UTF-16 without a mark, as some editors save it, is valid UTF-8 with zeros
        raise Undecodable(len(LINE_END.findall(before)) + 1, content.index(0) + 1, likely(content))
    return text


def marked(content: bytes) -> str:
    """The encoding of the mark at the beginning; ``""`` if there is no mark."""
    return next((name for mark, name in MARKS.items() if content.startswith(mark)), "")


def decoded(content: bytes, encoding: str) -> str:
    """The text of ``content``, without a mark. UTF-16 needs none: its zeros show its byte order.

    Raises:
        Undecodable: there are bytes that are not valid in this encoding.
    """
    codec = codec_of(content, encoding)
    place = first_undecodable([content], codec) if codec else (1, 1)
    if place:
        raise Undecodable(*place, other_than(encoding, content))
    return content.decode(codec).lstrip(MARK)


def codec_of(head: bytes, encoding: str) -> str:
    """Python's codec for a file that begins with ``head``; ``""`` if its byte order is unclear."""
    if encoding == "utf-16":
        by_mark = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
        return by_mark.get(head[:2], "") or _order(head)
    return ONE_BYTE.get(encoding, encoding)


def first_undecodable(
    pieces: Iterable[bytes], codec: str, errors: str = "strict"
) -> tuple[int, int] | None:
    """The line and the byte, both from 1, of the first bytes that are not valid; None if all are.

    A character or a line's end may be cut by the end of a piece.
    """
    decoder = codecs.getincrementaldecoder(codec)(errors)
    lines, place, last = 1, 0, ""
    for piece in chain(pieces, [b""]):
        waiting = len(decoder.getstate()[0])  # bytes of a character that was cut
        text, wrong = _decoded_to(decoder, piece)
        # Two ends of lines that belong together can be in two pieces.
        lines += len(LINE_END.findall(last + text)) - len(LINE_END.findall(last))
        if wrong is not None:
            return lines, place - waiting + wrong + 1
        place, last = place + len(piece), text[-1:] or last
    return None


def _decoded_to(decoder: codecs.IncrementalDecoder, piece: bytes) -> tuple[str, int | None]:
    """The text of a piece, and the place of the first byte that is not valid; None if all are."""
    try:
        return decoder.decode(piece, not piece), None
    # The library's error holds the text itself: only the place goes on.
    except UnicodeDecodeError as error:
        before, wrong = error.object[: error.start], error.start
        codec = error.encoding
    return before.decode(codec, "ignore"), wrong


def other_than(encoding: str, content: bytes) -> str:
    """The encoding that would fit; ``""`` if it is the one that did not."""
    fits = likely(content)
    return "" if fits == encoding else fits


def likely(content: bytes) -> str:
    """The probable encoding of ``content``. Only for messages: nothing is read by it."""
    name = marked(content)
    if name:
        return name
    # ASCII in UTF-16 is zeros by half; text in a one-byte encoding or UTF-8 has none.
    if content[:_MOST_LOOKED_AT].count(0) * 10 > min(len(content), _MOST_LOOKED_AT) and _order(
        content
    ):
        return "utf-16"
    if is_utf8(content):
        return "utf-8"
    looked_at = content[:_MOST_LOOKED_AT]
    return max(ONE_BYTE, key=lambda name: _words(looked_at.decode(ONE_BYTE[name], "replace")))


def is_utf8(content: bytes) -> bool:
    """Whether ``content`` is UTF-8 throughout."""
    return first_undecodable([content], "utf-8") is None


def _order(content: bytes) -> str:
    """The byte order of UTF-16 without a mark, by the zeros in its ASCII; ``""`` if unclear."""
    looked_at = content[:_MOST_LOOKED_AT]
    even, odd = looked_at[::2].count(0), looked_at[1::2].count(0)
    # The zero of an ASCII letter is its second byte in little-endian UTF-16.
    if odd > 4 * even:
        return "utf-16-le"
    return "utf-16-be" if even > 4 * odd else ""


def _words(text: str) -> int:
    """How many non-ASCII letters are in a place where a word can have them."""
    return len(
        re.findall(r"(?<=[a-z])[\u00df-\u00f6\u00f8-\u00ff]|\b[\u00c0-\u00de](?=[a-z])", text)
    )


def csv_reader(lines: Iterable[str], separator: str = ",") -> CsvReader:
    """The values of lines that are written in quotes where they need them.

    Raises:
        csv.Error: as it is read, at a quote that changes in silence where a value ends.
    """
    # The default limit is 131,072 characters; it is the whole process's.
    csv.field_size_limit(_LONGEST_VALUE)
    return csv.reader(lines, delimiter=separator, strict=True)
