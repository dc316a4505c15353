"""What a column of each type gets of a field's text, as PostgreSQL prints it."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import Any

from oracle.seen import ZONE
from oracle.texts import fold, line, paragraphs
from oracle.values import Misfit, day, duration, stamp

Make = Callable[[str], Any]


@dataclass(frozen=True)
class Kind:
    """One kind of column: its type, the field's, how it is fed, and what may stand in both."""

    type: str
    field: str
    convert: str
    make: Make
    texts: tuple[str, ...]
    stored: tuple[str, ...]
    in_json: bool = False
    is_text: bool = False
    identifies: bool = False


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip().replace("_", "?")) if text.strip() else None
    except InvalidOperation:
        raise Misfit("no number") from None
    if number is not None and not number.is_finite():
        raise Misfit("no number")
    return number


def _whole(limit: int) -> Make:
    def make(text: str) -> str | None:
        number = _number(text)
        if number is not None and (number != int(number) or not -limit <= number < limit):
            raise Misfit("no whole number that the column can hold")
        return None if number is None else str(int(number))

    return make


def _numeric(text: str) -> str | None:
    number = _number(text)
    if number is None:
        return None
    rounded = number.quantize(Decimal("0.01")) + 0
    if rounded != number or abs(number) >= 10**4:
        raise Misfit("no number that the column can hold")
    return str(rounded)


def _in_json(text: str) -> Any:
    """What is a number is one there, what says more stays a text."""
    text = text.strip()
    return {"7": 7, "0": 0, "-3": -3, "1.5": 1.5}.get(text, text) or (0 if text == "0" else None)


def _varchar(text: str) -> str | None:
    value = line(text)
    if value and len(value) > 5:
        raise Misfit("too long")
    return value


def _date(text: str) -> str | None:
    of = day(text)
    return str(of) if of else None


def _wall(text: str) -> str | None:
    at = stamp(text)
    return _without_zeros(f"{at:%Y-%m-%d %H:%M:%S.%f}") if at else None


def _instant(text: str) -> str | None:
    at = stamp(text)
    if at is None:
        return None
    in_utc = at.replace(tzinfo=ZONE).astimezone(UTC)
    return _without_zeros(f"{in_utc:%Y-%m-%d %H:%M:%S.%f}") + "+00"


def _clock(text: str) -> str | None:
    lasts = duration(text)
    if lasts is None:
        return None
    seconds = lasts.total_seconds()
    if seconds > 86_400 or ":6" in text:
        raise Misfit("no time of a day")
    hours, minutes = int(seconds // 3600), int(seconds // 60 % 60)
    return _without_zeros(f"{hours:02d}:{minutes:02d}:{seconds % 60:09.6f}")


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _uuid(text: str) -> str | None:
    try:
        return str(uuid.UUID(text.strip())) if text.strip() else None
    except ValueError:
        raise Misfit("no UUID") from None


def _choice(words: Mapping[str, tuple[str, ...]]) -> Make:
    def folded(text: str) -> str:
        return " ".join(text.replace(".", "").split()).casefold()

    def make(text: str) -> str | None:
        if not text.strip():
            return None
        for chosen, spellings in words.items():
            if folded(text) in map(folded, (chosen, *spellings)):
                return chosen
        raise Misfit("none of the choices")

    return make


def _site(text: str) -> str | None:
    """The one row of that name; two of one name are none."""
    keys = [key for key, name in SITES if fold(name) == fold(text)]
    if not fold(text):
        return None
    if len(keys) != 1:
        raise Misfit("no row of that name, or several")
    return keys[0]


SITES = [("1", "North"), ("2", "South"), ("3", "Twice"), ("4", " twice ")]
_ODD = (" ", "abc", " abc ", "ABC", "a\rb", "a\r\nb ", "0", "false", "NULL", "=1", "1.0", "a  b")
_ODD += ("Zoë", unicodedata.normalize("NFD", "Zoë"), "x" * 6, "xxxxx", "\\N", "\t", "\u3000a")
_STORED = ("abc", " abc", "a b", "Zoë", "0", "false", "NULL", "a\nb", "")
_NUMBERS = ("7", "7.0", "0", "-3", "1.5", "0.10", "32767", "32768", "2147483648", "about 5", "1e3")
_NUMBERS += (".5", "5.", "9999.99", "10000", "0.001", "-0", "007", "+4", "1,5", "Infinity", "1_0")
_DAYS = ("2025-07-01", "2025-06-30", "2024-02-29", "2025-02-29", "1889-12-31", "2199-12-31", "x")
_DAYS += ("2026-03-01", "2026-02-28", "0202-01-01", "2200-01-01")
_STAMPS = ("2025-07-01 09:00:00", "2025-07-01T09:00:00+10:00", "2025-06-30 23:59:59.5")
_STAMPS += ("2026-03-01 12:59:00", "2026-03-01 13:01:00", "2025-07-01 25:00:00", "x")
_TIMES = ("09:00:00", "9:30", "24:00:00", "25:00:00", "08:59:59.50", "00:00", "half past")
_SHOWN = ("2025-07-01", "2025-06-30", "2026-03-01")
_YES = {"t": ("ja", "J"), "f": ("nein",)}
_SORT = {"one": ("First", "1st."), "two": ("second",)}
_ID = "0d0c1c5e-6f9b-5f7e-9a3c-2c1f6f3a7b11"


def _choices(words: Mapping[str, tuple[str, ...]]) -> str:
    each = (f"{name} = [{', '.join(map(repr, of))}]" for name, of in words.items())
    return f'convert = "choice", choices = {{ {", ".join(each)} }}'


TIMES = ("day", "wall", "instant")
KINDS = {
    "words": Kind("text", "text", "", line, _ODD, _STORED, is_text=True, identifies=True),
    "lines": Kind(
        "text", "text", 'convert = "paragraphs"', paragraphs, _ODD, _STORED, is_text=True
    ),
    "short": Kind("varchar(5)", "text", "", _varchar, _ODD, _STORED, is_text=True, identifies=True),
    "small": Kind("smallint", "number", 'convert = "whole"', _whole(2**15), _NUMBERS, ("7", "0")),
    "whole": Kind("integer", "number", "", _whole(2**31), _NUMBERS, ("7", "-3"), identifies=True),
    "money": Kind("numeric(6,2)", "number", "", _numeric, _NUMBERS, ("7.00", "0.00")),
    "day": Kind("date", "date", 'convert = "date"', _date, _DAYS, _SHOWN, identifies=True),
    "said": Kind("text", "date", "", _date, _DAYS, (*_SHOWN, "soon"), is_text=True),
    "wall": Kind(
        "timestamp", "timestamp", "", _wall, _STAMPS, tuple(f"{d} 10:00:00" for d in _SHOWN)
    ),
    "instant": Kind(
        "timestamptz",
        "timestamp",
        'convert = "timestamp"',
        _instant,
        _STAMPS,
        tuple(f"{d} 10:00:00+00" for d in _SHOWN),
    ),
    "clock": Kind("time without time zone", "time", "", _clock, _TIMES, ("09:00:00", "10:00:00")),
    "uid": Kind("uuid", "text", 'convert = "uuid"', _uuid, (_ID, _ID.upper(), "no"), (_ID,)),
    "yes": Kind(
        "boolean", "text", _choices(_YES), _choice(_YES), ("ja", "J.", "Nein", "?"), ("t", "f")
    ),
    "sort": Kind(
        "text",
        "text",
        _choices(_SORT),
        _choice(_SORT),
        ("FIRST", "1st", "second", "third", "two"),
        ("one", "two", "three"),
        identifies=True,
    ),
    "site": Kind(
        "integer",
        "text",
        'convert = "lookup", lookup = [{ from = "site", table = "site", match = "label" }]',
        _site,
        ("North", " north ", "SOUTH", "Twice", "Nowhere", " "),
        ("1", "2", "3"),
    ),
    "key": Kind("", "text", "", line, _ODD, _STORED[:-1], in_json=True),
    "count": Kind("", "number", "", _in_json, ("7", "0", "-3", "1.5", "007"), ("7",), in_json=True),
}
