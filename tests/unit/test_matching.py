"""Which record is which row: rules in order, equal candidates in sorted order."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import ids
from nexus_reimport.files import columns
from nexus_reimport.intake import IdPairs, stored_id
from nexus_reimport.mapping import Entity
from nexus_reimport.planning import matching

SPACE = uuid.UUID("0d0c1c5e-6f9b-5f7e-9a3c-2c1f6f3a7b11")
NOTES = Entity.model_validate(
    {
        "table": "notes",
        "source": "notes",
        "columns": {},
        "identity": [
            {"name": "text", "by": ["patient", "content"], "folded": ["content"], "then": ["at"]}
        ],
    }
)
PEOPLE = Entity.model_validate(
    {
        "table": "p",
        "source": "p",
        "columns": {},
        "filemaker_id": "meta.id",
        "identity": [{"name": "id", "by": "filemaker_id"}],
    }
)


class Written(NamedTuple):
    """Matches with ids as they are written, which compare exactly."""

    pairs: dict[str, str]
    by_rule: dict[str, int]
    ambiguous: set[str]


class Side:
    """Records, or rows in the order of their ids: id -> values, and FileMaker's ids of them."""

    def __init__(self, held: dict[str, Any], written: list[str]) -> None:
        self._held = held
        self.written = columns.of(one or None for one in written)
        self.compared = columns.of(ids.of(one).compared or None for one in written)

    def ids(self) -> Any:
        return columns.of(self._held)

    def values(self, numbers: Sequence[int], names: Sequence[str]) -> Iterator[dict[str, Any]]:
        assert [*numbers] == sorted(numbers)
        every = list(self._held.values())
        return ({name: every[n].get(name) for name in names} for n in numbers)


def matched(spec: Entity, fed: Any, rows: Any, remembered: Any = None) -> Written:
    """The pairs and ids as they are written."""
    loaded = IdPairs.of((ids.of(one), key) for one, key in (remembered or {}).items())
    rows = dict(sorted(rows.items()))
    place = spec.filemaker_id
    stored = [stored_id(row, place).written if place else "" for row in rows.values()]
    sides = (Side(fed, [*fed]), Side(rows, stored))
    found = matching.match("e", spec, sides, loaded, SPACE)
    keys, names = [*rows], [*fed]
    assert [not is_free for is_free in found.free] == [n in found.rows for n in range(len(rows))]
    return Written(
        {names[n]: keys[row] for n, row in enumerate(found.rows) if row >= 0},
        dict(found.by_rule),
        set(found.ambiguous),
    )


def test_what_breaks_a_tie_is_the_same_where_both_sides_have_none() -> None:
    by = {"patient": "p", "content": "Call", "by": None}
    rule = NOTES.identity[0].model_copy(update={"then": ("by", "at")})
    spec = NOTES.model_copy(update={"identity": (rule,)})
    rows = {"n1": {**by, "at": "1"}, "n2": {**by, "at": "2"}}
    for remembered in ({}, {"another": "n9"}):  # the first run, and a later one
        assert matched(spec, {"r": {**by, "at": "2"}}, rows, remembered).pairs == {"r": "n2"}


def test_an_id_in_a_json_column_matches_in_any_case() -> None:
    held = uuid.uuid4()
    rows = {"n1": {"meta": f'{{"id": "{str(held).upper()}"}}'}, "n2": {"meta": None}}
    assert matched(PEOPLE, {str(held): {}}, rows).pairs == {str(held): "n1"}


def test_a_pair_has_the_id_as_filemaker_writes_it_whatever_nexus_and_the_last_run_wrote() -> None:
    rows = {"n1": {"meta": '{"id": "p1"}'}, "n2": {"meta": None}}
    found = matched(PEOPLE, {"P1": {}, "p2": {}}, rows, {"P2": "n2"})
    assert found.pairs == {"P1": "n1", "p2": "n2"}


def test_of_two_remembered_spellings_the_exact_one_comes_first() -> None:
    rows = {"n1": {"meta": None}, "n2": {"meta": None}}
    for loaded in ({"P1": "n1", "p1": "n2"}, {"p1": "n2", "P1": "n1"}):
        assert matched(PEOPLE, {"p1": {}}, rows, loaded).pairs == {"p1": "n2"}


def test_two_rows_with_one_id_are_told_and_never_merged() -> None:
    held = str(uuid.uuid4())
    stored = {"n2": held, "n1": held, "n3": "other", "n5": "gone", "n4": "Gone", "n7": "last"}
    rows: dict[str, Any] = {key: {"meta": f'{{"id": "{one}"}}'} for key, one in stored.items()}
    rows |= {"n0": {"meta": None}, "n6": {"meta": None}}  # that carry none claim none
    found = matched(PEOPLE, {held.upper(): {}, "other": {}, "last": {}}, rows)
    assert found.ambiguous == {held.upper(), "Gone"}, "as FileMaker writes it, if it has it"


def test_a_note_is_found_by_its_text_with_blanks_folded() -> None:
    fed = {"f": {"patient": "p", "content": "two\nwords", "at": "2"}}
    rows = {"n": {"patient": "p", "content": "two  words", "at": "9"}}
    found = matched(NOTES, fed, rows)
    assert found.pairs == {"f": "n"}
    assert found.by_rule == {"text, other at": 1}


def test_the_same_text_of_another_patient_is_another_note() -> None:
    fed = {"f": {"patient": "p", "content": "x"}}
    assert matched(NOTES, fed, {"n": {"patient": "q", "content": "x"}}).pairs == {}


def test_the_date_breaks_ties_between_equal_texts() -> None:
    fed = {
        "f1": {"patient": "p", "content": "x", "at": "2"},
        "f2": {"patient": "p", "content": "x", "at": "1"},
    }
    rows = {
        "a": {"patient": "p", "content": "x", "at": "1"},
        "b": {"patient": "p", "content": "x", "at": "2"},
    }
    assert matched(NOTES, fed, rows).pairs == {"f1": "b", "f2": "a"}


def test_what_was_loaded_before_is_remembered_whatever_its_text_is_now() -> None:
    fed = {"f": {"patient": "p", "content": "edited since"}}
    rows = {"n": {"patient": "p", "content": "x"}}
    assert matched(NOTES, fed, rows, {"f": "n"}).pairs == {"f": "n"}
    assert matched(NOTES, fed, rows, {"f": "gone"}).pairs == {}


@given(
    st.lists(st.tuples(st.sampled_from("pq"), st.sampled_from("xyz")), max_size=12), st.randoms()
)
def test_pairs_do_not_depend_on_the_order_of_rows(
    notes: list[tuple[str, str]], shuffle: random.Random
) -> None:
    fed = {f"f{n}": {"patient": p, "content": c, "at": "1"} for n, (p, c) in enumerate(notes)}
    rows = {f"n{n}": {"patient": p, "content": c, "at": "2"} for n, (p, c) in enumerate(notes)}
    items, others = list(fed.items()), list(rows.items())
    shuffle.shuffle(items)
    shuffle.shuffle(others)
    first, second = matched(NOTES, fed, rows), matched(NOTES, dict(items), dict(others))
    assert first.pairs == second.pairs
    assert len(first.pairs) == len(notes)
    assert len(set(first.pairs.values())) == len(notes)


def test_a_row_is_one_records_whatever_else_would_lead_to_it() -> None:
    """Its own id comes first, then the id map, the id that is derived, and equal values."""
    derived = matching.derived_id(SPACE, "e", "b")
    rows = {derived: {"meta": '{"id": "a"}'}}
    found = matched(PEOPLE, {"a": {}, "b": {}, "c": {}}, rows, {"c": derived})
    assert (found.pairs, found.by_rule) == ({"a": derived}, {"id": 1})
    rows = {derived: {"meta": None}}
    found = matched(PEOPLE, {"a": {}, "b": {}, "c": {}}, rows, {"c": derived})
    assert (found.pairs, found.by_rule) == ({"c": derived}, {"remembered": 1})
    note = {"patient": "p", "content": "words", "at": "1"}
    found = matched(NOTES, {"a": note, "b": note}, {derived: note})
    assert (found.pairs, found.by_rule) == ({"b": derived}, {"derived id": 1})


def test_of_equal_values_each_row_is_taken_once_and_an_empty_value_equals_none() -> None:
    note = {"patient": "p", "content": "words", "at": "1"}
    rows = {"n1": note, "n2": note, "n3": {**note, "content": ""}, "n4": {**note, "patient": None}}
    fed = {
        "f1": note,
        "f2": note,
        "f3": note,
        "f4": {**note, "content": ""},
        "f5": {**note, "patient": None},
    }
    found = matched(NOTES, fed, rows)
    assert found.pairs == {"f1": "n1", "f2": "n2"}


def test_the_number_of_matches_is_that_of_the_pairs_and_no_rule_without_one_is_named() -> None:
    note = {"patient": "p", "content": "words", "at": "1"}
    other = {**note, "at": "2"}
    found = matched(NOTES, {"f1": note, "f2": other}, {"n1": note, "n2": {**note, "at": "9"}})
    assert found.by_rule == {"text": 1, "text, other at": 1}
    found = matched(NOTES, {"f1": other}, {"n1": note}, {"f0": "n9"})
    assert (found.pairs, found.by_rule) == ({}, {})  # not on a later run


@pytest.mark.parametrize(
    ("held", "written"),
    [
        ('{"id": 0}', "0"),
        ('{"id": "0"}', "0"),
        ('{"id": 12.50}', "12.50"),
        ('{"id": " 7 "}', "7"),
        *((f'{{"id": {none}}}', "") for none in ("null", '""', "true", "false", "[]", "[7]", "{}")),
        ("[]", ""),
        ('"7"', ""),
        (None, ""),
    ],
)
def test_which_values_of_a_json_column_are_an_id(held: str | None, written: str) -> None:
    """The number 0 was none, and an empty list was not told from one."""
    assert stored_id({"flags": held}, "flags.id").written == written


def test_a_column_holds_the_id_zero() -> None:
    assert stored_id({"legacy": "0"}, "legacy").written == "0"
    assert not stored_id({"legacy": ""}, "legacy")
