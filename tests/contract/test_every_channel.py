"""What every channel promises, each against everything that has cost rows before.

Each hazard ends in one of two ways: what was read is the truth, or the read stops and says why.
"""

from __future__ import annotations

import logging
import re
import socket
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport.errors import ReimportError, SettingsError, SourceError
from nexus_reimport.filemaker import Field, Source
from nexus_sandbox.filemaker import exports, faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import Field as StoredField
from nexus_sandbox.filemaker.message import Reply
from support.every_channel import ALL, DATA_API, EXPORTS, FILES, ODATA, SERVERS
from support.small_filemaker import contacts, empty, events, reminders, tables

every_channel = pytest.mark.parametrize("channel", ALL, ids=str)
every_server = pytest.mark.parametrize("channel", SERVERS, ids=str)


@pytest.fixture
def place(channel, tmp_path):
    """What the channel reads: a server, or a folder."""
    with channel.started(tmp_path) as started:
        yield started


@pytest.fixture
def simulator(place):
    return place


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def source(channel, place, pauses):
    with channel.opened(place, pauses) as opened:
        yield opened


def of_servers(common, **own):
    """Each case that all servers have in common, and each of its own, for each of them."""
    return [
        pytest.param(
            channel, *(case if isinstance(case, tuple) else (case,)), id=f"{channel}-{name}"
        )
        for channel in SERVERS
        for name, case in (common | own[channel.name]).items()
    ]


# ------------------------------------------------------------------ what a channel gives


@every_channel
def test_a_complete_read_equals_the_truth(channel, place, source):
    read: Source = source
    for table in (contacts(), events(), reminders(), empty()):
        assert channel.read(read, table) == channel.truth(table)
    assert channel.read(read, reminders())[0]["End_Date"] == "2026-02-03"
    assert read.usage().requests == sum(place.requests.values())
    assert read.usage().bytes_read > 10_000


@pytest.mark.parametrize("page", [1, 2, 7, 56, 57, 58, 1000])
@pytest.mark.parametrize(
    ("channel", "most"),
    [(DATA_API, None), (ODATA, 5), (ODATA, 10_000), (EXPORTS, None)],
    ids=["data_api", "odata at most 5", "odata", "exports"],
)
def test_every_size_of_page_gives_the_same_rows(channel, most, page, place, source):
    if most:
        place.odata.most_rows = most
    parts = list(source.records(channel.wanted(contacts()), page=page))
    size = min(page, most or page, 57)
    assert [part.offset for part in parts] == list(range(1, 58, size))
    assert max(len(part.rows) for part in parts) == size
    rows = [row for part in parts for row in channel.rows(part, contacts())]
    assert rows == channel.truth(contacts())


@every_channel
def test_it_knows_the_product_the_tables_and_their_fields(channel, source):
    assert source.channel == channel.name
    assert source.product() == channel.product
    assert set(source.tables()) == {channel.called(table.name) for table in tables()}
    for table in tables():
        fields = source.fields(channel.called(table.name))
        assert list(fields.items()) == list(channel.fields(table).items())
        assert source.count(channel.called(table.name)) == len(table.records)
    name = channel.called("API_Contacts")
    newest = f"2025-11-28{channel.before_clock}09:30:55"
    assert source.newest(name, "modificationTimestamp") == newest
    assert (source.origin(name) is None) == (channel in SERVERS)


@every_server
def test_metadata_tells_types_calculations_and_repetitions(channel, source):
    fields = source.fields("API_Contacts")
    assert fields["DOB"] == Field("DOB", "date")
    assert fields["modificationTimestamp"].type == "timestamp"
    assert fields["Name Full"].is_calculation
    assert fields["summaryListOfLastName"].is_calculation
    assert fields["thumbnails"].repetitions == 3
    assert source.fields("API_event")["endTime"].type == "time"


@every_server
def test_metadata_tells_global_fields(channel, source, simulator):
    def globals_of(opened):
        return [name for name, field in opened.fields("API_Contacts").items() if field.is_global]

    assert globals_of(source) == ["RECORD_ACTIVE_INDICATOR"]
    changed = StoredField("Funding", "text", is_global=True)
    simulator.faults.append(faults.change_field(channel.described, "API_Contacts", changed))
    with channel.opened(simulator) as another:
        assert globals_of(another) == ["Funding", "RECORD_ACTIVE_INDICATOR"]


@every_channel
@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**20)))
def test_a_number_keeps_every_digit(channel, tmp_path_factory, number):
    text = format(number, "f")
    bare = re.sub(r"^(-?)0\.", r"\1.", text)  # FileMaker leaves the zero out, which is no JSON
    for digits in (text, f'"{text}"', bare):
        row = channel.one_number(digits, tmp_path_factory.getbasetemp())
        assert row == {"n": text}


@every_channel
def test_times_of_24_hours_empty_values_and_paragraphs_come_as_filemaker_sent_them(channel, source):
    rows = channel.read(source, events())
    assert [row["endTime"] for row in rows[:4]] == ["24:00:00", "09:45:00", "", "26:30:00"]
    assert rows[1]["startDate"] == "2025-02-03"
    assert rows[1]["note"] == f"first{channel.paragraph}second"


@every_channel
def test_a_bare_question_mark_is_repaired_and_counted_and_one_in_a_text_is_left(
    channel, place, source
):
    channel.uncompute(place)
    pages = list(source.records(channel.wanted(contacts()), page=10))
    assert [page.repaired for page in pages] == [1, 0, 0, 0, 0, 0]
    assert pages[0].rows[0]["sms"] == ""
    assert all(row["Name Full"].endswith("née O'Hara?") for page in pages for row in page.rows)
    assert source.usage().repaired == 1


@every_channel
def test_a_text_of_many_megabytes_arrives_whole(channel, place, source):
    channel.grow(place, 5_000_000)
    channel.uncompute(place)
    rows = channel.read(source, contacts())
    assert rows[0]["nameLast"] == "x" * 5_000_000
    assert rows[1:] == channel.truth(contacts())[1:]


@every_channel
def test_no_method_of_the_client_can_write(channel):
    public = {name for name in vars(channel.client) if not name.startswith("_")}
    assert public - channel.methods == {
        "channel",
        "close",
        "count",
        "fields",
        "newest",
        "origin",
        "product",
        "records",
        "tables",
        "usage",
    }
    assert public >= channel.methods


# ------------------------------------------------------------------ records that move


@pytest.mark.parametrize(
    ("channel", "nth", "said"),
    of_servers(
        {
            "before the first": (1, ""),
            "before the third": (3, "57 in FileMaker at first, 56 at record 20"),
            "before the last": (6, "57 in FileMaker at first, 56 at record 50"),
        },
        data_api={},
        odata={"after the last": (7, "57 records arrived, but 56 existed afterwards")},
    ),
)
def test_a_record_deleted_between_two_pages_stops(channel, source, simulator, nth, said):
    simulator.faults.append(faults.delete_record(channel.records, "API_Contacts", 0, nth=nth))
    if nth == 1:
        assert len(channel.read(source, contacts())) == 56  # it was gone before the first page
        return
    with pytest.raises(SourceError) as stopped:
        channel.read(source, contacts())
    assert f"API_Contacts: {said}" in str(stopped.value)
    assert "state: nothing was written" in str(stopped.value)
    assert "freeze the source" in str(stopped.value)


@every_server
def test_a_table_emptied_while_it_is_paged_stops(channel, source, simulator):
    def clear(running):
        with running.edit() as live:
            live["API_Contacts"].records.clear()

    simulator.faults.append(Fault(path=channel.records, nth=2, before=clear))
    with pytest.raises(SourceError, match="57 in FileMaker at first, 0 at record 10"):
        channel.read(source, contacts())


@every_server
def test_a_record_that_goes_while_another_comes_stops_though_the_count_stays(
    channel, source, simulator
):
    said = {
        "data_api": "the order of the records changed after 20 of 57",
        "odata": "the order of the 57 records changed while they were read",
    }
    assert contacts().records[0].values["id"] == channel.truth(contacts())[0]["id"]
    simulator.faults.append(
        faults.swap_record(channel.records, "API_Contacts", 0, {"id": "ZZZ, sorted last"}, nth=3)
    )
    with pytest.raises(SourceError, match=said[channel.name]):
        channel.read(source, contacts())


@every_server
def test_a_key_edited_while_it_is_paged_stops(channel, source, simulator):
    said = {
        "data_api": "the order of the records changed after 30 of 57",
        "odata": "the order of the 57 records changed while they were read",
    }
    simulator.faults.append(
        faults.edit_record(channel.records, "API_Contacts", 0, {"id": "ZZZ, sorted last"}, nth=4)
    )
    with pytest.raises(SourceError, match=said[channel.name]):
        channel.read(source, contacts())


@every_server
def test_a_record_edited_while_it_is_paged_is_read_as_it_was_or_as_it_is(
    channel, source, simulator
):
    edited = {"nameLast": "Edited", "modificationTimestamp": "2025-11-30 12:00:00"}
    simulator.faults.append(faults.edit_record(channel.records, "API_Contacts", 56, edited, nth=4))
    rows = channel.read(source, contacts())
    was = {row["id"]: row for row in channel.truth(contacts())}
    now = {row["id"]: row for row in channel.truth(simulator.tables["API_Contacts"])}
    assert len(rows) == 57
    assert all(row in (was[row["id"]], now[row["id"]]) for row in rows)
    assert source.newest("API_Contacts", "modificationTimestamp") == "2025-11-30T12:00:00"


@every_channel
def test_a_row_that_comes_twice_stops_though_the_count_is_right(channel, place, source):
    said = {
        "data_api": "API_Contacts: a record came twice among 57",
        "odata": "API_Contacts: a record came twice among 20",
        "exports": "1 rows have the key of an earlier row: lines 58",
    }
    channel.double(place)
    with pytest.raises(SourceError, match=said[channel.name]):
        channel.read(source, contacts())
    assert source.count(channel.called("API_Contacts")) == 57


# ------------------------------------------------------------------ pages that are not as asked


@every_server
def test_a_short_page_is_not_the_last_one(channel, source, simulator):
    simulator.faults.append(faults.short_page(channel.records, rows=4, nth=2, times=2))
    assert channel.read(source, contacts()) == channel.truth(contacts())


@every_server
def test_a_table_that_is_said_to_be_empty_and_is_not_stops(channel, source, simulator):
    def fault():
        if channel is DATA_API:
            return faults.code(channel.records, 101)
        nothing = Reply(200, b'{"@odata.count": 0, "value": []}')
        return Fault(path=channel.records, instead=nothing)

    said = {
        "data_api": "57 in FileMaker, 0 arrived",
        "odata": "0 records arrived, but 57 existed afterwards",
    }
    simulator.faults.append(fault())
    with pytest.raises(SourceError, match=said[channel.name]):
        channel.read(source, contacts())
    simulator.faults[:] = [fault()]
    assert source.count("API_Contacts") == 57


def code(number, **how):
    """A fault of the second page: this code comes in its place."""
    return lambda path: faults.code(path, number, nth=2, **how)


def answered(status, body, **how):
    """A fault of the second page: this answer comes in its place."""
    return lambda path: Fault(path=path, nth=2, instead=Reply(status, body), **how)


@pytest.mark.parametrize(
    ("channel", "fault"),
    of_servers(
        {
            "502": partial(faults.bad_gateway, nth=3, times=3),
            "503": partial(faults.unavailable, retry_after="2", nth=2, times=2),
            "cut": partial(faults.cut, nth=2, times=2),
            "303": code(303),
            "802": code(802),
            "812": code(812),
            "951": code(951),
            "no JSON": answered(200, b"<html>maintenance</html>"),
            "401 in HTML": answered(401, b"<html>who?</html>"),
        },
        data_api={"956": lambda _: faults.code("/sessions", 956, status=429)},
        odata={
            "952": code(952, status=401),
            "error inside": partial(faults.error_inside, number=951, nth=2),
            "error after": partial(faults.error_inside, number=951, nth=2, is_json=False),
            "wordless error": answered(200, b'{"error": {"code": "oops"}}'),
            "no rows": answered(200, b'{"@count": 57}'),
            "502 of metadata": lambda _: faults.bad_gateway("metadata", times=2),
            "no metadata": lambda _: Fault(path="metadata", instead=Reply(200, b"<html>off")),
        },
    ),
)
def test_what_may_pass_is_tried_again_until_it_has_passed(
    channel, source, simulator, pauses, fault
):
    simulator.faults.append(fault(channel.records))
    assert channel.read(source, contacts()) == channel.truth(contacts())
    assert source.usage().retries == len(pauses) == simulator.faults[0].times
    assert all(1 <= pause <= 60 for pause in pauses)


@pytest.mark.parametrize(
    ("channel", "fault", "said"),
    of_servers(
        {
            "502": (partial(faults.bad_gateway, nth=2, times=99), "HTTP 502 .*: 8 tries"),
            "cut": (
                partial(faults.cut, nth=2, times=99),
                "broke off in the middle: 8 tries",
            ),
            "951": (code(951, times=99), "code 951: .*: 3 tries"),
            "953": (code(953, times=99), "code 953: .*limit on data is exceeded$"),
            "200": (code(200, times=99), "code 200: record access is denied"),
            "401": (code(401), "code 401: no records match"),
            "-4711": (code(-4711, status=400), "code -4711: an unknown code"),
            "404": (answered(404, b"<html>"), "HTTP 404 .not FileMaker itself"),
            "500": (answered(500, b"{}", times=99), "HTTP 500 .*: 8 tries"),
        },
        data_api={},
        odata={
            "952": (code(952, status=401, times=99), "code 952: an expired session.*: 3 tries"),
            "101": (code(101), "code 101: record is missing"),
            "-1002": (code(-1002, status=400), "code -1002: the address cannot be read"),
            "error inside": (
                partial(faults.error_inside, number=200, nth=2),
                "code 200: record access is denied",
            ),
            "no count": (
                lambda path: Fault(path=path, instead=Reply(200, b'{"value": []}')),
                "does not hold the number of records",
            ),
        },
    ),
)
def test_a_failed_page_is_never_taken_for_the_end_of_the_data(
    channel, source, simulator, fault, said
):
    simulator.faults.append(fault(channel.records))
    with pytest.raises(SourceError) as failed:
        channel.read(source, contacts())
    assert re.search(said, failed.value.what)
    assert "table=API_Contacts" in failed.value.where
    assert failed.value.next


# ------------------------------------------------------------------ servers that are slow or gone


@every_server
def test_retry_after_lengthens_the_pause_and_an_endless_one_stops(
    channel, source, simulator, pauses
):
    simulator.faults.append(faults.unavailable(channel.records, retry_after="90"))
    channel.read(source, contacts())
    assert pauses == [90.0]
    simulator.faults[:] = [faults.unavailable(channel.records, retry_after="3600")]
    with pytest.raises(SourceError, match="asks us to wait 3,600 s"):
        channel.read(source, contacts())
    assert pauses == [90.0]


@every_server
def test_an_answer_that_drips_is_taken_or_given_up_by_the_time_for_a_whole_one(channel, simulator):
    simulator.faults.append(faults.drip(channel.records, pieces=5, pause=0.02, nth=2))
    with channel.opened(simulator) as source:
        assert channel.read(source, contacts()) == channel.truth(contacts())
    simulator.faults[:] = [faults.drip(channel.records, pieces=200, pause=0.05, times=99)]
    with (
        channel.opened(simulator, read=5.0, whole=0.2, tries=2) as hurried,
        pytest.raises(SourceError, match="took too long to arrive: 2 tries"),
    ):
        channel.read(hurried, contacts())


@every_server
def test_an_unreachable_server_is_one_clear_message(channel):
    with socket.socket() as silent:  # bound, so that nothing else listens there
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        with channel.opened(f"http://127.0.0.1:{port}") as source:
            with pytest.raises(SourceError) as failed:
                source.tables()
            with pytest.raises(SourceError) as failed_too:
                source.count("API_Contacts")
    assert str(failed.value) == (
        "FileMaker could not be reached: 3 tries\n"
        f"  where: channel={channel}, server=127.0.0.1:{port}, database=WalkClinic\n"
        "  state: nothing was written\n"
        "  next:  check the address, the network, and that the server is running; then run again"
    )
    assert str(failed_too.value).replace(", table=API_Contacts", "") == str(failed.value)


@every_server
def test_a_server_that_dies_in_the_middle_of_a_read_stops_it(channel, simulator):
    with channel.opened(simulator, tries=4) as source:
        pages = source.records(channel.wanted(contacts()), page=10)
        next(pages)
        simulator.stop()
        with pytest.raises(SourceError, match=r"reached: 4 tries|in the middle: 4 tries"):
            next(pages)


# ------------------------------------------------------------------ settings and secrets


@every_server
def test_a_wrong_database_is_said_with_what_to_check(channel, simulator, pauses):
    with channel.opened(simulator, pauses, database="Elsewhere") as source:
        for ask in (source.count, source.fields):
            with pytest.raises(SourceError) as failed:
                ask("API_Contacts")
            assert "code 802: the file cannot be opened: 3 tries" in str(failed.value)
            assert "check the database's name" in str(failed.value)
    assert len(pauses) >= 4
    assert all(pause >= 15 for pause in pauses)


@every_server
def test_four_threads_send_a_wrong_password_once(channel, simulator):
    simulator.faults.append(Fault(path=".", delay=0.2))
    opened = channel.opened(simulator, password="wrong, secret")
    with opened as source, ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(source.count, "API_Contacts") for _ in range(8)]
        assert all(isinstance(task.exception(), SettingsError) for task in tasks)
    assert sum(simulator.requests.values()) == 1


def breaks_of_servers(channel):
    path = channel.records
    return [
        faults.bad_gateway(path, times=99),
        faults.cut(path, times=99),
        faults.code(path, 201, times=99),
        faults.doubled_row(path),
        Fault(path=path, change=lambda answer: Reply(418, answer.body[:-3]), times=99),
    ]


def breaks_of_the_data_api(channel):
    return [
        faults.code(channel.records, 952, status=401, times=99),
        Fault(path="sessions", instead=Reply(500, b"<html>correct horse</html>"), times=99),
        faults.cut("sessions", times=99),
    ]


def breaks_of_odata(channel):
    path = channel.records
    return [
        faults.error_inside(path, 200),
        faults.error_inside(path, 200, is_json=False, times=99),
        faults.wrong_link(path, lambda link: link.replace("API_Contacts?", "Quillfeather?")),
        faults.wrong_link(path, lambda link: "http://[Quillfeather"),
        faults.edit_record(path, "API_Contacts", 0, {"id": "Quillfeather"}, nth=4),
        Fault(path=path, change=lambda answer: Reply(200, answer.body[:-3]), times=99),
        Fault(path="metadata", instead=Reply(500, b"<html>correct horse</html>"), times=99),
        Fault(path="metadata", instead=Reply(401, b"<html>correct horse</html>"), times=99),
    ]


def breaks_of_exports(channel):
    def exported(**style):
        return lambda folder: exports.write(
            contacts(), folder.path / FILES["API_Contacts"], exports.Style(**style)
        )

    def spoilt(change):
        return lambda folder: folder.spoil(change)

    return [
        channel.double,
        exported(headers=False),
        exported(dates="m/d/y"),
        spoilt(lambda content: content.replace(b"00000000-AAAA-4BBB-8CCC-DDDDEEEEFFFF", b"")),
        spoilt(lambda content: content + b"AAAA-4BBB\tQuillfeather\r"),
        spoilt(lambda content: content + b"Quillfeather \xff\r"),
        spoilt(lambda content: content.replace(b"nameLast", b"nameList")),
        spoilt(lambda content: b"PK\x03\x04 Quillfeather" + content),
    ]


@pytest.mark.parametrize(
    ("channel", "breaks", "fewest"),
    [
        (DATA_API, [breaks_of_servers, breaks_of_the_data_api], 6),  # four tokens at least
        (ODATA, [breaks_of_servers, breaks_of_odata], 2),
        (EXPORTS, [breaks_of_exports], 0),
    ],
    ids=["data_api", "odata", "exports"],
)
def test_no_secret_and_no_value_is_in_an_error_a_repr_or_a_traceback(
    channel, breaks, fewest, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    secrets = set()
    for number, fault in enumerate(fault for made in breaks for fault in made(channel)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with channel.started(folder) as place:
            channel.strike(place, fault)
            source = channel.opened(place)
            with pytest.raises(ReimportError) as failed:
                channel.read(source, contacts())
            secrets |= channel.secrets(source)
            shown = [
                "".join(traceback.format_exception(failed.value)),
                repr(failed.value),
                *channel.shown(source),
            ]
            source.close()
        for text in shown:
            for secret in ("Quillfeather", "correct horse", "AAAA-4BBB", "Basic", "$select"):
                assert secret not in text
            assert not any(secret in text for secret in secrets)
        assert failed.value.__context__ is None
    assert len(secrets) >= fewest
    assert "correct horse" not in caplog.text
