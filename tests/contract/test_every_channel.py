"""What every channel promises, each against everything that has cost rows before.

Each hazard ends in one of two ways: what was read is the truth, or the read stops and says why.
"""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport.filemaker import Field, Source
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import Field as StoredField
from nexus_sandbox.filemaker.message import Reply
from support.every_channel import (
    DATA_API,
    EXPORTS,
    ODATA,
    SERVERS,
    every_channel,
    every_server,
)
from support.small_filemaker import contacts, empty, events, reminders, tables


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
    public = {name for name in dir(channel.client) if not name.startswith("_")}
    assert public - channel.methods == {
        "channel",
        "close",
        "count",
        "fields",
        "newest",
        "numbers_alone",
        "origin",
        "product",
        "records",
        "tables",
        "usage",
        "versions",
    }
    assert public >= channel.methods


@every_server
def test_each_record_comes_with_its_version_and_versions_can_be_read_alone(
    channel, source, simulator
):
    table = contacts()
    wanted = dataclasses.replace(channel.wanted(table), types={"id": "text", "nameLast": "text"})

    def with_rows() -> list[str]:
        return [v for part in source.records(wanted, page=10) for v in part.versions]

    def alone() -> list[str]:
        return [v for versions in source.versions(wanted, page=10) for v in versions]

    by_key = sorted(table.records, key=lambda record: str(record.values["id"]))
    assert with_rows() == alone() == [f"{r.record_id}.{r.mod_id}" for r in by_key]
    with simulator.edit() as live:
        live["API_Contacts"].records[0].values["nameLast"] = "Other"
    number = next(n for n, record in enumerate(by_key) if record.record_id == 1)
    by_key[number].mod_id += 1
    assert with_rows() == alone() == [f"{r.record_id}.{r.mod_id}" for r in by_key]


@pytest.mark.parametrize("channel", [ODATA])
@pytest.mark.parametrize("term", ["RowVersion", "BestRowID"])
def test_a_server_of_odata_that_offers_no_version_is_not_asked_for_one(channel, term, simulator):
    def without(reply: Reply) -> Reply:
        return dataclasses.replace(reply, body=reply.body.replace(term.encode(), b"Other"))

    simulator.faults.append(Fault(path=r"\$metadata", change=without))
    with ODATA.opened(simulator) as source:
        wanted = ODATA.wanted(contacts())
        assert {part.versions for part in source.records(wanted, page=10)} == {()}
        assert list(source.versions(wanted)) == []


def test_a_file_has_no_versions_since_its_digest_shows_every_edit(tmp_path):
    with EXPORTS.started(tmp_path) as place, EXPORTS.opened(place) as source:
        wanted = EXPORTS.wanted(contacts())
        assert {part.versions for part in source.records(wanted)} == {()}
        assert list(source.versions(wanted)) == []
