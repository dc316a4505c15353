"""What is the Data API's own: sessions, layouts, and FileMaker's codes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from nexus_reimport.errors import MappingError, SettingsError, SourceError
from nexus_reimport.filemaker import Field, ReadRequest
from nexus_reimport.filemaker.data_api import paging
from nexus_reimport.filemaker.data_api.envelope import Envelope
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import Field as StoredField
from nexus_sandbox.filemaker.file import FileTable
from nexus_sandbox.filemaker.message import Reply
from nexus_sandbox.filemaker.simulator import Simulator
from support.every_channel import DATA_API
from support.small_filemaker import PASSWORD, contacts, empty, tables

RECORDS = DATA_API.records
TRUTH = DATA_API.truth(contacts())
SESSIONS = "/fmi/data/v1/databases/WalkClinic/sessions"


def read(source, table="API_Contacts", sort="id"):
    """Every row as it came, in the order of arrival."""
    pages = source.records(ReadRequest(table, sort, {}), page=10)
    return [row for part in pages for row in part.rows]


def test_only_reading_verbs_are_ever_sent(source, simulator):
    read(source)
    source.product(), source.tables(), source.fields("API_event"), source.count("API_Replies")
    source.newest("API_event", "startDate")
    source.close()
    sent = {(verb, path.rpartition("/")[2]) for verb, path in simulator.requests}
    assert {verb for verb, _ in sent} == {"GET", "POST", "DELETE"}
    assert {end for verb, end in sent if verb == "POST"} == {"sessions"}
    assert {end for verb, end in sent if verb == "DELETE"} == {"*"}
    assert simulator.requests["DELETE", f"{SESSIONS}/*"] == 1
    assert {t.name: t for t in tables()} == simulator.tables


def test_a_page_with_more_records_than_the_table_is_said_to_have_stops():
    more = [{"recordId": str(number), "fieldData": {}} for number in range(3)]
    told = {"dataInfo": {"foundCount": 2}, "data": more}
    answer = Envelope(code=0, where="here", response=told)
    with pytest.raises(SourceError, match="T: 2 in FileMaker, 3 arrived"):
        list(paging.whole("T", lambda offset, limit: answer, 10, "here"))


def test_a_record_of_an_earlier_page_that_comes_again_stops():
    def fetch(offset, _):
        page = [0, 1] if offset == 1 else [1, 0]  # the last one is asked for again
        sent = [{"recordId": str(number), "fieldData": {}} for number in page]
        return Envelope(
            code=0, where="here", response={"dataInfo": {"foundCount": 3}, "data": sent}
        )

    with pytest.raises(SourceError, match="T: a record came twice among 3"):
        list(paging.whole("T", fetch, 2, "here"))


def test_a_page_without_a_new_row_is_asked_for_again_and_then_fails_the_read(source, simulator):
    simulator.faults.append(faults.short_page(RECORDS, rows=1, nth=2, times=2))
    assert DATA_API.read(source, contacts()) == TRUTH
    simulator.faults[:] = [faults.short_page(RECORDS, rows=0, nth=2, times=99)]
    with pytest.raises(SourceError, match="sent 0 rows from record 10 of 57: 3 tries"):
        read(source)


def test_a_question_mark_in_a_row_that_was_read_before_is_not_counted_again(source, simulator):
    simulator.faults.append(faults.question_mark(RECORDS, "sms", nth=1))
    simulator.faults.append(faults.question_mark(RECORDS, "sms", nth=2))
    pages = list(source.records(DATA_API.wanted(contacts()), page=10))
    assert [page.repaired for page in pages] == [1, 0, 0, 0, 0, 0]
    assert source.usage().repaired == 1


def test_code_101_past_the_end_or_on_an_empty_table_means_no_rows(source, simulator):
    assert read(source, "API_Replies", sort="_kp_ReplyID") == []
    assert source.count("API_Replies") == 0
    assert source.newest("API_Replies", "Timestamp") == ""


def test_a_token_that_expires_is_renewed_once_by_one_of_four_threads(simulator):
    with DATA_API.opened(simulator) as source, ThreadPoolExecutor(4) as pool:
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
    assert DATA_API.read(source, contacts()) == TRUTH
    assert source.usage().retries == 0


def test_a_session_that_is_refused_right_after_its_renewal_stops(source, simulator):
    simulator.faults.append(faults.code(RECORDS, 952, status=401, times=99))
    with pytest.raises(SourceError, match="code 952: the session is not valid"):
        read(source)
    assert simulator.requests["POST", SESSIONS] == 2


def test_a_wrong_password_is_said_once_and_never_tried_again(simulator, pauses):
    with DATA_API.opened(simulator, pauses, password="wrong, secret") as source:
        with pytest.raises(SettingsError) as refused:
            source.count("API_Contacts")
        assert "code 212: account or password is wrong" in str(refused.value)
        assert pauses == []
        assert simulator.requests["POST", SESSIONS] == 1


def test_a_missing_layout_is_named_with_the_nearest_that_exist(source):
    for call in (source.count, source.fields, lambda t: read(source, t)):
        with pytest.raises(MappingError) as missing:
            call("API_Contact")
        assert "code 105: layout is missing: 'API_Contact'; nearest: API_Contacts" in str(
            missing.value
        )


def test_where_no_layout_is_like_the_missing_one_those_that_exist_are_named(source):
    with pytest.raises(MappingError, match=r"missing: 'Kunden'; there are: @ .*, API_Contacts"):
        source.count("Kunden")


def test_a_layout_whose_name_cannot_be_sent_is_not_called_missing(simulator, source):
    with simulator.edit() as live:
        live["Besök/Termine"] = FileTable("Besök/Termine", live["API_Contacts"].fields, [])
    with pytest.raises(MappingError, match="is there, but a name with / cannot be asked for"):
        source.count("Besök/Termine")


def test_a_missing_field_is_named_with_the_nearest_that_exist(source):
    with pytest.raises(MappingError, match=r"code 102: .*'nameLst'; nearest: nameLast"):
        read(source, sort="nameLst")
    with pytest.raises(MappingError, match="code 102"):
        source.newest("API_Contacts", "modified")


def test_a_server_that_never_answers_is_given_up(simulator):
    simulator.faults.append(Fault(path=RECORDS, delay=1.0, times=2))
    with (
        DATA_API.opened(simulator, read=0.1, tries=2) as source,
        pytest.raises(SourceError, match="did not answer in time: 2 tries"),
    ):
        read(source)


def test_closing_logs_out_and_a_closed_source_does_not_log_in_again(simulator):
    source = DATA_API.opened(simulator)
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
        with DATA_API.opened(simulator) as source:
            read(source)
            simulator.stop()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lose_the_server()


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
    wanted = ReadRequest("API_Contacts", "id", {"id": "text", "Funding": "text"})
    simulator.faults.append(faults.remove_field(RECORDS, "API_Contacts", "Funding", nth=3))
    with pytest.raises(SourceError, match="field Funding is not in FileMaker's answer") as lacking:
        list(source.records(wanted, page=10))
    assert "table=API_Contacts" in lacking.value.where
    assert "Funding" not in source.fields("API_Contacts")
    simulator.faults[:] = [faults.remove_field(RECORDS, "API_Contacts", "id", nth=3)]
    with pytest.raises(MappingError, match="code 102: field is missing: 'id'"):
        read(source)


def test_a_fraction_without_its_zero_and_control_characters_in_a_text_are_read(source, simulator):
    def spoil(answer):
        body = answer.body.replace(b": 2.5", b": -.06").replace(b"Quill", b"Quill\x0b\t")
        return Reply(answer.status, body, answer.headers)

    simulator.faults.append(Fault(path=RECORDS, change=spoil, times=99))
    rows = read(source)
    assert [row["sms"] for row in rows] == [row["sms"].replace("2.5", "-0.06") for row in TRUTH]
    assert [row["nameLast"] for row in rows] == [
        row["nameLast"].replace("Quill", "Quill\x0b\t") for row in TRUTH
    ]
    assert source.usage().repaired == 0


def test_code_401_with_http_500_in_the_middle_is_no_end_of_the_data(source, simulator):
    simulator.faults.append(faults.code(RECORDS, 401, status=500, nth=3))
    with pytest.raises(SourceError, match="code 401: no records match the request"):
        read(source)


def test_http_401_is_an_expired_token_and_code_401_is_not(source, simulator):
    rows = read(source)
    simulator.expire_tokens()
    assert read(source) == rows
    assert source.usage().renewals == 1


def test_containers_are_told_by_their_address_alone(source, simulator):
    read(source)
    assert not [path for _, path in simulator.requests if "Streaming" in path]


def test_an_empty_table_and_a_full_one_can_be_told_apart_by_metadata():
    bare = FileTable("API_Bare", (StoredField("id", "text"),), [])
    with (
        Simulator([bare, empty()], password=PASSWORD) as simulator,
        DATA_API.opened(simulator) as source,
    ):
        assert list(source.fields("API_Bare")) == ["id"]
        assert read(source, "API_Bare") == []
