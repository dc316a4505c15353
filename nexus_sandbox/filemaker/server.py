"""The FileMaker simulator as a process of its own, under the sandbox's supervisor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Self

from nexus_sandbox import process

_MODULE = "nexus_sandbox.filemaker.simulator"
_SLOWLY = 2_000_000  # bytes of tables that it reads in a second, at the least
_PASSWORD = "NEXUS_SANDBOX_FILEMAKER_PASSWORD"  # noqa: S105 - the name of a variable


class FileMakerServer(process.Server):
    """A running simulator, which stops with the process that started it."""

    def __init__(self, port: int, server: subprocess.Popen[bytes]) -> None:
        self.port = port
        super().__init__(server)

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        port: int,
        password: str,
        only_odata: Collection[str] = (),
        processes: int = 1,
        latency_ms: float = 0,
    ) -> Self:
        """Serve the tables of ``folder`` on ``port`` if it is free, else on another.

        With several ``processes`` it answers as many requests at the same time; each page takes
        ``latency_ms`` more.
        Those of ``only_odata`` have no layout: the Data API does not know them.

        Raises:
            SandboxError: it did not start; none is left running.
        """
        end_leftover(folder)
        how = process.Launch(
            "the FileMaker simulator",
            _log(folder),
            on_free_ports=process.free_port,
            start=lambda free: _start(folder, free, password, only_odata, processes, latency_ms),
            is_ready=_is_filemaker,
            patience=60 + _size(folder) / _SLOWLY,
        )
        return cls(*process.launch(how, port))


def end_leftover(folder: Path) -> None:
    """Where nobody told it that its starter is gone (macOS), it still runs."""
    process.end_noted(_pid(folder), _MODULE)


def _start(
    folder: Path,
    port: int,
    password: str,
    only_odata: Collection[str],
    processes: int,
    latency_ms: float,
) -> subprocess.Popen[bytes]:
    server = process.start(
        [
            *(sys.executable, "-m", _MODULE),
            *("--folder", folder),
            *("--port", str(port)),
            *("--password-env", _PASSWORD),
            *("--processes", str(processes)),
            *("--latency-ms", str(latency_ms)),
            *(part for name in only_odata for part in ("--only-odata", name)),
        ],
        log=_log(folder),
        environment={**process.python_path(), _PASSWORD: password},
    )
    process.note(server, _pid(folder))
    return server


def _size(folder: Path) -> int:
    """Bytes of the tables, which it reads before it answers."""
    return sum(path.stat().st_size for path in folder.glob("*.json"))


def _is_filemaker(port: int) -> bool:
    return process.answers(f"http://127.0.0.1:{port}/fmi/data/v1/productInfo")


def _pid(folder: Path) -> Path:
    return folder.with_name("filemaker.pid")


def _log(folder: Path) -> Path:
    return folder.with_name("filemaker.log")
