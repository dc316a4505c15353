"""The background process that is the parent of the sandbox's servers.

    python -m nexus_sandbox.stack.supervisor FOLDER

It reads one word a line from the command that started it, and answers each with a line of JSON:

    (started)   {"said": "mine"} or {"said": "taken"}: another supervisor has this folder
    start       {"said": "running"} or {"said": "failed", "what": …}
    detach      no answer: from now on it lives without the command

When the command goes away before ``detach``, however it does, the supervisor stops the servers and
ends. When the supervisor is killed, the kernel ends the servers (``process.start``).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import NoReturn, Protocol

from nexus_reimport.errors import SandboxError
from nexus_sandbox.clinic.layouts import ONLY_ODATA
from nexus_sandbox.filemaker.server import FileMakerServer
from nexus_sandbox.nexus_api.server import NexusApiServer
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from nexus_sandbox.stack.access import ENVIRONMENTS, bucket, database
from nexus_sandbox.stack.state import Hold, SavedState

_PAUSE = 0.1


class Server(Protocol):
    """What the supervisor knows of a server."""

    def exited(self) -> bool: ...
    def stop(self) -> None: ...


def main(folder: Path) -> int:
    """Supervise until told to end, by SIGTERM or by the end of the command."""
    _on_signals(_end)
    hold = Hold(folder)
    if not hold.take():
        _say("taken")
        return 0
    _say("mine")
    words: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(words,), daemon=True).start()
    servers: list[Server] = []
    try:
        words.get()  # the first word is "start"
        _start(folder, servers)
        hold.ready()
        _say("running")
        _watch(servers)
    except SandboxError as error:
        _say("failed", what=error.what, where=error.where, next=error.next)
    finally:
        _on_signals(signal.SIG_IGN)
        hold.ending()
        for server in reversed(servers):
            server.stop()
    return 1


def _start(folder: Path, servers: list[Server]) -> None:
    """Start all of them, in the main thread: they end with the thread that started them."""
    kept = SavedState.at(folder)
    if kept is None:
        raise SandboxError(
            "the folder has no made-up clinic", next="run nexus-reimport sandbox up again"
        )
    postgres = PostgresServer.start(folder / "postgres")
    servers.append(postgres)
    servers.append(S3Server.start(folder / "s3", [bucket(name) for name in ENVIRONMENTS]))
    filemaker = FileMakerServer.start(
        folder / "filemaker",
        port=kept.filemaker_port,
        password=kept.filemaker_password,
        only_odata=ONLY_ODATA,
    )
    servers.append(filemaker)
    ports = {}
    for name in ENVIRONMENTS if kept.has_api else ():
        api = NexusApiServer.start(
            folder / f"api-{name}",
            postgres.access.dsn(database(name)),  # its owner is not made yet at the first start
            port=kept.api_ports.get(name, 0),
            password=kept.api_password,
        )
        servers.append(api)
        ports[name] = api.port
    kept.on_ports(filemaker.port, ports, folder)


def _watch(servers: list[Server]) -> None:
    """Until one ends by itself: half a clinic is no clinic, so all end then."""
    while not any(server.exited() for server in servers):
        time.sleep(_PAUSE)


def _listen(words: SimpleQueue[str]) -> None:
    """Pass on the command's words. When it is gone, end as if told to."""
    for line in sys.stdin:
        if line.strip() == "detach":
            return
        words.put(line.strip())
    os.kill(os.getpid(), signal.SIGTERM)


def _on_signals(react: Callable[[int, object], object] | signal.Handlers) -> None:
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, react)


def _end(sign: int, frame: object) -> NoReturn:
    _on_signals(signal.SIG_IGN)  # a second one must not end the ending
    raise SystemExit(0)


def _say(word: str, **more: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # a command that is gone needs no answer
        sys.stdout.write(json.dumps({"said": word, **more}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
