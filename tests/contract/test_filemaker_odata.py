"""The OData client against a server that errs in every way that has cost rows before.

Each hazard ends in one of two ways: what was read is the truth, or the read stops and says why.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import convert
from nexus_reimport.errors import MappingError, ReimportError, SettingsError, SourceError
from nexus_reimport.filemaker import Field, Product, Source, Wanted
from nexus_reimport.filemaker.data_api import DataApi
from nexus_reimport.filemaker.http import Answer, Patience
from nexus_reimport.filemaker.odata import OData, metadata
from nexus_reimport.filemaker.odata.collection import opened
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import Field as StoredField
from nexus_sandbox.filemaker.file import Record, Table
from nexus_sandbox.filemaker.message import Reply
from nexus_sandbox.filemaker.simulator import Simulator
from support.small_filemaker import PASSWORD, contacts, events, tables

BASE = "/fmi/odata/v4/WalkClinic"
SET = f"^{BASE}/API_Contacts$"
NAMES = ("id", "nameLast", "DOB", "Funding", "sms", "Name Full", "modificationTimestamp")
CONTACTS = Wanted("API_Contacts", "id", dict.fromkeys(NAMES, "text"))
DATABASE_PLACE = ("WalkClinic", "nexus_reader", PASSWORD)


@pytest.fixture
def simulator():
    with Simulator(tables(), password=PASSWORD) as running:
        yield running


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def source(simulator, pauses):
    with client(simulator, pauses) as odata:
        yield odata


def client(simulator, pauses=None, password=PASSWORD, **patience):
    sleep = (lambda _: None) if pauses is None else pauses.append
    return OData(
        simulator.url,
        "WalkClinic",
        "nexus_reader",
        password,
        patience=Patience(sleep=sleep, **patience),
    )


def read(source, wanted=CONTACTS, page=10):
    """Every row, in the order of arrival."""
    return [row for part in source.records(wanted, page=page) for row in part.rows]


def truth(table=None, names=NAMES):
    """What a complete read must give, from the stored values, by the papers alone."""

    def text(record, name):
        value = record.values.get(name, "")
        if name == "sms" and not isinstance(value, int | float):
            return ""  # no number is in it
        return str(value).replace(" ", "T") if name == "modificationTimestamp" else str(value)

    records = (table or contacts()).records
    ordered = sorted(records, key=lambda record: record.values["id"])
    return [{name: text(record, name) for name in names} for record in ordered]


def test_a_complete_read_equals_the_truth(source, simulator):
    odata: Source = source
    assert read(odata) == truth()
    assert odata.usage().requests == sum(simulator.requests.values())
    assert odata.usage().bytes_read > 10_000


@pytest.mark.parametrize("page", [1, 2, 7, 56, 57, 58, 1000])
@pytest.mark.parametrize("most", [5, 10_000])
def test_every_size_of_page_gives_the_same_rows(source, simulator, page, most):
    simulator.odata.most_rows = most
    parts = list(source.records(CONTACTS, page=page))
    size = min(page, most, 57)
    assert [part.offset for part in parts] == list(range(1, 58, size))
    assert max(len(part.rows) for part in parts) == size
    assert [row for part in parts for row in part.rows] == truth()


def test_a_table_beyond_the_limit_of_10000_is_read_to_its_end():
    fields = (StoredField("id", "text"), StoredField("Note", "text"))
    records = [
        Record(number, 0, {"id": f"{number * 7919 % 11_408:05}", "Note": f"note {number}"})
        for number in range(11_408)
    ]
    with (
        Simulator([Table("API_Notes", fields, records)], password=PASSWORD) as simulator,
        client(simulator) as source,
    ):
        wanted = Wanted("API_Notes", "id", {"Note": "text"})
        parts = list(source.records(wanted, page=20_000))
        assert [len(part.rows) for part in parts] == [10_000, 1_408]
        rows = [row for part in parts for row in part.rows]
        assert {row["id"]: row["Note"] for row in rows} == {
            record.values["id"]: record.values["Note"] for record in records
        }
        assert source.count("API_Notes") == 11_408


def test_it_knows_the_product_the_tables_and_their_fields(source, simulator):
    assert source.product() == Product("OData Engine", "20.3.2")
    assert set(source.tables()) == {t.name for t in tables()}
    fields = source.fields("API_Contacts")
    assert list(fields) == [f.name for f in contacts().fields]
    assert {name: field.type for name, field in fields.items()} == {
        f.name: f.type for f in contacts().fields
    }
    assert fields["DOB"] == Field("DOB", "date")
    assert fields["Name Full"].is_calculation
    assert fields["summaryListOfLastName"].is_calculation
    assert fields["thumbnails"].repetitions == 3
    assert source.fields("API_event")["endTime"].type == "time"
    assert source.count("API_Contacts") == 57
    assert source.newest("API_Contacts", "modificationTimestamp") == "2025-11-28T09:30:55"
    assert source.origin("API_Contacts") is None
    assert source.channel == "odata"
    assert simulator.requests["GET", f"{BASE}/$metadata"] == 1  # it is large


def test_metadata_tells_global_fields(source, simulator):
    def globals_of(odata):
        return [name for name, field in odata.fields("API_Contacts").items() if field.is_global]

    assert globals_of(source) == ["RECORD_ACTIVE_INDICATOR"]
    changed = StoredField("Funding", "text", is_global=True)
    simulator.faults.append(faults.change_field("metadata", "API_Contacts", changed))
    with client(simulator) as another:
        assert globals_of(another) == ["Funding", "RECORD_ACTIVE_INDICATOR"]


def test_metadata_tells_a_type_that_changed_over_night(source, simulator):
    assert source.fields("API_Contacts")["Funding"].type == "text"
    changed = StoredField("Funding", "date")
    simulator.faults.append(faults.change_field("metadata", "API_Contacts", changed))
    with client(simulator) as another:
        assert another.fields("API_Contacts")["Funding"].type == "date"


class Recorder:
    """A socket that answers with metadata, then with empty pages, and keeps what it was sent."""

    def __init__(self, simulator):
        with client(simulator) as source:
            answer = source._send(f"{BASE}/$metadata", "here", {})
        self.answers = [answer.content, *[b'{"@count": 0, "value": []}'] * 9]
        self.heads = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        for body in self.answers:
            connection, _ = self._socket.accept()
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65536)
                self.heads.append(head)
                lines = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                connection.sendall(lines % len(body) + body)

    @property
    def lines(self):
        return [head.split(b"\r\n")[0] for head in self.heads]


def test_the_bytes_of_each_request_line_are_pinned(simulator):
    recorder = Recorder(simulator)
    place = ("WalkClinic", "nexus_reader", PASSWORD)
    with OData(recorder.url, *place, patience=Patience(sleep=lambda _: None)) as source:
        wanted = Wanted("API_Contacts", "id", {"Name Full": "text", "sms": "number"})
        assert list(source.records(wanted, page=500)) == []
        assert list(source.records(Wanted("@ Dates to Connect", "PrimaryKey", {}))) == []
        assert source._spelt("@Contacts") == "@Contacts"
        assert source.count("API_event") == 0
        assert source.newest("API_Contacts", "modificationTimestamp") == ""
    base = b"GET /fmi/odata/v4/WalkClinic/"
    assert recorder.lines == [
        base + b"$metadata HTTP/1.1",
        base + b"API_Contacts?$select=%22id%22,%22Name%20Full%22,%22sms%22"
        b"&$orderby=%22id%22&$count=true HTTP/1.1",
        base + b"API_Contacts?$select=%22id%22&$orderby=%22id%22&$count=true HTTP/1.1",
        base + b"@%20Dates%20to%20Connect?$count=true&$top=0 HTTP/1.1",
        base + b"@%20Dates%20to%20Connect?$orderby=%22PrimaryKey%22&$count=true HTTP/1.1",
        base + b"@%20Dates%20to%20Connect?$select=%22PrimaryKey%22"
        b"&$orderby=%22PrimaryKey%22&$count=true HTTP/1.1",
        base + b"API_event?$count=true&$top=0 HTTP/1.1",
        base + b"API_event?$count=true&$top=0 HTTP/1.1",
        base + b"API_Contacts?$select=%22modificationTimestamp%22"
        b"&$orderby=%22modificationTimestamp%22%20desc&$top=1 HTTP/1.1",
    ]
    assert b"\r\nPrefer: odata.maxpagesize=500\r\n" in recorder.heads[1]
    assert b"\r\nPrefer: odata.maxpagesize=10000\r\n" in recorder.heads[2]
    assert b"\r\nOData-MaxVersion: 4.0\r\n" in recorder.heads[1]
    assert not any(b"%24" in line or b"+" in line or b"%2C" in line for line in recorder.lines)


def test_more_fields_than_a_url_can_name_are_read_with_all_others(source, simulator):
    fields = tuple(StoredField(f"a field with a long name {n:02}", "text") for n in range(60))
    wide = Table(
        "API_Wide",
        (StoredField("id", "text"), StoredField("rate", "number"), *fields),
        [Record(1, 0, {"id": "1", "rate": 1, "a field with a long name 07": "x"})],
    )
    with simulator.edit() as live:
        live["API_Wide"] = wide
    simulator.faults.append(faults.question_mark("API_Wide", "rate"))
    (part,) = source.records(Wanted("API_Wide", "id", {f.name: "text" for f in fields}))
    assert part.rows[0].keys() == {"id", *(f.name for f in fields)}
    assert part.rows[0]["a field with a long name 07"] == "x"
    assert part.repaired == 0  # what could not be computed was not wanted


def test_without_named_fields_every_field_is_read_with_its_repetitions(source):
    rows = read(source, Wanted("API_Contacts", "id", {}))
    assert [row["id"] for row in rows] == [row["id"] for row in truth()]
    left_out = {"faceImage", "summaryListOfLastName"}
    assert rows[0].keys() == set(contacts().value_names) - left_out
    assert [row["thumbnails(2)"] for row in rows if row["thumbnails(2)"]] == ["second"]


def test_both_channels_give_equal_values(simulator):
    zone = ZoneInfo("Australia/Sydney")

    def converted(source, table):
        types = {name: f.type for name, f in source.fields(table.name).items()}
        shown = [f for f in table.fields if not f.is_summary and f.type != "container"]
        wanted = Wanted(table.name, "id", {f.name: f.type for f in shown})
        converters = {
            "date": convert.iso_date,
            "timestamp": lambda text: convert.timestamp(text, zone),
            "time": lambda text: convert.duration(text) if text else None,
            "number": convert.flag,
            "text": convert.paragraphs,
        }
        return types, [
            {name: converters[types[name]](row[name]) for name in wanted.types}
            for row in read(source, wanted)
        ]

    with (
        client(simulator) as odata,
        DataApi(simulator.url, "WalkClinic", "nexus_reader", PASSWORD) as data_api,
    ):
        for table in (contacts(), events()):
            assert converted(odata, table) == converted(data_api, table)
            assert odata.count(table.name) == data_api.count(table.name)
        stamp = "API_Contacts", "modificationTimestamp"
        assert odata.newest(*stamp) == data_api.newest(*stamp)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**20)))
def test_a_number_keeps_every_digit(number):
    text = format(number, "f")
    bare = re.sub(r"^(-?)0\.", r"\1.", text)  # FileMaker leaves the zero out, which is no JSON
    for digits in (text, f'"{text}"', bare):
        body = b'{"@count": 1, "value": [{"n": %s}]}' % digits.encode()
        (row,) = opened(Answer(200, body), "here").rows
        assert row == {"n": text}
        assert Decimal(row["n"]) == number


@pytest.mark.parametrize("offset", ["+10:00", "+11:00", "Z", "+0000", "-05:30", ""])
def test_the_offset_of_a_timestamp_is_dropped_whatever_it_is(source, simulator, offset):
    simulator.odata.offset = offset
    with simulator.edit() as live:
        for record in live["API_Contacts"].records:
            record.values["Funding"] = "2025-12-01T09:00:00+10:00"  # a text stays as it is
    rows = read(source)
    assert [row["modificationTimestamp"] for row in rows] == [
        row["modificationTimestamp"] for row in truth()
    ]
    assert {row["Funding"] for row in rows} == {"2025-12-01T09:00:00+10:00"}
    assert source.newest("API_Contacts", "modificationTimestamp") == "2025-11-28T09:30:55"


def test_times_of_24_hours_empty_values_and_paragraphs_come_as_filemaker_sent_them(source):
    rows = read(source, Wanted("API_event", "id", {"endTime": "time", "note": "text"}))
    assert [row["endTime"] for row in rows[:4]] == ["24:00:00", "09:45:00", "", "26:30:00"]
    assert rows[1]["note"] == "first\rsecond"


def test_only_get_is_ever_sent(source, simulator):
    read(source)
    source.product(), source.tables(), source.fields("API_event"), source.count("API_Replies")
    source.newest("API_event", "startDate")
    source.close()
    assert {verb for verb, _ in simulator.requests} == {"GET"}
    assert {t.name: t for t in tables()} == simulator.tables


def test_no_method_of_the_client_can_write():
    public = {name for name in vars(OData) if not name.startswith("_")}
    assert public == {
        "channel", "close", "count", "fields", "newest", "origin", "product", "records", "tables",
        "usage",
    }  # fmt: skip


@pytest.mark.parametrize("nth", [1, 3, 6, 7])
def test_a_record_deleted_between_two_pages_stops(source, simulator, nth):
    simulator.faults.append(faults.delete_record(SET, "API_Contacts", 0, nth=nth))
    if nth == 1:
        assert len(read(source)) == 56  # it was gone before the first page
        return
    said = {
        3: "57 in FileMaker at first, 56 from 20",
        6: "57 in FileMaker at first, 56 from 50",
        7: "57 records arrived, 56 are there afterwards",
    }
    with pytest.raises(SourceError) as stopped:
        read(source)
    assert f"API_Contacts: {said[nth]}" in str(stopped.value)
    assert "state: nothing was written" in str(stopped.value)
    assert "freeze the source" in str(stopped.value)


def test_a_table_emptied_while_it_is_paged_stops(source, simulator):
    def clear(running):
        with running.edit() as live:
            live["API_Contacts"].records.clear()

    simulator.faults.append(Fault(path=SET, nth=2, before=clear))
    with pytest.raises(SourceError, match="57 in FileMaker at first, 0 from 10"):
        read(source)


def test_a_record_that_goes_while_another_comes_stops_though_the_count_stays(source, simulator):
    first = next(n for n, r in enumerate(contacts().records) if r.values["id"].startswith("000000"))
    swapped = faults.swap_record(SET, "API_Contacts", first, {"id": "ZZZ, sorted last"}, nth=3)
    simulator.faults.append(swapped)
    with pytest.raises(SourceError, match="the records moved while the 57 of them were read"):
        read(source)


def test_a_record_edited_while_it_is_paged_is_read_as_it_was_or_as_it_is(source, simulator):
    edited = {"nameLast": "Edited", "modificationTimestamp": "2025-11-30 12:00:00"}
    simulator.faults.append(faults.edit_record(SET, "API_Contacts", 56, edited, nth=4))
    rows = read(source)
    was = {row["id"]: row for row in truth()}
    now = {row["id"]: row for row in truth(simulator.tables["API_Contacts"])}
    assert len(rows) == 57
    assert all(row in (was[row["id"]], now[row["id"]]) for row in rows)
    assert source.newest("API_Contacts", "modificationTimestamp") == "2025-11-30T12:00:00"


def test_a_key_edited_while_it_is_paged_stops(source, simulator):
    edit = faults.edit_record(SET, "API_Contacts", 0, {"id": "ZZZ, sorted last"}, nth=4)
    simulator.faults.append(edit)
    with pytest.raises(SourceError, match="the records moved while the 57 of them were read"):
        read(source)


def test_a_row_that_comes_twice_stops_though_the_count_is_right(source, simulator):
    simulator.faults.append(faults.doubled_row(SET, nth=2))
    with pytest.raises(SourceError, match="API_Contacts: a record came twice within 20"):
        read(source)


@pytest.mark.parametrize(
    ("by", "said"), [(-1, "came twice within 20"), (1, "57 in FileMaker, 56 arrived")]
)
def test_a_link_that_leads_beside_the_edge_of_a_page_stops(source, simulator, by, said):
    simulator.faults.append(faults.moved_link(SET, by))
    with pytest.raises(SourceError, match=said):
        read(source)


def test_a_short_page_is_not_the_last_one(source, simulator):
    simulator.faults.append(faults.short_page(SET, rows=4, nth=2, times=2))
    assert read(source) == truth()


def test_a_page_that_lacks_rows_and_a_link_is_never_taken_for_the_end(source, simulator):
    simulator.faults.append(faults.wrong_link(SET, lambda _: "", nth=3))
    with pytest.raises(SourceError, match="API_Contacts: 57 in FileMaker, 30 arrived"):
        read(source)


def test_a_page_without_a_row_is_asked_for_again_and_then_fails_the_read(source, simulator):
    simulator.faults.append(faults.short_page(SET, rows=0, nth=2, times=2))
    assert read(source) == truth()
    simulator.faults[:] = [faults.short_page(SET, rows=0, nth=2, times=99)]
    with pytest.raises(SourceError, match="a page without a row: 3 tries"):
        read(source)


def test_a_link_to_an_inner_host_is_followed_on_our_own_server(source, simulator):
    with Simulator(tables(), password=PASSWORD) as elsewhere:
        simulator.odata.link_origin = elsewhere.url
        assert read(source) == truth()
        assert not elsewhere.requests
    simulator.odata.link_origin = "https://fms-inner.example:16020"
    assert read(source) == truth()


@pytest.mark.parametrize(
    "form",
    [
        lambda link: link.partition("WalkClinic/")[2],
        lambda link: "/fmi" + link.partition("/fmi")[2],
        lambda link: link.replace("API_Contacts", "%22API_Contacts%22"),
        lambda link: link.replace("WalkClinic", "WalkClinic.fmp12"),
        lambda link: link.replace("%22", '"'),
    ],
    ids=["relative", "without host", "quoted set", "with suffix", "bare quotes"],
)
def test_a_link_is_followed_in_every_form_that_servers_give_it(source, simulator, form):
    simulator.faults.append(faults.wrong_link(SET, form, times=99))
    assert read(source) == truth()


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (lambda link: link.replace("API_Contacts", "API_event"), "leads out of the table"),
        (lambda link: link.replace("/odata/", "/admin/"), "leads out of the table"),
        (lambda _: "http://[broken", "leads out of the table"),
        (lambda link: re.sub(r"&\$skiptoken=.*", "", link), "leads back to one that was read"),
        (lambda link: re.sub(r"s\d+t0", "s10t0", link), "leads back to one that was read"),
    ],
    ids=["another table", "another service", "broken", "the first page", "itself"],
)
def test_a_link_that_leads_astray_stops(source, simulator, link, said):
    simulator.faults.append(faults.wrong_link(SET, link, nth=2))
    with pytest.raises(SourceError, match=said) as stopped:
        read(source)
    assert "table=API_Contacts" in stopped.value.where
    assert simulator.requests["GET", f"{BASE}/API_event"] == 0


def test_links_that_lead_on_for_ever_stop_at_the_count(source, simulator):
    pages = iter(range(1, 1000))

    def another(answer):
        number = next(pages)
        content = json.loads(answer.body)
        content["value"] = [dict(row, id=f"{number} {row['id']}") for row in content["value"]]
        content["@odata.nextLink"] = f"API_Contacts?$skiptoken=s0t{number}"
        return Reply(200, json.dumps(content).encode(), answer.headers)

    simulator.faults.append(Fault(path=SET, change=another, times=999))
    with pytest.raises(SourceError, match="57 in FileMaker, 60 arrived"):
        read(source)


@pytest.mark.parametrize(
    "fault",
    [
        faults.bad_gateway(SET, nth=3, times=3),
        faults.unavailable(SET, retry_after="2", nth=2, times=2),
        faults.cut(SET, nth=2, times=2),
        faults.code(SET, 812, nth=2),
        faults.code(SET, 951, nth=2),
        faults.code(SET, 802, nth=2),
        faults.code(SET, 303, nth=2),
        faults.code(SET, 952, status=401, nth=2),
        faults.error_inside(SET, 951, nth=2),
        faults.error_inside(SET, 951, nth=2, is_json=False),
        Fault(path=SET, nth=2, instead=Reply(200, b"<html>maintenance</html>")),
        Fault(path=SET, nth=2, instead=Reply(200, b'{"error": {"code": "oops"}}')),
        Fault(path=SET, nth=2, instead=Reply(200, b'{"@count": 57}')),
        Fault(path=SET, nth=2, instead=Reply(401, b"<html>who?</html>")),
        faults.bad_gateway("metadata", times=2),
        Fault(path="metadata", instead=Reply(200, b"<html>maintenance")),
    ],
    ids=[
        "502", "503", "cut", "812", "951", "802", "303", "952", "error inside", "error after",
        "no JSON", "wordless error", "no rows", "401 in HTML", "502 of metadata", "no metadata",
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_again_until_it_has_passed(source, simulator, pauses, fault):
    fault.seen = 0
    simulator.faults.append(fault)
    assert read(source) == truth()
    assert source.usage().retries == len(pauses) == fault.times
    assert all(1 <= pause <= 60 for pause in pauses)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (faults.bad_gateway(SET, nth=2, times=99), "HTTP 502 .*: 8 tries"),
        (faults.cut(SET, nth=2, times=99), "broke off in the middle of an answer: 8 tries"),
        (faults.code(SET, 951, nth=2, times=99), "code 951: .*: 3 tries"),
        (faults.code(SET, 952, status=401, nth=2, times=99), "code 952, as if .*: 3 tries"),
        (faults.code(SET, 953, nth=2, times=99), "code 953: .*limit on data is exceeded$"),
        (faults.code(SET, 200, nth=2, times=99), "code 200: record access is denied"),
        (faults.code(SET, 401, nth=2), "code 401: no records match"),
        (faults.code(SET, 101, nth=2), "code 101: record is missing"),
        (faults.code(SET, -1002, status=400, nth=2), "code -1002: the address cannot be read"),
        (faults.code(SET, -4711, status=400, nth=2), "code -4711: not a code that we know"),
        (faults.error_inside(SET, 200, nth=2), "code 200: record access is denied"),
        (Fault(path=SET, nth=2, instead=Reply(404, b"<html>")), "HTTP 404 without a word"),
        (Fault(path=SET, nth=2, instead=Reply(500, b"{}"), times=99), "HTTP 500 .*: 8 tries"),
        (Fault(path=SET, instead=Reply(200, b'{"value": []}')), "did not tell how many records"),
    ],
    ids=[
        "502", "cut", "951", "952", "953", "200", "401", "101", "-1002", "-4711", "error inside",
        "404", "500", "no count",
    ],
)  # fmt: skip
def test_a_failed_page_is_never_taken_for_the_end_of_the_data(source, simulator, fault, said):
    fault.seen = 0
    simulator.faults.append(fault)
    with pytest.raises(SourceError) as failed:
        read(source)
    assert re.search(said, failed.value.what)
    assert "table=API_Contacts" in failed.value.where
    assert failed.value.next


def test_an_error_in_xml_has_its_code_too(source, simulator):
    xml = (
        b'<?xml version="1.0"?><m:error xmlns:m="http://docs.oasis-open.org/odata/ns/metadata">'
        b"<m:code>953</m:code><m:message>secret</m:message></m:error>"
    )
    answer = Reply(501, xml, {"Content-Type": "application/xml"})
    simulator.faults.append(Fault(path=SET, instead=answer))
    with pytest.raises(SourceError, match="code 953") as refused:
        source.count("API_Contacts")
    assert "secret" not in str(refused.value)
    simulator.faults[:] = [faults.code("metadata", 953)]
    with pytest.raises(SourceError, match="code 953"):
        source.fields("API_Contacts")


def test_retry_after_lengthens_the_pause_and_an_endless_one_stops(source, simulator, pauses):
    simulator.faults.append(faults.unavailable(SET, retry_after="90"))
    read(source)
    assert pauses == [90.0]
    simulator.faults[:] = [faults.unavailable(SET, retry_after="3600")]
    with pytest.raises(SourceError, match="asks to be left alone for 3,600 s"):
        read(source)
    assert pauses == [90.0]


def test_an_answer_that_drips_is_taken_or_given_up_by_the_time_for_a_whole_one(simulator):
    simulator.faults.append(faults.drip(SET, pieces=5, pause=0.02, nth=2))
    with client(simulator) as source:
        assert read(source) == truth()
    simulator.faults[:] = [faults.drip(SET, pieces=200, pause=0.05, times=99)]
    with (
        client(simulator, read=5.0, whole=0.2, tries=2) as hurried,
        pytest.raises(SourceError, match="came too slowly to its end: 2 tries"),
    ):
        read(hurried)


def test_a_text_of_many_megabytes_arrives_whole(source, simulator):
    simulator.faults.append(faults.huge_text(SET, "nameLast", 5_000_000))
    simulator.faults.append(faults.question_mark(SET, "sms"))
    rows = read(source)
    assert rows[0]["nameLast"] == "x" * 5_000_000
    assert rows[1:] == truth()[1:]


def test_an_empty_table_is_asked_twice(source, simulator):
    empty = Wanted("API_Replies", "_kp_ReplyID", {})
    assert read(source, empty) == []
    assert simulator.requests["GET", f"{BASE}/API_Replies"] == 2
    assert source.count("API_Replies") == 0
    assert simulator.requests["GET", f"{BASE}/API_Replies"] == 4
    assert source.newest("API_Replies", "Timestamp") == ""


def test_a_table_that_is_said_to_be_empty_and_is_not_stops(source, simulator):
    nothing = Reply(200, b'{"@odata.count": 0, "value": []}')
    simulator.faults.append(Fault(path=SET, instead=nothing))
    with pytest.raises(SourceError, match="0 records arrived, 57 are there afterwards"):
        read(source)
    simulator.faults[:] = [Fault(path=SET, instead=nothing)]
    assert source.count("API_Contacts") == 57


def test_an_answer_without_a_count_is_no_zero(source, simulator):
    simulator.faults.append(Fault(path=SET, instead=Reply(200, b'{"value": []}')))
    with pytest.raises(SourceError, match="did not tell how many records"):
        source.count("API_Contacts")


def test_annotations_are_read_in_either_style(source, simulator):
    def shorter(answer):
        return Reply(answer.status, answer.body.replace(b"@odata.", b"@"), answer.headers)

    simulator.faults.append(Fault(path=SET, change=shorter, times=99))
    assert read(source) == truth()
    assert source.count("API_Contacts") == 57


def test_notes_of_the_server_on_a_row_are_no_fields(source, simulator):
    def annotate(answer):
        content = json.loads(answer.body)
        for row in content["value"]:
            row |= {"@id": "API_Contacts(1)", "@editLink": "…", "nameLast@type": "#String"}
        return Reply(200, json.dumps(content).encode(), answer.headers)

    simulator.faults.append(Fault(path=SET, change=annotate, times=99))
    assert read(source) == truth()
    assert "@id" not in read(source, Wanted("API_Contacts", "id", {}))[0]


def test_a_bare_question_mark_is_repaired_and_counted_and_one_in_a_text_is_left(source, simulator):
    simulator.faults.append(faults.question_mark(SET, "sms", nth=1))
    pages = list(source.records(CONTACTS, page=10))
    assert [page.repaired for page in pages] == [1, 0, 0, 0, 0, 0]
    assert pages[0].rows[0]["sms"] == ""
    assert all(row["Name Full"].endswith("née O'Hara?") for page in pages for row in page.rows)
    assert source.usage().repaired == 1


def test_control_characters_that_make_it_no_json_are_read(source, simulator):
    def unescaped(answer):
        return Reply(200, answer.body.replace(b"Quillfeather", b"Quill\x0bfeather\t"), {})

    simulator.faults.append(Fault(path=SET, change=unescaped, times=99))
    assert [row["nameLast"] for row in read(source)] == [
        row["nameLast"].replace("Quillfeather", "Quill\x0bfeather\t") for row in truth()
    ]


@pytest.mark.parametrize("name", ["API_Contact", "API_Contacts_"])
def test_a_missing_table_is_named_with_the_nearest_that_exist(source, name):
    for call in (source.fields, lambda t: read(source, Wanted(t, "id", {}))):
        with pytest.raises(MappingError) as missing:
            call(name)
        assert f"no such table: '{name}'; nearest: API_Contacts" in str(missing.value)
    with pytest.raises(MappingError, match=f"code -1020: .*'{name}'; nearest: API_Contacts"):
        source.count(name)


def test_a_missing_field_is_named_with_the_nearest_that_exist_before_any_record(source, simulator):
    for wanted in (
        Wanted("API_Contacts", "nameLst", {}),
        Wanted("API_Contacts", "id", {"nameLst": "text"}),
    ):
        with pytest.raises(MappingError, match=r"no such field: 'nameLst'; nearest: nameLast"):
            read(source, wanted)
    with pytest.raises(MappingError, match="no such field: 'modified'"):
        source.newest("API_Contacts", "modified")
    assert simulator.requests["GET", f"{BASE}/API_Contacts"] == 0


def test_a_field_that_is_taken_away_while_it_is_read_stops(source, simulator):
    simulator.faults.append(faults.remove_field(SET, "API_Contacts", "Funding", nth=3))
    with pytest.raises(MappingError, match="code 8309: a name or a type is wrong"):
        read(source)


@pytest.mark.parametrize("name", ["faceImage", "summaryListOfLastName"])
def test_a_container_or_summary_stops_as_a_field_that_does_not_come(source, name):
    with pytest.raises(SourceError, match=f"field {name} is not in FileMaker's answer") as lacking:
        read(source, Wanted("API_Contacts", "id", {name: "container"}))
    assert "leaves containers and summaries out" in lacking.value.next


@pytest.mark.parametrize("manner", ["any", "quoted", "twice"])
def test_a_table_whose_name_has_a_blank_is_found_in_the_form_that_the_server_takes(
    source, simulator, manner
):
    simulator.odata.odd_names = manner
    wanted = Wanted("@ Dates to Connect", "PrimaryKey", {"End_Date": "date"})
    assert read(source, wanted) == [{"PrimaryKey": "R1", "End_Date": "2026-02-03"}]
    assert source.count("@ Dates to Connect") == 1
    assert source.newest("@ Dates to Connect", "End_Date") == "2026-02-03"
    with simulator.edit() as live:
        live["@ Dates to Connect"].records += [
            Record(n, 0, {"PrimaryKey": f"R{n}", "End_Date": ""}) for n in range(2, 8)
        ]
    assert len(read(source, wanted, page=2)) == 7
    with pytest.raises(MappingError, match="'@ Dates'; nearest: @ Dates to Connect"):
        source.count("@ Dates")


def test_rows_without_a_key_arrive_for_their_reader_to_count(source, simulator):
    with simulator.edit() as live:
        for record in live["API_Contacts"].records[:2]:
            record.values["id"] = ""
    assert [row["id"] for row in read(source)][:3].count("") == 2


def test_four_threads_read_at_once(simulator):
    with client(simulator) as source, ThreadPoolExecutor(4) as pool:
        start = threading.Barrier(4)

        def both():
            start.wait(10)
            return read(source) == truth(), source.count("API_event")

        assert [t.result() for t in [pool.submit(both) for _ in range(4)]] == [(True, 6)] * 4
    assert simulator.requests["GET", f"{BASE}/$metadata"] == 1


def test_a_wrong_password_is_said_once_and_never_sent_again(simulator, pauses):
    with client(simulator, pauses, password="wrong, secret") as source:
        for call in (source.tables, source.product, lambda: source.count("API_Contacts")):
            with pytest.raises(SettingsError) as refused:
                call()
            assert "code 212: account or password is wrong" in str(refused.value)
    assert pauses == []
    assert sum(simulator.requests.values()) == 1


def test_four_threads_send_a_wrong_password_once(simulator):
    simulator.faults.append(Fault(path=".", delay=0.2))
    with client(simulator, password="wrong, secret") as source, ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(source.count, "API_Contacts") for _ in range(8)]
        assert all(isinstance(task.exception(), SettingsError) for task in tasks)
    assert sum(simulator.requests.values()) == 1


def test_a_refusal_without_a_word_is_a_wrong_password_unless_it_was_right_before(simulator):
    who = Reply(401, b"<html>who?</html>", {"Content-Type": "text/html"})
    simulator.faults.append(Fault(path=".", instead=who, times=99))
    with client(simulator) as source:
        for _ in range(2):
            with pytest.raises(SettingsError, match="password is wrong"):
                source.count("API_Contacts")
    assert sum(simulator.requests.values()) == 1
    simulator.faults[:] = [faults.code(SET, 212, status=401, nth=3, times=99)]
    with client(simulator) as source:
        with pytest.raises(SettingsError, match="password is wrong"):
            read(source)
        with pytest.raises(SettingsError, match="password is wrong"):
            read(source)
    assert simulator.faults[0].seen == 3


def test_an_unreachable_server_is_one_clear_message():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = OData(
        f"http://127.0.0.1:{port}",
        "WalkClinic",
        "nexus_reader",
        PASSWORD,
        patience=Patience(sleep=lambda _: None),
    )
    with pytest.raises(SourceError) as failed:
        source.tables()
    source.close()
    assert str(failed.value) == (
        "FileMaker could not be reached: 3 tries\n"
        f"  where: channel=odata, server=127.0.0.1:{port}, database=WalkClinic\n"
        "  state: nothing was written\n"
        "  next:  check the address, the network, and that the server runs; then run again"
    )


def test_a_server_that_dies_in_the_middle_of_a_read_stops_it(simulator):
    with client(simulator, tries=4) as source:
        pages = source.records(CONTACTS, page=10)
        next(pages)
        simulator.stop()
        with pytest.raises(SourceError, match=r"reached: 4 tries|middle of an answer: 4 tries"):
            next(pages)


def test_a_wrong_database_is_said_with_what_to_check(simulator, pauses):
    source = OData(
        simulator.url, "Elsewhere", "nexus_reader", PASSWORD, patience=Patience(sleep=pauses.append)
    )
    with pytest.raises(SourceError, match="code 802: the file cannot be opened: 3 tries") as failed:
        source.fields("API_Contacts")
    source.close()
    assert "check the database's name" in str(failed.value)


def test_a_password_goes_over_https_or_stays_on_this_machine():
    with pytest.raises(SettingsError, match="not encrypted"):
        OData("http://filemaker.example", "WalkClinic", "nexus_reader", PASSWORD)


def test_a_closed_source_asks_no_more(simulator):
    source = client(simulator)
    read(source)
    source.close()
    source.close()
    asked = sum(simulator.requests.values())
    with pytest.raises(SourceError, match="is closed"):
        read(source)
    assert sum(simulator.requests.values()) == asked


def test_each_page_waits_as_the_environment_asks(simulator, pauses):
    with client(simulator, pauses, before_page=0.5) as source:
        read(source)
    assert pauses == [0.5] * 7  # six pages, and the keys once more


def test_no_secret_and_no_value_is_in_an_error_a_repr_or_a_traceback(simulator, caplog):
    caplog.set_level(logging.INFO)
    broken = [
        faults.bad_gateway(SET, times=99),
        faults.cut(SET, times=99),
        faults.code(SET, 201, times=99),
        faults.doubled_row(SET),
        faults.error_inside(SET, 200),
        faults.error_inside(SET, 200, is_json=False, times=99),
        faults.wrong_link(SET, lambda link: link.replace("API_Contacts?", "Quillfeather?")),
        faults.wrong_link(SET, lambda link: "http://[Quillfeather"),
        faults.edit_record(SET, "API_Contacts", 0, {"id": "Quillfeather"}, nth=4),
        Fault(path=SET, change=lambda answer: Reply(418, answer.body[:-3]), times=99),
        Fault(path=SET, change=lambda answer: Reply(200, answer.body[:-3]), times=99),
        Fault(path="metadata", instead=Reply(500, b"<html>correct horse</html>"), times=99),
        Fault(path="metadata", instead=Reply(401, b"<html>correct horse</html>"), times=99),
    ]
    for fault in broken:
        with Simulator(tables(), password=PASSWORD) as fresh:
            fresh.faults[:] = [fault]
            source = client(fresh)
            with pytest.raises(ReimportError) as failed:
                read(source)
            shown = [
                "".join(traceback.format_exception(failed.value)),
                repr(failed.value), repr(source), repr(source._login), repr(source._wire),
            ]  # fmt: skip
            source.close()
            for text in shown:
                assert "Quillfeather" not in text
                assert "correct horse" not in text
                assert "AAAA-4BBB" not in text
                assert "Basic" not in text
                assert "$select" not in text
            assert failed.value.__context__ is None
    assert "correct horse" not in caplog.text


def test_metadata_that_declares_entities_of_its_own_is_not_read(source, simulator):
    content = source._send(f"{BASE}/$metadata", "here", {}).content
    assert metadata.read(content) is not None
    declared = content.replace(b"<edmx:Edmx", b'<!DOCTYPE x [<!ENTITY a "b">]><edmx:Edmx', 1)
    assert metadata.read(declared) is None
    assert metadata.read(b"<html>") is None
    assert metadata.read(b"<html/>") is None


def test_metadata_is_read_as_servers_write_it():
    # some write Edm.Binary, a term without a value, and their version alone
    content = b"""<?xml version="1.0"?><!-- made -->
    <edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
    <edmx:DataServices><Schema Namespace="com.filemaker.odata.A.B.fmp12"
    xmlns="http://docs.oasis-open.org/odata/ns/edm">
    <Annotation Term="Org.OData.Core.V1.ProductVersion" String="21.1.2.500"/>
    <EntityType Name="a table._"><Property Name="face" Type="Edm.Binary"/>
    <Property Name="odd" Type="Edm.Duration"/>
    <Property Name="many" Type="Collection(Edm.Decimal)"/>
    <Property Name="sum" Type="Edm.Int32"><Annotation Term="com.filemaker.odata.Calculation"/>
    </Property><Property Name="g" Type="Edm.String">
    <Annotation Term="com.filemaker.odata.Global" Bool="false"/></Property></EntityType>
    <EntityContainer Name="A"><EntitySet Name="a table."
    EntityType="com.filemaker.odata.A.B.fmp12.a table._"/>
    <EntitySet Name="bare" EntityType="nowhere"/></EntityContainer></Schema>
    </edmx:DataServices></edmx:Edmx>"""
    found = metadata.read(content)
    assert found.product == Product("OData Engine", "21.1.2.500")
    assert found.tables == {
        "a table.": {
            "face": Field("face", "container"),
            "odd": Field("odd", ""),
            "many": Field("many", "number", repetitions=2),
            "sum": Field("sum", "number", is_calculation=True),
            "g": Field("g", "text"),
        },
        "bare": {},
    }
