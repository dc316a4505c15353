"""The first screen of a page: it says what the record holds, and never more."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest

from nexus_reimport import checks, model, show
from nexus_reimport.events import Event
from nexus_reimport.model import (
    Applied,
    Approval,
    Drift,
    Ground,
    Level,
    Outlook,
    Proposal,
    Refusal,
    Rehearsal,
    Report,
    Result,
    Undone,
    UnmatchedRows,
)
from nexus_reimport.nexus.changes import Since
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.record import journal, values
from nexus_reimport.record.notebooks import attention, first_screen, rendering
from nexus_reimport.record.notebooks.first_screen import FirstScreen
from nexus_reimport.record.sealed import front, index
from nexus_reimport.settings import Cause, Write
from support.markup import heading_levels, jumps, tags
from support.shown import PLAN, REPORT

AT = datetime(2026, 3, 1, 2, 5, tzinfo=UTC)
SAME = {"patients": Fingerprint(3, "ab" * 16)}
PASSED = Report("before", REPORT.results[:1])
PROPOSAL = Proposal("dev", "a", "b", "c", "d", "e", "f", SAME, SAME, "77c8db34ca75" * 5)
REHEARSAL = Rehearsal(
    Ground.COPY, SAME, 1.6, 9.0, PASSED, times={"undo": 1.7}, where="127.0.0.1", undo_waited=1.2
)
APPROVAL = Approval(PROPOSAL.digest, "root", "digest given", AT, "A. Person", "agreed")
APPLIED = Applied(
    True, AT, {"patients": 2867}, {"patients": 2879}, {"documents": 3}, SAME, 0.5, {}, PASSED
)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """The payload of a run that has just been opened."""
    folder = tmp_path / "dev" / "20260301T020000Z-ab12" / "data"
    folder.mkdir(parents=True)
    server = {"database": "nexus_dev", "host": "127.0.0.1"}
    settings = {"kind": "dev", "sandbox": True, "postgres": server}
    (folder / "environment.json").write_text(json.dumps(settings))
    journal.append(folder, Event.OPENED, kind="reimport")
    return folder


def has(folder: Path, *values: object, checks: Report | None = None) -> None:
    """The record has these values, as their stages leave them."""
    for value in values:
        model.save(value, folder / f"{type(value).__name__.lower()}.json")
    if checks:
        model.save(checks, folder / "checks_before.json")


def proposed(folder: Path) -> None:
    has(folder, PLAN, REHEARSAL, PROPOSAL, Outlook(), checks=PASSED)
    journal.append(folder, Event.FINISHED, stage="proposal")


def failed(folder: Path, stage: str, what: str, **more: object) -> None:
    facts = {"what": what, "kind": "StopError", "exit_code": 1, "next": "fix it", **more}
    journal.append(folder, Event.FAILED, stage=stage, **facts)


def line(screen: FirstScreen, name: str) -> str:
    return next((found.text for found in screen.lines if found.name == name), "")


def test_the_banner_names_environment_database_and_run_and_says_that_a_clinic_is_made_up(
    record: Path,
) -> None:
    banner = first_screen.read(record).banner
    assert banner == "DEV · nexus_dev on 127.0.0.1 · run 20260301T020000Z-ab12 · made-up clinic"
    (record / "environment.json").unlink()
    assert first_screen.read(record).banner == "DEV · run 20260301T020000Z-ab12"


def test_before_anything_was_read_nothing_is_decided(record: Path) -> None:
    screen = first_screen.read(record)
    assert screen.headline.startswith("NOT DECIDED")
    assert [found.name for found in screen.lines] == ["undo", "approved by"]


def test_the_cause_is_told_and_not_what_a_later_step_lacks_by_it(record: Path) -> None:
    """Who went on in JupyterLab after the error read "has no survey yet" first."""
    failed(record, "survey", "PostgreSQL could not be reached", kind="TargetError", exit_code=3)
    failed(record, "plan", "run 1 has no survey yet", kind="NotNow", exit_code=2)
    assert "PostgreSQL could not be reached; " in first_screen.read(record).headline
    journal.append(record, Event.FINISHED, stage="survey")
    assert "has no survey yet; " in first_screen.read(record).headline


def test_a_proposal_is_a_go_for_its_digest(record: Path) -> None:
    proposed(record)
    screen = first_screen.read(record)
    assert (screen.headline, screen.tone) == ("GO, once somebody approves 77c8db34ca75", "good")
    assert line(screen, "reimports") == "2,842 patients"
    assert line(screen, "links anew") == "3 links of documents"
    assert line(screen, "keeps").startswith("what Nexus alone has: 12 patients; all 10,190 docu")
    assert line(screen, "not decided") == (
        "keep, or delete for good (purge): 25 patients; FileMaker's or Nexus's: 7 values of"
        " patients (dob); as it is, or as a rule says: 4 values of patients (past_is_completed)"
    )
    assert line(screen, "loses") == (
        "10 values of patients (contact_json.phones 4, status 4, dob 2); besides the rows' own"
        " time stamps: 9 values of patients (created_at)"
    )
    assert line(screen, "undo") == "proven on a restored copy: 1.7 s"
    assert line(screen, "writers wait") == "about 1.6 s, as in the rehearsal"
    assert line(screen, "approved by") == "nobody yet"


def test_a_go_whose_approval_would_be_refused_says_so_and_why(record: Path) -> None:
    proposed(record)
    has(record, Outlook((Refusal("dev has no COMPLETE run", "run dev first"),)))
    screen = first_screen.read(record)
    assert "is refused until 1 thing is fixed" in screen.headline
    assert screen.tone == "look"
    assert line(screen, "look at this").startswith("dev has no COMPLETE run")


def test_each_thing_to_look_at_stands_on_a_line_of_its_own(record: Path) -> None:
    proposed(record)
    has(record, Outlook(tuple(Refusal(f"reason {n} <b>", "fix it") for n in (1, 2))))
    screen = first_screen.read(record)
    assert '<div class="point">reason 1 &lt;b&gt;</div><div class="point">' in screen.as_html()
    lines = screen.as_text().splitlines()
    at = next(n for n, text in enumerate(lines) if "reason 1" in text)
    assert lines[at + 1].index("reason 2") == lines[at].index("reason 1")


def test_a_check_that_stops_the_run_is_a_no_go(record: Path) -> None:
    has(record, PLAN, checks=REPORT)
    failed(record, "rehearsal", "1 check failed")
    screen = first_screen.read(record)
    assert screen.headline == "NO-GO: 1 check failed; nothing was written"
    assert screen.tone == "bad"
    assert line(screen, "checks") == "before: 1 STOP, 1 to review, 1 waived, 1 passed"
    assert line(screen, "failed") == "It looked: looked at nothing"
    assert screen.lines[0].name == "failed"
    assert line(screen, "next") == "fix it"
    assert line(screen, "undo") == "not tried yet: the rehearsal is missing"


def test_a_run_that_stopped_before_its_plan_says_what_stopped_it(record: Path) -> None:
    failed(record, "snapshot", "FileMaker cannot be reached\nsecond line")
    screen = first_screen.read(record)
    assert screen.headline == "NO-GO: FileMaker cannot be reached; nothing was written"
    assert line(screen, "reimports") == ""


def test_an_execution_that_was_refused_is_no_no_go_and_has_deleted_nothing(record: Path) -> None:
    proposed(record)
    has(record, APPROVAL)
    journal.append(record, Event.FINISHED, stage="approval")
    failed(record, "apply", "Nexus was changed since the preflight")
    screen = first_screen.read(record)
    assert screen.headline == (
        "STOPPED: Nexus was changed since the preflight; nothing was written"
    )
    assert line(screen, "would reimport") == "2,842 patients"
    assert line(screen, "reimports") == line(screen, "reimported") == ""
    assert line(screen, "approved by").startswith("A. Person (as root), digest given")


def test_a_killed_run_says_what_it_would_have_done_and_how_it_is_begun_again(record: Path) -> None:
    """It said "links anew" and "keeps" of a run that never will, and nothing of what is next."""
    proposed(record)
    journal.append(record, Event.FAILED, stage="02_execute", what="interrupted", killed=True)
    screen = first_screen.read(record)
    assert screen.headline == "KILLED: it was interrupted; nothing was written"
    assert [(found.name, found.text) for found in screen.lines][:2] == [
        ("next", "nexus-reimport run dev begins it anew"),
        ("would reimport", "2,842 patients"),
    ]
    names = {found.name for found in screen.lines}
    assert {"would keep", "writers would wait"} < names
    assert not names & {"links anew", "keeps", "kept", "writers wait"}


def test_a_check_that_failed_after_commit_stops_nothing_any_more(record: Path) -> None:
    committed(record)
    model.save(replace(REPORT, stage="after"), record / "checks_after.json")
    counts = line(first_screen.read(record), "checks").rpartition("after: ")[2]
    assert "1 FAILED" in counts
    assert "STOP" not in counts


def committed(folder: Path) -> None:
    proposed(folder)
    has(folder, APPROVAL)
    journal.append(folder, Event.FINISHED, stage="approval")
    journal.append(folder, Event.COMMITTED)


def test_what_was_done_is_what_the_transaction_has_counted(record: Path) -> None:
    committed(record)
    lost = first_screen.read(record)
    assert line(lost, "reimported").endswith("the transaction's own counts were lost")
    assert line(lost, "writers waited") == ""
    has(record, APPLIED)
    screen = first_screen.read(record)
    text = "2,842 patients; the transaction deleted 2,867 rows and inserted 2,879"
    assert line(screen, "wiped and reimported") == text
    has(record, replace(APPLIED, write=Write.DIFFERENCES, written={"patients": 12, "notes": 1}))
    some = line(first_screen.read(record), "wiped and reimported")
    assert some == "2,842 patients; 13 rows had to be written for it"
    assert line(screen, "writers waited") == "0.50 s at most"
    none = replace(APPLIED, write=Write.DIFFERENCES, written={"patients": 0})
    has(record, none)
    text = "2,842 patients; no row had to be written for it: all were already so"
    assert line(first_screen.read(record), "reimported") == text
    assert screen.headline == "COMMITTED, NOT VERIFIED: the checks after COMMIT come next"
    journal.append(record, Event.VERIFIED)
    assert first_screen.read(record).headline == "COMPLETE: reimported and verified"


def test_a_waiver_that_ends_before_the_verification_may_is_on_the_first_screen(
    record: Path,
) -> None:
    proposed(record)
    waiver = "every_planned_appointment_has_a_clinic, until 2026-03-01"
    has(record, Outlook(ending=(waiver,)))
    ends = "this waiver ends today; a verification after midnight would stop"
    assert f"{ends}: {waiver}" in line(first_screen.read(record), "look at this")
    assert ends.capitalize() in repr(show.proposal(PROPOSAL, Outlook(ending=(waiver,))))
    committed(record)
    has(record, Outlook(ending=(waiver,)))
    assert ends not in line(first_screen.read(record), "look at this")


def test_a_run_that_was_verified_after_an_upgrade_says_so(record: Path) -> None:
    committed(record)
    journal.append(record, Event.VERIFIED, code=PROPOSAL.code, mapping=PROPOSAL.mapping)
    assert "verified with" not in line(first_screen.read(record), "look at this")
    journal.append(record, Event.VERIFIED, code="upgraded", mapping=PROPOSAL.mapping)
    look = line(first_screen.read(record), "look at this")
    assert "verified with another package than the one that was approved" in look
    journal.append(record, Event.VERIFIED, code="upgraded", mapping="edited")
    look = line(first_screen.read(record), "look at this")
    assert "verified with another package and mapping than the one that was approved" in look


def test_what_to_do_next_stands_under_the_verdict_of_a_run_that_is_not_finished(
    record: Path,
) -> None:
    committed(record)
    screen = first_screen.read(record)
    assert screen.lines[0].name == "next"
    assert screen.lines[0].text.startswith("03_verify; or nexus-reimport finish dev verifies it")
    model.save(replace(REPORT, stage="after"), record / "checks_after.json")
    failed(record, "sign_off", "1 check failed")
    names = [found.name for found in first_screen.read(record).lines]
    assert names[:3] == ["failed", "next", "reimported"]
    journal.append(record, Event.UNDONE, by="20260302T020000Z-cd34")
    undone = first_screen.read(record)
    assert undone.headline.startswith("UNDONE")
    assert line(undone, "next") == "", "what the failed check asked for is settled"


def test_what_a_check_says_of_values_that_do_not_fit_is_not_said_of_the_plan_again(
    record: Path,
) -> None:
    """Two of the six lines said the same of the same values."""
    proposed(record)
    said = "2 values of FileMaker did not fit"
    assert said in line(first_screen.read(record), "look at this")
    assert attention.VALUES_FIT in {one.name for one in checks.REGISTRY}
    claim = "Every FileMaker value fits."
    fails = Result(attention.VALUES_FIT, claim, ("M3",), Level.REVIEW, 10, 2)
    has(record, checks=Report("before", (fails,)))
    look = line(first_screen.read(record), "look at this")
    assert said not in look
    assert "2 of 10 fail: every FileMaker value fits" in look


def test_what_is_too_much_for_the_screen_is_counted_on_a_line_of_its_own(record: Path) -> None:
    proposed(record)
    has(record, Outlook(tuple(Refusal(f"reason {n}", "fix it") for n in range(8))))
    lines = line(first_screen.read(record), "look at this").splitlines()
    assert lines[5] == "reason 5"
    assert re.fullmatch(r"and \d+ more points", lines[6]), "a number has a noun"


def test_what_has_come_after_the_reading_is_told_once_it_is_approved(record: Path) -> None:
    proposed(record)
    drift = Drift({"notes": "2 records edited"}, (), {"appointments": 3})
    model.save(drift, record / values.file_name(Drift))
    assert "after the reading" not in line(first_screen.read(record), "look at this")
    has(record, APPROVAL)
    look = line(first_screen.read(record), "look at this")
    first, second, third, *_ = look.splitlines()
    assert first == "not in this run, as it came after the reading: notes: 2 records edited"
    over = "3 appointments planned as still to come, which were over before the approval"
    assert second == over
    assert third == "3 decisions missing in the environment's file", "it was there when approved"


def test_a_rollback_whose_check_failed_does_not_say_that_all_is_as_before(record: Path) -> None:
    since = Since((), ())
    rows, links = {"patients": 86}, {"documents": 3}
    undone = Undone(True, AT, "r", True, {}, rows, links, since, SAME, 0.3, {}, PASSED)
    (record / "journal.jsonl").unlink()
    journal.append(record, Event.OPENED, kind="rollback")
    journal.append(record, Event.ROLLBACK, undoes="20260228T020000Z-ab12")
    journal.append(record, Event.COMMITTING)
    screen = first_screen.read(record)
    assert screen.headline == "IN DOUBT: its journal does not say whether the run was taken back"
    assert line(screen, "next") == "nexus-reimport settle dev asks the database"
    journal.append(record, Event.COMMITTED)
    has(record, undone)
    assert line(first_screen.read(record), "as before the run") == "yes"
    model.save(replace(REPORT, stage="after the rollback"), record / "checks_rollback.json")
    screen = first_screen.read(record)
    assert screen.headline == "TAKEN BACK, NOT VERIFIED: 1 check failed; a person must decide"
    assert line(screen, "as before the run").startswith("not proven")


def test_a_transaction_that_was_rolled_back_has_deleted_nothing(record: Path) -> None:
    proposed(record)
    has(record, replace(APPLIED, committed=False))
    assert line(first_screen.read(record), "writers waited") == ""


def test_a_commit_that_nobody_has_seen_is_in_doubt(record: Path) -> None:
    proposed(record)
    journal.append(record, Event.STARTED, stage="apply")
    journal.append(record, Event.COMMITTING)
    screen = first_screen.read(record)
    assert screen.headline.startswith("IN DOUBT")
    assert line(screen, "reimported") == ""
    assert line(screen, "reimports").endswith("all of this was committed, or nothing")
    assert screen.lines[0].text == "nexus-reimport settle dev asks the database"


def test_the_plan_warns_of_whole_columns_and_of_rows_that_nobody_recognised() -> None:
    patients = PLAN.entities["patients"]
    dob = replace(patients.changes[1], different=patients.replaced, same=0, decision="filemaker")
    odd = replace(patients, changes=(dob,))
    assert "all 2,830 patients get another “dob”" in attention.of_plan(
        replace(PLAN, entities={"patients": odd})
    )
    assert "all 2,830 patients got another “dob”" in attention.of_plan(
        replace(PLAN, entities={"patients": odd}), is_committed=True
    )
    # swapped with another column: some values are the same by chance
    swapped = replace(dob, different=patients.replaced - 30, same=10)
    odd = replace(patients, changes=(swapped,))
    assert "2,800 of 2,830 patients get another “dob”" in attention.of_plan(
        replace(PLAN, entities={"patients": odd})
    )
    for few in (replace(dob, different=90, same=0), replace(dob, different=2000, same=700)):
        told = attention.of_plan(replace(PLAN, entities={"patients": replace(odd, changes=(few,))}))
        assert not any("get another" in text for text in told)
    letters = replace(patients, entity="letters", replaced=0, rows_before=1, changes=())
    told = "no record of FileMaker was recognised among 1 letter of Nexus, so none is replaced"
    assert told in attention.of_plan(replace(PLAN, entities={"letters": letters}))
    done = attention.of_plan(replace(PLAN, entities={"letters": letters}), is_committed=True)
    assert told.replace("is replaced", "was replaced") in done


def test_much_less_in_filemaker_than_in_nexus_is_to_be_looked_at() -> None:
    """Also where it is kept: FileMaker may be a part of itself, or an older copy."""
    patients = PLAN.entities["patients"]

    def looks(count: int) -> list[str]:
        gone = UnmatchedRows(Cause.NOT_IN_FILEMAKER, count, "keep")
        notes = replace(patients, entity="notes", rows_before=200, unmatched=(gone,), changes=())
        return attention.of_plan(replace(PLAN, entities={"notes": notes}))

    assert "FileMaker does not bring back 100 of 200 notes" in looks(100)
    assert not [text for text in looks(20) if "does not bring back" in text]


def test_the_screen_has_a_header_for_each_line_and_no_markup_out_of_a_name(record: Path) -> None:
    failed(record, "snapshot", "<script>alert(1)</script>")
    html = first_screen.read(record).as_html()
    assert tags(html, "script") == []
    assert {tag.attributes["scope"] for tag in tags(html, "th")} == {"row"}


# ---------------------------------------------------------------- the page around it


def page(*cells: nbformat.NotebookNode) -> str:
    return rendering.html(nbformat.v4.new_notebook(cells=list(cells)), "01_preflight")


def shown(html: str) -> list[nbformat.NotebookNode]:
    return [nbformat.v4.new_output("display_data", data={"text/html": html})]


def test_a_page_begins_with_its_first_screen_and_links_to_its_sections(record: Path) -> None:
    first = nbformat.v4.new_code_cell(
        "# made here",
        outputs=shown(first_screen.read(record).as_html()),
        metadata={"tags": [rendering.FIRST_SCREEN]},
    )
    words = nbformat.v4.new_markdown_cell("# 1. Preflight\n\n## The plan\n\nRead it.")
    code = nbformat.v4.new_code_cell("one()\ntwo()", outputs=shown("<h3>The plan</h3>"))
    html = page(words, first, code)
    assert html.index("made-up clinic") < html.index('<nav aria-label="Contents">')
    assert html.index("<nav") < html.index("1. Preflight")
    places = {tag.attributes["id"] for tag in tags(html, "h1", "h2") if "id" in tag.attributes}
    links = [tag.attributes["href"][1:] for tag in tags(html, "a") if "nav" in tag.inside]
    assert links
    assert set(links) <= places
    assert jumps(heading_levels(html)) == []
    assert "made here" not in html
    (folded,) = tags(html, "details")
    assert folded.words.startswith("one() …")


def test_an_archived_page_has_one_verdict_and_nothing_that_papermill_has_put_above_it(
    record: Path,
) -> None:
    early = first_screen.read(record).as_html(whole=False)
    failed(record, "snapshot", "FileMaker cannot be reached")
    first = nbformat.v4.new_code_cell(
        "# made here",
        outputs=shown(first_screen.read(record).as_html()),
        metadata={"tags": [rendering.FIRST_SCREEN]},
    )
    added = nbformat.v4.new_markdown_cell(
        "An Exception was encountered", metadata={"tags": ["papermill-error-cell-tag"]}
    )
    banner = nbformat.v4.new_code_cell("show.banner(book.run)", outputs=shown(early))
    html = page(added, first, banner)
    assert "NOT DECIDED" in page(banner)
    assert html.count("NO-GO") == 1
    assert "NOT DECIDED" not in html
    assert "An Exception" not in html


def test_a_page_asks_nobody_for_anything_and_runs_nothing() -> None:
    script = nbformat.v4.new_markdown_cell("<script src='https://example.org/x.js'></script>")
    html = page(script)
    assert tags(html, "script") == []
    (policy,) = (t for t in tags(html, "meta") if t.attributes.get("http-equiv"))
    assert policy.attributes["content"].startswith("default-src 'none'")


def test_a_claim_that_does_not_hold_begins_with_that() -> None:
    """Read from its first word, it seemed to hold: "Every value fits …: 35 of 4,415 fail"."""
    assert attention.of_checks(REPORT) == ["2 of 10 fail: nobody minds"]
    failed = next(result for result in REPORT.results if "Nobody" in result.claim)
    named = replace(failed, claim="FileMaker counted every table.")
    assert named.not_so == "2 of 10 fail: FileMaker counted every table"


def test_what_does_not_hold_and_was_waived_is_named_with_its_counts_wherever_a_run_is_told(
    record: Path,
) -> None:
    """A run said COMPLETE and "1 waived": that 86 patients had no clinic stood in no summary."""
    planned = Result("planned", "Every planned one.", ("B3",), Level.STOP, 2_900, 90, waived=95)
    now = Result("is", "Every one has a clinic.", ("A3",), Level.STOP, 2_879, 86, waived=95)
    only_before = Result("links", "Nexus knows all.", ("M3",), Level.STOP, 10, 2, waived=5)
    both = [replace(one, waiver="up to 95 by A. Person") for one in (planned, now)]
    before = Report("before", (both[0], replace(only_before, waiver="up to 5 by A. Person")))
    after = Report("after", (both[1], *PASSED.results))
    proposed(record)
    has(record, APPROVAL, checks=before)
    waived = "90 of 2,900 fail: every planned one", "2 of 10 fail: Nexus knows all"
    assert line(first_screen.read(record), "waived") == "\n".join(waived)
    assert front.read(record.parent).waived == "", "nothing was committed"
    has(record, APPLIED)
    model.save(after, record / "checks_after.json")
    waived = "86 of 2,879 fail: every one has a clinic", waived[1]
    assert line(first_screen.read(record), "waived") == "\n".join(waived)
    seen = front.read(record.parent)
    sentence = f"Does not hold, and was accepted by a waiver: {'; '.join(waived)}."
    assert sentence in front.readme(seen)
    assert sentence in index._article(record.parent, seen, "", {})


def test_a_plan_that_changes_nothing_is_told_as_one_that_writes_nothing(record: Path) -> None:
    """It read "to wipe 143 patients" of a run after which every row was as before."""
    same = replace(PROPOSAL, after=PROPOSAL.before, write=Write.DIFFERENCES)
    has(record, PLAN, REHEARSAL, same, Outlook(), checks=PASSED)
    text = "2,842 patients; no row has to be written for it: all are already so"
    assert line(first_screen.read(record), "reimports") == text
    assert not replace(same, write=Write.ALL).writes_nothing
