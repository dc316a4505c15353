"""What becomes of each record: left out, linked, dated; its line in the ledger, and its sums."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nexus_reimport.checks.before.rows import PASTED, left_out_records
from nexus_reimport.files import private, rowfile
from nexus_reimport.ids import Id
from nexus_reimport.model import ColumnFit
from nexus_reimport.planning.misfits import BESIDE, EMPTY, STAYS
from support.by_itself import Written
from support.small_plan import (
    ONE,
    decided,
    declared,
    of_visits,
    person,
    told,
    visit,
    written,
)

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
    people_sums, visits, of_details, _ = made.plan.accounts
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


@pytest.mark.parametrize(("carries", "noted"), [("5", "6"), ("6", "5")])
def test_a_link_leads_to_the_row_that_carries_the_id_and_not_to_the_one_that_had_it(
    tmp_path: Path, carries: str, noted: str
) -> None:
    # P1 was loaded as one row; in Nexus its id was given to the other since. Now it has no name.
    rows = [{"id": i, "fid": fid, "data": "{}"} for i, fid in ((carries, "P1"), (noted, None))]
    made = written(
        tmp_path,
        records={"people": [{"id": "P1"}], "visits": [visit(1)]},
        rows={"people": rows},
        id_map=[("people", "P1", noted)],
    ).planned()
    assert [row["person_id"] for row in made.rows("visits").values()] == [carries]
    # Documents are linked by these.
    assert [line for line in made.lines(made.plan.id_map) if line[1] == "P1"] == [
        ("people", "P1", carries)
    ]


@pytest.mark.parametrize("noted", ["P1", "P9"])
@pytest.mark.parametrize("name", ["Person 1", "Person 9"])
def test_a_row_of_a_record_that_is_left_out_is_of_no_other(
    tmp_path: Path, name: str, noted: str
) -> None:
    # It is P9's, which a rule leaves out: it carries that id, whatever it was loaded as, or carries
    # none and was loaded so. P1 has the same name.
    by_id = 'identity = [{ name = "its id", by = "filemaker_id" }'
    row = {"id": "5", "fid": "P9" if noted == "P1" else None, "name": name, "data": "{}"}
    made = declared(
        tmp_path,
        (by_id, by_id + ', { name = "alike", by = ["name"] }'),
        records={"people": [ONE, person(9)]},
        rows={"people": [row]},
        id_map=[("people", noted, "5")],
    ).planned()
    assert made.ledger == [
        ("people", "people", "left out", "named here", "P9", None),
        ("people", "people", "new", None, "P1", "100"),
        ("people", "people", "kept", "left_out_by_rule", "P9", "5"),
    ]
    assert made.rows("people")["5"]["name"] == name


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
    *_, of_details, _ = made.plan.accounts
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
    bare = '  { name = "without a remark", at_most = 0.5, empty = ["remark"] },\n'
    visits = [visit(1, "P7", day="9h (not d/m/y)"), visit(2, day="9h (not d/m/y)"), visit(3)]
    records = {"people": [ONE, {"id": "P9", "name": ""}], "visits": visits}
    made = declared(tmp_path, (unknown, unknown + odd + bare), records=records).planned()
    assert made.plan.entities["people"].left_out == {"nameless": 1}
    assert {line[4]: line[3] for line in made.ledger if line[1] == "visits"} == {
        "V1": "of somebody unknown",
        "V2": "on no day",
        "V3": "without a remark",
    }
    assert made.misfits == []


def test_records_that_a_rule_names_are_found_by_their_ids_and_not_one_by_one(
    tmp_path: Path,
) -> None:
    """Each record was compared with each id that the rule names, and a message gives such lists."""
    people = [person(n) for n in range(1, 601)]
    named = 'records = ["P9"]'
    many = f"records = {json.dumps([f'P{n}' for n in range(2, 402)])}"
    few, more = (
        declared(private.new_folder(tmp_path / kind), (named, line), records={"people": people})
        for kind, line in (("few", named), ("many", many))
    )
    assert more.planned().plan.entities["people"].left_out["named here"] == 400
    assert _compared(more) < _compared(few) + 2 * len(people)


def test_records_that_are_too_many_to_be_pasted_are_counted_and_not_listed() -> None:
    """A page, a journal and a terminal had all of them."""
    ids = [f"V{number}" for number in range(50_000)]
    few, many = (left_out_records("visits", 60_000, "same", i) for i in (ids[:PASTED], ids))
    assert few.count('"V') == PASTED
    assert "50,000 records are too many" in many
    assert len(many) < 300


def _compared(clinic: Written) -> int:
    """How often two ids are compared while a plan is made."""
    compared = [0]

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is Id.__eq__.__code__:
            compared[0] += 1

    sys.setprofile(count)
    try:
        clinic.planned()
    finally:
        sys.setprofile(None)
    return compared[0]


# ---------------------------------------------------------------- links, times and rules


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
        ("wards", "", 0),
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


@pytest.mark.parametrize(
    ("kind", "different", "by_rule"), [("noted", 0, 0), ("odd", 1, 0), ("plain", 0, 1)]
)
def test_a_value_that_a_rule_sets_is_counted_once_and_as_what_it_was_before(
    tmp_path: Path, kind: str, different: int, by_rule: int
) -> None:
    """Where an earlier run has set it, each further one told of a change, and wrote none."""
    person_row = {"id": "7", "fid": "P1", "name": "Person 1", "data": "{}", "card": "{}"}
    row: dict[str, str | None] = {
        "id": "00000000-0000-4000-8000-000000000001",
        "person_id": "7",
        "starts": "2025-06-30 23:00:00+00",
        "remark": "r",
        "kind": kind,
    }
    made = written(
        tmp_path,
        records={"people": [ONE], "visits": [visit(1, kind="plain", remark="r")]},
        rows={"people": [person_row], "visits": [row]},
    ).planned()
    planned = made.plan.entities["visits"]
    (told,) = (change for change in planned.changes if change.column == "kind")
    assert (told.different, told.gone, told.same) == (different, different, 1 - different)
    (rule,) = (rule for rule in planned.overridden if rule.rule == "noted")
    assert (rule.rows, rule.changed) == (1, by_rule)
    listed = [line for line in made.lines(made.plan.differences) if line[2] == "kind"]
    assert len(listed) == different
    assert [row["kind"] for row in made.rows("visits").values()] == ["noted"]


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
