"""Who is logged in to the simulator."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from collections.abc import Callable

from nexus_sandbox.filemaker.message import Refusal


class Sessions:
    """Tokens, each good until ``idle`` seconds of ``clock`` after its last use."""

    def __init__(self, account: str, password: str, idle: float) -> None:
        self._basic = f"{account}:{password}".encode()
        self._key = b""  # once shared
        self._idle = idle
        self.clock: Callable[[], float] = time.monotonic
        self._used: dict[str, float] = {}

    def __len__(self) -> int:
        return sum(1 for used in self._used.values() if self.clock() - used <= self._idle)

    def share(self) -> None:
        """Let the processes that this one becomes know each other's tokens by their second half.

        None knows which of them another has ended.
        """
        self._key = secrets.token_bytes(24)

    def login(self, authorization: str) -> str:
        """A new token for the right account and password."""
        self.check(authorization)
        half = secrets.token_hex(12)
        token = half + (self._half_of(half) if self._key else secrets.token_hex(12))
        self._used[token] = self.clock()
        return token

    def check(self, authorization: str) -> None:
        """Account and password, and nothing else, a token neither."""
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = base64.b64decode(encoded) if scheme.lower() == "basic" else b""
        except binascii.Error:
            given = b""
        if not hmac.compare_digest(given, self._basic):
            raise Refusal(212, 401)

    def touch(self, token: str) -> None:
        """Let the idle time of ``token`` begin anew."""
        used = self._used.get(token)
        if used is None and self._is_of_another(token):
            used = self.clock()
        if used is None or self.clock() - used > self._idle:
            self._used.pop(token, None)
            raise Refusal(952, 401)
        self._used[token] = self.clock()

    def _is_of_another(self, token: str) -> bool:
        """Whether another process has given out ``token``."""
        return bool(self._key) and hmac.compare_digest(self._half_of(token[:24]), token[24:])

    def _half_of(self, half: str) -> str:
        return hmac.digest(self._key, half.encode(), "sha256").hex()[:24]

    def end(self, token: str) -> None:
        """Log out."""
        self.touch(token)
        del self._used[token]

    def expire(self) -> None:
        """End every session, as after 15 idle minutes or a restart of the server."""
        self._used.clear()
