"""Every check has looked at something, and what goes wrong after COMMIT is found by name."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from nexus_reimport import checks, record, runbook, wording
from nexus_reimport import settings as environments
from nexus_reimport.checks import after, before, inside
from nexus_reimport.errors import SettingsError, StopError
from nexus_reimport.model import Backup, Level, Plan, Rehearsal, Report, Result, Survey
from nexus_reimport.planning import plan
from nexus_reimport.record import Verdict
from nexus_reimport.settings import EntityDecisions, Waiver
from support.clinic import Clinic


def test_every_check_has_looked_at_something(
    committed: tuple[Clinic, runbook.Runbook],
) -> None:
    _, book = committed
    book.verify()
    for name, stage in (
        ("before", before.Before),
        ("inside", inside.Inside),
        ("after", after.After),
    ):
        report = book.run.load(Report, f"checks_{name}")
        assert [r.check for r in report.results] == [c.name for c in checks.of_stage(stage)]
        assert [r.check for r in report.results if not r.looked_at] == []
        assert [r.check for r in report.blocking] == []


def test_names_of_checks_are_unique_and_claims_are_sentences() -> None:
    names = [c.name for c in checks.REGISTRY]
    assert len(names) == len(set(names))
    for declared in checks.REGISTRY:
        assert declared.claim.endswith("."), declared.name
        assert declared.claim[0].isupper(), declared.name
        assert declared.serves, declared.name


PATIENT = "(SELECT min(id::text)::uuid FROM patients WHERE filemaker_metadata ? 'filemaker_id')"
LINKED = (
    "(SELECT min(d.id::text)::uuid FROM documents_document d JOIN patients p ON p.id = object_id"
    " WHERE d.filemaker_id IS NOT NULL)"
)
SWAP = (
    "UPDATE documents_document d SET object_id = o.object_id FROM documents_document o"
    " WHERE (d.id, o.id) IN (SELECT a.id, b.id FROM"
    " (SELECT id, object_id FROM documents_document WHERE filemaker_id IS NOT NULL AND object_id IN"
    "  (SELECT id FROM patients) ORDER BY object_id LIMIT 1) a,"
    " (SELECT id, object_id FROM documents_document WHERE filemaker_id IS NOT NULL AND object_id IN"
    "  (SELECT id FROM patients) ORDER BY object_id DESC LIMIT 1) b"
    " UNION ALL SELECT b.id, a.id FROM"
    " (SELECT id, object_id FROM documents_document WHERE filemaker_id IS NOT NULL AND object_id IN"
    "  (SELECT id FROM patients) ORDER BY object_id LIMIT 1) a,"
    " (SELECT id, object_id FROM documents_document WHERE filemaker_id IS NOT NULL AND object_id IN"
    "  (SELECT id FROM patients) ORDER BY object_id DESC LIMIT 1) b)"
)
CORRUPTIONS = {
    "a patient is gone": (
        f"DELETE FROM notes WHERE patient_id = {PATIENT}; SET session_replication_role = replica;"
        f" DELETE FROM patients WHERE id = {PATIENT}",
        {"every_patient_of_filemaker_is_there"},
    ),
    "an appointment is gone": (
        "DELETE FROM appointments WHERE id = (SELECT id FROM appointments a WHERE NOT EXISTS"
        " (SELECT FROM encounters e WHERE e.appointment_id = a.id) AND NOT EXISTS"
        " (SELECT FROM sms_messages s WHERE s.appointment_id = a.id) AND NOT EXISTS"
        " (SELECT FROM xero_invoice_links x WHERE x.appointment_id = a.id) AND NOT EXISTS"
        " (SELECT FROM xero_quote_links x WHERE x.appointment_id = a.id) AND NOT EXISTS"
        " (SELECT FROM appointments c WHERE c.parent_appointment_id = a.id)"
        " AND filemaker_event_id IS NOT NULL ORDER BY id LIMIT 1)",
        {"every_appointment_of_filemaker_is_there", "the_calendar_shows_every_appointment"},
    ),
    "an appointment has no end": (
        "UPDATE appointments SET end_time = NULL WHERE id = (SELECT min(id::text)::uuid"
        " FROM appointments WHERE patient_id IS NOT NULL)",
        {"the_calendar_shows_every_appointment"},
    ),
    "a letter is put under another name": (
        "UPDATE letters_patientletter SET patient_id = (SELECT max(id::text)::uuid FROM patients"
        " WHERE id <> patient_id) WHERE id = (SELECT min(id::text)::uuid"
        " FROM letters_patientletter)",
        {"every_row_is_as_planned"},
    ),
    "a blank at the end": (
        "UPDATE notes SET content = content || ' ' WHERE id = (SELECT min(id::text)::uuid"
        " FROM notes)",
        {"every_row_is_as_planned"},
    ),
    "text moved between neighbours": (
        "UPDATE patients SET middle_names = last_name, last_name = '' WHERE id = " + PATIENT,
        {"every_row_is_as_planned"},
    ),
    "a time below the second": (
        "UPDATE appointments SET start_time = start_time + interval '1 microsecond' WHERE id ="
        " (SELECT min(id::text)::uuid FROM appointments)",
        {"every_row_is_as_planned"},
    ),
    "a key inside a JSON column": (
        f"UPDATE patients SET flags_json = '{{\"x\": 1}}' WHERE id = {PATIENT}",
        {"what_only_nexus_knows_was_carried_over"},
    ),
    "a JSON true becomes 1": (
        "UPDATE patients SET flags_json = '{\"falls_risk\": 1}' WHERE id = (SELECT"
        " min(id::text)::uuid FROM patients WHERE flags_json = '{\"falls_risk\": true}')",
        {"every_row_is_as_planned", "what_only_nexus_knows_was_carried_over"},
    ),
    "an archived patient reappears": (
        "UPDATE patients SET archived = NOT archived WHERE id = " + PATIENT,
        {"what_only_nexus_knows_was_carried_over"},
    ),
    "a clinician is lost": (
        "UPDATE appointments SET clinician_id = NULL WHERE id = (SELECT min(id::text)::uuid"
        " FROM appointments WHERE clinician_id IS NOT NULL)",
        {"what_only_nexus_knows_was_carried_over"},
    ),
    "two documents swapped": (SWAP, {"every_document_hangs_on_its_patient"}),
    "a document is unlinked": (
        f"UPDATE documents_document SET object_id = NULL WHERE id = {LINKED}",
        {"every_document_hangs_on_its_patient"},
    ),
    "a batch on another patient": (
        "UPDATE images_batch SET object_id = (SELECT max(id::text)::uuid FROM patients"
        " WHERE id <> object_id) WHERE id = (SELECT batch_id FROM images_image"
        " WHERE s3_key LIKE '%bulk-dump%' ORDER BY id LIMIT 1)",
        {"every_image_hangs_on_its_patient"},
    ),
    "a clinic's colour": (
        "UPDATE clinics SET color = '#010203' WHERE id = (SELECT min(id::text)::uuid FROM clinics)",
        {"protected_tables_are_as_they_were"},
    ),
    "a duplicate": (
        "INSERT INTO notes SELECT (jsonb_populate_record(n, jsonb_build_object('id',"
        " gen_random_uuid()))).* FROM notes n LIMIT 1",
        {"every_row_is_as_planned"},
    ),
    "a name that search cannot find": (
        f"UPDATE patients SET first_name = '', last_name = '' WHERE id = {PATIENT}",
        {"every_patient_opens_with_its_attachments", "every_row_is_as_planned"},
    ),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_after_the_commit_is_found(
    committed: tuple[Clinic, runbook.Runbook], name: str
) -> None:
    clinic, book = committed
    statement, found_by = CORRUPTIONS[name]
    with clinic.connect() if "replica" not in statement else clinic.superuser() as connection:
        connection.execute(statement)
    report = book.verify()
    failed = {r.check for r in report.results if not r.passed}
    assert found_by <= failed
    if any(r.level is Level.STOP for r in report.results if r.check in found_by):
        with pytest.raises(Exception, match="failed"):
            book.sign_off()
        assert book.run.verdict() is Verdict.COMMITTED_UNVERIFIED


def test_the_backup_holds_what_the_survey_saw(clinic: Clinic) -> None:
    book = clinic.proposed()
    backup, survey = book.run.load(Backup, "backup"), book.run.load(Survey)
    for entity, spec in book.mapping.entities.items():
        with (book.folder / f"{spec.table}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == survey.rows[entity].rows == backup.csv_rows[f"{spec.table}.csv"]
    assert backup.tables_in_dump >= 57
    assert (book.folder / backup.dump).stat().st_mode & 0o077 == 0


def test_each_csv_of_the_backup_can_be_read_back_to_the_last_value(clinic: Clinic) -> None:
    book = clinic.proposed()
    tables = {spec.table for spec in book.mapping.entities.values()}
    assert tables >= {"patients", "appointments", "notes", "letters_patientletter", "reminders"}
    assert tables >= {"sms_messages", "sms_inbound"}
    with clinic.connect() as connection:
        for table in tables:
            connection.execute(f"CREATE TEMPORARY TABLE again (LIKE {table})")
            path = book.folder / f"{table}.csv"
            assert path.stat().st_mode & 0o077 == 0
            command = "COPY again FROM STDIN (FORMAT csv, HEADER match)"
            with connection.cursor() as cursor, cursor.copy(command) as copy:
                copy.write(path.read_bytes())
            for one, other in ((table, "again"), ("again", table)):
                differ = f"SELECT t::text FROM {one} t EXCEPT ALL SELECT t::text FROM {other} t"
                assert connection.execute(differ).fetchall() == []
            connection.execute("DROP TABLE again")


def test_the_clinics_known_problems_come_out_as_counts(clinic: Clinic) -> None:
    book = clinic.proposed()
    results = {r.check: r for r in book.run.load(Report, "checks_before").results}
    for waived in (
        "every_planned_patient_has_a_clinic",
        "every_planned_appointment_has_a_clinician",
        "every_planned_appointment_has_a_type",
    ):
        assert results[waived].offending > 0
        assert results[waived].passed
    assert "coordinator_date" in " ".join(results["asked_for_fields_exist"].sample)
    changes = {c.column: c for c in book.run.load(Plan).entities["patients"].changes}
    assert changes["funding_type_id"].filled_before == 0
    assert changes["funding_type_id"].filled_after > 0


# ---------------------------------------------------------------- waivers

TODAY = date(2026, 3, 1)
TWINS = {
    "every_planned_patient_has_a_clinic": "every_patient_has_a_clinic",
    "every_planned_appointment_has_a_clinic": "every_appointment_has_a_clinic",
    "every_planned_appointment_has_a_clinician": "every_appointment_has_a_clinician",
    "every_planned_appointment_has_a_type": "every_appointment_has_a_type",
}


def waiver(check: str, at_most: int = 5000, until: str = "2026-03-01") -> Waiver:
    return Waiver(
        check=check,
        at_most=at_most,
        reason="by hand",
        who="A. Person",
        until=date.fromisoformat(until),
    )


def results(book: runbook.Runbook, *waivers: Waiver) -> dict[str, Result]:
    report = checks.run(book._before(), waivers, today=TODAY, name="before")
    return {r.check: r for r in report.results}


@pytest.mark.parametrize("named", ["before", "after"])
def test_one_waiver_is_for_a_check_before_and_its_twin_after(
    clinic: Clinic, rehearsed: Path, named: str
) -> None:
    names = TWINS.keys() if named == "before" else TWINS.values()
    path = clinic.folder / "sandbox-dev.toml"
    own, _, _ = path.read_text().partition("[[waivers]]")
    path.write_text(
        own
        + "".join(
            f'[[waivers]]\ncheck = "{name}"\nat_most = 5000\nreason = "r"\nwho = "w"\n'
            'until = "2099-12-31"\n'
            for name in names
        )
    )
    book = clinic.planned()
    book.check_before()
    book.rehearse()  # the rehearsal has verified: both stages were asked
    found = {r.check: r for r in book.run.load(Report, "checks_before").results}
    verified = book.run.load(Rehearsal).verified
    assert verified is not None
    later = {r.check: r for r in verified.results}
    for first, second in TWINS.items():
        assert found[first].offending == later[second].offending > 0
        assert found[first].passed
        assert later[second].passed
        other = found[first] if named == "after" else later[second]
        assert f"given for {second if named == 'after' else first}" in other.note


def test_what_a_waiver_is_worth_is_said(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    name = "every_planned_patient_has_a_clinic"
    count = results(book)[name].offending
    assert count > 0
    offend = wording.amount(count, "offends", "offend")
    for given, passed, words in (
        (waiver(name), True, "waived up to 5,000 by A. Person until 2026-03-01: by hand"),
        (
            waiver(name, until="2026-02-28"),
            False,
            f"EXPIRED: waived up to 5,000 by A. Person until 2026-02-28: {offend}",
        ),
        (
            waiver(name, 0),
            False,
            f"NOT ENOUGH: waived up to 0 by A. Person until 2026-03-01: {offend}, {count} more",
        ),
    ):
        result = results(book, given)[name]
        assert (result.passed, result.waiver) == (passed, words)
        assert result.note.endswith(words)
    unneeded = results(book, waiver("the_backup_is_whole"))["the_backup_is_whole"]
    assert unneeded.waiver.endswith("no longer needed")
    with pytest.raises(StopError, match="EXPIRED: waived up to 5,000"):
        checks.require(Report("before", (results(book, waiver(name, until="2001-01-01"))[name],)))


def test_waivers_that_can_never_be_of_use_are_refused_all_at_once(clinic: Clinic) -> None:
    path = clinic.folder / "sandbox-dev.toml"
    wrong = ("every_pateint_has_a_clinic", "everything_is_decided", "every_patient_has_a_clinic")
    path.write_text(
        path.read_text()
        + "".join(
            f'\n[[waivers]]\ncheck = "{name}"\nat_most = 1\nreason = "r"\nwho = "w"\n'
            'until = "2099-12-31"\n'
            for name in wrong
        )
    )
    with pytest.raises(SettingsError, match="3 waivers cannot be used") as told:
        runbook.begin("sandbox-dev")
    text = str(told.value)
    assert (
        "every_pateint_has_a_clinic: no check has this name; did you mean every_patient_has" in text
    )
    assert "everything_is_decided: this check cannot be waived" in text
    assert "every_patient_has_a_clinic: has 2 waivers; only one is allowed" in text
    assert record.every(environments.load("sandbox-dev")) == []


# ---------------------------------------------------------------- numbers


def test_no_result_says_more_than_there_is(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    subject = book._before()
    nothing = {e: EntityDecisions() for e in subject.mapping.entities}
    undecided = plan.make(
        subject.intake,
        book.settings.model_copy(update={"decisions": nothing}),
        as_of=subject.survey.taken_at,
    )
    questions = undecided.undecided()
    assert len(questions) > len(undecided.entities) + 5
    result = next(
        r
        for r in checks.run(replace(subject, plan=undecided), today=TODAY).results
        if r.check == "everything_is_decided"
    )
    assert result.found == f"{len(questions)} of {len(undecided.questions)}"
    assert result.offending <= result.looked_at
    assert result.listed.endswith(f" and {len(questions) - 5} more")
    with pytest.raises(StopError, match=rf"and {len(questions) - 5} more\)"):
        checks.require(Report("before", (result,)))


def test_a_count_of_something_else_than_was_looked_at_is_no_part_of_it() -> None:
    result = Result("c", "It is.", ("A1",), Level.STOP, 7, 11, ("a",), keys=3)
    assert (result.found, result.listed) == ("11 found, 7 looked at", "a and 2 more")
    assert replace(result, looked_at=0, offending=0).found == "looked at nothing"
