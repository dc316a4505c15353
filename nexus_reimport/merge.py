"""What FileMaker feeds and what Nexus has -> the row that will be there.

FileMaker decides what it knows, Nexus keeps what only Nexus knows: columns, and keys inside JSON
columns, that the mapping does not feed are carried over untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import simplejson

from nexus_reimport import convert
from nexus_reimport.mapping import Column, Entity
from nexus_reimport.model import ColumnChange
from nexus_reimport.settings import Different
from nexus_reimport.text import folded

Row = dict[str, str | None]
Decide = Callable[[str, Column], Different | None]


@dataclass(slots=True)
class Tally:
    """Counts of one column over all rows."""

    filled: int = 0
    different: int = 0
    cleared: int = 0
    kept: int = 0
    same: int = 0
    filled_before: int = 0
    filled_after: int = 0


class Merger:
    """Merges the rows of one entity and counts what changes, column by column."""

    def __init__(self, spec: Entity, decisions: Mapping[str, Different], json: set[str]) -> None:
        self._spec, self._json = spec, json
        self._json_fed = json.intersection(spec.fed_columns())
        self._decisions = {
            name: column.when_different or decisions.get(name) or decisions.get("*")
            for name, column in spec.columns.items()
        }
        self._tallies = {name: Tally() for name in spec.columns}
        self.differences: list[tuple[str, str, Any, Any]] = []  # Nexus id, column, there, FileMaker

    def changes(self) -> tuple[ColumnChange, ...]:
        """The counts, column by column, in the mapping's order."""
        return tuple(
            ColumnChange(
                name, t.filled, t.different, t.cleared, t.kept, t.same,
                self._decisions[name], t.filled_before, t.filled_after,
            )
            for name, t in self._tallies.items()
        )  # fmt: skip

    def merge(self, key: str, row: Row, fed: Mapping[str, Any], *, existed: bool) -> Row:
        """``row`` with what ``fed`` says; ``existed`` rows count as changes."""
        made = dict(row)
        documents: dict[str, Any] = {}
        for name, column in self._spec.columns.items():
            base, _, path = name.partition(".")
            if base in self._json:
                if base not in documents:
                    documents[base] = _parsed(made.get(base))
                old_document = documents[base]
                if column.gather:
                    new = self._merge_card(key, name, column, old_document, fed[name], existed)
                    documents[base] = new
                elif path and _is_blocked(old_document, path):
                    self._tallies[name].kept += 1  # plain text where FileMaker has parts
                elif path:
                    old = _at(old_document, path)
                    value = self._choose(key, name, column, old, fed[name], existed)
                    if value is not old:
                        documents[base] = _with(old_document, path, value)
                else:
                    old = old_document or None
                    documents[base] = self._choose(key, name, column, old, fed[name], existed)
            else:
                made[base] = self._choose(key, name, column, made.get(base), fed[name], existed)
        for base, document in documents.items():
            if document != _parsed(row.get(base)):
                made[base] = _dumped(document)
        return made

    def count_before(self, row: Row) -> None:
        """Count what a row that was there held."""
        self._count(row, before=True)

    def count_after(self, row: Row) -> None:
        """Count what a row that will be there holds."""
        self._count(row, before=False)

    def holds(self, row: Row, name: str) -> bool:
        """Whether ``row`` holds a value in a column, or a part of one, that FileMaker feeds."""
        base = name.partition(".")[0]
        documents = {base: _parsed(row.get(base))} if base in self._json_fed else {}
        return bool(self._value(row, documents, name, self._spec.columns[name]))

    def _count(self, row: Row, *, before: bool) -> None:
        documents = {base: _parsed(row.get(base)) for base in self._json_fed}
        for name, column in self._spec.columns.items():
            if self._value(row, documents, name, column):
                tally = self._tallies[name]
                tally.filled_before += before
                tally.filled_after += not before

    @staticmethod
    def _value(row: Row, documents: Mapping[str, Any], name: str, column: Column) -> Any:
        base, _, path = name.partition(".")
        if base not in documents:
            return row.get(base)
        document = documents[base]
        value = _part(document, column) if column.gather else document
        return _at(document, path) if path else value

    def _choose(
        self, key: str, name: str, column: Column, old: Any, new: Any, existed: bool
    ) -> Any:
        tally = self._tallies[name]
        if new in (None, "", [], {}):
            if not existed or old in (None, "", [], {}) or column.when_empty == "keep":
                tally.kept += bool(existed and old)
                return old
            tally.cleared += 1
            return None
        if not existed:
            return new
        if old in (None, "", [], {}):
            tally.filled += 1
            return new
        if _same(old, new, column):
            tally.same += 1
            return new if column.folded else old
        tally.different += 1
        self.differences.append((key, name, old, new))
        return old if self._decisions[name] == "nexus" else new

    def _merge_card(
        self, key: str, name: str, column: Column, old: Any, new: dict[str, Any], existed: bool
    ) -> Any:
        """A contact or address column: compared by what it says, whatever its shape."""
        known, says = _says(_part(old, column)), _says(new)
        tally = self._tallies[name]
        if not new and (column.when_empty == "keep" or not known):
            tally.kept += bool(existed and known)
            return old
        if existed:
            if not new:
                tally.cleared += 1
            elif known == says:
                tally.same += 1
                if not any(key in old for key in column.replaces):
                    return _readable(old)
            elif known < says:
                tally.filled += 1
            else:
                tally.different += 1
                self.differences.append((key, name, _part(old, column), new))
                if self._decisions[name] == "nexus":
                    return old
        dropped = {*column.keys, *column.replaces}
        rest = {k: v for k, v in old.items() if k not in dropped} if isinstance(old, dict) else {}
        return {**rest, **new}


def _says(part: Any) -> frozenset[str]:
    """What a card says; which e-mail is the first is part of it."""
    first = part.get("email") if isinstance(part, dict) else None
    said = convert.contents(part)
    return said | {f"first: {first.casefold()}"} if isinstance(first, str) and first else said


def _readable(card: dict[str, Any]) -> dict[str, Any]:
    """``card`` as it is, each phone under both keys, since the application's readers disagree."""
    phones = card.get("phones")
    if not isinstance(phones, list):
        return card
    made = []
    for phone in phones:
        number = phone.get("number") or phone.get("phone") if isinstance(phone, dict) else None
        made.append({**phone, "number": number, "phone": number} if number else phone)
    return {**card, "phones": made}


def _is_blocked(document: Any, path: str) -> bool:
    """Whether a part on the way to ``path`` is something else than an object."""
    for key in path.split(".")[:-1]:
        document = document.get(key) if isinstance(document, dict) else None
        if document is not None and not isinstance(document, dict):
            return True
    return False


def _part(document: Any, column: Column) -> Any:
    """What of a JSON column FileMaker decides; all of it where it is no object."""
    if not isinstance(document, dict):
        return document
    return {k: v for k, v in document.items() if k in (*column.keys, *column.replaces)}


def _same(old: Any, new: Any, column: Column) -> bool:
    if isinstance(old, str) and isinstance(new, str) and column.folded:
        return folded(old) == folded(new)
    if isinstance(old, bool):
        old = int(old)
    if isinstance(new, list | dict):
        return bool(old == new)
    return convert.identifier(str(old)) == convert.identifier(str(new))


def _parsed(text: str | None) -> Any:
    return simplejson.loads(text, use_decimal=True) if text else {}


def _dumped(document: Any) -> str:
    return str(simplejson.dumps(document, use_decimal=True, ensure_ascii=False, sort_keys=True))


def _at(document: Any, path: str) -> Any:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _with(document: Any, path: str, value: Any) -> dict[str, Any]:
    """``document`` with ``value`` at ``path``; None takes the key away."""
    head, _, rest = path.partition(".")
    made = dict(document) if isinstance(document, dict) else {}
    if rest:
        value = _with(made.get(head), rest, value)
    if value is None:
        made.pop(head, None)
    else:
        made[head] = value
    return made
