"""Patients: 2,830 that both systems have, 12 that are new in FileMaker, 3 without a name, 12 that
have vanished from FileMaker, 25 that Nexus made itself. And their phones, e-mails and addresses.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random

from nexus_sandbox.clinic import clinics
from nexus_sandbox.clinic.facts import Detail, Facts, Person, upper
from nexus_sandbox.clinic.times import TODAY, working_time

DETAILS = 10_688
_BORN = 2_433 / 2_842
_TITLES = ("Mr", "Mrs", "Ms", "Miss", "Dr", "Mr.", "Mrs.", "Ms.", "Prof", "", "")
_GENDERS = ("Male", "Female", "M", "F", "male", "female ", "Other", "Unknown", "", "")
_LABELS = ("Home", "Work", "", "Carer", "Own")


def make(facts: Facts) -> None:
    """Fill in everyone, with clinics, plans, funding and what Nexus shows otherwise."""
    rng = facts.chance("people")
    facts.shared = [_person(facts, rng) for _ in range(facts.size(2_830))]
    facts.new = [_person(facts, rng, recent=True) for _ in range(facts.size(12))]
    facts.vanished = [_person(facts, rng) for _ in range(facts.size(12))]
    facts.own = [_own(facts, rng) for _ in range(facts.size(25))]
    facts.nameless = [_nameless(facts, rng) for _ in range(facts.size(3))]
    _births(facts, rng)
    _namesakes(facts, rng)
    _clinics(facts, rng)
    _plans(facts, rng)
    _differences(facts, rng)
    _pad_details(facts, rng)
    _remember_names(facts)
    recent = [*facts.own[1:][-facts.size(2) :], *facts.shared[1 : 1 + facts.size(3)]]
    facts.recent |= {person.id for person in recent}


def details_in_filemaker(facts: Facts) -> list[tuple[str, Detail]]:
    """Every contact detail with the id that it hangs on: patients, referrers and companies."""
    people = [*facts.shared, *facts.new, *facts.nameless]
    held = [(one.filemaker_id, detail) for one in people for detail in one.details]
    for partner in (*facts.referrers, *facts.companies):
        held += [(partner.filemaker_id, detail) for detail in partner.details]
    return held


def _person(facts: Facts, rng: Random, *, recent: bool = False) -> Person:
    first, last = facts.fake.name()
    start = date(2025, 11, 10) if recent else date(2014, 3, 1)
    end = date(2025, 11, 13) if recent else date(2025, 11, 7)
    return Person(
        id=facts.fake.uuid(),
        filemaker_id=upper(facts.fake.uuid()),
        title="Master" if rng.random() < 0.01 else rng.choice(_TITLES),
        first=first,
        middle=facts.fake.first_name() if rng.random() < 0.15 else "",
        last=last,
        born=None,
        gender=rng.choice(_GENDERS),
        health_number=facts.fake.health_number() if rng.random() < 0.7 else "",
        created=working_time(rng, start, end) + timedelta(seconds=rng.randrange(900)),
        details=_details(facts, rng, first, last),
        funding=_funding(rng),
        area=rng.choice(("", "North", "South")),
        has_diabetes=rng.random() < 0.3,
        cys_id=rng.randrange(100, 9_000) if rng.random() < 0.2 else None,
        by_spreadsheet=rng.random() < 0.55,
    )


def _own(facts: Facts, rng: Random) -> Person:
    person = _person(facts, rng, recent=True)
    person.filemaker_id, person.title, person.gender = "", "Ms", "Female"
    return person


def _nameless(facts: Facts, rng: Random) -> Person:
    person = _person(facts, rng)
    person.first = person.last = person.middle = ""
    return person


def _funding(rng: Random) -> str:
    if rng.random() > 0.7:
        return ""
    name, short = rng.choice(clinics.FUNDINGS)
    return rng.choice((name, name, short, name.upper()))


def _details(facts: Facts, rng: Random, first: str, last: str) -> list[Detail]:
    details = [clinics.address(facts, rng)]
    if rng.random() < 0.88:
        details.append(Detail("Mobile", facts.fake.mobile(), rng.choice(_LABELS), default=True))
    if rng.random() < 0.6:
        details.append(Detail("Phone", facts.fake.landline(), rng.choice(_LABELS)))
    if rng.random() < 0.55:
        kind = "E-mail" if rng.random() < 0.05 else "Email"
        details.append(Detail(kind, facts.fake.email(first, last), "", default=True))
    elif rng.random() < 0.02:
        details.append(Detail("Email", "none", ""))
    if rng.random() < 0.05:
        details.append(clinics.address(facts, rng, "Postal"))
    return details


def _births(facts: Facts, rng: Random) -> None:
    """2,433 of the 2,842 in FileMaker have a birth date; so have all the others."""
    named = [*facts.shared, *facts.new]
    born = rng.sample(named, min(len(named), round(len(named) * _BORN)))
    for person in (*born, *facts.vanished, *facts.own):
        person.born = facts.fake.birth_date()


def _namesakes(facts: Facts, rng: Random) -> None:
    """Patients who share only a name; one has blanks in it, one has no first name."""
    chosen = rng.sample(facts.shared, 2 * facts.size(20))
    for one, other in zip(chosen[::2], chosen[1::2], strict=True):
        other.first, other.last = one.first, one.last
    facts.shared[0].last += "  "
    facts.shared[-1].first = ""


def _clinics(facts: Facts, rng: Random) -> None:
    """86 have no clinic in Nexus; of those FileMaker knows 50."""
    known = facts.places[:11]
    everyone = [*facts.shared, *facts.new, *facts.nameless, *facts.vanished]
    for person in everyone:
        person.place = person.nexus_place = rng.choice(known)
    for person in facts.own:
        person.nexus_place = rng.choice(facts.places)
    without = rng.sample(facts.shared, facts.size(86))
    for number, person in enumerate(without):
        person.nexus_place = None
        if number >= facts.size(50):
            person.place = None
    for person in rng.sample([p for p in facts.shared if p.nexus_place], facts.size(20)):
        person.place = None


def _plans(facts: Facts, rng: Random) -> None:
    """247 have a coordinator and a plan; 700 have a contact in Xero."""
    for person in rng.sample(facts.shared, facts.size(247)):
        person.coordinator = rng.choice(facts.coordinators)
        person.funding = "NDIS"
        begin = date(2024, 7, 1) + timedelta(days=rng.randrange(480))
        person.plan = (begin, begin + timedelta(days=364))
        person.plan_notes = rng.choice(("", "Plan managed", "Review"))
        if person.plan_notes == "Review":
            person.plan_notes += f" {facts.fake.word()}"
    for person in (*rng.sample(facts.shared, facts.size(688)), *facts.vanished):
        person.xero_id = str(facts.fake.uuid())


def _pad_details(facts: Facts, rng: Random) -> None:
    """Further landlines, until FileMaker holds as many contact details as it should."""
    alike = [person for person in facts.shared if person.nexus_details is None]
    for _ in range(facts.size(DETAILS) - len(details_in_filemaker(facts))):
        person = rng.choice(alike)
        person.details.append(Detail("Phone", facts.fake.landline(), rng.choice(_LABELS)))


def _differences(facts: Facts, rng: Random) -> None:
    """What was edited on one side only. Each of these is a difference to report."""
    counts = [facts.size(count) for count in (8, 6, 3, 12, 6, 10, 5, 10)]
    chosen = iter(rng.sample(facts.shared[1:-1], min(sum(counts), len(facts.shared) - 2)))

    def some(number: int) -> list[Person]:
        return [person for _, person in zip(range(counts[number]), chosen, strict=False)]

    for person in some(0):  # married since, says Nexus
        person.edits["last_name"] = facts.fake.last_name()
    for person in some(1):  # the same, not yet in dev
        person.late_edits["last_name"] = facts.fake.last_name()
    for person in some(2):
        person.edits["dob"] = facts.fake.birth_date()
    for person in some(3):  # another mobile in Nexus
        new = Detail("Mobile", facts.fake.mobile(), "New", default=True)
        person.nexus_details = [d for d in person.details if d.kind != "Mobile"] + [new]
    for person in some(4):  # moved house, says Nexus
        kept = [d for d in person.details if d.kind != "Address"]
        person.nexus_details = [*kept, clinics.address(facts, rng)]
    for person in some(5):  # another phone in FileMaker since
        person.nexus_details = list(person.details)
        person.details = [*person.details, Detail("Phone", facts.fake.landline(), "New")]
    for person in some(6):  # another clinic in FileMaker since
        person.nexus_place = facts.places[0 if person.place is not facts.places[0] else 1]
    for person in some(7):  # a flag of FileMaker's was once taken for the address
        person.nexus_details = [
            replace(d, value="1") if d.kind == "Email" else d for d in person.details
        ]


def _remember_names(facts: Facts) -> None:
    for person in (*facts.shared, *facts.new, *facts.vanished, *facts.own):
        facts.fake.know_name(person.first, person.last.strip())
        facts.fake.know_name(person.middle, "")
        for last in (person.edits.get("last_name"), person.late_edits.get("last_name")):
            if last:
                facts.fake.know_name(person.first, str(last))


def modified(person: Person, rng: Random) -> datetime:
    """When FileMaker's record was last edited."""
    days = (TODAY - person.created.date()).days
    return person.created + timedelta(days=rng.randrange(max(1, days)), seconds=rng.randrange(3600))
