"""The way to the sandbox's PostgreSQL server: its port, its roles, its databases."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

from nexus_reimport.files import private
from nexus_reimport.nexus.connection.session import without_environment

SUPERUSER = "postgres"
_MEMORY = "postgres.json"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that somebody started. ``home`` is where its data lies."""

    port: int
    home: Path
    passwords: Mapping[str, str] = field(repr=False)

    @classmethod
    def at(cls, folder: Path) -> Self | None:
        """The server of this folder as last started, running or not; None if never made."""
        saved = folder / _MEMORY
        if not saved.exists():
            return None
        held = json.loads(saved.read_text())
        return cls(held["port"], Path(held["home"]), held["passwords"])

    def remember(self, folder: Path) -> None:
        """Keep it for ``at``, in a file of mode 0600."""
        held = {"port": self.port, "home": str(self.home), "passwords": dict(self.passwords)}
        private.replace(folder / _MEMORY, json.dumps(held).encode())

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "data"

    def dsn(self, database: str = SUPERUSER, role: str = SUPERUSER) -> str:
        """An URL that libpq understands, the password in it."""
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{database}"

    def connect(
        self, database: str = SUPERUSER, role: str = SUPERUSER, *, autocommit: bool = True
    ) -> psycopg.Connection[tuple[object, ...]]:
        """A connection in autocommit, or not; libpq's environment variables do not count."""
        with without_environment():
            return psycopg.connect(
                self.dsn(database, role), autocommit=autocommit, connect_timeout=10
            )

    def takes_password(self) -> bool:
        """Whether the server that listens on the port is this one, and ready."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def with_role(self, name: str) -> Self:
        """Make a role that may log in and nothing more; knows its password."""
        password = secrets.token_urlsafe(24)
        statement = sql.SQL(
            "CREATE ROLE {} LOGIN NOCREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS "
            "PASSWORD {}"
        )
        self._execute(statement.format(sql.Identifier(name), sql.Literal(password)))
        return replace(self, passwords={**self.passwords, name: password})

    def create_database(
        self, name: str, *, template: str = "template0", owner: str = SUPERUSER
    ) -> None:
        """Make a database as a copy of ``template``, to which nobody may be connected."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        self._execute(statement.format(*map(sql.Identifier, (name, template, owner))))

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there, and end whoever is connected to it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._execute(statement.format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with self.connect() as connection:
            connection.execute(statement)
