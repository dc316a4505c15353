"""Random edits in FileMaker: of values, of whose a record is, of which records there are."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from nexus_sandbox.filemaker.file import FileTable, Record
from oracle import spellings
from oracle.seen import SOURCES

Choice = Callable[["_Place"], Any]
_record_ids = itertools.count(1_000_000)


@dataclass(frozen=True, slots=True)
class _Place:
    """A field of a record, and what is around it."""

    random: Random
    value: Any
    others: Sequence[Record]  # of the same table
    field: str
    patients: Sequence[str]
    events: Sequence[str]

    @property
    def text(self) -> str:
        return str(self.value)


def _one_of(*values: Any) -> Choice:
    return lambda at: at.random.choice(values)


def _either(*choices: Choice) -> Choice:
    return lambda at: at.random.choice(choices)(at)


def _lower(at: _Place) -> Any:
    return at.text.lower()


def _upper(at: _Place) -> Any:
    return at.text.upper()


def _of_another(at: _Place) -> Any:
    return at.random.choice(at.others).values.get(at.field, "")


def _patient(at: _Place) -> Any:
    return at.random.choice([*at.patients, "", "NOBODY", at.text.lower()])


def _event(at: _Place) -> Any:
    event = at.random.choice(at.events)
    return at.random.choice([event, event.lower(), ""])


def _phone(at: _Place) -> Any:
    return spellings.phone(at.random, at.text)


def _text(at: _Place) -> Any:
    return spellings.text(at.random, at.text)


_ODD, _NAME = _one_of(*spellings.TEXTS), _one_of(*spellings.NAMES)
_DAY, _TIME, _STAMP = (_one_of(*v) for v in (spellings.DAYS, spellings.TIMES, spellings.STAMPS))
_DAYS_THAT_FIT = tuple(day for day in spellings.DAYS if "1890" <= day < "2200")
_LONG = _one_of("x" * 101, "x" * 100, "", " padded ")

# Source -> how often it is edited, and its fields with what each may become.
EDITS: dict[str, tuple[int, dict[str, Choice]]] = {
    "contacts": (
        8,
        {
            "nameFirst": _NAME,
            "nameLast": _NAME,
            "nameMiddle": _NAME,
            "title": _one_of(
                "Mr.", " DR ", "Sir", "m.r", "Ms\r", "0", "MISS", "Prof.", "", "Mr Mrs"
            ),
            "gender": _one_of("Male", " male", "FEMALE", "f.", "W", "O", "unknown", "", "F\r", "?"),
            "DOB": _one_of(
                "2099-12-31", "2199-12-31", "1850-05-05", "", "2024-02-29", "1901-01-01"
            ),
            "Funding": _one_of("ndis", "NDIS ", "DVA", "Private", "nothing", "", "?", "Medicare"),
            "id_Clinic": _either(
                _lower, _of_another, _one_of("", "7F1B8E52-0000-4000-8000-000000000000")
            ),
            "Clinic_Name": _either(_upper, _of_another, _one_of("", "Nowhere")),
            "NDIS Plan Start Date": _either(_DAY, _one_of("2025-01-01", "2024-01-01")),
            "NDIS Plan End Date": _either(_DAY, _one_of("2025-01-01", "2024-01-01")),
            "Health Number": _one_of("9" * 51, "9" * 50, "0012", " 12 ", "", "?", "1e5"),
            "id": _either(_lower, _upper, lambda at: f" {at.value} "),
            "NDIS Coordinator Name": _ODD,
            "NDIS Coordinator Email": _ODD,
            "NDIS Coordinator Phone": _either(_ODD, _phone),
            "NDIS notes": _ODD,
            "CYS_ID": _one_of(
                *(1, 0, -3, 1.5, 123456789012345, "", "about 5", 0.1, 0.5),
                *(12345678901234567, 10**20, 1e-7, "12 or 13", "007"),
            ),
            "Diabetes": _one_of(0, 1, "", 2, "yes"),
            "Area": _one_of("", "South", "SOUTH", " South ", "?", "x" * 300),
            "contactType": _one_of("", "Patient", "?", "x" * 300),
            "_kf_XeroContactID": _ODD,
            "creationTimestamp": _either(
                _STAMP, _one_of("1850-01-01 10:00:00", "2030-01-01 00:00:00")
            ),
        },
    ),
    "contact_details": (
        8,
        {
            "ph": _either(
                _phone,
                _phone,
                _one_of(
                    "ask mother",
                    "a@b",
                    "0401 234 567 / 0402 345 678",
                    "0401234567\r0402345678",
                    "+64 21 123 456",
                    "",
                    " ",
                    "1",
                    "n/a",
                    "0401 23",
                    "A@B.COM",
                    "x@y.z; q@y.z",
                    "mailto:x@y.z",
                    "(02) 5550 1234 ext 12",
                ),
            ),
            "id.key": _either(lambda at: at.random.choice(at.patients), _lower),
            "type": _one_of("Mobile ", "", "fax", "E-Mail", "address", "PHONE", "Home", "Email"),
            "post code": _one_of("800", "0800", "2000.0", "", "200", 2000, "NSW"),
            "suburb": _either(_one_of("", "A\rB", " pad ", "Newtown"), _upper),
            "state": _one_of("", "NSW", "nsw", "New South Wales"),
            "address 1": _either(_one_of("", "12 High St", "12 HIGH ST", " pad "), _upper),
            "address 2": _one_of("", "Unit 4", "A\rB"),
            "country": _one_of("", "Australia", "AUSTRALIA", "New Zealand", "AU"),
        },
    ),
    "events": (
        5,
        {
            "startTime": _TIME,
            "endTime": _TIME,
            # One without a day is left out by a rule; one whose day does not fit has no start, and
            # the preflight stops.
            "startDate": _one_of("", *_DAYS_THAT_FIT),
            "endDate": _one_of("", *_DAYS_THAT_FIT),
            "id_Contact": _patient,
            "idCal": _either(_lower, _of_another, _one_of("", "nothing")),
            "note": _ODD,
            "id": _lower,
        },
    ),
    "notes": (
        5,
        {
            "Note": _either(_ODD, _text, _text),
            "Note Type": _one_of(
                "clinical notes", "CLINICAL", "", "Misc", "3D Scan", "order  notes", "?"
            ),
            "Date": _DAY,
            "creationTimestamp": _STAMP,
            "creationAccountName": _LONG,
            "id_Key": _patient,
        },
    ),
    "messages": (
        4,
        {
            "MessageBody": _either(_ODD, _text, _text),
            "MessageStatus": _one_of("Sent", "OK", "", "queued", "DELIVERED", "error"),
            "SentTimestamp": _STAMP,
            "zTimestampCreated": _STAMP,
            "RecipientPhoneMobileIntFormat": _either(_phone, _one_of("", "0400000000", "1" * 23)),
            "RecipientPhoneMobile": _either(_phone, _one_of("", "0400000000")),
            "SMSCredits": _one_of(1, 2.5, 0, ""),
            "SendResult": _one_of("OK", "", "x" * 101),
            "_kf_EventID": _event,
            "_kf_GatewayMessageID": _LONG,
            "_kf_ContactID": _patient,
        },
    ),
    "replies": (
        3,
        {
            "ReplyMessageBody": _either(_ODD, _text),
            "Timestamp": _STAMP,
            "SenderPhoneMobileIntFormat": _either(_phone, _one_of("", "INFO")),
            "DestinationPhoneMobileIntFormat": _either(_phone, _one_of("", "INFO")),
            "_kf_GatewayMessageID": _one_of("", "GW-1"),
            "_kf_ContactID": _patient,
        },
    ),
    "letters": (
        2,
        {
            **dict.fromkeys(("Title", "Body", "Dear", "To", "Type"), _ODD),
            "Date": _DAY,
            "creationTimestamp": _STAMP,
            "id.key": _patient,
        },
    ),
    "reminders": (
        2,
        {
            "Funding": _ODD,
            "Clinic": _either(_upper, _one_of("", "Nowhere")),
            "End_Date": _DAY,
            "To_Contact_Date": _DAY,
            "CreationTimestamp": _STAMP,
            "Contact_ID": _patient,
        },
    ),
    "docs": (2, {"id_Contact": _patient, "id": _lower}),
    "images": (1, {"id": _lower}),
    "calendars": (1, {"name": _either(_upper, _of_another, _one_of("", "Nowhere")), "id": _lower}),
}
_COPIED = ("contact_details", "events", "notes", "messages", "replies", "letters", "reminders")
_DELETED = ("contacts", "contact_details", "events", "notes", "messages", "replies", "docs")
# The fields that say whose a record is.
_OWNER = {
    "contact_details": "id.key",
    "events": "id_Contact",
    "notes": "id_Key",
    "messages": "_kf_ContactID",
    "replies": "_kf_ContactID",
    "letters": "id.key",
    "reminders": "Contact_ID",
    "docs": "id_Contact",
    "images": "id_Contact",
}


def edit(tables: dict[str, FileTable], random: Random, edits: int) -> None:
    """So many edits, one patient deleted, and two cards of one patient made into one."""
    records = {source: tables[SOURCES[source]["table"]].records for source in EDITS}
    weights = [weight for weight, _ in EDITS.values()]
    for source in random.choices(list(EDITS), weights, k=edits):
        what = random.random()
        if what < 0.1 and source in _COPIED:
            _copy(records[source], source, random)
        elif what < 0.2 and source in _DELETED:
            records[source].remove(random.choice(records[source]))
        else:
            _change(records, source, random)
    records["contacts"].remove(random.choice(records["contacts"]))
    _merge(records, random)


def _change(records: dict[str, list[Record]], source: str, random: Random) -> None:
    record = random.choice(records[source])
    field, choice = random.choice(list(EDITS[source][1].items()))
    patients, events = ([str(r.values["id"]) for r in records[s]] for s in ("contacts", "events"))
    was = record.values.get(field, "")
    place = _Place(random, was, records[source], field, patients, events)
    value = choice(place)
    record.values.pop(field, None)
    if value != "":
        record.values[field] = value


def _copy(records: list[Record], source: str, random: Random) -> None:
    """The same once more under another id: another phone, the same note twice."""
    values = dict(random.choice(records).values)
    values[SOURCES[source]["key"]] = str(uuid.UUID(int=random.getrandbits(128))).upper()
    records.append(Record(next(_record_ids), 0, values))


def _merge(records: dict[str, list[Record]], random: Random) -> None:
    """One of two patients goes, and all that was theirs is the other's.

    One without images: a batch with one that FileMaker does not know is not given to anybody else.
    """
    pictured = {record.values.get(_OWNER["images"]) for record in records["images"]}
    gone = random.choice([r for r in records["contacts"] if r.values["id"] not in pictured])
    records["contacts"].remove(gone)
    stays = random.choice(records["contacts"])
    for source, field in _OWNER.items():
        for record in records[source]:
            if record.values.get(field) == gone.values["id"]:
                record.values[field] = stays.values["id"]
