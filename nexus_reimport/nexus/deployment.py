"""Whose database this is: a marker in it, compared with the environment before any write.

The marker names the environment, and the database in which it was written: its name and oid, and
its server's system identifier. A copy brings the marker along and differs in one of the three, so
it is known as a copy. A copy of the server's own files (a disk snapshot, a promoted replica)
differs in none: it counts as the database itself, and is refused under any other name.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass

from nexus_reimport.errors import NOTHING_WRITTEN, StopError
from nexus_reimport.nexus.postgres import Connection, scalar, statement
from nexus_reimport.nexus.registry import marker as markers
from nexus_reimport.nexus.registry.marker import Identity, Marker


@dataclass(frozen=True, slots=True)
class Deployment:
    """The database at the other end of a connection, and its marker, None where it has none."""

    host: str
    port: int
    version: str
    in_recovery: bool
    identity: Identity
    marker: Marker | None

    @property
    def place(self) -> str:
        """Where it is, as messages say it."""
        return f"postgres {self.host}:{self.port}/{self.identity.database}"


def read(connection: Connection) -> Deployment:
    """What ``connection`` is connected to."""
    info = connection.info
    (row,) = connection.execute(statement("identity")).fetchall()
    database, oid, in_recovery, may_read_system = row
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
    """Where ``connection`` leads, as messages say it."""
    info = connection.info
    return f"postgres {info.host}:{info.port}/{info.dbname}"


def size(connection: Connection) -> int:
    """How many bytes the database takes."""
    return int(scalar(connection, "SELECT pg_database_size(current_database())"))


def require(connection: Connection, environment: str, state: str = NOTHING_WRITTEN) -> None:
    """That this database is the one that ``environment`` adopted.

    Raises:
        StopError: it is not, or nobody adopted it, or it is a replica. ``state`` is left.
    """
    found = read(connection)
    _refuse_replica(found, environment, state)
    marker = found.marker
    if marker is None:
        raise StopError(
            f"this database has not been adopted: nothing in it says that it is {environment}",
            where=found.place,
            state=state,
            next=f"if it is, say so once: nexus-reimport adopt {environment}",
        )
    if marker.environment != environment and marker.identity.is_still(found.identity):
        raise _another(found, marker, environment, state)
    if marker.identity.differences(found.identity):
        raise _copy(found, marker, environment, state)


def adopt(connection: Connection, environment: str, *, this_is_a_copy: bool = False) -> bool:
    """Write the marker; False where it says so already, and nothing had to be written.

    Raises:
        StopError: see ``must_be_written``. Nothing was written.
    """
    found = read(connection)
    if not must_be_written(found, environment, this_is_a_copy=this_is_a_copy):
        return False
    with connection.transaction():
        markers.write(connection, environment, found.identity, getpass.getuser())
    return True


def must_be_written(found: Deployment, environment: str, *, this_is_a_copy: bool) -> bool:
    """Whether ``adopt`` has something to write.

    Raises:
        StopError: a replica; another environment's own database; a copy that nobody calls one.
    """
    _refuse_replica(found, environment, NOTHING_WRITTEN)
    marker = found.marker
    if marker is None:
        return True
    if marker.environment != environment and marker.identity.is_still(found.identity):
        raise _never(found, marker, environment)
    if marker.environment == environment and not marker.identity.differences(found.identity):
        return False
    if not this_is_a_copy:
        raise _copy(found, marker, environment, NOTHING_WRITTEN)
    return True


def _refuse_replica(found: Deployment, environment: str, state: str) -> None:
    if found.in_recovery:
        raise StopError(
            "this server is a replica in recovery: nothing can be written to it",
            where=found.place,
            state=state,
            next=f"name the primary server in {environment}.toml",
        )


def _another(found: Deployment, marker: Marker, environment: str, state: str) -> StopError:
    return StopError(
        f"this database is {marker.environment} itself, not {environment}",
        where=f"{found.place}, {_adopted(marker)}",
        state=state,
        next=f"put right where {environment} is: host, port and database in {environment}.toml,"
        f" and what they take from .env.{environment}",
    )


def _never(found: Deployment, marker: Marker, environment: str) -> StopError:
    return StopError(
        f"this database is {marker.environment} itself: it is not adopted as {environment}",
        where=f"{found.place}, {_adopted(marker)}",
        next=f"put right where {environment} is. Only if this is a copy of the server's own files,"
        f" or no longer {marker.environment}: run in it by hand {markers.REMOVE} then adopt it",
    )


def _copy(found: Deployment, marker: Marker, environment: str, state: str) -> StopError:
    differ = "; ".join(marker.identity.differences(found.identity))
    return StopError(
        f"this database is a copy of {marker.environment}: {differ}",
        where=f"{found.place}, {_adopted(marker)}",
        state=state,
        next=f"if it is meant to be {environment}:"
        f" nexus-reimport adopt {environment} --this-is-a-copy",
    )


def _adopted(marker: Marker) -> str:
    return f"adopted as {marker.environment} by {marker.adopted_by} on {marker.when}"
