"""A record cannot lie: the verdict comes from the journal, and each run is told from the others."""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import secrets
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import CHECKOUT, record, settings, show
from nexus_reimport.errors import Busy, RecordError, StopError, TargetError
from nexus_reimport.events import Event
from nexus_reimport.model import Approval, Outlook, Plan, Report
from nexus_reimport.record import Verdict
from nexus_reimport.record.journal import JOURNAL, Entry
from nexus_reimport.record.lock import RUNNER_VARIABLE, WORKERS
from nexus_reimport.record.notebooks import marks
from nexus_reimport.record.values import NAMES
from nexus_reimport.record.verdict import EXIT_CODES, judge
from nexus_reimport.runbook import steps
from nexus_reimport.runner import advice
from support.running import killed_after


def event(name: str, **facts: Any) -> Entry:
    return Entry.of({"event": name, **facts})


PROPOSED = event("finished", stage="proposal")
STARTED, DONE = event("started", stage="apply"), event("finished", stage="apply")


@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        ([event("opened")], Verdict.PARTIAL),
        ([event("started", stage="plan")], Verdict.KILLED),
        (
            [event("started", stage="plan"), event("failed", stage="plan", exit_code=1)],
            Verdict.STOPPED,
        ),
        (
            [event("started", stage="plan"), event("failed", stage="plan", exit_code=3)],
            Verdict.FAILED,
        ),
        (
            [
                event("started", stage="plan"),
                event("failed", stage="plan", exit_code=1),
                event("started", stage="plan"),
                event("finished", stage="plan"),
            ],
            Verdict.PARTIAL,
        ),
        (
            [
                event("failed", stage="plan", exit_code=1),
                event("failed", stage="01_preflight", killed=True),
                event("finished", stage="plan"),
            ],
            Verdict.KILLED,
        ),
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
        (
            [
                STARTED,
                event("settled", committed=False),
                STARTED,
                event("failed", stage="apply", kind="InDoubt", exit_code=5),
            ],
            Verdict.IN_DOUBT,
        ),
        (
            [
                STARTED,
                event("committing"),
                event("failed", stage="apply", killed=True, exit_code=3),
            ],
            Verdict.IN_DOUBT,
        ),
        (
            [
                STARTED,
                event("committing"),
                event("not committed"),
                event("failed", stage="apply", exit_code=3),
            ],
            Verdict.FAILED,
        ),
        (
            [STARTED, event("committed"), event("failed", stage="apply", killed=True, exit_code=3)],
            Verdict.COMMITTED_UNVERIFIED,
        ),
        (
            [
                STARTED,
                event("committed"),
                DONE,
                event("verified"),
                event("failed", stage="sign_off", exit_code=1),
            ],
            Verdict.COMMITTED_UNVERIFIED,
        ),
        ([STARTED, event("settled", committed=True)], Verdict.COMMITTED_UNVERIFIED),
        ([STARTED, event("failed", stage="apply", kind="InDoubt", exit_code=5)], Verdict.IN_DOUBT),
        ([STARTED, event("failed", stage="apply", exit_code=3)], Verdict.FAILED),
        ([STARTED, event("committed"), DONE], Verdict.COMMITTED_UNVERIFIED),
        (
            [STARTED, event("committed"), DONE, event("failed", stage="sign_off", exit_code=1)],
            Verdict.COMMITTED_UNVERIFIED,
        ),
        ([STARTED, event("committed"), DONE, event("verified")], Verdict.COMPLETE),
    ],
)
def test_the_verdict_is_what_the_journal_says(events: list[Entry], verdict: Verdict) -> None:
    assert judge(events) is verdict


def test_a_run_has_a_private_folder_that_nobody_else_can_enter(known: settings.Settings) -> None:
    run = record.create(known)
    for place in (run.bag, run.folder, run.private, run.private.parent):
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


def test_two_runs_of_one_second_have_two_ids(
    known: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["aaaa", "aaaa", "aaaa", "bbbb", *map(str, range(1000, 9999))])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(drawn))
    ids = {record.create(known).id for _ in range(20)}
    assert len(ids) == 20


def test_a_kill_at_any_instant_leaves_no_rollback_that_does_not_say_what_it_undoes(
    known: settings.Settings,
) -> None:
    """Such a one was told as to be begun again by a new reimport."""
    left = set()
    for after in itertools.count():
        shutil.rmtree(known.folders.runs, ignore_errors=True)
        killed = killed_after(after, lambda: record.create(known, "rollback", undoes="a-run"))
        left.add(tuple((one.kind, one.again) for one in record.open_runs(known)))
        if not killed:
            break
    assert left == {(), (("rollback", "nexus-reimport rollback a-run"),)}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}\n"])
def test_a_rollback_whose_journal_was_emptied_before_its_first_step_is_still_one(
    known: settings.Settings, content: bytes
) -> None:
    """It was told as a reimport, to be begun again by one."""
    back = record.create(known, "rollback", undoes="a-run")
    (back.folder / JOURNAL).write_bytes(content)
    assert (back.kind, back.undoes) == ("rollback", "a-run")
    assert (back.verdict(), back.again) == (Verdict.IN_DOUBT, "nexus-reimport rollback a-run")
    other = record.create(known.model_copy(update={"name": "other"}))
    (other.folder / JOURNAL).write_bytes(content)
    assert (other.kind, other.undoes) == ("reimport", "")
    (back.folder / "environment.json").write_text("[]")
    assert back.kind == "reimport"


def test_beside_a_killed_rollback_an_empty_run_id_means_the_run_that_must_be_finished(
    known: settings.Settings,
) -> None:
    """`nexus-reimport finish ENV`, as every message prints it, named two open runs instead."""
    run = record.create(known)
    run.journal(Event.COMMITTED)
    back = record.create(known, "rollback", undoes=run.id)
    back.journal(Event.STARTED, stage="back_up")
    assert back.verdict() is Verdict.KILLED
    assert record.find(known) == record.unfinished(known) == run
    back.journal(Event.COMMITTED)  # its end closes the other
    assert record.find(known) == record.unfinished(known) == back


def test_an_empty_run_id_means_the_one_open_run(known: settings.Settings) -> None:
    with pytest.raises(RecordError, match="no open run"):
        record.find(known)
    run = record.create(known)
    assert record.find(known) == run
    copy = shutil.copytree(run.bag, run.bag.with_name("other"))
    assert record.find(known) == run  # a copy is no other run
    path = copy / "data" / JOURNAL
    path.write_bytes(path.read_bytes().replace(run.id.encode(), b"other"))
    with pytest.raises(RecordError, match="2 open runs"):
        record.find(known)
    assert record.find(known, run.id) == run
    for name in ("nothing", "../sandbox-prod", ""):
        if name:
            with pytest.raises(RecordError, match="no run"):
                record.find(known, name)


def test_a_new_run_seals_an_unfinished_one_that_did_nothing(known: settings.Settings) -> None:
    first = record.create(known)
    assert not show.banner(first).screen.closed
    second = record.create(known)
    assert first.is_sealed
    told = f"Run {first.id}, which was PARTIAL, was closed when this one began."
    assert told in repr(show.banner(second))
    assert told in show.banner(second)._repr_html_()
    second.journal(Event.FINISHED, stage="proposal")
    third = record.create(known)
    assert show.banner(third).screen.closed == (
        f"Run {second.id}, which was WAITING, was closed when this one began;"
        " its approval can no longer be given."
    )


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


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        (Plan, "", "no plan yet / 01_preflight"),
        (Approval, "", "no approval yet / 02_execute"),
        (Report, "checks_after", "no checks after yet / 03_verify"),
    ],
)
def test_a_value_that_is_not_there_yet_names_the_page_that_gives_it(
    known: settings.Settings,
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    name: str,
    told: str,
) -> None:
    """Who begins with 02 is led back to 01, and not in a circle from the top of 02."""
    run = record.create(known)
    what, page = told.split(" / ")
    with pytest.raises(RecordError, match=f"run {run.id} has {what}") as error:
        run.load(kind, name)
    assert error.value.next.startswith(f"run {page} from the top, which gives it; then this page")
    monkeypatch.setenv("JPY_SESSION_NAME", f"/lab/{page}.ipynb")
    with pytest.raises(RecordError) as error:
        run.load(kind, name)
    assert error.value.next == "run this page from the top, which gives it", (
        "once, and no second time"
    )


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


@pytest.mark.parametrize(
    ("next_step", "told"),
    [
        ("check the network, then run this step again", "check the network, then {}"),
        ("run this step again: it opens a new connection", "{}: it opens a new connection"),
        ("correct it; then run 03_verify again", "correct it; then {}"),
        ("run 01_preflight again (nexus-reimport run x): …", None),
    ],
)
@pytest.mark.parametrize("committed", [False, True])
def test_a_step_that_the_runner_executes_is_never_to_be_run_again(
    known: settings.Settings,
    monkeypatch: pytest.MonkeyPatch,
    next_step: str,
    told: str | None,
    *,
    committed: bool,
) -> None:
    run = record.create(known)
    if committed:
        run.journal(Event.COMMITTED)
    monkeypatch.setenv(marks.PAGE_VARIABLE, str(run.private))
    with pytest.raises(TargetError) as raised, run.stage("verify"):
        raise TargetError("the connection was lost", next=next_step)
    finish = f"finish it (nexus-reimport finish {run.environment})"
    begin = f"begin again (nexus-reimport run {run.environment})"
    wanted = told.format(finish if committed else begin) if told else next_step
    assert raised.value.next == run.events()[-1].text("next") == wanted
    monkeypatch.delenv(marks.PAGE_VARIABLE)
    with pytest.raises(TargetError, match=re.escape(next_step)), run.stage("verify"):
        raise TargetError("the connection was lost", next=next_step)


@pytest.mark.parametrize("page", ["01_preflight", "90_rollback"])
def test_under_the_runner_a_first_page_is_begun_again_by_the_command(
    known: settings.Settings, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """A person at a terminal runs no page; of a committed run the page is another run."""
    run = record.create(known)
    fix = f"fix the cause, then run {page} again: it shows more"
    assert run.as_told(StopError("x", next=fix)).next == fix
    monkeypatch.setenv(marks.PAGE_VARIABLE, str(run.private))
    begin = f"begin again (nexus-reimport run {run.environment})"
    assert (
        run.as_told(StopError("x", next=fix)).next == f"fix the cause, then {begin}: it shows more"
    )
    run.journal(Event.COMMITTED)
    assert run.as_told(StopError("x", next=fix)).next == fix


COMMITTED, SENT = Event.COMMITTED, Event.COMMITTING


@pytest.mark.parametrize(
    ("kind", "event", "is_open", "is_sealed"),
    [
        ("reimport", COMMITTED, advice.UNVERIFIED, advice.CLOSED),
        ("relink", COMMITTED, advice.UNVERIFIED, advice.CLOSED),
        ("rollback", COMMITTED, advice.ROLLBACK_UNVERIFIED, advice.ROLLBACK_CLOSED),
        ("reimport", SENT, advice.IN_DOUBT, ""),
        ("rollback", SENT, advice.IN_DOUBT, ""),
        ("reimport", Event.OPENED, "", ""),
    ],
)
def test_what_a_person_must_decide_names_the_run_and_its_folders_as_they_are(
    environment_files: Path, kind: str, event: Event, is_open: str, is_sealed: str
) -> None:
    """In a folder called RECORDS, the word RECORD was replaced once more."""
    path = environment_files / "sandbox-dev.toml"
    text = path.read_text().replace("../../private", "ENV/RUN/RECORDS")
    path.write_text(text.replace("../../", ""))
    known = settings.load("sandbox-dev", environment_files)
    undoes = "a-run" if kind == "rollback" else ""
    run = record.create(known, kind, undoes=undoes)
    run.journal(event)
    ids = {"reimport": run.id, "relink": run.id, "rollback": undoes}
    asked = advice.advice(run.verdict(), run)
    assert asked.splitlines()[:1] == is_open.splitlines()[:1]
    places = {f"restore {ids[kind]} --into": "RUN --into", f"{run.private}/nexus.dump": "PRIVATE"}
    for place, of in places.items():
        assert (place in asked) is (of in is_open)
    run.seal()
    assert advice.advice(run.verdict(), run).splitlines()[:1] == is_sealed.splitlines()[:1]
