"""Turns OData's rows into rows of text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nexus_reimport.filemaker import NO_VALUE, Field, Remark, jsontext, version
from nexus_reimport.filemaker.answer import missing_field
from nexus_reimport.filemaker.odata.collection import Collection
from nexus_reimport.filemaker.odata.metadata import CHANGES, RECORD_ID

_USUAL = frozenset({str, type(None)})  # a number is the text of its digits
# The server adds its own offset, +10:00 also on a summer's day, when the clinic has +11:00.
_OFFSET = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
_CLOCK = len("2025-06-30T09:00:00")  # what stands before it in the usual timestamp


class Shape:
    """The wanted fields of a table, or all of them, and how each is read.

    The offset of a timestamp is dropped: FileMaker stores wall-clock time, and the server adds its
    own offset, the wrong one for a day in the other half of the year.
    """

    def __init__(self, names: tuple[str, ...], fields: Mapping[str, Field], where: str) -> None:
        self.names = names
        self._fields = fields
        self._where = where
        chosen = [field for name, field in fields.items() if name in names or not names]
        self._stamps = [field.name for field in chosen if field.type == "timestamp"]
        self._repeated = [field.name for field in chosen if field.repetitions > 1]

    def rows(self, page: Collection) -> tuple[dict[str, str], ...]:
        """The rows of ``page``, each with every wanted field.

        Raises:
            SourceError: a row has no value for a field.
        """
        by_column = self._by_column(page.rows)
        return tuple(self._row(row) for row in page.rows) if by_column is None else by_column

    def remarks(self, page: Collection) -> tuple[Remark, ...]:
        """The wanted values of ``page`` that were a bare ``?``."""
        # A bare ? is no JSON, so only an answer that had to be repaired can hold one.
        if not page.repaired:
            return ()
        wanted = self.names or tuple(self._fields)
        rows = [{name: row.get(name) for name in wanted} for row in page.rows]
        for row in rows:
            for name in self._repeated:
                _unfold(row, name)
        return tuple(Remark(n, name, NO_VALUE) for n, name in jsontext.not_computed(rows))

    def _by_column(self, rows: tuple[dict[str, Any], ...]) -> tuple[dict[str, str], ...] | None:
        """``rows`` as texts; None unless every wanted value is a text, a number or nothing."""
        if self._repeated or not self.names:
            return None
        try:
            columns = [[row[name] for row in rows] for name in self.names]
        except KeyError:
            return None
        for name, values in zip(self.names, columns, strict=True):
            if not set(map(type, values)) <= _USUAL:
                return None
            values[:] = [value or "" for value in values]
            if name in self._stamps:
                values[:] = _without_offsets(values)
        lines = zip(*columns, strict=True)
        return tuple(dict(zip(self.names, line, strict=True)) for line in lines)

    def _row(self, row: dict[str, Any]) -> dict[str, str]:
        names = self.names or tuple(name for name in row if name in self._fields)
        values = {name: row[name] for name in names if name in row}
        if len(values) != len(names):
            raise missing_field(next(name for name in names if name not in row), self._where)
        for name in self._repeated:
            _unfold(values, name)
        texts = jsontext.texts(values, self._where)
        for name in self._stamps:
            if name in texts:
                texts[name] = _OFFSET.sub("", texts[name])
        return texts


def versions(page: Collection) -> tuple[str, ...]:
    """The version of each row; none if one has no id of its record, or no number of changes."""
    ids = [row.get(RECORD_ID) for row in page.rows]
    changes = [row.get(CHANGES) for row in page.rows]
    return () if None in ids or None in changes else tuple(map(version, ids, changes))


def _without_offsets(stamps: Sequence[str]) -> list[str]:
    ends = {stamp[_CLOCK:] for stamp in stamps if stamp}
    if all(map(_OFFSET.fullmatch, ends)):  # a few different ones, of many timestamps
        return [stamp[:_CLOCK] for stamp in stamps]
    return [_OFFSET.sub("", stamp) for stamp in stamps]


def _unfold(values: dict[str, Any], name: str) -> None:
    """Replace a list of repetitions by one value for each: ``Face``, ``Face(2)``."""
    if isinstance(repetitions := values.get(name), list):
        # With an empty list the field itself would be missing from the row.
        for number, value in enumerate(repetitions or [""], 1):
            values[name if number == 1 else f"{name}({number})"] = value
