"""The rows of two row files side by side, those of one key in one place, as Arrow holds them.

Only a row that differs becomes values of Python: most rows do not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_reimport.files import columns, rowfile
from nexus_reimport.files.rowfile import Dict, RowFile

if TYPE_CHECKING:
    from pyarrow import BooleanArray, RecordBatch, StringArray, Table
    from pyarrow import ChunkedArray as Column


@dataclass(frozen=True, slots=True)
class Beside:
    """Two files whose rows were paired by ``key``, in whose order both are.

    Of rows that share a key the first of each side are a pair, and so on: a second one that only
    one side has stands alone.
    """

    folder: Path
    one: RowFile
    other: RowFile
    key: str
    gone: tuple[str, ...]  # keys of the rows that only the first has
    added: tuple[str, ...]  # and of those that only the other has
    again: tuple[str, ...]  # of ``added``: those that come after a row of the same key
    has_pair: tuple[BooleanArray, BooleanArray] | None  # of each row of both; None: every one

    @property
    def both(self) -> int:
        """How many rows both have."""
        return self.one.rows - len(self.gone)

    def batches(self) -> Iterator[tuple[RecordBatch, RecordBatch]]:
        """The rows that both have, some at a time, each beside its own.

        Raises:
            RecordError: a file is missing, or has changed since the stage wrote it.
        """
        left, right = (rowfile.batches(self.folder, file) for file in (self.one, self.other))
        if self.has_pair is not None:
            left, right = map(_chosen, (left, right), self.has_pair)
        return _in_step(left, right)


def of(folder: Path, one: RowFile, other: RowFile, key: str) -> Beside:
    """The rows of both, paired by ``key``; a row without one comes before all others.

    Raises:
        RecordError: a file is missing, or has changed since the stage wrote it.
    """
    ones, others = (columns.written(columns.column(folder, f, key)) for f in (one, other))
    if ones.equals(others):
        return Beside(folder, one, other, key, (), (), (), None)
    pairs = _pairs(ones, others)
    gone, added = (
        tuple(columns.texts(columns.unless_true(keys, mask)))
        for keys, mask in zip((ones, others), pairs, strict=True)
    )
    return Beside(folder, one, other, key, gone, added, _again(added, ones), pairs)


def what_differs(
    one: RecordBatch,
    other: RecordBatch,
    key: str,
    names: Collection[str],
    *,
    always: bool = False,
) -> Iterator[tuple[str, Dict, Dict]]:
    """The rows that differ in a column of ``names`` as texts do: the key, and both sides.

    Of these columns those alone in which some row differs, unless ``always``. Of a column that the
    other side has not, all is None there.
    """
    both = {name: (one.column(name), _column(other, name)) for name in names}
    differ = {name: (was, now) for name, (was, now) in both.items() if not was.equals(now)}
    if not differ:
        return
    off = _any_differs(differ.values())
    given = both if always else differ
    keys = one.column(key).filter(off).to_pylist()
    rows = zip(*(_values(pair, off) for pair in given.values()), strict=True)
    for row_key, pairs in zip(keys, rows, strict=True):
        was, now = zip(*pairs, strict=True)
        yield row_key or "", dict(zip(given, was, strict=True)), dict(zip(given, now, strict=True))


def with_values(batch: RecordBatch, key: str, given: Table) -> RecordBatch:
    """The rows with what ``given`` has for their keys, its first column, in its other columns."""
    import pyarrow.compute as pc

    keys, *others = given.columns
    at = pc.index_in(batch.column(key), value_set=keys)
    for name, values in zip(given.column_names[1:], others, strict=True):
        put = pc.if_else(at.is_valid(), values.take(at).combine_chunks(), batch.column(name))
        batch = batch.set_column(batch.schema.get_field_index(name), name, put)
    return batch


def _values(
    both: tuple[StringArray, StringArray], chosen: BooleanArray
) -> Iterator[tuple[str | None, str | None]]:
    was, now = (side.filter(chosen).to_pylist() for side in both)
    return zip(was, now, strict=True)


def _column(batch: RecordBatch, name: str) -> StringArray:
    import pyarrow as pa

    if name in batch.schema.names:
        return batch.column(name)
    return pa.nulls(batch.num_rows, pa.string())


def _any_differs(both: Iterable[tuple[StringArray, StringArray]]) -> BooleanArray:
    """Of each row whether one of these pairs of columns holds two values."""
    import pyarrow.compute as pc

    return pc.invert(reduce(pc.and_, (columns.same(was, now) for was, now in both)))


def _again(added: Sequence[str], ones: Column) -> tuple[str, ...]:
    held = columns.of(added)
    known = set(columns.texts(held.filter(columns.among(held, ones))))
    again = []
    for key in added:
        if key in known:
            again.append(key)
        known.add(key)
    return tuple(again)


def _pairs(ones: Column, others: Column) -> tuple[BooleanArray, BooleanArray]:
    """Of each key of both sides whether it has a partner."""
    left, right = columns.among(ones, others), columns.among(others, ones)
    if ones.filter(left).equals(others.filter(right)):
        return left.combine_chunks(), right.combine_chunks()
    # A key comes more often on one side than on the other.
    pairs = list(rowfile.paired(_by_key(ones), _by_key(others), rowfile.by("key")))
    return (
        _mask(other is not None for _, one, other in pairs if one is not None),
        _mask(one is not None for _, one, other in pairs if other is not None),
    )


def _by_key(keys: Column) -> Iterator[Dict]:
    return ({"key": key} for key in columns.texts(keys))


def _mask(values: Iterable[bool]) -> BooleanArray:
    return rowfile.array(["" if value else None for value in values]).is_valid()


def _chosen(batches: Iterator[RecordBatch], mask: BooleanArray) -> Iterator[RecordBatch]:
    """The rows of the batches for which ``mask``, which is of all of them, is true."""
    start = 0
    for batch in batches:
        yield batch.filter(mask.slice(start, batch.num_rows))
        start += batch.num_rows


def _in_step(
    ones: Iterator[RecordBatch], others: Iterator[RecordBatch]
) -> Iterator[tuple[RecordBatch, RecordBatch]]:
    """The same rows, cut so that both sides have as many at a time; they have as many in all."""
    one, other = next(ones, None), next(others, None)
    while one is not None and other is not None:
        rows = min(one.num_rows, other.num_rows)
        if rows:
            yield one.slice(0, rows), other.slice(0, rows)
        one = one.slice(rows) if one.num_rows > rows else next(ones, None)
        other = other.slice(rows) if other.num_rows > rows else next(others, None)
    for _ in (*ones, *others):
        pass  # to their ends, where the digests are compared
