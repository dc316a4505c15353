"""A mapping is compared with the database that it is for."""

from __future__ import annotations

import pytest

from nexus_reimport import PACKAGE, record, runbook
from nexus_reimport import settings as environments
from nexus_reimport.errors import MappingError
from support.clinic import Clinic

SHIPPED = PACKAGE / "mappings" / "nexus.toml"


def test_what_the_database_does_not_have_is_told_at_once_and_before_filemaker_is_read(
    clinic: Clinic,
) -> None:
    changes = [
        ('table = "clinics", match = "filemaker_id"', 'table = "clinics", match = "fm_id"'),
        ('model = "appointments.appointment"', 'model = "appointments.visit"'),
        ('column = "status", was = "scheduled"', 'column = "state", was = "scheduled"'),
        ('column = "end_time", past = "completed"', 'column = "ends", past = "completed"'),
        ('also = ["s3_thumbnail_key"]', 'also = ["thumbnail"]'),
        ('object = "object_id" }\nactive', 'object = "subject" }\nactive'),
        (
            'table = "xero_sync_logs"\nobject = "local_entity_id"',
            'table = "xero_logs"\nobject = "local_entity_id"',
        ),
        ('content_type = "from_content_type_id"', 'content_type = "from_type"'),
        ('where_any = ["coordinator_name", "plan', 'where_any = ["coordinator", "plan'),
        ('"patient_id.first_name"]', '"patient_id.given"]'),
        ('archived = "archived"', 'archived = "gone"'),
        ('"completed", past = "end_time"', '"completed", past = "notes"'),
        ('column = "reminder_date", past', 'column = "status", past'),
        ('start = "start_time", end', 'start = "clinic_id", end'),
        ('future = "start_time"\n', 'future = "starts"\n'),
        ('clinician = "clinician_id", type', 'clinician = "clinician", type'),
        ('auth_user = ["last_login"]', 'auth_user = ["last_seen"]'),
        ('"filemaker_metadata.area" =', '"notes.area" ='),
        ('active = "is_active"\nexported', 'active = "category"\nexported'),
        ('_id"\nactive = "is_active"', '_id"\nactive = "last_synced_at"'),
        (
            'last_name = { from = "nameLast" }',
            'id = { from = "id" }\nlast_name = { from = "nameLast" }',
        ),
    ]
    text = SHIPPED.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    (clinic.folder / "own.toml").write_text(text)
    clinic.edit("sandbox-dev", 'mapping = "nexus"', 'mapping = "own.toml"')
    before = clinic.state()
    with pytest.raises(MappingError) as told:
        runbook.begin("sandbox-dev")
    assert not record.every(environments.load("sandbox-dev"))
    said = str(told.value)
    for place, what in (
        ("entities.patients.columns.clinic_id.lookup.0", "clinics: no column fm_id"),
        ("entities.appointments.model", "django_content_type has no appointments.visit"),
        ("entities.appointments.overrides.0.column", "appointments: no column state"),
        ("entities.appointments.new.status.column", "appointments: no column ends"),
        ("attachments.images.file", "images_image: no column thumbnail"),
        ("attachments.documents.link.object", "documents_document: no column subject"),
        (
            "external_ids.xero_contacts.active",
            "the type of xero_contact_links.last_synced_at is timestamp with time zone, and a"
            " boolean column is needed",
        ),
        (
            "attachments.documents.active",
            "the type of documents_document.category is character varying(100)",
        ),
        ("references.6.object", "no table xero_logs; did you mean xero_sync_logs?"),
        ("references.2.content_type", "contact_relationships: no column from_type"),
        (
            "by_hand.plan_dates.where_any",
            "patients: no column coordinator; did you mean coordinator_",
        ),
        ("by_hand.appointments.show", "patients: no column given"),
        ("application.archived", "patients: no column gone"),
        ("by_hand.appointments.future", "appointments: no column starts"),
        (
            "entities.appointments.overrides.0.past",
            "the type of appointments.notes is text, and a date or a time is needed",
        ),
        ("entities.reminders.new.status.column", "the type of reminders.status is character vary"),
        ("application.calendar.start", "the type of appointments.clinic_id is uuid"),
        ("application.calendar.clinician", "appointments: no column clinician"),
        ("volatile.auth_user", "auth_user: no column last_seen"),
        ('entities.patients.columns."notes.area"', "its type is text, and a JSON column is needed"),
        (
            "entities.patients.columns.id",
            "is the primary key: a row keeps its key, a new row gets one",
        ),
    ):
        assert any(
            f", {place}: {what}" in line and line.lstrip().startswith("line ")
            for line in said.splitlines()
        ), f"{place}\n{said}"
    assert f"{len(changes)} problems" in said
    assert clinic.state() == before
