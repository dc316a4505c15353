"""The stand-in as a process of its own, under the sandbox's supervisor: one for each database."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from nexus_reimport.errors import SandboxError
from nexus_sandbox import process
from nexus_sandbox.nexus_api.api import DSN, PASSWORD

_MODULE = "nexus_sandbox.nexus_api.api"
_ATTEMPTS = 3


class NexusApiServer:
    """A running stand-in, which stops with the process that started it."""

    def __init__(self, port: int, server: subprocess.Popen[bytes]) -> None:
        self.port = port
        self._server = server

    @classmethod
    def start(cls, folder: Path, dsn: str, *, port: int, password: str) -> Self:
        """Serve the database at ``dsn`` on ``port`` if it is free, else on another.

        Raises:
            SandboxError: it did not start; none is left running.
        """
        process.end_noted(_pid(folder), _MODULE)
        for _ in range(_ATTEMPTS):
            port = process.free_port(port)
            server = process.start(
                [sys.executable, "-m", _MODULE, "--port", str(port)],
                log=_log(folder),
                environment={**process.python_path(), PASSWORD: password, DSN: dsn},
            )
            process.note(server, _pid(folder))
            if _answers(port, server):
                return cls(port, server)
            process.stop(server)
        raise SandboxError(
            f"the stand-in for Nexus's API did not start in {_ATTEMPTS} attempts",
            where=f"log={_log(folder)}",
            state="none is left running",
            next=f"its last words: {process.tail(_log(folder))}",
        )

    def exited(self) -> bool:
        """Whether it ended by itself."""
        return self._server.poll() is not None

    def stop(self) -> None:
        """Stop; the database stays."""
        process.stop(self._server)


def _answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    def settled() -> bool:
        return server.poll() is not None or _shows_its_form(port)

    return process.until(settled, seconds=60, pause=0.05) and server.poll() is None


def _shows_its_form(port: int) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{port}/accounts/login/", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _pid(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.pid")


def _log(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.log")
