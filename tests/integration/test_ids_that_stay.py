"""A row keeps its id; a record whose derived id is another record's row gets one of its own."""

from __future__ import annotations

from nexus_reimport import runbook
from nexus_reimport.files import rowfile
from nexus_reimport.model import Outcome, Plan, Report
from nexus_reimport.planning.matching import derived_id
from nexus_sandbox.filemaker.file import Record
from support.clinic import ROLE, Clinic, approved, finished, planned

ANOTHER = "0e0e0e0e-0000-4000-8000-00000000000e"


KEYS = "SELECT id::text FROM appointments"
TYPED = "UPDATE appointments SET filemaker_event_id = %s WHERE id = %s"


def lines(book: runbook.Runbook) -> dict[str, tuple[str, str]]:
    """FileMaker id of an event that is loaded -> outcome, and Nexus id of the appointment."""
    ledger = rowfile.read(book.folder, book.run.load(Plan).ledger)
    return {
        str(filemaker_id): (str(outcome), str(key))
        for source, _, outcome, _, filemaker_id, key in ledger
        if source == "events" and filemaker_id and key
    }


def test_a_record_whose_row_went_to_another_one_gets_a_row_of_its_own(clinic: Clinic) -> None:
    """An event was deleted and made anew, Nexus took it for the same one, and the first is back.

    Both were planned for the one row then, and a check stopped each run.
    """
    before = clinic.executed()
    first, (_, key) = next(i for i in lines(before).items() if i[1][0] == Outcome.NEW)
    assert key == derived_id(before.mapping.namespace, "appointments", first)
    with clinic.simulator.edit() as tables:
        records = tables["API_event"].records
        event = next(r for r in records if str(r.values["id"]).lower() == first)
        records.append(Record(10**6, 0, {**event.values, "id": ANOTHER}))
    clinic.do(TYPED, "dev", ANOTHER, key)
    book = planned()
    now = lines(book)
    assert now[ANOTHER] == (Outcome.REPLACED, key)
    outcome, of_its_own = now[first]
    assert outcome == Outcome.NEW
    assert (of_its_own,) not in clinic.rows(KEYS)
    assert len({row for _, row in now.values()}) == len(now)
    book.plan()
    assert lines(book) == now  # it is the same each time
    report = book.check_before()
    assert not report.blocking, report.blocking
    finished(approved(book, report, clinic.server))
    assert book.run.load(Report, "checks_after").passed
    # They stay, also where the database is asked without what the last run noted.
    assert lines(planned())[first] == (Outcome.REPLACED, of_its_own)
    clinic.do("DELETE FROM nexus_reimport.loaded", role=ROLE)
    assert lines(planned())[first] == (Outcome.REPLACED, of_its_own)
