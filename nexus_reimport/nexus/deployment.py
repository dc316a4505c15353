"""Which environment owns a database: a marker in it, compared before anything is read or written.

The marker names the environment, and the database in which it was written: its name, its oid, and
its server's system identifier. A copy contains the marker too, and differs in one of the three:
that is how a copy is recognised. A copy of the server's own files (a disk snapshot, a promoted
replica) differs in none: it is taken for the database itself, and refused for any other
environment.
"""

from __future__ import annotations

from dataclasses import dataclass

from nexus_reimport import program
from nexus_reimport.errors import NOTHING_WRITTEN, StopError
from nexus_reimport.nexus.connection import standbys
from nexus_reimport.nexus.connection.postgres import Connection, scalar, statement
from nexus_reimport.nexus.registry import marker as markers
from nexus_reimport.nexus.registry.marker import Identity, Marker


@dataclass(frozen=True, slots=True)
class Deployment:
    """The database that a connection leads to, and its marker; None if it has none."""

    host: str
    port: int
    version: str
    in_recovery: bool
    identity: Identity
    marker: Marker | None

    @property
    def place(self) -> str:
        """Where it is, for a message."""
        return f"postgres {self.host}:{self.port}/{self.identity.database}"


def read(connection: Connection) -> Deployment:
    """What ``connection`` is connected to."""
    info = connection.info
    (row,) = connection.execute(statement("identity")).fetchall()
    database, oid, in_recovery, may_read_system = row
    # Without the right to call it a copy on another server cannot be told from the original.
    system = "SELECT system_identifier::text FROM pg_control_system()"
    return Deployment(
        host=info.host,
        port=info.port,
        version=info.parameter_status("server_version") or "",
        in_recovery=in_recovery,
        identity=Identity(database, oid, scalar(connection, system) if may_read_system else ""),
        marker=markers.read(connection),
    )


def place(connection: Connection) -> str:
    """Where ``connection`` leads, for a message."""
    info = connection.info
    return f"postgres {info.host}:{info.port}/{info.dbname}"


def size(connection: Connection) -> int:
    """The size of the database in bytes."""
    return int(scalar(connection, "SELECT pg_database_size(current_database())"))


def require(connection: Connection, environment: str, state: str = NOTHING_WRITTEN) -> None:
    """Stop unless this database is the one that was adopted for ``environment``.

    Raises:
        StopError: it is another one, or was not adopted, or is a replica. ``state`` is left.
    """
    here = read(connection)
    _refuse_replica(here, environment, state)
    marker = here.marker
    if marker is None:
        raise StopError(
            f"this database has not been adopted: nothing in it says that it is {environment}",
            where=here.place,
            state=state,
            next=f"if it is {environment}, record that once: nexus-reimport adopt {environment}",
        )
    if marker.environment != environment and marker.identity.is_still(here.identity):
        raise _another(here, marker, environment, state)
    if marker.identity.differences(here.identity):
        raise _copy(here, marker, environment, state)


def adopt(connection: Connection, environment: str, *, this_is_a_copy: bool = False) -> bool:
    """Write the marker; False if the right marker is already there, and nothing was written.

    Raises:
        StopError: see ``must_be_written``. Nothing was written.
    """
    here = read(connection)
    if not must_be_written(here, environment, this_is_a_copy=this_is_a_copy):
        return False
    standbys.do_not_wait(connection)
    with connection.transaction():
        markers.write(connection, environment, here.identity, program.account())
    return True


def must_be_written(here: Deployment, environment: str, *, this_is_a_copy: bool) -> bool:
    """Whether ``adopt`` has something to write.

    Raises:
        StopError: it is a replica, another environment's own database, or a copy and
            ``this_is_a_copy`` is False.
    """
    _refuse_replica(here, environment, NOTHING_WRITTEN)
    marker = here.marker
    if marker is None:
        return True
    if marker.environment != environment and marker.identity.is_still(here.identity):
        raise _never(here, marker, environment)
    if marker.environment == environment and not marker.identity.differences(here.identity):
        return False
    if not this_is_a_copy:
        raise _copy(here, marker, environment, NOTHING_WRITTEN)
    return True


def _refuse_replica(here: Deployment, environment: str, state: str) -> None:
    if here.in_recovery:
        raise StopError(
            "this server is a replica in recovery: nothing can be written to it",
            where=here.place,
            state=state,
            next=f"name the primary server in {environment}.toml",
        )


def _another(here: Deployment, marker: Marker, environment: str, state: str) -> StopError:
    return StopError(
        f"this database is {marker.environment} itself, not {environment}",
        where=f"{here.place}, {_adopted(marker)}",
        state=state,
        next=f"correct host, port and database in {environment}.toml, or the values that they take"
        f" from .env.{environment}",
    )


def _never(here: Deployment, marker: Marker, environment: str) -> StopError:
    return StopError(
        f"this database is {marker.environment} itself: it cannot be adopted as {environment}",
        where=f"{here.place}, {_adopted(marker)}",
        next=f"correct host, port and database in {environment}.toml. Only if this server is a copy"
        f" of another server's files, or the database is no longer {marker.environment}: run"
        f" {markers.REMOVE} in this database, then adopt it",
    )


def _copy(here: Deployment, marker: Marker, environment: str, state: str) -> StopError:
    differing = "; ".join(marker.identity.differences(here.identity))
    where = f"{here.place}, {_adopted(marker)}"
    if marker.identity.is_still(here.identity):
        return StopError(
            f"this database was renamed since it was adopted as {marker.environment}: {differing}",
            where=where,
            state=state,
            next="if that is meant, adopt it under its new name:"
            f" nexus-reimport adopt {environment} --this-is-a-copy",
        )
    return StopError(
        f"this database is a copy of {marker.environment}: {differing}",
        where=where,
        state=state,
        next=f"if it is meant to be {environment}:"
        f" nexus-reimport adopt {environment} --this-is-a-copy",
    )


def _adopted(marker: Marker) -> str:
    return f"adopted as {marker.environment} by {marker.adopted_by} on {marker.when}"
