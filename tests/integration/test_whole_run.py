"""What a run leaves: ids, links, what only Nexus knew; and a second run that changes nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import runbook
from nexus_reimport.checks import bucket
from nexus_reimport.errors import StopError
from nexus_reimport.model import Census, Plan, Proposal, Rehearsal, Report, Survey
from nexus_reimport.nexus.structure.tables import Role
from nexus_reimport.record import Verdict, anchor
from support.clinic import Clinic

PATIENTS = "SELECT id, filemaker_metadata->>'filemaker_id' FROM patients"
PROTECTED_LINKS = {
    "xero_contact_links": "patient_id",
    "xero_invoice_links": "patient_id, appointment_id",
    "xero_quote_links": "patient_id, appointment_id",
    "encounters": "patient_id, appointment_id",
    "patient_coordinators": "patient_id",
    "patient_referrers": "patient_id",
    "contact_relationships": "from_object_id, to_object_id",
    "sent_emails": "related_patient_id, related_appointment_id",
    "xero_sync_logs": "local_entity_id",
}


def stored(clinic: Clinic, bucket: str) -> list[tuple[Any, ...]]:
    """Each object of a bucket: its key, what it holds, and when it was written."""
    pages = clinic.s3.access.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    parts = ("Key", "ETag", "Size", "LastModified")
    return [tuple(one[p] for p in parts) for page in pages for one in page.get("Contents", ())]


@pytest.fixture
def ran(
    clinic: Clinic, rehearsed: Path
) -> Iterator[tuple[Clinic, runbook.Runbook, dict[str, Any]]]:
    """A whole run, and what was there before it."""
    before = {
        "patients": dict(clinic.rows(PATIENTS)),
        "appointments": {
            r[0]: r[1:]
            for r in clinic.rows(
                "SELECT id, clinician_id, appointment_type_id, filemaker_event_id, created_at"
                " FROM appointments"
            )
        },
        "links": {
            t: clinic.rows(f"SELECT id, {c} FROM {t} ORDER BY id")
            for t, c in PROTECTED_LINKS.items()
        },
        "own": {
            t: clinic.rows(f"SELECT t::text FROM {t} t ORDER BY id")
            for t in ("letters_patientletter", "reminders")
        },
        "uploads": clinic.rows(
            "SELECT id, object_id FROM documents_document WHERE filemaker_id IS NULL ORDER BY id"
        ),
        "archived": clinic.rows("SELECT id, archived_at FROM patients WHERE archived ORDER BY id"),
        "objects": {bucket: stored(clinic, bucket) for bucket in clinic.s3.access.buckets},
    }
    book = clinic.whole(rehearsed=rehearsed)
    return clinic, book, before


def test_the_run_leaves_what_it_promises(
    ran: tuple[Clinic, runbook.Runbook, dict[str, Any]],
) -> None:
    clinic, book, before = ran
    assert book.run.verdict() is Verdict.COMPLETE
    after = dict(clinic.rows(PATIENTS))
    moved = {i for i, f in before["patients"].items() if f and after.get(i) != f}
    assert moved == set(), "a patient that was there under a FileMaker id has another Nexus id"
    assert before["patients"].keys() <= after.keys()
    kinds = "SELECT DISTINCT jsonb_typeof(filemaker_metadata->'diabetes') FROM patients"
    assert {kind for (kind,) in clinic.rows(kinds) if kind} == {"number"}, "the text 0 means yes"
    now = {
        r[0]: r[1:]
        for r in clinic.rows(
            "SELECT id, clinician_id, appointment_type_id, filemaker_event_id, created_at"
            " FROM appointments"
        )
    }
    for key, (clinician, kind, event, created) in before["appointments"].items():
        assert now[key][:2] == (clinician, kind)
        assert now[key][3] == created
        assert event is None or now[key][2] == event
    for table, columns in PROTECTED_LINKS.items():
        rows = clinic.rows(f"SELECT id, {columns} FROM {table} ORDER BY id")
        assert rows == before["links"][table], table
    for table, rows in before["own"].items():
        there = {r[0] for r in clinic.rows(f"SELECT t::text FROM {table} t")}
        assert {r[0] for r in rows} <= there, table
    assert (
        clinic.rows(
            "SELECT id, object_id FROM documents_document WHERE filemaker_id IS NULL ORDER BY id"
        )
        == before["uploads"]
    )
    assert (
        clinic.rows("SELECT id, archived_at FROM patients WHERE archived ORDER BY id")
        == before["archived"]
    )
    for name, objects in before["objects"].items():
        assert stored(clinic, name) == objects, "none was moved, written or deleted"


def test_every_attachment_that_filemaker_can_place_hangs_on_its_patient(
    ran: tuple[Clinic, runbook.Runbook, dict[str, Any]],
) -> None:
    clinic, _, _ = ran
    patients = {f.lower(): str(i) for i, f in clinic.rows(PATIENTS) if f}
    owners = {
        str(r.values["id"]).lower(): str(r.values.get("id_Contact", "")).lower()
        for r in clinic.simulator.tables["API_Docs"].records
    }
    looked = 0
    for filemaker_id, object_id in clinic.rows(
        "SELECT filemaker_id, object_id FROM documents_document d JOIN django_content_type c"
        " ON c.id = d.content_type_id WHERE filemaker_id IS NOT NULL AND c.model = 'patient'"
    ):
        owner = patients.get(owners.get(str(filemaker_id), ""))
        if owner:
            looked += 1
            assert str(object_id) == owner
    assert looked > 100
    by_number = {
        str(r.values.get("recid", "")): str(r.values.get("id_Contact", "")).lower()
        for r in clinic.simulator.tables["API_Images"].records
    }
    images = 0
    for key, object_id in clinic.rows(
        "SELECT s3_key, object_id FROM images_image i JOIN images_batch b ON b.id = i.batch_id"
        " WHERE s3_key LIKE '%images-bulk-dump/%'"
    ):
        owner = patients.get(by_number.get(key.rsplit("/", 1)[1].split(".")[0], ""))
        if owner:
            images += 1
            assert str(object_id) == owner
    assert images > 50


def test_a_second_run_changes_nothing(clinic: Clinic) -> None:
    clinic.become(clinic.made_once("executed_once").template)
    before = clinic.state()
    _, book = clinic.executed_twice()
    assert clinic.state() == before
    plan = book.run.load(Plan)
    for entity in plan.entities.values():
        assert entity.new == 0, entity.entity
        assert sum(c.filled + c.different + c.cleared for c in entity.changes) == 0, entity.entity
    assert all(link.file.rows == 0 for link in plan.links.values())


def test_a_second_run_changes_only_what_filemaker_changed(clinic: Clinic) -> None:
    clinic.executed()
    before = clinic.state()
    with clinic.simulator.edit() as tables:
        note, gone = [r for r in tables["API_Notes"].records if r.values.get("Note")][:2]
        note.values["Note"] = "quite another text"
        tables["API_Notes"].records.remove(gone)
    clinic.whole(dry=True)
    after = clinic.state()
    assert {t for t in after if after[t] != before[t]} == {"notes"}
    assert clinic.value("SELECT count(*) FROM notes WHERE content = 'quite another text'") == 1
    assert after["notes"][0] == before["notes"][0], "edited in place, and the vanished one kept"


def test_purged_rows_go_and_what_is_pointed_at_stays(clinic: Clinic) -> None:
    for entity in ("patients", "notes", "letters", "appointments"):
        head = f"[decisions.{entity}]\n"
        clinic.edit(
            "sandbox-dev",
            head + 'not_in_filemaker = "keep"\nleft_out_by_rule = "keep"\nno_filemaker_id = "keep"',
            head + 'not_in_filemaker = "purge"\n'
            'left_out_by_rule = "purge"\nno_filemaker_id = "purge"',
        )
    with pytest.raises(StopError, match="no_more_is_purged_than_expected"):
        clinic.preflight()
    waiver = 'check = "no_more_is_purged_than_expected"\nat_most = 4\nreason = "meant so"\n'
    path = clinic.folder / "sandbox-dev.toml"
    text = f'{path.read_text()}\n[[waivers]]\n{waiver}who = "x"\nuntil = "2099-01-01"\n'
    path.write_text(text)
    book = clinic.preflight(dry=True)
    plan = book.run.load(Plan)
    assert plan.entities["letters"].purged > 0
    closed = sum(u.kept_by_closure for u in plan.entities["patients"].unmatched)
    assert closed > 0, "vanished patients with protected rows stay"
    book.approve(rehearsed=True)
    book.apply()
    report = book.verify()
    assert report.passed, report.blocking
    dangling = clinic.value(
        "SELECT count(*) FROM xero_invoice_links x LEFT JOIN patients p ON p.id = x.patient_id"
        " WHERE x.patient_id IS NOT NULL AND p.id IS NULL"
    )
    assert dangling == 0


def test_dev_and_then_prod_and_prod_not_without_dev(clinic: Clinic, rehearsed: Path) -> None:
    clinic.add_prod()
    book = clinic.preflight("sandbox-prod")
    with pytest.raises(StopError, match="sandbox-dev has no COMPLETE run"):
        book.approve(rehearsed=True)
    clinic.whole("sandbox-dev", rehearsed)
    book = clinic.preflight("sandbox-prod")
    digest = book.run.load(Proposal).digest
    book.approve(digest[:12])
    book.apply()
    assert book.verify().passed
    book.sign_off()
    seal = book.seal()
    assert anchor.rows(book.settings)[0].seal == seal
    assert book.run.problems() == []
    own = ('dev_environment = "sandbox-dev"', 'dev_environment = "sandbox-prod"')
    clinic.edit("sandbox-prod", *own)
    with pytest.raises(StopError, match="cannot stand for dev"):
        clinic.preflight("sandbox-prod").approve(rehearsed=True)


def test_every_stage_gives_what_the_next_needs_and_the_sums_are_exact(clinic: Clinic) -> None:
    book = clinic.proposed()
    load = book.run.load
    plan, survey = load(Plan), load(Survey)
    for entity in plan.entities.values():
        assert entity.source_rows == entity.loaded + sum(entity.left_out.values())
        assert entity.rows_before == entity.replaced + entity.kept + entity.purged
    assert plan.entities["patients"].left_out == {
        "without_a_name": plan.entities["patients"].left_out["without_a_name"]
    }
    assert survey.fingerprints(Role.WIPED, Role.LINK) == plan.before
    rehearsal = load(Rehearsal)
    assert rehearsal.after.keys() == plan.before.keys()
    assert load(Report, "checks_before").passed
    assert len(bucket.keys(load(Census), book.folder)) == load(Census).objects


def test_the_same_inputs_give_the_same_plan(clinic: Clinic) -> None:
    book = clinic.proposed()
    first = book.run.load(Plan).digest
    assert book.plan().digest == first
    assert json.loads((book.run.folder / "plan.json").read_text())["digest"] == first


# FileMaker's table, the field of its patient and of its text; Nexus's table and column of the text.
BROUGHT = {
    "D3": ("API_Notes", "id_Key", "Note", "notes", "content"),
    "D4": ("@Letters", "id.key", "Title", "letters_patientletter", "subject"),
    "D5": ("@ Dates to Connect", "Contact_ID", "To_Contact_Date", "reminders", "reminder_date"),
    "D6": ("API_Messages", "_kf_ContactID", "MessageBody", "sms_messages", "message"),
    "D6, replies": (
        "API_Replies",
        "_kf_ContactID",
        "ReplyMessageBody",
        "sms_inbound",
        "message",
    ),
}


@pytest.mark.parametrize("line", BROUGHT)
def test_every_record_of_filemaker_is_in_nexus_under_its_own_patient(
    done: tuple[Clinic, runbook.Runbook], line: str
) -> None:
    """Compared without our code: whose it is, and its text with blanks and line ends folded."""
    clinic, _ = done
    source, owner, field, table, column = BROUGHT[line]
    people = {
        str(r.values["id"]).lower()
        for r in clinic.simulator.tables["API_Contacts"].records
        if r.values.get("nameFirst") or r.values.get("nameLast")
    }
    wanted = Counter(
        (str(r.values[owner]).lower(), " ".join(str(r.values.get(field, "")).split()))
        for r in clinic.simulator.tables[source].records
        if str(r.values.get(owner, "")).lower() in people and str(r.values.get(field, "")).strip()
    )
    held = Counter(
        (str(filemaker_id).lower(), " ".join(str(text).split()))
        for filemaker_id, text in clinic.rows(
            f"SELECT filemaker_metadata->>'filemaker_id', t.{column} FROM {table} t"
            " JOIN patients p ON p.id = t.patient_id"
        )
    )
    assert wanted
    assert wanted - held == Counter()
