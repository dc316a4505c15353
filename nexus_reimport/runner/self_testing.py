"""Tests the verification itself, at any time, on the state of a run whose dump is kept."""

from __future__ import annotations

from nexus_reimport import mapping as mappings
from nexus_reimport import record, runbook
from nexus_reimport import settings as environments
from nexus_reimport.errors import NotNow
from nexus_reimport.model import Backup, Plan, SelfTest
from nexus_reimport.record import Run
from nexus_reimport.runbook.opening import require_own_database
from nexus_reimport.runner.watch import Say
from nexus_reimport.settings import Settings


def self_test(name: str, run_id: str = "", say: Say | None = None) -> SelfTest:
    """Every kind of corruption against the verification, on a copy that is dropped afterwards.

    Of the named run, else of the environment's latest one that was planned. The table is kept in
    the run's record as long as that is open.

    Raises:
        NotNow: no run has a plan and its dump any more.
        StopError: the copy does not pass verification.
            Nothing but the copy was written.
    """
    settings = environments.load(name)
    with record.at_work(settings):
        chosen = _chosen(settings, run_id)
        mapping = mappings.load_for(settings, environments.folder())
        require_own_database(settings)
        book = runbook.Runbook(settings, mapping, chosen)
        if say:
            say(f"{name}: every kind of corruption, on a copy of the state of run {chosen.id}")
        return book.sabotaged() if chosen.is_sealed else book.self_test()


def _chosen(settings: Settings, run_id: str) -> Run:
    runs = [record.find(settings, run_id)] if run_id else record.every(settings)[::-1]
    chosen = next((run for run in runs if _is_kept(run)), None)
    if chosen is None:
        raise NotNow(
            "no run still has both its plan and its dump",
            where=f"environment {settings.name}",
            next=f"nexus-reimport run {settings.name} makes one",
        )
    return chosen


def _is_kept(run: Run) -> bool:
    """Whether a run's plan, its dump and its row files are there."""
    if not (run.has(Plan) and run.has(Backup, "backup")):
        return False
    return (run.private / run.load(Backup, "backup").dump).is_file()
