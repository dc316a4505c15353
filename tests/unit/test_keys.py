"""Keys of a table as it is read: which come twice, and how messages name their records."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(
    "name", ["1", "0", "007", "", "9" * 18, "9" * 19, "9" * 25, "row x", "-1", "٣", "²"]
)
def test_a_record_of_any_name_is_named_so_on_whatever_page_it_is(name: str) -> None:
    table = Keys(("id",))
    pages = [(("x", "y"), ("5", "6")), (("x", "z"), ("7", name)), (("y", "z"), (name, "8"))]
    for keys, names in pages:
        table.add(keys, names)
    table.compare(lambda: [key for keys, _ in pages for key in keys])
    assert table.distinct == 3
    assert (fault := table.fault()) is not None
    # Of what has no name nobody can be told but the number 0.
    named = name or "0"
    for pair in ("x (number 5 and 7)", f"y (number 6 and {named})", f"z (number {named} and 8)"):
        assert pair in fault.what


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("odd", [False, True])
def test_one_record_whose_key_is_none_or_odd_is_told_alone(place: int, odd: bool) -> None:
    keys = ["a", "b", "c"]
    keys[place] = "q" if odd else ""
    table = read(*keys, odd=(place,) if odd else ())
    assert table.distinct == 2
    assert (fault := table.fault()) is not None
    kind = "a key with control characters, or with half a character" if odd else "no key"
    assert fault.what == f"1 record has {kind}: number {place + 1}"
    assert fault.next.endswith("; then run 01_preflight again")


@pytest.mark.parametrize(
    ("second", "is_the_same"), [("a", True), ("A", False), ("a ", False), ("7.0", False)]
)
def test_a_key_that_comes_twice_is_told_as_the_same_or_as_one_in_another_spelling(
    second: str, is_the_same: bool
) -> None:
    first = "7" if second == "7.0" else "a"
    table = read(first, second)
    assert table.distinct == 1
    assert (fault := table.fault()) is not None
    assert ("has the same key as another one" in fault.what) is is_the_same
    assert ("only in case or spelling" in fault.what) is not is_the_same
    assert (" with ! in id" in fault.next) is is_the_same
