"""Nexus's documents and images, and the objects in S3 that they name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from random import Random
from uuid import UUID

from psycopg.types.json import Jsonb

from nexus_sandbox.clinic import files
from nexus_sandbox.clinic.environments import Row, Rows, Varies, content_type
from nexus_sandbox.clinic.facts import Batch, Facts
from nexus_sandbox.clinic.times import IMPORTED

_MIME = {
    "pdf": "application/pdf",
    "jpg": "image/jpeg",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
_PATIENT = content_type("patients", "patient")
_APPOINTMENT = content_type("appointments", "appointment")
MISSING = {"documents_document": 5, "images_image": 3}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of the bucket."""

    key: str
    content: bytes


def content(key: str) -> bytes:
    """The bytes behind a key: 70 to 200 of them, like no other's, the same in dev and in prod."""
    digest = sha256(key.encode()).hexdigest()
    head = b"%PDF-1.4 " if key.endswith("pdf") else b"\xff\xd8\xff\xe0 "
    return head + (digest * 3)[: 64 + int(digest[:2], 16) % 128].encode()


def objects(tables: dict[str, Rows], missing: frozenset[str]) -> list[StoredObject]:
    """An object for each document, image and thumbnail, and two that no row names."""
    keys = [key for key in _keys(tables) if key not in missing]
    keys += ["filemaker-import/images-bulk-dump/999999.jpg", "documents/left-over.pdf"]
    return [StoredObject(key, content(key)) for key in keys]


def missing_keys(tables: dict[str, Rows]) -> frozenset[str]:
    """The keys of five documents and three images that are in S3 nowhere. ``tables`` are dev's."""
    keys: set[str] = set()
    for name, count in MISSING.items():
        columns, rows = tables[name]
        at = columns.index("s3_key")
        keys |= {str(row[at]) for row in rows[: count * 3 : 3]}
    return frozenset(keys)


def _keys(tables: dict[str, Rows]) -> Iterator[str]:
    for table, column in (
        ("documents_document", "s3_key"),
        ("images_image", "s3_key"),
        ("images_image", "s3_thumbnail_key"),
    ):
        columns, rows = tables[table]
        at = columns.index(column)
        yield from (str(row[at]) for row in rows if row[at])


def document_rows(facts: Facts) -> Iterator[Row]:
    """What was imported, and what was uploaded in Nexus."""
    rng = facts.chance("document rows")
    for number, document in enumerate(d for d in facts.documents if d.in_nexus):
        folder = document.kind.lower().replace(" ", "_") or "other"
        name = f"{document.filemaker_id}.{document.suffix}"
        key = f"patients/filemaker-import/documents/{document.folder}/{folder}/{name}"
        yield {
            **_document(document.id, document.link, key, document.suffix),
            "original_name": name,
            "category": files.DOCUMENT_KINDS[document.kind],
            "description": f"Ref {facts.fake.word()}" if rng.random() < 0.05 else "",
            "uploaded_by": "filemaker_import",
            "uploaded_at": IMPORTED + timedelta(seconds=number * 0.05),
            "updated_at": IMPORTED + timedelta(days=1),
            "document_date": document.day,
            "filemaker_id": UUID(document.filemaker_id),
            "filemaker_metadata": Jsonb({"num": number % 4, "type": document.kind}),
        }
    yield from _uploads(facts, rng)


def _document(identifier: UUID, link: UUID | None, key: str, suffix: str) -> Row:
    bucket = Varies(lambda environment: environment.bucket)
    return {
        "id": identifier,
        "content_type_id": None if link is None else _PATIENT,
        "object_id": link,
        "file_name": key.rpartition("/")[2],
        "original_name": "",
        "file_size": len(content(key)),
        "mime_type": _MIME[suffix],
        "s3_bucket": bucket,
        "s3_key": key,
        "s3_url": Varies(lambda environment: f"https://{environment.bucket}.s3.example/{key}"),
        "category": "other",
        "description": "",
        "tags": Jsonb([]),
        "uploaded_by": "",
        "uploaded_at": IMPORTED,
        "updated_at": IMPORTED,
        "is_active": True,
        "document_date": None,
        "filemaker_id": None,
        "filemaker_metadata": None,
    }


def _uploads(facts: Facts, rng: Random) -> Iterator[Row]:
    """Files that are not in FileMaker; the first one is linked to an appointment."""
    appointment = next(e for e in facts.events if e.in_nexus and e.in_filemaker and e.person)
    for number in range(facts.size(files.UPLOADS)):
        owner = facts.own[number // 8 % len(facts.own)] if number % 8 == 1 else None
        person = owner or rng.choice(facts.vanished if number % 50 == 9 else facts.in_nexus)
        identifier = facts.fake.uuid()
        row = {
            **_document(identifier, person.id, f"documents/{identifier}.pdf", "pdf"),
            "original_name": f"{person.last.strip()} scan.pdf",
            "category": rng.choice(("medical", "reports", "other")),
            "tags": Jsonb(["upload"] if number % 2 else []),
            "uploaded_by": "reception",
            "uploaded_at": IMPORTED + timedelta(days=1, minutes=number),
            "is_active": number % 40 != 39,
        }
        if number == 0:
            row["content_type_id"], row["object_id"] = _APPOINTMENT, appointment.id
        if number >= facts.size(files.UPLOADS) - facts.size(20) > 0:
            facts.recent.add(identifier)
        yield row


def batch_rows(facts: Facts, own: Iterable[tuple[Batch, UUID]]) -> Iterator[Row]:
    """Batches of images: imported ones, and ``own`` with the person that each is of."""
    brought = ((b, b.link) for b in facts.batches if b.images[0].in_nexus)
    for is_own, batches in ((False, brought), (True, own)):
        for number, (batch, link) in enumerate(batches):
            yield {
                "id": batch.id,
                "object_id": link,
                "name": f"Images {batch.day.isoformat()}",
                "description": "Uploaded" if is_own else "FileMaker import",
                "uploaded_at": IMPORTED + timedelta(days=int(is_own), seconds=number),
                "image_count": sum(image.in_nexus for image in batch.images),
                "content_type_id": _PATIENT,
                "uploaded_by_id": facts.staff[0].user_id if is_own else None,
            }


def own_batches(facts: Facts) -> list[tuple[Batch, UUID]]:
    """Batches that were uploaded in Nexus."""
    rng = facts.chance("own batches")
    batches = []
    for number in range(facts.size(files.OWN_BATCHES)):
        person = rng.choice(facts.own if number % 3 == 0 else facts.in_nexus)
        images = [files.new_image(facts, rng) for _ in range(files.IMAGES_PER_OWN_BATCH)]
        batches.append(
            (Batch(facts.fake.uuid(), "", person.id, date(2025, 11, 11), images), person.id)
        )
    recent = batches[len(batches) - facts.size(3) :] if len(batches) > 1 else []
    facts.recent |= {batch.id for batch, _ in recent}
    return batches


def image_rows(facts: Facts, own: Iterable[tuple[Batch, UUID]]) -> Iterator[Row]:
    """Images; only the number in their key ties them to FileMaker."""
    for batch in facts.batches:
        for order, image in enumerate(i for i in batch.images if i.in_nexus):
            key = f"filemaker-import/images-bulk-dump/{image.recid}.jpg"
            kind = files.IMAGE_KINDS[image.kind]
            yield _image(image.id, batch, key, order, kind, image.recid)
    for batch, link in own:
        for order, image in enumerate(batch.images):
            stem = f"images/{link}/{batch.id}/{image.id}"
            row = _image(image.id, batch, f"{stem}.jpg", order, "shoes", image.recid)
            thumbnail = f"{stem}_thumb.jpg"
            yield {
                **row,
                "s3_thumbnail_key": thumbnail,
                "thumbnail_size": len(content(thumbnail)),
                "uploaded_by_id": facts.staff[0].user_id,
                "width": 1_200,
                "height": 900,
            }


def _image(identifier: UUID, batch: Batch, key: str, order: int, kind: str, number: int) -> Row:
    return {
        "id": identifier,
        "s3_key": key,
        "s3_thumbnail_key": "",
        "original_name": f"IMG_{number}.jpg",
        "file_size": len(content(key)),
        "mime_type": "image/jpeg",
        "width": None,
        "height": None,
        "category": kind,
        "caption": "",
        "date_taken": batch.day,
        "uploaded_at": IMPORTED,
        "order": order,
        "batch_id": batch.id,
        "uploaded_by_id": None,
        "thumbnail_size": None,
        "filemaker_id": None,
    }
