"""What Nexus's screens show, asked page by page: patients, calendar, search, attachments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from nexus_reimport.application.client import Api
from nexus_reimport.nexus.reading.questions import ACTIVE, ARCHIVED, Asked, Shown

PATIENTS = "/api/patients/"
CALENDAR = "/api/appointments/calendar_data/"
DOCUMENTS = "/api/documents/"
BATCHES = "/api/images/batches/"


def ask(api: Api, asked: Asked) -> Shown:
    """What the API shows of everything, and of the patients that are ``asked`` one by one.

    Raises:
        ApplicationError: it did not answer, or not as Nexus does.
    """
    # Without `archived` the list leaves out archived patients.
    lists = {ACTIVE: {"archived": "false"}, ARCHIVED: {"archived": "true"}}
    return Shown(
        patients={name: _ids(api.every(PATIENTS, query)) for name, query in lists.items()},
        by_clinic={clinic: _count(api, clinic) for clinic in asked.clinics},
        events=frozenset(_event(api, one) for one in _events(api)),
        by_name=frozenset(key for key, name in asked.names.items() if _finds(api, key, name)),
        attachments={
            key: {"documents": _documents(api, key), "images": _images(api, key)}
            for key in asked.patients
        },
    )


def _count(api: Api, clinic: str) -> int:
    """How many patients of a clinic the list has, those that are archived left out."""
    return api.count(PATIENTS, api.get(PATIENTS, {"archived": "false", "clinic": clinic}))


def _finds(api: Api, key: str, name: str) -> bool:
    return key in _ids(api.every(PATIENTS, {"search": name}))


def _events(api: Api) -> Iterable[Mapping[str, Any]]:
    # The calendar gives all appointments at once: it has no pages and no limit of dates.
    return api.rows(CALENDAR, api.get(CALENDAR).get("events"))


def _event(api: Api, event: Mapping[str, Any]) -> tuple[str, str]:
    """An event's id and start, in UTC."""
    try:
        start = datetime.fromisoformat(str(event["start"])).astimezone(UTC)
        return str(event["id"]).lower(), start.strftime("%Y-%m-%d %H:%M:%S.%f")
    except (KeyError, ValueError, OverflowError):
        raise api.error(CALENDAR, "gave an event without id or start", "look at its log") from None


def _documents(api: Api, patient: str) -> frozenset[str]:
    return _ids(api.every(DOCUMENTS, {"patient_id": patient}))


def _images(api: Api, patient: str) -> frozenset[str]:
    """The images of a patient, as its batches hold them when they are opened."""
    images: set[str] = set()
    # The list of batches holds a cached count; only a batch that is opened shows its images.
    for batch in _ids(api.every(BATCHES, {"patient_id": patient})):
        path = f"{BATCHES}{batch}/"
        images |= _ids(api.rows(path, api.get(path).get("images") or []))
    return frozenset(images)


def _ids(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(str(row.get("id", "")).lower() for row in rows)
