"""FileMaker, read only: one interface for every channel that its data can come by.

A channel gives text as FileMaker sent it and says how it writes dates; making values of it is
the business of ``convert``. Nothing in this package can write to FileMaker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Product:
    """The server, as it names itself."""

    name: str
    version: str
    date_format: str  # of its own texts; what a channel sends is the channel's ``date_format``


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table, as FileMaker's metadata has it.

    ``type`` is text, number, date, time, timestamp or container. A global field has one value for
    the whole file: no mapping may use it.
    """

    name: str
    type: str
    is_global: bool = False
    is_calculation: bool = False  # summaries too
    repetitions: int = 1


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a table, in the order of its key.

    ``rows`` are ``{field: text}`` as FileMaker sent them: empty is ``""``, a number has every
    digit that was sent, a second repetition is called ``Field(2)``. ``record_ids`` and ``mod_ids``
    are FileMaker's own, row by row. ``repaired`` counts values that could not be computed there
    (a bare ``?``) and are given as empty.
    """

    offset: int  # of the first row, from 1
    rows: tuple[dict[str, str], ...]
    record_ids: tuple[str, ...]
    mod_ids: tuple[str, ...]
    repaired: int = 0


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
    date_format: str
    """How this channel writes dates, times and timestamps: declared, never guessed."""

    def product(self) -> Product:
        """The server."""

    def tables(self) -> tuple[str, ...]:
        """The names of all tables that can be read."""

    def fields(self, table: str) -> dict[str, Field]:
        """The fields of ``table`` by name, in its order."""

    def count(self, table: str) -> int:
        """How many records ``table`` has, by FileMaker's own count."""

    def newest(self, table: str, field: str) -> str:
        """The greatest value of ``field``, such as the last modification; ``""`` if none."""

    def records(self, table: str, *, sort: str, page: int = 1000) -> Iterator[Page]:
        """Every record of ``table`` in the order of the field ``sort``, page by page.

        Raises:
            SourceError: what arrived is not all there is. Nothing was written.
        """

    def usage(self) -> Usage:
        """What was read, and at what cost."""

    def close(self) -> None:
        """Log out and close every connection."""
