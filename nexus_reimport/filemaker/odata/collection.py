"""Opens an answer of OData: rows, count and link, or the code of an error.

``{"@odata.count": 57, "value": […], "@odata.nextLink": "…"}``; servers leave ``odata.`` out as it
pleases them. An error is an object of that name, in JSON or XML, with any HTTP status: a 200 holds
one where the server stumbled after it had begun to answer.

Source: Claris FileMaker OData Guide; what the guide leaves out, as measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nexus_reimport.filemaker import codes, jsontext
from nexus_reimport.filemaker.answer import FEW_TRIES, RUN_AGAIN_LATER, Reply, no_answer, transient
from nexus_reimport.filemaker.http import Answer
from nexus_reimport.filemaker.jsontext import Loaded

_CODE_IN_XML = re.compile(rb"<(?:\w+:)?code>\s*(-?\d+)\s*<")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Collection(Reply):
    """What OData said. ``link`` leads to the next page; ``count`` is None where it is not told."""

    rows: tuple[dict[str, Any], ...] = ()
    count: int | None = None
    link: str = ""

    def __repr__(self) -> str:
        return f"Collection(code={self.code}, {len(self.rows)} rows)"

    def full(self) -> Collection:
        """``final``, and with a row, where there are more to come."""
        answer = self.final()
        if answer.link and not answer.rows:
            raise transient(
                "FileMaker sent a page without a row", self.where, RUN_AGAIN_LATER, tries=FEW_TRIES
            )
        return answer


def opened(answer: Answer, where: str) -> Collection:
    """The collection in ``answer``; its code is not judged yet.

    Raises:
        TransientError: there is no word of FileMaker, as when its engine is dead.
        SourceError: there is none, and trying again cannot help.
    """
    loaded = jsontext.load(answer.content)
    code = _code(loaded, answer.content)
    if code is not None:
        return Collection(code=code, where=where, pause=answer.retry_after)
    content = loaded.content or {}
    rows = content.get("value")
    if answer.status != 200 or not isinstance(rows, list) or _errors(content):
        raise no_answer(answer, where, "OData")
    return Collection(
        code=codes.OK,
        where=where,
        pause=answer.retry_after,
        repaired=loaded.repaired,
        rows=tuple(row for row in rows if isinstance(row, dict)),
        count=_count(_annotation(content, "count")),
        link=str(_annotation(content, "nextLink") or ""),
    )


def code_of(answer: Answer) -> int | None:
    """The code of an error in ``answer``; None where there is none."""
    return _code(jsontext.load(answer.content), answer.content)


def _code(loaded: Loaded, content: bytes) -> int | None:
    if loaded.content is None:
        match = _CODE_IN_XML.search(content)
        return int(match[1]) if match else None
    told = [str(error.get("code", "")) for error in _errors(loaded.content)]
    return next((int(code) for code in told if re.fullmatch(r"-?\d{1,9}", code)), None)


def _errors(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The error objects of an answer: its own, and those that stand in place of a row."""
    return [error for error in _maybe_errors(content) if isinstance(error, dict)]


def _maybe_errors(content: dict[str, Any]) -> Iterator[object]:
    yield content.get("error")
    rows = content.get("value")
    if isinstance(rows, list):
        yield from (row.get("error") for row in rows if isinstance(row, dict))


def _annotation(content: dict[str, Any], name: str) -> object:
    return content.get(f"@odata.{name}", content.get(f"@{name}"))


def _count(told: object) -> int | None:
    return int(str(told)) if re.fullmatch(r"\d{1,12}", str(told)) else None
