"""Lists count their rest, parts never exceed their wholes, only all of them are 100%."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import wording

NAMES = st.lists(st.text("abc", min_size=1), max_size=30)


@given(NAMES, st.integers(1, 8))
def test_a_list_names_some_and_counts_the_rest(names: list[str], shown: int) -> None:
    text = wording.some(names, shown=shown)
    told, _, rest = text.partition(" and ")
    named = told.split(", ") if told else []
    assert named == names[:shown]
    assert len(named) + int((rest or "0").split()[0]) == len(names)


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "a, b"), (2, "a, b"), (11, "a, b and 9 more"), (1, "a, b")],
)
def test_the_beginning_of_a_list_counts_what_is_not_there(count: int | None, text: str) -> None:
    assert wording.some(["a", "b"], count) == text


@given(NAMES)
def test_lines_count_their_rest_too(names: list[str]) -> None:
    text = wording.lines(names, shown=4)
    assert len(text.splitlines()) == min(len(names), 4) + (len(names) > 4) + (not names) * 0
    assert (len(names) > 4) == text.endswith(f"and {len(names) - 4:,} more")


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_part_is_never_more_than_its_whole(count: int, whole: int) -> None:
    text = wording.part(count, whole)
    assert (" of " in text) == (count <= whole)
    share = wording.share(count, whole)
    if 0 < count < whole:
        assert share not in ("0.0%", "100.0%")
    elif whole and count <= whole:
        assert share == ("100.0%" if count else "0.0%")
    elif not whole:
        assert share == ""


def test_one_is_not_many() -> None:
    assert [wording.amount(n, "day") for n in (0, 1, 2877)] == ["0 days", "1 day", "2,877 days"]
    assert wording.amount(2, "entity", "entities") == "2 entities"
