"""What the application shows: asked with its own queries, and of its own HTTP API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from typing import Any

from nexus_reimport import wording
from nexus_reimport.checks import Finding, check
from nexus_reimport.checks.after.subject import After, had
from nexus_reimport.model import Level
from nexus_reimport.nexus.reading.questions import Asked, Shown
from nexus_reimport.text import UUID


@check(After, Level.STOP, serves=("A7",), links=True)
def every_patient_opens_with_its_attachments(after: After) -> Finding:
    """Every patient opens, and the patients' pages show all linked documents and images.

    Those that the application hides as inactive are counted apart.
    """
    answers = had(after.answers)
    off = list(answers.not_opened)
    for name, shown in answers.shown.items():
        if shown + answers.hidden.get(name, 0) != had(after.states[name]).linked:
            off.append(name)
    return Finding(answers.opened + len(answers.not_opened), off, note=answers.sample)


@check(After, Level.STOP, serves=("A8",))
def the_calendar_shows_every_appointment(after: After) -> Finding:
    """The calendar's query gives every appointment, and none on which the calendar fails."""
    calendar = after.mapping.application.calendar
    planned = after.plan.entities[calendar.entity].rows_after
    answers = had(after.answers)
    off = list(answers.calendar_broken)
    if answers.calendar_events != planned:
        off.append("count")
    events = wording.amount(answers.calendar_events, "event")
    note = f"{events}, {wording.amount(planned, 'appointment')}"
    return Finding(max(1, planned), off, note=note)


@check(After, Level.STOP, serves=("A9",))
def search_finds_every_patient_by_name(after: After) -> Finding:
    """The application's search finds every patient by its own name."""
    answers, asked = had(after.answers), after.mapping.application
    beside = [column for column in asked.patient_name if column not in asked.search]
    note = f"`search` of the mapping does not name {', '.join(beside)}" if beside else ""
    return Finding(answers.found_by_name + len(answers.not_found), answers.not_found, note=note)


@check(After, Level.STOP, serves=("A7", "A8", "A9", "A3"), links=True)
def the_application_shows_what_the_database_holds(after: After) -> Finding:
    """Nexus's own API shows every patient, clinic by clinic, every appointment, every attachment.

    Patients that the plan's digest chooses are searched for by their names and opened. Without
    [application] in the environment's file, and on a copy, the API is not asked: its queries are
    put to the database, by the checks before this one.
    """
    if after.shown is None or after.api is None:
        return Finding(1, note=_NOT_ASKED)
    asked, wanted = had(after.shown)
    shown = had(after.api)
    off = list(_differences(asked, wanted, shown))
    looked = sum(map(len, wanted.patients.values())) + len(wanted.events) + len(asked.patients)
    patients = sum(map(len, shown.patients.values()))
    note = (
        f"Nexus's API was asked: {wording.amount(patients, 'patient')},"
        f" {wording.amount(len(shown.events), 'appointment')},"
        f" {wording.amount(len(asked.patients), 'patient')} one by one"
    )
    return Finding(max(1, looked), off, note=note)


# Only an id is shown: the API answers with names beside it.
_ID = re.compile(rf"{UUID}|\d{{1,18}}")
_NOT_ASKED = (
    "Nexus's API was not asked (no [application], or a copy); its queries were put to the database"
)


def _differences(asked: Asked, wanted: Shown, shown: Shown) -> Iterator[str]:
    """What the API does not show as the database has it: ids, and no value."""
    for name, keys in wanted.patients.items():
        yield from _missing(f"{name} patients", keys, shown.patients[name])
    for clinic, count in wanted.by_clinic.items():
        patients = shown.by_clinic.get(clinic, 0)
        if patients != count:
            are_shown = wording.amount(patients, "patient is", "patients are")
            yield f"clinic {clinic}: {are_shown} shown, {count:,} in the database"
    yield from _missing("appointments in the calendar", wanted.events, shown.events)
    yield from _missing("patients found by their names", wanted.by_name, shown.by_name)
    for key in asked.patients:
        for name, held in wanted.attachments[key].items():
            shown_of = shown.attachments[key].get(name, frozenset())
            yield from _missing(f"{name} of patient {key}", held, shown_of)


def _missing(what: str, wanted: Set[Any], shown: Set[Any]) -> Iterator[str]:
    for keys, how in ((wanted - shown, "are not shown"), (shown - wanted, "are shown too many")):
        if keys:
            first = min(keys)
            key = first[0] if isinstance(first, tuple) else first
            example = f" (e.g. {key})" if _ID.fullmatch(key) else ""  # what is no id is not told
            yield f"{what}: {len(keys):,} {how}{example}"
