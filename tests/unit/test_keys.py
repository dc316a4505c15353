"""Keys of a table as it is read: which come twice, and how messages name their records."""

from __future__ import annotations

from nexus_reimport.filemaker.keys import Keys


def read(*keys: str, names: tuple[str, ...] = (), odd: tuple[int, ...] = ()) -> Keys:
    """The keys of one table, read to its end."""
    table = Keys(("id",))
    table.add(keys, (names or tuple("1234567"))[: len(keys)], odd)
    table.compare(lambda: keys)
    return table


def test_a_table_without_a_record_has_no_fault() -> None:
    assert read().distinct == 0
    assert read().fault() is None


def test_every_key_counts_once_and_later_ones_are_told_with_both_records() -> None:
    table = read("a", "b", "A", "7", "7.0", "a")
    assert table.distinct == 3
    assert (fault := table.fault()) is not None
    assert "1 record has the same key as another one: a (number 1 and 6)" in fault.what
    assert "7 and 7.0 (number 4 and 5)" in fault.what
    assert "a and A (number 1 and 3)" in fault.what


def test_a_record_without_a_key_or_with_an_odd_one_is_no_duplicate() -> None:
    table = read("", "", "a", "a", odd=(2,))
    assert table.distinct == 1
    assert (fault := table.fault()) is not None
    assert "2 records have no key: number 1, number 2" in fault.what
    assert "control characters" in fault.what
    assert "same key" not in fault.what


def test_a_record_is_named_as_the_channel_names_it() -> None:
    table = read("a", "a", "a", names=("007", "row x", "12"))
    assert (fault := table.fault()) is not None
    assert "a (number 007 and row x)" in fault.what
    assert "a (number 007 and 12)" in fault.what
