"""The marker in a database that says which environment owns it; ``deployment`` compares it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nexus_reimport import wording
from nexus_reimport.nexus.connection.postgres import Connection, statement
from nexus_reimport.nexus.registry.own_schema import MARKER, exists, make_schema

REMOVE = "DELETE FROM nexus_reimport.deployment;"  # for a person to run, never for us


@dataclass(frozen=True, slots=True)
class Identity:
    """What identifies a database; ``system`` is "" if the role may not read it."""

    database: str
    oid: int
    system: str

    def differences(self, now: Identity) -> tuple[str, ...]:
        """What is different ``now``; the server is compared only if both are known."""
        differing = []
        if self.database != now.database:
            differing.append(f"its name was {self.database}, now it is {now.database}")
        if self.oid != now.oid:
            differing.append(f"its oid was {self.oid}, now it is {now.oid}")
        if self.system and now.system and self.system != now.system:
            differing.append("it was on another server")
        return tuple(differing)

    def is_still(self, now: Identity) -> bool:
        """Whether ``now`` is this database, even if renamed: a server does not reuse an oid."""
        renamed = self.oid == now.oid and self.system != "" and self.system == now.system
        return renamed or not self.differences(now)


@dataclass(frozen=True, slots=True)
class Marker:
    """What was written when a person adopted the database for an environment."""

    environment: str
    identity: Identity
    adopted_at: datetime
    adopted_by: str

    @property
    def when(self) -> str:
        """The time at which it was written, as people read it."""
        return wording.minute(self.adopted_at)


def read(connection: Connection) -> Marker | None:
    """The marker of this database; None if it has none."""
    if not exists(connection, MARKER):
        return None
    row = connection.execute(statement("marker")).fetchone()
    if row is None:
        return None
    return Marker(row[0], Identity(*row[1:4]), datetime.fromisoformat(row[4]), row[5])


def write(connection: Connection, environment: str, identity: Identity, by: str) -> None:
    """Write the marker, replacing any existing one; creates its table if that is missing.

    Call it inside a transaction.
    """
    if not exists(connection, MARKER):
        make_schema(connection)
        connection.execute(statement("deployment"))
    values = {
        "environment": environment,
        "database": identity.database,
        "oid": identity.oid,
        "system": identity.system,
        "by": by,
    }
    connection.execute(statement("adopt"), values)
