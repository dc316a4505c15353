"""What the page says a run would do, did, or has taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import model, record, show
from nexus_reimport import settings as environments
from nexus_reimport.events import Event
from nexus_reimport.model import (
    Applied,
    Ground,
    NewerDecision,
    Rehearsal,
    RollbackPreview,
    RollbackProposal,
    Undone,
)
from nexus_reimport.nexus.changes import NewerRows, Since
from nexus_reimport.page import front, gates, outcome, status, way_back
from nexus_reimport.page.desk import Desk
from nexus_reimport.page.readings import Reading
from nexus_reimport.record import Verdict
from nexus_reimport.settings import Settings, Write
from support.page_alone import START, rendered
from support.shown import PATIENTS, PLAN, REPORT

REHEARSAL = Rehearsal(Ground.COPY, {}, 0.8, 9.0, REPORT, undo_waited=1.2)

APPLIED = Applied(
    True, START, {"patients": 2867}, {"patients": 2879}, {"documents": 3}, {}, 0.5, {}, REPORT
)


@pytest.mark.parametrize(
    ("newer", "told"),
    [
        ("keep", "before it, except what people have created or changed since, which stays. Doc"),
        ("discard", "before it; what people have written since is given up. Documents"),
        ("keep", "which stays; what they have deleted since comes back. Documents"),
        ("discard", "is given up; what they have deleted since comes back. Documents"),
        ("", "before it. Documents"),
    ],
)
def test_the_way_back_says_what_becomes_of_what_people_have_written_since(
    newer: str, told: str
) -> None:
    deleted = 3 if "deleted" in told else 0
    one = NewerRows("patients", 1 if newer else 0, 0, deleted, ())
    added = NewerRows("documents_document", 3, 0, 2, (), 0)
    seen = RollbackPreview(
        undoes="20261127T004112Z-f37b",
        kind="reimport",
        committed_at=START,
        newer=NewerDecision(newer),
        schema={},
        now={},
        since=Since((one, added), ()),
        rows_before={"patients": 1},
        rows_now={"patients": 2},
        links={"documents": 1},
        saved={},
    )
    asked = RollbackProposal("dev", seen.undoes, seen.newer, "", seen.schema, {}, seen.since)
    look = way_back.WayBack(seen, asked, "patients")
    reading = Reading(lambda: look)
    reading.value, reading.at = look, START
    shown = SimpleNamespace(
        look=reading,
        status=SimpleNamespace(value=None),
        way_back=way_back.gates(look, busy=False),
        form=front.Form(),
        is_busy=False,
    )
    head = SimpleNamespace(word="DEV")
    text = rendered("way_back.html", it=shown, head=head, zone=ZoneInfo("UTC"), front="", xsrf="")
    assert told in text
    assert "No document and no image is deleted, and their links stay as they are." in text
    assert ("give it up" in text) is bool(newer)
    assert ("What was deleted since, and existed before the run, comes back" in text) is (
        deleted > 0
    )
    assert "1 document." in text


def test_after_a_run_that_was_stopped_nobody_is_told_to_start_the_same_again(
    known: Settings, environment_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environments.FOLDER_VARIABLE, str(environment_files))
    run = record.create(known)
    assert front.gather(Desk("sandbox-dev")).next == "Start a dry run."
    run.journal(Event.STARTED, stage="checks_before")
    run.journal(Event.FAILED, stage="checks_before", exit_code=1, what="1 check failed")
    assert run.verdict() is Verdict.STOPPED
    told = "See why the last run was stopped, settle that, then start a dry run."
    assert front.gather(Desk("sandbox-dev")).next == told
    run.journal(Event.FAILED, stage="checks_before", exit_code=3, what="the server is gone")
    assert front.gather(Desk("sandbox-dev")).next.startswith(
        "See why the last run failed, settle that"
    )


@pytest.fixture
def planned(known: Settings) -> record.Run:
    """A run whose plan deletes and keeps, and which was rehearsed."""
    run = record.create(known)
    model.save(planned_by(purged=12), run.folder / "plan.json")
    model.save(REHEARSAL, run.folder / "rehearsal.json")
    return run


def planned_by(*, purged: int) -> model.Plan:
    decided = tuple(u for u in PATIENTS.unmatched if u.decision)
    return replace(PLAN, entities={"patients": replace(PATIENTS, purged=purged, unmatched=decided)})


def test_rows_that_nobody_has_decided_about_are_not_called_kept(known: Settings) -> None:
    """It said "Deletes for good: nothing" of rows that may go, at the page and at the terminal."""
    run = record.create(known)
    model.save(PLAN, run.folder / "plan.json")
    text = dry_run(run)
    assert "what Nexus alone has: 12 patients ;" in text
    assert "keep, or delete for good (purge): 25 patients; FileMaker&#39;s or Nexus&#39;s" in text
    assert "nothing, but for what is not decided" in text
    assert "2,879 patients , if all that is not decided is kept" in text
    facts = dict(show.facts(run))
    assert facts["not decided"].startswith("keep, or delete for good (purge): 25 patients; ")
    assert "25" not in next(text for name, text in facts.items() if name.endswith("keep"))


def test_the_warning_above_the_button_names_what_is_deleted_for_good_and_what_stays(
    planned: record.Run,
) -> None:
    """It said that all patient data is replaced, of a plan that keeps 37 patients of 2,867."""
    shown = SimpleNamespace(
        outcome=outcome.of(planned), waiting=planned, gates=gates.Gates(()), form=front.Form()
    )
    head = SimpleNamespace(word="DEV", environment="dev")
    text = rendered("reimport.html", it=shown, head=head, front="", xsrf="")
    assert "Deleted for good , since FileMaker does not bring it back: 12 patients" in text
    assert "What Nexus alone has stays: 37 patients" in text
    replaced = (
        "what Nexus has and FileMaker, or a rule, replaces or clears: 10 values of patients ("
    )
    assert replaced in dry_run(planned)


def test_a_self_test_that_was_made_on_dev_is_told_as_that_of_dev(planned: record.Run) -> None:
    """The summary of a run on prod told it as its own."""
    trials = (model.Trial("a kind", "what it means", "rows", 1, ("a check",)),)
    for environment, where in ((planned.environment, ""), ("sandbox-x", " Made on sandbox-x, in")):
        model.save(
            model.SelfTest(environment, planned.id, ("a check",), trials, 1.0),
            planned.folder / "self_test.json",
        )
        told = dict(show.facts(planned))["self-test"]
        assert told.startswith(f"1 kind of corruption: 1 caught, 0 missed.{where}"), told
        assert ("Made on" in told) is bool(where)


def test_what_a_run_whose_counts_were_lost_has_done_is_not_told_by_its_rehearsal(
    planned: record.Run,
) -> None:
    """The page said that saving had waited as long as it did in the rehearsal."""
    assert "saving waits for about 0.8 s" in dry_run(planned)
    planned.journal(Event.COMMITTING)
    planned.journal(Event.SETTLED, committed=True)
    planned.journal(Event.VERIFIED)
    text = dry_run(planned)
    assert "how long saving waited is not known" in text
    assert "as planned; the run’s own counts were lost" in text
    model.save(replace(APPLIED, writers_waited=0.7), planned.folder / "applied.json")
    assert "saving waited 0.70 s at most" in (text := dry_run(planned))
    assert "lost" not in text


@pytest.mark.parametrize("name", ["plan", "rehearsal", "checks_before", "proposal", "approval"])
def test_a_value_that_was_changed_is_told_and_takes_neither_the_page_nor_the_way_back(
    known: Settings, planned: record.Run, name: str
) -> None:
    """One of the last run made an error of the whole page, with no word of the others."""
    planned.journal(Event.STARTED, stage="proposal", pid=1)
    planned.journal(Event.FINISHED, stage="proposal")
    assert planned.verdict() is record.Verdict.WAITING
    (planned.folder / f"{name}.json").write_text("{}")
    text = dry_run(planned)
    assert f"cannot be read back: {name}.json. What it would tell is missing here." in text
    assert "NO-GO: its record was changed; it cannot be approved" in text
    assert "GO, once" not in text
    assert outcome.of(planned).digest == ""
    assert status.waiting(known) is None


def test_a_value_that_was_forged_after_the_seal_is_told_and_not_shown(planned: record.Run) -> None:
    """It could be read back, and the page told its numbers as those of the run."""
    planned.seal()
    assert "cannot be read back" not in dry_run(planned)
    forged = replace(planned.load(Rehearsal), writers_waited=77.7)
    model.save(forged, planned.folder / "rehearsal.json")
    text = dry_run(planned)
    assert "cannot be read back: rehearsal.json. What it would tell is missing here." in text
    assert "77.7" not in text


def dry_run(run: record.Run) -> str:
    """What the page says of a run under Dry run."""
    shown = SimpleNamespace(outcome=outcome.of(run))
    head = SimpleNamespace(environment="dev", user="")
    return rendered("dry_run.html", it=shown, head=head, front="", xsrf="")


def test_a_dry_run_after_which_every_row_is_as_before_says_so(planned: record.Run) -> None:
    proposal = model.Proposal("dev", "a", "b", "c", "d", "e", "f", {}, {}, write=Write.DIFFERENCES)
    told = "; no row has to be written for it: all are already so"
    for writes, is_told in ((Write.DIFFERENCES, True), (Write.ALL, False)):
        model.save(replace(proposal, write=writes), planned.folder / "proposal.json")
        assert (told in dry_run(planned)) is is_told


def test_the_page_says_which_run_a_rollback_has_taken_back_and_what_stayed(
    known: Settings,
) -> None:
    run = record.create(known, undoes="20261127T004112Z-f37b")
    newer = Since((NewerRows("patients", 1, 0, 0, ()),), ())
    done = Undone(
        committed=True,
        at=START,
        undoes=run.undoes,
        exact=False,
        deleted={},
        put_back={"patients": 3},
        relinked={},
        since=newer,
        after={},
        writers_waited=0.4,
        timings={},
        report=REPORT,
        newer=NewerDecision.KEEP,
    )
    model.save(done, run.folder / "undone.json")
    run.journal(Event.COMMITTED)
    run.journal(Event.VERIFIED)
    assert (
        "Run 20261127T004112Z-f37b was taken back. The data is as before it: yes, except what"
        " people have written since the run (created or changed: 1 patient)."
    ) in dry_run(run)
