"""What a check's finding is worth: by its level, its waiver, and what it has looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nexus_reimport import checks
from nexus_reimport.checks import CannotLook, Finding, check, memo, one_by_one
from nexus_reimport.checks.before import rows
from nexus_reimport.checks.before.subject import Before
from nexus_reimport.files import columns
from nexus_reimport.model import Level, Report, Result
from nexus_reimport.settings import Waiver

TODAY, OVER = date(2026, 3, 1), date(2026, 2, 28)
PROOF = "the table was read to its end"


@pytest.fixture(autouse=True)
def no_other_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is declared here is asked here alone."""
    monkeypatch.setattr(checks, "REGISTRY", [])


@dataclass(frozen=True)
class Subject:
    """Gives a check what it finds; or raises it."""

    gives: Finding | Exception | Mapping[str, Finding]

    def found(self) -> Finding:
        if isinstance(self.gives, Exception):
            raise self.gives
        assert isinstance(self.gives, Finding)
        return self.gives


class Other(Subject):
    """The subject of another stage."""


def the_claim_holds(subject: Subject) -> Finding:
    """The claim holds.

    And this is not shown.
    """
    return subject.found()


def waiver(name: str, at_most: int, until: date = TODAY) -> Waiver:
    return Waiver(check=name, at_most=at_most, reason="by hand", who="A. Person", until=until)


def ours(at_most: int, until: date = TODAY) -> Waiver:
    return waiver("the_claim_holds", at_most, until)


def asked(subject: Subject, *waivers: Waiver, **more: Any) -> Report:
    return checks.run(subject, waivers, today=TODAY, **more)


def only(report: Report) -> Result:
    (result,) = report.results
    return result


TWO = Finding(5, ["b", "a"])


@pytest.mark.parametrize(
    ("finding", "waivers", "passed", "says"),
    [
        (Finding(5), [], True, ""),
        (Finding(0), [], False, ""),  # it looked at nothing
        (Finding(0), [ours(9)], False, "{up} to 9 {until}: no longer needed"),
        (Finding(0, empty=PROOF), [], True, ""),
        (Finding(0, ["a"], empty=PROOF), [], False, ""),
        (Finding(5, count=0), [], True, ""),
        (Finding(5), [ours(2, OVER)], True, "EXPIRED: {up} to 2 {over}: no longer needed"),
        (TWO, [], False, ""),
        (TWO, [ours(2)], True, "{up} to 2 {until}: by hand"),
        (TWO, [ours(1)], False, "NOT ENOUGH: {up} to 1 {until}: 2 offend, 1 more"),
        (TWO, [ours(2, OVER)], False, "EXPIRED: {up} to 2 {over}: 2 offend"),
        (TWO, [waiver("another", 2)], False, ""),
        (
            replace(TWO, count=7),
            [ours(6)],
            False,
            "NOT ENOUGH: {up} to 6 {until}: 7 offend, 1 more",
        ),
        (replace(TWO, count=7), [ours(7)], True, "{up} to 7 {until}: by hand"),
    ],
)
@pytest.mark.parametrize("level", Level)
def test_a_check_passes_if_it_looked_and_no_more_offend_than_are_waived(
    level: Level, finding: Finding, waivers: list[Waiver], passed: bool, says: str
) -> None:
    check(Subject, level)(the_claim_holds)
    report = asked(Subject(finding), *waivers)
    by = "by A. Person until"
    said = says.format(up="waived up", until=f"{by} {TODAY}", over=f"{by} {OVER}")
    assert (only(report).waiver, report.stage) == (said, "subject")
    assert only(report).passed is passed
    assert report.passed is (passed or level is not Level.STOP)
    assert (only(report).claim, only(report).level) == ("The claim holds.", level)


@pytest.mark.parametrize(
    ("finding", "given", "state"),
    [
        (TWO, ours(2), "in use"),
        (TWO, ours(1), "not enough"),
        (TWO, ours(2, OVER), "expired"),
        (Finding(5), ours(2), "no longer needed"),
        (Finding(5), ours(2, OVER), "expired"),
    ],
)
def test_what_a_waiver_is_to_its_check_is_not_read_off_the_words_of_its_reason(
    finding: Finding, given: Waiver, state: str
) -> None:
    check(Subject, Level.STOP)(the_claim_holds)
    for reason in ("by hand", "EXPIRED", "the form is no longer needed"):
        worded = given.model_copy(update={"reason": reason})
        assert only(asked(Subject(finding), worded)).waiver_state == state


def test_a_proof_that_nothing_is_there_is_said_only_where_nothing_was_looked_at() -> None:
    check(Subject, Level.STOP)(the_claim_holds)
    for looked, said in ((0, True), (1, False)):
        result = only(asked(Subject(Finding(looked, empty=PROOF))))
        assert (result.is_empty, PROOF in result.note) == (said, said)


def test_of_many_keys_the_first_five_are_shown_and_all_are_counted() -> None:
    check(Subject, Level.STOP)(the_claim_holds)
    result = only(asked(Subject(Finding(9, [*"gbfdaec"]))))
    assert (result.sample, result.keys, result.offending) == (tuple("abcde"), 7, 7)


def test_no_waiver_is_for_a_check_that_cannot_be_waived() -> None:
    check(Subject, Level.STOP, waivable=False)(the_claim_holds)
    result = only(asked(Subject(TWO), ours(9)))
    assert (result.passed, result.waiver) == (False, "")


@pytest.mark.parametrize("named_by", ["itself", "the other"])
@pytest.mark.parametrize(
    ("waivers", "passed"),
    [
        ([waiver("a_twin", 2)], True),
        ([waiver("a_twin", 9), ours(1)], False),  # its own counts first
        ([waiver("a_twin", 1), ours(9)], True),
        ([waiver("a_twin", 2), ours(9, OVER)], True),  # one in force first
        ([waiver("a_twin", 9, OVER), ours(9, OVER)], False),
        ([ours(2)], True),
        ([waiver("neither", 9)], False),
        ([waiver("nor_its_twin", 9)], False),
    ],
)
def test_a_waiver_counts_for_both_twins_and_a_checks_own_first(
    named_by: str, waivers: list[Waiver], passed: bool
) -> None:
    def a_twin(_: Other) -> Finding:
        """It asks the same at another stage."""
        raise AssertionError("of another stage")

    def neither(_: Other) -> Finding:
        """It has a twin of its own."""
        raise AssertionError("of another stage")

    check(Other, Level.STOP, twin="nor_its_twin")(neither)
    is_ours = named_by == "itself"
    check(Subject, Level.STOP, twin="a_twin" if is_ours else "")(the_claim_holds)
    check(Other, Level.STOP, twin="" if is_ours else "the_claim_holds")(a_twin)
    both = {"a_twin", "the_claim_holds"}
    assert checks.twins("a_twin") == checks.twins("the_claim_holds") == both
    assert checks.twins("alone") == {"alone"}
    result = only(asked(Subject(TWO), *waivers))
    assert result.passed is passed
    is_of_twin = "given for a_twin" in result.waiver
    assert is_of_twin is ([w.check for w in waivers if w.until >= TODAY] == ["a_twin"])


@pytest.mark.parametrize("level", Level)
def test_a_check_that_cannot_look_stops_whatever_its_level_and_its_waiver(level: Level) -> None:
    check(Subject, level)(the_claim_holds)
    report = asked(Subject(CannotLook("the table is gone")), ours(9))
    assert not report.passed
    assert (only(report).sample, only(report).looked_at) == (("the table is gone",), 0)
    wrong = Subject(ValueError("the value of a patient"))
    told = only(asked(wrong, ours(9), goes_on=True))
    assert told.blocks
    assert told.sample == ("what it looks at is not what it was (ValueError)",)
    with pytest.raises(ValueError, match="of a patient"):
        asked(wrong, ours(9))


def test_what_relinks_alone_is_asked_only_about_links() -> None:
    check(Subject, Level.STOP)(the_claim_holds)

    @check(Subject, Level.STOP, links=True)
    def every_link_is_right(_: Subject) -> Finding:
        """Every link is right."""
        return Finding(1)

    every, links = (asked(Subject(TWO), only_links=one) for one in (False, True))
    assert [r.check for r in every.results] == ["the_claim_holds", "every_link_is_right"]
    assert [r.check for r in links.results] == ["every_link_is_right"]


@pytest.mark.parametrize(
    ("parts", "looked", "offending", "sample", "passed"),
    [
        ({}, 0, 0, (), True),  # the mapping has none
        ({"a": Finding(0, empty=PROOF), "b": Finding(0, empty=PROOF)}, 0, 0, (), True),
        ({"a": Finding(0, empty=PROOF), "b": Finding(0)}, 0, 0, (), False),
        ({"a": Finding(0), "b": Finding(0, empty=PROOF)}, 0, 0, (), False),
        ({"a": Finding(2, note="n"), "b": Finding(3, ["x"], note="m")}, 5, 1, ("x",), False),
        ({"a": Finding(2, ["y"], count=4), "b": Finding(3, ["x"])}, 5, 5, ("x", "y"), False),
    ],
)
def test_what_is_found_of_several_things_is_added_up(
    parts: dict[str, Finding], looked: int, offending: int, sample: tuple[str, ...], passed: bool
) -> None:
    @check(Subject, Level.STOP)
    @one_by_one(lambda subject: subject.gives)
    def each_is_right(subject: Subject, name: str) -> Finding:
        """Each is right."""
        assert isinstance(subject.gives, Mapping)
        return subject.gives[name]

    result = only(asked(Subject(parts)))
    assert (result.looked_at, result.offending, result.sample) == (looked, offending, sample)
    assert (result.passed, result.is_empty) == (passed, passed)
    notes = dict.fromkeys(part.note for part in parts.values() if part.note)
    proofs = {part.empty for part in parts.values()} or {checks.NOTHING_OF_THIS_KIND}
    assert result.note == "; ".join([*notes, *(proofs if passed else ())])


# ---------------------------------------------------------------- what was found before


@dataclass(frozen=True, slots=True)
class State:
    """What is looked at."""

    rows: Mapping[str, int] = field(default_factory=lambda: {"a": 1, "b": 2})
    name: str = "one"
    of_nobody: int = 0

    @property
    def shown(self) -> str:
        return self.name.upper()

    def row(self, key: str) -> int:
        return self.rows[key]


@pytest.mark.parametrize(
    ("look", "another", "same"),
    [
        (lambda state: state.name, {"name": "two"}, {"rows": {}}),
        (lambda state: state.shown, {"name": "two"}, {"rows": {}}),
        (lambda state: state.row("a"), {"rows": {"a": 9}}, {"rows": {"a": 1, "b": 9}}),
        (lambda state: state.rows.get("c"), {"rows": {"c": 0}}, {"rows": {"a": 9}}),
        (lambda state: "c" in state.rows, {"rows": {"c": 0}}, {"rows": {"a": 9}}),
        (lambda state: [*state.rows], {"rows": {"b": 2, "a": 1}}, {"rows": {"a": 9, "b": 9}}),
        (lambda state: len(state.rows), {"rows": {"a": 1}}, {"rows": {"a": 9, "b": 9}}),
        (lambda state: [*state.rows.values()], {"rows": {"a": 1, "b": 9}}, {"name": "two"}),
        (lambda state: state.once(lambda s: s.name), {"name": "two"}, {"rows": {}}),
    ],
)
def test_a_check_is_asked_again_where_what_it_looked_at_is_another(
    look: Callable[[Any], object], another: dict[str, Any], same: dict[str, Any]
) -> None:
    first, asked_of = State(), []

    def noting(state: Any) -> object:
        asked_of.append(state)
        return look(state)

    known = memo.Memo()
    found = known.of(noting, first)
    for state in (first, replace(first, of_nobody=1, **same)):
        assert known.of(noting, state) == found
    assert len(asked_of) == 1
    assert known.of(noting, replace(first, **another)) != found
    assert len(asked_of) == 2
    assert known.of(noting, first) == found, "the first is kept"


def test_a_check_that_is_asked_again_finds_what_it_has_found_of_the_same() -> None:
    looked = []

    @check(State, Level.STOP)
    def the_name_is_right(state: State) -> Finding:
        """The name is right."""
        looked.append(state.name)
        return Finding(1, [] if state.name == "one" else ["a"])

    known = memo.Memo()
    states = (State(), State({}), State(name="two"))
    passed = [checks.run(one, today=TODAY, memo=known).passed for one in states]
    assert (passed, looked) == ([True, True, False], ["one", "two"])


def test_of_each_thing_that_a_check_is_asked_about_it_is_known_by_itself() -> None:
    known = memo.Memo()
    found = {key: known.of(lambda state, of: state.rows[of], State(), key) for key in ("a", "b")}
    assert found == {"a": 1, "b": 2}

    def look(state: Any, of: str) -> int:
        return int(state.rows[of])

    assert [known.of(look, State(), key) for key in ("a", "b", "a")] == [1, 2, 1]


@pytest.mark.parametrize(("when_empty", "keeps"), [("clear", "2 rows keep"), ("keep", "")])
def test_a_row_that_may_not_lose_what_the_mapping_clears_is_told_how_it_keeps_it(
    when_empty: str, keeps: str
) -> None:
    """An end that does not fit took Nexus's away, and the only advice was to lose the record."""
    column = SimpleNamespace(when_empty=when_empty)
    visits = SimpleNamespace(columns={"ends": column})
    held = SimpleNamespace(
        mapping=SimpleNamespace(entities={"visits": visits}),
        keys_now=lambda _: columns.of(["1", "2", "3"]),
    )
    told = "; ".join(rows._cleared(cast(Before, held), "visits", "ends", ["1", "3", "new"]))
    assert (keeps in told, bool(told)) == (True, bool(keeps))
