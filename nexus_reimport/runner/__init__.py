"""papermill runs the runbook: preflight, execute and verify, on one environment after the other."""

from nexus_reimport.runner import blocked_import  # noqa: F401 - before a notebook's library comes
from nexus_reimport.runner.finishing import finish, seal, settle
from nexus_reimport.runner.outcome import CommandOutcome
from nexus_reimport.runner.purging import purge_private, purge_undo
from nexus_reimport.runner.recovery import RollbackOptions, restore_into, rollback
from nexus_reimport.runner.self_testing import self_test
from nexus_reimport.runner.sequence import run
from nexus_reimport.runner.signing import readable_sheet, sheet, sign, spent_by, withdraw

__all__ = [
    "CommandOutcome",
    "RollbackOptions",
    "finish",
    "purge_private",
    "purge_undo",
    "readable_sheet",
    "restore_into",
    "rollback",
    "run",
    "seal",
    "self_test",
    "settle",
    "sheet",
    "sign",
    "spent_by",
    "withdraw",
]
