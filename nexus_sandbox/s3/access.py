"""The way to the sandbox's S3 server: its ports, its credentials, its objects."""

from __future__ import annotations

import http.client
import json
import mimetypes
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nexus_reimport.errors import SandboxError
from nexus_reimport.files import private
from nexus_sandbox import process

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
_MEMORY = "s3.json"
_PUTTERS = 8


class StoredObject(Protocol):
    """What is put into a bucket."""

    @property
    def key(self) -> str: ...
    @property
    def content(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Storage:
    """The access to a running server. ``ports`` by part: s3, filer and others."""

    ports: dict[str, int]
    buckets: tuple[str, ...]
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @classmethod
    def at(cls, folder: Path) -> Self | None:
        """The server of this folder as last started, running or not; None if never made."""
        saved = folder / _MEMORY
        if not saved.exists():
            return None
        held = json.loads(saved.read_text())
        return cls(held["ports"], tuple(held["buckets"]), held["access_key"], held["secret_key"])

    def remember(self, folder: Path) -> None:
        """Keep it for ``at``, in a file of mode 0600."""
        held = {
            "ports": self.ports,
            "buckets": self.buckets,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
        }
        private.replace(folder / _MEMORY, json.dumps(held).encode())

    @property
    def endpoint(self) -> str:
        """The URL of the S3 service."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    def client(self) -> S3Client:
        """A client of boto3 with the server's credentials."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=5,
                read_timeout=30,
                proxies={},  # loopback never goes through one, whatever the environment says
            ),
        )

    def has_buckets(self) -> bool:
        """Whether the server that listens on the port knows our key, and has the buckets."""
        # Asked fifty times a second while it starts: a client costs a twentieth of one.
        if not process.listens(self.ports["s3"]):
            return False
        try:
            held = {bucket["Name"] for bucket in self.client().list_buckets()["Buckets"]}
        except (BotoCoreError, ClientError):
            return False
        return held.issuperset(self.buckets)

    def keys(self, bucket: str) -> Iterator[str]:
        """The keys of all objects."""
        for page in self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", ()):
                yield entry["Key"]

    def fill(self, bucket: str, objects: Sequence[StoredObject]) -> None:
        """Put many small objects at once.

        Not through S3, whose signatures would make it take three times as long, but through the
        server's own file interface, under which its buckets are folders. The objects are the same,
        entity tags included.

        Raises:
            SandboxError: the server refused one; some of the others are in place.
        """
        slices = [objects[start::_PUTTERS] for start in range(_PUTTERS)]
        with ThreadPoolExecutor(_PUTTERS) as putters:
            for done in [putters.submit(self._put, bucket, part) for part in slices]:
                done.result()

    def _put(self, bucket: str, objects: Iterable[StoredObject]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["filer"], timeout=60)
        try:
            for stored in objects:
                kind = mimetypes.guess_type(stored.key)[0] or "application/octet-stream"
                path = f"/buckets/{bucket}/{quote(stored.key)}"
                connection.request("PUT", path, stored.content, {"Content-Type": kind})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 201:
                    raise SandboxError(
                        f"the S3 server refused an object with HTTP {answer.status}",
                        where=f"bucket={bucket}",
                        state="the bucket is partly filled",
                        next="look at its disk (df -h), and at s3.log in the clinic's folder;"
                        " then run nexus-reimport sandbox up again",
                    )
        finally:
            connection.close()
