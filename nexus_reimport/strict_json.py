"""A JSON column's text, read and compared as PostgreSQL holds it: the one place for it.

``true`` is not ``1`` and ``1`` is not ``1.0``, as the database keeps them apart; the order of keys,
blanks and the way in which a character or a number is spelt are free. To Python ``True == 1 ==
1.0``, a dictionary forgets a key that stands twice, and a whole number of more than 4,300 digits is
an error: so nothing here is compared as Python's own values.

Source: PostgreSQL, "JSON Types"; RFC 8259.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import simplejson

_HALF = re.compile("[\ud800-\udfff]")  # no text in UTF-8 can hold it
_DIGITS = 4_000  # of a whole number that Python reads and writes as one; it refuses more than 4,300
_EXPONENT = 200_000  # beyond what PostgreSQL's numeric can hold: such a number stays as written


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """An object's pairs, those of a key that stands twice among them."""


class _KeyTwice(Exception):
    """A key stands twice in an object."""


def loads(text: str) -> Any:
    """What ``text`` holds, as a program changes it; every digit of a number is kept.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    return _DECODER.decode(text)


def dumps(document: Any) -> str:
    """``document`` as the text of a JSON column, keys in order.

    Half a character, which type ``json`` can hold as an escape, is written as that escape.
    """
    text = str(_ENCODER.encode(document))
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def hidden(text: str) -> tuple[tuple[str, Any], ...]:
    """Each key and value that a later value of the same key hides: ``loads`` does not give it.

    Only a column of type ``json`` can hold such a key; PostgreSQL's own operators take the last.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    lost: list[tuple[str, Any]] = []

    def last(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            lost.extend((k, v) for k, v in pairs if not same_documents(v, values[k]))
        return values

    simplejson.JSONDecoder(parse_float=Decimal, parse_int=_whole, object_pairs_hook=last).decode(
        text
    )
    return tuple(lost)


def same(one: str | None, other: str | None) -> bool:
    """Whether two texts of a JSON column hold the same. What is no JSON equals only itself."""
    if one == other:
        return True
    if one is None or other is None:
        return False
    try:
        try:
            return bool(_ONCE.decode(one) == _ONCE.decode(other))
        except _KeyTwice:
            return canonical(one) == canonical(other)
    # A text that is no JSON, or nested too deep for the parser, is equal to nothing.
    except (ValueError, RecursionError):
        return False


def same_documents(one: Any, other: Any) -> bool:
    """Whether two documents that were read with ``loads`` hold the same."""
    if one is other:
        return True
    try:
        return _alike(one, other)
    except RecursionError:  # texts can be compared some levels deeper
        return same(dumps(one), dumps(other))


def held(text: str) -> Any:
    """What ``text`` holds, as a value that equals another one only if the database says so.

    Not to be shown, nor to be written: a number is a tuple of its digits. Of a key that stands
    twice the last one counts, as in ``loads``.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    return _HELD.decode(text)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise _KeyTwice
    return values


def _digits(text: str) -> tuple[str]:
    return (text if text.isdecimal() else _spelt_number(text),)


def canonical(text: str) -> str:
    """The one spelling of all texts that are the same.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    return _spelt(
        json.loads(
            text,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=no_constant,
            object_pairs_hook=_Object,
        )
    )


def is_nested(value: Any) -> bool:
    """Whether a value of a document is an object or a list."""
    return isinstance(value, dict | list)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, str):
        return isinstance(other, str) and one == other
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(_alike(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_alike, one, other))
    if type(one) in _NUMBERS and type(other) in _NUMBERS:
        return _spelt_number(str(one)) == _spelt_number(str(other))
    # True is no number here, and equals itself alone.
    return type(one) is type(other) and bool(one == other)


def _whole(text: str) -> int | Decimal:
    return int(text) if len(text) <= _DIGITS else Decimal(text)


# Made once: for each call this took longer than what it was made for.
_DECODER = simplejson.JSONDecoder(parse_float=Decimal, parse_int=_whole)
_ENCODER = simplejson.JSONEncoder(use_decimal=True, ensure_ascii=False, sort_keys=True)
_NUMBERS = (int, Decimal)


def no_constant(word: str) -> None:
    """Refuses ``NaN`` and ``Infinity``, which Python's own reader takes."""
    raise ValueError(f"{word} is no JSON")


_HELD = json.JSONDecoder(parse_int=_digits, parse_float=_digits, parse_constant=no_constant)
_ONCE = json.JSONDecoder(
    parse_int=_digits,
    parse_float=_digits,
    parse_constant=no_constant,
    object_pairs_hook=_each_once,
)


def _spelt(value: Any) -> str:
    if isinstance(value, _Number):
        return _spelt_number(value)
    if isinstance(value, _Object):
        pairs = sorted((json.dumps(key), _spelt(held)) for key, held in value)
        return "{" + ",".join(f"{key}:{held}" for key, held in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_spelt, value)) + "]"
    return json.dumps(value)


def _spelt_number(text: str) -> str:
    """As numeric prints it: no exponent, no negative zero, the digits after the point as many."""
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(number.adjusted()) > _EXPONENT:
        return text
    if not number:
        return "0." + "0" * -exponent if exponent < 0 else "0"
    return format(number, "f")
