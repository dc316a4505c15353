"""Three channels, one clinic: whichever way it is read, the plan is the same."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from nexus_reimport import checks, runbook, settings, show
from nexus_reimport.errors import MappingError, SettingsError, SourceError
from nexus_reimport.filemaker.channels import Channels
from nexus_reimport.intake import Intake
from nexus_reimport.model import Drift, LineState, Plan, Snapshot, Survey
from nexus_reimport.planning import plan
from nexus_reimport.runbook.opening import today
from nexus_reimport.stages import snapshot
from nexus_sandbox.clinic import generate
from nexus_sandbox.filemaker import exports, faults
from nexus_sandbox.filemaker.file import Record
from nexus_sandbox.filemaker.simulator import Simulator
from support.channels import DEV, EXPORTS, read_by
from support.clinic import PASSWORD, Clinic
from support.commands import command
from support.odd_clinic import make_odd

BY = 'channel = "data_api"\nchannels = { notes = "odata", messages = "odata" }'
CHANNELS = ("data_api", "odata", "exports")
LATENCY = 60  # milliseconds


@pytest.fixture
def surveyed(clinic: Clinic) -> runbook.Runbook:
    """A run whose survey is taken: all plans of a test are of one moment."""
    clinic.simulator.only_odata = ()
    exports.export(clinic.made_up.filemaker, clinic.folder.parent / "exports")
    book = runbook.begin(DEV)
    book.snapshot()
    book.census()
    book.survey_and_backup()
    return book


def plans(clinic: Clinic, surveyed: runbook.Runbook) -> dict[str, Plan]:
    """The plan by each channel."""
    survey, plans = surveyed.run.load(Survey), {}
    for channel in CHANNELS:
        read_by(clinic, f'channel = "{channel}"', EXPORTS)
        now = settings.load(DEV)
        with Channels(now.filemaker, surveyed.mapping) as channels:
            read = snapshot.take(channels, surveyed.mapping, surveyed.folder)
        assert {e.channel for e in read.extracts.values()} == {channel}
        assert [c.channel for c in read.channels] == [channel]
        intake = Intake(surveyed.mapping, read, survey, surveyed.folder)
        plans[channel] = plan.make(intake, now, as_of=survey.taken_at)
    return plans


def test_the_same_clinic_gives_the_same_plan_by_each_channel(
    clinic: Clinic, surveyed: runbook.Runbook
) -> None:
    made = plans(clinic, surveyed)
    assert sum(e.loaded for e in made["odata"].entities.values()) > 700
    assert len({one.digest for one in made.values()}) == 1


def test_odd_values_give_the_same_plan_by_each_channel_and_are_counted(
    clinic: Clinic, surveyed: runbook.Runbook
) -> None:
    with clinic.simulator.edit() as tables:
        make_odd(tables)
    folder = clinic.folder.parent / "exports"
    exports.export([*clinic.simulator.tables.values()], folder)
    made = plans(clinic, surveyed)
    told = {
        channel: {(m.column, m.reason): m.count for m in one.entities["patients"].misfits}
        for channel, one in made.items()
    }
    assert told["data_api"] == told["odata"] == told["exports"]
    assert told["odata"]["dob", "a date out of range"] == 4
    assert told["odata"]["dob", "a birth date in the future"] == 1
    assert len({one.digest for one in made.values()}) == 1


def test_each_table_may_come_by_a_channel_of_its_own_and_the_page_says_so(
    clinic: Clinic, surveyed: runbook.Runbook
) -> None:
    read_by(
        clinic,
        'channel = "data_api"\n'
        'channels = { notes = "odata", images = "exports", events = "exports" }',
        EXPORTS,
    )
    book = runbook.begin(DEV)
    read = book.snapshot()
    by = {name: e.channel for name, e in read.extracts.items()}
    assert (by["notes"], by["images"], by["events"], by["contacts"]) == (
        "odata",
        "exports",
        "exports",
        "data_api",
    )
    images = read.extracts["images"]
    assert images.origin is not None
    assert images.origin.name == "Image_DataV6.tab"
    page = repr(show.snapshot(read))
    for said in ("Exported files", "OData Engine", "Data API", images.origin.sha256, "odata"):
        assert said in page, said
    assert "Name_of_file" in images.unread


def test_an_old_file_is_told_and_one_that_is_replaced_is_noticed_before_the_execution(
    clinic: Clinic, surveyed: runbook.Runbook
) -> None:
    read_by(clinic, 'channel = "data_api"\nchannels = { images = "exports" }', EXPORTS)
    file = clinic.folder.parent / "exports" / "Image_DataV6.tab"
    long_ago = time.time() - 3 * 86_400
    os.utime(file, (long_ago, long_ago))
    book = runbook.resume(DEV, surveyed.run.id)
    book.snapshot()
    book.census()
    book.survey_and_backup()
    book.plan()
    report = book.check_before()
    old = next(r for r in report.results if r.check == "exported_files_are_of_the_day")
    assert old.sample == ("Image_DataV6.tab: 3 days old",)
    taken = book.run.load(Snapshot)
    images = taken.extracts["images"]
    assert images.origin is not None
    ahead = replace(images.origin, modified_at=taken.taken_at + timedelta(days=40))
    images = replace(images, origin=ahead)
    book.run.save(replace(taken, extracts={**taken.extracts, "images": images}))
    report = checks.run(book._before(), today=today(book.settings))
    later = next(r for r in report.results if r.check == "exported_files_are_of_the_day")
    assert later.sample == ("Image_DataV6.tab: 40 days ahead of this machine's clock",)
    book.run.save(taken)
    assert book.drift() == Drift({}, (), exported=("images",))
    content = file.read_bytes()
    file.write_bytes(content[: content.rindex(b"\r", 0, -1) + 1])
    edited = {"images": "the file was replaced or edited"}
    assert book.drift() == Drift(edited, (), exported=("images",))


def test_nothing_proves_that_an_exported_file_has_every_record_and_a_person_signs_for_it(
    clinic: Clinic, surveyed: runbook.Runbook
) -> None:
    """FileMaker exports what was found: of the other records a file tells nothing."""
    clinic.as_production()
    for by, files in ((BY, ()), ('channel = "exports"', clinic.made_up.filemaker)):
        read_by(clinic, by, EXPORTS)
        book = runbook.resume(DEV, surveyed.run.id)
        book.snapshot()
        book.census()
        book.survey_and_backup()
        book.plan()
        report = book.check_before()
        counted = next(
            r for r in report.results if r.check == "filemaker_itself_counted_every_table"
        )
        assert (counted.looked_at, counted.offending) == (13, len(files))
        (line,) = (one for one in book.sheet().lines if one.id == "S1")
        assert line.state is (LineState.OPEN if files else LineState.PROVEN)
        assert line.for_a_person is bool(files)
        if files:
            assert any(re.fullmatch(r"\S+: \d+ rows?", text) for text in counted.sample)


def test_a_run_that_an_exported_file_has_stopped_ends_with_the_code_of_what_is_to_correct(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was that of a failure, and the README promises another one for a file."""
    place = clinic.folder.parent / "exports"
    exports.export(clinic.made_up.filemaker, place)
    read_by(clinic, 'channel = "exports"', EXPORTS)
    file = min(place.glob("*.csv"))
    file.write_bytes(file.read_bytes() + b'"cut off')
    code, out, told = command(capsys, "run", DEV)
    assert (code, "the file ends inside quotes" in told) == (2, True), told
    assert "STOPPED, exit code 2: nothing was written" in out
    assert f"file={file.name}" in told
    assert "next:  export the table from FileMaker again" in told


def test_what_a_field_was_found_under_is_shown(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        table = tables["API_Contacts"]
        renamed = {"Health Number": "Health_Number"}
        fields = tuple(
            type(f)(
                renamed.get(f.name, f.name),
                f.type,
                f.is_global,
                f.is_calculation,
                f.repetitions,
                f.auto_enter,
                f.is_summary,
            )
            for f in table.fields
        )
        for record in table.records:
            record.values = {renamed.get(k, k): v for k, v in record.values.items()}
        tables["API_Contacts"] = type(table)(table.name, fields, table.records)
    page = repr(show.snapshot(runbook.begin(DEV).snapshot()))
    assert "Health Number" in page
    assert "Health_Number" in page


@pytest.mark.parametrize(
    ("lines", "more", "told"),
    [
        ('channel = "odbc"', "", "channel"),
        ('channel = "exports"', "", "exports is missing: it names the folder"),
        ('channel = "data_api"\nworkers = 5', "", "workers"),
        ('channel = "data_api"\npause = -1', "", "pause"),
        ('channel = "exports"', '[filemaker.exports]\nfolder = "x"\ndates = "d/m/yy"', "dates"),
    ],
)
def test_a_channel_without_its_place_is_refused_before_anything_is_read(
    clinic: Clinic, lines: str, more: str, told: str
) -> None:
    read_by(clinic, lines, more)
    with pytest.raises(SettingsError, match=told):
        runbook.begin(DEV)
    assert not clinic.simulator.requests


def test_a_table_that_is_not_enabled_for_the_data_api_is_named_with_what_to_do(
    clinic: Clinic,
) -> None:
    clinic.simulator.only_odata = ("API_Notes", "API_Messages")
    read_by(clinic, 'channel = "data_api"')
    with pytest.raises(MappingError, match=r"API_(Notes|Messages)"):
        runbook.begin(DEV).snapshot()
    read_by(clinic, BY)
    assert runbook.begin(DEV).snapshot().extracts["notes"].channel == "odata"


def test_the_first_failure_ends_the_reading_of_all_tables(clinic: Clinic) -> None:
    clinic.simulator.latency_ms = 300  # the larger tables would take more than a minute
    read_by(clinic, BY + "\npage = 1")
    clinic.simulator.faults.append(faults.code("API_event/records", 200, nth=3, times=99))
    began = time.monotonic()
    with pytest.raises(SourceError, match="code 200"):
        runbook.begin(DEV).snapshot()
    assert time.monotonic() - began < 45, "the other tables are not read to their ends"


def test_an_interrupt_ends_the_reading_of_all_tables(clinic: Clinic) -> None:
    clinic.simulator.latency_ms = 300  # the larger tables would take more than a minute
    read_by(clinic, BY + "\npage = 1")
    book = runbook.begin(DEV)
    # a shell that starts the tests in the background lets them ignore it
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            book.snapshot()
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert time.monotonic() - began < 45


@pytest.fixture(scope="module")
def slow() -> Iterator[Simulator]:
    """The made-up clinic behind a wait for each page."""
    with Simulator(generate(0.03).filemaker, password=PASSWORD) as simulator:
        simulator.latency_ms = LATENCY
        yield simulator


def sequential(simulator: Simulator, tables: dict[str, str], page: int) -> int:
    """Every page of every table, one after the other, as a plain loop reads them; the rows."""
    base = f"{simulator.url}/fmi/data/v1/databases/WalkClinic"
    rows = 0
    with requests.Session() as session:
        login = session.post(f"{base}/sessions", json={}, auth=("nexus_reader", PASSWORD))
        session.headers["Authorization"] = f"Bearer {login.json()['response']['token']}"
        for table, key in tables.items():
            offset, found = 1, 1
            sort = json.dumps([{"fieldName": key, "sortOrder": "ascend"}])
            while offset <= found:
                answer = session.get(
                    f"{base}/layouts/{quote(table, safe='')}/records",
                    params={"_offset": offset, "_limit": page, "_sort": sort, "dateformats": 2},
                ).json()["response"]
                found = answer["dataInfo"]["foundCount"]
                offset += len(answer["data"])
                rows += len(answer["data"])
    return rows


def test_reading_is_at_least_three_times_as_fast_as_a_plain_loop(
    slow: Simulator, clinic: Clinic, tmp_path: Path
) -> None:
    mapping = runbook.begin(DEV).mapping
    place = settings.load(DEV).filemaker
    place = place.model_copy(update={"url": slow.url, "channels": {}, "page": 10})
    tables = {spec.table: spec.key[0] for spec in mapping.sources.values()}
    ratios = []
    for doubled in range(6):  # where the machine is busy, a longer wait outweighs its work
        slow.latency_ms = LATENCY << doubled
        began = time.monotonic()
        rows = sequential(slow, tables, place.page)
        plainly = time.monotonic() - began
        with Channels(place, mapping) as channels:
            read = snapshot.take(channels, mapping, tmp_path, page=place.page)
        assert sum(e.rows for e in read.extracts.values()) == rows
        ratios.append(plainly / read.seconds)
        if ratios[-1] >= 3:
            break
    slow.latency_ms = LATENCY
    assert max(ratios) >= 3, ratios


def test_a_weak_server_is_left_alone_before_each_page(slow: Simulator, clinic: Clinic) -> None:
    read_by(clinic, BY + "\npage = 100\npause = 0.05\nworkers = 1")
    read = runbook.begin(DEV).snapshot()
    pages = sum(max(1, -(-e.rows // 100)) for e in read.extracts.values())
    assert read.seconds >= 0.05 * pages


def test_memory_holds_some_pages_and_never_a_whole_table(clinic: Clinic, tmp_path: Path) -> None:
    rows, size = 20_000, 5_000
    mapping = runbook.begin(DEV).mapping
    long_text = "x" * size
    clinic.simulator.only_odata = ()
    with clinic.simulator.edit() as tables:
        notes = tables["API_Notes"]
        notes.records[:] = [Record(n, 0, {"id": f"{n:08}", "Note": long_text}) for n in range(rows)]
    place = settings.load(DEV).filemaker.model_copy(update={"channels": {}})
    with Channels(place, mapping) as channels:
        # what is loaded once for all reading is no page
        snapshot.take(channels, mapping, tmp_path / "first", sources=("letters",), page=200)
        tracemalloc.start()
        try:
            read = snapshot.take(channels, mapping, tmp_path, sources=("notes",), page=200)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert read.extracts["notes"].rows == rows
    assert peak < rows * size / 2, f"{peak:,} bytes"
