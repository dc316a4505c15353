"""Where an environment stands, and the one thing to do next, at each point of its way."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nexus_reimport import record, runbook, runner, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import StopError
from nexus_reimport.events import Event
from nexus_reimport.model import Proposal
from nexus_reimport.nexus import registry
from nexus_reimport.record import Verdict
from nexus_reimport.runbook import whereabouts
from support.clinic import ROLE, Clinic
from support.commands import command
from support.pages import gathered

DEV = "sandbox-dev"


def shown() -> str:
    return show.whereabouts(whereabouts.of(environments.load(DEV)))


def next_of() -> str:
    return whereabouts.of(environments.load(DEV)).next


def test_while_a_command_is_at_work_it_says_so_and_refuses_nothing(clinic: Clinic) -> None:
    run = clinic.proposed().run
    with running_elsewhere(clinic):
        assert next_of().startswith("wait until it has ended")
        assert f"last run  {run.id}" in shown()
    assert next_of().startswith("read its 01_preflight")


def test_a_record_that_was_left_open_is_told(clinic: Clinic) -> None:
    run = record.create(environments.load(DEV))
    run.journal(Event.FAILED, stage="snapshot", kind="StopError", what="no", exit_code=1)
    assert f"not sealed: nexus-reimport seal {DEV}" in shown()
    run.seal()
    assert "not sealed" not in shown()


def test_records_that_are_not_mounted_are_told_and_do_not_look_like_a_new_environment(
    clinic: Clinic,
) -> None:
    clinic.executed()
    place = environments.load(DEV).records_folder
    place.rename(place.with_name("unmounted"))
    assert f"of 1 run that the database knows, none is in {place}" in shown()
    assert next_of().startswith(f"bring back what was in {place} (mount, ls -l)")
    place.with_name("unmounted").rename(place)
    assert "none is in" not in shown()
    assert next_of() == "nothing"


def test_no_run_begins_where_records_are_not_mounted_until_their_loss_is_acknowledged(
    clinic: Clinic, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record would be hidden as soon as the others are back, and know none of them."""
    clinic.executed()
    place = environments.load(DEV).records_folder
    place.rename(place.with_name("unmounted"))
    (done,) = runner.run([DEV])
    assert done.exit_code == StopError.exit_code
    assert "of 1 run that the database knows, no record is here" in done.error
    with pytest.raises(StopError, match="no record is here"):
        runbook.begin(DEV)
    assert record.every(environments.load(DEV)) == []
    lost = ("record", "lost", DEV, "--why", "the disk of the records broke")
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    code, _, err = command(capsys, *lost)
    assert code == StopError.exit_code, err
    assert next_of().startswith(f"bring back what was in {place}")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{DEV}\n"))
    code, out, err = command(capsys, *lost)
    assert code == 0, err
    assert "the records of 1 run are lost for good" in out
    assert "none is in" not in shown()
    assert next_of() == f"nexus-reimport run {DEV}"
    runbook.begin(DEV)
    # The check goes on telling it.
    assert "is missing: the database says" in "".join(command(capsys, "record", "check", DEV)[1:])
    code, _, err = command(capsys, *lost)
    assert code == StopError.exit_code
    assert "no record is missing" in err


def test_no_run_begins_where_another_checkout_has_the_record_of_the_latest_run(
    clinic: Clinic,
) -> None:
    """It may be unverified there: nothing here would know of it."""
    clinic.executed()
    clinic.do(
        "INSERT INTO nexus_reimport.runs (number, run, environment, kind, digest, approved_by,"
        " before, after) SELECT number + 1, '20990101T000000Z-0000', environment, kind, digest,"
        " approved_by, before, after FROM nexus_reimport.runs",
        role=ROLE,
    )
    with pytest.raises(StopError, match="of 1 run that the database knows, no record is here"):
        runbook.begin(DEV)
    assert "of 1 run that the database knows, none is in" in shown()
    assert "or work from the checkout that has them" in next_of()


def is_known(clinic: Clinic, run: record.Run) -> None:
    """The database knows the run, as it knows each that it has committed."""
    if not clinic.value("SELECT to_regclass('nexus_reimport.runs')", role=ROLE):
        with clinic.connect(role=ROLE) as connection:
            registry.make(connection)
    clinic.do(
        "INSERT INTO nexus_reimport.runs (number, run, environment, kind, digest, approved_by,"
        f" before, after, seal) SELECT count(*) + 1, '{run.id}', '{DEV}', '{run.kind}', '', '',"
        f" '{{}}', '{{}}', '{run.seal_digest()}' FROM nexus_reimport.runs",
        role=ROLE,
    )


@contextmanager
def running_elsewhere(clinic: Clinic) -> Iterator[None]:
    """Another process holds what a command holds while it is at work."""
    code = f"""
import sys
from nexus_reimport import record, settings
with record.at_work(settings.load("{DEV}")):
    print("at work", flush=True)
    sys.stdin.read()
"""
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        yield
        assert other.stdin is not None
        other.stdin.close()


def test_each_point_of_the_way_has_one_thing_to_do_next(clinic: Clinic, rehearsed: Path) -> None:
    assert next_of() == f"nexus-reimport run {DEV}"
    book = clinic.approved(rehearsed)
    assert next_of().startswith("it is approved: go on with 02_execute, or with nexus-reimport run")
    book.run.forget(("approval",))
    folder = book.run.folder
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    approved = next(n for n, line in enumerate(lines) if b'"approval"' in line)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:approved]))
    digest = book.run.load(Proposal).digest[:12]
    assert next_of() == f"read its 01_preflight, then: nexus-reimport run {DEV} --approve {digest}"
    assert (
        f"last run  {book.run.id}, reimport, WAITING: nobody has approved it yet; nothing"
        in shown()
    )
    opens, closes = (datetime.now(UTC) + timedelta(hours=h) for h in (1, 2))
    path = clinic.folder / f"{DEV}.toml"
    text = path.read_text()
    path.write_text(f"{text}\n[window]\nfrom = {opens.isoformat()}\nto = {closes.isoformat()}\n")
    assert next_of().startswith("approve it inside of the window")
    assert "closed now" in shown()
    path.write_text(text)
    book = runbook.resume(DEV, book.run.id)
    book.approve(rehearsed=True)
    book.apply()
    assert next_of() == f"nexus-reimport finish {DEV}"
    book.verify()
    book.sign_off()
    book.seal()
    assert next_of() == "nothing"
    assert "COMPLETE" in shown()
    back = record.create(environments.load(DEV), "rollback", undoes=book.run.id)
    for event in (Event.COMMITTED, Event.VERIFIED):
        back.journal(event)
    back.seal()
    is_known(clinic, back)
    assert next_of() == f"find out why it was taken back, then: nexus-reimport run {DEV}"
    of_prod = show.whereabouts(whereabouts.of(environments.load("sandbox-prod")))
    assert f"COMPLETE, run {book.run.id} (taken back since)" in of_prod


def test_a_run_to_be_finished_comes_before_a_rollback_that_was_killed(clinic: Clinic) -> None:
    run = record.create(environments.load(DEV))
    run.journal(Event.COMMITTED)
    back = record.create(environments.load(DEV), "rollback", undoes=run.id)
    back.journal(Event.STARTED, stage="back_up")
    text = shown()
    assert next_of() == f"nexus-reimport finish {DEV}"
    assert f"last run    {back.id}, rollback, KILLED" in text
    assert f"unfinished  {run.id}, reimport, COMMITTED_UNVERIFIED" in text
    assert f"nexus-reimport seal {DEV} --run {back.id} closes it" in text
    clinic.do("DROP SCHEMA nexus_reimport CASCADE", role=ROLE)
    clinic.grant()
    assert "adopted     no: this database has not been adopted" in shown()
    assert next_of() == f"nexus-reimport finish {DEV}", "as the page has it"


def test_the_run_that_an_unverified_rollback_has_undone_is_closed_with_it(clinic: Clinic) -> None:
    """It stayed open, told that its data is committed, and no run could begin beside it."""
    settings = environments.load(DEV)
    run = record.create(settings)
    run.journal(Event.COMMITTED)
    back = record.create(settings, "rollback", undoes=run.id)
    back.journal(Event.COMMITTED)
    for one in (run, back):
        is_known(clinic, one)
    clinic.do(f"UPDATE nexus_reimport.runs SET undone_by = '{back.id}' WHERE number = 1", role=ROLE)
    assert next_of() == f"nexus-reimport finish {DEV}"
    runner.seal(DEV, back.id, as_saved=True)
    assert (run.is_sealed, run.verdict()) == (True, Verdict.UNDONE)
    assert (back.is_sealed, back.verdict()) == (True, Verdict.COMMITTED_UNVERIFIED)
    assert next_of().endswith(f"nexus-reimport run {DEV} verifies all")
    record.refuse_unfinished(settings)


def test_a_stopped_run_and_a_database_that_is_not_adopted_are_told(clinic: Clinic) -> None:
    run = record.create(environments.load(DEV))
    run.journal(Event.STARTED, stage="snapshot")
    with run.at_work():
        assert next_of().startswith("wait until it has ended; ")
    run.journal(Event.FAILED, stage="snapshot", kind="SourceError", what="x", exit_code=3)
    run.seal()
    again = f"fix it, then: nexus-reimport run {DEV}"
    assert next_of() == f"nexus-reimport record show {DEV} says what stopped the last one: {again}"
    clinic.do("DROP SCHEMA nexus_reimport CASCADE", role=ROLE)
    clinic.grant()
    assert next_of().endswith(f"nexus-reimport adopt {DEV}")
    assert "adopted   no: this database has not been adopted" in shown()
    clinic.edit(DEV, 'mapping = "nexus"', 'mapping = "ours.toml"')
    assert next_of().startswith("write ours.toml (docs/mapping.md), or correct `mapping` in the")
    assert "mapping   there is no mapping ours.toml" in shown(), "adopt would stop for it"


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


SPOILT: dict[str, Callable[[Path], object]] = {
    "plan": Path.unlink,
    "proposal": a_pipe,
    "rehearsal": a_folder,
    "snapshot": a_link_to_itself,
    "survey": lambda path: path.write_text("{}"),
}


@pytest.mark.parametrize("name", SPOILT)
@pytest.mark.parametrize("is_done", [True, False])
def test_a_value_that_somebody_has_changed_is_told_with_what_is_next(
    clinic: Clinic, capsys: pytest.CaptureFixture[str], name: str, is_done: bool
) -> None:
    """`nothing` stood there, or the command that is refused then; or it failed, as the page did."""
    book = clinic.executed() if is_done else clinic.proposed()
    path = book.run.folder / f"{name}.json"
    path.chmod(0o600)
    SPOILT[name](path)
    assert f"record    changed, or missing, since it was written: {name}.json" in shown()
    todo = f"nexus-reimport {'record check' if is_done else 'run'} {DEV}"
    assert next_of() == f"find out who has changed its record; then: {todo}"
    it = gathered(DEV)
    if is_done:
        assert it.next == f"Find out who has changed the record of the last run: {todo} says what."
    else:
        assert (it.waiting, it.next) == (None, "Start a dry run.")
    code, out, _ = command(capsys, "record", "show", DEV)
    assert (code, f"{name}.json was changed, or is missing" in out) == (0, True)


def test_the_command_tells_every_environment(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = command(capsys, "status")
    assert code == 0
    heads = [line for line in out.splitlines() if line and line[0] != " "]
    assert heads == ["sandbox-dev", "sandbox-prod"]
