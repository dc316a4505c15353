"""The unit tests need no server: what asks for one does not begin."""

from __future__ import annotations

import pytest

SERVERS = {"postgres", "s3", "clinic"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wrong = [i.nodeid for i in items if "/unit/" in i.nodeid and SERVERS & {*i.fixturenames}]
    if wrong:
        raise pytest.UsageError(f"needs a server, belongs to tests/integration: {', '.join(wrong)}")
