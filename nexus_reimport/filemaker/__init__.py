"""FileMaker, read only: one interface for every channel that its data can come by.

A channel gives text in one form, whatever it came in; making values of it is the business of
``convert``. Nothing in this package can write to FileMaker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from nexus_reimport.text import JOINT


@dataclass(frozen=True, slots=True)
class Product:
    """The server, as it names itself."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table, as FileMaker's metadata has it.

    ``type`` is text, number, date, time, timestamp or container; ``""`` where the channel cannot
    tell. A global field has one value for the whole file: no mapping may use it.
    """

    name: str
    type: str
    is_global: bool = False
    is_calculation: bool = False  # summaries too
    repetitions: int = 1


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What to read of one table: the field that is its key, and each field with its type.

    A table that joins two others has no key of its own: then ``beside`` are the fields that make
    one together with ``key``. Names are those that the channel has for them. The types are what
    the mapping expects: a channel that has none of its own reads by them. ``ids`` are the fields
    that hold ids of other records.
    """

    table: str
    key: str
    types: Mapping[str, str]
    beside: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields that are the key together: by these records are put in order."""
        return (self.key, *self.beside)

    def key_of(self, row: Mapping[str, str]) -> str:
        """The key of a record, without outer blanks; ``""`` where a part of it is missing."""
        parts = [row[name].strip() for name in self.keys]
        return JOINT.join(parts) if all(parts) else ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a table, in the order of its key.

    ``rows`` are ``{field: text}``, the wanted fields at least. Empty is ``""``; a number has every
    digit that was sent; dates, times and timestamps are in ISO form, wall clock, a time may pass
    24 hours, a timestamp may carry an offset that means nothing; paragraphs end with ``\\r`` or
    ``\\n``; the first repetition of a field is called as the field, the second ``Field(2)``. What
    does not fit its type is passed on as it came, for ``convert`` to tell. ``repaired`` counts
    values that could not be computed there (a bare ``?``) and are given as empty.
    """

    offset: int  # of the first row, from 1
    rows: tuple[dict[str, str], ...]
    record_ids: tuple[str, ...] = ()  # FileMaker's own, where the channel tells them
    mod_ids: tuple[str, ...] = ()
    repaired: int = 0
    separated: bool = False  # the repetitions of a field are one text, with 0x1D between them


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that a table was read from."""

    name: str
    size: int  # bytes
    sha256: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """What a source has cost so far. FileMaker's licence has a yearly limit on bytes."""

    bytes_read: int = 0
    requests: int = 0
    retries: int = 0
    renewals: int = 0  # of an expired session
    repaired: int = 0


class Source(Protocol):
    """One channel to one FileMaker file. May be used by several threads at a time."""

    channel: str

    def product(self) -> Product:
        """What answers."""

    def tables(self) -> tuple[str, ...]:
        """The names of all tables that can be read."""

    def fields(self, table: str) -> dict[str, Field]:
        """The fields of ``table`` by name, in its order."""

    def origin(self, table: str) -> Origin | None:
        """The file that ``table`` comes from; None where a server answers."""

    def count(self, table: str) -> int:
        """How many records ``table`` has, by FileMaker's own count, or the file's."""

    def newest(self, table: str, field: str) -> str:
        """The greatest value of a timestamp, such as the last modification; ``""`` if none."""

    def records(self, request: ReadRequest, *, page: int = 1000) -> Iterator[Page]:
        """Every record of a table in the order of its key, page by page.

        Raises:
            SourceError: what arrived is not all there is. Nothing was written.
        """

    def usage(self) -> Usage:
        """What was read, and at what cost."""

    def close(self) -> None:
        """Log out and close every connection."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
