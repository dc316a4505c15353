"""The frozen values that pass between stages, and how they are saved.

A value holds counts, names, decisions, digests and names of files; the rows are in row files. It is
saved as JSON, and every field is checked when it is read back.
"""

from nexus_reimport.model.approval import Applied, Approval, Gate, Outlook, Proposal, Refusal
from nexus_reimport.model.checks import Level, Report, Result, WaiverState, waived
from nexus_reimport.model.committed import after_commit, run_row
from nexus_reimport.model.plan import (
    OF_NEXUS_ALONE,
    Account,
    ByHand,
    ColumnChange,
    ColumnFit,
    EntityPlan,
    LinkPlan,
    Misfits,
    Outcome,
    OverriddenRows,
    Plan,
    Question,
    Scope,
    UnmatchedRows,
    losses,
    undecided,
)
from nexus_reimport.model.rehearsal import Ground, Rehearsal
from nexus_reimport.model.rollback import NewerDecision, RollbackPreview, RollbackProposal, Undone
from nexus_reimport.model.saving import digest, is_unedited, load, save
from nexus_reimport.model.self_test import SelfTest, Trial
from nexus_reimport.model.sign_off import LineState, SheetLine, Signature, SignOff
from nexus_reimport.model.snapshot import (
    KEY,
    VERSION,
    Census,
    ChannelUse,
    Cleaned,
    Drift,
    Extract,
    FieldFound,
    Sample,
    Snapshot,
)
from nexus_reimport.model.survey import Backup, Pointer, Survey, TableState

__all__ = [
    "KEY",
    "OF_NEXUS_ALONE",
    "VERSION",
    "Account",
    "Applied",
    "Approval",
    "Backup",
    "ByHand",
    "Census",
    "ChannelUse",
    "Cleaned",
    "ColumnChange",
    "ColumnFit",
    "Drift",
    "EntityPlan",
    "Extract",
    "FieldFound",
    "Gate",
    "Ground",
    "Level",
    "LineState",
    "LinkPlan",
    "Misfits",
    "NewerDecision",
    "Outcome",
    "Outlook",
    "OverriddenRows",
    "Plan",
    "Pointer",
    "Proposal",
    "Question",
    "Refusal",
    "Rehearsal",
    "Report",
    "Result",
    "RollbackPreview",
    "RollbackProposal",
    "Sample",
    "Scope",
    "SelfTest",
    "SheetLine",
    "SignOff",
    "Signature",
    "Snapshot",
    "Survey",
    "TableState",
    "Trial",
    "Undone",
    "UnmatchedRows",
    "WaiverState",
    "after_commit",
    "digest",
    "is_unedited",
    "load",
    "losses",
    "run_row",
    "save",
    "undecided",
    "waived",
]
