"""What Nexus knows of Xero: the connection, links to patients, companies and appointments, logs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from psycopg.types.json import Jsonb

from nexus_sandbox.clinic.environments import Row, later
from nexus_sandbox.clinic.facts import Event, Facts
from nexus_sandbox.clinic.nexus_config import SET_UP
from nexus_sandbox.clinic.times import IMPORTED

_CONTACTS, _INVOICES, _QUOTES, _LOGS = {"patients": 700, "companies": 60}, 900, 200, 700
_STAMPS: Row = {"created_at": IMPORTED, "updated_at": IMPORTED}
_SYNCED: Row = {"last_synced_at": IMPORTED + timedelta(days=1)}


def connection_row(facts: Facts) -> Row:
    """The one connection, whose tokens move by themselves."""
    return {
        "id": facts.fake.uuid(),
        "tenant_id": str(facts.fake.uuid()),
        "tenant_name": "Made-up Clinic",
        "access_token": later("made-up-xero-access-2", before="made-up-xero-access-1"),
        "refresh_token": later("made-up-xero-refresh-2", before="made-up-xero-refresh-1"),
        "id_token": "",
        "token_type": "Bearer",
        "expires_at": later(IMPORTED + timedelta(days=5), before=IMPORTED),
        "scopes": "accounting.transactions accounting.contacts",
        "is_active": True,
        "connected_at": SET_UP,
        "last_refresh_at": later(IMPORTED + timedelta(days=5), before=IMPORTED),
        "created_at": SET_UP,
        "updated_at": SET_UP,
    }


def contact_rows(facts: Facts, connection: Row) -> Iterator[Row]:
    """Patients and companies that Xero knows too."""
    known: list[tuple[UUID | None, UUID | None, str, str]]
    known = [
        (p.id, None, p.xero_id, f"{p.first} {p.last.strip()}") for p in facts.in_nexus if p.xero_id
    ]
    firms = facts.companies[: facts.size(_CONTACTS["companies"])]
    known += [(None, f.id, str(facts.fake.uuid()), f.organisation) for f in firms]
    for number, (patient, company, xero_id, name) in enumerate(known):
        yield {
            "id": facts.fake.uuid(),
            "xero_contact_id": xero_id,
            "xero_contact_number": f"C{number:05}",
            "xero_contact_name": name,
            "is_active": True,
            **_SYNCED,
            **_STAMPS,
            "company_id": company,
            "connection_id": connection["id"],
            "patient_id": patient,
        }


def invoice_rows(facts: Facts) -> list[Row]:
    """Invoices: two in three of an appointment, one in four of a company; vanished ones too."""
    rng = facts.chance("invoices")
    rows = []
    for number in range(facts.size(_INVOICES)):
        event = _event(facts, rng.random())
        person = event.person or facts.own[0]
        if number < len(facts.vanished):
            person = facts.vanished[number]
        total = Decimal(rng.randrange(5_000, 90_000)) / 100
        paid = total if number % 3 else Decimal(0)
        has_event = number >= facts.size(300)
        rows.append(
            {
                "id": facts.fake.uuid(),
                "xero_invoice_id": str(facts.fake.uuid()),
                "xero_invoice_number": f"INV-{number + 10_000}",
                "xero_invoice_type": "ACCREC",
                "status": "PAID" if paid else rng.choice(("DRAFT", "AUTHORISED", "VOIDED")),
                "total": total,
                "amount_due": total - paid,
                "amount_paid": paid,
                "currency": "AUD",
                "invoice_date": date(2025, 9, 1) + timedelta(days=number % 70),
                "due_date": date(2025, 9, 15) + timedelta(days=number % 70),
                "fully_paid_on_date": date(2025, 10, 1) if paid else None,
                **_SYNCED,
                **_STAMPS,
                "appointment_id": event.id if has_event else None,
                "subtotal": total,
                "total_tax": Decimal(0),
                "company_id": rng.choice(facts.companies).id if number % 4 == 3 else None,
                "patient_id": person.id,
                "clinician_id": rng.choice(facts.clinicians).id if number % 2 else None,
            }
        )
    return rows


def _event(facts: Facts, where: float) -> Event:
    """One of the appointments of patients."""
    events = facts.linkable_events()
    return events[int(where * len(events))]


def quote_rows(facts: Facts, invoices: list[Row]) -> Iterator[Row]:
    """Quotes: half of them of an appointment, some turned into an invoice."""
    rng = facts.chance("quotes")
    for number in range(facts.size(_QUOTES)):
        event = _event(facts, rng.random())
        total = Decimal(rng.randrange(5_000, 90_000)) / 100
        turned = rng.choice(invoices)["id"] if number % 5 == 0 else None
        yield {
            "id": facts.fake.uuid(),
            "xero_quote_id": str(facts.fake.uuid()),
            "xero_quote_number": f"QU-{number + 1_000}",
            "status": "INVOICED" if turned else rng.choice(("DRAFT", "SENT", "ACCEPTED")),
            "total": total,
            "subtotal": total,
            "total_tax": Decimal(0),
            "currency": "AUD",
            "quote_date": date(2025, 9, 1) + timedelta(days=number % 70),
            "expiry_date": date(2025, 12, 1),
            "converted_at": IMPORTED if turned else None,
            **_SYNCED,
            **_STAMPS,
            "appointment_id": event.id if number % 2 else None,
            "converted_invoice_id": turned,
            "company_id": rng.choice(facts.companies).id if number % 10 == 0 else None,
            "patient_id": event.person.id if event.person else None,
        }


def batch_payment_rows(facts: Facts, connection: Row) -> list[Row]:
    """Payments that were received in one sum."""
    return [
        {
            "id": facts.fake.uuid(),
            "batch_reference": f"BATCH-{number}",
            "payment_date": date(2025, 10, 1) + timedelta(days=number),
            "total_amount": Decimal("1250.00"),
            "payment_count": 5,
            "account_code": "090",
            "remittance_file": None,
            "notes": "",
            **_STAMPS,
            "connection_id": connection["id"],
            "created_by_id": facts.staff[0].user_id,
        }
        for number in range(facts.size(20))
    ]


def payment_rows(
    facts: Facts, connection: Row, invoices: list[Row], batches: list[Row]
) -> Iterator[Row]:
    """What was paid on which invoice."""
    paid = [invoice for invoice in invoices if invoice["status"] == "PAID"]
    for number, invoice in enumerate(paid[: facts.size(300)]):
        yield {
            "id": facts.fake.uuid(),
            "xero_payment_id": str(facts.fake.uuid()),
            "amount": invoice["total"],
            "payment_date": date(2025, 10, 1),
            "reference": f"PAY-{number}",
            "account_code": "090",
            "status": "AUTHORISED",
            **_STAMPS,
            "synced_at": IMPORTED,
            "batch_payment_id": batches[number % len(batches)]["id"] if number % 3 == 0 else None,
            "connection_id": connection["id"],
            "invoice_link_id": invoice["id"],
        }


def log_rows(facts: Facts, invoices: list[Row]) -> Iterator[Row]:
    """What was sent to Xero: about a patient, an appointment or an invoice, by a bare id."""
    rng = facts.chance("sync logs")
    known = [person for person in facts.in_nexus if person.xero_id]
    for number in range(facts.size(_LOGS)):
        kind = ("patient", "patient", "patient", "appointment", "invoice")[number % 5]
        about: object = rng.choice(known).id
        if kind == "appointment":
            about = _event(facts, rng.random()).id
        elif kind == "invoice":
            about = rng.choice(invoices)["id"]
        yield {
            "id": facts.fake.uuid(),
            "operation_type": "invoice_create" if kind == "invoice" else "contact_update",
            "status": "failed" if number % 40 == 9 else "success",
            "request_data": Jsonb({"reference": str(about), "kind": kind}),
            "response_data": Jsonb({"ok": True}),
            "error_message": "",
            "local_entity_type": kind,
            "local_entity_id": about,
            "xero_entity_id": str(facts.fake.uuid()),
            "duration_ms": rng.randrange(80, 900),
            "created_at": IMPORTED + timedelta(hours=1, minutes=number),
        }


def item_rows(facts: Facts) -> Iterator[Row]:
    """Items, with the codes of both systems."""
    for number, name in enumerate(("Orthotics", "Shoes", "Assessment", "Repair", "Freight")):
        yield {
            "id": facts.fake.uuid(),
            "local_code": f"ITEM{number}",
            "description": name,
            "xero_item_code": f"X{number}",
            "xero_account_code": "200",
            "unit_price": Decimal("95.00") * (number + 1),
            "tax_rate_name": "GST Free",
            "tax_type": "EXEMPTOUTPUT",
            "is_active": True,
            **_STAMPS,
        }


def tracking_rows(facts: Facts) -> Iterator[Row]:
    """A tracking option for each clinic."""
    category = str(facts.fake.uuid())
    for place in facts.places:
        yield {
            "id": facts.fake.uuid(),
            "tracking_category_id": category,
            "tracking_option_id": str(facts.fake.uuid()),
            "category_name": "Clinic",
            "option_name": place.nexus_name[:100],
            "is_active": True,
            **_STAMPS,
            "clinic_id": place.id,
        }
