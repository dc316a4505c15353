"""What FileMaker said, whatever the channel: its code decides, never the HTTP status alone."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from nexus_reimport.errors import ReimportError, SourceError
from nexus_reimport.filemaker import codes, suggest
from nexus_reimport.filemaker.http import LONGEST_PAUSE, Answer, TransientError

PASSING_STATUSES = frozenset({401, 408, 425, 429, 500, 502, 503, 504})
FEW_TRIES = 3
_KIND = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,40}")
RUN_AGAIN_LATER = "run again later; if it stays, restart FileMaker's web service on the server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A code of FileMaker, and when to come back."""

    code: int
    where: str
    pause: float = 0.0  # that the server asks for, in seconds
    repaired: int = 0  # values of a bare ``?``

    def final(self) -> Self:
        """This answer, unless its code may pass.

        Raises:
            TransientError: it may.
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


def no_answer(answer: Answer, where: str, service: str) -> SourceError:
    """``answer`` holds no word of FileMaker, as when a web server answers for a dead engine.

    A ``TransientError`` where that may pass; else ``service`` is what has to be on.
    """
    what = f"FileMaker's web server answered HTTP {answer.status} (not FileMaker itself)"
    if answer.status in PASSING_STATUSES:
        return transient(what, where, RUN_AGAIN_LATER, tries=codes.MANY, pause=answer.retry_after)
    if answer.status == 200 and answer.is_web_page:
        return transient(
            "a web page (HTML, HTTP 200) came in place of FileMaker's answer: a login page, a"
            " portal or a proxy stands between",
            where,
            "check the address, and that this machine reaches FileMaker without a page in between;"
            " then run again",
            tries=FEW_TRIES,
        )
    if answer.status == 200:
        what = "an empty answer" if not answer.content else "something that cannot be read"
        kind = f" ({answer.kind})" if answer.content and _KIND.fullmatch(answer.kind) else ""
        return transient(f"FileMaker sent {what}{kind}", where, RUN_AGAIN_LATER, tries=FEW_TRIES)
    return SourceError(what, where=where, next=f"check the address, and that {service} is on")


def transient(what: str, where: str, next: str, *, tries: int, pause: float = 0.0) -> SourceError:
    """A failure that may pass, unless the server asks for a pause that is too long."""
    if pause > LONGEST_PAUSE:
        return SourceError(
            f"{what}, and asks to be left alone for {pause:,.0f} s", where=where, next=next
        )
    return TransientError(what, where=where, next=next, tries=tries, pause=pause)


def missing_field(name: str, where: str) -> SourceError:
    """A row came without a field that is wanted: it would be taken for empty."""
    return SourceError(
        f"field {name} is not in FileMaker's answer",
        where=where,
        next="see that the field is still there and may be read; OData leaves containers and"
        " summaries out; then run again",
    )


def incomplete_answer(what: str, where: str, next: str = "") -> SourceError:
    """An answer leaves out what a proof, or a value, rests on."""
    return SourceError(
        f"FileMaker's answer does not tell {what}",
        where=where,
        next=next or "check the server's version against Claris' guide, or use another channel",
    )


def inconsistent_read(what: str, where: str) -> SourceError:
    """What arrived is not all there is, or not of one moment."""
    return SourceError(
        what,
        where=where,
        next="run again; if it stays, someone is editing: freeze the source",
    )


def nearest(name: str, names: Callable[[], Iterable[str]]) -> str:
    """``name`` and those that are like it, as far as FileMaker tells its ``names``."""
    with contextlib.suppress(ReimportError):
        return f"{name!r}; {suggest.told(name, names())}"
    return repr(name)


def place(channel: str, server: str, database: str, table: str = "") -> str:
    """Where, as errors tell it."""
    places = f"channel={channel}, server={server}, database={database}"
    return f"{places}, table={table}" if table else places
