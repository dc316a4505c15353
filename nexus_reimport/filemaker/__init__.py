"""FileMaker, read only: one interface for every channel.

Each channel gives text in the same form; ``convert`` makes values of it. Nothing in this package
can write to FileMaker: a pager that wrote to the field that it searched by once skipped 5,094 of
11,259 documents.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from typing import Protocol, Self

from nexus_reimport import text


@dataclass(frozen=True, slots=True)
class Product:
    """The server, as it names itself."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table, from FileMaker's metadata.

    ``type`` is text, number, date, time, timestamp or container; ``""`` if the channel has no
    types. A global field has one value for the whole file, and a summary one for all records that
    were found, so no mapping may use them: one was once mistaken for a flag of each record.
    ``hidden`` are the repetitions that the layout does not show: what they hold does not arrive.
    """

    name: str
    type: str
    is_global: bool = False
    is_calculation: bool = False  # also true for a summary
    is_summary: bool = False
    repetitions: int = 1
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What to read of one table: the field that is its key, and each field with its type.

    A table that joins two others has no key field: then ``key`` and ``beside`` make one together.
    Names are the channel's. The types are those that the mapping expects; a channel without types
    reads by them. ``ids`` are the fields that hold ids of other records.
    """

    table: str
    key: str
    types: Mapping[str, str]
    beside: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields that make the key; records are sorted by them."""
        return (self.key, *self.beside)

    def key_of(self, row: Mapping[str, str]) -> str:
        """The key of a record, without outer blanks; ``""`` where a part of it is missing."""
        if not self.beside:
            return row[self.key].strip()
        parts = [row[name].strip() for name in self.keys]
        return text.of_parts(parts) if all(parts) else ""

    def keys_of(self, rows: Iterable[Mapping[str, str]]) -> list[str]:
        """``key_of`` each of ``rows``."""
        if self.beside:
            return [self.key_of(row) for row in rows]
        return list(map(str.strip, map(itemgetter(self.key), rows)))


@dataclass(frozen=True, slots=True)
class Remark:
    """What a channel could not give of one value as FileMaker has it, in words for a person."""

    row: int  # of its page, from 0
    field: str
    what: str


NO_VALUE = "could not be computed by FileMaker: taken as empty"


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records of a table, in the order of its key.

    ``rows`` are ``{field: text}``, with all wanted fields and maybe others. Empty is ``""``. A
    number has every digit that was sent. Dates, times and timestamps are in ISO form, wall clock; a
    time may be 24 hours or more; a timestamp may have an offset, which means nothing. Paragraphs
    end with ``\\r`` or ``\\n``. The first repetition of a field has the field's name, the second is
    ``Field(2)``. A value that does not fit its type is passed on unchanged, and ``convert`` judges
    it. ``remarks`` name the values that were lost or may have been, such as those that FileMaker
    could not compute (a bare ``?``), which are given as empty.
    """

    offset: int  # of the first row, from 1
    rows: tuple[dict[str, str], ...]
    record_ids: tuple[str, ...] = ()  # FileMaker's own, if the channel has them
    versions: tuple[str, ...] = ()  # of each record, if the channel has them: see ``version``
    remarks: tuple[Remark, ...] = ()
    separated: bool = False  # repetitions of a field are one text, with 0x1D between them

    @property
    def repaired(self) -> int:
        """How many values FileMaker could not compute."""
        return sum(remark.what == NO_VALUE for remark in self.remarks)


def version(record_id: object, modifications: object) -> str:
    """What names one state of a record: FileMaker's id of it, and how often it was changed.

    The server counts, so no clock is asked, and a table without a modification stamp has it too.
    """
    return f"{record_id}.{modifications}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that a table was read from."""

    name: str
    size: int  # bytes
    sha256: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """What reading has cost so far. FileMaker's licence has a yearly limit on bytes sent."""

    bytes_read: int = 0
    requests: int = 0
    retries: int = 0
    renewals: int = 0  # of an expired session
    repaired: int = 0


class Meter:
    """Counts what reading a source costs; several threads may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._usage = Usage()

    def add(self, **more: int) -> None:
        """Add to the named counters of ``Usage``."""
        with self._lock:
            sums = {name: getattr(self._usage, name) + number for name, number in more.items()}
            self._usage = replace(self._usage, **sums)

    def read(self) -> Usage:
        """The counters as they are now."""
        with self._lock:
            return self._usage


class Source(Protocol):
    """One channel to one FileMaker file. Several threads may use it at the same time."""

    channel: str

    def product(self) -> Product:
        """The server's name and version."""

    def tables(self) -> tuple[str, ...]:
        """The names of all tables that can be read."""

    def fields(self, table: str) -> dict[str, Field]:
        """The fields of ``table`` by name, in its order."""

    def numbers_alone(self, table: str) -> bool:
        """Whether of a number field only a number arrives: ``about 5`` as 5, a word not at all.

        FileMaker stores in such a field what was typed, and nothing else shows that it was cut.
        """

    def origin(self, table: str) -> Origin | None:
        """The file that ``table`` comes from; None if a server answers."""

    def count(self, table: str) -> int:
        """How many records ``table`` has: FileMaker's own count, or the file's number of rows."""

    def newest(self, table: str, field: str) -> str:
        """The greatest value of a timestamp, such as the last modification; ``""`` if none."""

    def records(self, request: ReadRequest, *, page: int = 1000) -> Iterator[RecordPage]:
        """Every record of a table in the order of its key, page by page.

        Raises:
            SourceError: the records that arrived are not complete. Nothing was written.
        """

    def versions(self, request: ReadRequest, *, page: int = 1000) -> Iterator[tuple[str, ...]]:
        """The ``version`` of every record in the order of its key, page by page.

        Without one page if the channel has no versions, or the table no record.
        """

    def usage(self) -> Usage:
        """What reading has cost so far."""

    def close(self) -> None:
        """Log out and close every connection."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
