"""Runs the whole plan on a restored copy of the real database, undoes it, and runs it again.

    restore the dump into a scratch database of our own
    compare every table with the moment of the backup       the backup is proven
    apply, with every check inside; verify, with every check after
    undo; compare every table again                          the undo is proven
    apply again, every row written                            the result is the same both ways

The acts are handed in, because no stage imports another. They write only to the scratch database,
which is dropped at the end, whatever happens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nexus_reimport import checks, progress, wording
from nexus_reimport.errors import StopError
from nexus_reimport.events import Event, Journal
from nexus_reimport.model import Applied, Backup, Ground, Rehearsal, Report, Undone
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection import pg_tools, scratch
from nexus_reimport.nexus.connection.postgres import Connection, connected, scalar
from nexus_reimport.nexus.connection.scratch import Scratch
from nexus_reimport.nexus.reading import contents
from nexus_reimport.nexus.structure.fingerprint import Fingerprint, differing
from nexus_reimport.settings import Postgres

STAGE = "rehearsal"
STEPS = 7
WHERE = "rehearsal, before anything real was written"
COPY_DROPPED = "the real database was only read; the copy was dropped"


@dataclass(frozen=True, slots=True)
class Acts:
    """What is rehearsed on the scratch database; ``number`` counts the times, from 1.

    The first time rows are written as the run itself will write them, the second time all of them.
    """

    restore: Callable[[Postgres], object]
    apply: Callable[[Scratch, int], Applied]
    verify: Callable[[Scratch, Applied], Report]
    undo: Callable[[Scratch, int], Undone]
    left_out: tuple[str, ...] = ()


@dataclass(slots=True)
class _Clock:
    """Journals and times the steps."""

    journal: Journal
    steps: progress.Steps = field(default_factory=lambda: progress.Steps(STEPS))
    times: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.journal(Event.STEP, stage=STAGE, step=name)
        began = time.monotonic()
        with self.steps.step(name):
            yield
        self.times[name] = time.monotonic() - began


def why_not(server: Postgres, backup: Backup) -> str:
    """Why no copy can be made on ``server``; "" if it can.

    Raises:
        TargetError: the server cannot be reached.
    """
    with connected(server) as connection:
        if not scratch.may_create(connection):
            role = scalar(connection, "SELECT quote_ident(current_user)")
            return f"the role may not create databases (ALTER ROLE {role} CREATEDB;)"
        # another major version restores dumps with errors, or behaves otherwise than the real one
        version = str(scalar(connection, "SHOW server_version"))
        if pg_tools.major(version) != pg_tools.major(backup.server_version):
            return (
                f"the server for rehearsals is PostgreSQL {pg_tools.major(version)},"
                f" the real one {pg_tools.major(backup.server_version)}"
            )
        missing = _missing_extensions(connection, backup)
        if missing:
            return f"the server for rehearsals lacks extensions: {', '.join(missing)}"
        denied = scratch.extensions_of_a_superuser(connection, backup.extensions)
        if denied:
            return (
                f"tables need extensions that only a superuser may make: {', '.join(denied)};"
                " name a server for rehearsals on which the role is a superuser"
            )
    return ""


def _missing_extensions(connection: Connection, backup: Backup) -> tuple[str, ...]:
    available = {n for (n,) in connection.execute("SELECT name FROM pg_available_extensions")}
    needed = sorted(name for name, is_needed in backup.extensions.items() if is_needed)
    return tuple(name for name in needed if name not in available)


def on_a_copy(
    server: Postgres,
    backup: Backup,
    register: Path,
    acts: Acts,
    *,
    journal: Journal,
) -> Rehearsal:
    """Restore, compare, apply, verify, undo, compare, apply again; the copy is dropped.

    Raises:
        StopError: the copy differs from the original, a check failed, the undo is not exact, or
            a second run gives another result.
        TargetError: the dump cannot be restored, or the connection was lost. In both cases the
            real database was only read.
    """
    clock, began = _Clock(journal), time.monotonic()
    with scratch.created(server, backup.shape, register) as copy:
        with clock.step("restore"):
            acts.restore(copy.place)
        with clock.step("compare"):
            _compare(
                copy.place,
                backup.contents,
                "the restored copy is not what was dumped",
                "do not trust this backup: read pg_restore.log in the private folder, then run"
                " 01_preflight again",
            )
        with clock.step("apply"):
            first = acts.apply(copy, 1)
        with clock.step("verify"):
            verified = acts.verify(copy, first)
            checks.require(verified, " after, on the copy,", where=WHERE, state=COPY_DROPPED)
        with clock.step("undo"):
            undone = acts.undo(copy, 1)
        with clock.step("compare again"):
            _compare(
                copy.place,
                backup.contents,
                "the undo does not give back the rows as they were",
                "do not execute this run; report the fault with this record",
                besides=registry.OF_THE_RUN,
            )
        # Shows that the undo left nothing, that results repeat, and that writing only rows that
        # differ gives the same rows as deleting and inserting all of them.
        with clock.step("apply again"):
            second = acts.apply(copy, 2)
            _require_same(first, second)
    return Rehearsal(
        ground=Ground.COPY,
        after=first.after,
        writers_waited=first.writers_waited,
        seconds=time.monotonic() - began,
        report=first.report,
        where=f"{server.host}:{server.port}",
        verified=verified,
        times=clock.times,
        tables=len(backup.contents),
        rows=sum(f.rows for f in backup.contents.values()),
        left_out=acts.left_out,
        undo_waited=undone.writers_waited,
    )


def _compare(
    place: Postgres,
    was: Mapping[str, Fingerprint],
    what: str,
    advice: str,
    besides: frozenset[str] = frozenset(),
) -> None:
    with connected(place) as connection:
        differ = contents.differences(was, contents.read(connection, {}), besides=besides)
    if differ:
        tables = wording.amount(len(was), "table differs", "tables differ")
        raise StopError(
            f"{what}: {len(differ)} of {tables}\n{wording.lines(differ)}",
            where=f"scratch database on {place.host}:{place.port}",
            state=COPY_DROPPED,
            next=advice,
        )


def _require_same(first: Applied, second: Applied) -> None:
    differ = differing(first.after, second.after)
    if differ:
        raise StopError(
            f"the same plan gave two results: {', '.join(sorted(differ))}",
            where=WHERE,
            state=COPY_DROPPED,
            next="something in the database changes rows as they are written: look for triggers and"
            " rules",
        )


def inside(applied: Applied, why: str, seconds: float) -> Rehearsal:
    """The value for the last resort: a dry run in the real transaction, which proves no backup."""
    return Rehearsal(
        ground=Ground.INSIDE,
        after=applied.after,
        writers_waited=applied.writers_waited,
        seconds=seconds,
        report=applied.report,
        why_inside=why,
    )
