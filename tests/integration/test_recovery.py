"""The worst night: re-link alone, and every branch of the decision trees taken."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import uuid
from collections import Counter
from itertools import takewhile
from pathlib import Path

import psycopg
import pytest

from nexus_reimport import CHECKOUT, record, runbook, runner, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import RecordError, SettingsError, StopError, TargetError
from nexus_reimport.events import Event
from nexus_reimport.files import rowfile
from nexus_reimport.model import NewerDecision, Plan, Proposal, Scope
from nexus_reimport.nexus.registry import undo_schema
from nexus_reimport.nexus.writing.run_lock import LOCK_KEY
from nexus_reimport.record import Verdict, journal
from nexus_reimport.record.headline import TAKEN_OVER
from nexus_reimport.runbook import adoption, restored_database, whereabouts
from nexus_reimport.runner import RollbackOptions
from nexus_reimport.runner.advice import (
    CHANGED,
    CLOSED,
    IN_DOUBT,
    ROLLBACK_CLOSED,
    ROLLBACK_UNVERIFIED,
    UNVERIFIED,
)
from nexus_reimport.settings import BY_HAND_SHEET
from nexus_reimport.stages import apply
from nexus_sandbox.postgres.server import binaries
from support.clinic import OWNER, ROLE, Clinic, Committed, Executed, planned
from support.commands import command
from support.halting import halted, nothing_left
from support.interlock import a_standby_is_away, secret, standby
from support.pages import gathered
from support.relinking import LINKS, linked_wrongly, relinked
from support.restoring import drop_aside, named, swap_in
from support.rollbacks import DEV, approved, executed
from support.values import lines

__all__ = ["named"]

TYPED = "SELECT id::text, ARRAY[object_id::text, content_type_id::text] FROM documents_document"
README = CHECKOUT / "runbook" / "README.md"


# ---------------------------------------------------------------- re-linking alone


def test_relinking_gives_a_row_whose_id_was_changed_no_documents_of_its_former_patient(
    clinic: Clinic,
) -> None:
    """What the last run noted of the row still counted: it got the documents of two patients."""
    clinic.executed()
    held = "filemaker_metadata->>'filemaker_id'"
    (row, former), (other, now), (third, noted), *_ = clinic.rows(
        f"SELECT id::text, {held} FROM patients WHERE {held} IS NOT NULL ORDER BY id"
    )
    put = "UPDATE patients SET filemaker_metadata = filemaker_metadata || jsonb_build_object"
    clinic.do(f"{put}('filemaker_id', null) WHERE id = %s", "dev", other)
    clinic.do(f"{put}('filemaker_id', %s::text) WHERE id = %s", "dev", now, row)
    clinic.do(f"{put}('filemaker_id', null) WHERE id = %s", "dev", third)
    book = planned(links_only=True)
    lines = rowfile.read(book.intake().folder, book.run.load(Plan).id_map)
    known = {((i or "").casefold(), key) for entity, i, key in lines if entity == "patients"}
    former, now, noted = (one.casefold() for one in (former, now, noted))
    assert (now, row) in known
    assert (noted, third) in known, "a row that lost its id is still known by what was noted"
    assert (former, row) not in known
    assert (now, other) not in known


def test_relinking_alone_fixes_links_and_writes_nothing_else(
    clinic: Clinic, rehearsed: Path
) -> None:
    executed(clinic, rehearsed)
    right, _ = linked_wrongly(clinic)
    broken = clinic.state()
    (done,) = runner.run([DEV], approve_rehearsed=True, links_only=True)
    assert (done.verdict, done.exit_code, done.sealed) == (Verdict.COMPLETE, 0, True)
    assert dict(clinic.rows(LINKS)) == right
    now = clinic.state()
    assert {t for t in now if now[t] != broken[t]} == {"documents_document"}
    run = record.every(environments.load(DEV))[-1]
    assert run.kind == Scope.RELINK
    made = run.load(Plan)
    assert (made.entities, made.links["documents"].file.rows) == ({}, 1)
    counts = Counter({a.entity: sum(a.left_out.values()) for a in made.accounts})
    listed = lines(run.folder / "ledger.csv")
    assert Counter(line["entity"] for line in listed) == counts
    assert {line["outcome"] for line in listed} == {"left out"}
    private = lines(run.private / "left_out" / "docs.csv")
    ids = {line["filemaker_id"] for line in listed if line["source"] == "docs"}
    assert {line["id"].lower() for line in private} == ids
    assert not (run.private / BY_HAND_SHEET).exists()
    assert {p.stem for p in run.folder.glob("*.ipynb")} == {
        "01_preflight",
        "02_execute",
        "03_verify",
    }


def test_a_link_without_a_content_type_or_with_a_wrong_one_is_mended(clinic: Clinic) -> None:
    """The calendar and the patient's page show it nowhere; one stopped a run after COMMIT."""
    right = dict(clinic.rows(TYPED))
    ours = clinic.rows(
        "SELECT d.id::text, object_id::text, content_type_id FROM documents_document d JOIN"
        " patients p ON p.id = object_id WHERE d.filemaker_id IS NOT NULL"
        " AND p.filemaker_metadata ? 'filemaker_id' ORDER BY d.id LIMIT 6"
    )
    other = max(o for _, o, _ in ours)
    of_clinics = clinic.value("SELECT id FROM django_content_type WHERE model = 'clinic'")
    wrong = [
        (ours[0][1], None),
        (other, None),
        (str(uuid.uuid4()), None),
        (ours[3][1], of_clinics),
        (other, of_clinics),
        (None, of_clinics),
    ]
    for (document, _, _), (hangs_on, content_type) in zip(ours, wrong, strict=True):
        clinic.do(
            "UPDATE documents_document SET object_id = %s, content_type_id = %s WHERE id = %s",
            "dev",
            hangs_on,
            content_type,
            document,
        )
    (batch,) = clinic.rows(
        "UPDATE images_batch SET content_type_id = %s WHERE id = (SELECT batch_id FROM images_image"
        " WHERE s3_key LIKE '%%images-bulk-dump/%%' ORDER BY id LIMIT 1) RETURNING id::text",
        "dev",
        of_clinics,
    )
    made = relinked(clinic)
    assert made.run.verdict() is Verdict.COMPLETE
    now = dict(clinic.rows(TYPED))
    assert {d: now[d] for d, _, _ in ours} == {d: [o, str(t)] for d, o, t in ours}
    assert now.keys() == right.keys()
    of_batch = (
        "SELECT model FROM images_batch b JOIN django_content_type c ON c.id = content_type_id"
        " WHERE b.id = %s"
    )
    assert clinic.value(of_batch, "dev", *batch) == "patient"


def test_who_asks_for_links_alone_executes_no_full_reimport(clinic: Clinic) -> None:
    """The digest decided alone what was executed, whatever the command had said."""
    waiting = clinic.proposed().run
    before, digest = clinic.state(), waiting.load(Proposal).digest
    (refused,) = runner.run([DEV], approve=digest, links_only=True)
    assert clinic.state() == before
    assert (refused.exit_code, waiting.verdict()) == (1, Verdict.WAITING)
    assert "the digest is that of a full reimport, and relink fixes links alone" in refused.error
    assert f"nexus-reimport run {DEV} --approve {digest[:12]}" in refused.error
    (unknown,) = runner.run([DEV], approve="0" * 12, links_only=True)
    assert "the digest is wrong" in unknown.error


def test_what_is_booked_meanwhile_does_not_stop_a_run_that_re_links_alone(
    clinic: Clinic, rehearsed: Path
) -> None:
    executed(clinic, rehearsed)
    linked_wrongly(clinic)
    book = clinic.preflight(links_only=True, dry=True)
    clinic.do(
        "UPDATE notes SET content = 'since' WHERE id = (SELECT min(id::text)::uuid FROM notes)"
    )
    book.approve(rehearsed=True)
    assert book.apply().relinked["documents"] == 1
    assert clinic.value("SELECT count(*) FROM notes WHERE content = 'since'") == 1


def test_a_run_that_re_linked_alone_is_taken_back_like_any_other(
    clinic: Clinic, rehearsed: Path
) -> None:
    executed(clinic, rehearsed)
    linked_wrongly(clinic)
    broken = clinic.state()
    back = runner.rollback(RollbackOptions(relinked(clinic).run.id, rehearsed=True))
    assert back.verdict is Verdict.COMPLETE
    assert clinic.state() == broken


# ---------------------------------------------------------------- the decision tree, walked


def spoilt_after_commit(
    clinic: Clinic, rehearsed: Path
) -> tuple[runbook.Runbook, runner.CommandOutcome]:
    """Exit code 4: a note was changed between COMMIT and verification."""
    book = executed(clinic, rehearsed, verified=False)
    clinic.do(
        "UPDATE notes SET content = content || '.' WHERE id = (SELECT min(id::text)::uuid"
        " FROM notes)"
    )
    outcome = runner.finish(DEV)
    assert (outcome.exit_code, outcome.sealed) == (4, False)
    return book, outcome


def test_the_decision_trees_stand_in_the_runbook_word_for_word() -> None:
    text = README.read_text(encoding="utf-8")
    for tree in (UNVERIFIED, ROLLBACK_UNVERIFIED, CLOSED, ROLLBACK_CLOSED, CHANGED, IN_DOUBT):
        assert tree in text


def test_exit_4_prints_the_tree_with_the_names_of_this_night(
    clinic: Clinic, rehearsed: Path
) -> None:
    book, outcome = spoilt_after_commit(clinic, rehearsed)
    for line in (
        f"nexus-reimport finish {DEV}",
        f"nexus-reimport rollback {book.run.id}",
        f"nexus-reimport restore {book.run.id} --into NAME",
        f"nexus-reimport seal {DEV}",
        f"nexus-reimport relink {DEV}",
    ):
        assert line in outcome.advice


def test_exit_4_a_what_a_standby_had_not_received_is_begun_again(
    clinic: Clinic, committed_once: Committed
) -> None:
    """ "The new data is committed" was said of a database that held none of it."""
    clinic.copy_records(committed_once.folder)
    lost = runner.finish(DEV)
    assert (lost.verdict, lost.exit_code) == (Verdict.COMMITTED_UNVERIFIED, 4)
    assert "the database does not know this run, which was committed" in lost.error
    assert "state: the run was committed; this database is as it was before the run" in lost.error
    closed = runner.seal(DEV)
    assert closed.sealed
    assert whereabouts.of(environments.load(DEV)).next.startswith("find out who restored")
    with a_standby_is_away(clinic):  # the server that failed
        restored_database.acknowledge(DEV, restored_database.unknown_runs(DEV), "a standby")
    assert whereabouts.of(environments.load(DEV)).next == f"nexus-reimport run {DEV}"


def test_exit_4_a_of_a_rollback_which_a_standby_had_not_received(
    clinic: Clinic, executed_once: Executed
) -> None:
    """It ended with KeyError."""
    back = clinic.way_back()
    back.undo()
    clinic.become(executed_once.template)
    lost = runner.finish(DEV)
    assert (lost.verdict, lost.exit_code) == (Verdict.COMMITTED_UNVERIFIED, 4)
    assert "the database does not know this run, which was committed" in lost.error
    assert "A. the database does not know the rollback" in lost.advice


def test_exit_4_b_not_verified_is_finished(clinic: Clinic, rehearsed: Path) -> None:
    executed(clinic, rehearsed, verified=False)
    assert runner.finish(DEV).verdict is Verdict.COMPLETE


def test_exit_4_c_what_a_person_accepts_is_waived_by_name(clinic: Clinic, rehearsed: Path) -> None:
    spoilt_after_commit(clinic, rehearsed)
    path = clinic.folder / f"{DEV}.toml"
    waived = ("every_row_is_as_planned", "what_only_nexus_knows_was_carried_over")
    path.write_text(
        path.read_text()
        + "".join(
            f'\n[[waivers]]\ncheck = "{name}"\nat_most = 1\nreason = "a dot"\nwho = "x"\n'
            'until = "2099-12-31"\n'
            for name in waived
        )
    )
    assert runner.finish(DEV).verdict is Verdict.COMPLETE


def test_a_waiver_of_the_worst_night_that_can_never_apply_is_named(
    clinic: Clinic, rehearsed: Path
) -> None:
    """A slip in its name would leave the check failed as before, with nothing said of the slip."""
    spoilt_after_commit(clinic, rehearsed)
    path = clinic.folder / f"{DEV}.toml"
    path.write_text(
        path.read_text()
        + '\n[[waivers]]\ncheck = "every_row_is_as_plannd"\nat_most = 1\nreason = "a dot"\n'
        'who = "x"\nuntil = "2099-12-31"\n'
    )
    slipped = runner.finish(DEV)
    assert (slipped.verdict, slipped.exit_code) == (Verdict.COMMITTED_UNVERIFIED, 4)
    assert (
        "every_row_is_as_plannd: no check has this name; did you mean every_row_is_"
        in slipped.error
    )
    assert "state: committed, not verified yet" in slipped.error
    assert f"nexus-reimport finish {DEV}" in slipped.advice


def test_exit_4_d_wrong_links_are_fixed_alone(clinic: Clinic, rehearsed: Path) -> None:
    executed(clinic, rehearsed, verified=False)
    right, _ = linked_wrongly(clinic)
    failed = runner.finish(DEV)
    assert failed.exit_code == 4
    # Neither command has failed itself: the error is that of the verification.
    told = f"the error of an earlier step, and not of this command:\n{failed.error}"
    assert runner.settle(DEV).error == told
    closed = runner.seal(DEV)
    assert closed.error == told
    assert closed.sealed
    assert f"nexus-reimport relink {DEV} " in closed.advice
    assert f"nexus-reimport rollback {closed.run}" in closed.advice
    assert "nexus-reimport finish" not in closed.advice, "a closed record cannot be finished"
    assert "nexus-reimport finish" not in whereabouts.of(environments.load(DEV)).next
    assert relinked(clinic).run.verdict() is Verdict.COMPLETE
    assert dict(clinic.rows(LINKS)) == right


def test_exit_4_e_the_run_is_taken_back(clinic: Clinic, rehearsed: Path) -> None:
    before = clinic.state()
    book, _ = spoilt_after_commit(clinic, rehearsed)
    with pytest.raises(StopError, match="people have written since"):
        runner.rollback(RollbackOptions(book.run.id))
    asking = runner.rollback(RollbackOptions(book.run.id, newer=NewerDecision.DISCARD))
    assert (asking.verdict, asking.exit_code, asking.run) == (Verdict.WAITING, 6, "")
    digest = asking.advice.rsplit("--approve ", 1)[1].split()[0]
    done = runner.rollback(RollbackOptions(book.run.id, newer=NewerDecision.DISCARD, digest=digest))
    assert (done.verdict, done.sealed) == (Verdict.COMPLETE, True)
    assert clinic.state() == before
    assert book.run.verdict() is Verdict.UNDONE


def test_a_wrong_digest_of_a_rollback_is_told_and_asked_for_again(
    clinic: Clinic, rehearsed: Path
) -> None:
    """The question came again without a word, and after the third time the command ended."""
    run = executed(clinic, rehearsed).run.id
    before, told, typed = clinic.state(), list[str](), iter(("0123456789ab", "0123", "no"))
    waiting = runner.rollback(RollbackOptions(run, ask=lambda *_: next(typed)), told.append)
    assert told == [
        f"that is not the digest of this rollback: {why}nothing was started"
        for why in ("", "it has 4 characters of 12; ", "it has 2 characters of 12; ")
    ]
    assert waiting.verdict is Verdict.WAITING
    assert clinic.state() == before


def test_exit_4_f_a_refused_rollback_leads_to_the_dump(
    clinic: Clinic, rehearsed: Path, named: str
) -> None:
    before = clinic.state()
    book, _ = spoilt_after_commit(clinic, rehearsed)
    with pytest.raises(StopError, match="is not finished, and may have to be taken back") as kept:
        runner.purge_undo(DEV, 0)
    assert kept.value.state == "nothing was dropped"
    assert f"nexus-reimport finish {DEV}" in kept.value.next
    clinic.do(f"DROP SCHEMA {undo_schema(book.run.id)} CASCADE", role=ROLE)
    with pytest.raises(StopError, match="no longer exists") as told:
        runner.rollback(RollbackOptions(book.run.id, newer=NewerDecision.DISCARD))
    assert f"nexus-reimport restore {book.run.id} --into NAME" in told.value.next
    try:
        swap_in(clinic, runner.restore_into(book.run.id, named))
        assert clinic.state() == before
        adoption.adopt(adoption.candidate(DEV, this_is_a_copy=True), this_is_a_copy=True)
        closed = runner.seal(DEV)
        assert closed.sealed
        assert closed.error.startswith("the error of an earlier step"), "no seal is missed there"
        lost = restored_database.unknown_runs(DEV)
        assert restored_database.acknowledge(DEV, lost, "E").runs
        with pytest.raises(StopError, match="or its restore is acknowledged"):
            restored_database.unknown_runs(DEV)
    finally:
        drop_aside(clinic)


def test_exit_4_of_a_rollback_is_finished_or_leads_to_the_dump(
    clinic: Clinic, rehearsed: Path, named: str
) -> None:
    first = executed(clinic, rehearsed)
    book = approved()
    book.undo()
    clinic.do(
        "UPDATE notes SET content = content || '.' WHERE id = (SELECT min(id::text)::uuid"
        " FROM notes)"
    )
    outcome = runner.finish(DEV)
    assert (outcome.run, outcome.exit_code) == (book.run.id, 4)
    assert "The run was undone" in outcome.advice
    assert f"nexus-reimport restore {first.run.id} --into NAME" in outcome.advice
    assert runner.restore_into(first.run.id, named).database == named
    assert runner.seal(DEV).sealed


@pytest.mark.parametrize(("step", "committed"), [(5, False), (apply.STEPS, True)])
def test_exit_5_a_the_database_is_asked(
    clinic: Clinic, rehearsed: Path, tmp_path: Path, step: int, committed: bool
) -> None:
    before = clinic.state()
    book = clinic.approved(rehearsed)
    with halted(DEV, book.run.id, step, tmp_path / "marker") as process:
        process.kill()
        process.wait()
    nothing_left(clinic)  # a busy server finds out later that its client is gone
    if not committed:
        assert book.run.exit_code() == 5
    outcome = runner.settle(DEV)
    assert outcome.verdict is (Verdict.COMMITTED_UNVERIFIED if committed else Verdict.KILLED)
    done = runner.finish(DEV)
    assert done.verdict is (Verdict.COMPLETE if committed else Verdict.KILLED)
    assert (clinic.state() == before) is not committed
    if not committed:
        assert clinic.whole(dry=True).run.verdict() is Verdict.COMPLETE


def test_exit_5_a_standby_that_took_over_does_not_say_that_nothing_was_written_anywhere(
    clinic: Clinic, rehearsed: Path, tmp_path: Path
) -> None:
    """Of the run that the failed server may hold it was said that the database is as it was."""
    book = clinic.approved(rehearsed)
    with standby(clinic, tmp_path / "standby") as server:
        with halted(DEV, book.run.id, 5, tmp_path / "marker") as process:
            process.kill()
            process.wait()
        secret(clinic, "NEXUS_SANDBOX_PG_PORT", server.port)
        assert runner.settle(DEV).verdict is Verdict.IN_DOUBT, "a standby alone cannot say"
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")
        outcome = runner.finish(DEV)
        assert (outcome.verdict, outcome.sealed) == (Verdict.KILLED, True)
        assert f"state: the database is as it was, {TAKEN_OVER}" in outcome.error
        assert TAKEN_OVER in show.whereabouts(whereabouts.of(environments.load(DEV)))


def test_exit_5_b_a_database_that_cannot_be_asked_yet_stays_in_doubt(
    clinic: Clinic, rehearsed: Path, tmp_path: Path
) -> None:
    book = clinic.approved(rehearsed)
    with halted(DEV, book.run.id, 5, tmp_path / "marker") as process:
        process.kill()
        process.wait()
    with pytest.raises(StopError, match="not known whether this run was committed") as unknown:
        runbook.resume(DEV, book.run.id).verify()  # it said "has committed nothing"
    assert f"nexus-reimport finish {DEV}" in unknown.value.next
    limit = f"ALTER DATABASE {clinic.databases['dev']} CONNECTION LIMIT"
    with clinic.superuser() as admin:
        admin.execute(f"{limit} 0".encode())
        with pytest.raises(TargetError) as again:  # a second attempt took the doubt away
            book.apply()
        admin.execute(f"{limit} -1".encode())
    assert again.value.state == "not known yet"
    clinic.edit(DEV, 'mapping = "nexus"', 'mapping = "own.toml"')
    (clinic.folder / "own.toml").write_text("patients = 1\n")
    secrets = clinic.folder / f".env.{DEV}"
    there = secrets.read_text()
    port = f"NEXUS_SANDBOX_PG_PORT={clinic.server.port}"
    assert port in there
    secrets.write_text(there.replace(port, "NEXUS_SANDBOX_PG_PORT=9"))
    outcome = runner.finish(DEV)
    assert (outcome.verdict, outcome.exit_code, outcome.sealed) == (Verdict.IN_DOUBT, 5, False)
    assert f"nexus-reimport settle {DEV}" in outcome.advice
    assert "where: postgres 127.0.0.1:9/" in outcome.error, "why it could not be asked just now"
    assert "state: not known yet" in outcome.error
    asked = runner.settle(DEV)
    assert (asked.verdict, asked.exit_code) == (Verdict.IN_DOUBT, 5)
    assert asked.error == outcome.error
    assert asked.advice == outcome.advice
    with pytest.raises(RecordError, match="IN_DOUBT"):  # and shows no digest that would be refused
        runner.rollback(runner.RollbackOptions(run=book.run.id))
    with pytest.raises(RecordError, match="IN_DOUBT"):
        record.create(environments.load(DEV))
    secrets.write_text(there)
    with pytest.raises(StopError, match="not sandbox-prod"):  # asked once more, it led elsewhere
        apply.settle(environments.load(DEV).postgres, book.run.id, "sandbox-prod")
    nothing_left(clinic)  # a busy server finds out later that its client is gone
    clinic.edit(DEV, 'mapping = "own.toml"', "mapping = 1")
    for ask in (runner.finish, runner.seal):
        with pytest.raises(SettingsError) as unread:
            ask(DEV)
        assert unread.value.state == "nothing was written by this step", "of a run in doubt"
    # A mapping that cannot be read keeps nobody in doubt: the question needs none.
    assert runner.settle(DEV).verdict is Verdict.KILLED
    clinic.edit(DEV, "mapping = 1", 'mapping = "own.toml"')
    assert runner.seal(DEV).sealed


@pytest.mark.parametrize("way", ["seal", "rollback"])
def test_a_committed_run_without_its_private_files_can_be_closed_or_taken_back(
    clinic: Clinic, rehearsed: Path, way: str
) -> None:
    """It was said to run 01_preflight again, which was refused until the run was closed."""
    book = executed(clinic, rehearsed, verified=False)
    shutil.rmtree(book.run.private)
    with pytest.raises(RecordError, match="is missing, or is not what the run wrote") as stepped:
        runbook.resume(DEV, book.run.id).verify()
    assert (
        stepped.value.state == "the database is reimported, and not verified yet; this step"
        " wrote nothing"
    )
    error = runner.finish(DEV).error
    for todo in (f"finish {DEV})", f"seal {DEV})", f"run {DEV})", f"rollback {book.run.id})"):
        assert f"(nexus-reimport {todo}" in error
        assert f"(nexus-reimport {todo}" in stepped.value.next
    assert "01_preflight" not in error
    if way == "seal":
        assert runner.seal(DEV).sealed
        (done,) = runner.run([DEV], approve_rehearsed=True)
    else:
        done = runner.rollback(RollbackOptions(run=book.run.id, rehearsed=True))
    assert done.verdict is Verdict.COMPLETE


def test_a_rollback_that_the_database_lacks_closes_no_other_record(
    clinic: Clinic, rehearsed: Path
) -> None:
    """By the lines of its journal alone the run was closed as taken back, which Nexus holds."""
    book = executed(clinic, rehearsed, verified=False)
    way_back = approved()
    for event in (Event.COMMITTING, Event.COMMITTED):  # and the server that took over has lost it
        way_back.run.journal(event)
    done = runner.seal(DEV)
    assert (done.run, done.sealed) == (way_back.run.id, True)
    assert (
        f"the database does not say that this rollback has undone run {book.run.id}" in done.error
    )
    assert (book.run.is_sealed, book.run.verdict()) == (False, Verdict.COMMITTED_UNVERIFIED)
    assert whereabouts.of(environments.load(DEV)).next == f"nexus-reimport finish {DEV}"
    assert runner.finish(DEV).verdict is Verdict.COMPLETE


def _cut_from(run: record.Run, *begin: str) -> record.State:
    """What a journal says that has lost its end, from a line on: as by a disk that lied."""
    file = run.folder / journal.JOURNAL
    whole = file.read_text().splitlines(keepends=True)
    kept = takewhile(lambda line: not any(one in line for one in begin), whole)
    file.write_text("".join(kept))
    return run.state()


def test_what_a_journal_has_lost_of_a_commit_is_asked_of_the_database(
    clinic: Clinic, rehearsed: Path
) -> None:
    """By what was left nothing was written: the next run closed the record so."""
    book = executed(clinic, rehearsed, verified=False)
    applied = ('"stage": "apply"', '"event": "settled"')
    assert _cut_from(book.run, *applied) is record.State.AS_IT_WAS
    with pytest.raises(RecordError, match="COMMITTED_UNVERIFIED"):
        runbook.begin(DEV)
    with pytest.raises(StopError, match="no step before it can"):
        book.propose()  # it took plan and approval away
    assert _cut_from(book.run, *applied) is record.State.AS_IT_WAS
    with pytest.raises(StopError, match="was committed already"):
        book.apply()
    way_back = approved()
    way_back.undo()
    assert _cut_from(way_back.run, '"event": "committed"') is record.State.UNKNOWN
    closed = runner.seal(DEV)  # for good as in doubt, and the run as not taken back
    assert (closed.sealed, closed.verdict) == (True, Verdict.COMMITTED_UNVERIFIED)
    assert (book.run.is_sealed, book.run.verdict()) == (True, Verdict.UNDONE)


def test_what_a_journal_has_lost_of_a_commit_is_told_before_any_step(
    clinic: Clinic, rehearsed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status and page said that nothing was written, and that a run could begin."""
    book = executed(clinic, rehearsed, verified=False)
    _cut_from(book.run, '"stage": "apply"')
    before = book.run.journal_size()
    name, todo = book.run.id, f"nexus-reimport finish {DEV}"
    it = whereabouts.of(environments.load(DEV))
    assert ([one.run for one in it.apart.unnoted], it.next) == ([name], todo)
    text = show.whereabouts(it)
    assert f"it says that run {name} was committed, which its journal has lost" in text
    assert "nothing was written" not in text
    assert "not sealed" not in text, "it is not to be closed as it is"
    _, out, _ = command(capsys, "status", DEV, "--json")
    assert json.loads(out)["environments"][0]["committed_without_record"] == [name]
    page = gathered(DEV)
    assert page.now.tone == "bad"
    assert page.now.text.startswith(f"The database says that run {name} was committed")
    assert todo in page.next
    assert name in page.gates.closed[0].why
    code, out, _ = command(capsys, "record", "check", DEV)
    assert (code, todo in out) == (1, True)
    assert book.run.journal_size() == before, "who only looks writes nothing"
    way_back = approved()
    way_back.undo()
    assert _cut_from(way_back.run, '"stage": "undo"') is record.State.AS_IT_WAS
    (unnoted,) = whereabouts.of(environments.load(DEV)).apart.unnoted
    assert (unnoted.run, unnoted.undoes) == (way_back.run.id, name)
    done = runner.finish(DEV)  # of both, the one that the other waits for
    assert (done.run, done.verdict) == (way_back.run.id, Verdict.COMPLETE)
    assert book.run.verdict() is Verdict.UNDONE
    assert not whereabouts.of(environments.load(DEV)).apart.unnoted


def test_a_record_that_was_closed_without_its_commit_is_told_until_another_run(
    clinic: Clinic, rehearsed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status asked for the seal again and again, and the check of the records said nothing."""
    book = executed(clinic, rehearsed, verified=False)
    _cut_from(book.run, '"stage": "apply"')
    secrets = clinic.folder / f".env.{DEV}"
    there = secrets.read_text()
    secrets.write_text(there.replace(f"PG_PORT={clinic.server.port}", "PG_PORT=9"))
    assert runner.seal(DEV).sealed
    secrets.write_text(there)
    says = f"says that run {book.run.id} was committed, which its sealed record does not say"
    it = whereabouts.of(environments.load(DEV))
    text = show.whereabouts(it)
    assert f"it {says}" in text
    assert "nothing was written" not in text
    assert f"nexus-reimport rollback {book.run.id}" in it.next
    assert gathered(DEV).now.text == f"The database {says}"
    not_so = "the database says that it was committed, and its journal does not"
    assert not_so in command(capsys, "record", "check", DEV)[1]
    runner.seal(DEV, book.run.id)
    assert not whereabouts.of(environments.load(DEV)).apart.no_seal
    assert not_so in command(capsys, "record", "check", DEV)[1]
    done = runner.rollback(RollbackOptions(run=book.run.id, rehearsed=True))
    assert done.verdict is Verdict.COMPLETE
    assert whereabouts.of(environments.load(DEV)).apart.denied is None


def test_a_commit_that_is_on_its_way_is_waited_for_where_its_journal_has_lost_it(
    clinic: Clinic, rehearsed: Path
) -> None:
    """A server that waits for its standby shows it to nobody yet: the record was closed as KILLED.

    The session itself holds the run's lock until its COMMIT has been answered.
    """
    book = executed(clinic, rehearsed, verified=False)
    _cut_from(book.run, '"stage": "apply"')
    with clinic.connect(role=ROLE) as session:
        session.execute("CREATE TEMP TABLE kept AS SELECT * FROM nexus_reimport.runs")
        session.execute("DELETE FROM nexus_reimport.runs")
        session.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        session.execute("BEGIN")
        session.execute("INSERT INTO nexus_reimport.runs SELECT * FROM kept")
        answered = threading.Timer(0.5, lambda: (session.execute("COMMIT"), session.close()))
        answered.start()
        done = runner.seal(DEV)
        answered.join()
    assert (done.sealed, done.verdict) == (True, Verdict.COMMITTED_UNVERIFIED)


def test_exit_5_c_the_dump_of_a_lost_server_is_restored_on_another(
    clinic: Clinic, rehearsed: Path, tmp_path: Path, named: str
) -> None:
    before = clinic.state()
    book = clinic.approved(rehearsed)
    with halted(DEV, book.run.id, 5, tmp_path / "marker") as process:
        process.kill()
        process.wait()
    clinic.server.create_database(named, owner=OWNER)  # stands for a new server's empty database
    dump = book.folder / "nexus.dump"
    command = [
        binaries() / "pg_restore",
        "--exit-on-error",
        f"--dbname={clinic.server.dsn(named)}",
        dump,
    ]
    subprocess.run(command, check=True)
    clinic.databases["other"] = named
    assert clinic.state("other") == before
    secrets = clinic.folder / f".env.{DEV}"
    port = f"PG_PORT={clinic.server.port}"
    secrets.write_text(secrets.read_text().replace(port, "PG_PORT=9"))  # the server is lost
    closed = runner.seal(DEV)
    assert (closed.sealed, closed.verdict) == (True, Verdict.IN_DOUBT)
    with pytest.raises(RecordError, match="never written to"):  # it put an answer into the record
        runner.settle(DEV, book.run.id)
    assert book.run.problems() == []
    shutil.rmtree(book.folder)
