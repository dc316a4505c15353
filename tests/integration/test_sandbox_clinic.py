"""The made-up clinic: its sizes, its keys, how its two sides match, and what must not leak."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.types.json import Jsonb

from nexus_reimport.errors import SandboxError
from nexus_sandbox.clinic import Clinic, generate
from nexus_sandbox.filemaker.file import FileTable
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.stack import fill

FILEMAKER = {
    "API_Contacts": 2_845,
    "API_Contact_Details": 10_688,
    "API_event": 15_127,
    "API_calendar": 10,
    "API_Notes": 11_408,
    "API_Messages": 5_352,
    "API_Replies": 1_035,
    "@Letters": 10,
    "@ Dates to Connect": 118,
    "API_Docs": 11_269,
    "API_Images": 6_664,
    "API_Clinic_Name": 11,
    "API_Funding_Sources": 8,
}
FIELDS = {
    "API_Contacts": 80,
    "API_Contact_Details": 28,
    "API_event": 39,
    "API_calendar": 18,
    "API_Notes": 12,
    "API_Messages": 40,
    "API_Replies": 21,
    "@Letters": 19,
    "@ Dates to Connect": 13,
    "API_Docs": 15,
    "API_Images": 33,
    "API_Clinic_Name": 14,
    "API_Funding_Sources": 9,
}
PROD = {
    "patients": 2_867,
    "appointments": 9_830,
    "encounters": 40,
    "notes": 11_210,
    "letters_patientletter": 120,
    "reminders": 80,
    "documents_document": 10_390,
    "images_batch": 1_691,
    "images_image": 6_609,
    "patient_referrers": 1_705,
    "patient_coordinators": 247,
    "companies": 93,
    "referrers": 228,
    "referrer_companies": 63,
    "contact_relationships": 60,
    "xero_contact_links": 760,
    "xero_invoice_links": 900,
    "xero_quote_links": 200,
    "xero_sync_logs": 700,
    "sent_emails": 600,
    "appointment_types": 4,
}
OLDER = {"patients": 5, "appointments": 84, "notes": 70, "documents_document": 65}

Row = dict[str, Any]


@pytest.fixture(scope="module")
def small() -> Clinic:
    return generate(0.02)


@pytest.fixture(scope="module")
def real() -> Clinic:
    return generate()


def rows(clinic: Clinic, table: str, environment: str = "prod") -> list[Row]:
    columns, found = clinic.nexus(environment)[table]
    return [dict(zip(columns, row, strict=True)) for row in found]


def records(clinic: Clinic, name: str) -> list[Row]:
    table = layout(clinic, name)
    empty = dict.fromkeys(table.value_names, "")
    return [{**empty, **record.values} for record in table.records]


def layout(clinic: Clinic, name: str) -> FileTable:
    return next(table for table in clinic.filemaker if table.name == name)


def filemaker_id(patient: Row) -> str:
    held = patient["filemaker_metadata"]
    return str((held.obj if held else {}).get("filemaker_id", "")).upper()


def folded(text: str) -> str:
    return " ".join(text.split())


# ------------------------------------------------------------------ sizes


def test_filemaker_has_the_real_size(real: Clinic) -> None:
    assert {table.name: len(table.records) for table in real.filemaker} == FILEMAKER
    assert {table.name: len(table.fields) for table in real.filemaker} == FIELDS
    contacts, events = records(real, "API_Contacts"), records(real, "API_event")
    assert sum(not c["nameFirst"] and not c["nameLast"] for c in contacts) == 3
    assert sum(bool(c["DOB"]) for c in contacts) == 2_433
    assert sum(bool(c["NDIS Coordinator Name"]) for c in contacts) == 247
    assert sum(bool(e["id_Contact"]) for e in events) == 9_835
    assert sum(not n["Note"] for n in records(real, "API_Notes")) == 193
    calendars = {c["id"] for c in records(real, "API_calendar")}
    assert sum(e["idCal"] not in calendars for e in events) == 1_492


def test_nexus_has_the_real_size_and_dev_is_behind(real: Clinic) -> None:
    prod, dev = real.nexus("prod"), real.nexus("dev")
    assert len(prod) == 57
    assert list(prod) == list(dev)
    assert {name: len(prod[name][1]) for name in PROD} == PROD
    assert {name: len(prod[name][1]) - len(dev[name][1]) for name in OLDER} == OLDER
    assert {str(row[0]) for row in dev["notes"][1]} < {str(row[0]) for row in prod["notes"][1]}


def test_patients_are_in_the_state_that_earlier_imports_left(real: Clinic) -> None:
    patients = rows(real, "patients")
    imported = [p for p in patients if filemaker_id(p)]
    assert len(imported) == 2_842
    assert sum(p["clinic_id"] is None for p in patients) == 86
    assert sum(p["archived"] for p in patients) == 71
    assert not any(p["funding_type_id"] for p in patients)
    shapes = Counter(
        frozenset(p["filemaker_metadata"].obj) & {"area", "import_source"} for p in imported
    )
    assert all(shapes[frozenset({key})] > 1_000 for key in ("area", "import_source"))
    kinds = Counter(type(p["contact_json"].obj.get("phones")) for p in imported)
    assert kinds[list] > 1_000
    assert kinds[type(None)] > 800


def test_appointments_are_in_the_state_that_earlier_imports_left(real: Clinic) -> None:
    appointments = rows(real, "appointments")
    assert sum(a["filemaker_event_id"] is not None for a in appointments) == 8_329
    assert sum(a["clinic_id"] is None for a in appointments) == 32
    assert sum(a["patient_id"] is None for a in appointments) == 20
    without = [a for a in appointments if a["clinician_id"] is None]
    assert len(without) == 1_496
    assert all(a["appointment_type_id"] is None for a in without)
    assert sum(a["appointment_type_id"] is None for a in appointments) == 1_496
    assert "no-show" in {a["status"] for a in appointments}


def test_every_kind_is_there_at_the_smallest_size() -> None:
    tiny = generate(0.01)
    assert all(table.records for table in tiny.filemaker)
    for environment in ("dev", "prod"):
        assert all(found for _, found in tiny.nexus(environment).values())


def test_a_scale_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(SandboxError, match=r"at 1500 times the real size"):
        generate(1500)


def test_the_same_seed_gives_the_same_clinic_and_another_seed_another(small: Clinic) -> None:
    again, other = generate(0.02), generate(0.02, seed=7)
    for name in ("patients", "appointments", "documents_document"):
        assert repr(settled(again, name)) == repr(settled(small, name))
        assert repr(settled(other, name)) != repr(settled(small, name))
    assert again.filemaker == small.filemaker
    assert again.canaries() == small.canaries()


def settled(clinic: Clinic, table: str) -> list[list[object]]:
    return [
        [value.obj if isinstance(value, Jsonb) else value for value in row]
        for row in clinic.nexus("dev")[table][1]
    ]


# ------------------------------------------------------------------ how the sides match


def test_patients_match_by_their_filemaker_id_but_for_those_that_have_vanished(
    real: Clinic,
) -> None:
    known = {c["id"] for c in records(real, "API_Contacts") if c["nameFirst"] or c["nameLast"]}
    held = [filemaker_id(p) for p in rows(real, "patients")]
    assert Counter(one in known for one in held if one) == {True: 2_830, False: 12}
    assert len(set(held) - {""}) == 2_842
    assert held.count("") == 25


def test_something_protected_points_at_every_vanished_patient(real: Clinic) -> None:
    known = {c["id"] for c in records(real, "API_Contacts")}
    patients = rows(real, "patients")
    vanished = {p["id"] for p in patients if filemaker_id(p) and filemaker_id(p) not in known}
    assert vanished <= {d["object_id"] for d in rows(real, "documents_document")}
    assert vanished <= {i["patient_id"] for i in rows(real, "xero_invoice_links")}
    assert vanished <= {c["patient_id"] for c in rows(real, "xero_contact_links")}


def test_appointments_match_by_event_id_or_by_patient_and_start(real: Clinic) -> None:
    patients = {filemaker_id(p): p["id"] for p in rows(real, "patients") if filemaker_id(p)}
    events = {UUID(e["id"]): e for e in records(real, "API_event") if e["id_Contact"]}
    starts = {(patients.get(e["id_Contact"]), start(e)) for e in events.values() if e["startDate"]}
    appointments = rows(real, "appointments")
    by_id = {a["filemaker_event_id"] for a in appointments} & events.keys()
    by_start = [
        a
        for a in appointments
        if a["filemaker_event_id"] is None and (a["patient_id"], a["start_time"]) in starts
    ]
    assert len(by_id) == 8_289
    assert len(by_start) == 1_195
    assert len({(a["patient_id"], a["start_time"]) for a in appointments if a["patient_id"]}) == (
        9_830 - 20
    )


def start(event: Row) -> datetime:
    hours, minutes, seconds = map(int, event["startTime"].split(":"))
    midnight = datetime.combine(date.fromisoformat(event["startDate"]), datetime.min.time())
    wall = midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return wall.replace(tzinfo=ZoneInfo("Australia/Sydney")).astimezone(UTC)


def test_times_are_durations_and_some_fall_into_the_hour_that_repeats(real: Clinic) -> None:
    events = records(real, "API_event")
    ends = Counter(e["endTime"] for e in events)
    assert ends["24:00:00"] > 1_000
    assert ends["25:30:00"] == 2
    assert sum(not e["endTime"] for e in events if e["id_Contact"] and e["startDate"]) == 16
    repeated = [e for e in events if e["startDate"] == "2024-04-07" and e["startTime"] < "03"]
    assert len([e for e in repeated if e["startTime"] >= "02"]) == 5


def test_notes_match_by_patient_and_folded_text_and_not_by_date(real: Clinic) -> None:
    patients = {filemaker_id(p): p["id"] for p in rows(real, "patients") if filemaker_id(p)}
    source = [(patients.get(n["id_Key"]), folded(n["Note"])) for n in records(real, "API_Notes")]
    wanted = Counter(pair for pair in source if pair[0] and pair[1])
    notes = rows(real, "notes")
    had = Counter((n["patient_id"], folded(n["content"])) for n in notes)
    assert (wanted & had).total() == 11_121
    assert max((wanted & had).values()) == 2  # the same text twice for one patient
    days = Counter(n["created_at"].date() for n in notes)
    assert days[date(2025, 11, 10)] >= 11_166


def test_texts_hold_what_breaks_a_load(real: Clinic) -> None:
    notes = "\n".join(n["content"] for n in rows(real, "notes"))
    lines = set(notes.split("\n"))
    assert {"\\N", "\\.", "Left\t27.5\tRight\t28"} <= lines
    assert "\N{ATHLETIC SHOE}" in notes
    assert "\r" not in notes
    assert any(n["Note"].endswith("\r") for n in records(real, "API_Notes"))


def test_documents_and_images_hang_right_wrong_and_on_nothing(real: Clinic) -> None:
    owners = {UUID(d["id"]): d["id_Contact"] for d in records(real, "API_Docs")}
    patients = {filemaker_id(p): p["id"] for p in rows(real, "patients") if filemaker_id(p)}
    live = set(patients.values()) | {p["id"] for p in rows(real, "patients")}
    found: Counter[str] = Counter()
    for document in rows(real, "documents_document"):
        owner = patients.get(owners.get(document["filemaker_id"], ""))
        found["own"] += document["filemaker_id"] is None
        found["unlinked"] += document["object_id"] is None
        if owner:
            found["right"] += document["object_id"] == owner
            found["wrong"] += document["object_id"] != owner and document["object_id"] in live
            found["orphaned"] += bool(document["object_id"]) and document["object_id"] not in live
    assert found == {"own": 200, "unlinked": 8, "right": 10_108, "wrong": 6, "orphaned": 40}


def test_the_images_of_a_batch_are_of_one_patient_and_known_by_their_number(real: Clinic) -> None:
    owners = {str(i["recid"]): i["id_Contact"] for i in records(real, "API_Images")}
    batches: dict[UUID, set[str]] = {}
    unknown = 0
    for image in rows(real, "images_image"):
        assert image["filemaker_id"] is None
        number = re.fullmatch(r"filemaker-import/images-bulk-dump/(\d+)\.jpg", image["s3_key"])
        if number and number[1] in owners:
            batches.setdefault(image["batch_id"], set()).add(owners[number[1]])
        unknown += number is not None and number[1] not in owners
    assert len(batches) == 1_652
    assert unknown > 9
    assert all(len(found) == 1 for found in batches.values())


def test_dev_has_its_own_content_types_and_bucket(small: Clinic) -> None:
    kinds = {}
    for environment in ("dev", "prod"):
        named = {
            (t["app_label"], t["model"]): t["id"]
            for t in rows(small, "django_content_type", environment)
        }
        kinds[environment] = named["patients", "patient"]
        documents = rows(small, "documents_document", environment)
        assert {d["s3_bucket"] for d in documents} == {f"walk-nexus-{environment}"}
        assert kinds[environment] in {d["content_type_id"] for d in documents}
        assert named["appointments", "appointment"] in {d["content_type_id"] for d in documents}
    assert kinds["dev"] != kinds["prod"]


# ------------------------------------------------------------------ the database and the files


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_it_fits_the_schema_with_all_its_constraints(
    postgres: PostgresServer, small: Clinic, environment: str
) -> None:
    name = f"fits_{environment}"
    tables = small.nexus(environment)
    fill.make_template(postgres.access, name, tables)
    postgres.create_database(f"{name}_copy", template=name, owner="nexus")
    with psycopg.connect(postgres.dsn(f"{name}_copy", "nexus")) as connection:
        for table, (_, found) in tables.items():
            count = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            assert count == (len(found),), table
    postgres.drop_database(f"{name}_copy")


def test_no_column_is_left_out_and_no_row_is_short(small: Clinic) -> None:
    for name, (columns, found) in small.nexus("prod").items():
        assert len(set(columns)) == len(columns), name
        assert {len(row) for row in found} == {len(columns)}, name


def test_every_row_has_its_object_but_for_a_few(real: Clinic) -> None:
    missing = {}
    for environment in ("dev", "prod"):
        stored = {one.key: one.content for one in real.objects(environment)}
        documents = rows(real, "documents_document", environment)
        images = rows(real, "images_image", environment)
        sized = {row["s3_key"]: row["file_size"] for row in (*documents, *images)}
        sized |= {i["s3_thumbnail_key"]: i["thumbnail_size"] for i in images if i["thumbnail_size"]}
        missing[environment] = sized.keys() - stored.keys()
        assert all(len(stored[k]) == size for k, size in sized.items() if k in stored)
        assert len(stored.keys() - sized.keys()) == 2
        assert len(set(stored.values())) == len(stored)
        assert all(60 <= len(content) <= 200 for content in stored.values())
    assert missing["dev"] == missing["prod"]
    assert len(missing["dev"]) == 8


# ------------------------------------------------------------------ what must not leak


def everything(clinic: Clinic) -> str:
    """All text on both sides, a value a line."""
    values = chain.from_iterable(
        chain.from_iterable(found)
        for environment in ("dev", "prod")
        for _, found in clinic.nexus(environment).values()
    )
    shown = [str(v.obj) if isinstance(v, Jsonb) else str(v) for v in values]
    for table in clinic.filemaker:
        shown += [str(value) for record in table.records for value in record.values.values()]
    return "\n".join(shown)


def test_every_name_number_and_address_of_a_person_is_a_canary(small: Clinic) -> None:
    said = {kind: set(values) for kind, values in small.canaries().items()}
    for one in (*rows(small, "patients"), *rows(small, "referrers"), *rows(small, "coordinators")):
        name = f"{one['first_name']} {one['last_name']}".strip()
        assert name in said["name"]
    for contact in records(small, "API_Contacts"):
        assert not contact["DOB"] or contact["DOB"] in said["birth_date"]
        assert not contact["Health Number"] or contact["Health Number"] in said["health_number"]
    for detail in records(small, "API_Contact_Details"):
        value = detail["ph"]
        known = said["email"] if "@" in value else said["phone"]
        assert value in ("", "none") or value in known
        assert not detail["address 1"] or detail["address 1"] in said["address"]
    for note in records(small, "API_Notes"):
        assert not note["Note"] or any(word in said["word"] for word in note["Note"].split())


def test_canaries_occur_and_nothing_else_looks_like_them(small: Clinic) -> None:
    text = everything(small)
    said = small.canaries()
    for kind in ("email", "address", "word", "record_number", "company"):
        assert all(value in text for value in said[kind]), kind
    assert all(value.strip() in text for value in said["name"] if " " not in value)
    assert all(len(value) >= 8 for values in said.values() for value in values)
    hexadecimal = re.compile(r"[0-9a-f-]+")
    assert not any(hexadecimal.fullmatch(name.casefold()) for name in said["name"])


def test_all_mail_goes_to_example_domains(small: Clinic) -> None:
    found = re.findall(r"[\w.+-]+@([\w.-]+)", everything(small))
    assert found
    assert all(domain.endswith(".example") for domain in found)
