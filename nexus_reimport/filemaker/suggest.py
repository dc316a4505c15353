"""Names that are like one which is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def names(name: str, there: Iterable[str]) -> tuple[str, ...]:
    """The nearest of those that are there, three at most."""
    return tuple(difflib.get_close_matches(name, tuple(there), n=3, cutoff=0.5))


def told(name: str, there: Iterable[str]) -> str:
    """The same as an error tells them."""
    return f"nearest: {', '.join(names(name, there)) or 'none'}"
