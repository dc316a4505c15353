"""FileMaker's Data API, read only.

The module sends GET, and POST and DELETE to ``sessions`` alone: it cannot write a record. It always
asks for dates in ISO 8601 (``dateformats=2``).

Source: Claris FileMaker Data API Guide.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from nexus_reimport.filemaker import Field, Product, ReadRequest, RecordPage, codes
from nexus_reimport.filemaker.answer import (
    count_in,
    hidden_records,
    incomplete_answer,
    inconsistent_read,
    missing_field,
    nearest,
)
from nexus_reimport.filemaker.data_api import paging
from nexus_reimport.filemaker.data_api.envelope import Envelope, opened, page_of
from nexus_reimport.filemaker.data_api.paging import Fetch
from nexus_reimport.filemaker.data_api.session import Session
from nexus_reimport.filemaker.http import RetryPolicy
from nexus_reimport.filemaker.server import Server

BASE = "/fmi/data/v1"  # differs from later versions only in portals, which are never asked for
JSON = Mapping[str, Any]
ENGINE = "FileMaker Data API Engine"
TYPE_OF_RESULT = {"timeStamp": "timestamp"}  # the other types have the same name


class DataApi(Server):
    """One FileMaker file by its Data API. A ``Source``; several threads may use it.

    It logs in at the first request that needs it, and logs out in ``close``.

    Raises:
        SettingsError: a password must not be sent to this address.
    """

    channel = "data_api"

    def __init__(
        self,
        url: str,
        database: str,
        account: str,
        password: str,
        *,
        verify: bool | str = True,
        retries: RetryPolicy | None = None,
    ) -> None:
        super().__init__(url, database, verify=verify, retries=retries)
        self._session = Session(self._wire, self._at("/sessions"), self._where(), account, password)

    def product(self) -> Product:
        """The server, as it names itself. Needs no account."""
        where = self._where()
        path = f"{BASE}/productInfo"
        answer = self._wire.with_retries(
            lambda: opened(self._wire.send("GET", path, where=where), where).final()
        )
        info = answer.expect().response.get("productInfo")
        product = info if isinstance(info, dict) else {}
        return Product(str(product.get("name") or ENGINE), str(product.get("version") or ""))

    def tables(self) -> tuple[str, ...]:
        """The names of all layouts, those in folders too."""
        answer = self._ask(self._at("/layouts"), self._where())
        layouts = answer.expect().response.get("layouts")
        if not isinstance(layouts, list):
            raise incomplete_answer("the list of layouts", self._where())
        return tuple(_names(layouts))

    def fields(self, table: str) -> dict[str, Field]:
        """The fields that are on the layout ``table``; no other field can be read."""
        answer = self._ask(self._at("/layouts/", table), self._where(table))
        self._expect(answer, table)
        described = answer.response.get("fieldMetaData")
        if not isinstance(described, list) or not all(
            isinstance(one, dict) and one.get("name") for one in described
        ):
            raise incomplete_answer("the fields of the layout", self._where(table))
        objects: dict[str, list[JSON]] = defaultdict(list)
        for facts in described:
            objects[str(facts["name"])].append(facts)
        return {name: _field(name, several) for name, several in objects.items()}

    def numbers_alone(self, table: str) -> bool:
        """No: what is not a number arrives as the text that was typed."""
        return False

    def count(self, table: str) -> int:
        """FileMaker's own count. If it is 0, it is asked for twice: code 101 has other causes.

        Raises:
            SourceRefused: the table has more records than the account is given, asked twice: one
                that somebody is making just now is counted by the table first.
        """
        given = hidden = 0
        for _ in range(2):
            answer = self._ask(self._records(table, {"_limit": 1}), self._where(table))
            self._expect(answer, table, codes.NO_RECORD)
            if answer.code == codes.OK and answer.total:
                given, hidden = answer.total, answer.hidden
                if not hidden:
                    return given
        if hidden:  # what an account may not see would look like records that were deleted
            raise hidden_records(given, hidden, self._where(table))
        return 0

    def newest(self, table: str, field: str) -> str:
        """The greatest value of ``field``; ``""`` if no record has one."""
        parameters = {"_limit": 1, "_sort": _order(field, descend=True), "dateformats": 2}
        answer = self._ask(self._records(table, parameters), self._where(table))
        self._expect(answer, table, codes.NO_RECORD, field=field)
        page = page_of(answer, offset=1)
        return page.rows[0][field] if page.rows else ""

    # A page has no limit but the server's memory and time: 500 to 1,000 records of a narrow layout
    # are good ones.
    def records(self, request: ReadRequest, *, page: int = 1000) -> Iterator[RecordPage]:
        """Every record of a table in the order of its key, page by page, with every field.

        Each page after the first begins with the last record of the page before. This shows a
        record that moves across the edge of a page, even if the count is unchanged.

        Raises:
            SourceError: what arrived differs from FileMaker's own count. Nothing was written.
            MappingError: there is no such layout, or no such field on it.

        Source: Claris FileMaker Data API Guide, "Get a range of records" (offset starts at 1).
        """
        table = request.table

        def fetch(offset: int, limit: int) -> Envelope:
            # ISO: by the default, MM/DD/YYYY, a day up to 12 could be taken for a month.
            parameters = {
                "_offset": offset,
                "_limit": limit,
                "_sort": _order(*request.keys),
                "dateformats": 2,
            }
            answer = self._ask(
                self._records(table, parameters), self._where(table), rows_from=offset
            )
            return self._expect(answer, table, codes.NO_RECORD, field=request.key)

        wanted = request.types.keys()
        first = True
        for part in self._pages(table, fetch, page):
            first = False
            # Every row: a field can be taken off the layout while pages are read.
            for row in part.rows:
                if not wanted <= row.keys():
                    missing = wanted - row.keys()
                    missing -= _first_repetitions(row, missing)
                    if missing:
                        raise missing_field(min(missing), self._where(table))
            yield part
        # Code 101 means an empty table, but has other causes as well: FileMaker's count decides.
        if first and (existing := self.count(table)):
            raise inconsistent_read(
                f"{table}: {existing:,} in FileMaker, 0 arrived", self._where(table)
            )

    def versions(self, request: ReadRequest, *, page: int = 1000) -> Iterator[tuple[str, ...]]:
        """The version of every record; they come with all fields, as the layout has them."""
        return (part.versions for part in self.records(request, page=page))

    def close(self) -> None:
        """Log out and close every connection. A server that does not answer is no error here."""
        # First, while there is still a connection to log out by.
        self._session.give_back()
        super().close()

    def _pages(self, table: str, fetch: Fetch, size: int) -> Iterator[RecordPage]:
        def paced(offset: int, limit: int) -> Envelope:
            self._wire.pace()
            return fetch(offset, limit)

        for page in paging.whole(table, paced, size, self._where(table)):
            self._wire.meter.add(repaired=page.repaired)
            yield page

    def _ask(self, path: str, where: str, *, rows_from: int = 0) -> Envelope:
        """FileMaker's answer. A session that has expired (after 15 idle minutes) is renewed once.

        With ``rows_from``, a page that has no new row before the end of the found set is requested
        again.
        """

        def once() -> Envelope:
            for _ in range(2):
                token = self._session.current()
                answer = opened(
                    self._wire.send("GET", path, where=where, authorization=f"Bearer {token}"),
                    where,
                )
                # A token lives 15 minutes after its last call; another try with a new one is no
                # retry.
                if answer.code not in codes.EXPIRED:
                    break
                self._session.forget(token)
            return answer.full(rows_from) if rows_from else answer.final()

        return self._wire.with_retries(once)

    def _expect(self, answer: Envelope, table: str, *also: int, field: str = "") -> Envelope:
        """``answer``, if its code is 0 or one of ``also``."""
        hint = ""
        if answer.code == codes.NO_LAYOUT:
            hint = nearest(table, self.tables)
        elif answer.code == codes.NO_FIELD:
            hint = nearest(field, lambda: self.fields(table))
        return answer.expect(*also, hint=hint)

    def _at(self, *parts: str) -> str:
        """The path of a call. Every second part is a name, which is encoded."""
        encoded = (
            quote(part, safe="") if number % 2 else part for number, part in enumerate(parts)
        )
        return f"{BASE}/databases/{quote(self._database, safe='')}{''.join(encoded)}"

    def _records(self, table: str, parameters: Mapping[str, object]) -> str:
        # Without an empty list each record brings up to 50 rows of every portal on the layout.
        query = urlencode({**parameters, "portal": "[]"}, quote_via=quote)
        return f"{self._at('/layouts/', table, '/records')}?{query}"


def _order(*fields: str, descend: bool = False) -> str:
    direction = "descend" if descend else "ascend"
    return json.dumps([{"fieldName": field, "sortOrder": direction} for field in fields])


def _first_repetitions(row: dict[str, str], missing: Iterable[str]) -> set[str]:
    """Give the first repetition of a field the field's own name; returns the fields renamed.

    The Data API calls it ``Face(1)`` if the layout shows more than one repetition.
    """
    renamed = {name for name in missing if f"{name}(1)" in row}
    for name in renamed:
        row[name] = row.pop(f"{name}(1)")
    return renamed


def _field(name: str, objects: Sequence[JSON]) -> Field:
    """A field from the metadata of its objects on the layout; several can show parts of it.

    Older servers leave facts out: then the usual value is taken.
    """
    facts = objects[-1]
    result = str(facts.get("result", ""))
    repetitions = count_in(facts.get("maxRepeat")) or 1
    every = set(range(1, repetitions + 1))
    return Field(
        name=name,
        type=TYPE_OF_RESULT.get(result, result),
        is_global=str(facts.get("global", "")).lower() in ("true", "1"),
        is_calculation=facts.get("type", "normal") != "normal",
        is_summary=facts.get("type") == "summary",
        repetitions=repetitions,
        hidden=len(every.difference(*(_shown(one, repetitions) for one in objects))),
    )


def _shown(facts: JSON, repetitions: int) -> range:
    """The repetitions that an object on the layout shows."""
    first, last = (count_in(facts.get(f"repetition{end}")) for end in ("Start", "End"))
    return range(first or 1, (last or repetitions) + 1)


def _names(layouts: Sequence[JSON]) -> Iterator[str]:
    """The names of layouts in their order. A folder is not a layout; its layouts are."""
    for layout in layouts:
        if layout.get("folderLayoutNames") is not None:
            yield from _names(layout["folderLayoutNames"])
        elif layout.get("name"):
            yield str(layout["name"])
