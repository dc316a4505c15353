"""Events: 15,127 in FileMaker, of which 9,835 have a patient; 9,830 appointments in Nexus.

What became of the 9,530 that were imported, by how many, stands in ``_OUTCOMES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate, count

from nexus_sandbox.clinic.facts import Calendar, Event, Facts, Person, Place, upper
from nexus_sandbox.clinic.times import TODAY, clock, working_time

BLOCKS = 5_292
NEXUS_BOOKED, CLINIC_EVENTS = 280, 20
UNKNOWN_CALENDARS = {"patients": 970, "blocks": 522}
_WITHOUT_CLINIC, _WITHOUT_STAFF = 32, {"with id": 796, "without id": 700}
_QUARTERS = 1_000  # starts that are tried at a quarter of an hour
_FIRST, _LAST = date(2015, 2, 2), date(2026, 4, 30)
_REPEATED = date(2024, 4, 7)  # the clocks go back at three
_NOTES = ("", "", "", "", "New pair", "Review\rbring old shoes", "Casts ", "2nd fitting\tASAP")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One outcome of an event: where it exists, to whom it belongs, and how many there are."""

    count: int
    whose: str
    in_filemaker: bool = True
    in_nexus: bool = True
    has_id: bool = True
    moved: bool = False
    dated: bool = True


_OUTCOMES = {
    "the same": _Outcome(8_254, "shared"),
    "moved since": _Outcome(15, "shared", moved=True),
    "deleted since": _Outcome(20, "shared", in_filemaker=False),
    "of a vanished patient": _Outcome(20, "vanished"),
    "vanished with its patient": _Outcome(20, "vanished", in_filemaker=False),
    "the same, no id": _Outcome(1_191, "shared", has_id=False),
    "moved since, no id": _Outcome(6, "shared", has_id=False, moved=True),
    "of a vanished patient, no id": _Outcome(4, "vanished", has_id=False),
    "new": _Outcome(317, "shared", in_nexus=False),
    "of a new patient": _Outcome(20, "new", in_nexus=False),
    "of a nameless contact": _Outcome(6, "nameless", in_nexus=False),
    "without a date": _Outcome(2, "shared", in_nexus=False, dated=False),
}


class _Appointments:
    """Makes events; no patient has two that start at the same time."""

    def __init__(self, facts: Facts) -> None:
        self.facts, self.rng = facts, facts.chance("diary")
        self._taken: set[tuple[int, datetime]] = set()
        self._weights: dict[int, list[float]] = {}  # of lists of people, summed up

    def person(self, people: list[Person]) -> Person:
        """A random patient; some come much more often than others."""
        if id(people) not in self._weights:
            drawn = (self.rng.paretovariate(1.3) for _ in people)
            self._weights[id(people)] = list(accumulate(drawn))
        return self.rng.choices(people, cum_weights=self._weights[id(people)])[0]

    def start(self, person: Person | None, first: date = _FIRST, last: date = _LAST) -> datetime:
        """A start time at which the patient has no other event."""
        for tries in count():
            start = working_time(self.rng, first, last)
            if tries >= _QUARTERS:  # all are taken of who comes most often to a huge clinic
                start += timedelta(minutes=self.rng.randrange(15))
            if (id(person), start) not in self._taken:
                break
        if person is not None:
            self._taken.add((id(person), start))
        return start

    def event(self, person: Person | None, start: datetime, calendar: Calendar) -> Event:
        """An event of about half an hour."""
        return Event(
            id=self.facts.fake.uuid(),
            filemaker_id=upper(self.facts.fake.uuid()),
            person=person,
            owner=person.filemaker_id if person else "",
            start=start,
            end=start + timedelta(minutes=self.rng.choice((15, 30, 30, 45, 60))),
            calendar=calendar.id,
            note=self.rng.choice(_NOTES),
            nexus_start=start,
            place=calendar.place or self.usual_place(person),
        )

    def usual_place(self, person: Person | None) -> Place:
        """The clinic that Nexus uses if FileMaker's calendar does not tell one."""
        return (person.nexus_place if person else None) or self.facts.places[0]

    def calendar(self) -> Calendar:
        """A clinic's calendar, or a home visit's."""
        return self.rng.choice(self.facts.calendars)


def make(facts: Facts) -> None:
    """Fill in all events."""
    booked = _Appointments(facts)
    by_outcome = {name: _of_patients(booked, outcome) for name, outcome in _OUTCOMES.items()}
    ours = [event for events in by_outcome.values() for event in events]
    imported = [event for event in ours if event.in_nexus]
    blocks = [_block(booked) for _ in range(facts.size(BLOCKS))]
    _odd_times(booked, by_outcome["the same"])
    _calendars_that_match_nothing(booked, by_outcome, blocks)
    _without_staff(booked, imported)
    facts.events = [*ours, *blocks, *_booked(booked), *_clinic_events(booked)]
    _choose_recent(facts)


def _of_patients(booked: _Appointments, outcome: _Outcome) -> list[Event]:
    people = booked.facts.group(outcome.whose)
    return [
        _one(booked, outcome, booked.person(people))
        for _ in range(booked.facts.size(outcome.count))
    ]


def _one(booked: _Appointments, outcome: _Outcome, person: Person) -> Event:
    first = date(2025, 11, 11) if not outcome.in_nexus else _FIRST
    event = booked.event(person, booked.start(person, first), booked.calendar())
    event.in_filemaker, event.in_nexus, event.has_id = (
        outcome.in_filemaker,
        outcome.in_nexus,
        outcome.has_id,
    )
    event.dated = outcome.dated
    if outcome.moved:
        event.start = booked.start(person, TODAY, _LAST)
        event.end = event.start + timedelta(minutes=30)
    return event


def _block(booked: _Appointments) -> Event:
    """A holiday, a meeting, a lunch: an event without a patient."""
    event = booked.event(None, booked.start(None), booked.calendar())
    event.note = booked.rng.choice(("", "Public holiday", "Staff meeting", "Lunch", "Order day"))
    if booked.rng.random() < 0.3:
        _make_all_day(event)
    return event


def _make_all_day(event: Event) -> None:
    event.start = event.nexus_start = event.start.replace(hour=0, minute=0)
    event.end, event.all_day = event.start + timedelta(days=1), True


def _odd_times(booked: _Appointments, events: list[Event]) -> None:
    """Whole days, missing ends, and hours that a clock change repeats."""
    size = booked.facts.size
    odd = iter(booked.rng.sample(events, min(size(70) + 5, len(events))))
    days: set[tuple[int, date]] = set()
    for _, event in zip(range(size(40)), odd, strict=False):
        if (key := (id(event.person), event.start.date())) not in days:
            days.add(key)
            _make_all_day(event)
    for _, event in zip(range(size(16)), odd, strict=False):
        event.end = None
    for number, event in zip(range(5), odd, strict=False):
        event.start = event.nexus_start = clock(_REPEATED, 2, 10 * number)
        event.end = clock(_REPEATED, 3, 30)
    for _, event in zip(range(size(2)), odd, strict=False):  # into the next day
        event.start = event.nexus_start = event.start.replace(hour=22, minute=15, second=30)
        event.end = event.start.replace(hour=0, minute=0, second=0) + timedelta(days=1, minutes=90)


def _calendars_that_match_nothing(
    booked: _Appointments, by_outcome: dict[str, list[Event]], blocks: list[Event]
) -> None:
    """Ids of calendars that no longer exist; for 32 of their appointments Nexus has no clinic."""
    size, rng, fake = booked.facts.size, booked.rng, booked.facts.fake
    gone = [upper(fake.uuid()) for _ in range(5)]
    old = [*by_outcome["the same"], *by_outcome["the same, no id"]]
    new = rng.sample(by_outcome["new"], min(size(12), len(by_outcome["new"])))
    of_patients = rng.sample(old, min(size(UNKNOWN_CALENDARS["patients"]) - len(new), len(old)))
    of_blocks = rng.sample(blocks, min(size(UNKNOWN_CALENDARS["blocks"]), len(blocks)))
    for event in (*of_patients, *new, *of_blocks):
        event.calendar = rng.choice(gone)
        event.place = booked.usual_place(event.person)
    for event in of_patients[: size(_WITHOUT_CLINIC)]:
        event.place = None


def _without_staff(booked: _Appointments, imported: list[Event]) -> None:
    """1,496 have neither clinician nor type; the others have both."""
    for has_id, name in ((True, "with id"), (False, "without id")):
        those = [e for e in imported if e.has_id is has_id]
        count = min(booked.facts.size(_WITHOUT_STAFF[name]), len(those))
        for event in booked.rng.sample(those, count):
            event.staffed = False


def _booked(booked: _Appointments) -> list[Event]:
    """Appointments that were made in Nexus."""
    own, shared = booked.facts.own, booked.facts.shared
    events = []
    for number in range(booked.facts.size(NEXUS_BOOKED)):
        person = own[number % len(own)] if number % 3 == 0 else booked.person(shared)
        start = booked.start(person, date(2025, 10, 1), _LAST)
        events.append(_nexus_only(booked.event(person, start, booked.facts.calendars[number % 8])))
    return events


def _clinic_events(booked: _Appointments) -> list[Event]:
    """Appointments without a patient, made in Nexus."""
    events = []
    for number in range(booked.facts.size(CLINIC_EVENTS)):
        start = booked.start(None, date(2025, 11, 1), _LAST)
        events.append(_nexus_only(booked.event(None, start, booked.facts.calendars[number % 8])))
    return events


def _nexus_only(event: Event) -> Event:
    event.in_filemaker, event.in_nexus, event.has_id = False, True, False
    return event


def _choose_recent(facts: Facts) -> None:
    """Rows that prod has and dev does not have yet."""
    rng = facts.chance("recent events")
    imported = [e for e in facts.events if e.in_nexus and e.in_filemaker and e.person]
    booked = [e for e in facts.events if e.in_nexus and not e.has_id and not e.in_filemaker]
    shared = {id(person) for person in facts.shared}
    late = sorted(imported, key=lambda e: (e.start, e.filemaker_id))[-facts.size(300) :]
    late = [e for e in late if id(e.person) in shared]
    facts.recent |= {e.id for e in rng.sample(late, min(len(late), facts.size(40)))}
    facts.recent |= {e.id for e in rng.sample(booked, min(len(booked), facts.size(20)))}
