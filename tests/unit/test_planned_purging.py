"""Which rows of Nexus alone are purged, and which stay because something points at them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nexus_reimport.model.survey import Pointer
from support.small_plan import (
    COLUMNS,
    ONE,
    decided,
    gone,
    visit,
    written,
)


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
