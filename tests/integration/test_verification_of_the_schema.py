"""Verification after COMMIT: tables, columns and the catalog that are not as they were."""

from __future__ import annotations

import pytest

from nexus_reimport import runbook
from nexus_reimport.checks.after import database
from support.clinic import Clinic
from support.verifying import FIRST, LINKING, failed, verified

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
    with clinic.superuser() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(statement)
    report = verified(book)
    assert not report.passed
    assert found_by <= failed(report).keys()
    assert len(report.results) == len(verified(book).results)


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
    with clinic.superuser() as admin:
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


def test_a_sequence_that_was_moved_past_most_of_its_values_stops_the_run(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    clinic, book = done
    last = book.expected().intake.survey.positions["public.auth_user_id_seq"]
    assert last
    for to, skipped in ((1_000_000, ""), (2**31 - 8, f"{2**31 - 8 - last:,}")):  # harmless; not so
        clinic.do(f"SELECT setval('auth_user_id_seq', {to})")
        found = failed(verified(book)).get("the_next_keys_are_free")
        assert bool(found) == bool(skipped)
    assert found
    told = f"it was moved past {skipped} values, 7 are left"
    what = "sequence public.auth_user_id_seq behind auth_user.id"
    assert (found.blocks, found.sample) == (True, (f"{what}: {told}",))


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
    with clinic.superuser() as admin:
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
