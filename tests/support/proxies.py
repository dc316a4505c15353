"""A stand-in for the clinic's proxy: it asks Nexus who somebody is, and adds the page's token.

Does what the example for nginx in docs/page.md does, ``auth_request`` included.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from email.header import Header
from http.server import BaseHTTPRequestHandler

from support.pages import PATH, TOKEN, ServedPage
from support.serving import serving

HOST = "nexus.clinic.example"
COOKIE, USER = "sessionid=somebody-who-may", "Łukasz Nowak"
_NOT_PASSED_ON = {"host", "authorization", "x-remote-user", "x-forwarded-proto", "connection"}


@contextmanager
def proxied(page: ServedPage) -> Iterator[str]:
    """A proxy in front of ``page``; gives its address."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(PATH):
                self.send_error(404)
                return
            user = USER if COOKIE in self.headers.get("Cookie", "") else ""
            if not user:  # Nexus has answered 403
                self.send_response(302)
                self.send_header("Location", "/accounts/login/?next=" + PATH)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._pass_on(user)

        def do_POST(self) -> None:
            self.do_GET()

        def _pass_on(self, user: str) -> None:
            given = {n: v for n, v in self.headers.items() if n.lower() not in _NOT_PASSED_ON}
            given |= {
                "Host": HOST,
                "X-Forwarded-Proto": "https",
                "X-Remote-User": Header(user, "utf-8").encode(),
            }  # as Django sends it
            given |= {"Authorization": f"token {TOKEN}"}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
            asked.request(self.command, self.path, body, given)
            answer = asked.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            while part := answer.read1(65536):
                self.wfile.write(part)
                self.wfile.flush()
            asked.close()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with serving(Proxy) as address:
        yield address
