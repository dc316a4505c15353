"""What a command gives back for one environment."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_reimport import runbook, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import RecordError, ReimportError
from nexus_reimport.model import Proposal, Scope
from nexus_reimport.model.approval import short
from nexus_reimport.record import Run, Verdict
from nexus_reimport.runbook import maintenance as window
from nexus_reimport.runner import notebook
from nexus_reimport.runner.advice import advice
from nexus_reimport.runner.notebook import PREFLIGHT
from nexus_reimport.settings import Settings
from nexus_reimport.stages import approval


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """The result for one environment; ``run`` is empty if no run was started."""

    environment: str
    run: str
    verdict: Verdict | None
    exit_code: int
    sealed: bool
    record: str
    error: str
    advice: str
    summary: str
    window: str = ""  # what a person must do if the maintenance window is still up
    untold: str = ""  # what a person must do if the hook `told` failed


def of(run: Run, error: str = "", settings: Settings | None = None) -> CommandOutcome:
    """The outcome of the run, as its record and the maintenance window are now.

    ``settings``: as they were read before, where their file may not be as it must any more.
    """
    verdict = run.verdict()
    complete = verdict is Verdict.COMPLETE
    return CommandOutcome(
        environment=run.environment,
        run=run.id,
        verdict=verdict,
        exit_code=run.exit_code(),
        sealed=run.is_sealed,
        record=str(run.bag),
        error=error or ("" if complete else notebook.last_error(run)),
        advice=_how_to_approve(run) if _waits(run) else advice(verdict, run),
        summary=_summary(run),
        window=window.still_up(settings or environments.load(run.environment)),
    )


def without_run(settings: Settings, exit_code: int, error: ReimportError) -> CommandOutcome:
    """The outcome of a command that has opened no run: why, and what became of the window."""
    return CommandOutcome(
        settings.name,
        "",
        None,
        exit_code,
        sealed=False,
        record="",
        error=str(error),
        advice="",
        summary="",
        window=window.still_up(settings),
    )


def _summary(run: Run) -> str:
    try:
        return show.summary(run)
    except RecordError:  # the run was killed while it wrote a value
        return ""


def _waits(run: Run) -> bool:
    return run.verdict() is Verdict.WAITING and not run.is_sealed


def _how_to_approve(run: Run) -> str:
    """How to approve a waiting run; first, what to fix so that the approval is accepted."""
    digest = short(run.load(Proposal).digest)
    word = "relink" if run.kind == Scope.RELINK else "run"
    steps = f"read {notebook.latest(run, PREFLIGHT)}, then:"
    command = f"nexus-reimport {word} {run.environment} --approve {digest}"
    command += approval.with_name(environments.load(run.environment))
    refusals = runbook.reopen(run.environment, run.id).refusals()
    refused = [f"  {r.what}: {r.next}" for r in refusals]
    if not refused:
        return f"{steps} {command}"
    if any(r.needs_preflight for r in refusals):
        return "\n".join([f"{digest} can no longer be approved:", *refused])
    return "\n".join(
        ["an approval is refused until this is fixed:", *refused, steps, f"  {command}"]
    )
