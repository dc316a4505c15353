"""A small clinic, over each channel, with one thing of FileMaker's changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nexus_reimport import runbook
from nexus_reimport.files import rowfile
from nexus_reimport.model import Plan, Snapshot
from nexus_sandbox.clinic import StoredObject
from nexus_sandbox.filemaker import exports as exported
from nexus_sandbox.filemaker.exports import Style
from nexus_sandbox.filemaker.file import FileTable
from nexus_sandbox.filemaker.simulator import Simulator
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support import SUPPORT
from support.clinic import OWNER
from support.second_installation import ENVIRONMENT, SCHEMA, adopt, filemaker, set_variables

PASSWORD = "opensesame"
SERVERS = ("data_api", "odata")
CHANNELS = (*SERVERS, "exports")
FILES = ("People.csv", "Visits.csv", "Scans.csv", "Cares.csv")
OBJECTS = ("scans/1.pdf", "scans/2.pdf", "scans/3.pdf", "uploads/4.pdf")
Tables = dict[str, FileTable]


@dataclass(frozen=True, slots=True)
class Planned:
    """A run of the small clinic, up to its plan."""

    book: runbook.Runbook
    snapshot: Snapshot
    plan: Plan

    def rows(self, entity: str) -> list[dict[str, str | None]]:
        """The rows of one entity that will be there."""
        return list(rowfile.read_dicts(self.book.folder, self.plan.entities[entity].file))

    def lines(self, file: rowfile.RowFile) -> list[tuple[str | None, ...]]:
        """What a row file of the run holds."""
        return list(rowfile.read(self.book.folder, file))

    def finish(self) -> None:
        """The run to its end, sealed."""
        report = self.book.check_before()
        assert not report.blocking, report.blocking
        self.book.rehearse()
        self.book.propose()
        self.book.approve(rehearsed=True)
        self.book.apply()
        after = self.book.verify()
        assert not after.blocking, after.blocking
        self.book.sign_off()
        self.book.seal()


@dataclass(frozen=True, slots=True)
class Place:
    """The small clinic: its folder, its database, and its FileMaker."""

    folder: Path
    connection: psycopg.Connection[Any]
    simulator: Simulator

    def read(self) -> Snapshot:
        """The snapshot of a run."""
        return runbook.begin("second").snapshot()

    def planned(self) -> Planned:
        """A run with its plan."""
        book = runbook.begin("second")
        taken = book.snapshot()
        book.census()
        book.survey_and_backup()
        return Planned(book, taken, book.plan())


Open = Callable[..., Any]


@pytest.fixture
def small(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """Opens the small clinic on a channel, FileMaker's tables and the mapping changed as asked."""

    @contextmanager
    def opened(
        channel: str,
        change: Callable[[Tables], object] = lambda _: None,
        mapping: tuple[tuple[str, str], ...] = (),
        schema: str = SCHEMA,
    ) -> Iterator[Place]:
        tables = {table.name: table for table in filemaker()}
        change(tables)
        text = (SUPPORT / "second_installation.toml").read_text(encoding="utf-8")
        text = text.replace("People.xlsx", "People.csv").replace("Scans.tab", "Scans.csv")
        text = text.replace('columns = ["ScanNo", "Person"]\n', "")
        for old, new in mapping:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "second_installation.toml").write_text(text, encoding="utf-8")
        shutil.rmtree(tmp_path / "exports", ignore_errors=True)
        (tmp_path / "exports").mkdir()
        style = Style(encoding="utf-8", dates="m/d/y")
        for table, name in zip(tables.values(), FILES, strict=True):
            exported.write(table, tmp_path / "exports" / name, style)
        postgres.create_database("second", owner=OWNER)
        try:
            with (
                Simulator(tables.values(), password=PASSWORD) as simulator,
                psycopg.connect(postgres.dsn("second", OWNER), autocommit=True) as connection,
            ):
                connection.execute(schema)
                adopt(postgres, "second", tmp_path)
                environment = ENVIRONMENT.format(
                    url=simulator.url, endpoint=s3.access.endpoint, channel=channel
                )
                environment = environment.replace("utf-16", "utf-8")
                (tmp_path / "second.toml").write_text(environment, encoding="utf-8")
                yield Place(tmp_path, connection, simulator)
        finally:
            postgres.drop_database("second")

    s3.access.fill("second-installation", [StoredObject(key, b"x") for key in OBJECTS])
    set_variables(monkeypatch, tmp_path, postgres, s3)
    return opened


def put(table: str, number: int, field: str, value: object) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        tables[table].records[number].values[field] = value

    return change
