"""The FileMaker side: thirteen layouts, with every value in FileMaker's own form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from random import Random

from nexus_sandbox.clinic import layouts, people
from nexus_sandbox.clinic.facts import Detail, Facts, Person, upper
from nexus_sandbox.clinic.filemaker_appointments import calendar_rows, event_rows
from nexus_sandbox.clinic.filemaker_texts import (
    letter_rows,
    message_rows,
    note_rows,
    plan_rows,
    reply_rows,
)
from nexus_sandbox.clinic.times import IMPORTED, clock
from nexus_sandbox.filemaker.file import FileTable, Record

Values = Mapping[str, object]
_SET_UP = date(2014, 1, 6)


def tables(facts: Facts) -> tuple[FileTable, ...]:
    """Every layout with its records, in the order in which they might have been created."""
    layouts: dict[str, Iterable[Values]] = {
        "API_Contacts": _contacts(facts),
        "API_Contact_Details": _details(facts),
        "API_event": event_rows(facts),
        "API_calendar": calendar_rows(facts),
        "API_Notes": note_rows(facts),
        "API_Messages": message_rows(facts),
        "API_Replies": reply_rows(facts),
        "@Letters": letter_rows(facts),
        "@ Dates to Connect": plan_rows(facts),
        "API_Docs": _documents(facts),
        "API_Images": _images(facts),
        "API_Clinic_Name": _clinics(facts),
        "API_Funding_Sources": _fundings(facts),
    }
    return tuple(_table(facts.chance(f"order of {name}"), name, layouts[name]) for name in layouts)


def _table(rng: Random, name: str, rows: Iterable[Values]) -> FileTable:
    mixed = list(rows)
    rng.shuffle(mixed)
    records, number = [], rng.randrange(1, 50)
    for values in mixed:
        number += 1 if rng.random() < 0.9 else rng.randrange(2, 6)
        held = {key: value for key, value in values.items() if value != ""}
        records.append(Record(number, rng.randrange(0, 15), held))
    return FileTable(name, layouts.fields(name), records)


def stamps(created: datetime, modified: datetime, account: str) -> dict[str, object]:
    """FileMaker's timestamps and accounts of every record, by their usual names."""
    first, last = created.isoformat(" "), modified.isoformat(" ")
    return {
        "creationAccountName": account,
        "creationTimestamp": first,
        "creationHostTimestamp": first,
        "modificationAccountName": account,
        "modificationTimestamp": last,
        "modificationHostTimestamp": last,
    }


def _contacts(facts: Facts) -> Iterable[Values]:
    rng = facts.chance("contacts")
    for person in (*facts.shared, *facts.new, *facts.nameless):
        account = rng.choice(facts.staff).last
        full = f"{person.first} {person.last}".strip()
        yield {
            "id": person.filemaker_id,
            "title": person.title,
            "nameFirst": person.first,
            "nameMiddle": person.middle,
            "nameLast": person.last,
            "DOB": person.born.isoformat() if person.born else "",
            "gender": person.gender,
            "contactType": "Patient",
            "id_Clinic": person.place.filemaker_id if person.place else "",
            "Clinic_Name": person.place.name if person.place else "",
            "Funding": person.funding,
            "Health Number": person.health_number,
            "_kf_XeroContactID": person.xero_id,
            "Diabetes": int(person.has_diabetes),
            "CYS_ID": "" if person.cys_id is None else person.cys_id,
            "Area": person.area,
            "sms": rng.choice((0, 1, 1)),
            "faceImage_small": f"{person.filemaker_id}.jpg" if rng.random() < 0.05 else "",
            "RECORD_ACTIVE_INDICATOR": "Active",
            "Name": full,
            "Name Full": full,
            "creationDate": person.created.date().isoformat(),
            "Z_XJOIN": 1,
            **_plan(person),
            **stamps(person.created, people.modified(person, rng), account),
        }


def _plan(person: Person) -> dict[str, object]:
    who = person.coordinator
    if who is None or person.plan is None:
        return {}
    phone, email = (next(d.value for d in who.details if d.kind == k) for k in ("Phone", "Email"))
    return {
        "NDIS Plan Start Date": person.plan[0].isoformat(),
        "NDIS Plan End Date": person.plan[1].isoformat(),
        "NDIS Coordinator Name": f"{who.first} {who.last} - {who.organisation}",
        "NDIS Coordinator Phone": phone,
        "NDIS Coordinator Email": email,
        "NDIS notes": person.plan_notes,
        "NDIS Report": 1,
    }


def _details(facts: Facts) -> Iterable[Values]:
    rng = facts.chance("details")
    for owner, detail in people.details_in_filemaker(facts):
        created = clock(date(2016, 1, 4), 9) + timedelta(minutes=rng.randrange(5_000_000))
        first, second, suburb, state, postcode = detail.parts
        mobile = detail.kind == "Mobile"
        yield {
            "id": upper(facts.fake.uuid()),
            "type": detail.kind,
            "id.key": owner,
            "ph": detail.value,
            "address 1": first,
            "address 2": second,
            "suburb": suburb,
            "state": state,
            "post code": postcode,
            "country": "Australia" if detail.kind == "Address" else "",
            "Name": detail.label,
            "Xero address": int(detail.kind == "Address"),
            "SMS Phone": int(mobile and detail.default),
            "Email default": int(detail.kind.startswith("E") and detail.default),
            "PhoneMobileIntFormat": _international(detail),
            "Full Address one line": ", ".join(part for part in detail.parts if part),
            **stamps(created, created, "import"),
        }


def _international(detail: Detail) -> str:
    digits = detail.value.replace(" ", "")
    return f"+61{digits[1:]}" if detail.kind == "Mobile" else ""


def _documents(facts: Facts) -> Iterable[Values]:
    rng = facts.chance("document records")
    for document in facts.documents:
        if not document.in_filemaker:
            continue
        at = clock(document.day, 12, 30)
        exported = rng.random() < (0.98 if document.in_nexus else 0.2)
        yield {
            "id": document.filemaker_id,
            "id_Contact": document.owner,
            "Type": document.kind,
            "Doc": f"{document.filemaker_id}.{document.suffix}",
            "Date": document.day.isoformat(),
            "num": rng.randrange(1, 5),
            "imported": int(document.in_nexus),
            "NexusExportDate": _export_date() if exported else "",
            **stamps(at, at, rng.choice(facts.staff).last),
        }


def _images(facts: Facts) -> Iterable[Values]:
    rng = facts.chance("image records")
    for batch in facts.batches:
        at = clock(batch.day, 15)
        for image in batch.images:
            if not image.in_filemaker:
                continue
            exported = rng.random() < (0.97 if image.in_nexus else 0.3)
            yield {
                "id": image.filemaker_id,
                "id_Contact": batch.owner,
                "Type": image.kind,
                "date": batch.day.isoformat(),
                "recid": image.recid,
                "Name of file": f"IMG_{image.recid}.jpg",
                "filesize": f"{rng.randrange(200, 4_000)} KB",
                "image_large": f"{image.recid}.jpg",
                "best_image_container": f"{image.recid}.jpg",
                "NexusExportDate": _export_date() if exported else "",
                "Z_XJOIN": 1,
                **stamps(at, at, rng.choice(facts.staff).last),
            }


def _export_date() -> str:
    # The field is a text: FileMaker gives it as it was written, not as its dates.
    return f"{IMPORTED:%d/%m/%Y}"


def _clinics(facts: Facts) -> Iterable[Values]:
    at = clock(_SET_UP, 9)
    for place in facts.places:
        if place.name:
            yield {
                "id": place.filemaker_id,
                "Name": place.name,
                "SMS Toggle": 1,
                **stamps(at, at, "admin"),
            }


def _fundings(facts: Facts) -> Iterable[Values]:
    at, later = clock(_SET_UP, 9), clock(date(2024, 2, 5), 10)
    for name, short, _ in facts.fundings:
        yield {
            "id": upper(facts.fake.uuid()),
            "Name": name,
            "Abbreviation": short,
            **stamps(at, later, "admin"),
        }
