"""The package beside the oracle: random edits in FileMaker and Nexus, two runs for each seed.

A seed also says how the mapping differs from the shipped one, what was decided for each run, and by
which channels it reads. ``make oracle SEEDS=20 FIRST=100`` plays as many seeds, from the first on;
some of their runs are taken back, or played again, or refused since somebody has written.
"""

from __future__ import annotations

import ast
import copy
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from oracle import channels, compare, playing, way_back
from oracle.seen import CARDS, SOURCES, Row, Seen
from support.clinic import Clinic

FIRST, SEEDS = (int(os.environ.get(f"ORACLE_{name}") or 1) for name in ("FIRST", "SEEDS"))


MORE = "ORACLE_SEEDS" in os.environ  # else one seed alone, in as little time as two runs take


@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_two_runs_leave_what_the_oracle_says(clinic: Clinic, seed: int) -> None:
    random = Random(seed)
    playing.prepare(clinic, random)
    for _ in range(2):
        playing.give(clinic, random)
        playing.edit(clinic, random)
        playing.decide(clinic, random)
        ways = channels.choose(random)
        if MORE and random.random() < 0.2:
            _none(playing.write_meanwhile(clinic, random, ways))
        seen = playing.play(clinic, ways)
        _none(compare.problems(seen))
        what_else = random.random() if MORE else 1
        if what_else < 0.3:
            _none(playing.take_back(clinic, random, seen))
        elif what_else < 0.5:
            _none(playing.play_again(clinic, ways, channels.choose(random)))
        elif what_else < 0.6:
            in_prod, problems = playing.play_in_prod(clinic, random, ways, seen)
            _none([*problems, *compare.problems(in_prod)])
            break
        elif what_else < 0.7:
            playing.edit(clinic, random)
            seen = playing.play(clinic, channels.choose(random), links_only=True)
            _none(compare.of_links_only(seen))


def _none(problems: list[str]) -> None:
    assert not problems, "\n".join(problems)


def test_the_oracle_shares_no_code_with_what_it_judges() -> None:
    known = {"nexus_reimport.CHECKOUT", "nexus_reimport.model.Plan"}
    for path in Path(__file__).parent.glob("*.py"):
        if path.stem not in ("playing", "test_oracle", "test_other_clinics"):
            imported = {
                f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.ImportFrom | ast.Import)
                for alias in node.names
            }
            assert {name for name in imported if name.startswith("nexus_reimport")} <= known, path


def _rows(seen: Seen, table: str) -> list[Row]:
    return seen.after.tables[table]


def _exchange(table: str, column: str) -> Callable[[Seen], None]:
    """Two rows exchange a value."""

    def exchange(seen: Seen) -> None:
        first = _rows(seen, table)[0]
        other = next(row for row in _rows(seen, table) if row[column] != first[column])
        first[column], other[column] = other[column], first[column]

    return exchange


def _drop_line(name: str) -> Callable[[Seen], None]:
    def drop(seen: Seen) -> None:
        getattr(seen, name).pop()

    return drop


def _drop_row(table: str) -> Callable[[Seen], None]:
    def drop(seen: Seen) -> None:
        _rows(seen, table).pop()

    return drop


def _empty(table: str, column: str) -> Callable[[Seen], None]:
    def empty(seen: Seen) -> None:
        next(row for row in _rows(seen, table) if row[column])[column] = None

    return empty


def _lose_a_phone(seen: Seen) -> None:
    cards = (row[CARDS[0]] for row in _rows(seen, "patients"))
    next(card["phones"] for card in cards if card and card.get("phones")).pop()


def _record_more(seen: Seen) -> None:
    records = seen.filemaker[SOURCES["notes"]["table"]]
    records.append(records[0] | {SOURCES["notes"]["key"]: "one more"})


CORRUPTIONS = {
    "two notes exchange their patients": _exchange("notes", "patient_id"),
    "two notes exchange their texts": _exchange("notes", "content"),
    "two patients exchange their names": _exchange("patients", "last_name"),
    "two documents exchange their patients": _exchange("documents_document", "object_id"),
    "two batches exchange their patients": _exchange("images_batch", "object_id"),
    "two appointments exchange their clinicians": _exchange("appointments", "clinician_id"),
    "a patient is gone": _drop_row("patients"),
    "a message is gone": _drop_row("sms_messages"),
    "a clinician is gone": _drop_row("clinicians"),
    "a date of birth is gone": _empty("patients", "dob"),
    "a phone number is gone": _lose_a_phone,
    "a record became no row": _record_more,
    "a line of the ledger is gone": _drop_line("ledger"),
    "a value that does not fit is in no list": _drop_line("misfits"),
    "a difference is in no list": _drop_line("differences"),
}


def test_the_oracle_sees_every_corruption(clinic: Clinic) -> None:
    random = Random(0)
    playing.prepare(clinic, random)
    playing.edit(clinic, random)
    seen = playing.play(clinic, channels.choose(random))
    assert not compare.problems(seen)
    unseen = []
    for name, corrupt in CORRUPTIONS.items():
        corrupted = copy.deepcopy(seen)
        corrupt(corrupted)
        if not compare.problems(corrupted):
            unseen.append(name)
    assert not unseen
    _sees_what_a_rollback_leaves_wrong(seen)


def _sees_what_a_rollback_leaves_wrong(seen: Seen) -> None:
    """As if the run had been taken back, but for one table, which is as after the run."""
    before, after = seen.before, seen.after
    assert not list(way_back.problems(before, after, after, before, keeps=True))
    for table in ("patients", "appointments", "notes", "documents_document"):
        back = replace(before, tables={**before.tables, table: after.tables[table]})
        assert list(way_back.problems(before, after, after, back, keeps=True)), table
