"""Verification after COMMIT: our own tables, of this run and of earlier ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nexus_reimport import runbook
from nexus_reimport.files import rowfile
from nexus_reimport.model import Plan
from nexus_reimport.nexus import registry
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.record import Verdict
from support.clinic import ROLE, Clinic
from support.verifying import FIRST, failed, verified

ROW, REMEMBERED = "the_run_is_written_down_in_the_database", "what_was_loaded_is_remembered"
UNDO = "the_undo_data_is_whole"
FIRST_PATIENT = FIRST.format("patients")
# what is done to our own tables after COMMIT; {undo} is the schema of the run's undo data
OWN = {
    "the run's row is gone": ("DELETE FROM nexus_reimport.runs", ROW),
    "the runs are gone": ("DROP TABLE nexus_reimport.runs", ROW),
    "another person has approved": ("UPDATE nexus_reimport.runs SET approved_by = 'x'", ROW),
    "another digest was approved": ("UPDATE nexus_reimport.runs SET digest = 'x'", ROW),
    "the run is of another environment": ("UPDATE nexus_reimport.runs SET environment = 'x'", ROW),
    "the run was of another kind": ("UPDATE nexus_reimport.runs SET kind = 'relink'", ROW),
    "the run was undone": ("UPDATE nexus_reimport.runs SET undone_by = 'x'", ROW),
    "the undo data lies elsewhere": (
        "UPDATE nexus_reimport.runs SET undo = jsonb_set(undo, '{{schema}}', '\"public\"')",
        ROW,
    ),
    "a fingerprint is another one": (
        "UPDATE nexus_reimport.runs SET after = jsonb_set(after, '{{notes,rows}}', '1')",
        ROW,
    ),
    "what the run's row says is no description of undo data": (
        "UPDATE nexus_reimport.runs SET undo = '[1]', before = '7'",
        ROW,
    ),
    "a run that nobody has made": (
        "INSERT INTO nexus_reimport.runs (run, environment, digest, approved_by, before, after)"
        " VALUES ('x', 'sandbox-dev', '', '', '{{}}', '{{}}')",
        ROW,
    ),
    "what was loaded is forgotten": ("TRUNCATE nexus_reimport.loaded", REMEMBERED),
    "what was loaded is gone": ("DROP TABLE nexus_reimport.loaded", REMEMBERED),
    "two records have become each other's rows": (
        "UPDATE nexus_reimport.loaded l SET nexus_id = o.nexus_id FROM nexus_reimport.loaded o"
        " WHERE (l.filemaker_id, o.filemaker_id) IN (SELECT min(filemaker_id), max(filemaker_id)"
        " FROM nexus_reimport.loaded WHERE entity = 'patients' UNION SELECT max(filemaker_id),"
        " min(filemaker_id) FROM nexus_reimport.loaded WHERE entity = 'patients')",
        REMEMBERED,
    ),
    "a record that was not loaded": (
        "INSERT INTO nexus_reimport.loaded VALUES ('patients', 'x', 'y')",
        REMEMBERED,
    ),
    "the undo data is gone": ("DROP SCHEMA {undo} CASCADE", UNDO),
    "a table of the undo data is empty": ("TRUNCATE {undo}.patients", UNDO),
    "a row of the undo data is changed": (
        "UPDATE {undo}.patients SET last_name = last_name || ' ' WHERE id = (SELECT"
        " min(id::text)::uuid FROM {undo}.patients)",
        UNDO,
    ),
    "a row of the undo data is there twice": (
        "INSERT INTO {undo}.notes SELECT * FROM {undo}.notes LIMIT 1",
        UNDO,
    ),
    "what the run has left is forgotten": ("TRUNCATE {undo}.after_notes", UNDO),
    "what the run has left is another thing": (
        "UPDATE {undo}.after_notes SET hash = md5(hash) WHERE key = (SELECT min(key::text)::uuid"
        " FROM {undo}.after_notes)",
        UNDO,
    ),
    # It stays the first in the order of the fingerprint, which is made of the hashes alone.
    "what the run has left of a row is said of none": (
        "UPDATE {undo}.after_notes SET key = '00000000-0000-0000-0000-000000000000' WHERE key ="
        " (SELECT min(key::text)::uuid FROM {undo}.after_notes)",
        UNDO,
    ),
    "what the run has left of a link is said of none": (
        "UPDATE {undo}.after_links_images SET key = NULL WHERE key ="
        " (SELECT min(key::text)::uuid FROM {undo}.after_links_images)",
        UNDO,
    ),
    "the links before are forgotten": ("TRUNCATE {undo}.links_documents", UNDO),
    "a link before is another one": ("UPDATE {undo}.links_documents SET object_id = id", UNDO),
    "the links after are forgotten": ("TRUNCATE {undo}.after_links_images", UNDO),
    "what was loaded before is another thing": (
        "INSERT INTO {undo}.own_loaded VALUES ('patients', 'x', 'y')",
        UNDO,
    ),
    "what pointed at the rows is another thing": (
        "INSERT INTO {undo}.own_pointed_at VALUES ('x', 'y', 1)",
        UNDO,
    ),
}


@pytest.mark.parametrize("name", OWN)
def test_our_own_tables_that_are_not_as_the_run_has_left_them_stop_it(
    done: tuple[Clinic, runbook.Runbook], name: str
) -> None:
    clinic, book = done
    statement, found_by = OWN[name]
    undo = clinic.value("SELECT undo ->> 'schema' FROM nexus_reimport.runs", role=ROLE)
    clinic.do(statement.format(undo=undo), role=ROLE)
    result = failed(verified(book))[found_by]
    assert result.blocks
    assert result.sample


def test_the_row_of_an_earlier_run_must_stay_what_it_was(clinic: Clinic) -> None:
    first, second = clinic.executed_twice()
    assert not failed(verified(second)).keys() & {ROW, REMEMBERED, UNDO}
    change = "UPDATE nexus_reimport.runs SET {} WHERE run = '" + first.run.id + "'"
    clinic.do(change.format("seal = 'x'"), role=ROLE)  # written late: no part of it
    assert not failed(verified(second)).keys() & {ROW}
    clinic.do("UPDATE nexus_reimport.runs SET number = number + 5", role=ROLE)  # of all: no gap
    assert failed(verified(second))[ROW].sample == (f"{first.run.id} is changed",)
    clinic.do("UPDATE nexus_reimport.runs SET number = number - 5", role=ROLE)
    assert not failed(verified(second)).keys() & {ROW}
    clinic.do(change.format("approved_by = 'x'"), role=ROLE)
    assert failed(verified(second))[ROW].sample == (f"{first.run.id} is changed",)
    clinic.do(f"DELETE FROM nexus_reimport.runs WHERE run = '{first.run.id}'", role=ROLE)
    assert failed(verified(second))[ROW].sample == (f"{first.run.id} is gone",)


def test_a_server_whose_clock_was_set_back_since_the_earlier_run_stops_no_later_one(
    done: tuple[Clinic, runbook.Runbook],
) -> None:
    """No run could be verified until the clock had come to the time of the earlier COMMIT again."""
    clinic, _ = done
    later = "UPDATE nexus_reimport.runs SET committed_at = committed_at + interval '{} h' WHERE {}"
    clinic.do(later.format(24 * 365, "true"), role=ROLE)
    second = clinic.whole(dry=True)
    assert not failed(verified(second)).keys() & {ROW}
    assert second.run.verdict() is Verdict.COMPLETE
    clinic.do(later.format(0.01, f"run = '{second.run.id}'"), role=ROLE)
    (told,) = failed(verified(second))[ROW].sample
    assert told == f"{second.run.id}: committed_at"


def test_a_server_whose_clock_was_wrong_at_the_commit_stops_no_verification(
    clinic: Clinic, rehearsed: Path
) -> None:
    """It failed after COMMIT, and whatever was done with the clocks, it could not pass any more."""
    clock = "ALTER TABLE nexus_reimport.runs ALTER committed_at SET DEFAULT clock_timestamp()"
    book = clinic.approved(rehearsed)
    with connected(book.settings.postgres) as connection, connection.transaction():
        registry.make(connection)
    clinic.do(f"{clock} - interval '3 days'", role=ROLE)
    book.apply()
    clinic.do(clock, role=ROLE)
    assert not failed(verified(book)).keys() & {ROW}


def test_a_plan_that_was_changed_after_the_commit_is_not_what_rows_are_compared_with(
    committed: tuple[Clinic, runbook.Runbook],
) -> None:
    """Row and plan alike: what is compared agrees, and is not what was approved."""
    clinic, book = committed
    clinic.do("UPDATE patients SET last_name = last_name || 'x' WHERE id = " + FIRST_PATIENT)
    assert "every_row_is_as_planned" in failed(verified(book))
    plan, key = book.run.load(Plan), clinic.value(f"SELECT {FIRST_PATIENT}::text")
    patients = plan.entities["patients"]
    rows = [
        tuple(v and v + "x" * (row["id"] == key and c == "last_name") for c, v in row.items())
        for row in rowfile.read_dicts(book.folder, patients.file)
    ]
    file = rowfile.write(book.folder / "forged.parquet", patients.file.columns, rows)
    forged = {**plan.entities, "patients": replace(patients, file=file)}
    book.run.save(replace(plan, entities=forged))
    found = failed(verified(book))
    assert "every_row_is_as_planned" not in found
    assert found[ROW].sample == ("plan.json: its plan is not the one that was approved",)


def test_a_value_that_was_edited_after_the_commit_is_named_by_the_verification(
    committed: tuple[Clinic, runbook.Runbook],
) -> None:
    _, book = committed
    path = book.run.folder / "census.json"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n ", 1))
    edited = "census.json: it is not what its stage has written"
    assert failed(verified(book))[ROW].sample == (edited,)
    report = book.verify()
    assert [result.check for result in report.blocking] == [ROW]
    assert book.run.verdict() is Verdict.COMMITTED_UNVERIFIED
    path.write_bytes(path.read_bytes().replace(b"\n ", b"\n", 1))
    assert book.verify().passed


# what somebody puts into our own schemas -> which check names it, and how
PUT = {
    "a column": (
        "ALTER TABLE nexus_reimport.runs ADD COLUMN remark text",
        "our_own_tables_are_as_we_make_them",
        "nexus_reimport.runs: not ours: column remark text",
    ),
    "a column of another type": (
        "ALTER TABLE nexus_reimport.loaded ALTER COLUMN nexus_id TYPE varchar",
        "our_own_tables_are_as_we_make_them",
        "nexus_reimport.loaded: not ours: column nexus_id character varying NOT NULL",
    ),
    "a type": (
        "CREATE DOMAIN nexus_reimport.d AS int",
        "our_own_tables_are_as_we_make_them",
        "nexus_reimport.d: somebody else's type",
    ),
    "a function": (
        "CREATE FUNCTION nexus_reimport.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "our_own_tables_are_as_we_make_them",
        "nexus_reimport.f(): somebody else's function",
    ),
    "statistics": (
        "CREATE STATISTICS nexus_reimport.s ON entity, nexus_id FROM nexus_reimport.loaded",
        "our_own_tables_are_as_we_make_them",
        "nexus_reimport.s: somebody else's statistics object",
    ),
    "an operator": (
        "CREATE OPERATOR nexus_reimport.=== (leftarg=text, rightarg=text, function=texteq)",
        "our_own_tables_are_as_we_make_them",
        "nexus_reimport.===(pg_catalog.text,pg_catalog.text): somebody else's operator",
    ),
    "another owner": (
        "ALTER TABLE {undo}.patients OWNER TO nexus;"
        f" GRANT SELECT ON {{undo}}.patients TO {ROLE}",
        "nobody_else_may_use_our_own_tables",
        "{undo}.patients: its owner nexus",
    ),
    "a subscriber": (
        "CREATE PUBLICATION p FOR TABLE {undo}.patients, nexus_reimport.loaded",
        "nobody_else_may_use_our_own_tables",
        "nexus_reimport.loaded: publication p",
    ),
}


@pytest.mark.parametrize("name", PUT)
def test_what_is_put_into_our_own_schemas_is_named(
    done: tuple[Clinic, runbook.Runbook], name: str
) -> None:
    clinic, book = done
    statement, found_by, told = PUT[name]
    undo = clinic.value("SELECT undo ->> 'schema' FROM nexus_reimport.runs", role=ROLE)
    with clinic.superuser() as admin:
        admin.execute(statement.format(undo=undo))
    assert told.format(undo=undo) in failed(verified(book))[found_by].sample


def test_what_is_put_into_the_undo_data_of_an_earlier_run_is_named(clinic: Clinic) -> None:
    first, second = clinic.executed_twice()
    assert "our_own_tables_are_as_we_make_them" not in failed(verified(second))
    undo = clinic.value(
        f"SELECT undo ->> 'schema' FROM nexus_reimport.runs WHERE run = '{first.run.id}'", role=ROLE
    )
    clinic.do(f"GRANT SELECT ON patients TO {ROLE}")
    clinic.do(f"CREATE TABLE {undo}.people AS TABLE patients", role=ROLE)
    result = failed(verified(second))["our_own_tables_are_as_we_make_them"]
    assert (result.blocks, result.sample) == (True, (f"{undo}.people: somebody else's table",))
