"""What a cell displays: the words that people approve, and HTML that says the same."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest

from nexus_reimport import show
from nexus_reimport.errors import InDoubt, ReimportError
from nexus_reimport.model import (
    Applied,
    Approval,
    ColumnChange,
    Drift,
    NewerDecision,
    Proposal,
    RollbackPreview,
    RollbackProposal,
    Undone,
)
from nexus_reimport.nexus.changes import NewerRows, PointedAt, Since
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.lock import RUNNER_VARIABLE
from nexus_reimport.record.search import identifiers
from nexus_reimport.record.search.identifiers import Identifiers
from nexus_reimport.record.search.sweep import Sweep
from nexus_reimport.show import plan_tables
from nexus_reimport.show.failure import failure
from nexus_reimport.show.page import (
    Marked,
    NamedLines,
    Page,
    TextLine,
    Tone,
    cell_text,
    equal,
    listed,
    table,
)
from support.markup import heading_levels, tags
from support.shown import PATIENTS, PLAN, REPORT

AT = datetime(2026, 3, 1, tzinfo=UTC)
EDITED = Drift({"notes": "1 record edited"}, ())

PLAN_TEXT = """\
The plan
========

As of 2026-03-01 02:00:00 UTC. What this run does once it is approved; making the plan wrote nothing.
Decide this in the environment's file before the run can go on:
  decisions.patients: no_filemaker_id = keep or purge (25 rows)
  decisions.patients: past_is_completed = keep or completed (4 rows)
  decisions.patients.when_different: "dob" = filemaker or nexus (7 rows)
Look: 2 values of FileMaker did not fit.
Look: 84 rows need a value that only a person knows (84 clinics).
Look: patients: rows that are purged as “not in FileMaker”: 12 of 12 stay, because a row references them.

Nexus's side: rows before = replaced + kept + not decided + purged; rows after = rows before - purged + new
entity    table     rows before  replaced  kept  not decided  purged  new  rows after  adds up
--------  --------  -----------  --------  ----  -----------  ------  ---  ----------  -------
patients  patients        2,867     2,830    12           25       0   12       2,879  yes

How records of FileMaker were matched with rows of Nexus
entity    by rule             matched     of  share
--------  ------------------  -------  -----  -----
patients  2,830 FileMaker id    2,830  2,842  99.6%

Rows that FileMaker does not bring back
entity    cause             rows  decision   of these kept because a row references them
--------  ----------------  ----  ---------  -------------------------------------------
patients  not in FileMaker    12  purge                                               12
patients  no FileMaker id     25  UNDECIDED                                            0

Values that change in rows that stay: number of rows by column, or by part of a card; columns that are not listed do not change
entity    column               was empty  was different  winner               cleared  values lost  empty in FileMaker, kept  equal
--------  -------------------  ---------  -------------  -------------------  -------  -----------  ------------------------  -----
patients  title                        1              0                             0            0                         0  2,829
patients  dob                          0              7  UNDECIDED                  2            2                         0  2,821
patients  contact_json.phones          5              3  FileMaker's value          0            4                       239  2,500
patients  clinic_id                   86              4  Nexus's value stays        0            0                         1  2,739
patients  created_at                   0              9  FileMaker's value          0            9                         0  2,821

Values of FileMaker that do not fit, and what is stored instead
entity    column    reason                              another value stays  empty  derived  for example
--------  --------  ----------------------------------  -------------------  -----  -------  --------------
patients  dob       no date                                               1      1        0  F-1, F-2
patients  end_time  no end: 30 minutes after the start                    0      0        9  F-3 and 8 more

Values that named rules set
entity    rule               column  rows  new value  decision
--------  -----------------  ------  ----  ---------  ---------
patients  past is completed  status     4  completed  UNDECIDED

What FileMaker does not feed: a row that stays keeps Nexus's value, unless a named rule sets it; a new row gets this, and in a column that is not listed what the database gives
entity    column  rows that stay  new rows  a new row gets                                 named rule
--------  ------  --------------  --------  ---------------------------------------------  -----------------
patients  status           2,867        12  completed if end_time is over, else scheduled  past is completed

Values that only a person can give: manual.xlsx
sheet    entity    values given  used  in Nexus already  rows without a value
-------  --------  ------------  ----  ----------------  --------------------
clinics  patients             2     1                 1                    84

To give a missing value: fill in manual.xlsx from the run's private folder, put it into the environment's private folder, and run 01_preflight again.

FileMaker's side: each record is loaded, merged into a row, linked, looked up or left out
source           for        records  into its row  into a new row  merged  linked  looked up  left out  adds up
---------------  ---------  -------  ------------  --------------  ------  ------  ---------  --------  -------
contacts         patients     2,845         2,830              12       0       0          0         3  yes
contact details  patients    10,688             0               0   9,500       0          0     1,188  yes
docs             documents   11,269             0               0       0  10,100          0     1,169  yes
calendars                        10             0               0       0       0         10         0  yes

Records of FileMaker left out, by rule and budget
source           for        rule              records  at most  within
---------------  ---------  ----------------  -------  -------  ------
contacts         patients   without a name          3       29  yes
contact details  patients   owner not loaded    1,188    1,069  OVER
docs             documents  not in Nexus        1,169    1,691  yes

Documents and images
attachment    rows  already correct  links to fix  linked to something else, unchanged  patient not in FileMaker  no record in FileMaker, or of two patients  linked to an existing patient before   after
----------  ------  ---------------  ------------  -----------------------------------  ------------------------  ------------------------------------------  ------------------------------------  ------
documents   10,190           10,097             3                                    1                         4                                          85                                10,186  10,189

Links to fix
attachment  the link was  links
----------  ------------  -----
documents   dangling          2
documents   unlinked          1

The record lists the ids: ledger.csv, misfits.csv, and unplaced.csv with the documents and images that are linked to something else, or whose patient FileMaker does not name. The values are only in the run's private folder: left_out, misfits.csv, and differences.csv with the 11 values of Nexus that are different in FileMaker or get cleared.
Plan 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"""  # noqa: E501
REPORT_TEXT = """\
Checks before: 1 STOPS, 1 REVIEW, 1 waived, 1 passed
====================================================

1 of them stops the run.

verdict  level   check              claim          serves  looked at  offend  waived  e.g.      note
-------  ------  -----------------  -------------  ------  ---------  ------  ------  --------  ------------
STOPS    STOP    looked_at_nothing  It looked.                     0       0
REVIEW   REVIEW  look_here          Nobody minds.  B5 P7          10       2          F-1, F-2
waived   STOP    was_waived         It was.        B3          2,842      86      86  F-3       by A. Person
passed   STOP    all_is_well        All is well.   A1             10       0"""  # noqa: E501


def test_the_plan_reads_as_people_approve_it() -> None:
    assert repr(show.plan(PLAN)) == PLAN_TEXT


def test_after_commit_a_failed_check_stops_nothing_and_a_person_decides() -> None:
    text = repr(show.report(replace(REPORT, stage="after")))
    assert "1 of them failed, and the data is committed: a person must decide." in text
    assert "of them stop" not in text


def test_a_report_puts_what_stops_the_run_first() -> None:
    assert repr(show.report(REPORT)) == REPORT_TEXT


def words_of(page: Page) -> set[str]:
    html = re.sub(r"<[^>]+>", " ", page._repr_html_().replace("<wbr>", ""))
    return set(re.split(r"\s+", unescape(html)))


def test_html_says_what_the_text_says() -> None:
    words = set(re.split(r"\s+", re.sub(r"[-=]{3,}", " ", PLAN_TEXT)))
    assert words - words_of(show.plan(PLAN)) == set()
    said = {word.strip(":;") for word in words_of(show.report(REPORT))}
    for result in REPORT.results:
        texts = (result.check, result.claim, *result.serves, *result.sample, result.note)
        assert set(" ".join(texts).replace(",", " ").split()) <= {w.strip(",") for w in said}
        assert f"{result.looked_at:,}" in said or "nothing" in said


def test_no_markup_comes_out_of_a_name() -> None:
    page = Page("<b>", (TextLine("<script>"), table("<i>", "<a> | n", [("<td>", 1)])))
    assert not re.findall(r"<(?:script|i|a)>", page._repr_html_())


def test_a_page_asks_no_other_host_for_anything() -> None:
    for page in (show.plan(PLAN), show.flow(PLAN), show.completeness(PLAN)):
        outside = re.findall(r"(?:src|href)=\"(?!#|data:)", page._repr_html_())
        assert outside == []


def test_the_same_value_gives_the_same_picture() -> None:
    first, second = show.completeness(PLAN), show.completeness(PLAN)
    assert first._repr_html_() == second._repr_html_()
    assert "clinic id" in first._repr_html_(), "its numbers stand under it, as text"
    assert repr(first).endswith("[picture: completeness of patients by field, before and after]")


def test_an_empty_plan_can_be_drawn() -> None:
    empty = replace(PLAN, entities={}, links={}, accounts=(), by_hand=())
    assert tags(show.flow(empty)._repr_html_(), "img")
    assert "Every record of FileMaker is used." in repr(show.plan(empty))


def test_a_sum_that_does_not_add_up_is_said_in_a_word_and_a_colour() -> None:
    odd = replace(PLAN, accounts=(replace(PLAN.accounts[0], records=1),))
    assert re.search(r"patients +1 .* NO", repr(show.plan(odd)))
    assert re.search(r'class="[^"]*bad"', show.plan(odd)._repr_html_())


def test_where_the_time_went_comes_from_the_journal() -> None:
    at = "2026-03-01T02:00:{}+00:00"
    events = [
        {"at": at.format("00"), "event": "opened"},
        {"at": at.format("01"), "event": "started", "stage": "snapshot"},
        {"at": at.format("03"), "event": "finished", "stage": "snapshot"},
        {"at": at.format("04"), "event": "started", "stage": "census"},
    ]
    assert repr(show.stage_times(map(Entry.of, events))).endswith(
        "[picture: read FileMaker 2.00 s]"
    )
    assert repr(show.stage_times([])).endswith("[picture: no step has finished yet]")


def test_a_proposal_says_how_it_is_approved() -> None:
    same = {"patients": Fingerprint(3, "ab" * 16)}
    proposal = Proposal("dev", "a", "b", "c", "d", "e", "f", same, same, "fedcba9876543210" * 4)
    text = repr(show.proposal(proposal))
    assert "GO, if you approve: fedcba987654" in text
    assert "nexus-reimport run dev --approve fedcba987654" in text


def test_a_transaction_that_was_rolled_back_is_not_called_committed() -> None:
    applied = Applied(
        committed=False,
        at=AT,
        deleted={"patients": 3},
        inserted={"patients": 3},
        relinked={"documents": 1},
        after={"patients": Fingerprint(3, "ab" * 16)},
        writers_waited=0.501,
        timings={"delete": 0.1},
        report=REPORT,
        warnings=("VACUUM (ANALYZE) notes failed",),
    )
    text = repr(show.applied(applied))
    assert text.startswith("Rolled back: the database is unchanged")
    assert "Writers waited 0.51 s at most." in text
    assert "VACUUM (ANALYZE) notes failed" in text
    assert "Rows that would be written" in text
    assert "Would be re-linked" in text
    text = repr(show.applied(replace(applied, committed=True)))
    assert text.startswith("Committed")
    assert "a standby" not in text
    alone = replace(applied, committed=True, is_confirmed=False)
    assert "a standby has not confirmed it: bring the standby back" in repr(show.applied(alone))
    assert "would be" not in text.lower()


def test_drift_says_what_it_means() -> None:
    assert repr(show.drift(Drift({}, ()))).endswith("No record was edited, added or deleted.")
    assert "its clock is behind" not in repr(show.drift(Drift({}, ())))
    assert "run 01_preflight again" in repr(show.drift(EDITED))
    over = repr(show.drift(Drift({}, (), {"appointments": 1})))
    assert "Over since the plan was made: 1 appointment." in over
    assert "run 01_preflight again" in over
    files = repr(show.drift(Drift({}, (), exported=("events", "notes"))))
    assert "No file was changed, and of other tables no record was edited" in files
    assert "Read from exported files: events, notes." in files
    unsure = repr(show.drift(Drift({}, ("events", "notes"))))
    assert "Without versions of their records: events, notes" in unsure


def test_cells_are_written_as_people_read_them() -> None:
    cells = (1234567, 1234.5, None, "x", Marked(1000, Tone.ATTENTION))
    assert [cell_text(c) for c in cells] == ["1,234,567", "1,234.50", "", "x", "1,000"]
    assert listed({"a": 1200, "b": 0}) == "1,200 a"
    assert listed({}, "nothing") == "nothing"


def test_under_the_runner_no_bar_is_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(RUNNER_VARIABLE, "a token")
    show.bar("records")(1, 2, "notes")
    monkeypatch.delenv(RUNNER_VARIABLE)
    bar = show.bar("records")
    bar(1, 2, "notes")
    bar(2, 2, "")
    assert capsys.readouterr().out == ""


PREVIEW = RollbackPreview(
    undoes="20260301T020000Z-ab12",
    kind="reimport",
    committed_at=datetime(2026, 3, 1, 2, 5, tzinfo=UTC),
    newer=NewerDecision.UNDECIDED,
    since=Since(
        (
            NewerRows("notes", 2, 1, 0, ("N-1 (created)",)),
            NewerRows("reminders", 0, 0, 0, ()),
            NewerRows("documents_document", 1, 2, 0, ("D-1 (changed)",), 2),
        ),
        (PointedAt("patients", "xero_contact_links.patient_id", 1),),
    ),
    rows_before={"patients": 2867, "notes": 11140},
    rows_now={"patients": 2879, "notes": 11285},
    links={"documents": 53, "images": 9},
    now={},
    schema="",
    saved={},
)
LOOK_TEXT = """\
Rollback of run 20260301T020000Z-ab12
=====================================

A reimport, committed 2026-03-01 02:05:00 UTC. Beside its rows, 53 links of documents, 9 links of images will be restored.

Rows that will be restored
what         now  as before the run
--------  ------  -----------------
patients   2,879              2,867
notes     11,285             11,140

What people have written since the run
what   created  changed  deleted  e.g.
-----  -------  -------  -------  ------------------------
notes        2        1        0  N-1 (created) and 2 more

Rows that were created or changed: undecided. Rows that were deleted, and existed before the run, come back.

Documents and images since the run
what       added  linked anew  deleted  e.g.
---------  -----  -----------  -------  ------------------------
documents      1            2        0  D-1 (changed) and 2 more

No document and no image is deleted, and their links stay as they are, but for 2 links that the run had fixed. These stay as people have put them if you keep what is newer, and become what they were before the run if you discard it.

Rows that the run created and that stay, because a row that stays references them
what      referenced by                  rows
--------  -----------------------------  ----
patients  xero_contact_links.patient_id     1"""  # noqa: E501


def test_what_a_rollback_would_do_reads_as_people_approve_it() -> None:
    assert repr(show.rollback(PREVIEW)) == LOOK_TEXT
    quiet = replace(PREVIEW, since=Since((), ()))
    assert repr(show.rollback(quiet)).endswith(
        "Nobody has changed these rows or links since: the rollback is exact."
    )


@pytest.mark.parametrize(
    ("newer", "pointed_at", "is_quiet", "asks"),
    [
        (NewerRows("notes", 0, 0, 0, ()), (), True, False),
        (NewerRows("notes", 1, 0, 0, ()), (), False, True),
        (NewerRows("notes", 0, 1, 0, ()), (), False, True),
        (NewerRows("notes", 0, 0, 1, ()), (), False, True),
        (NewerRows("documents_document", 1, 1, 1, (), 0), (), False, False),
        (NewerRows("documents_document", 0, 1, 0, (), 1), (), False, True),
        (NewerRows("notes", 0, 0, 0, ()), PREVIEW.since.pointed_at, False, False),
    ],
)
def test_whatever_is_newer_makes_a_rollback_inexact_and_what_would_go_is_asked_about(
    newer: NewerRows, pointed_at: tuple[PointedAt, ...], is_quiet: bool, asks: bool
) -> None:
    since = Since((newer,), pointed_at)
    assert (since.is_quiet, since.asks) == (is_quiet, asks)


@pytest.mark.parametrize(
    ("changed", "verdict", "rows"),
    [
        (
            {},
            "Each row and each link that a run may write is as it was before the run.",
            "restored",
        ),
        (
            {"since": PREVIEW.since},
            "As it was before the run: yes; what people have written since the run is undone too"
            " (created or changed: 3 notes, 3 documents).",
            "restored",
        ),
        (
            {"since": PREVIEW.since, "exact": False, "newer": NewerDecision.KEEP},
            "As it was before the run: yes, except what people have written since the run, and what"
            " that references (created or changed: 3 notes, 3 documents).",
            "there after it",
        ),
        (
            {"exact": False, "newer": NewerDecision.DISCARD},
            "As it was before the run: yes, except rows that the rollback leaves alone, and what"
            " those reference.",
            "there after it",
        ),
    ],
)
def test_a_rollback_says_how_much_is_as_before(
    changed: dict[str, Any], verdict: str, rows: str
) -> None:
    undone = Undone(
        committed=True,
        at=AT,
        undoes=PREVIEW.undoes,
        exact=True,
        deleted={"notes": 2},
        put_back={"notes": 11140},
        relinked={"documents": 53},
        since=Since((), ()),
        after={"notes": Fingerprint(11140, "ab" * 16)},
        writers_waited=0.5,
        timings={},
        report=REPORT,
        written={"notes": 1201},
    )
    text = repr(show.undone(replace(undone, **changed)))
    assert text.splitlines()[3] == verdict
    assert "Writers waited 0.50 s at most." in text
    lines = [re.split(r"  +", line.strip()) for line in text.splitlines()]
    assert ["what", rows, "had to be written"] in lines
    assert ["notes", "11,140", "1,201"] in lines
    assert ["documents", "53"] in lines
    assert "Checks inside the transaction: 1 STOPS, 1 REVIEW, 1 waived, 1 passed" in text


def test_an_approval_says_who_has_given_it_and_why() -> None:
    given = Approval("ab" * 32, "anna", "by command", AT, "Ann", "the night agreed on")
    text = repr(show.approval(given))
    assert "abababababab by Ann (as anna), by command, 2026-03-01 00:00:00 UTC" in text
    assert "Why: the night agreed on" in text
    assert "Why" not in repr(show.approval(replace(given, reason="")))


def test_a_rollback_names_the_command_that_approves_it() -> None:
    proposal = RollbackProposal(
        "prod", PREVIEW.undoes, NewerDecision.KEEP, "c", "s", {}, PREVIEW.since, "ab" * 32
    )
    text = repr(show.rollback_proposal(proposal))
    assert f"nexus-reimport rollback {PREVIEW.undoes} --keep-newer --approve abababababab" in text


def test_a_pages_tables_are_frames_to_go_on_with() -> None:
    counted = table(
        "Rows",
        "table | rows | same",
        [("patients", 3, equal(3, 3)), ("notes", 1_200, None)],
    )
    page = Page("Counts", (counted, TextLine("as it was"), table("", "a | b", [(1, 2)])))
    frames = page.frames
    assert list(frames) == ["Rows", "table 2"]
    rows = frames["Rows"]
    assert list(rows.columns) == ["table", "rows", "same"]
    assert rows["rows"].sum() == 1_203
    assert rows["same"].dropna().to_list() == ["yes"]
    assert frames["table 2"].iloc[0].to_dict() == {"a": 1, "b": 2}


def test_named_lines_are_a_table_for_eyes_and_for_programs() -> None:
    lines = NamedLines((("wiped", "2 patients <b>"), ("re-linked", "nothing")))
    page = Page("A run", (TextLine("Verdict: COMPLETE"), lines))
    assert repr(page).endswith("\n\nwiped:     2 patients <b>\nre-linked: nothing")
    shown = page._repr_html_()
    assert [tag.attributes.get("scope") for tag in tags(shown, "th")] == ["row", "row"]
    assert "2 patients &lt;b&gt;</td>" in shown
    assert page.frame.set_index("what").says.to_dict() == dict(lines.lines)


def test_words_stand_to_the_left_and_numbers_to_the_right_whatever_shows_the_page() -> None:
    page = Page("Counts", (table("Rows", "table | rows", [("patients", 3)]),))._repr_html_()
    assert page.count("<style>") == 1
    assert "<td>patients</td>" in page
    assert '<td class="number">3</td>' in page
    rules = re.findall(r"text-align: (\w+) !important", page)
    assert rules == ["left", "right"], "JupyterLab aligns every cell to the right"


def test_every_table_has_a_caption_and_every_head_says_what_it_heads() -> None:
    pages = (
        show.plan(PLAN),
        show.report(REPORT),
        show.flow(PLAN),
        show.completeness(PLAN),
        show.drift(EDITED),
        show.stage_times([]),
    )
    for page in pages:
        html = page._repr_html_()
        for found in tags(html, "table"):
            assert "caption" in found.holds or found.attributes.get("aria-label"), page
        assert {tag.attributes.get("scope") for tag in tags(html, "th")} <= {"col", "row"}
        assert heading_levels(html) == [3], "below the section's own heading"


def test_long_tables_are_folded_and_what_needs_a_person_is_not() -> None:
    html = show.plan(PLAN)._repr_html_()
    summaries = [tag.words for tag in tags(html, "summary")]
    assert any(words.startswith("Values that change in rows that stay") for words in summaries)
    open_ones = [t.words for t in tags(html, "table") if "details" not in t.inside]
    assert any(words.startswith("Nexus's side") for words in open_ones)
    assert any("OVER" in words for words in open_ones), "a rule leaves out more than it may"
    fine = replace(PLAN, accounts=PLAN.accounts[:1])
    open_ones = [
        t.words for t in tags(show.plan(fine)._repr_html_(), "table") if "details" not in t.inside
    ]
    assert not any("without_a_name" in words for words in open_ones)


def test_checks_are_three_columns_and_those_that_passed_are_folded() -> None:
    html = show.report(REPORT)._repr_html_()
    assert {len(row.holds) for row in tags(html, "tr")} == {3}
    rows = [t for t in tags(html, "tr") if "tbody" in t.inside]
    words = ["STOPS", "REVIEW", "waived", "passed"]
    assert [next(w for w in words if row.words.startswith(w)) for row in rows] == words
    assert ["details" in row.inside for row in rows] == [False, False, False, True]
    assert [tag.words for tag in tags(html, "summary")] == ["which", "which", "1 check passed"]
    stops = rows[0].words
    assert "looked at nothing" in stops
    assert "Find out why there was nothing to look at" in stops


def test_what_stops_after_commit_is_not_to_be_run_again() -> None:
    after = show.report(replace(REPORT, stage="after"))._repr_html_()
    assert "nexus-reimport finish ENV prints what a person can decide" in after
    assert "run 01_preflight again" not in after
    assert "1 FAILED" in after
    assert "STOPS" not in after, "nothing is left to stop"


def test_a_failed_rollback_asks_for_the_restore_in_each_row_as_its_next_step_does() -> None:
    back = show.report(replace(REPORT, stage="after the rollback"))._repr_html_()
    assert "restore the whole database from the dump of the run that was undone" in back
    assert "what a person can decide" not in back


def test_an_error_is_headed_by_words_and_not_by_its_class() -> None:
    told = errors_of(ReimportError)
    assert len(told) > 15
    for kind in told:
        assert failure(kind("what happened")).title == kind.title
        assert kind.title != kind.__name__
    assert failure(InDoubt("lost")).title.startswith("In doubt: ")


def errors_of(kind: type[ReimportError]) -> set[type[ReimportError]]:
    """An error of ours, and all that are of its kind."""
    below = {k for k in kind.__subclasses__() if k.__module__ == "nexus_reimport.errors"}
    return {kind}.union(*map(errors_of, below))


def test_a_long_name_goes_on_between_its_words_and_is_found_as_one() -> None:
    html = table("", "column", [("filemaker_metadata.ndis.x",), ("2.5",)]).as_html()
    assert "filemaker_<wbr>metadata.<wbr>ndis.<wbr>x<" in html
    assert "2.5<" in html
    found = Identifiers()
    identifiers.add_text(found, "ada.lovelace_home@example.com")
    in_a_cell = table("", "x", [("ada.lovelace_home@example.com",)]).as_html()
    assert "<wbr>" in in_a_cell
    assert Sweep(found).finds(in_a_cell)


def test_much_that_is_left_out_is_told_above_the_folded_picture() -> None:
    html = show.flow(PLAN)._repr_html_()
    assert html.index("rows of Nexus: ") < html.index("<img")
    assert ["details" in tag.inside for tag in tags(html, "img")] == [True]


def test_a_plan_warns_before_its_tables() -> None:
    html = show.plan(PLAN)._repr_html_()
    before_tables = html[: html.index("<table")]
    assert "2 values of FileMaker did not fit" in before_tables
    assert "84 rows need a value that only a person knows (84 clinics)" in before_tables
    assert "rows that are purged as “not in FileMaker”: 12 of 12 stay" in before_tables


@pytest.mark.parametrize("count", ["filled", "different", "cleared", "gone"])
def test_a_column_of_which_any_value_changes_or_goes_is_in_the_table(count: str) -> None:
    """Such as the first of two values under one key, where its document is written anew."""
    changes = ColumnChange("data.n", **{count: 1}), ColumnChange("data.m", kept=1, same=1)
    shown = plan_tables.changes((replace(PATIENTS, changes=changes),))
    assert [row[1] for row in shown.rows] == ["data.n"]


def test_a_decision_against_a_rule_is_a_warning() -> None:
    rule = replace(PATIENTS.overridden[0], decision="keep")
    odd = replace(PLAN, entities={"patients": replace(PATIENTS, overridden=(rule,))})
    assert (
        "the rule “past is completed” would set status to completed in 4 rows, and the decision"
        " is keep" in repr(show.plan(odd))
    )
    follows = replace(rule, decision="completed")
    same = replace(PLAN, entities={"patients": replace(PATIENTS, overridden=(follows,))})
    assert "would set status" not in repr(show.plan(same))


def test_a_picture_is_an_image_with_words_and_its_numbers_under_it() -> None:
    for page in (show.flow(PLAN), show.completeness(PLAN)):
        html = page._repr_html_()
        assert tags(html, "svg") == [], "JupyterLab shows none in a notebook that nobody trusts"
        (image,) = tags(html, "img")
        assert image.attributes["src"].startswith("data:image/svg+xml;base64,")
        assert "patients" in image.attributes["alt"] or "by entity" in image.attributes["alt"]
        assert len(page.frame) == len(PLAN.entities) or "after" in page.frame


def test_a_count_before_and_after_has_bars_of_one_scale() -> None:
    html = show.plan(PLAN)._repr_html_()
    widths = [
        float(re.findall(r"[\d.]+", tag.attributes["style"])[0])
        for tag in tags(html, "span")
        if tag.attributes.get("class") == "bar"
    ]
    before, after, share = widths
    assert after == 6.0
    assert before == pytest.approx(6 * 2867 / 2879, abs=0.01)
    assert share == pytest.approx(6 * 2830 / 2842, abs=0.01)


def test_everything_shown_is_one_frame_to_filter_and_export() -> None:
    report = show.report(REPORT).frame
    assert report[report.verdict == "STOPS"].check.to_list() == ["looked_at_nothing"]
    plan = show.plan(PLAN).frame
    assert plan.columns[0] == "of table"
    left_out = plan[plan["of table"].str.startswith("Records of FileMaker left out")]
    assert left_out.records.sum() == 3 + 1188 + 1169
    assert show.drift(Drift({}, ())).frame.line.to_list() == [
        "No record was edited, added or deleted."
    ]
