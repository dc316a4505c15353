"""Reads FileMaker's JSON: every digit is kept, and what makes it invalid is fixed.

Three things make it invalid: a bare ``?`` where a value could not be computed, a fraction without
its leading zero, and control characters inside a text. Only the first loses a value, so it is
counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from nexus_reimport.errors import SourceError


class _NotComputed:
    """What a bare ``?`` becomes."""

    def __repr__(self) -> str:
        return "NOT_COMPUTED"


NOT_COMPUTED: Final = _NotComputed()
_TEXTS = {str}
_REPAIRED = "NaN"  # what we write for a bare ``?``: FileMaker itself never sends this word
_FLAWS = re.compile(
    rb'("[^"\\]*(?:\\.[^"\\]*)*")'  # a text: left as it is
    rb"|(?<=[:,\[\s])(\?)(?=\s*[,}\]])"
    rb"|(?<=[:,\[\s])(-?)(?=\.\d)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """An object of JSON, or None, and how many values of it could not be computed."""

    content: dict[str, Any] | None
    repaired: int = 0


def load(content: bytes) -> Loaded:
    """What ``content`` holds. A number is the text of its digits: a float would round long ids."""
    # Valid JSON is read as it came: nothing of it is rewritten.
    loaded = _parsed(content)
    if loaded is not None:
        return Loaded(loaded)
    fixed, repaired = _fixed(content)
    return Loaded(_parsed(fixed), repaired)


def not_computed(rows: Iterable[Mapping[str, Any]]) -> int:
    """How many values of ``rows`` were a bare ``?``."""
    return sum(value is NOT_COMPUTED for row in rows for value in row.values())


def rows_of_text(rows: Iterable[dict[str, Any]], where: str) -> tuple[dict[str, str], ...]:
    """``rows``, with each value as ``texts`` gives it.

    Raises:
        SourceError: one is neither text nor a number.
    """
    listed = tuple(rows)
    # Rows that hold nothing but text, the usual case, are what they were.
    if set(map(type, chain.from_iterable(map(dict.values, listed)))) <= {str}:
        return listed
    return tuple(texts(row, where) for row in listed)


def texts(values: dict[str, Any], where: str) -> dict[str, str]:
    """``values``, each as text: empty where there is none, or where it could not be computed.

    Raises:
        SourceError: one is neither text nor a number.
    """
    if set(map(type, values.values())) == _TEXTS:  # the usual case, and there are many values
        return values
    for name, value in values.items():
        if value is None or value is NOT_COMPUTED:
            values[name] = ""
        elif not isinstance(value, str):
            raise SourceError(
                f"field {name} holds neither text nor a number ({type(value).__name__})",
                where=where,
                next="check the server's version against Claris' guide",
            )
    return values


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        # Not strict: FileMaker puts control characters into texts without escaping them.
        loaded = json.loads(
            content, strict=False, parse_float=str, parse_int=str, parse_constant=_constant
        )
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _constant(word: str) -> object:
    return NOT_COMPUTED if word == _REPAIRED else word


def _fixed(content: bytes) -> tuple[bytes, int]:
    count = 0

    def fix(match: re.Match[bytes]) -> bytes:
        nonlocal count
        # A text: a question mark in a note is a question mark.
        if match[1] is not None:
            return match[1]
        if match[2] is None:
            return match[3] + b"0"
        count += 1
        return _REPAIRED.encode()

    return _FLAWS.sub(fix, content), count
