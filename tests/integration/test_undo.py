"""The exact way back: every row and every link, whoever is killed, and what stands in its way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import record, runbook, show
from nexus_reimport.checks.rollback import Undoing
from nexus_reimport.errors import RecordError, StopError, TargetError
from nexus_reimport.events import Event
from nexus_reimport.model import (
    NewerDecision,
    Survey,
    Undone,
)
from nexus_reimport.nexus import changes as since
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.registry import undo_schema
from nexus_reimport.nexus.structure.tables import Role, fingerprints_now
from nexus_reimport.record import Verdict
from nexus_reimport.runbook import rollback
from nexus_reimport.runbook.rollback import Rollback
from nexus_reimport.stages import undo
from support.clinic import ROLE, Clinic, surveyed
from support.halting import halted, kill_backend, locked, nothing_left
from support.rollbacks import (
    DEV,
    approved,
    copy_row,
    executed,
    new_patient,
    request_of,
    taken_back,
)
from support.second_clinic import Second
from support.stops import env
from support.verifying import FIRST, failed

LOADED = "SELECT * FROM nexus_reimport.loaded ORDER BY 1, 2"


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


def test_tables_that_are_called_as_our_own_are_put_back(second: Second) -> None:
    """One was ``after_person``, as (key, hash) of the other; one is too long for any prefix."""
    long = "ü" * 31  # 62 bytes of the 63 that PostgreSQL takes
    renamed = {"carer": "after_person", "visit": long}
    for was, now in renamed.items():
        second.connection.execute(f'ALTER TABLE practice.{was} RENAME TO "{now}"')
        second.edit("second_installation.toml", f'table = "{was}"', f'table = "{now}"')

    def state() -> list[Any]:
        query = 'SELECT t::text FROM practice."{}" AS t ORDER BY 1'
        tables = ("person", *renamed.values(), "document")
        return [second.connection.execute(query.format(t)).fetchall() for t in tables]

    before = state()
    done = second.whole(dry=True)
    assert state() != before
    kept = second.connection.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = %s::regnamespace",
        (undo_schema(done.run.id),),
    ).fetchall()
    assert len(kept) == 2 * len(before) + 2
    assert {"after_person", "after_person_"} <= {name for (name,) in kept}
    back = approved(environment="second")
    assert back.undo().exact
    assert not back.verify().blocking
    assert state() == before


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
    with pytest.raises(StopError, match=r"knows no run .* so there is nothing to undo"):
        rollback.begin(DEV, undo_run="20260101T000000Z-0000")
    taken_back()
    with pytest.raises(StopError, match="no run was committed here"):
        rollback.begin(DEV)
    with pytest.raises(StopError, match=r"was undone by .*; no other run can be undone") as done:
        rollback.begin(DEV, undo_run=first.run.id)
    assert done.value.next == f"nexus-reimport run {DEV} imports again"


def test_undo_data_whose_run_has_lost_its_row_is_said_before_an_older_run_is_undone(
    clinic: Clinic,
) -> None:
    """The older one was undone beneath the rows of the newer one."""
    first, second = clinic.executed_twice()
    before = clinic.state()
    clinic.do("DELETE FROM nexus_reimport.runs WHERE run = %s", "dev", second.run.id, role=ROLE)
    for named in ("", first.run.id, second.run.id):
        with pytest.raises(StopError, match="undo data is here whose run is not") as told:
            rollback.begin(DEV, undo_run=named)
        assert undo_schema(second.run.id) in told.value.what
        assert "nexus-reimport purge-undo" in told.value.next
    assert clinic.state() == before


def test_a_run_whose_row_goes_while_it_is_undone_stays(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, before = clinic.way_back(), clinic.state()
    marked = registry.mark_undone

    def after_it_is_gone(connection: Any, run: str, by: str) -> bool:
        connection.execute("DELETE FROM nexus_reimport.runs")
        return marked(connection, run, by)

    monkeypatch.setattr(registry, "mark_undone", after_it_is_gone)
    with pytest.raises(StopError, match="was changed or deleted meanwhile"):
        book.undo()
    assert clinic.state() == before
    assert book.run.verdict() is not Verdict.COMPLETE


def test_a_schema_that_was_changed_since_is_refused(clinic: Clinic, rehearsed: Path) -> None:
    executed(clinic, rehearsed)
    clinic.do("ALTER TABLE notes ADD COLUMN mood text")
    before = clinic.state()
    with pytest.raises(StopError, match="the schema was changed since run") as told:
        rollback.begin(DEV)
    assert "column public.notes.mood: did not exist" in told.value.what
    assert "nexus-reimport restore" in told.value.next
    assert clinic.state() == before


def mapped(clinic: Clinic, change: Callable[[str], str]) -> None:
    """The shipped mapping in dev's own file, changed."""
    text = (resources.files("nexus_reimport") / "mappings" / "nexus.toml").read_text()
    edited = change(text)
    assert edited != text
    (clinic.folder / "own.toml").write_text(edited)
    clinic.edit(DEV, 'mapping = "nexus"', 'mapping = "own.toml"')


def test_a_mapping_that_looks_less_up_since_is_no_change_of_the_schema(clinic: Clinic) -> None:
    """Verification fails, somebody mends the mapping, and then decides for the way back."""
    before = clinic.state()
    clinic.executed()
    mapped(clinic, lambda text: re.sub(r"\nfunding_type_id = .*lookup.*", "", text))
    taken_back()
    assert clinic.state() == before


def test_a_mapping_that_wipes_other_tables_since_is_told_as_such(clinic: Clinic) -> None:
    clinic.executed()
    before = clinic.state()
    mapped(clinic, lambda text: re.sub(r"(?s)\n\[entities\.reminders\].*?(?=\n# ---)", "", text))
    with pytest.raises(StopError, match=r"the mapping was edited since run .*reminders") as told:
        rollback.begin(DEV)
    assert told.value.next.startswith("put the mapping back")
    assert clinic.state() == before


def test_undo_data_that_is_gone_is_said_and_the_dump_is_named(
    clinic: Clinic, rehearsed: Path
) -> None:
    from nexus_reimport import runner

    run = clinic.whole(rehearsed=rehearsed)
    (dropped,) = runner.purge_undo(DEV, 0)
    assert (dropped.run, dropped.undone_by) == (run.run.id, "")
    assert dropped.bytes_stored > 0
    with pytest.raises(StopError, match=r"undo data of run .* no longer exists") as told:
        rollback.begin(DEV)
    assert f"nexus-reimport restore {run.run.id} --into NAME" in told.value.next


@pytest.mark.parametrize("table", ["own_pointed_at", "own_loaded", "notes", "after_notes"])
def test_undo_data_of_which_one_table_is_gone_is_said_before_a_rollback_begins(
    clinic: Clinic, table: str
) -> None:
    """Of two of them a rollback was begun, and ended with an SQLSTATE."""
    book, before = clinic.way_back(), clinic.state()
    clinic.do(f"DROP TABLE {undo_schema(book.undoes)}.{table}", role=ROLE)
    for work in (book.undo, lambda: rollback.begin(DEV)):
        with pytest.raises(
            StopError, match=f"undo data of run .* no longer exists: {table}\n"
        ) as told:
            work()
        assert f"nexus-reimport restore {book.undoes} --into NAME" in told.value.next
    assert clinic.state() == before


def test_purging_keeps_the_undo_data_that_a_rollback_would_need(clinic: Clinic) -> None:
    """It kept that of an undone run, and that of the run which was committed at the latest time."""
    from nexus_reimport import runner

    first, second = clinic.executed_twice()
    kept = runner.purge_undo(DEV, 2)
    assert kept == ()
    earlier = "UPDATE nexus_reimport.runs SET committed_at = committed_at - interval '1 day'"
    clinic.do(f"{earlier} WHERE number = 2", role=ROLE)  # a clock that went back
    with clinic.connect("dev", ROLE) as connection:
        assert [u.run for u in registry.undo_sizes(connection)] == [second.run.id, first.run.id]
    taken_back()
    gone = runner.purge_undo(DEV, 1)
    assert [(u.run, bool(u.undone_by)) for u in gone] == [(second.run.id, True)]
    book, _ = taken_back()
    assert book.undoes == first.run.id


def test_purging_keeps_the_latest_and_the_preflight_shows_what_there_is(clinic: Clinic) -> None:
    from nexus_reimport import runner

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
    for typed, what in (
        ("", "nobody has approved this rollback yet"),
        ("0" * 12, "the typed digest is not the digest of this rollback"),
        (proposal.digest[:6], "digest of this rollback: it has 6 characters of 12"),
    ):
        with pytest.raises(StopError) as refused:
            book.approve(typed)
        assert refused.value.what.endswith(what)
        assert "90_rollback" in refused.value.next
    order = undo.RollbackRequest(book.run.id, DEV, book.undoes, NewerDecision.UNDECIDED, proposal)
    with pytest.raises(StopError, match="is not approved"):
        undo.run(book.book.settings.postgres, book.book.mapping, order, book.book.check_undoing)
    assert clinic.state() == before
    book.approve(proposal.digest[:12], name="Ann")
    with pytest.raises(StopError, match="this rollback was approved already, by Ann") as refused:
        book.approve()
    assert refused.value.state == "the approval stands; nothing was written"
    book.undo()


def test_what_was_written_after_the_look_stops_the_undo(clinic: Clinic) -> None:
    book = clinic.way_back()
    copy_row(clinic, "notes")
    before = clinic.state()
    with pytest.raises(StopError, match="changed since the preview\n    notes: "):
        book.undo()
    assert clinic.state() == before
    assert book.run.verdict() is Verdict.STOPPED


def undone_while(book: Rollback, act: Callable[[], object]) -> Undone:
    """The rollback, in which others ``act`` after it has looked, and before it has its locks."""

    def journal(event: Event, **facts: object) -> None:
        if facts.get("step") == "wait for locks":
            act()

    settings, mapping = book.book.settings, book.book.mapping
    return undo.run(
        settings.postgres, mapping, request_of(book), book.book.check_undoing, journal=journal
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
        assert locked(clinic) == {part.table for part in done.undo.parts}
        clinic.do(f"GRANT UPDATE ON notes TO {ROLE}")
        edit = "UPDATE public.notes SET content = content || '.' WHERE id = "
        done.transaction.connection.execute((edit + FIRST.format("public.notes")).encode())
        after = fingerprints_now(done.database, Role.WIPED, Role.LINK)
        misplaced = {p.table: since.misplaced(done.transaction, p) for p in done.undo.parts}
        return book.book.check_undoing(replace(done, after=after, misplaced=misplaced))

    with pytest.raises(StopError, match="every_row_is_what_it_was") as told:
        undo.run(book.book.settings.postgres, book.book.mapping, request_of(book), meddle)
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
        # As of TRUNCATE, no counter shows it. The SELECT is for the right that was just granted.
        "SELECT FROM public.clinics; LOCK TABLE public.clinics IN ROW EXCLUSIVE MODE",
        "UPDATE public.documents_document SET description = 'x'",
        "DELETE FROM public.documents_document WHERE filemaker_id IS NULL",
    ],
)
def test_a_rollback_that_writes_elsewhere_is_noticed(clinic: Clinic, statement: str) -> None:
    book = clinic.way_back()
    before = clinic.state()

    def meddle(done: Undoing) -> Any:
        clinic.do(  # without this the server itself refuses: our role may not write there
            f"GRANT SELECT, UPDATE, DELETE ON clinics, documents_document TO {ROLE}"
        )
        done.transaction.connection.execute(statement)
        return book.book.check_undoing(done)

    with pytest.raises(StopError, match="the_rollback_wrote_to_nothing_else"):
        undo.run(book.book.settings.postgres, book.book.mapping, request_of(book), meddle)
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
    env(clinic, "NEXUS_SANDBOX_PG_PORT", "9")
    for _ in range(2):  # a server that is still away, as after a restart: the truth stays the same
        unsure = runner.finish(DEV)
        assert (unsure.verdict, unsure.exit_code) == (Verdict.COMMITTED_UNVERIFIED, 4)
        assert f"as it was before run {book.undoes}, and not verified yet" in unsure.error
        assert f"nexus-reimport finish {DEV}" in unsure.advice
    for opened in (runbook.resume, rollback.begin):  # by hand, on its page
        with pytest.raises(TargetError) as told:
            opened(DEV, book.run.id)
        assert told.value.state == "nothing was written by this step"
    env(clinic, "NEXUS_SANDBOX_PG_PORT", str(clinic.server.port))
    for run in ("", book.undoes):  # its page, run from the top once more
        with pytest.raises(RecordError, match=f"run {book.run.id} is COMMITTED_UNVERIFIED") as told:
            rollback.begin(DEV, undo_run=run)
        assert told.value.next == f"finish it first: nexus-reimport finish {DEV}"
    done = runner.finish(DEV)
    assert (done.run, done.verdict, done.sealed) == (book.run.id, Verdict.COMPLETE, True)
    assert clinic.state() == before
    with pytest.raises(StopError, match=f"the last one, {book.undoes}, was undone by {done.run}"):
        rollback.begin(DEV)


def test_a_vacuum_of_the_undo_data_does_not_keep_a_rollback_waiting(clinic: Clinic) -> None:
    before, book = clinic.state(), clinic.way_back()
    query = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = %s"
    schema = clinic.value(
        "SELECT %s::regnamespace::oid", "dev", undo_schema(book.undoes), role=ROLE
    )
    with clinic.connect("dev", ROLE) as vacuum, vacuum.transaction():
        for (table,) in clinic.rows(query, "dev", schema):
            vacuum.execute(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE")
        book.undo()
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


def test_what_is_written_after_the_rollbacks_commit_is_named_by_its_verification(
    clinic: Clinic,
) -> None:
    back = clinic.way_back()
    back.undo()
    clinic.do(f"UPDATE notes SET content = content || '.' WHERE id = {FIRST.format('notes')}")
    found = failed(back.verify())
    assert set(found) == {"the_rollback_is_what_was_committed"}
    assert found["the_rollback_is_what_was_committed"].sample == ("notes",)


def test_the_state_after_a_rollback_is_written_down_as_it_is(clinic: Clinic) -> None:
    back = clinic.way_back()
    back.undo()
    report = back.verify()
    told = next(r for r in report.results if r.check.startswith("the_state_after_the_rollback"))
    for table in ("patients", "appointments", "notes", "letters_patientletter", "reminders"):
        assert f"{table} {clinic.value(f'SELECT count(*) FROM {table}'):,}" in told.note
    linked = clinic.value(
        "SELECT count(*) FROM documents_document d JOIN django_content_type c ON c.id ="
        " content_type_id JOIN patients p ON p.id = object_id WHERE c.model = 'patient'"
    )
    every = clinic.value("SELECT count(*) FROM documents_document")
    assert f"documents {linked:,} of {every:,} linked" in told.note
