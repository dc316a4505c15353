"""Parts of a number of rows or records, exactly as a mapping or an environment writes them.

As floats, 0.07 of 100 is 7.000000000000001: a budget would allow an eighth record, and a link that
resolves in 7 of 100 would not reach its 0.07.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

_DIGITS = 10_000  # a part is proposed with four digits after its point


def of(part: float, count: int) -> Fraction:
    """So much of ``count``."""
    return Fraction(str(part)) * count


def budget(part: float, count: int) -> int:
    """How many of ``count`` that part allows, rounded up: of a few it would be less than one."""
    return ceil(of(part, count))


def proposed(count_allowed: int, count: int) -> float:
    """A part of four digits that allows so many of ``count``, and no more where four digits can."""
    exact = Fraction(count_allowed * _DIGITS, max(1, count))
    parts = (floor(exact) / _DIGITS, ceil(exact) / _DIGITS)
    return min(1.0, next((p for p in parts if budget(p, count) >= count_allowed), 1.0))
