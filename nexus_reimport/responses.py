"""How an answer of FileMaker is read from its connection.

The library bounds the wait for the next byte only, so a header that comes a byte at a time has no
end. And it takes an interim answer, such as 103, for the answer itself: what follows on the same
connection is then read as the answer to the next question, so one page under another's name.
"""

from __future__ import annotations

import http.client
import io
import time
from functools import partial
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool


class TooSlow(Exception):
    """An answer whose bytes keep coming for too long.

    No ``OSError``, which the library would turn into a connection that was closed.
    """


class ResponsesInTime(HTTPAdapter):
    """Answers that take at most ``whole`` seconds from the first byte of the header to the last."""

    def __init__(self, whole: float) -> None:
        self._whole = whole
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Make the library's pools, whose connections read answers as this module does."""
        super().init_poolmanager(*args, **more)
        pools = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {
            scheme: _in_time(pool, self._whole) for scheme, pool in pools.items()
        }


def _in_time(pool: type[HTTPConnectionPool], whole: float) -> type[HTTPConnectionPool]:
    response = staticmethod(partial(_Response, whole=whole))
    connection = type("Connection", (pool.ConnectionCls,), {"response_class": response})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Response(http.client.HTTPResponse):
    def __init__(self, *args: Any, whole: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fp = io.BufferedReader(_InTime(self.fp.detach(), whole))

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            # 101 changes the protocol: nothing of HTTP follows.
            if not 100 <= status < 200 or status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _InTime(io.RawIOBase):
    """What arrives on a connection, until ``whole`` seconds after its first byte."""

    def __init__(self, raw: io.RawIOBase, whole: float) -> None:
        self._raw, self._whole = raw, whole
        self._ends: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._ends is not None and time.monotonic() > self._ends:
            raise TooSlow
        count = self._raw.readinto(buffer)
        if self._ends is None:
            self._ends = time.monotonic() + self._whole
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
