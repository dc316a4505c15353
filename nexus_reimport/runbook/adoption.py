"""An environment adopts its database, once: before that every command refuses to go on."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from nexus_reimport import mapping as mappings
from nexus_reimport import settings as environments
from nexus_reimport.errors import StopError
from nexus_reimport.nexus import deployment, rights
from nexus_reimport.nexus.deployment import Deployment
from nexus_reimport.nexus.postgres import connected
from nexus_reimport.nexus.rights import Task
from nexus_reimport.nexus.transaction import run_lock
from nexus_reimport.settings import EnvironmentKind


@dataclass(frozen=True, slots=True)
class Candidate:
    """The database that an environment's file leads to, and whether there is anything to write."""

    environment: str
    kind: EnvironmentKind
    database: Deployment
    bytes_stored: int
    must_be_written: bool


def candidate(environment: str, *, this_is_a_copy: bool = False) -> Candidate:
    """What a person must see before they say that this is the one.

    Raises:
        StopError: it cannot be adopted, or not in this way, or rights are missing. Nothing was
            written.
    """
    settings = environments.load(environment)
    mapping = mappings.load(settings.mapping, environments.folder())
    with connected(settings.postgres) as connection:
        lacking = rights.missing(rights.read(connection, mapping), Task.ADOPT)
        try:
            found = deployment.read(connection)
            must = deployment.must_be_written(found, settings.name, this_is_a_copy=this_is_a_copy)
        except psycopg.errors.InsufficientPrivilege:  # its marker may not be read
            must = bool(lacking)
            if not lacking:
                raise
        if must and lacking:
            raise rights.refusal(lacking, deployment.place(connection))
        size = deployment.size(connection)
    return Candidate(settings.name, settings.kind, found, size, must)


def adopt(seen: Candidate, *, this_is_a_copy: bool = False) -> Deployment:
    """Write the marker into the database that was seen; what it says from now on.

    Where it says so already nothing is written.

    Raises:
        StopError: it cannot be adopted, or is another than was seen. Nothing was written.
        Busy: a run is at work in it. Nothing was written.
    """
    settings = environments.load(seen.environment)
    state = "the marker was written, or not; nothing else was"
    with (
        connected(settings.postgres, state) as connection,
        run_lock(connection, settings.postgres.lock_wait),
    ):
        found = deployment.read(connection)
        if found != seen.database:
            raise StopError(
                "this is not the database that was shown, or its marker was changed meanwhile",
                where=found.place,
                next=f"look again: nexus-reimport adopt {seen.environment}",
            )
        deployment.adopt(connection, settings.name, this_is_a_copy=this_is_a_copy)
        return deployment.read(connection)
