"""What a conversion can give besides a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class ConversionError(Exception):
    """A value does not fit its column. The text is the reason; it never holds the value."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A value, the reasons why parts of FileMaker's text did not fit, and what was derived."""

    value: Any
    misfits: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
