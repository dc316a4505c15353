"""Searches every file of a record for what identifies a person, before the record is sealed.

What also stands in this package's own texts, in the mapping, or among the names of tables, fields,
servers and accounts is a label: alone it tells of nobody, and it is not searched for. A surname
that is a label is still found as a part of the whole name.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus_reimport.files import private
from nexus_reimport.record import words
from nexus_reimport.record.identifiers import ANY_SEPARATORS, DIGITS, WINDOW, Identifiers, Kind

if TYPE_CHECKING:
    import numpy

UNSEARCHABLE = "what cannot be searched"
MOST_DIGITS = 19  # of a phone: fifteen, and what is dialled before them
SHORT_SECRET = 6  # characters: such a one is looked for as a word
_PIECE, _OVERLAP = 8 << 20, 4096  # bytes
_SIGNS = rb"[ \t().,:;/_+\-\xc2\xa0\xe2\x80\x89-\x95\xaf]"
_RUN = re.compile(
    rb"(?<![0-9A-Za-z])[0-9](?:(?!  )%b{0,5}[0-9]){%d,}(?![0-9A-Za-z])" % (_SIGNS, DIGITS - 1)
)
_GROUP = re.compile(rb"[0-9]+")
_MOMENT = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}[0-9:.]*(?:[+-][0-9:]+|Z)?")
_QUANTITY = re.compile(
    rb"[0-9]+\.[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}"
)
_ABROAD = re.compile(r"0011|00|011")
# What a login begins with, whosever it is. Each expression begins with letters of its own, by which
# re finds the places ten times as fast as by an alternation: these are asked of every byte.
_LOGINS = tuple(
    map(
        re.compile,
        (
            rb"://[^/?#\s\"'<>]{1,200}@",
            rb"-----BEGIN [A-Z ]*PRIVATE KEY",
            rb"AKIA[0-9A-Z]{16}\b",
            rb"ASIA[0-9A-Z]{16}\b",
            rb"eyJ[\w-]{8,}\.[\w-]{8,}\.",
            rb"X-Amz-Signature=[0-9a-f]",
            rb"Bearer [\w.~+/-]{8,}",
            rb"Basic [A-Za-z0-9+/]{8,}={0,2}",
        ),
    )
)
_HEX = frozenset(b"0123456789abcdef")
_UUID = (8, 4, 4, 4, 12)
_BITS = 24


@dataclass(frozen=True, slots=True)
class Hit:
    """Where something stands that must not: the file, its line (0: its name), and the kind."""

    file: str
    line: int
    kind: str

    def __str__(self) -> str:
        place = f"line {self.line:,}" if self.line else "its name"
        return f"{self.file}, {place}: {self.kind}"


class Sweep:
    """Looks for one set of identifiers; made once, used for every file."""

    def __init__(self, wanted: Identifiers, labels: Sequence[bytes] = ()) -> None:
        import ahocorasick

        self._ids = set(wanted.ids)
        self._clean: dict[str, str] = {}  # files without a hit, by name: the hash of each
        self._secrets = [s for s in wanted.secrets if len(s) >= SHORT_SECRET]
        self._digits = {d: k for d, k in wanted.digits.items() if len(d) >= ANY_SEPARATORS}
        self._windows = _Windows.of(wanted.texts)
        self._words = ahocorasick.Automaton()
        sequences = dict(wanted.sequences)
        sequences |= {
            words.sequence(s.decode()): Kind.SECRET
            for s in wanted.secrets
            if 4 <= len(s) < SHORT_SECRET
        }
        for sequence, kind in sequences.items():
            key = sequence.decode("latin-1")
            self._words.add_word(key, (key, kind))
        self._words.add_word("\0", ("", Kind.NAME))  # an automaton without a word cannot be asked
        self._words.make_automaton()
        self._forget([_known_piece(text) for text in labels if text])

    def _forget(self, labels: Sequence[_Piece]) -> None:
        """Look for nothing that is a label."""
        for key in {key for piece in labels for _, (key, _) in self._words.iter(piece.line)}:
            self._words.remove_word(key)
        self._words.make_automaton()
        known = {digits for piece in labels for digits, _, _ in self._numbers(piece.text)}
        self._digits = {d: k for d, k in self._digits.items() if d not in known}
        self._windows.forget(piece.hashes for piece in labels)

    def files(self, folder: Path, *but: str) -> Iterator[Hit]:
        """Every hit in the files of a folder, and in their names, those called ``but`` aside.

        A file that was without a hit before, and is unchanged, is not searched again.
        """
        paths = sorted(p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
        for number, path in enumerate(paths, 1):
            name = path.relative_to(folder).as_posix()
            digest = private.sha256_of(path) if path.is_file() and not path.is_symlink() else ""
            if name in but or (digest and self._clean.get(name) == digest):
                continue
            hits = list(self._file(path, name, number))
            yield from hits
            if digest and not hits:
                self._clean[name] = digest

    def know_sizes(self, folder: Path) -> None:
        """The sizes of the files in a folder are numbers that say nothing: the seal lists them."""
        self._ids |= {str(path.stat().st_size) for path in folder.rglob("*") if path.is_file()}

    def _file(self, path: Path, name: str, number: int) -> Iterator[Hit]:
        in_name = {hit.kind for hit in self.text(name.encode("utf-8", "replace"), name)}
        if in_name:
            name = f"file {number:,} of the record"
            yield from (Hit(name, 0, kind) for kind in sorted(in_name))
        if path.is_symlink() or not path.is_file():
            yield Hit(name, 1, UNSEARCHABLE)
            return
        try:
            content = words.read(path)
        except words.NotText:
            yield Hit(name, 1, UNSEARCHABLE)
            return
        yield from self.text(content, name)

    def finds(self, text: str) -> bool:
        """Whether there is any hit in a text."""
        return any(self.text(text.encode("utf-8", "replace"), ""))

    def text(self, content: bytes, name: str) -> Iterator[Hit]:
        """Every hit in one text: each line and kind once."""
        hits = {
            (first + line, kind)
            for first, part in _pieces(content)
            for line, kind in self._piece(_Piece(part))
        }
        yield from (Hit(name, line, kind) for line, kind in sorted(hits))

    def _piece(self, piece: _Piece) -> Iterator[tuple[int, str]]:
        for end, (key, kind) in self._words.iter(piece.line):
            last = piece.word_at(end)
            count = key.count(" ") - 1
            if not self._is_harmless(piece, last - count + 1, count, kind):
                yield piece.line_of(last), kind
        for digits, start, end in self._numbers(piece.text):
            if not self._is_quantity(piece.text, start, end):
                yield piece.line_at(start), self._digits[digits]
        for place in self._windows.found_in(piece.hashes):
            yield piece.line_of(int(place)), Kind.TEXT
        for secret in self._secrets:
            for text in (piece.raw, piece.text):
                if (place := text.find(secret)) >= 0:
                    yield text.count(b"\n", 0, place) + 1, Kind.SECRET
        for place in _logins(piece.raw):
            yield piece.line_at(place, raw=True), Kind.SECRET

    # -------------------------------------------------------------- what only looks like one

    def _is_harmless(self, piece: _Piece, first: int, count: int, kind: Kind) -> bool:
        parts = piece.parts
        if kind is Kind.BIRTH_DATE:
            return _is_moment(piece, first, count) or _is_no_day(piece, first, count)
        if count == 1 and kind in (Kind.PHONE, Kind.NUMBER):
            return parts[first].decode("latin-1") in self._ids
        return count == 1 and _is_in_uuid(parts, first)

    def _numbers(self, text: bytes) -> Iterator[tuple[str, int, int]]:
        """Phones and numbers with any separators: their digits, where they begin and end."""
        for run in _RUN.finditer(text) if self._digits else ():
            if _QUANTITY.fullmatch(run[0]):
                continue
            groups = list(_GROUP.finditer(run[0]))
            for first, group in enumerate(groups):
                digits = ""
                for last in groups[first:]:
                    digits += last[0].decode()
                    if len(digits) > MOST_DIGITS:
                        break
                    for form in {digits, _ABROAD.sub("", digits, 1)} & self._digits.keys():
                        yield form, run.start() + group.start(), run.start() + last.end()

    def _is_quantity(self, text: bytes, start: int, end: int) -> bool:
        written = text[start:end]
        if _QUANTITY.fullmatch(written) or written.decode("latin-1") in self._ids:
            return True
        begin = max(start - 40, 0)
        moments = _MOMENT.finditer(text, begin, end + 40)
        return any(m.start() < end and start < m.end() for m in moments)


def _logins(raw: bytes) -> Iterator[int]:
    """Where a login begins that is no end of another word."""
    for login in _LOGINS:
        for match in login.finditer(raw):
            start = match.start()
            if raw[start : start + 1] == b":" or not raw[max(start - 1, 0) : start].isalnum():
                yield start


def _is_moment(piece: _Piece, first: int, count: int) -> bool:
    """Whether a time of day follows a date: midnight is none, since programs write it anyway."""
    day = rb"[\W_]{1,3}".join(piece.parts[first : first + count])
    pattern = rb"(?<![^\W_])" + day + rb"(?![^\W_]|[ ,]{1,3}(?!00:00)[0-9]{1,2}:[0-9]{2})"
    line = piece.text_of_line(piece.line_of(first))
    return re.search(pattern, line, re.IGNORECASE) is None and day.decode("latin-1").isascii()


def _is_no_day(piece: _Piece, first: int, count: int) -> bool:
    """Whether three short numbers are a version, or a time, and no date with a short year."""
    parts = piece.parts[first : first + count]
    if count != 3 or max(map(len, parts)) > 2 or not all(map(bytes.isdigit, parts)):
        return False
    day, month, year = parts
    signs = rb"[./-]" if len(day) == len(month) == 2 else rb"/"
    date = rb"%b(?P<sign>%b)%b(?P=sign)%b" % (day, signs, month, year)
    pattern = rb"(?<![\w./:-])" + date + rb"(?![\w:]|[./-]\w)"
    line = piece.text_of_line(piece.line_of(first))
    return re.search(pattern, line) is None


def _is_in_uuid(parts: list[bytes], place: int) -> bool:
    if not _HEX.issuperset(parts[place]) or len(parts[place]) not in _UUID:
        return False
    for offset in range(len(_UUID)):
        around = parts[max(place - offset, 0) : place - offset + len(_UUID)]
        if tuple(map(len, around)) == _UUID and all(map(_HEX.issuperset, around)):
            return True
    return False


# ---------------------------------------------------------------- one text


def _pieces(content: bytes) -> Iterator[tuple[int, bytes]]:
    """A text in parts that are not too long, each with the number of lines before it."""
    start, lines = 0, 0
    while True:
        end = start + _PIECE
        if end >= len(content):
            yield lines, content[start:]
            return
        end = content.rfind(b"\n", start, end) + 1 or end
        yield lines, content[start:end]
        again = content.rfind(b"\n", start + 1, max(end - _OVERLAP, start + 2)) + 1 or end
        lines += content.count(b"\n", start, again)
        start = again


@dataclass(slots=True)
class _Piece:
    """One text in the forms in which it is searched."""

    raw: bytes
    text: bytes = b""  # unescaped
    parts: list[bytes] = field(default_factory=list)  # its words
    line: str = ""  # all words, with one blank between and around them
    _starts: list[int] = field(default_factory=list)  # where each word begins in ``line``
    _words_before: list[int] = field(default_factory=list)  # how many words lines 1 to n hold
    _hashes: numpy.ndarray[Any, Any] | None = None

    def __post_init__(self) -> None:
        self.text = words.unescaped(self.raw)
        self.parts = words.folded(self.text).split()
        self.line = (b" " + b" ".join(self.parts) + b" ").decode("latin-1")

    @property
    def hashes(self) -> numpy.ndarray[Any, Any]:
        """A number for each six words in a row."""
        if self._hashes is None:
            self._hashes = _rolled(self.parts)
        return self._hashes

    def word_at(self, end: int) -> int:
        """Which word ends before the blank at ``end`` of the line."""
        if not self._starts:
            self._starts = list(accumulate((len(p) + 1 for p in self.parts), initial=1))
        return bisect_right(self._starts, end) - 1

    def line_of(self, word: int) -> int:
        """In which line of the text a word stands, from 1."""
        if not self._words_before:
            counts = (len(words.folded(line).split()) for line in self.text.split(b"\n"))
            self._words_before = list(accumulate(counts))
        return bisect_right(self._words_before, word) + 1

    def line_at(self, place: int, *, raw: bool = False) -> int:
        """In which line a byte stands, from 1."""
        return (self.raw if raw else self.text).count(b"\n", 0, place) + 1

    def text_of_line(self, line: int) -> bytes:
        """One line, unescaped."""
        return self.text.split(b"\n")[line - 1]


@lru_cache(maxsize=4)
def _known_piece(text: bytes) -> _Piece:
    """One text that many sweeps need: the package's own is two megabytes."""
    return _Piece(text)


def _rolled(parts: list[bytes]) -> numpy.ndarray[Any, Any]:
    """A number for each six words in a row, good in this process."""
    import numpy as np

    single = np.fromiter(map(hash, parts), np.int64, len(parts)).view(np.uint64)
    count = len(single) - WINDOW + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    whole = single[:count].copy()
    for n in range(1, WINDOW):
        whole *= np.uint64(0x9E3779B97F4A7C15)
        whole += single[n : n + count]
    return whole


@dataclass(slots=True)
class _Windows:
    """The six words in a row of all texts, as numbers; ``bits`` rules out most others at once."""

    known: numpy.ndarray[Any, Any]
    bits: numpy.ndarray[Any, Any]

    @classmethod
    def of(cls, texts: Iterable[str]) -> _Windows:
        """Those of these texts that say something: three of the six have three letters or more."""
        import numpy as np

        parts: list[bytes] = []
        for text in texts:
            parts += words.folded(words.unescaped(text.encode("utf-8", "replace"))).split()
            parts.append(b"\x00")  # no six words reach from one text into the next
        weights = np.fromiter(
            (len(p) >= 3 and not p.isdigit() for p in parts), np.int64, len(parts)
        )
        weights -= 100 * np.fromiter((p == b"\x00" for p in parts), np.int64, len(parts))
        hashes = _rolled(parts)
        if len(hashes):
            hashes = hashes[np.convolve(weights, np.ones(WINDOW, np.int64), "valid") >= 3]
        windows = cls(np.sort(hashes), np.zeros(0, np.bool_))
        windows._mark()
        return windows

    def _mark(self) -> None:
        import numpy as np

        self.bits = np.zeros(1 << _BITS, np.bool_)
        self.bits[self.known >> np.uint64(64 - _BITS)] = True

    def forget(self, several: Iterable[numpy.ndarray[Any, Any]]) -> None:
        """Leave out what also stands elsewhere."""
        import numpy as np

        for hashes in several:
            also = hashes[self.found_in(hashes)]
            self.known = self.known[~np.isin(self.known, also, kind="sort")]
        self._mark()

    def found_in(self, hashes: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
        """Where known ones stand: the number of their first word."""
        import numpy as np

        maybe = np.flatnonzero(self.bits[hashes >> np.uint64(64 - _BITS)])
        if not len(maybe):
            return maybe
        places = np.searchsorted(self.known, hashes[maybe]).clip(max=len(self.known) - 1)
        matches: numpy.ndarray[Any, Any] = maybe[self.known[places] == hashes[maybe]]
        return matches
