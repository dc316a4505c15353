"""Account and password, which OData needs with every request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext

from nexus_reimport.errors import SettingsError
from nexus_reimport.filemaker import codes
from nexus_reimport.filemaker.answer import connection_closed
from nexus_reimport.filemaker.http import Answer, basic
from nexus_reimport.filemaker.odata.collection import code_of

# FileMaker's code of a wrong account or password, which a web server's own 401 lacks.
_WRONG = 212


class Login:
    """Sends account and password until they are refused once; then never again.

    Servers lock an account after a few wrong passwords. So all threads wait for the first answer
    before the second request.
    """

    def __init__(self, account: str, password: str, where: str) -> None:
        self._basic = basic(account, password)
        self._where = where
        self._lock = threading.Lock()
        self._is_accepted = False
        self._is_closed = False
        self._refusal: SettingsError | None = None

    def __repr__(self) -> str:
        return f"Login(accepted={self._is_accepted})"

    def ask(self, send: Callable[[str], Answer]) -> Answer:
        """The answer that ``send`` gets with our authorization.

        Raises:
            SettingsError: account or password is wrong.
        """
        with nullcontext() if self._is_accepted else self._lock:
            if self._is_closed:
                raise connection_closed(self._where)
            if self._refusal is not None:
                raise self._refusal
            answer = send(self._basic)
            self._judge(answer)
            return answer

    def close(self) -> None:
        """Refuse any further request."""
        self._is_closed = True

    def _judge(self, answer: Answer) -> None:
        """Take a 401 without a code for a wrong password, unless the password worked before."""
        code = None if answer.status == 200 else code_of(answer)
        if code is None and answer.status == 401 and not self._is_accepted:
            code = _WRONG
        known = codes.lookup(code or codes.OK)
        if issubclass(known.error, SettingsError):
            self._refusal = SettingsError(
                f"FileMaker refused with code {code}: {known.text}",
                where=self._where,
                next=known.next,
            )
            raise self._refusal
        was_let_in = answer.status == 200 and not answer.is_web_page
        self._is_accepted = self._is_accepted or code is not None or was_let_in
