"""What FileMaker says and what becomes of it, value by value."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from nexus_reimport import runbook
from nexus_reimport.files import rowfile
from nexus_reimport.model import Misfits, Plan, Survey
from nexus_sandbox.filemaker.file import Record
from support.clinic import Clinic

DEV = "sandbox-dev"


def plan_of(book: runbook.Runbook) -> Plan:
    return book.run.load(Plan)


def lines(path: Path) -> list[dict[str, str]]:
    """A list for people, as a table."""
    with path.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def misfits(book: runbook.Runbook, entity: str) -> dict[tuple[str, str], Misfits]:
    return {(m.column, m.reason): m for m in plan_of(book).entities[entity].misfits}


def rows(book: runbook.Runbook, entity: str) -> dict[str, dict[str, str | None]]:
    """The planned rows of an entity, by key."""
    file = plan_of(book).entities[entity].file
    key = book.run.load(Survey).keys[entity]
    return {row[key] or "": row for row in rowfile.read_dicts(book.folder, file)}


def nexus_id(book: runbook.Runbook, entity: str, filemaker_id: object) -> str:
    wanted = str(filemaker_id).lower()
    return next(
        n or ""
        for e, f, n in rowfile.read(book.folder, plan_of(book).id_map)
        if e == entity and f == wanted
    )


def shared(clinic: Clinic, count: int) -> list[Record]:
    """Contacts that Nexus knows, with a birth date and a clinic."""
    known = {
        f.lower()
        for (f,) in clinic.rows(
            "SELECT filemaker_metadata->>'filemaker_id' FROM patients"
            " WHERE filemaker_metadata ? 'filemaker_id' AND dob IS NOT NULL"
            " AND clinic_id IS NOT NULL AND title <> ''"
        )
    }
    found = [
        r
        for r in clinic.simulator.tables["API_Contacts"].records
        if str(r.values["id"]).lower() in known
    ]
    assert len(found) >= count
    return sorted(found, key=lambda r: str(r.values["id"]))[:count]


def change(clinic: Clinic, records: list[Record], **values: Any) -> None:
    with clinic.simulator.edit():
        for record in records:
            record.values.update(values)
