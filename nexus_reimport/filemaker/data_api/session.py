"""One login to the Data API, shared by threads."""

from __future__ import annotations

import contextlib
import re
import threading

from nexus_reimport.errors import ReimportError, SettingsError
from nexus_reimport.filemaker.answer import connection_closed, incomplete_answer
from nexus_reimport.filemaker.data_api.envelope import opened
from nexus_reimport.filemaker.http import Wire, basic

_TOKEN = re.compile("[!-~]+")


class Session:
    """The session's token. If several threads find it expired, only one of them logs in."""

    def __init__(self, wire: Wire, path: str, where: str, account: str, password: str) -> None:
        self._wire = wire
        self._path = path
        self._where = where
        self._basic = basic(account, password)
        self._lock = threading.Lock()
        self._token = ""
        self._logins = 0
        self._is_closed = False
        self._refusal: SettingsError | None = None

    def __repr__(self) -> str:
        return f"Session({self._logins} logins)"

    def current(self) -> str:
        """The token, after a login if there is none. The login is tried once; callers try again.

        Raises:
            SettingsError: the password is wrong. No thread sends it a second time, since servers
                lock an account after a few wrong tries.
        """
        with self._lock:
            if self._is_closed:
                raise connection_closed(self._where)
            if self._refusal is not None:
                raise self._refusal
            if not self._token:
                self._token = self._login()
                self._wire.meter.add(renewals=1 if self._logins else 0)
                self._logins += 1
            return self._token

    def forget(self, expired: str) -> None:
        """Drop ``expired``, unless another thread has renewed it already."""
        with self._lock:
            # Several threads find one token expired; only the first of them drops it.
            if self._token == expired:
                self._token = ""

    def give_back(self) -> None:
        """Log out, tried once. An open session counts against the server's limit for 15 minutes."""
        with self._lock, contextlib.suppress(ReimportError):
            # Closed first: a thread that is still at work must not log in again.
            token, self._token, self._is_closed = self._token, "", True
            if token:
                self._wire.send("DELETE", f"{self._path}/{token}", where=self._where)

    def _login(self) -> str:
        sent = self._wire.send(
            "POST",
            self._path,
            where=self._where,
            authorization=self._basic,
            body=b"{}",  # needs a JSON body
        )
        answer = opened(sent, self._where).final()
        try:
            answer.expect()
        except SettingsError as refusal:
            self._refusal = refusal
            raise
        # The server sends it in the body and in a header.
        token = str(answer.response.get("token") or sent.token)
        if not _TOKEN.fullmatch(token):  # it becomes a header, and a part of an address
            raise incomplete_answer("the session's token", self._where)
        return token
