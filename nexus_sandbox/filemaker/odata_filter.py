"""``$filter``: which records an expression matches.

A sound part of the language: ``eq ne gt ge lt le``, ``and or not``, parentheses, ``contains``,
``startswith``, ``endswith``; a name on the left, a literal on the right. Dates, times and
timestamps stand bare, a timestamp with a zone. A text compared with a date matches nothing.

Source: Claris FileMaker OData Guide, "Query option $filter"; OData 4.0 Part 2, 5.1.1.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nexus_sandbox.filemaker import format as fmt
from nexus_sandbox.filemaker.file import Field, FileTable, Record
from nexus_sandbox.filemaker.message import Refusal
from nexus_sandbox.filemaker.odata_query import SEMANTICS, SYNTAX, field_name

Matches = Callable[[Record], bool]

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_TOKENS = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^']|'')*')
      | (?P<timestamp>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))
      | (?P<date>\d{4}-\d\d-\d\d)(?![T\d])
      | (?P<time>\d\d:\d\d:\d\d)
      | (?P<number>-?\d+(?:\.\d+)?)(?![\d:-])
      | (?P<name>"[^"]*"|[A-Za-z_][\w.]*)
      | (?P<sign>[(),])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def matches(expression: str, table: FileTable) -> Matches:
    """A test for records of ``table``.

    Raises:
        Refusal: FileMaker does not take the expression.
    """
    reader = _Reader(_tokens(expression), table)
    test = reader.either()
    reader.end()
    return test


def _tokens(expression: str) -> list[_Token]:
    tokens, position = [], 0
    while expression[position:].strip():
        match = _TOKENS.match(expression, position)
        if match is None or match.lastgroup is None:
            raise Refusal(SYNTAX, 400, expression[position:].strip())
        tokens.append(_Token(match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, tokens: list[_Token], table: FileTable) -> None:
        self._tokens = tokens
        self._table = table

    def either(self) -> Matches:
        left = self._both()
        while self._took("or"):
            left = _any(left, self._both())
        return left

    def end(self) -> None:
        if self._tokens:
            raise Refusal(SYNTAX, 400, self._tokens[0].text)

    def _both(self) -> Matches:
        left = self._one()
        while self._took("and"):
            left = _all(left, self._one())
        return left

    def _one(self) -> Matches:
        if self._took("not"):
            inner = self._one()
            return lambda record: not inner(record)
        if self._took("("):
            inner = self.either()
            self._need(")")
            return inner
        name = self._next()
        if name.text in FUNCTIONS and self._took("("):
            return self._function(FUNCTIONS[name.text])
        return self._comparison(name)

    def _function(self, test: Callable[[str, str], bool]) -> Matches:
        field = self._field(self._next())
        self._need(",")
        literal = self._next()
        self._need(")")
        if literal.kind != "text":
            raise Refusal(SEMANTICS, 400, literal.text)
        part = _unquoted(literal.text)
        return lambda record: test(str(record.values.get(field.name, "")), part)

    def _comparison(self, name: _Token) -> Matches:
        field = self._field(name)
        word = self._next().text
        if word not in COMPARISONS:
            raise Refusal(SYNTAX, 400, word)
        literal = self._next()
        if literal.text == "null":
            is_wanted = word == "eq"
            return lambda record: (record.values.get(field.name, "") == "") is is_wanted
        return _compared(field, COMPARISONS[word], literal)

    def _field(self, token: _Token) -> Field:
        if token.kind != "name":
            raise Refusal(SYNTAX, 400, token.text)
        name = field_name(token.text, self._table)
        fields = {field.name: field for field in self._table.fields}
        if name not in fields:
            raise Refusal(SEMANTICS, 400, name)
        return fields[name]

    def _next(self) -> _Token:
        if not self._tokens:
            raise Refusal(SYNTAX, 400, "end")
        return self._tokens.pop(0)

    def _took(self, text: str) -> bool:
        if self._tokens and self._tokens[0].text == text:
            self._tokens.pop(0)
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._took(text):
            raise Refusal(SYNTAX, 400, self._tokens[0].text if self._tokens else "end")


def _any(one: Matches, other: Matches) -> Matches:
    return lambda record: one(record) or other(record)


def _all(one: Matches, other: Matches) -> Matches:
    return lambda record: one(record) and other(record)


def _compared(field: Field, compare: Callable[[Any, Any], bool], literal: _Token) -> Matches:
    if literal.kind == "text" and field.type != "text":
        return lambda record: False
    if literal.kind != field.type:
        raise Refusal(SEMANTICS, 400, literal.text)
    wanted = _value(literal.text, field.type)

    def holds(record: Record) -> bool:
        text = record.values.get(field.name, "")
        stored = None if text == "" else _stored(text, field.type)
        return stored is not None and compare(stored, wanted)

    return holds


def _value(literal: str, kind: str) -> object:
    if kind == "text":
        return _unquoted(literal)
    if kind == "number":
        return Decimal(literal)
    if kind == "time":
        return fmt.seconds(literal)
    return literal.replace("T", " ")[:19]


def _stored(value: object, kind: str) -> object:
    if kind == "number":
        return fmt.number(value)
    return fmt.seconds(value) if kind == "time" else str(value)


def _unquoted(literal: str) -> str:
    return literal[1:-1].replace("''", "'")
