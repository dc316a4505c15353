"""What identifies a person in today's data, and the environment's secrets: what a sweep looks for.

It is taken from the private folder of a run (FileMaker as it was read, Nexus as it was before) each
time that it is needed (``personal``), and never written anywhere; what is held are numbers that
stand for it in this process alone (``hashes``). The rules:

- Names have four letters or more; shorter ones are looked for as a part of the whole name alone.
- Phones and numbers are looked for with any separators, those of less than nine digits as they are
  written or without any. A number, or a date of eight digits, that is an id of a record is an id;
  so are several ids with commas between them, as in CSV. Digits of a UUID belong to it.
- Birth dates are looked for in the usual spellings. A date with a time of day is a moment, and a
  day of the last year before the run is one of the run's own.
- Of texts any six words that follow each other are looked for, if three of them are no short ones;
  texts of four or five words as a whole.
- What has more than twelve words, such as a list of names, is looked for by its first twelve.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, SecretStr

from nexus_reimport.convert.cards import e164
from nexus_reimport.record.search import hashes, words
from nexus_reimport.record.search.hashes import HashSet

WINDOW = 6  # words of a text
SHORT_TEXT = 4  # words: one of so many, or five, is looked for as a whole
LETTERS = 4  # of a name that is looked for alone
WHOLE_NAME = 5  # letters of a whole name
DIGITS = 7  # of a phone or a number
ANY_SEPARATORS = 9  # digits
LONGEST = 12  # words
SHORT_SECRET = 6  # characters: such a one is looked for as a word
OWN_DAYS = timedelta(days=366)
# From the beginning of a word alone, and each part once: a picture in a text is one word of a
# million letters, and from each of them all others were looked through for an @.
_EMAIL = re.compile(
    r"(?<![^\s<>()\[\],;:\"'@])[^\s<>()\[\],;:\"'@]++@"
    r"[^\s<>()\[\],;:\"'@]+\.[^\s<>()\[\],;:\"'@]+"
)
# Seven signs and more, however the digits are grouped: (02) 9999 0000, +61 412 345 678.
_PHONE = re.compile(r"\+?[\d(][\d\s().+\-/]{5,}\d")
# One field often holds several people: "A. Person & B. Other (mother)".
_BETWEEN_NAMES = re.compile(r"\s-+\s|[,;/|()&+\n\r]+|\s(?:and|or|und|c/o)\s", re.IGNORECASE)
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_TAGS = re.compile(r"<[^<>]*>")
_ALL = (1 << 64) - 1
_MONTHS = "january february march april may june july august september october november december"
_MONATE = "januar februar märz april mai juni juli august september oktober november dezember"


class Kind(StrEnum):
    """What was found, in words that a message may say."""

    NAME = "a name"
    BIRTH_DATE = "a birth date"
    PHONE = "a phone number"
    EMAIL = "an e-mail address"
    ADDRESS = "an address"
    NUMBER = "a patient's number"
    TEXT = "words of a text"
    SECRET = "a secret"  # noqa: S105 - the word for it


_KINDS = tuple(Kind)
_DIGITS = b"\0"  # before the digits of a number that any separators may divide: no word is this
_NO_DAY = " zz "  # between spellings of a day: a word that none of them has
_APART = b"\0"  # between two texts, so that no six words reach from one into the next
_LATELY = 1 << 18  # values
_SEVERAL = 1 << 20  # characters of texts whose words are counted off at once


class Identifiers:
    """Everything that must not be in a record. What it holds of people are numbers.

    If they are many they lie in a file without a name in ``folder``.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.secrets: set[bytes] = set()
        self.missing: list[str] = []  # row files that could not be read
        self.ids = Values(folder)  # of records and rows: numbers that say nothing
        self._known = HashSet(folder)  # words in a row, digits after their sign
        self._days: set[date] = set()  # of birth: there are few
        self._texts = Values(folder)
        self._lately: set[int] = set()  # numbers of values that were taken
        self._waiting: set[str] = set()  # texts
        self._length = 0  # of these

    def is_new(self, value: str, what: str) -> bool:
        """Whether a value was not taken lately as ``what``: Nexus holds FileMaker's again."""
        number = hash((value, what))
        if number in self._lately:
            return False
        if len(self._lately) >= _LATELY:
            self._lately.clear()
        self._lately.add(number)
        return True

    def add(self, sequence: bytes, kind: Kind) -> None:
        """Look for words in a row (``words.sequence``); if they are known, as what they are."""
        if several := sequence.split()[:LONGEST]:
            self._known.add(hashes.number_of(several), _KINDS.index(kind))

    def add_digits(self, digits: str, kind: Kind) -> None:
        """Look for the digits of a number, with any separators."""
        if len(digits) >= ANY_SEPARATORS:
            self._known.add(number_of_digits(digits), _KINDS.index(kind))

    def add_text(self, text: str) -> None:
        """Look for any six words in a row of a text that say something."""
        if text not in self._waiting:
            self._waiting.add(text)
            self._length += len(text)
            if self._length >= _SEVERAL:
                self._take_texts()

    def add_day(self, day: date) -> None:
        """Look for a day of birth, however it is written."""
        if day not in self._days:
            self._days.add(day)
            # Folded at once: a day has fifty spellings, and a clinic thousands of days.
            spellings = words.folded(_NO_DAY.join(spellings_of(day)).encode())
            several = spellings.split(_NO_DAY.encode())
            numbers = (hashes.number_of(spelling.split()) for spelling in several)
            self._known.add_several(numbers, _KINDS.index(Kind.BIRTH_DATE))

    def _take_texts(self) -> None:
        if not self._waiting:
            return
        parts: list[bytes] = []
        for text in self._waiting:
            self._texts.add(text)
            parts += words.folded(words.unescaped(text.encode("utf-8", "replace"))).split()
            parts.append(_APART)
        self._waiting, self._length = set(), 0
        self._known.add_all(_telling(parts), _KINDS.index(Kind.TEXT))

    def among(
        self,
        several: Iterable[hashes.Numbers],
        chosen: Callable[[hashes.Places, hashes.Numbers], hashes.Flags],
    ) -> Iterator[tuple[int, int, int, Kind]]:
        """Which numbers are looked for, of those ``chosen``, which is asked if there are any.

        In which of ``several`` they are, their places there, themselves, and as what.
        """
        self._take_texts()
        known = self._known.among(several)
        if not len(known.numbers):
            return
        is_asked = chosen(known.which, known.numbers)
        columns = (known.which, known.places, known.numbers, known.codes)
        for *numbers, code in zip(*(c[is_asked].tolist() for c in columns), strict=True):
            which, place, number = numbers
            yield which, place, number, _KINDS[code]

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        self._take_texts()
        by_kind = {str(_KINDS[code]): count for code, count in self._known.codes()}
        by_kind[str(Kind.TEXT)] = len(self._texts)
        by_kind[str(Kind.SECRET)] = len(self.secrets)
        return dict(sorted(by_kind.items()))


class Values:
    """Texts of which only numbers are held."""

    def __init__(self, folder: Path | None = None) -> None:
        self._numbers = HashSet(folder)

    def add(self, value: str) -> None:
        """Add one."""
        self._numbers.add(hash(value) & _ALL)

    def update(self, values: Iterable[str]) -> None:
        """Add several."""
        self._numbers.add_several(hash(value) & _ALL for value in values)

    def __contains__(self, value: str) -> bool:
        """Whether it was added."""
        return hash(value) & _ALL in self._numbers

    def __len__(self) -> int:
        """How many there are."""
        return len(self._numbers)


def number_of_digits(digits: str) -> int:
    """The number that stands for digits, with whatever separators they are written."""
    return hashes.number_of((_DIGITS, digits.encode()))


def _telling(parts: Sequence[bytes]) -> hashes.Numbers:
    """The numbers of six words in a row, of which three have three letters or more."""
    import numpy as np

    if len(parts) < WINDOW:
        return np.zeros(0, np.uint64)
    weighed = {part: int(len(part) >= 3 and not part.isdigit()) for part in set(parts)}
    weighed[_APART] = -100
    weights = np.fromiter(map(weighed.__getitem__, parts), np.int64, len(parts))
    *_, numbers = hashes.rolled(parts, WINDOW)
    return numbers[np.convolve(weights, np.ones(WINDOW, np.int64), "valid") >= 3]


# ---------------------------------------------------------------- one value


def add_name(terms: Identifiers, *parts: str) -> None:
    """One person's name, in its parts: the whole in every order, and each longer part."""
    given = [part.strip() for part in parts if part.strip()]
    if not terms.is_new("\n".join(given), "name"):
        return
    for order in {tuple(given), tuple(given[::-1]), (*given[-1:], *given[:-1])}:
        whole = words.sequence(" ".join(order))
        if whole.count(b" ") > 2 and len(whole.replace(b" ", b"")) >= WHOLE_NAME:
            _add_spellings(terms, " ".join(order), Kind.NAME)
    for part in given:
        several = re.split(r"[\s\-]+", part)
        for word in {part, *several} if len(several) <= 3 else ():
            if sum(map(str.isalpha, word)) >= LETTERS:
                _add_spellings(terms, word, Kind.NAME)


def add_names(terms: Identifiers, value: str) -> None:
    """One text with a name in it, or several: ``Ms Jane Doe - Doe & Sons Pty Ltd``."""
    if not terms.is_new(value, "names"):
        return
    for name in _BETWEEN_NAMES.split(value):
        several = name.split()
        if 1 < len(several) <= 4:
            add_name(terms, *several)
        add_name(terms, name)


def _add_spellings(terms: Identifiers, text: str, kind: Kind) -> None:
    """A value as it is, without accents, and as a program that takes UTF-8 for Latin shows it."""
    spellings = {text}
    if not text.isascii():
        spellings |= {words.without_marks(text), text.encode().decode("cp1252", "replace")}
    for spelling in spellings:
        if sequence := words.sequence(spelling):
            terms.add(sequence, kind)


def add_birth_date(terms: Identifiers, value: str, run_began: date) -> None:
    """A day in ISO form, maybe with a time, in every usual spelling."""
    match = _DAY.match(value)
    if match is None:
        return
    try:
        day = date(*map(int, match.groups()))
    except ValueError:
        return
    if day < run_began - OWN_DAYS:
        terms.add_day(day)


def spellings_of(day: date) -> Iterator[str]:
    """A day as programs and people write it, with a blank for each sign."""
    y, m, d = day.year, day.month, day.day
    short = f"{y % 100:02}"
    for a, b in ((d, m), (m, d)):
        yield from (f"{a:02} {b:02} {y}", f"{a} {b} {y}", f"{a:02}{b:02}{y}")
        yield from (f"{a:02} {b:02} {short}", f"{a} {b} {short}")
    iso = f"{y} {m:02} {d:02}"
    yield from (iso, f"{iso}T00 00", f"{y} {m} {d}", f"{y}{m:02}{d:02}")
    names = {months.split()[m - 1] for months in (_MONTHS, _MONATE)}
    for month in names | {name[:3] for name in names}:
        for number in (f"{d}", f"{d:02}", *(f"{d}{end}" for end in ("st", "nd", "rd", "th"))):
            yield from (
                f"{number} {month} {y}",
                f"{month} {number} {y}",
                f"{number} {month} {short}",
            )


def add_number(terms: Identifiers, value: str, kind: Kind) -> None:
    """A phone, or a number of a patient: its digits, and how it is written."""
    if not terms.is_new(value, kind):
        return
    digits = re.sub(r"\D", "", value)
    if kind is Kind.PHONE and (international := e164(value)):
        digits = international[1:]
        if digits.startswith("61"):  # with a zero before it, or without: a spreadsheet takes it
            for zero in ("0", "", "610"):
                terms.add_digits(f"{zero}{digits[2:]}", kind)
    if len(digits) < DIGITS and not re.search(r"[A-Za-z]", value):
        return
    if re.search(r"[^\W\d_]", value):
        _add_spellings(terms, value, kind)
        terms.add(words.sequence(re.sub(r"\W", "", value)), kind)
    elif len(digits) >= ANY_SEPARATORS:
        terms.add_digits(digits, kind)
    else:
        terms.add(words.sequence(value), kind)
        terms.add(words.sequence(digits), kind)


def add_address(terms: Identifiers, line: str) -> None:
    """One line of an address that is no place's name alone: a number, and two words more."""
    if not terms.is_new(line, "address"):
        return
    sequence = words.sequence(line)
    if sequence.count(b" ") >= 4 and re.search(r"\d", line):
        terms.add(sequence, Kind.ADDRESS)


def add_text(terms: Identifiers, value: str) -> None:
    """A text by its shape: the e-mails in it, a phone, and itself where it has six words."""
    if not terms.is_new(value, "text"):
        return
    if "@" in value:
        for address in _EMAIL.findall(value):
            _add_spellings(terms, address, Kind.EMAIL)
    if _PHONE.fullmatch(value.strip()) and not _DAY.fullmatch(value.strip()):
        add_number(terms, value, Kind.PHONE)
    if len(value.split()) >= WINDOW:
        terms.add_text(value)
        if "<" in value:
            terms.add_text(_TAGS.sub(" ", value))
    elif len(value.split()) >= SHORT_TEXT:
        terms.add(words.sequence(value), Kind.TEXT)


def add_secrets(terms: Identifiers, settings: BaseModel) -> None:
    """Every secret that the settings hold, at any depth, also as a header of HTTP sends it."""
    user = str(getattr(settings, "user", "") or "")
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            texts = [
                secret,
                repr(secret)[1:-1],
                json.dumps(secret)[1:-1],
                secret.replace('"', '""'),
            ]
            texts += [_base64(secret), _base64(f"{user}:{secret}")]
            encoded = {text.encode() for text in texts if secret}
            terms.secrets |= encoded
            for short in encoded:
                if 4 <= len(short) < SHORT_SECRET:
                    terms.add(words.sequence(short.decode()), Kind.SECRET)
        elif isinstance(value, BaseModel):
            add_secrets(terms, value)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode().rstrip("=")
