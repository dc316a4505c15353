"""Lists count their rest, parts never exceed their wholes, only all of them are 100%."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import PACKAGE, wording

NAMES = st.lists(st.text("abc", min_size=1), max_size=30)


@given(NAMES, st.integers(1, 8))
def test_a_list_names_some_and_counts_the_rest(names: list[str], shown: int) -> None:
    text = wording.some(names, shown=shown)
    told, _, rest = text.partition(" and ")
    named = told.split(", ") if told else []
    assert named == names[:shown]
    assert len(named) + int((rest or "0").split()[0]) == len(names)


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "a, b"), (2, "a, b"), (11, "a, b and 9 more"), (1, "a, b")],
)
def test_the_beginning_of_a_list_counts_what_is_not_there(count: int | None, text: str) -> None:
    assert wording.some(["a", "b"], count) == text


@given(NAMES)
def test_lines_count_their_rest_too(names: list[str]) -> None:
    text = wording.lines(names, shown=4)
    assert len(text.splitlines()) == min(len(names), 4) + (len(names) > 4) + (not names) * 0
    assert (len(names) > 4) == text.endswith(f"and {len(names) - 4:,} more")


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_part_is_never_more_than_its_whole(count: int, whole: int) -> None:
    text = wording.part(count, whole)
    assert (" of " in text) == (count <= whole)
    share = wording.share(count, whole)
    if 0 < count < whole:
        assert share not in ("0.0%", "100.0%")
    elif whole and count <= whole:
        assert share == ("100.0%" if count else "0.0%")
    elif not whole:
        assert share == ""


def test_one_is_not_many() -> None:
    assert [wording.amount(n, "day") for n in (0, 1, 2877)] == ["0 days", "1 day", "2,877 days"]
    assert wording.amount(2, "entity", "entities") == "2 entities"


def test_a_time_is_told_in_utc_whatever_its_offset_is() -> None:
    at = datetime(2026, 7, 1, 0, 5, 9, tzinfo=timezone(timedelta(hours=2)))
    assert wording.moment(at) == "2026-06-30 22:05:09 UTC"
    assert wording.minute(at) == "2026-06-30 22:05 UTC"


def test_nothing_else_calls_a_time_utc_that_may_have_another_offset() -> None:
    elsewhere = [
        f"{path.relative_to(PACKAGE)}"
        for path in PACKAGE.rglob("*.py")
        if re.search(r"%[MS]\} UTC", path.read_text(encoding="utf-8")) and path.stem != "wording"
    ]
    assert elsewhere == [], "wording.moment and wording.minute say it"


# After a number that can be 1: a word or two, and the plural of what is counted.
_SEVERAL = re.compile(
    r" (?:[a-z-]+ ){0,2}?(?!has\b|is\b|was\b|as\b|its\b|this\b|exis)([a-z]+(?:s\b|\(s\)))"
)
_NO_COUNT = {"holds", "repeats", "afterwards"}  # no plurals
_FIXED = {"ms", "characters"}  # a unit; the most that a cell of a workbook holds
_FOR_PEOPLE_WHO_PROGRAM = "__repr__"


def counted_plurals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and noun of each text in which a number stands directly before a plural."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name == _FOR_PEOPLE_WHO_PROGRAM:
            function.body = []
    for node in ast.walk(tree):
        values = node.values if isinstance(node, ast.JoinedStr) else []
        for number, after in pairwise(values):
            if not isinstance(number, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            form = ast.unparse(number.format_spec) if number.format_spec else ""
            noun = _SEVERAL.match(str(after.value))
            if noun and ("," in form or "len(" in ast.unparse(number.value)):
                yield number.lineno, noun[1]


def test_every_message_that_counts_knows_what_one_of_it_is_called() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {noun}"
        for path in files
        for line, noun in counted_plurals(ast.parse(path.read_text(encoding="utf-8")))
        if noun not in _NO_COUNT | _FIXED
    ]
    assert found == [], "wording.amount says 1 row, and 2 rows"


def test_a_counted_plural_is_seen() -> None:
    tree = ast.parse(
        'f"{len(runs)} runs: {n:,} more rows, {n:,} of {whole:,} days, {n:,} now, {n:,} right(s)"'
    )
    assert [noun for _, noun in counted_plurals(tree)] == ["runs", "rows", "days", "right(s)"]


def test_processes_are_named_once() -> None:
    assert wording.processes([7]) == "pid 7"
    assert wording.processes([7, 8]) == "pids 7, 8"
