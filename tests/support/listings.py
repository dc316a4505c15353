"""An S3 that answers what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from nexus_reimport import settings
from nexus_reimport.files import rowfile
from nexus_reimport.model import Census
from nexus_reimport.settings.values import FromEnvironment
from nexus_reimport.stages import census
from support.serving import serving

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


WHOLE = "<IsTruncated>false</IsTruncated>"


Query = dict[str, str]


Answer = Callable[[Query], "str | Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server sends."""

    body: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    more: int = 0  # bytes that are announced and do not come


def listing(*keys: str, more: str = WHOLE, etag: str = '"abc"', size: str = "1") -> str:
    """A page of a listing."""
    items = "".join(
        f"<Contents><Key>{escape(key)}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
        + (f"<ETag>{etag}</ETag>" if etag else "")
        + (f"<Size>{size}</Size>" if size else "")
        + "</Contents>"
        for key in keys
    )
    name = "<Name>b</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys>"
    return f"<ListBucketResult {NAMESPACE}>{name}{more}{items}</ListBucketResult>"


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An endpoint that answers so, and the headers of every request."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
            said = answer({name: values[0] for name, values in query.items()})
            reply = Reply(said) if isinstance(said, str) else said
            body = reply.body.encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) + reply.more))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = self.close_connection or reply.more > 0

    with serving(Handler) as address:
        yield address, seen


def place(endpoint: str, **more: object) -> settings.S3:
    given: dict[str, object] = {
        "bucket": "b",
        "region": "us-east-1",
        "endpoint": endpoint,
        "access_key": FromEnvironment("key"),
        "secret_key": FromEnvironment("secret"),
    }
    return settings.S3.model_validate(given | more)


def taken(answer: Answer, folder: Path, *prefixes: str) -> Census:
    with server(answer) as (endpoint, _):
        return census.take(place(endpoint, prefixes=prefixes or ("",)), folder)


def keys(taken: Census, folder: Path) -> list[str | None]:
    return [row[0] for row in rowfile.read(folder, taken.file)]
