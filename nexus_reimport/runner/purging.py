"""Deleting old private folders of an environment, or first showing which they are."""

from __future__ import annotations

from datetime import UTC, datetime

from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.nexus import activity, deployment, registry
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.record import purge
from nexus_reimport.record.purge import PrivateFolder
from nexus_reimport.settings import Settings


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
