"""T1: what Nexus holds now, and how it has changed since the last run."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_reimport import mapping as mappings
from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Proposal, Scope
from nexus_reimport.nexus import deployment
from nexus_reimport.nexus.connection import waiters
from nexus_reimport.nexus.reading import counts
from nexus_reimport.nexus.reading.counts import Counts
from nexus_reimport.nexus.structure import fingerprint
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.tables import fingerprints_of
from nexus_reimport.record import Run, Verdict, anchor
from nexus_reimport.record.anchor import Apart, Unnoted
from nexus_reimport.settings import Settings


@dataclass(frozen=True, slots=True)
class Written:
    """What others have written since the dry run that waits for an approval."""

    run: str
    tables: tuple[str, ...]  # with their rows then and now; none where the plan still stands


@dataclass(frozen=True, slots=True)
class Status:
    """Nexus as it is: its numbers, and whether the plan that waits still fits it."""

    counts: Counts
    written: Written | None  # None where no dry run waits
    patients: int
    apart: Apart  # the database and the records


@record.listed_once()
def read(settings: Settings) -> Status:
    """The state of this moment; read only, and given up where another session waits for us.

    Raises:
        StopError: the database is not the one that this environment adopted.
        TargetError: it cannot be asked, or takes too long.
    """
    mapping = mappings.load_for(settings, environments.folder())
    with waiters.reading(settings.postgres) as connection:
        deployment.require(connection, settings.name)
        database = Database.read(connection, mapping)
        row_counts = counts.read(connection, database, gaps(mapping))
        people = mapping.people()
        return Status(
            counts=row_counts,
            written=_written(database, waiting(settings)),
            patients=next(kind.rows for kind in row_counts.entities if kind.entity == people),
            apart=anchor.apart(connection, settings),
        )


def unnoted(settings: Settings, seen: Status | None) -> Unnoted | None:
    """The first open run of which the database has said what its journal lacks still."""
    known = seen.apart.unnoted if seen else ()
    lacking = {run.id for run in anchor.may_lack_their_commit(settings)} if known else set()
    return next((one for one in known if one.run in lacking), None)


def waiting(settings: Settings) -> Run | None:
    """The dry run of a full reimport that ended in GO and waits for an approval."""
    for run in reversed(record.open_runs(settings)):
        is_waiting = run.verdict() is Verdict.WAITING and run.has(Proposal)
        # A run never continues with a value that was changed: there is nothing to approve.
        if is_waiting and run.kind == Scope.REIMPORT and not run.damaged():
            return run
    return None


def _written(database: Database, run: Run | None) -> Written | None:
    if run is None:
        return None
    before = run.load(Proposal).before
    moved = fingerprint.moved(before, fingerprints_of(database, before))
    return Written(run.id, tuple(moved.values()))


def gaps(mapping: FieldMapping) -> dict[str, tuple[str, ...]]:
    """Entity -> the columns that should be filled: what the calendar shows, what people choose."""
    application, calendar = mapping.application, mapping.application.calendar
    wanted: dict[str, list[str]] = {name: [] for name in mapping.entities}
    if application.patient_clinic:
        wanted[mapping.people()].append(application.patient_clinic)
    wanted[calendar.entity] += filter(None, (calendar.clinic, calendar.clinician, calendar.type))
    for kind in mapping.by_hand.values():
        wanted[kind.entity] += [column for column, choices in kind.columns.items() if choices]
    return {name: tuple(dict.fromkeys(columns)) for name, columns in wanted.items() if columns}
