"""What the application asks of the tables."""

from __future__ import annotations

from nexus_reimport.settings import Strict


class Calendar(Strict):
    """What the application's calendar reads."""

    entity: str
    start: str
    end: str
    patient: str
    clinic: str = ""
    clinician: str = ""
    type: str = ""


class Application(Strict):
    """What the application asks, so that verify can ask the same."""

    patient_name: tuple[str, ...]
    search: tuple[str, ...]
    archived: str = ""
    patient_clinic: str = ""
    calendar: Calendar
