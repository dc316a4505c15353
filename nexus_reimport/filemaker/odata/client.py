"""FileMaker's OData, read only.

The module sends GET only. OData reads table occurrences, which have all fields of their table; the
Data API reads layouts. OData has no session: account and password go with every request.

Source: Claris FileMaker OData Guide.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from nexus_reimport.errors import MappingError
from nexus_reimport.filemaker import Field, Product, ReadRequest, RecordPage, codes
from nexus_reimport.filemaker.answer import (
    FEW_TRIES,
    RUN_AGAIN_LATER,
    Reply,
    incomplete_answer,
    nearest,
    no_answer,
    transient,
)
from nexus_reimport.filemaker.http import Answer, RetryPolicy
from nexus_reimport.filemaker.odata import links, metadata, query
from nexus_reimport.filemaker.odata.collection import Collection, code_of, opened
from nexus_reimport.filemaker.odata.login import Login
from nexus_reimport.filemaker.odata.metadata import Metadata
from nexus_reimport.filemaker.odata.rows import Shape, versions
from nexus_reimport.filemaker.server import Server

MOST = 10_000  # records of one page, by FileMaker's own limit
# These decide how a server calls its annotations: `@odata.count`, or `@count`.
HEADERS = {"OData-Version": "4.0", "OData-MaxVersion": "4.0"}


class OData(Server):
    """One FileMaker file by its OData. A ``Source``; several threads may use it.

    Raises:
        SettingsError: a password must not be sent to this address.
    """

    channel = "odata"

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
        self._login = Login(account, password, self._where())
        self._lock = threading.Lock()
        self._metadata: Metadata | None = None
        self._spellings: dict[str, str] = {}

    def product(self) -> Product:
        """The engine, as it names itself."""
        return self._described().product

    def tables(self) -> tuple[str, ...]:
        """The names of all entity sets: one for each table occurrence."""
        answer = self._ask(query.service(self._database), self._where()).expect()
        return tuple(str(row["name"]) for row in answer.rows)

    def fields(self, table: str) -> dict[str, Field]:
        """The fields of ``table``, in its order.

        Raises:
            MappingError: there is no such set.
        """
        tables = self._described().tables
        if table not in tables:
            raise _missing("table", nearest(table, lambda: tables), self._where(table))
        return dict(tables[table])

    def numbers_alone(self, table: str) -> bool:
        """Yes: a number field is an Edm.Decimal, whatever was typed into it."""
        return True

    def count(self, table: str) -> int:
        """FileMaker's own count. If it is 0, it is asked for twice."""
        for _ in range(2):
            answer = self._count(table, self._spelt(table))
            records = self._expect(answer, table).count
            if records is None:
                raise incomplete_answer(links.THE_COUNT, self._where(table))
            if records:
                return records
        return 0

    def newest(self, table: str, field: str) -> str:
        """The greatest value of ``field``, without its offset; ``""`` if no record has one."""
        shape = self._shape(ReadRequest(table, field, {field: ""}))
        path = query.greatest(self._database, self._spelt(table), field)
        answer = self._ask(path, self._where(table))
        rows = shape.rows(self._expect(answer, table))
        return rows[0][field] if rows else ""

    def records(self, request: ReadRequest, *, page: int = 1000) -> Iterator[RecordPage]:
        """Every record of a table in the order of its key, page by page.

        With only the fields of ``request.types``, or every field if that is empty. At the end the
        keys are read a second time, and must be the same in the same order: links lead by position,
        so a record can move across the edge of a page while the count stays the same.

        Raises:
            SourceError: the records that arrived are not complete. Nothing was written.
            MappingError: there is no such set, or no such field in it.

        Source: Claris FileMaker OData Guide, "Request records from a table" (a page has at most
        10,000 records; a link leads to the next).
        """
        # No ``$top`` and no ``$skip``: a page has at most 10,000 records, and only links lead on. A
        # reader that did not follow them once lost 1,408 of 11,408 notes.
        shape, where = self._shape(request), self._where(request.table)
        keys = links.Keys(request.table, where)
        offset = 1
        names = (*shape.names, *self._version_fields(request.table)) if shape.names else ()
        for part in self._pages(request, names, page):
            rows, remarks = shape.rows(part), shape.remarks(part)
            self._wire.meter.add(repaired=len(remarks))
            keys.add(request.keys_of(rows))
            if rows:
                yield RecordPage(offset, rows, versions=versions(part), remarks=remarks)
            offset += len(rows)
        # Keys are short: FileMaker's largest page is asked for.
        keys.expect(self._keys(request, max(page, MOST)))

    def versions(self, request: ReadRequest, *, page: int = 1000) -> Iterator[tuple[str, ...]]:
        """The version of every record, which are short: FileMaker's largest page is asked for."""
        if fields := self._version_fields(request.table):
            for part in self._pages(request, (*request.keys, *fields), max(page, MOST)):
                yield versions(part)

    def close(self) -> None:
        """Close every connection. There is no session to end."""
        self._login.close()
        super().close()

    def _keys(self, request: ReadRequest, page: int) -> links.Keys:
        """Only the keys of a table, read again."""
        keys = links.Keys(request.table, self._where(request.table))
        only = self._shape(replace(request, types=dict.fromkeys(request.keys, "")))
        for part in self._pages(request, only.names, page):
            keys.add(request.keys_of(only.rows(part)))
        return keys

    def _version_fields(self, table: str) -> tuple[str, ...]:
        return query.SYSTEM if table in self._described().versioned else ()

    def _pages(
        self, request: ReadRequest, names: tuple[str, ...], size: int
    ) -> Iterator[Collection]:
        table, where = request.table, self._where(request.table)
        room = query.LONGEST - len(self._wire.origin)
        path = query.every(self._database, self._spelt(table), names, request.keys, room=room)

        def fetch(path: str) -> Collection:
            self._wire.pace()
            return self._expect(self._ask(path, where, size=size), table)

        return links.whole(table, path, fetch, where)

    def _count(self, table: str, spelt: str) -> Collection:
        return self._ask(query.count(self._database, spelt), self._where(table))

    def _spelt(self, table: str) -> str:
        """The name of ``table`` as this server wants it in a path; if unclear, tried out once."""
        ways = query.spellings(table)
        if len(ways) > 1 and table not in self._spellings:
            taken = (way for way in ways if self._count(table, way).code == codes.OK)
            self._spellings[table] = next(taken, ways[-1])
        return self._spellings.get(table, ways[0])

    def _shape(self, request: ReadRequest) -> Shape:
        """How rows of a table are read.

        Raises:
            MappingError: there is no such set, or no such field.
        """
        fields, names = self.fields(request.table), tuple(request.types)
        for name in (*request.keys, *names):
            if name not in fields:
                raise _missing("field", nearest(name, lambda: fields), self._where(request.table))
        if names:
            names = tuple(dict.fromkeys((*request.keys, *names)))
        return Shape(names, fields, self._where(request.table))

    def _described(self) -> Metadata:
        """``$metadata``. It is large, so it is read once."""
        with self._lock:
            if self._metadata is None:
                self._metadata = self._wire.with_retries(self._describe)
            return self._metadata

    def _describe(self) -> Metadata:
        where = self._where()
        answer = self._send(query.metadata(self._database), where, {"Accept": "application/xml"})
        described = metadata.read(answer.content) if answer.status == 200 else None
        if described is not None:
            return described
        code = code_of(answer)
        if code is not None:
            Reply(code=code, where=where, pause=answer.retry_after).final().expect()
        is_page = answer.is_web_page or not answer.content
        if answer.status == 200 and not is_page and (flaw := metadata.flaw(answer.content)):
            raise transient(
                f"FileMaker's description of its tables ($metadata) is not XML: {flaw}",
                where,
                "run again; if the problem remains, look for control characters in names and"
                " comments of fields and tables, or read the tables by another channel"
                " ([filemaker] channels)",
                tries=FEW_TRIES,
            )
        raise no_answer(answer, where, "OData")

    def _ask(self, path: str, where: str, *, size: int = 0) -> Collection:
        """FileMaker's answer. A page without rows that is not the last one is requested again."""
        # A wish for the size of a page, not `$top`, which would end the whole read there.
        prefer = {"Prefer": f"odata.maxpagesize={size}"} if size else {}

        def once() -> Collection:
            answer = opened(self._send(path, where, prefer), where)
            if answer.code in codes.EXPIRED:  # OData has no session that could be renewed
                what = (
                    f"FileMaker refused with code {answer.code}: an expired session, which OData"
                    " does not have"
                )
                raise transient(what, where, RUN_AGAIN_LATER, tries=FEW_TRIES, pause=answer.pause)
            return answer.full()

        return self._wire.with_retries(once)

    def _send(self, path: str, where: str, headers: dict[str, str]) -> Answer:
        return self._login.ask(
            lambda basic: self._wire.send(
                "GET", path, where=where, authorization=basic, headers=HEADERS | headers
            )
        )

    def _expect(self, answer: Collection, table: str) -> Collection:
        hint = nearest(table, self.tables) if answer.code == codes.NO_TABLE else ""
        return answer.expect(hint=hint)


def _missing(kind: str, hint: str, where: str) -> MappingError:
    return MappingError(
        f"FileMaker has no such {kind}: {hint}",
        where=where,
        next=f"write the name of an existing {kind} into the mapping; then run again",
    )
