"""Who else writes to the tables of the plan while the plan is being made.

PostgreSQL does not record who wrote a row, so three sources are combined:

1. **How much**: the server's counters of each table, now and when the survey began. They include
   rows that were rolled back, and an idle session reports its counts up to ten seconds late (all of
   them once it has ended). What our own dry runs wrote is subtracted. So a table with writes is
   also compared with the survey: the comparison, not the number, decides whether the plan is void.
2. **Who, as seen**: five times a second, the sessions that hold a lock under which rows can change.
   A transaction shorter than that may be missed.
3. **Who could have written**: the sessions that were active since the survey.

Shown are applications' names, process ids, times and names of tables; never a query's text, never
a value. The comparison under the locks, when the plan is executed, is exact in any case.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from nexus_reimport.errors import TargetError
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus.connection import waiters
from nexus_reimport.nexus.connection.postgres import (
    Connection,
    connected,
    scalar,
    statement,
    table_name,
)
from nexus_reimport.nexus.connection.session import APPLICATION
from nexus_reimport.nexus.connection.watch import PATIENCE, PAUSE, RETRY, Watch
from nexus_reimport.nexus.structure import catalog as catalogs
from nexus_reimport.nexus.structure import fingerprint
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.tables import fingerprinted
from nexus_reimport.settings import Postgres


@dataclass(frozen=True, slots=True)
class TableWrites:
    """Rows of one table that were written."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        return self.inserted + self.updated + self.deleted

    @property
    def is_impossible(self) -> bool:
        """Whether the counters went backwards: they were reset in between."""
        return min(self.inserted, self.updated, self.deleted) < 0

    def plus(self, other: TableWrites, sign: int = 1) -> TableWrites:
        """The sum; with ``sign=-1`` the difference."""
        return TableWrites(
            self.inserted + sign * other.inserted,
            self.updated + sign * other.updated,
            self.deleted + sign * other.deleted,
        )


@dataclass(frozen=True, slots=True)
class Writer:
    """A session that held a lock under which it could write, as seen at these times."""

    application: str
    pid: int
    first_seen: datetime
    last_seen: datetime
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """Another session of the database; a time is None where our role may not see it."""

    application: str
    pid: int
    connected_since: datetime | None
    last_active: datetime | None


@dataclass(frozen=True, slots=True)
class Watched:
    """What was recorded since the survey, for ``result``."""

    since: datetime
    counters: dict[str, TableWrites]
    own: dict[str, TableWrites] = field(default_factory=dict)  # written by our own dry runs
    writers: tuple[Writer, ...] = ()
    interrupted: bool = False  # for a while the watch had no connection


@dataclass(frozen=True, slots=True)
class Activity:
    """What others did to the tables of the plan between the survey and ``until``."""

    since: datetime
    until: datetime
    tables: int  # that were watched
    counted: bool  # False: the server's counters were reset or are off; every table was compared
    written: dict[str, TableWrites]  # only tables with any
    changed: tuple[str, ...]  # tables that differ from the survey: the plan is void
    writers: tuple[Writer, ...]
    could_have: tuple[Session, ...]
    interrupted: bool


Counters = Mapping[str, TableWrites]


# ---------------------------------------------------------------- from the survey to the end


def start(target: Postgres, schema: str, tables: Sequence[str]) -> Watched:
    """The server's time and the counters, as they are before the survey."""
    with connected(target) as connection:
        return Watched(clock(connection), counters(connection, schema, tables))


@contextmanager
def noting(
    known: Watched,
    target: Postgres,
    schema: str,
    tables: Sequence[str],
    keep: Callable[[Watched], None],
    *,
    own_writes: bool = False,
) -> Iterator[None]:
    """Watches while the block runs; ``keep`` gets ``known`` plus what was seen.

    ``own_writes``: the block itself writes to these tables and rolls back. Everything counted while
    it runs is then taken as ours: other sessions are kept out by our locks, or are seen.
    """
    at_start = _reading(target, schema, tables) if own_writes else {}
    watch = Writers(target, schema, tables)
    try:
        with watch:
            yield
    finally:
        own = known.own
        if own_writes:
            with suppress(TargetError):  # the server is gone: the block's own error reports it
                own = _sum(own, _since(at_start, _reading(target, schema, tables, once_alone=True)))
        keep(
            replace(
                known,
                own=own,
                writers=merged(known.writers, watch.writers),
                interrupted=known.interrupted or watch.interrupted,
            )
        )


def result(
    watched: Watched, target: Postgres, mapping: FieldMapping, before: Mapping[str, Fingerprint]
) -> Activity:
    """The result of the watch; ``before`` are the fingerprints of the survey."""
    with waiters.reading(target) as connection:
        now = counters(connection, mapping.schema_name, tuple(before))
        written = _since(_sum(watched.counters, watched.own), now)
        # An administrator can switch the counters off; then they stand still.
        counted = bool(scalar(connection, "SELECT current_setting('track_counts')::bool"))
        counted &= not any(w.is_impossible for w in written.values())
        seen = {table for writer in watched.writers for table in writer.tables}
        # Only suspects are compared: a fingerprint reads the whole table.
        suspects = {t for t in before if not counted or t in seen or written[t].rows}
        return Activity(
            since=watched.since,
            until=clock(connection),
            tables=len(before),
            counted=counted,
            written={t: w for t, w in written.items() if counted and w.rows},
            changed=tuple(_changed(connection, mapping, sorted(suspects), before)),
            writers=watched.writers,
            could_have=_others(connection, watched.since),
            interrupted=watched.interrupted,
        )


# ---------------------------------------------------------------- how much


def counters(connection: Connection, schema: str, tables: Sequence[str]) -> dict[str, TableWrites]:
    """The rows ever written, table by table. Each call reads the server's counters again."""
    asked = {"schema": schema, "tables": list(tables)}
    counts = {t: TableWrites(*n) for t, *n in connection.execute(statement("table_writes"), asked)}
    return {table: counts.get(table, TableWrites()) for table in sorted(tables)}


def _reading(
    target: Postgres, schema: str, tables: Sequence[str], *, once_alone: bool = False
) -> dict[str, TableWrites]:
    """The counters, over a separate connection; ``once_alone``: after our other sessions ended."""
    with connected(target) as connection:
        # A session that has ended has reported all its counts; one that is only idle may not have.
        deadline = time.monotonic() + PATIENCE
        while once_alone and scalar(connection, statement("own_sessions"), {"ours": APPLICATION}):
            if time.monotonic() > deadline:
                break
            time.sleep(PAUSE / 4)
        return counters(connection, schema, tables)


def _since(before: Counters, now: Counters) -> dict[str, TableWrites]:
    return {t: n.plus(before.get(t, TableWrites()), -1) for t, n in now.items()}


def _sum(one: Counters, other: Counters) -> dict[str, TableWrites]:
    tables = sorted({*one, *other})
    return {t: one.get(t, TableWrites()).plus(other.get(t, TableWrites())) for t in tables}


def _changed(
    connection: Connection,
    mapping: FieldMapping,
    tables: Iterable[str],
    before: Mapping[str, Fingerprint],
) -> Iterator[str]:
    """The tables whose fingerprint differs from the survey's, or that are gone."""
    catalog = catalogs.read(connection, mapping.schema_name)
    for name in tables:
        table = catalog.tables.get(name)
        if table is None:
            yield name
            continue
        columns, _, _ = fingerprinted(mapping, table)
        place = table_name(mapping.schema_name, name)
        if fingerprint.of(connection, place, columns, table.primary_key) != before[name]:
            yield name


# ---------------------------------------------------------------- who


def _others(connection: Connection, since: datetime) -> tuple[Session, ...]:
    asked = {"since": since, "ours": APPLICATION}
    rows = connection.execute(statement("other_sessions"), asked)
    return tuple(
        Session(application or "", pid, *(at and datetime.fromisoformat(at) for at in times))
        for pid, application, *times in rows
    )


def clock(connection: Connection) -> datetime:
    """The server's clock."""
    return datetime.fromisoformat(scalar(connection, "SELECT clock_timestamp()"))


def merged(*seen: Iterable[Writer]) -> tuple[Writer, ...]:
    """One entry per session, from when it was first seen to when it was last seen."""
    sessions: dict[tuple[int, str], Writer] = {}
    for writer in (w for writers in seen for w in writers):
        key = (writer.pid, writer.application)
        known = sessions.get(key, writer)
        sessions[key] = replace(
            known,
            first_seen=min(known.first_seen, writer.first_seen),
            last_seen=max(known.last_seen, writer.last_seen),
            tables=tuple(sorted({*known.tables, *writer.tables})),
        )
    return tuple(sorted(sessions.values(), key=lambda w: (w.first_seen, w.pid)))


class Writers(Watch):
    """Looks for writers until its block ends.

    Never raises into the block: ``interrupted`` is True if the server could not be asked.
    """

    def __init__(self, target: Postgres, schema: str, tables: Sequence[str]) -> None:
        super().__init__(target, "writers")
        self.writers: tuple[Writer, ...] = ()
        self.interrupted = False
        self._asked = {"schema": schema, "tables": list(tables), "ours": APPLICATION}

    def watch(self) -> None:
        """Look until the block ends; after a failure connect again."""
        while not self.done.is_set():
            try:
                with self.connection() as connection:
                    self._look_repeatedly(connection)
            except Exception:  # a thread has nobody to raise to; the page shows ``interrupted``
                self.interrupted = True
                self.done.wait(RETRY)

    def left_behind(self) -> None:
        """The server could not be asked."""
        self.interrupted = True

    def _look_repeatedly(self, connection: Connection) -> None:
        while True:
            rows = connection.execute(statement("writers"), self._asked).fetchall()
            seen = (
                Writer(name or "", pid, when, when, tuple(tables))
                for pid, name, tables, at in rows
                if (when := datetime.fromisoformat(at))
            )
            self.writers = merged(self.writers, seen)
            if self.done.wait(PAUSE):
                return
