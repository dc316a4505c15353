"""All or nothing: every way to break the transaction ends with the database as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nexus_reimport import record, runbook
from nexus_reimport.checks.inside import Inside
from nexus_reimport.errors import (
    ROLLED_BACK,
    Busy,
    RecordError,
    ReimportError,
    StopError,
    TargetError,
)
from nexus_reimport.files import rowfile
from nexus_reimport.model import (
    Level,
    Plan,
    Proposal,
    Report,
    Result,
    digest,
)
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.progress import heard_by
from nexus_reimport.record import Verdict
from nexus_reimport.settings import Write
from nexus_reimport.stages import apply
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import altered
from support.applying import apply_with, order_of
from support.clinic import ROLE, Clinic
from support.halting import halted, kill_backend, locked, nothing_left
from support.running import DEV, until
from support.second_installation import SCHEMA

STEPS = range(1, apply.STEPS + 1)
COMMITTED_AT = apply.STEPS


def no_checks(*_: Any) -> Report:
    return Report("inside", ())


def at_step(step: int, work: Callable[[], None]) -> Callable[[int, int], None]:
    def progress(done: int, _: int) -> None:
        if done == step:
            work()

    return progress


def settled(book: runbook.Runbook) -> Verdict:
    book.settle()
    return book.run.verdict()


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_process_leaves_the_database_as_it_was_or_whole(
    clinic: Clinic, rehearsed: Path, tmp_path: Path, step: int
) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()
    with halted(book.settings.name, book.run.id, step, tmp_path / "marker") as process:
        process.kill()
        process.wait()
        known = step == COMMITTED_AT  # "committed" is on the disk as soon as it is true
        assert book.run.verdict() is (Verdict.COMMITTED_UNVERIFIED if known else Verdict.IN_DOUBT)
        verdict = settled(book)
    if step < COMMITTED_AT:
        assert verdict is Verdict.KILLED
        assert clinic.state() == before
        nothing_left(clinic)
    else:
        assert verdict is Verdict.COMMITTED_UNVERIFIED
        assert book.verify().passed
        book.sign_off()
        assert book.run.verdict() is Verdict.COMPLETE


@pytest.mark.parametrize("step", [1, 3, 5, 8, 10, 13])
def test_a_killed_backend_leaves_the_database_as_it_was(
    clinic: Clinic, rehearsed: Path, tmp_path: Path, step: int
) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()
    with halted(book.settings.name, book.run.id, step, tmp_path / "marker"):
        kill_backend(clinic)
    assert settled(book) is Verdict.KILLED
    assert clinic.state() == before
    nothing_left(clinic)


def test_a_failed_check_inside_the_transaction_leaves_no_trace(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()
    no = Result("a_made_up_check", "It never holds.", ("D1",), Level.STOP, 10, 3, ("X",))
    held = set[str]()

    def refuses(done: Inside) -> Report:
        held.update(locked(clinic))
        assert held == {part.table for part in done.undo.parts}
        return Report("inside", (no,))

    with pytest.raises(StopError, match=r"a_made_up_check: 3 of 10 \(e.g. X\)"):
        apply_with(book, refuses)
    assert "documents_document" in held
    assert clinic.state() == before
    nothing_left(clinic)
    assert not book.settle()


def test_an_error_of_the_server_leaves_no_trace_and_shows_no_value(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()

    def breaks(done: Inside) -> Report:
        clinic.do(f"GRANT UPDATE ON patients TO {ROLE}")
        done.database.connection.execute("UPDATE public.patients SET last_name = NULL")
        return no_checks()

    with pytest.raises(TargetError) as told:
        apply_with(book, breaks)
    assert "SQLSTATE 23502" in str(told.value)
    assert "table patients" in str(told.value)
    assert "DETAIL" not in str(told.value)
    assert told.value.__suppress_context__
    assert clinic.state() == before


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE public.clinics SET color = '#000000'", "clinics: .* rows written"),
        ("DELETE FROM public.xero_sync_logs", "xero_sync_logs: .* rows written"),
        ("UPDATE public.documents_document SET description = 'x'", "documents_document: .*updated"),
    ],
)
def test_a_write_to_a_protected_table_is_noticed_and_rolled_back(
    clinic: Clinic, rehearsed: Path, statement: str, told: str
) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()

    def meddle(done: Inside) -> Report:
        clinic.do(  # without this the server itself refuses: our role may not write there
            f"GRANT SELECT, UPDATE, DELETE ON clinics, documents_document, xero_sync_logs TO {ROLE}"
        )
        done.database.connection.execute(statement)
        now = {
            t: (i, u, d)
            for t, i, u, d in done.database.connection.execute(
                "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del"
                " FROM pg_catalog.pg_stat_xact_user_tables WHERE schemaname = 'public'"
            )
        }
        return book._check_inside(replace(done, writes=now))

    with pytest.raises(StopError, match="protected_tables_were_not_written"):
        apply_with(book, meddle)
    assert clinic.state() == before


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        (
            "INSERT INTO appointments SELECT (jsonb_populate_record(a, jsonb_build_object('id',"
            " gen_random_uuid(), 'filemaker_event_id', null))).* FROM appointments a LIMIT 1",
            "appointments",
        ),
        (
            "UPDATE patients SET notes = 'edited' WHERE id = (SELECT min(id::text)::uuid"
            " FROM patients)",
            "patients",
        ),
        (
            "UPDATE documents_document SET object_id = NULL WHERE id ="
            " (SELECT min(id::text)::uuid FROM documents_document WHERE object_id IS NOT NULL)",
            "documents_document",
        ),
    ],
)
def test_what_was_booked_or_edited_after_the_preflight_stops_the_execution(
    clinic: Clinic, rehearsed: Path, statement: str, table: str
) -> None:
    book = clinic.approved(rehearsed)
    clinic.do(statement)
    before = clinic.state()
    with pytest.raises(StopError, match=f"changed since the preflight\n    {table}: "):
        book.apply()
    assert clinic.state() == before
    assert book.run.verdict() is Verdict.STOPPED
    steps = {entry.text("step") for entry in book.run.events()}
    assert "find what differs" in steps
    assert "wait for locks" not in steps, "nobody has waited for a run that was to stop"


@pytest.mark.parametrize("step", [1, 2, 3])
def test_what_is_edited_while_the_run_looks_for_differences_stops_it(
    clinic: Clinic, rehearsed: Path, step: int
) -> None:
    book = clinic.approved(rehearsed)
    edit = (
        "UPDATE patients SET notes = 'edited' WHERE id = (SELECT max(id::text)::uuid FROM patients)"
    )
    with pytest.raises(StopError, match="changed since the preflight\n    patients: "):
        apply_with(book, progress=at_step(step, lambda: clinic.do(edit)))
    assert clinic.value("SELECT count(*) FROM patients WHERE notes = 'edited'") == 1
    nothing_left(clinic)


def test_an_edit_that_was_taken_back_meanwhile_does_not_stop_the_run(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)

    def edit() -> None:  # every row gets another version, with the values that it had
        clinic.do("UPDATE patients SET notes = notes")
        clinic.do("UPDATE documents_document SET object_id = object_id")

    applied = apply_with(book, progress=at_step(3, edit))
    assert applied.committed
    assert applied.after == book.run.load(Proposal).after


def test_both_ways_of_writing_give_the_same_state_and_count_what_they_write(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    order = replace(order_of(book), proposal=None, approval=None)
    alone, whole = (
        apply.apply(
            book.settings.postgres, replace(order, write=write), book._checked_inside, commit=False
        )
        for write in (Write.DIFFERENCES, Write.ALL)
    )
    assert alone.after == whole.after
    assert alone.relinked == whole.relinked
    for entity in book.run.load(Plan).entities.values():
        table = entity.table
        assert (whole.deleted[table], whole.updated[table]) == (entity.rows_before, 0)
        assert whole.inserted[table] == entity.rows_after
        assert (
            alone.inserted[table] - alone.deleted[table] == entity.rows_after - entity.rows_before
        )
        assert alone.written[table] <= whole.written[table]
    assert sum(alone.updated.values()) > 0
    assert alone.rows_written == sum(alone.written.values()) < sum(whole.written.values())
    assert whole.rows_written is None


def test_another_way_of_writing_than_the_approved_one_is_refused(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    other = replace(order_of(book), write=Write.ALL)
    with pytest.raises(StopError, match="is not approved"):
        apply.apply(book.settings.postgres, other, no_checks, commit=True)


def test_another_result_than_the_rehearsed_one_is_not_committed(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()
    order = order_of(book)
    assert order.proposal is not None
    assert order.approval is not None
    after = dict(order.proposal.after)
    rows = after["patients"].rows
    after["patients"] = Fingerprint(rows, "0" * 32)
    other = replace(order.proposal, after=after, digest="")
    other = replace(other, digest=digest(other))
    approved = replace(order, proposal=other, approval=replace(order.approval, digest=other.digest))
    with pytest.raises(StopError, match="differs from the one that was rehearsed") as told:
        apply.apply(book.settings.postgres, approved, no_checks, commit=True)
    assert f"patients: {rows:,} rows then, {rows:,} now, different content" in told.value.what
    assert clinic.state() == before
    nothing_left(clinic)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO xero_contact_links SELECT (jsonb_populate_record(x, jsonb_build_object('id',"
        " gen_random_uuid(), 'connection_id', null))).* FROM xero_contact_links x"
        " WHERE patient_id IS NOT NULL LIMIT 1",
        "SELECT id FROM patients ORDER BY id LIMIT 1 FOR UPDATE",
        "INSERT INTO notes SELECT (jsonb_populate_record(n, jsonb_build_object('id',"
        " gen_random_uuid()))).* FROM notes n LIMIT 1",
    ],
)
def test_another_connection_that_writes_meanwhile_waits_and_succeeds(
    clinic: Clinic, rehearsed: Path, statement: str
) -> None:
    book = clinic.approved(rehearsed)
    outcome: dict[str, Any] = {}

    def other() -> None:
        began = time.monotonic()
        try:
            clinic.do(statement)
            outcome["waited"] = time.monotonic() - began
        except psycopg.Error as error:
            outcome["error"] = error

    thread = threading.Thread(target=other)

    def meanwhile() -> None:
        thread.start()
        until(lambda: outcome or clinic.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        time.sleep(0.5)

    applied = apply_with(book, progress=at_step(5, meanwhile))
    thread.join(120)
    assert applied.committed
    assert "error" not in outcome
    assert outcome["waited"] > 0.3


def test_readers_go_on_while_the_run_is_at_work(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    seen: list[int] = []
    before = clinic.value("SELECT count(*) FROM patients")
    apply_with(
        book,
        progress=at_step(9, lambda: seen.append(clinic.value("SELECT count(*) FROM patients"))),
    )
    assert seen == [before]


def test_of_two_runs_at_a_time_the_second_is_refused(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    told: list[ReimportError] = []

    def second() -> None:
        with pytest.raises(Busy) as error:
            apply_with(book)
        told.append(error.value)

    assert apply_with(book, progress=at_step(5, second)).committed
    assert "another run is at work in this database" in str(told[0])


def test_a_held_lock_ends_the_run_cleanly_and_names_the_holder(
    clinic: Clinic, rehearsed: Path
) -> None:
    clinic.edit("sandbox-dev", "lock_wait = 10", "lock_wait = 0.5")
    book = clinic.approved(rehearsed)
    before = clinic.state()
    with clinic.connect() as holder, clinic.connect() as elsewhere:
        holder.execute("SET application_name = 'the front desk'")
        holder.execute("BEGIN; LOCK TABLE patients IN ROW EXCLUSIVE MODE")
        elsewhere.execute("BEGIN; UPDATE clinics SET color = color")
        with pytest.raises(Busy) as told:
            book.apply()
        pid = holder.info.backend_pid
        holder.execute("ROLLBACK")
    assert told.value.what == f"the tables are locked by pid {pid} (the front desk): patients"
    assert told.value.where == "waited 0.5 s for them, as long as lock_wait allows"
    assert clinic.state() == before
    assert book.run.verdict() is Verdict.STOPPED


def test_others_never_wait_longer_than_allowed(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    clinic.edit("sandbox-dev", "max_writers_wait = 30", "max_writers_wait = 0.2")
    before = clinic.state()
    late = runbook.resume("sandbox-dev", book.run.id)
    with pytest.raises((Busy, TargetError)) as told:
        apply_with(late, progress=at_step(4, lambda: time.sleep(0.5)))
    assert told.value.state == ROLLED_BACK
    assert clinic.state() == before


def test_a_row_file_that_was_changed_is_never_loaded(clinic: Clinic, rehearsed: Path) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()
    victim = book.folder / "plan_notes.parquet"
    victim.write_bytes((book.folder / "plan_letters.parquet").read_bytes())
    with pytest.raises(ReimportError, match=r"plan_notes.parquet is missing, or is not what"):
        book.apply()
    assert clinic.state() == before


def test_without_its_own_approval_nothing_is_executed(clinic: Clinic) -> None:
    book = clinic.proposed()
    before = clinic.state()
    for typed in ("", "0" * 12, book.run.load(Proposal).digest[:6]):
        with pytest.raises(StopError):
            book.approve(typed)
    with pytest.raises(ReimportError, match="no approval yet"):
        book.apply()
    with pytest.raises(StopError, match="is not approved"):
        apply.apply(
            book.settings.postgres,
            apply.ApplyRequest(book.run.id, "x", book.intake(), book.run.load(Plan)),
            no_checks,
            commit=True,
        )
    assert clinic.state() == before


def test_a_second_execution_of_a_committed_run_does_nothing(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    book.apply()
    after = clinic.state()
    with pytest.raises(StopError, match="committed already"):
        book.apply()
    assert clinic.state() == after
    assert record.find(book.settings, book.run.id).verdict() is Verdict.COMMITTED_UNVERIFIED


def test_a_connection_lost_at_commit_is_settled_from_the_database(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()

    def cut(*_: Any) -> Report:
        clinic.do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'nexus_reimport' AND datname = current_database()",
            role=ROLE,
        )
        return no_checks()

    with pytest.raises(TargetError):
        apply_with(book, cut)
    assert not book.settle()
    assert clinic.state() == before


def test_a_run_whose_session_is_still_at_work_stays_in_doubt(
    clinic: Clinic, rehearsed: Path, tmp_path: Path
) -> None:
    book = clinic.approved(rehearsed)
    with (
        halted(book.settings.name, book.run.id, 9, tmp_path / "marker"),
        pytest.raises(TargetError, match="may be on its way"),
    ):
        book.settle()
    assert settled(book) is Verdict.KILLED


def test_what_came_to_point_at_a_row_that_goes_stops_the_execution(clinic: Clinic) -> None:
    head = '[decisions.appointments]\nnot_in_filemaker = "keep"\nleft_out_by_rule = "keep"\n'
    clinic.edit(
        "sandbox-dev", head + 'no_filemaker_id = "keep"', head + 'no_filemaker_id = "purge"'
    )
    book = clinic.preflight(dry=True)
    book.approve(rehearsed=True)
    rows = rowfile.read(book.folder, book.run.load(Plan).ledger)
    gone = next(row[5] for row in rows if row[1:3] == ("appointments", "purged"))
    pointing = "UPDATE {0} SET {1} = %s WHERE id = (SELECT min(id::text)::uuid FROM {0})"
    clinic.do(pointing.format("sent_emails", "related_appointment_id"), "dev", gone)
    before = clinic.state()
    with pytest.raises(StopError, match="everything_that_pointed_still_points"):
        book.apply()
    assert clinic.state() == before
    # By a foreign key PostgreSQL itself refuses it: that was an SQLSTATE.
    clinic.do(pointing.format("xero_invoice_links", "appointment_id"), "dev", gone)
    before = clinic.state()
    with pytest.raises(StopError, match="refers to a row that the plan deletes") as told:
        book.apply()
    assert str(told.value.where).startswith("table xero_invoice_links, constraint xero_invoice_l")
    assert told.value.state == ROLLED_BACK
    assert clinic.state() == before


def test_what_planned_rows_point_at_and_is_gone_stops_the_execution(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    west = "INSERT INTO practice.site VALUES (3, 'West');"
    with altered(postgres, s3, tmp_path, SCHEMA + west) as found:
        with found.simulator.edit() as tables:
            tables["People"].records[2].values["Site"] = "West"
        book = found.approved(dry=True)
        found.do("DELETE FROM practice.site WHERE id = 3")
        before = found.state()
        with pytest.raises(StopError, match="a row that planned rows point at is gone") as told:
            book.apply()
        assert told.value.where == "table person, constraint person_site_id_fkey"
        assert told.value.state == ROLLED_BACK
        assert found.state() == before


def test_an_interrupt_after_the_commit_is_never_called_rolled_back(
    clinic: Clinic, rehearsed: Path
) -> None:
    clinic.approved(rehearsed)

    def interrupt(done: int, _: int, begun: str) -> None:
        if done == COMMITTED_AT and not begun:
            raise KeyboardInterrupt

    book = runbook.resume("sandbox-dev")
    with pytest.raises(KeyboardInterrupt), heard_by(interrupt):
        book.apply()
    assert book.run.verdict() is Verdict.COMMITTED_UNVERIFIED
    assert book.settle()
    quiet = runbook.resume("sandbox-dev")
    assert quiet.verify().passed


def test_the_preflight_of_an_executed_run_is_not_changed_any_more(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    book.apply()
    dump = (book.folder / "nexus.dump").read_bytes()
    for step in (book.snapshot, book.survey_and_backup, book.plan, book.rehearse):
        with pytest.raises(StopError, match="has gone as far as COMMIT") as told:
            step()
        assert f"nexus-reimport finish {DEV}" in told.value.next
    with pytest.raises(RecordError, match="is COMMITTED_UNVERIFIED"):
        runbook.begin(DEV)  # so that a new run is no way out
    assert (book.folder / "nexus.dump").read_bytes() == dump


def test_a_step_that_is_run_again_makes_void_what_came_after(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    book.plan()
    for later in (book.rehearse, book.propose, book.approve, book.apply):
        with pytest.raises(ReimportError, match=r"no .* yet"):
            later()
