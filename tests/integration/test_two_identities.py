"""A document or image that names two records of FileMaker: neither of their owners is chosen."""

from __future__ import annotations

from nexus_reimport.files import rowfile
from nexus_reimport.model import Plan
from support.clinic import Clinic, planned
from support.relinking import relinked

ALONE = """
SELECT i.id::text, b.id::text, b.object_id::text, substring(i.s3_key FROM 'dump/([0-9]+)\\.')
FROM images_image i JOIN images_batch b ON b.id = i.batch_id JOIN patients p ON p.id = b.object_id
WHERE i.s3_key ~ 'dump/[0-9]+' AND p.filemaker_metadata ? 'filemaker_id'
  AND (SELECT count(*) FROM images_image o WHERE o.batch_id = b.id) = 1
ORDER BY i.id
"""


def test_an_image_whose_id_and_file_are_of_two_patients_is_moved_to_neither(
    clinic: Clinic,
) -> None:
    records = {str(r.values["recid"]): r for r in clinic.simulator.tables["API_Images"].records}
    owners = {number: str(r.values["id_Contact"]).lower() for number, r in records.items()}
    one, *others = (row for row in clinic.rows(ALONE) if row[3] in records)
    image, batch, _, number = one
    other = next(row[3] for row in others if owners[row[3]] != owners[number])
    clinic.do(
        "UPDATE images_image SET filemaker_id = %s WHERE id = %s",
        "dev",
        str(records[other].values["id"]),
        image,
    )
    book = planned()
    links = book.run.load(Plan).links["images"]
    fixed = [row["key"] for row in rowfile.read_dicts(book.folder, links.file)]
    assert batch not in fixed, "moved to the patient of another image"
    assert links.split_groups == ()
    assert links.not_in_filemaker >= 1
    outcomes = {
        filemaker_id: (outcome, why, key)
        for source, _, outcome, why, filemaker_id, key in rowfile.read(
            book.folder, book.run.load(Plan).ledger
        )
        if source == "images"
    }
    of_the_file = str(records[number].values["id"]).lower()
    assert outcomes[of_the_file] == ("left out", "not_in_nexus", None)


def test_an_image_of_no_batch_is_counted_and_told(clinic: Clinic) -> None:
    """Elsewhere the column of the batch may be empty; such an image was in no figure."""
    clinic.do("ALTER TABLE images_image ALTER COLUMN batch_id DROP NOT NULL")
    image = clinic.value(
        "UPDATE images_image SET batch_id = NULL WHERE id = (SELECT min(id::text)::uuid"
        " FROM images_image WHERE s3_key ~ 'dump/[0-9]+') RETURNING id::text"
    )
    book = relinked(clinic)
    links = book.run.load(Plan).links["images"]
    assert links.rows == clinic.value("SELECT count(*) FROM images_image")
    assert links.unplaced
    why = {line[1]: line[2] for line in rowfile.read(book.folder, links.unplaced)}
    assert why[image] == "in no batch, so that nothing holds its link"
