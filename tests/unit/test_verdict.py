"""The tables that a verdict is made by, walked state by state and event by event."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport.events import Event
from nexus_reimport.record import State, Verdict, verdict
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.verdict import Asked, Commit, Review, Sign

# Every event that means something for a verdict: its line, and what it means.
MEANT: list[tuple[dict[str, Any], set[Sign]]] = [
    ({"event": "started", "stage": "apply"}, {Sign.TRIED}),
    ({"event": "started", "stage": "undo"}, {Sign.TRIED}),
    ({"event": "started", "stage": "plan"}, set()),
    ({"event": "committing"}, {Sign.SENT}),
    ({"event": "not committed"}, {Sign.REFUSED}),
    ({"event": "committed"}, {Sign.COMMITTED}),
    ({"event": "settled", "committed": True}, {Sign.COMMITTED}),
    ({"event": "settled", "committed": False}, {Sign.NOT_THERE}),
    ({"event": "finished", "stage": "proposal"}, {Sign.PROPOSED}),
    ({"event": "finished", "stage": "rollback_proposal"}, {Sign.PROPOSED}),
    ({"event": "finished", "stage": "approval"}, {Sign.APPROVED}),
    ({"event": "finished", "stage": "apply"}, set()),
    ({"event": "void", "of": ["proposal", "outlook"], "by": "plan"}, {Sign.WITHDRAWN}),
    ({"event": "void", "of": ["rollback_proposal"], "by": "look"}, {Sign.WITHDRAWN}),
    ({"event": "void", "of": ["plan"], "by": "survey"}, set()),
    ({"event": "sealed", "verdict": "PARTIAL"}, {Sign.SEALED}),
    ({"event": "verified"}, {Sign.VERIFIED}),
    ({"event": "undone", "by": "a rollback"}, {Sign.UNDONE}),
    ({"event": "failed", "stage": "checks_after", "exit_code": 1}, {Sign.UNVERIFIED}),
    ({"event": "failed", "stage": "checks_rollback", "exit_code": 1}, {Sign.UNVERIFIED}),
    ({"event": "failed", "stage": "sign_off", "exit_code": 1}, {Sign.UNVERIFIED}),
    ({"event": "failed", "stage": "apply", "kind": "InDoubt", "exit_code": 5}, {Sign.LOST}),
    ({"event": "failed", "stage": "apply", "kind": "StopError", "exit_code": 1}, set()),
]
# Every other event means nothing for it, whatever else its line says.
MEANINGLESS = {
    Event.OPENED,
    Event.ROLLBACK,
    Event.STEP,
    Event.WAITING,
    Event.LET_GO,
    Event.SESSION,
    Event.UNSETTLED,
    Event.ANCHORED,
    Event.NOT_KEPT,
    Event.BY_HAND,
    Event.UNSAVED,
    Event.PAGE,
    Event.SWEPT,
    Event.REDACTED,
    Event.KEPT,
    Event.UNTIDY,
    Event.PURGING,
    Event.PURGED,
    Event.RESTORED,
    Event.RECORDS_LOST,
    Event.SIGNED,
    Event.WITHDRAWN,
    Event.FOUND_CHANGED,
    Event.WINDOW_ENTERED,
    Event.WINDOW_LEFT,
    Event.WINDOW_FAILED,
}

# Below: states across, signs down, in each place the state that follows; a dot changes nothing.
COMMIT = """
             NONE    TRIED    SENT     REFUSED  LOST   DONE
  TRIED      TRIED   .        .        TRIED    .      .
  SENT       SENT    SENT     .        SENT     .      .
  REFUSED    .       REFUSED  REFUSED  .        .      .
  LOST       LOST    LOST     LOST     LOST     .      .
  COMMITTED  DONE    DONE     DONE     DONE     DONE   .
  NOT_THERE  .       NONE     NONE     NONE     NONE   .
  PROPOSED   .       .        .        .        .      .
  APPROVED   .       .        .        .        .      .
  WITHDRAWN  .       .        .        .        .      .
  SEALED     .       .        .        .        .      .
  VERIFIED   .       .        .        .        .      .
  UNVERIFIED .       .        .        .        .      .
  UNDONE     .       .        .        .        .      .
"""
ASKED = """
             NO   YES
  TRIED      .    .
  SENT       .    .
  REFUSED    .    .
  LOST       .    .
  COMMITTED  .    .
  NOT_THERE  .    .
  PROPOSED   YES  .
  APPROVED   .    NO
  WITHDRAWN  .    NO
  SEALED     .    NO
  VERIFIED   .    .
  UNVERIFIED .    .
  UNDONE     .    .
"""
REVIEW = """
             OPEN    SIGNED         UNDONE         SIGNED_UNDONE
  TRIED      .       .              .              .
  SENT       .       .              .              .
  REFUSED    .       .              .              .
  LOST       .       .              .              .
  COMMITTED  .       .              .              .
  NOT_THERE  .       .              .              .
  PROPOSED   .       .              .              .
  APPROVED   .       .              .              .
  WITHDRAWN  .       .              .              .
  SEALED     .       .              .              .
  VERIFIED   SIGNED  .              SIGNED_UNDONE  .
  UNVERIFIED .       OPEN           .              UNDONE
  UNDONE     UNDONE  SIGNED_UNDONE  .              .
"""


@pytest.mark.parametrize(
    ("states", "table", "expected"),
    [
        (Commit, verdict.COMMIT, COMMIT),
        (Asked, verdict.ASKED, ASKED),
        (Review, verdict.REVIEW, REVIEW),
    ],
)
def test_every_state_and_sign_leads_where_the_table_says(
    states: type[StrEnum], table: Mapping[Any, Mapping[Sign, Any]], expected: str
) -> None:
    head, *rows = [line.split() for line in expected.strip().splitlines()]
    assert head == [state.name for state in states]
    assert [sign for sign, *_ in rows] == [sign.name for sign in Sign]
    assert set(table) == set(states)
    for sign, *cells in rows:
        for state, cell in zip(states, cells, strict=True):
            follows = states[cell] if cell != "." else state
            assert table[state].get(Sign[sign], state) is follows, (state, sign)


@pytest.mark.parametrize(("line", "meaning"), MEANT)
def test_a_line_means_what_is_written_here(line: dict[str, Any], meaning: set[Sign]) -> None:
    assert set(verdict.signs(Entry.of(line))) == meaning


def test_every_event_means_something_or_is_stated_to_mean_nothing() -> None:
    assert {Event(line["event"]) for line, _ in MEANT} | MEANINGLESS == set(Event)
    for event in MEANINGLESS:
        everything = {"stage": "apply", "of": ["proposal"], "committed": True, "kind": "InDoubt"}
        assert list(verdict.signs(Entry(event, everything))) == []


LINES = st.sampled_from([Entry.of(line) for line, _ in MEANT])


@given(st.lists(LINES), st.lists(LINES))
def test_nothing_takes_a_commit_away(before: list[Entry], after: list[Entry]) -> None:
    known = [*before, Entry.of({"event": "committed"}), *after]
    left = {Verdict.COMPLETE, Verdict.COMMITTED_UNVERIFIED, Verdict.UNDONE}
    assert verdict.judge(known) in left
    assert verdict.state(known, verdict.judge(known)) in (State.COMMITTED, State.TAKEN_BACK)


@given(st.lists(LINES))
def test_a_commit_that_was_sent_is_in_doubt_until_something_answers(before: list[Entry]) -> None:
    lines = ({"event": "started", "stage": "apply"}, {"event": "committing"})
    sent = [*before, *map(Entry.of, lines)]
    if not verdict.is_committed(before):
        assert verdict.judge(sent) is Verdict.IN_DOUBT
        assert verdict.exit_code(sent, Verdict.IN_DOUBT) == 5
        refused = Entry.of({"event": "settled", "committed": False})
        assert verdict.judge([*sent, refused]) is not Verdict.IN_DOUBT


def test_a_line_of_a_later_version_changes_no_verdict() -> None:
    known = [Entry.of({"event": "started", "stage": "apply"}), Entry.of({"event": "committed"})]
    later = Entry.of({"event": "not known yet", "stage": "apply", "committed": False})
    assert later.event is None
    assert verdict.judge([*known, later]) is verdict.judge(known)
