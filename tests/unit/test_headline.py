"""What became of a run, in one line: the same on the page, in its record, and on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import record, show
from nexus_reimport.events import Event
from nexus_reimport.page import history, outcome
from nexus_reimport.record import Run, headline, journal, verdict
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.sealed import bag, index
from nexus_reimport.runner import notebook
from nexus_reimport.settings import Settings


@pytest.fixture(autouse=True)
def _here(environment_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environments of these tests alone."""
    from nexus_reimport.settings import FOLDER_VARIABLE

    monkeypatch.setenv(FOLDER_VARIABLE, str(environment_files))


def event(name: str, **facts: Any) -> Entry:
    return Entry.of({"event": name, **facts})


OPENED, ROLLBACK = event("opened"), event("opened", kind="rollback")
UNDOES = event("rollback", undoes="20260301T020000Z-ab12")
STOPPED = event("failed", stage="plan", exit_code=1)
PROPOSED, GIVEN = event("finished", stage="proposal"), event("finished", stage="approval")
APPLY = event("started", stage="apply")
COMMITTED, VERIFIED = event("committed"), event("verified")


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([OPENED], "PARTIAL: not finished; nothing was written"),
        ([OPENED, event("sealed")], "PARTIAL: it was given up; nothing was written"),
        ([PROPOSED, event("sealed")], "PARTIAL: it was given up; nothing was written"),
        ([PROPOSED, GIVEN], "PARTIAL: approved, not executed; nothing was written"),
        ([PROPOSED], "WAITING: nobody has approved it yet; nothing was written"),
        ([STOPPED], "NO-GO: it was stopped; nothing was written"),
        ([PROPOSED, STOPPED], "STOPPED: nothing was written"),
        ([event("failed", stage="plan", exit_code=3)], "FAILED: nothing was written"),
        ([event("started", stage="plan")], "KILLED: it was interrupted; nothing was written"),
        ([APPLY], "IN DOUBT: its journal does not say whether it was committed"),
        ([COMMITTED], "COMMITTED, NOT VERIFIED: the checks after COMMIT come next"),
        (
            [COMMITTED, event("started", stage="checks_after")],
            "COMMITTED, NOT VERIFIED: its verification was broken off; a person must decide",
        ),
        (
            [COMMITTED, event("finished", stage="checks_after")],
            "COMMITTED, NOT VERIFIED: its checks were made, and nobody has signed off;"
            " a person must decide",
        ),
        (
            [COMMITTED, event("failed", stage="sign_off", what="2 checks failed", exit_code=1)],
            "COMMITTED, NOT VERIFIED: 2 checks failed; a person must decide",
        ),
        (
            [event("failed", stage="02_execute", what="busy", exit_code=1), COMMITTED],
            "COMMITTED, NOT VERIFIED: the checks after COMMIT come next",
        ),
        (
            [COMMITTED, event("sealed")],
            "COMMITTED, NOT VERIFIED: its record was closed before; a person must decide",
        ),
        ([event("committed", rows=3), VERIFIED], "COMPLETE: reimported and verified"),
        (
            [event("committed", rows=0), VERIFIED],
            "COMPLETE: verified; all was already as imported, and no row had to be written",
        ),
        (
            [event("opened", kind="relink"), event("committed", rows=0), VERIFIED],
            "COMPLETE: verified; all was already linked so, and no link had to be written",
        ),
        ([COMMITTED, event("undone")], "UNDONE: it was committed, and taken back since"),
        ([COMMITTED, VERIFIED], "COMPLETE: reimported and verified"),
        (
            [event("opened", kind="relink"), COMMITTED, VERIFIED],
            "COMPLETE: linked anew and verified",
        ),
        ([ROLLBACK, UNDOES, STOPPED], "STOPPED: nothing was taken back"),
        ([ROLLBACK, UNDOES, event("sealed")], "PARTIAL: it was given up; nothing was taken back"),
        (
            [ROLLBACK, UNDOES, event("started", stage="undo")],
            "IN DOUBT: its journal does not say whether the run was taken back",
        ),
        (
            [ROLLBACK, UNDOES, COMMITTED],
            "TAKEN BACK, NOT VERIFIED: the checks after COMMIT come next",
        ),
        (
            [ROLLBACK, UNDOES, COMMITTED, VERIFIED],
            "COMPLETE: run 20260301T020000Z-ab12 was undone, and verified",
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_each_verdict_is_one_sentence(entries: list[Entry], text: str) -> None:
    assert headline.of(entries, verdict.judge(entries)) == text


def everywhere(run: Run) -> dict[str, str]:
    """What each place says of the run."""
    index.write(run.bag.parent)
    return {
        "the page": outcome.of(run).headline,
        "the page of the run": history.past(run, {}).headline,
        "the readme": (run.bag / bag.README).read_text(),
        "the list of records": (run.bag.parent / index.FILE).read_text().lower(),
        "a terminal": show.summary(run),
    }


def test_a_run_that_was_given_up_is_called_so_everywhere(known: Settings) -> None:
    """Its record said that nobody has approved it, and the page that it was given up."""
    run = record.create(known)
    run.journal(Event.FINISHED, stage="proposal")
    run.seal()
    assert [place for place, text in everywhere(run).items() if "it was given up" not in text] == []


def test_a_killed_run_says_so_everywhere_with_the_stage_and_what_is_next(
    known: Settings,
) -> None:
    """Of a kill nothing was told but the word: not where, nor what was left, nor what is next."""
    run = record.create(known)
    run.journal(Event.STARTED, stage="snapshot")
    run.journal(Event.FINISHED, stage="snapshot")
    run.journal(Event.STARTED, stage="rehearsal")
    killed = "it was killed, or its machine stopped, during “rehearsal”"
    error = notebook.last_error(run)
    assert error.splitlines()[0] == killed
    assert "state: the database is as it was" in error
    assert "next:  nexus-reimport run sandbox-dev begins a new run" in error
    assert outcome.of(run).error == error
    with run.at_work():
        assert notebook.last_error(run) == "", "a process works on it"
    run.seal()
    said = everywhere(run)
    assert [place for place, text in said.items() if "it was interrupted" not in text] == []
    assert killed in said["the readme"]


@pytest.mark.parametrize(
    ("stage", "state", "todo"),
    [
        ("apply", "as it was, or holds everything", "nexus-reimport settle sandbox-dev"),
        ("checks_after", "reimported, and not verified yet", "nexus-reimport finish sandbox-dev"),
        ("sign_off", "reimported, and not verified yet", "nexus-reimport finish sandbox-dev"),
    ],
)
def test_a_run_that_was_killed_at_or_after_its_commit_says_what_is_left(
    known: Settings, stage: str, state: str, todo: str
) -> None:
    run = record.create(known)
    if stage != "apply":
        run.journal(Event.COMMITTED)
    run.journal(Event.STARTED, stage=stage)
    what, *rest = notebook.last_error(run).splitlines()
    assert what.startswith("it was killed, or its machine stopped, during “")
    assert state in rest[1]
    assert todo in rest[2]


def test_a_kill_after_a_failure_is_what_is_told_last(known: Settings) -> None:
    run = record.create(known)
    run.journal(Event.COMMITTED)
    run.journal(Event.FAILED, stage="checks_after", what="1 check failed", state="s", exit_code=4)
    assert notebook.last_error(run).startswith("1 check failed")
    run.journal(Event.STARTED, stage="checks_after")
    assert notebook.last_error(run).startswith("it was killed")
    assert journal.broken_off(run.events()) == ["checks_after"]
    run.journal(Event.FINISHED, stage="checks_after")
    run.journal(Event.VERIFIED)
    assert notebook.last_error(run) == ""


def test_a_run_that_nobody_goes_on_with_says_after_which_step(known: Settings) -> None:
    """Killed between two steps, it looked as if it had been given up on purpose."""
    run = record.create(known)
    run.journal(Event.COMMITTED)
    run.journal(Event.FINISHED, stage="apply")
    what, *rest = notebook.last_error(run).splitlines()
    assert what == (
        "nobody is at work on it, and it is not finished: its last step that ended is “reimport”"
    )
    assert "finish sandbox-dev" in rest[-1]


def test_what_was_made_good_ends_no_complete_record(known: Settings) -> None:
    """A run that was in doubt, then found committed and verified, was told as ended by the loss."""
    run = record.create(known)
    run.journal(Event.FAILED, stage="apply", what="the connection was lost", kind="InDoubt")
    run.journal(Event.SETTLED, committed=True)
    run.journal(Event.VERIFIED)
    run.seal()
    readme = (run.bag / bag.README).read_text()
    assert "COMPLETE, without pages: reimported and verified." in readme
    assert "It ended with" not in readme
