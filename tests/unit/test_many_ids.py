"""Many ids at once compare as one by one; a record's number is told for many as for one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_reimport import ids
from nexus_reimport.filemaker import keys
from nexus_reimport.files import columns
from nexus_reimport.intake import IdPairs
from nexus_reimport.text import JOINT, id_key

texts = st.sampled_from(["", " A1 ", "7.0", "É", "\u01f0", f"a{JOINT}7.0", "ABC", "b"]) | st.text()
numbers = st.sampled_from(["", "0", "01", "7", "12", "9" * 18, "9" * 19, "²", "٣", "x"])


@settings(deadline=None)
@given(st.lists(texts))
def test_many_ids_compare_as_each(written: list[str]) -> None:
    assert ids.compared(written) == list(map(id_key, written))


@settings(deadline=None)
@given(st.lists(numbers, min_size=1))
def test_names_are_numbers_if_each_is(records: list[str]) -> None:
    assert keys._are_numbers(records) == all(r and keys._is_number(r) for r in records)


@settings(deadline=None)
@given(st.lists(st.none() | texts), st.lists(texts))
def test_every_row_that_holds_a_value_is_found(known: list[str | None], wanted: list[str]) -> None:
    index = columns.Index(columns.of(known))
    rows = [[row for row, value in enumerate(known) if value == one] for one in wanted]
    assert index.rows(wanted) == rows
    assert index.first(wanted).tolist() == [several[0] if several else -1 for several in rows]


few = st.lists(st.none() | st.sampled_from(["", "a", "b", "c", "é"]), max_size=12)


@settings(deadline=None)
@given(few, few, st.integers(1, 5))
def test_what_is_looked_up_part_by_part_is_found_as_at_once(
    wanted: list[str | None], known: list[str | None], at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_KNOWN", at_once)
        found = columns.places(columns.of(wanted), columns.of(known)).tolist()
        are_known = columns.among(columns.of(wanted), columns.of(known)).to_pylist()
    assert found == [known.index(one) if one in known and one is not None else -1 for one in wanted]
    assert are_known == [one in known for one in wanted]


def test_equal_columns_are_one() -> None:
    one, same, other = (columns.of(values) for values in (["a", None], ["a", None], ["a", ""]))
    assert columns.shared(same, one) is one
    assert columns.shared(other, one) is other


def test_ids_that_are_looked_for_again_do_not_cost_all_ids_again() -> None:
    pairs = IdPairs.of((ids.of(f"A{number}"), f"B{number}") for number in range(200_000))

    def cost(times: int) -> float:
        began = time.process_time()
        for _ in range(times):
            assert pairs.find([ids.of("a77"), ids.of("C")]) == ["B77", None]
        return time.process_time() - began

    first = cost(1)
    assert cost(100) < first
