"""Each channel to the small FileMaker file: how it is started and opened, and how it is broken.

A place is what a channel reads: a simulator of the server, or a folder of exported files. Both have
``requests``, and ``edit`` for changing their tables.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport.filemaker import Field, Product, ReadRequest, RecordPage, Source
from nexus_reimport.filemaker.cleaning import REPETITION
from nexus_reimport.filemaker.data_api import DataApi
from nexus_reimport.filemaker.data_api import envelope as data_api
from nexus_reimport.filemaker.exports import ExportedFiles
from nexus_reimport.filemaker.http import Answer, RetryPolicy
from nexus_reimport.filemaker.odata import OData
from nexus_reimport.filemaker.odata import collection as odata
from nexus_sandbox.filemaker import exports, faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import Field as StoredField
from nexus_sandbox.filemaker.file import FileTable, Record
from nexus_sandbox.filemaker.simulator import Simulator
from support.exported_files import files
from support.small_filemaker import PASSWORD, tables

DATABASE, ACCOUNT = "WalkClinic", "nexus_reader"
FILES = {
    "API_Contacts": "Contacts.tab",
    "API_event": "Appointments.xlsx",
    "@ Dates to Connect": "DatesToConnect.csv",
    "API_Replies": "Replies.csv",
}
"""Table -> the file that it is exported to: one of each format at least."""

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Folder:
    """The small FileMaker file as exported files, written anew after each change."""

    path: Path
    tables: dict[str, FileTable] = field(default_factory=lambda: {t.name: t for t in tables()})
    requests: dict[tuple[str, str], int] = field(default_factory=dict)  # nobody is asked

    @contextmanager
    def edit(self) -> Iterator[dict[str, FileTable]]:
        """The tables, for changing."""
        yield self.tables
        for name, table in self.tables.items():
            exports.write(table, self.path / FILES[name])

    def spoil(self, change: Callable[[bytes], bytes]) -> None:
        """Make of the contacts' file what ``change`` makes of its bytes."""
        path = self.path / FILES["API_Contacts"]
        path.write_bytes(change(path.read_bytes()))


@dataclass(frozen=True, kw_only=True)
class Channel:
    """What is the same of every channel, and what it may do in its own way."""

    name: str
    client: type[DataApi | OData | ExportedFiles]
    product: Product
    left_out: Callable[[StoredField], bool]  # fields whose values it does not give, or others do
    methods: frozenset[str] = frozenset()  # of its client, beyond those of every channel
    only_wanted: bool = True  # gives the fields that are named; else every one
    tells_ids: bool = False  # FileMaker's own ids of records
    only_numbers: bool = False  # of a number field; else what is written in it
    before_clock: str = "T"
    paragraph: str = "\r"

    def __str__(self) -> str:
        return self.name

    def called(self, table: str) -> str:
        """The name that the channel has for ``table``."""
        return table

    def fields(self, table: FileTable) -> dict[str, Field]:
        """What the channel has to know of the fields of ``table``."""
        return {
            f.name: Field(
                f.name,
                f.type,
                is_global=f.is_global,
                is_calculation=f.is_calculation or f.is_summary,
                is_summary=f.is_summary,
                repetitions=f.repetitions,
            )
            for f in table.fields
        }

    def wanted(self, table: FileTable) -> ReadRequest:
        """All that the channel can give of ``table``, in the order of its first field."""
        named = {f.name: f.type for f in table.fields if not self.left_out(f)}
        types = named if self.only_wanted else {}
        return ReadRequest(self.called(table.name), table.fields[0].name, types)

    def read(self, source: Source, table: FileTable, page: int = 10) -> list[Row]:
        """Every row of ``table`` in the order of arrival, with FileMaker's own ids."""
        pages = source.records(self.wanted(table), page=page)
        return [row for part in pages for row in self.rows(part, table)]

    def rows(self, page: RecordPage, table: FileTable) -> list[Row]:
        """The rows of ``page`` as ``truth`` has them."""
        hidden = {f.name for f in table.fields if self.left_out(f)}
        nothing = ("",) * len(page.rows)
        return [
            {name: text for name, text in row.items() if name not in hidden}
            | {"recordId": record_id}
            for row, record_id in zip(page.rows, page.record_ids or nothing, strict=True)
        ]

    def truth(self, table: FileTable) -> list[Row]:
        """What a complete read must give, from the stored values, by the papers alone."""
        key = table.fields[0].name
        return [
            self._row(table, record)
            for record in sorted(table.records, key=lambda record: str(record.values[key]))
        ]

    def _row(self, table: FileTable, record: Record) -> Row:
        row = {
            name: self._text(record.values.get(name, ""), f.type)
            for f in table.fields
            if not self.left_out(f)
            for name in f.names
        }
        return {**row, "recordId": str(record.record_id) if self.tells_ids else ""}

    def _text(self, value: object, kind: str) -> str:
        if kind == "number" and self.only_numbers and not isinstance(value, int | float):
            return ""
        text = str(value).replace("\r", self.paragraph)
        return text.replace(" ", self.before_clock) if kind == "timestamp" else text


@dataclass(frozen=True, kw_only=True)
class ServerChannel(Channel):
    """One that asks a server. What is broken of it is broken by a fault of the simulator."""

    client: type[DataApi | OData]
    records: str  # the path of the contacts' records, as a regular expression
    described: str  # that of their fields
    login: str  # the attribute that holds account and password
    number: Callable[[str], Row]  # the row that is made of an answer with this number in ``n``

    @contextmanager
    def started(self, folder: Path) -> Iterator[Simulator]:
        """A server of this test's own."""
        with Simulator(tables(), password=PASSWORD) as simulator:
            yield simulator

    def opened(
        self,
        place: Simulator | str,
        pauses: list[float] | None = None,
        *,
        database: str = DATABASE,
        password: str = PASSWORD,
        **retries: Any,
    ) -> Any:
        """A client of the server, or of an address, that waits for nothing."""
        sleep = (lambda _: None) if pauses is None else pauses.append
        url = place if isinstance(place, str) else place.url
        return self.client(
            url, database, ACCOUNT, password, retries=RetryPolicy(sleep=sleep, **retries)
        )

    def one_number(self, digits: str, folder: Path) -> Row:
        """The row of a record with this number in ``n``."""
        return self.number(digits)

    def strike(self, place: Simulator, fault: Fault) -> None:
        """Let ``fault`` come, and no other."""
        place.faults[:] = [fault]

    def double(self, place: Simulator) -> None:
        """One record stands in the place of another: the count is right."""
        place.faults.append(faults.doubled_row(self.records, nth=2))

    def uncompute(self, place: Simulator) -> None:
        """The first contact's ``sms`` could not be computed."""
        place.faults.append(faults.question_mark(self.records, "sms"))

    def grow(self, place: Simulator, size: int) -> None:
        """The first contact's name has so many letters."""
        place.faults.append(faults.huge_text(self.records, "nameLast", size))

    def shown(self, source: Any) -> list[str]:
        """What a debugger shows of a client."""
        return [repr(source), repr(getattr(source, self.login)), repr(source._wire)]

    def secrets(self, source: Any) -> set[str]:
        """What nobody may see of it."""
        login = getattr(source, self.login)
        basic = login._basic.removeprefix("Basic ")
        return {base64.b64decode(basic).decode(), basic, getattr(login, "_token", "")} - {""}


@dataclass(frozen=True, kw_only=True)
class FilesChannel(Channel):
    """One that reads exported files. What is broken of it stands in the files."""

    def called(self, table: str) -> str:
        """The name of the file."""
        return FILES[table]

    def fields(self, table: FileTable) -> dict[str, Field]:
        """The columns: a file tells no types."""
        is_sheet = FILES[table.name].endswith(".xlsx")
        shown = [f.name for f in table.fields if not (is_sheet and self.left_out(f))]
        return {name: Field(name, "") for name in shown}

    @contextmanager
    def started(self, folder: Path) -> Iterator[Folder]:
        """The files in a folder of this test's own."""
        place = Folder(folder)
        with place.edit():
            pass  # as they are
        yield place

    def opened(self, place: Folder, pauses: list[float] | None = None) -> ExportedFiles:
        """A reader of the folder."""
        return files(place.path)

    def one_number(self, digits: str, folder: Path) -> Row:
        """The row of a record with this number in ``n``."""
        (folder / "n.csv").write_text(f"id,n\r1,{digits}\r")
        (page,) = files(folder).records(ReadRequest("n.csv", "id", {"n": "number"}))
        return {"n": page.rows[0]["n"]}

    def strike(self, place: Folder, fault: Callable[[Folder], object]) -> None:
        """Let ``fault`` happen to the files."""
        fault(place)

    def double(self, place: Folder) -> None:
        """One record stands in the place of another: the count is right."""
        with place.edit() as live:
            records = live["API_Contacts"].records
            records[-2] = records[-1]

    def uncompute(self, place: Folder) -> None:
        """The first contact's ``sms`` could not be computed."""
        with place.edit() as live:
            live["API_Contacts"].records[0].values["sms"] = "?"

    def grow(self, place: Folder, size: int) -> None:
        """The first contact's name has so many letters."""
        with place.edit() as live:
            live["API_Contacts"].records[0].values["nameLast"] = "x" * size

    def shown(self, source: ExportedFiles) -> list[str]:
        """What a debugger shows of a reader."""
        return [repr(source)]

    def secrets(self, source: ExportedFiles) -> set[str]:
        """None: files need no password."""
        return set()

    def _row(self, table: FileTable, record: Record) -> Row:
        """The repetitions of a field are one text."""
        row = super()._row(table, record)
        for f in table.fields:
            if f.repetitions > 1:
                row[f.name] = REPETITION.join(row.pop(name) for name in f.names)
                row[f.name] = row[f.name].rstrip(REPETITION)
        return row


def _of_the_data_api(digits: str) -> Row:
    row = f'{{"fieldData": {{"n": {digits}}}, "recordId": "1", "modId": "0"}}'
    counts = '"dataInfo": {"foundCount": 1, "returnedCount": 1}'
    body = f'{{"response": {{{counts}, "data": [{row}]}}, "messages": [{{"code": "0"}}]}}'
    (only,) = data_api.page_of(data_api.opened(Answer(200, body.encode()), "here"), offset=1).rows
    return only


def _of_odata(digits: str) -> Row:
    body = f'{{"@count": 1, "value": [{{"n": {digits}}}]}}'.encode()
    (only,) = odata.opened(Answer(200, body), "here").rows
    return only


DATA_API = ServerChannel(
    name="data_api",
    client=DataApi,
    product=Product("FileMaker Data API Engine", "20.3.2.205"),
    left_out=lambda f: f.type == "container",
    only_wanted=False,
    tells_ids=True,
    records="API_Contacts/records",
    described="API_Contacts$",
    login="_session",
    number=_of_the_data_api,
)
ODATA = ServerChannel(
    name="odata",
    client=OData,
    product=Product("OData Engine", "20.3.2"),
    left_out=lambda f: f.type == "container" or f.is_summary,
    only_numbers=True,
    records="^/fmi/odata/v4/WalkClinic/API_Contacts$",
    described="metadata",
    login="_login",
    number=_of_odata,
)
EXPORTS = FilesChannel(
    name="exports",
    client=ExportedFiles,
    product=Product("Exported files", ""),
    left_out=lambda f: f.type == "container",
    methods=frozenset({"require"}),
    before_clock=" ",
    paragraph="\n",
)
SERVERS = (DATA_API, ODATA)
ALL = (*SERVERS, EXPORTS)

every_channel = pytest.mark.parametrize("channel", ALL, ids=str)
every_server = pytest.mark.parametrize("channel", SERVERS, ids=str)


def of_servers(common, **own):
    """Each case that all servers have in common, and each of its own, for each of them."""
    return [
        pytest.param(
            channel, *(case if isinstance(case, tuple) else (case,)), id=f"{channel}-{name}"
        )
        for channel in SERVERS
        for name, case in (common | own[channel.name]).items()
    ]
