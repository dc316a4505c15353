"""The simulator's OData against FileMaker's papers and traps, and a client that is not ours."""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit
from xml.etree import ElementTree

import fms_odata
import pytest
import requests
from fms_odata_spec import basic_auth

from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.simulator import Simulator
from support.small_filemaker import PASSWORD, contacts, tables

BASE = "/fmi/odata/v4/WalkClinic"
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
FIRST = "00000000-AAAA-4BBB-8CCC-DDDDEEEEFFFF"


@pytest.fixture
def http():
    with requests.Session() as session:
        session.trust_env = False
        session.auth = ("nexus_reader", PASSWORD)
        yield session


@pytest.fixture
def get(simulator, http):
    """Sends a target byte by byte; gives (HTTP status, content)."""

    def send(target, verb="GET", **headers):
        prepared = http.prepare_request(requests.Request(verb, simulator.url, headers=headers))
        prepared.url = f"{simulator.url}{BASE}{target}"
        answer = http.send(prepared, timeout=60)
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status_code, answer.json() if is_json else answer.text

    return send


@pytest.fixture
def code(get):
    """Sends a target; gives (HTTP status, code of the error)."""

    def send(target, verb="GET", **headers):
        status, content = get(target, verb, **headers)
        return status, content["error"]["code"]

    return send


def fms_client(simulator):
    return fms_odata.FMSODataClient(
        host=simulator.url, database="WalkClinic", token=basic_auth("nexus_reader", PASSWORD)
    )


def test_a_client_of_filemakers_odata_unmodified_reads_a_whole_table(simulator):
    simulator.odata.most_rows = 10
    client = fms_client(simulator)
    names = ("nameLast", "DOB", "Funding", "sms", '"Name Full"')
    result = client.from_("API_Contacts").select('"id"', *names).orderby('"id"').count().get()
    read, link = list(result.value), result.next_link
    while link:
        page = client.request(link)
        read += page["value"]
        link = page.get("@odata.nextLink")
    truth = {record.values["id"]: record.values for record in contacts().records}
    assert result.count == 57
    assert [row["id"] for row in read] == sorted(truth)
    for row in read:
        values = truth[row["id"]]
        for name in ("nameLast", "DOB", "Funding", "Name Full"):
            assert (row[name] or "") == values[name]
        assert row["sms"] == (values["sms"] if isinstance(values["sms"], int | float) else None)
    described = client.metadata()
    assert {found.name for found in described.entity_sets} == set(simulator.tables)
    assert described.entity_types[0].keys == ["id"]
    assert (client.server_version().major, client.server_version().minor) == (20, 3)
    by_name = client.from_("API_Contacts").filter(lambda f: f.eq("nameLast", "Quillfeather1"))
    assert by_name.count().top(0).get().count == 8
    assert client.from_("API_Contacts").by_key(FIRST).get()["nameLast"] == "Quillfeather0"
    assert client.from_("@ Dates to Connect").get().value[0]["End_Date"] == "2026-02-03"
    with pytest.raises(fms_odata.http.FMODataError, match="not defined") as refused:
        client.from_("API_Contacts_").get()
    assert (refused.value.code, refused.value.status) == ("-1020", 404)


def test_every_request_needs_account_and_password_and_a_token_is_none(simulator, http):
    with requests.Session() as bare:
        bare.trust_env = False
        url = f"{simulator.url}{BASE}"
        assert bare.get(url, timeout=60).status_code == 401
        login = bare.post(
            f"{simulator.url}/fmi/data/v1/databases/WalkClinic/sessions",
            json={},
            auth=("nexus_reader", PASSWORD),
            timeout=60,
        )
        token = login.json()["response"]["token"]
        for authorization in (f"Bearer {token}", "Basic bm9ib2R5Om5vdGhpbmc="):
            answer = bare.get(url, headers={"Authorization": authorization}, timeout=60)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "212"
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
        as_xml = bare.get(f"{url}/$metadata", headers={"Accept": "application/xml"}, timeout=60)
        assert "<m:code>212</m:code>" in as_xml.text
    assert http.get(url, timeout=60).status_code == 200


def test_the_service_document_lists_the_sets_and_the_root_the_databases(get, simulator, http):
    sets = get("")[1]["value"]
    assert [found["name"] for found in sets] == list(simulator.tables)
    assert sets[2] == {
        "name": "@ Dates to Connect",
        "url": "%40%20Dates%20to%20Connect",
        "kind": "EntitySet",
    }
    root = http.get(f"{simulator.url}/fmi/odata/v4", timeout=60).json()
    assert root["value"] == [{"name": "WalkClinic", "url": "WalkClinic"}]


def test_metadata_tells_types_keys_and_what_filemaker_adds(get):
    status, text = get("/$metadata")
    assert status == 200
    schema = ElementTree.fromstring(text).find(f".//{EDM}Schema")  # noqa: S314 - our own
    assert schema.find(f"{EDM}Annotation").get("String") == "OData Engine 20.3.2"
    kinds = {kind.get("Name"): kind for kind in schema.iter(f"{EDM}EntityType")}
    assert set(kinds) == {"API_Contacts_", "API_event_", "@ Dates to Connect_", "API_Replies_"}
    keys = {name: kind.find(f"{EDM}Key/{EDM}PropertyRef") for name, kind in kinds.items()}
    assert {name: None if key is None else key.get("Name") for name, key in keys.items()} == {
        "API_Contacts_": "id",
        "API_event_": None,
        "@ Dates to Connect_": "PrimaryKey",
        "API_Replies_": None,
    }
    fields = {found.get("Name"): found for found in kinds["API_Contacts_"].iter(f"{EDM}Property")}
    assert {name: found.get("Type") for name, found in fields.items()} == {
        "id": "Edm.String",
        "nameLast": "Edm.String",
        "DOB": "Edm.Date",
        "Funding": "Edm.String",
        "sms": "Edm.Decimal",
        "RECORD_ACTIVE_INDICATOR": "Edm.String",
        "Name Full": "Edm.String",
        "faceImage": "Edm.Stream",
        "thumbnails": "Collection(Edm.String)",
        "modificationTimestamp": "Edm.DateTimeOffset",
        "summaryListOfLastName": "Edm.String",
    }
    terms = {
        name: {
            note.get("Term").rpartition(".")[2]: note.get("Bool") or note.get("Int")
            for note in found.iter(f"{EDM}Annotation")
            if note.get("Term").startswith("com.filemaker.odata.")
        }
        for name, found in fields.items()
    }
    assert terms["RECORD_ACTIVE_INDICATOR"] == {"Global": "true"}
    assert terms["Name Full"] == {"Calculation": "true"}
    assert terms["summaryListOfLastName"] == {"Summary": "true"}
    assert terms["thumbnails"] == {"MaxRepetitions": "3"}
    assert terms["modificationTimestamp"] == {"VersionID": "true"}
    assert terms["nameLast"] == {}


def test_a_record_has_its_values_in_odatas_form_without_containers_and_summaries(get):
    status, row = get("/API_Contacts(2)")
    assert status == 200
    assert row.pop("@context").endswith("/WalkClinic/$metadata#API_Contacts")
    assert row == {
        "id": "0000001F-AAAA-4BBB-8CCC-DDDDEEEEFFFF",
        "nameLast": "Quillfeather1",
        "DOB": "1941-02-11",
        "Funding": None,
        "sms": 1,
        "RECORD_ACTIVE_INDICATOR": "Active",
        "Name Full": "Quillfeather1 “Quill”, née O'Hara?",
        "thumbnails": [None, "second", None],
        "modificationTimestamp": "2025-11-02T09:30:01+10:00",
    }
    assert get(f"/API_Contacts('{FIRST}')")[1]["nameLast"] == "Quillfeather0"
    assert get("/API_event(101)?$select=endTime,ROWID,ROWMODID")[1].items() >= {
        ("endTime", "09:45:00"),
        ("ROWID", "101"),
        ("ROWMODID", "0"),
    }


def test_the_offset_of_timestamps_is_the_servers_own_on_any_day(get, simulator):
    simulator.odata.offset = "+11:00"
    row = get("/API_Contacts(1)?$select=modificationTimestamp")[1]
    assert row["modificationTimestamp"] == "2025-11-01T09:30:00+11:00"


def test_a_global_field_has_one_value_for_all_whatever_the_records_say(get, simulator):
    with simulator.edit() as live:
        for number, record in enumerate(live["API_Contacts"].records):
            record.values["RECORD_ACTIVE_INDICATOR"] = f"value {number}"
    rows = get("/API_Contacts?$select=RECORD_ACTIVE_INDICATOR")[1]["value"]
    assert {row["RECORD_ACTIVE_INDICATOR"] for row in rows} == {"value 0"}


def test_numbers_are_texts_for_a_client_that_wants_every_digit(get):
    exact = {"Accept": "application/json;IEEE754Compatible=true"}
    content = get("/API_Contacts?$select=sms&$count=true&$top=5", **exact)[1]
    assert [row["sms"] for row in content["value"]] == [None, "1", "0", "2.5", None]
    assert content["@count"] == "57"
    plain = get("/API_Contacts?$select=sms&$top=5")[1]["value"]
    assert [row["sms"] for row in plain] == [None, 1, 0, 2.5, None]


def test_a_time_may_reach_24_hours_and_a_text_keeps_its_paragraphs(get):
    rows = get('/API_event?$select=endTime,note&$orderby="id"')[1]["value"]
    assert [row["endTime"] for row in rows[:4]] == ["24:00:00", "09:45:00", None, "26:30:00"]
    assert rows[1]["note"] == "first\rsecond"


def test_annotations_are_named_as_the_version_that_was_asked_for_has_them(get):
    assert {"@context", "@count", "value"} == get("/API_event?$count=true")[1].keys()
    long = get("/API_event?$count=true", **{"OData-MaxVersion": "4.0"})[1]
    assert {"@odata.context", "@odata.count", "value"} == long.keys()


def test_pages_end_at_the_servers_limit_or_the_clients_wish_and_a_link_leads_on(get, simulator):
    simulator.odata.most_rows = 20
    target, sizes = '/API_Contacts?$select="id"&$orderby="id"&$count=true', []
    read = []
    while target:
        content = get(target)[1]
        sizes.append((len(content["value"]), content["@count"]))
        read += [row["id"] for row in content["value"]]
        link = content.get("@nextLink", "")
        target = link.partition("WalkClinic")[2]
    assert sizes == [(20, 57), (20, 57), (17, 57)]
    assert read == sorted(record.values["id"] for record in contacts().records)
    smaller = get("/API_Contacts", Prefer="odata.maxpagesize=7")[1]
    assert len(smaller["value"]) == 7
    assert smaller["@nextLink"].endswith("API_Contacts?$skiptoken=s7t0")
    assert len(get("/API_Contacts", Prefer="odata.maxpagesize=99")[1]["value"]) == 20


def test_a_link_may_hold_the_name_of_an_inner_host(get, simulator):
    simulator.odata.link_origin = "http://fms-inner:16020"
    link = get("/API_Contacts?$select=sms", Prefer="odata.maxpagesize=7")[1]["@nextLink"]
    assert urlsplit(link).netloc == "fms-inner:16020"
    assert urlsplit(link).path == f"{BASE}/API_Contacts"


def test_top_and_skip_choose_and_count_counts_all_that_match(get):
    def ids(options):
        content = get(f'/API_event?$select="id"&{options}')[1]
        return content.get("@count"), [row["id"] for row in content["value"]]

    assert ids("$top=2&$count=true") == (6, ["E0", "E1"])
    assert ids("$top=0&$count=true") == (6, [])
    assert ids('$skip=4&$orderby="id"%20desc') == (None, ["E1", "E0"])
    assert ids("$skip=1&$top=2") == (None, ["E1", "E2"])
    assert ids("$orderby=endTime%20desc,%22id%22&$top=3") == (None, ["E3", "E0", "E4"])


@pytest.mark.parametrize(
    "options", ["%24top=2", "%24select=endTime&%24top=1", "top=2", "nonsense=1", ""]
)
def test_an_option_without_a_literal_dollar_is_passed_over_without_a_word(get, options):
    rows = get(f"/API_event?{options}")[1]["value"]
    assert len(rows) == 6
    assert "note" in rows[0]


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/API_event?$orderby=endTime+desc", (400, "-1002")),
        ("/API_event?$select=endTime%2Cnote", (400, "-1002")),
        ("/API_event?$select=id", (400, "-1002")),
        ("/API_event?$orderby=ID", (400, "-1002")),
        ("/API_Contacts?$select=Name%20Full", (400, "8309")),
        ("/API_event?$select=id.key", (400, "8309")),
        ("/API_Replies?$select=_kp_ReplyID", (400, "8309")),
        ("/API_event?$select=nowhere", (400, "8309")),
        ("/API_event?$select=%22nowhere%22", (400, "8309")),
        ("/API_event?$top=many", (400, "-1002")),
        ("/API_event?$top=-1", (400, "-1002")),
        ("/API_event?$count=yes", (400, "-1002")),
        ("/API_event?$search=home", (400, "-1002")),
        ("/API_event?$skiptoken=7", (400, "-1002")),
        ("/API_event/$count", (400, "-1002")),
        ("/API_event_", (404, "-1020")),
        ("/Nowhere", (404, "-1020")),
        ("/API_event(999)", (404, "-1023")),
        ("/API_Contacts('nobody')", (404, "-1023")),
        ("/API_event('E1')", (400, "8309")),
        ("/API_event?$filter=%22id%22%20is%201", (400, "-1002")),
        ("/API_event?$filter=(%22id%22%20eq%20'E1'", (400, "-1002")),
        ("/API_event?$filter=startDate%20eq%205", (400, "8309")),
        ("/API_Contacts?$filter=modificationTimestamp%20ge%202025-11-01T00:00:00", (400, "-1002")),
        ("/API_event?$filter=nowhere%20eq%20null", (400, "8309")),
        ("/API_event?$filter=contains(note,5)", (400, "8309")),
        ("/API_event?$filter=%22id%22%20eq%20'E1'%20and", (400, "-1002")),
    ],
)
def test_each_refusal_has_its_code_and_status(code, target, answer):
    assert code(target) == answer


@pytest.mark.parametrize("verb", ["POST", "PATCH", "PUT", "DELETE"])
def test_a_verb_that_writes_is_refused_and_changes_nothing(code, simulator, verb):
    assert code("/API_event(101)", verb) == (405, "1704")
    assert {t.name: t for t in tables()} == simulator.tables


def test_another_database_is_not_there_and_a_longer_url_than_2000_characters_is_refused(
    simulator, http, get
):
    elsewhere = http.get(f"{simulator.url}/fmi/odata/v4/Elsewhere", timeout=60)
    assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (404, "802")
    room = 2_000 - len(f"{simulator.url}{BASE}/API_event?x=")
    assert get(f"/API_event?x={'y' * room}")[0] == 200
    status, text = get(f"/API_event?x={'y' * (room + 1)}")
    assert status == 414
    assert text.startswith("<html>")


@pytest.mark.parametrize(
    ("expression", "ids"),
    [
        ("%22id%22%20eq%20'E1'", "1"),
        ("%22id%22%20ne%20'E1'", "02345"),
        ("%22id%22%20gt%20'E3'", "45"),
        ("%22id%22%20ge%20'E3'%20and%20%22id%22%20le%20'E4'", "34"),
        ("%22id%22%20lt%20'E1'%20or%20%22id%22%20eq%20'E5'", "05"),
        ("not%20(%22id%22%20lt%20'E4')", "45"),
        ("not%20contains(note,'first')", "0"),
        ("startswith(note,'first')%20and%20endswith(note,'nd')", "12345"),
        ("contains(%22note%22,'@%20home')", "0"),
        ("startDate%20eq%202025-02-03", "1"),
        ("startDate%20gt%202025-04-30", "45"),
        ("startDate%20ge%20'2025-01-01'", ""),  # a text is no date: no error, and no row
        ("startTime%20eq%2009:15:00", "15"),
        ("endTime%20eq%20null", "2"),
        ("endTime%20ne%20null", "01345"),
    ],
)
def test_a_filter_is_read_as_filemaker_reads_it(get, expression, ids):
    status, content = get(f'/API_event?$select="id"&$filter={expression}&$count=true')
    assert status == 200
    assert [row["id"] for row in content["value"]] == [f"E{number}" for number in ids]
    assert content["@count"] == len(ids)


def test_numbers_and_timestamps_are_filtered_by_size(get):
    def count(expression):
        return get(f"/API_Contacts?$top=0&$count=true&$filter={expression}")[1]["@count"]

    assert count("sms%20ge%201") == 23
    assert count("sms%20lt%201.5") == 23
    assert count("modificationTimestamp%20ge%202025-11-27T00:00:00Z") == 4
    assert count("nameLast%20eq%20'O''Hara'") == 0


def test_a_quoted_name_in_the_path_is_the_same_set(get):
    assert get("/%22@%20Dates%20to%20Connect%22")[0] == 200
    assert get("/%40%20Dates%20to%20Connect")[0] == 200


def test_tables_without_a_layout_are_known_to_odata_alone():
    with Simulator(tables(), password=PASSWORD, only_odata=("API_event",)) as simulator:
        assert len(fms_client(simulator).from_("API_event").get().value) == 6
        with requests.Session() as http:
            http.trust_env = False
            base = f"{simulator.url}/fmi/data/v1/databases/WalkClinic"
            login = http.post(
                f"{base}/sessions", json={}, auth=("nexus_reader", PASSWORD), timeout=60
            )
            http.headers["Authorization"] = f"Bearer {login.json()['response']['token']}"
            listed = http.get(f"{base}/layouts", timeout=60).text
            assert "API_Contacts" in listed
            assert "API_event" not in listed
            for end in ("", "/records", "/records/101"):
                answer = http.get(f"{base}/layouts/API_event{end}", timeout=60)
                assert answer.json()["messages"][0]["code"] == "105"


def test_latency_holds_for_pages_and_not_for_metadata(get, simulator):
    def seconds(target):
        began = time.monotonic()
        get(target)
        return time.monotonic() - began

    simulator.latency_ms = 4_000  # more than a busy machine needs for an answer
    assert seconds("/API_event?$top=1") >= 4
    assert seconds("/$metadata") < 4
    assert seconds("") < 4


def test_a_short_page_has_a_link_to_what_it_lacks(get, simulator):
    simulator.faults.append(faults.short_page("API_event", rows=1))
    content = get('/API_event?$select="id"', Prefer="odata.maxpagesize=3")[1]
    assert [row["id"] for row in content["value"]] == ["E0"]
    assert content["@nextLink"].endswith("$skiptoken=s1t0")


def test_an_error_inside_of_an_answer_comes_with_status_200(simulator, get, http):
    simulator.faults.append(faults.error_inside("API_event", 951))
    status, content = get("/API_event")
    assert status == 200
    assert content["value"][-1]["error"]["code"] == "951"
    assert len(content["value"]) == 4
    simulator.faults[:] = [faults.error_inside("API_event", 951, is_json=False)]
    cut = http.get(f"{simulator.url}{BASE}/API_event", timeout=60)
    assert cut.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut.text)


def test_an_edit_is_seen_by_the_next_page(get, simulator):
    simulator.faults.append(faults.edit_record("API_event", "API_event", 1, {"note": "new"}, nth=2))
    simulator.faults.append(faults.swap_record("API_event", "API_event", 0, {"id": "Z"}, nth=2))
    assert get("/API_event?$select=note&$skip=1&$top=1")[1]["value"] == [{"note": "first\rsecond"}]
    after = get('/API_event?$select="id",note,ROWMODID')[1]["value"]
    assert after[0] == {"id": "E1", "note": "new", "ROWMODID": "1"}
    assert after[-1]["id"] == "Z"
    assert len(after) == 6
