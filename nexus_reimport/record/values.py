"""Which values of the stages a run keeps, and under which names in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexus_reimport.model import (
    Applied,
    Approval,
    Backup,
    Census,
    Drift,
    Outlook,
    Plan,
    Proposal,
    Rehearsal,
    Report,
    RollbackPreview,
    RollbackProposal,
    Sample,
    SelfTest,
    SignOff,
    Snapshot,
    Survey,
    Undone,
)
from nexus_reimport.nexus.activity import Activity, Watched

# The names never change: old records are read by them. A type with several names needs one said.
NAMES: Mapping[type, tuple[str, ...]] = {
    Snapshot: ("snapshot",),
    Census: ("census",),
    Survey: ("survey",),
    Backup: ("backup", "rollback_backup"),
    Watched: ("watched",),
    Activity: ("activity",),
    Plan: ("plan",),
    Sample: ("sample",),
    Report: (
        "checks_before",
        "checks_rehearsal",
        "checks_inside",
        "checks_after",
        "checks_rollback",
    ),
    Rehearsal: ("rehearsal",),
    SelfTest: ("self_test",),
    Proposal: ("proposal",),
    Outlook: ("outlook",),
    SignOff: ("sign_off_sheet",),
    Drift: ("filemaker_since",),
    Approval: ("approval",),
    Applied: ("applied",),
    RollbackPreview: ("look",),
    RollbackProposal: ("rollback_proposal",),
    Undone: ("undone",),
}


# A stage whose value has another name than the stage.
_OF_STAGE = {"apply": "applied", "undo": "undone", "back_up": "rollback_backup"}
_LATER_PAGES = {
    "filemaker_since": "02_execute",
    "approval": "02_execute",
    "applied": "02_execute",
    "checks_after": "03_verify",
}
_OF_PREFLIGHT = ("snapshot", "census", "survey", "backup", "plan", "checks_before", "proposal")
_OF_COMMITTED = {"rollback": ("rollback_backup", "look", "rollback_proposal")}


def files_of_stage(stage: str) -> set[str]:
    """The file of the value that a stage gives, if it gives one that is kept."""
    name = _OF_STAGE.get(stage, stage)
    return {f"{name}.json"} if any(name in known for known in NAMES.values()) else set()


def page_of(name: str, kind: str) -> str:
    """The page of the runbook that gives the value called ``name``, in a run of ``kind``."""
    return "90_rollback" if kind == "rollback" else _LATER_PAGES.get(name, "01_preflight")


def files_of_committed(kind: str) -> set[str]:
    """The files without which no run of ``kind`` can have been committed."""
    return {f"{name}.json" for name in (*_OF_COMMITTED.get(kind, _OF_PREFLIGHT), "approval")}


def file_name(kind: type, name: str = "") -> str:
    """The file that holds a value of ``kind``: of those that it may have, the one called ``name``.

    Raises:
        LookupError: no such value is kept, or the name is missing where there are several.
    """
    known = NAMES.get(kind, ())
    chosen = name or (known[0] if len(known) == 1 else "")
    if chosen not in known:
        raise LookupError(f"{kind.__name__} is kept as {' or '.join(known) or 'nothing'}")
    return f"{chosen}.json"


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file, as it stands there; empty where there is none.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        value = json.loads(path.read_bytes()) if path.is_file() else {}  # a pipe would never end
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
