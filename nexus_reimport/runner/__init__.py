"""papermill runs the runbook: preflight, execute and verify, on one environment after the other."""

from nexus_reimport.runner.sequence import Ask, Outcome, finish, run, seal, settle

__all__ = ["Ask", "Outcome", "finish", "run", "seal", "settle"]
