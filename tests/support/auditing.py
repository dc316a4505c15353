"""The auditor's tool, loaded from its file: it is no part of the package."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from nexus_reimport import CHECKOUT

TOOL = CHECKOUT / "tools" / "check_record.py"


def auditors_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_record", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def silent(_: str) -> None:
    """What the tool says is not looked at."""
