"""The Data API client against a server that errs in every way that has cost rows before."""

from __future__ import annotations

import logging
import re
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport.errors import MappingError, ReimportError, SettingsError, SourceError
from nexus_reimport.filemaker import Field, Source, Wanted
from nexus_reimport.filemaker.data_api import DataApi
from nexus_reimport.filemaker.http import Patience
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import Field as StoredField
from nexus_sandbox.filemaker.file import Record, Table
from nexus_sandbox.filemaker.message import Reply, reply
from nexus_sandbox.filemaker.simulator import Simulator
from support.small_filemaker import PASSWORD, contacts, empty, events, tables

RECORDS = "API_Contacts/records"
CONTACTS = Wanted("API_Contacts", "id", {})
SESSIONS = "/fmi/data/v1/databases/WalkClinic/sessions"


@pytest.fixture
def simulator():
    with Simulator(tables(), password=PASSWORD) as running:
        yield running


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def source(simulator, pauses):
    with client(simulator, pauses) as api:
        yield api


def client(simulator, pauses=None, password=PASSWORD, **patience):
    sleep = (lambda _: None) if pauses is None else pauses.append
    return DataApi(
        simulator.url,
        "WalkClinic",
        "nexus_reader",
        password,
        patience=Patience(sleep=sleep, **patience),
    )


def read(source, table="API_Contacts", sort="id", page=10):
    """Every row, as (record id, values), in the order of arrival."""
    return [
        (record_id, row)
        for part in source.records(Wanted(table, sort, {}), page=page)
        for record_id, row in zip(part.record_ids, part.rows, strict=True)
    ]


def truth(table):
    """What a complete read must give, from the stored values, by the papers alone."""
    types = {name: field.type for field in table.fields for name in field.names}

    def text(record, name):
        value = record.values.get(name, "")
        if types[name] == "timestamp":
            return str(value).replace(" ", "T")
        return str(value)

    ordered = sorted(table.records, key=lambda record: record.values["id"])
    names = [name for name in types if types[name] != "container"]
    return [(str(r.record_id), {name: text(r, name) for name in names}) for r in ordered]


def without_containers(rows):
    return [
        (i, {name: text for name, text in row.items() if name != "faceImage"}) for i, row in rows
    ]


def test_a_complete_read_equals_the_truth(source, simulator):
    api: Source = source
    assert without_containers(read(api)) == truth(contacts())
    assert without_containers(read(api, "API_event")) == truth(events())
    assert read(api, "@ Dates to Connect", sort="PrimaryKey")[0][1]["End_Date"] == "2026-02-03"
    assert api.usage().requests == sum(simulator.requests.values())
    assert api.usage().bytes_read > 10_000


@pytest.mark.parametrize("page", [1, 2, 7, 56, 57, 58, 1000])
def test_every_size_of_page_gives_the_same_rows(source, page):
    parts = list(source.records(CONTACTS, page=page))
    assert [part.offset for part in parts] == list(range(1, 58, page))
    assert max(len(part.rows) for part in parts) == min(page, 57)
    assert [i for part in parts for i in part.record_ids] == [i for i, _ in truth(contacts())]
    assert parts[0].mod_ids[0] == str(contacts().records[int(parts[0].record_ids[0]) - 1].mod_id)


def test_it_knows_the_product_the_tables_and_their_fields(source):
    product = source.product()
    assert (product.name, product.version[:6]) == ("FileMaker Data API Engine", "20.3.2")
    assert set(source.tables()) == {t.name for t in tables()}
    fields = source.fields("API_Contacts")
    assert list(fields) == [f.name for f in contacts().fields]
    assert fields["DOB"] == Field("DOB", "date")
    assert fields["modificationTimestamp"].type == "timestamp"
    assert fields["Name Full"].is_calculation
    assert fields["summaryListOfLastName"].is_calculation
    assert fields["thumbnails"].repetitions == 3
    assert source.fields("API_event")["endTime"].type == "time"
    assert source.count("API_Contacts") == 57
    assert source.newest("API_Contacts", "modificationTimestamp") == "2025-11-28T09:30:55"
    assert source.channel == "data_api"


def test_metadata_tells_global_fields(source):
    fields = source.fields("API_Contacts")
    assert [name for name, field in fields.items() if field.is_global] == [
        "RECORD_ACTIVE_INDICATOR"
    ]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**20)))
def test_a_number_keeps_every_digit(number):
    text = format(number, "f")
    answer = reply({"dataInfo": {"foundCount": 1, "returnedCount": 1}, "data": []})
    row = f'{{"fieldData": {{"n": {text}}}, "recordId": "1", "modId": "0"}}'.encode()
    body = answer.body.replace(b'"data": []', b'"data": [' + row + b"]")
    from nexus_reimport.filemaker.data_api.envelope import opened, page_of
    from nexus_reimport.filemaker.http import Answer

    (only,) = page_of(opened(Answer(200, body), "here"), offset=1).rows
    assert only == {"n": text}
    assert Decimal(only["n"]) == number


def test_only_reading_verbs_are_ever_sent(source, simulator):
    read(source)
    list(source.find("API_event", [{"id": "==E1"}], sort="id"))
    source.product(), source.tables(), source.fields("API_event"), source.count("API_Replies")
    source.newest("API_event", "startDate")
    source.close()
    sent = {(verb, path.rpartition("/")[2]) for verb, path in simulator.requests}
    assert {verb for verb, _ in sent} == {"GET", "POST", "DELETE"}
    assert {end for verb, end in sent if verb == "POST"} == {"sessions", "_find"}
    assert {end for verb, end in sent if verb == "DELETE"} == {"*"}
    assert simulator.requests["DELETE", f"{SESSIONS}/*"] == 1
    assert {t.name: t for t in tables()} == simulator.tables


def test_no_method_of_the_client_can_write():
    public = {name for name in vars(DataApi) if not name.startswith("_")}
    assert public == {
        "channel", "close", "count", "fields", "find", "newest", "origin", "product",
        "records", "tables", "usage",
    }  # fmt: skip


@pytest.mark.parametrize("nth", [1, 3, 6])
def test_a_record_deleted_between_two_pages_stops(source, simulator, nth):
    simulator.faults.append(faults.delete_record(RECORDS, "API_Contacts", 0, nth=nth))
    if nth == 1:
        assert len(read(source)) == 56  # it was gone before the first page
        return
    with pytest.raises(SourceError) as stopped:
        read(source)
    assert "API_Contacts: 57 in FileMaker at first, 56 from" in str(stopped.value)
    assert "state: nothing was written" in str(stopped.value)
    assert "freeze the source" in str(stopped.value)


def test_a_table_emptied_while_it_is_paged_stops(source, simulator):
    def clear(running):
        with running.edit() as live:
            live["API_Contacts"].records.clear()

    simulator.faults.append(Fault(path=RECORDS, nth=2, before=clear))
    with pytest.raises(SourceError, match="57 in FileMaker at first, 0 from 10"):
        read(source)


def test_a_record_that_goes_while_another_comes_stops_though_the_count_stays(source, simulator):
    def swap(running):
        with running.edit() as live:
            records = live["API_Contacts"].records
            first = min(records, key=lambda record: record.values["id"])
            records.remove(first)
            records.append(Record(900, 0, {"id": "ZZZ, sorted last"}))

    simulator.faults.append(Fault(path=RECORDS, nth=3, before=swap))
    with pytest.raises(SourceError, match="the records moved after 20 of 57"):
        read(source)


def test_a_row_that_comes_twice_stops_though_the_count_is_right(source, simulator):
    simulator.faults.append(faults.doubled_row(RECORDS, nth=2))
    with pytest.raises(SourceError, match="a record came twice within 57"):
        read(source)


def test_a_short_page_is_not_the_last_one(source, simulator):
    simulator.faults.append(faults.short_page(RECORDS, rows=4, nth=2, times=2))
    assert without_containers(read(source)) == truth(contacts())


def test_a_page_without_a_new_row_is_asked_for_again_and_then_fails_the_read(source, simulator):
    simulator.faults.append(faults.short_page(RECORDS, rows=1, nth=2, times=2))
    assert without_containers(read(source)) == truth(contacts())
    simulator.faults[:] = [faults.short_page(RECORDS, rows=0, nth=2, times=99)]
    with pytest.raises(SourceError, match="sent 0 rows at 10 of 57: 3 tries"):
        read(source)


@pytest.mark.parametrize(
    "fault",
    [
        faults.bad_gateway(RECORDS, nth=3, times=3),
        faults.unavailable(RECORDS, retry_after="2", nth=2, times=2),
        faults.cut(RECORDS, nth=2, times=2),
        faults.code(RECORDS, 812, nth=2),
        faults.code(RECORDS, 951, nth=2),
        faults.code(RECORDS, 802, nth=2),
        faults.code("/sessions", 956, status=429),
        Fault(path=RECORDS, nth=2, instead=Reply(200, b"<html>maintenance</html>")),
        Fault(path=RECORDS, nth=2, instead=Reply(401, b"<html>who?</html>")),
    ],
    ids=["502", "503", "cut", "812", "951", "802", "956", "no JSON", "401 in HTML"],
)
def test_what_may_pass_is_tried_again_until_it_has_passed(source, simulator, pauses, fault):
    fault.seen = 0
    simulator.faults.append(fault)
    assert without_containers(read(source)) == truth(contacts())
    assert source.usage().retries == len(pauses) == fault.times
    assert all(1 <= pause <= 60 for pause in pauses)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (faults.bad_gateway(RECORDS, nth=2, times=99), "HTTP 502 .*: 8 tries"),
        (faults.cut(RECORDS, nth=2, times=99), "broke off in the middle of an answer: 8 tries"),
        (faults.code(RECORDS, 951, nth=2, times=99), "code 951: .*: 3 tries"),
        (faults.code(RECORDS, 953, nth=2, times=99), "code 953: .*limit on data is exceeded$"),
        (faults.code(RECORDS, 200, nth=2, times=99), "code 200: record access is denied"),
        (faults.code(RECORDS, 401, nth=2), "code 401: no records match"),
        (Fault(path=RECORDS, nth=2, instead=Reply(404, b"<html>")), "HTTP 404 without a word"),
    ],
    ids=["502", "cut", "951", "953", "200", "401", "404"],
)
def test_a_failed_page_is_never_taken_for_the_end_of_the_data(source, simulator, fault, said):
    fault.seen = 0
    simulator.faults.append(fault)
    got = []
    with pytest.raises(SourceError) as failed:
        got.extend(source.records(CONTACTS, page=10))
    assert re.search(said, failed.value.what)
    assert "table=API_Contacts" in failed.value.where
    assert failed.value.next


def test_retry_after_lengthens_the_pause_and_an_endless_one_stops(source, simulator, pauses):
    simulator.faults.append(faults.unavailable(RECORDS, retry_after="90"))
    read(source)
    assert pauses == [90.0]
    simulator.faults[:] = [faults.unavailable(RECORDS, retry_after="3600")]
    with pytest.raises(SourceError, match="asks to be left alone for 3,600 s"):
        read(source)
    assert pauses == [90.0]


def test_code_101_past_the_end_or_on_an_empty_table_means_no_rows(source, simulator):
    assert read(source, "API_Replies", sort="_kp_ReplyID") == []
    assert source.count("API_Replies") == 0
    assert source.newest("API_Replies", "Timestamp") == ""


def test_a_table_that_is_said_to_be_empty_and_is_not_stops(source, simulator):
    simulator.faults.append(faults.code(RECORDS, 101))
    with pytest.raises(SourceError, match="57 in FileMaker, 0 arrived"):
        read(source)
    simulator.faults[:] = [faults.code(RECORDS, 101)]
    assert source.count("API_Contacts") == 57


def test_code_401_on_a_find_is_an_empty_result_and_http_401_is_not(source, simulator):
    def found(criterion):
        query = [{"id": criterion}]
        return [i for page in source.find("API_event", query, sort="id") for i in page.record_ids]

    assert found("==E3") == ["103"]
    assert found("*") == [str(number) for number in range(100, 106)]
    assert found("==nothing like it") == []
    simulator.expire_tokens()
    assert found("==E3") == ["103"]
    assert source.usage().renewals == 1


def test_a_find_of_many_is_read_to_its_end(source):
    query = [{"nameLast": "Quillfeather1"}, {"nameLast": "Quillfeather2"}]
    pages = list(source.find("API_Contacts", query, sort="id", page=3))
    assert sum(len(page.rows) for page in pages) == 16
    assert len(pages) == 6


def test_a_token_that_expires_is_renewed_once_by_one_of_four_threads(simulator):
    with client(simulator) as source, ThreadPoolExecutor(4) as pool:
        start = threading.Barrier(4)

        def both():
            first = len(read(source))
            if start.wait(10) == 0:
                simulator.expire_tokens()
            start.wait(10)
            return first + len(read(source))

        assert [task.result() for task in [pool.submit(both) for _ in range(4)]] == [114] * 4
        assert simulator.requests["POST", SESSIONS] == 2
        assert source.usage().renewals == 1


@pytest.mark.parametrize("code", [952, 112])
def test_a_session_that_ends_in_the_middle_of_a_read_costs_no_row(source, simulator, code):
    simulator.faults.append(faults.code(RECORDS, code, status=401, nth=6))
    simulator.faults.append(faults.expire_token(RECORDS, nth=3))
    assert without_containers(read(source)) == truth(contacts())
    assert source.usage().retries == 0


def test_a_session_that_is_refused_right_after_its_renewal_stops(source, simulator):
    simulator.faults.append(faults.code(RECORDS, 952, status=401, times=99))
    with pytest.raises(SourceError, match="code 952: the session is not valid"):
        read(source)
    assert simulator.requests["POST", SESSIONS] == 2


def test_a_wrong_password_is_said_once_and_never_tried_again(simulator, pauses):
    with client(simulator, pauses, password="wrong, secret") as source:
        with pytest.raises(SettingsError) as refused:
            source.count("API_Contacts")
        assert "code 212: account or password is wrong" in str(refused.value)
        assert pauses == []
        assert simulator.requests["POST", SESSIONS] == 1


def test_four_threads_send_a_wrong_password_once(simulator):
    with client(simulator, password="wrong, secret") as source, ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(source.count, "API_Contacts") for _ in range(8)]
        assert all(isinstance(task.exception(), SettingsError) for task in tasks)
    assert simulator.requests["POST", SESSIONS] == 1


def test_a_missing_layout_is_named_with_the_nearest_that_exist(source):
    for call in (source.count, source.fields, lambda t: read(source, t)):
        with pytest.raises(MappingError) as missing:
            call("API_Contact")
        assert "code 105: layout is missing: 'API_Contact'; nearest: API_Contacts" in str(
            missing.value
        )


def test_a_missing_field_is_named_with_the_nearest_that_exist(source):
    with pytest.raises(MappingError, match=r"code 102: .*'nameLst'; nearest: nameLast"):
        read(source, sort="nameLst")
    with pytest.raises(MappingError, match="code 102"):
        source.newest("API_Contacts", "modified")


def test_a_bare_question_mark_is_repaired_and_counted_and_one_in_a_text_is_left(source, simulator):
    simulator.faults.append(faults.question_mark(RECORDS, "sms", nth=1))
    simulator.faults.append(faults.question_mark(RECORDS, "sms", nth=2))  # in a row that is known
    pages = list(source.records(CONTACTS, page=10))
    assert [page.repaired for page in pages] == [1, 0, 0, 0, 0, 0]
    assert pages[0].rows[0]["sms"] == ""
    assert all(row["Name Full"].endswith("née O'Hara?") for page in pages for row in page.rows)
    assert source.usage().repaired == 1


def test_times_of_24_hours_empty_values_and_paragraphs_come_as_filemaker_sent_them(source):
    rows = [row for _, row in read(source, "API_event")]
    assert [row["endTime"] for row in rows[:4]] == ["24:00:00", "09:45:00", "", "26:30:00"]
    assert rows[1]["startDate"] == "2025-02-03"
    assert rows[1]["note"] == "first\rsecond"


def test_an_unreachable_server_is_one_clear_message():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = DataApi(
        f"http://127.0.0.1:{port}",
        "WalkClinic",
        "nexus_reader",
        PASSWORD,
        patience=Patience(sleep=lambda _: None),
    )
    with pytest.raises(SourceError) as failed:
        source.count("API_Contacts")
    source.close()
    assert str(failed.value) == (
        "FileMaker could not be reached: 3 tries\n"
        f"  where: channel=data_api, server=127.0.0.1:{port}, database=WalkClinic\n"
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


def test_a_server_that_never_answers_is_given_up(simulator):
    simulator.faults.append(Fault(path=RECORDS, delay=1.0, times=2))
    with (
        client(simulator, read=0.1, tries=2) as source,
        pytest.raises(SourceError, match="did not answer in time: 2 tries"),
    ):
        read(source)


def test_a_wrong_database_is_said_with_what_to_check(simulator, pauses):
    source = DataApi(
        simulator.url, "Elsewhere", "nexus_reader", PASSWORD, patience=Patience(sleep=pauses.append)
    )
    with pytest.raises(SourceError, match="code 802: the file cannot be opened: 3 tries") as failed:
        source.count("API_Contacts")
    source.close()
    assert "check the database's name" in str(failed.value)
    assert all(pause >= 15 for pause in pauses)


def test_closing_logs_out_and_a_closed_source_does_not_log_in_again(simulator):
    source = client(simulator)
    read(source)
    assert simulator.open_sessions == 1
    source.close()
    source.close()
    assert simulator.open_sessions == 0
    with pytest.raises(SourceError, match="is closed"):
        read(source)
    simulator.stop()


def test_closing_hides_no_other_error(simulator):
    def lose_the_server():
        with client(simulator) as source:
            read(source)
            simulator.stop()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lose_the_server()


def test_no_secret_and_no_value_is_in_an_error_a_repr_or_a_traceback(simulator, caplog):
    caplog.set_level(logging.INFO)
    broken = [
        faults.bad_gateway(RECORDS, times=99),
        faults.cut(RECORDS, times=99),
        faults.code(RECORDS, 201, times=99),
        faults.doubled_row(RECORDS),
        faults.code(RECORDS, 952, status=401, times=99),
        Fault(path=RECORDS, change=lambda answer: Reply(418, answer.body[:-3]), times=99),
        Fault(path="sessions", instead=Reply(500, b"<html>correct horse</html>"), times=99),
        faults.cut("sessions", times=99),
    ]
    tokens = []
    for fault in broken:
        simulator.faults[:] = [fault]
        source = client(simulator)
        with pytest.raises(ReimportError) as failed:
            read(source)
        tokens.append(source._session._token)
        shown = [
            "".join(traceback.format_exception(failed.value)),
            repr(failed.value), repr(source), repr(source._session), repr(source._wire),
        ]  # fmt: skip
        source.close()
        basic = source._session._basic
        for text in shown:
            assert "Quillfeather" not in text
            assert "correct horse" not in text
            assert "AAAA-4BBB" not in text
            assert "Basic" not in text
            assert basic.decode() not in text
            assert not any(token in text for token in tokens if token)
        assert failed.value.__context__ is None
    assert sum(map(bool, tokens)) >= 4
    assert "correct horse" not in caplog.text


def test_a_record_edited_while_it_is_paged_is_read_as_it_was_or_as_it_is(source, simulator):
    edited = {"nameLast": "Edited", "modificationTimestamp": "2025-11-30 12:00:00"}
    simulator.faults.append(faults.edit_record(RECORDS, "API_Contacts", 56, edited, nth=4))
    rows = without_containers(read(source))
    was, now = dict(truth(contacts())), dict(truth(simulator.tables["API_Contacts"]))
    assert len(rows) == 57
    assert all(row in (was[record_id], now[record_id]) for record_id, row in rows)
    assert source.newest("API_Contacts", "modificationTimestamp") == "2025-11-30T12:00:00"


def test_a_key_edited_while_it_is_paged_stops_where_the_order_moves(source, simulator):
    edit = faults.edit_record(RECORDS, "API_Contacts", 0, {"id": "ZZZ, sorted last"}, nth=4)
    simulator.faults.append(edit)
    with pytest.raises(SourceError, match="the records moved after 30 of 57"):
        read(source)


def test_metadata_tells_a_type_that_changed_and_a_field_that_became_global(source, simulator):
    layout = "API_Contacts$"
    assert source.fields("API_Contacts")["Funding"] == Field("Funding", "text")
    simulator.faults.append(
        faults.change_field(layout, "API_Contacts", StoredField("Funding", "date"))
    )
    assert source.fields("API_Contacts")["Funding"] == Field("Funding", "date")
    changed = StoredField("Funding", "text", is_global=True)
    simulator.faults[:] = [faults.change_field(layout, "API_Contacts", changed)]
    assert source.fields("API_Contacts")["Funding"].is_global


def test_a_field_taken_off_the_layout_is_missing_and_never_silently_empty(source, simulator):
    wanted = Wanted("API_Contacts", "id", {"id": "text", "Funding": "text"})
    simulator.faults.append(faults.remove_field(RECORDS, "API_Contacts", "Funding", nth=3))
    with pytest.raises(SourceError, match="field Funding is not in FileMaker's answer") as lacking:
        list(source.records(wanted, page=10))
    assert "table=API_Contacts" in lacking.value.where
    assert "Funding" not in source.fields("API_Contacts")
    simulator.faults[:] = [faults.remove_field(RECORDS, "API_Contacts", "id", nth=3)]
    with pytest.raises(MappingError, match="code 102: field is missing: 'id'"):
        read(source)


def test_an_answer_that_drips_is_taken_or_given_up_by_the_time_for_a_whole_one(simulator):
    simulator.faults.append(faults.drip(RECORDS, pieces=5, pause=0.02, nth=2))
    with client(simulator) as source:
        assert without_containers(read(source)) == truth(contacts())
    simulator.faults[:] = [faults.drip(RECORDS, pieces=200, pause=0.05, times=99)]
    with (
        client(simulator, read=5.0, whole=0.2, tries=2) as hurried,
        pytest.raises(SourceError, match="came too slowly to its end: 2 tries"),
    ):
        read(hurried)


def test_a_text_of_many_megabytes_arrives_whole(source, simulator):
    simulator.faults.append(faults.huge_text(RECORDS, "nameLast", 5_000_000))
    simulator.faults.append(faults.question_mark(RECORDS, "sms"))
    rows = without_containers(read(source))
    assert rows[0][1]["nameLast"] == "x" * 5_000_000
    assert rows[1:] == truth(contacts())[1:]


def test_a_fraction_without_its_zero_and_control_characters_in_a_text_are_read(source, simulator):
    def spoil(answer):
        body = answer.body.replace(b": 2.5", b": -.06").replace(b"Quill", b"Quill\x0b\t")
        return Reply(answer.status, body, answer.headers)

    simulator.faults.append(Fault(path=RECORDS, change=spoil, times=99))
    rows = [row for _, row in read(source)]
    expected = [row for _, row in truth(contacts())]
    assert [row["sms"] for row in rows] == [row["sms"].replace("2.5", "-0.06") for row in expected]
    assert [row["nameLast"] for row in rows] == [
        row["nameLast"].replace("Quill", "Quill\x0b\t") for row in expected
    ]
    assert source.usage().repaired == 0


def test_code_401_with_http_500_in_the_middle_is_no_end_of_the_data(source, simulator):
    def found():
        query = [{"nameLast": "Quillfeather*"}]
        return sum(len(p.rows) for p in source.find("API_Contacts", query, sort="id", page=10))

    assert found() == 57
    simulator.faults.append(faults.code("_find", 401, status=500, nth=3))
    with pytest.raises(SourceError, match="57 in FileMaker at first, 0 from 20"):
        found()


def test_containers_are_told_by_their_address_alone(source, simulator):
    read(source)
    assert not [path for _, path in simulator.requests if "Streaming" in path]


def test_an_empty_table_and_a_full_one_can_be_told_apart_by_metadata():
    bare = Table("API_Bare", (StoredField("id", "text"),), [])
    with Simulator([bare, empty()], password=PASSWORD) as simulator, client(simulator) as source:
        assert list(source.fields("API_Bare")) == ["id"]
        assert read(source, "API_Bare") == []
