"""What is in our own schemas, as the catalog says it: to see whether all of it is ours."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_reimport.nexus.postgres import Connection, statement
from nexus_reimport.nexus.registry.own_schema import OWN_SCHEMA, UNDO_PREFIX

TABLE, SCHEMA = "table", "schema"
_TIME = "timestamp with time zone"
# Our lasting tables as they are made: their columns, in the order of the names, and their keys.
AS_MADE = {
    f"{OWN_SCHEMA}.deployment": (
        (
            f"adopted_at {_TIME}",
            "adopted_by text",
            "database_name text",
            "database_oid bigint",
            "environment text",
            "only_row boolean",
            "system_identifier text",
        ),
        "PRIMARY KEY (only_row)",
    ),
    f"{OWN_SCHEMA}.loaded": (
        ("entity text", "filemaker_id text", "nexus_id text"),
        "PRIMARY KEY (entity, filemaker_id)",
    ),
    f"{OWN_SCHEMA}.restores": (
        (f"at {_TIME}", "id text", "runs jsonb", "who text", "why text"),
        "PRIMARY KEY (id)",
    ),
    f"{OWN_SCHEMA}.runs": (
        (
            "after jsonb",
            "approved_by text",
            "before jsonb",
            f"committed_at {_TIME}",
            "digest text",
            "environment text",
            "kind text",
            "number bigint",
            "run text",
            "seal text",
            "sequence bigint",
            "undo jsonb",
            "undone_by text",
            "verdict text",
        ),
        "PRIMARY KEY (run)",
    ),
}


@dataclass(frozen=True, slots=True)
class OwnObject:
    """A schema, a table, or whatever else is in one of our schemas.

    ``acts`` names triggers, rules and policies; ``readers`` who may use it besides us.
    """

    place: str
    kind: str
    columns: tuple[str, ...]
    key: str
    acts: str
    readers: str

    @property
    def schema(self) -> str:
        """The schema that it is in, or is."""
        return self.place.partition(".")[0]

    @property
    def name(self) -> str:
        """Its name in the schema; "" for the schema itself."""
        return self.place.partition(".")[2]


def objects(connection: Connection) -> tuple[OwnObject, ...]:
    """Everything in our own schemas, the schemas too; indexes aside."""
    asked = {"own": OWN_SCHEMA, "undo": UNDO_PREFIX}
    return tuple(
        OwnObject(place, kind, tuple(columns or ()), key or "", acts or "", readers or "")
        for place, kind, columns, key, acts, readers in connection.execute(
            statement("own_objects"), asked
        )
    )
