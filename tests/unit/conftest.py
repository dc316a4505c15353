"""The unit tests need no server: what asks for one does not begin."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from nexus_reimport import settings
from support.auditing import auditors_tool
from support.forgeries import Sealed
from support.records import made_once

SERVERS = {"postgres", "s3", "clinic"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wrong = [i.nodeid for i in items if "/unit/" in i.nodeid and SERVERS & {*i.fixturenames}]
    if wrong:
        raise pytest.UsageError(f"needs a server, belongs to tests/integration: {', '.join(wrong)}")


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where records lie that were made once, and are copied for each test."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def sealed(known: settings.Settings, kept: Path) -> Sealed:
    """Four sealed records: committed and stopped runs by turns."""
    made_once(known, kept / "sealed", Sealed.of)
    return Sealed.read(known)


@pytest.fixture(scope="session")
def tool() -> ModuleType:
    """The auditor's tool."""
    return auditors_tool()
