"""The text of an exported file in its declared encoding, line by line.

Nothing is guessed and nothing is replaced: a file that is clearly in a different encoding, or holds
a byte that means nothing in the declared one, stops. However large a file is, only a piece of it is
in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO, get_args

from nexus_reimport.errors import ExportError, SettingsError, SourceError
from nexus_reimport.files import textfile
from nexus_reimport.settings import Encoding

_PIECE = 1 << 20  # bytes: also enough to recognise an encoding


class Line(NamedTuple):
    """One line with its end, and the bytes where it and the next one begin."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A file, and how its bytes become text."""

    path: Path
    codec: str
    where: str

    @property
    def _errors(self) -> str:
        # CESU-8, which writes one character as two halves, is joined by ``cleaning``.
        return "surrogatepass" if self.codec == "utf-8" else "strict"

    def lines(self) -> Iterator[Line]:
        """Every line: it ends at CR, LF or CRLF, and at no other character.

        Raises:
            SourceError: the file is a different one by now.
        """
        place, width = 0, len("a".encode(self.codec))
        # With newline="" all three ends of a line are known, and stay as they are.
        with self.path.open(encoding=self.codec, errors=self._errors, newline="") as file:
            while line := self._next(file):
                size = len(line) * width if line.isascii() else len(self._encoded(line))
                end = place + size
                # A mark may stand twice, and is no part of the first value.
                yield Line(line if place else line.lstrip(textfile.MARK), place, end)
                place = end

    def between(self, places: Iterable[tuple[int, int]]) -> Iterator[str]:
        """The texts from one byte to another, as ``lines`` has given them.

        Raises:
            SourceError: the file is a different one by now.
        """
        with self.path.open("rb") as file:
            for start, end in places:
                file.seek(start)
                text = self._decoded(file.read(end - start))
                yield text if start else text.lstrip(textfile.MARK)

    def check(self, encoding: str) -> None:
        """Check that every byte means something in the declared encoding.

        Raises:
            ExportError: one does not; the message says where.
        """
        with self.path.open("rb") as file:
            place = textfile.first_undecodable(_pieces(file), self.codec, self._errors)
            if place is None:
                return
            line, byte = place
            file.seek(max(0, byte - _PIECE // 2))
            likely = textfile.other_than(encoding, file.read(_PIECE))
        raise _unreadable(encoding, line, byte, likely, self.where)

    def changed(self) -> SourceError:
        """The error for a file that holds something else by now."""
        return SourceError(
            f"{self.path.name} was changed after it was first read",
            where=self.where,
            next="run again once the exports are complete and nobody writes to them",
        )

    def _next(self, file: TextIO) -> str:
        try:
            return file.readline()
        # The library's error holds the text itself: ours is raised outside of it.
        except UnicodeDecodeError:
            pass
        raise self.changed()

    def _encoded(self, text: str) -> bytes:
        return text.encode(self.codec, self._errors)

    def _decoded(self, content: bytes) -> str:
        try:
            return content.decode(self.codec, self._errors)
        except UnicodeDecodeError:
            pass
        raise self.changed()


def opened(path: Path, encoding: str, where: str) -> EncodedText:
    """The text of a file in the declared encoding, without a byte-order mark.

    Raises:
        SettingsError: it is clearly in a different encoding: by its byte-order mark, by the zeros
            of UTF-16, or because its non-ASCII bytes are valid UTF-8, which is never by chance.
        ExportError: bytes that mean nothing in this encoding; the message says where.
    """
    with path.open("rb") as file:
        head = file.read(_PIECE)
    mark = textfile.marked(head)
    if mark and mark != encoding:
        raise _declared(
            encoding, f"the file begins with the byte-order mark of {mark}", mark, where
        )
    if not mark and encoding != "utf-16" and textfile.likely(head) == "utf-16":
        raise _declared(encoding, "the file is utf-16 without a byte-order mark", "utf-16", where)
    if encoding in textfile.ONE_BYTE and (line := _first_line_of_utf8(path)):
        what = f"the file is utf-8 (line {line:,} has the first non-ASCII letter)"
        raise _declared(encoding, what, "utf-8", where)
    codec = textfile.codec_of(head, encoding)
    if not codec:
        raise _unreadable(encoding, 1, 1, textfile.other_than(encoding, head), where)
    text = EncodedText(path, codec, where)
    text.check(encoding)
    return text


def _first_line_of_utf8(path: Path) -> int:
    """The line of the first non-ASCII letter, from 1, if the whole file is UTF-8; else 0."""
    with path.open("rb") as file:
        beyond = textfile.first_undecodable(_pieces(file), "ascii")
        if beyond is None:
            return 0
        file.seek(0)
        return 0 if textfile.first_undecodable(_pieces(file), "utf-8") else beyond[0]


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _unreadable(encoding: str, line: int, byte: int, likely: str, where: str) -> ExportError:
    return ExportError(
        f"line {line:,}, byte {byte:,}: cannot be read as {encoding}",
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
