"""Searches every file of a record for what identifies a person, before the record is sealed.

What also stands in this package's own texts, in the mapping, or among the names of tables, fields,
servers and accounts is a label: alone it tells of nobody, and it is not searched for. A surname
that is a label is still found as a part of the whole name.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from nexus_reimport.files import private
from nexus_reimport.record.search import hashes, words
from nexus_reimport.record.search.identifiers import (
    ANY_SEPARATORS,
    DIGITS,
    LONGEST,
    SHORT_SECRET,
    Identifiers,
    Kind,
    number_of_digits,
)

UNSEARCHABLE = "what cannot be searched"
MOST_DIGITS = 19  # of a phone: fifteen, and what is dialled before them
# Bytes of a text that are searched at once: what is held of them is forty times as much.
PIECE, _OVERLAP = 2 << 20, 4096
_SIGNS = rb"[ \t().,:;/_+\-\xc2\xa0\xe2\x80\x89-\x95\xaf]"
_RUN = re.compile(
    rb"(?<![0-9A-Za-z])[0-9](?:(?!  )%b{0,5}[0-9]){%d,}(?![0-9A-Za-z])" % (_SIGNS, DIGITS - 1)
)
_GROUP = re.compile(rb"[0-9]+")
_MOMENT = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}[0-9:.]*(?:[+-][0-9:]+|Z)?")
_QUANTITY = re.compile(
    rb"[0-9]+\.[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}"
)
_AS_DIGITS = -1  # in place of how many words
_BETWEEN = rb"[\W_]{1,3}"  # two words
_COMMA = re.compile(r", ?")
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
_UUID = (8, 4, 4, 4, 12)  # digits of its groups
_KEY = re.compile(
    rb"(?<![0-9A-Za-z])%b(?![0-9A-Za-z])" % b"-".join(b"[0-9A-Fa-f]{%d}" % n for n in _UUID)
)


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
    """Looks for one set of identifiers; made once, used for every file.

    ``labels`` gives the texts in which a label stands; it is asked once something is found.
    """

    def __init__(self, wanted: Identifiers, labels: Callable[[], Iterable[bytes]] = tuple) -> None:
        self._wanted = wanted
        self._sizes: set[str] = set()  # of files
        self._clean: dict[str, str] = {}  # files without a hit, by name: the hash of each
        self._secrets = [s for s in wanted.secrets if len(s) >= SHORT_SECRET]
        self._labels = _Labels(labels)

    def beside(self, label: bytes) -> Sweep:
        """The same search, for which one more text is a label."""
        other = copy(self)
        other._labels = _Labels(lambda: (label,), self._labels)  # noqa: SLF001
        other._clean = {}  # noqa: SLF001
        return other

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
        self._sizes |= {str(path.stat().st_size) for path in folder.rglob("*") if path.is_file()}

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
        for shorter, first, _, kind in self._wanted.among(piece.rolled(), self._labels.have_no):
            count = shorter + 1
            if not self._is_harmless(piece, first, count, kind):
                yield piece.line_of(first + (0 if kind is Kind.TEXT else count - 1)), kind
        for start, end, kind in self._found_digits(piece.text):
            if not self._is_quantity(piece.text, start, end):
                yield piece.line_at(start), kind
        for secret in self._secrets:
            for text in (piece.raw, piece.text):
                if (place := text.find(secret)) >= 0:
                    yield text.count(b"\n", 0, place) + 1, Kind.SECRET
        for place in _logins(piece.raw):
            yield piece.line_at(place, raw=True), Kind.SECRET

    # -------------------------------------------------------------- what only looks like one

    def _is_harmless(self, piece: _Piece, first: int, count: int, kind: Kind) -> bool:
        parts = piece.parts
        if _is_in_uuid(parts, first, count):
            return True
        if kind is Kind.BIRTH_DATE:
            # Three numbers may be a date as Python prints it, whatever is an id: (1952, 3, 14).
            is_id = count == 1 and self._are_ids(parts[first])
            return is_id or _is_moment(piece, first, count) or _is_no_day(piece, first, count)
        if kind in (Kind.PHONE, Kind.NUMBER):
            return all(self._are_ids(one) for one in piece.written(first, count))
        return False

    def _are_ids(self, written: bytes) -> bool:
        """Whether it is an id of a record, or several with a comma between them, as in CSV."""
        several = _COMMA.split(written.decode(errors="replace"))
        return all(one in self._sizes or one in self._wanted.ids for one in several)

    def _found_digits(self, text: bytes) -> Iterator[tuple[int, int, Kind]]:
        """Phones and numbers with any separators: where they begin and end, and what they are."""
        import numpy as np

        candidates = list(_numbers(text))
        numbers = np.array([number for number, _, _ in candidates], np.uint64)
        for _, place, _, kind in self._wanted.among([numbers], self._labels.have_no_digits):
            _, start, end = candidates[place]
            yield start, end, kind

    def _is_quantity(self, text: bytes, start: int, end: int) -> bool:
        written = text[start:end]
        if _QUANTITY.fullmatch(written) or self._are_ids(written):
            return True
        begin = max(start - 40, 0)
        if any(k.start() <= start and end <= k.end() for k in _KEY.finditer(text, begin, end + 40)):
            return True
        moments = _MOMENT.finditer(text, begin, end + 40)
        return any(m.start() < end and start < m.end() for m in moments)


class _Labels:
    """What stands in a label, and is not looked for; read when it is first asked for."""

    def __init__(self, texts: Callable[[], Iterable[bytes]], others: _Labels | None = None) -> None:
        self._texts, self._others = texts, others
        self._labels: list[_Label] | None = None

    def have_no(self, which: hashes.Places, numbers: hashes.Numbers) -> hashes.Flags:
        """Of each number whether no label has it: as words in a row, one more than ``which``."""
        import numpy as np

        if self._labels is None:
            self._labels = [_label(text) for text in self._texts() if text]
        have_no = np.ones(len(numbers), np.bool_)
        for shorter in set(which.tolist()):
            those = np.flatnonzero(which == shorter)
            for label in self._labels:
                have_no[those] &= ~label.has(shorter, numbers[those])
        return have_no & self._others.have_no(which, numbers) if self._others else have_no

    def have_no_digits(self, which: hashes.Places, numbers: hashes.Numbers) -> hashes.Flags:
        """The same of digits."""
        import numpy as np

        return self.have_no(np.full_like(which, _AS_DIGITS), numbers)


class _Label:
    """The numbers of everything in one text that may be looked for."""

    def __init__(self, text: bytes) -> None:
        import numpy as np

        self._held: dict[int, list[hashes.Numbers]] = defaultdict(list)
        self._sorted: dict[int, hashes.Numbers] = {}  # those that were asked for
        for _, part in _pieces(text):
            piece = _Piece(part)
            for shorter, numbers in enumerate(piece.rolled()):
                self._held[shorter].append(numbers)
            digits = (number for number, _, _ in _numbers(piece.text))
            self._held[_AS_DIGITS].append(np.fromiter(digits, np.uint64))

    def has(self, shorter: int, numbers: hashes.Numbers) -> hashes.Flags:
        """Of each number whether it stands for something in this text, of that many words."""
        import numpy as np

        if shorter not in self._sorted:
            held = np.concatenate([np.zeros(0, np.uint64), *self._held.pop(shorter, [])])
            self._sorted[shorter] = np.sort(held)
        known = self._sorted[shorter]
        at = np.searchsorted(known, numbers)
        has = at < len(known)
        has[has] = known[at[has]] == numbers[has]
        return has


@lru_cache(maxsize=8)
def _label(text: bytes) -> _Label:
    """A text that many searches need: the package's own is more than two megabytes."""
    return _Label(text)


def _numbers(text: bytes) -> Iterator[tuple[int, int, int]]:
    """What may be a phone, or a number with separators: what stands for its digits, from, to."""
    for run in _RUN.finditer(text):
        if _QUANTITY.fullmatch(run[0]):
            continue
        groups = list(_GROUP.finditer(run[0]))
        for first, group in enumerate(groups):
            digits = ""
            for last in groups[first:]:
                digits += last[0].decode()
                if len(digits) > MOST_DIGITS:
                    break
                for form in {digits, _ABROAD.sub("", digits, 1)}:
                    if len(form) >= ANY_SEPARATORS:
                        place = run.start() + group.start(), run.start() + last.end()
                        yield number_of_digits(form), *place


def _logins(raw: bytes) -> Iterator[int]:
    """Where a login begins that is no end of another word."""
    for login in _LOGINS:
        for match in login.finditer(raw):
            start = match.start()
            if raw[start : start + 1] == b":" or not raw[max(start - 1, 0) : start].isalnum():
                yield start


def _is_moment(piece: _Piece, first: int, count: int) -> bool:
    """Whether a time of day follows a date: midnight is none, since programs write it anyway."""
    day = _BETWEEN.join(piece.parts[first : first + count])
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


def _is_in_uuid(parts: list[bytes], first: int, count: int) -> bool:
    """Whether so many words are groups of one UUID."""
    if not _HEX.issuperset(parts[first]) or len(parts[first]) not in _UUID:
        return False
    for offset in range(len(_UUID) - count + 1):
        around = parts[max(first - offset, 0) : first - offset + len(_UUID)]
        if tuple(map(len, around)) == _UUID and all(map(_HEX.issuperset, around)):
            return True
    return False


# ---------------------------------------------------------------- one text


def _pieces(content: bytes) -> Iterator[tuple[int, bytes]]:
    """A text in parts that are not too long, each with the number of lines before it.

    Each begins before the last one has ended: a name is whole in one of them.
    """
    start, lines = 0, 0
    while True:
        end = start + PIECE
        if end >= len(content):
            yield lines, content[start:]
            return
        end = _break(content, start, end)
        yield lines, content[start:end]
        again = _break(content, start, end - _OVERLAP)
        lines += content.count(b"\n", start, again)
        start = again


def _break(content: bytes, start: int, end: int) -> int:
    """Where a line ends, or else a word, in the second half of a part; ``end`` where none does."""
    middle = (start + end) // 2
    return content.rfind(b"\n", middle, end) + 1 or content.rfind(b" ", middle, end) + 1 or end


@dataclass(slots=True)
class _Piece:
    """One text in the forms in which it is searched."""

    raw: bytes
    text: bytes = b""  # unescaped
    parts: list[bytes] = field(default_factory=list)  # its words
    _words_before: list[int] = field(default_factory=list)  # how many words lines 1 to n hold
    _lines: list[bytes] = field(default_factory=list)  # of ``text``, once one was asked for

    def __post_init__(self) -> None:
        self.text = words.unescaped(self.raw)
        self.parts = words.folded(self.text).split()

    def rolled(self) -> Iterator[hashes.Numbers]:
        """For each length of what is looked for: a number for so many words from each word on."""
        return hashes.rolled(self.parts, LONGEST)

    def written(self, first: int, count: int) -> list[bytes]:
        """Words in a row as they are written, wherever they are in their line."""
        several = self.parts[first : first + count]
        if count == 1:
            return several
        pattern = rb"(?<![^\W_])%b(?![^\W_])" % _BETWEEN.join(map(re.escape, several))
        line = self.text_of_line(self.line_of(first))
        return re.findall(pattern, line, re.IGNORECASE) or [b" ".join(several)]

    def line_of(self, word: int) -> int:
        """In which line of the text a word stands, from 1."""
        if not self._words_before:
            counts = (len(words.folded(line).split()) for line in self._every_line())
            self._words_before = list(accumulate(counts))
        return bisect_right(self._words_before, word) + 1

    def line_at(self, place: int, *, raw: bool = False) -> int:
        """In which line a byte stands, from 1."""
        return (self.raw if raw else self.text).count(b"\n", 0, place) + 1

    def text_of_line(self, line: int) -> bytes:
        """One line, unescaped."""
        return self._every_line()[line - 1]

    def _every_line(self) -> list[bytes]:
        if not self._lines:
            self._lines = self.text.split(b"\n")
        return self._lines
