"""A part of a number of records is exactly what the mapping writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_reimport import mapping, parts
from nexus_reimport.mapping import Entity
from nexus_reimport.model import Outcome
from nexus_reimport.planning import ledger, misfits

PARTS = st.integers(0, 10_000)
COUNTS = st.integers(0, 100_000)


@given(PARTS, COUNTS)
def test_a_budget_is_the_part_that_is_written_rounded_up(ten_thousandths: int, count: int) -> None:
    assert parts.budget(ten_thousandths / 10_000, count) == -(-ten_thousandths * count // 10_000)


@given(PARTS, COUNTS)
def test_a_part_is_reached_by_exactly_so_many(ten_thousandths: int, count: int) -> None:
    part = parts.of(ten_thousandths / 10_000, count)
    assert part * 10_000 == ten_thousandths * count


@given(st.integers(1, 10_000), st.integers(0, 10_000))
def test_a_proposed_part_allows_so_many_and_no_more(count: int, wanted: int) -> None:
    wanted = min(wanted, count)
    part = parts.proposed(wanted, count)
    assert part == round(part, 4)
    assert parts.budget(part, count) == wanted


@given(st.integers(10_001, 10_000_000), st.integers(0, 10_000_000))
def test_of_more_records_than_four_digits_can_tell_apart_enough_are_allowed(
    count: int, wanted: int
) -> None:
    wanted = min(wanted, count)
    assert wanted <= parts.budget(parts.proposed(wanted, count), count) <= wanted + count / 10_000


def test_a_proposed_part_of_nothing_is_a_part() -> None:
    assert [parts.proposed(n, 0) for n in (0, 1)] == [0.0, 1.0]


@pytest.mark.parametrize("part", [0.07, 0.14, 0.28, 0.55, 0.56])
def test_a_rule_has_no_budget_of_one_record_more_than_its_part(part: float, tmp_path: Path) -> None:
    """As floats each of them times 100 is a little more than a whole number."""
    spec = mapping.load("nexus", tmp_path)
    notes = spec.entities["notes"]
    rule = notes.left_out[0].model_copy(update={"at_most": part})
    entity = notes.model_copy(update={"left_out": (rule,)})
    changed = spec.model_copy(update={"entities": {**spec.entities, "notes": entity}})
    with ledger.opened(changed, tmp_path / "ledger.parquet") as (book, _):
        for number in range(100):
            outcome = (Outcome.LEFT_OUT, rule.name) if number else (Outcome.NEW, "")
            book.add("notes", "notes", *outcome, filemaker_id=str(number))
    (account,) = book.accounts()
    assert account.budgets == {rule.name: round(part * 100)}


def test_a_column_has_no_budget_of_one_value_more_than_its_part() -> None:
    link = {"from": "Of", "convert": "entity", "entity": "people"}
    columns: dict[str, Any] = {
        "sex": {"from": "Sex", "misfits_at_most": 0.07},
        "name": {"from": "Name"},
        "text": {"from": "Text"},
        "area": {"from": "Area", "misfits_at_most": 1},
        "none": {"from": "None", "misfits_at_most": 0},
        "of": link,
        "of_some": {**link, "misfits_at_most": 0.5},
        "may_be_of": {**link, "may_miss": True},
    }
    named = {"table": "t", "source": "s", "identity": [], "columns": columns}
    held = dict.fromkeys(columns, 100) | {"text": 501}
    fits = {f.column: f for f in misfits.fits(Entity.model_validate(named), held, [])}
    assert {name: fit.budget for name, fit in fits.items()} == {
        "sex": 7,
        "name": 5,
        "text": 6,
        "area": 100,
        "none": 0,
        "of": 0,
        "of_some": 50,
        "may_be_of": 5,
    }
    assert [name for name, fit in fits.items() if fit.any_number] == ["area"]
