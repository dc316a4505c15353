"""What FileMaker's OData answers: a request and the tables go in, a reply comes out.

It has no session: account and password come with every request. Read only: a verb that would
write is refused and changes nothing.

Source: Claris FileMaker OData Guide; codes and statuses as measured.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from nexus_sandbox.filemaker import odata_format as fmt
from nexus_sandbox.filemaker import odata_query as asking
from nexus_sandbox.filemaker.file import FileTable, Record
from nexus_sandbox.filemaker.message import Refusal, Reply, Request
from nexus_sandbox.filemaker.odata_filter import matches
from nexus_sandbox.filemaker.sessions import Sessions
from nexus_sandbox.filemaker.tables import Tables

BASE = "/fmi/odata/v4"
LONGEST_URL = 2_000
NO_TABLE = -1020
NO_RECORD = -1023
XML = "application/xml"
_PLAIN = re.compile(r"@?\w+", re.ASCII)
_ENTITY = re.compile(r"(?P<name>.+)\((?:'(?P<key>.*)'|(?P<row>\d+))\)", re.DOTALL)
TOO_LONG = b"<html><head><title>414 Request-URI Too Large</title></head></html>"


@dataclass(slots=True)
class Manner:
    """What differs between servers."""

    most_rows: int = 10_000  # of one page
    link_origin: str = ""  # where links to the next page lead; "" is where the request came
    offset: str = "+10:00"  # of every timestamp: the server's own, on a summer's day too
    odd_names: Literal["any", "quoted", "twice"] = "any"  # how a path has a set's name with blanks


class ODataApi:
    """OData over one database."""

    def __init__(self, database: str, tables: Tables, sessions: Sessions, manner: Manner) -> None:
        self.database = database
        self._tables = tables
        self._sessions = sessions
        self._manner = manner

    def answer(self, request: Request) -> Reply:
        """The answer to ``request``, FileMaker's refusals included."""
        if len(_origin(request) + request.target) > LONGEST_URL:
            return Reply(414, TOO_LONG, {"Content-Type": "text/html"})
        try:
            return self._route(request)
        except Refusal as refusal:
            return self.refused(request, refusal)

    def refused(self, request: Request, refusal: Refusal) -> Reply:
        """A refusal, in the form that was asked for."""
        return fmt.refused(refusal, as_json=XML not in request.headers.get("accept", ""))

    def _route(self, request: Request) -> Reply:
        self._sessions.check(request.headers.get("authorization", ""))
        if request.verb != "GET":
            raise Refusal(1704, 405)
        parts = request.path.removeprefix(BASE).strip("/").split("/", 1)
        database, rest = parts[0], parts[1] if len(parts) > 1 else ""
        if not database:
            return _json({"value": [_link(self.database)]}, request, "")
        if database not in {self.database, f"{self.database}.fmp12"}:
            raise Refusal(802, 404)
        match rest:
            case "":
                sets = [{**_link(name), "kind": "EntitySet"} for name in self._tables.tables]
                return _json({"value": sets}, request, self.database)
            case "$metadata":
                tables = self._tables.tables.values()
                return Reply(200, fmt.metadata(self.database, tables), {"Content-Type": XML})
        return self._set(request, rest)

    def _set(self, request: Request, rest: str) -> Reply:
        entity = _ENTITY.fullmatch(rest)
        if entity is not None:
            return self._one(request, self._table(entity["name"]), entity["key"], entity["row"])
        name, _, after = rest.partition("/")
        table = self._table(name)
        # Claris has a page about `/$count`; in practice servers refuse it.
        if after:
            raise Refusal(asking.SYNTAX, 400, after)
        return self._page(request, table)

    def _table(self, name: str) -> FileTable:
        meant = self._meant(name)
        if meant not in self._tables.tables:
            raise Refusal(NO_TABLE, 404, name)
        return self._tables.tables[meant]

    def _meant(self, name: str) -> str:
        """The set that a path means: one with a blank only in the form that this server takes."""
        quoted = re.fullmatch(r'"(.+)"', name)
        bare = quoted[1] if quoted else name
        if _PLAIN.fullmatch(bare) or self._manner.odd_names == "any":
            return bare
        if self._manner.odd_names == "quoted":
            return bare if quoted else ""
        if "%" not in name:
            raise Refusal(asking.SYNTAX, 400, name)
        return unquote(name)

    def _one(self, request: Request, table: FileTable, key: str | None, row: str | None) -> Reply:
        field = fmt.key_of(table)
        if key is not None and not field:
            raise Refusal(asking.SEMANTICS, 400, key)
        wanted = (key or "").replace("''", "'")
        records = [
            record
            for record in table.records
            if str(record.record_id) == row
            or (key is not None and record.values.get(field, "") == wanted)
        ]
        if not records:
            raise Refusal(NO_RECORD, 404)
        options = asking.read(request.target, table)
        return _json(self._rows(request, table, options, records[:1])[0], request, self._of(table))

    def _page(self, request: Request, table: FileTable) -> Reply:
        options = asking.read(request.target, table)
        records = self._tables.all(table, options.order)
        if options.filter:
            holds = matches(options.filter, table)
            records = [record for record in records if holds(record)]
        asked = records[options.skip :][: options.top]
        begin, size = options.begin, self._size(request)
        page = asked[begin : begin + size]
        content: dict[str, object] = {}
        if options.count:
            # IEEE754Compatible makes a count a text as well (OData JSON Format 4.0).
            content["@count"] = str(len(records)) if _is_exact(request) else len(records)
        content["value"] = self._rows(request, table, options, page)
        if begin + size < len(asked):
            content["@nextLink"] = self._next(request, begin + size)
        return _json(content, request, self._of(table))

    def _of(self, table: FileTable) -> str:
        return f"{self.database}#{quote(table.name)}"

    def _rows(
        self, request: Request, table: FileTable, options: asking.Options, records: list[Record]
    ) -> list[dict[str, object]]:
        exact, offset = _is_exact(request), self._manner.offset
        writers = fmt.writers(table, options.select, offset, exact=exact)
        return [{name: write(record) for name, write in writers} for record in records]

    def _size(self, request: Request) -> int:
        """Of a page: at most what the server gives, or what the client prefers."""
        preferred = re.search(r"maxpagesize=([1-9]\d*)", request.headers.get("prefer", ""))
        most = self._manner.most_rows
        return min(most, int(preferred[1])) if preferred else most

    def _next(self, request: Request, begin: int) -> str:
        parts = urlsplit(request.target)
        kept = [p for p in parts.query.split("&") if p and not p.startswith("$skiptoken=")]
        query = "&".join((*kept, f"$skiptoken=s{begin}t0"))
        return f"{self._manner.link_origin or _origin(request)}{parts.path}?{query}"


def is_page(path: str) -> bool:
    """Whether ``path`` is that of a set: what takes a server's time."""
    parts = path.removeprefix(BASE).strip("/").split("/")
    return path.startswith(BASE) and len(parts) > 1 and parts[1] != "$metadata"


def _origin(request: Request) -> str:
    return f"http://{request.headers.get('host', '')}"


def _is_exact(request: Request) -> bool:
    return "ieee754compatible=true" in request.headers.get("accept", "").lower()


def _link(name: str) -> dict[str, str]:
    return {"name": name, "url": quote(name, safe="")}


def _json(content: dict[str, object], request: Request, context: str) -> Reply:
    """``content`` with its context (``database#set``). Who asks for 4.0 gets long names."""
    prefix = "@odata." if request.headers.get("odata-maxversion") == "4.0" else "@"
    database, _, inside = context.partition("#")
    address = "/".join(part for part in (_origin(request) + BASE, database, "$metadata") if part)
    full = {"@context": f"{address}#{inside}" if inside else address, **content}
    named = {
        f"{prefix}{name[1:]}" if name.startswith("@") else name: value
        for name, value in full.items()
    }
    headers = {"Content-Type": "application/json", "OData-Version": "4.0"}
    return Reply(200, json.dumps(named, ensure_ascii=False).encode(errors="surrogatepass"), headers)
