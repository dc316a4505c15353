"""What comes of a value beside the value itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class ConversionError(Exception):
    """A value does not fit its column. The reason names the kind of trouble, never the value."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A value, what of FileMaker's did not fit into it, and what in it was derived."""

    value: Any
    misfits: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
