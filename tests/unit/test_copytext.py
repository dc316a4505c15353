"""Rows as COPY writes them: what is read is what was meant, whatever stands in a value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_reimport.files import copytext
from support.odd_texts import ODD_TEXTS

Row = tuple[str | None, ...]
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
values = st.none() | st.sampled_from(ODD_TEXTS) | texts


def rows_of(lines: str, width: int) -> list[Row]:
    batch = copytext.batch(lines.encode(), [f"c{n}" for n in range(width)])
    return list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


@settings(deadline=None)
@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[values] * n), min_size=1)))
def test_what_is_written_is_read_again(rows: list[Row]) -> None:
    lines = copytext.lines(list(zip(*rows, strict=True)))
    assert lines.count("\n") == len(rows)
    assert rows_of(lines, len(rows[0])) == rows


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_plain_lines_are_read_as_those_with_escapes(mark: str) -> None:
    rows: list[Row] = [(f"{mark}a", None, ""), ("", " b ", '"c"'), (None, ",", "N")]
    plain = copytext.lines(list(zip(*rows, strict=True)))
    assert rows_of(plain, 3) == rows
    assert rows_of(plain + "\\\\\t\\t\tz\n", 3) == [*rows, ("\\", "\t", "z")]
