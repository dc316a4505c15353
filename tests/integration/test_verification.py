"""Verification after COMMIT: what it looks at, and that it never fails at what it is to find."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from nexus_reimport import runbook
from nexus_reimport.checks.after import database
from nexus_reimport.model import Level, Rehearsal, Report, Result
from nexus_reimport.settings import Waiver
from support.clinic import ROLE, Clinic
from support.verifying import verified

FIRST = "(SELECT min(id::text)::uuid FROM {})"
LAST = "(SELECT max(id::text)::uuid FROM {})"
DOCUMENT, OTHER = FIRST.format("documents_document"), LAST.format("documents_document")
IMAGE, BATCH = FIRST.format("images_image"), FIRST.format("images_batch")
UNKNOWN = "(SELECT min(id::text)::uuid FROM documents_document WHERE filemaker_id IS NULL)"
LINKING = "every_linking_row_is_as_planned"


def swap(table: str, column: str) -> str:
    """Two rows of ``table`` exchange what they hold in ``column``."""
    first, last = FIRST.format(table), LAST.format(table)
    return (
        f"UPDATE {table} t SET {column} = o.{column} FROM {table} o WHERE (t.id, o.id)"
        f" IN (({first}, {last}), ({last}, {first}))"
    )


# what is done to linking tables after COMMIT -> what the check says of it
LINKS = {
    "two documents open each other's files": (swap("documents_document", "s3_key"), "s3_key"),
    "two images open each other's files": (swap("images_image", "s3_key"), "s3_key"),
    "a document that FileMaker does not know moves": (
        f"UPDATE documents_document SET object_id = {FIRST.format('patients')}"
        f" WHERE id = {UNKNOWN}",
        "object_id",
    ),
    "a document is of another content type": (
        f"UPDATE documents_document SET content_type_id = (SELECT id FROM django_content_type"
        f" WHERE model = 'referrer') WHERE id = {DOCUMENT}",
        "content_type_id",
    ),
    "a document is inactive": (
        f"UPDATE documents_document SET is_active = false WHERE id = {DOCUMENT}",
        "is_active",
    ),
    "a document has another key": (
        f"UPDATE documents_document SET s3_key = s3_key || '.old' WHERE id = {DOCUMENT}",
        "s3_key",
    ),
    "a document has another id": (
        f"UPDATE documents_document SET id = gen_random_uuid() WHERE id = {DOCUMENT}",
        "is gone",
    ),
    "a document is gone": (f"DELETE FROM documents_document WHERE id = {DOCUMENT}", "is gone"),
    "a document has lost its FileMaker id": (
        "UPDATE documents_document SET filemaker_id = NULL WHERE id = (SELECT min(id::text)::uuid"
        " FROM documents_document WHERE filemaker_id IS NOT NULL)",
        "filemaker_id",
    ),
    "a number in a document's JSON is 1.0": (
        "UPDATE documents_document SET filemaker_metadata = jsonb_set(filemaker_metadata, '{num}',"
        " '1.0') WHERE id = (SELECT min(id::text)::uuid FROM documents_document"
        " WHERE filemaker_metadata ->> 'num' = '1')",
        "filemaker_metadata",
    ),
    "an image moves to another batch": (
        f"UPDATE images_image SET batch_id = (SELECT max(id::text)::uuid FROM images_batch"
        f" WHERE id <> batch_id) WHERE id = {IMAGE}",
        "batch_id",
    ),
    "an image has another thumbnail": (
        f"UPDATE images_image SET s3_thumbnail_key = s3_key || '.t' WHERE id = {IMAGE}",
        "s3_thumbnail_key",
    ),
    "a batch is called otherwise": (
        f"UPDATE images_batch SET name = name || '.' WHERE id = {BATCH}",
        "name",
    ),
    "two batches change places": (swap("images_batch", "object_id"), "object_id"),
}


@pytest.fixture
def done(clinic: Clinic) -> tuple[Clinic, runbook.Runbook]:
    """A clinic after a whole run."""
    return clinic, clinic.executed()


def failed(report: Report) -> dict[str, Result]:
    return {r.check: r for r in report.results if not r.passed}


@pytest.mark.parametrize("name", LINKS)
def test_a_linking_row_that_is_not_as_planned_stops_the_run_and_is_named(
    done: tuple[Clinic, runbook.Runbook], name: str
) -> None:
    clinic, book = done
    statement, said = LINKS[name]
    clinic.do(statement)
    result = failed(verified(book))[LINKING]
    assert result.blocks
    assert said in " ".join(result.sample)


def test_a_clean_run_passes_every_check_but_those_of_the_clinics_known_problems(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    _, book = done
    report = verified(book)
    assert report.passed
    assert failed(report).keys() <= {"no_more_files_are_missing"}
    assert {r.looked_at > 0 for r in report.results} == {True}


def test_a_row_that_was_added_to_a_linking_table_is_for_review(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    clinic, book = done
    clinic.do(
        "INSERT INTO documents_document SELECT (jsonb_populate_record(d, jsonb_build_object('id',"
        " gen_random_uuid(), 'filemaker_id', NULL))).* FROM documents_document d"
        f" WHERE id = {DOCUMENT}"
    )
    report = verified(book)
    assert report.passed
    assert failed(report)["no_linking_row_was_added"].level is Level.REVIEW


# what has become of the schema -> checks that find it; the others still look
SCHEMA = {
    "a wiped table is gone": (
        "DROP TABLE notes CASCADE",
        {"every_row_is_as_planned", "the_schema_is_as_surveyed"},
    ),
    "the patients are gone": (
        "DROP TABLE patients CASCADE",
        {
            "every_row_is_as_planned",
            "every_patient_of_filemaker_is_there",
            "search_finds_every_patient_by_name",
            "every_document_hangs_on_its_patient",
        },
    ),
    "a wiped table has another name": (
        "ALTER TABLE appointments RENAME TO appointments_old",
        {"every_row_is_as_planned", "the_calendar_shows_every_appointment"},
    ),
    "a column of a wiped table is gone": (
        "ALTER TABLE patients DROP COLUMN middle_names",
        {"every_row_is_as_planned"},
    ),
    "a column has another name": (
        "ALTER TABLE patients RENAME COLUMN filemaker_metadata TO filemaker",
        {"every_row_is_as_planned", "every_patient_opens_with_its_attachments"},
    ),
    "the key has another name": (
        "ALTER TABLE notes RENAME COLUMN id TO note_id",
        {"every_row_is_as_planned"},
    ),
    "the key is no key any more": (
        "ALTER TABLE patients DROP CONSTRAINT patients_pkey CASCADE",
        {"the_schema_is_as_surveyed"},
    ),
    "a column is added": (
        "ALTER TABLE patients ADD COLUMN nickname text",
        {"the_schema_is_as_surveyed"},
    ),
    "JSON is text, and no JSON": (
        "ALTER TABLE patients ALTER COLUMN flags_json TYPE text USING '{' || flags_json::text",
        {"every_row_is_as_planned", "what_only_nexus_knows_was_carried_over"},
    ),
    "ids are text": (
        "ALTER TABLE documents_document ALTER COLUMN object_id TYPE text",
        {"every_document_hangs_on_its_patient", "the_schema_is_as_surveyed"},
    ),
    "a linking table is gone": (
        "DROP TABLE images_batch CASCADE",
        {LINKING, "every_image_hangs_on_its_patient"},
    ),
    "a linking table has lost a column": (
        "ALTER TABLE documents_document DROP COLUMN s3_key",
        {LINKING},
    ),
    "content types are gone": (
        "DROP TABLE django_content_type CASCADE",
        {"every_document_hangs_on_its_patient", "every_image_hangs_on_its_patient"},
    ),
    "a document with no end to its nesting": (
        "UPDATE patients SET flags_json = (repeat('[', 3000) || repeat(']', 3000))::jsonb"
        f" WHERE id = {FIRST.format('patients')}",
        {"every_row_is_as_planned", "what_only_nexus_knows_was_carried_over"},
    ),
    "a year that Python does not know": (
        "UPDATE appointments SET start_time = 'infinity', end_time = '294276-01-01' WHERE id ="
        f" {FIRST.format('appointments')}",
        {"every_row_is_as_planned"},
    ),
    "a number that Python does not read": (
        "UPDATE patients SET filemaker_metadata = jsonb_set(filemaker_metadata,"
        " '{filemaker_id}', repeat('9', 6000)::jsonb)",
        {"every_row_is_as_planned"},
    ),
}


@pytest.mark.parametrize("name", SCHEMA)
def test_what_is_not_as_it_was_is_a_finding_and_no_failure_of_the_verification(
    done: tuple[Clinic, runbook.Runbook], name: str
) -> None:
    clinic, book = done
    statement, found_by = SCHEMA[name]
    with psycopg.connect(clinic.server.dsn(clinic.databases["dev"]), autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(statement)
    report = verified(book)
    assert not report.passed
    assert found_by <= failed(report).keys()
    assert len(report.results) == len(verified(book).results)


ROW, REMEMBERED = "the_run_is_written_down_in_the_database", "what_was_loaded_is_remembered"
UNDO = "the_undo_data_is_whole"
# what is done to our own tables after COMMIT; {undo} is the schema of the run's undo data
OWN = {
    "the run's row is gone": ("DELETE FROM nexus_reimport.runs", ROW),
    "the runs are gone": ("DROP TABLE nexus_reimport.runs", ROW),
    "another person has approved": ("UPDATE nexus_reimport.runs SET approved_by = 'x'", ROW),
    "another digest was approved": ("UPDATE nexus_reimport.runs SET digest = 'x'", ROW),
    "the run is of another environment": ("UPDATE nexus_reimport.runs SET environment = 'x'", ROW),
    "the run was of another kind": ("UPDATE nexus_reimport.runs SET kind = 'relink'", ROW),
    "the run was undone": ("UPDATE nexus_reimport.runs SET undone_by = 'x'", ROW),
    "the undo data lies elsewhere": (
        "UPDATE nexus_reimport.runs SET undo = jsonb_set(undo, '{{schema}}', '\"public\"')",
        ROW,
    ),
    "a fingerprint is another one": (
        "UPDATE nexus_reimport.runs SET after = jsonb_set(after, '{{notes,rows}}', '1')",
        ROW,
    ),
    "what the run's row says is no description of undo data": (
        "UPDATE nexus_reimport.runs SET undo = '[1]', before = '7'",
        ROW,
    ),
    "a run that nobody has made": (
        "INSERT INTO nexus_reimport.runs (run, environment, digest, approved_by, before, after)"
        " VALUES ('x', 'sandbox-dev', '', '', '{{}}', '{{}}')",
        ROW,
    ),
    "what was loaded is forgotten": ("TRUNCATE nexus_reimport.loaded", REMEMBERED),
    "what was loaded is gone": ("DROP TABLE nexus_reimport.loaded", REMEMBERED),
    "two records have become each other's rows": (
        "UPDATE nexus_reimport.loaded l SET nexus_id = o.nexus_id FROM nexus_reimport.loaded o"
        " WHERE (l.filemaker_id, o.filemaker_id) IN (SELECT min(filemaker_id), max(filemaker_id)"
        " FROM nexus_reimport.loaded WHERE entity = 'patients' UNION SELECT max(filemaker_id),"
        " min(filemaker_id) FROM nexus_reimport.loaded WHERE entity = 'patients')",
        REMEMBERED,
    ),
    "a record that was not loaded": (
        "INSERT INTO nexus_reimport.loaded VALUES ('patients', 'x', 'y')",
        REMEMBERED,
    ),
    "the undo data is gone": ("DROP SCHEMA {undo} CASCADE", UNDO),
    "a table of the undo data is empty": ("TRUNCATE {undo}.patients", UNDO),
    "a row of the undo data is changed": (
        "UPDATE {undo}.patients SET last_name = last_name || ' ' WHERE id = (SELECT"
        " min(id::text)::uuid FROM {undo}.patients)",
        UNDO,
    ),
    "a row of the undo data is there twice": (
        "INSERT INTO {undo}.notes SELECT * FROM {undo}.notes LIMIT 1",
        UNDO,
    ),
    "what the run has left is forgotten": ("TRUNCATE {undo}.after_notes", UNDO),
    "what the run has left is another thing": (
        "UPDATE {undo}.after_notes SET hash = md5(hash) WHERE key = (SELECT min(key::text)::uuid"
        " FROM {undo}.after_notes)",
        UNDO,
    ),
    "the links before are forgotten": ("TRUNCATE {undo}.links_documents", UNDO),
    "a link before is another one": ("UPDATE {undo}.links_documents SET object_id = id", UNDO),
    "the links after are forgotten": ("TRUNCATE {undo}.after_links_images", UNDO),
    "what was loaded before is another thing": (
        "INSERT INTO {undo}.own_loaded VALUES ('patients', 'x', 'y')",
        UNDO,
    ),
    "what pointed at the rows is another thing": (
        "INSERT INTO {undo}.own_pointed_at VALUES ('x', 'y', 1)",
        UNDO,
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_our_own_tables_that_are_not_as_the_run_has_left_them_stop_it(
    done: tuple[Clinic, runbook.Runbook], name: str
) -> None:
    clinic, book = done
    statement, found_by = OWN[name]
    undo = clinic.value("SELECT undo ->> 'schema' FROM nexus_reimport.runs", role=ROLE)
    clinic.do(statement.format(undo=undo), role=ROLE)
    result = failed(verified(book))[found_by]
    assert result.blocks
    assert result.sample


def test_the_row_of_an_earlier_run_must_stay_what_it_was(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    clinic, first = done
    second = clinic.whole()
    assert not failed(verified(second)).keys() & {ROW, REMEMBERED, UNDO}
    change = "UPDATE nexus_reimport.runs SET {} WHERE run = '" + first.run.id + "'"
    clinic.do(change.format("seal = 'x'"), role=ROLE)  # written late: no part of it
    assert not failed(verified(second)).keys() & {ROW}
    clinic.do("UPDATE nexus_reimport.runs SET number = number + 5", role=ROLE)  # of all: no gap
    assert failed(verified(second))[ROW].sample == (f"{first.run.id} is changed",)
    clinic.do("UPDATE nexus_reimport.runs SET number = number - 5", role=ROLE)
    assert not failed(verified(second)).keys() & {ROW}
    clinic.do(change.format("approved_by = 'x'"), role=ROLE)
    assert failed(verified(second))[ROW].sample == (f"{first.run.id} is changed",)
    clinic.do(f"DELETE FROM nexus_reimport.runs WHERE run = '{first.run.id}'", role=ROLE)
    assert failed(verified(second))[ROW].sample == (f"{first.run.id} is gone",)


# what is done to the catalog after COMMIT -> how the check names it
CATALOG = {
    "a column of a protected table is added": (
        "ALTER TABLE clinics ADD x text",
        "column public.clinics.x: did not exist",
    ),
    "a type is wider": (
        "ALTER TABLE clinics ALTER name TYPE varchar(999)",
        "column public.clinics.name",
    ),
    "a default is given": (
        "ALTER TABLE clinics ALTER name SET DEFAULT 'x'",
        "column public.clinics.name",
    ),
    "a column may be empty": (
        "ALTER TABLE appointments ALTER start_time DROP NOT NULL",
        "column public.appointments.start_time",
    ),
    "a foreign key is gone": (
        "ALTER TABLE notes DROP CONSTRAINT notes_patient_id_fk",
        "of public.notes: is gone",
    ),
    "a foreign key is checked at once": (
        "ALTER TABLE notes ALTER CONSTRAINT notes_patient_id_fk NOT DEFERRABLE",
        "of public.notes",
    ),
    "a condition is gone": (
        "ALTER TABLE xero_contact_links DROP CONSTRAINT contact_link_has_patient_or_company",
        "contact_link_has_patient_or_company",
    ),
    "a condition is added": (
        "ALTER TABLE clinics ADD CONSTRAINT x CHECK (name <> '')",
        "constraint x of public.clinics",
    ),
    "a unique key is gone": (
        "ALTER TABLE patients DROP CONSTRAINT patients_mrn_key",
        "patients_mrn_key",
    ),
    "an index is gone": ("DROP INDEX documents_d_categor_2c6923_idx", "documents_d_categor_2c6923"),
    "an index is added": ("CREATE INDEX x ON notes (created_at)", "index x of public.notes"),
    "a trigger is added": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER x AFTER INSERT ON clinics FOR EACH ROW EXECUTE FUNCTION f()",
        "trigger x of public.clinics",
    ),
    "foreign keys are not enforced": (
        "ALTER TABLE notes DISABLE TRIGGER ALL",
        "foreign keys of public.notes",
    ),
    "rows are hidden": (
        "ALTER TABLE clinics ENABLE ROW LEVEL SECURITY",
        "row level security of public.clinics",
    ),
    "a policy is added": ("CREATE POLICY x ON clinics USING (true)", "policy x of public.clinics"),
    "everybody may read": ("GRANT SELECT ON patients TO PUBLIC", "grants on public.patients"),
    "a sequence counts by ten": ("ALTER SEQUENCE {sequence} INCREMENT 10", "sequence public."),
    "a table is added": ("CREATE TABLE x (id int)", "column public.x.id: "),
    "a view is added": ("CREATE VIEW x AS SELECT 1 AS one", "view public.x: did not exist"),
    "a schema is added": ("CREATE SCHEMA x", "schema x: did not exist"),
    "a function is added": (
        "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "function public.x()",
    ),
    "something acts at every change of the schema": (
        "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        " CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION e()",
        "event trigger x",
    ),
}


@pytest.mark.parametrize("name", CATALOG)
def test_a_catalog_that_was_changed_after_the_commit_stops_the_run_and_is_named(
    done: tuple[Clinic, runbook.Runbook], name: str
) -> None:
    clinic, book = done
    statement, said = CATALOG[name]
    key = clinic.value(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'notes'::regclass AND contype = 'f'"
        " AND confrelid = 'patients'::regclass"
    )
    sequence = clinic.value("SELECT min(seqrelid::regclass::text) FROM pg_sequence")
    with psycopg.connect(clinic.server.dsn(clinic.databases["dev"]), autocommit=True) as admin:
        admin.execute(statement.replace("notes_patient_id_fk", key).replace("{sequence}", sequence))
    result = failed(verified(book))["the_schema_is_as_surveyed"]
    assert result.blocks
    assert said in " ".join(result.sample)


def test_a_sequence_that_was_set_back_stops_the_run(done: tuple[Clinic, runbook.Runbook]) -> None:
    clinic, book = done
    positions = book.expected().intake.survey.positions
    name = next(name for name, last in positions.items() if last)
    assert "no_sequence_was_set_back" not in failed(verified(book))
    clinic.do(f"SELECT nextval('{name}')")
    assert "no_sequence_was_set_back" not in failed(verified(book))
    clinic.do(f"SELECT setval('{name}', 1, false)")
    result = failed(verified(book))["no_sequence_was_set_back"]
    assert result.sample == (f"{name}: {positions[name]} then, nothing now",)


STEADY, ADDED = "protected_tables_are_as_they_were", "nothing_was_added_to_protected_tables"
CLINIC = FIRST.format("clinics")
# what others do to protected tables after COMMIT -> what the check says
PROTECTED = {
    "a clinic's colour": (
        f"UPDATE clinics SET color = '#010203' WHERE id = {CLINIC}",
        "clinics: rows 1 changed",
    ),
    "two clinics exchange their names": (swap("clinics", "name"), "clinics: rows 2 changed"),
    "NULL becomes empty": (
        f"UPDATE clinics SET abn = CASE WHEN abn IS NULL THEN '' END WHERE id = {CLINIC}",
        "clinics: rows 1 changed",
    ),
    "a template is gone": (
        f"DELETE FROM sms_templates WHERE id = {FIRST.format('sms_templates')}",
        "sms_templates: rows 1 lost",
    ),
    "every row of a table is gone": ("DELETE FROM sent_emails", "sent_emails: rows"),
    "one row is lost and another one added": (
        f"UPDATE sent_emails SET id = gen_random_uuid() WHERE id = {FIRST.format('sent_emails')}",
        "sent_emails: rows 1 lost",
    ),
    "an invoice's link moves to another patient": (
        swap("xero_invoice_links", "patient_id"),
        "xero_invoice_links: rows 2 changed",
    ),
    "a token is empty": (
        "UPDATE gmail_connections SET refresh_token = ''",
        "gmail_connections: rows 2 with a volatile column emptied",
    ),
    "a steady column beside volatile ones": (
        "UPDATE gmail_connections SET is_active = NOT is_active",
        "gmail_connections: rows",
    ),
    "a log has lost a row": (
        "DELETE FROM xero_sync_logs WHERE id = (SELECT min(id::text)::uuid FROM xero_sync_logs)",
        "xero_sync_logs: 1 rows fewer",
    ),
    "a table is gone": ("DROP TABLE xero_item_mappings CASCADE", "no table xero_item_mappings"),
    "a column of a table is gone": (
        "ALTER TABLE coordinators DROP COLUMN organization",
        "coordinators: ",
    ),
    "a column of a table is added": (
        "ALTER TABLE coordinators ADD COLUMN x text",
        "coordinators: ",
    ),
    "a row is there twice": (
        "ALTER TABLE specialties DROP CONSTRAINT specialties_pkey CASCADE;"
        " ALTER TABLE specialties DROP CONSTRAINT specialties_name_key;"
        " INSERT INTO specialties SELECT * FROM specialties LIMIT 1",
        "specialties: rows 1 twice",
    ),
    "a table of another schema": (
        "UPDATE other.log SET said = 'x' WHERE id = 1",
        "other.log: rows 1 changed",
    ),
}


@pytest.fixture
def beside(clinic: Clinic) -> tuple[Clinic, runbook.Runbook]:
    """A clinic whose database has another schema, after a whole run."""
    clinic.do(
        "CREATE SCHEMA other; CREATE TABLE other.log (id int PRIMARY KEY, said text);"
        "INSERT INTO other.log VALUES (1, 'a'), (2, 'b')"
    )
    clinic.grant()
    return clinic, clinic.whole()


@pytest.mark.parametrize("name", PROTECTED)
def test_a_protected_row_that_was_lost_or_changed_stops_the_run(
    done: tuple[Clinic, runbook.Runbook], name: str, request: pytest.FixtureRequest
) -> None:
    clinic, book = done if "other" not in PROTECTED[name][0] else request.getfixturevalue("beside")
    statement, said = PROTECTED[name]
    with psycopg.connect(clinic.server.dsn(clinic.databases["dev"]), autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(statement)
    result = failed(verified(book))[STEADY]
    assert result.blocks
    assert said in " ".join(result.sample)


# what others do, as they always do -> the check that is for review, "" where none fails
USUAL = {
    "a token is renewed": ("UPDATE gmail_connections SET access_token = 'x', emails_sent = 9", ""),
    "somebody logs in": ("UPDATE auth_user SET last_login = now()", ""),
    "a log grows": (
        "INSERT INTO xero_sync_logs SELECT (jsonb_populate_record(l, jsonb_build_object('id',"
        " gen_random_uuid()))).* FROM xero_sync_logs l LIMIT 3",
        "",
    ),
    "sessions end": ("DELETE FROM django_session", ADDED),
    "an e-mail is sent": (
        "INSERT INTO sent_emails SELECT (jsonb_populate_record(e, jsonb_build_object('id',"
        " gen_random_uuid()))).* FROM sent_emails e LIMIT 2",
        ADDED,
    ),
}


@pytest.mark.parametrize("name", USUAL)
def test_what_moves_by_itself_stops_no_run(done: tuple[Clinic, runbook.Runbook], name: str) -> None:
    clinic, book = done
    statement, review = USUAL[name]
    clinic.do(statement)
    report = verified(book)
    assert report.passed
    assert failed(report).keys() - {"no_more_files_are_missing"} == ({review} if review else set())


def test_a_key_that_is_no_id_is_not_shown(done: tuple[Clinic, runbook.Runbook]) -> None:
    clinic, book = done
    clinic.do(f"UPDATE clinics SET color = '#010203' WHERE id = {CLINIC}")
    (said,) = failed(verified(book))[STEADY].sample
    assert str(clinic.value(f"SELECT {CLINIC}")) in said
    found = database._Compared(changed=2, keys=["(ann@example.org)", "(7)"])
    assert found.said() == "rows 2 changed (7)"


def test_rows_that_were_changed_on_purpose_can_be_waived_up_to_a_number(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    clinic, book = done
    waived = Waiver(
        check=STEADY, at_most=1, reason="a new sign", who="A. Person", until="2099-12-31"
    )
    book = replace(book, settings=book.settings.model_copy(update={"waivers": (waived,)}))
    clinic.do(f"UPDATE clinics SET color = '#010203' WHERE id = {CLINIC}")
    assert STEADY not in failed(verified(book))
    clinic.do("UPDATE clinics SET color = '#010203'")
    assert failed(verified(book))[STEADY].blocks


@pytest.mark.parametrize(
    "variable",
    [
        ("PGTZ", "Australia/Sydney"),
        ("PGDATESTYLE", "German"),
        ("PGOPTIONS", "-c bytea_output=escape"),
    ],
)
def test_the_session_of_the_verification_is_that_of_the_run_whatever_is_set(
    done: tuple[Clinic, runbook.Runbook], monkeypatch: pytest.MonkeyPatch, variable: tuple[str, str]
) -> None:
    clinic, book = done
    monkeypatch.setenv(*variable)
    with psycopg.connect(clinic.server.dsn(clinic.databases["dev"]), autocommit=True) as admin:
        name = clinic.databases["dev"]
        for setting in (
            "timezone = 'Asia/Tokyo'",
            "datestyle = 'SQL, DMY'",
            "extra_float_digits = -5",
            "intervalstyle = 'iso_8601'",
        ):
            admin.execute(f"ALTER DATABASE {name} SET {setting}")
            admin.execute(f"ALTER ROLE nexus_reimport IN DATABASE {name} SET {setting}")
    catalog = database.the_schema_is_as_surveyed.__name__
    found = {r.check: r for r in verified(book).blocking}
    assert set(found) == {catalog}, "that others have set them is a finding; rows are as they were"
    of_role, of_all = sorted(found[catalog].sample)
    assert of_all == "settings of the database: did not exist"
    assert of_role == "settings of the database for nexus_reimport: did not exist"


def test_a_linked_document_that_nexus_hides_as_inactive_is_no_gap_on_a_patients_page(
    clinic: Clinic,
) -> None:
    clinic.do(
        "UPDATE documents_document SET is_active = false WHERE id = (SELECT d.id"
        " FROM documents_document AS d JOIN patients AS p ON p.id::text = d.object_id::text"
        " ORDER BY 1 LIMIT 1)"
    )
    assert clinic.value("SELECT count(*) FROM documents_document WHERE NOT is_active") > 0
    verified = clinic.preflight().run.load(Rehearsal).verified
    assert verified is not None
    (result,) = [
        r for r in verified.results if r.check == "every_patient_opens_with_its_attachments"
    ]
    assert result.offending == 0
