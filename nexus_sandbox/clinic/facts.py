"""The facts of the made-up clinic, from which both systems' data is written.

Both sides are written from the same facts, so that what should match does. A fact carries what
became of it: in FileMaker, in Nexus, or in both, and where the two have drifted apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from random import Random
from uuid import UUID

from nexus_sandbox.clinic.fake import Fake


@dataclass(slots=True)
class Place:
    """A clinic. ``name`` as FileMaker spells it ("" if unknown there), ``nexus_name`` as Nexus."""

    id: UUID
    name: str
    nexus_name: str
    filemaker_id: str
    color: str
    nexus_filemaker_id: str = ""
    colour_only: bool = False


@dataclass(slots=True)
class Calendar:
    """What FileMaker's events point at. ``place`` is the clinic that Nexus knows by it."""

    id: str
    name: str
    color: str
    place: Place | None


@dataclass(slots=True)
class Staff:
    """A member of the staff; a clinician unless ``role`` says otherwise."""

    id: UUID
    user_id: int
    first: str
    last: str
    email: str
    role: str
    active: bool


@dataclass(slots=True)
class Detail:
    """A phone, mobile, e-mail or address; ``parts``: both lines, suburb, state, postcode."""

    kind: str
    value: str
    label: str
    default: bool = False
    parts: tuple[str, str, str, str, str] = ("", "", "", "", "")


@dataclass(slots=True)
class Partner:
    """A referrer, company or coordinator, with one id in FileMaker and another one in Nexus."""

    id: UUID
    filemaker_id: str
    first: str
    last: str
    organisation: str
    details: list[Detail] = field(default_factory=list)


@dataclass(slots=True)
class Person:
    """A patient. ``filemaker_id`` is empty for those whom Nexus made.

    ``edits``: columns that Nexus shows otherwise than FileMaker; ``late_edits``: those that dev has
    not got yet.
    """

    id: UUID
    filemaker_id: str
    title: str
    first: str
    middle: str
    last: str
    born: date | None
    gender: str
    health_number: str
    created: datetime
    details: list[Detail]
    place: Place | None = None
    nexus_place: Place | None = None
    funding: str = ""
    coordinator: Partner | None = None
    plan: tuple[date, date] | None = None
    plan_notes: str = ""
    xero_id: str = ""
    area: str = ""
    has_diabetes: bool = False
    cys_id: int | None = None
    by_spreadsheet: bool = True
    nexus_details: list[Detail] | None = None
    edits: dict[str, object] = field(default_factory=dict)
    late_edits: dict[str, object] = field(default_factory=dict)

    @property
    def mobile(self) -> str:
        """The first mobile number, "" if there is none."""
        return next((d.value for d in self.details if d.kind == "Mobile"), "")


@dataclass(slots=True)
class Event:
    """An appointment or a block. ``start`` in FileMaker, ``nexus_start`` in Nexus (wall clocks).

    ``owner`` is the FileMaker id that the event points at, which may be nobody's.
    """

    id: UUID
    filemaker_id: str
    person: Person | None
    owner: str
    start: datetime
    end: datetime | None
    calendar: str
    note: str
    nexus_start: datetime
    all_day: bool = False
    dated: bool = True
    in_filemaker: bool = True
    in_nexus: bool = False
    has_id: bool = True
    place: Place | None = None
    staffed: bool = True


@dataclass(slots=True)
class Text:
    """A note, a message or a reply. ``nexus`` is its text there, if another."""

    id: UUID
    filemaker_id: str
    person: Person | None
    owner: str
    text: str
    at: datetime
    kind: str = ""
    event: Event | None = None
    event_id: str = ""
    phone: str = ""
    in_filemaker: bool = True
    in_nexus: bool = False
    nexus: str | None = None


@dataclass(slots=True)
class Document:
    """A file of a patient. ``link``: where Nexus hangs it, None for nowhere."""

    id: UUID
    filemaker_id: str
    owner: str
    link: UUID | None
    kind: str
    day: date
    suffix: str
    folder: UUID
    in_filemaker: bool = True
    in_nexus: bool = False


@dataclass(slots=True)
class Image:
    """One picture. ``recid`` is what its file is called."""

    id: UUID
    filemaker_id: str
    recid: int
    kind: str
    in_filemaker: bool = True
    in_nexus: bool = False


@dataclass(slots=True)
class Batch:
    """Images of one patient from one day."""

    id: UUID
    owner: str
    link: UUID
    day: date
    images: list[Image]


@dataclass(slots=True)
class Facts:
    """All facts. ``recent``: ids of rows that only prod has."""

    seed: int
    scale: float
    fake: Fake
    places: list[Place] = field(default_factory=list)
    calendars: list[Calendar] = field(default_factory=list)
    fundings: list[tuple[str, str, UUID]] = field(default_factory=list)  # name, abbreviation, id
    staff: list[Staff] = field(default_factory=list)
    referrers: list[Partner] = field(default_factory=list)
    companies: list[Partner] = field(default_factory=list)
    coordinators: list[Partner] = field(default_factory=list)
    shared: list[Person] = field(default_factory=list)
    new: list[Person] = field(default_factory=list)
    nameless: list[Person] = field(default_factory=list)
    vanished: list[Person] = field(default_factory=list)
    own: list[Person] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    notes: list[Text] = field(default_factory=list)
    messages: list[Text] = field(default_factory=list)
    replies: list[Text] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    recent: set[UUID] = field(default_factory=set)
    last_recid: int = 1_000
    _linkable: list[Event] = field(default_factory=list)

    def size(self, real: int) -> int:
        """``real`` at this scale, but at least one."""
        return max(1, round(real * self.scale))

    def chance(self, part: str) -> Random:
        """The random numbers of one part; parts do not influence each other."""
        return Random(f"{self.seed}:{part}")

    def group(self, name: str) -> list[Person]:
        """The patients of one kind; none under any other name."""
        groups = {
            "shared": self.shared,
            "new": self.new,
            "nameless": self.nameless,
            "vanished": self.vanished,
        }
        return groups.get(name, [])

    @property
    def in_nexus(self) -> list[Person]:
        """Everyone with a row in Nexus."""
        return [*self.shared, *self.vanished, *self.own]

    def linkable_events(self) -> list[Event]:
        """Appointments of Nexus that are of a patient."""
        if not self._linkable:
            self._linkable = [e for e in self.events if e.in_nexus and e.person]
        return self._linkable

    @property
    def clinicians(self) -> list[Staff]:
        """The staff who see patients."""
        return [one for one in self.staff if one.role == "PEDORTHIST"]


def upper(identifier: UUID) -> str:
    """An id as FileMaker writes it."""
    return str(identifier).upper()
