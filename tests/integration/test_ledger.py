"""Every record and every row is accounted for: what is lost, doubled or swapped is flagged."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_reimport import convert
from nexus_reimport.checks import Finding
from nexus_reimport.checks import after as afters
from nexus_reimport.checks.before import Before
from nexus_reimport.checks.before import plan as befores
from nexus_reimport.errors import StopError
from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.model import Account, Outcome, Plan
from nexus_reimport.record import Verdict
from support.clinic import Clinic, Executed
from support.second_clinic import Second
from support.values import lines

Rows = list[tuple[str | None, ...]]
KEPT = str(Outcome.KEPT)
_number = itertools.count(1)
MANY = settings(
    max_examples=25,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PLACES = st.tuples(st.integers(0, 10**9), st.integers(0, 10**9))


def rewritten(folder: Path, file: RowFile, change: Callable[[Rows], None]) -> RowFile:
    """A row file like ``file`` but for a change, with a digest of its own."""
    rows: Rows = list(rowfile.read(folder, file))
    change(rows)
    with rowfile.writer(folder / f"changed_{next(_number)}.parquet", file.columns) as out:
        for row in rows:
            out.add(row)
    return out.done()


def delete(rows: Rows, at: tuple[int, int]) -> None:
    del rows[at[0] % len(rows)]


def double(rows: Rows, at: tuple[int, int]) -> None:
    rows.append(rows[at[0] % len(rows)])


def swapped(column: int) -> Callable[[Rows, tuple[int, int]], None]:
    """Two rows that differ in ``column`` swap what stands there."""

    def swap(rows: Rows, at: tuple[int, int]) -> None:
        first = at[0] % len(rows)
        others = [n for n, r in enumerate(rows) if r[column] != rows[first][column]]
        second = others[at[1] % len(others)]
        a, b = rows[first], rows[second]
        rows[first] = (*a[:column], b[column], *a[column + 1 :])
        rows[second] = (*b[:column], a[column], *b[column + 1 :])

    return swap


def ledger_findings(before: Before) -> int:
    """What the checks of the ledger flag."""
    found = (
        befores.every_record_is_accounted_for(before),
        befores.every_row_is_accounted_for(before),
    )
    return sum(flagged(one) for one in found)


def flagged(found: Finding) -> int:
    assert found.looked_at > 0
    return len(found.offending) if found.count is None else found.count


def test_there_is_no_false_alarm_on_clean_data(executed_once: Executed) -> None:
    assert ledger_findings(executed_once.before) == 0
    assert flagged(befores.no_rule_leaves_out_more_than_its_budget(executed_once.before)) == 0
    after = executed_once.after
    for entity in after.plan.entities:
        assert flagged(afters.rows.every_row_is_as_planned(after, entity)) == 0


def test_every_source_has_an_account_and_each_adds_up(executed_once: Executed) -> None:
    accounts = executed_once.before.plan.accounts
    assert {a.source for a in accounts} == set(executed_once.before.mapping.sources)
    extracts = executed_once.before.snapshot.extracts
    assert all(a.adds_up and a.records == extracts[a.source].rows for a in accounts)
    by_source = {a.source: a for a in accounts}
    assert by_source["contact_details"].merged > 100
    assert by_source["contact_details"].left_out["owner_not_loaded"] > 0  # referrers and companies
    assert by_source["docs"].linked > 100
    assert by_source["calendars"].looked_up == extracts["calendars"].rows
    assert by_source["events"].left_out["without_patient"] > 0


@MANY
@given(PLACES, st.sampled_from([delete, double, swapped(4), swapped(5)]))
def test_a_line_of_the_ledger_that_is_lost_doubled_or_swapped_is_flagged(
    executed_once: Executed, at: tuple[int, int], change: Callable[[Rows, tuple[int, int]], None]
) -> None:
    before = executed_once.before

    def of_loaded_rows(rows: Rows) -> None:
        loaded = [r for r in rows if r[1] == "notes" and r[2] in ("replaced", "new")]
        rest = [r for r in rows if r not in set(loaded)]
        change(loaded, at)
        rows[:] = rest + loaded

    file = rewritten(before.folder, before.plan.ledger, of_loaded_rows)
    assert ledger_findings(replace(before, plan=replace(before.plan, ledger=file))) > 0


@MANY
@given(PLACES, st.sampled_from([delete, double]), st.sampled_from(["contacts", "notes", "docs"]))
def test_a_record_that_is_lost_or_doubled_after_it_was_read_is_flagged(
    executed_once: Executed,
    at: tuple[int, int],
    change: Callable[[Rows, tuple[int, int]], None],
    source: str,
) -> None:
    before = executed_once.before
    extract = before.snapshot.extracts[source]
    file = rewritten(before.folder, extract.file, lambda rows: change(rows, at))
    extracts = {**before.snapshot.extracts, source: replace(extract, file=file)}
    changed = replace(
        before, intake=replace(before.intake, snapshot=replace(before.snapshot, extracts=extracts))
    )
    assert ledger_findings(changed) > 0


@MANY
@given(PLACES, st.sampled_from([delete, double]), st.sampled_from(["patients", "appointments"]))
def test_a_planned_row_that_is_lost_or_doubled_is_flagged(
    executed_once: Executed,
    at: tuple[int, int],
    change: Callable[[Rows, tuple[int, int]], None],
    entity: str,
) -> None:
    before = executed_once.before
    plan = before.plan.entities[entity]
    file = rewritten(before.folder, plan.file, lambda rows: change(rows, at))
    entities = {**before.plan.entities, entity: replace(plan, file=file)}
    changed = replace(before, plan=replace(before.plan, entities=entities))
    assert ledger_findings(changed) > 0


@MANY
@given(PLACES, st.sampled_from(["delete", "double", "swap"]), st.data())
def test_a_row_that_is_lost_doubled_or_swapped_in_nexus_is_flagged(
    executed_once: Executed, at: tuple[int, int], how: str, data: st.DataObject
) -> None:
    after = executed_once.after
    entity = data.draw(st.sampled_from(["patients", "appointments", "notes", "sms_messages"]))
    columns = after.now[entity].columns
    column = data.draw(st.sampled_from([c for c in columns if varies(executed_once, entity, c)]))
    change = {"delete": delete, "double": double, "swap": swapped(columns.index(column))}[how]
    file = rewritten(after.folder, after.now[entity], lambda rows: change(rows, at))
    changed = replace(after, now={**after.now, entity: file})
    assert flagged(afters.rows.every_row_is_as_planned(changed, entity)) > 0


def varies(executed_once: Executed, entity: str, column: str) -> bool:
    rows = rowfile.read_dicts(executed_once.after.folder, executed_once.after.now[entity])
    return len({row[column] for row in itertools.islice(rows, 50)}) > 1


def test_a_rule_that_leaves_out_more_than_its_budget_stops_and_is_named(clinic: Clinic) -> None:
    before = clinic.state()
    with clinic.simulator.edit() as tables:
        for record in tables["API_Contacts"].records[:4]:
            record.values["nameFirst"] = record.values["nameLast"] = ""
    with pytest.raises(StopError, match="no_rule_leaves_out_more_than_its_budget") as told:
        clinic.preflight()
    assert "contacts, without_a_name: 5 of" in told.value.what
    assert "budget 1" in told.value.what
    assert clinic.state() == before


def test_what_a_rule_left_out_is_listed_by_id_and_with_values_in_private_alone(
    executed_once: Executed,
) -> None:
    folder = executed_once.before.folder
    events = lines(folder / "left_out" / "events.csv")
    account = next(a for a in executed_once.before.plan.accounts if a.source == "events")
    assert len(events) == sum(account.left_out.values())
    assert {line["rule"] for line in events} == set(account.left_out)
    run = next((folder.parent.parent.parent / "runs").glob("*/*/data"))
    listed = [r for r in lines(run / "ledger.csv") if r["outcome"] == Outcome.LEFT_OUT]
    assert {r["filemaker_id"] for r in listed if r["source"] == "events"} == {
        convert.identifier(line["id"]) for line in events
    }
    assert "note" in events[0]
    assert not list(run.glob("**/left_out*"))
    assert all(p.stat().st_mode & 0o077 == 0 for p in (folder / "left_out").iterdir())


def test_an_account_that_does_not_add_up_says_so() -> None:
    fine = Account("notes", "notes", 3, 2, 0, 0, 0, {"empty_note": 1}, {"empty_note": 1})
    assert fine.adds_up
    assert not replace(fine, records=4).adds_up


def test_the_plan_of_the_same_data_has_the_same_accounts(executed_once: Executed) -> None:
    plan: Plan = executed_once.before.plan
    assert sum(a.records for a in plan.accounts) == sum(
        e.rows for e in executed_once.before.snapshot.extracts.values()
    )


def test_a_source_may_be_called_as_a_list_of_the_plan(second: Second) -> None:
    """Its row file had that name, too, and the plan wrote the list over it."""
    path = second.folder / "second_installation.toml"
    names = {"people": "runs", "visits": "ledger", "scans": "misfits", "cares": "cleaned"}
    text = path.read_text()
    for old, new in names.items():
        text = text.replace(f"[sources.{old}", f"[sources.{new}")
        text = text.replace(f'source = "{old}"', f'source = "{new}"')
        text = text.replace(f'to = "{old}"', f'to = "{new}"')
    path.write_text(text)
    environment = second.folder / "second.toml"
    given = environment.read_text()
    for old, new in names.items():
        given = re.sub(rf"^{old} = ", f"{new} = ", given, flags=re.MULTILINE)
    environment.write_text(given)
    assert second.whole().run.verdict() is Verdict.COMPLETE


@MANY
@given(PLACES, st.sampled_from(["patients", "appointments", "notes"]))
def test_a_planned_row_of_nowhere_and_a_kept_row_that_is_not_planned_are_flagged(
    executed_once: Executed, at: tuple[int, int], entity: str
) -> None:
    after = executed_once.after
    check = afters.rows.every_planned_row_came_from_somewhere
    assert flagged(check(after, entity)) == 0
    plan, key = after.plan.entities[entity], after.survey.keys[entity]
    place = plan.file.columns.index(key)
    kept = {r[5] for r in rowfile.read(after.folder, after.plan.ledger) if r[1:3] == (entity, KEPT)}
    assert kept

    def of_nowhere(rows: Rows) -> None:
        row = rows[at[0] % len(rows)]
        rows.append((*row[:place], "00000000-0000-4000-8000-000000000000", *row[place + 1 :]))

    def without_a_kept_row(rows: Rows) -> None:
        rows.remove(next(row for row in rows if row[place] in kept))

    for change in (of_nowhere, without_a_kept_row):
        file = rewritten(after.folder, plan.file, change)
        entities = {**after.plan.entities, entity: replace(plan, file=file)}
        changed = replace(after, plan=replace(after.plan, entities=entities))
        assert flagged(check(changed, entity)) == 1
