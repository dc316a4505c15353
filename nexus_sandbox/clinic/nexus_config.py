"""Nexus's configuration: clinics, staff, appointment types, funding, templates, mail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from psycopg.types.json import Jsonb

from nexus_sandbox.clinic.environments import Row
from nexus_sandbox.clinic.facts import Facts, Place
from nexus_sandbox.clinic.nexus_appointments import TYPES

SET_UP = datetime(2025, 9, 1, 0, 30, tzinfo=UTC)
_STAMPS: Row = {"created_at": SET_UP, "updated_at": SET_UP}


def clinic_rows(facts: Facts) -> Iterator[Row]:
    """Clinics with their colours."""
    for place in facts.places:
        full = not place.colour_only
        yield {
            "id": place.id,
            "name": place.nexus_name,
            "abn": "11 000 000 000" if full else None,
            "phone": facts.fake.landline() if full else None,
            "email": _mailbox(place) if full else None,
            "address_json": Jsonb({"suburb": place.nexus_name.split()[0]} if full else {}),
            **_STAMPS,
            "filemaker_id": place.nexus_filemaker_id.lower() or None,
            "color": place.color,
            "sms_reminder_template": None,
            "sms_reminders_enabled": full,
        }


def _mailbox(place: Place) -> str:
    return f"{place.nexus_name.split()[0].lower()}@clinic.example"


def clinician_rows(facts: Facts) -> Iterator[Row]:
    """All staff, each with a user."""
    for number, one in enumerate(facts.staff):
        yield {
            "id": one.id,
            "full_name": f"{one.first} {one.last}",
            "credential": "C.Ped CM Au" if one.role == "PEDORTHIST" else None,
            "email": one.email,
            "phone": None,
            "role": one.role,
            "active": one.active,
            **_STAMPS,
            "clinic_id": facts.places[number].id,
            "professional_body_url": None,
            "registration_number": None,
            "signature_html": f"<p>{one.first}</p>",
            "signature_image": None,
            "user_id": one.user_id,
        }


def type_rows(facts: Facts) -> list[Row]:
    """The four types that Nexus seeds itself."""
    return [
        {
            "id": facts.fake.uuid(),
            "name": name,
            "default_duration_minutes": minutes,
            "is_active": True,
            **_STAMPS,
        }
        for name, minutes in zip(TYPES, (60, 45, 30, 15), strict=True)
    ]


def funding_rows(facts: Facts) -> Iterator[Row]:
    """Funding sources, by the names that FileMaker has."""
    for order, (name, short, identifier) in enumerate(facts.fundings):
        yield {
            "id": identifier,
            "name": name,
            "code": short,
            "active": True,
            "order": order,
            **_STAMPS,
        }


def custom_funding_rows(facts: Facts) -> Iterator[Row]:
    """Funding that the clinic added to its invoices."""
    for name in ("Walking Trust", "Shoe Fund", "Local Council"):
        yield {
            "id": facts.fake.uuid(),
            "name": name,
            "reference_number": "",
            "display_format": "{name} {reference}",
            "is_active": True,
            "notes": "",
            **_STAMPS,
        }


def sms_template_rows(facts: Facts) -> list[Row]:
    """Templates of text messages, one of them of a single clinic."""
    named = (
        ("Reminder", "appointment_reminder", "Hi {first_name}, see you on {date}."),
        ("Confirmation", "appointment_confirmation", "Your booking is confirmed."),
        ("Recall", "followup_reminder", "It is time for your review."),
        ("Only here", "special", "We have moved next door."),
    )
    return [
        {
            "id": facts.fake.uuid(),
            "name": name,
            "description": "",
            "message_template": text,
            "is_active": True,
            **_STAMPS,
            "category": category,
            "character_count": len(text),
            "created_by": "manager",
            "sms_segment_count": 1,
            "clinic_id": facts.places[0].id if category == "special" else None,
        }
        for name, category, text in named
    ]


def invoice_template_rows(facts: Facts) -> Iterator[Row]:
    """Templates of the invoices' mails."""
    for number, category in enumerate(("invoice", "receipt", "quote", "at_report", "letter"), 1):
        yield {
            "id": number,
            "name": f"Standard {category}",
            "category": category,
            "description": "",
            "subject": f"Your {category}",
            "body_html": "<p>Thank you.</p>",
            "body_text": "Thank you.",
            "header_color": "#5b95cf",
            "is_default": True,
            "is_active": True,
            **_STAMPS,
            "created_by_id": facts.staff[0].user_id,
        }


def global_settings_row() -> Row:
    """The one row of settings for invoices' mails."""
    shown = ("logo", "contact_info", "payment_instructions", "bank_details", "confidentiality")
    sent = ("invoices", "receipts", "quotes")
    return {
        "id": 1,
        "default_gmail_account": "accounts@clinic.example",
        "reply_to_email": None,
        "bcc_all_to": None,
        "clinic_name": "Made-up Clinic",
        "clinic_phone": "",
        "clinic_email": "info@clinic.example",
        "clinic_website": "https://clinic.example",
        "clinic_address": "",
        "clinic_abn": "11 000 000 000",
        "clinic_acn": "",
        "bank_account_name": "Made-up Clinic Pty Ltd",
        "bank_bsb": "000-000",
        "bank_account_number": "",
        "payment_instructions_text": "",
        "payment_reference_format": "invoice_number",
        "confidentiality_notice": "This email is confidential.",
        "default_email_width": "600px",
        **{f"show_{part}": True for part in shown},
        **{f"auto_send_{part}": False for part in sent},
        "send_payment_reminders": False,
        "send_overdue_notices": False,
        "reminder_days_before": Jsonb([7, 1]),
        "overdue_days_after": Jsonb([7, 30]),
        "require_confirmation": True,
        "business_hours_only": False,
        "updated_at": SET_UP,
        "company_signature_email": "info@clinic.example",
        "company_signature_html": "",
        "use_email_signatures": True,
        "dva_number": "000001",
        "enable_number": "000002",
        "header_color": "#5b95cf",
        "provider_registration_number": "0000000003",
    }
