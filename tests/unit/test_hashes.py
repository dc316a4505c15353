"""What is looked for before a seal: many numbers are held, in little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_reimport.record.search.hashes import CODES, HashSet, rolled

BATCH = 300_000  # numbers: more than are put in order at once
BYTES = 4  # in memory of each number, which has eight


def random_numbers(count: int, below: int = 1 << 61) -> np.ndarray:
    """Numbers without a code, the same in each run."""
    return np.random.default_rng(count).integers(0, below, count).astype(np.uint64) << np.uint64(3)


@pytest.mark.parametrize("below", [1 << 61, 500_000, 1 << 14])
def test_of_many_numbers_each_has_the_code_with_which_it_came_first(
    below: int, tmp_path: Path
) -> None:
    known = HashSet(tmp_path)
    batches = np.split(random_numbers(3 * BATCH, below), 3)
    for code, numbers in enumerate(batches):
        known.add_all(numbers, code)
    every = np.concatenate(batches)
    distinct, places = np.unique(every, return_index=True)
    first = places // BATCH
    assert len(known) == len(distinct)
    assert dict(known.codes()) == {c: n for c, n in enumerate(np.bincount(first).tolist()) if n}
    others = np.setdiff1d(random_numbers(BATCH), distinct)
    answer = known.among([others, distinct])
    assert set(answer.which.tolist()) == {1}
    assert (answer.numbers == distinct).all()
    assert (answer.codes == first).all()
    assert not list(tmp_path.iterdir())  # the file that holds them has no name


def test_numbers_that_are_held_take_little_memory(tmp_path: Path) -> None:
    numbers = random_numbers(10 * BATCH)
    tracemalloc.start()
    known = HashSet(tmp_path)
    for few in np.split(numbers, 20):
        known.add_all(few)
    assert len(known.among([numbers[::1000]]).places) == len(numbers) / 1000
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < BYTES * len(numbers)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, CODES - 1), st.booleans())))
def test_numbers_are_asked_for_and_added_in_any_order(
    steps: list[tuple[int, int, bool]],
) -> None:
    known, codes = HashSet(), dict[int, int]()
    for value, code, is_asked in steps:
        number = value << 60 | value << 3
        number &= (1 << 64) - 1
        assert not is_asked or (number in known) == (number in codes)
        known.add(number, code)
        codes.setdefault(number, code)
    answer = known.among([np.array([number], np.uint64) for number in codes])
    assert dict(zip(answer.numbers.tolist(), answer.codes.tolist(), strict=True)) == codes
    assert len(known) == len(codes)


def test_words_in_a_row_have_a_number_for_each_length_that_there_is() -> None:
    assert [len(numbers) for numbers in rolled([b"a", b"b", b"c"], 12)] == [3, 2, 1]
    assert list(rolled([], 12)) == []
