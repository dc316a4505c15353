"""A schema that was changed after the approval: it is compared again with the locks held."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nexus_reimport import runbook
from nexus_reimport.checks.inside import Inside
from nexus_reimport.errors import ROLLED_BACK, StopError
from nexus_reimport.events import null_journal
from nexus_reimport.model import Report
from nexus_reimport.nexus.writing.transaction import Reports, Transaction
from nexus_reimport.progress import heard_by
from nexus_reimport.runbook import rollback
from nexus_reimport.stages import apply as reimport
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import CASCADE, MORE, WEARS, Altered, altered
from support.applying import apply_with, order_of
from support.clinic import finished
from support.second_installation import SCHEMA


@pytest.fixture(scope="module")
def approved(more: Altered) -> runbook.Runbook:
    """One approved run, executed again and again, and never committed."""
    return more.approved()


def apply(book: runbook.Runbook, meanwhile: Callable[[], None] | None = None) -> None:
    def progress(done: int, _: int) -> None:
        if done == 1 and meanwhile:  # all is loaded, no lock is held
            meanwhile()

    apply_with(book, progress=progress)


SET_NULL = WEARS.format("ON DELETE SET NULL")
MADE = "constraint Wears it_person_fkey of Other One.Wears it: did not exist"
DROP = 'DROP TABLE "Other One"."Wears it"'


@pytest.mark.parametrize(
    ("change", "back", "named"),
    [
        (CASCADE, DROP, MADE),
        (SET_NULL, DROP, MADE),
        (
            "GRANT DELETE ON practice.person TO PUBLIC",
            "REVOKE DELETE ON practice.person FROM PUBLIC",
            "grants on practice.person: another definition",
        ),
    ],
)
def test_a_schema_that_is_changed_between_approval_and_locks_stops_the_execution(
    more: Altered, approved: runbook.Runbook, change: str, back: str, named: str
) -> None:
    book = approved
    try:
        text = "the schema was changed since the preflight"
        told = rf"{text}: \d+ difference.*\n    {named}"
        with pytest.raises(StopError, match=told) as error:
            apply(book, lambda: more.do(change))
        before = more.state()
        with pytest.raises(StopError, match=told):
            book.apply()
        assert error.value.state == ROLLED_BACK
        assert more.state() == before
        if change == CASCADE:
            assert more.rows('SELECT count(*) FROM "Other One"."Wears it"') == [(86,)]
        undo_data = "SELECT FROM pg_namespace WHERE nspname LIKE 'nexus_reimport_undo%'"
        assert not more.rows(undo_data)
    finally:
        more.do(back)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER TABLE practice.visit DROP COLUMN room", "column practice.visit.room: is gone"),
        ("ALTER TABLE practice.visit RENAME room TO place", "column practice.visit.room"),
        ("DROP TABLE practice.carer", "practice.carer"),
        (
            "ALTER TABLE practice.document RENAME patient_id TO owner",
            "column practice.document.patient_id",
        ),
    ],
)
def test_what_was_taken_away_after_the_approval_is_named_before_anything_is_read(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, change: str, told: str
) -> None:
    with altered(postgres, s3, tmp_path) as found:
        book = found.approved(dry=True)
        found.do(change)
        before = found.state()
        with pytest.raises(StopError, match="the schema was changed since the preflight") as error:
            book.apply()
        assert told in str(error.value)
        assert error.value.state == ROLLED_BACK
        assert found.state() == before


def test_another_description_than_the_approved_one_is_no_approval(
    approved: runbook.Runbook,
) -> None:
    book = approved
    order = order_of(book)
    assert order.is_approved
    survey = order.intake.survey
    shorter = replace(survey, schema=survey.schema[1:])
    other = replace(order, intake=replace(order.intake, survey=shorter))
    assert not other.is_approved
    with pytest.raises(StopError, match="is not approved"):
        reimport.apply(book.settings.postgres, other, book._check_inside, commit=True)


def test_a_schema_that_was_changed_since_the_run_refuses_its_rollback_and_is_named(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    with altered(postgres, s3, tmp_path, MORE) as found:
        run = found.whole(dry=True).run
        found.do(CASCADE)
        before = found.state()
        with pytest.raises(StopError, match=r"Wears it_person_fkey .*: did not exist") as told:
            rollback.begin("second").preview()
        assert f"since run {run.id}" in told.value.what
        assert f"restore {run.id} --into" in told.value.next
        found.do(DROP)
        back = rollback.begin("second")
        back.back_up()
        back.preview()
        back.propose()
        back.approve(rehearsed=True)
        found.do("GRANT DELETE ON practice.person TO PUBLIC")
        with pytest.raises(
            StopError, match=r"since the preview: .*\n    grants on practice.person"
        ):
            back.undo()
        found.do("REVOKE DELETE ON practice.person FROM PUBLIC")
        found.do(CASCADE)
        before = found.state()
        with pytest.raises(StopError, match=f"changed since run {run.id}"):
            back.undo()
        assert found.state() == before


def test_a_schema_that_was_changed_after_the_commit_stops_the_run_and_is_named(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    with altered(postgres, s3, tmp_path, MORE) as found:
        book = found.approved(dry=True)
        book.apply()
        found.do("ALTER TABLE practice.visit ADD added text")
        report = book.verify()
        (said,) = [r for r in report.results if r.check == "the_schema_is_as_surveyed"]
        assert said.sample == (
            "column practice.visit.added: did not exist",
            "columns of practice.visit: another definition",
        )
        assert said.blocks
        found.do("ALTER TABLE practice.visit DROP room")
        assert "every_row_is_as_planned" in {r.check for r in book.verify().blocking}


# what is written beside the plan -> what names it
BESIDE = {
    "UPDATE practice.site SET label = label": "site: 2 rows written, planned 0",
    'INSERT INTO "Other One".log VALUES (1)': "Other One.log: 1 row written, planned 0",
    'DELETE FROM "Other One".log': "Other One.log: locked for writing",
    'TRUNCATE "Other One".log': "Other One.log: locked for writing",
    "SELECT nextval('\"Other One\".numbers')": "Other One.numbers: locked for writing",
    "UPDATE practice.person SET shoe_size = shoe_size": "person: .* rows written, planned",
    'INSERT INTO "Other One".parts VALUES (7)': "Other One.parts: 1 row written",
}


@pytest.mark.parametrize("statement", BESIDE)
def test_a_write_beside_the_plan_is_noticed_in_every_schema_and_rolled_back(
    more: Altered, approved: runbook.Runbook, statement: str
) -> None:
    book = approved
    before = more.state()

    def meddle(done: Inside) -> Report:
        already = Transaction(
            done.database.connection,
            book.settings.postgres,
            "practice",
            Reports("test", 1, null_journal),
        )
        done.database.connection.execute(statement)
        writes = {
            table: tuple(map(sum, zip(done.writes.get(table, (0, 0, 0)), more, strict=True)))
            for table, more in already.writes().items()
        }
        return book._check_inside(replace(done, writes={**done.writes, **writes}))

    with pytest.raises(StopError, match="protected_tables_were_not_written") as told:
        apply_with(book, meddle)
    assert re.search(BESIDE[statement], told.value.what), told.value.what
    assert more.state() == before


def test_a_generated_column_whose_function_was_replaced_gives_another_result(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    function = (
        "CREATE OR REPLACE FUNCTION practice.shown(text) RETURNS text LANGUAGE sql IMMUTABLE"
        " AS 'SELECT {}($1)';"
    )
    generated = SCHEMA.replace(
        "CREATE SCHEMA practice;", "CREATE SCHEMA practice;" + function.format("upper")
    ).replace(
        "shoe_size numeric(4, 1),",
        "shoe_size numeric(4, 1), shown text GENERATED ALWAYS AS (practice.shown(given)) STORED,",
    )
    with altered(postgres, s3, tmp_path, generated) as found:
        book = found.approved(dry=True)
        found.do(function.format("lower"))
        before = found.state()
        with pytest.raises(StopError, match="the one that was rehearsed and approved\n    person"):
            book.apply()
        assert found.state() == before
        found.do(function.format("upper"))
        assert finished(book).run.verdict() == "COMPLETE"


@pytest.mark.parametrize(
    ("change", "back", "column"),
    [
        (
            "ALTER TYPE practice.mood RENAME VALUE 'calm' TO 'well'",
            "ALTER TYPE practice.mood RENAME VALUE 'well' TO 'calm'",
            "mood",
        ),
        (
            "ALTER DOMAIN practice.size ADD CONSTRAINT small CHECK (value < 99)",
            "ALTER DOMAIN practice.size DROP CONSTRAINT small",
            "size",
        ),
    ],
)
def test_a_type_that_is_changed_between_approval_and_locks_stops_the_execution(
    moody: runbook.Runbook, moody_clinic: Altered, change: str, back: str, column: str
) -> None:
    """No lock on a table keeps anybody from that: the verification saw it, after COMMIT."""
    told = rf"changed since the preflight: 1 difference\n    type of practice.person.{column}: "
    before = moody_clinic.state()
    try:
        with pytest.raises(StopError, match=f"{told}another definition") as error:
            apply(moody, lambda: moody_clinic.do(change))
        assert error.value.state == ROLLED_BACK
    finally:
        moody_clinic.do(back)
    assert moody_clinic.state() == before


@pytest.fixture(scope="module")
def moody_clinic(
    postgres: PostgresServer, s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Altered]:
    types = (
        "CREATE TYPE practice.mood AS ENUM ('calm', 'cross'); CREATE DOMAIN practice.size AS int;"
    )
    columns = "shoe_size numeric(4, 1), mood practice.mood, size practice.size,"
    schema = SCHEMA.replace("CREATE SCHEMA practice;", f"CREATE SCHEMA practice;{types}")
    schema = schema.replace("shoe_size numeric(4, 1),", columns)
    schema += "UPDATE practice.person SET mood = 'calm';"
    with altered(postgres, s3, tmp_path_factory.mktemp("moody"), schema) as found:
        yield found


@pytest.fixture(scope="module")
def moody(moody_clinic: Altered) -> runbook.Runbook:
    return moody_clinic.approved(dry=True)


def test_a_type_that_is_changed_between_the_locks_and_the_commit_is_named_by_the_verification(
    moody_clinic: Altered,
) -> None:
    """The rows are the same: a value has another name, and what was foretold is none of it."""
    book, acted = moody_clinic.approved(dry=True), list[str]()

    def meanwhile(_: int, __: int, begun: str) -> None:
        if begun == "checks inside" and not acted:
            acted.append(begun)
            moody_clinic.do("ALTER TYPE practice.mood RENAME VALUE 'calm' TO 'well'")

    with heard_by(meanwhile):
        book.apply()
    (said,) = [r for r in book.verify().blocking if r.check == "the_schema_is_as_surveyed"]
    assert acted
    assert said.sample == (
        "type of practice.person.mood: another definition",
        "type practice.mood: another definition",
    )
    moody_clinic.do("ALTER TYPE practice.mood RENAME VALUE 'well' TO 'calm'")
    assert not book.verify().blocking
