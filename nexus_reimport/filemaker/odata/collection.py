"""Reads an answer of OData: rows, count and link, or the code of an error.

``{"@odata.count": 57, "value": […], "@odata.nextLink": "…"}``; some servers leave
``odata.`` out. An error is an object of that name, in JSON or XML, with any HTTP status: also with
200, if the server failed after it had begun to answer.

Source: Claris FileMaker OData Guide; measured where the guide says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nexus_reimport.filemaker import codes, jsontext
from nexus_reimport.filemaker.answer import (
    FEW_TRIES,
    RUN_AGAIN_LATER,
    Reply,
    code_in,
    count_in,
    loaded,
    no_answer,
    transient,
)
from nexus_reimport.filemaker.http import Answer
from nexus_reimport.filemaker.jsontext import Loaded

# The whole answer is the error: the text of a value, or a page of a proxy, may hold the like of it.
_CODE_IN_XML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?"
    rb"<(?:\w+:)?error\b[^>]*>\s*<(?:\w+:)?code>\s*([0-9-]+)\s*<"
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Collection(Reply):
    """One answer of OData. ``link`` leads to the next page; ``count`` is None if not sent."""

    rows: tuple[dict[str, Any], ...] = ()
    count: int | None = None
    link: str = ""

    def __repr__(self) -> str:
        return f"Collection(code={self.code}, {len(self.rows)} rows)"

    def full(self) -> Collection:
        """``final``, and with at least one row, unless it is the last page."""
        answer = self.final()
        if answer.link and not answer.rows:
            raise transient(
                "FileMaker sent a page without rows", self.where, RUN_AGAIN_LATER, tries=FEW_TRIES
            )
        return answer


def opened(answer: Answer, where: str) -> Collection:
    """The collection in ``answer``; its code is not judged yet.

    Raises:
        TransientError: the answer is not FileMaker's, for example because its engine has died.
        SourceError: the answer is not FileMaker's, or ambiguous, and another try cannot help.
    """
    read = loaded(answer, where)
    code = _code(read, answer.content)
    if code is not None:
        return Collection(code=code, where=where, pause=answer.retry_after)
    content = read.content or {}
    rows = content.get("value")
    if answer.status != 200 or not isinstance(rows, list) or _errors(content):
        raise no_answer(answer, where, "OData")
    if len(records := _objects(rows)) < len(rows):  # of a row that is none nobody knows what it was
        raise no_answer(answer, where, "OData")
    return Collection(
        code=codes.OK,
        where=where,
        pause=answer.retry_after,
        repaired=read.repaired,
        rows=tuple(records),
        count=count_in(_annotation(content, "count")),
        link=str(_annotation(content, "nextLink") or ""),
    )


def code_of(answer: Answer) -> int | None:
    """The code of the error in ``answer``; None if it holds no error."""
    return _code(jsontext.load(answer.content), answer.content)


def _code(read: Loaded, content: bytes) -> int | None:
    if read.content is None:
        match = _CODE_IN_XML.match(content)
        return code_in(match[1].decode()) if match else None
    sent = (code_in(error.get("code")) for error in _errors(read.content))
    return next((code for code in sent if code is not None), None)


def _errors(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The error objects of an answer: its own, and those in the place of a row."""
    errors, rows = [content.get("error")], content.get("value")
    if isinstance(rows, list):
        errors += [row["error"] for row in _objects(rows) if "error" in row]
    return _objects(errors)


def _objects(values: list[Any]) -> list[dict[str, Any]]:
    return [value for value in values if type(value) is dict]


def _annotation(content: dict[str, Any], name: str) -> object:
    return content.get(f"@odata.{name}", content.get(f"@{name}"))
