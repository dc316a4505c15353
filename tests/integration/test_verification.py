"""Verification after COMMIT: what it looks at, and that it never fails at what it is to find."""

from __future__ import annotations

import pytest

from nexus_reimport import runbook
from nexus_reimport.model import Level, Rehearsal
from support.clinic import Clinic
from support.verifying import FIRST, LAST, LINKING, failed, swap, verified

DOCUMENT, OTHER = FIRST.format("documents_document"), LAST.format("documents_document")
IMAGE, BATCH = FIRST.format("images_image"), FIRST.format("images_batch")
UNKNOWN = "(SELECT min(id::text)::uuid FROM documents_document WHERE filemaker_id IS NULL)"


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


@pytest.mark.parametrize(
    ("table", "found_by"),
    [
        ("documents_document", "every_document_hangs_on_its_patient"),
        ("images_batch", "every_image_hangs_on_its_patient"),
    ],
)
def test_attachments_that_hang_on_the_next_patient_are_named_though_as_many_are_linked(
    done: tuple[Clinic, runbook.Runbook], table: str, found_by: str
) -> None:
    clinic, book = done
    clinic.do(
        "WITH next AS (SELECT id::text AS one, coalesce(lead(id) OVER w, first_value(id) OVER w)"
        " AS other FROM patients WINDOW w AS (ORDER BY id))"
        f" UPDATE {table} SET object_id = next.other FROM next WHERE object_id::text = next.one"
    )
    result = failed(verified(book))[found_by]
    assert result.blocks
    assert result.sample
    assert "count" not in result.sample


def test_a_clean_run_passes_every_check_but_those_of_the_clinics_known_problems(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    _, book = done
    report = verified(book)
    assert report.passed
    assert failed(report).keys() <= {"no_more_files_are_missing"}
    assert {r.looked_at > 0 for r in report.results} == {True}
    notes = {r.check: r.note for r in report.results}
    assert "1 table is volatile as a whole" in notes["protected_tables_are_as_they_were"]
    assert "; letters: " in notes["every_other_record_of_filemaker_is_there"], "which they are"


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
