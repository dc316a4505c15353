"""Values of FileMaker that find no place in Nexus are counted and told, wherever they would go."""

from __future__ import annotations

import json

import pytest

from nexus_reimport.planning.misfits import BLOCKED
from support.second_clinic import Second, planned_rows, result
from support.values import plan_of

BUDGET = "no_column_has_more_misfits_than_its_budget"
MAPPING = "second_installation.toml"
UNKNOWN = ', { name = "unknown", at_most = 0.0, unresolved = "person_id" }'
LINK = 'convert = "entity", entity = "people"'


@pytest.fixture
def second(over_the_data_api: Second) -> Second:
    return over_the_data_api


# ---------------------------------------------------------------- links


def of_nobody(second: Second) -> None:
    """A visit of a person who does not exist, in a column that takes NULL, and no rule for it."""
    second.connection.execute("ALTER TABLE practice.visit ALTER person_id DROP NOT NULL")
    second.edit(MAPPING, UNKNOWN, "")
    with second.simulator.edit() as tables:
        tables["Visits"].records[1].values["Person"] = "P9"


def links(second: Second) -> list[tuple[str, int, tuple[str, ...]]]:
    told = plan_of(second.planned()).entities["visits"].misfits
    return [(m.reason, m.not_stored, m.sample) for m in told if m.column == "person_id"]


def test_a_link_that_finds_nobody_is_counted_where_no_rule_leaves_its_record_out(
    second: Second,
) -> None:
    of_nobody(second)
    book, report = second.checked()
    (new,) = [row for row in planned_rows(book, "visits") if row["remark"] == "second"]
    assert new["person_id"] is None
    found = result(report, BUDGET)
    assert found.sample == (
        "visits.person_id: 1 of 3 values do not fit, budget 0 (1 names no row of people)",
    )
    assert 'by a rule (unresolved = "person_id"), or say may_miss = true' in found.note


def test_a_link_that_may_miss_has_the_budget_of_every_column(second: Second) -> None:
    of_nobody(second)
    second.edit(MAPPING, f"{LINK} }}\nstarts", f"{LINK}, may_miss = true }}\nstarts")
    _, report = second.checked()
    assert result(report, BUDGET).passed
    assert links(second) == [("names no row of people", 1, ("V2",))]


def test_a_link_whose_record_a_rule_leaves_out_is_no_value_that_does_not_fit(
    second: Second,
) -> None:
    with second.simulator.edit() as tables:
        tables["Visits"].records[1].values["Person"] = "P9"
    assert links(second) == []


# ---------------------------------------------------------------- keys of a JSON column


def test_a_value_for_whose_key_a_text_leaves_no_place_is_counted_and_told(second: Second) -> None:
    second.connection.execute("ALTER TABLE practice.person ADD data jsonb")
    second.connection.execute('UPDATE practice.person SET data = \'{"paper": "blue file"}\'')
    fed = '"data.paper.site" = { from = "Site" }\n"data.paper.born" = { from = "Born" }\n'
    second.edit(MAPPING, "[entities.people.new]", f"{fed}[entities.people.new]")
    with second.simulator.edit() as tables:
        tables["People"].records[0].values["Born"] = ""
    book = second.planned()
    people = plan_of(book).entities["people"]
    by_name = {row["given"]: row["data"] for row in planned_rows(book, "people")}
    assert by_name["Wendelgard"] == by_name["Theophan"] == '{"paper": "blue file"}'
    assert json.loads(by_name["Eulalia"] or "") == {
        "paper": {"site": "South", "born": "1980-04-05"}
    }
    told = [(m.column, m.reason, m.stays, m.count, m.sample) for m in people.misfits]
    assert told == [
        ("data.paper.born", BLOCKED, 1, 1, ("P2",)),
        ("data.paper.site", BLOCKED, 2, 2, ("P1", "P2")),
    ]
    kept = {change.column: change.kept for change in people.changes}
    assert (kept["data.paper.site"], kept["data.paper.born"]) == (0, 1)  # FileMaker is empty
    fits = {fit.column: (fit.held, fit.misfits) for fit in people.fits}
    assert fits["data.paper.site"] == (3, 2)
    assert "Site: north" in (book.folder / "misfits.csv").read_text()
    assert "north" not in (book.run.folder / "misfits.csv").read_text()
