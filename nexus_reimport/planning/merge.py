"""FileMaker's values and Nexus's row -> the row after the run.

FileMaker decides what it feeds; Nexus keeps the rest: columns, and keys inside JSON columns, that
the mapping does not feed are carried over unchanged. Of a contact or address card FileMaker feeds
the parts that it holds: phones, e-mails, addresses. Each value of Nexus that goes is counted in its
column, and listed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nexus_reimport import convert, strict_json, wording
from nexus_reimport.mapping import ColumnSpec, DefaultRule, Entity
from nexus_reimport.model import ColumnChange
from nexus_reimport.planning import cards
from nexus_reimport.planning.cards import Card, Entry, Keys
from nexus_reimport.settings import Different
from nexus_reimport.text import clean, folded

Row = dict[str, str | None]
_SHOWN = 20  # entries in one line of a list
_MORE_THAN_A_NUMBER = re.compile(r"\+|-?0[0-9]")
# As PostgreSQL has a number there.
_IN_JSON = re.compile(r"(?!-0(\.0*)?$)-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?")


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
    undecided: int = 0


@dataclass(frozen=True, slots=True)
class _Decided:
    """What is decided for itself: a column, a key of a JSON column, or a part of a card.

    ``keys`` lead to the key inside of the JSON column; of a part of a card they hold its entries.
    ``new`` is what a new row has there, where FileMaker is empty: a value, or a rule.
    """

    name: str
    base: str
    keys: tuple[str, ...]
    spec: ColumnSpec
    decision: Different | None
    new: Any
    tally: Tally
    is_stamp: bool


class Merger:
    """Merges the rows of one entity and counts what changes: column by column, card by part.

    ``json`` are the JSON columns, ``numbers`` the fields of FileMaker that are of type number.
    """

    def __init__(
        self,
        spec: Entity,
        decisions: Mapping[str, Different],
        json: set[str],
        numbers: Set[str] = frozenset(),
    ) -> None:
        # All that depends on the mapping alone is decided here, and not for every value.
        self._decided = {
            name: _decided(name, column, decisions, _of_new(spec, name, json))
            for name, column in spec.decided().items()
        }
        self._fed = tuple((name, name.partition(".")[0], c) for name, c in spec.columns.items())
        self._json = json.intersection(base for _, base, _ in self._fed)
        self._numbers = {
            name
            for name, column in spec.columns.items()
            if column.source_field in numbers and column.convert in ("text", "whole")
        } - {spec.filemaker_id}
        every = self._decided.values()
        self._plain = tuple(one for one in every if one.base not in self._json)
        self._inside = {
            base: tuple(one for one in every if one.base == base) for base in self._json
        }
        self._read: dict[str, tuple[str, Any]] = {}  # JSON column -> the last text, and its content
        # Nexus id, column, Nexus's value, FileMaker's value ("" if it has none)
        self.differences: list[tuple[str, str, Any, Any]] = []
        self.blocked: list[str] = []  # names for which FileMaker has a value, and Nexus no place

    def stays(self, column: str) -> None:
        """The row that was merged last has its old value in ``column`` after all."""
        for line in [line for line in self.differences if line[1] == column]:
            self.differences.remove(line)
            tally, is_cleared = self._decided[column].tally, line[3] == ""
            tally.cleared -= is_cleared
            tally.different -= not is_cleared
            tally.gone -= 1
            tally.undecided -= not is_cleared and self._decided[column].decision is None
            tally.same += 1

    def changes(self) -> tuple[ColumnChange, ...]:
        """The counts, column by column, in the mapping's order."""
        return tuple(
            ColumnChange(
                one.name,
                t.filled,
                t.different,
                t.cleared,
                t.kept,
                t.same,
                one.decision,
                t.filled_before,
                t.filled_after,
                t.gone,
                t.respelt,
                t.undecided,
                one.is_stamp,
            )
            for one in self._decided.values()
            for t in [one.tally]
        )

    def merge(self, key: str, row: Row, fed: Mapping[str, Any], *, existed: bool) -> Row:
        """``row`` with the values of ``fed``; changes are counted only if the row ``existed``."""
        merged = dict(row)
        documents: dict[str, Any] = {}
        for name, base, column in self._fed:
            new = fed[name]
            if base not in self._json:
                old = merged.get(base)
                merged[base] = self._choose(key, self._decided[name], old, new, existed)
                continue
            old = documents[base] if base in documents else self._parsed(base, row.get(base))
            if column.gather:
                documents[base] = self._merge_card(key, name, column, old, new, existed)
            elif base != name:
                new = _number_in_json(new) if name in self._numbers else new
                documents[base] = self._merge_path(key, self._decided[name], old, new, existed)
            else:
                # `_parsed` gives {} for NULL: that counts as no value; 0 and false are values.
                chosen = self._choose(key, self._decided[name], old, new, existed)
                is_emptied = chosen is None and strict_json.is_nested(old)
                documents[base] = type(old)() if is_emptied else chosen
        for base, document in documents.items():
            if not strict_json.same_documents(document, self._parsed(base, row.get(base))):
                self._give_up_hidden(key, base, row.get(base))
                merged[base] = text = strict_json.dumps(document)
                self._read[base] = text, document
        return merged

    def count_before(self, row: Row) -> None:
        """Count the values of a row before the run."""
        for one in self._held(row):
            one.tally.filled_before += 1

    def count_after(self, row: Row) -> None:
        """Count the values of a row after the run."""
        for one in self._held(row):
            one.tally.filled_after += 1

    def count_again(self) -> None:
        """Forget the counts of the rows after the run: they are written again."""
        for one in self._decided.values():
            one.tally.filled_after = 0

    def holds(self, row: Row, name: str) -> bool:
        """Whether ``row`` holds a value in a column, a part of one, or any part of a card."""
        return any(self._has(row, o) for o in self._decided.values() if name in (o.name, o.base))

    def takes_filemakers(self, name: str) -> bool:
        """Whether FileMaker's value of a column counts where Nexus has another one."""
        return self._decided[name].decision != "nexus"

    def value(self, row: Row, name: str) -> str:
        """The text that ``row`` holds in a column, or in a key of one; "" if there is none."""
        one = self._decided[name]
        text = row.get(one.base)
        held = _at(self._parsed(one.base, text), one.keys)[0] if one.base in self._json else text
        return held if isinstance(held, str) else ""

    def _held(self, row: Row) -> Iterator[_Decided]:
        """All that ``row`` holds a value for."""
        for one in self._plain:
            if row.get(one.base):
                yield one
        for base, several in self._inside.items():
            document = self._parsed(base, row.get(base))
            yield from (one for one in several if _holds(document, one))

    def _has(self, row: Row, column: _Decided) -> bool:
        text = row.get(column.base)
        if column.base not in self._json:
            return bool(text)
        return _holds(self._parsed(column.base, text), column)

    def _parsed(self, base: str, text: str | None) -> Any:
        """The content of a JSON column: {} for NULL. That of the same text is not parsed again."""
        if not text:
            return {}
        read = self._read.get(base)
        if read is None or read[0] != text:
            read = self._read[base] = text, strict_json.loads(text)
        return read[1]

    def _give_up_hidden(self, key: str, base: str, text: str | None) -> None:
        """Count and list what a key that stands twice had before its last value.

        As long as a document stays as it is, its text stays; written anew, each key stands once.
        """
        for name, value in strict_json.hidden(text) if text else ():
            one = self._inside[base][0]
            one.tally.gone += 1
            earlier = strict_json.dumps({name: value})
            self.differences.append((key, one.name, earlier, f"a later value of {name}"))

    def _choose(self, key: str, column: _Decided, old: Any, new: Any, existed: bool) -> Any:
        tally, spec = column.tally, column.spec
        if _is_empty(new):
            if not existed or _is_empty(old) or _stays(column, old):
                tally.kept += existed and not _is_empty(old)
                return old
            tally.cleared += 1
            tally.gone += 1
            self.differences.append((key, column.name, old, ""))
            return column.new
        if not existed or _is_empty(old):
            tally.filled += existed
            return new
        # The same value in another spelling is not a difference: nobody has to decide about it.
        if _same(old, new, spec):
            tally.same += 1
            is_taken = spec.folded or (column.decision != "nexus" and _is_better_spelt(old, new))
            is_respelt = is_taken and new != old
            tally.respelt += is_respelt
            return new if is_respelt else old
        tally.different += 1
        self.differences.append((key, column.name, old, new))
        if column.decision == "nexus":
            return old
        tally.gone += 1
        tally.undecided += column.decision is None
        return new

    def _merge_path(self, key: str, column: _Decided, old: Any, new: Any, existed: bool) -> Any:
        """Merge one key of a JSON column. If a value blocks the path to it, that value stays."""
        value, blocks = _at(old, column.keys)
        if blocks:
            if _is_empty(new):
                column.tally.kept += 1
            else:
                self.blocked.append(column.name)
                self.differences.append((key, column.name, value, new))
            return old
        chosen = self._choose(key, column, value, new, existed)
        return old if chosen is value else _with(old, column.keys, chosen)

    def _merge_card(
        self, key: str, name: str, column: ColumnSpec, old: Any, new: dict[str, Any], existed: bool
    ) -> Any:
        """Merge a contact or address column part by part; a part that FileMaker lacks stays."""
        opened = card = cards.opened(old, column.parts)
        for part in column.parts:
            decided = self._decided[f"{name}.{part}"]
            was, card = card, self._merge_part(key, decided, card, new, existed)
            if existed and card is not was:
                self._list_lone_labels(key, decided, was, card)
        if card is opened:
            return old
        return card if isinstance(old, dict) else cards.closed(card, column.parts)

    def _merge_part(
        self,
        key: str,
        part: _Decided,
        card: dict[str, Any],
        new: dict[str, Any],
        existed: bool,
    ) -> dict[str, Any]:
        """``card`` with one part merged. Parts compare by their content, whatever their shape."""
        tally, keys, name = part.tally, part.keys, part.keys[0]
        ours, theirs = cards.entries(card, name, keys), cards.entries(new, name, keys)
        if not theirs:
            if not ours or part.spec.when_empty == "keep":
                tally.kept += bool(ours)
                return card
            tally.cleared += 1
            self._give_up(key, part, ours, theirs)
            return {k: v for k, v in card.items() if k not in keys}
        gone = cards.extra_details(ours, theirs)
        first = _first_that_changes(card, new, keys)
        is_same = cards.are_known(theirs, ours)
        stays = is_same and cards.is_of_the_newer_shape(card, name, keys)
        if gone or first or not stays:  # then FileMaker's entries take over those of Nexus
            gone += _without(cards.crowded_out(ours, theirs), gone)
        is_right = bool(gone or first)  # FileMaker is right, unless a person decides otherwise
        if existed and is_right:
            tally.different += 1
            if first:
                self.differences.append((key, part.name, *first))
            if part.decision == "nexus":
                # Where only the first one differs, what else FileMaker has is not loaded either.
                self._list(key, part, gone or (ours[:1] if not is_same else []), theirs)
                return card
            self._give_up(key, part, gone, theirs)
            tally.undecided += len(gone) if part.decision is None else 0
        elif existed and is_same:
            tally.same += 1
            card_after = (
                cards.readable(card, name)
                if stays
                else cards.put(card, ours, new, keys, filemaker_is_right=is_right)
            )
            tally.respelt += card_after != card
            return card_after
        # The application shows the first address alone: which it is can be decided.
        decides = name == "addresses" and part.decision == "filemaker"
        after = cards.put(
            card, ours, new, keys, filemaker_is_right=is_right, keeps_first=not decides
        )
        if not existed:
            return after
        held, leads = cards.entries(after, name, keys), cards.leading(card, keys, ours)
        leads_then = cards.leading(after, keys, held)
        moves = leads not in gone and self._list_first(key, part, leads, leads_then)
        if not is_right:
            tally.different += moves
            tally.filled += not moves
        stayed = _without(ours, gone)
        self.differences += [(key, part.name, *pair) for pair in cards.renamed(stayed, held)]
        return after

    def _give_up(self, key: str, part: _Decided, gone: list[Entry], theirs: list[Entry]) -> None:
        part.tally.gone += len(gone)
        self._list(key, part, gone, theirs)

    def _list_first(self, key: str, part: _Decided, was: Entry | None, now: Entry | None) -> bool:
        """List the first phone, or address, if it is not the first one any more."""
        if part.keys[0] == "emails" or was is None or now is None or was.is_in(now):
            return False
        self.differences.append((key, part.name, f"first: {was.text}", f"first: {now.text}"))
        return True

    def _list_lone_labels(self, key: str, part: _Decided, was: Card, now: Card) -> None:
        """List each label of Nexus that stood alone and goes: it is no entry, and no difference."""
        stay = Counter(cards.lone_labels(now, part.keys))
        gone = Counter(cards.lone_labels(was, part.keys)) - stay
        self.differences += [
            (key, part.name, f"a label alone: {label}", "") for label in gone.elements()
        ]

    def _list(self, key: str, part: _Decided, ours: list[Entry], theirs: list[Entry]) -> None:
        """List each entry that only Nexus has, together with FileMaker's entries."""
        # Not all of thousands: they would stand in each line.
        every = dict.fromkeys(entry.shown() for entry in theirs)
        filemaker = wording.some(every, shown=_SHOWN, between="; ")
        self.differences += [(key, part.name, entry.shown(), filemaker) for entry in ours]


def _stays(column: _Decided, old: Any) -> bool:
    """Whether Nexus's value stays where FileMaker has none.

    What a new row would have is not cleared: else the run after it would change it.
    """
    is_as_new = isinstance(column.new, DefaultRule) or old == column.new
    return column.spec.when_empty == "keep" or is_as_new


def _of_new(spec: Entity, name: str, json: Set[str]) -> Any:
    """What the mapping gives a new row in a column."""
    new = spec.new.get(name)
    return strict_json.loads(new) if isinstance(new, str) and name in json else new


def _decided(name: str, spec: ColumnSpec, decisions: Mapping[str, Different], new: Any) -> _Decided:
    base, _, path = name.partition(".")
    # A person decides, not the newer time stamp: bulk saves changed ``updated_at`` in 2,730 of
    # 2,866 rows, so it does not show who edited last.
    decision = (
        spec.when_different
        or decisions.get(name)
        or (decisions.get(base) if spec.gather else None)
        or decisions.get("*")
    )
    keys = spec.parts[path] if spec.gather else tuple(path.split(".") if path else ())
    # A moment of the row itself, which the mapping takes from FileMaker without asking anybody.
    is_stamp = isinstance(new, DefaultRule) and new.rule == "as_of" and bool(spec.when_different)
    return _Decided(name, base, keys, spec, decision, new, Tally(), is_stamp)


def _without(entries: list[Entry], gone: list[Entry]) -> list[Entry]:
    """``entries`` without those of them that are ``gone``."""
    those = set(map(id, gone))
    return [entry for entry in entries if id(entry) not in those]


def _holds(document: Any, column: _Decided) -> bool:
    if column.spec.gather:
        card = cards.opened(document, column.spec.parts)
        return cards.holds(card, column.keys[0], column.keys)
    value, blocks = _at(document, column.keys)
    return not _is_empty(value) and not blocks


def _first_that_changes(card: Card, new: Card, keys: Keys) -> tuple[str, str] | None:
    """The first e-mail in Nexus and in FileMaker, if both have one and they differ."""
    was, first = cards.first_email(card), cards.first_email(new)
    changes = "email" in keys and was and first and was != first
    return (f"first: {was}", f"first: {first}") if changes else None


def _at(document: Any, keys: tuple[str, ...]) -> tuple[Any, bool]:
    """What is at ``keys``; or a value on the way that is no object, so that nothing can be there.

    The latter only if that value is not empty.
    """
    for key in keys:
        if not isinstance(document, dict):
            return (None, False) if _is_empty(document) else (document, True)
        document = document.get(key)
    return document, False


def _is_empty(value: Any) -> bool:
    return not value if isinstance(value, str) else value in (None, "", [], {})


def _same(old: Any, new: Any, column: ColumnSpec) -> bool:
    if isinstance(old, str) and isinstance(new, str):
        if old == new:
            return True
        if column.folded:
            return folded(old) == folded(new)
    if strict_json.is_nested(new):
        return strict_json.same_documents(old, new)
    if isinstance(old, int | float | Decimal):  # a JSON number; true and false are 1 and 0
        number = _number(new)
        return number == Decimal(str(int(old) if isinstance(old, bool) else old))
    # A UUID is the same in capitals.
    return convert.identifier(str(old)) == convert.identifier(str(new))


def _is_better_spelt(old: Any, new: Any) -> bool:
    """Whether ``new``, which says the same as ``old``, has other blanks and line ends around it.

    Or whether it is a number, and ``old`` its digits as a text: to its readers "0" is filled.
    """
    if not isinstance(old, str):
        return False
    return isinstance(new, int | Decimal) or (isinstance(new, str) and old.strip() == new.strip())


def _number(value: Any) -> Decimal | None:
    """The number in a text; None if there is none, or if the number alone would not say the text.

    A spreadsheet makes 491570001 of the phone 0491570001, and of +61491570001 another number.
    """
    text = str(value).strip()
    if _MORE_THAN_A_NUMBER.match(text):
        return None
    try:
        return convert.number(text)
    except convert.ConversionError:
        return None


def _number_in_json(text: str | None) -> Any:
    """A number of FileMaker's as JSON has it; a text that says more stays one.

    To a reader the text "0" is filled, where the number means no.
    """
    return strict_json.loads(text) if text and _IN_JSON.fullmatch(text) else text


def as_text(value: Any) -> str:
    """A value for a list that people read: JSON if it is nested."""
    # A text of a column of type json can hold half a character, which no list can.
    return strict_json.dumps(value) if strict_json.is_nested(value) else clean(str(value))[0]


def _with(document: Any, keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """``document`` with ``value`` at ``keys``; None removes the key."""
    head, rest = keys[0], keys[1:]
    changed = dict(document) if isinstance(document, dict) else {}
    if rest:
        value = _with(changed.get(head), rest, value)
    if value is None:
        changed.pop(head, None)
    else:
        changed[head] = value
    return changed
