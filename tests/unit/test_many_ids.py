"""Many ids at once compare as one by one; a record's number is told for many as for one."""

from __future__ import annotations

import time

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


def test_ids_that_are_looked_for_again_do_not_cost_all_ids_again() -> None:
    pairs = IdPairs.of((ids.of(f"A{number}"), f"B{number}") for number in range(200_000))

    def cost(times: int) -> float:
        began = time.process_time()
        for _ in range(times):
            assert pairs.find([ids.of("a77"), ids.of("C")]) == ["B77", None]
        return time.process_time() - began

    first = cost(1)
    assert cost(100) < first
