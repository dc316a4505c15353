"""F1 to F5: each field that FileMaker must hold is asked for by name, and reaches its column."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from nexus_reimport import runbook
from nexus_reimport.errors import MappingError
from nexus_sandbox.filemaker.file import Record
from support.clinic import Clinic, planned
from support.stops import without_field
from support.values import DEV, nexus_id, rows, shared

PATIENT = {  # F1, F2; the names are FileMaker's
    "title": "Dr.",
    "nameFirst": "Wendelgard",
    "nameLast": "Ostropol",
    "DOB": "1961-02-28",
    "gender": "female",
    "Health Number": "0123 45678 9",
    "Clinic_Name": "",
    "_kf_XeroContactID": "b7d1c1a0-0000-4000-8000-000000000007",
    "Funding": "",
    "NDIS Coordinator Name": "Quirrenbach - Care Ltd",
    "NDIS Plan Start Date": "2025-07-01",
    "NDIS Plan End Date": "2026-06-30",
}
CONTACT = ("type", "ph", "Name", "address 1", "address 2", "suburb", "state", "post code")  # F3
NEEDED = {
    "API_Contacts": ("id", "id_Clinic", *PATIENT),
    "API_Contact_Details": ("id.key", *CONTACT),
    "API_event": ("id", "id_Contact", "idCal", "startDate", "startTime", "endTime", "note"),
    "API_Docs": ("id", "id_Contact", "Type", "NexusExportDate"),
    "API_Images": ("id", "id_Contact", "Type", "NexusExportDate"),
}


def test_every_field_that_the_checklist_names_is_asked_for_by_name(clinic: Clinic) -> None:
    for table, fields in NEEDED.items():
        for field in fields:
            without_field(clinic, table, field)
    with pytest.raises(MappingError) as stopped:
        runbook.begin(DEV).snapshot()
    told = str(stopped.value)
    for table, fields in NEEDED.items():
        for field in fields:
            assert f"{table}: no field {field}" in told


def put(clinic: Clinic, table: str, values: dict[str, Any]) -> None:
    with clinic.simulator.edit() as tables:
        records = tables[table].records
        records.append(Record(900_000 + len(records), 0, values))


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "known"])
def test_every_field_of_a_patient_reaches_its_column(clinic: Clinic, *, is_new: bool) -> None:
    place, key_of_place = clinic.rows("SELECT name, id::text FROM clinics ORDER BY id")[-1]
    funding, key_of_funding = clinic.rows("SELECT name, id::text FROM funding_sources ORDER BY 1")[
        0
    ]
    fed = {**PATIENT, "Clinic_Name": place, "id_Clinic": "", "Funding": funding}
    (known,) = shared(clinic, 1)
    fid = str(uuid.uuid4()).upper() if is_new else str(known.values["id"])
    if is_new:
        put(clinic, "API_Contacts", {**known.values, **fed, "id": fid})
    else:
        with clinic.simulator.edit() as tables:
            known.values.update(fed)
            details = tables["API_Contact_Details"].records
            details[:] = [one for one in details if one.values.get("id.key") != fid]
    for kind, value, label in (
        ("Phone", "02 5550 1234", "Home"),
        ("Mobile", "0491 570 156", "Own"),
        ("Email", "w.ostropol@postkorb.example", "Work"),
    ):
        one = {"id": str(uuid.uuid4()).upper(), "id.key": fid, "type": kind, "Name": label}
        put(clinic, "API_Contact_Details", {**one, "ph": value})
    lines = ("1 Long Rd", "Unit 7", "Smalltown", "NSW", "0812")
    address = dict(zip(CONTACT[3:], lines, strict=True))
    one = {"id": str(uuid.uuid4()).upper(), "id.key": fid, "type": "Address", "Name": "Home"}
    put(clinic, "API_Contact_Details", {**one, **address})

    book = clinic.planned_of_filemaker()
    row = rows(book, "patients")[nexus_id(book, "patients", fid)]
    expected = {
        "title": "Dr",
        "first_name": "Wendelgard",
        "last_name": "Ostropol",
        "dob": "1961-02-28",
        "sex": "F",
        "health_number": "0123 45678 9",
        "clinic_id": key_of_place,
        "funding_type_id": key_of_funding,
        "coordinator_name": "Quirrenbach - Care Ltd",
        "plan_start_date": "2025-07-01",
        "plan_end_date": "2026-06-30",
        "ndis_plan_start_date": "2025-07-01",
        "ndis_plan_end_date": "2026-06-30",
    }
    assert {name: row[name] for name in expected} == expected
    metadata = json.loads(row["filemaker_metadata"] or "")
    assert metadata["filemaker_id"].lower() == fid.lower()
    assert metadata["xero_contact_id"] == PATIENT["_kf_XeroContactID"]
    contact = json.loads(row["contact_json"] or "")
    phones = {(p["type"], p["number"], p["phone"], p["label"]) for p in contact["phones"]}
    assert phones >= {
        ("phone", "02 5550 1234", "02 5550 1234", "Home"),
        ("mobile", "0491 570 156", "0491 570 156", "Own"),
    }
    emails = {(e["address"], e["label"]) for e in contact["emails"]}
    assert ("w.ostropol@postkorb.example", "Work") in emails
    held = json.loads(row["address_json"] or "")["addresses"]
    names = ("line1", "line2", "suburb", "state", "postcode")
    assert lines in {tuple(one[name] for name in names) for one in held}


@pytest.mark.parametrize("status", ["scheduled", "completed", "cancelled"])
def test_every_field_of_an_appointment_reaches_its_column_and_nexus_s_own_stay(
    clinic: Clinic, status: str
) -> None:
    """FileMaker has no clinician, no type and no status: Nexus keeps its own (F4, X4)."""
    (event, key, was) = next(
        (one, *held)
        for one in clinic.simulator.tables["API_event"].records
        for held in clinic.rows(
            "UPDATE appointments SET status = %s WHERE upper(filemaker_event_id::text) = %s AND"
            " clinician_id IS NOT NULL AND appointment_type_id IS NOT NULL RETURNING id::text,"
            " ARRAY[clinician_id::text, appointment_type_id::text]",
            "dev",
            status,
            str(one.values["id"]).upper(),
        )
    )
    (person,) = shared(clinic, 1)
    place = clinic.rows(
        "SELECT filemaker_id::text, id::text FROM clinics WHERE filemaker_id IS NOT NULL"
        " ORDER BY id"
    )[-1]
    at = {"startDate": "2031-07-01", "startTime": "09:15:00", "endTime": "10:05:00"}
    with clinic.simulator.edit():
        event.values.update(at, endDate="", note="bring\rold shoes", idCal=place[0].upper())
        event.values["id_Contact"] = person.values["id"]
    book = planned()
    row = rows(book, "appointments")[key]
    assert row["patient_id"] == nexus_id(book, "patients", person.values["id"])
    expected = {
        "filemaker_event_id": str(event.values["id"]).lower(),
        "clinic_id": place[1],
        "start_time": "2031-06-30 23:15:00+00",
        "end_time": "2031-07-01 00:05:00+00",
        "notes": "bring\nold shoes",
        "status": status,
    }
    assert {name: row[name] for name in expected} == expected
    assert [row["clinician_id"], row["appointment_type_id"]] == was
