"""The stand-in as a process of its own, under the sandbox's supervisor: one for each database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Self

from nexus_sandbox import process
from nexus_sandbox.nexus_api.api import DSN, PASSWORD

_MODULE = "nexus_sandbox.nexus_api.api"


class NexusApiServer(process.Server):
    """A running stand-in, which stops with the process that started it."""

    def __init__(self, port: int, server: subprocess.Popen[bytes]) -> None:
        super().__init__(server)
        self.port = port

    @classmethod
    def start(cls, folder: Path, dsn: str, *, port: int, password: str) -> Self:
        """Serve the database at ``dsn`` on ``port`` if it is free, else on another.

        Raises:
            SandboxError: it did not start; none is left running.
        """
        process.end_noted(_pid(folder), _MODULE)
        how = process.Launch(
            "the stand-in for Nexus's API",
            _log(folder),
            on_free_ports=process.free_port,
            start=lambda free: _start(folder, dsn, free, password),
            is_ready=_shows_its_form,
        )
        return cls(*process.launch(how, port))


def _start(folder: Path, dsn: str, port: int, password: str) -> subprocess.Popen[bytes]:
    server = process.start(
        [sys.executable, "-m", _MODULE, "--port", str(port)],
        log=_log(folder),
        environment={**process.python_path(), PASSWORD: password, DSN: dsn},
    )
    process.note(server, _pid(folder))
    return server


def _shows_its_form(port: int) -> bool:
    return process.answers(f"http://127.0.0.1:{port}/accounts/login/")


def _pid(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.pid")


def _log(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.log")
