"""The second installation as tests change it: its files, its FileMaker, its mapping, its schema."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nexus_reimport import runbook
from nexus_reimport.files.rowfile import read_dicts
from nexus_reimport.model import Plan, Report, Result
from nexus_sandbox.clinic import StoredObject
from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.simulator import Simulator
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support import SUPPORT
from support.clinic import OWNER, approved, planned
from support.second_installation import (
    ENVIRONMENT,
    EXPORTED,
    SCHEMA,
    adopt,
    filemaker,
    set_variables,
)

VISITS = ("VisitNo", "Person", "Day", "From", "To", "Remark")
CARES = ("Person", "Carer", "Since")
DECIDED = """
[decisions.people]
no_filemaker_id = "keep"
not_in_filemaker = "keep"
left_out_by_rule = "keep"
when_different = { "*" = "filemaker" }
[decisions.visits]
no_filemaker_id = "keep"
not_in_filemaker = "keep"
left_out_by_rule = "keep"
when_different = { "*" = "filemaker" }
[decisions.carers]
no_filemaker_id = "keep"
not_in_filemaker = "keep"
when_different = { "*" = "filemaker" }
"""


@dataclass(frozen=True, slots=True)
class Second:
    """One second installation, read by one channel, and what a test may change of it."""

    server: PostgresServer
    folder: Path
    connection: psycopg.Connection[Any]
    simulator: Simulator

    def csv(self, name: str, header: tuple[str, ...], *rows: tuple[str, ...]) -> None:
        """Put a file of values between commas into the place of an exported one."""
        lines = (",".join(f'"{value}"' for value in row) for row in (header, *rows))
        path = self.folder / "exports" / name
        path.write_bytes("".join(f"{line}\r" for line in lines).encode("utf-16"))

    def edit(self, name: str, old: str, new: str) -> None:
        """Change the text of ``second.toml``, the environment, or of the mapping."""
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def planned(self) -> runbook.Runbook:
        """A run up to its plan."""
        return planned("second")

    def checked(self) -> tuple[runbook.Runbook, Report]:
        """A run up to its checks before."""
        book = self.planned()
        return book, book.check_before()

    def whole(self, *, dry: bool = False) -> runbook.Runbook:
        """A run to its end; a ``dry`` one is not about its rehearsal."""
        book = approved(*self.checked(), self.server if dry else None)
        book.apply()
        assert not book.verify().blocking
        book.sign_off()
        book.seal()
        return book

    def state(self) -> dict[str, str]:
        """Every table of the application, as text."""
        tables = ("person", "visit", "carer", "document", "site")
        query = "SELECT coalesce(string_agg(t::text, '|' ORDER BY t::text), '') FROM practice.{} t"
        return {t: self.connection.execute(query.format(t)).fetchone()[0] for t in tables}


def planned_rows(book: runbook.Runbook, entity: str) -> list[dict[str, str | None]]:
    """The rows of one entity that a plan holds."""
    return list(read_dicts(book.folder, book.run.load(Plan).entities[entity].file))


def result(report: Report, check: str) -> Result:
    """What one check said."""
    return next(r for r in report.results if r.check == check)


@contextmanager
def opened(
    channel: str,
    postgres: PostgresServer,
    s3: S3Server,
    folder: Path,
    patch: pytest.MonkeyPatch,
    template: str = "template0",
) -> Iterator[Second]:
    """The installation as it is found, everything decided; its database is a copy of a template."""
    postgres.create_database("second", template=template, owner=OWNER)
    keys = ("scans/1.pdf", "scans/2.pdf", "scans/3.pdf", "uploads/4.pdf")
    s3.access.fill("second-installation", [StoredObject(key, b"x") for key in keys])
    shutil.copy(SUPPORT / "second_installation.toml", folder)
    with (
        Simulator(filemaker(), password="opensesame") as simulator,
        psycopg.connect(postgres.dsn("second", OWNER), autocommit=True) as connection,
    ):
        connection.execute(SCHEMA)
        adopt(postgres, "second", folder)
        text = ENVIRONMENT.format(url=simulator.url, endpoint=s3.access.endpoint, channel=channel)
        (folder / "second.toml").write_text(text[: text.index("[decisions")] + DECIDED)
        (folder / "exports").mkdir()
        for table, (name, style) in zip(filemaker(), EXPORTED, strict=True):
            exports.write(table, folder / "exports" / name, style)
        set_variables(patch, folder, postgres, s3)
        yield Second(postgres, folder, connection, simulator)
    postgres.drop_database("second")
