"""Plans of clinics with other mappings, beside what the oracle says of them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from nexus_reimport.model.survey import Pointer
from oracle import other_clinics
from oracle.other_clinics import FREE, Must, OtherClinic
from support.by_itself import PlannedAlone

FIRST, SEEDS = (int(os.environ.get(f"ORACLE_{name}") or 1) for name in ("FIRST", "SEEDS"))
CLINICS = 10  # of each seed


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_the_plan_of_a_clinic_with_another_mapping_is_what_the_oracle_says(
    tmp_path: Path, seed: int
) -> None:
    for number in range(CLINICS):
        folder = tmp_path / str(number)
        folder.mkdir()
        of = other_clinics.clinic(Random(seed * CLINICS + number), folder)
        of.written.pointers = tuple(
            Pointer(table.name, ("owner_id",), "foreign key", table.owner, 1, 0, ("id",))
            for table in of.tables
            if table.owner
        )
        planned = of.written.planned()
        new = {
            (entity, i): row for _, entity, outcome, _, i, row in planned.ledger if outcome == "new"
        }
        must = other_clinics.expected(of, new)
        problems = [*_problems(of, planned, must), *_numbers(of, new), *_again(of, planned)]
        assert not problems, "\n".join([f"clinic {number} in {folder}", *problems])


def _numbers(of: OtherClinic, new: dict[tuple[str, str], str]) -> Iterator[str]:
    """New numbers are the next free ones, in the order of FileMaker's ids."""
    for table in of.tables:
        keys = [row for (entity, _), row in sorted(new.items()) if entity == table.name]
        free = [str(FREE + place) for place in range(len(keys))]
        if table.is_numbered and keys != free:
            yield f"{table.name}: the new keys are {keys}"


def _again(of: OtherClinic, planned: PlannedAlone) -> Iterator[str]:
    """What the next plan changes, if nobody has edited anything since."""
    rows = {table.name: planned.rows(table.name) for table in of.tables}
    folder = of.written.folder / "again"
    folder.mkdir()
    once_more = replace(
        of.written,
        folder=folder,
        rows={name: [*each.values()] for name, each in rows.items()},
        id_map=planned.lines(planned.plan.id_map),
        pointed_at=[(name, key) for name, key in of.written.pointed_at if key in rows[name]],
    ).planned()
    for name, each in rows.items():
        again = once_more.rows(name)
        keys = [key for key in each.keys() | again.keys() if each.get(key) != again.get(key)]
        if keys:
            yield f"{name}: a second run has changed {[(each.get(k), again.get(k)) for k in keys]}"
    if {*planned.lines(planned.plan.id_map)} != {*once_more.lines(once_more.plan.id_map)}:
        yield "a second run has loaded something as something else"


def _problems(of: OtherClinic, planned: PlannedAlone, must: Must) -> Iterator[str]:
    for table in of.tables:
        rows, wanted = planned.rows(table.name), must.rows[table.name]
        yield from _sets(f"rows of {table.name}", set(wanted), set(rows))
        for key in rows.keys() & wanted.keys():
            for column, value in rows[key].items():
                is_json = column == "data" and value is not None
                has = json.loads(value or "") if is_json else value
                if has != wanted[key][column] and not (column == "data" and not has):
                    yield f"{table.name} {key} {column}: {has!r} not {wanted[key][column]!r}"
    ledger = planned.ledger
    lines = {(e, i, why) for _, e, what, why, i, _ in ledger if what == "left out"}
    yield from _sets("left out", must.left_out, lines)
    lines = {(e, i, row) for _, e, what, _, i, row in ledger if what == "replaced"}
    yield from _sets("paired", must.paired, lines)
    lines = {(e, row) for _, e, what, _, _, row in ledger if what == "purged"}
    yield from _sets("purged", must.purged, lines)
    for is_derived, wanted in ((False, must.misfits), (True, must.derived)):
        lines = {(m[0], m[1], m[3]) for m in planned.misfits if (m[4] == "derived") == is_derived}
        yield from _sets(f"misfits, derived: {is_derived}", wanted, lines)
    lines = {(entity, row, column) for entity, row, column, *_ in planned.differences}
    yield from _sets("differences", must.differences, lines)
    records = Counter({(t.source, t.name): len(of.records[t.source]) for t in of.tables})
    counted = {(a.source, a.entity): a.records for a in planned.plan.accounts if a.adds_up}
    if counted != records:
        yield f"accounts: {counted}, and the records are {records}"


def _sets(what: str, wanted: set[Any], has: set[Any]) -> Iterator[str]:
    for name, more in (("missing", wanted - has), ("too much", has - wanted)):
        if more:
            yield f"{what}: {name}: {sorted(more)}"
