"""What is OData's own: its links, its metadata, its form of names, and its lack of sessions.

Each hazard ends in one of two ways: what was read is the truth, or the read stops and says why.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import convert
from nexus_reimport.errors import MappingError, SettingsError, SourceError
from nexus_reimport.filemaker import NO_VALUE, Field, Product, ReadRequest, Remark, jsontext
from nexus_reimport.filemaker.http import Answer
from nexus_reimport.filemaker.odata import OData, collection, metadata, rows
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import Field as StoredField
from nexus_sandbox.filemaker.file import FileTable, Record
from nexus_sandbox.filemaker.message import Reply
from nexus_sandbox.filemaker.simulator import Simulator
from support.every_channel import DATA_API, ODATA
from support.small_filemaker import PASSWORD, contacts, events, tables

BASE = "/fmi/odata/v4/WalkClinic"
SET = ODATA.records
CONTACTS = ODATA.wanted(contacts())
TRUTH = ODATA.truth(contacts())


@pytest.fixture
def channel():
    return ODATA


def read(source, wanted=CONTACTS, page=10):
    """Every row as it came, in the order of arrival."""
    return [row for part in source.records(wanted, page=page) for row in part.rows]


def test_a_table_beyond_the_limit_of_10000_is_read_to_its_end():
    fields = (StoredField("id", "text"), StoredField("Note", "text"))
    records = [
        Record(number, 0, {"id": f"{number * 7919 % 11_408:05}", "Note": f"note {number}"})
        for number in range(11_408)
    ]
    with (
        Simulator([FileTable("API_Notes", fields, records)], password=PASSWORD) as simulator,
        ODATA.opened(simulator) as source,
    ):
        wanted = ReadRequest("API_Notes", "id", {"Note": "text"})
        parts = list(source.records(wanted, page=20_000))
        assert [len(part.rows) for part in parts] == [10_000, 1_408]
        rows = [row for part in parts for row in part.rows]
        assert {row["id"]: row["Note"] for row in rows} == {
            record.values["id"]: record.values["Note"] for record in records
        }
        assert source.count("API_Notes") == 11_408


def test_metadata_is_large_and_asked_for_once(source, simulator):
    source.product(), source.fields("API_Contacts"), source.fields("API_event")
    source.count("API_Contacts"), source.newest("API_Contacts", "modificationTimestamp")
    read(source)
    assert simulator.requests["GET", f"{BASE}/$metadata"] == 1


def test_metadata_tells_a_type_that_changed_over_night(source, simulator):
    assert source.fields("API_Contacts")["Funding"].type == "text"
    changed = StoredField("Funding", "date")
    simulator.faults.append(faults.change_field("metadata", "API_Contacts", changed))
    with ODATA.opened(simulator) as another:
        assert another.fields("API_Contacts")["Funding"].type == "date"


class Recorder:
    """A socket that answers with metadata, then with empty pages, and keeps what it was sent."""

    def __init__(self, simulator):
        with ODATA.opened(simulator) as source:
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
    with ODATA.opened(recorder.url) as source:
        wanted = ReadRequest("API_Contacts", "id", {"Name Full": "text", "sms": "number"})
        assert list(source.records(wanted, page=500)) == []
        assert list(source.records(ReadRequest("@ Dates to Connect", "PrimaryKey", {}))) == []
        assert [*source.versions(wanted)] == [()]
        assert source._spelt("@Contacts") == "@Contacts"
        assert source.count("API_event") == 0
        assert source.newest("API_Contacts", "modificationTimestamp") == ""
    base = b"GET /fmi/odata/v4/WalkClinic/"
    assert recorder.lines == [
        base + b"$metadata HTTP/1.1",
        base + b"API_Contacts?$select=%22id%22,%22Name%20Full%22,%22sms%22,ROWID,ROWMODID"
        b"&$orderby=%22id%22&$count=true HTTP/1.1",
        base + b"API_Contacts?$select=%22id%22&$orderby=%22id%22&$count=true HTTP/1.1",
        base + b"@%20Dates%20to%20Connect?$count=true&$top=0 HTTP/1.1",
        base + b"@%20Dates%20to%20Connect?$orderby=%22PrimaryKey%22&$count=true HTTP/1.1",
        base + b"@%20Dates%20to%20Connect?$select=%22PrimaryKey%22"
        b"&$orderby=%22PrimaryKey%22&$count=true HTTP/1.1",
        base
        + b"API_Contacts?$select=%22id%22,ROWID,ROWMODID&$orderby=%22id%22&$count=true HTTP/1.1",
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
    wide = FileTable(
        "API_Wide",
        (StoredField("id", "text"), StoredField("rate", "number"), *fields),
        [Record(1, 0, {"id": "1", "rate": 1, "a field with a long name 07": "x"})],
    )
    with simulator.edit() as live:
        live["API_Wide"] = wide
    simulator.faults.append(faults.question_mark("API_Wide", "rate"))
    (part,) = source.records(ReadRequest("API_Wide", "id", {f.name: "text" for f in fields}))
    assert part.rows[0].keys() == {"id", *(f.name for f in fields)}
    assert part.rows[0]["a field with a long name 07"] == "x"
    assert part.repaired == 0  # what could not be computed was not wanted


def test_a_repetition_that_could_not_be_computed_is_counted(source, simulator):
    fields = (StoredField("id", "text"), StoredField("rate", "number", repetitions=2))
    records = [Record(n, 0, {"id": str(n), "rate": n, "rate(2)": n + 1}) for n in (1, 2)]
    with simulator.edit() as live:
        live["API_Rates"] = FileTable("API_Rates", fields, records)

    def spoil(answer):
        body = answer.body.replace(b'"rate": [1, 2]', b'"rate": [?, 2]')
        return replace(answer, body=body.replace(b'"rate": [2, 3]', b'"rate": [2, ?]'))

    simulator.faults.append(Fault(path="API_Rates", change=spoil, times=9))
    (part,) = source.records(ReadRequest("API_Rates", "id", {"rate": "number"}))
    assert [(row["rate"], row["rate(2)"]) for row in part.rows] == [("", "2"), ("2", "")]
    assert part.remarks == (Remark(0, "rate", NO_VALUE), Remark(1, "rate(2)", NO_VALUE))


def test_without_named_fields_every_field_is_read_with_its_repetitions(source):
    rows = read(source, ReadRequest("API_Contacts", "id", {}))
    assert [row["id"] for row in rows] == [row["id"] for row in TRUTH]
    left_out = {"faceImage", "summaryListOfLastName"}
    assert rows[0].keys() == set(contacts().value_names) - left_out
    assert [row["thumbnails(2)"] for row in rows if row["thumbnails(2)"]] == ["second"]


def test_both_channels_give_equal_values(simulator):
    zone = ZoneInfo("Australia/Sydney")

    def converted(source, table):
        types = {name: f.type for name, f in source.fields(table.name).items()}
        shown = [f for f in table.fields if not f.is_summary and f.type != "container"]
        wanted = ReadRequest(table.name, "id", {f.name: f.type for f in shown})
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
        ODATA.opened(simulator) as odata,
        DATA_API.opened(simulator) as data_api,
    ):
        for table in (contacts(), events()):
            assert converted(odata, table) == converted(data_api, table)
            assert odata.count(table.name) == data_api.count(table.name)
        stamp = "API_Contacts", "modificationTimestamp"
        assert odata.newest(*stamp) == data_api.newest(*stamp)


@pytest.mark.parametrize("offset", ["+10:00", "+11:00", "Z", "+0000", "-05:30", ""])
def test_the_offset_of_a_timestamp_is_dropped_whatever_it_is(source, simulator, offset):
    simulator.odata.offset = offset
    with simulator.edit() as live:
        for record in live["API_Contacts"].records:
            record.values["Funding"] = "2025-12-01T09:00:00+10:00"  # a text stays as it is
    rows = read(source)
    assert [row["modificationTimestamp"] for row in rows] == [
        row["modificationTimestamp"] for row in TRUTH
    ]
    assert {row["Funding"] for row in rows} == {"2025-12-01T09:00:00+10:00"}
    assert source.newest("API_Contacts", "modificationTimestamp") == "2025-11-28T09:30:55"


def test_only_get_is_ever_sent(source, simulator):
    read(source)
    source.product(), source.tables(), source.fields("API_event"), source.count("API_Replies")
    source.newest("API_event", "startDate")
    source.close()
    assert {verb for verb, _ in simulator.requests} == {"GET"}
    assert {t.name: t for t in tables()} == simulator.tables


@pytest.mark.parametrize(
    ("by", "said"), [(-1, "57 in FileMaker, 58 arrived"), (1, "57 in FileMaker, 56 arrived")]
)
def test_a_link_that_leads_beside_the_edge_of_a_page_stops(source, simulator, by, said):
    simulator.faults.append(faults.moved_link(SET, by))
    with pytest.raises(SourceError, match=said):
        read(source)


def test_a_page_that_lacks_rows_and_a_link_is_never_taken_for_the_end(source, simulator):
    simulator.faults.append(faults.wrong_link(SET, lambda _: "", nth=3))
    with pytest.raises(SourceError, match="API_Contacts: 57 in FileMaker, 30 arrived"):
        read(source)


def test_a_page_without_a_row_is_asked_for_again_and_then_fails_the_read(source, simulator):
    simulator.faults.append(faults.short_page(SET, rows=0, nth=2, times=2))
    assert ODATA.read(source, contacts()) == TRUTH
    simulator.faults[:] = [faults.short_page(SET, rows=0, nth=2, times=99)]
    with pytest.raises(SourceError, match="a page without rows: 3 tries"):
        read(source)


def test_a_link_to_an_inner_host_is_followed_on_our_own_server(source, simulator):
    with Simulator(tables(), password=PASSWORD) as elsewhere:
        simulator.odata.link_origin = elsewhere.url
        assert ODATA.read(source, contacts()) == TRUTH
        assert not elsewhere.requests
    simulator.odata.link_origin = "https://fms-inner.example:16020"
    assert ODATA.read(source, contacts()) == TRUTH


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
    assert ODATA.read(source, contacts()) == TRUTH


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (lambda link: link.replace("API_Contacts", "API_event"), "leads to another table"),
        (lambda link: link.replace("/odata/", "/admin/"), "leads to another table"),
        (lambda _: "http://[broken", "leads to another table"),
        (lambda link: re.sub(r"&\$skiptoken=.*", "", link), "leads back to a page that was read"),
        (lambda link: re.sub(r"s\d+t0", "s10t0", link), "leads back to a page that was read"),
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


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b'{"value": [{"note": "<code>802</code> is closed", "na', "json", "cannot be read"),
        (b'{"value": [{"note": "<m:error><m:code>802</m:code>', "json", "cannot be read"),
        (b"<html><body>the proxy's own <code>802</code></body></html>", "html", "a web page"),
        (b"<error><code>%s</code></error>" % (b"8" * 5_000), "xml", "cannot be read"),
    ],
    ids=["cut short", "cut short in XML", "a web page", "endless"],
)
def test_a_code_in_a_text_is_no_error_of_filemaker(source, simulator, body, kind, said):
    answer = Reply(200, body, {"Content-Type": f"application/{kind}"})
    simulator.faults.append(Fault(path=SET, instead=answer, times=99))
    with pytest.raises(SourceError, match=said) as stopped:
        source.count("API_Contacts")
    assert "code 8" not in str(stopped.value)


@pytest.mark.parametrize(
    "count", ["\N{SUPERSCRIPT TWO}", "5_7", "\N{ARABIC-INDIC DIGIT TWO}", -1, 5.5]
)
def test_a_count_that_is_no_plain_number_is_none(source, simulator, count):
    def change(answer):
        content = json.loads(answer.body)
        return Reply(200, json.dumps({**content, "@odata.count": count}).encode(), {})

    simulator.faults.append(Fault(path=SET, change=change, times=99))
    with pytest.raises(SourceError, match="does not hold the number of records"):
        source.count("API_Contacts")


def test_an_empty_table_is_asked_twice(source, simulator):
    empty = ReadRequest("API_Replies", "_kp_ReplyID", {})
    assert read(source, empty) == []
    assert simulator.requests["GET", f"{BASE}/API_Replies"] == 2
    assert source.count("API_Replies") == 0
    assert simulator.requests["GET", f"{BASE}/API_Replies"] == 4
    assert source.newest("API_Replies", "Timestamp") == ""


def test_an_answer_without_a_count_is_no_zero(source, simulator):
    simulator.faults.append(Fault(path=SET, instead=Reply(200, b'{"value": []}')))
    with pytest.raises(SourceError, match="does not hold the number of records"):
        source.count("API_Contacts")


def test_annotations_are_read_in_either_style(source, simulator):
    def shorter(answer):
        return Reply(answer.status, answer.body.replace(b"@odata.", b"@"), answer.headers)

    simulator.faults.append(Fault(path=SET, change=shorter, times=99))
    assert ODATA.read(source, contacts()) == TRUTH
    assert source.count("API_Contacts") == 57


def test_notes_of_the_server_on_a_row_are_no_fields(source, simulator):
    def annotate(answer):
        content = json.loads(answer.body)
        for row in content["value"]:
            row |= {"@id": "API_Contacts(1)", "@editLink": "…", "nameLast@type": "#String"}
        return Reply(200, json.dumps(content).encode(), answer.headers)

    simulator.faults.append(Fault(path=SET, change=annotate, times=99))
    assert ODATA.read(source, contacts()) == TRUTH
    assert "@id" not in read(source, ReadRequest("API_Contacts", "id", {}))[0]


def test_control_characters_that_make_it_no_json_are_read(source, simulator):
    def unescaped(answer):
        return Reply(200, answer.body.replace(b"Quillfeather", b"Quill\x0bfeather\t"), {})

    simulator.faults.append(Fault(path=SET, change=unescaped, times=99))
    assert [row["nameLast"] for row in read(source)] == [
        row["nameLast"].replace("Quillfeather", "Quill\x0bfeather\t") for row in TRUTH
    ]


@pytest.mark.parametrize("name", ["API_Contact", "API_Contacts_"])
def test_a_missing_table_is_named_with_the_nearest_that_exist(source, name):
    for call in (source.fields, lambda t: read(source, ReadRequest(t, "id", {}))):
        with pytest.raises(MappingError) as missing:
            call(name)
        assert f"no such table: '{name}'; nearest: API_Contacts" in str(missing.value)
    with pytest.raises(MappingError, match=f"code -1020: .*'{name}'; nearest: API_Contacts"):
        source.count(name)


def test_a_missing_field_is_named_with_the_nearest_that_exist_before_any_record(source, simulator):
    for wanted in (
        ReadRequest("API_Contacts", "nameLst", {}),
        ReadRequest("API_Contacts", "id", {"nameLst": "text"}),
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
        read(source, ReadRequest("API_Contacts", "id", {name: "container"}))
    assert "leaves out containers" in lacking.value.next


@pytest.mark.parametrize("manner", ["any", "quoted", "twice"])
def test_a_table_whose_name_has_a_blank_is_found_in_the_form_that_the_server_takes(
    source, simulator, manner
):
    simulator.odata.odd_names = manner
    wanted = ReadRequest("@ Dates to Connect", "PrimaryKey", {"End_Date": "date"})
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
    with ODATA.opened(simulator) as source, ThreadPoolExecutor(4) as pool:
        start = threading.Barrier(4)

        def both():
            start.wait(10)
            return ODATA.read(source, contacts()) == TRUTH, source.count("API_event")

        assert [t.result() for t in [pool.submit(both) for _ in range(4)]] == [(True, 6)] * 4
    assert simulator.requests["GET", f"{BASE}/$metadata"] == 1


def test_a_wrong_password_is_said_once_and_never_sent_again(simulator, pauses):
    with ODATA.opened(simulator, pauses, password="wrong, secret") as source:
        for call in (source.tables, source.product, lambda: source.count("API_Contacts")):
            with pytest.raises(SettingsError) as refused:
                call()
            assert "code 212: account or password is wrong" in str(refused.value)
    assert pauses == []
    assert sum(simulator.requests.values()) == 1


def test_a_refusal_without_a_word_is_a_wrong_password_unless_it_was_right_before(simulator):
    who = Reply(401, b"<html>who?</html>", {"Content-Type": "text/html"})
    simulator.faults.append(Fault(path=".", instead=who, times=99))
    with ODATA.opened(simulator) as source:
        for _ in range(2):
            with pytest.raises(SettingsError, match="password is wrong"):
                source.count("API_Contacts")
    assert sum(simulator.requests.values()) == 1
    simulator.faults[:] = [faults.code(SET, 212, status=401, nth=3, times=99)]
    with ODATA.opened(simulator) as source:
        with pytest.raises(SettingsError, match="password is wrong"):
            read(source)
        with pytest.raises(SettingsError, match="password is wrong"):
            read(source)
    assert simulator.faults[0].seen == 3


def test_a_password_goes_over_https_or_stays_on_this_machine():
    with pytest.raises(SettingsError, match="not encrypted"):
        OData("http://filemaker.example", "WalkClinic", "nexus_reader", PASSWORD)


def test_a_closed_source_asks_no_more(simulator):
    source = ODATA.opened(simulator)
    read(source)
    source.close()
    source.close()
    asked = sum(simulator.requests.values())
    with pytest.raises(SourceError, match="is closed"):
        read(source)
    assert sum(simulator.requests.values()) == asked


def test_each_page_waits_as_the_environment_asks(simulator, pauses):
    with ODATA.opened(simulator, pauses, before_page=0.5) as source:
        read(source)
    assert pauses == [0.5] * 7  # six pages, and the keys once more


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


# ------------------------------------------------------------------ one answer, read by itself


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (500, {"value": [{"id": "1"}]}),
        (200, {"value": [{"id": "1"}], "error": {"message": "died"}}),
        (200, {"value": [{"id": "1"}, {"error": {"message": "died"}}]}),
        (200, {"value": {"id": "1"}}),
    ],
)
def test_rows_beside_an_error_are_no_answer(status, content):
    with pytest.raises(SourceError):
        collection.opened(Answer(status, json.dumps(content).encode()), "here")


def test_the_code_of_an_error_counts_wherever_it_stands():
    errors = [{"error": {"message": "died"}}, {"error": {"code": "8310"}}]
    answer = Answer(200, json.dumps({"value": [{"id": "1"}, *errors]}).encode())
    assert collection.opened(answer, "here").code == 8310


def page_of(*held):
    return collection.Collection(code=0, where="here", rows=held)


def test_parts_of_a_second_stay_where_offsets_go():
    shape = rows.Shape(("at",), {"at": Field("at", "timestamp")}, "here")
    times = ("09:00:00.250+10:00", "09:00:00+10:00", "09:00:00Z")
    sent = [{"at": f"2025-06-30T{time}"} for time in times]
    arrived = [row["at"][11:] for row in shape.rows(page_of(*sent, {"at": None}))]
    assert arrived == ["09:00:00.250", "09:00:00", "09:00:00", ""]


@pytest.mark.parametrize("gone", [metadata.RECORD_ID, metadata.CHANGES, None])
def test_versions_are_of_all_rows_or_of_none(gone):
    whole = {metadata.RECORD_ID: 7, metadata.CHANGES: 3}
    less = {name: value for name, value in whole.items() if name != gone}
    assert bool(rows.versions(page_of(whole, less))) == (gone is None)


@pytest.mark.parametrize("wanted", [("face",), ()], ids=["named", "every field"])
def test_a_value_that_is_neither_text_nor_a_number_stops_whichever_fields_are_read(wanted):
    shape = rows.Shape(wanted, {"face": Field("face", "text")}, "")
    assert shape.rows(page_of({"face": "a"})) == ({"face": "a"},)
    for odd in (True, ["a"], {"a": "b"}):
        with pytest.raises(SourceError, match="face holds neither text nor a number"):
            shape.rows(page_of({"face": "a"}, {"face": odd}))


def test_a_field_whose_repetitions_are_all_empty_is_empty():
    shape = rows.Shape(("face",), {"face": Field("face", "text", repetitions=2)}, "")
    (row,) = shape.rows(page_of({"face": []}))
    assert row == {"face": ""}


def test_what_could_not_be_computed_is_told_where_every_field_is_read():
    shape = rows.Shape((), {"rate": Field("rate", "number")}, "")
    page = replace(page_of({"rate": jsontext.NOT_COMPUTED}), repaired=1)
    assert shape.rows(page) == ({"rate": ""},)
    assert shape.remarks(page) == (Remark(0, "rate", NO_VALUE),)
