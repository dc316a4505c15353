"""How dates, times and numbers are written as text, and what a whole column of them tells.

A form is declared and never guessed value by value: 03/04/2025 is a date under two of them. What
cannot be seen in one value is seen in its column: a value such as 30/06/2025 proves in which order
all of them were written. So a column is looked at as a whole before one value of it is read.

A form of dates is the order of day, month and year. The sign between them is not part of it: `/`,
`.` and `-` mean the same, as long as one date has the same sign twice. A year has four digits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

DateForm = Literal["d/m/y", "d.m.y", "d-m-y", "m/d/y", "m.d.y", "m-d-y", "y/m/d", "y.m.d", "y-m-d"]
DecimalSign = Literal[".", ","]
ORDERS = ("d/m/y", "m/d/y", "y/m/d")
ISO, US = "y/m/d", "m/d/y"
DECIMALS = (".", ",")
FEW = 5
_DATE = re.compile(r"([0-9]{1,4})([/.-])([0-9]{1,2})\2([0-9]{1,4})")
_SHORT = re.compile(r"[0-9]{1,2}([/.-])[0-9]{1,2}\1[0-9]{1,2}")
_USUAL = re.compile(  # nearly all that are asked for
    r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})"
)
_STAMP = re.compile(
    r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(?:Z|[+-][0-9:]{4,6})?"
)
_COLONS = re.compile(
    r"(?P<hours>[0-9]{1,4}):(?P<minutes>[0-9]{2})(?::(?P<seconds>[0-9]{2}(?:\.[0-9]{1,6})?))?"
    r"(?:\s?(?P<half>[AaPp])\.?\s?[Mm]\.?)?"
)
_DOTS = re.compile(
    r"(?P<hours>[0-9]{1,4})\.(?P<minutes>[0-9]{2})(?:\.(?P<seconds>[0-9]{2}))?"
    r"(?:\s?(?P<half>[AaPp])\.?\s?[Mm]\.?)?"
)
_FRACTION = re.compile(r"[0-9]+\.[0-9]+")
_QUARTERS = frozenset({"00", "25", "50"})  # minutes that are as well hundredths of an hour


def order_of(form: str) -> str:
    """The order that a declared form names: ``d.m.y`` and ``d-m-y`` are ``d/m/y``."""
    return form.replace(".", "/").replace("-", "/")


def day(text: str, order: str) -> date | None:
    """The date that ``text`` is in this order; None where it is none."""
    match = _DATE.fullmatch(text)
    if not match:
        return None
    parts = dict(zip(order.split("/"), (match[1], match[3], match[4]), strict=True))
    if len(parts["y"]) != 4 or len(parts["d"]) > 2 or len(parts["m"]) > 2:
        return None
    try:
        return date(int(parts["y"]), int(parts["m"]), int(parts["d"]))
    except ValueError:
        return None


def orders(text: str) -> tuple[str, ...]:
    """Every order under which ``text`` is a date."""
    return tuple(order for order in ORDERS if day(text, order))


def has_short_year(text: str) -> bool:
    """Whether ``text`` is written like a date, with a year of two digits."""
    return bool(_SHORT.fullmatch(text))


def stamp(text: str) -> str:
    """A timestamp or date as timestamps compare; ``""`` where ``text`` is neither.

    In ISO form, or in the US form that an older server sends, where nothing else is possible. The
    offset is dropped: it is the server's own.
    """
    usual = _USUAL.fullmatch(text)
    if usual:
        return f"{usual[1]} {usual[2]}"
    first, _, clock = text.strip().replace("T", " ", 1).partition(" ")
    found = day(first, ISO) or day(first, US)
    match = _STAMP.fullmatch(clock or "00:00")
    if found is None or match is None:
        return ""
    fraction = (match[4] or "").rstrip("0")
    spelt = f"{found.isoformat()} {match[1]}:{match[2]}:{match[3] or '00'}"
    return f"{spelt}.{fraction}" if fraction else spelt


# ---------------------------------------------------------------- a whole column


@dataclass(slots=True)
class Seen:
    """The values of one column by the forms that each can be read under, and where they stand.

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
        """How many can be read under ``form``."""
        return sum(n for forms, n in self.counts.items() if form in forms)

    def only_under(self, form: str, *, not_under: str) -> int:
        """How many can be read under ``form`` and not under the other one."""
        return sum(
            n for forms, n in self.counts.items() if form in forms and not_under not in forms
        )

    def both(self, form: str, other: str) -> int:
        """How many can be read under both."""
        return sum(n for forms, n in self.counts.items() if form in forms and other in forms)

    def outside(self, form: str) -> Iterator[str]:
        """The first few places of values that can be read, but not under ``form``."""
        for forms, places in self.places.items():
            if forms and form not in forms:
                yield from places

    def best(self, forms: Iterable[str]) -> str:
        """The form under which the most values can be read; ``""`` if none can, or two are alike.

        Two that can read equally many values tell nothing.
        """
        ranked = sorted(((self.under(form), form) for form in forms), reverse=True)
        (most, form), (second, _) = ranked[0], ranked[1]
        return form if most > second else ""

    def told(self, forms: Iterable[str]) -> str:
        """The counts, for a message."""
        said = [f"{self.under(form):,} as {form}" for form in forms if self.under(form)]
        none = self.counts[()]
        said += [f"{none:,} in no form"] if none else []
        return ", ".join(said)


def contradiction(seen: Seen, declared: str, forms: Iterable[str]) -> str:
    """The other form that a column was written in, or seems to be; ``""`` where none is.

    It is another one where no value can be read as declared and some can otherwise; and where some
    can be read under both, while others can be read under the other one alone: then nobody knows
    what the first ones mean.
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
    """A time or duration as it was written. ``half`` is ``a`` or ``p`` where it was marked so."""

    hours: int
    minutes: str
    seconds: str
    half: str
    dotted: bool

    @property
    def text(self) -> str:
        """``HH:MM:SS``, hours up to 9,999."""
        hours = self.hours % 12 + 12 * (self.half == "p") if self.half else self.hours
        return f"{hours:02}:{self.minutes}:{self.seconds or '00'}"


def clock(text: str) -> Clock | None:
    """The time that ``text`` is, between colons or dots, with AM or PM; None where it is none."""
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
    """Why nobody can tell what the times of a column mean; ``""`` where they are clear.

    AM and PM at some of them, and others without that may be either; or numbers with a point,
    which are as well hours with a fraction: 9.30 is half past nine, 9.5 is it too.
    """
    found = [(text, clock(text)) for text in texts]
    marked = sum(bool(c and c.half) for _, c in found)
    bare = sum(bool(c and not c.half and 1 <= c.hours <= 12) for _, c in found)
    if marked and bare:
        return f"AM or PM at {marked:,} times, and none at {bare:,} that may be either"
    dotted = [c for _, c in found if c and c.dotted and not c.seconds and not c.half]
    fractions = sum(c is None and bool(_FRACTION.fullmatch(text)) for text, c in found)
    if dotted and fractions:
        return f"{len(dotted):,} times like 9.30, and {fractions:,} that are hours with a fraction"
    proof = any(c and (not c.dotted or c.seconds or c.half) for _, c in found)
    if dotted and not proof and all(c.minutes in _QUARTERS for c in dotted):
        return f"{len(dotted):,} times like 9.50, which are as well hours with a fraction"
    return ""


# ---------------------------------------------------------------- numbers

_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)")
_GROUPED = {
    ".": re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?"),
    ",": re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:,[0-9]*)?"),
}


def number(text: str, decimal: str) -> str:
    """``text`` as digits with a decimal point; ``""`` where it is no number with this sign.

    FileMaker exports ``.5``, and sends it to its servers' clients as ``0.5``: that is taken.
    """
    other = "," if decimal == "." else "."
    if _PLAIN.fullmatch(text) and other not in text:
        digits = text.replace(decimal, ".")
        sign = digits[: len(digits) - len(digits.lstrip("+-"))]
        return f"{sign}0{digits[len(sign) :]}" if digits[len(sign) :].startswith(".") else digits
    if _GROUPED[decimal].fullmatch(text):
        return text.replace(other, "").replace(decimal, ".")
    return ""


def decimals(text: str) -> tuple[str, ...]:
    """The decimal signs with which ``text`` is a number. One without any sign is of no account."""
    if "." not in text and "," not in text:
        return ()
    return tuple(sign for sign in DECIMALS if number(text, sign))
