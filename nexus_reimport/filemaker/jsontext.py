"""Reads FileMaker's JSON: every digit is kept, and what makes it invalid is fixed.

Three things make it invalid: a bare ``?``, ``NaN`` or ``Infinity`` where a value could not be
computed, a fraction without its leading zero, and control characters inside a text. Only the first
loses a value, so it is counted. An object with two values under one name is not read at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from nexus_reimport import forms, strict_json
from nexus_reimport.errors import SourceError


class _NotComputed:
    """What stands for a value that could not be computed."""

    def __repr__(self) -> str:
        return "NOT_COMPUTED"


NOT_COMPUTED: Final = _NotComputed()
_TEXTS = {str}
_REPAIRED = b"NaN"  # what we write for a bare ``?``, and read like one that was sent
_FLAWS = re.compile(
    rb'("[^"\\]*(?:\\.[^"\\]*)*")'  # a text: left as it is
    rb"|(?<=[:,\[\s])(\?)(?=\s*[,}\]])"
    rb"|(?<=[:,\[\s])(-?)(?=\.\d)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """An object of JSON, or None, and how many values of it could not be computed.

    ``ambiguous`` is the name under which an object has two values; then nothing was read.
    """

    content: dict[str, Any] | None
    repaired: int = 0
    ambiguous: str = ""


class _Ambiguous(Exception):
    """An object has two values under one name."""


def load(content: bytes) -> Loaded:
    """What ``content`` holds. A number is the text of its digits: a float would round long ids.

    Written with an exponent, it would be another text, and another id, than an exported file has.
    """
    words: list[str] = []

    def not_computed(word: str) -> object:
        words.append(word)
        return NOT_COMPUTED

    try:
        # Valid JSON is read as it came: nothing of it is rewritten.
        loaded = _parsed(content, strict_json.no_constant)
        if loaded is None:
            loaded = _parsed(_FLAWS.sub(_fix, content), not_computed)
    except _Ambiguous as error:
        return Loaded(None, ambiguous=str(error))
    return Loaded(loaded, len(words))


def not_computed(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """The row, from 0, and the field of each value that could not be computed."""
    for number, row in enumerate(rows):
        for name, value in row.items():
            if value is NOT_COMPUTED:
                yield number, name


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


def _parsed(content: bytes, constant: Callable[[str], object]) -> dict[str, Any] | None:
    try:
        # Not strict: FileMaker puts control characters into texts without escaping them.
        loaded = json.loads(
            content,
            strict=False,
            parse_float=_digits,
            parse_int=str,
            parse_constant=constant,
            object_pairs_hook=_each_once,
        )
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _digits(number: str) -> str:
    """A number with a point or an exponent: its digits alone, as an exported file has them."""
    return forms.number(number, ".") or number


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        for name, value in pairs:
            if value != values[name]:  # the same value twice loses nothing
                raise _Ambiguous(name)
    return values


def _fix(match: re.Match[bytes]) -> bytes:
    # A text: a question mark in a note is a question mark.
    if match[1] is not None:
        return match[1]
    return _REPAIRED if match[2] is not None else match[3] + b"0"
