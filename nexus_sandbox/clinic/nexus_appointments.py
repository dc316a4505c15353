"""Nexus's appointments and encounters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from random import Random
from uuid import UUID

from nexus_sandbox.clinic.environments import Row
from nexus_sandbox.clinic.facts import Event, Facts, Staff
from nexus_sandbox.clinic.times import IMPORTED, TODAY, instant
from nexus_sandbox.clinic.writing import nexus_text

TYPES = ("Assessment", "Fitting", "Review", "Follow up")
_BOOKED = ("scheduled", "checked_in", "completed", "cancelled", "no_show")
_ENCOUNTERS = 40


def appointment_rows(facts: Facts, types: list[Row]) -> list[Row]:
    """Every appointment of Nexus; ``types`` are the rows of appointment_types."""
    rng = facts.chance("appointment rows")
    appointments = [event for event in facts.events if event.in_nexus]
    ends = _Ends(facts, appointments)
    rows = [
        _row(event, rng, ends.of(event), facts.clinicians, types, IMPORTED + timedelta(0, n))
        for n, event in enumerate(appointments)
    ]
    booked = rows[-facts.size(300) :] if len(rows) > facts.size(300) else rows
    _text_back(facts, rng, rows)
    _bill(facts, rng, rows)
    _repeat(facts, rng, booked)
    booked[0]["status"] = "no-show"  # no choice of Nexus's, which PostgreSQL takes all the same
    return rows


class _Ends:
    """The ends of appointments; half of those without an end in FileMaker have none in Nexus."""

    def __init__(self, facts: Facts, events: list[Event]) -> None:
        open_ended = [e for e in events if e.end is None]
        self._without = {e.id for e in open_ended[: facts.size(8)]}

    def of(self, event: Event) -> datetime | None:
        if event.id in self._without:
            return None
        if event.end is None or event.start != event.nexus_start:
            return instant(event.nexus_start) + timedelta(minutes=30)
        return instant(event.end)


def _row(
    event: Event,
    rng: Random,
    end: datetime | None,
    clinicians: list[Staff],
    types: list[Row],
    created_at: datetime,
) -> Row:
    own = not event.in_filemaker and not event.has_id
    note = nexus_text(event.note)
    return {
        "id": event.id,
        "start_time": instant(event.nexus_start),
        "end_time": end,
        "status": _status(event, rng, own=own),
        "reason": "Booked by phone" if own and rng.random() < 0.5 else None,
        "notes": (note or None) if not own else None,
        "created_at": created_at,
        "updated_at": created_at + timedelta(days=rng.choice((0, 2, 2, 3))),
        "clinic_id": event.place.id if event.place else None,
        "clinician_id": rng.choice(clinicians).id if event.staffed else None,
        "patient_id": event.person.id if event.person else None,
        "filemaker_event_id": UUID(event.filemaker_id) if event.has_id else None,
        "appointment_type_id": rng.choice(types)["id"] if event.staffed else None,
        "billing_company_id": None,
        "billing_notes": "",
        "invoice_contact_type": "patient",
        "followup_scheduled": False,
        "needs_followup_reminder": rng.random() < 0.01,
        "parent_appointment_id": None,
        "is_recurring": False,
        "recurrence_end_date": None,
        "recurrence_group_id": None,
        "recurrence_pattern": None,
        "sms_confirmation_message": None,
        "sms_confirmed": False,
        "sms_confirmed_at": None,
        "sms_reminder_sent_at": None,
        "sms_cancellation_message": None,
        "sms_cancelled": False,
        "sms_cancelled_at": None,
    }


def _status(event: Event, rng: Random, *, own: bool) -> str:
    """One importer set past appointments to completed, the other set all to scheduled."""
    if own:
        return rng.choice(_BOOKED)
    if not event.has_id:
        return "scheduled"
    return "completed" if event.nexus_start.date() <= IMPORTED.date() else "scheduled"


def _text_back(facts: Facts, rng: Random, rows: list[Row]) -> None:
    """Answers to reminders, which only Nexus has."""
    for row in rng.sample(rows, min(facts.size(500), len(rows))):
        at = IMPORTED + timedelta(days=1, minutes=rng.randrange(3_000))
        row["sms_reminder_sent_at"] = at
        if rng.random() < 0.8:
            row["sms_confirmed"], row["sms_confirmed_at"] = True, at + timedelta(minutes=9)
            row["sms_confirmation_message"] = "YES"
        else:
            row["sms_cancelled"], row["sms_cancelled_at"] = True, at + timedelta(minutes=9)
            row["sms_cancellation_message"] = f"No, {facts.fake.word()}"


def _bill(facts: Facts, rng: Random, rows: list[Row]) -> None:
    for row in rng.sample(rows, min(facts.size(90), len(rows))):
        row["billing_company_id"] = rng.choice(facts.companies).id
        row["billing_notes"] = f"Order {facts.fake.word()}"
        row["invoice_contact_type"] = "company"


def _repeat(facts: Facts, rng: Random, booked: list[Row]) -> None:
    """Series, and appointments that follow another one of the same patient or not."""
    for first in range(0, len(booked) - 3, 10):
        group = facts.fake.uuid()
        for row in booked[first : first + 3]:
            row["is_recurring"], row["recurrence_pattern"] = True, "weekly"
            row["recurrence_group_id"], row["recurrence_end_date"] = group, date(2026, 4, 30)
        child, parent = booked[first + 1], booked[first]
        child["parent_appointment_id"], parent["followup_scheduled"] = parent["id"], True
    imported = [e for e in facts.events if e.in_nexus and e.in_filemaker]
    for row in booked[3::10]:
        row["parent_appointment_id"] = rng.choice(imported).id


def encounter_rows(facts: Facts) -> Iterator[Row]:
    """What was done; three in four at an appointment, no two at the same."""
    rng = facts.chance("encounters")
    events = [e for e in facts.events if e.in_nexus and e.person and e.nexus_start.date() < TODAY]
    chosen: Iterable[Event] = rng.sample(events, min(facts.size(_ENCOUNTERS), len(events)))
    for number, event in enumerate(chosen):
        start = instant(event.nexus_start)
        yield {
            "id": facts.fake.uuid(),
            "start_time": start,
            "end_time": start + timedelta(minutes=25),
            "type": rng.choice(("ASSESSMENT", "FITTING", "REVIEW", "FOLLOW_UP", "OTHER")),
            "reason": None,
            "summary": f"Ref {facts.fake.word()}",
            "created_at": start,
            "updated_at": start,
            "appointment_id": event.id if number % 4 < 3 else None,
            "clinician_id": rng.choice(facts.clinicians).id,
            "patient_id": event.person.id if event.person else None,
        }
