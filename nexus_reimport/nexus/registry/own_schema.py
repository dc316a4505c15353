"""Our own schema in Nexus's database, and the names of everything that is ours in it."""

from __future__ import annotations

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import Connection, scalar, statement, table_name

OWN_SCHEMA = "nexus_reimport"
UNDO_PREFIX = "nexus_reimport_undo_"
RUNS_NAME = "runs"
RUNS = table_name(OWN_SCHEMA, RUNS_NAME)
LOADED = table_name(OWN_SCHEMA, "loaded")
MARKER = table_name(OWN_SCHEMA, "deployment")
RESTORES = table_name(OWN_SCHEMA, "restores")
OF_THE_RUN = frozenset({f"{OWN_SCHEMA}.{RUNS_NAME}"})  # a run and its undo add rows to it


def make(connection: Connection) -> None:
    """Create our own schema and its tables, or bring those of an older version up to date.

    A table that is up to date is not altered: until COMMIT that would keep out everybody who only
    reads it, and whoever waits so ends our reading (``nexus.connection.waiters``).
    """
    make_schema(connection)
    connection.execute(statement("own_schema"))
    if not scalar(connection, statement("runs_table_is_current")):
        connection.execute(statement("own_schema_of_an_older_version"))


def make_schema(connection: Connection) -> None:
    """Create the schema, without tables, if it is missing.

    Not with IF NOT EXISTS, which requires the right to create even if the schema exists.
    """
    if scalar(connection, "SELECT to_regnamespace(%s)", (OWN_SCHEMA,)) is None:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(OWN_SCHEMA)))


def exists(connection: Connection, table: sql.Identifier) -> bool:
    """Whether ``table`` is in this database."""
    name = table.as_string(connection)
    return scalar(connection, "SELECT to_regclass(%s)", (name,)) is not None
