"""Which values of the stages a run keeps, and under which names in its folder."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_reimport.model import (
    Applied,
    Approval,
    Backup,
    Census,
    Outlook,
    Plan,
    Proposal,
    Rehearsal,
    Report,
    RollbackPreview,
    RollbackProposal,
    Sample,
    SelfTest,
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
    Approval: ("approval",),
    Applied: ("applied",),
    RollbackPreview: ("look",),
    RollbackProposal: ("rollback_proposal",),
    Undone: ("undone",),
}


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
