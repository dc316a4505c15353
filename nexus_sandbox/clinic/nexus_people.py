"""Nexus's patients, in the state in which two earlier imports and the clinic's work left them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from random import Random

from psycopg.types.json import Jsonb

from nexus_sandbox.clinic.environments import Row, later
from nexus_sandbox.clinic.facts import Facts, Person
from nexus_sandbox.clinic.nexus_cards import address_card, contact_card
from nexus_sandbox.clinic.times import IMPORTED

_TITLES = ("Mr", "Mrs", "Ms", "Miss", "Dr", "Prof")
_SEXES = {"m": "M", "male": "M", "f": "F", "female": "F", "other": "O", "unknown": "U"}
_BULK_SAVE = IMPORTED + timedelta(days=2, hours=7)


def patient_rows(facts: Facts) -> Iterable[Row]:
    """All patients of Nexus: in both systems, vanished from FileMaker, or only in Nexus."""
    rng = facts.chance("patient rows")
    marks = _Marks(facts, rng)
    for number, person in enumerate(facts.in_nexus):
        created = IMPORTED + timedelta(seconds=number)
        if not person.filemaker_id:
            created = IMPORTED + timedelta(days=1, hours=number % 60)
        saved = _BULK_SAVE if number % 20 else created
        yield {
            "id": person.id,
            "mrn": facts.fake.record_number() if person in marks.numbered else None,
            "first_name": person.first,
            "last_name": _edited(person, "last_name", person.last.strip()),
            "middle_names": person.middle or None,
            "dob": person.edits.get("dob", person.born),
            "sex": _sex(person, is_odd=person is facts.own[0]),
            "contact_json": _json(contact_card(person, rng)),
            "address_json": _json(address_card(person, rng)),
            "emergency_json": _json(_emergency(facts, rng) if person in marks.emergency else {}),
            "flags_json": _json({"falls_risk": True} if person in marks.emergency else {}),
            "created_at": created,
            "updated_at": max(saved, created),
            "clinic_id": person.nexus_place.id if person.nexus_place else None,
            "coordinator_date": date(2025, 3, 3) if person in marks.planned else None,
            "coordinator_name": None,
            "funding_type_id": None,
            "health_number": person.health_number or None,
            "notes": f"Ref {facts.fake.word()}" if number % 90 == 0 else None,
            "plan_end_date": None,
            "plan_start_date": None,
            "title": _title(person),
            **marks.archived_columns(person),
            "plan_dates_json": _json(_plans(rng) if person in marks.planned else []),
            "filemaker_metadata": _metadata(person, number),
            "ndis_plan_end_date": _plan_date(person, 1),
            "ndis_plan_start_date": _plan_date(person, 0),
            "funding_source": rng.choice(("NDIS", "DVA")) if person in marks.planned else None,
        }


class _Marks:
    """The patients that have values which only Nexus knows."""

    def __init__(self, facts: Facts, rng: Random) -> None:
        self._rng = rng
        everyone = facts.in_nexus
        shared = facts.shared
        self.archived = _Some(rng, everyone, facts.size(71))
        archived = [person for person in shared if person in self.archived]
        self.archived_later = _Some(rng, archived, facts.size(5))
        self.planned = _Some(rng, shared, facts.size(114))
        self.emergency = _Some(rng, everyone, facts.size(95))
        self.numbered = _Some(rng, everyone, facts.size(57))

    def archived_columns(self, person: Person) -> Row:
        """Archived or not; some since dev was copied. 71 in prod."""
        at = IMPORTED + timedelta(days=1, minutes=self._rng.randrange(600))
        if person not in self.archived:
            return {"archived": False, "archived_at": None, "archived_by": None}
        if person in self.archived_later:
            return {
                "archived": later(True, before=False),
                "archived_at": later(at, before=None),
                "archived_by": later("reception", before=None),
            }
        return {"archived": True, "archived_at": at, "archived_by": "reception"}


class _Some:
    """A sample of people."""

    def __init__(self, rng: Random, people: list[Person], count: int) -> None:
        self._ids = {person.id for person in rng.sample(people, min(count, len(people)))}

    def __contains__(self, person: Person) -> bool:
        return person.id in self._ids


def _json(value: object) -> Jsonb:
    return Jsonb(value)


def _edited(person: Person, column: str, value: object) -> object:
    if column in person.late_edits:
        return later(person.late_edits[column], before=value)
    return person.edits.get(column, value)


def _title(person: Person) -> str | None:
    title = person.title.rstrip(".")
    return title if title in _TITLES else None


def _sex(person: Person, *, is_odd: bool) -> str | None:
    """One of four choices, or Q, which is none of them; PostgreSQL accepts it."""
    return "Q" if is_odd else _SEXES.get(person.gender.strip().lower())


def _plan_date(person: Person, which: int) -> date | None:
    return person.plan[which] if person.plan and person.by_spreadsheet else None


def _plans(rng: Random) -> list[dict[str, str]]:
    begin = date(2023, 7, 1) + timedelta(days=rng.randrange(400))
    end = begin + timedelta(days=364)
    return [{"start_date": begin.isoformat(), "end_date": end.isoformat(), "type": "NDIS"}]


def _emergency(facts: Facts, rng: Random) -> dict[str, dict[str, str]]:
    who = rng.choice(("mother", "father", "emergency", "guardian"))
    return {who: {rng.choice(("mobile", "phone")): facts.fake.landline()}}


def _metadata(person: Person, number: int) -> Jsonb | None:
    """Two shapes, one per importer, with keys of FileMaker and keys of Nexus."""
    if not person.filemaker_id:
        return Jsonb({"source": "nexus"}) if number % 2 else None
    held = _from_spreadsheet(person) if person.by_spreadsheet else _from_api(person)
    if number % 400 == 17:
        # A text in JSON: nothing keeps it in FileMaker's upper case.
        held["filemaker_id"] = person.filemaker_id.lower()
    if number % 25 == 0:
        held["reviewed"] = {"by": "reception", "note": "checked by phone"}
    return Jsonb(held)


def _from_spreadsheet(person: Person) -> dict[str, object]:
    place = (person.place and person.nexus_place) or person.place
    held: dict[str, object] = {
        "filemaker_id": person.filemaker_id,
        "clinic_name": place.name if place else "",
        "area": person.area,
        "contact_type": "Patient",
        "cys_id": person.cys_id,
        "diabetes": int(person.has_diabetes),
        "id_clinic": place.filemaker_id if place else "",
    }
    if person.coordinator and person.plan:
        who = person.coordinator
        held["ndis"] = {
            "coordinator_name": f"{who.first} {who.last} - {who.organisation}",
            "coordinator_email": next(d.value for d in who.details if d.kind == "Email"),
            "coordinator_phone": next(d.value for d in who.details if d.kind == "Phone"),
            "plan_start_date": person.plan[0].isoformat(),
            "plan_end_date": person.plan[1].isoformat(),
            "notes": person.plan_notes,
        }
    return held


def _from_api(person: Person) -> dict[str, object]:
    return {
        "filemaker_id": person.filemaker_id,
        "filemaker_clinic": person.place.name if person.place else "",
        "xero_contact_id": person.xero_id,
        "imported_at": IMPORTED.isoformat(),
        "import_source": "filemaker_api",
    }
