"""Nexus on an older PostgreSQL than the sandbox's: a run, the way back, and what is too old."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from nexus_reimport import settings
from nexus_reimport.errors import TargetError
from nexus_reimport.model import Backup, Survey
from nexus_reimport.nexus.connection import pg_tools
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.record import Verdict
from nexus_reimport.runbook import doctor
from nexus_sandbox.clinic import Clinic as MadeUp
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from nexus_sandbox.stack import fill
from support.altered import MORE, altered
from support.clinic import (
    OWNER,
    ROLE,
    Administrator,
    Clinic,
    Clinics,
    approved,
    as_tested,
    closed,
    planned,
)
from support.clinic import taken_back as taken_back_of
from support.poolers import listening, of_version
from support.rollbacks import taken_back

OLDER = "16"
WHEEL = "pgserver"
LOCK = (Path(__file__).parents[2] / "requirements.lock").read_text()
DEV = "sandbox-dev"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an older PostgreSQL's programs.

    They are in a wheel that is made for Python up to 3.12, and need no Python themselves.
    """
    if sys.version_info >= (3, 13):
        folder = tmp_path_factory.mktemp("wheel")
        _put_beside(folder)
        return folder / WHEEL / "pginstall" / "bin"
    wheel = find_spec(WHEEL)
    assert wheel is not None, f"the {WHEEL} package is not installed: make .venv/.ready"
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _put_beside(folder: Path) -> None:
    """Install the locked wheel of the last Python that has one into ``folder``."""
    locked = re.search(rf"^({WHEEL}==\S+)[^\\]*((?:\\\n +--hash=\S+ ?)+)", LOCK, re.MULTILINE)
    assert locked is not None, f"requirements.lock has no {WHEEL}"
    (folder / "lock").write_text(f"{locked[1]} {locked[2]}\n")
    words = "install --quiet --no-deps --only-binary=:all: --python-version=3.12 --require-hashes"
    pip = [sys.executable, "-m", "pip", *words.split()]
    subprocess.run([*pip, f"--target={folder}", f"--requirement={folder / 'lock'}"], check=True)


@pytest.fixture(scope="module")
def older(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of the older version."""
    folder = tmp_path_factory.mktemp("older") / "server"
    with PostgresServer.start(folder, durable=False, programs=programs) as server:
        server.create_role(OWNER)
        server.create_role(ROLE)
        yield server
        server.remove()


@pytest.fixture(scope="module")
def template(older: PostgresServer, made_up: MadeUp) -> str:
    """The database there that holds the made-up clinic's dev."""
    fill.make_template(older.access, "template_dev", made_up.nexus("dev"))
    return "template_dev"


@pytest.fixture
def clinic(
    older: PostgresServer,
    template: str,
    programs: Path,
    filled_s3: S3Server,
    made_up: MadeUp,
    tmp_path: Path,
) -> Iterator[Clinic]:
    """The clinic's dev on that server; its environment names the programs of the same version."""
    with (
        Administrator(older) as administrator,
        Clinics(older, administrator, filled_s3, made_up, {"dev": template}).opened(
            tmp_path
        ) as found,
    ):
        found.edit(DEV, "[postgres]", f'[postgres]\nbinaries = "{programs}"')
        yield found


def test_a_run_with_its_rehearsal_and_the_way_back_are_exact(clinic: Clinic) -> None:
    before = clinic.state()
    book = planned(DEV)
    assert pg_tools.major(book.run.load(Survey).server_version) == OLDER
    assert pg_tools.major(book.run.load(Backup, "backup").client_version) == OLDER
    approved(book, book.check_before())  # rehearsed on a copy, which the older programs make
    as_tested(book)
    applied = book.apply()
    assert sum(applied.written.values()) > 0
    (warning,) = applied.warnings  # there is no right by which our role could do it
    assert warning.startswith("VACUUM (ANALYZE) was not done of patients, appointments, notes, ")
    assert warning.endswith(f": it needs their owner {OWNER}; autovacuum will do it later")
    assert closed(book).run.verdict() is Verdict.COMPLETE
    assert clinic.state() != before
    _, undone = taken_back()
    assert undone.exact
    assert clinic.state() == before


def test_whatever_a_schema_may_have_is_described_and_copied_too(
    older: PostgresServer, programs: Path, s3: S3Server, tmp_path: Path
) -> None:
    with altered(older, s3, tmp_path / "altered", MORE) as site:
        file = site.folder / "second.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("[postgres]", f'[postgres]\nbinaries = "{programs}"'))
        before = site.state()
        assert site.whole().run.verdict() is Verdict.COMPLETE
        assert site.state() != before
        assert taken_back_of("second").passed
        assert site.state() == before


def test_no_right_is_asked_for_that_the_server_does_not_know(clinic: Clinic) -> None:
    def missing() -> list[str]:
        found = doctor.examine(settings.load(DEV)).findings
        assert not [f for f in found if "MAINTAIN" in f.text + f.next]
        return [f.next for f in found if f.text.startswith("a right is missing")]

    assert missing() == []
    clinic.do(f"REVOKE ALL ON documents_document, patients FROM {ROLE}")
    assert any("UPDATE" in one and "documents_document" in one for one in missing())
    clinic.grant()
    assert missing() == []


@pytest.mark.parametrize("version", ["9.6.24", "12.22", "13.23 (Debian 13.23-1.pgdg120+1)"])
def test_a_server_that_is_too_old_is_told_by_its_version(clinic: Clinic, version: str) -> None:
    real = settings.load(DEV).postgres
    with listening(of_version(clinic.server.port, version)) as port:
        target = real.model_copy(update={"port": port})
        with pytest.raises(TargetError) as told, connected(target):
            pass
    error = told.value
    assert error.what.startswith(f"PostgreSQL {version} is too old: version 14 is the")
    assert error.state == "nothing was written"
    assert "14 or later" in error.next


@pytest.mark.parametrize("version", ["14.0", "19beta1"])
def test_others_are_let_in(clinic: Clinic, version: str) -> None:
    real = settings.load(DEV).postgres
    with (
        listening(of_version(clinic.server.port, version)) as port,
        connected(real.model_copy(update={"port": port})) as connection,
    ):
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
