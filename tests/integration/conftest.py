"""What several files of a whole clinic's tests begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus_reimport import runbook
from nexus_sandbox.clinic import Clinic as MadeUp
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.clinic import Clinic, Committed, Executed, opened


@pytest.fixture
def done(
    postgres: PostgresServer,
    templates: dict[str, str],
    filled_s3: S3Server,
    made_up: MadeUp,
    executed_once: Executed,
    tmp_path: Path,
) -> Iterator[tuple[Clinic, runbook.Runbook]]:
    """A clinic after a whole run: ``Clinic.executed``, without the clinic before it."""
    after = templates | {"dev": executed_once.template}
    with opened(tmp_path / "done", postgres, filled_s3, made_up, after) as clinic:
        yield clinic, clinic.resumed(executed_once)


@pytest.fixture
def committed(
    postgres: PostgresServer,
    templates: dict[str, str],
    filled_s3: S3Server,
    made_up: MadeUp,
    committed_once: Committed,
    tmp_path: Path,
) -> Iterator[tuple[Clinic, runbook.Runbook]]:
    """A clinic whose run was committed, and not verified yet."""
    after = templates | {"dev": committed_once.template}
    with opened(tmp_path / "committed", postgres, filled_s3, made_up, after) as clinic:
        yield clinic, clinic.resumed(committed_once)
