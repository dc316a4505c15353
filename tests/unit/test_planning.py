"""What becomes of each value, worked out by hand: rows, misfits, differences, ledger and sums."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport.errors import StopError
from nexus_reimport.files import rowfile
from nexus_reimport.model import ByHand, ColumnFit, Misfits
from nexus_reimport.model.survey import Pointer
from nexus_reimport.planning import manual, overtaken
from nexus_reimport.planning.manual.sheet import Cell
from nexus_reimport.planning.misfits import BESIDE, BLOCKED, DERIVED, EMPTY, STAYS, sums
from nexus_reimport.settings import EntityDecisions
from support import SUPPORT
from support.by_itself import NOW, Written

COLUMNS = {
    "people": {
        "id": "integer",
        "fid": "text",
        "name": "varchar(12)!",
        "born": "date",
        "sex": "text",
        "site_id": "integer",
        "seen": "timestamp",
        "stamp": "text",
        "plan": "text",
        "starts": "date",
        "ends": "date",
        "data": "jsonb",
        "card": "jsonb",
        "made": "timestamptz",
        "own": "text",
    },
    "visits": {
        "id": "uuid",
        "person_id": "integer",
        "starts": "timestamptz",
        "remark": "text",
        "clock": "text",
        "with_id": "integer",
        "kind": "text",
        "status": "text",
        "told": "text",
        "first": "text",
        "made": "timestamptz",
    },
}
SITES = [("1", "North"), ("2", "South"), ("3", "Twice"), ("4", " twice "), ("5", "  ")]


def written(folder: Path, **more: Any) -> Written:
    """The clinic of this file, with what a test puts into it."""
    given: dict[str, Any] = {
        "lookups": {"site.label": SITES},
        "next_keys": {"people": (100, 2_000_000_000)},
        "decisions": {"people": decided(), "visits": decided()},
    }
    return Written(folder, (SUPPORT / "by_itself.toml").read_text(), COLUMNS, **{**given, **more})


def declared(folder: Path, *lines: tuple[str, str], **more: Any) -> Written:
    """The clinic of this file with other lines in its mapping."""
    clinic = written(folder, **more)
    for line, instead in lines:
        assert line in clinic.mapping
        clinic.mapping = clinic.mapping.replace(line, instead)
    return clinic


def decided(**more: Any) -> EntityDecisions:
    every = {"not_in_filemaker": "keep", "left_out_by_rule": "keep", "no_filemaker_id": "keep"}
    return EntityDecisions.model_validate({**every, "when_different": {"*": "filemaker"}, **more})


def person(number: int, **more: str) -> dict[str, str]:
    return {"id": f"P{number}", "name": f"Person {number}", **more}


def told(column: str, reason: str, record: str, became: str, entity: str = "people") -> Any:
    return (entity, column, reason, record, became)


NO_SEEN = "no seen: the time of the plan is used"


# ---------------------------------------------------------------- values


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
    lines += [("a", "why", "P9", BESIDE)]
    assert [*sums(lines)] == [
        Misfits("a", "why", 1, 1, 0, ("P9",)),
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


# ---------------------------------------------------------------- what is left out


def test_each_record_has_its_line_and_its_sum(tmp_path: Path) -> None:
    people = [
        person(1, seen="2025-07-01 09:00"),
        {"id": "P2", "name": " ", "born": ""},
        {"id": "P9", "name": "x", "born": "2030-01-01"},
        person(3, born="2030-01-01", seen="2025-07-01"),
        {"id": "P4", "born": "1990-01-01", "seen": "2025-07-01 09:00"},
    ]
    details = [
        {"id": "D1", "of": "P1", "kind": "phone", "value": "0401 234 567"},
        {"id": "D2", "of": "P3", "kind": "phone", "value": "0401 234 567"},
        {"id": "D3", "of": "", "kind": "phone", "value": "0401 234 567"},
        {"id": "D4", "of": "P4", "kind": "phone", "value": ""},
        {"id": "D5", "of": "P4", "kind": "phone", "value": "", "label": "a label alone"},
        {"id": "D6", "of": "P2", "kind": "phone", "value": ""},
    ]
    made = written(tmp_path, records={"people": people, "details": details}).planned()
    assert made.ledger == [
        ("people", "people", "left out", "nameless", "P2", None),
        ("people", "people", "left out", "born wrongly", "P3", None),
        ("people", "people", "left out", "named here", "P9", None),
        ("people", "people", "new", None, "P1", "100"),
        ("people", "people", "new", None, "P4", "101"),
        ("details", "people", "merged", None, "D1", "100"),
        ("details", "people", "left out", "owner_not_loaded", "D2", None),
        ("details", "people", "left out", "owner_not_loaded", "D3", None),
        ("details", "people", "left out", "holds_nothing", "D4", None),
        ("details", "people", "left out", "holds_nothing", "D5", None),
        ("details", "people", "left out", "owner_not_loaded", "D6", None),
    ]
    people_sums, visits, of_details = made.plan.accounts
    assert (people_sums.records, people_sums.loaded) == (5, 2)
    assert people_sums.left_out == {"born wrongly": 1, "named here": 1, "nameless": 1}
    assert people_sums.budgets == {"born wrongly": 3, "named here": 1, "nameless": 2}
    assert (visits.source, visits.records) == ("visits", 0)
    assert (of_details.records, of_details.merged, of_details.loaded) == (6, 1, 0)
    assert of_details.left_out == {"holds_nothing": 2, "owner_not_loaded": 3}
    assert of_details.budgets == {"holds_nothing": 2, "owner_not_loaded": 3}
    # What does not fit of a record that is left out is no value that does not fit.
    assert made.misfits == [told("card", "a label without a phone or an e-mail", "P4", EMPTY)]
    entity = made.plan.entities["people"]
    assert entity.left_out == {"born wrongly": 1, "named here": 1, "nameless": 1}
    assert (entity.source_rows, entity.new, entity.replaced, entity.kept) == (5, 2, 0, 0)
    held = {fit.column: fit.held for fit in entity.fits}
    assert (held["name"], held["born"], held["card"]) == (1, 1, 2)


def test_a_record_that_is_only_looked_up_has_its_line_and_its_sum(tmp_path: Path) -> None:
    wards = [{"id": "W1", "site": "North"}, {"id": "W2", "site": ""}]
    made = written(tmp_path, records={"people": [ONE], "wards": wards}).planned()
    assert made.ledger[1:] == [("wards", "", "looked up", None, w, None) for w in ("W1", "W2")]
    *_, of_wards = made.plan.accounts
    assert (of_wards.source, of_wards.records, of_wards.looked_up) == ("wards", 2, 2)
    assert of_wards.adds_up


def test_a_rule_without_a_budget_may_leave_out_no_record(tmp_path: Path) -> None:
    budgets = "at_most = { owner_not_loaded = 0.5, holds_nothing = 0.25 }"
    details = [
        {"id": "D1", "of": "P9", "kind": "phone", "value": "0401 234 567"},
        {"id": "D2", "of": "P1", "kind": "phone", "value": ""},
    ]
    records = {"people": [ONE], "details": details}
    made = declared(tmp_path, (budgets, ""), records=records).planned()
    of_details = made.plan.accounts[-1]
    assert [*of_details.left_out.items()] == [("holds_nothing", 1), ("owner_not_loaded", 1)]
    assert of_details.budgets == {"holds_nothing": 0, "owner_not_loaded": 0}


def test_after_a_page_of_records_that_are_left_out_the_next_one_is_read(tmp_path: Path) -> None:
    visits = [{"id": f"V{n}", "of": ""} for n in range(rowfile.BATCH)]
    records = {"people": [person(1, seen="2025-07-01 09:00")], "visits": [*visits, visit(99_999)]}
    made = written(tmp_path, records=records).planned()
    (account,) = (a for a in made.plan.accounts if a.source == "visits")
    assert (account.loaded, account.left_out) == (1, {"of nobody": rowfile.BATCH})


def test_of_the_rules_that_leave_a_record_out_the_first_counts(tmp_path: Path) -> None:
    unknown = '  { name = "of somebody unknown", at_most = 0.5, unresolved = "person_id" },\n'
    odd = '  { name = "on no day", at_most = 0.5, misfit = "starts" },\n'
    visits = [visit(1, "P7", day="9h (not d/m/y)"), visit(2, day="9h (not d/m/y)")]
    records = {"people": [ONE, {"id": "P9", "name": ""}], "visits": visits}
    made = declared(tmp_path, (unknown, unknown + odd), records=records).planned()
    assert made.plan.entities["people"].left_out == {"nameless": 1}
    assert made.plan.entities["visits"].left_out == {"of somebody unknown": 1, "on no day": 1}
    assert made.misfits == []


# ---------------------------------------------------------------- links, times and rules


def visit(number: int, of: str = "P1", day: str = "2025-07-01", **more: str) -> dict[str, str]:
    return {"id": f"V{number}", "of": of, "day": day, "time": "09:00:00", **more}


def of_visits(made: Any) -> dict[str | None, dict[str, str | None]]:
    """The planned visits by FileMaker's id."""
    ids = {line[5]: line[4] for line in made.ledger if line[0] == "visits"}
    return {ids[key]: row for key, row in made.rows("visits").items()}


ONE = person(1, seen="2025-07-01 09:00")


def test_a_link_finds_its_row_in_any_case_or_leaves_its_record_out(tmp_path: Path) -> None:
    visits = [
        visit(1),
        visit(2, "p1 "),
        visit(3, "P7"),
        visit(4, ""),
        visit(5, "P2"),
        visit(6, "P8"),
    ]
    people = [ONE, {"id": "P2", "name": ""}]
    kept = [{"id": "50", "fid": "P8", "name": "Kept", "data": "{}", "card": "{}"}]
    made = written(
        tmp_path, records={"people": people, "visits": visits}, rows={"people": kept}
    ).planned()
    owners = {key: row["person_id"] for key, row in of_visits(made).items()}
    assert owners == {"V1": "100", "V2": "100", "V6": "50"}
    left_out = {line[4]: line[3] for line in made.ledger if line[2] == "left out"}
    unknown = "of somebody unknown"
    assert left_out == {"P2": "nameless", "V3": unknown, "V4": "of nobody", "V5": unknown}
    (account,) = (a for a in made.plan.accounts if a.source == "visits")
    assert account.left_out == {"of nobody": 1, unknown: 2}
    assert made.misfits == []
    assert made.plan.entities["visits"].fits[0] == ColumnFit("person_id", 3, 0, 0)


def test_a_link_that_is_empty_is_unresolved_as_well(tmp_path: Path) -> None:
    no_rule = ('  { name = "of nobody", at_most = 0.5, empty = ["of"] },\n', "")
    records = {"people": [ONE], "visits": [visit(1, ""), visit(2, " ")]}
    made = declared(tmp_path, no_rule, records=records).planned()
    assert made.plan.entities["visits"].left_out == {"of somebody unknown": 2}


def test_a_link_that_may_miss_is_empty_and_told_if_it_names_somebody(tmp_path: Path) -> None:
    others = {"V1": "", "V2": " ", "V3": "p1", "V4": "P9", "V5": "P7"}
    visits = [visit(n, **{"with": others[f"V{n}"]}) for n in range(1, 6)]
    people = [ONE, person(9)]
    made = written(tmp_path, records={"people": people, "visits": visits}).planned()
    found = {key: row["with_id"] for key, row in of_visits(made).items()}
    assert found == {**dict.fromkeys(others), "V3": "100"}
    reason = "names no row of people"
    assert made.misfits == [
        told("with_id", reason, "V4", EMPTY, "visits"),
        told("with_id", reason, "V5", EMPTY, "visits"),
    ]
    assert ColumnFit("with_id", 3, 2, 5) in made.plan.entities["visits"].fits


def test_of_no_record_there_are_sums_of_nothing(tmp_path: Path) -> None:
    made = written(tmp_path).planned()
    fits = made.plan.entities["visits"].fits
    assert fits[:2] == (ColumnFit("person_id", 0, 0, 0), ColumnFit("starts", 0, 0, 5))
    assert [(a.source, a.entity, a.records) for a in made.plan.accounts] == [
        ("people", "people", 0),
        ("visits", "visits", 0),
        ("details", "people", 0),
    ]
    assert made.rows("people") == made.rows("visits") == {}
    assert made.lines(made.plan.id_map) == made.ledger == []


@pytest.mark.parametrize(
    ("day", "status", "more"),
    [
        ("2026-02-28", "completed", ()),
        ("2026-03-01", "completed", ()),  # nine in the morning in Sydney, four hours ago
        ("2026-03-02", "scheduled", ()),
        ("", "scheduled", ("no starts: taken as still to come",)),
    ],
)
def test_a_new_visit_is_over_or_still_to_come(
    tmp_path: Path, day: str, status: str, more: tuple[str, ...]
) -> None:
    one = visit(1, day=day, remark="r") | ({} if day else {"time": ""})
    records = {"people": [ONE], "visits": [one, visit(2, day="2026-03-02")]}
    made = written(tmp_path, records=records).planned()
    row = of_visits(made)["V1"]
    # What is planned as scheduled and over is no case of the rule: nobody has decided it.
    assert (row["status"], row["told"], row["kind"]) == (status, "yes", "noted")
    assert (row["made"], row["first"]) == ("2026-03-01 02:00:00+00", "P1")
    assert of_visits(made)["V2"]["told"] == "no"
    assert [line[2] for line in made.misfits] == [*more]
    rules = {o.rule: o.rows for o in made.plan.entities["visits"].overridden}
    assert rules == {"past_scheduled": 0, "noted": 1}
    assert made.lines(made.plan.overrides) == []  # of a new row nothing is overridden


@pytest.mark.parametrize("decision", [None, "keep", "completed"])
def test_a_rule_that_asks_changes_what_a_person_has_decided(
    tmp_path: Path, decision: str | None
) -> None:
    person_row = {"id": "7", "fid": "P1", "name": "Person 1", "data": "{}", "card": "{}"}
    key = "00000000-0000-4000-8000-00000000000{}"
    times = {"1": "2025-06-30 23:00:00+00", "2": "2026-03-01 22:00:00+00", "3": None}
    rows: list[dict[str, str | None]] = [
        {
            "id": key.format(n),
            "person_id": "7",
            "starts": at,
            "status": "scheduled",
            "kind": "plain",
        }
        for n, at in times.items()
    ]
    rows[0] |= {"remark": "Nexus's"}
    records = {"people": [ONE], "visits": [visit(1), visit(2, day="2026-03-02")]}
    decisions = {"people": decided(), "visits": decided(past_scheduled=decision)}
    made = written(
        tmp_path,
        records=records,
        rows={"people": [person_row], "visits": rows},
        decisions=decisions,
    ).planned()
    status = [made.rows("visits")[key.format(n)]["status"] for n in times]
    changed = decision == "completed"
    assert status == ["completed" if changed else "scheduled", "scheduled", "scheduled"]
    noted = ("visits", key.format(1), "kind", "noted")
    past = ("visits", key.format(1), "status", "past_scheduled")
    assert made.lines(made.plan.overrides) == [noted, *([past] if changed else [])]
    counted = [(o.rule, o.rows, o.decision) for o in made.plan.entities["visits"].overridden]
    assert counted == [("past_scheduled", 1, decision), ("noted", 1, None)]
    assert made.plan.entities["visits"].matched == {"person and start": 2}


def test_what_becomes_of_a_value_that_does_not_fit_is_told_of_each_row(tmp_path: Path) -> None:
    key = "00000000-0000-4000-8000-00000000000{}"
    at = "2025-06-30 23:00:00+00"
    people: list[dict[str, str | None]] = [
        {"id": "7", "fid": "P1", "name": "Person 1", "data": "{}", "card": '{"emails": ["a@b"]}'},
        {
            "id": "8",
            "fid": "P2",
            "name": "Person 2",
            "data": "{}",
            "card": '{"phones": ["131234"]}',
        },
    ]
    visits: list[dict[str, str | None]] = [
        {"id": key.format(1), "person_id": "7", "starts": at, "kind": "odd", "status": "x"},
        {"id": key.format(2), "person_id": "8", "starts": at, "kind": None, "status": "x"},
    ]
    no_email = [{"id": f"D{n}", "of": f"P{n}", "kind": "email", "value": "1"} for n in (1, 2, 3)]
    seen = {"seen": "2025-07-01 09:00"}
    records = {
        "people": [person(1), person(2), person(3, **seen)],
        "details": no_email,
        "visits": [visit(n, f"P{n}", kind="a poem") for n in (1, 2, 3)],
    }
    made = written(tmp_path, records=records, rows={"people": people, "visits": visits}).planned()
    reason, no_choice = "an e-mail without @", "not one of the choices"
    default = f"{no_choice}: the default of a new row is used"
    assert made.misfits == [
        told("card", reason, "P1", BESIDE),
        told("card", reason, "P2", EMPTY),  # it has a phone, and no e-mail
        told("card", reason, "P3", EMPTY),
        told("kind", no_choice, "V1", STAYS, "visits"),
        told("kind", no_choice, "V2", EMPTY, "visits"),
        told("kind", default, "V3", EMPTY, "visits"),
    ]
    kinds = {key: row["kind"] for key, row in of_visits(made).items()}
    assert kinds == {"V1": "odd", "V2": None, "V3": "plain"}


@pytest.mark.parametrize(
    ("held", "beside", "became"),
    [
        ("{}", {}, EMPTY),
        ('{"phones": ["131234"]}', {}, BESIDE),  # Nexus's own
        ("{}", {"kind": "phone", "value": "13 12 34"}, BESIDE),  # another one of FileMaker's
        (None, {"kind": "email", "value": "a@b.example"}, BESIDE),  # of a new row
        (None, {}, EMPTY),
    ],
)
def test_a_card_that_lacks_a_value_is_empty_only_if_it_has_no_other(
    tmp_path: Path, held: str | None, beside: dict[str, str], became: str
) -> None:
    details = [{"id": "D1", "of": "P1", "kind": "phone", "label": "Home"}]
    details += [{"id": "D2", "of": "P1", **beside}] if beside else []
    row: Any = {"id": "7", "fid": "P1", "name": "Person 1", "data": "{}", "card": held}
    records = {"people": [ONE], "details": details}
    made = written(tmp_path, records=records, rows={"people": [row] if held else []}).planned()
    reason = "a label without a phone or an e-mail"
    assert made.misfits == [told("card", reason, "P1", became)]
    (of_card,) = made.plan.entities["people"].misfits
    assert (of_card.stays, of_card.empty) == (became == BESIDE, became == EMPTY)


# ---------------------------------------------------------------- what goes and what stays


def gone(number: int, **more: str) -> dict[str, str | None]:
    """A person of Nexus that FileMaker does not bring."""
    row: dict[str, str | None] = {"id": str(number), "fid": f"G{number}", "name": f"Gone {number}"}
    return {**row, "data": "{}", "card": "{}", **more}


def test_what_is_purged_is_what_nothing_points_at(tmp_path: Path) -> None:
    key = "00000000-0000-4000-8000-00000000000{}"
    rows = [gone(5), gone(6), gone(7), gone(8, fid="G0"), gone(9, fid="P2")]
    rows.append(gone(10) | {"fid": None})
    visits = [
        {"id": key.format(1), "person_id": "6"},  # is purged too
        {"id": key.format(2), "person_id": "7"},  # stays: something points at it
    ]
    decisions = {
        "people": decided(not_in_filemaker="purge"),
        "visits": decided(no_filemaker_id="purge"),
    }
    pointer = Pointer("visit", ("person_id",), "foreign key", "people", 2, 0, ("id",))
    made = written(
        tmp_path,
        # FileMaker's own visit does not keep a person of whom only the visit knows.
        records={"people": [ONE, {"id": "P2", "name": ""}], "visits": [visit(1), visit(2, "G5")]},
        rows={"people": rows, "visits": visits},
        pointed_at=[("people", "8"), ("visits", key.format(2))],
        pointers=(pointer, replace(pointer, table="elsewhere")),
        decisions=decisions,
        id_map=[("people", "G10", "10")],
    ).planned()
    assert sorted(made.rows("people"), key=int) == ["7", "8", "9", "100"]
    assert {line[5]: line[2:5] for line in made.ledger if line[2] in ("kept", "purged")} == {
        "5": ("purged", "not_in_filemaker", "G5"),
        "6": ("purged", "not_in_filemaker", "G6"),
        "7": ("kept", "not_in_filemaker, something points at it", "G7"),
        "8": ("kept", "not_in_filemaker, something points at it", "G0"),
        "9": ("kept", "left_out_by_rule", "P2"),
        "10": ("purged", "not_in_filemaker", "G10"),
        key.format(1): ("purged", "no_filemaker_id", None),
        key.format(2): ("kept", "no_filemaker_id, something points at it", None),
    }
    assert ("visits", "visits", "left out", "of somebody unknown", "V2", None) in made.ledger
    # A row of Nexus alone is no record of FileMaker.
    records = {a.source: (a.records, a.loaded) for a in made.plan.accounts}
    assert (records["people"], records["visits"]) == ((2, 1), (2, 1))
    people = made.plan.entities["people"]
    assert (people.rows_before, people.kept, people.purged, people.new) == (6, 3, 3, 1)
    assert [(u.cause, u.count, u.decision, u.kept_by_closure) for u in people.unmatched] == [
        ("not_in_filemaker", 5, "purge", 2),
        ("left_out_by_rule", 1, "keep", 0),
    ]
    new = made.rows("visits").keys() - {key.format(2)}
    assert made.lines(made.plan.id_map) == [
        ("people", "G0", "8"),
        ("people", "G7", "7"),
        ("people", "P1", "100"),
        ("people", "P2", "9"),
        ("visits", "V1", *new),
    ]


def test_a_row_that_a_purged_row_points_at_goes_and_one_that_a_saved_row_points_at_stays(
    tmp_path: Path,
) -> None:
    """Person 5 is kept for a visit, which is kept for person 6, which is kept for a visit, ..."""
    key = "00000000-0000-4000-8000-00000000000{}"
    visits = [{"id": key.format(n), "person_id": str(n)} for n in (5, 6, 7, 8)]
    to_visit = Pointer("person", ("own",), "a foreign key", "visits", 3, 0, ("id",))
    people: list[dict[str, str | None]] = [
        gone(5, own=key.format(6)),
        gone(6, own=key.format(7)),
        gone(7),
        gone(8, own=key.format(8)),
        gone(9) | {"fid": None},
    ]
    made = written(
        tmp_path,
        rows={"people": people, "visits": visits},
        pointed_at=[("visits", key.format(5))],
        pointers=(
            Pointer("visit", ("person_id",), "foreign key", "people", 4, 0, ("id",)),
            to_visit,
            # No row points by this one: not even where nothing is on either side.
            replace(to_visit, columns=("born",), to=("remark",)),
        ),
        decisions={
            "people": decided(not_in_filemaker="purge"),
            "visits": decided(no_filemaker_id="purge"),
        },
    ).planned()
    assert [*made.rows("people")] == ["5", "6", "7", "9"]
    assert [*made.rows("visits")] == [key.format(n) for n in (5, 6, 7)]
    assert made.rows("people")["5"] == {**dict.fromkeys(COLUMNS["people"]), **people[0]}
    sums = {
        n: (e.kept, e.purged, e.unmatched[0].kept_by_closure) for n, e in made.plan.entities.items()
    }
    assert sums == {"people": (4, 1, 3), "visits": (3, 1, 3)}
    filled = {
        c.column: (c.filled_before, c.filled_after) for c in made.plan.entities["people"].changes
    }
    assert (filled["fid"], filled["name"], filled["born"]) == ((4, 3), (5, 4), (0, 0))


@pytest.mark.parametrize("key", ["id", "ID"])
@pytest.mark.parametrize("held", ["00000000-0000-4000-8000-00000000000a"])
def test_a_row_is_referenced_by_its_id_in_any_case(tmp_path: Path, held: str, key: str) -> None:
    """A column of text can hold the id of a row in capitals."""
    text = held.upper() if key == "ID" else held
    made = written(
        tmp_path,
        rows={"people": [gone(5, own=text)], "visits": [{"id": held}]},
        pointers=(Pointer("person", ("own",), "id in a column", "visits", 1, 0, ("id",)),),
        decisions={"people": decided(), "visits": decided(no_filemaker_id="purge")},
    ).planned()
    assert [*made.rows("visits")] == [held]
    assert made.plan.entities["visits"].unmatched[0].kept_by_closure == 1


def test_a_row_that_the_last_run_loaded_is_found_again(tmp_path: Path) -> None:
    key = "00000000-0000-4000-8000-00000000000{}"
    rows = [
        {"id": key.format(n), "person_id": "7", "starts": "2020-01-01 00:00:00+00", "remark": "old"}
        for n in (1, 2)
    ]
    people: list[dict[str, str | None]] = [
        {"id": "7", "fid": "P1", "name": "Person 1", "data": "{}", "card": "{}"}
    ]
    records = {"people": [ONE], "visits": [visit(1, remark="new")]}
    id_map = [("visits", "v1", key.format(2)), ("visits", "V7", key.format(1))]
    made = written(
        tmp_path, records=records, rows={"people": people, "visits": rows}, id_map=id_map
    ).planned()
    assert made.plan.entities["visits"].matched == {"remembered": 1}
    assert made.rows("visits")[key.format(2)]["remark"] == "new"
    assert made.differences == [
        ("visits", key.format(2), "starts", "2020-01-01 00:00:00+00", "2025-06-30 23:00:00+00"),
        ("visits", key.format(2), "remark", "old", "new"),
    ]
    # The other one is of a record that FileMaker does not have any more.
    assert made.ledger[-1] == ("visits", "visits", "kept", "not_in_filemaker", "V7", key.format(1))
    assert ("visits", "V7", key.format(1)) in made.lines(made.plan.id_map)


def test_of_two_rows_that_were_loaded_as_one_record_the_other_is_not_its_row_any_more(
    tmp_path: Path,
) -> None:
    key = "00000000-0000-4000-8000-00000000000{}"
    rows = [{"id": key.format(n), "starts": "2020-01-01 00:00:00+00"} for n in (1, 2)]
    id_map = [("visits", "V1", key.format(1)), ("visits", "v1", key.format(2))]
    records = {"people": [ONE], "visits": [visit(1)]}
    made = written(tmp_path, records=records, rows={"visits": rows}, id_map=id_map).planned()
    assert made.ledger[1:] == [
        ("visits", "visits", "replaced", None, "V1", key.format(1)),
        ("visits", "visits", "kept", "not_in_filemaker", "v1", key.format(2)),
    ]
    assert made.lines(made.plan.id_map)[1:] == [("visits", "V1", key.format(1))]


# ---------------------------------------------------------------- values by hand


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
        if is_new and problems:
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


# ---------------------------------------------------------------- what time overtakes


@pytest.mark.parametrize("decision", ["keep", "completed"])
def test_what_is_over_since_the_plan_is_counted_where_a_rule_decides_it(
    tmp_path: Path, decision: str
) -> None:
    key = "00000000-0000-4000-8000-00000000000{}"
    people: list[dict[str, str | None]] = [
        {"id": "7", "fid": "P1", "name": "Person 1", "data": "{}", "card": "{}"}
    ]
    at_noon, plain = "2026-03-01 12:00:00+00", {"status": "scheduled", "kind": "plain"}
    rows = [
        {"id": key.format(1), "person_id": "7", "starts": at_noon, **plain},  # is brought
        {"id": key.format(2), "person_id": "7", "starts": "2026-03-01 11:15:00+00", **plain},
    ]
    visits = [visit(1, day="2026-03-01", time="23:00:00")]  # of 12:00 in UTC
    visits += [visit(n, day="2026-03-01", time=f"{n:02}:00:00") for n in (12, 13, 14, 22)]
    made = written(
        tmp_path,
        records={"people": [ONE], "visits": visits},
        rows={"people": people, "visits": rows},
        decisions={"people": decided(), "visits": decided(past_scheduled=decision)},
    )
    planned = made.planned()
    assert planned.plan.entities["visits"].replaced == 1

    def overtaken_at(hour: int, minute: int = 0) -> dict[str, int]:
        now = NOW.replace(hour=hour, minute=minute)
        return overtaken.rows(planned.plan, planned.intake, made.settings, now)

    # Those of twelve and one o'clock in Sydney are over as of the plan, or begin at it.
    assert overtaken_at(2) == {}
    assert overtaken_at(2, 1) == {"visits": 1}
    assert overtaken_at(3, 1) == {"visits": 2}
    assert overtaken_at(11, 30) == {"visits": 3}  # the row of Nexus alone is nobody's
    assert overtaken_at(12, 1) == {"visits": 3 + (decision == "completed")}
