"""Values that are set aside come back as they were, in whatever order they are asked for."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport.files.spool import Spool

# Some are longer than what is read at once.
VALUES = st.lists(st.tuples(st.integers(), st.sampled_from([0, 1, 30_000, 100_000])), max_size=8)


@given(VALUES, st.data())
def test_several_values_come_in_the_order_in_which_they_are_asked_for(
    values: list[tuple[int, int]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        spool = Spool[tuple[int, str]](Path(folder))
        held = [(number, "x" * length) for number, length in values]
        assert [spool.add(value) for value in held] == [*range(len(held))]
        places = st.integers(0, len(held) - 1) if held else st.nothing()
        wanted = data.draw(st.lists(places, max_size=8) if held else st.just([]))
        assert [*spool.several(wanted)] == [held[number] for number in wanted]
        assert [*spool] == held
        spool.close()


def test_of_large_values_few_are_in_memory(tmp_path: Path) -> None:
    """Two thousand were, however large: of notes with a megabyte each, gigabytes."""
    many, long = 100, 1 << 20
    spool = Spool[str](tmp_path)
    for number in range(many):
        spool.add(f"{number} ".ljust(long))
    order = [*range(many)][::-1]
    tracemalloc.start()
    try:
        read = [int(value.split()[0]) for value in spool.in_order(order)]
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == order
    assert most < many * long / 2
