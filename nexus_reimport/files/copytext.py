r"""Rows in the text format of PostgreSQL's COPY, read and written by column.

Each row is a line, with tabs between its values; ``\N`` is a null, and a backslash stands before
what would be taken for one of these. Row by row through the driver took three times as long.

Source: PostgreSQL, "COPY", "File Formats".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nexus_reimport.files import rowfile

if TYPE_CHECKING:
    from pyarrow import RecordBatch

_NULL = r"\N"
_MARK = b"\xef\xbb\xbf"  # Arrow leaves it out at the beginning
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_MEANS_MORE = re.compile(r"[\\\t\n\r]")
_WRITTEN = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def batch(lines: bytes, names: Sequence[str]) -> RecordBatch:
    """The rows of whole ``lines`` in UTF-8, of which there is one, as columns of these names."""
    import pyarrow as pa

    # Each backslash belongs to a null: else Arrow, which knows no escapes here, cannot read them.
    is_plain = lines.count(b"\\") == lines.count(_NULL.encode())
    if is_plain and not lines.startswith(_MARK):
        return _plain(lines, names)
    values = _values(lines.decode())
    columns = [rowfile.array(values[number :: len(names)]) for number in range(len(names))]
    return pa.RecordBatch.from_arrays(columns, names=list(names))


def lines(columns: Sequence[Sequence[str | None]]) -> str:
    """The rows whose values are ``columns``."""
    texts = map(_written, columns)
    return "".join(f"{line}\n" for line in map("\t".join, zip(*texts, strict=True)))


def _plain(lines: bytes, names: Sequence[str]) -> RecordBatch:
    import pyarrow as pa
    from pyarrow import csv

    table = csv.read_csv(
        pa.BufferReader(lines),
        csv.ReadOptions(use_threads=False, column_names=list(names), block_size=len(lines) + 1),
        csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[_NULL],
            strings_can_be_null=True,
        ),
    )
    (whole,) = table.combine_chunks().to_batches()
    return whole


def _values(lines: str) -> list[str | None]:
    # A line end or a tab inside a value is escaped, so each that is left ends a value.
    values = lines.replace("\n", "\t").split("\t")
    values.pop()  # what follows the last line end
    return [_meant(value) if "\\" in value else value for value in values]


def _meant(value: str) -> str | None:
    if value == _NULL:
        return None
    return _ESCAPED.sub(lambda match: _MEANT.get(match[1], match[1]), value)


def _written(column: Sequence[str | None]) -> list[str]:
    if _MEANS_MORE.search("".join(value for value in column if value)):
        column = [value and value.translate(_WRITTEN) for value in column]
    return [_NULL if value is None else value for value in column]
