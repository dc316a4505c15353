"""Values in the form in which PostgreSQL's columns hold them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Context, Decimal
from functools import cache, partial

from nexus_reimport.convert.moments import (
    iso_date,
    remarks,
    time_of_day,
    wall_clock,
)
from nexus_reimport.convert.registry import ConversionError
from nexus_reimport.convert.texts import identifier
from nexus_reimport.text import UUID

INSTANT = "timestamp with time zone"
_WALL_CLOCK = "timestamp without time zone"
# Bounded: an exponent of six digits would become a number of a million digits.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
_LONGEST = 400  # characters of a number
# No number of that length is rounded: Python's own context has 28 digits.
_EXACT = Context(prec=3 * _LONGEST)
# As format_type prints it. Without precision and scale there is no limit to check. A negative scale
# (PostgreSQL 15 and later) is not among them.
_NUMERIC = re.compile(r"numeric\(([0-9]+),([0-9]+)\)")
_PADDED = re.compile(r"character\(([0-9]+)\)")
# What has this form is printed as it was put in; instants are, as `moments.as_text` writes them.
_AS_PUT_IN = re.compile(rf"text|bpchar|character varying(\([0-9]+\))?|{INSTANT}")
_UUID = re.compile(UUID)
# Checked before COPY: PostgreSQL's own error would quote the value, and stop at the first one.
_INTEGERS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
# How many decimal digits each keeps, whatever they are (FLT_DIG and DBL_DIG).
_FLOATING = {"real": 6, "double precision": 15}
_TINIEST = -30  # power of ten; both keep all their digits down to there
# A number from a spreadsheet comes as 1.0; PostgreSQL itself prints t and f.
NO_BOOLEAN = "neither yes nor no"
_BOOLEANS = {
    **dict.fromkeys(("t", "true", "yes", "y", "1", "1.0", "on"), "t"),
    **dict.fromkeys(("f", "false", "no", "n", "0", "0.0", "off"), "f"),
}


def as_uuid(value: str) -> str | None:
    """A UUID in lower case: what ``identifier`` takes for one, and nothing else."""
    # PostgreSQL prints UUIDs in lower case with hyphens, whatever was put in.
    written = value if _UUID.fullmatch(value) else identifier(value)
    if written and not _UUID.fullmatch(written):
        raise ConversionError("not a UUID")
    return written or None


def number(value: str) -> Decimal:
    """A number with every digit that it was written with.

    Only a point is a decimal sign; there are no separators.
    """
    text = value.strip()
    # By its form: Decimal also takes 1_0, NaN and the digits of every script.
    if not _NUMBER.fullmatch(text):
        raise ConversionError("not a number")
    if len(text) > _LONGEST:
        raise ConversionError(f"a number of more than {_LONGEST} characters")
    given = Decimal(text)
    return given or given.copy_abs()  # PostgreSQL's numeric has no -0


def whole(value: str) -> str | None:
    """A whole number; ``"7.0"`` is one."""
    if not value.strip():
        return None
    given = number(value)
    if given != given.to_integral_value():
        raise ConversionError("not a whole number")
    return str(int(given))


def for_type(value: str, type_name: str) -> str:
    """``value`` as PostgreSQL prints it in a column of this type, which is ``Column.stored_as``.

    Raises:
        ConversionError: the column cannot hold it, or would hold another value in silence.
            Enumerations and the checks of domains are not looked at here: only PostgreSQL knows
            them.
    """
    of_type = _form(type_name)
    return value if of_type is None else of_type(value) or ""


def derived_for_type(value: str, type_name: str) -> tuple[str, ...]:
    """What is told of ``for_type``'s timestamp: midnight, where ``value`` has no time of day."""
    return remarks(value) if type_name == _WALL_CLOCK and value.strip() else ()


def is_foretold(type_name: str) -> bool:
    """Whether ``for_type`` knows how PostgreSQL prints the values of this type."""
    return _form(type_name) is not None or _AS_PUT_IN.fullmatch(type_name) is not None


def is_text(type_name: str) -> bool:
    """Whether this type holds any text."""
    return type_name == "text" or type_name.startswith(("character", "bpchar"))


@cache  # asked for every value
def _form(type_name: str) -> Callable[[str], str | None] | None:
    """What makes the text that PostgreSQL prints; None if a value stays as it is."""
    if limit := _INTEGERS.get(type_name):
        return partial(_integer, type_name, limit)
    if digits := _FLOATING.get(type_name):
        return partial(_floating, digits)
    if numeric := _NUMERIC.fullmatch(type_name):
        return partial(_numeric, int(numeric[1]), int(numeric[2]))
    if padded := _PADDED.fullmatch(type_name):
        width = int(padded[1])
        return lambda value: value.ljust(width)
    return _OTHERS.get(type_name)


def _boolean(value: str) -> str:
    if value.strip().casefold() not in _BOOLEANS:
        raise ConversionError(NO_BOOLEAN)
    return _BOOLEANS[value.strip().casefold()]


def _integer(type_name: str, limit: int, value: str) -> str:
    given = whole(value) or ""
    if not -limit <= int(given or 0) < limit:
        raise ConversionError(f"too large for {type_name}")
    return given


def _numeric(precision: int, scale: int, value: str) -> str:
    given = number(value)
    if given.copy_abs() >= Decimal((0, (1,), precision - scale)):
        raise ConversionError(f"too large for numeric({precision},{scale})")
    rounded = _EXACT.quantize(given, Decimal((0, (1,), -scale)))
    # PostgreSQL would round in silence, and the row would differ from the plan.
    if given != rounded:
        raise ConversionError(f"more than {scale} digits after the point")
    return format(rounded, "f")


def _floating(digits: int, value: str) -> str:
    """A number that a binary fraction gives back, digit by digit, as the shortest that does."""
    given = _EXACT.normalize(number(value))
    power = given.adjusted()
    # The column would hold another number in silence.
    if len(given.as_tuple().digits) > digits or not _TINIEST <= power < digits:
        raise ConversionError(f"more than {digits} digits")
    if power >= -4:
        return format(given, "f")
    return f"{format(given, 'e').partition('e')[0]}e{power:03d}"


_OTHERS: dict[str, Callable[[str], str | None]] = {
    "boolean": _boolean,
    "date": iso_date,
    # All digits are kept, zeros at the end as well.
    "numeric": lambda value: format(number(value), "f"),
    "time without time zone": time_of_day,
    _WALL_CLOCK: wall_clock,
    "uuid": as_uuid,
}
