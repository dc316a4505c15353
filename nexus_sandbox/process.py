"""Server processes that never outlive the one that started them, and the ports they listen on."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from nexus_reimport import CHECKOUT
from nexus_reimport.errors import SandboxError
from nexus_reimport.files import private
from nexus_reimport.interrupt import ends_with_us

NOBODY = 65534
"""The user for PostgreSQL if we are root, because PostgreSQL refuses to run as root."""

_ATTEMPTS = 3
_PORTS = range(23_000, 30_000)  # below the range for outgoing connections, from 32,768 on


def start(
    arguments: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path("/"),
    user: int | None = None,
    farewell: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a server process that ends when the calling thread ends.

    On Linux the kernel sends ``farewell`` to it, even after kill -9 of this process. On other
    systems the next start looks for it with ``end_leftover``. It has its own session, so that
    Ctrl-C reaches only us, and no pipe of ours, so that nothing waits for it by accident.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=clean_environment(environment),
            start_new_session=True,
            preexec_fn=ends_with_us(farewell),  # noqa: PLW1509 - two system calls, no lock
            user=user,
            group=user,
            extra_groups=_groups(user),
        )


Access = TypeVar("Access")


@dataclass(frozen=True, slots=True)
class Launch(Generic[Access]):
    """How one kind of server is started: on free ports, until it is ready.

    ``access`` is how to reach it. ``on_free_ports`` gives it with ports that are free now, its own
    where they are; ``is_ready`` asks our own server, which a stranger on that port is not.
    ``patience`` is how many seconds each attempt has.
    """

    name: str
    log: Path
    on_free_ports: Callable[[Access], Access]
    start: Callable[[Access], subprocess.Popen[bytes]]
    is_ready: Callable[[Access], bool]
    polite: signal.Signals = signal.SIGTERM
    patience: float = 60.0


class Server:
    """A server that runs until ``stop``; a context manager."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        self._server = server

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._server.pid

    def exited(self) -> bool:
        """Whether it ended by itself."""
        return self._server.poll() is not None

    def stop(self) -> None:
        """Stop; what it holds stays."""
        stop(self._server)


def launch(how: Launch[Access], access: Access) -> tuple[Access, subprocess.Popen[bytes]]:
    """A server that is ready, with the ports that it got.

    Tried three times: another process may take a free port between our look and the server's.

    Raises:
        SandboxError: it did not start; no server is left running.
    """
    for _ in range(_ATTEMPTS):
        access = how.on_free_ports(access)
        server = how.start(access)
        if _becomes_ready(server, partial(how.is_ready, access), how.patience):
            return access, server
        stop(server, polite=how.polite)
    raise SandboxError(
        f"{how.name} did not start in {_ATTEMPTS} attempts",
        where=f"log={how.log}",
        state="no server is running",
        next=f"fix what its log says: {tail(how.log)}",
    )


def _becomes_ready(
    server: subprocess.Popen[bytes], is_ready: Callable[[], bool], seconds: float
) -> bool:
    """Whether the server is ready in so many seconds, and has not ended before."""
    ended_or_ready = until(lambda: server.poll() is not None or is_ready(), seconds)
    return ended_or_ready and server.poll() is None


def answers(url: str) -> bool:
    """Whether ``url`` on this machine answers with HTTP 200, asked past any proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def run(
    arguments: Sequence[str | Path], *, user: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end, as ``user`` if one is given."""
    return subprocess.run(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        env=clean_environment(),
        check=False,
        preexec_fn=ends_with_us(signal.SIGKILL),
        user=user,
        group=user,
        extra_groups=_groups(user),
    )


def stop(
    server: subprocess.Popen[bytes],
    *,
    polite: signal.Signals = signal.SIGTERM,
    patience: float = 10.0,
) -> None:
    """Ask the server to end, and kill it if it does not end within ``patience`` seconds."""
    if server.poll() is None:
        server.send_signal(polite)
    try:
        server.wait(patience)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def end_leftover(
    pid: int,
    mark: str,
    *,
    polite: signal.Signals = signal.SIGTERM,
    patience: float = 10.0,
) -> None:
    """End process ``pid`` if it is ours from an earlier start: then ``mark`` is in its command.

    The system reuses process ids, so the id alone proves nothing.
    """
    for sign, seconds in ((polite, patience), (signal.SIGKILL, 5.0)):
        if mark not in command(pid):
            return
        _send(pid, sign)
        until(lambda: mark not in command(pid), seconds)


def note(server: subprocess.Popen[bytes], path: Path) -> None:
    """Write the server's process id to ``path``, for ``end_noted``."""
    private.replace(path, str(server.pid).encode())


def end_noted(path: Path, mark: str, *, polite: signal.Signals = signal.SIGTERM) -> None:
    """``end_leftover`` for the process id that ``note`` wrote, if there is one."""
    if path.exists():
        end_leftover(int(path.read_text()), mark, polite=polite)
        path.unlink()


def command(pid: int) -> str:
    """The command line of a live process; "" if it does not exist."""
    entry = Path("/proc") / str(pid)
    if entry.parent.joinpath("self").exists():
        try:
            return entry.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            return ""
    shown = run(["/bin/ps", "-o", "command=", "-p", str(pid)])
    return shown.stdout.strip()


def until(
    happened: Callable[[], bool],
    seconds: float,
    pause: float = 0.02,
) -> bool:
    """Wait until ``happened`` returns True; False if it did not within ``seconds``."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def listens(port: int) -> bool:
    """Whether something listens on this port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port(preferred: int = 0, *, besides: Collection[int] = (), among: range = _PORTS) -> int:
    """A free port on loopback: the preferred one if possible, else one of ``among``."""
    if preferred and preferred not in besides and _is_free(preferred):
        return preferred
    for port in (secrets.choice(among) for _ in range(500)):
        if port not in besides and _is_free(port):
            return port
    raise SandboxError(
        f"no free port from {among[0]} to {among[-1]} on 127.0.0.1",
        next="end servers that are no longer needed",
    )


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """A server's environment: nothing from our own, which may hold real secrets."""
    return {"PATH": os.defpath, "LC_ALL": locale(), "HOME": "/", **(more or {})}


def python_path() -> dict[str, str]:
    """The variable with which a Python process finds these packages, installed or not."""
    return {"PYTHONPATH": str(CHECKOUT)}


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a server's log, for a message."""
    if not log.exists():
        return ""
    return " | ".join(log.read_text(errors="replace").splitlines()[-lines:])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # A port that was just closed is free: its TIME_WAIT does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _send(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        return


def locale() -> str:
    """A UTF-8 locale that every system has."""
    return "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"


def _groups(user: int | None) -> list[int] | None:
    return None if user is None else []
