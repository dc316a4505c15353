"""FileMaker's values and Nexus's row -> the row after the run.

FileMaker decides what it feeds; Nexus keeps the rest: columns, and keys inside JSON columns, that
the mapping does not feed are carried over unchanged. Of a contact or address card FileMaker feeds
the parts that it holds: phones, e-mails, addresses. Each value of Nexus that goes is counted in its
column, and listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from nexus_reimport import convert, strict_json
from nexus_reimport.mapping import ColumnSpec, Entity
from nexus_reimport.model import ColumnChange
from nexus_reimport.planning import cards
from nexus_reimport.planning.cards import Card, Entry, Keys
from nexus_reimport.settings import Different
from nexus_reimport.text import folded

Row = dict[str, str | None]


@dataclass(slots=True)
class Tally:
    """Counts of one column over all rows."""

    filled: int = 0
    different: int = 0
    cleared: int = 0
    kept: int = 0
    same: int = 0
    respelt: int = 0
    filled_before: int = 0
    filled_after: int = 0
    gone: int = 0


class Merger:
    """Merges the rows of one entity and counts what changes: column by column, card by part."""

    def __init__(self, spec: Entity, decisions: Mapping[str, Different], json: set[str]) -> None:
        self._spec, self._json, self._decided = spec, json, spec.decided()
        self._json_fed = json.intersection(spec.fed_columns())
        # A person decides, not the newer time stamp: bulk saves changed ``updated_at`` in 2,730 of
        # 2,866 rows, so it does not show who edited last.
        self._decisions = {
            name: column.when_different
            or decisions.get(name)
            or (decisions.get(name.partition(".")[0]) if column.gather else None)
            or decisions.get("*")
            for name, column in self._decided.items()
        }
        self._tallies = {name: Tally() for name in self._decided}
        # Nexus id, column, Nexus's value, FileMaker's value ("" if it has none)
        self.differences: list[tuple[str, str, Any, Any]] = []

    def changes(self) -> tuple[ColumnChange, ...]:
        """The counts, column by column, in the mapping's order."""
        return tuple(
            ColumnChange(
                name,
                t.filled,
                t.different,
                t.cleared,
                t.kept,
                t.same,
                self._decisions[name],
                t.filled_before,
                t.filled_after,
                t.gone,
                t.respelt,
            )
            for name, t in self._tallies.items()
        )

    def merge(self, key: str, row: Row, fed: Mapping[str, Any], *, existed: bool) -> Row:
        """``row`` with the values of ``fed``; changes are counted only if the row ``existed``."""
        merged = dict(row)
        documents: dict[str, Any] = {}
        for name, column in self._spec.columns.items():
            base, _, path = name.partition(".")
            if base not in self._json:
                old = merged.get(base)
                merged[base] = self._choose(key, name, column, old, fed[name], existed)
                continue
            old = documents[base] if base in documents else _parsed(merged.get(base))
            if column.gather:
                documents[base] = self._merge_card(key, name, column, old, fed[name], existed)
            elif path:
                documents[base] = self._merge_path(key, name, column, old, fed[name], existed)
            else:
                # `_parsed` gives {} for NULL: that counts as no value.
                chosen = self._choose(key, name, column, old or None, fed[name], existed)
                documents[base] = type(old)() if chosen is None and _is_nested(old) else chosen
        for base, document in documents.items():
            if not strict_json.same_documents(document, _parsed(row.get(base))):
                merged[base] = strict_json.dumps(document)
        return merged

    def count_before(self, row: Row) -> None:
        """Count the values of a row before the run."""
        self._count(row, before=True)

    def count_after(self, row: Row) -> None:
        """Count the values of a row after the run."""
        self._count(row, before=False)

    def count_again(self) -> None:
        """Forget the counts of the rows after the run: they are written again."""
        for tally in self._tallies.values():
            tally.filled_after = 0

    def holds(self, row: Row, name: str) -> bool:
        """Whether ``row`` holds a value in a column, or a part of one, that FileMaker feeds."""
        base = name.partition(".")[0]
        documents = {base: _parsed(row.get(base))} if base in self._json_fed else {}
        column = self._decided.get(name)
        return column is not None and bool(self._value(row, documents, name, column))

    def _count(self, row: Row, *, before: bool) -> None:
        documents = {base: _parsed(row.get(base)) for base in self._json_fed}
        for name, column in self._decided.items():
            if self._value(row, documents, name, column):
                tally = self._tallies[name]
                tally.filled_before += before
                tally.filled_after += not before

    @staticmethod
    def _value(row: Row, documents: Mapping[str, Any], name: str, column: ColumnSpec) -> Any:
        base, _, path = name.partition(".")
        if base not in documents:
            return row.get(base)
        if column.gather:
            card = cards.opened(documents[base], column.parts)
            return cards.entries(card, path, column.parts[path])
        return _at(documents[base], path) if path else documents[base]

    def _choose(
        self, key: str, name: str, column: ColumnSpec, old: Any, new: Any, existed: bool
    ) -> Any:
        tally = self._tallies[name]
        if _is_empty(new):
            if not existed or _is_empty(old) or column.when_empty == "keep":
                tally.kept += existed and not _is_empty(old)
                return old
            tally.cleared += 1
            tally.gone += 1
            self.differences.append((key, name, old, ""))
            return None
        if not existed or _is_empty(old):
            tally.filled += existed
            return new
        # The same value in another spelling is not a difference: nobody has to decide about it.
        if _same(old, new, column):
            tally.same += 1
            tally.respelt += column.folded and new != old
            return new if column.folded else old
        tally.different += 1
        self.differences.append((key, name, old, new))
        if self._decisions[name] == "nexus":
            return old
        tally.gone += 1
        return new

    def _merge_path(
        self, key: str, name: str, column: ColumnSpec, old: Any, new: Any, existed: bool
    ) -> Any:
        """Merge one key of a JSON column. If a value blocks the path to it, that value stays."""
        path = name.partition(".")[2]
        blocks = _blocks(old, path)
        if blocks is not None:
            self._tallies[name].kept += 1
            if not _is_empty(new):
                self.differences.append((key, name, blocks, new))
            return old
        value = _at(old, path)
        chosen = self._choose(key, name, column, value, new, existed)
        return old if chosen is value else _with(old, path, chosen)

    def _merge_card(
        self, key: str, name: str, column: ColumnSpec, old: Any, new: dict[str, Any], existed: bool
    ) -> Any:
        """Merge a contact or address column part by part; a part that FileMaker lacks stays."""
        opened = card = cards.opened(old, column.parts)
        for part in column.parts:
            card = self._merge_part(key, f"{name}.{part}", column, card, new, existed)
        if card is opened:
            return old
        return card if isinstance(old, dict) else cards.closed(card, column.parts)

    def _merge_part(
        self,
        key: str,
        name: str,
        column: ColumnSpec,
        card: dict[str, Any],
        new: dict[str, Any],
        existed: bool,
    ) -> dict[str, Any]:
        """``card`` with one part merged. Parts compare by their content, whatever their shape."""
        part, tally = name.rpartition(".")[2], self._tallies[name]
        keys = column.parts[part]
        ours, theirs = cards.entries(card, part, keys), cards.entries(new, part, keys)
        if not theirs:
            if not ours or column.when_empty == "keep":
                tally.kept += bool(ours)
                return card
            tally.cleared += 1
            self._give_up(key, name, ours, theirs)
            return {k: v for k, v in card.items() if k not in keys}
        gone = cards.extra_details(ours, theirs)
        first = _first_that_changes(card, new, keys)
        is_right = bool(gone or first)  # FileMaker is right, unless a person decides otherwise
        if existed and is_right:
            tally.different += 1
            if first:
                self.differences.append((key, name, *first))
            if self._decisions[name] == "nexus":
                self._list(key, name, gone, theirs)
                return card
            self._give_up(key, name, gone, theirs)
        elif existed and ours and not cards.extra_details(theirs, ours):
            tally.same += 1
            newer = cards.is_of_the_newer_shape(card, part, keys)
            card_after = (
                cards.readable(card, part)
                if newer
                else cards.put(card, new, part, keys, filemaker_is_right=is_right)
            )
            tally.respelt += card_after != card
            return card_after
        elif existed:
            tally.filled += 1
        return cards.put(card, new, part, keys, filemaker_is_right=is_right)

    def _give_up(self, key: str, name: str, gone: list[Entry], theirs: list[Entry]) -> None:
        self._tallies[name].gone += len(gone)
        self._list(key, name, gone, theirs)

    def _list(self, key: str, name: str, ours: list[Entry], theirs: list[Entry]) -> None:
        """List each entry that only Nexus has, together with all of FileMaker's entries."""
        filemaker = "; ".join(dict.fromkeys(entry.shown() for entry in theirs))
        self.differences += [(key, name, entry.shown(), filemaker) for entry in ours]


def _first_that_changes(card: Card, new: Card, keys: Keys) -> tuple[str, str] | None:
    """The first e-mail in Nexus and in FileMaker, if both have one and they differ."""
    was, first = cards.first_email(card), cards.first_email(new)
    changes = "email" in keys and was and first and was != first
    return (f"first: {was}", f"first: {first}") if changes else None


def _blocks(document: Any, path: str) -> Any:
    """The value on the way to ``path`` that is not an object; None if there is none."""
    for key in path.split("."):
        if not isinstance(document, dict):
            return None if _is_empty(document) else document
        document = document.get(key)
    return None


def _is_empty(value: Any) -> bool:
    return value in (None, "", [], {})


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def _same(old: Any, new: Any, column: ColumnSpec) -> bool:
    if isinstance(old, str) and isinstance(new, str) and column.folded:
        return folded(old) == folded(new)
    if _is_nested(new):
        return strict_json.same_documents(old, new)
    if isinstance(old, int | float | Decimal):  # a JSON number; true and false are 1 and 0
        number = _number(new)
        return number == Decimal(str(int(old) if isinstance(old, bool) else old))
    # A UUID is the same in capitals.
    return convert.identifier(str(old)) == convert.identifier(str(new))


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value).strip())
    except InvalidOperation:
        return None


def _parsed(text: str | None) -> Any:
    return strict_json.loads(text) if text else {}


def as_text(value: Any) -> str:
    """A value for a list that people read: JSON if it is nested."""
    return strict_json.dumps(value) if _is_nested(value) else str(value)


def _at(document: Any, path: str) -> Any:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _with(document: Any, path: str, value: Any) -> dict[str, Any]:
    """``document`` with ``value`` at ``path``; None removes the key."""
    head, _, rest = path.partition(".")
    changed = dict(document) if isinstance(document, dict) else {}
    if rest:
        value = _with(changed.get(head), rest, value)
    if value is None:
        changed.pop(head, None)
    else:
        changed[head] = value
    return changed
