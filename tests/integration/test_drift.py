"""What was done in FileMaker after it was read is told, whatever the clocks of computers say."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

import pytest

from nexus_reimport import runbook, runner, show
from nexus_reimport.errors import StopError
from nexus_reimport.model import Drift, Proposal
from nexus_reimport.runbook import execution
from nexus_sandbox.filemaker import faults
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import FileTable, Record
from nexus_sandbox.filemaker.message import Reply
from support.channels import read_by
from support.clinic import Clinic
from support.values import DEV, nexus_id, plan_of, rows

PAGES = {"data_api": "layouts/API_Contacts/records", "odata": "odata/v4/WalkClinic/API_Contacts"}
NOTHING = Drift({}, ())
LONG_AGO = "2019-01-01 00:00:00"


@pytest.fixture(params=PAGES)
def channel(clinic: Clinic, request: pytest.FixtureRequest) -> str:
    clinic.simulator.only_odata = ()
    read_by(clinic, f'channel = "{request.param}"', "page = 50")
    return str(request.param)


@pytest.mark.usefixtures("channel")
def test_where_the_environment_says_so_an_edit_closes_the_approval_and_nothing_is_written(
    clinic: Clinic,
) -> None:
    run = clinic.proposed().run
    path = clinic.folder / f"{DEV}.toml"
    path.write_text(f'{path.read_text()}\n[approval]\nfilemaker_edits = "stop"\n')
    book, before = runbook.resume(DEV, run.id), clinic.state()
    with pytest.raises(StopError, match="it is not known whether FileMaker was edited"):
        book.approve(rehearsed=True)
    assert book.drift() == NOTHING
    assert book.approve(rehearsed=True)
    with clinic.simulator.edit() as tables:
        tables["API_Contacts"].records[3].values["nameFirst"] = "Ada"
    (ended,) = runner.run([DEV], approve=book.run.load(Proposal).digest)
    assert "FileMaker was edited since it was read: contacts: 1 record edited" in ended.error
    assert f"(nexus-reimport run {DEV}): its plan will have these edits" in ended.error
    assert (ended.exit_code, clinic.state()) == (1, before)


def taken() -> runbook.Runbook:
    book = runbook.begin(DEV)
    book.snapshot()
    assert book.drift() == NOTHING
    return book


def swap(table: FileTable, number: int) -> None:
    """One record goes, another one comes: the count is the same."""
    gone = table.records.pop(number)
    last = max(record.record_id for record in table.records)
    table.records.append(Record(last + 1, 0, {**gone.values, "id": gone.values["id"] + "-2"}))


@pytest.mark.usefixtures("channel")
def test_each_record_is_told_by_what_was_done_to_it(clinic: Clinic) -> None:
    book = taken()
    with clinic.simulator.edit() as tables:
        for record in tables["API_Contacts"].records[3:5]:
            record.values |= {"nameFirst": "Ada", "modificationTimestamp": LONG_AGO}
        tables["API_Notes"].records.pop()
        swap(tables["API_event"], 7)
    assert book.drift() == Drift(
        {
            "contacts": "2 records edited",
            "notes": "1 record deleted",
            "events": "1 record added, 1 record deleted",
        },
        (),
    )


def test_an_edit_of_what_was_just_read_is_told_though_a_later_one_was_read(
    clinic: Clinic, channel: str
) -> None:
    records = clinic.simulator.tables["API_Contacts"].records
    in_order = sorted(range(len(records)), key=lambda n: str(records[n].values["id"]))
    edits = {in_order[0]: "2031-01-01 00:00:00", in_order[-1]: "2031-01-02 00:00:00"}
    for number, stamp in edits.items():
        values = {"nameFirst": "Ada", "modificationTimestamp": stamp}
        # Once FileMaker was asked how many there are, and for the first page.
        fault = faults.edit_record(PAGES[channel], "API_Contacts", number, values, nth=3)
        clinic.simulator.faults.append(fault)
    book = runbook.begin(DEV)
    assert book.snapshot().extracts["contacts"].newest == "2031-01-02 00:00:00"
    assert book.drift() == Drift({"contacts": "1 record edited"}, ())


@pytest.mark.usefixtures("channel")
def test_of_a_server_without_versions_the_newest_change_is_asked_and_this_is_said(
    clinic: Clinic,
) -> None:
    clinic.simulator.faults.append(Fault(path="", times=10_000, change=without_versions))
    book = runbook.begin(DEV)
    extracts = book.snapshot().extracts
    every = tuple(sorted(extracts))
    assert book.drift() == Drift({}, every)
    with clinic.simulator.edit() as tables:
        tables["API_Contacts"].records[0].values["modificationTimestamp"] = LONG_AGO
        tables["API_Contacts"].records[1].values["modificationTimestamp"] = "2031-01-01 00:00:00"
        tables["API_Notes"].records[0].values["modificationTimestamp"] = LONG_AGO
        tables["API_event"].records.pop()
    rows = extracts["events"].rows
    told = {"contacts": "a record was edited", "events": f"{rows} records then, {rows - 1} now"}
    assert book.drift() == Drift(told, every)
    assert f"Without versions of their records: {', '.join(every)}" in repr(
        show.drift(book.drift())
    )


@pytest.mark.parametrize("decision", ["keep", "completed"])
def test_what_is_over_since_the_plan_is_counted_before_it_is_written(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    clinic.edit(DEV, 'past_scheduled = "keep"', f'past_scheduled = "{decision}"')
    mine = [str(uuid.uuid4()).upper() for _ in range(3)]
    with clinic.simulator.edit() as tables:
        known = tables["API_Contacts"].records[0].values["id"]
        for number, day in enumerate(("2020-02-03", "2199-02-03", "2199-04-03")):
            values = {
                "id": mine[number],
                "id_Contact": known,
                "startDate": day,
                "startTime": "09:00:00",
                "endDate": day,
                "endTime": "09:30:00",
            }
            tables["API_event"].records.append(Record(90_000 + number, 0, values))
    # A row of Nexus's own, which FileMaker brings back: it is scheduled by its old value.
    carried = clinic.value(
        "SELECT filemaker_event_id::text FROM appointments WHERE status = 'scheduled'"
        " AND filemaker_event_id IS NOT NULL AND end_time < now() LIMIT 1"
    )
    with clinic.simulator.edit() as tables:
        record = next(
            r
            for r in tables["API_event"].records
            if str(r.values["id"]).lower() == carried and r.values.get("id_Contact")
        )
        record.values |= {"startDate": "2199-02-04", "endDate": "2199-02-04"}
    book = clinic.planned_of_filemaker()
    assert book.drift().overtaken == {}

    monkeypatch.setattr(execution, "datetime", At(datetime(2199, 3, 1, tzinfo=UTC)))
    drift = book.drift()
    over = {
        key
        for key, row in rows(book, "appointments").items()
        if row["status"] == "scheduled"
        and f"{plan_of(book).as_of:%Y-%m-%d}" < str(row["end_time"]) < "2199-03-01"
    }
    assert nexus_id(book, "appointments", mine[1]) in over
    assert nexus_id(book, "appointments", carried) in over
    was = {key for (key,) in clinic.rows("SELECT id::text FROM appointments")}
    # As it was in Nexus it stays, unless it is decided that what is over becomes completed.
    wanted = over if decision == "completed" else over - was
    assert drift.overtaken["appointments"] == len(wanted)
    assert book.run.load(Drift) == drift
    assert "Over since the plan was made: " in repr(show.drift(drift))


@dataclass(frozen=True)
class At:
    """A clock that stands."""

    time: datetime

    def now(self, zone: tzinfo) -> datetime:
        return self.time.astimezone(zone)


def without_versions(reply: Reply) -> Reply:
    body = reply.body.replace(b'"modId"', b'"other"').replace(b"RowVersion", b"Other")
    return replace(reply, body=body)
