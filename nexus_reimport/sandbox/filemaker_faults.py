"""What goes wrong with a FileMaker server, on demand: one function for each.

A fault waits for the ``nth`` request whose verb and path match, counted from the moment that it is
put into ``simulator.faults``, and holds for ``times`` requests.

    simulator.faults.append(faults.bad_gateway("API_Notes/records", nth=3))
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nexus_reimport.sandbox.filemaker_message import Reply, Request, reply

if TYPE_CHECKING:
    from nexus_reimport.sandbox.filemaker import Simulator

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@dataclass(slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong. ``path`` is a regular expression."""

    path: str
    verb: str = ""  # any
    nth: int = 1
    times: int = 1
    delay: float = 0.0  # seconds before the answer
    before: Callable[[Simulator], None] | None = None  # changes the server before it answers
    instead: Reply | None = None  # sent in place of the answer
    change: Callable[[Reply], Reply] | None = None  # what becomes of the answer
    cut: bool = False  # the connection ends in the middle of the answer
    seen: int = 0  # matching requests so far

    def strikes(self, request: Request) -> bool:
        """Whether it holds for this request. Counts it."""
        if self.verb not in ("", request.verb) or not re.search(self.path, request.path):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


def expire_token(path: str, *, nth: int = 1) -> Fault:
    """The session is gone when the request arrives: code 952."""
    return Fault(path=path, nth=nth, before=lambda simulator: simulator.expire_tokens())


def bad_gateway(path: str, *, nth: int = 1, times: int = 1) -> Fault:
    """The web server answers for the dead engine: HTTP 502 with a page of HTML."""
    answer = Reply(502, HTML, {"Content-Type": "text/html"})
    return Fault(path=path, nth=nth, times=times, instead=answer)


def unavailable(path: str, *, retry_after: str, nth: int = 1, times: int = 1) -> Fault:
    """HTTP 503 that says when to come back."""
    answer = Reply(503, HTML, {"Content-Type": "text/html", "Retry-After": retry_after})
    return Fault(path=path, nth=nth, times=times, instead=answer)


def cut(path: str, *, nth: int = 1, times: int = 1) -> Fault:
    """The connection ends in the middle of the answer."""
    return Fault(path=path, nth=nth, times=times, cut=True)


def code(path: str, number: int, *, status: int = 500, nth: int = 1, times: int = 1) -> Fault:
    """A FileMaker error, with the HTTP status that it travels with."""
    return Fault(path=path, nth=nth, times=times, instead=reply({}, number, status))


def short_page(path: str, *, rows: int, nth: int = 1, times: int = 1) -> Fault:
    """Fewer rows than were asked for, in the middle."""
    return Fault(path=path, nth=nth, times=times, change=lambda answer: _rows(answer, rows))


def delete_record(path: str, table: str, index: int, *, nth: int = 1) -> Fault:
    """Somebody deletes a record just before the request: the found set shrinks."""

    def delete(simulator: Simulator) -> None:
        with simulator.edit() as tables:
            del tables[table].records[index]

    return Fault(path=path, nth=nth, before=delete)


def doubled_row(path: str, *, nth: int = 1) -> Fault:
    """The last row of a page stands in for its neighbour too: the count is right, a row lacks."""

    def double(content: dict[str, Any]) -> None:
        data = content["response"]["data"]
        data[-2] = data[-1]

    return Fault(path=path, nth=nth, change=lambda answer: _changed(answer, double))


def question_mark(path: str, field: str, *, nth: int = 1) -> Fault:
    """A bare ``?`` where the first number of ``field`` could not be computed: invalid JSON."""
    name = re.escape(json.dumps(field))
    pattern = re.compile(rf'({name}: )("(?:[^"\\]|\\.)*"|[-\d.]+)'.encode())
    return Fault(
        path=path,
        nth=nth,
        change=lambda answer: Reply(
            answer.status, pattern.sub(rb"\1?", answer.body, count=1), answer.headers
        ),
    )


def _rows(answer: Reply, rows: int) -> Reply:
    def shorten(content: dict[str, Any]) -> None:
        content["response"]["data"] = content["response"]["data"][:rows]
        content["response"]["dataInfo"]["returnedCount"] = len(content["response"]["data"])

    return _changed(answer, shorten)


def _changed(answer: Reply, change: Callable[[dict[str, Any]], None]) -> Reply:
    content = json.loads(answer.body)
    change(content)
    return Reply(answer.status, json.dumps(content).encode(), answer.headers)
