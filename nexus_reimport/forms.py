"""How dates, times and numbers are written as text, and what a whole column of them shows.

A form is declared, never guessed value by value: 03/04/2025 is a date in two forms. The column
shows what one value cannot: 30/06/2025 proves the order in which all of them were written. So a
whole column is checked before any of its values is read.

A form of dates is the order of day, month and year. The sign between them is not part of it: `/`,
`.` and `-` mean the same, as long as one date has the same sign twice. A year has four digits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

from nexus_reimport import wording

DateForm = Literal["d/m/y", "d.m.y", "d-m-y", "m/d/y", "m.d.y", "m-d-y", "y/m/d", "y.m.d", "y-m-d"]
DecimalSign = Literal[".", ","]
ORDERS = ("d/m/y", "m/d/y", "y/m/d")
ISO, US = "y/m/d", "m/d/y"
DECIMALS = (".", ",")
FEW = 5  # places that a message names
_DATE = re.compile(r"([0-9]{1,4})([/.-])([0-9]{1,2})\2([0-9]{1,4})")
# A year of two digits is not guessed: 30 may be 1930, somebody's birth, or 2030, a plan's end.
_SHORT = re.compile(r"[0-9]{1,2}([/.-])[0-9]{1,2}\1[0-9]{1,2}")
_USUAL = re.compile(  # the usual timestamp, tried first for speed
    r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})"
)
# A fraction, and an offset that is dropped: FileMaker stores wall-clock time.
_STAMP = re.compile(
    r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,12}))?)?(?:Z|[+-][0-9:]{4,6})?"
)
# Hours of four digits: a FileMaker time is a duration, and 24:00:00 and more occur.
_COLONS = re.compile(
    r"(?P<hours>[0-9]{1,4}):(?P<minutes>[0-9]{2})(?::(?P<seconds>[0-9]{2}(?:\.[0-9]{1,12})?))?"
    r"(?:\s?(?P<half>[AaPp])\.?\s?[Mm]\.?)?"
)
# Some locales write 9.30 for half past nine.
_DOTS = re.compile(
    r"(?P<hours>[0-9]{1,4})\.(?P<minutes>[0-9]{2})(?:\.(?P<seconds>[0-9]{2}))?"
    r"(?:\s?(?P<half>[AaPp])\.?\s?[Mm]\.?)?"
)
# Hours with a fraction: 9.5 is half past nine as well, so `unclear_times` counts both.
_FRACTION = re.compile(r"[0-9]+\.[0-9]+")
_QUARTERS = frozenset({"00", "25", "50"})  # minutes that can also be hundredths of an hour
AND_A_TIME = " and a time"
REMARK = re.compile(  # what ``misfit`` adds: the declared form, if there is one
    rf" \(not (?P<form>[dmy]([/.-])[dmy]\2[dmy])?(?P<clock>{AND_A_TIME})?.*\)$"
)


def misfit(value: object, wanted: str) -> str:
    """A value of a file that is not what its field wants: as it is, and a remark about it."""
    return f"{value} (not {wanted})"


def order_of(form: str) -> str:
    """The order of a declared form: ``d.m.y`` and ``d-m-y`` are ``d/m/y``."""
    return form.replace(".", "/").replace("-", "/")


def day_of(text: str) -> str:
    """The date part of a date or timestamp, as it is written."""
    return text.replace("T", " ", 1).partition(" ")[0]


def day(text: str, order: str) -> date | None:
    """The date that ``text`` is in this order; None if it is not one."""
    match = _DATE.fullmatch(text)
    if not match:
        return None
    parts = dict(zip(order.split("/"), (match[1], match[3], match[4]), strict=True))
    # The pattern lets each end have four digits: only a year may, and must.
    if len(parts["y"]) != 4 or len(parts["d"]) > 2 or len(parts["m"]) > 2:
        return None
    try:
        return date(int(parts["y"]), int(parts["m"]), int(parts["d"]))
    # The 31st of February has the form of a date and is none.
    except ValueError:
        return None


def orders(text: str) -> tuple[str, ...]:
    """Every order in which ``text`` is a date."""
    return tuple(order for order in ORDERS if day(text, order))


def has_short_year(text: str) -> bool:
    """Whether ``text`` looks like a date with a year of two digits."""
    return bool(_SHORT.fullmatch(text))


def stamp(text: str) -> str:
    """A timestamp or date in the form in which they compare; ``""`` if ``text`` is neither.

    ISO form, else the US form that servers before 19.6.1 send. The offset is dropped: the server
    adds its own, which is wrong for a day in the other half of the year.
    """
    usual = _USUAL.fullmatch(text)
    if usual:
        return f"{usual[1]} {usual[2]}"
    first, _, clock = text.strip().replace("T", " ", 1).partition(" ")
    calendar_day = day(first, ISO) or day(first, US)
    match = _STAMP.fullmatch(clock or "00:00")
    if calendar_day is None or match is None:
        return ""
    fraction = (match[4] or "").rstrip("0")
    spelt = f"{calendar_day.isoformat()} {match[1]}:{match[2]}:{match[3] or '00'}"
    return f"{spelt}.{fraction}" if fraction else spelt


def newest(texts: Iterable[str]) -> str:
    """The greatest ``stamp`` of a page's ``texts``; ``""`` if none of them is one."""
    filled = list(filter(None, texts))
    # With one sign between day and clock, the usual case, the greatest text is the latest.
    if len({text[10:11] for text in filled}) == 1 and all(map(_USUAL.fullmatch, filled)):
        return stamp(max(filled))
    return max(map(stamp, filled), default="")


# ---------------------------------------------------------------- a whole column


@dataclass(slots=True)
class Seen:
    """The values of one column, by the forms in which each can be read.

    ``places`` are the first few places of each kind: lines of a file, or ids.
    """

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    places: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def add(self, forms: tuple[str, ...], place: str = "") -> None:
        """Count one value."""
        self.counts[forms] += 1
        kept = self.places.setdefault(forms, [])
        if place and len(kept) < FEW:
            kept.append(place)

    @property
    def total(self) -> int:
        """How many values there are."""
        return self.counts.total()

    def under(self, form: str) -> int:
        """How many can be read in ``form``."""
        return sum(n for forms, n in self.counts.items() if form in forms)

    def only_under(self, form: str, *, not_under: str) -> int:
        """How many can be read in ``form`` but not in ``not_under``."""
        return sum(
            n for forms, n in self.counts.items() if form in forms and not_under not in forms
        )

    def both(self, form: str, other: str) -> int:
        """How many can be read in both forms."""
        return sum(n for forms, n in self.counts.items() if form in forms and other in forms)

    def outside(self, form: str) -> Iterator[str]:
        """The first few places of values that can be read, but not in ``form``."""
        for forms, places in self.places.items():
            if forms and form not in forms:
                yield from places

    def best(self, forms: Iterable[str]) -> str:
        """The form in which most values can be read; ``""`` if no form is ahead of the others."""
        ranked = sorted(((self.under(form), form) for form in forms), reverse=True)
        (most, form), (second, _) = ranked[0], ranked[1]
        return form if most > second else ""

    def summary(self, forms: Iterable[str]) -> str:
        """The counts, for a message: ``3 as d/m/y, 2 in no form``."""
        parts = [f"{self.under(form):,} as {form}" for form in forms if self.under(form)]
        none = self.counts[()]
        parts += [f"{none:,} in no form"] if none else []
        return ", ".join(parts)


def contradiction(seen: Seen, declared: str, forms: Iterable[str]) -> str:
    """The form in which a column was written instead of the ``declared`` one; ``""`` if none.

    There is one if no value can be read as declared and some can in another form. There is also one
    if some values can be read in both forms, and others only in the other one: then nobody knows
    what the former mean.
    """
    others = [form for form in forms if form != declared]
    if not seen.under(declared):
        return max(others, key=seen.under) if any(map(seen.under, others)) else ""
    return next(
        (
            other
            for other in others
            if seen.both(declared, other) and seen.only_under(other, not_under=declared)
        ),
        "",
    )


# ---------------------------------------------------------------- times


@dataclass(frozen=True, slots=True)
class Clock:
    """A time or duration as it was written. ``half`` is ``a`` for AM, ``p`` for PM, else empty."""

    hours: int
    minutes: str
    seconds: str
    half: str
    dotted: bool

    @property
    def text(self) -> str:
        """``HH:MM:SS``, hours up to 9,999."""
        # 12 AM is hour 0, and 12 PM is hour 12.
        hours = self.hours % 12 + 12 * (self.half == "p") if self.half else self.hours
        return f"{hours:02}:{self.minutes}:{self.seconds or '00'}"


def clock(text: str) -> Clock | None:
    """The time in ``text``, with colons or dots, maybe with AM or PM; None if it is not a time."""
    match = _COLONS.fullmatch(text) or _DOTS.fullmatch(text)
    if not match:
        return None
    hours, half = int(match["hours"]), (match["half"] or "").casefold()
    if int(match["minutes"]) > 59 or float(match["seconds"] or 0) >= 60:
        return None
    if half and not 1 <= hours <= 12:
        return None
    return Clock(hours, match["minutes"], match["seconds"] or "", half, ":" not in text)


def unclear_times(texts: Iterable[str]) -> str:
    """Why the times of a column can be read in two ways; ``""`` if they are clear.

    Some have AM or PM, and others have none and may be either. Or a point may separate minutes or a
    fraction of an hour: 9.30 is half past nine, and so is 9.5.
    """
    parsed = [(text, clock(text)) for text in texts]
    marked = sum(bool(c and c.half) for _, c in parsed)
    bare = sum(bool(c and not c.half and 1 <= c.hours <= 12) for _, c in parsed)
    if marked and bare:
        times = wording.amount(marked, "time has", "times have")
        others = wording.amount(bare, "has", "have")
        return f"{times} AM or PM, and {others} none and may be either"
    dotted = [c for _, c in parsed if c and c.dotted and not c.seconds and not c.half]
    fractions = sum(c is None and bool(_FRACTION.fullmatch(text)) for text, c in parsed)
    if dotted and fractions:
        times = wording.amount(len(dotted), "time")
        return f"{times} like 9.30, and {fractions:,} that must be hours with a fraction"
    proof = any(c and (not c.dotted or c.seconds or c.half) for _, c in parsed)
    if dotted and not proof and all(c.minutes in _QUARTERS for c in dotted):
        times = wording.amount(len(dotted), "time")
        return f"{times} like 9.50, which may also be hours with a fraction"
    return ""


# ---------------------------------------------------------------- numbers

_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)")
# Bounded: FileMaker's numbers end at 10^400, and an exponent of ten digits would fill the memory.
_EXPONENTIAL = re.compile(r"([^eE]+)[eE]([+-]?[0-9]{1,3})")
# Thousands never begin with 0: 0,123 can only be a fraction with the other sign.
_GROUPED = {
    ".": re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?"),
    ",": re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:,[0-9]*)?"),
}


def number(text: str, decimal: str) -> str:
    """``text`` as digits with a decimal point; ``""`` if it is not a number with this sign.

    FileMaker exports ``.5`` but sends ``0.5`` over the network: this gives the latter. It sends
    ``1e+20`` where a spreadsheet has all digits: this gives the digits.
    """
    if match := _EXPONENTIAL.fullmatch(text):
        digits = number(match[1], decimal)
        return format(Decimal(f"{digits}e{match[2]}"), "f") if digits else ""
    other = "," if decimal == "." else "."
    if _PLAIN.fullmatch(text) and other not in text:
        digits = text.replace(decimal, ".")
        sign = digits[: len(digits) - len(digits.lstrip("+-"))]
        return f"{sign}0{digits[len(sign) :]}" if digits[len(sign) :].startswith(".") else digits
    if _GROUPED[decimal].fullmatch(text):
        return text.replace(other, "").replace(decimal, ".")
    return ""


def decimals(text: str) -> tuple[str, ...]:
    """The decimal signs with which ``text`` is a number; none if it shows nothing of them.

    That is a text without a sign, and one with an exponent, which a key must not have.
    """
    if ("." not in text and "," not in text) or _EXPONENTIAL.fullmatch(text):
        return ()
    return tuple(sign for sign in DECIMALS if number(text, sign))
