"""A command that is killed as by ``kill -9``, its kernel too: what people are told of its run."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nexus_reimport import record, runner, show
from nexus_reimport import settings as environments
from nexus_reimport.model import Proposal
from nexus_reimport.page import front, outcome
from nexus_reimport.page.desk import Desk
from nexus_reimport.record import Run, Verdict
from nexus_reimport.record.journal import JOURNAL
from nexus_reimport.record.sealed import bag, index
from nexus_reimport.runbook import whereabouts
from nexus_reimport.runner import notebook
from nexus_sandbox.s3.access import REGION
from nexus_sandbox.s3.server import S3Server
from support.clinic import ROLE, Clinic
from support.commands import command
from support.pages import gathered
from support.running import DEV, digest_of, stage_pid, until

pytestmark = pytest.mark.timeout(600)


def killed_at(stage: str, *command: str) -> Run:
    """The run of a command that was killed as soon as that stage had begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nexus_reimport.cli", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: process.poll() is not None or stage_pid(stage), 240)
        assert process.poll() is None, "it ended by itself"
        kernel = stage_pid(stage)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    os.kill(kernel, signal.SIGKILL)
    run = record.every(environments.load(DEV))[-1]
    until(lambda: not run.workers())
    return run


def status() -> str:
    return show.whereabouts(whereabouts.of(environments.load(DEV)))


def test_of_a_killed_preflight_the_stage_the_state_and_what_is_next_are_told(
    clinic: Clinic,
) -> None:
    before = clinic.state()
    run = killed_at("survey_and_backup", "run", DEV)
    assert run.verdict() is Verdict.KILLED
    what, _, state, todo = outcome.of(run).error.splitlines()
    assert what == "it was killed, or its machine stopped, during “read Nexus and back it up”"
    assert state == "  state: the database is as it was"
    assert "nexus-reimport run sandbox-dev begins a new run" in todo
    assert "next      nexus-reimport run sandbox-dev" in status()
    it = front.gather(Desk(DEV))
    assert it.now.text.startswith("KILLED: it was interrupted; nothing was written (dry run, ")
    assert (it.must_close, it.next) == (True, "Start a dry run.")
    assert clinic.state() == before


def test_of_a_killed_verification_it_is_told_that_the_data_is_there_and_how_to_go_on(
    clinic: Clinic, rehearsed: Path
) -> None:
    """The page showed the choices, and not that the verification had been killed."""
    clinic.approved(rehearsed).apply()
    run = killed_at("checks_after", "finish", DEV)
    assert run.verdict() is Verdict.COMMITTED_UNVERIFIED
    what, _, state, todo = notebook.last_error(run).splitlines()
    assert what == "it was killed, or its machine stopped, during “checks after”"
    assert state == "  state: the database is reimported, and not verified yet"
    assert todo == "  next:  nexus-reimport finish sandbox-dev verifies and seals it"
    it = front.gather(Desk(DEV))
    assert it.must_decide
    assert it.outcome is not None
    assert it.outcome.error == notebook.last_error(run)
    assert "next      nexus-reimport finish sandbox-dev" in status()


def test_after_a_killed_rollback_the_rollback_is_next_and_no_dry_run(clinic: Clinic) -> None:
    """`Start a dry run` stood there, and `go on with 02_execute` on a terminal."""
    done = clinic.executed().run
    run = killed_at("back_up", "rollback", done.id, "--approve-rehearsed")
    assert (run.kind, run.verdict()) == ("rollback", Verdict.KILLED)
    it = front.gather(Desk(DEV))
    assert it.now.text.startswith("KILLED: it was interrupted; nothing was taken back (rollback, ")
    assert it.next == "The last run was not taken back. If it still has to be, look again."
    assert it.next_place == "way-back"
    assert f"next      nexus-reimport rollback {done.id}" in status()


def test_a_record_that_was_not_closed_is_next(clinic: Clinic, rehearsed: Path) -> None:
    """After a kill while it was sealed, the page said that nothing was left to do."""
    book = clinic.approved(rehearsed)
    book.apply()
    book.verify()
    book.sign_off()
    run = book.run
    assert run.verdict() is Verdict.COMPLETE
    it = front.gather(Desk(DEV))
    assert (it.must_close, it.next) == (True, "Close its record: the button stands below.")
    assert f"next      nexus-reimport seal sandbox-dev --run {run.id}" in status()
    book.seal()
    it = front.gather(Desk(DEV))
    assert (it.must_close, it.next) == (False, "Nothing. To reimport, start with a dry run.")
    assert "next      nothing" in status()


def test_after_a_kill_that_has_committed_nothing_what_is_next_is_the_same_everywhere(
    clinic: Clinic,
) -> None:
    """`go on with 02_execute` stood in `status`, and a new run in the error and on the page."""
    book = clinic.proposed()
    run = killed_at("apply", "run", DEV, "--approve", digest_of(book))
    assert run.verdict() is Verdict.IN_DOUBT
    assert "next      nexus-reimport finish sandbox-dev" in status()
    runner.settle(DEV)
    assert run.verdict() is Verdict.KILLED
    assert notebook.last_error(run).endswith(f"--run {run.id} shows what became of this one")
    assert "nexus-reimport run sandbox-dev begins a new run" in notebook.last_error(run)
    assert status().splitlines()[-1] == "  next      nexus-reimport run sandbox-dev"
    assert front.gather(Desk(DEV)).next == "Start a dry run."


def test_what_is_offered_of_an_approved_run_works_as_it_is_written(
    clinic: Clinic, rehearsed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page of the runbook stood there alone: who has no JupyterLab could not go on."""
    run = clinic.approved(rehearsed).run
    offered = f"nexus-reimport run {DEV} --approve {run.load(Proposal).digest[:12]}"
    last = status().splitlines()[-1]
    assert last.endswith(f"go on with 02_execute, or with {offered}; or begin again: {run.again}")
    code, out, err = command(capsys, *offered.split()[1:])
    assert code == 0, out + err
    assert run.verdict() is Verdict.COMPLETE


def test_an_emptied_journal_makes_no_reimport_of_a_rollback(clinic: Clinic) -> None:
    """It was told as one, and `finish` looked in it for the plan of a reimport."""
    way = clinic.way_back()
    way.undo()
    run, undone = way.run, way.undoes
    (run.folder / JOURNAL).write_bytes(b"")
    assert (run.kind, run.undoes, run.again) == (
        "rollback",
        undone,
        f"nexus-reimport rollback {undone}",
    )
    assert f"last run  {run.id}, rollback, IN_DOUBT" in status()
    assert front.gather(Desk(DEV)).now.text.startswith("IN DOUBT")
    (run.folder / "look.json").unlink()
    runner.settle(DEV)
    assert (run.kind, run.undoes, run.verdict()) == (
        "rollback",
        undone,
        Verdict.COMMITTED_UNVERIFIED,
    )
    assert run.headline().startswith("TAKEN BACK, NOT VERIFIED")


@pytest.mark.parametrize("at", ["its last file", "the database", "both"])
def test_a_seal_that_was_killed_is_next_and_the_same_command_ends_it(
    clinic: Clinic, capsys: pytest.CaptureFixture[str], at: str
) -> None:
    """`nothing` was next, and the command said that a sealed record is never written to."""
    run = clinic.executed().run
    seal, row = run.seal_digest(), "SELECT seal FROM nexus_reimport.runs"
    if at != "the database":
        (run.bag / bag.TAG_MANIFEST).unlink()
    if at != "its last file":
        clinic.do("UPDATE nexus_reimport.runs SET seal = '', sequence = 0, verdict = ''", role=ROLE)
    again = f"nexus-reimport seal {DEV} --run {run.id}"
    assert status().splitlines()[-1] == f"  next      {again}"
    code, out, _ = command(capsys, "record", "check", DEV)
    assert code == 1
    assert f"{again} writes it, or the next run" in out
    assert "not the record that was sealed" not in out, "nobody is accused"
    it = front.gather(Desk(DEV))
    assert it.must_close == (at != "the database")  # the page's button does the same
    assert (f"{again} writes it there" in gathered(DEV).next) == (at == "the database")
    for which in ("finish", "seal") if it.must_close else ("seal", "seal"):
        code, out, _ = command(capsys, which, *again.split()[2:])
        assert code == 0
        assert seal in out
    assert (run.seal_digest(), clinic.value(row, role=ROLE)) == (seal, seal)
    assert command(capsys, "record", "check", DEV)[0] == 0
    assert status().splitlines()[-1] == "  next      nothing"
    (run.folder / "plan.json").write_text("{}")
    code, _, err = command(capsys, *again.split()[1:])
    assert (code, "is sealed, and not as it was sealed: data/plan.json" in err) == (2, True)


def test_a_record_that_a_kill_has_kept_from_the_archive_is_told(
    clinic: Clinic, s3: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """`status` said that nothing was left to do."""
    run, bucket = clinic.executed().run, f"archive-{secrets.token_hex(4)}"
    s3.access.client().create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    with (clinic.folder / f"{DEV}.toml").open("a") as file:
        file.write(
            f'\n[record.archive]\nbucket = "{bucket}"\nregion = "{REGION}"\ndays = 1\n'
            f'endpoint = "{s3.access.endpoint}"\n'
            'access_key = {env = "NEXUS_SANDBOX_S3_ACCESS_KEY"}\n'
            'secret_key = {env = "NEXUS_SANDBOX_S3_SECRET_KEY"}\n'
        )
    again = f"nexus-reimport record archive {DEV}"
    assert f"archive   1 sealed record is not in it: {again} puts it there" in status()
    assert status().splitlines()[-1] == f"  next      {again}"
    assert gathered(DEV).next.startswith(f"1 sealed record is not in the archive: {again} ")
    listed = run.bag.parent / index.FILE
    before = listed.read_bytes()
    assert command(capsys, "record", "archive", DEV)[0] == 0
    assert status().splitlines()[-1] == "  next      nothing"
    listed.write_bytes(before)  # as a kill leaves it after the copy was noted
    assert command(capsys, "record", "archive", DEV)[0] == 0
    assert "In the archive, locked until" in listed.read_text()
