"""A proxy before S3 that breaks one request in a chosen way, and passes the others on."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.serving import serving

Break = Callable[[BaseHTTPRequestHandler, bytes, Callable[[], http.client.HTTPResponse]], None]


def answering(status: int, code: str) -> Break:
    """An error of S3, and nothing is passed on."""

    def serve(handler: BaseHTTPRequestHandler, *_: Any) -> None:
        body = f"<Error><Code>{code}</Code><Message>a message</Message></Error>".encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/xml")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return serve


def lost_before(handler: BaseHTTPRequestHandler, *_: Any) -> None:
    """The connection ends once the request was read; it is not passed on."""
    handler.close_connection = True


def lost_after(
    handler: BaseHTTPRequestHandler, _: bytes, ask: Callable[[], http.client.HTTPResponse]
) -> None:
    """S3 has done it, and nobody hears."""
    ask().read()
    handler.close_connection = True


def cut_upload(
    handler: BaseHTTPRequestHandler, body: bytes, _: Callable[[], http.client.HTTPResponse]
) -> None:
    """Half of it comes to S3, which is told of all of it; then both connections end."""
    target = handler.to  # type: ignore[attr-defined]
    headers = (f"{n}: {v}\r\n" for n, v in handler.headers.items() if n.lower() != "expect")
    head = f"{handler.command} {handler.path} HTTP/1.1\r\n{''.join(headers)}\r\n"
    with socket.create_connection((target.hostname, target.port)) as connection:
        connection.sendall(head.encode() + body[: len(body) // 2])
    handler.close_connection = True


def _half_of(answer: http.client.HTTPResponse, handler: BaseHTTPRequestHandler) -> None:
    """Pass on what says how long the answer is, and the first half of it."""
    body = answer.read()
    handler.send_response(answer.status)
    for name, value in answer.getheaders():
        if name.lower() not in ("connection", "transfer-encoding"):
            handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])


def half(
    handler: BaseHTTPRequestHandler, _: bytes, ask: Callable[[], http.client.HTTPResponse]
) -> None:
    """The answer ends in its middle."""
    _half_of(ask(), handler)
    handler.close_connection = True


def garbled(
    handler: BaseHTTPRequestHandler, _: bytes, ask: Callable[[], http.client.HTTPResponse]
) -> None:
    """The answer's middle is no TLS any more: a device between the two has damaged it."""
    _half_of(ask(), handler)
    handler.wfile.flush()
    os.write(handler.connection.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
    handler.close_connection = True


@contextmanager
def broken(
    endpoint: str, breaks: Callable[[str, int], Break | None], certificate: Path | None = None
) -> Iterator[str]:
    """A proxy before ``endpoint``; ``breaks`` gets method and number of each request of it.

    With a ``certificate`` it is reached by TLS.
    """
    target, counts = urlsplit(endpoint), {"PUT": 0, "GET": 0}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        to = target

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            counts[self.command] += 1

            def ask() -> http.client.HTTPResponse:
                assert target.hostname is not None
                connection = http.client.HTTPConnection(target.hostname, target.port)
                headers = {n: v for n, v in self.headers.items() if n.lower() != "expect"}
                connection.request(self.command, self.path, body, headers)
                return connection.getresponse()

            if breaking := breaks(self.command, counts[self.command]):
                breaking(self, body, ask)
                return
            answer = ask()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.do_PUT()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with serving(Handler, certificate) as address:
        yield address
