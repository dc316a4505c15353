"""Hazards of this source that strike the whole way; and docs/hazards.md is true."""

from __future__ import annotations

import ast
import re
import uuid

import pytest

from nexus_reimport import CHECKOUT, runbook
from nexus_reimport.errors import StopError
from nexus_reimport.model import Account, Report
from nexus_reimport.nexus.structure.tables import Role
from nexus_sandbox.filemaker.file import Record
from support.clinic import Clinic, planned
from support.values import DEV, change, misfits, nexus_id, plan_of, rows, shared

ROOT = CHECKOUT
HAZARDS = {f"H{n}" for n in (*range(1, 15), *range(20, 38), *range(40, 45), *range(50, 56))}


def checked(clinic: Clinic) -> tuple[runbook.Runbook, Report]:
    book = clinic.planned_of_filemaker()
    return book, book.check_before()


def account(book: runbook.Runbook, source: str) -> Account:
    return next(a for a in plan_of(book).accounts if a.source == source)


@pytest.mark.parametrize(
    ("table", "field", "told"),
    [
        ("API_Contact_Details", "id.key", "contact_details: 0 of"),
        ("API_Notes", "id_Key", "notes.id_Key: 0 of"),
        ("API_event", "id_Contact", "events.id_Contact: 0 of"),
    ],
)
def test_a_link_that_finds_nobody_stops_and_is_never_taken_for_no_data(
    clinic: Clinic, table: str, field: str, told: str
) -> None:
    before = clinic.state()
    with clinic.simulator.edit() as tables:
        for record in tables[table].records:
            if record.values.get(field):
                record.values[field] = str(uuid.uuid4()).upper()
    book, report = checked(clinic)
    found = next(r for r in report.results if r.check == "links_between_tables_resolve")
    assert found.blocks
    assert any(told in line for line in found.sample), found.sample
    with pytest.raises(StopError, match="links_between_tables_resolve"):
        book.rehearse()
    assert clinic.state() == before


def test_an_export_flag_is_reported_and_the_bucket_is_believed(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        for record in tables["API_Docs"].records:
            record.values["NexusExportDate"] = "10/11/2025"
    clinic.do(
        "UPDATE documents_document SET s3_key = 'nowhere/' || id WHERE id = (SELECT min(id::text)"
        "::uuid FROM documents_document WHERE filemaker_id IS NOT NULL)"
    )
    report = planned().check_before()
    by_name = {r.check: r for r in report.results}
    assert by_name["documents_carry_an_export_date"].offending == 0
    assert by_name["every_file_is_in_s3"].offending > 0, "flags say exported, S3 has not got it"


def test_an_empty_birth_date_is_counted_and_no_error(clinic: Clinic) -> None:
    change(clinic, shared(clinic, 5), DOB="")
    book, report = checked(clinic)
    assert not report.blocking
    (dob,) = [c for c in plan_of(book).entities["patients"].changes if c.column == "dob"]
    assert dob.kept >= 5, "Nexus's date stays where FileMaker has none"
    assert not [m for m in misfits(book, "patients") if m[0] == "dob"]


def test_what_is_no_record_of_a_patient_is_left_out_by_name_and_counted(clinic: Clinic) -> None:
    tables = clinic.simulator.tables
    blocks = sum(not r.values.get("id_Contact") for r in tables["API_event"].records)
    silent = sum(not str(r.values.get("Note", "")).strip() for r in tables["API_Notes"].records)
    nameless = sum(
        not (r.values.get("nameFirst") or r.values.get("nameLast"))
        for r in tables["API_Contacts"].records
    )
    book = clinic.planned()
    assert account(book, "events").left_out["without_patient"] == blocks > 0
    assert account(book, "notes").left_out["empty_note"] == silent > 0
    assert account(book, "contacts").left_out["without_a_name"] == nameless > 0


def test_what_filemaker_does_not_hold_of_an_appointment_is_kept_or_told(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        known = tables["API_Contacts"].records[0].values["id"]
        owners = {
            r.values["id"] for r in tables["API_Contacts"].records if r.values.get("nameLast")
        }
        event = next(
            r
            for r in tables["API_event"].records
            if r.values.get("id_Contact") in owners and r.values.get("startDate")
        )
        event.values["idCal"] = "no such calendar"
        made = {}
        for name, day in (("past", "2020-02-03"), ("future", "2199-02-03")):
            made[name] = str(uuid.uuid4()).upper()
            values = {
                "id": made[name],
                "id_Contact": known,
                "startDate": day,
                "startTime": "09:00:00",
                "endDate": day,
                "endTime": "09:30:00",
            }
            tables["API_event"].records.append(Record(90_000 + len(made), 0, values))
    book = clinic.planned_of_filemaker()
    assert misfits(book, "appointments")["clinic_id", "names no row of clinics"].count >= 1
    appointments = rows(book, "appointments")
    assert appointments[nexus_id(book, "appointments", made["past"])]["status"] == "completed"
    assert appointments[nexus_id(book, "appointments", made["future"])]["status"] == "scheduled"
    was = dict(clinic.rows("SELECT id::text, clinician_id::text FROM appointments"))
    assert any(was.values())
    assert all(appointments[k]["clinician_id"] == c for k, c in was.items() if k in appointments)


def test_an_id_that_is_no_uuid_names_a_row_in_a_namespace_of_its_own(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        table = tables["API_Contacts"]
        values = {**table.records[0].values, "id": "Old 1234", "nameLast": "Numbered"}
        table.records.append(Record(91_000, 0, values))
    book = clinic.planned_of_filemaker()
    key = str(uuid.uuid5(book.mapping.namespace, "patients:Old 1234"))
    row = rows(book, "patients")[key]
    assert row["last_name"] == "Numbered"
    assert '"filemaker_id": "Old 1234"' in (row["filemaker_metadata"] or "")


def test_names_repeat_and_people_match_by_id_alone_while_clinics_fold(clinic: Clinic) -> None:
    first, second, third = shared(clinic, 3)
    change(clinic, [first, second], nameFirst="Same", nameLast="Name", DOB="1960-02-03")
    place = clinic.value("SELECT min(name) FROM clinics")
    change(clinic, [third], id_Clinic="", Clinic_Name=f" {place.upper().replace(' ', '  ')} ")
    book = clinic.planned_of_filemaker()
    keys = {nexus_id(book, "patients", r.values["id"]) for r in (first, second)}
    assert len(keys) == 2
    patients = rows(book, "patients")
    assert {patients[k]["last_name"] for k in keys} == {"Name"}
    wanted = clinic.value("SELECT id::text FROM clinics WHERE name = %s", "dev", place)
    assert patients[nexus_id(book, "patients", third.values["id"])]["clinic_id"] == wanted


def test_everything_that_was_read_is_on_the_disk_before_anything_is_planned(clinic: Clinic) -> None:
    book = runbook.begin(DEV)
    book.snapshot()
    clinic.simulator.stop()
    book.census()
    book.survey_and_backup()
    made = book.plan()
    assert sum(e.loaded for e in made.entities.values()) > 700
    assert Role.WIPED in {t.role for t in book._before().survey.tables.values()}


def test_ids_that_are_not_in_the_place_that_the_mapping_declares_stop_the_run(
    clinic: Clinic,
) -> None:
    """Once they were in the patients' notes, as JSON: no patient would have been recognised."""
    clinic.do(
        "UPDATE patients SET notes = filemaker_metadata::text, filemaker_metadata = '{}'"
        " WHERE filemaker_metadata ? 'filemaker_id'"
    )
    before = clinic.state()
    book = planned()
    report = book.check_before()
    assert "rows_are_recognised" in {r.check for r in report.blocking}
    with pytest.raises(StopError, match="rows_are_recognised"):
        book.rehearse()
    assert clinic.state() == before


# ---------------------------------------------------------------- docs/hazards.md


def table() -> dict[str, list[str]]:
    """Hazard -> the tests that hold it."""
    found = {}
    for line in (ROOT / "docs" / "hazards.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"H\d+", cells[0]):
            found[cells[0]] = re.findall(r"`(test_\w+)`", cells[-1])
    return found


def known_tests() -> set[str]:
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_hazard_has_a_test_that_exists() -> None:
    assert table().keys() == HAZARDS
    assert [hazard for hazard, tests in table().items() if not tests] == []
    assert {test for tests in table().values() for test in tests} - known_tests() == set()
