"""Documents and images: 11,269 and 6,664 in FileMaker; 10,190 and 200, 6,489 and 120 in Nexus.

Most hang where they should. Some hang on a patient that no longer exists, on the wrong one, on
nothing; those of vanished patients still hang on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from uuid import UUID

from nexus_sandbox.clinic.facts import Batch, Document, Image, Person, World, upper

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
class _Fate:
    """What becomes of some: whose, where, how they hang in Nexus, and how many."""

    count: int
    whose: str
    in_filemaker: bool = True
    in_nexus: bool = True
    hangs: str = "right"


_DOCUMENTS = (
    _Fate(10_090, "shared"),
    _Fate(40, "shared", hangs="orphaned"),
    _Fate(8, "shared", hangs="nowhere"),
    _Fate(6, "shared", hangs="wrong"),
    _Fate(18, "vanished"),
    _Fate(18, "vanished", in_filemaker=False),
    _Fate(10, "shared", in_filemaker=False),
    _Fate(965, "shared", in_nexus=False),
    _Fate(40, "new", in_nexus=False),
    _Fate(2, "nameless", in_nexus=False),
    _Fate(60, "nobody", in_nexus=False),
    _Fate(40, "without", in_nexus=False),
)
_BATCHES = (
    _Fate(1_634, "shared"),
    _Fate(7, "shared", hangs="orphaned"),
    _Fate(2, "shared", hangs="wrong"),
    _Fate(9, "vanished"),
    _Fate(9, "vanished", in_filemaker=False),
)
_IMAGES, _IN_FILEMAKER, _DELETED = 6_489, 6_664, 5


def make(world: World) -> None:
    """Fill in documents and batches of images."""
    rng = world.chance("files")
    world.documents = [
        _document(world, rng, fate, number)
        for fate in _DOCUMENTS
        for number in range(world.size(fate.count))
    ]
    world.batches = [
        _batch(world, rng, fate, number)
        for fate in _BATCHES
        for number in range(world.size(fate.count))
    ]
    _fill_batches(world, rng)
    _add_images_that_nexus_lacks(world, rng)
    _choose_recent(world)


def _owner(world: World, rng: Random, fate: _Fate, number: int) -> tuple[str, Person | None]:
    """The FileMaker id that is named, and the person behind it."""
    if fate.whose in ("nobody", "without"):
        return (upper(world.invent.uuid()) if fate.whose == "nobody" else ""), None
    people = world.group(fate.whose)
    person = people[number % len(people)] if fate.whose == "vanished" else rng.choice(people)
    return person.filemaker_id, person


def _link(world: World, rng: Random, fate: _Fate, person: Person | None) -> UUID | None:
    if fate.hangs == "orphaned":
        return world.invent.uuid()
    if fate.hangs == "wrong":
        return next(p.id for p in rng.sample(world.shared, 2) if p is not person)
    return None if person is None or fate.hangs == "nowhere" else person.id


def _document(world: World, rng: Random, fate: _Fate, number: int) -> Document:
    owner, person = _owner(world, rng, fate, number)
    link = _link(world, rng, fate, person)
    old = rng.random() < 0.3 or link is None
    return Document(
        id=world.invent.uuid(),
        filemaker_id=upper(world.invent.uuid()),
        owner=owner,
        link=link,
        kind=rng.choice(tuple(DOCUMENT_KINDS)),
        day=_day(rng),
        suffix=rng.choice(("pdf", "pdf", "pdf", "jpg", "docx")),
        folder=world.invent.uuid() if old or link is None else link,
        in_filemaker=fate.in_filemaker,
        in_nexus=fate.in_nexus,
    )


def _batch(world: World, rng: Random, fate: _Fate, number: int) -> Batch:
    owner, person = _owner(world, rng, fate, number)
    link = _link(world, rng, fate, person) or world.invent.uuid()
    batch = Batch(world.invent.uuid(), owner, link, _day(rng), [])
    batch.images = [_image(world, rng, in_filemaker=fate.in_filemaker, in_nexus=True)]
    return batch


def _image(world: World, rng: Random, *, in_filemaker: bool, in_nexus: bool) -> Image:
    world.last_recid += rng.randrange(1, 4)
    kind = rng.choice(tuple(IMAGE_KINDS))
    identifier = upper(world.invent.uuid())
    return Image(world.invent.uuid(), identifier, world.last_recid, kind, in_filemaker, in_nexus)


def new_image(world: World, rng: Random) -> Image:
    """An image that was uploaded in Nexus."""
    return _image(world, rng, in_filemaker=False, in_nexus=True)


def _fill_batches(world: World, rng: Random) -> None:
    """Further images, up to 6,489; five of them have been deleted in FileMaker."""
    batches = world.batches
    for _ in range(world.size(_IMAGES) - len(batches)):
        batch = rng.choice(batches)
        known = batch.images[0].in_filemaker
        batch.images.append(_image(world, rng, in_filemaker=known, in_nexus=True))
    many = [b.images[-1] for b in batches if len(b.images) > 2 and b.images[0].in_filemaker]
    for image in many[: world.size(_DELETED)]:
        image.in_filemaker = False


def _add_images_that_nexus_lacks(world: World, rng: Random) -> None:
    """Images of FileMaker that were never brought over: of someone, of nobody, of no one named."""
    held = sum(image.in_filemaker for batch in world.batches for image in batch.images)
    for number in range(world.size(_IN_FILEMAKER) - held):
        owner = rng.choice(world.shared).filemaker_id
        if number % 10 == 8:
            owner = upper(world.invent.uuid())
        image = _image(world, rng, in_filemaker=True, in_nexus=False)
        owner = "" if number % 10 == 9 else owner
        world.batches.append(
            Batch(world.invent.uuid(), owner, world.invent.uuid(), _day(rng), [image])
        )


def _day(rng: Random) -> date:
    return _FIRST + timedelta(days=rng.randrange(3_930))


def _choose_recent(world: World) -> None:
    """What prod has and dev has not yet."""
    documents = sorted((d for d in world.documents if d.in_nexus), key=lambda d: (d.day, d.id))
    batches = [b for b in world.batches if b.images[0].in_nexus]
    batches.sort(key=lambda b: (b.day, b.id))
    world.recent |= {document.id for document in documents[-world.size(30) :]}
    world.recent |= {batch.id for batch in batches[-world.size(5) :]}
