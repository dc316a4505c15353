"""Deleting what older runs have left: undo data in the database, folders of private files."""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, datetime

from nexus_reimport import mapping as mappings
from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.errors import StopError
from nexus_reimport.nexus import activity, deployment, registry, rights
from nexus_reimport.nexus.connection.driver_errors import scrubbed
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.nexus.registry import UndoSize
from nexus_reimport.nexus.rights import Task
from nexus_reimport.record import purge
from nexus_reimport.record.purge import PrivateFolder
from nexus_reimport.settings import Settings


def purge_undo(environment: str, keep: int) -> tuple[UndoSize, ...]:
    """Drop undo data, except of the ``keep`` latest runs that can be undone; gives what it was.

    Raises:
        StopError: the database is not this environment's, a right is missing, or a run that is not
            finished would lose its way back. Nothing was dropped.
    """
    settings = environments.load(environment)
    mapping = mappings.load(settings.mapping, environments.folder())
    state = "undo data of older runs may have been dropped; nothing else was written"
    with record.at_work(settings), connected(settings.postgres) as connection:
        deployment.require(connection, settings.name)
        older = tuple(registry.undo_sizes(connection)[keep:])
        _refuse_unfinished(settings, {size.run for size in older})
        schemas = {size.schema for size in older}
        lacking = [
            right
            for right in rights.missing(rights.read(connection, mapping), Task.PURGE)
            if right.rule is not rights.RULES["undo_drop"] or right.object in schemas
        ]
        if lacking:
            raise rights.refusal(lacking, deployment.place(connection))
        with scrubbed(deployment.place(connection), state):
            for size in older:
                registry.drop_undo(connection, size.schema)
    return older


def _refuse_unfinished(settings: Settings, runs: Container[str]) -> None:
    """Stop where a run that is in doubt or not verified is among ``runs``: it may be taken back."""
    run = record.unfinished(settings)
    needed = (run.undoes or run.id) if run else ""
    if run and needed in runs:
        raise StopError(
            f"run {run.id} is not finished, and may have to be taken back with this undo data",
            where=run.where,
            state="nothing was dropped",
            next=f"nexus-reimport finish {settings.name}; then purge. Or keep one more (--keep)",
        )


def purge_private(environment: str, older_than: str, *, really: bool) -> list[PrivateFolder]:
    """Every private folder, with why it stays; those that need not stay are deleted if ``really``.

    Raises:
        SettingsError: ``older_than`` is no number of days.
        StopError, TargetError: the database could not say which runs can still be undone. Nothing
            was deleted.
    """
    settings, age = environments.load(environment), purge.age_of(older_than)
    with record.at_work(settings):
        needed, now = _of_database(settings)
        # One clock that is ahead makes all look old: a folder must be old by both.
        folders = purge.look(settings, age, needed, min(now, datetime.now(UTC)))
        for folder in folders if really else ():
            if not folder.kept:
                purge.purge(settings, folder, older_than)
    return folders


def _of_database(settings: Settings) -> tuple[set[str], datetime]:
    """The latest run that stands, whose dump a restore needs, and each whose undo data is kept.

    And the time by the clock of its server.
    """
    with connected(settings.postgres) as connection:
        deployment.require(connection, settings.name)
        latest = [row.run for row in registry.standing(connection)[:1]]
        needed = {*latest, *(size.run for size in registry.undo_sizes(connection))}
        return needed, activity.clock(connection)
