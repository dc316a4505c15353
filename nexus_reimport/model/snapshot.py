"""What FileMaker and S3 held when they were read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from nexus_reimport.filemaker import Origin
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.model.saving import digest
from nexus_reimport.settings import Channel

KEY = "_key"  # the column of an extract's row file that holds a record's key, as FileMaker has it
VERSION = "version"  # the column of the row file of versions


@dataclass(frozen=True, slots=True)
class FieldFound:
    """A field of the mapping, and its name in FileMaker ("" if FileMaker does not have it)."""

    name: str
    found_as: str
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was changed in the texts of one field so that every later place can hold them."""

    field: str
    what: str
    records: int
    sample: tuple[str, ...]  # FileMaker ids


@dataclass(frozen=True, slots=True)
class Extract:
    """One table as it was read, with the counts that prove that it is complete."""

    source: str
    channel: Channel
    table: str
    count_at_start: int
    rows: int
    distinct_keys: int
    count_at_end: int
    newest: str  # the latest modification time, wall clock, "" if the table has none
    seconds: float
    fields: tuple[FieldFound, ...]
    fields_there: int  # on the layout; those beyond ``fields`` are not mapped, and not read
    file: RowFile
    repaired: int = 0  # values that FileMaker could not compute, taken as empty
    origin: Origin | None = None  # the file that it was read from, if it was a file
    cleaned: tuple[Cleaned, ...] = ()
    numbers_alone: tuple[str, ...] = ()  # fields of which words do not arrive, nor are counted
    unread: tuple[str, ...] = ()  # fields for what people enter, which the mapping does not read
    versions: RowFile | None = None  # of its records, in the order of keys; fewer where not known


def row_file(source: str) -> str:
    """The name of the row file of a source: no other private file has it, whatever its name is."""
    return f"read_{source}.parquet"


@dataclass(frozen=True, slots=True)
class Drift:
    """What was done in FileMaker after it was read, and what time has done to the plan."""

    changed: dict[str, str]  # source -> what, for a person
    by_newest: tuple[str, ...]  # sources of which only the count and the newest change can be asked
    # Entity -> rows that are planned as still to come, and are over by now.
    overtaken: dict[str, int] = field(default_factory=dict)
    exported: tuple[str, ...] = ()  # sources read from files, which FileMaker's edits do not reach

    @property
    def edits(self) -> str:
        """What was done in FileMaker, table by table, in one line; "" if nothing was."""
        return "; ".join(f"{source}: {what}" for source, what in sorted(self.changed.items()))


@dataclass(frozen=True, slots=True)
class ChannelUse:
    """One channel: the server behind it, and what reading has cost."""

    channel: Channel
    product: str
    requests: int
    retries: int
    renewals: int
    bytes_read: int
    dates: str = ""  # the order of dates from an older server, "" if it is ISO


@dataclass(frozen=True, slots=True)
class Snapshot:
    """FileMaker at one time: one row file per source."""

    database: str
    taken_at: datetime
    seconds: float
    channels: tuple[ChannelUse, ...]
    extracts: dict[str, Extract]
    cleaned: RowFile | None = None  # source, field, what was done, FileMaker id

    @property
    def digest(self) -> str:
        """A digest of the rows, not of the time of reading."""
        return digest({name: e.file.sha256 for name, e in self.extracts.items()})


@dataclass(frozen=True, slots=True)
class Census:
    """The content of the bucket: a row file of key, size, etag, time, in the order of keys."""

    bucket: str
    taken_at: datetime
    objects: int
    bytes_stored: int
    file: RowFile


# In a sample in the place of the bytes' hash: its storage class lets nobody read the object.
ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Sample:
    """Objects that were read in full: key, size, etag, version, type, hash of headers, of bytes."""

    objects: int
    bytes_read: int
    file: RowFile
