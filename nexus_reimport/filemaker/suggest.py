"""Existing names that are like one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from nexus_reimport.text import caseless


def names(name: str, existing: Iterable[str]) -> tuple[str, ...]:
    """The nearest existing names, three at most; case is no difference."""
    by_name: dict[str, list[str]] = {}
    for one in existing:
        by_name.setdefault(caseless(one), []).append(one)
    near = difflib.get_close_matches(caseless(name), by_name, n=3, cutoff=0.5)
    return tuple(one for folded in near for one in by_name[folded])[:3]


def phrase(name: str, existing: Iterable[str]) -> str:
    """The nearest names, formatted for an error message."""
    return f"nearest: {', '.join(names(name, existing)) or 'none'}"
