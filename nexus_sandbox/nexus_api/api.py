"""Serves the API over HTTP: a login form as Django has it, a session, pages of a hundred.

    python -m nexus_sandbox.nexus_api.api --port N      the variables of ``server`` hold the rest

with NexusApi(dsn, password="…") as api:
    requests.get(f"{api.url}/api/documents/?patient_id=…")
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import psycopg

from nexus_sandbox.nexus_api import queries

USER = "verifier"
PASSWORD = "NEXUS_SANDBOX_API_PASSWORD"  # noqa: S105 - the names of two variables
DSN = "NEXUS_SANDBOX_API_DSN"
LOGIN = "/accounts/login/"


class NexusApi:
    """The stand-in, served by threads of this process for the time of a ``with`` block."""

    def __init__(self, dsn: str, *, password: str, user: str = USER, port: int = 0) -> None:
        self.user, self.password = user, password
        self.asked: list[str] = []  # paths and queries, for tests to look at
        self.sessions: set[str] = set()
        self.tokens: set[str] = set()
        self.dsn = dsn
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(api: NexusApi) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        served = api

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: NexusApi

    def log_message(self, *_: object) -> None:
        """Nothing is logged: a path may hold a name."""

    def do_GET(self) -> None:
        """Answer a screen's question, or show the form of the login."""
        self.served.asked.append(self.path)
        parts = urlsplit(self.path)
        if parts.path == LOGIN:
            self._form()
            return
        if not self._may(parts.path):
            self._json({"detail": "Authentication credentials were not provided."}, 403)
            return
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            with queries.connect(self.served.dsn) as connection:
                answer = self._asked(connection, parts.path, query)
        except (psycopg.Error, AttributeError, ValueError):
            self._send(b"<h1>Server Error (500)</h1>", 500, "text/html")  # as Django says it
            return
        if answer is None:
            self._json({"detail": "Not found."}, 404)
        else:
            self._json(answer)

    def do_POST(self) -> None:
        """Log in."""
        length = int(self.headers.get("Content-Length", 0))
        form = {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
        token = self._cookies().get("csrftoken", "")
        if (
            urlsplit(self.path).path != LOGIN
            or token not in self.served.tokens
            or (form.get("csrfmiddlewaretoken") != token)
        ):
            self._send(b"<h1>Forbidden (403)</h1>CSRF verification failed.", 403, "text/html")
            return
        given = (form.get("username") or form.get("login"), form.get("password"))
        # Django answers a wrong password with HTTP 200, and the form again.
        if given != (self.served.user, self.served.password):
            self._form()
            return
        session = secrets.token_urlsafe(24)
        self.served.sessions.add(session)
        cookie = f"sessionid={session}; HttpOnly; Path=/; SameSite=Lax"
        self._send(b"", 302, "text/html", ("Set-Cookie", cookie), ("Location", "/"))

    def _asked(self, connection: queries.Connection, path: str, query: dict[str, str]) -> Any:
        if path in queries.LISTS:
            return self._linked(queries.LISTS[path](connection, query), path, query)
        head, _, key = path.rstrip("/").rpartition("/")
        one = queries.ONE.get(f"{head}/")
        return one(connection, key) if one and path.endswith("/") else None

    def _linked(self, answer: queries.Answer, path: str, query: dict[str, str]) -> queries.Answer:
        """Numbers of pages become addresses, as Django REST framework makes them."""
        for name in ("next", "previous"):
            if answer and answer.get(name):
                asked = urlencode({**query, "page": answer[name]})
                answer[name] = f"http://{self.headers['Host']}{path}?{asked}"
        return answer

    def _may(self, path: str) -> bool:
        return path in queries.ANONYMOUS or self._cookies().get("sessionid") in self.served.sessions

    def _cookies(self) -> dict[str, str]:
        held = SimpleCookie(self.headers.get("Cookie", ""))
        return {name: morsel.value for name, morsel in held.items()}

    def _form(self) -> None:
        token = secrets.token_urlsafe(24)
        self.served.tokens.add(token)
        page = (
            '<form method="post"><input name="username"><input name="password" type="password">'
            f'<input type="hidden" name="csrfmiddlewaretoken" value="{token}"></form>'
        )
        cookie = ("Set-Cookie", f"csrftoken={token}; Path=/; SameSite=Lax")
        self._send(page.encode(), 200, "text/html", cookie)

    def _json(self, answer: object, status: int = 200) -> None:
        self._send(json.dumps(answer, default=str).encode(), status, "application/json")

    def _send(self, body: bytes, status: int, kind: str, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Type", kind), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main(arguments: list[str] | None = None) -> None:
    """Serve one database until interrupted."""
    parser = argparse.ArgumentParser(description="Nexus's API over a made-up clinic.")
    parser.add_argument("--port", type=int, default=0)
    port = parser.parse_args(arguments).port
    held = [os.environ.get(name, "") for name in (DSN, PASSWORD)]
    if not all(held):
        parser.error(f"the environment variables {DSN} and {PASSWORD} are needed")
    dsn, password = held
    with NexusApi(dsn, password=password, port=port), contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    main()
