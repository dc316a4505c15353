"""What identifies a person in today's data, and the environment's secrets: what a sweep looks for.

It is taken from the private folder of a run (FileMaker as it was read, Nexus as it was before) each
time that it is needed (``personal``), and never written anywhere. The rules:

- Names have four letters or more; shorter ones are looked for as a part of the whole name alone.
- Phones and numbers are looked for with any separators, those of less than nine digits as they are
  written or without any. A number that is an id of a record is an id.
- Birth dates are looked for in the usual spellings. A date with a time of day is a moment, and a
  day of the last year before the run is one of the run's own.
- Of texts any six words that follow each other are looked for, if three of them are no short ones;
  texts of four or five words as a whole.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from pydantic import BaseModel, SecretStr

from nexus_reimport.convert.cards import e164
from nexus_reimport.record import words

WINDOW = 6  # words of a text
SHORT_TEXT = 4  # words: one of so many, or five, is looked for as a whole
LETTERS = 4  # of a name that is looked for alone
WHOLE_NAME = 5  # letters of a whole name
DIGITS = 7  # of a phone or a number
ANY_SEPARATORS = 9  # digits
OWN_DAYS = timedelta(days=366)
_EMAIL = re.compile(r"[^\s<>()\[\],;:\"'@]+@[^\s<>()\[\],;:\"'@]+\.[^\s<>()\[\],;:\"'@]+")
_PHONE = re.compile(r"\+?[\d(][\d\s().+\-/]{5,}\d")
_BETWEEN_NAMES = re.compile(r"\s-+\s|[,;/|()&+\n\r]+|\s(?:and|or|und|c/o)\s", re.IGNORECASE)
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_TAGS = re.compile(r"<[^>]*>")
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


@dataclass(slots=True)
class Identifiers:
    """Everything that must not be in a record."""

    sequences: dict[bytes, Kind] = field(default_factory=dict)  # words.sequence of each
    digits: dict[str, Kind] = field(default_factory=dict)  # with any separators
    texts: set[str] = field(default_factory=set)  # of which no six words may stand in a record
    secrets: set[bytes] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)  # of records and rows: numbers that say nothing
    missing: list[str] = field(default_factory=list)  # row files that could not be read

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        by_kind = Counter(map(str, (*self.sequences.values(), *self.digits.values())))
        by_kind[str(Kind.TEXT)] = len(self.texts)
        by_kind[str(Kind.SECRET)] = len(self.secrets)
        return dict(sorted(by_kind.items()))


# ---------------------------------------------------------------- one value


def add_name(terms: Identifiers, *parts: str) -> None:
    """One person's name, in its parts: the whole in every order, and each longer part."""
    given = [part.strip() for part in parts if part.strip()]
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
            terms.sequences.setdefault(sequence, kind)


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
        for spelling in spellings_of(day):
            terms.sequences.setdefault(words.sequence(spelling), Kind.BIRTH_DATE)


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
    digits = re.sub(r"\D", "", value)
    if kind is Kind.PHONE and (international := e164(value)):
        digits = international[1:]
        if digits.startswith("61"):  # with a zero before it, or without: a spreadsheet takes it
            terms.digits |= {f"{zero}{digits[2:]}": kind for zero in ("0", "", "610")}
    if len(digits) < DIGITS and not re.search(r"[A-Za-z]", value):
        return
    if re.search(r"[^\W\d_]", value):
        _add_spellings(terms, value, kind)
        terms.sequences.setdefault(words.sequence(re.sub(r"\W", "", value)), kind)
    elif len(digits) >= ANY_SEPARATORS:
        terms.digits.setdefault(digits, kind)
    else:
        terms.sequences.setdefault(words.sequence(value), kind)
        terms.sequences.setdefault(words.sequence(digits), kind)


def add_address(terms: Identifiers, line: str) -> None:
    """One line of an address that is no place's name alone: a number, and two words more."""
    sequence = words.sequence(line)
    if sequence.count(b" ") >= 4 and re.search(r"\d", line):
        terms.sequences.setdefault(sequence, Kind.ADDRESS)


def add_text(terms: Identifiers, value: str) -> None:
    """A text by its shape: the e-mails in it, a phone, and itself where it has six words."""
    if "@" in value:
        for address in _EMAIL.findall(value):
            _add_spellings(terms, address, Kind.EMAIL)
    if _PHONE.fullmatch(value.strip()) and not _DAY.fullmatch(value.strip()):
        add_number(terms, value, Kind.PHONE)
    if len(value.split()) >= WINDOW:
        terms.texts.add(value)
        if "<" in value:
            terms.texts.add(_TAGS.sub(" ", value))
    elif len(value.split()) >= SHORT_TEXT:
        terms.sequences.setdefault(words.sequence(value), Kind.TEXT)


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
            terms.secrets.update(text.encode() for text in texts if secret)
        elif isinstance(value, BaseModel):
            add_secrets(terms, value)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode().rstrip("=")
