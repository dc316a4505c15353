"""Opens the envelope of the Data API: code, response and rows out of an answer's bytes.

``{"response": {"dataInfo": …, "data": […]}, "messages": [{"code": "0", "message": "OK"}]}``

Numbers are kept as the digits that were sent: no float comes near them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nexus_reimport.source import Page, codes, jsontext
from nexus_reimport.source.http import Answer
from nexus_reimport.source.spoken import FEW, LATER, Spoken, later, wordless


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Envelope(Spoken):
    """What the Data API said."""

    response: dict[str, Any]

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
            raise later(what, self.where, LATER, tries=FEW)
        return answer


def opened(answer: Answer, where: str) -> Envelope:
    """The envelope in ``answer``; its code is not judged yet.

    Raises:
        TransientError: there is no envelope, as when a web server answers for a dead engine.
        SourceError: there is none, and trying again cannot help.
    """
    envelope = _parsed(answer, where)
    if envelope is None:
        raise wordless(answer, where, "the Data API")
    return envelope


def page_of(answer: Envelope, *, offset: int, skip: int = 0) -> Page:
    """The rows of ``answer`` from ``offset`` on, the first ``skip`` of them left out.

    There are none where FileMaker said so.
    """
    data = answer.response["data"][skip:] if answer.code == codes.OK else []
    rows = [record["fieldData"] for record in data]
    repaired = jsontext.not_computed(rows) if answer.repaired else 0
    return Page(
        offset=offset + skip,
        rows=tuple(jsontext.texts(row, answer.where) for row in rows),
        record_ids=tuple(record["recordId"] for record in data),
        mod_ids=tuple(record["modId"] for record in data),
        repaired=repaired,
    )


def _parsed(answer: Answer, where: str) -> Envelope | None:
    loaded = jsontext.load(answer.content)
    try:
        code = int(loaded.content["messages"][0]["code"])  # type: ignore[index]
        response = loaded.content["response"]  # type: ignore[index]
    except (TypeError, KeyError, IndexError, ValueError):
        return None
    return Envelope(
        code=code,
        response=response,
        where=where,
        pause=answer.retry_after,
        repaired=loaded.repaired,
    )
