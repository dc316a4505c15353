"""Find requests: which records a ``_find`` of the Data API matches.

A criterion is read as FileMaker reads it. Text matches by the beginnings of words, without regard
to case. Operators: ``=`` (empty, or a whole word), ``==`` (the whole field), ``*`` (any text, or
alone: not empty), ``@`` (one character), ``#`` (one digit), ``"…"`` (as written), ``!``
(duplicates), ``?`` (a date or time that is none), ``<  <=  >  >=`` and ``…`` or ``...`` (a range).
A backslash makes the next character plain.

Source: Claris FileMaker Pro help, "Finding text and characters", "Finding numbers, dates, times,
and timestamps".
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nexus_sandbox.filemaker import format as fmt
from nexus_sandbox.filemaker.file import Field, FileTable, Record
from nexus_sandbox.filemaker.message import Refusal

Matches = Callable[[object], bool]

COMPARISONS: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    ("<=", operator.le),
    (">=", operator.ge),
    ("≤", operator.le),
    ("≥", operator.ge),
    ("<", operator.lt),
    (">", operator.gt),
)
INVALID_CODE = {"date": 500, "timestamp": 500, "time": 501, "number": 502}
WILD = {"*": r"\S*", "@": ".", "#": r"\d"}
WILD_WHOLE = {**WILD, "*": ".*"}


def find(table: FileTable, query: object, dateformats: str) -> list[Record]:
    """The records that the requests of ``query`` match, in the order of creation.

    Each object of the array is a request: its criteria all have to match. Requests add to the
    found set, those with ``omit`` take away from it; a leading one takes away from all records.

    Raises:
        Refusal: FileMaker does not take the query, with its code.
    """
    if not isinstance(query, list) or not query:
        raise Refusal(958 if query is None else 960)
    found_set: set[int] = set()
    for number, request in enumerate(query):
        if not isinstance(request, dict):
            raise Refusal(960)
        omit = str(request.get("omit", "false")).lower() == "true"
        criteria = {name: text for name, text in request.items() if name != "omit"}
        matched = _request(table, criteria, dateformats)
        if omit and number == 0:
            found_set = {id(record) for record in table.records}
        found_set = found_set - matched if omit else found_set | matched
    return [record for record in table.records if id(record) in found_set]


def _request(table: FileTable, criteria: Mapping[str, object], dateformats: str) -> set[int]:
    fields = {name: field for field in table.fields for name in field.names}
    tests: list[tuple[str, Matches]] = []
    for name, text in criteria.items():
        if name not in fields:
            raise Refusal(102)
        if text is None:
            raise Refusal(1708)
        if str(text):
            values = [record.values.get(name, "") for record in table.records]
            tests.append((name, criterion(str(text), fields[name], values, dateformats)))
    if not tests:
        raise Refusal(400)
    return {
        id(record)
        for record in table.records
        if all(matches(record.values.get(name, "")) for name, matches in tests)
    }


def criterion(text: str, field: Field, values: Iterable[object], dateformats: str) -> Matches:
    """What one criterion matches. ``values`` is the whole column, for ``!``."""
    text = text.strip()
    if text in {"=", "=="}:
        return lambda value: value == ""
    if text == "*":
        return lambda value: value != ""
    if text == "!":
        often = {value for value, times in Counter(map(_folded, values)).items() if times > 1}
        return lambda value: value != "" and _folded(value) in often
    if field.type in INVALID_CODE:
        return _ordered(text, field, dateformats)
    return _text(text)


def _folded(value: object) -> str:
    return str(value).casefold()


def _ordered(text: str, field: Field, dateformats: str) -> Matches:
    """Numbers, dates, times and timestamps: equal, compared, in a range, or invalid (``?``)."""
    stored = _stored(field)
    if text == "?":
        return lambda value: value != "" and stored(value) is None

    def wanted(part: str) -> Any:
        bound = _bound(part, field, dateformats)
        if bound is None:
            raise Refusal(INVALID_CODE[field.type])
        return bound

    low, dots, high = re.sub("…", "...", text).partition("...")
    if dots:
        return _between(stored, wanted(low), wanted(high), field)
    for sign, compare in COMPARISONS:
        if text.startswith(sign):
            limit = wanted(text[len(sign) :])
            return lambda value: (known := stored(value)) is not None and compare(known, limit)
    exact = wanted(text.lstrip("="))
    return _between(stored, exact, exact, field)


def _between(stored: Callable[[object], Any], low: Any, high: Any, field: Field) -> Matches:
    """Within a range, ends included. A day alone stands for all of its timestamps."""
    if field.type == "timestamp" and " " not in high:
        high = f"{high} 99"
    return lambda value: (known := stored(value)) is not None and low <= known <= high


def _stored(field: Field) -> Callable[[object], Any]:
    if field.type == "number":
        return fmt.number
    if field.type == "time":
        return fmt.seconds
    return lambda value: str(value) if re.match(r"\d{4}-\d\d-\d\d", str(value)) else None


def _bound(text: str, field: Field, dateformats: str) -> Any:
    """The value that is meant by a part of a criterion; None where there is none in it."""
    text = text.replace("\\", "").strip()
    if field.type == "number":
        return fmt.number(text)
    if field.type == "time":
        return fmt.seconds(text)
    day, _, clock = text.replace("T", " ").partition(" ")
    date = fmt.date_value(day, dateformats)
    if not date or (clock and fmt.seconds(clock) is None):
        return None
    return f"{date} {clock}" if clock and field.type == "timestamp" else date


def _text(text: str) -> Matches:
    low, dots, high = re.sub("…", "...", text).partition("...")
    if dots and low and high:
        first, last = _folded(_plain(low)), _folded(_plain(high))
        return lambda value: value != "" and first <= _folded(value) <= f"{last}\uffff"
    for sign, compare in COMPARISONS:
        if text.startswith(sign):
            limit = _folded(_plain(text[len(sign) :]))
            return lambda value: value != "" and compare(_folded(value), limit)
    if text.startswith("=="):
        whole = re.compile(_pattern(text[2:], WILD_WHOLE), re.IGNORECASE | re.DOTALL)
        return lambda value: whole.fullmatch(str(value)) is not None
    words = [_word(word) for word in re.findall(r'(?:\\.|"(?:\\.|[^"\\])*"|\S)+', text, re.DOTALL)]
    return lambda value: all(word.search(str(value)) for word in words)


def _word(word: str) -> re.Pattern[str]:
    """A word's beginning, or with ``=`` a whole word."""
    whole = word.startswith("=")
    pattern = _pattern(word[1:] if whole else word, WILD)
    return re.compile(rf"(?<!\w){pattern}" + (r"(?!\w)" if whole else ""), re.IGNORECASE)


def _pattern(text: str, wild: Mapping[str, str]) -> str:
    """A criterion as a regular expression: wildcards, quotes and backslashes read."""
    pattern, quoted, plain = "", False, False
    for character in text:
        if plain:
            pattern, plain = pattern + re.escape(character), False
        elif character == "\\":
            plain = True
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in wild:
            pattern += wild[character]
        else:
            pattern += re.escape(character)
    return pattern


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text).strip()
