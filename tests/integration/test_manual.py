"""What only a person knows: a sheet is written, filled in, put back, and feeds the next run."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from nexus_reimport import runbook, show
from nexus_reimport.errors import StopError
from nexus_reimport.files import rowfile
from nexus_reimport.model import Report
from nexus_reimport.planning import manual
from nexus_reimport.settings import BY_HAND_SHEET
from support.clinic import Clinic, planned
from support.sheets import asked_of, column_of, fill, line_of, put_back, without_clinic
from support.values import plan_of, rows


def test_a_sheet_per_kind_lists_the_rows_that_lack_a_value_with_choices(clinic: Clinic) -> None:
    book = clinic.planned()
    path = book.folder / BY_HAND_SHEET
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(book.run.folder.glob("*.xlsx"))
    there = load_workbook(path)
    kinds = {name.replace("_", " ") for name in book.mapping.by_hand}
    assert there.sheetnames[0] == manual.EXPLAINED
    assert {*there.sheetnames} - kinds == {manual.EXPLAINED, manual.CHOICES}
    assert there[manual.CHOICES].sheet_state == "hidden"
    clinics = there["clinics"]
    lacking = {k for k, r in rows(book, "patients").items() if not r["clinic_id"]}
    assert {clinics.cell(n, 1).value for n in range(2, clinics.max_row + 1)} == lacking
    (allowed,) = clinics.data_validations.dataValidation
    assert allowed.type == "list"
    letter = clinics.cell(1, column_of(clinics, "clinic_id")).column_letter
    assert str(allowed.sqref).startswith(f"{letter}2")
    names = {name for (name,) in clinic.rows("SELECT name FROM clinics")}
    cells = there[manual.CHOICES][allowed.formula1.rpartition("!")[2].replace("$", "")]
    cells = cells if isinstance(cells, tuple) else ((cells,),)
    assert {cell.value for (cell,) in cells} == names
    counts = {b.kind: b.waiting for b in plan_of(book).by_hand}
    assert counts["clinics"] == len(lacking)
    assert counts["appointments"] > 0


def planned_with_past(clinic: Clinic) -> runbook.Runbook:
    """A plan whose sheet asks of appointments that are over too: of the made-up ones, all are."""
    path = clinic.folder / "sandbox-dev.toml"
    path.write_text(f"{path.read_text()}\n[manual]\npast = true\n")
    return clinic.planned_anew()


def test_of_appointments_that_are_over_nobody_is_asked(clinic: Clinic) -> None:
    book = clinic.planned()
    counts = {b.kind: b.waiting for b in plan_of(book).by_hand}
    assert counts["appointments"] > 0
    assert "appointments" not in load_workbook(book.folder / BY_HAND_SHEET).sheetnames
    sheet = load_workbook(planned_with_past(clinic).folder / BY_HAND_SHEET)["appointments"]
    assert sheet.max_row == 1 + counts["appointments"]


def test_what_was_filled_in_feeds_the_next_run_and_is_counted(clinic: Clinic) -> None:
    first = planned_with_past(clinic)
    key = without_clinic(first)[0]
    path, there = put_back(first)
    known = {key for (key,) in clinic.rows("SELECT id::text FROM appointments")}
    name, clinic_id = clinic.rows("SELECT name, id::text FROM clinics ORDER BY name LIMIT 1")[0]
    fill(there["clinics"], key, clinic_id=f"  {name.upper()} ")
    booked = next(k for k in asked_of(there["appointments"], "clinician_id") if k in known)
    clinician = clinic.value("SELECT min(id::text) FROM clinicians")
    label = clinic.value("SELECT full_name FROM clinicians WHERE id::text = %s", "dev", clinician)
    fill(there["appointments"], booked, clinician_id=label)
    there.save(path)
    book = clinic.whole(dry=True)
    assert clinic.value("SELECT clinic_id::text FROM patients WHERE id::text = %s", "dev", key) == (
        clinic_id
    )
    assert (
        clinic.value(
            "SELECT clinician_id::text FROM appointments WHERE id::text = %s", "dev", booked
        )
        == clinician
    )
    by_kind = {b.kind: b for b in plan_of(book).by_hand}
    assert (by_kind["clinics"].given, by_kind["clinics"].used) == (1, 1)
    assert (by_kind["appointments"].given, by_kind["appointments"].used) == (1, 1)
    assert book.run.load(Report, "checks_after").passed
    listed = (book.run.folder / "overrides.csv").read_text(encoding="utf-8-sig")
    assert f"patients,{key},clinic_id,by hand" in listed
    again = planned()
    by_kind = {b.kind: b for b in plan_of(again).by_hand}
    assert (by_kind["clinics"].used, by_kind["clinics"].there) == (0, 1)


def test_the_next_sheet_holds_what_was_given_so_that_it_can_take_its_place(clinic: Clinic) -> None:
    first = clinic.planned()
    key = without_clinic(first)[0]
    path, there = put_back(first)
    name = clinic.value("SELECT min(name) FROM clinics")
    fill(there["clinics"], key, clinic_id=name)
    there.save(path)
    for _ in range(2):
        _, there = put_back(clinic.planned_anew())
        sheet = there["clinics"]
        assert sheet.cell(line_of(sheet, key), column_of(sheet, "clinic_id")).value == name


def test_dates_and_texts_are_taken_as_they_are_meant(clinic: Clinic) -> None:
    from datetime import date, datetime

    book = clinic.planned_anew()
    path, there = put_back(book)
    sheet = there["coordinator"]
    first, second, *_ = sorted(
        k
        for k, r in rows(book, "patients").items()
        if r["plan_end_date"] and not r["coordinator_date"]
    )
    fill(sheet, first, coordinator_date=date(2026, 1, 31), coordinator_name="=1+1")
    fill(sheet, second, coordinator_date="2026-02-28")
    there.save(path)
    with pytest.raises(StopError, match="Coordinator: is a formula"):
        clinic.planned_anew()
    fill(sheet, first, coordinator_date=datetime(2026, 1, 31), coordinator_name=None)
    there.save(path)
    made = rows(clinic.planned_anew(), "patients")
    assert made[first]["coordinator_date"] == "2026-01-31"
    assert made[second]["coordinator_date"] == "2026-02-28"


def refused(
    clinic: Clinic, book: Workbook, path: Path, plan: Callable[[], object] | None = None
) -> str:
    """What a ``plan`` says of ``book``; by itself one of a clinic as it is found."""
    before = clinic.state()
    book.save(path)
    with pytest.raises(StopError, match=r"cells? of manual.xlsx cannot be used") as told:
        (plan or clinic.planned_anew)()
    assert clinic.state() == before
    assert "remove manual.xlsx" in told.value.next
    return told.value.what


def test_lines_that_cannot_be_used_are_refused_by_name_all_at_once(clinic: Clinic) -> None:
    book = clinic.planned()
    keys = without_clinic(book)
    path, there = put_back(book)
    sheet = there["clinics"]
    fill(sheet, keys[0], clinic_id="No such clinic")
    dates = there["coordinator"]
    someone = dates.cell(2, 1).value
    fill(dates, someone, coordinator_date="31/01/2026", coordinator_name="x" * 201)
    there.create_sheet("shoes").cell(1, 1).value = "size"
    said = refused(clinic, there, path)
    assert (
        f"sheet clinics, line {line_of(sheet, keys[0])}: Clinic: is not one of the choices" in said
    )
    assert "sheet coordinator, line 2: Coordinator since: is not a date" in said
    assert "sheet coordinator, line 2: Coordinator: longer than 200 characters" in said
    assert "sheet shoes: there is no such kind of values" in said
    for value in ("No such clinic", "31/01/2026", "xxx"):
        assert value not in said


def test_a_plan_that_would_end_before_it_begins_is_refused(clinic: Clinic) -> None:
    clinic.do(
        "UPDATE patients SET coordinator_name = 'Quillfeather', plan_start_date = NULL,"
        " plan_end_date = NULL WHERE filemaker_metadata->>'filemaker_id' IS NULL"
    )
    path, there = put_back(planned())
    sheet = there["plan dates"]
    heads = {sheet.cell(1, n).value: n for n in range(1, sheet.max_column + 1)}
    begins, ends = heads["Plan begins"], heads["Plan ends"]
    lines = range(2, sheet.max_row + 1)
    line = next(
        n for n in lines if not sheet.cell(n, begins).value and not sheet.cell(n, ends).value
    )
    sheet.cell(line, begins).value, sheet.cell(line, ends).value = "2026-02-01", "2026-01-31"
    said = refused(clinic, there, path, planned)
    assert f"sheet plan dates, line {line}: Plan ends: is before Plan begins" in said
    assert "2026-01-31" not in said


def test_a_line_of_nobody_and_a_missing_column_are_refused(clinic: Clinic) -> None:
    book = clinic.planned()
    key = without_clinic(book)[0]
    path, there = put_back(book)
    sheet = there["clinics"]
    name = clinic.value("SELECT min(name) FROM clinics")
    fill(sheet, key, clinic_id=name)
    sheet.cell(line_of(sheet, key), 1).value = "11111111-2222-4333-8444-555555555555"
    there["funding"].cell(1, 1).value = "another title"
    said = refused(clinic, there, path)
    assert "sheet funding: there is no column Nexus id" in said
    there["funding"].cell(1, 1).value = manual.KEY
    said = refused(clinic, there, path)
    assert "Clinic: there is no such row" in said


def test_a_stale_line_is_refused(clinic: Clinic) -> None:
    book = clinic.planned()
    first, second, *_ = sorted(
        k for k, r in rows(book, "patients").items() if not r["funding_type_id"]
    )
    path, there = put_back(book)
    sheet = there["funding"]
    name, other = (n for (n,) in clinic.rows("SELECT name FROM funding_sources ORDER BY 1 LIMIT 2"))
    fill(sheet, first, funding_type_id=name)
    clinic.do(
        "UPDATE patients SET funding_type_id = (SELECT id FROM funding_sources WHERE name = %s)"
        " WHERE id::text = %s",
        "dev",
        other,
        first,
    )
    assert "the row holds a different value now; only an empty value is filled" in refused(
        clinic, there, path, planned
    )
    clinic.do("UPDATE patients SET funding_type_id = NULL WHERE id::text = %s", "dev", first)
    swapped = sheet.cell(line_of(sheet, second), 1)
    sheet.cell(line_of(sheet, first), 1).value, swapped.value = second, first
    said = refused(clinic, there, path)
    assert "stale: the row shows different values now than when the sheet was written" in said


def given_and_executed(clinic: Clinic) -> tuple[runbook.Runbook, str]:
    """A run that was fed by a sheet, and the patient to whom a person gave a clinic."""
    first = clinic.planned()
    key = without_clinic(first)[0]
    path, there = put_back(first)
    fill(there["clinics"], key, clinic_id=clinic.value("SELECT min(name) FROM clinics"))
    there.save(path)
    return clinic.planned_anew(), key


def test_a_sheet_that_nobody_has_touched_is_never_refused(clinic: Clinic) -> None:
    book, key = given_and_executed(clinic)
    put_back(book)  # with the value that was given, and every grey cell
    name, other = (n for (n,) in clinic.rows("SELECT name FROM clinics ORDER BY 1 LIMIT 2"))
    clinic.do("UPDATE clinics SET name = name || ' (renamed)' WHERE name = %s", "dev", name)
    clinic.do(
        "UPDATE appointments SET clinic_id = (SELECT id FROM clinics WHERE name = %s)"
        " WHERE clinic_id IS NOT NULL AND id IN (SELECT id FROM appointments"
        " WHERE clinician_id IS NULL AND patient_id IS NOT NULL)",
        "dev",
        other,
    )
    with clinic.simulator.edit() as tables:
        for record in tables["API_Contacts"].records:
            record.values["nameLast"] = "Another"  # every line shows something else by now
    made = planned()
    by_kind = {b.kind: b for b in plan_of(made).by_hand}
    assert (by_kind["clinics"].given, by_kind["clinics"].used) == (1, 1)
    assert by_kind["appointments"].given == 0, "a grey cell gives nothing"
    chosen = clinic.value(
        "SELECT id::text FROM clinics WHERE name = %s", "dev", f"{name} (renamed)"
    )
    assert rows(made, "patients")[key]["clinic_id"] == chosen


def test_a_value_of_a_row_that_is_gone_is_counted_and_refuses_nothing(clinic: Clinic) -> None:
    book = planned_with_past(clinic)
    known = {key for (key,) in clinic.rows("SELECT id::text FROM appointments")}
    path, sheet = put_back(book)
    key = min({*asked_of(sheet["appointments"], "clinician_id")} - known)
    name = clinic.value("SELECT min(full_name) FROM clinicians")
    fill(sheet["appointments"], key, clinician_id=name)
    sheet.save(path)
    book = clinic.planned_anew()
    assert {b.kind: b.used for b in plan_of(book).by_hand}["appointments"] == 1
    put_back(book)
    ids = {n: f for _, f, n in rowfile.read(book.folder, plan_of(book).id_map)}
    gone = (ids[key] or "").casefold()
    with clinic.simulator.edit() as tables:
        for table in tables.values():
            there = [
                r
                for r in table.records
                if gone not in map(str.casefold, map(str, r.values.values()))
            ]
            table.records[:] = there
    made = clinic.planned_of_filemaker()
    (appointments,) = (b for b in plan_of(made).by_hand if b.kind == "appointments")
    assert (appointments.given, appointments.used, appointments.gone) == (1, 0, 1)
    text = "manual.xlsx: 1 value not used: the row does not exist any more, or it is to come"
    assert text in repr(show.plan(plan_of(made)))


def test_a_grey_cell_shows_what_is_there_and_takes_nothing_else(clinic: Clinic) -> None:
    book = planned_with_past(clinic)
    path, there = put_back(book)
    sheet = there["appointments"]
    column = column_of(sheet, "clinic_id")
    planned_rows = rows(book, "appointments")
    names = dict(clinic.rows("SELECT id::text, name FROM clinics"))
    grey = [
        n
        for n in range(2, sheet.max_row + 1)
        if sheet.cell(n, column).fill.fgColor.rgb == "00D9D9D9"
    ]
    assert grey
    for n in grey:
        held = planned_rows[sheet.cell(n, 1).value]["clinic_id"]
        assert sheet.cell(n, column).value == names[held]
    first = sheet.cell(grey[0], column)
    kept, first.value = first.value, f" {first.value.upper()} "  # filled down: it is the same
    there.save(path)
    assert {b.kind: b.used for b in plan_of(clinic.planned_anew()).by_hand}["appointments"] == 0
    first.value = next(n for n in names.values() if n != kept)
    assert "the row holds a different value now; only an empty value is filled" in refused(
        clinic, there, path
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\xd0\xcf\x11\xe0 protected"])
def test_a_file_that_is_no_workbook_is_refused(clinic: Clinic, content: bytes) -> None:
    book = clinic.planned()
    book.settings.by_hand_sheet.write_bytes(content)
    with pytest.raises(StopError, match=r"manual.xlsx cannot be read") as told:
        clinic.planned_anew()
    assert "without a password" in told.value.next
    book.settings.by_hand_sheet.unlink()
    clinic.planned_anew()
