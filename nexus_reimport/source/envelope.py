"""Opens the envelope of the Data API: code, response and rows out of an answer's bytes.

``{"response": {"dataInfo": …, "data": […]}, "messages": [{"code": "0", "message": "OK"}]}``

Numbers are kept as the digits that were sent: no float comes near them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from nexus_reimport.errors import SourceError
from nexus_reimport.source import Page, codes
from nexus_reimport.source.http import LONGEST_PAUSE, Answer, TransientError

PASSING_STATUSES = frozenset({401, 408, 425, 429, 500, 502, 503, 504})
FEW = 3
_LATER = "run again later; if it stays, restart the Data API on the server"
_BARE_QUESTION_MARK = re.compile(rb'("(?:[^"\\]|\\.)*")|(?<=[:,\[\s])\?(?=\s*[,}\]])')


@dataclass(frozen=True, slots=True)
class Envelope:
    """What FileMaker said."""

    code: int
    response: dict[str, Any]
    where: str
    pause: float = 0.0  # that the server asks for, in seconds
    repaired: int = 0  # values of a bare ``?``, which are null now

    def __repr__(self) -> str:
        return f"Envelope(code={self.code})"

    @property
    def first(self) -> str:
        """FileMaker's id of the first record."""
        return str(self.response["data"][0]["recordId"])

    @property
    def found(self) -> int:
        """How many records the table or the find has."""
        return int(self.response["dataInfo"]["foundCount"])

    def settled(self) -> Envelope:
        """This answer, unless its code may pass.

        Raises:
            TransientError: it may.
            SourceError: the server asks for a pause that is too long.
        """
        known = codes.lookup(self.code)
        if self.code == codes.OK or known.tries == 1:
            return self
        pause = max(self.pause, known.pause)
        raise _later(self._what, self.where, known.next, tries=known.tries, pause=pause)

    def full(self, offset: int) -> Envelope:
        """``settled``, and with at least one row that is new.

        The first row of a page after the first is known already.
        """
        answer = self.settled()
        if answer.code != codes.OK:
            return answer
        rows, told = len(self.response["data"]), int(self.response["dataInfo"]["returnedCount"])
        if rows != told or (rows < 1 + (offset > 1) and offset + rows <= self.found):
            what = f"FileMaker sent {rows:,} rows at {offset:,} of {self.found:,}"
            raise _later(what, self.where, _LATER, tries=FEW)
        return answer

    def expect(self, *also: int, hint: str = "") -> Envelope:
        """This answer, if its code is 0 or one of ``also``; else the error that it stands for."""
        if self.code == codes.OK or self.code in also:
            return self
        known = codes.lookup(self.code)
        what = f"{self._what}: {hint}" if hint else self._what
        raise known.error(what, where=self.where, next=known.next)

    @property
    def _what(self) -> str:
        return f"FileMaker refused with code {self.code}: {codes.lookup(self.code).text}"


def opened(answer: Answer, where: str) -> Envelope:
    """The envelope in ``answer``; its code is not judged yet.

    Raises:
        TransientError: there is no envelope, as when a web server answers for a dead engine.
        SourceError: there is none, and trying again cannot help.
    """
    envelope = _parsed(answer.content, where)
    if envelope is not None:
        return replace(envelope, pause=answer.retry_after)
    what = f"FileMaker's web server answered HTTP {answer.status} without a word of FileMaker"
    if answer.status in PASSING_STATUSES:
        raise _later(what, where, _LATER, tries=codes.MANY, pause=answer.retry_after)
    if answer.status == 200:
        raise _later("FileMaker sent something that is not JSON", where, _LATER, tries=FEW)
    raise SourceError(what, where=where, next="check the address, and that the Data API is on")


def page_of(answer: Envelope, *, offset: int, skip: int = 0) -> Page:
    """The rows of ``answer`` from ``offset`` on, the first ``skip`` of them left out.

    There are none where FileMaker said so.
    """
    data = answer.response["data"][skip:] if answer.code == codes.OK else []
    rows = [record["fieldData"] for record in data]
    repaired = sum(list(row.values()).count(None) for row in rows) if answer.repaired else 0
    return Page(
        offset=offset + skip,
        rows=tuple(_texts(row, answer.where) for row in rows),
        record_ids=tuple(record["recordId"] for record in data),
        mod_ids=tuple(record["modId"] for record in data),
        repaired=repaired,
    )


def _parsed(content: bytes, where: str) -> Envelope | None:
    loaded, repaired = _loaded(content), 0
    if loaded is None:
        mended, repaired = _mended(content)
        loaded = _loaded(mended) if repaired else None
    try:
        code = int(loaded["messages"][0]["code"])  # type: ignore[index]
        response = loaded["response"]  # type: ignore[index]
    except (TypeError, KeyError, IndexError, ValueError):
        return None
    return Envelope(code, response, where, repaired=repaired)


def _loaded(content: bytes) -> dict[str, Any] | None:
    try:
        loaded = json.loads(content, parse_float=str, parse_int=str, parse_constant=str)
    except ValueError:
        return None
    return loaded if isinstance(loaded, dict) else None


def _mended(content: bytes) -> tuple[bytes, int]:
    """``content`` with every bare ``?`` outside of a text made null, and how many there were."""
    count = 0

    def mend(match: re.Match[bytes]) -> bytes:
        nonlocal count
        if match[1] is not None:
            return match[1]
        count += 1
        return b"null"

    return _BARE_QUESTION_MARK.sub(mend, content), count


def _texts(values: dict[str, Any], where: str) -> dict[str, str]:
    """One row, every value as text."""
    for name, value in values.items():
        if value is None:
            values[name] = ""
        elif not isinstance(value, str):
            raise SourceError(
                f"field {name} holds neither text nor a number ({type(value).__name__})",
                where=where,
                next="check the server's version against the Data API's guide",
            )
    return values


def _later(what: str, where: str, next: str, *, tries: int, pause: float = 0.0) -> SourceError:
    if pause > LONGEST_PAUSE:
        return SourceError(
            f"{what}, and asks to be left alone for {pause:,.0f} s", where=where, next=next
        )
    return TransientError(what, where=where, next=next, tries=tries, pause=pause)
