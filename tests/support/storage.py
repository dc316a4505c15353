"""What stands before a real S3 server and refuses some of its objects, as S3 itself would."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from support.serving import serving

# The code of a refusal and its HTTP status; None: the server itself answers.
Refusal = Callable[[str, str], "tuple[str, int] | None"]
_OF_THE_WAY = {"transfer-encoding", "connection", "content-length"}


@contextmanager
def refusing(port: int, refusal: Refusal) -> Iterator[str]:
    """An endpoint before the server at ``port``; ``refusal`` is asked for each request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *_: object) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            refused = refusal(self.command, self.path)
            if refused:
                code, status = refused
                body = f"<Error><Code>{code}</Code><Message>a secret</Message></Error>".encode()
                self._send(status, {}, body, len(body))
                return
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            asked.request(self.command, self.path, headers=dict(self.headers.items()))
            answer = asked.getresponse()
            body = answer.read()
            size = int(answer.headers.get("Content-Length", len(body)))
            self._send(answer.status, dict(answer.getheaders()), body, size)
            asked.close()

        def do_HEAD(self) -> None:
            self.do_GET()

        def _send(self, status: int, headers: dict[str, str], body: bytes, size: int) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in _OF_THE_WAY:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

    with serving(Handler) as address:
        yield address
