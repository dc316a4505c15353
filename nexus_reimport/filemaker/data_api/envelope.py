"""Opens the envelope of the Data API: code, response and rows out of an answer's bytes.

``{"response": {"dataInfo": …, "data": […]}, "messages": [{"code": "0", "message": "OK"}]}``

Numbers are kept as the digits that were sent: no float comes near them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nexus_reimport.filemaker import Page, codes, jsontext
from nexus_reimport.filemaker.answer import (
    FEW_TRIES,
    RUN_AGAIN_LATER,
    Reply,
    incomplete_answer,
    no_answer,
    transient,
)
from nexus_reimport.filemaker.http import Answer


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Envelope(Reply):
    """What the Data API said."""

    response: dict[str, Any]

    def __repr__(self) -> str:
        return f"Envelope(code={self.code})"

    @property
    def first(self) -> str:
        """FileMaker's id of the first record."""
        return self.ids([self.data[0]])[0]

    @property
    def found(self) -> int:
        """How many records the table or the find has."""
        info = self.response.get("dataInfo")
        told = str(info.get("foundCount", "")) if isinstance(info, dict) else ""
        if not told.isdecimal():
            raise incomplete_answer(
                "how many records there are (dataInfo, which FileMaker Server 17 and older ones"
                " leave out)",
                self.where,
                "update the server, or read this table over OData or from an exported file",
            )
        return int(told)

    @property
    def data(self) -> list[dict[str, Any]]:
        """The records of the answer, as they came."""
        data = self.response.get("data")
        if not isinstance(data, list) or not all(
            isinstance(record, dict) and isinstance(record.get("fieldData"), dict)
            for record in data
        ):
            raise incomplete_answer("its records (data, and the fieldData of each)", self.where)
        return data

    def ids(self, data: list[dict[str, Any]]) -> tuple[str, ...]:
        """FileMaker's own ids of records, by which a record that comes twice is noticed."""
        found = tuple(str(record.get("recordId") or "") for record in data)
        if not all(found):
            raise incomplete_answer("which record is which (recordId)", self.where)
        return found

    def full(self, offset: int) -> Envelope:
        """``final``, and with at least one row that is new.

        The first row of a page after the first is known already.
        """
        answer = self.final()
        if answer.code != codes.OK:
            return answer
        found = self.found
        rows, told = len(self.data), str(self.response["dataInfo"].get("returnedCount", ""))
        if told not in ("", str(rows)) or (rows < 1 + (offset > 1) and offset + rows <= found):
            what = f"FileMaker sent {rows:,} rows at {offset:,} of {found:,}"
            raise transient(what, self.where, RUN_AGAIN_LATER, tries=FEW_TRIES)
        return answer


def opened(answer: Answer, where: str) -> Envelope:
    """The envelope in ``answer``; its code is not judged yet.

    Raises:
        TransientError: there is no envelope, as when a web server answers for a dead engine.
        SourceError: there is none, and trying again cannot help.
    """
    envelope = _parsed(answer, where)
    if envelope is None:
        raise no_answer(answer, where, "the Data API")
    return envelope


def page_of(answer: Envelope, *, offset: int, skip: int = 0) -> Page:
    """The rows of ``answer`` from ``offset`` on, the first ``skip`` of them left out.

    There are none where FileMaker said so.
    """
    data = answer.data[skip:] if answer.code == codes.OK else []
    rows = [record["fieldData"] for record in data]
    repaired = jsontext.not_computed(rows) if answer.repaired else 0
    return Page(
        offset=offset + skip,
        rows=tuple(jsontext.texts(row, answer.where) for row in rows),
        record_ids=answer.ids(data),
        mod_ids=tuple(str(record.get("modId", "")) for record in data),
        repaired=repaired,
    )


def _parsed(answer: Answer, where: str) -> Envelope | None:
    loaded = jsontext.load(answer.content)
    try:
        code = int(loaded.content["messages"][0]["code"])  # type: ignore[index]
        response = loaded.content.get("response")  # type: ignore[union-attr]
    except (TypeError, KeyError, IndexError, ValueError):
        return None
    return Envelope(
        code=code,
        response=response if isinstance(response, dict) else {},
        where=where,
        pause=answer.retry_after,
        repaired=loaded.repaired,
    )
