"""Row files: what goes in comes out, and a changed file is found out."""

from __future__ import annotations

import hashlib
import random
import stat
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_reimport.errors import RecordError
from nexus_reimport.files import rowfile

ROWS = st.lists(st.tuples(*[st.none() | st.text(st.characters(exclude_categories=["Cs"]))] * 2))


def write(path: Path, rows: list[tuple[str | None, ...]]) -> rowfile.RowFile:
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


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(1, 7), st.integers(0, 20))
def test_rows_that_are_added_by_column_are_those_that_are_added_one_by_one(
    rows: list[tuple[str | None, str | None]], size: int, alone: int
) -> None:
    with TemporaryDirectory() as folder:
        with rowfile.writer(Path(folder) / "y.parquet", ("a", "b")) as out:
            for row in rows[:alone]:
                out.add(row)
            for start in range(alone, len(rows), size):
                out.add_columns([[row[n] for row in rows[start : start + size]] for n in (0, 1)])
            for row in rows[:2]:
                out.add(row)
        assert list(rowfile.read(Path(folder), out.done())) == rows + rows[:2]
        expected = write(Path(folder) / "x.parquet", rows + rows[:2])
        assert out.done().sha256 == expected.sha256


def test_the_digest_does_not_depend_on_how_arrow_keeps_the_rows() -> None:
    plain = pa.array(["skip", "ab", None, "é"])
    ends, texts = struct.pack("<5i", 0, 4, 6, 9, 11), b"skipabxyz\xc3\xa9"
    hidden = pa.StringArray.from_buffers(  # the same, with bytes under the null
        4, pa.py_buffer(ends), pa.py_buffer(texts), pa.py_buffer(b"\x0b")
    )
    assert hidden.equals(plain)
    digests = set()
    for array in (plain, hidden):
        digest = rowfile._Digest(("a",))
        for part in (array[1:2], array[2:]):
            digest.add(pa.RecordBatch.from_arrays([part], ["a"]))
        digests.add(digest.hexdigest())
    assert len(digests) == 1


def test_pandas_is_not_loaded_for_a_row_file(tmp_path: Path) -> None:
    """It takes as long to load as it takes to read a clinic, and 40 MiB of every process."""
    program = (
        "import sys; from pathlib import Path; from nexus_reimport.files import rowfile;"
        f" folder = Path({str(tmp_path)!r});"
        " file = rowfile.write(folder / 'x.parquet', ('a', 'b'), [('1', None), ('é', '2')]);"
        " print(list(rowfile.read(folder, file)), 'pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[('1', None), ('é', '2')] False\n"


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


def digest_of(rows: list[tuple[str | None, ...]], columns: int) -> str:
    """The digest of rows, made without Arrow, as its docstring says."""
    parts = b""
    for number in range(columns):
        values = [row[number] for row in rows]
        texts = [None if value is None else value.encode() for value in values]
        lengths = b"".join(struct.pack("<i", -1 if t is None else len(t)) for t in texts)
        parts += hashlib.sha256(lengths).digest()
        parts += hashlib.sha256(b"".join(t or b"" for t in texts)).digest()
    return hashlib.sha256(parts).hexdigest()


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_a_digest_can_be_made_without_any_library(
    rows: list[tuple[str | None, str | None]],
) -> None:
    with TemporaryDirectory() as folder:
        file = write(Path(folder) / "x.parquet", rows)
    assert file.sha256 == digest_of(rows, 2)


@pytest.mark.parametrize("count", [0, 1, rowfile.BATCH - 1, rowfile.BATCH, rowfile.BATCH + 1])
def test_a_digest_does_not_know_how_rows_were_gathered(tmp_path: Path, count: int) -> None:
    rows: list[tuple[str | None, ...]] = [(f"é{number}", None) for number in range(count)]
    file = write(tmp_path / "x.parquet", rows)
    assert (file.rows, file.sha256) == (count, digest_of(rows, 2))
    assert list(rowfile.read(tmp_path, file)) == rows
    with pq.ParquetFile(tmp_path / "x.parquet") as source:
        table = source.read()
    (tmp_path / "again").mkdir()
    pq.write_table(table, tmp_path / "again" / "x.parquet", row_group_size=7)
    assert list(rowfile.read(tmp_path / "again", file)) == rows, "in other batches"


def test_columns_that_change_their_names_or_places_are_a_change(tmp_path: Path) -> None:
    file = write(tmp_path / "x.parquet", [("a", "a")])
    with rowfile.writer(tmp_path / "x.parquet", ("b", "a")) as out:
        out.add(("a", "a"))
    with pytest.raises(RecordError, match="not what the run wrote"):
        list(rowfile.read(tmp_path, file))


def test_rows_that_are_read_in_order_must_be_in_order(tmp_path: Path) -> None:
    file = rowfile.write(
        tmp_path / "f.parquet", ("id", "a"), [("1", "x"), ("10", None), ("2", "y")]
    )
    rows = rowfile.read_in_order(tmp_path, file, "id")
    assert [row["id"] for row in rows] == ["1", "10", "2"], "as texts compare"
    file = rowfile.write(tmp_path / "f.parquet", ("id", "a"), [("2", "x"), ("10", "y")])
    with pytest.raises(RecordError, match="is not what the run wrote there"):
        list(rowfile.read_in_order(tmp_path, file, "id"))


def test_of_a_row_file_no_more_is_in_memory_than_is_read(tmp_path: Path) -> None:
    """Arrow kept all that it had read ahead: a whole file, at its end."""
    chance = random.Random(1)
    rows = ([str(n), chance.randbytes(100).hex()] for n in range(20 * rowfile.BATCH))
    file = rowfile.write(tmp_path / "x.parquet", ("id", "text"), rows)
    readers: list[Callable[[], Iterator[object]]] = [
        lambda: rowfile.batches(tmp_path, file),
        lambda: rowfile.distinct(tmp_path / file.name),
        lambda: rowfile.read_columns(tmp_path, file, ("id", "text")),
    ]
    for read in readers:
        before, most = pa.total_allocated_bytes(), 0
        for number, _ in enumerate(read()):
            if number < 20 or not number % rowfile.BATCH:
                most = max(most, pa.total_allocated_bytes())
        assert most - before < (tmp_path / file.name).stat().st_size / 2


def test_of_rows_with_long_texts_few_are_in_memory(tmp_path: Path) -> None:
    """A thousand of them with a megabyte each took 5.8 GB to write, and 3.8 GB to read."""
    chance, many, long = random.Random(1), 200, 1 << 19
    texts = (chance.randbytes(long // 2).hex() for _ in range(many))
    tracemalloc.start()
    try:
        file = rowfile.write(tmp_path / "x.parquet", ("id", "text"), ((t[:9], t) for t in texts))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < many * long / 2, "less than half of what the file holds"
    for read in (rowfile.batches, rowfile.read, rowfile.read_dicts):
        before, most = pa.total_allocated_bytes(), 0
        for row in read(tmp_path, file):
            most = max(most, pa.total_allocated_bytes())
            del row
        assert most - before < many * long / 2


CELLS = st.none() | st.text(st.sampled_from('a-+=@1., ;"\t\r\n\x85\xa0\u2028\uff1d'), max_size=4)


@settings(max_examples=300, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=4))
def test_a_line_for_people_is_its_values_each_as_it_would_be_alone(row: list[str | None]) -> None:
    assert rowfile._line(row) == ",".join(rowfile._field(value or "") for value in row) + "\r\n"
