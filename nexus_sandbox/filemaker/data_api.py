"""The Data API's replies: takes a request and the tables, gives a reply.

This module does not use sockets. Every call is read only: a verb that would write gets the answer
for an account without that right, and changes nothing.

Source: Claris FileMaker Data API Guide; HTTP statuses as measured (a FileMaker error is HTTP 500,
a bad login or token 401, an unknown address 404).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from nexus_sandbox.filemaker import find as finding
from nexus_sandbox.filemaker import format as fmt
from nexus_sandbox.filemaker.file import FileTable, Record
from nexus_sandbox.filemaker.message import Refusal, Reply, Request, reply
from nexus_sandbox.filemaker.sessions import Sessions
from nexus_sandbox.filemaker.tables import Order, Tables, ordered

VERSION = "20.3.2.205"
FOLDER = "API"  # the layouts whose names begin so lie in a folder of that name
# FileMaker's own, if no limit is given.
DEFAULT_LIMIT = 100
BOTH = r"portal|dateformats|layout\.response|script(\.(prerequest|presort))?(\.param)?"
PARAMETERS = {  # a range of records takes them with an underscore, a find without
    "GET": re.compile(rf"_(offset|limit|sort|(offset|limit)\..+)|{BOTH}"),
    "POST": re.compile(rf"offset|limit|sort|query|(offset|limit)\..+|{BOTH}"),
}


class Api:
    """The Data API over one database."""

    def __init__(self, database: str, tables: Tables, sessions: Sessions) -> None:
        self.database = database
        self.sessions = sessions
        self._tables = tables
        self.knows_dateformats = True

    def answer(self, request: Request) -> Reply:
        """The answer to ``request``, FileMaker's refusals included."""
        try:
            return self._route(request)
        except Refusal as refusal:
            return self.refused(request, refusal)

    def refused(self, request: Request, refusal: Refusal) -> Reply:
        """A refusal in the envelope."""
        return reply({}, refusal.code, refusal.status)

    def _route(self, request: Request) -> Reply:
        match request.path.strip("/").split("/"):
            case ["fmi", "data", "v1" | "v2" | "vLatest", *rest]:
                return self._server(request, rest)
        raise Refusal(1630, 404)

    def _server(self, request: Request, rest: list[str]) -> Reply:
        match request.verb, rest:
            case "GET", ["productInfo"]:
                return reply({"productInfo": _product()})
            case "GET", ["databases"]:
                return reply({"databases": [{"name": self.database}]})
            case "GET", ["validateSession"]:
                self._authorise(request)
                return reply({})
            case _, ["databases", database, *inner]:
                if database != self.database:
                    raise Refusal(802)
                return self._database(request, inner)
            case _, ["productInfo" | "databases" | "validateSession"]:
                raise Refusal(1704, 405)
        raise Refusal(1630, 404)

    def _database(self, request: Request, rest: list[str]) -> Reply:
        match request.verb, rest:
            case "POST", ["sessions"]:
                return self._login(request)
            case "DELETE", ["sessions", token]:
                self.sessions.end(token)
                return reply({})
            case _, ["sessions", *_]:
                raise Refusal(1704, 405)
        self._authorise(request)
        match request.verb, rest:
            case "GET", ["layouts"]:
                return reply({"layouts": _layout_list(self._tables.layouts)})
            case "GET", ["scripts"]:
                return reply({"scripts": []})
            case _, ["layouts", layout, *inner]:
                return self._layout(request, self._table(layout), inner)
            case "PATCH", ["globals"]:
                raise Refusal(201)
            case _, ["layouts" | "scripts" | "globals"]:
                raise Refusal(1704, 405)
        raise Refusal(1630, 404)

    def _layout(self, request: Request, table: FileTable, rest: list[str]) -> Reply:
        match request.verb, rest:
            case "GET", []:
                fields = [fmt.metadata(field) for field in table.fields]
                return reply({"fieldMetaData": fields, "portalMetaData": {}})
            case "GET", ["records"]:
                return self._page(request, table, request.query)
            case "GET", ["records", record_id]:
                return self._one(request, table, record_id)
            case "POST", ["_find"]:
                return self._page(request, table, request.json())
            case "GET", ["script", _]:
                raise Refusal(104)
            case (("POST" | "DELETE"), ["records", *_]):
                raise Refusal(200)
            case (("PATCH" | "PUT"), ["records", *_]):
                raise Refusal(201)
            case _, [] | ["records" | "_find" | "script", *_]:
                raise Refusal(1704, 405)
        raise Refusal(1630, 404)

    def _authorise(self, request: Request) -> None:
        if not request.headers.get("authorization"):
            # Without the header FileMaker says 10, and not 952 as of a wrong token.
            raise Refusal(10, 401)
        self.sessions.touch(request.token)

    def _login(self, request: Request) -> Reply:
        request.json()
        token = self.sessions.login(request.headers.get("authorization", ""))
        answer = reply({"token": token})
        # FileMaker gives it twice: in the body and as a header.
        answer.headers["X-FM-Data-Access-Token"] = token
        return answer

    def _table(self, layout: str) -> FileTable:
        if layout not in self._tables.layouts:
            raise Refusal(105)
        return self._tables.layouts[layout]

    def _one(self, request: Request, table: FileTable, record_id: str) -> Reply:
        records = [record for record in table.records if str(record.record_id) == record_id]
        if not records:
            raise Refusal(101)
        return self._reply(request, table, dict(request.query), records, len(records))

    def _page(self, request: Request, table: FileTable, given: Mapping[str, Any]) -> Reply:
        """One page of all records, or of those that a query finds."""
        if not all(PARAMETERS[request.verb].fullmatch(name) for name in given):
            raise Refusal(960)
        parameters = {name.removeprefix("_"): value for name, value in given.items()}
        offset = _count(parameters.get("offset", 1))
        limit = _count(parameters.get("limit", DEFAULT_LIMIT))
        dateformats = _dateformats(parameters)
        if request.verb == "POST":
            matching = finding.find(table, parameters.get("query"), dateformats)
            # To FileMaker a find without a result is an error, sent with HTTP 500.
            if not matching:
                raise Refusal(401)
            records = ordered(table, matching, _sort(parameters.get("sort", "[]")))
        else:
            records = self._tables.all(table, _sort(parameters.get("sort", "[]")))
        page = records[offset - 1 : offset - 1 + limit]
        # The same code past the end and for an empty table: a client must tell them apart.
        if not page:
            raise Refusal(101)
        return self._reply(request, table, parameters, page, len(records))

    def _reply(
        self,
        request: Request,
        table: FileTable,
        parameters: Mapping[str, Any],
        page: list[Record],
        count: int,
    ) -> Reply:
        shown = self._table(parameters.get("layout.response") or table.name)
        origin = f"http://{request.headers.get('host', '')}"
        dateformats = _dateformats(parameters) if self.knows_dateformats else fmt.US
        writers = fmt.writers(shown, dateformats, origin)
        info = {
            "database": self.database,
            "layout": shown.name,
            "table": shown.name,
            "totalRecordCount": len(table.records),
            "foundCount": count,
            "returnedCount": len(page),
        }
        return reply({"dataInfo": info, "data": [fmt.row(record, writers) for record in page]})


def _product() -> dict[str, str]:
    return {
        "name": "FileMaker Data API Engine",
        "buildDate": "03/06/2024",
        "buildTime": "12:00:00",
        "version": VERSION,
        "dateFormat": "MM/dd/yyyy",
        "timeFormat": "HH:mm:ss",
        "timeStampFormat": "MM/dd/yyyy HH:mm:ss",
    }


def _layout_list(tables: Mapping[str, FileTable]) -> list[dict[str, object]]:
    inside = [{"name": name} for name in tables if name.startswith(FOLDER)]
    outside: list[dict[str, object]] = [
        {"name": name} for name in tables if not name.startswith(FOLDER)
    ]
    # Layouts in folders are only found by a client that goes into them.
    folder = {"name": FOLDER, "isFolder": True, "folderLayoutNames": inside}
    return [folder, *outside] if inside else outside


def _count(value: object) -> int:
    """A number from 1 up, as a number or as text."""
    if isinstance(value, bool) or re.fullmatch(r"[1-9]\d*", str(value)) is None:
        raise Refusal(960)
    return int(str(value))


def _dateformats(parameters: Mapping[str, Any]) -> str:
    value = str(parameters.get("dateformats", fmt.US))
    if value not in {fmt.US, fmt.LOCALE, fmt.ISO}:
        raise Refusal(960)
    return value


def _sort(value: Any) -> Order:
    """Names of fields, each with whether it descends."""
    descends = {"ascend": False, "descend": True}
    try:
        wanted = json.loads(value) if isinstance(value, str) else value
        return tuple(
            (item["fieldName"], descends[item.get("sortOrder", "ascend")]) for item in wanted
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refusal(960) from None
