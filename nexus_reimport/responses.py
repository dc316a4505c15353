"""How an answer over HTTP is read from its connection.

The library bounds the wait for the next byte only, so a header that comes a byte at a time has no
end. And it takes an interim answer, such as 103, for the answer itself: what follows on the same
connection is then read as the answer to the next question, so one page under another's name.
"""

from __future__ import annotations

import http.client
import io
import math
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.exceptions import HTTPError


class TooSlow(HTTPError):
    """An answer whose bytes keep coming for too long.

    No ``OSError``, which the library would turn into a connection that was closed.
    """


class TooLarge(HTTPError):
    """An answer that is larger than the memory should hold."""


def joined(parts: Iterable[bytes], largest: int) -> bytes:
    """The ``parts`` of an answer, decompressed, of at most ``largest`` bytes together.

    Raises:
        TooLarge: there are more. A few compressed bytes may stand for very many.
    """
    whole = bytearray()
    for part in parts:
        whole += part
        if len(whole) > largest:
            raise TooLarge
    return bytes(whole)


class Session(requests.Session):
    """One that asks the named server alone, and whose answers take at most ``whole`` seconds.

    No proxy and no ``.netrc`` of this machine is used. An address to which a server redirects is
    not even read: one that is none would end in an error of the library.
    """

    def __init__(self, whole: float) -> None:
        super().__init__()
        self.trust_env = False
        for scheme in ("https://", "http://"):
            self.mount(scheme, ResponsesInTime(whole))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: the library asks this of each answer, also where it is not to follow."""


class ResponsesInTime(HTTPAdapter):
    """Answers that take at most ``whole`` seconds from the first byte of the header to the last."""

    def __init__(self, whole: float) -> None:
        self._whole = whole
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Make the library's pools, whose connections read answers as this module does."""
        super().init_poolmanager(*args, **more)
        limit(self.poolmanager, self._whole)


def limit(manager: PoolManager, whole: float, largest: float = math.inf) -> None:
    """Make ``manager`` read every answer in ``whole`` seconds, and at most ``largest`` bytes.

    Bytes are counted as they come, the header among them. An answer that ends before the length
    that it has announced is an error of the connection.
    """
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {
        scheme: _in_time(pool, whole, largest) for scheme, pool in pools.items()
    }


def _in_time(
    pool: type[HTTPConnectionPool], whole: float, largest: float
) -> type[HTTPConnectionPool]:
    response = staticmethod(partial(_Response, whole=whole, largest=largest))
    connection = type("Connection", (pool.ConnectionCls,), {"response_class": response})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Response(http.client.HTTPResponse):
    def __init__(self, *args: Any, whole: float, largest: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fp = io.BufferedReader(_InTime(self.fp.detach(), whole, largest))

    def read(self, amt: int | None = None) -> bytes:
        """What ``http.client`` reads; botocore asks for no proof that it is the whole."""
        part = super().read(amt)
        if not part and amt and self.length:
            raise http.client.IncompleteRead(part, self.length)
        return part

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            # 101 changes the protocol: nothing of HTTP follows.
            if not 100 <= status < 200 or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _InTime(io.RawIOBase):
    """What arrives on a connection, until ``whole`` seconds after its first byte."""

    def __init__(self, raw: io.RawIOBase, whole: float, largest: float) -> None:
        self._raw, self._whole, self._left = raw, whole, largest
        self._ends: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._ends is not None and time.monotonic() > self._ends:
            raise TooSlow
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise TooLarge
        if self._ends is None:
            self._ends = time.monotonic() + self._whole
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
