"""What becomes of each value of a record, worked out by hand: rows, misfits, differences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport.model import ColumnFit, Misfits
from nexus_reimport.planning.misfits import (
    BESIDE,
    BLOCKED,
    DERIVED,
    EMPTY,
    OTHER_PARTS,
    STAYS,
    sums,
)
from support.small_plan import (
    COLUMNS,
    NO_SEEN,
    ONE,
    SITES,
    declared,
    of_visits,
    person,
    told,
    visit,
    written,
)


def test_each_value_of_a_new_row_is_converted(tmp_path: Path) -> None:
    one = person(
        1,
        born="2026-03-01",  # in Sydney it is that day
        sex=" Female ",
        site="north ",
        file="F1",
        seen="2025-07-01 09:30:00",
        **{"from": "2025-01-01", "to": "2025-01-01"},
    )
    card = [
        {"id": "D2", "of": "P1", "kind": "phone", "value": "0401 234 567", "label": "Home"},
        {"id": "D1", "of": "p1 ", "kind": "email", "value": "a@b.example"},
        {"id": "D0", "of": "P1", "kind": "phone", "value": "13 12 34"},  # in the order of ids
    ]
    made = written(tmp_path, records={"people": [one], "details": card}).planned()
    (row,) = made.rows("people").values()
    assert json.loads(row.pop("card") or "") == {
        "email": "a@b.example",
        "emails": [{"address": "a@b.example", "label": ""}],
        "phones": [
            {"type": "phone", "number": "13 12 34", "phone": "13 12 34", "label": ""},
            {
                "type": "phone",
                "number": "0401 234 567",
                "phone": "0401 234 567",
                "label": "Home",
                "e164": "+61401234567",
            },
        ],
    }
    assert row == {
        "id": "100",
        "fid": "P1",
        "name": "Person 1",
        "born": "2026-03-01",
        "sex": "f",
        "site_id": "1",
        "seen": "2025-07-01 09:30:00",
        "stamp": "2025-07-01 09:30:00",
        "plan": "2025-01-01",
        "starts": "2025-01-01",
        "ends": "2025-01-01",
        "data": '{"file": "F1"}',
        "made": "2025-06-30 23:30:00+00",
        "own": None,
    }
    assert made.misfits == made.differences == []
    held = {fit.column: fit.held for fit in made.plan.entities["people"].fits}
    assert held == {**dict.fromkeys(held, 1), "card": 3}
    assert made.ledger == [
        ("people", "people", "new", None, "P1", "100"),
        ("details", "people", "merged", None, "D2", "100"),
        ("details", "people", "merged", None, "D1", "100"),
        ("details", "people", "merged", None, "D0", "100"),
    ]


def test_a_value_that_does_not_fit_a_new_row_is_empty_or_its_default(tmp_path: Path) -> None:
    wrong = {
        "name": "thirteen long",
        "sex": "x",
        "site": "nowhere",
        "seen": "2025-07-01 9h",
        "from": "2025-01-02",
        "to": "2025-01-01",
    }
    made = written(tmp_path, records={"people": [person(1) | wrong]}).planned()
    (row,) = made.rows("people").values()
    empty = ("sex", "site_id", "seen", "ends", "own", "born")
    assert [row[column] for column in empty] == [None] * 6
    assert (row["name"], row["starts"], row["made"]) == ("", "2025-01-02", "2026-03-01 02:00:00+00")
    assert made.misfits == [
        told("ends", "before starts", "P1", EMPTY),
        told("made", "not a time: the time of the plan is used", "P1", DERIVED),
        told("name", "longer than 12 characters", "P1", EMPTY),
        told("seen", "not a time", "P1", EMPTY),
        told("sex", "not one of the choices", "P1", EMPTY),
        told("site_id", "names no row of site", "P1", EMPTY),
        told("stamp", "not a time", "P1", EMPTY),
    ]


def test_of_a_value_that_does_not_fit_nothing_is_told_as_taken(tmp_path: Path) -> None:
    """It was told twice, once as "the first is taken" although nothing was."""
    phone = '{ from = "name", convert = "phone", with = { else = "ward" } }'
    two_numbers = ('{ from = "name" }', phone)
    too_early = ('{ from = "to", convert = "date"', '{ from = "seen", convert = "timestamp"')
    people = [
        person(1, name="+61 401 234 567", ward="0402345678", seen="2025-01-01"),
        person(2, name="0401 234 567", ward="0402345678", seen="2025-01-03"),
    ]
    people[0] |= {"from": "2025-01-02"}
    clinic = declared(tmp_path, two_numbers, too_early, records={"people": people})
    clinic.columns = {**COLUMNS, "people": COLUMNS["people"] | {"ends": "timestamptz"}}
    made = clinic.planned()
    assert [m for m in made.misfits if m[1] in ("name", "ends")] == [
        told("ends", "before starts", "P1", EMPTY),
        told("ends", "no time: set to midnight", "P2", DERIVED),
        told("name", ANOTHER, "P1", EMPTY),
        told("name", "longer than 12 characters", "P1", EMPTY),
        told("name", "two fields hold different numbers: the first is taken", "P2", DERIVED),
    ]


def test_a_text_may_be_as_long_as_its_column(tmp_path: Path) -> None:
    people = [person(n, name=name) for n, name in enumerate(("twelve chars", "🙂" * 12, "🙂" * 13))]
    made = written(tmp_path, records={"people": people}).planned()
    assert [row["name"] for row in made.rows("people").values()] == ["twelve chars", "🙂" * 12, ""]


def test_a_value_that_does_not_fit_leaves_what_nexus_has(tmp_path: Path) -> None:
    was = {"id": "7", "fid": "p1", "name": "Person 1", "sex": "m", "site_id": "2", "own": "x"}
    was |= {"data": '{"file": "F0", "more": 1}', "card": "{}"}
    wrong = person(1, sex="x", site="Twice", born="3.4.2019", file="")
    made = written(tmp_path, records={"people": [wrong]}, rows={"people": [was]}).planned()
    assert made.ledger == [
        ("people", "people", "left out", "born wrongly", "P1", None),
        ("people", "people", "kept", "left_out_by_rule", "p1", "7"),
    ]
    wrong["born"] = ""
    made = written(tmp_path, records={"people": [wrong]}, rows={"people": [was]}).planned()
    assert made.rows("people") == {"7": {**dict.fromkeys(COLUMNS["people"]), **was, "fid": "P1"}}
    assert made.misfits == [
        told("sex", "not one of the choices", "P1", STAYS),
        told("site_id", "names several rows of site", "P1", STAYS),
    ]
    assert made.differences == [("people", "7", "fid", "p1", "P1")]
    people = made.plan.entities["people"]
    assert {c.column: c.kept for c in people.changes if c.kept} == {
        "sex": 1,
        "site_id": 1,
        "data.file": 1,
    }
    assert Misfits("sex", "not one of the choices", 1, 0, 0, ("P1",)) in people.misfits
    assert ColumnFit("sex", 1, 1, 5) in people.fits
    assert ColumnFit("born", 0, 0, 5) in people.fits


def test_a_date_in_a_column_with_a_time_is_midnight_and_derived(tmp_path: Path) -> None:
    people = [person(1, seen="2025-07-01"), person(2, seen="2025-07-01T00:00:00"), person(3)]
    people.append(person(4, seen="1066-10-14"))
    made = written(tmp_path, records={"people": people}).planned()
    seen = {row["fid"]: row["seen"] for row in made.rows("people").values()}
    midnight = "2025-07-01 00:00:00"
    assert seen == {"P1": midnight, "P2": midnight, "P3": None, "P4": None}
    assert [line for line in made.misfits if line[1] == "seen"] == [
        told("seen", "a date out of range", "P4", EMPTY),
        told("seen", "no time: set to midnight", "P1", DERIVED),
    ]
    (fit,) = (f for f in made.plan.entities["people"].fits if f.column == "seen")
    assert (fit.held, fit.misfits) == (3, 1)


def test_a_date_or_a_time_in_a_text_has_one_form_or_does_not_fit(tmp_path: Path) -> None:
    """What a channel remarks of a value must not come into a text."""
    people = [
        person(1, seen="2025-07-01T09:30:00+10:00", **{"from": "2025-07-01"}),
        person(2, seen="31/02/2025 9h (not d/m/y and a time)", **{"from": "1/13/2025 (not d/m/y)"}),
        person(3, seen=" ", **{"from": " "}),
        person(4, seen="2025-07-01 09:30:00", **{"from": "2025-07-01 "}),
        person(5, seen="2025-07-01", to="2020-01-01"),  # no start that it could be before
    ]
    visits = [visit(1, time="24:00:00"), visit(2, time="9h (not a time)"), visit(3, time="")]
    made = written(tmp_path, records={"people": people, "visits": visits}).planned()
    texts = {row["fid"]: (row["stamp"], row["plan"]) for row in made.rows("people").values()}
    empty = (None, None)
    # Each channel writes a timestamp in a form of its own: the text is the same.
    both = ("2025-07-01 09:30:00", "2025-07-01")
    day = ("2025-07-01", None)
    assert texts == {"P1": both, "P2": empty, "P3": empty, "P4": both, "P5": day}
    assert {key: row["clock"] for key, row in of_visits(made).items()} == {
        "V1": "24:00:00",
        "V2": None,
        "V3": None,
    }
    assert {row["ends"] for row in made.rows("people").values()} == {None, "2020-01-01"}
    places = {(line[1], line[3]) for line in made.misfits if line[1] in ("stamp", "plan", "clock")}
    assert places == {("stamp", "P2"), ("plan", "P2"), ("clock", "V2")}


DIFFERENT = "names different rows of site: the first field that names one row counts"


@pytest.mark.parametrize(
    ("site", "ward", "key", "reason"),
    [
        ("South", "", "2", ""),
        ("SOUTH  ", "", "2", ""),
        ("", "W1", "1", ""),
        ("", "w1 ", "1", ""),
        ("nowhere", "W1", "1", "names no row of site in one field: the next field counts"),
        ("North", "W1", "1", ""),
        ("North", "W9", "1", ""),  # nothing is lost: a fallback that is not needed
        ("South", "W1", "2", DIFFERENT),
        ("South", "W3", "2", DIFFERENT),
        ("Twice", "W1", "1", DIFFERENT),
        ("Twice", "W4", "4", ""),  # one of the two that are called so
        ("Twice", "", None, "names several rows of site"),
        ("nowhere", "", None, "names no row of site"),
        ("", "W9", None, "names no row of site"),
        ("", "W2", None, "names no row of site"),
        (" ", "", None, ""),
        ("", "", None, ""),
    ],
)
def test_a_row_is_looked_up_by_each_of_the_fields_in_turn(
    tmp_path: Path, site: str, ward: str, key: str | None, reason: str
) -> None:
    sites = {"W1": "North", "W2": "", "W3": "Twice", "W4": "Fourth"}
    wards = [{"id": ward, "site": site} for ward, site in sites.items()]
    records = {"people": [person(1, site=site, ward=ward, seen="2025-07-01 09:00")], "wards": wards}
    lookups = {"site.label": [*SITES, ("4", "Fourth")]}
    made = written(tmp_path, records=records, lookups=lookups).planned()
    (row,) = made.rows("people").values()
    assert row["site_id"] == key
    assert [line[1:3] for line in made.misfits] == ([("site_id", reason)] if reason else [])
    (fit,) = (f for f in made.plan.entities["people"].fits if f.column == "site_id")
    assert fit.held == bool((site + ward).strip())
    # A ward is only looked up, and each of them has its line.
    assert made.ledger[1:] == [("wards", "", "looked up", None, ward, None) for ward in sites]


def test_a_place_that_a_text_takes_in_nexus_is_told(tmp_path: Path) -> None:
    was = {"data": '"a text"', "card": "{}"}
    rows = [
        {"id": "7", "fid": "P2", "name": "Old", **was},
        {"id": "8", "fid": "P1", "name": "Person 1", **was},
    ]
    both = person(1, file="F1"), person(2, file="F2"), person(3, seen="2025-07-01 09:00")
    made = written(tmp_path, records={"people": [*both]}, rows={"people": [*rows]}).planned()
    assert [made.rows("people")[key]["data"] for key in ("7", "8", "100")] == [
        *['"a text"'] * 2,
        "{}",
    ]
    assert made.misfits == [told("data.file", BLOCKED, p, STAYS) for p in ("P1", "P2")]
    # Each once, in the order of FileMaker's ids.
    assert made.differences == [
        ("people", "8", "data.file", "a text", "F1"),
        ("people", "7", "name", "Old", "Person 2"),
        ("people", "7", "data.file", "a text", "F2"),
    ]


def test_misfits_are_summed_up_by_column_and_reason_with_the_first_ids() -> None:
    lines = [("b", "why", f"P{n}", STAYS) for n in (7, 3, 5, 1, 6, 2, 4)]
    lines += [("b", "why", "P1", DERIVED), ("a", "why", "P9", EMPTY), ("b", "else", "P9", EMPTY)]
    lines += [("a", "why", "P9", BESIDE), ("a", "why", "P8", OTHER_PARTS)]
    assert [*sums(lines)] == [
        Misfits("a", "why", 2, 1, 0, ("P8", "P9")),
        Misfits("b", "else", 0, 1, 0, ("P9",)),
        Misfits("b", "why", 7, 0, 1, ("P1", "P2", "P3", "P4", "P5")),
    ]


@pytest.mark.parametrize(
    ("starts", "ends", "fed", "is_told"),
    [
        ("2024-01-01", "2024-12-31", ("2025-01-01", ""), True),  # the new plan's end is not known
        ("2025-06-01", None, ("", "2025-01-01"), True),
        ("2025-02-01", "2025-01-01", ("", ""), False),  # it was so, and FileMaker says nothing
        ("2025-02-01", "2025-01-01", ("2025-02-01", "2025-01-01"), False),  # told as a misfit
        ("2025-02-01", "infinity", ("2025-03-01", ""), False),
        (None, None, ("2025-01-01", "2025-01-01"), False),
    ],
)
def test_a_value_that_stays_and_is_too_early_for_filemakers_is_told(
    tmp_path: Path, starts: str | None, ends: str | None, fed: tuple[str, str], is_told: bool
) -> None:
    row = {"id": "7", "fid": "P1", "name": "Person 1", "data": "{}", "card": "{}"}
    one = person(1, **{"from": fed[0], "to": fed[1]})
    rows: dict[str, Any] = {"people": [{**row, "starts": starts, "ends": ends}]}
    made = written(tmp_path, records={"people": [one]}, rows=rows).planned()
    reason = "before starts: one of the two is Nexus's value"
    assert (told("ends", reason, "P1", DERIVED) in made.misfits) is is_told


def test_a_date_that_must_follow_a_time_may_be_of_the_same_day(tmp_path: Path) -> None:
    due = 'told = { from = "remark", convert = "date", not_before = "starts" }'
    rule = 'told = { rule = "sent_if", column = "remark", past = "yes", future = "no" }\n'
    days = {1: "2025-06-30", 2: "2025-07-01"}
    visits = [visit(n, time="15:00:00", remark=day) for n, day in days.items()]
    records = {"people": [person(1)], "visits": visits}
    made = declared(
        tmp_path, ('clock = { from = "time" }', due), (rule, ""), records=records
    ).planned()
    rows = of_visits(made)
    assert [rows[name]["told"] for name in ("V1", "V2")] == [None, "2025-07-01"]
    assert told("told", "before starts", "V1", EMPTY, "visits") in made.misfits


def test_a_key_that_stays_and_is_too_early_is_told_as_well(tmp_path: Path) -> None:
    keys = '"data.from" = { from = "from", convert = "date" }\n'
    keys += '"data.to" = { from = "to", convert = "date", not_before = "data.from" }\n'
    held = '{"from": "2024-01-01", "to": "2024-12-31"}'
    row = {"id": "7", "fid": "P1", "name": "Person 1", "data": held, "card": "{}"}
    made = declared(
        tmp_path,
        ("[entities.people.new]", f"{keys}[entities.people.new]"),
        records={"people": [person(1, **{"from": "2025-01-01"})]},
        rows={"people": [row]},
    ).planned()
    reason = "before data.from: one of the two is Nexus's value"
    assert made.misfits == [told("data.to", reason, "P1", DERIVED)]


def test_a_time_that_cannot_be_read_does_not_cost_the_date_beside_it(tmp_path: Path) -> None:
    dated = 'own = { from = "from", convert = "dated", with = { timestamp = "seen" } }'
    one = person(1, seen="1/7/2025 9h (not d/m/y and a time)", **{"from": "2025-07-01"})
    clinic = declared(
        tmp_path,
        ("[entities.people.new]", f"{dated}\n[entities.people.new]"),
        records={"people": [one]},
    )
    made = clinic.planned()
    assert made.rows("people")["100"]["own"] == "2025-06-30 14:00:00+00"
    reason = "a date beside a time that cannot be read: set to midnight"
    assert told("own", reason, "P1", DERIVED) in made.misfits


def test_a_new_row_counts_as_no_change_and_has_of_a_rule_only_what_filemaker_lacks(
    tmp_path: Path,
) -> None:
    first = ("[entities.visits.new]", 'first = { from = "remark" }\n[entities.visits.new]')
    visits = [visit(1, remark="FileMaker's own"), visit(2)]
    phone = {"id": "D1", "of": "P1", "kind": "phone", "value": "0401 234 567"}
    records = {"people": [ONE], "visits": visits, "details": [phone]}
    made = declared(tmp_path, first, records=records).planned()
    assert {key: row["first"] for key, row in of_visits(made).items()} == {
        "V1": "FileMaker's own",
        "V2": "P1",
    }
    for entity in made.plan.entities.values():
        changes = [
            (c.filled, c.different, c.cleared, c.kept, c.same, c.gone) for c in entity.changes
        ]
        assert {*changes} == {(0,) * 6}


@pytest.mark.parametrize(
    ("day", "first", "derived"),
    [
        ("2025-07-01", "2025-07-01", ()),
        ("31/02/2025 (not d/m/y)", None, ("not a date",)),  # a remark is no part of a text
        ("", None, ("no day",)),
    ],
)
def test_a_rule_that_reads_a_field_gives_what_its_column_would_hold(
    tmp_path: Path, day: str, first: str | None, derived: tuple[str, ...]
) -> None:
    of_day = ('first = { rule = "from", from = "of" }', 'first = { rule = "from", from = "day" }')
    records = {"people": [person(1)], "visits": [visit(1, day=day, time="")]}
    made = declared(tmp_path, of_day, records=records).planned()
    assert of_visits(made)["V1"]["first"] == (first or "2026-03-01 02:00:00+00")
    told_of = [line[2] for line in made.misfits if line[1] == "first"]
    assert told_of == [f"{why}: the time of the plan is used" for why in derived]
    assert told("made", NO_SEEN, "P1", DERIVED) in made.misfits


def test_how_many_values_may_not_fit_is_declared_for_a_column_also_for_a_link(
    tmp_path: Path,
) -> None:
    of_half = (
        'convert = "entity", entity = "people" }\nstarts',
        'convert = "entity", entity = "people", misfits_at_most = 0.5 }\nstarts',
    )
    of_all = ('m = ["male"] } }', 'm = ["male"] }, misfits_at_most = 1 }')
    no_rule = ('  { name = "of somebody unknown", at_most = 0.5, unresolved = "person_id" },\n', "")
    visits = [visit(n, of) for n, of in enumerate(("P1", "p1", "P7"))]
    people = [ONE | {"sex": "x"}]
    clinic = declared(
        tmp_path, of_half, of_all, no_rule, records={"people": people, "visits": visits}
    )
    fits = {name: entity.fits for name, entity in clinic.planned().plan.entities.items()}
    assert ColumnFit("person_id", 3, 1, 2) in fits["visits"]
    assert ColumnFit("sex", 1, 1, 1, True) in fits["people"]


LONG, SAME = "longer than 12 characters", "the same number in the other field counts"
PART = "the number that the other field has too is stored, the rest is not"
ANOTHER = "another number in the other field: it is not taken for the first"


@pytest.mark.parametrize(
    ("first", "second", "number", "reasons"),
    [
        ("0401 234 567", "", "0401 234 567", []),
        (
            "0401 234 567 / 568",
            "0401234567",
            "0401234567",
            [(f"{LONG}: {PART}", OTHER_PARTS)],
        ),
        # Its last digits are those of the other: it was said to be the same number.
        (
            "0401 234 567 or maybe 0499 888 777",
            "0499888777",
            "0499888777",
            [(f"{LONG}: {PART}", OTHER_PARTS)],
        ),
        ("+61 401 234 567", "0401234567", "0401234567", [(f"{LONG}: {SAME}", DERIVED)]),
        # A message went to one number: no other one may stand there, and both are lost.
        ("0401 234 567 / 568", "0402345678", "", [(LONG, EMPTY), (ANOTHER, EMPTY)]),
        ("0401 234 567 or ask", "ask at work", "", [(LONG, EMPTY), (ANOTHER, EMPTY)]),
        ("0401 234 567 / 568", "567", "", [(LONG, EMPTY)]),
        ("0401 234 567 / 568", "", "", [(LONG, EMPTY)]),
        ("", "0401 234 567 / 568", "", [(LONG, EMPTY)]),
        ("0401 234 567 / 568", "+61 401 234 567", "", [(LONG, EMPTY)]),
    ],
)
def test_of_a_number_that_is_too_long_the_one_in_the_other_field_is_taken(
    tmp_path: Path, first: str, second: str, number: str, reasons: list[tuple[str, str]]
) -> None:
    """It was left out, and the message had no number, while the other field held one that fits."""
    phone = 'name = { from = "name", convert = "phone", with = { else = "ward" } }'
    line = 'name = { from = "name" }'
    people = [person(1, name=first, ward=second, seen="2025-07-01 09:30:00", born="1990-01-01")]
    made = declared(tmp_path, (line, phone), records={"people": people}).planned()
    (row,) = made.rows("people").values()
    assert row["name"] == number
    of_it = [one for one in made.lines(made.plan.misfits) if one[1] == "name"]
    assert sorted(of_it) == sorted(told("name", why, "P1", became) for why, became in reasons)
