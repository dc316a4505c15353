"""Adopting: a database records, once, which environment owns it. No command runs before that."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.errors import StopError, TargetError
from nexus_reimport.nexus import deployment, rights
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.nexus.deployment import Deployment
from nexus_reimport.nexus.rights import Task
from nexus_reimport.nexus.writing.run_lock import run_lock, wait_for_run_lock
from nexus_reimport.settings import EnvironmentKind, Settings


@dataclass(frozen=True, slots=True)
class Candidate:
    """The database that an environment's file names, and whether its marker must be written."""

    environment: str
    kind: EnvironmentKind
    database: Deployment
    bytes_stored: int
    must_be_written: bool


def candidate(environment: str, *, this_is_a_copy: bool = False) -> Candidate:
    """What a person must see before they confirm that this is the database.

    Raises:
        StopError: it cannot be adopted, or only as a copy, or rights are missing. Nothing was
            written.
    """
    settings = environments.load(environment)
    mapping = mappings.load(settings.mapping, environments.folder())
    with connected(settings.postgres) as connection:
        lacking = rights.missing(rights.read(connection, mapping), Task.ADOPT)
        try:
            database = deployment.read(connection)
            must = deployment.must_be_written(
                database, settings.name, this_is_a_copy=this_is_a_copy
            )
        except psycopg.errors.InsufficientPrivilege:  # the role has no right to read the marker
            must = bool(lacking)
            if not lacking:
                raise
        if must and lacking:
            raise rights.refusal(lacking, deployment.place(connection))
        size = deployment.size(connection)
    return Candidate(settings.name, settings.kind, database, size, must)


def adopt(seen: Candidate, *, this_is_a_copy: bool = False) -> Deployment:
    """Write the marker into the database that was shown; gives the database with its marker.

    If the marker is already right, nothing is written.

    Raises:
        StopError: it cannot be adopted, or is not the one that was shown. Nothing was written.
        Busy: a run is using the database. Nothing was written.
        TargetError: PostgreSQL refused, or was lost. It says whether the marker was written.
    """
    settings = environments.load(seen.environment)
    has_begun = False
    try:
        with (
            connected(settings.postgres) as connection,
            run_lock(connection, settings.postgres.lock_wait),
        ):
            database = deployment.read(connection)
            if database != seen.database:
                raise StopError(
                    "this is not the database that was shown, or its marker was changed since then",
                    where=database.place,
                    next=f"look again: nexus-reimport adopt {seen.environment}",
                )
            has_begun = True
            deployment.adopt(connection, settings.name, this_is_a_copy=this_is_a_copy)
            return deployment.read(connection)
    except TargetError as error:
        if not has_begun:
            raise
        return _as_written(seen, settings, error)


def _as_written(seen: Candidate, settings: Settings, error: TargetError) -> Deployment:
    """The database as it is after ``error`` came while the marker was written, if it is in it.

    Raises:
        TargetError: ``error`` itself: nothing was written. Or the database cannot be asked.
    """
    with connected(settings.postgres, "the marker may have been written; nothing else was") as new:
        wait_for_run_lock(new, settings.postgres.lock_wait)  # else its COMMIT may be on its way
        database = deployment.read(new)
    if database.marker == seen.database.marker:
        raise error
    return database
