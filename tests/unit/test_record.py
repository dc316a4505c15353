"""A record cannot lie: the verdict comes from the journal, the seal finds every change."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import CHECKOUT, record, settings
from nexus_reimport.errors import Busy, RecordError, StopError
from nexus_reimport.events import Event
from nexus_reimport.model import Outlook, Report
from nexus_reimport.record import Verdict
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.lock import RUNNER_VARIABLE, WORKERS
from nexus_reimport.record.values import NAMES
from nexus_reimport.record.verdict import EXIT_CODES, judge
from nexus_reimport.runbook import steps


@pytest.fixture
def known(environment_files: Path) -> settings.Settings:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(path.read_text().replace("../../", ""))
    return settings.load("sandbox-dev", environment_files)


def event(name: str, **facts: Any) -> Entry:
    return Entry.of({"event": name, **facts})


PROPOSED = event("finished", stage="proposal")
STARTED, DONE = event("started", stage="apply"), event("finished", stage="apply")


@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        ([event("opened")], Verdict.PARTIAL),
        ([event("started", stage="plan")], Verdict.KILLED),
        ([event("started", stage="plan"), event("failed", stage="plan", exit_code=1)],
         Verdict.STOPPED),
        ([event("started", stage="plan"), event("failed", stage="plan", exit_code=3)],
         Verdict.FAILED),
        ([event("started", stage="plan"), event("failed", stage="plan", exit_code=1),
          event("started", stage="plan"), event("finished", stage="plan")], Verdict.PARTIAL),
        ([event("failed", stage="plan", exit_code=1), event("failed", stage="01_preflight",
          killed=True), event("finished", stage="plan")], Verdict.KILLED),
        ([PROPOSED], Verdict.WAITING),
        ([event("finished", stage="rollback_proposal")], Verdict.WAITING),
        ([PROPOSED, event("finished", stage="drift")], Verdict.WAITING),
        ([PROPOSED, event("finished", stage="approval")], Verdict.PARTIAL),
        ([PROPOSED, event("failed", stage="approval", exit_code=1)], Verdict.STOPPED),
        ([PROPOSED, event("void", of=["proposal"], by="plan")], Verdict.PARTIAL),
        ([PROPOSED, event("void", of=["proposal"], by="plan"), PROPOSED], Verdict.WAITING),
        ([PROPOSED, event("sealed")], Verdict.PARTIAL),
        ([STARTED], Verdict.IN_DOUBT),
        ([STARTED, event("settled", committed=False)], Verdict.KILLED),
        ([STARTED, event("settled", committed=False), STARTED], Verdict.IN_DOUBT),
        ([STARTED, event("settled", committed=False), STARTED,
          event("failed", stage="apply", kind="InDoubt", exit_code=5)], Verdict.IN_DOUBT),
        ([STARTED, event("committing"), event("failed", stage="apply", killed=True, exit_code=3)],
         Verdict.IN_DOUBT),
        ([STARTED, event("committing"), event("not committed"),
          event("failed", stage="apply", exit_code=3)], Verdict.FAILED),
        ([STARTED, event("committed"), event("failed", stage="apply", killed=True, exit_code=3)],
         Verdict.COMMITTED_UNVERIFIED),
        ([STARTED, event("committed"), DONE, event("verified"),
          event("failed", stage="sign_off", exit_code=1)], Verdict.COMMITTED_UNVERIFIED),
        ([STARTED, event("settled", committed=True)], Verdict.COMMITTED_UNVERIFIED),
        ([STARTED, event("failed", stage="apply", kind="InDoubt", exit_code=5)], Verdict.IN_DOUBT),
        ([STARTED, event("failed", stage="apply", exit_code=3)], Verdict.FAILED),
        ([STARTED, event("committed"), DONE], Verdict.COMMITTED_UNVERIFIED),
        ([STARTED, event("committed"), DONE, event("failed", stage="sign_off", exit_code=1)],
         Verdict.COMMITTED_UNVERIFIED),
        ([STARTED, event("committed"), DONE, event("verified")], Verdict.COMPLETE),
    ],
)  # fmt: skip
def test_the_verdict_is_what_the_journal_says(events: list[Entry], verdict: Verdict) -> None:
    assert judge(events) is verdict


def test_a_run_has_a_private_folder_that_nobody_else_can_enter(known: settings.Settings) -> None:
    run = record.create(known)
    for place in (run.folder, run.private, run.private.parent):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_a_failed_stage_is_journalled_without_a_foreign_errors_text(
    known: settings.Settings,
) -> None:
    run = record.create(known)
    with pytest.raises(ValueError, match="Wendelgard"), run.stage("plan"):
        raise ValueError("Wendelgard")
    assert "Wendelgard" not in (run.folder / "journal.jsonl").read_text()
    assert run.verdict() is Verdict.FAILED


def test_a_stopped_stage_says_what_happened_and_what_next(known: settings.Settings) -> None:
    run = record.create(known)
    with pytest.raises(StopError), run.stage("plan"):
        raise StopError("3 undecided", next="decide")
    last = run.events()[-1].line
    assert (last["what"], last["next"], last["exit_code"]) == ("3 undecided", "decide", 1)


def test_a_line_that_a_kill_cut_is_left_out(known: settings.Settings) -> None:
    run = record.create(known)
    with (run.folder / "journal.jsonl").open("a") as file:
        file.write('{"event": "comm')
    assert run.verdict() is Verdict.PARTIAL


def test_a_sealed_record_is_whole_and_closed(known: settings.Settings) -> None:
    run = record.create(known)
    seal = run.seal()
    assert run.problems() == []
    assert len(seal) == 64
    with pytest.raises(RecordError, match="sealed"), run.stage("plan"):
        pass


@pytest.mark.parametrize("damage", ["changed", "missing", "added"])
def test_every_change_after_the_seal_is_found(known: settings.Settings, damage: str) -> None:
    run = record.create(known)
    run.seal()
    journal = run.folder / "journal.jsonl"
    if damage == "changed":
        journal.write_text(journal.read_text().replace("PARTIAL", "COMPLETE"))
    elif damage == "missing":
        journal.unlink()
    else:
        (run.folder / "later.txt").write_text("x")
    assert any(damage in problem for problem in run.problems())


def test_a_record_that_was_rewritten_breaks_the_chain(known: settings.Settings) -> None:
    first = record.create(known)
    first.seal()
    second = record.create(known)
    second.seal()
    assert second.manifest()["before"]["run"] == first.id
    manifest = first.folder / "manifest.json"
    manifest.write_text(json.dumps({**first.manifest(), "verdict": "COMPLETE"}))
    assert any("the record before" in problem for problem in second.problems())


def test_an_empty_run_id_means_the_one_open_run(known: settings.Settings) -> None:
    with pytest.raises(RecordError, match="0 open runs"):
        record.find(known)
    run = record.create(known)
    assert record.find(known) == run
    shutil.copytree(run.folder, run.folder.with_name("other"))
    with pytest.raises(RecordError, match="2 open runs"):
        record.find(known)
    assert record.find(known, run.id) == run
    for name in ("nothing", "../sandbox-prod", ""):
        if name:
            with pytest.raises(RecordError, match="no run"):
                record.find(known, name)


def test_a_new_run_seals_an_unfinished_one_that_did_nothing(known: settings.Settings) -> None:
    first = record.create(known)
    record.create(known)
    assert first.is_sealed


def test_a_new_run_waits_for_one_that_is_committed_and_unverified(
    known: settings.Settings,
) -> None:
    record.create(known).journal(Event.COMMITTED)
    with pytest.raises(RecordError, match="COMMITTED_UNVERIFIED"):
        record.create(known)


def test_a_second_runner_is_refused(known: settings.Settings, monkeypatch: Any) -> None:
    with record.at_work(known):
        record.create(known)  # the runner's own kernels know its token
        monkeypatch.setenv(RUNNER_VARIABLE, "another")
        for refused in (record.create, record.find):
            with pytest.raises(Busy, match="at work"):
                refused(known)
        with pytest.raises(Busy, match="at work"), record.at_work(known):
            pass


def test_every_verdict_of_a_journal_has_an_exit_code_of_the_readmes_table() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    codes = {int(code) for code in re.findall(r"^\| (\d) \|", readme, re.MULTILINE)}
    assert set(Verdict) - EXIT_CODES.keys() == {Verdict.RUNNING}
    assert set(EXIT_CODES.values()) <= codes
    assert [v for v, code in EXIT_CODES.items() if code == 6] == [Verdict.WAITING]


def test_two_who_look_at_once_do_not_take_each_other_for_the_run(known: settings.Settings) -> None:
    run = record.create(known)
    with run.at_work():
        (path,) = (run.private / WORKERS).iterdir()
        assert run.standing() is Verdict.RUNNING
    assert run.standing() is Verdict.PARTIAL
    path.touch()  # as a kill leaves it
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert run.workers() == ()
    with run.stage("plan"):
        assert run.workers() == (os.getpid(),)
    assert run.workers() == ()


def test_a_value_is_kept_under_the_name_of_its_type(known: settings.Settings) -> None:
    run = record.create(known)
    found = Outlook(unproven="no server")
    run.save(found)
    assert run.has(Outlook)
    assert run.load(Outlook) == found
    assert (run.folder / "outlook.json").is_file()
    assert "outlook" in run.kept()


def test_a_type_with_several_files_is_asked_for_by_name(known: settings.Settings) -> None:
    run = record.create(known)
    run.save(Report("after", ()), "checks_after")
    assert run.has(Report, "checks_after")
    assert not run.has(Report, "checks_before")
    for name in ("", "plan"):
        with pytest.raises(LookupError, match="Report is kept as checks_before or"):
            run.load(Report, name)
    with pytest.raises(LookupError, match="dict is kept as nothing"):
        run.save({})


def test_no_name_is_of_two_types_and_every_step_that_makes_void_has_one() -> None:
    names = [name for several in NAMES.values() for name in several]
    assert len(set(names)) == len(names)
    assert {*steps.ORDER, *steps.ROLLBACK_ORDER} <= set(names)
