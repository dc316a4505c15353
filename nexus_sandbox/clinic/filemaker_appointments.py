"""FileMaker's events and calendars: wall clocks, durations, 24:00:00."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, time

from nexus_sandbox.clinic.facts import Event, Facts

Values = Mapping[str, object]


def calendar_rows(facts: Facts) -> Iterable[Values]:
    """The calendars that events point at."""
    for calendar in facts.calendars:
        yield {
            "id": calendar.id,
            "name": calendar.name,
            "colorRGB": calendar.color,
            "color": "Other",
            "SMS Toggle": 1,
            "creationTimestamp": "2014-01-06 09:00:00",
            "modificationTimestamp": "2024-02-05 10:00:00",
        }


def event_rows(facts: Facts) -> Iterable[Values]:
    """Every event, with a patient or without."""
    rng = facts.chance("event records")
    for event in facts.events:
        if not event.in_filemaker:
            continue
        yield {
            "id": event.filemaker_id,
            "title": _title(event),
            "idCal": event.calendar,
            "id_Contact": event.owner,
            "note": event.note,
            "allDay": "1" if event.all_day else "0",
            "FLAG All day": 1 if event.all_day else "",
            "FLAG Follow Up": 1 if rng.random() < 0.02 else "",
            "No SMS": 1 if rng.random() < 0.05 else "",
            "noteDay": "Bring the plaster" if rng.random() < 0.02 else "",
            **(_times(event) if event.dated else {}),
        }


def _title(event: Event) -> str:
    person = event.person
    return f"{person.last.strip()}, {person.first}".strip(", ") if person else event.note


def _times(event: Event) -> Values:
    """The end is told as a time on the day of the start: what goes past midnight passes 24 h.

    Where the day of the end is empty, it is that of the start.
    """
    day = event.start.date().isoformat()
    same_day = event.filemaker_id.startswith("0")
    end = _duration(event.start, event.end) if event.end else ""
    return {
        "startDate": day,
        "startTime": f"{event.start:%H:%M:%S}",
        "endDate": day if event.end and not same_day else "",
        "endTime": end,
    }


def _duration(start: datetime, end: datetime) -> str:
    seconds = int((end - datetime.combine(start.date(), time.min)).total_seconds())
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
