"""The simulator against FileMaker's papers, and against a client that is not ours."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import fmrest
import psutil
import pytest
import requests

from nexus_reimport.errors import SandboxError
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.file import Field, FileTable, Record, load, save
from nexus_sandbox.filemaker.server import FileMakerServer
from nexus_sandbox.filemaker.simulator import Simulator
from support.small_filemaker import PASSWORD, contacts, events, tables

CONTACTS = "/databases/WalkClinic/layouts/API_Contacts"
EVENTS = "/databases/WalkClinic/layouts/API_event"


class Client:
    """A plain client: every answer as (HTTP status, FileMaker code, response)."""

    def __init__(self, simulator, version="v1"):
        self.base = f"{simulator.url}/fmi/data/{version}"
        self.http = requests.Session()
        self.http.trust_env = False
        self.headers = {"Content-Type": "application/json"}

    def login(self, password=PASSWORD):
        return self.call(
            "POST", "/databases/WalkClinic/sessions", json={}, auth=("nexus_reader", password)
        )

    def call(self, verb, path, **more):
        headers = {**self.headers, **more.pop("headers", {})}
        answer = self.http.request(verb, self.base + path, headers=headers, timeout=60, **more)
        content = answer.json()
        token = content["response"].get("token")
        if token:
            assert answer.headers["X-FM-Data-Access-Token"] == token
            self.headers["Authorization"] = f"Bearer {token}"
        return answer.status_code, content["messages"][0]["code"], content["response"]

    def get(self, path, **parameters):
        return self.call("GET", path, params=parameters)

    def find(self, *query, layout=EVENTS, **more):
        """The ids found, or the code of the refusal."""
        _, code, response = self.call("POST", f"{layout}/_find", json={"query": query, **more})
        if code != "0":
            return code
        return [row["fieldData"]["id"] for row in response["data"]]


@pytest.fixture
def client(simulator):
    plain = Client(simulator)
    assert plain.login()[:2] == (200, "0")
    return plain


def test_fmrest_unmodified_reads_a_whole_table_that_equals_the_truth(simulator):
    # fmrest wants https or port 3000, so it is told such an address and the way there as a proxy
    server = fmrest.Server(
        "http://filemaker.example:3000",
        user="nexus_reader",
        password=PASSWORD,
        database="WalkClinic",
        layout="API_Contacts",
        api_version="vLatest",
        proxies={"http": simulator.url},
    )
    truth = {record.values["id"]: record for record in contacts().records}
    sort = [{"fieldName": "id", "sortOrder": "ascend"}]
    with server as fms:
        fms.login()
        read = [
            record
            for offset in range(1, len(truth), 10)
            for record in fms.get_records(
                offset=offset, limit=10, sort=sort, date_format="iso-8601"
            )
        ]
        found = fms.find([{"Funding": "==NDIS"}], sort=sort, limit=1000)
        assert found.info["foundCount"] == len(list(found))
        assert fms.get_product_info()["version"].startswith("20.3.2")
        assert fms.get_databases() == [{"name": "WalkClinic"}]
        assert len(fms.get_layout()) == len(contacts().fields)
        assert fms.get_scripts() == []
        assert fms.get_record(7)["nameLast"] == "Quillfeather6"
        with pytest.raises(fmrest.exceptions.FileMakerError, match="105"):
            fms.get_records(request_layout="Nowhere")
    assert [record["id"] for record in read] == sorted(truth)
    for record in read:
        values = truth[record["id"]].values
        same = ("nameLast", "DOB", "Funding", "sms", "Name Full", "RECORD_ACTIVE_INDICATOR")
        assert {name: record[name] for name in same} == {name: values[name] for name in same}
        assert record["modificationTimestamp"] == values["modificationTimestamp"].replace(" ", "T")
        assert record["recordId"] == str(truth[record["id"]].record_id)
    assert simulator.open_sessions == 0


def test_the_envelope_has_strings_where_filemaker_has_strings(client):
    status, code, response = client.get(f"{CONTACTS}/records", _offset=2, _limit=1)
    assert (status, code) == (200, "0")
    assert response["dataInfo"] == {
        "database": "WalkClinic",
        "layout": "API_Contacts",
        "table": "API_Contacts",
        "totalRecordCount": 57,
        "foundCount": 57,
        "returnedCount": 1,
    }
    (row,) = response["data"]
    assert row.keys() == {"fieldData", "portalData", "recordId", "modId", "portalDataInfo"}
    assert (row["recordId"], row["modId"]) == ("2", "1")
    assert row["fieldData"]["sms"] == 1
    assert row["fieldData"]["thumbnails(2)"] == "second"
    assert row["fieldData"]["thumbnails(3)"] == ""


def test_numbers_are_numbers_and_anything_else_in_a_number_field_is_text(client):
    rows = client.get(f"{CONTACTS}/records", _limit=5)[2]["data"]
    assert [row["fieldData"]["sms"] for row in rows] == ["", 1, 0, 2.5, "n/a"]


def test_a_container_is_an_address_or_empty(client, simulator):
    rows = client.get(f"{CONTACTS}/records", _limit=2)[2]["data"]
    assert rows[0]["fieldData"]["faceImage"].startswith(f"{simulator.url}/Streaming_SSL/MainDB/")
    assert rows[1]["fieldData"]["faceImage"] == ""


@pytest.mark.parametrize(
    ("dateformats", "date", "stamp"),
    [
        ({}, "02/11/1941", "11/02/2025 09:30:01"),
        ({"dateformats": 0}, "02/11/1941", "11/02/2025 09:30:01"),
        ({"dateformats": 1}, "11/02/1941", "02/11/2025 09:30:01"),
        ({"dateformats": 2}, "1941-02-11", "2025-11-02T09:30:01"),
    ],
)
def test_dates_are_written_as_dateformats_says(client, dateformats, date, stamp):
    fields = client.get(f"{CONTACTS}/records/2", **dateformats)[2]["data"][0]["fieldData"]
    assert (fields["DOB"], fields["modificationTimestamp"]) == (date, stamp)


def test_a_time_may_reach_24_hours_and_more_and_text_keeps_its_paragraphs(client):
    rows = [row["fieldData"] for row in client.get(f"{EVENTS}/records")[2]["data"]]
    assert [row["endTime"] for row in rows[:4]] == ["24:00:00", "09:45:00", "", "26:30:00"]
    assert rows[1]["note"] == "first\rsecond"


def test_layouts_nest_in_folders_and_metadata_tells_types_globals_and_calculations(client):
    layouts = client.get("/databases/WalkClinic/layouts")[2]["layouts"]
    folder = next(layout for layout in layouts if layout.get("isFolder"))
    assert {"name": "API_Contacts"} in folder["folderLayoutNames"]
    assert {"name": "@ Dates to Connect"} in layouts
    fields = {f["name"]: f for f in client.get(CONTACTS)[2]["fieldMetaData"]}
    assert fields["modificationTimestamp"]["result"] == "timeStamp"
    assert fields["modificationTimestamp"]["autoEnter"] is True
    assert fields["RECORD_ACTIVE_INDICATOR"]["global"] is True
    assert fields["Name Full"]["type"] == "calculation"
    assert fields["summaryListOfLastName"]["type"] == "summary"
    assert fields["thumbnails"]["maxRepeat"] == 3


@pytest.mark.parametrize("version", ["v1", "v2", "vLatest"])
def test_every_version_of_the_address_answers(simulator, version):
    client = Client(simulator, version)
    assert client.get("/productInfo")[:2] == (200, "0")
    assert client.login()[:2] == (200, "0")
    assert client.get("/validateSession")[:2] == (200, "0")


def test_limit_defaults_to_100_and_sorting_ignores_case_and_puts_empty_first():
    fields = (Field("id", "text"), Field("n", "number"))
    values = [("b", 10), ("A", 9), ("", ""), ("C", -1.5)] + [("z", 11)] * 120
    rows = [Record(i + 1, 0, {"id": name, "n": n}) for i, (name, n) in enumerate(values)]
    with Simulator([FileTable("API_T", fields, rows)], password=PASSWORD) as simulator:
        client = Client(simulator)
        client.login()
        path = "/databases/WalkClinic/layouts/API_T/records"

        def order(sort):
            data = client.get(path, _sort=sort)[2]["data"]
            return len(data), [row["fieldData"]["id"] for row in data[:4]]

        assert order('[{"fieldName":"id","sortOrder":"ascend"}]') == (100, ["", "A", "b", "C"])
        assert order('[{"fieldName":"n"}]') == (100, ["", "C", "A", "b"])
        assert order('[{"fieldName":"n","sortOrder":"descend"}]') == (100, ["z"] * 4)


@pytest.mark.parametrize(
    ("criterion", "ids"),
    [
        ({"note": "sec"}, ["E1", "E2", "E3", "E4", "E5"]),  # a word's beginning, case folded
        ({"note": "SECOND first"}, ["E1", "E2", "E3", "E4", "E5"]),
        ({"note": "econd"}, "401"),
        ({"note": "*econd"}, ["E1", "E2", "E3", "E4", "E5"]),
        ({"note": "=sec"}, "401"),
        ({"note": "==first\rsecond"}, ["E1", "E2", "E3", "E4", "E5"]),
        ({"note": "==first"}, "401"),
        ({"note": "==first*"}, ["E1", "E2", "E3", "E4", "E5"]),
        ({"note": r"\#1"}, ["E0"]),
        ({"note": r"\@ home"}, ["E0"]),
        ({"note": '"b * c"'}, ["E0"]),
        ({"id": "==E#"}, ["E0", "E1", "E2", "E3", "E4", "E5"]),
        ({"id": "==@3"}, ["E3"]),
        ({"id": "==e3"}, ["E3"]),
        ({"note": "!"}, ["E1", "E2", "E3", "E4", "E5"]),
        ({"id": "!"}, "401"),
        ({"id": "E2...E4"}, ["E2", "E3", "E4"]),
        ({"id": ">E3"}, ["E4", "E5"]),
        ({"startTime": "="}, ["E2"]),
        ({"startTime": "*"}, ["E0", "E1", "E3", "E4", "E5"]),
        ({"endTime": ">24:00:00"}, ["E3"]),
        ({"endTime": "24:00:00"}, ["E0", "E4"]),
        ({"startDate": "02/03/2025"}, ["E1"]),
        ({"startDate": "<=02/03/2025"}, ["E0", "E1"]),
        ({"startDate": "02/01/2025...04/30/2025"}, ["E1", "E2", "E3"]),
        ({"startDate": "02/01/2025…04/30/2025", "startTime": "*"}, ["E1", "E3"]),
        ({"startDate": "31/12/2025"}, "500"),
        ({"startTime": "soon"}, "501"),
        ({"startDate": "?"}, "401"),
        ({"nowhere": "x"}, "102"),
        ({"note": None}, "1708"),
        ({"note": ""}, "400"),
        ({"id": "nothing like it"}, "401"),
    ],
)
def test_a_find_reads_its_operators_as_filemaker_does(client, criterion, ids):
    assert client.find(criterion) == ids


def test_requests_of_a_find_add_up_and_omit_takes_away(client):
    sort = [{"fieldName": "id", "sortOrder": "descend"}]
    assert client.find({"id": "==E1"}, {"id": "==E4"}) == ["E1", "E4"]
    assert client.find({"note": "first"}, {"id": "==E4", "omit": "true"}) == [
        "E1",
        "E2",
        "E3",
        "E5",
    ]
    assert client.find({"note": "first", "omit": "true"}) == ["E0"]
    assert client.find({"id": "*"}, sort=sort, offset="2", limit="2") == ["E4", "E3"]
    assert client.find({"id": "*"}, sort=sort, offset=2, limit=2) == ["E4", "E3"]
    assert client.find({"startDate": "2025-02-03"}, dateformats=2) == ["E1"]
    assert client.find({"id": "*"}, portal=[], **{"limit.x": 1}) == [f"E{n}" for n in range(6)]


def test_numbers_are_found_by_size(client):
    def count(text):
        found = client.find({"sms": text}, layout=CONTACTS, limit=1000)
        return found if isinstance(found, str) else len(found)

    assert (count("1"), count(">1"), count("0...1"), count("="), count("?")) == (12, 11, 23, 12, 11)
    assert count("many") == "502"


@pytest.mark.parametrize(
    ("verb", "path", "more", "answer"),
    [
        ("GET", f"{CONTACTS}/records", {"params": {"_offset": 58}}, (500, "101")),
        ("GET", f"{CONTACTS}/records/999", {}, (500, "101")),
        ("GET", "/databases/WalkClinic/layouts/API_Replies/records", {}, (500, "101")),
        ("GET", f"{CONTACTS}/records", {"params": {"_sort": '[{"fieldName":"x"}]'}}, (500, "102")),
        ("GET", f"{CONTACTS}/records", {"params": {"_sort": "id"}}, (500, "960")),
        ("GET", f"{CONTACTS}/records", {"params": {"_limit": 0}}, (500, "960")),
        ("GET", f"{CONTACTS}/records", {"params": {"limit": 5}}, (500, "960")),
        ("GET", f"{CONTACTS}/records", {"params": {"dateformats": 3}}, (500, "960")),
        ("POST", f"{CONTACTS}/_find", {"json": {}}, (500, "958")),
        ("POST", f"{CONTACTS}/_find", {"json": {"query": "id"}}, (500, "960")),
        ("POST", f"{CONTACTS}/_find", {"data": b"{"}, (400, "1710")),
        (
            "POST",
            f"{CONTACTS}/_find",
            {"data": b"{}", "headers": {"Content-Type": "text/plain"}},
            (415, "1705"),
        ),
        ("POST", f"{CONTACTS}/_find", {"json": {"query": [{"id": "==x"}]}}, (500, "401")),
        ("GET", "/databases/WalkClinic/layouts/Nowhere/records", {}, (500, "105")),
        ("GET", "/databases/Elsewhere/layouts", {}, (500, "802")),
        ("GET", f"{CONTACTS}/script/Tidy", {}, (500, "104")),
        ("GET", "/nothing", {}, (404, "1630")),
        ("DELETE", "/databases/WalkClinic/layouts", {}, (405, "1704")),
        ("PUT", CONTACTS, {}, (405, "1704")),
        ("POST", f"{CONTACTS}/records", {"json": {"fieldData": {}}}, (500, "200")),
        ("PATCH", f"{CONTACTS}/records/1", {"json": {"fieldData": {"id": "x"}}}, (500, "201")),
        ("DELETE", f"{CONTACTS}/records/1", {}, (500, "200")),
        ("PATCH", "/databases/WalkClinic/globals", {"json": {}}, (500, "201")),
    ],
)
def test_each_refusal_has_its_code_and_status_and_changes_nothing(
    simulator, client, verb, path, more, answer
):
    assert client.call(verb, path, **more)[:2] == answer
    assert {t.name: t for t in tables()} == simulator.tables


def test_portals_and_script_parameters_are_tolerated(client):
    parameters = {"portal": "[]", "_limit.x": 5, "_offset.x": 1, "script.param": "p"}
    assert client.get(f"{CONTACTS}/records", **parameters)[1] == "0"
    response = client.get(f"{CONTACTS}/records", **{"layout.response": "API_event"})[2]
    assert response["data"][0]["fieldData"].keys() == {f.name for f in events().fields}


def test_a_session_ends_after_15_idle_minutes_and_each_call_starts_them_anew():
    now = [0.0]
    with Simulator(tables(), password=PASSWORD) as simulator:
        simulator.clock = lambda: now[0]
        client = Client(simulator)
        client.login()
        for _ in range(3):
            now[0] += 899
            assert client.get(f"{EVENTS}/records")[:2] == (200, "0")
        now[0] += 901
        assert client.get(f"{EVENTS}/records")[:2] == (401, "952")
        assert simulator.open_sessions == 0


def test_only_the_right_password_gets_a_token_and_log_out_ends_it(simulator):
    client = Client(simulator)
    assert client.login("wrong")[:2] == (401, "212")
    assert client.get("/validateSession")[:2] == (401, "10")
    client.login()
    token = client.headers["Authorization"].removeprefix("Bearer ")
    assert client.call("DELETE", f"/databases/WalkClinic/sessions/{token}")[:2] == (200, "0")
    assert client.get("/validateSession")[:2] == (401, "952")
    assert simulator.requests["DELETE", "/fmi/data/v1/databases/WalkClinic/sessions/*"] == 1


def test_tables_can_be_edited_while_they_are_read(simulator, client):
    with simulator.edit() as live:
        live["API_event"].records.append(Record(900, 0, {"id": "A new first"}))
    data = client.get(f"{EVENTS}/records", _sort='[{"fieldName":"id"}]')[2]["data"]
    assert data[0]["fieldData"]["id"] == "A new first"
    assert len(data) == 7


def test_a_fault_strikes_the_nth_matching_request_only(simulator, client):
    simulator.faults.append(faults.code("API_event/records", 951, nth=2))
    answers = [client.get(f"{EVENTS}/records")[1] for _ in range(3)]
    assert answers == ["0", "951", "0"]


def test_a_cut_connection_ends_in_the_middle_of_the_answer(simulator, client):
    simulator.faults.append(faults.cut("API_event/records"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get(f"{EVENTS}/records")
    assert client.get(f"{EVENTS}/records")[1] == "0"


def test_nothing_of_it_is_left_running_after_stop():
    before = threading.active_count()
    simulator = Simulator(tables(), password=PASSWORD).start()
    client = Client(simulator)
    client.login()
    simulator.stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        client.get("/productInfo")
    for thread in threading.enumerate():
        if thread.daemon and "process_request_thread" in thread.name:
            thread.join(5)
    assert threading.active_count() <= before
    with pytest.raises(SandboxError, match="not running"):
        _ = simulator.url


def test_tables_come_back_from_disk_as_they_were_written(tmp_path):
    save(tables(), tmp_path)
    again = {table.name: table for table in load(tmp_path)}
    for table in tables():
        assert again[table.name].fields == table.fields
        for was, now in zip(table.records, again[table.name].records, strict=True):
            assert (was.record_id, was.mod_id) == (now.record_id, now.mod_id)
            for name in table.value_names:  # a value that is not held is empty
                assert now.values.get(name, "") == was.values.get(name, "")
            assert "" not in now.values.values()
    with pytest.raises(SandboxError, match="unknown fields: oops"):
        save([FileTable("T", (Field("id", "text"),), [Record(1, 0, {"oops": 1})])], tmp_path)


def test_it_runs_alone_and_prints_its_address_only(tmp_path):
    save(tables(), tmp_path)
    command = [sys.executable, "-m", "nexus_sandbox.filemaker.simulator", "--folder", str(tmp_path)]
    command += ["--only-odata", "API_event", "--only-odata", "@ Dates to Connect"]
    with subprocess.Popen(
        [*command, "--port", "0", "--password-env", "SIMULATOR_PASSWORD"],
        env={**os.environ, "SIMULATOR_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            with requests.Session() as http:
                http.trust_env = False
                answer = http.get(f"{url}/fmi/data/v1/productInfo", timeout=60)
                http.auth = ("nexus_reader", PASSWORD)
                base = f"{url}/fmi/data/v1/databases/WalkClinic"
                login = http.post(f"{base}/sessions", json={}, timeout=60)
                http.auth = None
                http.headers["Authorization"] = f"Bearer {login.json()['response']['token']}"
                layouts = http.get(f"{base}/layouts", timeout=60).json()["response"]["layouts"]
            assert answer.json()["messages"] == [{"code": "0", "message": "OK"}]
            (folder,) = layouts
            listed = [layout["name"] for layout in folder["folderLayoutNames"]]
            assert listed == ["API_Contacts", "API_Replies"]
        finally:
            process.terminate()
        assert process.stdout.read() == ""


def test_several_processes_answer_on_one_port_and_know_each_others_tokens(tmp_path):
    save(tables(), tmp_path)
    server = FileMakerServer.start(tmp_path, port=0, password=PASSWORD, processes=3)
    try:
        others = psutil.Process(server.pid).children()
        assert len(others) == 2
        base = f"http://127.0.0.1:{server.port}/fmi/data/v1/databases/WalkClinic"
        auth = ("nexus_reader", PASSWORD)
        tokens = [
            requests.post(f"{base}/sessions", json={}, auth=auth, timeout=60).json()["response"]
            for _ in range(3)
        ]
        bearers = [f"Bearer {token['token']}" for token in tokens] * 10
        with ThreadPoolExecutor(6) as pool:
            answers = pool.map(lambda b: asked(f"{base}/layouts", b), bearers)
            assert {answer.status_code for answer in answers} == {200}
        forged = bearers[0][:-1] + ("0" if bearers[0][-1] != "0" else "1")
        assert asked(f"{base}/layouts", forged).status_code == 401
    finally:
        server.stop()
    _, alive = psutil.wait_procs(others, timeout=60)
    assert alive == []


def test_a_server_that_takes_its_time_is_waited_for_with_each_page(tmp_path):
    save(tables(), tmp_path)
    server = FileMakerServer.start(tmp_path, port=0, password=PASSWORD, latency_ms=300)
    try:
        base = f"http://127.0.0.1:{server.port}/fmi/data/v1/databases/WalkClinic"
        auth = ("nexus_reader", PASSWORD)
        login = requests.post(f"{base}/sessions", json={}, auth=auth, timeout=60).json()
        bearer = f"Bearer {login['response']['token']}"
        began = time.monotonic()
        page = asked(f"{base}/layouts/API_Contacts/records", bearer)
        assert page.status_code == 200
        assert time.monotonic() - began >= 0.3
    finally:
        server.stop()


def asked(url, bearer):
    return requests.get(url, headers={"Authorization": bearer}, timeout=60)
