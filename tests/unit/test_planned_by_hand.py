"""What people give by hand: which values are used, which are refused, and their counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from nexus_reimport.errors import StopError
from nexus_reimport.model import ByHand
from nexus_reimport.model.survey import Pointer
from nexus_reimport.planning import manual, plan
from nexus_reimport.planning.manual import asking
from nexus_reimport.planning.manual.sheet import Cell
from support.by_itself import NOW, PlannedAlone, Written
from support.small_plan import (
    ONE,
    decided,
    declared,
    gone,
    person,
    written,
)


def by_hand(*cells: tuple[str, str, str], mark: str = "", untouched: bool = False) -> manual.Given:
    """Sites that a person gave: key of the row, the name that the sheet showed, and the site."""
    given = manual.Given("of the sheet")
    for number, (key, shown, value) in enumerate(cells, 2):
        line = manual.SheetRow(key, (shown,), {})
        place = f"sheet sites, line {number}"
        given.cells["sites", key, "site_id"] = Cell(value, mark or line.mark, place, untouched)
    return given


def with_people(folder: Path, **more: Any) -> Written:
    """P1 has a site, P2 and the person 5 of Nexus alone have none; 6 goes, and 7 nearly."""
    key = "00000000-0000-4000-8000-000000000001"
    one = {"id": "1", "fid": "P1", "name": "Person 1", "site_id": "1", "data": "{}", "card": "{}"}
    two = {"id": "2", "fid": "P2", "name": "Person 2", "data": "{}", "card": "{}"}
    five: dict[str, str | None] = {**gone(5), "fid": None}
    given: dict[str, Any] = {
        "records": {"people": [person(1), person(2)]},
        "rows": {
            "people": [one, two, five, gone(6), gone(7)],
            "visits": [{"id": key, "person_id": "7"}],
        },
        "pointers": (Pointer("visit", ("person_id",), "foreign key", "people", 1, 0, ("id",)),),
        "decisions": {"people": decided(not_in_filemaker="purge"), "visits": decided()},
    }
    return written(folder, **given | more)


def test_only_an_empty_value_is_filled_by_hand_and_each_is_counted(tmp_path: Path) -> None:
    clinic = with_people(tmp_path)
    made = clinic.planned()
    assert [*made.rows("people")] == ["1", "2", "5", "7"]
    assert made.plan.by_hand == (ByHand("sites", "people", 3, 0, 0, 0),)
    assert made.plan.sheet == ""
    given = by_hand(("1", "Person 1", "1"), ("2", "Person 2", "2"), ("7", "Gone 7", "1"))
    given.cells |= by_hand(("6", "Gone 6", "1"), untouched=True).cells
    made = clinic.planned(given)
    assert made.plan.sheet == "of the sheet"
    assert made.plan.by_hand == (ByHand("sites", "people", 1, 4, 2, 1, 1),)
    sites = {key: row["site_id"] for key, row in made.rows("people").items()}
    assert sites == {"1": "1", "2": "2", "5": None, "7": "1"}
    filled = ("people", "2", "site_id", "by hand"), ("people", "7", "site_id", "by hand")
    assert made.lines(made.plan.overrides) == [*filled]
    changes = {
        c.column: (c.filled_before, c.filled_after) for c in made.plan.entities["people"].changes
    }
    assert (changes["site_id"], changes["name"]) == ((1, 3), (5, 4))
    assert not [*tmp_path.glob("draft_*")]


def test_where_nothing_is_purged_values_are_filled_and_counted_too(tmp_path: Path) -> None:
    seen = {"seen": "2025-07-01 09:00"}
    people = [person(1, site="North", **seen), person(2, **seen), person(3, **seen)]
    clinic = written(tmp_path, records={"people": people})
    assert clinic.planned().plan.by_hand == (ByHand("sites", "people", 2, 0, 0, 0),)
    made = clinic.planned(by_hand(("101", "Person 2", "2")))
    assert made.plan.by_hand == (ByHand("sites", "people", 1, 1, 1, 0),)
    assert [row["site_id"] for row in made.rows("people").values()] == ["1", "2", None]


@pytest.mark.parametrize("kinds", [("sites",), ("owns",), ("sites", "owns")])
def test_of_two_kinds_of_one_entity_each_value_is_filled(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    owns = '[by_hand.owns]\nentity = "people"\ncolumns = { own = "" }\nshow = ["name"]\n'
    owns += 'where_any = ["born"]\n'  # P1 is not asked for
    two = person(2, seen="2025-07-01 09:00", born="1990-01-01")
    clinic = declared(
        tmp_path, ("[application]", f"{owns}[application]"), records={"people": [ONE, two]}
    )
    line = manual.SheetRow("101", ("Person 2",), {})
    cells = {"sites": ("site_id", "2"), "owns": ("own", "x")}
    given = manual.Given("of the sheet")
    for kind in kinds:
        column, value = cells[kind]
        given.cells[kind, "101", column] = Cell(value, line.mark, f"sheet {kind}, line 2")
    made = clinic.planned(given)
    row = made.rows("people")["101"]
    assert {k: row[c] for k, (c, _) in cells.items() if row[c]} == {k: cells[k][1] for k in kinds}
    assert made.plan.by_hand == tuple(
        ByHand(kind, "people", lacking - used, used, used, 0)
        for kind, lacking in (("sites", 2), ("owns", 1))
        for used in [int(kind in kinds)]
    )


def test_a_row_that_is_asked_for_since_another_kind_has_filled_it_waits(tmp_path: Path) -> None:
    asks = '[by_hand.asks]\nentity = "people"\ncolumns = { sex = "" }\nshow = ["name"]\n'
    asks += 'where_any = ["site_id"]\n'
    made = declared(
        tmp_path, ("[by_hand.sites]", f"{asks}[by_hand.sites]"), records={"people": [ONE]}
    ).planned(by_hand(("100", "Person 1", "2")))
    assert [(kind.kind, kind.waiting) for kind in made.plan.by_hand] == [("asks", 1), ("sites", 0)]


@pytest.mark.parametrize("is_given_before", [False, True])
def test_a_value_for_a_row_to_come_is_of_no_other_record_that_gets_its_number(
    tmp_path: Path, is_given_before: bool
) -> None:
    """Numbers of new rows are those of one plan; a namesake may come before the run is executed."""
    sheet = tmp_path / "manual.xlsx"

    def planned(folder: str, *numbers: int) -> PlannedAlone:
        (tmp_path / folder).mkdir()
        people = [{**ONE, "id": f"P{number}"} for number in numbers]
        clinic = written(tmp_path / folder, records={"people": people})
        intake = clinic.intake()
        given = manual.read(sheet, manual.kinds(intake))
        made = PlannedAlone(intake, plan.make(intake, clinic.settings, as_of=NOW, given=given))
        asking.write(made.plan, intake, clinic.settings, sheet)
        return made

    planned("first", 2, 3)
    book = load_workbook(sheet)
    book["sites"]["C2"] = "South"
    book.save(sheet)
    if not is_given_before:
        with pytest.raises(StopError, match="line 2: Site: stale: the row shows different values"):
            planned("then", 1, 2, 3)
        return
    assert planned("second", 2, 3).plan.by_hand == (ByHand("sites", "people", 1, 1, 1, 0),)
    made = planned("then", 1, 2, 3)
    assert made.plan.by_hand == (ByHand("sites", "people", 3, 1, 0, 0, 1),)
    assert not made.lines(made.plan.overrides)


def test_a_value_that_nexus_has_got_since_is_not_needed(tmp_path: Path) -> None:
    given = by_hand(("1", "Person 1", "2"), untouched=True)
    made = with_people(tmp_path).planned(given)
    assert made.plan.by_hand == (ByHand("sites", "people", 3, 1, 0, 1),)
    assert made.rows("people")["1"]["site_id"] == "1"
    assert made.lines(made.plan.overrides) == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (by_hand(("9", "Person 9", "1")), "there is no such row"),
        (by_hand(("6", "Gone 6", "1")), "there is no such row"),  # it goes
        (by_hand(("2", "Another", "1")), "stale: the row shows different values now"),
        (by_hand(("2", "Person 2", "1"), mark="-"), "stale: the row shows different values now"),
        (by_hand(("1", "Person 1", "2")), "the row holds a different value now; only an empty"),
    ],
)
def test_a_value_that_may_be_meant_for_another_row_stops(
    tmp_path: Path, given: manual.Given, problem: str
) -> None:
    with pytest.raises(StopError) as stopped:
        with_people(tmp_path).planned(given)
    assert f"sheet sites, line 2: Site: {problem}" in str(stopped.value)


PLANS = """
[by_hand.begins]
entity = "people"
columns = { starts = "" }
show = ["name"]
[by_hand.ends]
entity = "people"
columns = { ends = "" }
show = ["name"]
[by_hand.plans]
entity = "people"
columns = { starts = "", ends = "" }
show = ["name"]
titles = { starts = "Plan begins" }
[application]
"""
FIRST, SECOND = "2026-01-01", "2026-01-02"


@pytest.mark.parametrize(
    ("record", "by_kind", "problems"),
    [
        ({}, {"plans": {"starts": FIRST, "ends": FIRST}}, []),
        ({}, {"plans": {"starts": SECOND}}, []),
        ({}, {"plans": {"ends": FIRST}}, []),
        (
            {},
            {"plans": {"starts": SECOND, "ends": FIRST}},
            ["Plan begins: is after Ends", "Ends: is before Plan begins"],
        ),
        ({"from": SECOND}, {"plans": {"ends": FIRST}}, ["Ends: is before Plan begins"]),
        ({"from": SECOND}, {"ends": {"ends": FIRST}}, ["Ends: is before Starts"]),
        ({"from": FIRST}, {"ends": {"ends": FIRST}}, []),
        ({"to": FIRST}, {"plans": {"starts": SECOND}}, ["Plan begins: is after Ends"]),
        ({"to": FIRST}, {"begins": {"starts": SECOND}}, ["Starts: is after Ends"]),
        (
            {},
            {"begins": {"starts": SECOND}, "ends": {"ends": FIRST}},
            ["Starts: is after Ends", "Ends: is before Starts"],
        ),
        # What the row has is not judged again.
        ({"from": SECOND}, {"begins": {"starts": SECOND}}, []),
    ],
)
def test_what_people_give_goes_with_what_it_must_not_be_before(
    tmp_path: Path,
    record: dict[str, str],
    by_kind: dict[str, dict[str, str]],
    problems: list[str],
) -> None:
    clinic = declared(tmp_path, ("[application]", PLANS), records={"people": [person(1, **record)]})
    line = manual.SheetRow("100", ("Person 1",), {})
    every = [(k, c, value) for k, values in by_kind.items() for c, value in values.items()]
    for is_new in (True, False):
        given = manual.Given("of the sheet")
        for kind, column, value in every:
            cell = Cell(value, line.mark, "line 2", untouched=not is_new)
            given.cells[kind, "100", column] = cell
        # What was given before was judged then; FileMaker's may have been moved since.
        if problems and (is_new or record):
            with pytest.raises(StopError) as stopped:
                clinic.planned(given)
            listed = str(stopped.value).splitlines()[1 : 1 + len(problems)]
            assert [text.strip() for text in listed] == [f"line 2: {text}" for text in problems]
        else:
            (row,) = clinic.planned(given).rows("people").values()
            assert all(row[column] == value for _, column, value in every)


def test_what_people_gave_before_is_not_judged_again_because_of_another_value(
    tmp_path: Path,
) -> None:
    plans = PLANS.replace('starts = "", ends = ""', 'starts = "", ends = "", own = ""')
    clinic = declared(tmp_path, ("[application]", plans), records={"people": [person(1)]})
    mark = manual.SheetRow("100", ("Person 1",), {}).mark
    given = manual.Given("of the sheet")
    for column, value in (("starts", SECOND), ("ends", FIRST), ("own", "x")):
        cell = Cell(value, mark, "line 2", untouched=column != "own")
        given.cells["plans", "100", column] = cell
    (row,) = clinic.planned(given).rows("people").values()
    assert (row["starts"], row["ends"], row["own"]) == (SECOND, FIRST, "x")
