"""A committed run's seal in the database too: a folder that was rewritten is found by it."""

from __future__ import annotations

from nexus_reimport.events import Event
from nexus_reimport.nexus import deployment, registry
from nexus_reimport.nexus.postgres import connected
from nexus_reimport.record import runs
from nexus_reimport.record.run import Run
from nexus_reimport.settings import Settings


def write(settings: Settings, run: Run) -> None:
    """Put a committed run's seal into the database, where there is none yet.

    Raises:
        TargetError, StopError: the seal is in the run's folder only.
    """
    state = "committed; the seal is in the run's folder only"
    with connected(settings.postgres, state) as connection:
        deployment.require(connection, settings.name, state)
        registry.write_seal(connection, run.id, run.seal_digest())


def read(settings: Settings, run: Run) -> str:
    """The seal that the database holds for this run; "" where it holds none."""
    with connected(settings.postgres) as connection:
        return registry.seal(connection, run.id)


def write_late(settings: Settings, made: Run) -> None:
    """Seals that a kill, or a server that was away, kept from the database; journalled in ``made``.

    Raises:
        TargetError, StopError: a seal is still in its run's folder only.
    """
    sealed = {run.id: run for run in runs.every(settings) if run.is_sealed}
    with connected(settings.postgres) as connection:
        waiting = [known.run for known in registry.runs(connection) if not known.seal]
    for run in (sealed[name] for name in waiting if name in sealed):
        if not run.problems():
            write(settings, run)
            made.journal(Event.ANCHORED, of=run.id)
