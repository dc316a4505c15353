"""What FileMaker does not say of a time: there Nexus's stays, and what was assumed is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nexus_reimport.planning.misfits import STAYS
from support.small_plan import COLUMNS, ONE, decided, declared, told, visit

KEY = "00000000-0000-4000-8000-000000000001"
START, END = "2025-06-30 23:45:00+00", "2025-07-01 01:00:00+00"  # a quarter to ten, for 75 minutes
UNTIL = (
    'until = { from = "end_day", convert = "end_moment", with = { time = "end", start_date = "day",'
    ' start_time = "time", minutes = "30" } }'
)
NO_TIME = ("starts", "no time: set to midnight")
EARLY_STAYS = ("until", "an end before the start: Nexus's end stays")
ASSUMED = ("until", "no end: set to 30 minutes after the start")
AS_LONG = ("until", "no end: it lasts as long as in Nexus")
REPEATED = ("starts", "a time that a clock change repeats: taken as the first of the two")
AT_SIX, HALF_PAST_SIX = "2025-06-30 20:00:00+00", "2025-06-30 20:30:00+00"
DAWN = "2025-06-30 21:15:00+00"  # 75 minutes after six
MIDNIGHT = "2025-06-30 14:00:00+00"
AT_SIX_HERE = {"starts": "nexus"}  # where both differ, Nexus's start counts
OCTOBER = {"day": "2025-04-06", "time": "02:30:00"}  # the clock shows this half hour twice


@pytest.mark.parametrize(
    ("fed", "was", "after", "derived", "decisions"),
    [
        ({"time": ""}, (START, END), (START, END), (), {}),
        ({"time": "09:45:00"}, (START, END), (START, END), (), {}),
        ({"time": "06:00:00"}, (START, END), (AT_SIX, DAWN), (AS_LONG,), {}),
        ({"time": "06:00:00"}, (START, END), (START, END), (), AT_SIX_HERE),
        ({"time": "06:00:00"}, (None, END), (AT_SIX, HALF_PAST_SIX), (ASSUMED,), AT_SIX_HERE),
        # An end that is no later than its start says nothing of how long it lasts.
        ({"time": "06:00:00"}, (START, START), (AT_SIX, HALF_PAST_SIX), (ASSUMED,), {}),
        ({"time": "06:00:00"}, (END, START), (AT_SIX, HALF_PAST_SIX), (ASSUMED,), {}),
        ({"time": "06:00:00"}, (START, "infinity"), (AT_SIX, HALF_PAST_SIX), (ASSUMED,), {}),
        ({"time": ""}, (START, None), (START, "2025-07-01 00:15:00+00"), (ASSUMED,), {}),
        (
            {"time": ""},
            ("infinity", END),
            (MIDNIGHT, "2025-06-30 14:30:00+00"),
            (NO_TIME, ASSUMED),
            {},
        ),
        (
            {"day": "2025-07-02", "time": ""},
            (START, END),
            ("2025-07-01 14:00:00+00", "2025-07-01 15:15:00+00"),
            (NO_TIME, AS_LONG),
            {},
        ),
        # FileMaker's own end counts, unless it is before the start that counts.
        ({"time": "09:45:00", "end": "09:45:00"}, (START, END), (START, START), (), {}),
        ({"time": "09:45:00", "end": "09:44:00"}, (START, END), (START, END), (EARLY_STAYS,), {}),
        (
            {"time": "06:00:00", "end": "07:00:00"},
            (START, END),
            (START, END),
            (EARLY_STAYS,),
            AT_SIX_HERE,
        ),
        (
            {"time": "06:00:00", "end": "09:45:00"},
            (START, END),
            (START, START),
            (),
            AT_SIX_HERE,
        ),
        (
            {"time": "", "end": "09:00:00"},
            (START, None),
            (START, "2025-07-01 00:15:00+00"),
            (("until", "an end before the start: set to 30 minutes after the start"),),
            {},
        ),
        # Nexus's is the second of the two, or another time.
        (
            OCTOBER,
            ("2025-04-05 16:30:00+00", "2025-04-05 17:00:00+00"),
            ("2025-04-05 16:30:00+00", "2025-04-05 17:00:00+00"),
            (),
            {},
        ),
        (
            OCTOBER,
            ("2025-04-05 14:30:00+00", "2025-04-05 15:00:00+00"),
            ("2025-04-05 15:30:00+00", "2025-04-05 16:00:00+00"),
            (REPEATED, AS_LONG),
            {},
        ),
    ],
)
def test_what_filemaker_does_not_say_of_a_time_is_nexus_s_and_else_told(
    tmp_path: Path,
    fed: dict[str, str],
    was: tuple[str | None, str | None],
    after: tuple[str, str],
    derived: tuple[tuple[str, str], ...],
    decisions: dict[str, str],
) -> None:
    made = planned(tmp_path, UNTIL, fed, was, decisions)
    row = made.rows("visits")[KEY]
    assert (row["starts"], row["until"]) == after
    assert made.misfits == [told(*one, "V1", "derived", "visits") for one in derived]


def test_an_end_that_cannot_be_read_says_nothing_of_the_start(tmp_path: Path) -> None:
    made = planned(tmp_path, UNTIL, {"time": "06:00:00", "end": "half past"}, (START, END), {})
    row = made.rows("visits")[KEY]
    assert (row["starts"], row["until"]) == (AT_SIX, END)
    assert made.misfits == [told("until", "not a time", "V1", STAYS, "visits")]


def test_an_end_that_is_to_be_cleared_where_filemaker_has_none_is_filemakers_alone(
    tmp_path: Path,
) -> None:
    cleared = UNTIL.replace(" } }", ' }, when_empty = "clear" }')
    made = planned(tmp_path, cleared, {"time": "06:00:00"}, (START, END), {})
    assert made.rows("visits")[KEY]["until"] == HALF_PAST_SIX


@pytest.mark.parametrize(
    ("named", "other"),
    [
        ('start_date = "day"', 'start_date = "end_day"'),
        ('start_time = "time"', 'start_time = "end"'),
    ],
)
def test_an_end_is_that_of_the_start_whose_two_fields_it_names(
    tmp_path: Path, named: str, other: str
) -> None:
    fed = {"time": "06:00:00", "end_day": "2025-07-01"}
    made = planned(tmp_path, UNTIL.replace(named, other), fed, (START, END), {})
    # No column has that start: how long it lasts in Nexus, from another one, says nothing.
    assert made.rows("visits")[KEY]["until"] not in (END, DAWN)


def planned(
    folder: Path,
    until: str,
    fed: dict[str, str],
    was: tuple[str | None, str | None],
    decisions: dict[str, str],
) -> Any:
    """A visit of Nexus from ``was`` until ``was``, and what FileMaker has of it."""
    person = {"id": "7", "fid": "P1", "name": "Person 1", "data": "{}", "card": "{}"}
    row = {"id": KEY, "person_id": "7", "starts": was[0], "until": was[1], "kind": "plain"}
    clinic = declared(
        folder,
        ('kind = "text" }\n\n[entities.people]', _FIELDS),
        ("[entities.visits.new]", f"{until}\n[entities.visits.new]"),
        records={"people": [ONE], "visits": [visit(1) | {"end_day": "", "end": ""} | fed]},
        rows={"people": [person], "visits": [row]},
        id_map=[("visits", "V1", KEY)],
        decisions={
            "people": decided(),
            "visits": decided(when_different={"*": "filemaker", **decisions}),
        },
    )
    clinic.columns = {**COLUMNS, "visits": {**COLUMNS["visits"], "until": "timestamptz"}}
    return clinic.planned()


_FIELDS = 'kind = "text", end_day = "date", end = "time" }\n\n[entities.people]'
