"""What people wrote since a run: a rollback keeps it, or gives it up, and says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_reimport import show
from nexus_reimport.errors import ReimportError, StopError
from nexus_reimport.files import rowfile
from nexus_reimport.model import (
    RollbackPreview,
)
from nexus_reimport.record import Verdict
from nexus_reimport.runbook import rollback
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import altered
from support.clinic import ROLE, Clinic
from support.clinic import taken_back as taken_back_of
from support.rollbacks import DEV, approved, copy_row, executed, new_patient, taken_back
from support.second_installation import SCHEMA


def test_what_people_wrote_since_stops_the_command_until_somebody_decides(
    clinic: Clinic, rehearsed: Path
) -> None:
    executed(clinic, rehearsed)
    created = copy_row(clinic, "notes")
    edited = clinic.value("SELECT min(id::text) FROM patients")
    clinic.do("UPDATE patients SET notes = 'edited since' WHERE id = %s", "dev", edited)
    unused = " AND ".join(
        f"NOT EXISTS (SELECT FROM {table} WHERE {column} = a.id)"
        for table, column in (
            ("encounters", "appointment_id"),
            ("xero_invoice_links", "appointment_id"),
            ("xero_quote_links", "appointment_id"),
            ("sms_messages", "appointment_id"),
            ("appointments", "parent_appointment_id"),
        )
    )
    gone = clinic.value(f"SELECT min(id::text) FROM appointments AS a WHERE {unused}")
    clinic.do("DELETE FROM appointments WHERE id = %s", "dev", gone)
    before = clinic.state()
    book = rollback.begin(DEV)
    book.back_up()
    found = {n.table: n for n in book.preview().since.newer if n.rows}
    assert {t: (n.created, n.changed, n.deleted) for t, n in found.items()} == {
        "notes": (1, 0, 0),
        "patients": (0, 1, 0),
        "appointments": (0, 0, 1),
    }
    assert found["notes"].sample == (f"{created} (created)",)
    book.propose()
    with pytest.raises(StopError, match="people have written since run") as told:
        book.approve(rehearsed=True)
    assert "notes: 1 created, 0 changed, 0 deleted" in told.value.what
    assert "--keep-newer" in told.value.next
    assert "edited since" not in str(told.value)
    with pytest.raises(ReimportError, match="no approval yet"):
        book.undo()
    assert clinic.state() == before


def test_keep_keeps_newer_rows_with_everything_that_they_point_at(
    clinic: Clinic, rehearsed: Path
) -> None:
    before = clinic.state()
    run = executed(clinic, rehearsed)
    patient = new_patient(run)
    assert clinic.value("SELECT count(*) FROM patients WHERE id = %s", "dev", patient) == 1
    booked = copy_row(
        clinic,
        "appointments",
        patient_id=patient,
        filemaker_event_id=None,
        parent_appointment_id=None,
    )
    note = copy_row(clinic, "notes")
    edited = clinic.value("SELECT min(id::text) FROM patients WHERE id <> %s", "dev", patient)
    clinic.do("UPDATE patients SET notes = 'edited since' WHERE id = %s", "dev", edited)
    book, done = taken_back("keep")
    assert not done.exact
    assert done.as_before == (
        "yes, except what people have written since the run, and what that references (created or"
        " changed: 1 patient, 1 appointment, 1 note)"
    )
    summary = show.summary(book.run)
    patients = clinic.value("SELECT count(*) FROM patients")
    assert f"after it {patients} patients" in " ".join(summary.split()), summary
    assert "restored" not in summary, "a row that people have made since was not restored"
    assert "were put back" not in (book.run.bag / "README.txt").read_text(encoding="utf-8")
    stays = {(p.table, p.by): p.rows for p in done.since.pointed_at}
    assert stays == {("patients", "appointments.patient_id"): 1}
    for table, key in (("appointments", booked), ("notes", note), ("patients", patient)):
        assert clinic.value(f"SELECT count(*) FROM {table} WHERE id = %s", "dev", key) == 1, table
    assert clinic.value("SELECT notes FROM patients WHERE id = %s", "dev", edited) == "edited since"
    clinic.do("DELETE FROM appointments WHERE id = %s", "dev", booked)
    clinic.do("DELETE FROM notes WHERE id = %s", "dev", note)
    clinic.do("DELETE FROM patients WHERE id = %s", "dev", patient)
    now = clinic.state()
    assert {t for t in now if now[t] != before[t]} == {"patients"}
    others = "SELECT t::text FROM {} AS t WHERE id <> %s ORDER BY id"
    kept = f"nexus_reimport_undo_{run.run.id.lower().replace('-', '_')}.patients"
    assert clinic.rows(others.format("patients"), "dev", edited) == clinic.rows(
        others.format(kept), "dev", edited, role=ROLE
    ), "but for what was kept, all is as it was"
    assert book.run.verdict() is Verdict.COMPLETE


def test_discard_gives_newer_rows_up_but_leaves_them_in_the_private_folder(
    clinic: Clinic, rehearsed: Path
) -> None:
    before = clinic.state()
    executed(clinic, rehearsed)
    created = copy_row(clinic, "notes")
    book, done = taken_back("discard")
    assert clinic.state() == before
    assert done.exact, "the state is the one before the run, to the last value"
    assert done.as_before == (
        "yes; what people have written since the run is undone too (created or changed: 1 note)"
    )
    assert "except" not in show.summary(book.run)
    saved = book.run.load(RollbackPreview).saved["notes"]
    rows = list(rowfile.read_dicts(book.book.folder, saved))
    assert [r["id"] for r in rows] == [created]
    assert not list(book.run.folder.glob("*.parquet")), "values are no part of the record"


# How a protected row can point at a patient: by a foreign key, by a uuid, by a text of any case.
POINTING = {
    "xero_contact_links.patient_id": lambda key: {"patient_id": key, "company_id": None},
    "xero_sync_logs.local_entity_id": lambda key: {"local_entity_id": key},
    "sent_emails.related_patient_id": lambda key: {"related_patient_id": str(key).upper()},
}


@pytest.mark.parametrize(
    ("newer", "by"), [("keep", next(iter(POINTING))), *(("discard", by) for by in POINTING)]
)
def test_what_a_protected_row_points_at_stays_whatever_was_chosen(
    clinic: Clinic, rehearsed: Path, newer: str, by: str
) -> None:
    run = executed(clinic, rehearsed)
    patient = new_patient(run)
    copy_row(clinic, by.partition(".")[0], **POINTING[by](patient))
    book, done = taken_back(newer)
    stays = {(p.table, p.by): p.rows for p in done.since.pointed_at}
    assert stays == {("patients", by): 1}
    assert clinic.value("SELECT count(*) FROM patients WHERE id = %s", "dev", patient) == 1
    assert book.run.verdict() is Verdict.COMPLETE


POINTING_BY_OTHER_COLUMNS = """
CREATE TABLE practice.key_card (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number text REFERENCES practice.person (legacy_no) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE practice.locker (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, family text,
    given text, FOREIGN KEY (given, family) REFERENCES practice.person (given, family)
    DEFERRABLE INITIALLY DEFERRED);
"""


@pytest.mark.parametrize("places", [("key_card",), ("locker",), ("key_card", "locker"), ()])
def test_what_a_key_of_other_columns_points_at_stays(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, places: tuple[str, ...]
) -> None:
    schema = SCHEMA.replace("legacy_no text,", "legacy_no text UNIQUE, UNIQUE (given, family),", 1)
    with altered(postgres, s3, tmp_path, schema + POINTING_BY_OTHER_COLUMNS) as found:
        before = found.rows("SELECT * FROM practice.person ORDER BY id")
        found.whole(dry=True)
        new = "FROM practice.person WHERE id = 4"
        found.do("INSERT INTO practice.key_card VALUES (DEFAULT)")
        for _ in range(2 * ("key_card" in places)):
            found.do(f"INSERT INTO practice.key_card (number) SELECT legacy_no {new}")
        if "locker" in places:
            found.do(f"INSERT INTO practice.locker (given, family) SELECT given, family {new}")
        found.do("INSERT INTO practice.locker (given) VALUES ('points at nobody')")
        kept = found.rows(f"SELECT * {new}") if places else []
        pointing = {
            table: found.rows(f"SELECT * FROM practice.{table}") for table in ("key_card", "locker")
        }
        assert taken_back_of("second").passed
        assert found.rows("SELECT * FROM practice.person ORDER BY id") == [*before, *kept]
        for table, rows in pointing.items():
            assert found.rows(f"SELECT * FROM practice.{table}") == rows


SAME_NUMBER = """
BEGIN; SET LOCAL session_replication_role = replica;
DELETE FROM practice.person WHERE id = 1;
INSERT INTO practice.person (id, legacy_no, given, family, site_id) OVERRIDING SYSTEM VALUE
    VALUES (99, 'P1', 'Somebody', 'Anew', 1); COMMIT
"""


@pytest.mark.parametrize("how", ["UNIQUE", "UNIQUE DEFERRABLE INITIALLY DEFERRED"])
def test_a_newer_row_that_has_a_unique_value_of_an_old_one_is_said_to_be_in_the_way(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, how: str
) -> None:
    """It was an SQLSTATE of which the cause was to be fixed."""
    schema = SCHEMA.replace("legacy_no text,", f"legacy_no text {how},", 1)
    every = "SELECT * FROM practice.person ORDER BY id"
    with altered(postgres, s3, tmp_path, schema) as found:
        before = found.rows(every)
        found.whole(dry=True)
        found.admin.execute(SAME_NUMBER)
        now = found.rows(every)
        with pytest.raises(StopError, match="a row from before the run cannot be put back") as told:
            approved("keep", "second").undo()
        assert told.value.where == "table person, constraint person_legacy_no_key"
        assert told.value.state == "rolled back, the database is as it was"
        assert told.value.next.startswith("choose --discard-newer, or change that value of the")
        assert found.rows(every) == now
        approved("discard", "second").undo()
        assert found.rows(every) == before


def test_a_document_uploaded_since_keeps_the_patient_that_it_hangs_on(
    clinic: Clinic, rehearsed: Path
) -> None:
    run = executed(clinic, rehearsed)
    patient = new_patient(run)
    kind = "(SELECT id FROM django_content_type WHERE app_label = 'patients' AND model = 'patient')"
    document = copy_row(clinic, "documents_document", object_id=patient, filemaker_id=None)
    clinic.do(
        f"UPDATE documents_document SET content_type_id = {kind} WHERE id = %s", "dev", document
    )
    _, done = taken_back("discard")
    assert [p.by for p in done.since.pointed_at] == ["documents_document.object_id"]
    owner = clinic.value(
        "SELECT object_id::text FROM documents_document WHERE id = %s", "dev", document
    )
    assert clinic.value("SELECT count(*) FROM patients WHERE id = %s", "dev", owner) == 1


def test_a_link_that_dangled_before_the_run_is_no_reason_to_keep_a_row(clinic: Clinic) -> None:
    book = clinic.proposed()
    patient = new_patient(book)
    clinic.do(
        "UPDATE sent_emails SET related_patient_id = %s WHERE id ="
        " (SELECT min(id::text)::uuid FROM sent_emails)",
        "dev",
        patient,
    )
    before = clinic.state()
    again = clinic.whole(dry=True)
    assert new_patient(again) == patient
    _, done = taken_back()
    assert done.exact
    assert clinic.state() == before


def test_a_document_that_was_added_since_stays_and_nobody_is_asked_about_it(
    clinic: Clinic, rehearsed: Path
) -> None:
    """It was told as one of the rows that are discarded, and a choice was asked for."""
    executed(clinic, rehearsed)
    old = clinic.value(
        "SELECT max(id::text) FROM patients WHERE created_at < now() - interval '1 day'"
    )
    document = copy_row(clinic, "documents_document", object_id=old, filemaker_id=None)
    book, done = taken_back()
    assert not done.since.asks
    shown = repr(show.rollback(book.run.load(RollbackPreview)))
    assert "No document and no image is deleted, and their links stay as they are." in shown
    assert "discarded" not in shown
    assert done.as_before == (
        "yes, except what people have written since the run (created or changed: 1 document)"
    )
    assert clinic.value("SELECT count(*) FROM documents_document WHERE id = %s", "dev", document)
    assert book.run.verdict() is Verdict.COMPLETE


@pytest.mark.parametrize(("newer", "stays"), [("keep", True), ("discard", False)])
def test_a_link_that_a_person_changed_since_is_kept_or_put_back(
    clinic: Clinic, rehearsed: Path, newer: str, stays: bool
) -> None:
    links = "SELECT id::text, object_id::text FROM documents_document ORDER BY id"
    before = dict(clinic.rows(links))
    executed(clinic, rehearsed)
    fixed = next(i for i, o in clinic.rows(links) if before[i] != o)
    other = clinic.value(
        "SELECT max(id::text) FROM patients WHERE filemaker_metadata"
        " ? 'filemaker_id' AND created_at < now() - interval '1 day'"
    )
    clinic.do("UPDATE documents_document SET object_id = %s WHERE id = %s", "dev", other, fixed)
    book, done = taken_back(newer)
    assert [(n.table, n.changed, n.fixed) for n in done.since.links] == [
        ("documents_document", 1, 1)
    ]
    assert done.since.rows == ()
    seen = book.run.load(RollbackPreview)
    assert seen.links == done.relinked, "what will be restored is what was"
    assert "but for 1 link that the run had fixed" in repr(show.rollback(seen))
    saved = rowfile.read_dicts(book.book.folder, seen.saved["links of documents"])
    assert [(row["id"], row["object_id"]) for row in saved] == [(fixed, other)]
    now = dict(clinic.rows(links))
    assert now.pop(fixed) == (other if stays else before[fixed])
    assert now == {i: o for i, o in before.items() if i != fixed}


WEST = """
INSERT INTO practice.site VALUES (3, 'West'); UPDATE practice.person SET site_id = 3 WHERE id = 1;
"""
OLD_NAME = """
UPDATE practice.person SET family = 'Maiden' WHERE id = 1; SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE practice.person ADD UNIQUE (given, family);
"""


@pytest.mark.parametrize(
    ("before", "since", "what", "where", "todo"),
    [
        (
            WEST,
            "DELETE FROM practice.site WHERE id = 3",
            "points at one that was deleted since",
            "table person, constraint person_site_id_fkey",
            "have the application make that row again, with its id; then preview again",
        ),
        (
            OLD_NAME + POINTING_BY_OTHER_COLUMNS.partition(";")[2],
            "INSERT INTO practice.locker VALUES (DEFAULT, 'Ostropol', 'Wendelgard')",
            "since the run another row refers to a value that the rollback takes back",
            "table locker, constraint locker_given_family_fkey",
            "have that row refer to another value in Nexus; then preview again",
        ),
    ],
)
def test_what_would_point_at_nothing_after_a_rollback_is_said_with_its_cause(
    postgres: PostgresServer,
    s3: S3Server,
    tmp_path: Path,
    before: str,
    since: str,
    what: str,
    where: str,
    todo: str,
) -> None:
    """The first was an SQLSTATE; of the second it was said that a row had been deleted."""
    with altered(postgres, s3, tmp_path, SCHEMA + before) as found:
        run = found.whole(dry=True).run.id
        found.do(since)
        now = found.state()
        with pytest.raises(StopError, match=what) as told:
            approved("", "second").undo()
        assert told.value.where == where
        assert told.value.state == "rolled back, the database is as it was"
        restore = f"nexus-reimport restore {run} --into NAME gives the whole database back"
        assert told.value.next == f"{todo}. Or {restore}"
        assert found.state() == now
