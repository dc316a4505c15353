"""A request, a reply, and FileMaker's envelope around both.

Source: Claris FileMaker Data API Guide, "Error responses".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from nexus_sandbox.filemaker.format import ERRORS


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in. ``path`` is decoded, without the query."""

    verb: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    target: str = ""  # as it came: path and query, encoded

    @classmethod
    def read(cls, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
        """A request from its target, which may be a whole address, as proxies send it."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        lowered = {name.lower(): value for name, value in headers.items()}
        return cls(verb, unquote(parts.path), query, lowered, body, target)

    @property
    def token(self) -> str:
        """The token of the session, or ``""``."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def json(self) -> dict[str, Any]:
        """The body, which has to be an object of JSON."""
        # FileMaker refuses a body of another content type.
        if "application/json" not in self.headers.get("content-type", ""):
            raise Refusal(1705, 415)
        try:
            content = json.loads(self.body or b"{}")
        except ValueError:
            raise Refusal(1710, 400) from None
        if not isinstance(content, dict):
            raise Refusal(1710, 400)
        return content


@dataclass(slots=True)
class Reply:
    """One answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a reply goes over the wire: cut off in the middle, or in pieces with pauses."""

    cut: bool = False
    pieces: int = 1
    pause: float = 0.0  # seconds before each piece but the first


class Refusal(Exception):
    """A FileMaker error, with the HTTP status that it travels with, and what it was about."""

    def __init__(self, code: int, status: int = 500, about: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.about = about


def reply(response: Mapping[str, object], code: int = 0, status: int = 200) -> Reply:
    """An answer in FileMaker's envelope. Its code is a string."""
    message = {"code": str(code), "message": ERRORS.get(code, f"Error {code}")}
    content = {"response": response, "messages": [message]}
    return Reply(status, json.dumps(content, ensure_ascii=False).encode(errors="surrogatepass"))
