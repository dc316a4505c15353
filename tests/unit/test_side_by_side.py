"""Rows of two row files are paired by their keys as one would by hand, batch by batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_reimport.errors import RecordError
from nexus_reimport.files import columns, rowfile, side_by_side
from nexus_reimport.files.rowfile import Dict, RowFile

NAMES = ("key", "one", "other")
Rows = list[tuple[str | None, str | None, str | None]]
some = st.sampled_from([None, "", "a", "b", "1e0", "ä"])
tables = st.lists(st.tuples(st.sampled_from(["", "a", "b", "c", "d", "é"]), some, some)).map(
    lambda rows: sorted(rows, key=lambda row: row[0])
)


def written(folder: Path, name: str, rows: Rows) -> RowFile:
    return rowfile.write(folder / f"{name}.parquet", NAMES, rows)


def by_hand(one: Rows, other: Rows) -> list[tuple[str, Dict | None, Dict | None]]:
    sides = ([dict(zip(NAMES, row, strict=True)) for row in rows] for rows in (one, other))
    return [(key, was, now) for (key,), was, now in rowfile.paired(*sides, rowfile.by("key"))]


@settings(deadline=None)
@given(tables, tables)
def test_rows_are_paired_as_by_hand(one: Rows, other: Rows) -> None:
    pairs = by_hand(one, other)
    with TemporaryDirectory() as folder:
        files = (written(Path(folder), "one", one), written(Path(folder), "other", other))
        rows = side_by_side.of(Path(folder), *files, "key")
        differ = [
            (key, was, now)
            for batches in rows.batches()
            for key, was, now in side_by_side.what_differs(*batches, "key", NAMES, always=True)
        ]
    assert list(rows.gone) == [key for key, was, now in pairs if now is None]
    assert list(rows.added) == [key for key, was, now in pairs if was is None]
    assert rows.both == sum(was is not None and now is not None for _, was, now in pairs)
    assert differ == [
        (key, was, now)
        for key, was, now in pairs
        if was is not None and now is not None and was != now
    ]
    last, again = None, []
    for key, was, _ in pairs:
        again += [key] if was is None and key == last else []
        last = key
    assert list(rows.again) == again


def test_more_rows_than_a_batch_stay_in_step(tmp_path: Path) -> None:
    def rows(*without: int) -> Rows:
        numbers = range(3 * rowfile.BATCH)
        return [(f"{n:08}", str(n), None) for n in numbers if n not in without]

    one, other = written(tmp_path, "one", rows(7)), written(tmp_path, "other", rows(1, 9_000))
    paired = side_by_side.of(tmp_path, one, other, "key")
    assert (paired.gone, paired.added) == (("00000001", "00009000"), ("00000007",))
    batches = list(paired.batches())
    assert sum(was.num_rows for was, _ in batches) == paired.both == 3 * rowfile.BATCH - 3
    assert all(was.equals(now) for was, now in batches)


def test_of_a_column_that_is_not_there_all_is_nothing(tmp_path: Path) -> None:
    one = written(tmp_path, "one", [("a", "1", None), ("b", None, "2")])
    other = rowfile.write(tmp_path / "other.parquet", NAMES[:2], [("a", "1"), ("b", None)])
    ((was, now),) = side_by_side.of(tmp_path, one, other, "key").batches()
    assert list(side_by_side.what_differs(was, now, "key", NAMES)) == [
        ("b", {"other": "2"}, {"other": None})
    ]


def test_values_are_put_where_their_keys_are(tmp_path: Path) -> None:
    file = written(tmp_path, "rows", [("a", "1", "x"), ("b", "2", None), ("c", "3", "z")])
    given = written(tmp_path, "given", [("c", None, "9"), ("b", "8", "7"), ("d", "0", "0")])
    (batch,) = rowfile.batches(tmp_path, file)
    put = side_by_side.with_values(batch, "key", columns.read(tmp_path, given, NAMES))
    assert put.to_pylist() == [
        {"key": "a", "one": "1", "other": "x"},
        {"key": "b", "one": "8", "other": "7"},
        {"key": "c", "one": None, "other": "9"},
    ]


def test_a_file_that_was_changed_is_noticed(tmp_path: Path) -> None:
    one, other = (written(tmp_path, name, [("a", "1", None)]) for name in ("one", "other"))
    rows = side_by_side.of(tmp_path, one, other, "key")
    written(tmp_path, "other", [("a", "2", None)])
    with pytest.raises(RecordError, match=r"other\.parquet"):
        list(rows.batches())


PANDAS = """
import sys
from pathlib import Path
from nexus_reimport.files import side_by_side, columns, rowfile

folder = Path(sys.argv[1])
one = rowfile.write(folder / "one.parquet", ("key", "it"), [("a", "1"), ("b", None), ("c", "2")])
other = rowfile.write(folder / "other.parquet", ("key", "it"), [("a", "2"), ("c", "2"), ("d", "")])
rows = side_by_side.of(folder, one, other, "key")
for was, now in rows.batches():
    list(side_by_side.what_differs(was, now, "key", ("it",)))
    side_by_side.with_values(was, "key", columns.read(folder, other, ("key", "it")))
table = columns.read(folder, one, ("key", "it"), ("it",), key={"a", "b"})
column = columns.column(folder, one, "it")
columns.filled(column), columns.unless(column, columns.of(["1"])), columns.written(column)
columns.missing(table, "key", column, "key"), columns.empty(table, "key", "key")
columns.of_several(column, column), columns.unequal(column, columns.column(folder, other, "it"))
columns.repeated(columns.read(folder, one, ("key", "it")), nulls_are_equal=True)
columns.looked_up(column, column, column), columns.first(column, column)
columns.count(column, column), columns.differing(column, column)
columns.unless_any(column, [columns.differ(column, column)])
twice = rowfile.write(folder / "twice.parquet", ("key", "it"), [("a", "1"), ("a", "2")])
list(side_by_side.of(folder, one, twice, "key").batches())
print("pandas" in sys.modules)
"""


def test_pandas_is_not_loaded_to_compare(tmp_path: Path) -> None:
    """It takes a quarter of a second in each process, and 35 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PANDAS, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
