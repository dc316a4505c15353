"""HTTP requests to FileMaker: one origin, one connection per thread, retries.

Encrypted, except on loopback. No redirect is followed, no proxy and no ``.netrc`` is used, so a
token or password reaches only the named server. An error holds a status and names of ours, never
an address with a token, a credential or a part of an answer.
"""

from __future__ import annotations

import base64
import email.utils
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3

from nexus_reimport import disks, environ, progress, wording
from nexus_reimport.errors import AGAIN, SettingsError, SourceError
from nexus_reimport.filemaker import Meter
from nexus_reimport.responses import Session, TooLarge, TooSlow, joined
from nexus_reimport.settings.certificates import broke_off, unencrypted
from nexus_reimport.settings.credentials import is_protected

# A longer pause would hold the run, and perhaps the maintenance window, for too long.
LONGEST_PAUSE = 300.0  # seconds; a server that asks for more stops the run

T = TypeVar("T")
_CHUNK = 1 << 16  # bytes
_NOT_MODIFIED = 304  # leads nowhere


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait, and how often to try again.

    Pauses between tries grow from 1 to 60 seconds, with jitter; ``Retry-After`` lengthens them.
    """

    connect: float = 10.0  # seconds
    read: float = 120.0  # seconds without a byte
    whole: float = 900.0  # seconds for one answer, even if bytes keep coming
    # Bytes of one answer, decompressed: a few may stand for more than the memory holds.
    largest: int = 1 << 30
    before_page: float = 0.0  # seconds of pause before each page, for a weak server
    # Pauses add up to three minutes at most (2+4+8+16+32+60+60 s), if the server asks for none.
    tries: int = 8
    first_tries: int = 3  # until the server has answered once: the address may be wrong
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    content: bytes
    retry_after: float = 0.0  # seconds
    token: str = ""
    kind: str = ""  # the content type, without its parameters

    @property
    def is_web_page(self) -> bool:
        """Whether it is HTML, as a login page, a portal or a proxy sends it."""
        start = self.content[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        return self.kind == "text/html" or start.startswith((b"<!doctype html", b"<html"))

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.content)} bytes)"


class TransientError(SourceError):
    """A failure that may be temporary: ``tries`` tries in all, each after ``pause`` or more."""

    def __init__(self, what: str, *, where: str, next: str, tries: int, pause: float = 0.0) -> None:
        super().__init__(what, where=where, next=next)
        self.tries = tries
        self.pause = pause


@dataclass(frozen=True, slots=True)
class _InVain:
    """What no further try would change, such as a certificate, and what to do."""

    what: str
    next: str


def origin(url: str) -> str:
    """``https://server`` or ``https://server:port`` of a server's address.

    Raises:
        SettingsError: it is not https (http is allowed on loopback only), or more than a server.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        parts, port, host = urlsplit(""), "", ""
    # In a URL an IPv6 address stands in brackets.
    name = f"[{host}]" if ":" in host else host
    if not host or parts.username is not None or parts.path.strip("/") or parts.query:
        raise SettingsError(
            "the address of FileMaker must name a server only, without account, path or query",
            where=f"server={name or '?'}",
            next="write it as https://server",
        )
    if not is_protected(parts):
        raise SettingsError(
            "the address of FileMaker is not encrypted; http is allowed on this machine only",
            where=f"server={name}{port}",
            next="write it as https://server",
        )
    return f"{parts.scheme}://{name}{port}"


def basic(account: str, password: str) -> str:
    """The header ``Authorization`` of an account and its password."""
    return f"Basic {base64.b64encode(f'{account}:{password}'.encode()).decode()}"


class Wire:
    """Requests to one origin, from any number of threads."""

    def __init__(self, url: str, *, verify: bool | str, retries: RetryPolicy) -> None:
        self.origin = origin(url)
        self.server = urlsplit(self.origin).netloc
        self.meter = Meter()
        self._verify = verify
        self._retries = retries
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()
        self._has_answered = False

    def __repr__(self) -> str:
        return f"Wire({self.origin!r})"

    def send(
        self,
        verb: str,
        path: str,
        *,
        where: str,
        authorization: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, tried once. ``path`` is encoded already and may hold a query.

        ``path`` is sent byte by byte as it is: libraries encode ``$`` as ``%24``, and then
        FileMaker ignores the option. That once lost 1,408 of 11,408 notes.

        Raises:
            TransientError: no answer, or only a part of one.
            SourceError: it redirects, or its certificate is not trusted.
        """
        sent = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        if authorization:
            sent["Authorization"] = authorization
        self.meter.add(requests=1)
        outcome = self._response(verb, path, sent, body)
        if isinstance(outcome, _InVain):
            raise SourceError(outcome.what, where=where, next=outcome.next)
        if isinstance(outcome, str):
            raise self._unanswered(outcome, where)
        # From here on the address is right: a failure may be temporary.
        self._has_answered = True
        response, content = outcome
        self.meter.add(bytes_read=len(content))
        # A redirect would carry token or password to an address that nobody has named.
        if 300 <= response.status_code < 400 and response.status_code != _NOT_MODIFIED:
            raise SourceError(
                f"FileMaker redirects to another address (HTTP {response.status_code})",
                where=where,
                next="write the server's own address: redirects are never followed",
            )
        return Answer(
            response.status_code,
            content,
            _seconds(response.headers.get("Retry-After", "")),
            response.headers.get("X-FM-Data-Access-Token", ""),
            response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        )

    def with_retries(self, call: Callable[[], T]) -> T:
        """``call``, repeated while it raises ``TransientError`` and tries are left.

        Raises:
            SourceError: the last failure, with the number of tries.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=lambda state: state.attempt_number >= self._tries_after(_failure(state)),
            wait=lambda state: max(_failure(state).pause, _BACK_OFF(state)),
            before_sleep=self._wait,
            sleep=lambda _: None,  # ``_wait`` has waited
            reraise=True,
        )
        try:
            return retrying(call)
        except TransientError as failure:
            last = failure
        tries = retrying.statistics["attempt_number"]
        raise SourceError(
            f"{last.what}: {wording.amount(tries, 'try', 'tries')}",
            where=last.where,
            next=last.next,
        )

    def _wait(self, state: tenacity.RetryCallState) -> None:
        """Wait for the next try, and tell for what: it may take minutes."""
        self.meter.add(retries=1)
        failure, seconds = _failure(state), state.upcoming_sleep
        again = f"try {state.attempt_number + 1} of {self._tries_after(failure)}"
        with progress.waiting(f"{failure.what}: {again} comes after {seconds:,.0f} s"):
            self._retries.sleep(seconds)

    def pace(self) -> None:
        """Pause before a page, as the environment's file asks."""
        if self._retries.before_page:
            self._retries.sleep(self._retries.before_page)

    def close(self) -> None:
        """Close the connections of every thread."""
        with self._lock:
            for session in self._sessions:
                session.close()
            self._sessions.clear()
            self._local = threading.local()

    def _tries_after(self, failure: TransientError) -> int:
        allowed = self._retries.tries if self._has_answered else self._retries.first_tries
        return min(failure.tries, allowed)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            # One for each thread: requests does not promise that a Session can be shared.
            session = self._local.session = Session(self._retries.whole)
            with self._lock:
                self._sessions.append(session)
        return session

    def _response(
        self, verb: str, path: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[requests.Response, bytes] | str | _InVain:
        """The response and its whole content, or what went wrong.

        The library's errors hold the address, and with it a token: they go no further.
        """
        try:
            request = requests.Request(verb, self.origin, headers=headers, data=body)
            prepared = self._session().prepare_request(request)
            # Set after preparing, which would encode the path again.
            prepared.url = self.origin + path
            with progress.answering("FileMaker"):
                response = self._session().send(
                    prepared,
                    timeout=(self._retries.connect, self._retries.read),
                    verify=self._verify,
                    allow_redirects=False,
                    stream=True,
                )
            return response, self._content(response)
        except requests.exceptions.SSLError as error:
            what, todo = unencrypted(str(error), "FileMaker", "[filemaker]")
            return what if broke_off(str(error)) else _InVain(what, todo)
        except TooLarge:
            return _InVain(
                f"FileMaker's answer is larger than {self._retries.largest >> 20:,} MiB",
                "read fewer records at once (page of [filemaker]), or leave out the field that is"
                " so large; then run again",
            )
        # `raw` raises urllib3's own errors, which requests turns into its own only when it reads.
        except _UNREAD as error:
            if disk := disks.behind(error):
                return _InVain(disk.what, f"{disk.fix}, {AGAIN}")
            if error.args and isinstance(error.args[0], urllib3.exceptions.ProtocolError):
                return "FileMaker ended the connection without an answer that can be read"
            kinds = (text for kind, text in _FAILURES if isinstance(error, kind))
            return next(kinds, f"a request to FileMaker failed ({type(error).__name__})")

    def _content(self, response: requests.Response) -> bytes:
        """The whole body, read as it arrives."""
        read = partial(response.raw.read1, _CHUNK, decode_content=True)
        with response:
            return joined(iter(read, b""), self._retries.largest)

    def _unanswered(self, reason: str, where: str) -> SourceError:
        return TransientError(
            reason,
            where=where,
            next="check the address, the network, and that the server is running"
            f"{environ.unused_proxy()}; then run again",
            tries=self._retries.tries,
        )


_UNREAD = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError)
_FAILURES = (  # the first that fits: the library's errors inherit from each other
    (TooSlow, "FileMaker's answer took too long to arrive"),
    (requests.exceptions.ConnectTimeout, "FileMaker did not accept the connection in time"),
    (requests.exceptions.Timeout, "FileMaker did not answer in time"),
    (urllib3.exceptions.ReadTimeoutError, "FileMaker did not answer in time"),
    (urllib3.exceptions.DecodeError, "FileMaker's answer is compressed and cannot be decompressed"),
    (urllib3.exceptions.ProtocolError, "FileMaker's answer broke off in the middle"),
    (requests.exceptions.ConnectionError, "FileMaker could not be reached"),
)
# Jitter: threads that failed together must not come back together to a weak server.
_BACK_OFF = tenacity.wait_random_exponential(multiplier=2, min=1, max=60)


def _failure(state: tenacity.RetryCallState) -> TransientError:
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, TransientError):
        raise TypeError("only TransientError is tried again")
    return failure


def _seconds(retry_after: str) -> float:
    """``Retry-After``, which is a number of seconds or a date; 0 without one."""
    seconds = retry_after.strip()
    if seconds.isascii() and seconds.isdecimal():
        return float(seconds)
    try:
        until = email.utils.parsedate_to_datetime(retry_after).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    # The server's clock may be behind ours: then there is nothing to wait for.
    return max(0.0, until - time.time())
