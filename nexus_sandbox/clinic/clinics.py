"""Clinics, calendars, funding sources, staff, and the people and firms around the patients.

Eleven clinics in FileMaker, ten calendars: eight are called as clinics are (two in another
spelling), two are home-visit calendars called after a clinician, of which Nexus knows one as a
clinic. Nexus spells two clinics otherwise than FileMaker, took one from its calendar, and has one
of its own.
"""

from __future__ import annotations

from random import Random

from nexus_sandbox.clinic.facts import Calendar, Detail, Partner, Place, Staff, World, upper

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


def make(world: World) -> None:
    """Fill in everything but patients."""
    rng = world.chance("places")
    world.fundings = [(name, short, world.invent.uuid()) for name, short in FUNDINGS]
    world.staff = [_staff(world, number + 2, *kind) for number, kind in enumerate(_STAFF)]
    world.places = [_clinic(world, number) for number in range(_CLINICS)]
    world.calendars = [_calendar(world, number) for number in range(8)]
    _spell_otherwise(world)
    _home_visits(world)
    world.referrers = [_person(world, rng) for _ in range(world.size(228))]
    world.companies = [_company(world, rng) for _ in range(world.size(93))]
    world.coordinators = [_coordinator(world) for _ in range(world.size(183))]


def suburb(world: World, rng: Random) -> tuple[str, str, str]:
    """Suburb, state and postcode."""
    place = rng.choice(world.places[:_CLINICS])
    return place.nexus_name.split()[0] + rng.choice(("", " North", " Heights")), "NSW", "2999"


def address(world: World, rng: Random, label: str = "Home") -> Detail:
    """An address with a postcode that begins with a zero now and then."""
    town, state, postcode = suburb(world, rng)
    if rng.random() < 0.05:
        state, postcode = "NT", "0899"
    second = f"Unit {rng.randrange(1, 40)}" if rng.random() < 0.15 else ""
    return Detail(
        "Address", "", label, parts=(world.invent.street(), second, town, state, postcode)
    )


def _staff(world: World, user_id: int, role: str, is_active: bool) -> Staff:
    first, last = world.invent.name()
    world.invent.know_name(first, last)
    email = world.invent.email(first, last)
    return Staff(world.invent.uuid(), user_id, first, last, email, role, is_active)


def _clinic(world: World, number: int) -> Place:
    name = f"{world.invent.place()} Clinic"
    identifier = upper(world.invent.uuid())
    color = _COLORS[number % len(_COLORS)]
    return Place(world.invent.uuid(), name, name, identifier, color, identifier)


def _calendar(world: World, number: int) -> Calendar:
    place = world.places[number]
    return Calendar(upper(world.invent.uuid()), place.name, place.color, place)


def _spell_otherwise(world: World) -> None:
    world.calendars[1].name = world.calendars[1].name.upper()
    world.calendars[2].name = f" {world.calendars[2].name.replace(' ', '  ')} "
    world.places[3].nexus_name = world.places[3].name.lower()
    world.places[4].nexus_name = world.places[4].name.replace(" ", "  ")
    world.places[5].nexus_filemaker_id = world.calendars[5].id
    world.places[6].nexus_filemaker_id = ""


def _home_visits(world: World) -> None:
    known, unknown = world.clinicians[0], world.clinicians[1]
    calendar = upper(world.invent.uuid())
    name = f"Home visits {known.last}"
    place = Place(world.invent.uuid(), "", name, "", "#FFAA33", calendar, colour_only=True)
    own = Place(world.invent.uuid(), "", f"{world.invent.place()} Clinic", "", "#3B82F6")
    world.places += [place, own]
    world.calendars += [
        Calendar(calendar, name, place.color, place),
        Calendar(upper(world.invent.uuid()), f"Home visits {unknown.last}", "#FFCC88", None),
    ]


def _person(world: World, rng: Random) -> Partner:
    first, last = world.invent.name()
    world.invent.know_name(first, last)
    details = [
        Detail("Phone", world.invent.landline(), "Rooms"),
        Detail("Email", world.invent.email(first, last), "Work", default=True),
        address(world, rng, "Rooms"),
    ]
    return Partner(world.invent.uuid(), upper(world.invent.uuid()), first, last, "", details)


def _company(world: World, rng: Random) -> Partner:
    details = [
        Detail("Phone", world.invent.landline(), "Main"),
        address(world, rng, "Postal"),
    ]
    name = world.invent.company("Orthotics")
    return Partner(world.invent.uuid(), upper(world.invent.uuid()), "", "", name, details)


def _coordinator(world: World) -> Partner:
    first, last = world.invent.name()
    world.invent.know_name(first, last)
    details = [
        Detail("Phone", world.invent.landline(), "Work"),
        Detail("Email", world.invent.email(first, last), "Work", default=True),
    ]
    firm = world.invent.company("Support")
    return Partner(world.invent.uuid(), "", first, last, firm, details)
