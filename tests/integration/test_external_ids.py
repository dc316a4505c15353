"""Ids of another system that FileMaker and Nexus both hold: compared, and changed by nobody."""

from __future__ import annotations

import csv
from pathlib import Path

from nexus_reimport.model import Report, Result
from support import clinic as clinics
from support.clinic import Clinic

NAME = "ids_of_other_systems_agree"


def result(report: Report) -> Result:
    return next(one for one in report.results if one.check == NAME)


def listed(folder: Path) -> list[dict[str, str]]:
    with (folder / "external_ids.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_an_id_of_xero_that_differs_is_counted_and_listed_and_stops_nothing(
    clinic: Clinic,
) -> None:
    book = clinics.planned()
    was = result(book.check_before())
    assert (was.offending, was.looked_at > 10) == (0, True)
    assert listed(book.folder) == []
    with clinic.simulator.edit() as tables, clinic.connect() as connection:
        records = {str(r.values["id"]).lower(): r for r in tables["API_Contacts"].records}
        links = [
            (link, xero, record)
            for link, xero, record in connection.execute(
                "SELECT l.id, l.xero_contact_id, lower(p.filemaker_metadata->>'filemaker_id')"
                " FROM xero_contact_links l JOIN patients p ON p.id = l.patient_id"
                " WHERE l.is_active ORDER BY l.id"
            ).fetchall()
            if record in records
        ]
        first, second, other, none, unused, upper, empty = (record for _, _, record in links[:7])
        change = "UPDATE xero_contact_links SET {} WHERE id = %s"
        for number, what in (
            (0, f"xero_contact_id = '{links[1][1]}'"),
            (1, f"xero_contact_id = '{links[0][1]}'"),
            (2, "xero_contact_id = 'another-made-up-id'"),
            (4, "is_active = false"),
            (5, "xero_contact_id = upper(xero_contact_id)"),
        ):
            connection.execute(change.format(what), (links[number][0],))
        connection.execute("DELETE FROM xero_contact_links WHERE id = %s", (links[3][0],))
        records[empty].values["_kf_XeroContactID"] = ""
    book = clinics.planned()
    report = book.check_before()
    assert not report.blocking
    lines = {line["filemaker_id"].lower(): line for line in listed(book.folder)}
    assert {record: line["what"] for record, line in lines.items()} == {
        first: "Nexus has FileMaker's id of another row",
        second: "Nexus has FileMaker's id of another row",
        other: "another id in Nexus",
        none: "no id in Nexus",
        unused: "no id in Nexus",
        empty: "no id in FileMaker",
    }
    assert upper not in lines
    assert (lines[other]["in_filemaker"], lines[other]["in_nexus"]) == (
        links[2][1],
        "another-made-up-id",
    )
    told = result(report)
    assert (told.offending, told.looked_at) == (6, was.looked_at)
    assert "no id in Nexus: 2" in told.note
    assert "external_ids.csv in the private folder names them" in told.note
    public = "".join(path.read_text() for path in book.run.folder.glob("*.json"))
    assert "another-made-up-id" not in public
