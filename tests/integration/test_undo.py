"""The exact way back: every row, every link, what Nexus people wrote since, whoever is killed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import record, runbook, show
from nexus_reimport.checks.rollback import Undoing
from nexus_reimport.errors import ReimportError, StopError, TargetError
from nexus_reimport.events import Event
from nexus_reimport.files import rowfile
from nexus_reimport.model import (
    Approval,
    NewerDecision,
    Plan,
    RollbackPreview,
    RollbackProposal,
    Survey,
    Undone,
)
from nexus_reimport.nexus import changes as since
from nexus_reimport.nexus.tables import Role, fingerprints_now
from nexus_reimport.record import Verdict
from nexus_reimport.runbook import rollback
from nexus_reimport.runbook.rollback import Rollback
from nexus_reimport.stages import undo
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import altered
from support.clinic import ROLE, Clinic, surveyed
from support.clinic import taken_back as taken_back_of
from support.halting import halted, kill_backend, nothing_left
from support.rollbacks import DEV, approved, executed
from support.second_installation import SCHEMA

LOADED = "SELECT * FROM nexus_reimport.loaded ORDER BY 1, 2"


def taken_back(newer: str = "") -> tuple[Rollback, Undone]:
    """A rollback to its end, sealed."""
    book = approved(newer)
    done = book.undo()
    assert book.verify().passed
    book.sign_off()
    book.book.seal()
    return book, done


def new_patient(book: runbook.Runbook) -> str:
    """The Nexus id of a patient that the run has made."""
    rows = rowfile.read(book.folder, book.run.load(Plan).ledger)
    return next(r[5] or "" for r in rows if r[1] == "patients" and r[2] == "new")


def copy_row(clinic: Clinic, table: str, **changed: object) -> str:
    """A new row like one that is there, with another id; its id."""
    key = str(uuid.uuid4())
    fields = {"id": key, **{c: None if v is None else str(v) for c, v in changed.items()}}
    pairs = ", ".join(f"'{c}', %s::text" for c in fields)
    clinic.do(
        f"INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object({pairs}))).*"
        f" FROM {table} AS t ORDER BY id LIMIT 1",
        "dev",
        *fields.values(),
    )
    return key


def test_the_way_back_is_exact_to_the_last_value(clinic: Clinic, rehearsed: Path) -> None:
    before = clinic.state()
    first = executed(clinic, rehearsed)
    assert clinic.state() != before
    book, done = taken_back()
    assert clinic.state() == before
    assert done.exact
    assert clinic.rows(LOADED, role=ROLE) == []
    assert book.run.verdict() is Verdict.COMPLETE
    assert book.run.problems() == []
    assert first.run.verdict() is Verdict.COMPLETE, "a sealed record is never written to"
    assert (
        clinic.value(
            "SELECT undone_by FROM nexus_reimport.runs WHERE run = %s",
            "dev",
            first.run.id,
            role=ROLE,
        )
        == book.run.id
    )
    nothing_left(clinic)


def test_what_people_wrote_since_stops_the_command_until_somebody_decides(
    clinic: Clinic, rehearsed: Path
) -> None:
    executed(clinic, rehearsed)
    created = copy_row(clinic, "notes")
    edited = clinic.value("SELECT min(id::text) FROM patients")
    clinic.do("UPDATE patients SET notes = 'edited since' WHERE id = %s", "dev", edited)
    unused = " AND ".join(
        f"NOT EXISTS (SELECT FROM {table} WHERE {column} = a.id)"
        for table, column in (
            ("encounters", "appointment_id"),
            ("xero_invoice_links", "appointment_id"),
            ("xero_quote_links", "appointment_id"),
            ("sms_messages", "appointment_id"),
            ("appointments", "parent_appointment_id"),
        )
    )
    gone = clinic.value(f"SELECT min(id::text) FROM appointments AS a WHERE {unused}")
    clinic.do("DELETE FROM appointments WHERE id = %s", "dev", gone)
    before = clinic.state()
    book = rollback.begin(DEV)
    book.back_up()
    found = {n.table: n for n in book.preview().since.newer if n.rows}
    assert {t: (n.created, n.changed, n.deleted) for t, n in found.items()} == {
        "notes": (1, 0, 0),
        "patients": (0, 1, 0),
        "appointments": (0, 0, 1),
    }
    assert found["notes"].sample == (f"{created} (created)",)
    book.propose()
    with pytest.raises(StopError, match="people have written since run") as told:
        book.approve(rehearsed=True)
    assert "notes: 1 created, 0 changed, 0 deleted" in told.value.what
    assert "--keep-newer" in told.value.next
    assert "edited since" not in str(told.value)
    with pytest.raises(ReimportError, match="no approval yet"):
        book.undo()
    assert clinic.state() == before


def test_keep_keeps_newer_rows_with_everything_that_they_point_at(
    clinic: Clinic, rehearsed: Path
) -> None:
    before = clinic.state()
    run = executed(clinic, rehearsed)
    patient = new_patient(run)
    assert clinic.value("SELECT count(*) FROM patients WHERE id = %s", "dev", patient) == 1
    booked = copy_row(
        clinic,
        "appointments",
        patient_id=patient,
        filemaker_event_id=None,
        parent_appointment_id=None,
    )
    note = copy_row(clinic, "notes")
    edited = clinic.value("SELECT min(id::text) FROM patients WHERE id <> %s", "dev", patient)
    clinic.do("UPDATE patients SET notes = 'edited since' WHERE id = %s", "dev", edited)
    book, done = taken_back("keep")
    assert not done.exact
    assert done.as_before.endswith(
        "what people have written since the run, and what that references"
    )
    summary = show.summary(book.run)
    patients = clinic.value("SELECT count(*) FROM patients")
    assert f"after it {patients} patients" in " ".join(summary.split()), summary
    assert "restored" not in summary, "a row that people have made since was not restored"
    assert "were put back" not in (book.run.bag / "README.txt").read_text(encoding="utf-8")
    stays = {(p.table, p.by): p.rows for p in done.since.pointed_at}
    assert stays == {("patients", "appointments.patient_id"): 1}
    for table, key in (("appointments", booked), ("notes", note), ("patients", patient)):
        assert clinic.value(f"SELECT count(*) FROM {table} WHERE id = %s", "dev", key) == 1, table
    assert clinic.value("SELECT notes FROM patients WHERE id = %s", "dev", edited) == "edited since"
    clinic.do("DELETE FROM appointments WHERE id = %s", "dev", booked)
    clinic.do("DELETE FROM notes WHERE id = %s", "dev", note)
    clinic.do("DELETE FROM patients WHERE id = %s", "dev", patient)
    now = clinic.state()
    assert {t for t in now if now[t] != before[t]} == {"patients"}
    others = "SELECT t::text FROM {} AS t WHERE id <> %s ORDER BY id"
    kept = f"nexus_reimport_undo_{run.run.id.lower().replace('-', '_')}.patients"
    assert clinic.rows(others.format("patients"), "dev", edited) == clinic.rows(
        others.format(kept), "dev", edited, role=ROLE
    ), "but for what was kept, all is as it was"
    assert book.run.verdict() is Verdict.COMPLETE


def test_discard_gives_newer_rows_up_but_leaves_them_in_the_private_folder(
    clinic: Clinic, rehearsed: Path
) -> None:
    before = clinic.state()
    executed(clinic, rehearsed)
    created = copy_row(clinic, "notes")
    book, done = taken_back("discard")
    assert clinic.state() == before
    assert done.exact, "the state is the one before the run, to the last value"
    assert done.as_before == "yes; what people have written since the run is undone too"
    assert "except" not in show.summary(book.run)
    saved = book.run.load(RollbackPreview).saved["notes"]
    rows = list(rowfile.read_dicts(book.book.folder, saved))
    assert [r["id"] for r in rows] == [created]
    assert not list(book.run.folder.glob("*.parquet")), "values are no part of the record"


# How a protected row can point at a patient: by a foreign key, by a uuid, by a text of any case.
POINTING = {
    "xero_contact_links.patient_id": lambda key: {"patient_id": key, "company_id": None},
    "xero_sync_logs.local_entity_id": lambda key: {"local_entity_id": key},
    "sent_emails.related_patient_id": lambda key: {"related_patient_id": str(key).upper()},
}


@pytest.mark.parametrize(
    ("newer", "by"), [("keep", next(iter(POINTING))), *(("discard", by) for by in POINTING)]
)
def test_what_a_protected_row_points_at_stays_whatever_was_chosen(
    clinic: Clinic, rehearsed: Path, newer: str, by: str
) -> None:
    run = executed(clinic, rehearsed)
    patient = new_patient(run)
    copy_row(clinic, by.partition(".")[0], **POINTING[by](patient))
    book, done = taken_back(newer)
    stays = {(p.table, p.by): p.rows for p in done.since.pointed_at}
    assert stays == {("patients", by): 1}
    assert clinic.value("SELECT count(*) FROM patients WHERE id = %s", "dev", patient) == 1
    assert book.run.verdict() is Verdict.COMPLETE


POINTING_BY_OTHER_COLUMNS = """
CREATE TABLE practice.key_card (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number text REFERENCES practice.person (legacy_no) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE practice.locker (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, family text,
    given text, FOREIGN KEY (given, family) REFERENCES practice.person (given, family)
    DEFERRABLE INITIALLY DEFERRED);
"""


@pytest.mark.parametrize("places", [("key_card",), ("locker",), ("key_card", "locker"), ()])
def test_what_a_key_of_other_columns_points_at_stays(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, places: tuple[str, ...]
) -> None:
    schema = SCHEMA.replace("legacy_no text,", "legacy_no text UNIQUE, UNIQUE (given, family),", 1)
    with altered(postgres, s3, tmp_path, schema + POINTING_BY_OTHER_COLUMNS) as found:
        before = found.rows("SELECT * FROM practice.person ORDER BY id")
        found.whole(dry=True)
        new = "FROM practice.person WHERE id = 4"
        found.do("INSERT INTO practice.key_card VALUES (DEFAULT)")
        for _ in range(2 * ("key_card" in places)):
            found.do(f"INSERT INTO practice.key_card (number) SELECT legacy_no {new}")
        if "locker" in places:
            found.do(f"INSERT INTO practice.locker (given, family) SELECT given, family {new}")
        found.do("INSERT INTO practice.locker (given) VALUES ('points at nobody')")
        kept = found.rows(f"SELECT * {new}") if places else []
        pointing = {
            table: found.rows(f"SELECT * FROM practice.{table}") for table in ("key_card", "locker")
        }
        assert taken_back_of("second").passed
        assert found.rows("SELECT * FROM practice.person ORDER BY id") == [*before, *kept]
        for table, rows in pointing.items():
            assert found.rows(f"SELECT * FROM practice.{table}") == rows


def test_a_document_uploaded_since_keeps_the_patient_that_it_hangs_on(
    clinic: Clinic, rehearsed: Path
) -> None:
    run = executed(clinic, rehearsed)
    patient = new_patient(run)
    kind = "(SELECT id FROM django_content_type WHERE app_label = 'patients' AND model = 'patient')"
    document = copy_row(clinic, "documents_document", object_id=patient, filemaker_id=None)
    clinic.do(
        f"UPDATE documents_document SET content_type_id = {kind} WHERE id = %s", "dev", document
    )
    _, done = taken_back("discard")
    assert [p.by for p in done.since.pointed_at] == ["documents_document.object_id"]
    owner = clinic.value(
        "SELECT object_id::text FROM documents_document WHERE id = %s", "dev", document
    )
    assert clinic.value("SELECT count(*) FROM patients WHERE id = %s", "dev", owner) == 1


def test_a_link_that_dangled_before_the_run_is_no_reason_to_keep_a_row(clinic: Clinic) -> None:
    book = clinic.proposed()
    patient = new_patient(book)
    clinic.do(
        "UPDATE sent_emails SET related_patient_id = %s WHERE id ="
        " (SELECT min(id::text)::uuid FROM sent_emails)",
        "dev",
        patient,
    )
    before = clinic.state()
    again = clinic.whole(dry=True)
    assert new_patient(again) == patient
    _, done = taken_back()
    assert done.exact
    assert clinic.state() == before


@pytest.mark.parametrize(("newer", "stays"), [("keep", True), ("discard", False)])
def test_a_link_that_a_person_changed_since_is_kept_or_put_back(
    clinic: Clinic, rehearsed: Path, newer: str, stays: bool
) -> None:
    links = "SELECT id::text, object_id::text FROM documents_document ORDER BY id"
    before = dict(clinic.rows(links))
    executed(clinic, rehearsed)
    fixed = next(i for i, o in clinic.rows(links) if before[i] != o)
    other = clinic.value(
        "SELECT max(id::text) FROM patients WHERE filemaker_metadata"
        " ? 'filemaker_id' AND created_at < now() - interval '1 day'"
    )
    clinic.do("UPDATE documents_document SET object_id = %s WHERE id = %s", "dev", other, fixed)
    _, done = taken_back(newer)
    assert [n.changed for n in done.since.newer if n.table == "documents_document"] == [1]
    now = dict(clinic.rows(links))
    assert now.pop(fixed) == (other if stays else before[fixed])
    assert now == {i: o for i, o in before.items() if i != fixed}


def test_only_the_latest_run_can_be_taken_back(clinic: Clinic) -> None:
    first, second = clinic.executed_twice()
    with pytest.raises(StopError, match=f"is not the latest; the latest is {second.run.id}"):
        rollback.begin(DEV, undo_run=first.run.id)
    book, _ = taken_back()
    with pytest.raises(StopError, match=r"was undone by .* already") as twice:
        rollback.begin(DEV, undo_run=second.run.id)
    also = f"only to undo run {first.run.id} too: nexus-reimport rollback {first.run.id}"
    assert twice.value.next == f"nexus-reimport run {DEV} imports again; {also}"
    with pytest.raises(StopError, match="is a rollback, which cannot be undone itself") as itself:
        rollback.begin(DEV, undo_run=book.run.id)
    assert itself.value.next == twice.value.next
    with pytest.raises(StopError, match="was never committed here, so there is nothing to undo"):
        rollback.begin(DEV, undo_run="20260101T000000Z-0000")
    taken_back()
    with pytest.raises(StopError, match="no run was committed here"):
        rollback.begin(DEV)
    with pytest.raises(StopError, match=r"was undone by .*; no run is left that could be") as done:
        rollback.begin(DEV, undo_run=first.run.id)
    assert done.value.next == f"nexus-reimport run {DEV} imports again"


def test_a_schema_that_was_changed_since_is_refused(clinic: Clinic, rehearsed: Path) -> None:
    executed(clinic, rehearsed)
    clinic.do("ALTER TABLE notes ADD COLUMN mood text")
    before = clinic.state()
    with pytest.raises(StopError, match="the schema was changed since run") as told:
        rollback.begin(DEV)
    assert "column public.notes.mood: did not exist" in told.value.what
    assert "nexus-reimport restore" in told.value.next
    assert clinic.state() == before


def test_undo_data_that_is_gone_is_said_and_the_dump_is_named(
    clinic: Clinic, rehearsed: Path
) -> None:
    from nexus_reimport import runner

    run = executed(clinic, rehearsed)
    (dropped,) = runner.purge_undo(DEV, 0)
    assert (dropped.run, dropped.undone_by) == (run.run.id, "")
    assert dropped.bytes_stored > 0
    with pytest.raises(StopError, match=r"undo data of run .* no longer exists") as told:
        rollback.begin(DEV)
    assert f"nexus-reimport restore {run.run.id} --into NAME" in told.value.next


def test_purging_keeps_the_latest_and_the_preflight_shows_what_there_is(clinic: Clinic) -> None:
    from nexus_reimport import runner, show

    first, second = clinic.executed_twice()
    seen = surveyed().run.load(Survey)
    assert [u.run for u in seen.undo] == [second.run.id, first.run.id]
    assert f"{first.run.id}" in repr(show.survey(seen))
    gone = runner.purge_undo(DEV, 1)
    assert [u.run for u in gone] == [first.run.id]
    taken_back()


def test_nothing_is_taken_back_without_its_own_digest(clinic: Clinic, rehearsed: Path) -> None:
    executed(clinic, rehearsed)
    before = clinic.state()
    book = rollback.begin(DEV)
    book.back_up()
    book.preview()
    proposal = book.propose()
    for typed in ("", "0" * 12, proposal.digest[:6]):
        with pytest.raises(StopError):
            book.approve(typed)
    order = undo.RollbackRequest(book.run.id, DEV, book.undoes, NewerDecision.UNDECIDED, proposal)
    with pytest.raises(StopError, match="is not approved"):
        undo.run(book.book.settings.postgres, book.book.mapping, order, book.book.check_undoing)
    assert clinic.state() == before
    book.approve(proposal.digest[:12])
    book.undo()


def test_what_was_written_after_the_look_stops_the_undo(clinic: Clinic) -> None:
    book = clinic.way_back()
    copy_row(clinic, "notes")
    before = clinic.state()
    with pytest.raises(StopError, match="changed since the preview\n    notes: "):
        book.undo()
    assert clinic.state() == before
    assert book.run.verdict() is Verdict.STOPPED


def order_of(book: Rollback) -> undo.RollbackRequest:
    return undo.RollbackRequest(
        book.run.id,
        DEV,
        book.undoes,
        NewerDecision.UNDECIDED,
        book.run.load(RollbackProposal),
        book.run.load(Approval),
    )


def undone_while(book: Rollback, act: Callable[[], object]) -> Undone:
    """The rollback, in which others ``act`` after it has looked, and before it has its locks."""

    def journal(event: Event, **facts: object) -> None:
        if facts.get("step") == "wait for locks":
            act()

    settings, mapping = book.book.settings, book.book.mapping
    return undo.run(
        settings.postgres, mapping, order_of(book), book.book.check_undoing, journal=journal
    )


def test_a_row_that_is_edited_while_the_undo_looks_stops_it(clinic: Clinic) -> None:
    book, before = clinic.way_back(), clinic.state()
    with pytest.raises(StopError, match="changed since the preview\n    notes: "):
        undone_while(book, lambda: clinic.do("UPDATE notes SET content = content || '.'"))
    now = clinic.state()
    assert {table for table in now if now[table] != before[table]} == {"notes"}


def test_a_row_that_is_written_anew_as_it_was_while_the_undo_looks_does_not(clinic: Clinic) -> None:
    before = clinic.state()
    done = undone_while(clinic.way_back(), lambda: clinic.do("UPDATE notes SET content = content"))
    assert done.exact
    assert clinic.state() == before


def test_what_is_pointed_at_while_the_undo_looks_stays(clinic: Clinic) -> None:
    book = clinic.way_back()
    patient = new_patient(runbook.resume(DEV, book.undoes))
    done = undone_while(
        book,
        lambda: copy_row(clinic, "xero_contact_links", patient_id=patient, company_id=None),
    )
    stays = {(p.table, p.by): p.rows for p in done.since.pointed_at}
    assert stays == {("patients", "xero_contact_links.patient_id"): 1}
    assert clinic.value("SELECT count(*) FROM patients WHERE id = %s", "dev", patient) == 1


def test_a_rollback_that_would_not_be_exact_is_rolled_back(clinic: Clinic) -> None:
    book = clinic.way_back()
    before = clinic.state()

    def meddle(done: Undoing) -> Any:
        clinic.do(f"GRANT UPDATE ON notes TO {ROLE}")
        done.transaction.connection.execute("UPDATE public.notes SET content = content || '.'")
        after = fingerprints_now(done.database, Role.WIPED, Role.LINK)
        misplaced = {p.table: since.misplaced(done.transaction, p) for p in done.undo.parts}
        return book.book.check_undoing(replace(done, after=after, misplaced=misplaced))

    with pytest.raises(StopError, match="every_row_is_what_it_was") as told:
        undo.run(book.book.settings.postgres, book.book.mapping, order_of(book), meddle)
    assert "the_state_is_the_one_before_the_run" in told.value.what
    assert clinic.state() == before


def test_undo_data_that_somebody_has_edited_is_noticed(clinic: Clinic) -> None:
    book = clinic.way_back()
    kept = f"nexus_reimport_undo_{book.undoes.lower().replace('-', '_')}.notes"
    clinic.do(
        f"UPDATE {kept} SET content = 'x' WHERE id = (SELECT min(id::text)::uuid FROM {kept})",
        role=ROLE,
    )
    before = clinic.state()
    with pytest.raises(StopError, match="the_state_is_the_one_before_the_run"):
        book.undo()
    assert clinic.state() == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE public.clinics SET color = '#000000'",
        "UPDATE public.documents_document SET description = 'x'",
        "DELETE FROM public.xero_sync_logs",
    ],
)
def test_a_rollback_that_writes_elsewhere_is_noticed(clinic: Clinic, statement: str) -> None:
    book = clinic.way_back()
    before = clinic.state()

    def meddle(done: Undoing) -> Any:
        clinic.do(  # without this the server itself refuses: our role may not write there
            f"GRANT SELECT, UPDATE, DELETE ON clinics, documents_document, xero_sync_logs TO {ROLE}"
        )
        done.transaction.connection.execute(statement)
        return book.book.check_undoing(done)

    with pytest.raises(StopError, match="the_rollback_wrote_to_nothing_else"):
        undo.run(book.book.settings.postgres, book.book.mapping, order_of(book), meddle)
    assert clinic.state() == before


def test_a_run_that_was_never_verified_is_closed_as_undone(clinic: Clinic, rehearsed: Path) -> None:
    run = executed(clinic, rehearsed, verified=False)
    assert run.run.verdict() is Verdict.COMMITTED_UNVERIFIED
    book, _ = taken_back()
    assert (run.run.verdict(), run.run.is_sealed) == (Verdict.UNDONE, True)
    assert book.run.verdict() is Verdict.COMPLETE
    assert record.open_runs(run.settings) == []
    clinic.preflight(dry=True)


@pytest.mark.parametrize("step", [1, 2, 4, 5, 7, 8, 9])
def test_a_killed_rollback_leaves_the_database_as_it_was(
    clinic: Clinic, tmp_path: Path, step: int
) -> None:
    book = clinic.way_back()
    before = clinic.state()
    with halted(DEV, book.run.id, step, tmp_path / "marker", "undo") as process:
        process.kill()
        process.wait()
        assert book.run.verdict() is Verdict.IN_DOUBT
        assert not book.book.settle()
    assert book.run.verdict() is Verdict.KILLED
    assert clinic.state() == before
    nothing_left(clinic)
    taken_back()


def test_a_rollback_killed_after_its_commit_is_finished_by_the_next_command(
    clinic: Clinic, tmp_path: Path
) -> None:
    from nexus_reimport import runner

    before = clinic.state()
    book = clinic.way_back()
    with halted(DEV, book.run.id, undo.STEPS, tmp_path / "marker", "undo") as process:
        process.kill()
        process.wait()
    assert book.run.verdict() is Verdict.COMMITTED_UNVERIFIED
    done = runner.finish(DEV)
    assert (done.run, done.verdict, done.sealed) == (book.run.id, Verdict.COMPLETE, True)
    assert clinic.state() == before


def test_a_killed_backend_of_a_rollback_leaves_the_database_as_it_was(
    clinic: Clinic, tmp_path: Path
) -> None:
    book = clinic.way_back()
    before = clinic.state()
    with halted(DEV, book.run.id, 6, tmp_path / "marker", "undo"):
        kill_backend(clinic)
    assert not book.book.settle()
    assert clinic.state() == before
    nothing_left(clinic)


def test_a_rollback_in_another_database_than_the_approved_one_is_an_error(clinic: Clinic) -> None:
    book = clinic.way_back()
    clinic.edit(DEV, clinic.databases["dev"], "nowhere")
    with pytest.raises(TargetError):
        rollback.begin(DEV, book.run.id).undo()
