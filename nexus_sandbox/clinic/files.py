"""Documents and images: 11,269 and 6,664 in FileMaker; 10,190 and 200, 6,489 and 120 in Nexus.

Most hang where they should. Some hang on a patient that no longer exists, on the wrong one, on
nothing; those of vanished patients still hang on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from uuid import UUID

from nexus_sandbox.clinic.facts import Batch, Document, Facts, Image, Person, upper

UPLOADS, OWN_BATCHES, IMAGES_PER_OWN_BATCH = 200, 30, 4
DOCUMENT_KINDS = {
    "Referral": "medical",
    "referral letter": "medical",
    "Medical": "medical",
    "Report": "reports",
    "AT Report": "reports",
    "Invoice": "invoices",
    "Quote": "quotes",
    "Remittance": "remittance",
    "DVA Form": "erf",
    "Enable Vendor": "erf",
    "Consent": "consent",
    "Purchase Order": "purchase_order",
    "Prescription": "prescription",
    "Other": "other",
    "": "other",
}
IMAGE_KINDS = {
    "Left foot": "left_foot",
    "Rigth foot": "right_foot",
    "Right foot": "right_foot",
    "Shoes": "shoes",
    "Orthotcs": "orthotics",
    "Orthotics": "orthotics",
    "Dorsal": "dorsal",
    "Plantar": "plantar",
    "Consent": "consent",
    "": "other",
}
_FIRST = date(2015, 2, 2)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One outcome of a file: whose it is, where it exists, how Nexus links it, and how many."""

    count: int
    whose: str
    in_filemaker: bool = True
    in_nexus: bool = True
    hangs: str = "right"


_DOCUMENTS = (
    _Outcome(10_090, "shared"),
    _Outcome(40, "shared", hangs="orphaned"),
    _Outcome(8, "shared", hangs="nowhere"),
    _Outcome(6, "shared", hangs="wrong"),
    _Outcome(18, "vanished"),
    _Outcome(18, "vanished", in_filemaker=False),
    _Outcome(10, "shared", in_filemaker=False),
    _Outcome(965, "shared", in_nexus=False),
    _Outcome(40, "new", in_nexus=False),
    _Outcome(2, "nameless", in_nexus=False),
    _Outcome(60, "nobody", in_nexus=False),
    _Outcome(40, "without", in_nexus=False),
)
_BATCHES = (
    _Outcome(1_634, "shared"),
    _Outcome(7, "shared", hangs="orphaned"),
    _Outcome(2, "shared", hangs="wrong"),
    _Outcome(9, "vanished"),
    _Outcome(9, "vanished", in_filemaker=False),
)
_IMAGES, _IN_FILEMAKER, _DELETED = 6_489, 6_664, 5


def make(facts: Facts) -> None:
    """Fill in documents and batches of images."""
    rng = facts.chance("files")
    facts.documents = [
        _document(facts, rng, outcome, number)
        for outcome in _DOCUMENTS
        for number in range(facts.size(outcome.count))
    ]
    facts.batches = [
        _batch(facts, rng, outcome, number)
        for outcome in _BATCHES
        for number in range(facts.size(outcome.count))
    ]
    _fill_batches(facts, rng)
    _add_images_that_nexus_lacks(facts, rng)
    _choose_recent(facts)


def _owner(facts: Facts, rng: Random, outcome: _Outcome, number: int) -> tuple[str, Person | None]:
    """The FileMaker id that is named, and the person behind it."""
    if outcome.whose in ("nobody", "without"):
        return (upper(facts.fake.uuid()) if outcome.whose == "nobody" else ""), None
    people = facts.group(outcome.whose)
    person = people[number % len(people)] if outcome.whose == "vanished" else rng.choice(people)
    return person.filemaker_id, person


def _link(facts: Facts, rng: Random, outcome: _Outcome, person: Person | None) -> UUID | None:
    if outcome.hangs == "orphaned":
        return facts.fake.uuid()
    if outcome.hangs == "wrong":
        return next(p.id for p in rng.sample(facts.shared, 2) if p is not person)
    return None if person is None or outcome.hangs == "nowhere" else person.id


def _document(facts: Facts, rng: Random, outcome: _Outcome, number: int) -> Document:
    owner, person = _owner(facts, rng, outcome, number)
    link = _link(facts, rng, outcome, person)
    old = rng.random() < 0.3 or link is None
    return Document(
        id=facts.fake.uuid(),
        filemaker_id=upper(facts.fake.uuid()),
        owner=owner,
        link=link,
        kind=rng.choice(tuple(DOCUMENT_KINDS)),
        day=_day(rng),
        suffix=rng.choice(("pdf", "pdf", "pdf", "jpg", "docx")),
        folder=facts.fake.uuid() if old or link is None else link,
        in_filemaker=outcome.in_filemaker,
        in_nexus=outcome.in_nexus,
    )


def _batch(facts: Facts, rng: Random, outcome: _Outcome, number: int) -> Batch:
    owner, person = _owner(facts, rng, outcome, number)
    link = _link(facts, rng, outcome, person) or facts.fake.uuid()
    batch = Batch(facts.fake.uuid(), owner, link, _day(rng), [])
    batch.images = [_image(facts, rng, in_filemaker=outcome.in_filemaker, in_nexus=True)]
    return batch


def _image(facts: Facts, rng: Random, *, in_filemaker: bool, in_nexus: bool) -> Image:
    facts.last_recid += rng.randrange(1, 4)
    kind = rng.choice(tuple(IMAGE_KINDS))
    identifier = upper(facts.fake.uuid())
    return Image(facts.fake.uuid(), identifier, facts.last_recid, kind, in_filemaker, in_nexus)


def new_image(facts: Facts, rng: Random) -> Image:
    """An image that was uploaded in Nexus."""
    return _image(facts, rng, in_filemaker=False, in_nexus=True)


def _fill_batches(facts: Facts, rng: Random) -> None:
    """Further images, up to 6,489; five of them have been deleted in FileMaker."""
    batches = facts.batches
    for _ in range(facts.size(_IMAGES) - len(batches)):
        batch = rng.choice(batches)
        known = batch.images[0].in_filemaker
        batch.images.append(_image(facts, rng, in_filemaker=known, in_nexus=True))
    many = [b.images[-1] for b in batches if len(b.images) > 2 and b.images[0].in_filemaker]
    for image in many[: facts.size(_DELETED)]:
        image.in_filemaker = False


def _add_images_that_nexus_lacks(facts: Facts, rng: Random) -> None:
    """Images that exist only in FileMaker: with a patient, with an unknown one, with none."""
    held = sum(image.in_filemaker for batch in facts.batches for image in batch.images)
    for number in range(facts.size(_IN_FILEMAKER) - held):
        owner = rng.choice(facts.shared).filemaker_id
        if number % 10 == 8:
            owner = upper(facts.fake.uuid())
        image = _image(facts, rng, in_filemaker=True, in_nexus=False)
        owner = "" if number % 10 == 9 else owner
        facts.batches.append(Batch(facts.fake.uuid(), owner, facts.fake.uuid(), _day(rng), [image]))


def _day(rng: Random) -> date:
    return _FIRST + timedelta(days=rng.randrange(3_930))


def _choose_recent(facts: Facts) -> None:
    """Rows that prod has and dev does not have yet."""
    documents = sorted((d for d in facts.documents if d.in_nexus), key=lambda d: (d.day, d.id))
    batches = [b for b in facts.batches if b.images[0].in_nexus]
    batches.sort(key=lambda b: (b.day, b.id))
    facts.recent |= {document.id for document in documents[-facts.size(30) :]}
    facts.recent |= {batch.id for batch in batches[-facts.size(5) :]}
