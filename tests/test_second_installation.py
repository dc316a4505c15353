"""A different installation changes the mapping, not the code."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import OWNER, ROLE
from second_installation import SCHEMA, adopt, filemaker

from nexus_reimport import runbook
from nexus_reimport.sandbox import exported
from nexus_reimport.sandbox.clinic import StoredObject
from nexus_reimport.sandbox.exported import Style
from nexus_reimport.sandbox.filemaker import Simulator
from nexus_reimport.sandbox.postgres import PostgresServer
from nexus_reimport.sandbox.s3 import S3Server
from nexus_reimport.settings import FOLDER_VARIABLE

ENVIRONMENT = """
name = "second"
kind = "dev"
sandbox = true
mapping = "second_installation.toml"
timezone = "Australia/Sydney"
counts_may_differ = 1.0
[postgres]
host = "127.0.0.1"
port = {{ env = "PORT" }}
database = "second"
user = "nexus_reimport"
password = {{ env = "PG" }}
sslmode = "disable"
[filemaker]
url = "{url}"
database = "WalkClinic"
user = "nexus_reader"
password = {{ env = "FM" }}
channel = "{channel}"
[filemaker.exports]
folder = "exports"
dates = "m/d/y"
encoding = "utf-16"
[s3]
bucket = "second-installation"
region = "us-east-1"
prefixes = ["scans/", "uploads/"]
endpoint = "{endpoint}"
access_key = {{ env = "KEY" }}
secret_key = {{ env = "SECRET" }}
[folders]
runs = "runs"
private = "private"
[decisions.people]
no_filemaker_id = "keep"
when_different = {{ "*" = "filemaker" }}
[decisions.visits]
no_filemaker_id = "keep"
"""


ODD = Style(encoding="utf-16-le", mark=True, dates="m/d/y")
EXPORTED = (
    ("People.xlsx", Style(empty_rows=3, number_ids=True)),
    ("Visits.csv", ODD),
    ("Scans.tab", replace(ODD, headers=False)),
    ("Cares.csv", ODD),
)


@pytest.fixture(params=["data_api", "odata", "exports"])
def second(
    request: pytest.FixtureRequest,
    postgres: PostgresServer,
    s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[psycopg.Connection[Any]]:
    postgres.create_database("second", owner=OWNER)
    keys = ("scans/1.pdf", "scans/2.pdf", "scans/3.pdf", "uploads/4.pdf")
    s3.access.fill("second-installation", [StoredObject(key, b"x") for key in keys])
    shutil.copy(Path(__file__).parent / "second_installation.toml", tmp_path)
    with (
        Simulator(filemaker(), password="opensesame") as simulator,
        psycopg.connect(postgres.dsn("second", OWNER), autocommit=True) as connection,
    ):
        connection.execute(SCHEMA)
        adopt(postgres, "second", tmp_path)
        text = ENVIRONMENT.format(
            url=simulator.url, endpoint=s3.access.endpoint, channel=request.param
        )
        (tmp_path / "second.toml").write_text(text)
        (tmp_path / "exports").mkdir()
        for table, (name, style) in zip(filemaker(), EXPORTED, strict=True):
            exported.write(table, tmp_path / "exports" / name, style)
        for name, value in {
            FOLDER_VARIABLE: str(tmp_path),
            "PORT": str(postgres.port),
            "PG": postgres.access.passwords[ROLE],
            "FM": "opensesame",
            "KEY": s3.access.access_key,
            "SECRET": s3.access.secret_key,
        }.items():
            monkeypatch.setenv(name, value)
        yield connection
    postgres.drop_database("second")


def test_a_second_installation_is_reimported_by_its_mapping_alone(
    second: psycopg.Connection[Any],
) -> None:
    book = runbook.begin("second")
    book.snapshot()
    book.census()
    book.survey_and_backup()
    book.plan()
    report = book.check_before()
    assert not report.blocking, report.blocking
    book.rehearse()
    book.propose()
    book.approve(rehearsed=True)
    book.apply()
    after = book.verify()
    assert not after.blocking, after.blocking
    book.sign_off()
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
