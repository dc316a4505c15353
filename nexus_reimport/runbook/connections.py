"""T2: FileMaker, PostgreSQL, S3, Nexus's API: connected or not and why, as asked just now."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from nexus_reimport import application, record, wording
from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.errors import (
    ReimportError,
    SettingsError,
    StopError,
    unforeseen,
)
from nexus_reimport.filemaker.channels import Channels
from nexus_reimport.filemaker.http import RetryPolicy
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Report, Result, Snapshot
from nexus_reimport.nexus import deployment, rights
from nexus_reimport.nexus.connection.postgres import connected, scalar
from nexus_reimport.nexus.rights import Right, Task
from nexus_reimport.record import Run
from nexus_reimport.runbook import opening
from nexus_reimport.settings import Channel, FileMaker, Settings
from nexus_reimport.stages import census

T = TypeVar("T")
# A person waits in front of a page: what does not answer at once is told as such.
QUICKLY = RetryPolicy(connect=5.0, read=15.0, whole=30.0, tries=1, first_tries=1)
FILES_CHECK = "every_file_is_in_s3"
_CHANNELS: dict[Channel, str] = {
    "data_api": "Data API",
    "odata": "OData",
    "exports": "exported files",
}


@dataclass(frozen=True, slots=True)
class Missing:
    """A right that the role lacks: what for, and the statement that gives it."""

    what: str
    statement: str


@dataclass(frozen=True, slots=True)
class Connection:
    """One server: what it said of itself, or why it could not be asked."""

    name: str
    where: str
    product: str = ""
    milliseconds: float = 0.0
    notes: tuple[str, ...] = ()
    warning: str = ""  # what a person should know, and no run stops for
    missing: tuple[Missing, ...] = ()
    error: ReimportError | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it answered."""
        return self.error is None

    @property
    def state(self) -> str:
        """The same in words: a server that answers, but holds what is not ours, is connected."""
        if self.error is None:
            return "connected"
        is_refused = isinstance(self.error, StopError)
        return "connected, but no run may use it" if is_refused else "not connected"

    @property
    def is_sound(self) -> bool:
        """Whether a run finds all that it needs there."""
        return self.is_connected and not self.missing

    @property
    def tone(self) -> str:
        """How it stands, at a look: good, attention, bad."""
        if not self.is_connected:
            return "bad"
        return "attention" if self.missing or self.warning else "good"


@dataclass(frozen=True, slots=True)
class TableRead:
    """One table of FileMaker: by which channel it is read, and what that said when it was asked."""

    source: str
    table: str
    channel: str
    records: int | None = None  # None where a file would have to be read for it
    milliseconds: float = 0.0
    error: ReimportError | None = None

    @property
    def is_empty(self) -> bool:
        """Whether FileMaker has no record of it: that is seldom meant."""
        return self.records == 0


@dataclass(frozen=True, slots=True)
class LastSync:
    """The last committed run that read FileMaker, and when it did."""

    run: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Connections:
    """All of them, as they answered."""

    filemaker: tuple[Connection, ...]  # one for each channel
    tables: tuple[TableRead, ...]
    postgres: Connection
    s3: Connection
    application: Connection | None  # Nexus's own API, where verification asks it

    @property
    def every(self) -> tuple[Connection, ...]:
        """Each server that a run needs."""
        api = (self.application,) if self.application else ()
        return (*self.filemaker, self.postgres, self.s3, *api)


def read(settings: Settings) -> Connections:
    """Ask every server, all at a time; one that does not answer is told, and no error here."""
    mapping = mappings.load_for(settings, environments.folder())
    with ThreadPoolExecutor(3) as pool:
        nexus, files = pool.submit(_postgres, settings, mapping), pool.submit(_s3, settings)
        api = pool.submit(_application, settings)
        channels, tables = filemaker(settings.filemaker, mapping)
        return Connections(channels, tables, nexus.result(), files.result(), api.result())


def last_sync(settings: Settings, committed: Container[str] | None = None) -> LastSync | None:
    """When FileMaker was read for what Nexus holds now, if the record of that run is here.

    A run that was taken back does not count: Nexus is again as it was before it. ``committed`` are
    the runs that the database knows: one that is not in it was restored away, and one that is in
    doubt by its journal is there.
    """
    runs = record.every(settings)
    undone = record.taken_back(runs)
    for run in reversed(runs):
        is_there = run.is_committed() if committed is None else run.id in committed
        if is_there and run.id not in undone and run.has(Snapshot):
            # One that cannot be read back: what was read for an earlier run is not it.
            read = run.loaded(Snapshot)
            return LastSync(run.id, read.taken_at) if read else None
    return None


# ---------------------------------------------------------------- FileMaker


def filemaker(
    place: FileMaker, mapping: FieldMapping
) -> tuple[tuple[Connection, ...], tuple[TableRead, ...]]:
    """Each channel as it answered, and each table by FileMaker's own count."""
    names: dict[Channel, list[str]] = {}
    for source in mapping.sources:
        names.setdefault(place.channel_of(source), []).append(source)
    with Channels(place, mapping, QUICKLY) as channels:
        asked, tables = _let_in(channels, names)
        live = [name for one, of in names.items() if asked[one].is_connected for name in of]
        others = [name for name in live if name not in tables]
        with ThreadPoolExecutor(place.workers) as pool:
            read = pool.map(lambda name: _table(channels, name), others)
            tables |= dict(zip(others, read, strict=True))
    _tell_once(asked, tables, names)
    silent = {
        name: TableRead(name, mapping.sources[name].table_by(channel), _CHANNELS[channel])
        for channel, of in names.items()
        for name in of
    }
    return tuple(asked.values()), tuple(tables.get(name, silent[name]) for name in mapping.sources)


def _let_in(
    channels: Channels, names: Mapping[Channel, list[str]]
) -> tuple[dict[Channel, Connection], dict[str, TableRead]]:
    """Each channel as it answered, and the first table of each.

    A refused login is tried once for all channels and tables: FileMaker locks an account after a
    few.
    """
    asked: dict[Channel, Connection] = {}
    tables: dict[str, TableRead] = {}
    refused: ReimportError | None = None
    for channel, of in names.items():
        if refused and channel != "exports":
            asked[channel] = replace(_unasked(channels, channel), error=refused)
            continue
        asked[channel] = _channel(channels, channel, of)
        if asked[channel].is_connected:
            tables[of[0]] = _table(channels, of[0])
        error = tables[of[0]].error if of[0] in tables else asked[channel].error
        if isinstance(error, SettingsError):
            refused = error
            asked[channel] = replace(asked[channel], error=error)
    return asked, tables


def _tell_once(
    asked: dict[Channel, Connection],
    tables: dict[str, TableRead],
    names: Mapping[Channel, list[str]],
) -> None:
    """What every table of a channel is refused for is the channel's: such as a file that is closed.

    The server itself answers then, and would look connected.
    """
    for channel, of in names.items():
        errors = [tables[name].error for name in of if name in tables]
        if len(errors) == len(of) > 1 and errors[0] and len(set(map(str, errors))) == 1:
            asked[channel] = replace(asked[channel], error=errors[0])
            for name in of:
                del tables[name]


def _unasked(channels: Channels, channel: Channel) -> Connection:
    place = channels.place
    where = f"{place.url.partition('://')[2]}, file {place.database}"
    return Connection(f"FileMaker, {_CHANNELS[channel]}", where)


def _channel(channels: Channels, channel: Channel, sources: list[str]) -> Connection:
    """One channel: the server's own name and version, and whether it lets us in."""
    place, unasked = channels.place, _unasked(channels, channel)
    if channel == "exports":
        where = f"folder {place.exports.folder.name}" if place.exports else ""
        return _asked(unasked.name, where, lambda: _files(channels, sources))

    def ask() -> _Answer:
        source = channels.of(sources[0]).source
        began = time.monotonic()
        product = source.product()
        return _Answer(f"{product.name} {product.version}".strip(), (), time.monotonic() - began)

    return _asked(unasked.name, unasked.where, ask)


def _files(channels: Channels, sources: list[str]) -> _Answer:
    channels.require(sources)
    return _Answer(wording.amount(len(sources), "file"))


def _table(channels: Channels, source: str) -> TableRead:
    """One table: FileMaker's own count of it."""
    place = channels.of(source)
    unread = TableRead(source, place.table, _CHANNELS[place.channel])
    if place.channel == "exports":
        return unread
    began = time.monotonic()
    error, records = _tried(lambda: place.source.count(place.table))
    spent = 1000 * (time.monotonic() - began)
    return TableRead(source, place.table, unread.channel, records, spent, error)


# ---------------------------------------------------------------- PostgreSQL, S3, Nexus's API


def _postgres(settings: Settings, mapping: FieldMapping) -> Connection:
    place = settings.postgres
    where = f"{place.database} on {place.host}:{place.port}, as {place.user}"
    lacking: tuple[Right, ...] = ()

    def ask() -> _Answer:
        nonlocal lacking
        with connected(place) as connection:
            began = time.monotonic()
            version = str(scalar(connection, "SHOW server_version"))
            spent = time.monotonic() - began
            lacking = opening.missing_rights(settings, mapping, Task.RUN, connection)
            if not lacking:
                deployment.require(connection, settings.name)
        notes = () if lacking else ("rights complete",)
        return _Answer(f"PostgreSQL {version.partition(' ')[0]}", notes, spent)

    answered = _asked("PostgreSQL", where, ask)
    missing = tuple(Missing(one.what, one.grant) for one in rights.lines(lacking))
    return replace(answered, missing=missing)


def _s3(settings: Settings) -> Connection:
    place = settings.s3
    where = f"bucket {place.bucket}" + (f" at {place.endpoint}" if place.endpoint else "")

    def ask() -> _Answer:
        seconds, _ = census.ask(place)
        return _Answer("", (), seconds)

    answered = _asked("S3", where, ask)
    # "Not connected, but 8 files were missing" would be read as if both were known of now.
    return replace(answered, warning=_files_missing(settings) if answered.is_connected else "")


def _application(settings: Settings) -> Connection | None:
    """A login, as verification makes it: after COMMIT is too late to learn that none answers."""
    if settings.application is None:
        return None
    place = settings.application.model_copy(update={"timeout": QUICKLY.read})

    def ask() -> _Answer:
        began = time.monotonic()
        with application.opened(place):
            return _Answer("", (f"{place.user} is let in",), time.monotonic() - began)

    return _asked("Nexus's API", place.url, ask)


def _files_missing(settings: Settings) -> str:
    """What the last run that looked has found missing in the bucket; "" if nothing."""
    for run in reversed(record.every(settings)):
        for name in ("checks_after", "checks_before"):
            for result in run.load(Report, name).results if run.has(Report, name) else ():
                if result.check == FILES_CHECK:
                    return _files_told(result, run)
    return ""


def _files_told(result: Result, run: Run) -> str:
    if not result.offending:
        return ""
    missing = wording.part(result.offending, result.looked_at)
    return f"but {missing} files were missing when run {run.id} looked"


# ---------------------------------------------------------------- asking


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a server said of itself, and in how many seconds."""

    product: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def _asked(name: str, where: str, ask: Callable[[], _Answer]) -> Connection:
    error, answer = _tried(ask)
    given = answer or _Answer()
    spent = 1000 * given.seconds
    return Connection(name, where, given.product, spent, given.notes, error=error)


def _tried(work: Callable[[], T]) -> tuple[ReimportError | None, T | None]:
    try:
        return None, work()
    except ReimportError as error:
        return error, None
    # One server that fails in an unforeseen way must not hide what the others said.
    except Exception as error:
        return unforeseen(error), None
