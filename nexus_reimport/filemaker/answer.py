"""FileMaker's answer over any channel: its code decides, never the HTTP status alone."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from nexus_reimport import wording
from nexus_reimport.errors import ReimportError, SourceError, SourceRefused
from nexus_reimport.filemaker import codes, jsontext, suggest
from nexus_reimport.filemaker.http import LONGEST_PAUSE, Answer, TransientError
from nexus_reimport.filemaker.jsontext import Loaded

# 401 too: a refused password was recognised before this; what is left is the web server's own 401.
PASSING_STATUSES = frozenset({401, 408, 425, 429, 500, 502, 503, 504})
# Another try may help, but a broken answer that comes three times will come again.
FEW_TRIES = 3
# Shown in a message, so no more than what can be a media type.
_KIND = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,40}")
_DAY = 86_400.0  # seconds
# By their form: int also takes 1_0, blanks and the digits of every script.
_COUNT = re.compile(r"[0-9]{1,12}")
_CODE = re.compile(r"-?[0-9]{1,9}")
RUN_AGAIN_LATER = (
    "run again later; if the problem remains, restart FileMaker's web service on the server"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A code of FileMaker, and how long to wait before the next try."""

    code: int
    where: str
    pause: float = 0.0  # that the server asks for, in seconds
    repaired: int = 0  # values that could not be computed

    def final(self) -> Self:
        """This answer, unless its code may be temporary.

        Raises:
            TransientError: it may be.
            SourceError: the server asks for a pause that is too long.
        """
        known = codes.lookup(self.code)
        if self.code == codes.OK or known.tries == 1:
            return self
        pause = max(self.pause, known.pause)
        raise transient(self._what, self.where, known.next, tries=known.tries, pause=pause)

    def expect(self, *also: int, hint: str = "") -> Self:
        """This answer, if its code is 0 or one of ``also``; else the error that it stands for."""
        if self.code == codes.OK or self.code in also:
            return self
        known = codes.lookup(self.code)
        what = f"{self._what}: {hint}" if hint else self._what
        raise known.error(what, where=self.where, next=known.next)

    @property
    def _what(self) -> str:
        return f"FileMaker refused with code {self.code}: {codes.lookup(self.code).text}"


def loaded(answer: Answer, where: str) -> Loaded:
    """The JSON of ``answer``.

    Raises:
        SourceError: it holds two values under one name, of which one would be lost.
    """
    content = jsontext.load(answer.content)
    if content.ambiguous:
        raise SourceError(
            f"FileMaker's answer holds two values of {content.ambiguous!r}",
            where=where,
            next="show the field on the layout once only, or read this table by another channel"
            " ([filemaker] channels);"
            " then run again",
        )
    return content


def no_answer(answer: Answer, where: str, service: str) -> SourceError:
    """The error for an ``answer`` that is not FileMaker's, such as a web server's own page.

    A ``TransientError`` if that may be temporary; ``service`` is what must be switched on.
    """
    what = f"FileMaker's web server answered HTTP {answer.status} (not FileMaker itself)"
    if answer.status in PASSING_STATUSES:
        return transient(what, where, RUN_AGAIN_LATER, tries=codes.MANY, pause=answer.retry_after)
    if answer.status == 200 and answer.is_web_page:
        return transient(
            "a web page (HTML, HTTP 200) came instead of FileMaker's answer, probably from a login"
            " page, a portal or a proxy",
            where,
            "check the address, and that no login page or proxy is between this machine and"
            " FileMaker; then run again",
            tries=FEW_TRIES,
        )
    if answer.status == 200:
        what = "an empty answer" if not answer.content else "an answer that cannot be read"
        kind = f" ({answer.kind})" if answer.content and _KIND.fullmatch(answer.kind) else ""
        return transient(f"FileMaker sent {what}{kind}", where, RUN_AGAIN_LATER, tries=FEW_TRIES)
    return SourceError(
        what, where=where, next=f"check the address, and that {service} is switched on"
    )


def transient(what: str, where: str, next: str, *, tries: int, pause: float = 0.0) -> SourceError:
    """The error of a failure that may be temporary, unless the server asks for too long a pause."""
    if pause > LONGEST_PAUSE:
        span = f"{pause:,.0f} s" if pause <= _DAY else "more than a day"
        return SourceError(f"{what}, and asks us to wait {span}", where=where, next=next)
    return TransientError(what, where=where, next=next, tries=tries, pause=pause)


def count_in(value: object) -> int | None:
    """The count that ``value`` of an answer writes, as a number or a text; None if it is none."""
    return int(str(value)) if _COUNT.fullmatch(str(value)) else None


def code_in(value: object) -> int | None:
    """The code that ``value`` of an answer writes, as a number or a text; None if it is none."""
    return int(str(value)) if _CODE.fullmatch(str(value)) else None


def missing_field(name: str, where: str) -> SourceError:
    """The error of a row without a wanted field: it would be read as empty."""
    return SourceError(
        f"field {name} is not in FileMaker's answer",
        where=where,
        next="check that the field still exists and can be read; OData leaves out containers"
        " and summaries; then run again",
    )


def incomplete_answer(what: str, where: str, next: str = "") -> SourceError:
    """The error of an answer that leaves out ``what`` we need for a value or a proof."""
    return SourceError(
        f"FileMaker's answer does not hold {what}",
        where=where,
        next=next
        or "check the server's version against Claris' guide, or use another channel"
        " ([filemaker] channels)",
    )


def hidden_records(given: int, hidden: int, where: str) -> SourceRefused:
    """The error of a table of which FileMaker gives our account only a part."""
    return SourceRefused(
        f"FileMaker gives this account {wording.part(given, given + hidden)} records of the table",
        where=where,
        next="give the account's privilege set the right to view every record of the table; then"
        " run again",
    )


def connection_closed(where: str) -> SourceError:
    """The error of a request after ``close``, as a thread may send it that is still at work."""
    return SourceError(
        "the connection to FileMaker is closed",
        where=where,
        next="run this step again: it opens a new connection",
    )


def inconsistent_read(what: str, where: str) -> SourceError:
    """The error of a read that is not complete, or not of one moment."""
    return SourceError(
        what,
        where=where,
        next="run again; if the problem remains, someone is editing: freeze the source",
    )


def nearest(name: str, names: Callable[[], Iterable[str]]) -> str:
    """``name`` and the names that are like it, if FileMaker can still give its ``names``."""
    # The error that is being made matters more than the names that would help with it.
    with contextlib.suppress(ReimportError):
        existing = tuple(names())
        if "/" in name and name in existing:  # a path holds no such sign, however it is encoded
            return f"{name!r} is there, but a name with / cannot be asked for: give it another one"
        is_like = suggest.names(name, existing)
        return f"{name!r}; {suggest.phrase(name, existing) if is_like else _all(existing)}"
    return repr(name)


def _all(names: Sequence[str]) -> str:
    return f"there are: {wording.some(sorted(names))}" if names else "there is none"


def place(channel: str, server: str, database: str, table: str = "") -> str:
    """The ``where`` of an error."""
    places = f"channel={channel}, server={server}, database={database}"
    return f"{places}, table={table}" if table else places
