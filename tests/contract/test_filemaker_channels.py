"""The whole mapping read by each channel: the same values, and the same stops."""

from __future__ import annotations

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import convert, mapping
from nexus_reimport.errors import MappingError, SourceError
from nexus_reimport.filemaker.channels import Channels
from nexus_reimport.files import rowfile
from nexus_reimport.model import KEY
from nexus_reimport.settings import FileMaker
from nexus_reimport.settings.values import FromEnvironment
from nexus_reimport.stages import snapshot
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import Field
from nexus_sandbox.filemaker.simulator import Simulator
from support.untouched import filemaker_of

PASSWORD = "a made-up password of the simulator"
ONLY_ODATA = ("API_Notes", "API_Messages")
ZONE = ZoneInfo("Australia/Sydney")
CONVERTERS = {
    "date": convert.iso_date,
    "timestamp": lambda text: convert.timestamp(text, ZONE),
    "time": lambda text: convert.duration(text) if text else None,
    "number": convert.flag,
    "text": convert.paragraphs,
}


@pytest.fixture(scope="module")
def shipped():
    return mapping.load("nexus")


@pytest.fixture
def simulator(made_up):
    tables = filemaker_of(made_up)
    with Simulator(tables, password=PASSWORD, only_odata=ONLY_ODATA) as running:
        yield running


def take(simulator, shipped, folder, **place):
    filemaker = FileMaker(
        database="WalkClinic",
        url=simulator.url,
        user="nexus_reader",
        password=FromEnvironment(PASSWORD),
        **place,
    )
    folder.mkdir()
    with Channels(filemaker, shipped) as channels:
        return snapshot.take(channels, shipped, folder, page=100)


def values(taken, shipped, folder):
    """Source -> its rows, as the plan gets them."""

    def row(found, fields):
        return {n: CONVERTERS[fields[n].type](text or "") for n, text in found.items() if n != KEY}

    return {
        name: [
            row(found, shipped.sources[name].fields)
            for found in rowfile.read_dicts(folder, extract.file)
        ]
        for name, extract in taken.extracts.items()
    }


def test_both_channels_give_the_same_snapshot(made_up, shipped, tmp_path):
    read = {}
    for channel in ("data_api", "odata"):
        with Simulator(made_up.filemaker, password=PASSWORD) as simulator:
            taken = take(simulator, shipped, tmp_path / channel, channel=channel)
            assert {extract.channel for extract in taken.extracts.values()} == {channel}
            assert {e.newest for e in taken.extracts.values()} != {""}
        newest = {name: extract.newest for name, extract in taken.extracts.items()}
        read[channel] = newest, values(taken, shipped, tmp_path / channel)
    assert read["odata"][0] == read["data_api"][0]
    assert read["odata"][1].keys() == read["data_api"][1].keys()
    for name, rows in read["odata"][1].items():
        assert rows == read["data_api"][1][name], name


def test_tables_without_a_layout_are_read_by_odata_and_the_others_as_before(
    simulator, shipped, tmp_path
):
    with pytest.raises(MappingError, match="code 105: layout is missing: 'API_") as refused:
        take(simulator, shipped, tmp_path / "refused")
    assert 'channels = { notes = "odata" }' in refused.value.next
    by_odata = {name: "odata" for name, spec in shipped.sources.items() if spec.table in ONLY_ODATA}
    assert len(by_odata) == 2
    taken = take(simulator, shipped, tmp_path / "read", channels=by_odata)
    used = {name: extract.channel for name, extract in taken.extracts.items()}
    assert used == {name: by_odata.get(name, "data_api") for name in shipped.sources}
    assert {use.channel: use.product for use in taken.channels} == {
        "data_api": "FileMaker Data API Engine 20.3.2.205",
        "odata": "OData Engine 20.3.2",
    }
    assert all(
        e.count_at_start == e.rows == e.distinct_keys == e.count_at_end
        for e in taken.extracts.values()
    )


@pytest.mark.parametrize("channel", ["data_api", "odata"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            lambda path: faults.change_field(path, "API_Docs", Field("Type", "date")),
            "API_Docs.Type: is a date, the mapping expects a text",
        ),
        (
            lambda path: faults.change_field(
                path, "API_Docs", Field("id_Contact", "text", is_global=True)
            ),
            "API_Docs.id_Contact: a global field, one value for the whole file",
        ),
        (
            lambda path: faults.change_field(
                path, "API_Docs", Field("id_Contact", "text", is_summary=True)
            ),
            "API_Docs.id_Contact: a summary field, one value for all records",
        ),
        (
            lambda path: faults.remove_field(path, "API_Docs", "id_Contact"),
            "API_Docs: no field id_Contact",
        ),
    ],
    ids=["type", "global", "summary", "missing"],
)
def test_a_field_that_is_not_what_the_mapping_needs_stops_before_a_record_is_read(
    made_up, shipped, tmp_path, channel, fault, said
):
    described = r"layouts/API_Docs$" if channel == "data_api" else r"\$metadata"
    with Simulator(filemaker_of(made_up), password=PASSWORD) as simulator:
        simulator.faults.append(fault(described))
        with pytest.raises(MappingError) as stopped:
            take(simulator, shipped, tmp_path / channel, channel=channel)
        assert said in str(stopped.value)
        read = [path for _, path in simulator.requests if path.endswith(("/records", "/API_Docs"))]
        assert [path for path in read if "layouts/API_Docs" not in path] == []


@pytest.mark.parametrize("channel", ["data_api", "odata"])
def test_a_record_added_after_the_count_stops_and_names_all_three_numbers(
    made_up, shipped, tmp_path, channel
):
    path = r"API_Docs/records$" if channel == "data_api" else r"WalkClinic/API_Docs$"
    with Simulator(filemaker_of(made_up), password=PASSWORD) as simulator:
        simulator.faults.append(faults.delete_record(path, "API_Docs", 0, nth=2))
        with pytest.raises(SourceError, match=r"in FileMaker at the start, .* in the extract"):
            take(simulator, shipped, tmp_path / channel, channel=channel)


def test_two_layouts_of_one_name_stop_before_a_record_is_read(made_up, shipped, tmp_path):
    """FileMaker lets layouts share a name: one answers, which may be on another table."""

    def doubled(answer):
        body = json.loads(answer.body)
        body["response"]["layouts"] += [{"name": name} for name in ("API_Docs", "api_docs")]
        return replace(answer, body=json.dumps(body).encode())

    with Simulator(filemaker_of(made_up), password=PASSWORD) as simulator:
        simulator.faults.append(Fault(path="/layouts$", change=doubled, times=9))
        with pytest.raises(MappingError) as stopped:
            take(simulator, shipped, tmp_path / "read", channel="data_api")
        assert "API_Docs: 3 layouts have this name, and one of them answers" in str(stopped.value)
        assert "API_Images" not in str(stopped.value)
        assert not any(path.endswith("/records") for _, path in simulator.requests)
