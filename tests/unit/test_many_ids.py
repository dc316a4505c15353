"""Many ids at once compare as one by one; a record's number is told for many as for one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_reimport import ids
from nexus_reimport.filemaker import keys
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
