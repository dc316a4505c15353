"""The news of a run, for the clinic's own mail or chat: its result, and never data."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from nexus_reimport import __version__
from nexus_reimport.errors import ReimportError
from nexus_reimport.interrupt import Interrupted
from nexus_reimport.record import Run, State
from nexus_reimport.record import run as runs
from nexus_reimport.runbook import hooks
from nexus_reimport.runner.outcome import CommandOutcome
from nexus_reimport.settings import Settings


def tell(settings: Settings, outcome: CommandOutcome) -> CommandOutcome:
    """The outcome, once the environment's hook ``told`` has it: JSON on its standard input.

    Called at the end of each command that began, continued or closed a run. If the hook fails, or a
    signal ends it, the outcome says so, and is otherwise the same.
    """
    if not outcome.run or not settings.hooks.told:
        return outcome
    try:
        ended = hooks.run(settings, "told", outcome.run, _news(settings, outcome))
        if ended.well:
            return outcome
        why = str(ended)
    except Interrupted as interrupt:
        why = f"`told` was {interrupt}"
    failed = ReimportError(
        f"nobody was told the result of run {outcome.run}: {why}",
        where=f"environment {settings.name}; what the hook printed: {hooks.log_path(settings)}",
        state="this does not affect the run's result",
        next="tell those who wait for it; fix [hooks] told in the environment's file",
    )
    return replace(outcome, untold=str(failed))


def _news(settings: Settings, outcome: CommandOutcome) -> bytes:
    """The result as JSON: names, the verdict, and an error's own lines, which hold no value."""
    run = runs.of(settings, outcome.run)
    news = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": outcome.environment,
        "environment_kind": settings.kind,
        "run": outcome.run,
        "kind": run.kind,
        "undoes": run.undoes,
        "verdict": outcome.verdict,
        "exit_code": outcome.exit_code,
        "database": _database(run),
        "window": outcome.window,
        "sealed": outcome.sealed,
        "seal": run.seal_digest(),
        "record": outcome.record,
        "error": outcome.error,
        "next": outcome.advice,
        "version": __version__,
    }
    return json.dumps(news, indent=1).encode() + b"\n"


def _database(run: Run) -> str:
    """What the run has left in the database; after a rollback that is not what it was told of."""
    if run.undoes and run.state() is State.COMMITTED:
        return f"committed: run {run.undoes} is undone"
    return run.state()
