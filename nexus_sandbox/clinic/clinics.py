"""Clinics, calendars, funding sources, staff, and the people and firms around the patients.

Eleven clinics in FileMaker, ten calendars: eight are called as clinics are (two in another
spelling), two are home-visit calendars called after a clinician, of which Nexus knows one as a
clinic. Nexus spells two clinics otherwise than FileMaker, took one from its calendar, and has one
of its own.
"""

from __future__ import annotations

from random import Random

from nexus_sandbox.clinic.facts import Calendar, Detail, Facts, Partner, Place, Staff, upper

FUNDINGS = (
    ("NDIS", "NDIS"),
    ("Department of Veterans' Affairs", "DVA"),
    ("Enable NSW", "ENABLE"),
    ("Home Care Package", "HCP"),
    ("Workers Compensation", "WC"),
    ("Private Health Insurance", "PHI"),
    ("Medicare EPC", "EPC"),
    ("Self funded", "SELF"),
)
_CLINICS = 11
_COLORS = ("#6EA5C0", "#C0846E", "#84C06E", "#A56EC0", "#C0B46E", "#6EC0AE", "#C06E9B")
_STAFF = (
    ("PEDORTHIST", True),
    ("PEDORTHIST", True),
    ("PEDORTHIST", True),
    ("PEDORTHIST", True),
    ("PEDORTHIST", False),
    ("PEDORTHIST", True),
    ("RECEPTION", True),
    ("RECEPTION", True),
    ("MANAGER", True),
    ("ADMIN", False),
)


def make(facts: Facts) -> None:
    """Fill in everything but patients."""
    rng = facts.chance("places")
    facts.fundings = [(name, short, facts.fake.uuid()) for name, short in FUNDINGS]
    facts.staff = [_staff(facts, number + 2, *kind) for number, kind in enumerate(_STAFF)]
    facts.places = [_clinic(facts, number) for number in range(_CLINICS)]
    facts.calendars = [_calendar(facts, number) for number in range(8)]
    _spell_otherwise(facts)
    _home_visits(facts)
    facts.referrers = [_person(facts, rng) for _ in range(facts.size(228))]
    facts.companies = [_company(facts, rng) for _ in range(facts.size(93))]
    facts.coordinators = [_coordinator(facts) for _ in range(facts.size(183))]


def suburb(facts: Facts, rng: Random) -> tuple[str, str, str]:
    """Suburb, state and postcode."""
    place = rng.choice(facts.places[:_CLINICS])
    return place.nexus_name.split()[0] + rng.choice(("", " North", " Heights")), "NSW", "2999"


def address(facts: Facts, rng: Random, label: str = "Home") -> Detail:
    """An address; some postcodes begin with a zero, which spreadsheets lose."""
    town, state, postcode = suburb(facts, rng)
    if rng.random() < 0.05:
        state, postcode = "NT", "0899"
    second = f"Unit {rng.randrange(1, 40)}" if rng.random() < 0.15 else ""
    return Detail("Address", "", label, parts=(facts.fake.street(), second, town, state, postcode))


def _staff(facts: Facts, user_id: int, role: str, is_active: bool) -> Staff:
    first, last = facts.fake.name()
    facts.fake.know_name(first, last)
    email = facts.fake.email(first, last)
    return Staff(facts.fake.uuid(), user_id, first, last, email, role, is_active)


def _clinic(facts: Facts, number: int) -> Place:
    name = f"{facts.fake.place()} Clinic"
    identifier = upper(facts.fake.uuid())
    color = _COLORS[number % len(_COLORS)]
    return Place(facts.fake.uuid(), name, name, identifier, color, identifier)


def _calendar(facts: Facts, number: int) -> Calendar:
    place = facts.places[number]
    return Calendar(upper(facts.fake.uuid()), place.name, place.color, place)


def _spell_otherwise(facts: Facts) -> None:
    facts.calendars[1].name = facts.calendars[1].name.upper()
    facts.calendars[2].name = f" {facts.calendars[2].name.replace(' ', '  ')} "
    facts.places[3].nexus_name = facts.places[3].name.lower()
    facts.places[4].nexus_name = facts.places[4].name.replace(" ", "  ")
    facts.places[5].nexus_filemaker_id = facts.calendars[5].id
    facts.places[6].nexus_filemaker_id = ""


def _home_visits(facts: Facts) -> None:
    known, unknown = facts.clinicians[0], facts.clinicians[1]
    calendar = upper(facts.fake.uuid())
    name = f"Home visits {known.last}"
    place = Place(facts.fake.uuid(), "", name, "", "#FFAA33", calendar, colour_only=True)
    own = Place(facts.fake.uuid(), "", f"{facts.fake.place()} Clinic", "", "#3B82F6")
    facts.places += [place, own]
    facts.calendars += [
        Calendar(calendar, name, place.color, place),
        Calendar(upper(facts.fake.uuid()), f"Home visits {unknown.last}", "#FFCC88", None),
    ]


def _person(facts: Facts, rng: Random) -> Partner:
    first, last = facts.fake.name()
    facts.fake.know_name(first, last)
    details = [
        Detail("Phone", facts.fake.landline(), "Rooms"),
        Detail("Email", facts.fake.email(first, last), "Work", default=True),
        address(facts, rng, "Rooms"),
    ]
    return Partner(facts.fake.uuid(), upper(facts.fake.uuid()), first, last, "", details)


def _company(facts: Facts, rng: Random) -> Partner:
    details = [
        Detail("Phone", facts.fake.landline(), "Main"),
        address(facts, rng, "Postal"),
    ]
    name = facts.fake.company("Orthotics")
    return Partner(facts.fake.uuid(), upper(facts.fake.uuid()), "", "", name, details)


def _coordinator(facts: Facts) -> Partner:
    first, last = facts.fake.name()
    facts.fake.know_name(first, last)
    details = [
        Detail("Phone", facts.fake.landline(), "Work"),
        Detail("Email", facts.fake.email(first, last), "Work", default=True),
    ]
    firm = facts.fake.company("Support")
    return Partner(facts.fake.uuid(), "", first, last, firm, details)
