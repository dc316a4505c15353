"""What may sit before PostgreSQL: poolers of several kinds, a refusal, a server of another kind."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

HOST = "127.0.0.1"
_PROTOCOL_3 = 196608
_TOLD = (
    "server_version",
    "server_encoding",
    "client_encoding",
    "DateStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
    "is_superuser",
)


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port at which each connection is given to ``serve``, in a thread of its own."""
    listener = socket.create_server((HOST, 0), backlog=50)

    def answer(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            serve(client)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=answer, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _exactly(side: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = side.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _startup(client: socket.socket) -> bytes:
    """The body of the start-up packet; a request for encryption is answered with no."""
    while True:
        body = _exactly(client, struct.unpack("!I", _exactly(client, 4))[0] - 4)
        if struct.unpack("!I", body[:4])[0] >> 16 == _PROTOCOL_3 >> 16:
            return body
        client.sendall(b"N")


def _packet(side: socket.socket) -> tuple[bytes, bytes]:
    """One message: its kind, and the whole of it."""
    head = _exactly(side, 5)
    return head[:1], head + _exactly(side, struct.unpack("!I", head[1:])[0] - 4)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def refusing(code: str, text: str) -> Callable[[socket.socket], None]:
    """A server that refuses every session with that SQLSTATE and those words."""

    def serve(client: socket.socket) -> None:
        _startup(client)
        fields = f"SFATAL\0VFATAL\0C{code}\0M{text}\0\0"
        client.sendall(_message(b"E", fields.encode()))

    return serve


def lending_nothing(code: str, text: str) -> Callable[[socket.socket], None]:
    """A pooler that begins every session, and refuses its first statement."""

    def serve(client: socket.socket) -> None:
        _startup(client)
        client.sendall(_message(b"R", struct.pack("!I", 0)))
        for name, value in (("server_version", "18.0"), ("client_encoding", "UTF8")):
            client.sendall(_message(b"S", f"{name}\0{value}\0".encode()))
        client.sendall(_message(b"Z", b"I"))
        client.recv(1024)
        fields = f"SFATAL\0C{code}\0M{text}\0\0"
        client.sendall(_message(b"E", fields.encode()))

    return serve


def http(client: socket.socket) -> None:
    """A web server that has got something that it does not understand."""
    client.recv(1024)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def without_tls(client: socket.socket) -> None:
    """A server that does not encrypt."""
    _exactly(client, 8)
    client.sendall(b"N")


def silent(client: socket.socket) -> None:
    """Something that takes a connection and never says a word."""
    while client.recv(1024):
        pass


def in_session_mode(port: int) -> Callable[[socket.socket], None]:
    """A pooler in session mode, with ``ignore_startup_parameters = options``.

    As pgbouncer does, it tells each client a process of its own making.
    """

    def serve(client: socket.socket) -> None:
        body = _startup(client)
        parts = body[4:].split(b"\0")
        pairs = zip(parts[::2], parts[1::2], strict=False)
        kept = b"".join(k + b"\0" + v + b"\0" for k, v in pairs if k and k != b"options")
        body = body[:4] + kept + b"\0"
        with socket.create_connection((HOST, port)) as server:
            _begin(client, server, body)
            kind = b""
            while kind != b"Z":
                kind, packet = _packet(server)
                client.sendall(_message(b"K", os.urandom(8)) if kind == b"K" else packet)
            _pump(server, client)

    return serve


def of_version(port: int, version: str) -> Callable[[socket.socket], None]:
    """The server at ``port``, which says that it is of another version."""

    def serve(client: socket.socket) -> None:
        body = _startup(client)
        with socket.create_connection((HOST, port)) as server:
            _begin(client, server, body)
            while True:
                kind, packet = _packet(server)
                if kind == b"S" and packet[5:].startswith(b"server_version\0"):
                    packet = _message(b"S", f"server_version\0{version}\0".encode())
                client.sendall(packet)

    return serve


def distant(port: int, seconds: float, asked: list[int]) -> Callable[[socket.socket], None]:
    """The server at ``port``, each of whose answers takes so long; ``asked`` gets the questions."""

    def serve(client: socket.socket) -> None:
        with socket.create_connection((HOST, port)) as server:
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_pump, args=(client, server, 0, asked), daemon=True).start()
            _pump(server, client, seconds)

    return serve


def _begin(client: socket.socket, server: socket.socket, body: bytes) -> None:
    """Start the session with this start-up packet, and pass on whatever the client says."""
    server.sendall(struct.pack("!I", len(body) + 4) + body)
    threading.Thread(target=_pump, args=(client, server), daemon=True).start()


def _pump(
    one: socket.socket, other: socket.socket, seconds: float = 0, passed: list[int] | None = None
) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            if passed is not None:
                passed.append(len(data))
            time.sleep(seconds)
            other.sendall(data)
    for side in (one, other):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)


class TransactionPool:
    """A pooler in transaction mode: each transaction gets the session that came back last."""

    def __init__(self, dsn: str, sessions: int = 4, *, in_turn: bool = False) -> None:
        self._connections = [psycopg.connect(dsn, autocommit=True) for _ in range(sessions)]
        self._free = [socket.socket(fileno=os.dup(c.fileno())) for c in self._connections]
        for one in self._free:
            one.setblocking(True)
        self._all = list(self._free)
        self._in_turn = in_turn
        self._lock = threading.Condition()

    def close(self) -> None:
        """End every session."""
        for one in self._all:
            one.close()
        for connection in self._connections:
            connection.close()

    def __call__(self, client: socket.socket) -> None:
        """Serve one client until it leaves."""
        _startup(client)
        info = self._connections[0].info
        client.sendall(_message(b"R", struct.pack("!I", 0)))
        for name in _TOLD:
            value = info.parameter_status(name) or ""
            client.sendall(_message(b"S", f"{name}\0{value}\0".encode()))
        client.sendall(_message(b"K", os.urandom(8)) + _message(b"Z", b"I"))
        while True:
            first = _packet(client)
            with self._lent() as server:
                while self._exchange(client, server, first) != b"I":
                    first = _packet(client)

    def _exchange(
        self, client: socket.socket, server: socket.socket, first: tuple[bytes, bytes]
    ) -> bytes:
        """Pass on what the client asks until it waits, then the answer; the state after it."""
        kind, packet = first
        while True:
            if kind == b"X":
                raise EOFError
            server.sendall(packet)
            if kind in (b"Q", b"S"):
                break
            kind, packet = _packet(client)
        while kind != b"Z":
            kind, packet = _packet(server)
            client.sendall(packet)
        return packet[-1:]

    @contextmanager
    def _lent(self) -> Iterator[socket.socket]:
        with self._lock:
            self._lock.wait_for(lambda: bool(self._free))
            server = self._free.pop(0 if self._in_turn else -1)
        try:
            yield server
        finally:
            with self._lock:
                self._free.append(server)
                self._lock.notify()


def with_certificate(certificate: Path) -> Callable[[socket.socket], None]:
    """A server that encrypts, by this certificate with its key, and then hangs up."""

    def serve(client: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        _exactly(client, 8)
        client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as encrypted:
            encrypted.recv(1024)

    return serve
