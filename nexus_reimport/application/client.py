"""A session of Nexus's API: logged in by its form, one origin, questions alone.

No redirect is followed and no proxy or ``.netrc`` of the environment is used, so that the password
reaches the named server and no other. An error holds a status and a path, never an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
import tenacity
from urllib3.exceptions import HTTPError

from nexus_reimport import disks, environ, progress, wording
from nexus_reimport.errors import (
    ApplicationError,
    ApplicationRefused,
    as_kind,
)
from nexus_reimport.responses import Session, TooLarge, TooSlow, joined
from nexus_reimport.settings import ApplicationAccess
from nexus_reimport.settings.certificates import unencrypted

_CONNECT = 10.0  # seconds
_WHOLE = 900.0  # seconds for one answer, even if bytes keep coming
_LARGEST = 1 << 30  # bytes of one answer, decompressed: the calendar gives all at once
_CHUNK = 1 << 16  # bytes
_TRIES = 3
# Django's hidden field of a form: it refuses a POST without its value.
_TOKEN = re.compile(r"""name=["']csrfmiddlewaretoken["']\s+value=["']([^"']+)["']""")
_LONGEST = 100_000  # pages of one list: a list that never ends stops
Query = Mapping[str, str]


class _Passing(Exception):
    """A status that may pass: of a server before Nexus."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back, whatever its status."""

    status_code: int
    content: bytes


class Api:
    """Questions to the API, of one session."""

    def __init__(self, access: ApplicationAccess, session: requests.Session) -> None:
        self._access, self._session = access, session

    def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """What the API answers: an object of JSON.

        Raises:
            ApplicationError: it did not, or refused us.
        """
        answer = self.ask("GET", path, params=query)
        if answer.status_code in (401, 403):
            what = f"refused us (HTTP {answer.status_code})"
            raise self.error(path, what, _MAY_NOT, ApplicationRefused)
        if answer.status_code != 200:
            raise self.error(path, f"answered with HTTP {answer.status_code}", _LOOK)
        try:
            content = json.loads(answer.content)
        # A login page or a proxy's error is HTML, also with status 200.
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise self.error(path, "answered with something else than an object of JSON", _LOOK)
        return content

    def every(self, path: str, query: Query | None = None) -> Iterator[dict[str, Any]]:
        """Every row of a list, page by page to its end.

        Raises:
            ApplicationError: the list does not hold as many rows as it says.
        """
        rows, total = 0, 0
        # Nexus gives 100 rows a page, and ignores another wish.
        for number in range(1, _LONGEST):
            page = self.get(path, {**(query or {}), "page": str(number)})
            results, total = self.rows(path, page.get("results")), self.count(path, page)
            rows += len(results)
            yield from results
            # A server that gives the same page again says that there is always another one.
            if not page.get("next") or rows > total:
                break
        if rows != total:
            raise self.error(path, f"says {wording.amount(total, 'row')}, and gave {rows:,}", _LOOK)

    def rows(self, path: str, given: object) -> list[dict[str, Any]]:
        """``given`` of an answer, if it is a list of objects.

        Raises:
            ApplicationError: it is not.
        """
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise self.error(path, "answered with something else than a list", _LOOK)
        return given

    def count(self, path: str, page: Mapping[str, Any]) -> int:
        """How many rows a list says that it has.

        Raises:
            ApplicationError: it does not say.
        """
        count = page.get("count")
        if type(count) is not int:
            raise self.error(path, "answered with something else than a list", _LOOK)
        return count

    def ask(self, method: str, path: str, **more: Any) -> _Answer:
        """One request, tried again where nothing was answered, or a server before Nexus failed."""
        tries = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_TRIES if method == "GET" else 1),
            wait=tenacity.wait_exponential(multiplier=0.2, max=5),
            retry=tenacity.retry_if_exception_type((requests.ConnectionError, _Passing)),
            reraise=True,
        )
        try:
            return tries(self._once, method, path, more)
        except _Passing as error:
            raise self.error(path, f"answered with HTTP {error}", _LOOK) from None
        except requests.exceptions.SSLError as error:
            what, todo = unencrypted(str(error), "Nexus", "[application]")
            raise self.error(path, f"cannot be asked: {what}", todo) from None
        except (requests.RequestException, HTTPError) as error:
            if disk := disks.behind(error):
                raise self.error(path, f"cannot be asked: {disk.what}", disk.fix) from None
            what = next((what for kind, what in _FAILURES if isinstance(error, kind)), "failed")
            raise self.error(path, what, _REACH + environ.unused_proxy()) from None

    def _once(self, method: str, path: str, more: Mapping[str, Any]) -> _Answer:
        with progress.answering("Nexus's API"):
            answer = self._session.request(
                method,
                f"{self._access.url}{path}",
                timeout=(_CONNECT, self._access.timeout),
                allow_redirects=False,
                stream=True,
                **more,
            )
            with answer:
                content = joined(answer.iter_content(_CHUNK), _LARGEST)
        # Of a proxy before the application, which is restarting or overloaded.
        if answer.status_code in (502, 503, 504):
            raise _Passing(str(answer.status_code))
        return _Answer(answer.status_code, content)

    def error(
        self, path: str, what: str, todo: str, kind: type[ApplicationError] = ApplicationError
    ) -> ApplicationError:
        """The error of one question; of its query nothing is told."""
        error = ApplicationError(
            f"Nexus's API {what}",
            where=f"{self._access.url}{path}",
            next=todo,
        )
        return as_kind(error, kind)


_FAILURES: tuple[tuple[type[Exception], str], ...] = (
    (TooSlow, "took too long to answer"),
    (TooLarge, f"sent an answer of more than {_LARGEST >> 20:,} MiB"),
    (requests.exceptions.ContentDecodingError, "sent an answer that cannot be decompressed"),
    (requests.ConnectTimeout, "did not accept the connection in time"),
    (requests.Timeout, "did not answer in time"),
    (requests.exceptions.ChunkedEncodingError, "broke off in the middle of its answer"),
    (requests.ConnectionError, "could not be reached"),
)
_LOOK = "look at Nexus's log"
_REACH = "look at url of [application], and whether Nexus runs"
_MAY_NOT = "the account of [application] must be able to see patients"


@contextmanager
def opened(access: ApplicationAccess) -> Iterator[Api]:
    """A session that is logged in.

    Raises:
        ApplicationError: Nexus did not answer, or does not know the account.
    """
    with Session(_WHOLE) as session:
        session.verify = str(access.ca_file) if access.ca_file else True
        api = Api(access, session)
        _log_in(api, access, session)
        yield api


def _log_in(api: Api, access: ApplicationAccess, session: requests.Session) -> None:
    """By the form, as a browser does: with the token that it holds."""
    form = api.ask("GET", access.login)
    if form.status_code != 200:
        raise api.error(access.login, f"has no form to log in (HTTP {form.status_code})", _LOGIN)
    field = _TOKEN.search(form.content.decode(errors="replace"))
    token = field[1] if field else session.cookies.get("csrftoken", "")
    if not token:  # another service may answer here: it gets no password
        raise api.error(access.login, "has no form to log in that is Django's", _LOGIN)
    known = set(session.cookies.keys())
    answer = api.ask(
        "POST",
        access.login,
        data={
            "username": access.user,
            "login": access.user,  # as django-allauth calls it
            "password": access.password.get_secret_value(),
            "csrfmiddlewaretoken": token,
        },
        # Over https Django refuses a form whose Referer is not of its own address.
        headers={"Referer": f"{access.url}{access.login}"},
    )
    # Django shows the form again, with status 200, if it refuses: a new cookie is the proof.
    if answer.status_code not in (200, 302, 303) or not set(session.cookies.keys()) - known:
        raise api.error(
            access.login,
            f"did not let the account in (HTTP {answer.status_code})",
            "look at user, password and login of [application]",
            ApplicationRefused,
        )


_LOGIN = "look at url and login of [application]"
