"""JSON columns: types that look the same, keys that come and go, what FileMaker does not feed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import simplejson

from nexus_reimport.saboteur.kinds import Kind, declare, kind
from nexus_reimport.saboteur.scene import Field, Scene

SORT = "a JSON column of a wiped row"
_CARRIED = "a value that only Nexus knows"
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_SAME: Any = object()  # a change gives it where it finds nothing to change
Change = Callable[[Any], Any]


def _whole(node: Any) -> bool:
    # In Python true and false are whole numbers, too.
    return isinstance(node, int) and not isinstance(node, bool)


def _text(node: Any) -> bool:
    return isinstance(node, str) and len(node) > 1


def _of(fits: Callable[[Any], bool], to: Change) -> Change:
    return lambda node: to(node) if fits(node) else _SAME


def _mapping(to: Callable[[dict[str, Any]], Any]) -> Change:
    return _of(lambda node: isinstance(node, dict) and bool(node), to)


def _listing(least: int, to: Callable[[list[Any]], Any]) -> Change:
    return _of(lambda node: isinstance(node, list) and len(node) >= least, to)


def _first(node: dict[str, Any]) -> str:
    return min(node)


def _renamed(node: dict[str, Any]) -> dict[str, Any]:
    key = _first(node)
    return {f"{key}_": node[key], **{k: v for k, v in node.items() if k != key}}


def _exchanged(node: Any) -> Any:
    """Two keys with each other's values, where they differ."""
    if not isinstance(node, dict):
        return _SAME
    texts = sorted(k for k, v in node.items() if _text(v))
    pair = next(((a, b) for a, b in itertools.pairwise(texts) if node[a] != node[b]), None)
    return {**node, pair[0]: node[pair[1]], pair[1]: node[pair[0]]} if pair else _SAME


def _turned(node: list[Any]) -> Any:
    return list(reversed(node)) if node != list(reversed(node)) else _SAME


# name, what it means, the change of one node: the first that it changes is changed
_CHANGES: tuple[tuple[str, str, Change], ...] = (
    ("a_json_true_is_one", "In JSON, true is the number 1.", _of(lambda n: n is True, lambda _: 1)),
    (
        "a_json_false_is_zero",
        "In JSON, false is the number 0.",
        _of(lambda n: n is False, lambda _: 0),
    ),
    (
        "a_json_true_is_a_text",
        "In JSON, true or false is a text.",
        _of(lambda n: isinstance(n, bool), lambda n: str(n).lower()),
    ),
    (
        "a_json_flag_is_turned",
        "In JSON, true is false, or false is true.",
        _of(lambda n: isinstance(n, bool), lambda n: not n),
    ),
    (
        "a_json_number_got_a_fraction",
        "In JSON, 1 is 1.0.",
        _of(_whole, lambda n: Decimal(f"{n}.0")),
    ),
    (
        "a_json_number_is_a_text",
        "In JSON, a number is a text.",
        _of(lambda n: _whole(n) or isinstance(n, Decimal), str),
    ),
    (
        "a_json_text_is_a_number",
        "In JSON, a text of digits is a number.",
        _of(lambda n: isinstance(n, str) and bool(_NUMBER.fullmatch(n)), int),
    ),
    (
        "a_json_number_is_one_more",
        "In JSON, a number is one more.",
        _of(lambda n: _whole(n) or isinstance(n, Decimal), lambda n: n + 1),
    ),
    (
        "a_json_null_is_an_empty_text",
        "In JSON, null is an empty text.",
        _of(lambda n: n is None, lambda _: ""),
    ),
    (
        "a_json_empty_text_is_null",
        "In JSON, an empty text is null.",
        _of(lambda n: n == "", lambda _: None),
    ),
    ("a_json_text_is_null", "In JSON, a text is null.", _of(_text, lambda _: None)),
    ("a_json_text_is_cut", "In JSON, a text lost its last letter.", _of(_text, lambda n: n[:-1])),
    (
        "a_json_text_has_a_blank",
        "In JSON, a text got a blank at its end.",
        _of(_text, lambda n: n + " "),
    ),
    (
        "a_json_text_is_in_capitals",
        "In JSON, a text stands in capitals.",
        _of(lambda n: _text(n) and n != n.upper(), str.upper),
    ),
    (
        "a_json_key_is_lost",
        "In JSON, a key is gone with its value.",
        _mapping(lambda n: {k: v for k, v in n.items() if k != _first(n)}),
    ),
    (
        "a_json_key_is_added",
        "In JSON, there is a key that nobody gave.",
        _mapping(lambda n: {**n, "added": ""}),
    ),
    (
        "a_json_key_is_null",
        "In JSON, a key has lost its value.",
        _mapping(lambda n: {**n, _first(n): None} if n[_first(n)] is not None else _SAME),
    ),
    ("a_json_key_is_called_otherwise", "In JSON, a key has another name.", _mapping(_renamed)),
    ("two_json_keys_are_swapped", "In JSON, two keys have each other's values.", _exchanged),
    ("a_json_list_is_turned", "In JSON, a list is in another order.", _listing(2, _turned)),
    (
        "a_json_list_lost_an_entry",
        "In JSON, a list has lost its last entry.",
        _listing(1, lambda n: n[:-1]),
    ),
    (
        "a_json_list_has_an_entry_twice",
        "In JSON, a list holds its last entry twice.",
        _listing(1, lambda n: [*n, n[-1]]),
    ),
    (
        "a_json_list_is_empty",
        "In JSON, a list has lost all its entries.",
        _listing(1, lambda _: []),
    ),
    (
        "a_json_list_is_one_value",
        "In JSON, an entry stands without its list.",
        _listing(1, lambda n: n[0]),
    ),
    (
        "a_json_object_is_a_list",
        "In JSON, an empty object is an empty list.",
        _of(lambda n: n == {}, lambda _: []),
    ),
    (
        "a_json_list_is_an_object",
        "In JSON, an empty list is an empty object.",
        _of(lambda n: n == [], lambda _: {}),
    ),
    (
        "a_json_text_holds_the_json",
        "A JSON column holds a text in which the JSON is written.",
        _mapping(simplejson.dumps),
    ),
)


def _fields(scene: Scene) -> Iterator[Field]:
    return (f for f in scene.fields(*scene.by_size()) if f.is_of("json"))


def _replaced(node: Any, change: Change) -> Any:
    """``node`` with its first part changed that ``change`` changes."""
    changed = change(node)
    if changed is not _SAME:
        return changed
    parts = node.items() if isinstance(node, dict) else enumerate(node) if _is_list(node) else ()
    for place, part in parts:
        inner = _replaced(part, change)
        if inner is not _SAME:
            if isinstance(node, dict):
                return {**node, place: inner}
            return [*node[:place], inner, *node[place + 1 :]]
    return _SAME


def _is_list(node: Any) -> bool:
    return isinstance(node, list)


def _changed(change: Change, scene: Scene) -> int:
    """Change the first document in which there is something to change."""

    def attempt(where: Field) -> int:
        for key, text in scene.texts_of(where):
            # With floats 1.10 would come back as 1.1, and so be a second change.
            document = _replaced(simplejson.loads(text, use_decimal=True), change)
            if document is not _SAME:
                given = simplejson.dumps(document, use_decimal=True)
                return scene.set(where.table, key, where.column.name, given)
        return 0

    return scene.first_of(attempt, _fields(scene))


for _name, _meaning, _change in _CHANGES:
    declare(Kind(_name, _meaning, SORT, partial(_changed, _change), only_links=False))


def _of_a_json_column(scene: Scene, to: str) -> int:
    def attempt(where: Field) -> int:
        keys = [key for key, text in scene.texts_of(where) if text not in ("null", "{}", "[]")]
        return scene.set(where.table, keys[0], where.column.name, to) if keys else 0

    return scene.first_of(attempt, _fields(scene))


@kind(SORT, only_links=False)
def a_json_column_is_empty(scene: Scene) -> int:
    """A JSON column holds an empty object."""
    return _of_a_json_column(scene, "{}")


@kind(SORT, only_links=False)
def a_json_column_says_null(scene: Scene) -> int:
    """A JSON column holds JSON's null."""
    return _of_a_json_column(scene, "null")


@kind(SORT, only_links=False)
def two_json_columns_are_swapped(scene: Scene) -> int:
    """Two rows have each other's JSON."""

    def attempt(where: Field) -> int:
        texts = [(k, t) for k, t in scene.texts_of(where) if t not in ("null", "{}", "[]")]
        pair = next(((a, b) for a, b in itertools.pairwise(texts) if a[1] != b[1]), None)
        if not pair:
            return 0
        (one, of_one), (other, of_other) = pair
        name = where.column.name
        return scene.set(where.table, one, name, of_other) + scene.set(
            where.table, other, name, of_one
        )

    return scene.first_of(attempt, _fields(scene))


def _unfed(scene: Scene, change: Callable[[dict[str, Any], str], dict[str, Any]]) -> int:
    """Change a key of a JSON column that the mapping feeds by keys, but not this one."""

    def attempt(where: Field, fed: frozenset[str]) -> int:
        for key, text in scene.texts_of(where):
            document = simplejson.loads(text, use_decimal=True)
            unfed = sorted(set(document) - fed) if isinstance(document, dict) else []
            if unfed:
                given = simplejson.dumps(change(document, unfed[0]), use_decimal=True)
                return scene.set(where.table, key, where.column.name, given)
        return 0

    return scene.first(partial(attempt, where, fed) for where, fed in _fed_by_keys(scene))


def _fed_by_keys(scene: Scene) -> Iterator[tuple[Field, frozenset[str]]]:
    """JSON columns that are fed by keys, and these keys."""
    for entity in scene.database.mapping.entities.values():
        table = scene.database.catalog.tables[entity.table]
        for base in dict.fromkeys(name.partition(".")[0] for name in entity.columns):
            fed: set[str] = set()
            for name, spec in entity.columns.items():
                if name.partition(".")[0] == base:
                    fed |= {name.partition(".")[2].partition(".")[0]} - {""}
                    fed |= {*spec.keys, *spec.replaces}
            column = table.column(base)
            if fed and column:
                yield Field(table, column), frozenset(fed)


@kind(_CARRIED, only_links=False)
def a_carried_key_is_lost(scene: Scene) -> int:
    """A JSON key that FileMaker does not feed is gone."""
    return _unfed(scene, lambda held, key: {k: v for k, v in held.items() if k != key})


@kind(_CARRIED, only_links=False)
def a_carried_key_is_changed(scene: Scene) -> int:
    """A JSON key that FileMaker does not feed has another value."""
    return _unfed(scene, lambda held, key: {**held, key: [held[key], "another"]})
