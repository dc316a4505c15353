"""A committed run's seal in the database too: a folder that was rewritten is found by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from nexus_reimport.errors import COMMITTED_BEFORE, StopError, TargetError, repair
from nexus_reimport.events import Event
from nexus_reimport.model import Approval
from nexus_reimport.nexus import deployment, registry
from nexus_reimport.nexus.connection.postgres import Connection, connected
from nexus_reimport.nexus.registry import Committed, Restore
from nexus_reimport.nexus.registry import restores as of_database
from nexus_reimport.nexus.writing.run_lock import wait_for_run_lock
from nexus_reimport.record import journal, runs
from nexus_reimport.record.run import Run, of
from nexus_reimport.record.sealed import register
from nexus_reimport.record.sealed.chain import Link
from nexus_reimport.record.verdict import State
from nexus_reimport.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A committed run that the database does not know: it was restored from before it."""

    run: str
    restore: Restore | None  # as a person has acknowledged it

    def __str__(self) -> str:
        by = f"; {self.restore.acknowledged}" if self.restore else ""
        return f"does not know run {self.run}, which was committed: it is older{by}"


@dataclass(frozen=True, slots=True)
class Unnoted:
    """A run that was committed, as the database says, and whose journal lacks that."""

    run: str
    kind: str
    undoes: str  # the run that it has undone, "" for none
    is_sealed: bool = False

    def __str__(self) -> str:
        lacks = "its sealed record does not say" if self.is_sealed else "its journal has lost"
        return f"says that run {self.run} was committed, which {lacks}"


@dataclass(frozen=True, slots=True)
class Apart:
    """Where the database and the records on this machine do not know the same."""

    away: tuple[str, ...] = ()  # runs whose records are not here, as ``away`` has them
    forgotten: Forgotten | None = None  # the latest committed run, if the database lacks it
    no_seal: str = ""  # the latest sealed run of which the database has no seal
    unnoted: tuple[Unnoted, ...] = ()  # open runs
    denied: Unnoted | None = None  # the latest run that it knows, where its record is sealed
    taken_back: Mapping[str, str] = field(default_factory=dict)  # run -> the rollback, as it says

    @property
    def without_commit(self) -> tuple[Unnoted, ...]:
        """The runs, open or sealed, that it says were committed and whose records do not."""
        return (*self.unnoted, *filter(None, (self.denied,)))


def write(settings: Settings, run: Run) -> None:
    """Put a committed run's seal into the database, where there is none yet.

    Raises:
        TargetError, StopError: the seal is in the run's folder only.
    """
    state = "committed; the seal is in the run's folder only"
    try:
        with connected(settings.postgres, state) as connection:
            deployment.require(connection, settings.name, state)
            link = run.place()
            number = link.sequence if link else 0
            registry.write_seal(connection, run.id, run.seal_digest(), number, run.verdict())
    except (TargetError, StopError) as error:
        # A sealed record is never sealed again.
        again = f"nexus-reimport seal {settings.name} --run {run.id}"
        error.next = f"{repair(error)}; then: {again} writes the seal there, or the next run"
        raise


def require_held(settings: Settings, run: Run) -> None:
    """Stop where the database does not hold what ``run`` has committed in it.

    A standby that takes over may not have received the COMMIT, and a restore may be from before.

    Raises:
        TargetError, StopError: it does not, or could not be asked. Nothing was written.
    """
    with connected(settings.postgres, COMMITTED_BEFORE) as connection:
        is_held = registry.is_held(connection, run.id)
    if not is_held:
        name = run.environment
        raise StopError(
            "the database does not know this run, which was committed: it was restored from before"
            " it, or a standby took over that had not received it",
            where=settings.postgres.place,
            state="the run was committed; this database is as it was before the run, or older",
            next="keep users out, and find out where the database is that holds the run: name it in"
            f" {name}.toml, then: nexus-reimport finish {name}. If there is none: nexus-reimport"
            f" seal {name}, then: nexus-reimport record restored {name} --why TEXT, then:"
            f" nexus-reimport run {name}",
        )


def may_be_undone(settings: Settings, run: str, by: str) -> bool:
    """Whether the rollback ``by`` has undone ``run``, by the database; True if it does not answer.

    The journal of a rollback may say more than is so: a standby that took over, or a restored
    database, has lost its COMMIT.
    """
    try:
        known = rows(settings)
    except (TargetError, StopError):
        return True
    return any(row.run == run and row.undone_by == by for row in known)


def rows(settings: Settings) -> list[Committed]:
    """The runs of this environment that the database knows, the latest first.

    Raises:
        TargetError, StopError: it could not be asked, or is not this environment's own.
    """
    with connected(settings.postgres) as connection:
        deployment.require(connection, settings.name)
        return _own(connection, settings)


def taken_back(settings: Settings) -> tuple[dict[str, str], str]:
    """Run -> the rollback that has taken it back, and why only the records could be asked.

    The records do not say it where that of the rollback is away, or its journal has lost COMMIT.
    """
    known = runs.taken_back(runs.every(settings))
    try:
        return known | _undone(rows(settings)), ""
    except (TargetError, StopError) as error:
        return known, error.what


def _undone(own: Iterable[Committed]) -> dict[str, str]:
    return {row.run: row.undone_by for row in own if row.undone_by}


def note_committed(settings: Settings) -> None:
    """Journal in each open run that it was committed, where the database alone still knows it.

    A disk that lied, or a folder that came back from a backup, has lost the end of a journal: by
    its other lines nothing was written, and the record would be closed so. A database that cannot
    be asked is told of by the step that needs it.
    """
    unnoted: tuple[Unnoted, ...] = ()
    if may_lack_their_commit(settings):
        with suppress(TargetError, StopError), connected(settings.postgres) as connection:
            deployment.require(connection, settings.name)
            # Its COMMIT may be on its way: a server that waits for its standby shows it to nobody.
            wait_for_run_lock(connection, settings.postgres.lock_wait)
            unnoted = _unnoted(connection, settings)
    for one in unnoted:
        facts = {"kind": one.kind, "undoes": one.undoes}
        of(settings, one.run).journal(Event.SETTLED, committed=True, **facts)


def _unnoted(connection: Connection, settings: Settings) -> tuple[Unnoted, ...]:
    """The open runs whose journals lack the COMMIT that the database knows.

    A journal is read again once the database has answered: a run that commits in between has
    journalled before its COMMIT that it is about to be sent.
    """
    waiting = may_lack_their_commit(settings)
    asked = [(run, registry.purpose(connection, run.id)) for run in waiting]
    still = ((run, known) for run, known in asked if known and _may_lack_its_commit(run))
    return tuple(Unnoted(run.id, *known) for run, known in still)


def _denied(committed: Sequence[Committed], settings: Settings) -> Unnoted | None:
    """The latest run that the database knows, if its sealed record does not say it was committed.

    The database could not be asked when the record was closed.
    """
    for row in committed[:1]:
        sealed = (run for run in runs.every(settings) if run.id == row.run and run.is_sealed)
        for run in sealed:
            if run.state() in (State.AS_IT_WAS, State.UNKNOWN):
                return Unnoted(run.id, row.kind, run.undoes, is_sealed=True)
    return None


def may_lack_their_commit(settings: Settings) -> list[Run]:
    """The open runs that were ever approved, and of which the journals say nothing was written."""
    return [run for run in runs.open_runs(settings) if _may_lack_its_commit(run)]


def _may_lack_its_commit(run: Run) -> bool:
    """Whether it was ever approved, and its journal says that nothing was written."""
    if run.state() is not State.AS_IT_WAS:
        return False
    ended = journal.only(run.events(), Event.FINISHED)
    return run.has(Approval) or any(entry.stage == journal.APPROVAL for entry in ended)


def _own(connection: Connection, settings: Settings) -> list[Committed]:
    return [row for row in registry.runs(connection) if row.environment == settings.name]


def away(settings: Settings) -> tuple[str, ...]:
    """The runs that the database knows and whose records are not here, if its latest is one.

    The latest first. The folder of the records is not mounted then, or it is an old copy, or the
    records are lost, or somebody works with the same database from another checkout, whose latest
    run may be unverified. Those that a person has said to be lost for good are left aside.

    Raises:
        TargetError, StopError: as ``rows``.
    """
    return _away(rows(settings), settings)


def _away(committed: Sequence[Committed], settings: Settings) -> tuple[str, ...]:
    """The runs whose records are not mounted, or lost, and not said to be lost for good."""
    known = [row.run for row in committed]
    here = runs.with_journal(settings)
    lost = register.lost(settings.records_folder)
    missing = tuple(run for run in known if run not in here | lost)
    return missing if missing[:1] == tuple(known[:1]) else ()


def with_rows(settings: Settings, look: Callable[[], T]) -> tuple[T, list[Committed]]:
    """What ``look`` finds in the folder of the records, and ``rows``, both of one moment.

    A run that is committed, or sealed, between the two would look like one that somebody has added
    or taken away.

    Raises:
        TargetError, StopError: as ``rows``.
    """
    before = rows(settings)
    while True:
        seen, after = look(), rows(settings)
        if after == before:
            return seen, after
        before = after


def restores(settings: Settings) -> tuple[list[Restore], list[Restore]]:
    """The restores that register and database both say, which count; and those of it alone.

    Raises:
        TargetError, StopError: it could not be asked, or is not this environment's own.
    """
    with connected(settings.postgres) as connection:
        deployment.require(connection, settings.name)
        return _restores(connection, settings)


def _restores(connection: Connection, settings: Settings) -> tuple[list[Restore], list[Restore]]:
    held = of_database.read(connection)
    noted = register.restored(settings.records_folder)
    both = [one for one in held if noted.get(one.id) == one.runs]
    return both, [one for one in held if one not in both]


def last(settings: Settings) -> Link | None:
    """The last seal that the database holds; None where it holds none, or could not be asked."""
    try:
        sealed = [row for row in rows(settings) if row.seal]
    # A seal does not depend on the database: it can be gone, or another one's.
    except (TargetError, StopError):
        return None
    links = (Link(row.sequence, row.run, row.seal) for row in sealed)
    return max(links, key=lambda link: link.sequence, default=None)


def apart(connection: Connection, settings: Settings) -> Apart:
    """What this environment's own database and the records do not both know."""
    own = _own(connection, settings)
    return Apart(
        away=_away(own, settings),
        forgotten=forgotten(connection, settings),
        no_seal=next((run.id for run in lacking(connection, settings)), ""),
        unnoted=_unnoted(connection, settings),
        denied=_denied(own, settings),
        taken_back=_undone(own),
    )


def forgotten(connection: Connection, settings: Settings) -> Forgotten | None:
    """The latest committed run, if the database does not know it."""
    # Before the rows: a run's row is older than its seal.
    sealed = (run for run in reversed(runs.every(settings)) if run.is_sealed)
    latest = next(
        (run for run in sealed if run.state() in (State.COMMITTED, State.TAKEN_BACK)), None
    )
    if latest is None or registry.was_committed(connection, latest.id):
        return None
    both, _ = _restores(connection, settings)
    sealed_as = (latest.id, latest.seal_digest())
    return Forgotten(latest.id, next((one for one in both if sealed_as in one.runs), None))


def write_late(settings: Settings, new_run: Run) -> None:
    """Seals that a kill, or a server that was away, kept from the database.

    Each is journalled in ``new_run``.

    Raises:
        TargetError, StopError: a seal is still in its run's folder only.
    """
    with connected(settings.postgres) as connection:
        late = lacking(connection, settings)
    for run in late:
        if not run.problems():
            write(settings, run)
            new_run.journal(Event.ANCHORED, of=run.id)


def lacking(connection: Connection, settings: Settings) -> list[Run]:
    """The sealed runs of which the database has no seal, the latest first."""
    waiting = [known.run for known in registry.runs(connection) if not known.seal]
    sealed = {run.id: run for run in runs.every(settings) if run.is_sealed} if waiting else {}
    return [sealed[name] for name in waiting if name in sealed]
