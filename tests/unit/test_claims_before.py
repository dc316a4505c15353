"""Checks before: each is made to fail by every single thing that its claim is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport.checks import Finding
from nexus_reimport.checks.before import Before, database, plan, source
from nexus_reimport.filemaker import Origin
from nexus_reimport.model import Account, Backup, Census
from nexus_reimport.model.plan import Cause, UnmatchedRows
from nexus_reimport.model.survey import TableState
from nexus_reimport.nexus.connection.scratch import Shape
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.tables import Role
from nexus_reimport.settings import Settings
from support.by_itself import NOW
from support.small_plan import declared, gone, person, written

Change = Callable[[Before], Before]


@pytest.fixture
def before(tmp_path: Path) -> Before:
    """Three people of whom Nexus knows one, and has one more; wards alone are looked up: none."""
    people = [person(number, seen="2025-07-01 09:00") for number in (1, 2, 3)]
    rows = [gone(1, fid="P1"), gone(2)]
    made = written(tmp_path, records={"people": people}, rows={"people": rows}).planned()
    tables = {name: Fingerprint(0, "") for name in ("person", "visit")}
    counts = {"person.csv": 2, "visit.csv": 0}
    return Before(
        intake=made.intake,
        settings=Settings.model_construct(counts_may_differ=0.05),
        census=Census("", NOW, 0, 0, made.plan.ledger),
        backup=Backup(
            "nexus.dump", 9, "", 2, "", "", counts, tables, Shape("", "", "", "", ""), {}
        ),
        plan=made.plan,
        earlier=None,
        earlier_run="",
        earlier_folder=None,
        forgotten="",
    )


def read(name: str, **facts: int) -> Change:
    """Another number was read of one of FileMaker's tables."""

    def changed(before: Before) -> Before:
        extracts = before.snapshot.extracts
        extracts = {**extracts, name: replace(extracts[name], **facts)}
        snapshot = replace(before.snapshot, extracts=extracts)
        return replace(before, intake=replace(before.intake, snapshot=snapshot))

    return changed


def saved(**facts: Any) -> Change:
    """The backup is another one."""
    return lambda before: replace(before, backup=replace(before.backup, **facts))


def planned(**facts: Any) -> Change:
    """The plan says something else of people."""

    def changed(before: Before) -> Before:
        people = replace(before.plan.entities["people"], **facts)
        entities = {**before.plan.entities, "people": people}
        return replace(before, plan=replace(before.plan, entities=entities))

    return changed


def earlier(rows: int, **facts: Any) -> Change:
    """The last record that is COMPLETE had so many people."""

    def changed(before: Before) -> Before:
        return replace(before, earlier=replace(read("people", rows=rows)(before).snapshot, **facts))

    return changed


def leaves_out(rule: str, records: int, budget: int) -> Change:
    """A rule leaves out so many records."""
    facts: dict[str, Any] = {"left_out": {rule: records}, "budgets": {rule: budget}}
    return accounted(lambda every: (replace(every[0], **facts), *every[1:]))


def accounted(change: Callable[[tuple[Account, ...]], tuple[Account, ...]]) -> Change:
    """The plan has other accounts."""
    return lambda before: replace(
        before, plan=replace(before.plan, accounts=change(before.plan.accounts))
    )


def left(last: int) -> Change:
    """Keys are free from 100 to this one."""

    def changed(before: Before) -> Before:
        survey = replace(before.survey, next_keys={"people": (100, last)})
        return replace(before, intake=replace(before.intake, survey=survey))

    return changed


@pytest.mark.parametrize(
    ("look", "change"),
    [
        (source.filemaker_was_read_completely, read("people", count_at_start=4)),
        (source.filemaker_was_read_completely, read("people", rows=4)),
        (source.filemaker_was_read_completely, read("people", distinct_keys=2)),
        (source.filemaker_was_read_completely, read("people", count_at_end=2)),
        (plan.every_record_is_accounted_for, accounted(lambda every: every[1:])),
        (
            plan.every_record_is_accounted_for,
            accounted(lambda every: tuple(replace(one, loaded=one.loaded + 1) for one in every)),
        ),
        (plan.every_row_is_accounted_for, planned(purged=1)),
        (plan.no_more_is_purged_than_expected, planned(purged=1)),
        (plan.no_rule_leaves_out_more_than_its_budget, leaves_out("nameless", 2, 1)),
        (source.no_source_is_empty, read("people", rows=0)),
        (source.filemaker_is_the_file_of_the_record_before, earlier(14)),
        (source.filemaker_is_the_file_of_the_record_before, earlier(13, database="another")),
        (database.the_backup_is_whole, saved(csv_rows={"visit.csv": 0})),
        (database.the_backup_is_whole, saved(csv_rows={"person.csv": 1, "visit.csv": 0})),
        (database.the_backup_is_whole, saved(tables_in_dump=1)),
        (database.the_backup_is_whole, saved(dump_bytes=0)),
        (database.keys_are_left_for_new_rows, left(101)),
        (database.the_database_knows_the_last_run, lambda before: replace(before, forgotten="x")),
    ],
)
def test_a_claim_fails_for_each_thing_that_it_is_about(
    before: Before, look: Callable[[Before], Finding], change: Change
) -> None:
    # Two keys for new people, and one for the application's next row; a few people may be gone.
    fine = earlier(13)(left(102)(before))
    assert (look(fine).looked_at > 0, [*look(fine).offending]) == (True, [])
    assert look(change(fine)).offending


def exported(days: float, **facts: Any) -> Change:
    """The people were read from a file that was so many days old."""

    def changed(before: Before) -> Before:
        at = before.snapshot.taken_at - timedelta(days=days)
        return read("people", origin=Origin("people.tab", 9, "", at), **facts)(before)

    return changed


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (1, []),
        (1.001, ["people.tab: 1 day old"]),
        (-1, []),
        (-2, ["people.tab: 2 days ahead of this machine's clock"]),
    ],
)
def test_a_file_of_another_day_is_told_with_its_age(
    before: Before, days: float, told: list[str]
) -> None:
    assert [*source.exported_files_are_of_the_day(exported(days)(before)).offending] == told
    assert not [*source.exported_files_are_of_the_day(before).offending]


@pytest.mark.parametrize(("rows", "fewer"), [(4, "people by 1"), (3, ""), (2, "")])
def test_a_file_with_fewer_rows_than_before_is_told_and_no_other_table(
    before: Before, rows: int, fewer: str
) -> None:
    then = earlier(rows)(replace(before, earlier_run="r1"))
    told = source.filemaker_itself_counted_every_table(exported(0)(then))
    assert [*told.offending] == ["people: 3 rows"]
    assert told.note.partition("; ")[2] == (f"fewer than in r1: {fewer}" if fewer else "")
    counted = source.filemaker_itself_counted_every_table(then)  # by FileMaker, of today
    assert ([*counted.offending], counted.note) == ([], "")


@pytest.mark.parametrize(("loaded", "too_many"), [(95, 0), (94, 1), (105, 0), (107, 2)])
def test_patients_may_differ_in_number_by_a_part_of_those_from_filemaker(
    before: Before, loaded: int, too_many: int
) -> None:
    # Nexus has 110: FileMaker never had 10 of them, and 7 are in it no more.
    gone = tuple(
        UnmatchedRows(cause, count, "keep")
        for cause, count in ((Cause.NO_FILEMAKER_ID, 10), (Cause.NOT_IN_FILEMAKER, 7))
    )
    table = TableState("person", Role.WIPED, 110, Fingerprint(110, ""))
    survey = replace(before.survey, tables={"person": table})
    before = replace(before, intake=replace(before.intake, survey=survey))
    now = planned(rows_before=110, replaced=loaded - 5, new=5, unmatched=gone)(before)
    assert source.patients_are_as_many_as_expected(now).count == too_many


@pytest.mark.parametrize(
    ("links", "told"),
    [
        ("resolves_at_least = 0.5, covers_at_least = 0.5", []),
        ("resolves_at_least = 0.6", ["details.of: 1 of 2 resolve"]),
        ("covers_at_least = 0.6", ["details: 1 of 2 people have a record here"]),
    ],
)
def test_links_that_find_too_few_records_are_told(
    before: Before, tmp_path: Path, links: str, told: list[str]
) -> None:
    details = [{"id": "D1", "of": "P1"}, {"id": "D2", "of": "P9"}, {"id": "D3", "of": ""}]
    line = 'links = [{ field = "of", to = "people" }]'
    made = declared(
        tmp_path,
        (line, line.replace(" }", f", {links} }}")),
        records={"people": [person(1), person(2)], "details": details},
    ).planned()
    found = source.links_between_tables_resolve(replace(before, intake=made.intake))
    assert ([*found.offending], found.looked_at) == (told, 2)
