"""Row files: what goes in comes out, and a changed file is found out."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_reimport.errors import RecordError
from nexus_reimport.files import rowfile

ROWS = st.lists(st.tuples(*[st.none() | st.text(st.characters(exclude_categories=["Cs"]))] * 2))


def write(path: Path, rows: list[tuple[str | None, str | None]]) -> rowfile.RowFile:
    with rowfile.writer(path, ("a", "b")) as out:
        for row in rows:
            out.add(row)
    return out.done()


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_rows_come_back_as_they_went_in(rows: list[tuple[str | None, str | None]]) -> None:
    with TemporaryDirectory() as folder:
        file = write(Path(folder) / "x.parquet", rows)
        assert list(rowfile.read(Path(folder), file)) == rows
        assert file.rows == len(rows)


def test_nothing_and_an_empty_text_are_different(tmp_path: Path) -> None:
    one = write(tmp_path / "x.parquet", [("", None)])
    two = write(tmp_path / "y.parquet", [(None, "")])
    assert one.sha256 != two.sha256


def test_text_that_moves_between_neighbours_shows(tmp_path: Path) -> None:
    one = write(tmp_path / "x.parquet", [("ab", "c")])
    two = write(tmp_path / "y.parquet", [("a", "bc")])
    assert one.sha256 != two.sha256


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", [("a", "b")])
    assert stat.S_IMODE((tmp_path / "x.parquet").stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["gone", "truncated", "other"])
def test_a_changed_file_is_found_out(tmp_path: Path, damage: str) -> None:
    file = write(tmp_path / "x.parquet", [("a", "b")])
    path = tmp_path / "x.parquet"
    if damage == "gone":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        write(path, [("a", "c")])
    with pytest.raises(RecordError, match="not what the run wrote"):
        list(rowfile.read(tmp_path, file))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.none() | st.text() | st.text("\0[], \"\\nul'\n\u2028é")] * 3), min_size=1
    )
)
def test_what_is_digested_is_each_row_as_json_on_a_line_of_its_own(
    rows: list[tuple[str | None, ...]],
) -> None:
    each = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    assert rowfile._lines(rows) == each
    assert rowfile._lines([row[:1] for row in rows]) == b"".join(
        json.dumps(row[:1]).encode() + b"\n" for row in rows
    )


@pytest.mark.parametrize("count", [0, 1, rowfile.BATCH - 1, rowfile.BATCH, rowfile.BATCH + 1])
def test_a_digest_does_not_know_how_rows_were_gathered(tmp_path: Path, count: int) -> None:
    rows = [(str(number), None) for number in range(count)]
    file = write(tmp_path / "x.parquet", rows)
    each = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    assert (file.rows, file.sha256) == (count, hashlib.sha256(each).hexdigest())
    assert list(rowfile.read(tmp_path, file)) == rows
