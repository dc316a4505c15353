"""What time overtakes between a plan and its execution."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_reimport.planning import overtaken
from support.by_itself import NOW
from support.small_plan import (
    ONE,
    decided,
    visit,
    written,
)


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
