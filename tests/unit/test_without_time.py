"""Records whose time FileMaker has lost: their row is found by its day, or a person is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nexus_reimport.planning.misfits import DERIVED
from nexus_reimport.planning.without_time import A_ROW_OF_THAT_DAY
from support.small_plan import ONE, told, visit, written

PATIENT = {"id": "7", "fid": "P1", "name": "Person 1", "data": "{}", "card": "{}"}
A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
RULE = "person and start, without a time"
MAYBE = told("starts", A_ROW_OF_THAT_DAY, "V1", DERIVED, "visits")


def row(key: str, starts: str, **more: str) -> dict[str, str | None]:
    return {"id": key, "person_id": "7", "starts": starts, "status": "completed", **more}


def planned(folder: Path, visits: list[Any], rows: list[Any], **more: Any) -> Any:
    return written(
        folder,
        records={"people": [ONE], "visits": visits},
        rows={"people": [PATIENT], "visits": rows},
        **more,
    ).planned()


def matched(made: Any) -> dict[str, int]:
    return dict(made.plan.entities["visits"].matched)


def test_a_visit_without_a_time_is_the_only_one_of_its_day(tmp_path: Path) -> None:
    """It became a new visit at midnight, beside the one at nine that was kept."""
    made = planned(tmp_path, [visit(1, time="")], [row(A, "2025-06-30 23:00:00+00")])
    assert {key: held["starts"] for key, held in made.rows("visits").items()} == {
        A: "2025-06-30 23:00:00+00"
    }
    assert matched(made) == {RULE: 1}
    assert MAYBE not in made.misfits


@pytest.mark.parametrize(
    ("visits", "rows"),
    [
        # two rows of the day: one of them may be it
        ([visit(1, time="")], [row(A, "2025-06-30 23:00:00+00"), row(B, "2025-07-01 03:00:00+00")]),
        # two records of the day, and one row
        ([visit(1, time=""), visit(2, time="")], [row(A, "2025-06-30 23:00:00+00")]),
    ],
)
def test_where_several_can_be_it_none_is_taken_and_a_person_is_told(
    tmp_path: Path, visits: list[Any], rows: list[Any]
) -> None:
    made = planned(tmp_path, visits, rows)
    assert matched(made) == {}
    assert MAYBE in made.misfits
    assert len(made.rows("visits")) == len(visits) + len(rows)


@pytest.mark.parametrize(
    ("day", "starts", "person"),
    [
        ("2025-07-01", "2025-07-01 23:00:00+00", "7"),  # in Sydney it is the next day
        ("2025-07-01", "2025-06-30 23:00:00+00", "8"),
        ("2025-07-01", "infinity", "7"),
    ],
)
def test_of_another_day_or_patient_it_is_another_visit(
    tmp_path: Path, day: str, starts: str, person: str
) -> None:
    made = planned(tmp_path, [visit(1, day=day, time="")], [row(A, starts, person_id=person)])
    assert matched(made) == {}
    assert MAYBE not in made.misfits


def test_a_row_of_the_same_day_that_another_record_has_is_nobody_elses(tmp_path: Path) -> None:
    made = planned(tmp_path, [visit(1, time=""), visit(2)], [row(A, "2025-06-30 23:00:00+00")])
    assert matched(made) == {"person and start": 1}
    assert MAYBE not in made.misfits


def test_of_a_time_that_the_clocks_show_twice_nexus_may_have_the_second(tmp_path: Path) -> None:
    twice = visit(1, day="2025-04-06", time="02:30:00")
    made = planned(tmp_path, [twice], [row(A, "2025-04-05 16:30:00+00")])
    assert matched(made) == {RULE: 1}
    made = planned(tmp_path, [twice], [row(A, "2025-04-05 23:00:00+00")])
    assert matched(made) == {}


def test_on_a_later_run_a_row_without_an_id_was_made_in_nexus(tmp_path: Path) -> None:
    made = planned(
        tmp_path,
        [visit(1, time="")],
        [row(A, "2025-06-30 23:00:00+00")],
        id_map=[("visits", "V9", B)],
    )
    assert matched(made) == {}
    assert MAYBE in made.misfits
