"""The tables and columns that the application's screens read."""

from __future__ import annotations

from nexus_reimport.settings import Strict


class Calendar(Strict):
    """The columns that the application's calendar reads."""

    entity: str
    start: str
    end: str
    patient: str
    clinic: str = ""
    clinician: str = ""
    type: str = ""


class Application(Strict):
    """What the application queries, so that the verification can run the same queries."""

    patient_name: tuple[str, ...]
    search: tuple[str, ...]
    archived: str = ""
    patient_clinic: str = ""
    calendar: Calendar
