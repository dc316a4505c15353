"""Companies, referrers, coordinators, contacts, and what ties the patients to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from uuid import UUID

from psycopg.types.json import Jsonb

from nexus_sandbox.clinic.environments import Row, content_type
from nexus_sandbox.clinic.facts import Facts, Partner
from nexus_sandbox.clinic.times import IMPORTED

_SPECIALTIES = (
    "GP, Podiatry, Physiotherapy, Rheumatology, Endocrinology, Orthopaedics, Vascular Surgery, "
    "Neurology, Paediatrics, Rehabilitation, Geriatrics, Dermatology, Nursing, Orthotics, "
    "Prosthetics, Oncology, Psychology, Diabetes, Chiropractic, Osteopathy, Other"
)
_RELATIONSHIPS = ("CARER", "PARENT", "SPOUSE", "CHILD", "SIBLING", "EMERGENCY_CONTACT")
_STAMPS: Row = {"created_at": IMPORTED, "updated_at": IMPORTED}


def company_rows(facts: Facts) -> Iterator[Row]:
    """Companies that pay invoices."""
    for number, firm in enumerate(facts.companies):
        yield {
            "id": firm.id,
            "name": firm.organisation,
            "abn": f"{51_000_000_000 + number}",
            "contact_json": Jsonb(_contact(firm)),
            "address_json": Jsonb({"street": firm.details[-1].parts[0]}),
            "company_type": ("MEDICAL_PRACTICE", "NDIS_PROVIDER", "OTHER")[number % 3],
            "filemaker_id": UUID(firm.filemaker_id),
            **_STAMPS,
        }


def _contact(partner: Partner) -> Row:
    return {
        "phones": [{"number": d.value} for d in partner.details if d.kind == "Phone"],
        "emails": [{"address": d.value} for d in partner.details if d.kind == "Email"],
    }


def specialty_rows(facts: Facts) -> list[Row]:
    """The specialties of referrers."""
    return [
        {"id": facts.fake.uuid(), "name": name, "created_at": IMPORTED}
        for name in _SPECIALTIES.split(", ")
    ]


def referrer_rows(facts: Facts, specialties: list[Row]) -> Iterator[Row]:
    """The referrers."""
    rng = facts.chance("referrer rows")
    for number, one in enumerate(facts.referrers):
        yield {
            "id": one.id,
            "title": "Dr" if number % 2 else None,
            "first_name": one.first,
            "last_name": one.last,
            "contact_json": Jsonb(_contact(one)),
            "address_json": Jsonb({"street": one.details[-1].parts[0]}),
            "practice_name": None,
            "filemaker_id": UUID(one.filemaker_id),
            **_STAMPS,
            "company_id": rng.choice(facts.companies).id if number % 5 == 0 else None,
            "specialty_id": rng.choice(specialties)["id"],
            "notes": None,
        }


def referrer_company_rows(facts: Facts) -> Iterator[Row]:
    """Where referrers work; no pair twice."""
    rng = facts.chance("referrer companies")
    for one in rng.sample(facts.referrers, min(facts.size(63), len(facts.referrers))):
        yield {
            "id": facts.fake.uuid(),
            "position": None,
            "is_primary": True,
            "filemaker_id": None,
            **_STAMPS,
            "company_id": rng.choice(facts.companies).id,
            "referrer_id": one.id,
        }


def patient_referrer_rows(facts: Facts) -> Iterator[Row]:
    """Which referrer sent which patient; no pair twice."""
    rng = facts.chance("patient referrers")
    sent = rng.sample(facts.in_nexus, min(facts.size(1_705), len(facts.in_nexus)))
    for number, person in enumerate(sent):
        yield {
            "id": facts.fake.uuid(),
            "referral_date": date(2021, 2, 1) + timedelta(days=number),
            "referral_reason": f"Ref {facts.fake.word()}" if number % 20 == 0 else None,
            "status": "INACTIVE" if number % 30 == 0 else "ACTIVE",
            "filemaker_id": None,
            **_STAMPS,
            "patient_id": person.id,
            "referrer_id": rng.choice(facts.referrers).id,
            "is_primary": True,
        }


def coordinator_rows(facts: Facts) -> Iterator[Row]:
    """Who coordinates a patient's support."""
    for number, one in enumerate(facts.coordinators):
        yield {
            "id": one.id,
            "first_name": one.first,
            "last_name": one.last,
            "organization": one.organisation,
            "coordinator_type": ("SUPPORT_COORDINATOR", "LAC", "PLAN_MANAGER")[number % 3],
            "contact_json": Jsonb(_contact(one)),
            "address_json": Jsonb({}),
            **_STAMPS,
        }


def patient_coordinator_rows(facts: Facts) -> Iterator[Row]:
    """Whose support each coordinates."""
    for person in facts.shared:
        if person.coordinator and person.plan:
            yield {
                "id": facts.fake.uuid(),
                "assignment_date": person.plan[0],
                "end_date": None,
                "is_current": True,
                "ndis_plan_start": person.plan[0],
                "ndis_plan_end": person.plan[1],
                "ndis_notes": person.plan_notes or None,
                **_STAMPS,
                "coordinator_id": person.coordinator.id,
                "patient_id": person.id,
            }


def general_contact_rows(facts: Facts) -> list[Row]:
    """Carers, family and suppliers, who exist only in Nexus."""
    contacts = []
    for number in range(facts.size(45)):
        first, last = facts.fake.name()
        facts.fake.know_name(first, last)
        contacts.append(
            {
                "id": facts.fake.uuid(),
                "first_name": first,
                "last_name": last,
                "contact_type": ("CARER", "FAMILY", "EMERGENCY_CONTACT", "SUPPLIER")[number % 4],
                "contact_json": Jsonb({"phones": [{"number": facts.fake.landline()}]}),
                "address_json": Jsonb({}),
                "notes": None,
                **_STAMPS,
            }
        )
    return contacts


def relationship_rows(facts: Facts, contacts: list[Row]) -> Iterator[Row]:
    """From a patient to a patient, a contact, a referrer or a coordinator; and the other way."""
    rng = facts.chance("relationships")
    for number in range(facts.size(60)):
        patient = rng.choice(facts.vanished if number % 20 == 3 else facts.in_nexus).id
        other, kind, name = _other(facts, rng, contacts, number % 4)
        ends = [(patient, content_type("patients", "patient")), (other, kind)]
        (first, first_type), (second, second_type) = ends if number % 5 else ends[::-1]
        yield {
            "id": facts.fake.uuid(),
            "from_object_id": first,
            "to_object_id": second,
            "relationship_type": name,
            "notes": None,
            "is_active": True,
            **_STAMPS,
            "from_content_type_id": first_type,
            "to_content_type_id": second_type,
        }


def _other(facts: Facts, rng: Random, contacts: list[Row], kind: int) -> tuple[object, object, str]:
    """Someone, the content type of their row, and what they are to the patient."""
    if kind == 0:
        return rng.choice(contacts)["id"], content_type("contacts", "generalcontact"), "CARER"
    if kind == 1:
        return (
            rng.choice(facts.referrers).id,
            content_type("referrers", "referrer"),
            "ALSO_REFERRER",
        )
    if kind == 2:
        coordinator = rng.choice(facts.coordinators).id
        return coordinator, content_type("coordinators", "coordinator"), "ALSO_COORDINATOR"
    person = rng.choice(facts.in_nexus).id
    return person, content_type("patients", "patient"), rng.choice(_RELATIONSHIPS)
