"""Reads the Data API's envelope: code, response and rows, from the bytes of an answer.

``{"response": {"dataInfo": …, "data": […]}, "messages": [{"code": "0", "message": "OK"}]}``

Numbers are kept as the digits that were sent, never as floats, which would round long ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeGuard

from nexus_reimport import wording
from nexus_reimport.filemaker import NO_VALUE, RecordPage, Remark, codes, jsontext, version
from nexus_reimport.filemaker.answer import (
    FEW_TRIES,
    RUN_AGAIN_LATER,
    Reply,
    code_in,
    count_in,
    incomplete_answer,
    loaded,
    no_answer,
    transient,
)
from nexus_reimport.filemaker.http import Answer

_FIELDS = itemgetter("fieldData")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Envelope(Reply):
    """One answer of the Data API."""

    response: dict[str, Any]

    def __repr__(self) -> str:
        return f"Envelope(code={self.code})"

    @property
    def first(self) -> str:
        """FileMaker's id of the first record."""
        return self.ids([self.data[0]])[0]

    @property
    def total(self) -> int:
        """How many records the table or the find has."""
        info = self.response.get("dataInfo")
        count = count_in(info.get("foundCount")) if isinstance(info, dict) else None
        if count is None:
            raise incomplete_answer(
                "the number of records (dataInfo, which FileMaker Server 17 and older leave out)",
                self.where,
                "update the server, or read this table over OData or from an exported file",
            )
        return count

    @property
    def hidden(self) -> int:
        """How many records of the table a read without a find did not count; 0 if none is known."""
        whole = count_in(self.response["dataInfo"].get("totalRecordCount"))
        return max(0, (whole or 0) - self.total)

    @property
    def data(self) -> list[dict[str, Any]]:
        """The records of the answer, as they came."""
        data = self.response.get("data")
        if not _are_records(data):
            raise incomplete_answer("the records (data, and the fieldData of each)", self.where)
        return data

    def ids(self, data: list[dict[str, Any]]) -> tuple[str, ...]:
        """FileMaker's own record ids, which show whether a record comes twice."""
        record_ids = [record.get("recordId") for record in data]
        if not all(record_ids):
            raise incomplete_answer("the record ids (recordId)", self.where)
        return tuple(map(str, record_ids))

    def full(self, offset: int) -> Envelope:
        """``final``, and with at least one new row, if there are more.

        A page can be short, or empty, in the middle of a table. The first row of each page after
        the first is not new.
        """
        answer = self.final()
        if answer.code != codes.OK:
            return answer
        total = self.total
        rows, returned = len(self.data), str(self.response["dataInfo"].get("returnedCount", ""))
        if returned not in ("", str(rows)) or (rows < 1 + (offset > 1) and offset + rows <= total):
            what = (
                f"FileMaker sent {wording.amount(rows, 'row')} from record {offset:,} of {total:,}"
            )
            raise transient(what, self.where, RUN_AGAIN_LATER, tries=FEW_TRIES)
        return answer


def _are_records(data: Any) -> TypeGuard[list[dict[str, Any]]]:
    # By their types: asking each record takes longer than all else that is done with it here.
    try:
        return (
            isinstance(data, list)
            and set(map(type, data)) <= {dict}
            and set(map(type, map(_FIELDS, data))) <= {dict}
        )
    except KeyError:
        return False


def opened(answer: Answer, where: str) -> Envelope:
    """The envelope in ``answer``; its code is not judged yet.

    Raises:
        TransientError: there is no envelope, for example if only the web server answered.
        SourceError: there is no envelope, or an ambiguous one, and another try cannot help.
    """
    envelope = _parsed(answer, where)
    if envelope is None:
        raise no_answer(answer, where, "the Data API")
    return envelope


def page_of(answer: Envelope, *, offset: int, skip: int = 0) -> RecordPage:
    """The rows of ``answer``, which begins at ``offset``, without the first ``skip`` rows.

    No rows if the code says that no record was found.
    """
    data = answer.data[skip:] if answer.code == codes.OK else []
    rows, ids = [record["fieldData"] for record in data], answer.ids(data)
    changes = [record.get("modId") for record in data]
    known = None not in changes and "" not in changes
    # Before ``rows_of_text``, which makes them empty.
    lost = tuple(jsontext.not_computed(rows)) if answer.repaired else ()
    return RecordPage(
        offset=offset + skip,
        rows=jsontext.rows_of_text(rows, answer.where),
        record_ids=ids,
        versions=tuple(map(version, ids, changes)) if known else (),
        remarks=tuple(Remark(row, field, NO_VALUE) for row, field in lost),
    )


def _parsed(answer: Answer, where: str) -> Envelope | None:
    # The status is not asked: an error can come with HTTP 200, and "no record" with HTTP 500.
    read = loaded(answer, where)
    try:
        code = code_in(read.content["messages"][0]["code"])  # type: ignore[index]
        response = read.content.get("response")  # type: ignore[union-attr]
    except (TypeError, KeyError, IndexError):
        return None
    if code is None:
        return None
    return Envelope(
        code=code,
        response=response if isinstance(response, dict) else {},
        where=where,
        pause=answer.retry_after,
        repaired=read.repaired,
    )
