"""Columns of row files as Arrow holds them: ids are compared without an object of Python for each.

An id of 36 characters takes 40 bytes in a column, and 85 as a text, with as many again in a set.
A ``Table`` is pyarrow's, a ``Column`` one of its columns; None is a null there. No value of Python
is given to a function of Arrow: that would load pandas (``rowfile``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile

if TYPE_CHECKING:
    from typing import Any

    import numpy
    from pyarrow import ChunkedArray as Booleans
    from pyarrow import ChunkedArray as Column
    from pyarrow import StringArray, StringScalar, Table

    Numbers = numpy.ndarray[Any, Any]  # whole ones, of rows

# Values in which others are looked up at once: Arrow's table of them takes 300 bytes of each.
_KNOWN = 1 << 16


def read(
    folder: Path,
    file: RowFile,
    columns: Sequence[str],
    few: Collection[str] = (),
    **wanted: Collection[str],
) -> Table:
    """Some columns of a row file, those ``few`` of few different values.

    Of rows alone in which the columns ``wanted`` hold one of the values.

    Raises:
        RecordError: the file is missing, or has changed since the stage wrote it.
    """
    import pyarrow as pa

    text, named = pa.string(), pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([(name, named if name in few else text) for name in columns])
    parts = []
    for batch in rowfile.batches(folder, file):
        chosen = where(batch, **wanted)
        held = [chosen.column(name) for name in columns]
        both = zip(columns, held, strict=True)
        held = [column.dictionary_encode() if name in few else column for name, column in both]
        parts.append(pa.RecordBatch.from_arrays(held, schema=schema))
    return pa.Table.from_batches(parts, schema)


def column(folder: Path, file: RowFile, name: str) -> Column:
    """One column of a row file; raises as ``read``."""
    return read(folder, file, (name,))[name]


def of(values: Iterable[str | None]) -> Column:
    """A column of texts that are made one after the other."""
    import pyarrow as pa

    parts, part = [], list[str | None]()
    for value in values:
        part.append(value)
        if len(part) == rowfile.BATCH:
            parts.append(rowfile.array(part))
            part = []
    return pa.chunked_array([*parts, rowfile.array(part)])


def shared(column: Column, other: Column) -> Column:
    """``column``; if ``other`` holds the same, that one, so that it is in memory once."""
    return other if other.equals(column) else column


def together(columns: Sequence[Column]) -> Column:
    """Several columns, one after the other."""
    import pyarrow as pa

    return pa.chunked_array([c for column in columns for c in column.chunks], pa.string())


def in_one_piece(column: Column) -> Column:
    """The same values, which ``at`` need not put together each time."""
    import pyarrow as pa

    return pa.chunked_array([_array(column)], pa.string())


def _array(column: Column) -> StringArray:
    """The same values; a column in one piece is not copied, as Arrow does."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def texts(column: Column) -> Iterator[str]:
    """The values one after the other, nothing as ""."""
    return (value or "" for value in values(column))


def values(column: Column) -> Iterator[str | None]:
    """The values one after the other, a null as None."""
    return (value for chunk in column.chunks for value in chunk.to_pylist())


def written(column: Column) -> Column:
    """The values, a null as ""."""
    import pyarrow.compute as pc

    return pc.fill_null(column, _text(""))


def _text(value: str | None) -> StringScalar:
    """One value as functions of Arrow take it."""
    return rowfile.array([value])[0]


def nothing(rows: int) -> Column:
    """A column of nulls."""
    import pyarrow as pa

    return pa.chunked_array([pa.nulls(rows, pa.string())])


def first(one: Column, other: Column) -> Column:
    """What ``one`` holds in each row, or, where that is null, ``other``."""
    import pyarrow.compute as pc

    return pc.coalesce(one, other)


def in_turn(several: Sequence[Column]) -> Column:
    """The values of several columns, row by row."""
    if len(several) == 1:
        return several[0]
    rows = zip(*map(values, several), strict=True)
    return of(value for row in rows for value in row)


def places(wanted: Column, known: Column) -> Numbers:
    """Of each wanted value the number of the first row of ``known`` that holds it, -1 if none."""
    import numpy as np
    import pyarrow.compute as pc

    rows = np.full(len(wanted), -1)
    for start, some in _parts(known, wanted):
        here = _numbers(pc.index_in(wanted, value_set=_array(some), skip_nulls=True))
        rows = np.where((rows < 0) & (here >= 0), here + start, rows)
    return rows


def _parts(known: Column, asked: Column) -> Iterator[tuple[int, Column]]:
    """``known`` in parts, each with the number of its first row; none where nothing is asked."""
    for start in range(0, len(known) if len(asked) else 0, _KNOWN):
        yield start, known[start : start + _KNOWN]


def at(column: Column, places: Numbers) -> Column:
    """What ``column`` holds in these rows, null for -1."""
    import numpy as np
    import pyarrow as pa

    valid = pa.py_buffer(np.packbits(places >= 0, bitorder="little"))
    rows = pa.Array.from_buffers(pa.int64(), len(places), [valid, pa.py_buffer(places)])
    return pa.chunked_array([_array(column).take(rows)])


def whole(numbers: Iterable[int]) -> Numbers:
    """Whole numbers as numpy has them."""
    import numpy as np

    return np.fromiter(numbers, np.int64)


def ranks(*columns: Column) -> Numbers:
    """The numbers of the rows in the order of the first column, of equal ones of the next one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = [str(number) for number in range(len(columns))]
    keys = [(name, "ascending") for name in names]
    return _numbers(
        pa.chunked_array([pc.sort_indices(pa.Table.from_arrays([*columns], names), sort_keys=keys)])
    )


def _numbers(column: Column) -> Numbers:
    """Whole numbers as numpy has them, -1 for a null."""
    import numpy as np

    parts = [np.empty(0, np.int64)]
    for chunk in column.chunks:
        validity, data = chunk.buffers()
        held = np.frombuffer(data, chunk.type.to_pandas_dtype())[chunk.offset :][: len(chunk)]
        if chunk.null_count:
            valid = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")
            held = np.where(valid[chunk.offset :][: len(chunk)], held, -1)
        parts.append(held.astype(np.int64))
    return np.concatenate(parts)


class Index:
    """Finds the rows of a column that hold a value, where it is asked page after page.

    ``places`` goes through the whole column each time: with as many more pages as there are rows,
    that grows with their square. In memory are 16 bytes for each row, beside the column.
    """

    def __init__(self, known: Column) -> None:
        import numpy as np

        hashes = np.fromiter(map(hash, texts(known)), np.int64, len(known))
        self._known, self._order = in_one_piece(known), np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def rows(self, wanted: Sequence[str]) -> list[list[int]]:
        """Of each wanted value the numbers of the rows that hold it, in order."""
        import numpy as np

        hashes = np.fromiter(map(hash, wanted), np.int64, len(wanted))
        starts = np.searchsorted(self._hashes, hashes)
        counts = np.searchsorted(self._hashes, hashes, side="right") - starts
        of_wanted = np.repeat(np.arange(len(wanted)), counts)
        offsets = np.arange(len(of_wanted)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = self._order[np.repeat(starts, counts) + offsets]
        rows_of: list[list[int]] = [[] for _ in wanted]
        # Two values can share a hash.
        held = values(at(self._known, rows))
        for number, row, value in zip(of_wanted.tolist(), rows.tolist(), held, strict=True):
            if value == wanted[number]:
                rows_of[number].append(row)
        return rows_of

    def first(self, wanted: Sequence[str]) -> Numbers:
        """Of each wanted value the first of these rows, -1 if none."""
        return whole(rows[0] if rows else -1 for rows in self.rows(wanted))


def looked_up(wanted: Column, known: Column, given: Column) -> Column:
    """What ``given`` holds in the first row whose ``known`` value is each wanted one, or null."""
    return at(given, places(wanted, known))


def last(wanted: Column, known: Column, given: Column) -> Column:
    """The same for the last row whose ``known`` value is each wanted one."""
    return looked_up(wanted, *(together([one])[::-1] for one in (known, given)))


def of_several(held: Column, owners: Column) -> Column:
    """The values beside which there are different owners."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows, (same_value, same_owner) = _after_alike(pa.table({"value": held, "owner": owners}))
    several = rows["value"].filter(pc.and_not(same_value, same_owner))
    return of(dict.fromkeys(values(several)))


def unless(values: Column, gone: Column) -> Column:
    """The values, null where they are empty or among ``gone``."""
    import pyarrow.compute as pc

    off = pc.or_(pc.equal(values, _text("")), among(values, gone))
    return pc.if_else(off, _text(None), values)


def differ(ones: Column, others: Column) -> Booleans:
    """Of each row whether two columns hold different values; a null differs from none."""
    import pyarrow.compute as pc

    unlike = pc.not_equal(ones, others)
    return pc.and_kleene(unlike, unlike.is_valid())


def unless_any(values: Column, several: Sequence[Booleans]) -> Column:
    """The values, null beside which there is a true in one of ``several``."""
    import pyarrow.compute as pc

    return pc.if_else(reduce(pc.or_, several, values.is_null()), _text(None), values)


def where(table: Table, **wanted: Collection[str]) -> Table:
    """The rows whose columns hold one of these values."""
    import pyarrow.compute as pc

    for name, values in wanted.items():
        several = rowfile.array(sorted(values))
        table = table.filter(pc.is_in(table.column(name), value_set=several))
    return table


def filled(values: Column) -> Column:
    """The values that are not empty."""
    import pyarrow.compute as pc

    return values.filter(pc.not_equal(values, _text("")))


def distinct(values: Column) -> Column:
    """Each of the values once, in their order."""
    import pyarrow as pa

    return pa.chunked_array([values.unique()], pa.string())


def among(values: Column, known: Column) -> Booleans:
    """Of each value whether it is a known one."""
    import pyarrow.compute as pc

    several = (pc.is_in(values, value_set=some) for _, some in _parts(known, values))
    return reduce(pc.or_, several, pc.is_in(values, value_set=known[:0]))


def numbers_among(values: Column, known: Column) -> list[int]:
    """The numbers of the values that are known ones."""
    numbers: list[int] = (places(values, known) >= 0).nonzero()[0].tolist()
    return numbers


def count(values: Column, known: Column) -> int:
    """How many of the values are known ones."""
    import pyarrow.compute as pc

    return int(pc.sum(among(values, known)).as_py() or 0)


def missing(table: Table, name: str, known: Column, given: str) -> list[str]:
    """What ``given`` holds in the rows whose column ``name`` holds no known value."""
    import pyarrow.compute as pc

    return list(texts(table.filter(pc.invert(among(table[name], known)))[given]))


def unless_true(values: Column, mask: Booleans) -> Column:
    """The values beside which there is no true."""
    import pyarrow.compute as pc

    return values.filter(pc.invert(mask))


def empty(table: Table, name: str, given: str) -> list[str]:
    """What ``given`` holds in the rows whose column ``name`` holds nothing."""
    import pyarrow.compute as pc

    return list(texts(table.filter(pc.equal(written(table[name]), _text("")))[given]))


def differing(ones: Column, others: Column) -> int:
    """In how many rows two columns hold different values; a null differs from none."""
    import pyarrow.compute as pc

    return int(pc.sum(differ(ones, others)).as_py() or 0)


def unequal(ones: Column, others: Column) -> list[str]:
    """The values that only one of two columns has, or more often than the other, sorted."""
    ones, others = written(ones), written(others)
    if ones.sort().equals(others.sort()):
        return []
    some, more = Counter(texts(ones)), Counter(texts(others))
    return sorted({*(some - more), *(more - some)})


def paired_otherwise(lines: Table, id_map: Table) -> list[str]:
    """The Nexus ids of ``lines`` whose FileMaker id the id map pairs with another one, or none."""
    import pyarrow.compute as pc

    # Of an id that comes twice the last line counts.
    written, key = (id_map[name].combine_chunks()[::-1] for name in ("filemaker_id", "nexus_id"))
    at = pc.index_in(lines["filemaker_id"], value_set=written)
    paired = same(key.take(at.combine_chunks()), lines["nexus_id"])
    is_right = pc.and_(paired, lines["nexus_id"].is_valid())
    return list(texts(lines.filter(pc.invert(is_right))["nexus_id"]))


def repeated(table: Table, *, nulls_are_equal: bool) -> set[tuple[str | None, ...]]:
    """What several rows of ``table`` hold alike; a row with a null is alike none, if told so."""
    import pyarrow.compute as pc

    rows, are_same = _after_alike(table)
    several = rows.filter(reduce(pc.and_, are_same))
    held = zip(*(column.to_pylist() for column in several.columns), strict=True)
    return {row for row in held if nulls_are_equal or None not in row}


def _after_alike(table: Table) -> tuple[Table, list[Booleans]]:
    """The rows in the order of their values, and of each column whether it is the row before's.

    The first row is left out. Not by ``group_by``, whose library brings pandas.
    """
    import pyarrow.compute as pc

    keys = [(name, "ascending") for name in table.column_names]
    ordered = table.take(pc.sort_indices(table, sort_keys=keys)).combine_chunks()
    rows = ordered.slice(1)
    before = ordered.slice(0, len(rows))
    return rows, [same(*both) for both in zip(rows.columns, before.columns, strict=True)]


def same(ones: Column, others: Column) -> Booleans:
    """Of each row whether two columns hold the same; a null is the same as a null."""
    import pyarrow.compute as pc

    return pc.coalesce(pc.equal(ones, others), pc.and_(ones.is_null(), others.is_null()))
