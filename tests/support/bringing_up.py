"""An ``up`` of the made-up clinic as a command of its own, forked from one that has it loaded."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from nexus_sandbox.stack import lifecycle
from support import forking


class Command:
    """An ``up``, which says what it does, a line each, on ``stdout``; then it stays a while."""

    def __init__(self, folder: Path, scale: float, mode: str, seconds: float) -> None:
        read, write = os.pipe()
        its = Connection(write, readable=False)
        self._process = forking.process(_up, its, folder, scale, mode, seconds)
        self._process.start()
        its.close()
        self.stdout = os.fdopen(read)

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float) -> None:
        """Until it has ended."""
        self._process.join(seconds)
        assert self.returncode is not None, "it did not end in time"

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self._process.kill()
        self._process.join()


def _up(out: Connection, folder: Path, scale: float, mode: str, seconds: float) -> None:
    os.dup2(out.fileno(), 1)
    out.close()

    def tell(message: str) -> None:
        os.write(1, f"{message}\n".encode())

    lifecycle.up(
        folder,
        scale=scale,
        environments=folder.parent / "environments",
        progress=tell,
        detach=mode == "detach",
    )
    tell("up")
    time.sleep(seconds)
