"""Every channel, while records move: what was read is the truth, or the read stops."""

from __future__ import annotations

import pytest

from nexus_reimport.errors import SourceError
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.message import Reply
from support.every_channel import (
    DATA_API,
    every_channel,
    every_server,
    of_servers,
)
from support.small_filemaker import contacts

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
        "odata": "the order of 57 records changed while they were read",
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
        "odata": "the order of 57 records changed while they were read",
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
        "odata": "API_Contacts: a record came twice among 57",
        "exports": "1 row has the key of an earlier row, in line 58",
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
