"""Nexus's notes, text messages, letters and reminders."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from psycopg.types.json import Jsonb

from nexus_sandbox.clinic.environments import Row
from nexus_sandbox.clinic.facts import Facts, Text
from nexus_sandbox.clinic.fake import international
from nexus_sandbox.clinic.filemaker_texts import (
    GATEWAY_NUMBER,
    account,
    credits_of,
    gateway_id,
    status,
)
from nexus_sandbox.clinic.times import IMPORTED, clock, instant
from nexus_sandbox.clinic.writing import nexus_text

_LETTERS, _REMINDERS = 120, 80
_NOTE_TYPES = {
    "Clinical Notes": "clinical_notes",
    "Clinic Dates": "clinic_dates",
    "Order Notes": "order_notes",
    "Admin Notes": "admin_notes",
    "Referral": "referral",
    "3D Scan Data": "3d_scan_data",
    "Workshop Note": "workshop_note",
    "Other": "other",
}


def note_rows(facts: Facts) -> Iterator[Row]:
    """Notes; the imported ones are dated on the day of the import."""
    for number, note in enumerate(facts.notes):
        if not note.in_nexus or note.person is None:
            continue
        own = not note.filemaker_id
        at = instant(note.at) if own else IMPORTED + timedelta(seconds=number * 0.01)
        yield {
            "id": note.id,
            "note_type": _NOTE_TYPES.get(note.kind, "clinical_notes"),
            "content": _in_nexus(note),
            "created_at": at,
            "updated_at": at,
            "created_by": "reception" if own else account(facts, note.filemaker_id),
            "patient_id": note.person.id,
        }


def message_rows(facts: Facts, templates: list[Row]) -> Iterator[Row]:
    """Messages that FileMaker sent and messages that Nexus sent."""
    rng = facts.chance("message rows")
    for number, message in enumerate(facts.messages):
        if not message.in_nexus:
            continue
        own, sent = not message.filemaker_id, instant(message.at)
        state = "delivered" if own else status(message.filemaker_id).lower()
        to_no_patient = own and number % 15 == 0
        event = message.event if message.event and message.event.in_nexus else None
        yield {
            "id": message.id,
            "phone_number": international(message.phone),
            "message": _in_nexus(message),
            "status": state,
            "external_message_id": f"NX-{number}" if own else gateway_id(message.filemaker_id),
            "created_at": sent if own else IMPORTED,
            "scheduled_at": None,
            "sent_at": sent,
            "delivered_at": sent + timedelta(seconds=20) if own else None,
            "error_message": "Number not reachable" if state == "failed" else "",
            "retry_count": 0,
            "sms_count": credits_of(message.text),
            "cost": Decimal("0.0790") if own else None,
            "notes": "",
            "appointment_id": None if event is None or to_no_patient else event.id,
            "patient_id": None if to_no_patient or message.person is None else message.person.id,
            "template_id": rng.choice(templates)["id"] if own else None,
        }


def reply_rows(facts: Facts) -> Iterator[Row]:
    """Answers that came in; of some Nexus does not know whose they are."""
    for number, reply in enumerate(facts.replies):
        if not reply.in_nexus:
            continue
        own, at = not reply.filemaker_id, instant(reply.at)
        handled = not own or number % 3 > 0
        yield {
            "id": reply.id,
            "from_number": international(reply.phone),
            "to_number": international(GATEWAY_NUMBER),
            "message": _in_nexus(reply),
            "external_message_id": f"NX-{number}" if own else gateway_id(reply.filemaker_id),
            "received_at": at,
            "is_processed": handled,
            "processed_at": at + timedelta(minutes=5) if handled else None,
            "processed_by": "reception" if own and handled else "",
            "notes": "",
            "patient_id": reply.person.id if reply.person else None,
        }


def letter_rows(facts: Facts) -> Iterator[Row]:
    """Letters, all written in Nexus; some to patients that FileMaker has no more."""
    rng = facts.chance("letter rows")
    for number in range(facts.size(_LETTERS)):
        person = rng.choice(facts.vanished if number % 30 == 7 else facts.in_nexus)
        name = f"{person.first} {person.last}".strip()
        referrer = rng.choice(facts.referrers)
        at = IMPORTED + timedelta(days=number % 4, minutes=number * 3)
        page = f"<p>Dear Dr {referrer.last},</p><p>{name} &amp; Ref {facts.fake.word()}</p>"
        yield {
            "id": facts.fake.uuid(),
            "letter_type": rng.choice(("report", "thanks", "support_letter")),
            "recipient_name": f"Dr {referrer.first} {referrer.last}",
            "subject": f"Re: {name}",
            "pages": Jsonb([page] * rng.choice((1, 1, 2))),
            "created_at": at,
            "updated_at": at + timedelta(minutes=4),
            "patient_id": person.id,
        }


def reminder_rows(facts: Facts) -> Iterator[Row]:
    """Reminders, all made in Nexus; three in eight name an appointment, two of them a lost one."""
    rng = facts.chance("reminder rows")
    events = [e for e in facts.events if e.in_nexus and e.person]
    for number in range(facts.size(_REMINDERS)):
        event = rng.choice(events)
        person = event.person or facts.own[0]
        linked = event.id if number % 8 < 3 else None
        at = instant(clock(date(2025, 11, 11), 9)) + timedelta(minutes=number)
        yield {
            "id": facts.fake.uuid(),
            "note": f"Call back about {facts.fake.word()}",
            "reminder_date": date(2025, 12, 1) + timedelta(days=number % 60),
            "status": rng.choice(("pending", "pending", "scheduled", "completed", "cancelled")),
            "appointment_id": facts.fake.uuid() if number in (8, 16) else linked,
            "created_at": at,
            "updated_at": at,
            "scheduled_at": None,
            "created_by": "reception",
            "clinic_id": person.nexus_place.id if person.nexus_place else None,
            "patient_id": person.id,
        }


def _in_nexus(text: Text) -> str:
    return nexus_text(text.text) if text.nexus is None else text.nexus
