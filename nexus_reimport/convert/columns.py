"""Values in the form in which PostgreSQL's columns hold them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from nexus_reimport.convert.moments import iso_date
from nexus_reimport.convert.outcome import ConversionError
from nexus_reimport.convert.texts import identifier

# Bounded: an exponent of six digits would become a number of a million digits.
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
# As format_type prints it. Without precision and scale there is no limit to check.
_NUMERIC = re.compile(r"numeric\(([0-9]+),([0-9]+)\)")
# As PostgreSQL prints it.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Checked before COPY: PostgreSQL's own error would quote the value, and stop at the first one.
_INTEGERS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
# A number from a spreadsheet comes as 1.0; PostgreSQL itself prints t and f.
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
    """A number. Only a point is a decimal sign; there are no separators."""
    # By its form: Decimal also takes 1_0, NaN and the digits of every script.
    if not _NUMBER.fullmatch(value.strip()):
        raise ConversionError("not a number")
    return Decimal(value.strip())


def whole(value: str) -> str | None:
    """A whole number; ``"7.0"`` is one."""
    if not value.strip():
        return None
    given = number(value)
    if given != given.to_integral_value():
        raise ConversionError("not a whole number")
    return str(int(given))


def for_type(value: str, type_name: str) -> str:
    """``value`` as PostgreSQL prints it in a column of this type.

    Raises:
        ConversionError: the column cannot hold it. Enumerations and domains are not checked here:
            only PostgreSQL knows them.
    """
    limit = _INTEGERS.get(type_name)
    if limit is not None:
        given = whole(value) or ""
        if not -limit <= int(given or 0) < limit:
            raise ConversionError(f"too large for {type_name}")
        return given
    of_type = _OTHERS.get(type_name)
    if of_type:
        return of_type(value) or ""
    numeric = _NUMERIC.fullmatch(type_name)
    return _numeric(value, int(numeric[1]), int(numeric[2])) if numeric else value


def _boolean(value: str) -> str:
    if value.strip().casefold() not in _BOOLEANS:
        raise ConversionError("neither yes nor no")
    return _BOOLEANS[value.strip().casefold()]


_OTHERS: dict[str, Callable[[str], str | None]] = {
    "date": iso_date,
    "uuid": as_uuid,
    "boolean": _boolean,
}


def _numeric(value: str, precision: int, scale: int) -> str:
    given = number(value)
    if abs(given) >= Decimal(10) ** (precision - scale):
        raise ConversionError(f"too large for numeric({precision},{scale})")
    # PostgreSQL would round in silence, and the row would differ from the plan.
    if given != round(given, scale):
        raise ConversionError(f"more than {scale} digits after the point")
    return format(round(given, scale), "f")
