"""Nexus's database as one connection sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from psycopg import sql

from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus.connection.postgres import Connection, table_name
from nexus_reimport.nexus.connection.readings import Gone
from nexus_reimport.nexus.structure import catalog as catalogs
from nexus_reimport.nexus.structure.catalog import Catalog, Table


@dataclass(frozen=True, slots=True)
class Database:
    """A connection, the mapping, and the catalog as it was read over this connection.

    ``content_types`` are Django's: ``app_label.model`` -> id, other ids in each installation.
    """

    connection: Connection
    mapping: FieldMapping
    catalog: Catalog
    content_types: Mapping[str, int]

    @classmethod
    def read(cls, connection: Connection, mapping: FieldMapping) -> Self:
        """The database as it is now; the mapping must fit it (``nexus.structure.fit.check``)."""
        catalog = catalogs.read(connection, mapping.schema_name)
        return cls(connection, mapping, catalog, catalogs.content_types(connection, mapping))

    @property
    def schema(self) -> str:
        """The schema of the application's tables."""
        return self.mapping.schema_name

    def place(self, table: str) -> sql.Identifier:
        """The full name of one of the application's tables, for a statement."""
        return table_name(self.schema, table)

    def table(self, name: str) -> Table:
        """One of the application's tables.

        Raises:
            Gone: it is not there.
        """
        if name not in self.catalog.tables:
            raise Gone(f"there is no table {name}")
        return self.catalog.tables[name]

    def key(self, table: str) -> str:
        """The column of the primary key of ``table``."""
        return self.table(table).primary_key[0]
