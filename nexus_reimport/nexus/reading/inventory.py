"""All that the catalog says of the database, our own schemas aside: what a run must not change.

``schema`` describes the tables that a run touches, to which approval is bound. Here is everything:
each table of each schema, and what is beside them. It is compared after COMMIT alone.
"""

from __future__ import annotations

from pathlib import Path

from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus.connection.postgres import Connection, statement
from nexus_reimport.nexus.registry import OWN_SCHEMA, UNDO_PREFIX
from nexus_reimport.nexus.structure import schema
from nexus_reimport.nexus.structure.schema import Fact, Facts

COLUMNS = ("place", "shown", "digest", "local")
_OURS = {"own": OWN_SCHEMA, "undo": UNDO_PREFIX}
Positions = dict[str, int | None]  # sequence -> what it has given out last, counted upwards


def describe(connection: Connection) -> Facts:
    """All that the catalog says, as it is now."""
    facts: dict[Fact, None] = {}
    for name, tables in connection.execute(statement("tables_by_schema"), _OURS).fetchall():
        facts |= dict.fromkeys(schema.of_tables(connection, name, tables))
    for name in ("beside_tables", "definitions", "roles", "large_objects"):
        facts |= dict.fromkeys(schema.facts(connection, name, _OURS))
    return tuple(facts)


def dump(connection: Connection, path: Path) -> RowFile:
    """The same as a row file, for another stage to compare with."""
    facts = describe(connection)
    return rowfile.write(path, COLUMNS, ((f.place, f.shown, f.digest, str(f.local)) for f in facts))


def read(folder: Path, file: RowFile) -> Facts:
    """What ``dump`` wrote."""
    return tuple(
        Fact(place or "", shown or "", digest or "", local == "True")
        for place, shown, digest, local in rowfile.read(folder, file)
    )


def positions(connection: Connection) -> Positions:
    """Where each sequence stands; one that cycles is left out: it is set back by itself.

    A sequence that falls is counted the other way, so that it must not become less either.
    """
    rows = connection.execute(statement("sequence_positions"), _OURS)
    return {
        name: last if last is None or increment > 0 else -last for name, increment, last in rows
    }
