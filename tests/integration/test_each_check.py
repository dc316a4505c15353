"""Checks that others would hide: each is made to fail alone, or is named by what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import checks, runbook
from nexus_reimport.checks.before import Before
from nexus_reimport.checks.inside import Inside
from nexus_reimport.checks.rollback import Undoing
from nexus_reimport.errors import StopError
from nexus_reimport.files import rowfile
from nexus_reimport.model import Plan, Report
from nexus_reimport.runbook.opening import today
from nexus_reimport.stages import undo
from support.applying import apply_with
from support.clinic import ROLE, Clinic, Executed
from support.rollbacks import DEV, copy_row, new_patient, request_of
from support.second_clinic import Second, result
from support.verifying import failed, verified


def planned(part: str, name: str, change: Callable[[Any], Any]) -> Callable[[Before], Before]:
    """What is looked at, of which one entity or link of the plan is another."""

    def changed(before: Before) -> Before:
        parts = getattr(before.plan, part)
        return replace(
            before, plan=replace(before.plan, **{part: parts | {name: change(parts[name])}})
        )

    return changed


entity, link = partial(planned, "entities"), partial(planned, "links")


def not_read(source: str) -> Callable[[Before], Before]:
    """What is looked at, where FileMaker has given no record of one table."""

    def changed(before: Before) -> Before:
        taken = before.snapshot
        none = replace(taken.extracts[source], rows=0)
        extracts = taken.extracts | {source: none}
        return replace(
            before, intake=replace(before.intake, snapshot=replace(taken, extracts=extracts))
        )

    return changed


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rows_are_recognised", entity("patients", lambda e: replace(e, matched={}))),
        (
            "patients_are_as_many_as_expected",
            entity("patients", lambda e: replace(e, replaced=e.replaced // 2)),
        ),
        (
            "appointments_are_as_many_as_expected",
            entity("appointments", lambda e: replace(e, replaced=e.replaced // 2)),
        ),
        (
            "no_batch_holds_images_of_two_patients",
            link("images", lambda one: replace(one, split_groups=("7",))),
        ),
        (
            "no_attachment_is_lost_by_the_plan",
            link("documents", lambda one: replace(one, reachable_after=one.reachable_before - 1)),
        ),
        (
            "no_attachment_is_lost_by_the_plan",
            link("documents", lambda one: replace(one, lost=("7",))),
        ),
        *(("no_source_is_empty", not_read(source)) for source in ("contacts", "docs", "images")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_plan_that_breaks_one_claim_is_stopped_by_its_check(
    done: tuple[Clinic, runbook.Runbook],
    executed_once: Executed,
    name: str,
    change: Callable[[Before], Before],
) -> None:
    settings = done[1].settings
    for subject, stops in ((executed_once.before, False), (change(executed_once.before), True)):
        report = checks.run(subject, settings.waivers, today=today(settings), name="before")
        assert (name in {r.check for r in report.blocking}) is stops


def test_what_a_person_should_look_at_is_counted_as_filemaker_has_it(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    _, book = done
    results = {r.check: r for r in book.run.load(Report, "checks_before").results}
    folder, extracts = book.folder, book._before().snapshot.extracts
    images = list(rowfile.read_dicts(folder, extracts["images"].file))
    undated = sum(not (one["NexusExportDate"] or "").strip() for one in images)
    assert results["images_carry_an_export_date"].offending == undated > 0
    documents = list(rowfile.read_dicts(folder, extracts["docs"].file))
    undated = sum(not (one["NexusExportDate"] or "").strip() for one in documents)
    dated = results["documents_carry_an_export_date"]
    assert (dated.offending, dated.looked_at) == (undated, len(documents))
    patients = book._before().plan.entities["patients"]
    without = results["filemaker_names_a_clinic_for_every_patient"]
    assert 0 < without.offending <= without.looked_at <= patients.source_rows
    appointments = results["filemaker_names_clinic_clinician_and_type"]
    loaded = book._before().plan.entities["appointments"].loaded
    assert appointments.looked_at == 3 * loaded
    assert 2 * loaded <= appointments.offending < 3 * loaded  # it has no field for two of them
    assert "FileMaker has no field for clinician_id" in appointments.note


def test_the_state_before_is_written_down_as_it_is(clinic: Clinic) -> None:
    book = clinic.proposed()
    report = book.run.load(Report, "checks_before")
    told = next(r for r in report.results if r.check == "the_state_before_is_written_down")
    for entity, spec in book.mapping.entities.items():
        assert f"{entity} {clinic.value(f'SELECT count(*) FROM {spec.table}'):,}" in told.note
    for name, through in (
        ("documents", "documents_document d"),
        ("images", "images_image i JOIN images_batch b ON b.id = i.batch_id"),
    ):
        linked = clinic.value(
            f"SELECT count(*) FROM {through} JOIN django_content_type c ON c.id ="
            " content_type_id JOIN patients p ON p.id = object_id WHERE c.model = 'patient'"
        )
        every = clinic.value(f"SELECT count(*) FROM {through}")
        assert f"{name} {linked:,} of {every:,} linked" in told.note
        assert 0 < linked < every


def test_nobody_says_that_a_column_is_filled_that_the_mapping_does_not_name(
    over_the_data_api: Second,
) -> None:
    """The second installation's visits have no clinic, no clinician and no type."""
    over_the_data_api.edit("second_installation.toml", 'patient_clinic = "site_id"\n', "")
    book = over_the_data_api.whole(dry=True)
    both = [*book.run.load(Report, "checks_before").results]
    both += book.run.load(Report, "checks_after").results
    asked = [r for r in both if r.check.endswith(("_has_a_clinic", "_a_clinician", "_a_type"))]
    asked += [r for r in both if r.check.startswith("filemaker_names_")]
    assert len(asked) == 10
    for told in asked:
        assert (told.passed, told.looked_at, told.is_empty) == (True, 0, True), told
        assert told.note == "the mapping has nothing of this kind"


def test_a_clinic_that_nothing_feeds_is_missing_in_every_record_of_filemaker(
    over_the_data_api: Second,
) -> None:
    feeds = next(
        line
        for line in (over_the_data_api.folder / "second_installation.toml").read_text().splitlines()
        if line.startswith("site_id")
    )
    over_the_data_api.edit("second_installation.toml", feeds, "")
    _, report = over_the_data_api.checked()
    told = result(report, "filemaker_names_a_clinic_for_every_patient")
    assert (told.looked_at, told.offending, told.passed) == (3, 3, False)
    assert told.note == "FileMaker has no field for site_id"


# ---------------------------------------------------------------- inside the transaction


TAKEN_OFF = (
    "UPDATE public.documents_document SET object_id = NULL WHERE id = (SELECT d.id FROM"
    " public.documents_document d JOIN public.patients p ON p.id = d.object_id LIMIT 1)"
)
PUT_ON = (
    "UPDATE public.documents_document SET object_id = (SELECT min(id::text)::uuid FROM"
    " public.patients), content_type_id = (SELECT id FROM public.django_content_type WHERE"
    " app_label = 'patients' AND model = 'patient') WHERE id = (SELECT d.id FROM"
    " public.documents_document d LEFT JOIN public.patients p ON p.id = d.object_id"
    " WHERE p.id IS NULL LIMIT 1)"
)


NO_END = (
    "UPDATE public.appointments SET {} end_time = NULL WHERE id = (SELECT id FROM"
    " public.appointments WHERE patient_id IS NOT NULL LIMIT 1)"
)


@pytest.mark.parametrize(
    ("name", "statements"),
    [
        ("tables_hold_as_many_rows_as_planned", {}),
        ("attachments_hang_as_planned", {PUT_ON: True, TAKEN_OFF: True}),
        (
            "no_appointment_of_a_patient_lacks_its_end",
            {NO_END.format("patient_id = NULL,"): False, NO_END.format(""): True},
        ),
    ],
)
def test_what_is_not_as_planned_inside_is_rolled_back(
    clinic: Clinic, rehearsed: Path, name: str, statements: dict[str, bool]
) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()

    def meddle(done: Inside) -> Report:
        if statements:
            clinic.do(f"GRANT UPDATE ON appointments, documents_document TO {ROLE}")
        connection = done.database.connection
        for statement, is_wrong in statements.items():
            with connection.transaction(force_rollback=True):
                assert connection.execute(statement.encode()).rowcount == 1
                report = book._check_inside(done)
            assert (name in {one.check for one in report.blocking}) is is_wrong
        if statements:
            return report
        notes = done.plan.entities["notes"].table
        more = replace(done.after[notes], rows=done.after[notes].rows + 1)
        return book._check_inside(replace(done, after={**done.after, notes: more}))

    with pytest.raises(StopError, match=name):
        apply_with(book, meddle)
    assert clinic.state() == before


def test_an_image_that_somebody_has_added_is_no_reason_to_stop_and_a_deleted_one_is_told(
    clinic: Clinic, rehearsed: Path
) -> None:
    """A batch is as it was when a picture is put into it while the run waits for its approval."""
    book = clinic.approved(rehearsed)
    image = clinic.value(
        "DELETE FROM images_image WHERE id = (SELECT i.id FROM images_image i JOIN images_batch b"
        " ON b.id = i.batch_id JOIN patients p ON p.id = b.object_id ORDER BY i.id LIMIT 1)"
        " RETURNING to_jsonb(images_image)::text"
    )
    with pytest.raises(StopError, match="attachments_hang_as_planned") as told:
        book.apply()
    assert "some were added or deleted since the preflight: run it again" in told.value.what
    clinic.do(
        "INSERT INTO images_image SELECT (jsonb_populate_record(NULL::images_image, %s::jsonb)).*",
        "dev",
        image,
    )
    copy_row(clinic, "images_image", filemaker_id=None, s3_key="images/new.jpg")
    assert book.apply().committed


def test_what_would_point_at_a_row_that_the_rollback_deletes_keeps_it_from_committing(
    clinic: Clinic,
) -> None:
    book = clinic.way_back()
    patient = new_patient(runbook.resume(DEV, book.undoes))
    before = clinic.state()

    def meddle(done: Undoing) -> Any:
        clinic.do(f"GRANT UPDATE ON documents_document TO {ROLE}")
        done.transaction.connection.execute(
            "UPDATE public.documents_document SET object_id = %s WHERE id = (SELECT"
            " min(id::text)::uuid FROM public.documents_document WHERE filemaker_id IS NULL"
            " AND object_id IN (SELECT id FROM public.patients))",
            (patient,),
        )
        return book.book.check_undoing(done)

    with pytest.raises(StopError, match="nothing_points_at_what_was_taken_back"):
        undo.run(book.book.settings.postgres, book.book.mapping, request_of(book), meddle)
    assert clinic.state() == before


# ---------------------------------------------------------------- after COMMIT


def test_a_note_that_is_gone_is_missed_by_its_record(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    clinic, book = done
    ledger = rowfile.read(book.folder, book.run.load(Plan).ledger)
    note = next(row[5] for row in ledger if row[1:3] == ("notes", "replaced"))
    clinic.do("DELETE FROM notes WHERE id = %s", "dev", note)
    result = failed(verified(book))["every_other_record_of_filemaker_is_there"]
    assert result.offending == 1
