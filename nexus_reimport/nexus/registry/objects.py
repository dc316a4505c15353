"""What is in our own schemas, as the catalog says it: to see whether all of it is ours."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_reimport.nexus.connection.postgres import Connection, statement
from nexus_reimport.nexus.registry.own_schema import OWN_SCHEMA, UNDO_PREFIX

TABLE = "table"
# Our lasting tables as they are made: columns in the order of their names, then constraints.
AS_MADE = {
    f"{OWN_SCHEMA}.deployment": (
        (
            "adopted_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()",
            "adopted_by text NOT NULL",
            "database_name text NOT NULL",
            "database_oid bigint NOT NULL",
            "environment text NOT NULL",
            "only_row boolean NOT NULL DEFAULT true",
            "system_identifier text NOT NULL",
        ),
        ("CHECK ((environment <> ''::text))", "CHECK (only_row)", "PRIMARY KEY (only_row)"),
    ),
    f"{OWN_SCHEMA}.loaded": (
        ("entity text NOT NULL", "filemaker_id text NOT NULL", "nexus_id text NOT NULL"),
        ("PRIMARY KEY (entity, filemaker_id)",),
    ),
    f"{OWN_SCHEMA}.restores": (
        (
            "at timestamp with time zone NOT NULL",
            "id text NOT NULL",
            "runs jsonb NOT NULL",
            "who text NOT NULL",
            "why text NOT NULL",
        ),
        ("CHECK ((who <> ''::text))", "CHECK ((why <> ''::text))", "PRIMARY KEY (id)"),
    ),
    f"{OWN_SCHEMA}.runs": (
        (
            "after jsonb NOT NULL",
            "approved_by text NOT NULL",
            "before jsonb NOT NULL",
            "committed_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()",
            "digest text NOT NULL",
            "environment text NOT NULL",
            "kind text NOT NULL DEFAULT 'reimport'::text",
            "number bigint",
            "run text NOT NULL",
            "seal text NOT NULL DEFAULT ''::text",
            "sequence bigint",
            "undo jsonb",
            "undone_by text NOT NULL DEFAULT ''::text",
            "verdict text NOT NULL DEFAULT ''::text",
        ),
        ("PRIMARY KEY (run)",),
    ),
}


@dataclass(frozen=True, slots=True)
class OwnObject:
    """A schema, a table, or whatever else is in one of our schemas.

    A column stands with its type, its default, and in our lasting tables whether it accepts NULL.
    ``acts`` names triggers, rules, policies and indexes; ``readers`` who may use it besides us.
    """

    place: str
    kind: str
    columns: tuple[str, ...]
    constraints: tuple[str, ...]
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
    """Everything in our own schemas, the schemas too; an index stands with its table."""
    asked = {"own": OWN_SCHEMA, "undo": UNDO_PREFIX}
    return tuple(
        OwnObject(
            place, kind, tuple(columns or ()), tuple(constraints or ()), acts or "", readers or ""
        )
        for place, kind, columns, constraints, acts, readers in connection.execute(
            statement("own_objects"), asked
        )
    )
