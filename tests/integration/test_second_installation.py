"""A different installation changes the mapping, not the code."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nexus_reimport import mapping, record, runbook, runner
from nexus_reimport import settings as environments
from nexus_reimport.model import Report, SelfTest
from nexus_reimport.record import Verdict
from nexus_sandbox.clinic import StoredObject
from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.file import FileTable
from nexus_sandbox.filemaker.simulator import Simulator
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from nexus_sandbox.stack import fill
from support import SUPPORT
from support.clinic import OWNER, approved, finished, planned
from support.second_installation import (
    EMPTY,
    ENVIRONMENT,
    EXPORTED,
    SCHEMA,
    adopt,
    empty_filemaker,
    filemaker,
    set_variables,
)


@contextmanager
def installed(
    tables: list[FileTable], channel: str, postgres: PostgresServer, s3: S3Server, folder: Path
) -> Iterator[psycopg.Connection[Any]]:
    """The second installation, its FileMaker with these tables; its environment in ``folder``."""
    postgres.create_database("second", owner=OWNER)
    keys = ("scans/1.pdf", "scans/2.pdf", "scans/3.pdf", "uploads/4.pdf")
    s3.access.fill("second-installation", [StoredObject(key, b"x") for key in keys])
    shutil.copy(SUPPORT / "second_installation.toml", folder)
    with (
        Simulator(tables, password="opensesame") as simulator,
        psycopg.connect(postgres.dsn("second", OWNER), autocommit=True) as connection,
        pytest.MonkeyPatch.context() as patch,
    ):
        connection.execute(SCHEMA)
        adopt(postgres, "second", folder)
        text = ENVIRONMENT.format(url=simulator.url, endpoint=s3.access.endpoint, channel=channel)
        (folder / "second.toml").write_text(text)
        (folder / "exports").mkdir()
        for table, (name, style) in zip(tables, EXPORTED, strict=True):
            exports.write(table, folder / "exports" / name, style)
        set_variables(patch, folder, postgres, s3)
        yield connection
    postgres.drop_database("second")


@pytest.fixture(params=["data_api", "odata", "exports"])
def second(
    request: pytest.FixtureRequest, postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> Iterator[psycopg.Connection[Any]]:
    with installed(filemaker(), request.param, postgres, s3, tmp_path) as connection:
        yield connection


def whole(dry_on: PostgresServer | None = None) -> runbook.Runbook:
    """A run to its end, sealed; its rehearsal is a dry run where the server is named."""
    book = planned("second")
    return finished(approved(book, book.check_before(), dry_on))


def test_a_second_installation_is_reimported_by_its_mapping_alone(
    second: psycopg.Connection[Any],
) -> None:
    whole()
    people = second.execute(
        "SELECT id, legacy_no, born::text, shoe_size::text, site_id FROM practice.person ORDER BY 1"
    ).fetchall()
    assert people == [
        (1, "P1", "1960-02-01", "41.5", 1),
        (2, "P2", "1970-03-05", "44.0", 2),
        (3, None, None, "39.0", 2),
        (4, "P3", "1980-04-05", None, 2),
    ]
    documents = second.execute("SELECT scan_no, patient_id FROM practice.document ORDER BY id")
    assert documents.fetchall() == [("S1", 1), ("S2", 2), ("S3", 4), (None, 3)]
    visits = second.execute(
        "SELECT id, person_id, starts::text, room, remark FROM practice.visit ORDER BY id"
    ).fetchall()
    assert [v[:2] for v in visits] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert visits[1][4] == "second"
    namespace = uuid.UUID("6a1d2f5c-7b0e-5c3a-8f44-0c5d9e2b7a10")
    carers = second.execute("SELECT id, person_id, named, since::text FROM practice.carer")
    assert set(carers.fetchall()) == {
        (uuid.UUID("00000000-0000-4000-8000-000000000001"), 1, "C1", "2020-01-01"),
        (uuid.uuid5(namespace, "carers:P1+C2"), 1, "C2", "2021-01-01"),
        (uuid.uuid5(namespace, "carers:P3+C1"), 4, "C1", "2022-01-01"),
    }
    next_id = second.execute(
        "INSERT INTO practice.person (given, family) VALUES ('a', 'b') RETURNING id"
    ).fetchone()
    assert next_id == (5,)


def test_its_pages_are_executed_without_a_name_of_the_shipped_mapping(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    """No entity is called appointments there, and no attachment documents."""
    with installed(filemaker(), "data_api", postgres, s3, tmp_path):
        (outcome,) = runner.run(["second"], approve_rehearsed=True)
        assert outcome.verdict is Verdict.COMPLETE, outcome.error
        (run,) = record.every(environments.load("second"))
        after = {r.check: r for r in run.load(Report, "checks_after").results}
        documents = after["every_document_hangs_on_its_patient"]
        assert (documents.passed, documents.looked_at, documents.is_empty) == (True, 4, False)
        assert documents.note.startswith("4 of 4 on a live patient")
        assert after["every_image_hangs_on_its_patient"].is_empty
        assert not run.load(SelfTest).missed


def test_what_relinks_alone_finds_every_corruption_too(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    """Integer keys, and a column that names patients without a foreign key."""
    with installed(filemaker(), "data_api", postgres, s3, tmp_path) as second:
        second.execute("CREATE TABLE practice.alarm (id serial PRIMARY KEY, person text)")
        second.execute("INSERT INTO practice.alarm (person) VALUES ('1'), ('2')")
        path = tmp_path / "second_installation.toml"
        loose = '[[references]]\ntable = "alarm"\nobject = "person"\nentities = ["people"]\n'
        # P3 is of nobody yet: links alone load no patient
        few, more = "{ not_in_nexus = 0.1 }", "{ not_in_nexus = 0.1, owner_not_loaded = 0.5 }"
        path.write_text(path.read_text().replace(few, more) + loose)
        fill.grant(postgres.access, "second", mapping.load(path.name, tmp_path))
        (outcome,) = runner.run(["second"], links_only=True, approve_rehearsed=True)
        assert outcome.verdict is Verdict.COMPLETE, outcome.error
        (run,) = record.every(environments.load("second"))
        assert run.load(SelfTest).missed == ()


def without(text: str, *sections: str) -> str:
    """A TOML text without these tables and those below them."""
    parts = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    return "".join(p for p in parts if not any(re.match(rf"\[{s}[.\]]", p) for s in sections))


def test_patients_and_visits_alone_are_a_whole_clinic(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    """No notes, no documents, no images: there is nothing to look at, and that is no failure."""
    with installed(filemaker(), "data_api", postgres, s3, tmp_path):
        path = tmp_path / "second_installation.toml"
        parts = ("sources.cares", "sources.scans", "entities.carers", "attachments.scans")
        path.write_text(without(path.read_text(), *parts))
        (outcome,) = runner.run(["second"], approve_rehearsed=True)
        assert outcome.verdict is Verdict.COMPLETE, outcome.error


@pytest.mark.parametrize(
    "empty", [("Scans", "Cares"), ("Scans", "Cares", "Visits"), ("Visits",)], ids=" ".join
)
def test_a_first_import_into_empty_tables_is_complete(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, empty: tuple[str, ...]
) -> None:
    """Of documents and carers neither side has any; with visits, no link has a record."""
    with installed(empty_filemaker(*empty), "data_api", postgres, s3, tmp_path) as second:
        second.execute(EMPTY)
        if "Visits" in empty:  # of no visit there is a column that is asked for
            path = tmp_path / "second_installation.toml"
            named = 'patient = "person_id", clinic = "room" }'
            path.write_text(path.read_text().replace('patient = "person_id" }', named))
        if "Scans" not in empty:  # which come to Nexus by another way
            second.execute(
                "INSERT INTO practice.document (scan_no, path) VALUES"
                " ('S1', 'scans/1.pdf'), ('S2', 'scans/2.pdf'), ('S3', 'scans/3.pdf')"
            )
        book = whole()
        assert book.run.verdict() is Verdict.COMPLETE
        told = {r.check: r for r in book.run.load(Report, "checks_before").results}
        people = told["patients_are_as_many_as_expected"]
        assert (people.passed, people.looked_at) == (True, 4)
        assert (
            people.note == "the first import of people: Nexus has none, and no run has loaded any"
        )
        claims = told["no_two_rows_claim_one_record"]
        assert (claims.passed, claims.looked_at, claims.is_empty) == (True, 0, True)
        visits = told["every_planned_appointment_has_a_clinic"]
        nothing = "neither FileMaker nor Nexus has any visits"
        of_no_kind = "the mapping has nothing of this kind"
        assert visits.is_empty
        assert visits.note == (nothing if "Visits" in empty else of_no_kind)
        rows = second.execute("SELECT legacy_no FROM practice.person ORDER BY 1").fetchall()
        assert rows == [("P1",), ("P2",), ("P3",)]
        every = "SELECT p::text FROM practice.person p ORDER BY 1"
        state = second.execute(every).fetchall()
        again = whole(postgres)
        assert again.run.verdict() is Verdict.COMPLETE
        assert (
            second.execute("SELECT p::text FROM practice.person p ORDER BY 1").fetchall() == state
        )


def test_a_table_that_was_emptied_after_a_run_is_no_first_import(
    second: psycopg.Connection[Any], postgres: PostgresServer
) -> None:
    whole(postgres)
    second.execute(
        "DELETE FROM practice.document; DELETE FROM practice.carer;"
        "DELETE FROM practice.visit; DELETE FROM practice.person"
    )
    book = planned("second")
    stopped = {result.check for result in book.check_before().blocking}
    assert {"patients_are_as_many_as_expected", "no_two_rows_claim_one_record"} <= stopped
