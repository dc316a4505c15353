"""Existing names that are like one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def names(name: str, existing: Iterable[str]) -> tuple[str, ...]:
    """The nearest existing names, three at most."""
    return tuple(difflib.get_close_matches(name, tuple(existing), n=3, cutoff=0.5))


def phrase(name: str, existing: Iterable[str]) -> str:
    """The nearest names, formatted for an error message."""
    return f"nearest: {', '.join(names(name, existing)) or 'none'}"
