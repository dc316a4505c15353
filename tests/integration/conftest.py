"""What several files of a whole clinic's tests begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus_reimport import runbook
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import MORE, Altered, altered
from support.clinic import Clinic, Clinics, Committed, Executed
from support.second_clinic import Second, opened


@pytest.fixture
def done(
    clinics: Clinics,
    executed_once: Executed,
    tmp_path: Path,
) -> Iterator[tuple[Clinic, runbook.Runbook]]:
    """A clinic after a whole run: ``Clinic.executed``, without the clinic before it."""
    with clinics.opened(tmp_path / "done", executed_once.template) as clinic:
        yield clinic, clinic.resumed(executed_once)


@pytest.fixture
def committed(
    clinics: Clinics,
    committed_once: Committed,
    tmp_path: Path,
) -> Iterator[tuple[Clinic, runbook.Runbook]]:
    """A clinic whose run was committed, and not verified yet."""
    with clinics.opened(tmp_path / "committed", committed_once.template) as clinic:
        yield clinic, clinic.resumed(committed_once)


@pytest.fixture(scope="module")
def more(
    postgres: PostgresServer, s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Altered]:
    """The second installation with a schema that has more, for a whole module."""
    with altered(postgres, s3, tmp_path_factory.mktemp("more"), MORE) as found:
        yield found


@pytest.fixture
def second(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Second]:
    """The second installation as it is found, read from exported files."""
    with opened("exports", postgres, s3, tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def over_the_data_api(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Second]:
    """The same, read over the Data API."""
    with opened("data_api", postgres, s3, tmp_path, monkeypatch) as found:
        yield found
