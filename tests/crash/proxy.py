"""TCP proxies that can be cut: in front of FileMaker and S3, and one that sees COMMIT go by."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

HOST = "127.0.0.1"
Side = Literal["before", "after"]
_NO_STARTUP = {80877102, 80877103, 80877104}  # cancel, SSL, GSS: another packet or nothing follows
_COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"  # CommandComplete
_WRITES = {b"INSERT", b"UPDATE", b"DELETE"}
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: closing sends RST


class Proxy:
    """Passes bytes between a port of its own and ``target``; ``cut`` ends what is open."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._away = False
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def open(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._pairs)

    def cut(self) -> int:
        """Reset every open connection, on both sides; how many there were."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.cut()
        return len(pairs)

    def go_away(self) -> None:
        """Reset every connection, and every new one, until ``come_back``."""
        self._away = True
        self.cut()

    def come_back(self) -> None:
        """Pass connections on again."""
        self._away = False

    def close(self) -> None:
        """Stop listening and end every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = None if self._away else socket.create_connection((HOST, self.target))
            except OSError:
                server = None
            if server is None:
                _close(client)
                continue
            pair = self._pair(client, server)
            with self._lock:
                self._pairs.add(pair)
            for ours in (pair.forward, pair.backward):
                threading.Thread(target=self._pump, args=(pair, ours), daemon=True).start()

    def _pair(self, client: socket.socket, server: socket.socket) -> _Pair:
        return _Pair(client, server)

    def _pump(self, pair: _Pair, direction: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            direction()
        pair.end()
        with self._lock:
            self._pairs.discard(pair)


class _Pair:
    """One connection and its twin."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def forward(self) -> None:
        while data := self.client.recv(65536):
            self.server.sendall(data)

    def backward(self) -> None:
        while data := self.server.recv(65536):
            self.client.sendall(data)

    def end(self) -> None:
        """Close both sides; what was sent still arrives."""
        for side in (self.client, self.server):
            _close(side)

    def cut(self) -> None:
        """Close both sides at once, as a network does that fails."""
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            _close(side)


@dataclass(slots=True)
class Snare:
    """What is to be done at the next COMMIT of an application in a database."""

    database: str
    application: str
    side: Side  # "before": COMMIT never reaches the server; "after": its answer never the client
    stays_away: bool  # whether the server is out of reach from then on
    sprung: threading.Event


class PostgresProxy(Proxy):
    """A proxy that reads along with the client of a connection without TLS."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self._snare: Snare | None = None

    def at_commit(
        self, database: str, application: str, side: Side, *, stays_away: bool = False
    ) -> Snare:
        """Cut all connections at the next COMMIT, on the one or the other side of it."""
        self._snare = Snare(database, application, side, stays_away, threading.Event())
        return self._snare

    def come_back(self) -> None:
        """Pass connections on again, COMMIT too."""
        self._snare = None
        super().come_back()

    def spring(self, snare: Snare) -> None:
        """Do what the snare is for, once."""
        self._snare = None
        snare.sprung.set()
        if snare.stays_away:
            self.go_away()
        else:
            self.cut()

    def snare_for(self, startup: dict[str, str]) -> Snare | None:
        """The snare that waits for a connection that began with these parameters."""
        snare = self._snare
        if snare is None:
            return None
        known = (startup.get("database"), startup.get("application_name"))
        return snare if known == (snare.database, snare.application) else None

    def _pair(self, client: socket.socket, server: socket.socket) -> _Pair:
        return _PostgresPair(client, server, self)


class _PostgresPair(_Pair):
    """Reads the client's messages one by one, and knows when one ends a transaction that wrote.

    A driver's own first look at a database may be a transaction, too.
    """

    def __init__(self, client: socket.socket, server: socket.socket, proxy: PostgresProxy) -> None:
        super().__init__(client, server)
        self._proxy = proxy
        self._startup: dict[str, str] = {}
        self._wrote = False
        self._lost: Snare | None = None  # COMMIT was sent on: its answer is to be lost

    def forward(self) -> None:
        read = self.client.makefile("rb")
        while not self._startup:
            size = read.read(4)
            body = read.read(struct.unpack("!I", size)[0] - 4) if len(size) == 4 else b""
            if not body:
                return
            self.server.sendall(size + body)
            self._startup = _parameters(body)
        while len(head := read.read(5)) == 5:
            body = read.read(struct.unpack("!I", head[1:])[0] - 4)
            snare = self._proxy.snare_for(self._startup) if self._commits(head, body) else None
            if snare is not None and snare.side == "before":
                self._proxy.spring(snare)
                return
            self._lost = snare or self._lost
            self.server.sendall(head + body)

    def _commits(self, head: bytes, body: bytes) -> bool:
        word = _first_word(head[:1], body)
        self._wrote = (self._wrote or word in _WRITES) and word != b"BEGIN"
        return self._wrote and word == b"COMMIT"

    def backward(self) -> None:
        kept = b""
        while data := self.server.recv(65536):
            if self._lost is None:
                self.client.sendall(data)
                continue
            kept += data
            if _COMMITTED in kept:
                self._proxy.spring(self._lost)
                return


def _parameters(body: bytes) -> dict[str, str]:
    """The parameters of a start-up packet; none of a request for encryption."""
    if struct.unpack("!I", body[:4])[0] in _NO_STARTUP:
        return {}
    parts = [part.decode() for part in body[4:].split(b"\0")]
    return dict(zip(parts[::2], parts[1::2], strict=False))


def _first_word(kind: bytes, body: bytes) -> bytes:
    """The first word of a simple query, or of the text of a prepared one."""
    text = body if kind == b"Q" else body.partition(b"\0")[2] if kind == b"P" else b""
    return (text.replace(b";", b" ").replace(b"\0", b" ").split(None, 1) or [b""])[0].upper()


def _close(side: socket.socket) -> None:
    with contextlib.suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)  # wakes up the thread that reads from it
    side.close()
