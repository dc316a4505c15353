"""The words of the page: what is typed, how numbers and times are written, decisions in parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport.page import decision, headers, log, words
from nexus_reimport.page.confirmation import Confirmation, is_meant
from nexus_reimport.runner import advice
from support.page_alone import START, rendered


@pytest.mark.parametrize("typed", ["PROD 2,877", "prod 2877", "Prod  2,877"])
def test_the_word_and_the_number_are_meant_however_they_are_written(typed: str) -> None:
    assert is_meant(typed, "PROD", 2877)


@pytest.mark.parametrize(
    "typed",
    ["", "PROD", "2,877", "PROD2877", "DEV 2,877", "PROD 2,878", "PROD 2877 x", "PROD -2877"],
)
def test_anything_else_is_not_meant(typed: str) -> None:
    assert not is_meant(typed, "PROD", 2877)


def test_a_form_says_all_that_is_wrong_with_it_at_once() -> None:
    given = Confirmation.of({"name": " \n", "reason": "", "phrase": "PROD 1", "digest": "abc"})
    assert given.problems("PROD", 2, "abd").keys() == {"name", "reason", "phrase", "digest"}
    right = Confirmation.of(
        {"name": " Ada\n  Engineer ", "reason": "r", "phrase": "PROD 2", "digest": " ABD "}
    )
    assert right.problems("PROD", 2, "abd") == {}
    assert right.name == "Ada Engineer"


def test_numbers_times_and_names_are_written_as_people_read_them() -> None:
    assert words.number(2877) == "2,877"
    twice = [datetime(2026, 4, 4, hour, 30, tzinfo=UTC) for hour in (15, 16)]
    assert [words.moment(at, ZoneInfo("Australia/Sydney")) for at in twice] == [
        "2026-04-05 02:30 AEDT",
        "2026-04-05 02:30 AEST",
    ]
    assert (words.change(4), words.change(0), words.change(None)) == ("+4", "same number", "")
    assert words.change(-61) == "\N{MINUS SIGN}61"
    assert [words.seconds(n) for n in (0.72, 55, 125)] == ["0.7 s", "55 s", "2 min 05 s"]
    now = START + timedelta(days=3)
    assert words.ago(START, now) == "3 days ago"
    assert words.ago(START, START + timedelta(hours=1)) == "1 hour ago"
    assert words.ago(START, START - timedelta(seconds=5)) == "just now"  # "-1 days ago" it said
    ahead = "3 hours ahead of this machine's clock"
    assert words.ago(START, START - timedelta(hours=3, minutes=5)) == ahead
    assert words.page_name("data/01_preflight-2.html") == "preflight 2"


def test_a_time_that_is_not_of_today_has_its_day() -> None:
    """A run lasts over midnight, and so does a page that is left open."""
    zone = ZoneInfo("Australia/Sydney")
    now = datetime(2026, 4, 4, 14, 5, tzinfo=UTC)  # five past one in Sydney
    assert words.lately(now, zone, now) == "01:05:00 AEDT"
    assert words.lately(now - timedelta(hours=2), zone, now) == "2026-04-04 23:05 AEDT"
    lines = [log.Line(now - timedelta(hours=n), "apply", "begins", "", None) for n in range(4)]
    text = rendered("log.html", it=SimpleNamespace(lines=lines, lines_of="x"), zone=zone, front="")
    assert "01:05:00 apply begins 00:05:00 apply begins 2026-04-04 23:05:00 apply begins" in text


def test_the_policy_of_the_page_allows_own_files_and_nothing_inline() -> None:
    parts = dict(part.strip().split(" ", 1) for part in headers.POLICY.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["frame-ancestors"] == "'none'"
    assert not {"unsafe", "http", "*", "data:"} & {
        w for text in parts.values() for w in text.split()
    }


def test_what_a_gate_says_of_notebooks_is_said_of_the_page() -> None:
    assert words.in_page_words("the package was changed since the preflight") == (
        "this program was changed since the dry run"
    )
    explained = "the mapping (which FileMaker field feeds what) was changed"
    assert words.in_page_words("the mapping was changed") == explained
    assert (
        words.in_page_words("the mapping's budget is used up") == "the mapping's budget is used up"
    )
    said = words.in_page_words("run 01_preflight again (nexus-reimport run dev) and read it again")
    assert said == "start another dry run and read it again"
    said = words.in_page_words("run 01_preflight again (nexus-reimport relink dev) and read it")
    assert said == "give the command nexus-reimport relink dev again and read it"
    begin = "fix it, then begin again (nexus-reimport {})"
    assert words.in_page_words(begin.format("run dev")) == "fix it, then start another dry run"
    assert words.in_page_words(begin.format("rollback 2026-1")) == "fix it, then look again"
    anew = (
        "{} begins a new run; nexus-reimport record show dev --run R shows what became of this one"
    )
    run, rollback = (anew.format(f"nexus-reimport {one}") for one in ("run dev", "rollback 2026-1"))
    assert words.in_page_words(run) == "start another dry run"
    assert words.in_page_words(rollback) == "look again"
    decide = words.in_page_words("next:  nexus-reimport finish dev prints what a person can decide")
    assert decide == "next:  decide by the list at the top of Data management"
    of_links = begin.format("relink dev")  # the page has no button for it
    assert words.in_page_words(of_links) == of_links


ADVICE = {
    name: text for name, text in vars(advice).items() if isinstance(text, str) and "\n  A. " in text
}


@pytest.mark.parametrize("name", ADVICE)
def test_a_decision_on_the_page_has_all_words_of_the_one_in_a_terminal(name: str) -> None:
    found = decision.of(ADVICE[name])
    words_of = [found.what]
    for one in found.choices:
        words_of.append(f"{one.letter}. {one.case}")
        words_of += ["".join(part.text for part in line) for line in one.lines]
    assert " ".join(words_of).split() == ADVICE[name].split()
    assert [one.letter for one in found.choices] == list("ABCDEF"[: len(found.choices)])
    parts = [part for one in found.choices for line in one.lines for part in line]
    assert all(part.is_command == part.text.startswith("nexus-reimport") for part in parts)
    assert {p.text for p in parts if p.is_command} <= {
        *(f"nexus-reimport {word} ENV" for word in ("finish", "seal", "relink", "run", "settle")),
        "nexus-reimport record check ENV",
        "nexus-reimport record restored ENV --why TEXT",
        "nexus-reimport rollback RUN",
        "nexus-reimport restore RUN --into NAME",
        "nexus-reimport adopt ENV --this-is-a-copy",
    }
