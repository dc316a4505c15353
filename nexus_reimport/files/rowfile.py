"""Row files: rows on their way between stages, as text, in Parquet, readable only by the owner.

Every value is the text that PostgreSQL or FileMaker wrote, or None. The digest is over the rows,
not over the Parquet file: equal rows give equal digests with every version of the library.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nexus_reimport.errors import CHANGED_FILE, RecordError, is_of_system
from nexus_reimport.files import private

if TYPE_CHECKING:
    from pyarrow import RecordBatch, StringArray
    from pyarrow.parquet import ParquetFile

# Before Arrow is loaded, here or elsewhere: its own pool keeps what was freed for the next piece,
# which took 100 MiB more at the peak of a plan, and no less time.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
BATCH = 5_000  # rows in memory at a time, or fewer where their texts are long:
_MOST_HELD = 8 << 20  # characters, which are in memory three times while they are written
_MOST_BYTES = (1 << 31) - 1  # of one column of a batch, whose places are numbers of 32 bits
# The escaped ones are the full-width forms of the same four signs.
_COMPUTING = r"=+\-@\uff1d\uff0b\uff0d\uff20"
_COMPUTED = re.compile(rf"\s*[{_COMPUTING}]|[\t\r\n]")
# A plain negative number computes to itself: an apostrophe would only change it.
_NEGATIVE = re.compile(r"-[0-9]+(?:\.[0-9]+)?")
# Blanks at the ends too: a spreadsheet cuts them where they are not quoted.
_QUOTED = re.compile(r"""[",;\t\r\n]|^\s|\s$""")
# What may be either, in a line of values with commas between them.
_UNUSUAL = re.compile(rf"""[";\t\r\n]|(?:^|,)[\s{_COMPUTING}]|\s(?:,|$)""")
Row = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class RowFile:
    """A row file as stages pass it on: its name in the private folder, columns, rows and digest."""

    name: str
    columns: tuple[str, ...]
    rows: int
    sha256: str


class _Digest:
    """The digest of rows that are added in batches: it does not know how they were gathered.

    Of each column there are two SHA-256: of the values' lengths (of the UTF-8, four bytes each, the
    lowest first; -1 for None), and of the values one after the other. The digest is the SHA-256 of
    all of these, in the order of the columns. A text of each row took half of the time of a read.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = [(hashlib.sha256(), hashlib.sha256()) for _ in columns]

    def add(self, batch: RecordBatch) -> None:
        """Add the rows of a batch."""
        for values, (lengths, texts) in zip(batch.columns, self._columns, strict=True):
            sizes, data = _parts(values)
            lengths.update(sizes)
            texts.update(data)

    def hexdigest(self) -> str:
        """Of the rows that were added until now."""
        both = b"".join(part.digest() for column in self._columns for part in column)
        return private.sha256(both)


def array(values: Sequence[str | None]) -> StringArray:
    """``values`` as Arrow keeps them; ``pyarrow.array`` would load pandas, as ``_parts`` says."""
    import numpy as np
    import pyarrow as pa

    data = b"" if None in values else "".join(cast("Sequence[str]", values)).encode()
    if None in values or len(data) > _MOST_BYTES:
        builder = pa.lib.StringBuilder()
        builder.append_values(values)
        return builder.finish()
    # Without nulls the buffers are made in half of the builder's time.
    texts = cast("Sequence[str]", values)
    lengths = map(len, texts if len(data) == sum(map(len, texts)) else map(str.encode, texts))
    ends = np.zeros(len(texts) + 1, np.int32)
    np.cumsum(np.fromiter(lengths, np.int32, len(texts)), out=ends[1:])
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(data))


def _parts(values: StringArray) -> tuple[memoryview, memoryview]:
    """The lengths of all values, -1 for None, and their UTF-8, one after the other.

    Arrow keeps it so already, with the place where each value ends; ``values`` may be a part of it.
    No function of Arrow that takes a value of Python: it would load pandas, 0.3 s and 40 MiB.
    """
    import numpy as np

    validity, offsets, data = values.buffers()
    if not len(values) or offsets is None:
        return memoryview(b""), memoryview(b"")
    ends = np.frombuffer(offsets, "<i4")[values.offset : values.offset + len(values) + 1]
    sizes = np.diff(ends)
    if values.null_count:
        valid = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")
        nulls = valid[values.offset : values.offset + len(values)] == 0
        if sizes[nulls].any():  # Arrow allows bytes under a null, though its readers leave none
            _, offsets, data = values.drop_null().buffers()
            ends = np.frombuffer(offsets, "<i4")
        sizes[nulls] = -1
    texts = memoryview(b"") if data is None else memoryview(data)[int(ends[0]) : int(ends[-1])]
    return sizes.data, texts


class Writer:
    """Adds rows to one file; ``done`` describes it."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        # Imported late: a command that reads no rows need not wait for it.
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._columns = tuple(columns)
        # Text alone: a typed column could print a value otherwise than PostgreSQL has.
        self._schema = pa.schema([(name, pa.string()) for name in self._columns])
        self._path = path
        private.make_folder(path.parent)
        path.unlink(missing_ok=True)
        self._handle = private.create(path)
        self._parquet = pq.ParquetWriter(self._handle, self._schema)
        self._digest = _Digest(self._columns)
        self._batch: list[Row] = []
        self._held: list[list[str | None]] = [[] for _ in self._columns]
        self._characters = 0  # in what is held
        self._rows = 0

    def add(self, row: Row) -> None:
        """Add one row, in the order of the columns."""
        self._batch.append(row)
        self._characters += sum(map(len, filter(None, row)))
        self._rows += 1
        if len(self._batch) >= BATCH or self._characters > _MOST_HELD:
            self._flush()

    def add_columns(self, columns: Sequence[Sequence[str | None]]) -> None:
        """Add rows that are given by column, all of the same length."""
        if self._batch:  # rows that were added one by one are written before these
            self._flush()
        for held, column in zip(self._held, columns, strict=True):
            held.extend(column)
            self._characters += sum(map(len, filter(None, column)))
        self._rows += len(columns[0])
        if len(self._held[0]) >= BATCH or self._characters > _MOST_HELD:
            self._flush()

    def add_batch(self, batch: RecordBatch) -> None:
        """Add rows as Arrow holds them, with the same columns."""
        self._flush()
        self._rows += batch.num_rows
        self._put(batch)

    def _flush(self) -> None:
        self._characters = 0
        if any(self._held):
            held, self._held = self._held, [[] for _ in self._columns]
            self._write(held)
        if self._batch:
            batch, self._batch = self._batch, []
            self._write(list(zip(*batch, strict=True)))

    def _write(self, columns: Sequence[Sequence[str | None]]) -> None:
        import pyarrow as pa

        arrays = list(map(array, columns))
        self._put(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def _put(self, batch: RecordBatch) -> None:
        self._digest.add(batch)
        with private.named(self._path):
            self._parquet.write_batch(batch)

    def close(self) -> None:
        """Write the remaining rows and sync the file to the disk."""
        self._flush()
        with private.named(self._path):
            self._parquet.close()
            # The next stage, and after a kill the next command, rely on the file.
            private.sync(self._handle)
            self._handle.close()

    def give_up(self) -> None:
        """Close the file and remove it: half a row file is of no use, and takes up a full disk."""
        with suppress(Exception):  # it writes the end of the file, which can fail as the rows did
            self._parquet.close()
        with suppress(OSError):
            self._handle.close()
        self._path.unlink(missing_ok=True)

    def done(self) -> RowFile:
        """The row file with the rows that were added until now."""
        self._flush()
        return RowFile(self._path.name, self._columns, self._rows, self._digest.hexdigest())


@contextmanager
def writer(path: Path, columns: Sequence[str]) -> Iterator[Writer]:
    """A writer of ``path``, closed and synced at the end; an earlier file there is replaced.

    After an error, also of a full disk, there is no file.
    """
    out = Writer(path, columns)
    try:
        yield out
        out.close()
    except BaseException:
        out.give_up()
        raise


def write(path: Path, columns: Sequence[str], rows: Iterable[Row] = ()) -> RowFile:
    """A row file of ``rows``, closed and synced."""
    with writer(path, columns) as out:
        for row in rows:
            out.add(row)
    return out.done()


def read(folder: Path, file: RowFile) -> Iterator[tuple[str | None, ...]]:
    """The rows of ``file`` in ``folder``, in order, checked against its digest at the end.

    Raises:
        RecordError: the file is missing, or has changed since the stage wrote it.
    """
    for batch in batches(folder, file):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def batches(folder: Path, file: RowFile) -> Iterator[RecordBatch]:
    """The same, some rows at a time, as Arrow holds them."""

    where = folder / file.name
    digest, rows = _Digest(file.columns), 0
    try:
        source = _opened(where)
    except (OSError, ValueError) as error:
        if is_of_system(error):
            raise
        raise _changed(where.name) from None
    with source:
        if source.schema_arrow.names != list(file.columns):
            raise _changed(where.name)
        for batch in _batches(source):
            digest.add(batch)
            rows += batch.num_rows
            yield batch
    if rows != file.rows or digest.hexdigest() != file.sha256:
        raise _changed(where.name)


def _opened(path: Path) -> ParquetFile:
    """A row file, of which only the rows that are read are in memory.

    Read ahead, as Arrow does unless told otherwise, all that was read stays there to the end.
    """
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, pre_buffer=False)


def _batches(source: ParquetFile, columns: Sequence[str] | None = None) -> Iterator[RecordBatch]:
    """The rows as they were written: those whose texts are long, few at a time."""
    # Threads take longer than they save where there is little.
    is_long = source.metadata.num_rows > BATCH
    for group in range(source.num_row_groups):  # of several at once, Arrow fills each batch
        yield from source.iter_batches(BATCH, [group], columns, use_threads=is_long)


def distinct(path: Path, together: Sequence[str] = ()) -> Iterator[dict[str, list[str | None]]]:
    """A row file's values by column, some rows at a time: of those rows each value once.

    The columns ``together`` are given row by row. Nothing is compared with its digest.

    Raises:
        OSError, ValueError: it is gone, or no row file.
    """
    with _opened(path) as source:
        for batch in _batches(source):
            names = zip(batch.schema.names, batch.columns, strict=True)
            yield {n: (c if n in together else c.unique()).to_pylist() for n, c in names}


def read_dicts(folder: Path, file: RowFile) -> Iterator[dict[str, str | None]]:
    """The rows of ``file`` as dictionaries by column."""
    return (dict(zip(file.columns, row, strict=True)) for row in read(folder, file))


def read_in_order(folder: Path, file: RowFile, key: str) -> Iterator[Dict]:
    """The same of a file in the order of ``key``.

    Raises:
        RecordError: the file is missing, has changed since the stage wrote it, or is in no order.
    """
    last = ""
    for row in read_dicts(folder, file):
        if (now := row[key] or "") < last:
            raise _changed(file.name)
        last = now
        yield row


def read_columns(folder: Path, file: RowFile, columns: Sequence[str]) -> Iterator[Dict]:
    """Some columns of each row, by column, for who wrote the file just now.

    Only they are read, so nothing is compared with the digest. What is no column is not given.
    """
    wanted = [column for column in columns if column in file.columns]
    with _opened(folder / file.name) as source:
        for batch in _batches(source, wanted):
            by_column = [batch.column(name).to_pylist() for name in wanted]
            yield from (dict(zip(wanted, row, strict=True)) for row in zip(*by_column, strict=True))


Dict = dict[str, str | None]
Key = Callable[[Dict], tuple[str, ...]]


def by(*columns: str) -> Key:
    """A row's key: what ``columns`` hold, nothing before everything else as text sorts it."""
    return lambda row: tuple(row.get(column) or "" for column in columns)


def paired(
    ones: Iterable[Dict], others: Iterable[Dict], key: Key
) -> Iterator[tuple[tuple[str, ...], Dict | None, Dict | None]]:
    """The rows of two files side by side, in whose order of ``key`` both are; None where one lacks.

    Of rows that share a key the first of each side are a pair, and so on: a second one that only
    one side has stands alone. No more than one row of each is held.
    """
    left, right = iter(ones), iter(others)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        before = None if one is None else key(one)
        after = None if other is None else key(other)
        if before is not None and (after is None or before < after):
            yield before, one, None
            one = next(left, None)
        elif after is not None and (before is None or after < before):
            yield after, None, other
            other = next(right, None)
        elif before is not None:
            yield before, one, other
            one, other = next(left, None), next(right, None)


def to_csv(folder: Path, file: RowFile, path: Path, keep: Callable[[Row], bool]) -> None:
    """Write the rows for which ``keep`` is true as CSV with a header, for a person to open."""
    write_csv(path, file.columns, (row for row in read(folder, file) if keep(row)))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a CSV file for a person to open in a spreadsheet; only its owner can read it.

    It begins with a byte-order mark, by which Excel recognises UTF-8. A text that a spreadsheet
    would compute gets an apostrophe, so that ``+61 412 …`` stays unchanged; a plain negative number
    needs none.

    Source: OWASP, "CSV Injection".
    """
    path.unlink(missing_ok=True)
    # replace: half a surrogate pair cannot be encoded, and must not end the list.
    with (
        private.named(path),
        TextIOWrapper(
            private.create(path), encoding="utf-8-sig", errors="replace", newline=""
        ) as out,
    ):
        out.write(_line(header))
        out.writelines(map(_line, rows))


def _line(row: Row) -> str:
    texts = [value or "" for value in row]
    joined = ",".join(texts)
    # Most rows are ids and words, which are asked about at once.
    is_plain = joined.count(",") == len(texts) - 1 and not _UNUSUAL.search(joined)
    return (joined if is_plain else ",".join(map(_field, texts))) + "\r\n"


def _field(text: str) -> str:
    """One value; also quoted if it holds ``;``, which separates values in some countries."""
    if _COMPUTED.match(text) and not _NEGATIVE.fullmatch(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _changed(name: str) -> RecordError:
    return RecordError(
        f"{name} is missing, or is not what the run wrote there",
        where="the run's private folder",
        next=CHANGED_FILE,
    )
