"""Text files that people write and programs save: decoded by their byte-order mark, or as declared.

A file that begins with a mark (EF BB BF, FF FE, ...) is read in the encoding of that mark. Nothing
is replaced and nothing is guessed: if bytes cannot be decoded, the error names the line and the
encoding that would fit. A mark that was read as text once hid the first column of a CSV file, and 0
of 6,490 images were linked.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

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


def decoded(content: bytes, encoding: str, *, halves: bool = False) -> str:
    """The text of ``content``, without a mark. UTF-16 needs none: its zeros show its byte order.

    With ``halves``, UTF-8 may write one character as two surrogates, which stay as they are.

    Raises:
        Undecodable: there are bytes that are not valid in this encoding.
    """
    codec = ONE_BYTE.get(encoding, encoding)
    if encoding == "utf-16" and not marked(content):
        codec = _order(content)
        if not codec:
            raise Undecodable(1, 1, _other(content, encoding))
    try:
        lenient = halves and codec == "utf-8"
        return content.decode(codec, "surrogatepass" if lenient else "strict").lstrip(MARK)
    # The library's error holds the text itself: only the place goes on.
    except UnicodeDecodeError as error:
        start = error.start
    lines = LINE_END.findall(content[:start].decode(codec, "ignore"))
    raise Undecodable(len(lines) + 1, start + 1, _other(content, encoding))


def _other(content: bytes, encoding: str) -> str:
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
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


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
