"""Faults of a FileMaker server, on demand: one function for each.

A fault waits for the ``nth`` request whose verb and path match, counted from the moment that it is
put into ``simulator.faults``, and holds for ``times`` requests. It strikes the Data API and OData
alike, as far as both can err so.

    simulator.faults.append(faults.bad_gateway("API_Notes/records", nth=3))
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nexus_sandbox.filemaker.file import Field, FileTable, Record
from nexus_sandbox.filemaker.message import Delivery, Refusal, Reply, Request

if TYPE_CHECKING:
    from nexus_sandbox.filemaker.simulator import Simulator

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
LINKS = ("@odata.nextLink", "@nextLink")


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault. ``path`` is a regular expression."""

    path: str
    verb: str = ""  # any
    nth: int = 1
    times: int = 1
    delay: float = 0.0  # seconds before the answer
    before: Callable[[Simulator], None] | None = None  # changes the server before it answers
    instead: Reply | None = None  # sent in place of the answer
    refusal: Refusal | None = None  # the same, in the form of the interface that was asked
    change: Callable[[Reply], Reply] | None = None  # what becomes of the answer
    delivery: Delivery = field(default_factory=Delivery)
    seen: int = 0  # matching requests so far

    def strikes(self, request: Request) -> bool:
        """Whether the fault applies to this request, which is counted."""
        if self.verb not in ("", request.verb) or not re.search(self.path, request.path):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


def expire_token(path: str, *, nth: int = 1) -> Fault:
    """The session has expired when the request arrives: code 952."""
    return Fault(path=path, nth=nth, before=lambda simulator: simulator.expire_tokens())


def bad_gateway(path: str, *, nth: int = 1, times: int = 1) -> Fault:
    """The web server answers because the engine is down: HTTP 502 with a page of HTML."""
    answer = Reply(502, HTML, {"Content-Type": "text/html"})
    return Fault(path=path, nth=nth, times=times, instead=answer)


def unavailable(path: str, *, retry_after: str, nth: int = 1, times: int = 1) -> Fault:
    """HTTP 503 with a Retry-After header."""
    answer = Reply(503, HTML, {"Content-Type": "text/html", "Retry-After": retry_after})
    return Fault(path=path, nth=nth, times=times, instead=answer)


def cut(path: str, *, nth: int = 1, times: int = 1) -> Fault:
    """The connection ends in the middle of the answer."""
    return Fault(path=path, nth=nth, times=times, delivery=Delivery(cut=True))


def drip(path: str, *, pieces: int, pause: float, nth: int = 1, times: int = 1) -> Fault:
    """The reply comes in small pieces with pauses: no time-out of the socket ever applies."""
    delivery = Delivery(pieces=pieces, pause=pause)
    return Fault(path=path, nth=nth, times=times, delivery=delivery)


def code(path: str, number: int, *, status: int = 500, nth: int = 1, times: int = 1) -> Fault:
    """A FileMaker error, with its HTTP status."""
    return Fault(path=path, nth=nth, times=times, refusal=Refusal(number, status))


def short_page(path: str, *, rows: int, nth: int = 1, times: int = 1) -> Fault:
    """Fewer rows than were asked for, in the middle. A link leads to the first that is missing."""
    return Fault(path=path, nth=nth, times=times, change=lambda answer: _rows(answer, rows))


def delete_record(path: str, table: str, index: int, *, nth: int = 1) -> Fault:
    """Somebody deletes a record just before the request: the found set shrinks."""
    return _edit(path, table, lambda live: live.records.pop(index), nth)


def swap_record(
    path: str, table: str, index: int, values: Mapping[str, object], *, nth: int = 1
) -> Fault:
    """Somebody deletes a record and adds one just before the request: the count stays."""

    def swap(live: FileTable) -> None:
        del live.records[index]
        last = max(record.record_id for record in live.records)
        live.records.append(Record(last + 1, 0, dict(values)))

    return _edit(path, table, swap, nth)


def edit_record(
    path: str, table: str, index: int, values: Mapping[str, object], *, nth: int = 1
) -> Fault:
    """Somebody edits a record just before the request."""

    def edit(live: FileTable) -> None:
        record = live.records[index]
        live.records[index] = Record(
            record.record_id, record.mod_id + 1, {**record.values, **values}
        )

    return _edit(path, table, edit, nth)


def change_field(path: str, table: str, changed: Field) -> Fault:
    """Somebody redefines a field: another type, or as a global field."""

    def change(live: FileTable) -> None:
        live.fields = tuple(changed if f.name == changed.name else f for f in live.fields)

    return _edit(path, table, change)


def remove_field(path: str, table: str, name: str, *, nth: int = 1) -> Fault:
    """Somebody removes a field, from the layout or from the table."""

    def remove(live: FileTable) -> None:
        live.fields = tuple(f for f in live.fields if f.name != name)

    return _edit(path, table, remove, nth)


def doubled_row(path: str, *, nth: int = 1) -> Fault:
    """The last row of a page also replaces its neighbour: the count is right, a row is missing."""

    def double(content: dict[str, Any]) -> None:
        data = _data(content)
        data[-2] = data[-1]

    return Fault(path=path, nth=nth, change=lambda answer: _changed(answer, double))


def huge_text(path: str, name: str, size: int) -> Fault:
    """The first record of the page has so many characters in one field."""

    def grow(content: dict[str, Any]) -> None:
        first = _data(content)[0]
        first.get("fieldData", first)[name] = "x" * size

    return Fault(path=path, change=lambda answer: _changed(answer, grow))


def question_mark(path: str, name: str, *, nth: int = 1) -> Fault:
    """A bare ``?`` where the first value of a number could not be computed: invalid JSON."""
    quoted = re.escape(json.dumps(name))
    pattern = re.compile(rf'({quoted}: )("(?:[^"\\]|\\.)*"|null|[-\d.]+)'.encode())
    return Fault(
        path=path,
        nth=nth,
        change=lambda answer: replace(answer, body=pattern.sub(rb"\1?", answer.body, count=1)),
    )


def error_inside(
    path: str, number: int, *, is_json: bool = True, nth: int = 1, times: int = 1
) -> Fault:
    """OData fails after half of a page: HTTP 200, with an error in place of a row.

    Without ``is_json`` it is written where the server was, and what was begun never ends.
    """
    error = {"error": {"code": str(number), "message": "the server stumbled"}}

    def stumble(answer: Reply) -> Reply:
        if not is_json:
            half = answer.body[: len(answer.body) // 2]
            return replace(answer, body=half + json.dumps(error).encode())
        return _changed(answer, lambda content: _end_with(content, error))

    return Fault(path=path, nth=nth, times=times, change=stumble)


def wrong_link(path: str, link: Callable[[str], str], *, nth: int = 1, times: int = 1) -> Fault:
    """The link to the next page becomes what ``link`` makes of it."""

    def lead_astray(content: dict[str, Any]) -> None:
        for name in LINKS:
            if name in content:
                content[name] = link(content[name])

    return Fault(
        path=path, nth=nth, times=times, change=lambda answer: _changed(answer, lead_astray)
    )


def moved_link(path: str, by: int) -> Fault:
    """The next page begins so many rows later; earlier, where ``by`` is below 0."""
    return wrong_link(path, lambda link: _moved(link, by))


def _moved(link: str, by: int) -> str:
    return re.sub(r"(?<=skiptoken=s)\d+", lambda begin: str(int(begin[0]) + by), link)


def _edit(path: str, table: str, change: Callable[[FileTable], object], nth: int = 1) -> Fault:
    def edit(simulator: Simulator) -> None:
        with simulator.edit() as tables:
            change(tables[table])

    return Fault(path=path, nth=nth, before=edit)


def _rows(answer: Reply, rows: int) -> Reply:
    def shorten(content: dict[str, Any]) -> None:
        data = _data(content)
        missing = max(0, len(data) - rows)
        del data[rows:]
        if "response" in content:
            content["response"]["dataInfo"]["returnedCount"] = len(data)
        for name in LINKS:
            if name in content:
                content[name] = _moved(content[name], -missing)

    return _changed(answer, shorten)


def _end_with(content: dict[str, Any], error: dict[str, Any]) -> None:
    rows = _data(content)
    rows[len(rows) // 2 :] = [error]


def _data(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of an answer, of either interface."""
    rows: list[dict[str, Any]] = content["response"]["data"] if "response" in content else []
    return content.get("value", rows)  # type: ignore[no-any-return]


def _changed(answer: Reply, change: Callable[[dict[str, Any]], None]) -> Reply:
    content = json.loads(answer.body)
    change(content)
    return replace(answer, body=json.dumps(content).encode())
