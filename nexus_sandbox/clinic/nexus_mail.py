"""Nexus's mailboxes, templates, and what was sent from them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from nexus_sandbox.clinic.environments import Row, later
from nexus_sandbox.clinic.facts import Facts
from nexus_sandbox.clinic.nexus_config import SET_UP
from nexus_sandbox.clinic.times import IMPORTED

_SENT = 600
_STAMPS: Row = {"created_at": SET_UP, "updated_at": SET_UP}


def mail_template_rows(facts: Facts) -> list[Row]:
    """Templates of the mail integration."""
    return [
        {
            "id": facts.fake.uuid(),
            "name": name,
            "description": "",
            "category": name.lower(),
            "subject": f"Your {name.lower()}",
            "body_html": f"<p>Please find your {name.lower()} attached.</p>",
            "body_text": "",
            "is_active": True,
            "attach_pdf": True,
            **_STAMPS,
            "created_by": "manager",
        }
        for name in ("Invoice", "Report", "Letter")
    ]


def gmail_rows(facts: Facts) -> list[Row]:
    """Connected mailboxes, whose tokens and counters move by themselves."""
    return [
        {
            "id": facts.fake.uuid(),
            "email_address": f"{box}@clinic.example",
            "display_name": box.title(),
            "access_token": later(f"made-up-access-{box}-2", before=f"made-up-access-{box}-1"),
            "refresh_token": f"made-up-refresh-{box}",
            "token_type": "Bearer",
            "expires_at": IMPORTED + timedelta(days=5),
            "scopes": "mail.send",
            "is_active": True,
            "is_primary": box == "info",
            "connected_at": SET_UP,
            "last_refresh_at": later(IMPORTED + timedelta(days=5), before=IMPORTED),
            "last_used_at": later(IMPORTED + timedelta(days=4), before=IMPORTED),
            "emails_sent": later(321, before=290),
            **_STAMPS,
        }
        for box in ("info", "accounts")
    ]


def sent_mail_rows(facts: Facts, boxes: list[Row], templates: list[Row]) -> Iterator[Row]:
    """What was sent; whom it is about stands in a text column, in lower case or in upper case."""
    rng = facts.chance("sent mails")
    events = [e for e in facts.events if e.in_nexus and e.person and e.in_filemaker]
    for number in range(facts.size(_SENT)):
        event = rng.choice(events)
        person = event.person or facts.own[0]
        if number % 2:
            person = rng.choice(facts.vanished if number % 60 == 1 else facts.in_nexus)
        emails = [d.value for d in person.details if "@" in d.value]
        about = str(person.id)
        yield {
            "id": facts.fake.uuid(),
            "to_addresses": emails[0] if emails else "info@clinic.example",
            "cc_addresses": "",
            "bcc_addresses": "",
            "subject": f"Your appointment, {person.first}",
            "body_preview": f"Ref {facts.fake.word()}",
            "has_attachments": number % 3 == 0,
            "attachment_names": "invoice.pdf" if number % 3 == 0 else "",
            "status": "failed" if number % 50 == 7 else "sent",
            "error_message": "",
            "gmail_message_id": f"msg-{number}",
            "gmail_thread_id": f"thread-{number // 2}",
            # A column of text, not of uuid: the database takes an id in any case.
            "related_patient_id": about.upper() if number % 20 == 3 else about,
            "related_appointment_id": "" if number % 2 else str(event.id),
            "related_report_type": "",
            "sent_at": IMPORTED + timedelta(days=1, minutes=number),
            "sent_by": "reception",
            "connection_id": rng.choice(boxes)["id"],
            "template_id": rng.choice(templates)["id"] if number % 4 else None,
        }
