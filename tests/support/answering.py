"""A server that gives the same bytes to whoever asks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def answering(sent: bytes, *, pause: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """Its address, and what it was asked so far. Each connection is closed after ``sent``.

    With a ``pause``, in seconds, it comes byte by byte.
    """
    asked: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):  # closed at the end
            while True:
                connection, _ = listening.accept()
                with connection, suppress(ConnectionError):  # whoever asked has gone
                    asked.append(connection.recv(1 << 16))
                    for byte in sent if pause else b"":
                        time.sleep(pause)
                        connection.sendall(bytes([byte]))
                    connection.sendall(b"" if pause else sent)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)
