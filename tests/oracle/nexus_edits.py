"""Random edits in Nexus: what people write there, and what earlier imports have left."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from oracle import spellings
from oracle.seen import CARDS, Row

Change = Callable[["_Edits", Row], Any]
_THEN = datetime(2025, 1, 1, tzinfo=UTC)
_JSON = (*CARDS, "filemaker_metadata", "emergency_json", "flags_json", "plan_dates_json")


def edit(connection: psycopg.Connection[Any], random: Random, edits: int) -> None:
    """So many edits; one that the database refuses is none."""
    at = _Edits(connection, random)
    for table in random.choices(list(EDITS), [weight for weight, _ in EDITS.values()], k=edits):
        what = random.random()
        if what < 0.1 and table in _COPIED:
            at.copy(table)
        elif what < 0.15 and table in _COPIED[:-1]:
            at.delete(table)
        else:
            at.change(table)


class _Edits:
    def __init__(self, connection: psycopg.Connection[Any], random: Random) -> None:
        self.connection, self.random = connection, random

    def id_of(self, table: str) -> Any:
        """The id of any row."""
        rows = self.connection.execute(f"SELECT id FROM {table} ORDER BY 1").fetchall()
        return self.random.choice(rows)[0]

    def row_of(self, table: str) -> Row:
        """Any row."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            query = f"SELECT * FROM {table} WHERE id = %s"
            return cursor.execute(query, [self.id_of(table)]).fetchone()

    def change(self, table: str) -> None:
        """Another value in one column of a row."""
        row = self.row_of(table)
        column, change = self.random.choice(list(EDITS[table][1].items()))
        value = change(self, row)
        if column in _JSON and value is not None:
            value = Jsonb(value)
        self._try(f'UPDATE {table} SET "{column}" = %s WHERE id = %s', [value, row["id"]])

    def copy(self, table: str) -> None:
        """A row once more, under another id, and, of an appointment, of no or another event."""
        row = self.row_of(table) | {"id": uuid.UUID(int=self.random.getrandbits(128))}
        if table == "appointments":
            other = uuid.UUID(int=self.random.getrandbits(128))
            row["filemaker_event_id"] = self.random.choice((None, None, other))
        columns = ", ".join(f'"{column}"' for column in row)
        places = ", ".join(["%s"] * len(row))
        self._try(f"INSERT INTO {table} ({columns}) VALUES ({places})", list(row.values()))

    def delete(self, table: str) -> None:
        """A row less."""
        self._try(f"DELETE FROM {table} WHERE id = %s", [self.id_of(table)])

    def _try(self, statement: str, values: Sequence[Any]) -> None:
        # A second row of one id, a text that is too long.
        with suppress(psycopg.errors.IntegrityError, psycopg.errors.DataError):
            self.connection.execute(statement, values)


def _one_of(*values: Any) -> Change:
    return lambda at, _: at.random.choice(values)


def _either(*changes: Change) -> Change:
    return lambda at, row: at.random.choice(changes)(at, row)


def _another(table: str) -> Change:
    return lambda at, _: at.random.choice((None, at.id_of(table)))


def _other(table: str) -> Change:
    return lambda at, _: at.id_of(table)


def _nobody(at: _Edits, _: Row) -> uuid.UUID:
    return uuid.UUID(int=at.random.getrandbits(128))


def _respelt(column: str) -> Change:
    return lambda at, row: spellings.text(at.random, row[column] or "").replace("\r", "\n")


def _metadata(at: _Edits, row: Row) -> Any:
    had = row["filemaker_metadata"]
    if not isinstance(had, dict) or not had.get("filemaker_id"):
        return had
    changes = (
        {"filemaker_id": had["filemaker_id"].lower()},
        {"filemaker_id": f" {had['filemaker_id']}"},
        {"clinic_name": None, "area": ""},
        {
            "ndis": at.random.choice(
                ({}, {"notes": "own"}, {"coordinator_name": ""}, {"extra": 1}, "x")
            )
        },
        {"diabetes": at.random.choice(("1", 0, None, True))},
        {"cys_id": at.random.choice(("5", 5, 5.0, "", None))},
        {"own": {"a": [1, 2]}},
    )
    return had | at.random.choice(changes)


def _contact(at: _Edits, row: Row) -> Any:
    had = row[CARDS[0]] if isinstance(row[CARDS[0]], dict) else {}
    phones = [p["number"] for p in had.get("phones", ()) if isinstance(p, dict) and "number" in p]
    listed = list(had.get("phones", ()))
    own = {"type": "phone", "number": "02 9999 0000", "label": "own", "extra": 7}
    changes: list[Any] = [
        None,
        {},
        had | {"phones": [*listed, own]},
        had | {"phones": listed[::-1]},
        had | {"emails": [*had.get("emails", ()), {"address": "own@nexus.example", "label": ""}]},
        had | {"email": "other@first.example"},
    ]
    if phones:
        without = {key: value for key, value in had.items() if key != "phones"}
        spelt = [spellings.phone(at.random, number) for number in phones]
        changes += [
            had | {"phones": [{"type": "mobile", "number": n, "label": "X"} for n in spelt]},
            had | {"phones": [*listed, listed[0]]},
            had | {"phones": [{"type": "mobile", "phone": number} for number in phones]},
            had | {"phones": phones},
            without | {"mobile": phones[0]},
        ]
    return at.random.choice(changes)


def _address(at: _Edits, row: Row) -> Any:
    had = row[CARDS[1]] if isinstance(row[CARDS[1]], dict) else {}
    changes: list[Any] = [None, {}, had | {"street": "99 Own Street"}]
    if listed := had.get("addresses"):
        own = {
            "line1": "1 Own St",
            "suburb": "Ownville",
            "state": "NSW",
            "postcode": "2000",
            "country": "Australia",
            "label": "holiday",
            "key": "under the mat",
        }
        upper = [{k: v.upper() if isinstance(v, str) else v for k, v in a.items()} for a in listed]
        changes += [
            had | {"addresses": upper},
            had | {"addresses": listed[::-1]},
            had | {"addresses": [*listed, own]},
            {key: value for key, value in had.items() if key != "addresses"},
        ]
    return at.random.choice(changes)


_EMPTY = _one_of("", None)
_DAYS = _one_of(None, date(1950, 1, 1), date(2025, 7, 1), date(2020, 1, 1))


def _later(at: _Edits, row: Row) -> datetime:
    steps = (timedelta(hours=1), timedelta(days=1), timedelta(seconds=30))
    return row["start_time"] + at.random.choice(steps)


# Table -> how often it is edited, and its columns with what each may become.
EDITS: dict[str, tuple[int, dict[str, Change]]] = {
    "patients": (
        10,
        {
            CARDS[0]: _contact,
            CARDS[1]: _address,
            "filemaker_metadata": _metadata,
            "first_name": _either(_one_of("Edited"), _respelt("first_name")),
            "last_name": _either(_one_of("Edited"), _respelt("last_name")),
            "middle_names": _either(_EMPTY, _respelt("middle_names")),
            "health_number": _either(_EMPTY, _one_of("Edited")),
            "coordinator_name": _either(_EMPTY, _respelt("coordinator_name")),
            "clinic_id": _another("clinics"),
            **dict.fromkeys(("title", "sex", "notes", "funding_source"), _EMPTY),
            **dict.fromkeys(("dob", "plan_start_date", "plan_end_date", "coordinator_date"), _DAYS),
            **dict.fromkeys(("ndis_plan_start_date", "ndis_plan_end_date"), _DAYS),
            **dict.fromkeys(_JSON[3:], _one_of(None, {"a": 1})),
        },
    ),
    "appointments": (
        6,
        {
            "filemaker_event_id": _either(_one_of(None), _nobody),
            "start_time": _later,
            "clinic_id": _another("clinics"),
            "notes": _one_of(None, *spellings.STORED),
            "status": _one_of("scheduled", "completed", "cancelled", "x"),
            "patient_id": _other("patients"),
            "reason": _one_of("own"),
        },
    ),
    "notes": (
        5,
        {
            "content": _either(_respelt("content"), _one_of("")),
            "patient_id": _other("patients"),
            "note_type": _one_of("clinical_notes", "other", "weird"),
            "created_by": _one_of(None, "", "x"),
            "created_at": _one_of(_THEN),
        },
    ),
    "sms_messages": (
        4,
        {
            "message": _either(_respelt("message"), _one_of("")),
            "patient_id": _other("patients"),
            "phone_number": _one_of("", "0491 570 000", "+61491570000"),
            "status": _one_of("pending", "sent", "failed"),
            "sent_at": _one_of(None, _THEN),
            "appointment_id": _another("appointments"),
            "external_message_id": _one_of("", "x"),
            "sms_count": _one_of(1, 2),
        },
    ),
    "sms_inbound": (
        2,
        {
            "message": _either(_respelt("message"), _one_of("")),
            "from_number": _one_of("", "0491570000"),
            "received_at": _one_of(_THEN),
            "is_processed": _one_of(True, False),
            "to_number": _one_of("", "x"),
        },
    ),
    "documents_document": (
        2,
        {
            "object_id": _either(_another("patients"), _nobody),
            "content_type_id": _another("django_content_type"),
            "filemaker_id": _one_of(None),
        },
    ),
    "images_batch": (1, {"object_id": _nobody}),
}
_COPIED = ("notes", "sms_messages", "sms_inbound", "appointments")
